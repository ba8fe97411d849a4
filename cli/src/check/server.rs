//! What the server says: to a batch without records, which it refuses once address and key are right,
//! and to a record of a service that cannot be, which it refuses by naming the service of the key.

use std::io;
use std::time::{Duration, SystemTime};

use malti::transport::{Answer, BaseUrl, Failure, FailureKind, Transport};
use serde_json::{Value, json};

use super::report::{Report, Step};

/// Of an answer that is quoted.
const QUOTED: usize = 200;
/// The clocks of machines that are kept in step differ less.
const CLOCKS_APART: Duration = Duration::from_secs(5);
const EMPTY: &[u8] = br#"{"requests":[]}"#;
/// What Malti says of it, once address and key are right.
const REFUSED_EMPTY: &str = "Empty requests array";
const INGEST: &str = "/api/v1/ingest";

/// `ours`: the service and the key of the settings.
pub fn ask(
    url: &BaseUrl,
    ours: (&str, &str),
    transport: &Transport,
    report: &mut Report,
) -> io::Result<()> {
    let round = transport.round();
    let before = SystemTime::now();
    let (service_name, secret) = ours;
    let answer = match round.post(EMPTY, false) {
        Ok(answer) => answer,
        Err(failure) => return unanswered(&failure, report),
    };
    if url.https() && transport.peer().is_some_and(|peer| peer.proxy) {
        report.ok(
            Step::Tls,
            "behind the proxy, by a certificate that is trusted",
        )?;
    }
    let said = said(&answer, secret);
    if !address(url, &answer, said.clone(), report)? {
        return Ok(());
    }
    if let Some(theirs) = answer.date {
        clock(theirs, before, report)?;
    }
    if !key(&answer, said, report)? {
        return Ok(());
    }
    if json_of(&answer)["any_key"] == json!(true) {
        return report.skipped(
            Step::Service,
            "a receiver without keys takes every key and service",
        );
    }
    match round.post(&impossible(), false) {
        Ok(answer) => service(service_name, &answer, secret, report),
        Err(failure) => unanswered(&failure, report),
    }
}

fn unanswered(failure: &Failure, report: &mut Report) -> io::Result<()> {
    let text = failure.text.clone();
    match failure.kind {
        FailureKind::Proxy => report.failed(
            Step::Proxy,
            text,
            "MALTI_PROXY takes user and password as http://user:password@host:port",
        ),
        FailureKind::Tls => report.failed(
            Step::Tls,
            text,
            "if the server's authority is your own, MALTI_CA_FILE names its certificate",
        ),
        FailureKind::Dns => report.failed(Step::Dns, text, ""),
        FailureKind::Refused | FailureKind::Connect => report.failed(Step::Tcp, text, ""),
        FailureKind::Timeout => report.failed(
            Step::Server,
            text,
            "the server took the request and gave no answer: look at its own log, and at its database",
        ),
        _ => report.failed(
            Step::Server,
            text,
            "what answers there does not speak HTTP; https:// where http:// is spoken looks so too, and the other way round",
        ),
    }
}

/// Whether it was a Malti server that answered.
fn address(url: &BaseUrl, answer: &Answer, said: String, report: &mut Report) -> io::Result<bool> {
    let base = "MALTI_URL is the server's base address, with the prefix that a proxy before it wants and without /api/v1/ingest";
    match answer.status {
        400 if !detail(answer).contains(REFUSED_EMPTY) => report.failed(
            Step::Url,
            said,
            "what answers there is not Malti, or something changes requests on their way",
        )?,
        401 | 403 if !answer.body.is_empty() && json_of(answer).is_null() => report.failed(
            Step::Url,
            said,
            "what answers there is not Malti: perhaps a gateway or a firewall before it",
        )?,
        400 | 401 | 403 => {
            report.ok(Step::Url, format!("a server answers at {}", url.ingest()))?;
            return Ok(true);
        }
        300..=399 => {
            let to = answer.location.as_deref().unwrap_or("somewhere else");
            let remedy = match to.trim_end_matches('/').strip_suffix(INGEST) {
                Some(base) if !base.is_empty() => format!("set MALTI_URL={base}"),
                _ => base.to_owned(),
            };
            let text = format!(
                "HTTP {}: redirects to {to}, which the key does not follow",
                answer.status
            );
            report.failed(Step::Url, text, remedy)?;
        }
        407 => report.failed(
            Step::Proxy,
            said,
            "the proxy wants user and password: MALTI_PROXY=http://user:password@host:port",
        )?,
        413 => report.failed(
            Step::Server,
            said,
            "something before the server takes no body, however small: raise its limit (client_max_body_size of nginx)",
        )?,
        408 | 425 | 429 | 500..=599 => report.failed(
            Step::Server,
            said,
            "the server is there and can't take records now: look at its own log",
        )?,
        200..=299 => report.failed(
            Step::Url,
            format!("{said}, to a batch without records, which Malti refuses"),
            base,
        )?,
        _ => report.failed(Step::Url, said, base)?,
    }
    Ok(false)
}

