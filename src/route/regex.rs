//! Regular expressions: Django's `re_path()`, JavaScript's RegExp, groups in a path.
//!
//! A reader, not an engine: what is literal is copied, named groups become parameters, and all that
//! varies beside them is marked.

use super::{Output, Skipper, angle, class_end, split_char};

/// A route of Django: parts of `path()` and `re_path()` as `include()` joined them, told apart by
/// what a regular expression cannot do without.
pub(super) fn convert_django(out: &mut Output, pattern: &str) {
    let anchor = pattern.find('^').unwrap_or(pattern.len());
    let (start, anchored) = pattern.split_at(anchor);
    if start.contains(['\\', '(', '[', '$']) {
        convert(out, pattern);
    } else {
        angle::convert_werkzeug(out, start);
        convert(out, anchored);
    }
}

/// Writes what `regex` says.
pub(super) fn convert(out: &mut Output, regex: &str) {
    let groups = groups(regex);
    let mut rest = regex;
    while let Some((c, after)) = split_char(rest) {
        rest = match c {
            // Anchors, ends of groups that were entered, quantifiers of what was written already.
            '^' | '$' | ')' | '*' | '+' | '?' => after,
            '{' => counted(rest).unwrap_or_else(|| literal(out, c, after)),
            // Alternatives of the whole: groups that have some are never entered.
            '|' => "",
            '(' => {
                let at = regex.len() - rest.len();
                match groups.binary_search_by_key(&at, |group| group.open) {
                    Ok(i) => group(out, regex, &groups[i]),
                    Err(_) => after,
                }
            }
            '[' => class(out, rest),
            '\\' => escape(out, after),
            '.' if after.starts_with(['*', '+', '?', '{']) => {
                out.wildcard();
                after
            }
            // A converter of `path()` after a prefix of `re_path()`.
            '<' => angle::type_first(out, rest),
            _ => literal(out, c, after),
        };
    }
}

fn literal<'a>(out: &mut Output, c: char, after: &'a str) -> &'a str {
    let may_be_missing = c == '/' && after.starts_with(['?', '*']);
    if may_be_missing && after.trim_start_matches(['?', '*', '$', ')']).is_empty() {
        return "";
    }
    out.literal(c);
    after
}

/// What follows a quantifier such as `{2}` or `{1,3}`.
fn counted(text: &str) -> Option<&str> {
    let (count, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_count = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit() || b == b',');
    is_count.then_some(after)
}

/// Writes what follows a backslash.
fn escape<'a>(out: &mut Output, text: &'a str) -> &'a str {
    let Some((c, after)) = split_char(text) else {
        return "";
    };
    match c {
        // Places, not characters.
        'A' | 'Z' | 'z' | 'b' | 'B' | 'G' => after,
        _ if !c.is_ascii_alphanumeric() => literal(out, c, after),
        _ => {
            out.wildcard();
            let hex = |digits: usize| match after.get(..digits) {
                Some(code) if code.bytes().all(|b| b.is_ascii_hexdigit()) => &after[digits..],
                _ => after,
            };
            let until = |end| after.split_once(end).map_or(after, |(_, after)| after);
            match (c, after.as_bytes().first()) {
                ('x' | 'u' | 'p' | 'P' | 'N', Some(b'{')) => until('}'),
                ('k', Some(b'<')) => until('>'),
                ('x', _) => hex(2),
                ('u', _) => hex(4),
                _ => after,
            }
        }
    }
}

/// A class of one character is that character: `[.]`.
fn class<'a>(out: &mut Output, text: &'a str) -> &'a str {
    let Some(end) = class_end(text.as_bytes(), 0) else {
        out.literal('[');
        return &text[1..];
    };
    let inner = &text[1..end];
    let mut chars = inner.strip_prefix('\\').unwrap_or(inner).chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !(inner.starts_with('\\') && c.is_ascii_alphanumeric()) => {
            out.literal(c);
        }
        _ => out.wildcard(),
    }
    &text[end + 1..]
}

/// A pair of round brackets and what is directly in it.
struct Group {
    open: usize,
    /// The closing bracket, or the end of a text that lacks it.
    close: usize,
    alternatives: bool,
    /// Whether a group inside has a name.
    names_inside: bool,
}

/// All groups, in order of their opening brackets.
fn groups(regex: &str) -> Vec<Group> {
    let bytes = regex.as_bytes();
    let mut groups: Vec<Group> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut skipper = Skipper::default();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'(' => {
                open.push(groups.len());
                groups.push(Group {
                    open: at,
                    close: regex.len(),
                    alternatives: false,
                    names_inside: false,
                });
            }
            b'|' => {
                if let Some(&inner) = open.last() {
                    groups[inner].alternatives = true;
                }
            }
            b')' => {
                if let Some(inner) = open.pop() {
                    groups[inner].close = at;
                    let named = groups[inner].names_inside
                        || name(&regex[groups[inner].open + 1..]).is_some();
                    if let Some(&outer) = open.last() {
                        groups[outer].names_inside |= named;
                    }
                }
            }
            _ => {}
        }
        at = skipper.next(bytes, at);
    }
    groups
}

/// The name of the group whose inside `text` starts with.
fn name(text: &str) -> Option<&str> {
    let text = text.strip_prefix('?')?;
    let text = text.strip_prefix('P').unwrap_or(text).strip_prefix('<')?;
    if text.starts_with(['=', '!']) {
        return None;
    }
    Some(text.split_once('>')?.0)
}

/// Writes a group, gives what is to be read next: what follows it, or its inside.
fn group<'a>(out: &mut Output, regex: &'a str, group: &Group) -> &'a str {
    let inner = &regex[group.open + 1..group.close];
    let after = regex.get(group.close + 1..).unwrap_or_default();
    let enter = |skip: usize| &regex[group.open + 1 + skip..];

    if let Some(name) = name(inner) {
        out.param(name);
        return after;
    }
    let Some(special) = inner.strip_prefix('?') else {
        if group.names_inside && !group.alternatives {
            return enter(0);
        }
        match inner.trim_end_matches('?') {
            ".*" | ".+" => out.wildcard(),
            _ => out.unnamed(),
        }
        return after;
    };
    // Comments and looks around match nothing; `(?i)` sets flags, `(?i:…)` groups with them.
    if special.starts_with(['#', '=', '!', '<']) {
        return after;
    }
    let flags = special
        .find(|c: char| !(c.is_ascii_alphabetic() || c == '-'))
        .unwrap_or(special.len());
    match special.as_bytes().get(flags) {
        None => after,
        Some(b':' | b'>') if !group.alternatives => enter(1 + flags + 1),
        Some(_) => {
            out.wildcard();
            after
        }
    }
}
