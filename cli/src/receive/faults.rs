//! Faults on demand: how tests make the receiver misbehave.
//!
//! Faults are served in the order given, each to the ingest requests that
//! follow the one before: it lets `after` requests pass, then takes `times`.

use std::collections::BTreeMap;

use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Response, http};

/// What happens to an ingest request. `delay_ms` goes with everything else; of
/// `status`, `close` and `hang` there is at most one, and without them the
/// request gets the answer it would have got.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// How many ingest requests pass first.
    after: u64,
    /// How many get the fault; 0 is taken as 1.
    times: u64,
    /// Answer this, 200–599, with `headers` and `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// A text is sent as it is, anything else as JSON.
    #[serde(skip_serializing_if = "Value::is_null")]
    body: Value,
    /// Wait before the answer, in milliseconds.
    pub delay_ms: u64,
    /// End the connection without an answer.
    pub close: bool,
    /// Never answer; the connection stays until the client or the receiver goes.
    pub hang: bool,
    /// Handle the batch before the fault, as a server does whose answer is lost.
    pub store: bool,
    /// Do not read the request's body; with `status` or `close`.
    pub early: bool,
}

impl Fault {
    fn check(&self) -> Result<(), String> {
        let outcomes = [self.status.is_some(), self.close, self.hang];
        if outcomes.into_iter().filter(|set| *set).count() > 1 {
            return Err("status, close and hang exclude each other".into());
        }
        match self.status {
            Some(200..=599) => {}
            Some(status) => return Err(format!("status {status} is not in 200–599")),
            None if self.headers.is_empty() && self.body.is_null() => {}
            None => return Err("headers and body need a status".into()),
        }
        if self.early && (self.store || self.hang || self.status.is_none() && !self.close) {
            return Err("early goes with status or close, and not with store".into());
        }
        for (name, value) in &self.headers {
            if name.parse::<HeaderName>().is_err() || value.parse::<HeaderValue>().is_err() {
                return Err(format!("{name:?}: {value:?} is not a header"));
            }
        }
        Ok(())
    }

    /// The answer, if the fault has one of its own.
    pub fn response(&self) -> Option<Response> {
        let status = self.status?;
        let mut response = match &self.body {
            Value::Null => http::detail(status, format!("Fault {status}")),
            Value::String(text) => http::response(status, text.clone()),
            other => http::json(status, other),
        };
        let headers = response.headers_mut();
        if self.body.is_string() {
            headers.insert(CONTENT_TYPE, http::value("text/plain; charset=utf-8"));
        }
        if self.early {
            // The rest of the request stays unread, so nothing can follow it.
            headers.insert(CONNECTION, http::value("close"));
        }
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                headers.insert(name, value);
            }
        }
        Some(response)
    }
}

/// The faults set last and how far they are.
#[derive(Default, Serialize)]
pub struct Faults {
    faults: Vec<Progress>,
}

#[derive(Serialize)]
struct Progress {
    fault: Fault,
    /// Requests let through for `after`.
    passed: u64,
    served: u64,
    /// How often it is still to come.
    remaining: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Object { faults: Vec<Value> },
    List(Vec<Value>),
}

impl Faults {
    /// Reads `[fault, …]` or `{"faults": [fault, …]}`. The error is the status
    /// and the text of the answer.
    pub fn parse(body: &[u8]) -> Result<Self, (u16, String)> {
        let value: Value = serde_json::from_slice(body).map_err(|e| (400, e.to_string()))?;
        let shape = serde_json::from_value(value).map_err(|_| {
            (
                422,
                "expected a list of faults or {\"faults\": […]}".to_owned(),
            )
        })?;
        let (Shape::Object { faults: list } | Shape::List(list)) = shape;
        let faults = list.into_iter().enumerate().map(|(index, value)| {
            let fault: Fault =
                serde_json::from_value(value).map_err(|e| (422, format!("fault {index}: {e}")))?;
            fault
                .check()
                .map_err(|e| (422, format!("fault {index}: {e}")))?;
            let remaining = fault.times.max(1);
            Ok(Progress {
                fault,
                passed: 0,
                served: 0,
                remaining,
            })
        });
        Ok(Self {
            faults: faults.collect::<Result<_, (u16, String)>>()?,
        })
    }

    /// The fault for the ingest request that has just come in.
    pub fn next(&mut self) -> Option<Fault> {
        let current = self
            .faults
            .iter_mut()
            .find(|progress| progress.remaining > 0)?;
        if current.passed < current.fault.after {
            current.passed += 1;
            return None;
        }
        current.served += 1;
        current.remaining -= 1;
        Some(current.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_after_and_times() {
        let body = br#"[{"after":1,"times":2,"status":503},{"after":1,"close":true},{"times":0,"hang":true}]"#;
        let mut faults = Faults::parse(body).unwrap();
        let served: Vec<_> = (0..8)
            .map(|_| faults.next().map(|f| (f.status, f.close, f.hang)))
            .collect();
        assert_eq!(
            served,
            [
                None,
                Some((Some(503), false, false)),
                Some((Some(503), false, false)),
                None,
                Some((None, true, false)),
                Some((None, false, true)),
                None,
                None,
            ]
        );
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (body, status, text) in [
            ("{", 400, "EOF"),
            ("1", 422, "expected a list"),
            (r#"{"fault":[]}"#, 422, "expected a list"),
            (
                r#"[{}, {"delay":1}]"#,
                422,
                "fault 1: unknown field `delay`",
            ),
            (r#"[{"status":"x"}]"#, 422, "fault 0: invalid type"),
            (r#"[{"status":99}]"#, 422, "not in 200–599"),
            (r#"[{"after":-1}]"#, 422, "fault 0: invalid value"),
            (r#"[{"close":true,"hang":true}]"#, 422, "exclude each other"),
            (r#"[{"body":"x"}]"#, 422, "need a status"),
            (r#"[{"early":true,"delay_ms":1}]"#, 422, "early goes with"),
            (
                r#"[{"status":503,"headers":{"a b":"c"}}]"#,
                422,
                "not a header",
            ),
        ] {
            let (got, message) = Faults::parse(body.as_bytes()).err().unwrap();
            assert_eq!(got, status, "{body}");
            assert!(message.contains(text), "{body}: {message}");
        }
        assert!(Faults::parse(b"[]").is_ok());
        assert!(Faults::parse(br#"{"faults":[{"delay_ms":5,"status":500}]}"#).is_ok());
    }
}
