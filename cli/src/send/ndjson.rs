//! One JSON object a line, with the names that Malti's ingest call has: what a `file:` sink writes.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::entry::Entry;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    service: Option<Cow<'a, str>>,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    endpoint: Cow<'a, str>,
    status: u16,
    /// Milliseconds.
    #[serde(default)]
    response_time: f64,
    #[serde(borrow)]
    consumer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    context: Option<Cow<'a, str>>,
    created_at: Option<Timestamp>,
}

/// # Errors
/// What is missing or wrong.
pub fn entry(line: &[u8]) -> Result<Entry<'_>, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let time = Duration::try_from_secs_f64(line.response_time / 1000.0);
    Ok(Entry {
        method: line.method,
        path: line.endpoint,
        is_route: true,
        status: line.status,
        response_time: time.map_err(|_| "response_time is below 0")?,
        created_at: line.created_at.map(Into::into),
        consumer: line.consumer,
        context: line.context,
        service: line.service,
        node: line.node,
        ..Entry::default()
    })
}
