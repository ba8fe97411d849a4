//! The rows of the page's tables: finding, sorting and cutting them.

use serde::Serialize;

use super::latency::Histogram;

/// Points of a row's spark line, at most.
pub const SPARK_POINTS: usize = 30;

/// A row's name, and how many it has of the other table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Name<'a> {
    Endpoint {
        endpoint: &'a str,
        method: &'a str,
        service: &'a str,
        consumers: usize,
    },
    Consumer {
        consumer: &'a str,
        endpoints: usize,
    },
}

impl Name<'_> {
    pub const fn partners(&mut self) -> &mut usize {
        match self {
            Self::Endpoint { consumers, .. } => consumers,
            Self::Consumer { endpoints, .. } => endpoints,
        }
    }

    fn contains(&self, lower: &str) -> bool {
        let text = match self {
            Self::Endpoint {
                endpoint,
                method,
                service,
                ..
            } => format!("{method} {endpoint} {service}"),
            Self::Consumer { consumer, .. } => (*consumer).to_owned(),
        };
        text.to_lowercase().contains(lower)
    }
}

/// What a row is made of.
pub struct Group<'a> {
    pub name: Name<'a>,
    /// Requests over time, the window in equal parts.
    pub spark: Vec<u64>,
    pub client_errors: u64,
    pub server_errors: u64,
    pub times: Histogram,
}

#[derive(Serialize)]
pub struct Row<'a> {
    #[serde(flatten)]
    pub name: Name<'a>,
    pub count: u64,
    /// 4xx.
    pub client_errors: u64,
    /// 5xx.
    pub server_errors: u64,
    /// Milliseconds, as the two below.
    pub p50: u32,
    pub p95: u32,
    pub p99: u32,
    /// Requests over time, the window in equal parts.
    pub spark: Vec<u64>,
}

impl<'a> Group<'a> {
    pub fn count(&self) -> u64 {
        self.spark.iter().sum()
    }

    /// What to sort by; `Sort::Name` is none of a number.
    fn key(&mut self, sort: Sort) -> u64 {
        // Shares as whole numbers, which have an order.
        let share = |part: u64, count: u64| part * 1_000_000 / count.max(1);
        let percentile = |times: &mut Histogram, which: usize| {
            times.percentiles().map_or(0, |of| u64::from(of[which]))
        };
        match sort {
            Sort::Name => 0,
            Sort::Count => self.count(),
            Sort::ClientErrors => share(self.client_errors, self.count()),
            Sort::ServerErrors => share(self.server_errors, self.count()),
            Sort::P50 => percentile(&mut self.times, 0),
            Sort::P95 => percentile(&mut self.times, 1),
            Sort::P99 => percentile(&mut self.times, 2),
            Sort::Partners => *self.name.partners() as u64,
        }
    }

    fn row(mut self) -> Row<'a> {
        let [p50, p95, p99] = self.times.percentiles().unwrap_or_default();
        Row {
            name: self.name,
            count: self.count(),
            client_errors: self.client_errors,
            server_errors: self.server_errors,
            p50,
            p95,
            p99,
            spark: self.spark,
        }
    }
}

/// What a table is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Name,
    Count,
    /// The share of 4xx.
    ClientErrors,
    /// The share of 5xx.
    ServerErrors,
    P50,
    P95,
    P99,
    /// Consumers of an endpoint, or endpoints of a consumer.
    Partners,
}

impl Sort {
    pub const ALL: [(&str, Self); 8] = [
        ("name", Self::Name),
        ("count", Self::Count),
        ("client_errors", Self::ClientErrors),
        ("server_errors", Self::ServerErrors),
        ("p50", Self::P50),
        ("p95", Self::P95),
        ("p99", Self::P99),
        ("partners", Self::Partners),
    ];
}

/// The part of a table that is wanted.
pub struct List {
    pub sort: Sort,
    pub descending: bool,
    /// Only rows whose name has this in it, whatever its case.
    pub search: String,
    pub offset: usize,
    pub limit: usize,
}

