//! The headers of a middleware's request, as the rules want them: the same for every runtime.

/// No server should let a NUL pass. In a block it would begin another header.
pub(super) fn is_whole(value: &[u8]) -> bool {
    !value.contains(&0)
}
