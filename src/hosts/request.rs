//! A request of a middleware, from what its runtime lends to a record: the same for every runtime.

use crate::capi;
use crate::client::RawCall;
use crate::consumer::{Headers, Request, Rules};
use crate::record::FIELD_MAX;

/// Bytes of headers that say who called, in most requests.
const HEADERS_LIKELY: usize = 256;

/// To what a record takes of a field.
pub(super) fn cut(text: &[u8]) -> &[u8] {
    &text[..text.len().min(FIELD_MAX)]
}

/// No server should let a NUL pass. In a block it would begin another header.
pub(super) fn is_whole(value: &[u8]) -> bool {
    !value.contains(&0)
}

/// Adds to a block of the headers that the rules read.
pub(super) fn add_header(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if !is_whole(value) {
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
pub(super) fn record<'a>(
    rules: &Rules,
    call: RawCall<'a>,
    headers: impl Headers<'a>,
    query: &'a [u8],
    peer: &'a [u8],
) -> i32 {
    let request = Request {
        state: Some(call.consumer),
        query,
        peer,
        ..Request::default()
    };
    let consumer = rules.consumer_of(&request, headers.clone());
    let context = call.context.is_empty().then(|| rules.context_of(headers));
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
