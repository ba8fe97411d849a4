//! Paths and patterns that are in normal form already.

/// Copies a path as it is, but cuts the query string off and puts `<name>` and, as a whole segment,
/// `[name]`, `[...name]` and `[[...name]]` into braces. A `<` or `>` without its other half is
/// percent-encoded.
pub(super) fn convert(pattern: &str) -> String {
    let path = pattern.find('?').map_or(pattern, |at| &pattern[..at]);
    // Nearly every path of a request.
    if path.starts_with('/') && !path.contains(['<', '>', '[']) {
        return path.to_owned();
    }
    let mut out = String::with_capacity(path.len() + 8);
    for (i, segment) in path.split('/').enumerate() {
        if i > 0 || !segment.is_empty() {
            out.push('/');
        }
        match file_parameter(segment) {
            Some(name) => {
                out.push('{');
                out.push_str(name);
                out.push('}');
            }
            None => angles(&mut out, segment),
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

/// The name in a segment of file-based routing, as Next.js has it.
fn file_parameter(segment: &str) -> Option<&str> {
    let name = in_brackets(segment)?;
    let name = in_brackets(name).unwrap_or(name);
    let name = name.strip_prefix("...").unwrap_or(name);
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    (starts && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))).then_some(name)
}

fn in_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

fn angles(out: &mut String, segment: &str) {
    let mut rest = segment;
    while let Some(at) = rest.find(['<', '>']) {
        out.push_str(&rest[..at]);
        let (bracket, after) = (&rest[at..=at], &rest[at + 1..]);
        rest = match after.find(['<', '>']) {
            Some(end) if bracket == "<" && end > 0 && after[end..].starts_with('>') => {
                out.push('{');
                out.push_str(&after[..end]);
                out.push('}');
                &after[end + 1..]
            }
            _ => {
                out.push_str(if bracket == "<" { "%3C" } else { "%3E" });
                after
            }
        };
    }
    out.push_str(rest);
}
