//! The rules that all languages share: who called, and a route pattern's normal form.

use std::ffi::c_char;

use super::config::malti_config;
use super::guard;
use super::status::*;
use super::text::{HEADERS_MAX, argument, c_argument, put};
use crate::consumer::{Request, Rules};
use crate::process;
use crate::route::{self, Dialect};

/// Longer routes and dialect names are cut.
const ROUTE_MAX: usize = 64 * 1024;

/// Runs `with` on the rules of the given settings, or of the running client.
///
/// # Safety
/// `config` is NULL, or made by malti_config_new and used by this thread alone.
unsafe fn with_rules(config: *const malti_config, with: impl FnOnce(&Rules) -> i32) -> i32 {
    // SAFETY: by the caller's promise.
    match (unsafe { config.as_ref() }, process::tenure()) {
        (Some(config), _) => with(&config.config.rules()),
        (None, Some(tenure)) => with(&tenure.rules),
        (None, None) => MALTI_ERR_NOT_INITIALIZED,
    }
}

/// Finds who called, by the rules of `config` (NULL: the running client's; see the keys consumer_order,
/// consumer_headers, consumer_query, use_ip_as_consumer, ip_anonymize, trusted_proxies).
///
/// `state` is what the application itself set for this request. `headers` holds all request headers in order of
/// arrival as name NUL value NUL, raw bytes; `query` is the raw query string without '?'; `peer` is the peer's
/// address. Each may be NULL with length 0; MALTI_NTS as a length means NUL-terminated (not for `headers`).
///
/// The result goes to `out` as snprintf does it: the length needed comes back, at least that of "anonymous"; `out` is
/// always terminated. MALTI_ERR_NOT_INITIALIZED: `config` is NULL and no client runs. MALTI_ERR_INVALID_ARGUMENT: NULL
/// with a length. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_resolve_consumer(
    config: *const malti_config,
    state: *const c_char,
    state_len: usize,
    headers: *const c_char,
    headers_len: usize,
    query: *const c_char,
    query_len: usize,
    peer: *const c_char,
    peer_len: usize,
    out: *mut c_char,
    out_len: usize,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        // SAFETY: by this function's contract each is NULL or points to its length of bytes.
        let request = unsafe {
            (|| {
                Ok::<_, super::text::Invalid>(Request {
                    state: Some(argument("state", state, state_len, HEADERS_MAX)?),
                    headers: argument("headers", headers, headers_len, HEADERS_MAX)?,
                    query: argument("query", query, query_len, HEADERS_MAX)?,
                    peer: argument("peer", peer, peer_len, HEADERS_MAX)?,
                })
            })()
        };
        let Ok(request) = request else {
            return MALTI_ERR_INVALID_ARGUMENT;
        };
        // SAFETY: config by contract; out is NULL or has out_len writable bytes.
        unsafe { with_rules(config, |rules| put(&rules.consumer(&request), out, out_len)) }
    })
}

/// Finds the context that the key context_headers asks for: the first of those headers that is present. Arguments and
/// result as malti_resolve_consumer; 0: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_resolve_context(
    config: *const malti_config,
    headers: *const c_char,
    headers_len: usize,
    out: *mut c_char,
    out_len: usize,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        // SAFETY: by this function's contract NULL, or points to its length of bytes.
        let Ok(headers) = (unsafe { argument("headers", headers, headers_len, HEADERS_MAX) })
        else {
            return MALTI_ERR_INVALID_ARGUMENT;
        };
        // SAFETY: config by contract; out is NULL or has out_len writable bytes.
        unsafe {
            with_rules(config, |rules| {
                put(&rules.context(headers).unwrap_or_default(), out, out_len)
            })
        }
    })
}

/// Whether the running client's settings read request headers of this name, in any case of letters. A server need not
/// keep the others, and may leave them out where malti_record_request or malti_resolve_consumer asks for all. 1: they
/// do; 0: they don't, or no client runs. `name` and `name_len` as for malti_record_n, errors too. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_reads_header(name: *const c_char, name_len: usize) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        // SAFETY: by this function's contract NULL, or points to its length of bytes.
        let Ok(name) = (unsafe { argument("name", name, name_len, HEADERS_MAX) }) else {
            return MALTI_ERR_INVALID_ARGUMENT;
        };
        process::tenure().is_some_and(|tenure| tenure.reads(name)) as i32
    })
}

/// Brings a route pattern into normal form, "/users/{user_id}". `dialect` says whose syntax it is: starlette fastapi
/// litestar werkzeug django sanic bottle falcon aiohttp express fastify koa hono hapi go chi gorilla gin echo fiber
/// plain. A binding does this once per route and keeps the result. The result goes to `out` as snprintf does it.
/// MALTI_ERR_INVALID_ARGUMENT: the dialect is unknown, or NULL with a length. Any thread, also before malti_init.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_normalize_route(
    dialect: *const c_char,
    pattern: *const c_char,
    pattern_len: usize,
    out: *mut c_char,
    out_len: usize,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        // SAFETY: by this function's contract each is NULL, or a string, or points to its length of bytes.
        let (dialect, pattern) = unsafe {
            (
                c_argument(dialect, ROUTE_MAX),
                argument("pattern", pattern, pattern_len, ROUTE_MAX),
            )
        };
        let dialect = std::str::from_utf8(dialect)
            .ok()
            .and_then(|d| d.parse::<Dialect>().ok());
        let (Some(dialect), Ok(pattern)) = (dialect, pattern) else {
            return MALTI_ERR_INVALID_ARGUMENT;
        };
        let pattern = String::from_utf8_lossy(pattern);
        // SAFETY: out is NULL or has out_len writable bytes.
        unsafe { put(&route::normalize(dialect, &pattern), out, out_len) }
    })
}
