//! What was received: in memory up to a bound, and on request in a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};

use serde::Serialize;

use super::time::Moment;
use super::traffic::{Filter, Request, Traffic};

/// One record as the server would keep it, its texts cleaned.
#[derive(Serialize)]
pub struct Stored {
    /// Counts up from 1 for as long as the receiver runs.
    pub id: u64,
    pub received_at: Moment,
    #[serde(flatten)]
    pub record: Record,
}

#[derive(Serialize)]
pub struct Record {
    pub service: String,
    pub method: String,
    pub endpoint: String,
    pub status: i16,
    /// Milliseconds.
    pub response_time: i32,
    pub consumer: String,
    pub node: Option<String>,
    pub context: Option<String>,
    pub created_at: Moment,
}

impl Record {
    fn request(&self) -> Request<'_> {
        Request {
            service: &self.service,
            method: &self.method,
            endpoint: &self.endpoint,
            consumer: &self.consumer,
            status: self.status,
            response_time: self.response_time,
            time: self.created_at.seconds(),
        }
    }
}

/// Which records `Store::select` gives.
#[derive(Default)]
pub struct Selection {
    pub filter: Filter,
    /// The oldest records with a greater id; without it the newest.
    pub after: Option<u64>,
    pub limit: Option<usize>,
}

pub struct Store {
    records: VecDeque<Stored>,
    max_records: usize,
    last_id: u64,
    file: Option<File>,
    /// Since the start or the last `clear`.
    pub totals: Totals,
    /// Counts of all records, also of those that have left `records`.
    pub traffic: Traffic,
    /// Another number after each change. It begins with the time, so that a client never takes
    /// what it has of an earlier run for what is here.
    pub changes: i64,
}

#[derive(Default, Serialize)]
pub struct Totals {
    /// Records stored, those evicted since included.
    pub records: u64,
    /// Records that had to leave memory for newer ones.
    pub evicted: u64,
    pub batches: u64,
}

impl Store {
    /// `file` gets one JSON object a line.
    pub fn new(max_records: usize, file: Option<File>) -> Self {
        Self {
            records: VecDeque::new(),
            max_records,
            last_id: 0,
            file,
            totals: Totals::default(),
            traffic: Traffic::default(),
            changes: Moment::now().micros(),
        }
    }

    /// Stores the batch whole or, when the file cannot be written, not at all.
    pub fn add(&mut self, batch: Vec<Record>) -> io::Result<()> {
        let received_at = Moment::now();
        let stored: Vec<Stored> = (self.last_id + 1..)
            .zip(batch)
            .map(|(id, record)| Stored {
                id,
                received_at,
                record,
            })
            .collect();
        if let Some(file) = &mut self.file {
            let mut lines = Vec::with_capacity(stored.len() * 300);
            for record in &stored {
                serde_json::to_writer(&mut lines, record)?;
                lines.push(b'\n');
            }
            file.write_all(&lines)?;
        }
        self.take(stored);
        Ok(())
    }

    /// Keeps records that have their ids: every one comes by here.
    fn take(&mut self, stored: Vec<Stored>) {
        let now = Moment::now().seconds();
        for Stored { record, .. } in &stored {
            self.traffic.add(&record.request(), now);
        }
        let added = stored.len() as u64;
        self.last_id += added;
        self.records.extend(stored);
        let excess = self.records.len().saturating_sub(self.max_records);
        self.records.drain(..excess);
        self.totals.records += added;
        self.totals.evicted += excess as u64;
        self.totals.batches += 1;
        self.changes += 1;
    }

    /// Forgets the records and their totals; ids go on, the file stays.
    pub fn clear(&mut self) {
        self.records = VecDeque::new();
        self.totals = Totals::default();
        self.traffic = Traffic::default();
        self.changes += 1;
    }

    pub fn records(&self) -> impl ExactSizeIterator<Item = &Stored> {
        self.records.iter()
    }

    /// In the order of their ids.
    pub fn select(&self, wanted: &Selection) -> Vec<&Stored> {
        let limit = wanted.limit.unwrap_or(usize::MAX);
        let matches = |stored: &&Stored| wanted.filter.admits(&stored.record.request());
        if let Some(after) = wanted.after {
            let first = self.records.partition_point(|stored| stored.id <= after);
            self.records
                .range(first..)
                .filter(matches)
                .take(limit)
                .collect()
        } else {
            let mut newest: Vec<_> = self
                .records
                .iter()
                .rev()
                .filter(matches)
                .take(limit)
                .collect();
            newest.reverse();
            newest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(service: &str) -> Record {
        Record {
            service: service.to_owned(),
            method: "GET".to_owned(),
            endpoint: "/".to_owned(),
            status: 200,
            response_time: 1,
            consumer: "c".to_owned(),
            node: None,
            context: None,
            created_at: Moment::now(),
        }
    }

    fn ids(store: &Store, wanted: &Selection) -> Vec<u64> {
        store
            .select(wanted)
            .iter()
            .map(|stored| stored.id)
            .collect()
    }

    #[test]
    fn the_oldest_leave_first() {
        let mut store = Store::new(3, None);
        store.add(vec![record("a"), record("b")]).unwrap();
        store
            .add(vec![record("a"), record("b"), record("a")])
            .unwrap();
        assert_eq!(ids(&store, &Selection::default()), [3, 4, 5]);
        assert_eq!(
            (
                store.totals.records,
                store.totals.evicted,
                store.totals.batches
            ),
            (5, 2, 2)
        );

        store.clear();
        assert_eq!(store.records().len(), 0);
        store.add(vec![record("a")]).unwrap();
        assert_eq!(ids(&store, &Selection::default()), [6]);
        assert_eq!(store.totals.records, 1);
    }

    #[test]
    fn selections() {
        let mut store = Store::new(10, None);
        store
            .add(["a", "b", "a", "b", "a"].map(record).into())
            .unwrap();
        let service = || Filter {
            service: Some("a".to_owned()),
            ..Filter::default()
        };
        for (wanted, expected) in [
            (
                Selection {
                    filter: service(),
                    ..Default::default()
                },
                vec![1, 3, 5],
            ),
            (
                Selection {
                    limit: Some(2),
                    ..Default::default()
                },
                vec![4, 5],
            ),
            (
                Selection {
                    after: Some(1),
                    limit: Some(2),
                    ..Default::default()
                },
                vec![2, 3],
            ),
            (
                Selection {
                    after: Some(1),
                    limit: Some(1),
                    filter: service(),
                },
                vec![3],
            ),
            (
                Selection {
                    after: Some(5),
                    ..Default::default()
                },
                vec![],
            ),
            (
                Selection {
                    limit: Some(0),
                    ..Default::default()
                },
                vec![],
            ),
        ] {
            assert_eq!(ids(&store, &wanted), expected);
        }
    }
}
