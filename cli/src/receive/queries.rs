//! What the page and tests ask for: figures of a window of time, records, and figures over them.

use std::sync::atomic::Ordering;

use hyper::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use serde::Serialize;

use super::store::{Selection, Store, Stored, Totals};
use super::summary::Summary;
use super::time::Moment;
use super::traffic::{Chart, Filter, List, Range, Row, Sort, Window};
use super::{Response, State, http};

/// No window moves more often: the narrowest slot's seconds.
const STEP: i64 = 5;

/// Rows of a table in one answer: unless asked, and at most.
const ROWS: usize = 100;
const MAX_ROWS: usize = 1_000;

const FILTERS: &[&str] = &["service", "method", "endpoint", "consumer", "status"];
const WINDOW: &[&str] = &["range"];
const TABLE: &[&str] = &["sort", "order", "search", "offset", "limit"];
const RECORDS: &[&str] = &["after", "limit"];

#[derive(Serialize)]
struct Overview<'a> {
    /// Seconds since 1970.
    now: i64,
    #[serde(flatten)]
    chart: Chart<'a>,
    /// Since the start or the last time that records were cleared.
    #[serde(flatten)]
    totals: &'a Totals,
    kept: usize,
    /// The services that have keys; with none of them every key and service passes.
    keys: Vec<&'a str>,
}

#[derive(Serialize)]
struct Table<'a> {
    /// Rows that match.
    matches: usize,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Records<'a> {
    records: Vec<&'a Stored>,
}

#[derive(Serialize)]
struct Counted<'a> {
    requests: u64,
    connections: u64,
    #[serde(flatten)]
    summary: Summary<'a>,
}

/// `GET /api/traffic`: the charts, and the totals.
pub fn traffic(state: &State, headers: &HeaderMap, query: &str) -> Response {
    answer(
        state,
        headers,
        query,
        &[WINDOW, FILTERS],
        |query, store, now| {
            let mut keys: Vec<&str> = state.keys.services.values().map(String::as_str).collect();
            keys.sort_unstable();
            keys.dedup();
            http::json(
                200,
                &Overview {
                    now,
                    chart: query.window(store, now).chart(&query.filter),
                    totals: &store.totals,
                    kept: store.records().len(),
                    keys,
                },
            )
        },
    )
}

/// `GET /api/endpoints`: a part of the table.
pub fn endpoints(state: &State, headers: &HeaderMap, query: &str) -> Response {
    let known = &[WINDOW, FILTERS, TABLE];
    answer(state, headers, query, known, |query, store, now| {
        let groups = query.window(store, now).endpoints(&query.filter);
        let (matches, rows) = query.list().of(groups);
        http::json(200, &Table { matches, rows })
    })
}

/// `GET /api/consumers`: a part of the table.
pub fn consumers(state: &State, headers: &HeaderMap, query: &str) -> Response {
    let known = &[WINDOW, FILTERS, TABLE];
    answer(state, headers, query, known, |query, store, now| {
        let groups = query.window(store, now).consumers(&query.filter);
        let (matches, rows) = query.list().of(groups);
        http::json(200, &Table { matches, rows })
    })
}

/// `GET /api/records`.
pub fn records(state: &State, headers: &HeaderMap, query: &str) -> Response {
    answer(
        state,
        headers,
        query,
        &[FILTERS, RECORDS],
        |query, store, _| {
            let wanted = Selection {
                filter: query.filter,
                after: query.after,
                limit: query.limit,
            };
            let records = store.select(&wanted);
            http::json(200, &Records { records })
        },
    )
}

/// `GET /api/summary`.
pub fn summary(state: &State, headers: &HeaderMap, query: &str) -> Response {
    answer(state, headers, query, &[], |_, store, _| {
        http::json(
            200,
            &Counted {
                requests: state.requests.load(Ordering::Relaxed),
                connections: state.connections.load(Ordering::Relaxed),
                summary: Summary::of(store),
            },
        )
    })
}

/// The answer to a query, or that nothing has changed since the one that the client has.
fn answer(
    state: &State,
    headers: &HeaderMap,
    query: &str,
    known: &[&[&str]],
    make: impl FnOnce(Query, &Store, i64) -> Response,
) -> Response {
    let query = match parse(query, known) {
        Ok(query) => query,
        Err(message) => return http::detail(422, message),
    };
    let now = Moment::now().seconds();
    let store = state.store();
    // A weak one: what it leaves out, the time to the second and counts of requests, is of no weight.
    let tag = format!("W/\"{}-{}\"", store.changes, now.div_euclid(STEP));
    let mut response = if http::text(headers, IF_NONE_MATCH.as_str()) == Some(&tag) {
        http::response(304, "")
    } else {
        make(query, &store, now)
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, http::value("no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

#[derive(Default)]
struct Query {
    filter: Filter,
    range: Range,
    sort: Option<Sort>,
    ascending: bool,
    search: String,
    offset: usize,
    after: Option<u64>,
    limit: Option<usize>,
}

impl Query {
    fn window<'a>(&self, store: &'a Store, now: i64) -> Window<'a> {
        store.traffic.window(self.range, now)
    }

    fn list(self) -> List {
        List {
            sort: self.sort.unwrap_or(Sort::Count),
            descending: !self.ascending,
            search: self.search,
            offset: self.offset,
            limit: self.limit.unwrap_or(ROWS),
        }
    }
}

/// For what takes no parameters.
pub fn none(text: &str) -> Result<(), String> {
    parse(text, &[]).map(drop)
}

fn parse(text: &str, known: &[&[&str]]) -> Result<Query, String> {
    let mut query = Query::default();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let names = known.concat();
        if !names.contains(&&*name) {
            let known = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            return Err(format!("{name}: unknown; there are {known}"));
        }
        let not_a_number = |_| format!("{name}: {value:?} is not a number");
        match &*name {
            "service" => query.filter.service = Some(value.into_owned()),
            "method" => query.filter.method = Some(value.into_owned()),
            "endpoint" => query.filter.endpoint = Some(value.into_owned()),
            "consumer" => query.filter.consumer = Some(value.into_owned()),
            "status" => query.filter.class = Some(one_of(&name, &value, &Filter::classes())?),
            "range" => query.range = one_of(&name, &value, &Range::ALL)?,
            "sort" => query.sort = Some(one_of(&name, &value, &Sort::ALL)?),
            "order" => {
                query.ascending = one_of(&name, &value, &[("asc", true), ("desc", false)])?;
            }
            "search" => query.search = value.into_owned(),
            "offset" => query.offset = value.parse().map_err(not_a_number)?,
            "after" => query.after = Some(value.parse().map_err(not_a_number)?),
            _ => {
                let limit = value.parse().map_err(not_a_number)?;
                // Of records there are no more than memory keeps.
                if limit > MAX_ROWS && known.contains(&TABLE) {
                    return Err(format!("{name}: {value} is more than {MAX_ROWS}"));
                }
                query.limit = Some(limit);
            }
        }
    }
    Ok(query)
}

/// What a value names among what there is.
fn one_of<T: Copy>(name: &str, value: &str, all: &[(&str, T)]) -> Result<T, String> {
    let found = all.iter().find(|(known, _)| *known == value);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(known, _)| *known).collect();
        format!("{name}: {value:?} is none of {}", names.join(", "))
    })
}
