//! `:name` and `*name`, with what a framework adds to them.

use super::{Output, closing, regex, split_char};

/// How the frameworks of this family differ.
pub(super) struct Syntax {
    /// A name runs to the end of its segment, else over letters, digits, `_` and `$`.
    name_is_segment: bool,
    /// The bracket that may follow a name and holds its type or regular expression.
    constraint: Option<char>,
    /// Whether `*` may have a name.
    star_has_name: bool,
    /// Whether `+` is a catch-all too.
    plus_is_wildcard: bool,
    /// Whether `::` is a literal colon.
    double_colon: bool,
    /// path-to-regexp: optional parts in braces, quoted names, regular expressions in the path or
    /// instead of it.
    path_to_regexp: bool,
}

const BASE: Syntax = Syntax {
    name_is_segment: false,
    constraint: None,
    star_has_name: false,
    plus_is_wildcard: false,
    double_colon: false,
    path_to_regexp: false,
};

pub(super) const EXPRESS: Syntax = Syntax {
    constraint: Some('('),
    star_has_name: true,
    path_to_regexp: true,
    ..BASE
};
pub(super) const KOA: Syntax = EXPRESS;
pub(super) const FASTIFY: Syntax = Syntax {
    constraint: Some('('),
    double_colon: true,
    ..BASE
};
pub(super) const HONO: Syntax = Syntax {
    name_is_segment: true,
    constraint: Some('{'),
    ..BASE
};
pub(super) const GIN: Syntax = Syntax {
    name_is_segment: true,
    star_has_name: true,
    ..BASE
};
pub(super) const ECHO: Syntax = Syntax {
    name_is_segment: true,
    ..BASE
};
pub(super) const FIBER: Syntax = Syntax {
    constraint: Some('<'),
    plus_is_wildcard: true,
    ..BASE
};

pub(super) fn convert(out: &mut Output, syntax: &Syntax, pattern: &str) {
    match regexp_source(pattern) {
        Some((mount, source)) if syntax.path_to_regexp => {
            path(out, syntax, mount);
            regex::convert(out, source);
        }
        _ => path(out, syntax, pattern),
    }
}

fn path(out: &mut Output, syntax: &Syntax, pattern: &str) {
    let mut rest = pattern;
    while let Some((c, after)) = split_char(rest) {
        rest = match c {
            '\\' => match split_char(after) {
                Some((escaped, after)) => {
                    out.literal(escaped);
                    after
                }
                None => after,
            },
            ':' if syntax.double_colon && after.starts_with(':') => {
                out.literal(':');
                &after[1..]
            }
            ':' => parameter(out, syntax, after),
            '*' => star(out, syntax, after),
            '+' if syntax.plus_is_wildcard => {
                out.wildcard();
                after
            }
            // A slash that may be missing at the end.
            '/' if after == "?" => "",
            '{' if syntax.path_to_regexp && matches!(after, "/}" | "/}?") => "",
            // What is optional or repeated is kept once.
            '?' => after,
            '{' | '}' | '+' if syntax.path_to_regexp => after,
            '(' | '[' if syntax.path_to_regexp => match closing(rest) {
                Some(end) => {
                    regex::convert(out, &rest[..=end]);
                    repeated(&rest[end + 1..])
                }
                None => "",
            },
            _ => {
                out.literal(c);
                after
            }
        };
    }
}

/// Writes the parameter whose name `text` starts with, gives what follows it.
fn parameter<'a>(out: &mut Output, syntax: &Syntax, text: &'a str) -> &'a str {
    let Some((name, rest)) = name(syntax, text) else {
        out.literal(':');
        return text;
    };
    out.param(name);
    let rest = match syntax.constraint {
        // One that does not end would take the rest of the pattern with it.
        Some(bracket) if rest.starts_with(bracket) => {
            closing(rest).map_or("", |end| &rest[end + 1..])
        }
        _ => rest,
    };
    if syntax.path_to_regexp {
        repeated(rest)
    } else {
        rest
    }
}

fn star<'a>(out: &mut Output, syntax: &Syntax, text: &'a str) -> &'a str {
    // Within a segment the name could as well be text that follows: Express 4's `/ab*cd`.
    let may_have_name = syntax.star_has_name && out.at_segment_start();
    match name(syntax, text) {
        Some((name, rest)) if may_have_name => {
            out.param(name);
            rest
        }
        _ => {
            out.wildcard();
            text
        }
    }
}

/// Steps over `*` or `+` where it means "again"; `?` is stepped over anywhere.
fn repeated(text: &str) -> &str {
    text.strip_prefix(['*', '+']).unwrap_or(text)
}

/// The name that `text` starts with, and what follows it.
fn name<'a>(syntax: &Syntax, text: &'a str) -> Option<(&'a str, &'a str)> {
    if let Some(quoted) = text.strip_prefix('"')
        && syntax.path_to_regexp
    {
        return quoted.split_once('"');
    }
    let ends = |c: char| match syntax.name_is_segment {
        true => matches!(c, '/' | '?' | '{'),
        false => !(c.is_alphanumeric() || matches!(c, '_' | '$')),
    };
    let (name, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    (!name.is_empty()).then_some((name, rest))
}

/// The mount and the source of a RegExp written as `/…/flags`, or its bare source. Joined to a mount
/// it is known by its anchor alone.
fn regexp_source(pattern: &str) -> Option<(&str, &str)> {
    if pattern.starts_with('^') {
        return Some(("", pattern));
    }
    if let Some(at) = pattern.find("/^") {
        let (mount, source) = (&pattern[..at], &pattern[at + 1..]);
        return Some((mount, without_flags(source).unwrap_or(source)));
    }
    // Without an anchor: nothing that only a path would have (a slash that is not escaped, a
    // parameter), something that only a regular expression would.
    let source = without_flags(pattern.strip_prefix('/')?)?;
    let mut previous = '\0';
    let mut class = false;
    let mut is_path = false;
    for c in source.chars() {
        match c {
            _ if previous == '\\' => {}
            '[' => class = true,
            ']' => class = false,
            '/' => is_path |= !class,
            ':' => is_path |= !class && previous != '?',
            _ => {}
        }
        previous = if previous == '\\' { '\0' } else { c };
    }
    let is_regexp = [r"\", "$", "[", "(?", ".*", ".+"]
        .iter()
        .any(|sign| source.contains(sign));
    (is_regexp && !is_path).then_some(("", source))
}

/// The source without the closing slash and the flags after it.
fn without_flags(text: &str) -> Option<&str> {
    let (source, flags) = text.rsplit_once('/')?;
    let closes = !source.ends_with('\\') && flags.bytes().all(|b| b"dgimsuvy".contains(&b));
    closes.then_some(source)
}
