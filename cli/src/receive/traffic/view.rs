//! The charts of one window of time, and what its tables are made of.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::Request;
use super::latency::{self, Histogram};
use super::names::{Names, OTHER, Series};
use super::table::{Group, Name, SPARK_POINTS};
use super::tier::{CLASSES, Counted, Tier};

/// The names of the classes.
const CLASS_NAMES: [&str; CLASSES] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
const CLIENT_ERROR: u16 = 4;
const SERVER_ERROR: u16 = 5;

/// The lowest response time of each row of the heat map, in milliseconds.
const HEAT_BOUNDS: [u32; 17] = [
    0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000,
];

/// Which requests count; what is not set admits all.
#[derive(Clone, Default)]
pub struct Filter {
    pub service: Option<String>,
    pub method: Option<String>,
    pub endpoint: Option<String>,
    pub consumer: Option<String>,
    pub class: Option<u16>,
}

impl Filter {
    /// The names of the status classes.
    pub fn classes() -> [(&'static str, u16); CLASSES] {
        let mut number = 0..;
        CLASS_NAMES.map(|name| (name, number.next().unwrap_or_default()))
    }

    pub fn admits(&self, request: &Request) -> bool {
        let is = |wanted: &Option<String>, got| wanted.as_ref().is_none_or(|wanted| wanted == got);
        is(&self.service, request.service)
            && is(&self.method, request.method)
            && is(&self.endpoint, request.endpoint)
            && is(&self.consumer, request.consumer)
            && self
                .class
                .is_none_or(|class| class == super::class(request.status))
    }

    fn has_names(&self) -> bool {
        [&self.service, &self.method, &self.endpoint, &self.consumer]
            .iter()
            .any(|name| name.is_some())
    }
}

pub struct Window<'a> {
    pub(super) names: &'a Names,
    pub(super) tier: &'a Tier,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// Everything over time. Response times are in milliseconds.
#[derive(Serialize)]
pub struct Chart<'a> {
    /// Seconds since 1970.
    pub start: i64,
    /// Seconds of a slot.
    pub width: i64,
    /// How many slots there are; each list over time has as many.
    pub slots: usize,
    /// Requests of each class that there is any of.
    pub statuses: BTreeMap<&'static str, Vec<u64>>,
    pub p50: Vec<Option<u32>>,
    pub p95: Vec<Option<u32>>,
    pub p99: Vec<Option<u32>>,
    pub heat: Heat,
    pub total: Total,
    /// Requests in the window, whatever the filter.
    pub in_range: u64,
    /// Those of them that have lost endpoint or consumer to the bound of memory.
    pub unnamed: u64,
    /// Requests in the window of each service, whatever the filter.
    pub services: BTreeMap<&'a str, u64>,
}

#[derive(Serialize)]
pub struct Heat {
    pub bounds: [u32; HEAT_BOUNDS.len()],
    /// For each bound the requests of each slot that took as long, and less than the next.
    pub rows: Vec<Vec<u64>>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    pub count: u64,
    /// 4xx.
    pub client_errors: u64,
    /// 5xx.
    pub server_errors: u64,
    pub p50: Option<u32>,
    pub p95: Option<u32>,
    pub p99: Option<u32>,
}

