//! Which path does what.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HOST, HeaderMap, HeaderValue, LOCATION, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Version};
use serde_json::json;
use tokio::time::sleep;

use super::faults::{Fault, Faults};
use super::{Response, State, http, ingest, page, queries};

const INGEST: &str = "/api/v1/ingest";

/// The server itself takes any size; this much is known to work there.
const MAX_BODY: usize = 100 << 20;

/// A request that gets no answer: its connection ends.
#[derive(Debug)]
pub struct Hangup;

impl std::fmt::Display for Hangup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl std::error::Error for Hangup {}

pub async fn answer(state: &State, request: Request<Incoming>) -> Result<Response, Hangup> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let is_ingest = head.uri.path() == INGEST && head.method == Method::POST;
    let fault = if is_ingest {
        state.faults().next()
    } else {
        None
    };
    if let Some(fault) = &fault
        && fault.early
    {
        sleep(Duration::from_millis(fault.delay_ms)).await;
        return fault.response().ok_or(Hangup);
    }
    // Read to its end whatever the answer will be: closing on a client that is
    // still writing may cost it the answer.
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) if e.is::<LengthLimitError>() => {
            return Ok(http::detail(413, "Request body too large"));
        }
        Err(_) => return Err(Hangup),
    };
    match fault {
        Some(fault) => faulty(state, &fault, &head.headers, &body).await,
        None if is_ingest => Ok(ingest::handle(state, &head.headers, &body).await),
        None => Ok(route(state, &head, &body).await),
    }
}

/// An ingest request that a fault was set for.
async fn faulty(
    state: &State,
    fault: &Fault,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Hangup> {
    let stored = match fault.store {
        true => Some(ingest::handle(state, headers, body).await),
        false => None,
    };
    sleep(Duration::from_millis(fault.delay_ms)).await;
    if fault.hang {
        // Fails only if the sender is gone, which is the end as well.
        let _ = state.stopping.clone().wait_for(|stopping| *stopping).await;
    }
    if fault.hang || fault.close {
        return Err(Hangup);
    }
    match fault.response().or(stored) {
        Some(response) => Ok(response),
        None => Ok(ingest::handle(state, headers, body).await),
    }
}

async fn route(state: &State, head: &Parts, body: &[u8]) -> Response {
    let path = head.uri.path();
    let Some(methods) = methods(path) else {
        let shorter = path.trim_end_matches('/');
        return match methods(shorter) {
            Some(_) => redirect(head, shorter),
            None => http::detail(404, "Not Found"),
        };
    };
    if !methods.contains(&head.method.as_str()) {
        let mut response = http::detail(405, "Method Not Allowed");
        if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(ALLOW, allow);
        }
        return response;
    }
    if state.loopback && foreign(head) {
        return http::detail(403, "Not for other web sites");
    }
    let query = head.uri.query().unwrap_or_default();
    if let Some(file) = page::file(path) {
        return file;
    }
    match (head.method.as_str(), path) {
        ("GET", "/health") => http::json(200, &json!({ "status": "healthy" })),
        ("GET", "/api/summary") => queries::summary(state, &head.headers, query),
        ("GET", "/api/traffic") => queries::traffic(state, &head.headers, query),
        ("GET", "/api/endpoints") => queries::endpoints(state, &head.headers, query),
        ("GET", "/api/consumers") => queries::consumers(state, &head.headers, query),
        ("GET", "/api/records") => queries::records(state, &head.headers, query),
        ("GET", "/api/control") => http::json(200, &*state.faults()),
        ("POST", "/api/control") => control(state, body),
        _ => clear(state, query).await,
    }
}

async fn clear(state: &State, query: &str) -> Response {
    // Who sends a filter does not mean all of them.
    if let Err(message) = queries::none(query) {
        return http::detail(422, message);
    }
    match state.clear().await {
        Ok(()) => http::json(200, &json!({ "message": "Records cleared" })),
        Err(fault) => http::detail(503, fault),
    }
}

/// The methods of a path that exists.
fn methods(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        INGEST => &["POST"],
        "/" | "/page.css" | "/page.js" | "/icon.svg" | "/health" | "/api/summary"
        | "/api/traffic" | "/api/endpoints" | "/api/consumers" => &["GET"],
        "/api/records" => &["GET", "DELETE"],
        "/api/control" => &["GET", "POST"],
        _ => return None,
    })
}

/// To the same place without the slashes at the end, by the name we were called.
fn redirect(head: &Parts, path: &str) -> Response {
    let host = http::text(&head.headers, HOST.as_str()).unwrap_or_default();
    let query = head
        .uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let mut response = http::response(307, "");
    if let Ok(location) = HeaderValue::from_str(&format!("http://{host}{path}{query}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Whether a web page of another site is behind the request: it names itself in
/// `Origin`, or it had its own name resolve to us and that stands in `Host`. What
/// can't be understood is foreign.
fn foreign(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    let named_here = match host {
        Some(host) => hosts.next().is_none() && is_local(host),
        // Before HTTP/1.1 there was none; no browser is that old.
        None => head.version < Version::HTTP_11,
    };
    let origin = head.headers.get(ORIGIN).map(HeaderValue::as_bytes);
    let own = [b"http://", host.unwrap_or_default()].concat();
    !named_here || origin.is_some_and(|origin| origin != own)
}

fn is_local(host: &[u8]) -> bool {
    Authority::try_from(host).is_ok_and(|host| {
        let name = host.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let address = address.parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
    })
}

fn control(state: &State, body: &[u8]) -> Response {
    match Faults::parse(body) {
        Ok(faults) => {
            let mut current = state.faults();
            *current = faults;
            http::json(200, &*current)
        }
        Err((status, message)) => http::detail(status, message),
    }
}