/// The difference of the clocks, as far as whole seconds and the time on the way tell.
fn clock(theirs: SystemTime, before: SystemTime, report: &mut Report) -> io::Result<()> {
    let now = SystemTime::now();
    let (word, apart) = match theirs.duration_since(now) {
        Ok(ahead) => ("behind", ahead),
        Err(_) => (
            "ahead of",
            before.duration_since(theirs).unwrap_or_default(),
        ),
    };
    if apart <= CLOCKS_APART {
        return report.ok(Step::Clock, "in step with the server's");
    }
    report.failed(
        Step::Clock,
        format!("{} s {word} the server's", apart.as_secs()),
        "records carry this machine's time: set its clock, best by NTP",
    )
}

fn key(answer: &Answer, said: String, report: &mut Report) -> io::Result<bool> {
    if answer.status == 400 {
        report.ok(Step::Key, "accepted")?;
        return Ok(true);
    }
    let remedy = if detail(answer).contains("Service API key") {
        "it is a person's key: make one for the service, and set MALTI_API_KEY to it"
    } else {
        "set MALTI_API_KEY to a key of the service that is still valid"
    };
    report.failed(Step::Key, said, remedy)?;
    Ok(false)
}

/// One record of a service that nobody can have, with all that the server asks for.
fn impossible() -> Vec<u8> {
    let service = format!("malti-check-{:016x}", fastrand::u64(..));
    json!({"requests": [{
        "service": service, "method": "GET", "endpoint": "/malti-check", "status": 200,
        "response_time": 0, "consumer": "malti-check",
    }]})
    .to_string()
    .into_bytes()
}

fn service(ours: &str, answer: &Answer, secret: &str, report: &mut Report) -> io::Result<()> {
    let detail = detail(answer);
    let expected = detail
        .strip_prefix("Service mismatch: expected ")
        .and_then(|rest| rest.rsplit_once(", got "))
        .map(|(expected, _)| expected);
    match expected {
        Some(expected) if expected == ours => {
            report.ok(Step::Service, format!("the key belongs to {ours:?}"))
        }
        Some(expected) => report.failed(
            Step::Service,
            format!("the key belongs to {expected:?}, but service_name is {ours:?}"),
            format!("set MALTI_SERVICE_NAME={expected}"),
        ),
        None if answer.status == 200 => report.warn(
            Step::Service,
            "the server took a record of a service that does not exist",
            "it does not bind keys to services, or is no Malti server; delete the service malti-check-… there",
        ),
        None => report.failed(Step::Server, said(answer, secret), "look at the server's own log"),
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// What the server says of a refusal.
fn detail(answer: &Answer) -> String {
    match &json_of(answer)["detail"] {
        Value::String(text) => text.clone(),
        Value::Null => String::from_utf8_lossy(&answer.body).trim().to_owned(),
        other => other.to_string(),
    }
}

/// The answer in a line. A key that is echoed is not shown.
fn said(answer: &Answer, secret: &str) -> String {
    let mut detail = detail(answer);
    if !secret.is_empty() {
        detail = detail.replace(secret, "***");
    }
    let detail: String = detail.chars().take(QUOTED).collect();
    let separator = if detail.is_empty() { "" } else { ": " };
    format!("HTTP {}{separator}{detail}", answer.status)
}
