//! The live page.

use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::{Response, http};

const PAGE: &str = include_str!("page.html");

/// Records are hostile input: the page writes them as text only, and this keeps
/// it from loading or sending anything elsewhere should it ever slip.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                      style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub fn answer() -> Response {
    let mut response = http::response(200, PAGE);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::value("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, http::value(POLICY));
    response
}
