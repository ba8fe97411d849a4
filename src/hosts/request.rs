//! A request of a middleware, from what its runtime lends to a record: the same for every runtime.

use crate::capi;
use crate::client::RawCall;
use crate::consumer::{Request, Rules};
use crate::record::FIELD_MAX;

/// Bytes of headers that say who called, in most requests.
const HEADERS_LIKELY: usize = 256;

/// To what a record takes of a field.
pub(super) fn cut(text: &[u8]) -> &[u8] {
    &text[..text.len().min(FIELD_MAX)]
}

/// Adds to the headers that the rules read, as they want them.
pub(super) fn add_header(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    // No server should let a NUL pass. Here it would begin another header.
    if value.contains(&0) {
        return;
    }
    // One allocation, where there is anything at all to read.
    block.reserve(HEADERS_LIKELY);
    for part in [name, value] {
        block.extend_from_slice(part);
        block.push(0);
    }
}

/// Finds out who called, where the application has not said it in `call`, and records. The status of the C interface.
pub(super) fn record(
    rules: &Rules,
    call: RawCall<'_>,
    headers: &[u8],
    query: &[u8],
    peer: &[u8],
) -> i32 {
    let consumer = rules.consumer(&Request {
        state: Some(call.consumer),
        headers,
        query,
        peer,
    });
    let context = call.context.is_empty().then(|| rules.context(headers));
    let context = context.flatten();
    let call = RawCall {
        consumer: cut(consumer.as_bytes()),
        context: context
            .as_deref()
            .map_or(call.context, |text| cut(text.as_bytes())),
        ..call
    };
    capi::submit(|| Ok(call))
}
