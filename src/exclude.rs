//! Which endpoints are left out. Pure.

/// Whether one of the patterns of `exclude_endpoints`, exact or with a trailing `*`, names the endpoint
/// (its query string aside).
pub(crate) fn excluded(patterns: &[String], endpoint: &[u8]) -> bool {
    let path = endpoint.split(|b| *b == b'?').next().unwrap_or_default();
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix.as_bytes()),
            None => path == pattern.as_bytes(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_excluded_exactly_or_by_their_start() {
        let patterns = ["/health*".to_owned(), "/metrics".to_owned()];
        for (endpoint, left_out) in [
            ("/health", true),
            ("/healthz/live", true),
            ("/metrics", true),
            ("/metrics/x", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(
                excluded(&patterns, endpoint.as_bytes()),
                left_out,
                "{endpoint}"
            );
        }
        assert!(excluded(&["*".to_owned()], b"anything"));
        assert!(!excluded(&[], b"/"));
    }
}
