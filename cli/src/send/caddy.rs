//! Caddy's access log, whose lines are JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Deserialize;

use super::entry::Entry;

#[derive(Deserialize)]
struct Line<'a> {
    ts: Moment,
    #[serde(borrow)]
    request: Request<'a>,
    #[serde(borrow, default)]
    user_id: Cow<'a, str>,
    /// Seconds.
    duration: f64,
    status: u16,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    uri: Cow<'a, str>,
    #[serde(borrow, default)]
    remote_ip: Cow<'a, str>,
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
}

/// By default seconds since 1970; `time_format` can make it a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Seconds(f64),
    Text(Timestamp),
}

/// # Errors
/// What is missing or wrong.
pub fn entry(line: &[u8]) -> Result<Entry<'_>, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let created_at = match line.ts {
        Moment::Seconds(seconds) => Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
            .ok_or("ts is no time")?,
        Moment::Text(moment) => moment.into(),
    };
    let time = Duration::try_from_secs_f64(line.duration).map_err(|_| "duration is below 0")?;
    if line.status == 0 {
        return Err("nothing was answered".to_owned());
    }
    let mut entry = Entry {
        method: line.request.method,
        status: line.status,
        response_time: time,
        created_at: Some(created_at),
        consumer: Some(line.user_id),
        peer: line.request.remote_ip,
        ..Entry::default()
    };
    entry.set_target(&line.request.uri);
    for (name, values) in &line.request.headers {
        for value in values {
            entry.add_header(name, value);
        }
    }
    Ok(entry)
}
