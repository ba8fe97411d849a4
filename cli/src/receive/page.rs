//! The live page's files.

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::{Response, http};

/// Records are hostile input: the page writes them as text only, and this keeps it from running
/// what is none of its files, and from loading or sending anything elsewhere, should it ever slip.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; \
                      style-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The answer to a path that is one of the page's.
pub fn file(path: &str) -> Option<Response> {
    let (kind, text) = match path {
        "/" => ("text/html", include_str!("page/index.html")),
        "/page.css" => ("text/css", include_str!("page/page.css")),
        "/page.js" => ("text/javascript", include_str!("page/page.js")),
        "/icon.svg" => ("image/svg+xml", include_str!("page/icon.svg")),
        _ => return None,
    };
    let mut response = http::response(200, text);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        format!("{kind}; charset=utf-8").try_into().ok()?,
    );
    headers.insert(CONTENT_SECURITY_POLICY, http::value(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, http::value("nosniff"));
    headers.insert(REFERRER_POLICY, http::value("no-referrer"));
    // Another version of the receiver may come to the same address.
    headers.insert(CACHE_CONTROL, http::value("no-cache"));
    Some(response)
}