impl<'a> Window<'a> {
    pub fn chart(&self, filter: &Filter) -> Chart<'a> {
        let slots = self.tier.slots;
        let admitted = self.admitted(filter);
        let mut by_service: HashMap<u32, u64> = HashMap::new();
        let mut statuses = vec![vec![0; slots]; CLASSES];
        let mut times: Vec<Histogram> = (0..slots).map(|_| Histogram::default()).collect();
        let mut all = Histogram::default();
        let mut heat = vec![vec![0; slots]; HEAT_BOUNDS.len()];
        let (mut in_range, mut unnamed) = (0, 0);
        for cell in self.tier.window(self.now) {
            let count = u64::from(cell.count);
            in_range += count;
            let series = self.names.series(cell.series);
            if let Some(series) = series {
                *by_service.entry(series.service).or_default() += count;
            }
            if series.is_none_or(|series| series.consumer.is_none()) {
                unnamed += count;
            }
            if !admitted.has(&cell) {
                continue;
            }
            statuses[usize::from(cell.class)][cell.slot] += count;
            times[cell.slot].add(cell.bucket, cell.count);
            all.add(cell.bucket, cell.count);
            let row = HEAT_BOUNDS.partition_point(|bound| *bound <= latency::value(cell.bucket));
            heat[row.saturating_sub(1)][cell.slot] += count;
        }
        let percentiles: Vec<_> = times.iter_mut().map(Histogram::percentiles).collect();
        let percentile = |which: usize| {
            let of = |slot: &Option<[u32; 3]>| slot.map(|values| values[which]);
            percentiles.iter().map(of).collect()
        };
        let of_class = |class: u16| statuses[usize::from(class)].iter().sum();
        let overall = all.percentiles();
        let total = Total {
            count: statuses.iter().flatten().sum(),
            client_errors: of_class(CLIENT_ERROR),
            server_errors: of_class(SERVER_ERROR),
            p50: overall.map(|values| values[0]),
            p95: overall.map(|values| values[1]),
            p99: overall.map(|values| values[2]),
        };
        Chart {
            start: self.tier.first_slot(self.now) * self.tier.width,
            width: self.tier.width,
            slots,
            p50: percentile(0),
            p95: percentile(1),
            p99: percentile(2),
            statuses: CLASS_NAMES
                .into_iter()
                .zip(statuses)
                .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
                .collect(),
            heat: Heat {
                bounds: HEAT_BOUNDS,
                rows: heat,
            },
            total,
            in_range,
            unnamed,
            services: by_service
                .into_iter()
                .map(|(service, count)| (self.names.text(service), count))
                .collect(),
        }
    }

    /// The endpoints, also those that the filter's endpoint leaves out, for one to be chosen.
    pub fn endpoints(&self, filter: &Filter) -> Vec<Group<'a>> {
        let filter = Filter {
            method: None,
            endpoint: None,
            ..filter.clone()
        };
        self.groups(
            &filter,
            |series| Some([series.service, series.method, series.endpoint]),
            |[service, method, endpoint]| Name::Endpoint {
                endpoint: self.names.text(endpoint),
                method: self.names.text(method),
                service: self.names.text(service),
                consumers: 0,
            },
        )
    }

    /// The consumers, also those that the filter's consumer leaves out, for one to be chosen.
    pub fn consumers(&self, filter: &Filter) -> Vec<Group<'a>> {
        let filter = Filter {
            consumer: None,
            ..filter.clone()
        };
        self.groups(
            &filter,
            |series| Some([series.consumer?, 0, 0]),
            |[consumer, ..]| Name::Consumer {
                consumer: self.names.text(consumer),
                endpoints: 0,
            },
        )
    }

    fn groups(
        &self,
        filter: &Filter,
        key: impl Fn(&Series) -> Option<[u32; 3]>,
        name: impl Fn([u32; 3]) -> Name<'a>,
    ) -> Vec<Group<'a>> {
        let admitted = self.admitted(filter);
        let mut places: HashMap<[u32; 3], usize> = HashMap::new();
        let mut groups: Vec<Group<'a>> = Vec::new();
        let part = self.tier.slots.div_ceil(SPARK_POINTS);
        let parts = self.tier.slots.div_ceil(part);
        // The place of each series once it was seen: looked up once instead of for each cell.
        let mut place_of: Vec<Option<usize>> = vec![None; self.names.len()];
        for cell in self.tier.window(self.now) {
            let Some(series) = self.names.series(cell.series) else {
                continue;
            };
            let Some(key) = key(series) else {
                continue;
            };
            if !admitted.has(&cell) {
                continue;
            }
            let place = *place_of[cell.series as usize].get_or_insert_with(|| {
                let place = *places.entry(key).or_insert_with(|| {
                    groups.push(Group {
                        name: name(key),
                        spark: vec![0; parts],
                        client_errors: 0,
                        server_errors: 0,
                        times: Histogram::default(),
                    });
                    groups.len() - 1
                });
                *groups[place].name.partners() += usize::from(series.consumer.is_some());
                place
            });
            let group = &mut groups[place];
            let count = u64::from(cell.count);
            group.spark[cell.slot / part] += count;
            match cell.class {
                CLIENT_ERROR => group.client_errors += count,
                SERVER_ERROR => group.server_errors += count,
                _ => {}
            }
            group.times.add(cell.bucket, cell.count);
        }
        groups
    }

    fn admitted(&self, filter: &Filter) -> Admitted {
        // A text that no series has admits none.
        let number = |text: &Option<String>| text.as_ref().map(|text| self.names.text_number(text));
        let [service, method, endpoint, consumer] = [
            &filter.service,
            &filter.method,
            &filter.endpoint,
            &filter.consumer,
        ]
        .map(number);
        let is = |wanted: Option<Option<u32>>, got| wanted.is_none_or(|text| text == Some(got));
        let admits = |series: &Series| {
            is(service, series.service)
                && is(method, series.method)
                && is(endpoint, series.endpoint)
                && consumer.is_none_or(|text| text.is_some() && text == series.consumer)
        };
        let numbers = OTHER..u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        Admitted {
            series: numbers
                .map(|number| match self.names.series(number) {
                    Some(series) => admits(series),
                    None => !filter.has_names(),
                })
                .collect(),
            class: filter.class,
        }
    }
}

/// A filter as it is asked for each cell.
struct Admitted {
    series: Vec<bool>,
    class: Option<u16>,
}

