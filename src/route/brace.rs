//! `{name}` with what a framework adds to the name: `{id:int}`, `{uid:int(2, min=1)}`,
//! `{name:\d{2,3}}`, `{p*2}`, `{p?}`, `{id...}`.

use super::{Output, closing, split_char};

pub(super) fn convert(out: &mut Output, pattern: &str) {
    let mut rest = pattern;
    while let Some((c, after)) = split_char(rest) {
        rest = match c {
            '{' => parameter(out, rest),
            _ => {
                out.literal(c);
                after
            }
        };
    }
}

/// A mount leaves its catch-all in the middle of the pattern: `/api/*/users`.
pub(super) fn convert_chi(out: &mut Output, pattern: &str) {
    convert(out, &pattern.replace("/*/", "/"));
}

/// `[METHOD ][HOST]/path`: neither method nor host can hold a slash.
pub(super) fn convert_go(out: &mut Output, pattern: &str) {
    let path = match pattern.find('/') {
        Some(at) => &pattern[at..],
        None => pattern.rsplit([' ', '\t']).next().unwrap_or(pattern),
    };
    // `{$}` says that the path ends here.
    convert(out, path.strip_suffix("{$}").unwrap_or(path));
}

/// Writes the parameter that `text` starts with, gives what follows it.
fn parameter<'a>(out: &mut Output, text: &'a str) -> &'a str {
    let Some(end) = closing(text).or_else(|| text.find('}')) else {
        out.literal('{');
        return &text[1..];
    };
    let inner = &text[1..end];
    let name = inner
        .find([':', '*', '?'])
        .map_or(inner, |at| &inner[..at])
        .trim_end_matches("...");
    out.param(name);
    &text[end + 1..]
}
