//! Which path does what.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, HOST, HeaderMap, HeaderValue, LOCATION, ORIGIN};
use hyper::{Request, Uri};
use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use super::faults::Faults;
use super::store::Selection;
use super::summary::Summary;
use super::{Response, State, http, ingest, page};

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
    let path = request.uri().path();
    if path == INGEST && request.method() == "POST" {
        return ingest(state, request).await;
    }
    let Some(methods) = methods(path) else {
        let shorter = path.trim_end_matches('/');
        return Ok(if methods(shorter).is_some() {
            redirect(&request, shorter)
        } else {
            http::detail(404, "Not Found")
        });
    };
    if !methods.contains(&request.method().as_str()) {
        let mut response = http::detail(405, "Method Not Allowed");
        if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(ALLOW, allow);
        }
        return Ok(response);
    }
    if state.loopback && foreign(request.headers()) {
        return Ok(http::detail(403, "Not for other web sites"));
    }
    Ok(match (request.method().as_str(), path) {
        ("GET", "/") => page::answer(),
        ("GET", "/health") => http::json(200, &json!({ "status": "healthy" })),
        ("GET", "/api/summary") => summary(state),
        ("GET", "/api/records") => records(state, request.uri()),
        ("GET", "/api/control") => http::json(200, &*state.faults()),
        ("POST", "/api/control") => control(state, request).await?,
        _ => {
            state.store().clear();
            http::json(200, &json!({ "message": "Records cleared" }))
        }
    })
}

/// The methods of a path that exists.
fn methods(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        INGEST => &["POST"],
        "/" | "/health" | "/api/summary" => &["GET"],
        "/api/records" => &["GET", "DELETE"],
        "/api/control" => &["GET", "POST"],
        _ => return None,
    })
}

/// To the same place without the slashes at the end, by the name we were called.
fn redirect(request: &Request<Incoming>, path: &str) -> Response {
    let host = http::text(request.headers(), HOST.as_str()).unwrap_or_default();
    let query = request
        .uri()
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
/// `Origin`, or it had its own name resolve to us and that stands in `Host`.
fn foreign(headers: &HeaderMap) -> bool {
    let host = http::text(headers, HOST.as_str()).unwrap_or_default();
    let name = host
        .parse::<Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_owned));
    let local = name.is_none_or(|name| {
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
    });
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    !local || origin.is_some_and(|origin| origin != format!("http://{host}").as_bytes())
}

async fn ingest(state: &State, request: Request<Incoming>) -> Result<Response, Hangup> {
    let fault = state.faults().next();
    let (head, body) = request.into_parts();
    let early = fault.as_ref().is_some_and(|fault| fault.early);
    let body = if early {
        Bytes::new()
    } else {
        match read(body).await? {
            Ok(body) => body,
            Err(refusal) => return Ok(refusal),
        }
    };
    let Some(fault) = fault else {
        return Ok(ingest::handle(state, &head.headers, &body));
    };
    let stored = fault
        .store
        .then(|| ingest::handle(state, &head.headers, &body));
    sleep(Duration::from_millis(fault.delay_ms)).await;
    if fault.hang {
        // Fails only if the sender is gone, which is the end as well.
        let _ = state.stopping.clone().wait_for(|stopping| *stopping).await;
        return Err(Hangup);
    }
    if fault.close {
        return Err(Hangup);
    }
    Ok(fault
        .response()
        .or(stored)
        .unwrap_or_else(|| ingest::handle(state, &head.headers, &body)))
}

/// The whole body, or the answer that refuses it.
async fn read(body: Incoming) -> Result<Result<Bytes, Response>, Hangup> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(Ok(body.to_bytes())),
        Err(e) if e.is::<LengthLimitError>() => {
            Ok(Err(http::detail(413, "Request body too large")))
        }
        Err(_) => Err(Hangup),
    }
}

fn summary(state: &State) -> Response {
    let store = state.store();
    http::json(
        200,
        &Overview {
            requests: state.requests.load(Ordering::Relaxed),
            connections: state.connections.load(Ordering::Relaxed),
            summary: Summary::of(&store),
        },
    )
}

#[derive(Serialize)]
struct Overview<'a> {
    requests: u64,
    connections: u64,
    #[serde(flatten)]
    summary: Summary<'a>,
}

fn records(state: &State, uri: &Uri) -> Response {
    match selection(uri.query().unwrap_or_default()) {
        Ok(wanted) => http::json(200, &json!({ "records": state.store().select(&wanted) })),
        Err(message) => http::detail(422, message),
    }
}

fn selection(query: &str) -> Result<Selection, String> {
    let mut wanted = Selection::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let bad = || format!("{name}: {value:?} is not a number");
        match &*name {
            "service" => wanted.service = Some(value.into_owned()),
            "after" => wanted.after = Some(value.parse().map_err(|_| bad())?),
            "limit" => wanted.limit = Some(value.parse().map_err(|_| bad())?),
            _ => {
                return Err(format!(
                    "{name}: unknown; there are service, after and limit"
                ));
            }
        }
    }
    Ok(wanted)
}

async fn control(state: &State, request: Request<Incoming>) -> Result<Response, Hangup> {
    let body = match read(request.into_body()).await? {
        Ok(body) => body,
        Err(refusal) => return Ok(refusal),
    };
    Ok(match Faults::parse(&body) {
        Ok(faults) => {
            let mut current = state.faults();
            *current = faults;
            http::json(200, &*current)
        }
        Err((status, message)) => http::detail(status, message),
    })
}
