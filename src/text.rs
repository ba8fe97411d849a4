//! What a field's text becomes before it is sent.
//!
//! The server rewrites text: it removes whatever stands in angle brackets, cuts at 500 characters and strips white
//! space, and it refuses a whole batch for one byte that is not UTF-8. Text from [`clean`] passes it as it is.

use std::borrow::Cow;

use crate::consumer::ANONYMOUS;
use crate::record::FIELD_MAX;

/// The code points of a field that the server keeps.
pub const CHARS_MAX: usize = 500;

/// Which field a text belongs to: it decides about brackets, case and what stands in for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Upper-cased when wholly ASCII; `UNKNOWN` when nothing is left.
    Method,
    /// A route pattern in normal form, or a path; ends before the first `?`; `/` when nothing is left.
    ///
    /// A pattern that still has its framework's own `?` goes through the route normal form first. There is no
    /// exception for it here: a query string can hold secrets, and none must get through.
    Endpoint,
    /// `anonymous` when nothing is left.
    Consumer,
    /// Empty when nothing is left: the field is then absent.
    Context,
    /// A name from the configuration (service, node); may become empty.
    Label,
}

/// The text of `field` as the server keeps it: valid UTF-8, no C0 control, no angle bracket, no white space at its
/// ends, at most [`CHARS_MAX`] code points. Cleaning it once more changes nothing.
///
/// Of `raw` the first [`FIELD_MAX`] bytes count. Bytes that are not UTF-8 become U+FFFD; a sequence that the limit
/// cuts in two is dropped. CR, LF and TAB become a space, the other C0 controls are dropped. In an endpoint `<x>`
/// becomes `{x}` and a bracket without a partner `%3C` or `%3E`; elsewhere `<` and `>` become `(` and `)`.
pub fn clean(field: Field, raw: &[u8]) -> Cow<'_, str> {
    if is_plain(field, raw)
        && let Ok(text) = str::from_utf8(raw)
    {
        return Cow::Borrowed(text);
    }
    rewrite(field, raw)
}

fn rewrite(field: Field, raw: &[u8]) -> Cow<'static, str> {
    let decoded = decode(&raw[..raw.len().min(FIELD_MAX)]);
    let mut text = match field {
        Field::Endpoint => braced(decoded.split('?').next().unwrap_or_default()),
        _ => decoded
            .chars()
            .filter_map(|c| printable(c).map(parenthesis))
            .collect(),
    };
    trim(&mut text);
    if field == Field::Method && text.is_ascii() {
        text.make_ascii_uppercase();
    }
    match field {
        _ if !text.is_empty() => Cow::Owned(text),
        Field::Method => Cow::Borrowed("UNKNOWN"),
        Field::Endpoint => Cow::Borrowed("/"),
        Field::Consumer => Cow::Borrowed(ANONYMOUS),
        Field::Context | Field::Label => Cow::Borrowed(""),
    }
}

/// Whether `raw` is clean as it stands and also the same inside a JSON string. `false` only means: look closer.
///
/// Nearly every field is plain, so this pass is the one that counts. It tests eight bytes at a time: a mark is the
/// high bit of a byte. Subtracting from a word also borrows from the byte above, but only where there is a mark.
#[inline]
pub(crate) fn is_plain(field: Field, raw: &[u8]) -> bool {
    let ([first, .., last] | [first @ last]) = raw else {
        return false;
    };
    let lower = match field {
        Field::Method => lower,
        _ => |_| 0,
    };
    let end = ends(raw);
    let mut marks = special(end) | lower(end);
    for chunk in raw.as_chunks().0 {
        let word = u64::from_le_bytes(*chunk);
        marks |= special(word) | lower(word);
    }
    marks & each(0x80) == 0 && *first != b' ' && *last != b' ' && raw.len() <= CHARS_MAX
}

/// The last eight bytes; of a text that is shorter all bytes, some of them twice.
#[inline]
fn ends(raw: &[u8]) -> u64 {
    if let Some(last) = raw.last_chunk() {
        u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (raw.first_chunk(), raw.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
    } else {
        raw.iter()
            .fold(each(b'0'), |word, &b| word << 8 | u64::from(b))
    }
}

/// A word of eight times `b`.
const fn each(b: u8) -> u64 {
    u64::from_ne_bytes([b; 8])
}

/// Marks all but ASCII, C0 controls, and `"` `\` `<` `=` `>` `?` (`=` for being tested with its neighbours).
#[inline]
fn special(word: u64) -> u64 {
    let below = |word: u64, b: u8| word.wrapping_sub(each(b));
    // Turning 0x02 over leaves C0 controls what they are, and makes `"` the next one.
    word | below(word ^ each(0x02), b' ' + 1)
        | below(word ^ each(b'\\'), 1)
        | below((word & each(!3)) ^ each(b'<'), 1)
}

/// Marks what has both bits of the lower case, 0x60 and above.
#[inline]
fn lower(word: u64) -> u64 {
    word << 1 & word << 2
}

fn decode(raw: &[u8]) -> Cow<'_, str> {
    let cut = if raw.len() == FIELD_MAX {
        incomplete_tail(raw)
    } else {
        0
    };
    String::from_utf8_lossy(&raw[..raw.len() - cut])
}

/// Bytes at the end of `raw` that begin a UTF-8 sequence and do not complete it.
fn incomplete_tail(raw: &[u8]) -> usize {
    let tail = raw
        .utf8_chunks()
        .last()
        .map_or(&[][..], |chunk| chunk.invalid());
    match str::from_utf8(tail) {
        Err(e) if e.error_len().is_none() => tail.len(),
        _ => 0,
    }
}

