//! Recording: the hot path.

use std::ffi::c_char;

use super::guard;
use super::status::*;
use super::text::{HEADERS_MAX, Invalid, argument, c_argument};
use crate::client::{RawCall, Recorded};
use crate::consumer::{Headers, Rules, pairs};
use crate::process;
use crate::record::FIELD_MAX;
use crate::sys;

/// Records the call that `read` makes of the arguments; without a client nothing is read.
#[inline(always)]
pub(crate) fn submit<'a>(read: impl FnOnce() -> Result<RawCall<'a>, Invalid>) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        let shell = match process::hot() {
            Some(shell) => shell,
            None => match process::running() {
                Ok(shell) => shell,
                Err(absent) => return absent.into(),
            },
        };
        match read() {
            Ok(call) => match shell.record(call) {
                Recorded::Kept => MALTI_OK,
                other => status_of(other),
            },
            Err(invalid) => {
                shell.complain(invalid.0, || {
                    "it is NULL, but its length is not 0".to_owned()
                });
                MALTI_ERR_INVALID_ARGUMENT
            }
        }
    })
}

/// The same for a call that leaves to the rules what it says nothing of itself.
pub(crate) fn submit_request<'a>(
    rules: &Rules,
    call: RawCall<'a>,
    headers: impl Headers<'a>,
    query: &'a [u8],
    peer: &'a [u8],
) -> i32 {
    call.completed(rules, headers, query, peer, |call| submit(|| Ok(call)))
}

#[cold]
fn status_of(recorded: Recorded) -> i32 {
    match recorded {
        Recorded::Kept => MALTI_OK,
        Recorded::Filtered => MALTI_IGNORED,
        Recorded::Disabled => MALTI_DISABLED,
        Recorded::NotRunning => MALTI_NOT_RUNNING,
        Recorded::Invalid(_) => MALTI_ERR_INVALID_ARGUMENT,
        Recorded::NoMemory => MALTI_ERR_NO_MEMORY,
    }
}

/// Records one request. Copies what it is given and returns in tens of nanoseconds, whatever the network does; never
/// does I/O, never calls back.
///
/// `method` is required, such as "GET". `endpoint` is the route pattern, such as "/users/{user_id}" (see
/// malti_normalize_route), else the path; NULL or empty counts as "/". `status` is the HTTP status, 100 to 999.
/// `response_time_us` is in microseconds, from the request's arrival to the end of the response body; it is sent in
/// whole milliseconds, rounded down, at most 2147483647. `consumer` is who called (see malti_resolve_consumer); NULL
/// or empty counts as "anonymous". `context` is free text; NULL: none. All text is UTF-8 (invalid bytes are replaced),
/// NUL-terminated, and cut to 500 characters.
///
/// MALTI_OK: recorded. MALTI_IGNORED: left out by clean mode (401 and 404) or exclude_endpoints.
/// MALTI_ERR_INVALID_ARGUMENT: `method` missing or `status` out of range; nothing recorded, counted as `invalid`, and
/// the log names the field, once. MALTI_ERR_NO_MEMORY: nothing recorded. MALTI_NOT_RUNNING, MALTI_DISABLED: no client;
/// no argument was checked. Any thread; not in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_record(
    method: *const c_char,
    endpoint: *const c_char,
    status: i32,
    response_time_us: u64,
    consumer: *const c_char,
    context: *const c_char,
) -> i32 {
    // SAFETY: by this function's contract each is NULL or a NUL-terminated string.
    submit(|| unsafe {
        Ok(RawCall {
            // Before the text is read: the clock waits for every load before it, but none waits for the clock.
            created_at_us: sys::now_us(),
            method: c_argument(method, FIELD_MAX),
            endpoint: c_argument(endpoint, FIELD_MAX),
            status,
            response_time_us,
            consumer: c_argument(consumer, FIELD_MAX),
            context: c_argument(context, FIELD_MAX),
        })
    })
}

/// The same with lengths, for text that is not NUL-terminated, and with a time. A length of MALTI_NTS means that the
/// text is NUL-terminated; NULL with length 0 is absent, NULL with any other length is MALTI_ERR_INVALID_ARGUMENT.
/// `created_at_unix_us` is when the response ended, in microseconds since 1970-01-01 UTC, up to the year 9999; 0: now.
/// On Linux all responses that end between two ticks of the kernel's clock (every 1 to 10 ms, most often 4) get the first one's time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_record_n(
    method: *const c_char,
    method_len: usize,
    endpoint: *const c_char,
    endpoint_len: usize,
    status: i32,
    response_time_us: u64,
    consumer: *const c_char,
    consumer_len: usize,
    context: *const c_char,
    context_len: usize,
    created_at_unix_us: i64,
) -> i32 {
    // SAFETY: by this function's contract each is NULL or points to its length of bytes.
    submit(|| unsafe {
        call(
            (method, method_len),
            (endpoint, endpoint_len),
            status,
            response_time_us,
            (consumer, consumer_len),
            (context, context_len),
            created_at_unix_us,
        )
    })
}

/// malti_record_n for a server that leaves it to the running client's settings who called: malti_resolve_consumer and
/// malti_resolve_context in the same call, without their results in between.
///
/// `consumer` and `context` are what the application itself said, NULL with length 0: nothing; `headers`, `query` and
/// `peer` are as for malti_resolve_consumer. The context is the application's, else that of the headers. Status as
/// malti_record's. Any thread; not in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_record_request(
    method: *const c_char,
    method_len: usize,
    endpoint: *const c_char,
    endpoint_len: usize,
    status: i32,
    response_time_us: u64,
    consumer: *const c_char,
    consumer_len: usize,
    context: *const c_char,
    context_len: usize,
    headers: *const c_char,
    headers_len: usize,
    query: *const c_char,
    query_len: usize,
    peer: *const c_char,
    peer_len: usize,
    created_at_unix_us: i64,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        let Some(tenure) = process::tenure() else {
            return MALTI_NOT_RUNNING;
        };
        // SAFETY: by this function's contract each is NULL or points to its length of bytes.
        let read = || unsafe {
            let call = call(
                (method, method_len),
                (endpoint, endpoint_len),
                status,
                response_time_us,
                (consumer, consumer_len),
                (context, context_len),
                created_at_unix_us,
            )?;
            Ok((
                call,
                argument("headers", headers, headers_len, HEADERS_MAX)?,
                argument("query", query, query_len, HEADERS_MAX)?,
                argument("peer", peer, peer_len, HEADERS_MAX)?,
            ))
        };
        match read() {
            Ok((call, headers, query, peer)) => {
                submit_request(&tenure.rules, call, pairs(headers), query, peer)
            }
            Err(invalid) => submit(|| Err(invalid)),
        }
    })
}

type Text = (*const c_char, usize);

/// # Safety
/// Each text is NULL or points to its length of bytes.
#[inline(always)]
unsafe fn call<'a>(
    method: Text,
    endpoint: Text,
    status: i32,
    response_time_us: u64,
    consumer: Text,
    context: Text,
    created_at_unix_us: i64,
) -> Result<RawCall<'a>, Invalid> {
    // SAFETY: by the caller's promise.
    let field = |name, (text, len): Text| unsafe { argument(name, text, len, FIELD_MAX) };
    Ok(RawCall {
        created_at_us: match created_at_unix_us {
            0 => sys::now_us(),
            given => given,
        },
        method: field("method", method)?,
        endpoint: field("endpoint", endpoint)?,
        status,
        response_time_us,
        consumer: field("consumer", consumer)?,
        context: field("context", context)?,
    })
}
