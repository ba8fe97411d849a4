//! What the page shows: requests counted by time slot, series, status class and latency bucket.
//!
//! Memory is bounded whatever arrives: each range has its slots (`tier`), all of them share the
//! names (`names`), and both have limits. What is over a limit keeps its place in the counts and
//! loses its name.

mod latency;
mod names;
mod table;
mod tier;
mod view;

use latency::Precision;
use names::{Names, OTHER};
pub use table::{List, Row, Sort};
use tier::{CLASSES, Tier};
pub use view::{Chart, Filter, Window};

/// What counts of a record.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub service: &'a str,
    pub method: &'a str,
    pub endpoint: &'a str,
    pub consumer: &'a str,
    pub status: i16,
    /// Milliseconds.
    pub response_time: i32,
    /// Seconds since 1970.
    pub time: i64,
}

/// How far back one looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    #[default]
    Minutes,
    Hour,
    Day,
    Month,
}

impl Range {
    pub const ALL: [(&str, Self); 4] = [
        ("5m", Self::Minutes),
        ("1h", Self::Hour),
        ("24h", Self::Day),
        ("30d", Self::Month),
    ];

    const fn tier(self) -> Tier {
        let (width, slots, precision) = match self {
            Self::Minutes => (5, 60, Precision::Fine),
            Self::Hour => (60, 60, Precision::Fine),
            Self::Day => (15 * 60, 96, Precision::Coarse),
            Self::Month => (6 * 3600, 120, Precision::Coarse),
        };
        Tier::new(width, slots, precision)
    }
}

pub struct Traffic {
    names: Names,
    /// In the order of `Range::ALL`.
    tiers: [Tier; 4],
    /// The second in which old slots were looked for last.
    looked: i64,
    /// Whether slots were forgotten since names were, so that some may be without use.
    lapsed: bool,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            names: Names::default(),
            tiers: Range::ALL.map(|(_, range)| range.tier()),
            looked: 0,
            lapsed: false,
        }
    }
}

impl Traffic {
    /// Counts a request at `now`, in seconds since 1970. One that says it is of the future has
    /// another clock, and counts as of now.
    pub fn add(&mut self, request: &Request, now: i64) {
        if now != self.looked {
            self.looked = now;
            for tier in &mut self.tiers {
                self.lapsed |= tier.forget(now);
            }
        }
        let series = self.series(request);
        let class = class(request.status);
        for tier in &mut self.tiers {
            let bucket = latency::bucket(request.response_time, tier.precision);
            tier.add(request.time.min(now), now, series, class, bucket);
        }
    }

    /// The number of the request's series. Where there is no room, names that no slot has any more
    /// make some; where that is none either, who called is given up, and at last the endpoint.
    fn series(&mut self, request: &Request) -> u32 {
        if let Some(number) = self.names.number(request) {
            return number;
        }
        if std::mem::take(&mut self.lapsed) {
            self.forget_names();
        }
        let names = &mut self.names;
        let number = names.number(request);
        number
            .or_else(|| names.number_of_endpoint(request))
            .unwrap_or(OTHER)
    }

    fn forget_names(&mut self) {
        let mut used = vec![false; self.names.len()];
        for tier in &self.tiers {
            tier.mark(&mut used);
        }
        let numbers = self.names.retain(&used);
        for tier in &mut self.tiers {
            tier.renumber(&numbers);
        }
    }

    /// The requests of a range that ends at `now`, in seconds since 1970.
    pub fn window(&self, range: Range, now: i64) -> Window<'_> {
        Window {
            names: &self.names,
            tier: &self.tiers[range as usize],
            now,
        }
    }
}

/// The class of a status by its first digit; 0 where there is no such class.
fn class(status: i16) -> u16 {
    u16::try_from(status / 100)
        .ok()
        .filter(|digit| (1..CLASSES as u16).contains(digit))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::table::Group;
    use super::*;

    pub fn request<'a>(endpoint: &'a str, consumer: &'a str, time: i64) -> Request<'a> {
        Request {
            service: "s",
            method: "GET",
            endpoint,
            status: 200,
            response_time: 1,
            consumer,
            time,
        }
    }

    #[test]
    fn ranges_have_their_tiers_in_order() {
        let spans: Vec<i64> = Traffic::default()
            .tiers
            .iter()
            .map(|tier| tier.width * i64::try_from(tier.slots).unwrap())
            .collect();
        assert_eq!(spans, [300, 3600, 86_400, 30 * 86_400]);
        for (place, (_, range)) in Range::ALL.into_iter().enumerate() {
            assert_eq!(range as usize, place);
        }
    }

    #[test]
    fn status_classes() {
        for (status, expected) in [
            (200, 2),
            (599, 5),
            (100, 1),
            (99, 0),
            (600, 0),
            (0, 0),
            (-200, 0),
            (i16::MAX, 0),
        ] {
            assert_eq!(class(status), expected, "{status}");
        }
    }

    #[test]
    fn names_without_use_make_room() {
        let mut traffic = Traffic::default();
        let now = 1_000_000_000;
        let mut sent = 0;
        loop {
            let consumer = format!("c{sent}");
            if traffic
                .names
                .number(&request("/", &consumer, now))
                .is_none()
            {
                break;
            }
            traffic.add(&request("/", &consumer, now), now);
            sent += 1;
        }
        // No room, and all are in use.
        traffic.add(&request("/", "late", now), now);
        let named = |traffic: &Traffic, now| {
            let groups = traffic
                .window(Range::Month, now)
                .consumers(&Filter::default());
            groups.iter().map(Group::count).sum::<u64>()
        };
        let endpoints = |traffic: &Traffic, now| {
            let groups = traffic
                .window(Range::Month, now)
                .endpoints(&Filter::default());
            let row = |mut group: Group<'_>| (group.count(), *group.name.partners() as u64);
            groups.into_iter().map(row).collect::<Vec<_>>()
        };
        assert_eq!(named(&traffic, now), sent);
        let chart = traffic.window(Range::Month, now).chart(&Filter::default());
        assert_eq!((chart.in_range, chart.unnamed), (sent + 1, 1));
        // Its endpoint is known all the same.
        assert_eq!(endpoints(&traffic, now), [(sent + 1, sent)]);

        // A month later there is.
        let now = now + 31 * 86_400;
        for consumer in ["late", "later", "late"] {
            traffic.add(&request("/", consumer, now), now);
        }
        assert_eq!(named(&traffic, now), 3);
        assert_eq!(traffic.names.len(), 3);
    }

    #[test]
    fn a_clock_that_is_ahead_counts_as_now() {
        let mut traffic = Traffic::default();
        traffic.add(&request("/", "c", 2_000), 1_000);
        let chart = traffic
            .window(Range::Minutes, 1_000)
            .chart(&Filter::default());
        assert_eq!(chart.statuses["2xx"].last(), Some(&1));
    }
}