fn printable(c: char) -> Option<char> {
    match c {
        '\r' | '\n' | '\t' => Some(' '),
        '\0'..='\x1f' => None,
        c => Some(c),
    }
}

fn parenthesis(c: char) -> char {
    match c {
        '<' => '(',
        '>' => ')',
        c => c,
    }
}

fn braced(endpoint: &str) -> String {
    let mut text = String::with_capacity(endpoint.len() + 8);
    let mut open = false;
    for (at, c) in endpoint.char_indices() {
        match c {
            '<' => {
                open = endpoint[at + 1..]
                    .find(['<', '>'])
                    .is_some_and(|next| endpoint[at + 1 + next..].starts_with('>'));
                text.push_str(if open { "{" } else { "%3C" });
            }
            '>' => {
                text.push_str(if open { "}" } else { "%3E" });
                open = false;
            }
            c => text.extend(printable(c)),
        }
    }
    text
}

/// Strips, cuts, and strips what the cut laid bare. `White_Space` is what the server's Python strips, but for the
/// C0 separators, which are gone by now.
fn trim(text: &mut String) {
    let start = text.len() - text.trim_start().len();
    text.drain(..start);
    if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
        text.truncate(end);
    }
    text.truncate(text.trim_end().len());
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field; 5] = [
        Field::Method,
        Field::Endpoint,
        Field::Consumer,
        Field::Context,
        Field::Label,
    ];

    /// Bytes of all kinds: random ones, and pieces that some step of the cleaning looks for.
    fn random(random: &mut fastrand::Rng) -> Vec<u8> {
        const PIECES: [&str; 16] = [
            "<",
            ">",
            "?",
            "\"",
            "\\",
            " ",
            "\r\n",
            "\0",
            "\u{85}",
            "\u{a0}",
            "\u{3000}",
            "é",
            "\u{301}",
            "😀",
            "/users/{id}",
            "GET",
        ];
        let length = if random.bool() {
            random.usize(..40)
        } else {
            random.usize(..3_000)
        };
        let text = random.bool();
        let mut bytes = Vec::new();
        while bytes.len() < length {
            match random.u8(..8) {
                0 if !text => bytes.push(random.u8(..)),
                0..4 => bytes.extend_from_slice(PIECES[random.usize(..PIECES.len())].as_bytes()),
                _ => bytes.push(random.alphanumeric() as u8),
            }
        }
        bytes
    }

    #[test]
    fn what_is_cleaned_passes_the_server_unchanged() {
        let mut rng = fastrand::Rng::with_seed(3);
        for round in 0..1_000 {
            let raw = random(&mut rng);
            for field in FIELDS {
                let text = clean(field, &raw);
                let case = format!("round {round}, {field:?}: {text:?}");
                assert_eq!(clean(field, text.as_bytes()), text, "{case}");
                assert!(!text.contains(['<', '>']), "{case}");
                assert!(!text.contains(|c| c < ' '), "{case}");
                assert!(text.chars().count() <= CHARS_MAX, "{case}");
                assert_eq!(text.trim(), text, "{case}");
                assert!(text.len() <= FIELD_MAX, "{case}");
                match field {
                    Field::Endpoint => assert!(!text.is_empty() && !text.contains('?'), "{case}"),
                    Field::Method | Field::Consumer => assert!(!text.is_empty(), "{case}"),
                    Field::Context | Field::Label => {}
                }
            }
        }
    }

    /// Each byte at each place of texts that fill up to three words: the fast way takes nothing that the slow one
    /// would change or JSON would escape.
    #[test]
    fn plain_text_is_what_needs_no_change() {
        let needs_change = |field, b: u8| {
            !matches!(b, b' '..=0x7f)
                || b"\"\\<=>?".contains(&b)
                || field == Field::Method && b >= 0x60
        };
        for length in 1..=24 {
            for (at, b) in (0..length).flat_map(|at| (0..=u8::MAX).map(move |b| (at, b))) {
                let mut raw = vec![b'A'; length];
                raw[at] = b;
                let at_end = at == 0 || at == length - 1;
                for field in [Field::Method, Field::Endpoint, Field::Consumer] {
                    let plain = is_plain(field, &raw);
                    let case = format!("{field:?} {:?}", String::from_utf8_lossy(&raw));
                    assert_eq!(
                        plain,
                        !(needs_change(field, b) || at_end && b == b' '),
                        "{case}"
                    );
                    if plain {
                        assert_eq!(rewrite(field, &raw).as_bytes(), raw, "{case}");
                    }
                }
            }
        }
        assert!(!is_plain(Field::Label, b""));
        assert!(is_plain(Field::Label, &[b'a'; CHARS_MAX]));
        assert!(!is_plain(Field::Label, &[b'a'; CHARS_MAX + 1]));
    }

    #[test]
    fn only_the_limit_excuses_a_sequence_that_stops_short() {
        let mut raw = vec![b'a'; FIELD_MAX - 2];
        raw.splice(..FIELD_MAX - 10, vec![0; FIELD_MAX - 10]);
        raw.extend_from_slice(&[0xf0, 0x9f]);
        assert_eq!(clean(Field::Consumer, &raw), "aaaaaaaa");
        assert_eq!(clean(Field::Consumer, &raw[1..]), "aaaaaaaa\u{fffd}");
        raw.push(b'x');
        assert_eq!(clean(Field::Consumer, &raw), "aaaaaaaa");
        raw[FIELD_MAX - 1] = 0xff;
        assert_eq!(clean(Field::Consumer, &raw), "aaaaaaaa\u{fffd}\u{fffd}");
    }

    #[test]
    fn labels_may_be_empty() {
        assert_eq!(clean(Field::Label, b" \0 "), "");
        assert_eq!(clean(Field::Label, b" <b> "), "(b)");
    }
}