impl List {
    /// How many rows there would be without offset and limit, and the rows.
    pub fn of<'a>(&self, mut groups: Vec<Group<'a>>) -> (usize, Vec<Row<'a>>) {
        let lower = self.search.to_lowercase();
        if !lower.is_empty() {
            groups.retain(|group| group.name.contains(&lower));
        }
        groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if self.sort == Sort::Name {
            if self.descending {
                groups.reverse();
            }
        } else {
            // Of equal rows the busier comes first, then by name.
            let mut keyed: Vec<_> = groups
                .into_iter()
                .map(|mut group| {
                    let key = group.key(self.sort);
                    let key = if self.descending { u64::MAX - key } else { key };
                    ((key, u64::MAX - group.count()), group)
                })
                .collect();
            keyed.sort_by_key(|(key, _)| *key);
            groups = keyed.into_iter().map(|(_, group)| group).collect();
        }
        let rows = groups.len();
        let wanted = groups.into_iter().skip(self.offset).take(self.limit);
        (rows, wanted.map(Group::row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::latency::{Precision, bucket};
    use super::*;

    fn group<'a>(consumer: &'a str, endpoints: usize, errors: u64, times: &[i32]) -> Group<'a> {
        let mut histogram = Histogram::default();
        for time in times {
            histogram.add(bucket(*time, Precision::Fine), 1);
        }
        Group {
            name: Name::Consumer {
                consumer,
                endpoints,
            },
            spark: vec![1; times.len()],
            client_errors: 0,
            server_errors: errors,
            times: histogram,
        }
    }

    fn all() -> Vec<Group<'static>> {
        vec![
            group("Acme", 2, 0, &[5, 5, 90]),
            group("bolt", 9, 1, &[7, 7]),
            group("acme 2", 1, 2, &[8, 9]),
            group("zeta", 1, 0, &[1]),
        ]
    }

    fn consumers(list: &List) -> (usize, Vec<&'static str>) {
        let (count, rows) = list.of(all());
        let name = |row: &Row<'static>| match row.name {
            Name::Consumer { consumer, .. } => consumer,
            Name::Endpoint { endpoint, .. } => endpoint,
        };
        (count, rows.iter().map(name).collect())
    }

    fn list(sort: Sort, descending: bool) -> List {
        List {
            sort,
            descending,
            search: String::new(),
            offset: 0,
            limit: 10,
        }
    }

    #[test]
    fn order() {
        for (sort, descending, expected) in [
            (Sort::Name, false, ["Acme", "acme 2", "bolt", "zeta"]),
            (Sort::Name, true, ["zeta", "bolt", "acme 2", "Acme"]),
            (Sort::Count, true, ["Acme", "acme 2", "bolt", "zeta"]),
            (Sort::Count, false, ["zeta", "acme 2", "bolt", "Acme"]),
            (Sort::ServerErrors, true, ["acme 2", "bolt", "Acme", "zeta"]),
            (Sort::P50, true, ["acme 2", "bolt", "Acme", "zeta"]),
            (Sort::P95, true, ["Acme", "acme 2", "bolt", "zeta"]),
            (Sort::Partners, true, ["bolt", "Acme", "acme 2", "zeta"]),
        ] {
            let found = consumers(&list(sort, descending));
            assert_eq!(found, (4, expected.to_vec()), "{sort:?} {descending}");
        }
    }

    #[test]
    fn search_and_pages() {
        let mut wanted = list(Sort::Name, false);
        wanted.search = "ACME".to_owned();
        assert_eq!(consumers(&wanted), (2, vec!["Acme", "acme 2"]));
        wanted.search = String::new();
        (wanted.offset, wanted.limit) = (1, 2);
        assert_eq!(consumers(&wanted), (4, vec!["acme 2", "bolt"]));
        wanted.offset = 9;
        assert_eq!(consumers(&wanted), (4, vec![]));
    }
}
