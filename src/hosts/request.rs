//! The headers of a middleware's request, as the rules want them: the same for every runtime.

/// Bytes of headers that say who called, in most requests.
const HEADERS_LIKELY: usize = 256;

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
