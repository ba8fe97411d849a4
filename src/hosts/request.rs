//! The headers of a middleware's request, as the rules want them: the same for every runtime.

/// Bytes of headers that say who called, in most requests.
const HEADERS_LIKELY: usize = 256;

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
