//! `POST /api/v1/ingest`: the checks in the server's order.

use std::collections::{HashMap, HashSet};

use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use super::store::Record;
use super::time::Moment;
use super::validate::{self, Incoming, Malformed, Parsed};
use super::{Response, State, http, text, time};

/// The keys that are known. With none at all every key is good.
#[derive(Default)]
pub struct Keys {
    /// Service keys and their services.
    pub services: HashMap<String, String>,
    /// Keys of people, good for the page but not for ingest.
    pub users: HashSet<String>,
}

/// Why a batch is not stored.
enum Refusal {
    Detail(u16, Value),
    /// A batch without records. Without keys the receiver, unlike a server, says that it would take
    /// every key and service: a record sent to learn the right one would be stored.
    Empty {
        any_key: bool,
    },
    /// An exception that the server does not catch.
    Crash,
}

fn refuse<T>(status: u16, detail: impl Into<Value>) -> Result<T, Refusal> {
    Err(Refusal::Detail(status, detail.into()))
}

impl Keys {
    /// The service that the key is bound to, if any, or the answer that refuses it.
    fn check(&self, headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
        let key = headers
            .get("x-api-key")
            .map_or(&b""[..], |value| value.as_bytes());
        if key.is_empty() {
            return refuse(401, "API key required");
        }
        let key = str::from_utf8(key).unwrap_or_default();
        if self.users.contains(key) {
            return refuse(403, "Service API key required for ingest endpoint");
        }
        match self.services.get(key) {
            Some(service) => Ok(Some(service)),
            None if self.services.is_empty() => Ok(None),
            None => refuse(401, "Invalid API key"),
        }
    }
}

/// Checks and stores one batch, and gives the answer to it.
pub async fn handle(state: &State, headers: &HeaderMap, body: &[u8]) -> Response {
    match accept(state, headers, body).await {
        Ok(accepted) => http::json(200, &accepted),
        Err(Refusal::Detail(status, detail)) => http::detail(status, detail),
        Err(Refusal::Empty { any_key }) => {
            let mut answer = json!({ "detail": "Empty requests array is not allowed" });
            if any_key {
                answer["any_key"] = true.into();
            }
            http::json(400, &answer)
        }
        Err(Refusal::Crash) => http::internal_error(),
    }
}

async fn accept(state: &State, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    // Like the server, whose framework reads the body before it asks for the key.
    let parsed = validate::parse(body, is_json(headers)).or_else(|malformed| match malformed {
        Malformed::Unreadable => refuse(400, "There was an error parsing the body"),
        Malformed::Syntax(errors) => refuse(422, errors),
    })?;
    let expected = state.keys.check(headers)?;
    let batch = match parsed {
        Parsed::Batch(batch) => batch,
        Parsed::Invalid(errors) => return refuse(422, errors),
        Parsed::Unprintable => return Err(Refusal::Crash),
    };
    let Some(first) = batch.first() else {
        return Err(Refusal::Empty {
            any_key: expected.is_none(),
        });
    };
    let service = expected.unwrap_or(&first.service).to_owned();
    if let Some(expected) = expected
        && let Some(other) = batch.iter().find(|record| record.service != expected)
    {
        let got = &other.service;
        return refuse(
            403,
            format!("Service mismatch: expected {expected}, got {got}"),
        );
    }
    let now = Moment::now();
    let failed = |reason| format!("Failed to store telemetry: {reason}");
    let records: Result<Vec<_>, _> = batch.into_iter().map(|sent| stored(sent, now)).collect();
    let records = records.or_else(|reason| refuse(500, failed(reason)))?;
    let count = records.len();
    match state.keep(records).await {
        Ok(()) => Ok(json!({
            "message": "Telemetry data ingested successfully",
            "count": count,
            "service": service,
        })),
        Err((status, reason)) => refuse(status, failed(reason)),
    }
}

/// `application/json` and `application/…+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = http::text(headers, CONTENT_TYPE.as_str()) else {
        return false;
    };
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The record as the database takes it, or why it does not.
fn stored(record: Incoming, now: Moment) -> Result<Record, String> {
    let out_of = |range, value| format!("invalid input: {value} (value out of {range} range)");
    Ok(Record {
        service: text::clean(record.service),
        method: text::clean(record.method),
        endpoint: text::clean(record.endpoint),
        status: i16::try_from(record.status).map_err(|_| out_of("int16", record.status))?,
        response_time: i32::try_from(record.response_time)
            .map_err(|_| out_of("int32", record.response_time))?,
        consumer: text::clean(record.consumer),
        node: record.node.map(text::clean),
        context: record.context.map(text::clean),
        created_at: match record.created_at {
            Some(sent) => time::moment(&sent)
                .ok_or_else(|| format!("invalid input: {sent} (date value out of range)"))?,
            None => now,
        },
    })
}
