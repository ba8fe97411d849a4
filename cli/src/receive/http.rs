//! Small helpers to write answers in the server's dress.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{StatusCode, header::HeaderMap};
use serde::Serialize;
use serde_json::{Value, json};

use super::Response;

/// A plain answer; a number outside 100–999 becomes 500.
pub fn response(status: u16, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

pub fn json(status: u16, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let mut response = response(status, bytes);
            response
                .headers_mut()
                .insert(CONTENT_TYPE, value("application/json"));
            response
        }
        Err(_) => internal_error(),
    }
}

/// `{"detail": …}`, the form of all refusals.
pub fn detail(status: u16, detail: impl Into<Value>) -> Response {
    json(status, &json!({ "detail": detail.into() }))
}

/// The answer to an exception that nobody catches.
pub fn internal_error() -> Response {
    let mut response = response(500, "Internal Server Error");
    response
        .headers_mut()
        .insert(CONTENT_TYPE, value("text/plain; charset=utf-8"));
    response
}

pub const fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

/// A header as text; nothing if it is missing or not ASCII.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
