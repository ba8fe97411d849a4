//! The records in the file: reading, writing, and letting the oldest go.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Row, Statement, TransactionBehavior, params};

use super::attached::{Attached, words};
use crate::receive::store::{Record, Stored, stamped};
use crate::receive::time::Moment;

/// Pages that are given back to the file system at once.
const PAGES: i64 = 1_000;
/// What no batch may take of a disk, so that records can be deleted from a full one: so many bytes, and
/// this part of the file, for deleting writes a page for each 820 of it and one for each 1,000.
const SPARE: u64 = 256 << 10;
const SPARE_PART: u64 = 200;
/// Bytes of a record beside its texts.
const RECORD: u64 = 128;
/// What a record is taken to need for each of its bytes: in the file and in the log, whose pages may be
/// half empty.
const NEEDED: u64 = 4;

/// What the file keeps; the oldest records go first.
pub struct Limits {
    pub age: Duration,
    /// Of the file, without its log.
    pub bytes: u64,
}

pub enum Change {
    Add(Vec<Record>),
    Clear,
}

impl Change {
    /// Bytes of what it adds.
    pub fn bytes(&self) -> u64 {
        let Change::Add(batch) = self else {
            return 0;
        };
        let of = |record: &Record| {
            let Record {
                service,
                method,
                endpoint,
                consumer,
                node,
                context,
                ..
            } = record;
            let optional = [node, context].into_iter().flatten();
            let texts = [service, method, endpoint, consumer]
                .into_iter()
                .chain(optional);
            RECORD + texts.map(|text| text.len() as u64).sum::<u64>()
        };
        batch.iter().map(of).sum()
    }
}

/// A change that is in the file and not in memory yet.
pub enum Kept {
    Added(Vec<Stored>),
    Cleared,
}

pub struct RecordFile {
    attached: Attached,
    limits: Limits,
    /// Of the records that were ever in it.
    pub last_id: u64,
}