impl Admitted {
    fn has(&self, cell: &Counted) -> bool {
        self.series[cell.series as usize] && self.class.is_none_or(|class| class == cell.class)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::super::{Range, Request, Traffic};
    use super::*;

    const NOW: i64 = 1_000_000_004;

    /// `/a` thrice by two consumers, one failed, and `/b` once, slots ago.
    fn traffic() -> Traffic {
        let mut traffic = Traffic::default();
        for (endpoint, consumer, status, time, ago) in [
            ("/a", "x", 200, 7, 0),
            ("/a", "x", 500, 150, 0),
            ("/a", "y", 404, 3, 6),
            ("/b", "y", 200, 1_234, 11),
        ] {
            let request = Request {
                status,
                response_time: time,
                ..request(endpoint, consumer, NOW - ago)
            };
            traffic.add(&request, NOW);
        }
        traffic
    }

    fn named(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn rows(groups: Vec<Group<'_>>) -> Vec<(String, u64, usize)> {
        let mut rows: Vec<_> = groups
            .into_iter()
            .map(|mut group| {
                let partners = *group.name.partners();
                let name = match group.name {
                    Name::Endpoint { endpoint, .. } => endpoint,
                    Name::Consumer { consumer, .. } => consumer,
                };
                (name.to_owned(), group.count(), partners)
            })
            .collect();
        rows.sort();
        rows
    }

    #[test]
    fn everything_over_time() {
        let traffic = traffic();
        let chart = traffic
            .window(Range::Minutes, NOW)
            .chart(&Filter::default());
        assert_eq!((chart.start, chart.slots), (999_999_705, 60));
        let last = |counts: &[u64]| counts[57..].to_vec();
        assert_eq!(last(&chart.statuses["2xx"]), [1, 0, 1]);
        assert_eq!(last(&chart.statuses["4xx"]), [0, 1, 0]);
        assert_eq!(last(&chart.statuses["5xx"]), [0, 0, 1]);
        assert_eq!(chart.statuses.len(), 3);
        assert_eq!(chart.p50[56..], [None, Some(1_200), Some(3), Some(7)]);
        assert_eq!(chart.p99[59], Some(150));
        let warm: Vec<_> = HEAT_BOUNDS
            .iter()
            .zip(&chart.heat.rows)
            .filter(|(_, row)| row.iter().sum::<u64>() > 0)
            .map(|(bound, row)| (*bound, last(row)))
            .collect();
        assert_eq!(
            warm,
            [
                (2, vec![0, 1, 0]),
                (5, vec![0, 0, 1]),
                (100, vec![0, 0, 1]),
                (1_000, vec![1, 0, 0])
            ]
        );
        assert_eq!(
            chart.total,
            Total {
                count: 4,
                client_errors: 1,
                server_errors: 1,
                p50: Some(7),
                p95: Some(1_200),
                p99: Some(1_200),
            }
        );
        assert_eq!(chart.services, BTreeMap::from([("s", 4)]));
    }

    #[test]
    fn filters_meet() {
        let traffic = traffic();
        let count = |filter: &Filter| {
            let chart = traffic.window(Range::Hour, NOW).chart(filter);
            assert_eq!(chart.in_range, 4);
            chart.total.count
        };
        let mut filter = Filter {
            endpoint: named("/a"),
            ..Filter::default()
        };
        assert_eq!(count(&filter), 3);
        filter.consumer = named("x");
        assert_eq!(count(&filter), 2);
        filter.class = Some(SERVER_ERROR);
        assert_eq!(count(&filter), 1);
        filter.service = named("unheard of");
        assert_eq!(count(&filter), 0);
        assert_eq!(Filter::classes()[5], ("5xx", SERVER_ERROR));
    }

    #[test]
    fn tables_show_what_else_could_be_chosen() {
        let traffic = traffic();
        let window = traffic.window(Range::Day, NOW);
        let of = |name: &str, count, partners| (name.to_owned(), count, partners);
        let mut filter = Filter::default();
        assert_eq!(
            rows(window.endpoints(&filter)),
            [of("/a", 3, 2), of("/b", 1, 1)]
        );
        assert_eq!(
            rows(window.consumers(&filter)),
            [of("x", 2, 1), of("y", 2, 2)]
        );
        filter.endpoint = named("/b");
        filter.method = named("GET");
        assert_eq!(rows(window.endpoints(&filter)).len(), 2);
        assert_eq!(rows(window.consumers(&filter)), [of("y", 1, 1)]);
        filter.consumer = named("y");
        assert_eq!(
            rows(window.endpoints(&filter)),
            [of("/a", 1, 1), of("/b", 1, 1)]
        );
        assert_eq!(rows(window.consumers(&filter)), [of("y", 1, 1)]);
    }
}
