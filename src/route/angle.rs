//! `<…>`: type first in Werkzeug and Django, name first in Sanic and Bottle.

use super::{Output, closing, split_char};

/// `<name>`, `<int:name>`, `<any(a, b):name>`.
pub(super) fn convert_werkzeug(out: &mut Output, pattern: &str) {
    let mut rest = pattern;
    while let Some((c, after)) = split_char(rest) {
        rest = match c {
            '<' => type_first(out, rest),
            _ => {
                out.literal(c);
                after
            }
        };
    }
}

/// `<name>`, `<name:int>`, `<name:[a-z]+>`, `<name=int:ext=jpg|png>`.
pub(super) fn convert_sanic(out: &mut Output, pattern: &str) {
    let mut rest = pattern;
    while let Some((c, after)) = split_char(rest) {
        rest = match c {
            '<' => name_first(out, rest),
            _ => {
                out.literal(c);
                after
            }
        };
    }
}

/// `<name>`, `<name:filter:config>`, and the old `:name`, `:name#regex#`, each also without a name.
/// A backslash takes a `:` or `<` literally.
pub(super) fn convert_bottle(out: &mut Output, pattern: &str) {
    let mut rest = pattern;
    while let Some((c, after)) = split_char(rest) {
        rest = match c {
            '<' => name_first(out, rest),
            ':' => old_parameter(out, after),
            '\\' => match split_char(after) {
                Some((escaped, after)) => {
                    out.literal(escaped);
                    after
                }
                None => after,
            },
            _ => {
                out.literal(c);
                after
            }
        };
    }
}

/// Writes the parameter that `text` starts with, gives what follows it.
pub(super) fn type_first<'a>(out: &mut Output, text: &'a str) -> &'a str {
    // The name is what ends it: a converter's arguments may hold any number of colons.
    parameter(out, text, |inner| inner.rsplit(':').next())
}

fn name_first<'a>(out: &mut Output, text: &'a str) -> &'a str {
    parameter(out, text, |inner| inner.split([':', '=']).next())
}

fn parameter<'a>(
    out: &mut Output,
    text: &'a str,
    name: impl Fn(&'a str) -> Option<&'a str>,
) -> &'a str {
    let Some(end) = closing(text).or_else(|| text.find('>')) else {
        out.literal('<');
        return &text[1..];
    };
    out.param(name(&text[1..end]).unwrap_or_default());
    &text[end + 1..]
}

fn old_parameter<'a>(out: &mut Output, text: &'a str) -> &'a str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, rest) = text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()));
    out.param(name);
    match rest
        .strip_prefix('#')
        .and_then(|regex| regex.split_once('#'))
    {
        Some((_, after)) => after,
        None => rest,
    }
}
