//! Figures over the records in memory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::store::{Store, Totals};

#[derive(Serialize)]
pub struct Summary<'a> {
    #[serde(flatten)]
    totals: &'a Totals,
    /// Records in memory: the ones that the figures below are about.
    kept: usize,
    endpoints: Vec<Endpoint<'a>>,
    consumers: Vec<Consumer<'a>>,
}

#[derive(Serialize)]
struct Endpoint<'a> {
    service: &'a str,
    endpoint: &'a str,
    method: &'a str,
    count: usize,
    /// Records with a status of 500 or more.
    errors: usize,
    /// `errors / count`.
    error_rate: f64,
    /// Milliseconds, as the two below.
    p50: i32,
    p95: i32,
    p99: i32,
}

#[derive(Serialize)]
struct Consumer<'a> {
    service: &'a str,
    consumer: &'a str,
    count: usize,
}

#[derive(Default)]
struct Group {
    errors: usize,
    times: Vec<i32>,
}

impl<'a> Summary<'a> {
    /// Endpoints and consumers in the order of their names.
    pub fn of(store: &'a Store) -> Self {
        let mut endpoints: BTreeMap<_, Group> = BTreeMap::new();
        let mut consumers: BTreeMap<_, usize> = BTreeMap::new();
        for record in store.records().map(|stored| &stored.record) {
            let group = endpoints
                .entry((&*record.service, &*record.endpoint, &*record.method))
                .or_default();
            group.errors += usize::from(record.status >= 500);
            group.times.push(record.response_time);
            *consumers
                .entry((&*record.service, &*record.consumer))
                .or_default() += 1;
        }
        Self {
            totals: &store.totals,
            kept: store.records().len(),
            endpoints: endpoints
                .into_iter()
                .map(|((service, endpoint, method), mut group)| {
                    let count = group.times.len();
                    group.times.sort_unstable();
                    Endpoint {
                        service,
                        endpoint,
                        method,
                        count,
                        errors: group.errors,
                        error_rate: group.errors as f64 / count as f64,
                        p50: percentile(&group.times, 50),
                        p95: percentile(&group.times, 95),
                        p99: percentile(&group.times, 99),
                    }
                })
                .collect(),
            consumers: consumers
                .into_iter()
                .map(|((service, consumer), count)| Consumer {
                    service,
                    consumer,
                    count,
                })
                .collect(),
        }
    }
}

/// The nearest rank: the smallest value that `percent` of all do not exceed.
/// `sorted` must not be empty.
fn percentile(sorted: &[i32], percent: usize) -> i32 {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn nearest_rank() {
        let hundred: Vec<i32> = (1..=100).collect();
        for (sorted, percent, expected) in [
            (&[7][..], 50, 7),
            (&[7], 99, 7),
            (&[1, 2], 50, 1),
            (&[1, 2], 95, 2),
            (&[1, 2, 3], 50, 2),
            (&hundred, 50, 50),
            (&hundred, 95, 95),
            (&hundred, 99, 99),
        ] {
            assert_eq!(percentile(sorted, percent), expected);
        }
    }
}