impl RecordFile {
    /// # Errors
    /// It can't be opened, is in use or damaged, or another program's, or a newer malti's.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, String> {
        let attached = Attached::open(path)?;
        let last_id = "SELECT ifnull(max(seq), 0) FROM sqlite_sequence";
        let last_id = attached
            .connection
            .query_row(last_id, [], |row| row.get(0))
            .map_err(|error| words(&error))?;
        Ok(Self {
            attached,
            limits,
            last_id,
        })
    }

    pub fn path(&self) -> &Path {
        self.attached.path()
    }

    /// It could be read.
    ///
    /// # Errors
    /// As `Attached::accept`.
    pub fn accept(&self) -> rusqlite::Result<()> {
        self.attached.accept()
    }

    /// Of the records that are in it; the next one where there are none.
    pub fn first_id(&self) -> rusqlite::Result<u64> {
        let first = "SELECT ifnull(min(id), ?1) FROM records";
        let next = self.last_id + 1;
        self.attached
            .connection
            .query_row(first, [next], |row| row.get(0))
    }

    /// Records from this id on, as many at once as asked for.
    pub fn read_from(
        &self,
        id: u64,
        most: usize,
        mut take: impl FnMut(Vec<Stored>),
    ) -> rusqlite::Result<()> {
        let mut query = self
            .attached
            .connection
            .prepare("SELECT * FROM records WHERE id >= ?1 ORDER BY id")?;
        let mut rows = query.query([id])?;
        let mut slice = Vec::new();
        while let Some(row) = rows.next()? {
            slice.push(stored(row)?);
            if slice.len() == most {
                take(std::mem::take(&mut slice));
            }
        }
        take(slice);
        Ok(())
    }

    /// The last records before this id, the newest first.
    pub fn read_before(&self, id: u64, most: usize) -> rusqlite::Result<Vec<Stored>> {
        let mut query = self
            .attached
            .connection
            .prepare("SELECT * FROM records WHERE id < ?1 ORDER BY id DESC LIMIT ?2")?;
        let rows = query.query_map(params![id, most], stored)?;
        rows.collect()
    }

    /// Whether the disk has room for a change, and for so many bytes of others before it.
    ///
    /// # Errors
    /// It has none.
    pub fn room_for(&self, change: &Change, others: u64) -> Result<(), String> {
        if matches!(change, Change::Clear) {
            return Ok(());
        }
        let bytes = self.bytes_of("page_count").map_err(|error| words(&error))?;
        let needed = SPARE + bytes / SPARE_PART + NEEDED * (others + change.bytes());
        let is_there = || self.attached.room().is_none_or(|room| room >= needed);
        // The log may be all that fills it.
        if is_there() || self.attached.checkpoint().is_ok() && is_there() {
            return Ok(());
        }
        Err("the disk is full, but for what it takes to delete records".to_owned())
    }

    /// Comes back when all of them, or none, are on the disk.
    ///
    /// # Errors
    /// Why they can't be written now.
    pub fn write(&mut self, changes: Vec<Change>) -> Result<Vec<Kept>, String> {
        self.attached.keep()?;
        let mut last_id = self.last_id;
        let number = |change| match change {
            Change::Clear => Kept::Cleared,
            Change::Add(batch) => {
                let batch = stamped(last_id, batch);
                last_id = batch.last().map_or(last_id, |newest| newest.id);
                Kept::Added(batch)
            }
        };
        let kept: Vec<_> = changes.into_iter().map(number).collect();
        let written = self.commit(&kept).or_else(|error| {
            // The log may have no room to grow while the file has.
            self.attached.checkpoint().map_err(|_| error)?;
            self.commit(&kept)
        });
        if let Err(error) = written {
            // What was written of them gives its room back.
            let _ = self.attached.checkpoint();
            return Err(words(&error));
        }
        self.last_id = last_id;
        if kept.iter().any(|change| matches!(change, Kept::Cleared)) {
            // They are deleted even if their room can't be given back yet.
            let _ = self.pack();
        }
        Ok(kept)
    }

    fn commit(&mut self, changes: &[Kept]) -> rusqlite::Result<()> {
        let transaction = self
            .attached
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare(
                "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?;
            for change in changes {
                match change {
                    Kept::Added(batch) => add(&mut insert, batch)?,
                    Kept::Cleared => {
                        transaction.execute("DELETE FROM records", [])?;
                    }
                }
            }
        }
        transaction.commit()
    }

    /// Writes what is left into as little room as it needs: for a file that has little left.
    fn pack(&self) -> rusqlite::Result<()> {
        self.attached.connection.execute_batch("VACUUM")?;
        self.attached.checkpoint()
    }

    /// Deletes some of the oldest where they are too many or too old, or gives room back that nothing
    /// needs; whether it is to be called again soon.
    ///
    /// # Errors
    /// Why the file can't be written now.
    pub fn prune(&mut self, most: u64) -> Result<bool, String> {
        self.attached.keep()?;
        let pruned = self
            .delete_oldest(most)
            .and_then(|deleted| Ok(deleted || self.shrink()?));
        pruned.map_err(|error| words(&error))
    }

    fn delete_oldest(&self, most: u64) -> rusqlite::Result<bool> {
        let age = i64::try_from(self.limits.age.as_micros()).unwrap_or(i64::MAX);
        let since = Moment::now().micros().saturating_sub(age);
        let some = "DELETE FROM records WHERE id < (SELECT min(id) FROM records) + ?1
            AND (?2 OR received_at < ?3)";
        let deleted = self
            .attached
            .connection
            .execute(some, params![most, self.is_too_big()?, since])?;
        Ok(deleted > 0)
    }

    pub fn is_too_big(&self) -> rusqlite::Result<bool> {
        Ok(self.bytes_of("page_count")? - self.bytes_of("freelist_count")? > self.limits.bytes)
    }

    /// Of so many pages as the pragma says there are.
    fn bytes_of(&self, pages: &str) -> rusqlite::Result<u64> {
        let bytes = self.attached.number(pages)? * self.attached.number("page_size")?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    fn shrink(&self) -> rusqlite::Result<bool> {
        let number = |pragma| self.attached.number(pragma);
        let (pages, free) = (number("page_count")?, number("freelist_count")?);
        // Less is soon used again.
        if free < PAGES || free < pages / 2 {
            return Ok(false);
        }
        let vacuum = format!("PRAGMA incremental_vacuum({PAGES})");
        let mut vacuum = self.attached.connection.prepare(&vacuum)?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
        // Until then the file is as long as it was.
        self.attached.checkpoint()?;
        Ok(number("page_count")? < pages)
    }
}

fn add(insert: &mut Statement<'_>, batch: &[Stored]) -> rusqlite::Result<()> {
    for Stored {
        id,
        received_at,
        record,
    } in batch
    {
        insert.execute(params![
            id,
            received_at.micros(),
            record.created_at.micros(),
            record.service,
            record.method,
            record.endpoint,
            record.status,
            record.response_time,
            record.consumer,
            record.node,
            record.context,
        ])?;
    }
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        received_at: Moment::from_micros(row.get(1)?),
        record: Record {
            created_at: Moment::from_micros(row.get(2)?),
            service: row.get(3)?,
            method: row.get(4)?,
            endpoint: row.get(5)?,
            status: row.get(6)?,
            response_time: row.get(7)?,
            consumer: row.get(8)?,
            node: row.get(9)?,
            context: row.get(10)?,
        },
    })
}
