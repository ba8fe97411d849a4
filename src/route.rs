//! Route patterns: one normal form for the syntax of every framework. Pure.
//!
//! `/users/{user_id}`: parameters in braces by their name alone, without type or regular expression.
//! A catch-all is `{path}`, or `*` when it has no name.
//!
//! What frameworks leave open is settled so:
//! - Optional parts are kept: `/a/:id?` and `/a{/:id}` are both `/a/{id}`. Only an optional slash at
//!   the very end is left out.
//! - A group without a name is `{0}`, `{1}`, … in order of appearance.
//! - Whatever else varies in a regular expression, a bare `\d+` as much as `(?:a|b)`, is `*`. Of
//!   alternatives for the whole pattern the first one names the route.
//! - Slashes that meet where a prefix was joined become one. A slash at the end makes another route
//!   and stays.
//! - `? < > [ ]` cannot stand in a path as they are: where a pattern means them literally they are
//!   percent-encoded.
//!
//! `tests/vectors/route.json` holds the rules as cases for every language.

mod angle;
mod brace;
mod colon;
mod plain;
mod regex;

use std::fmt;
use std::str::FromStr;

use crate::record::FIELD_MAX;

/// The framework whose syntax a pattern is written in: `<int:uid>` is type first in Flask and name
/// first in Sanic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Starlette; Responder too.
    Starlette,
    /// FastAPI.
    Fastapi,
    /// Litestar.
    Litestar,
    /// Werkzeug: Flask and Quart.
    Werkzeug,
    /// Django's `path()` and `re_path()`, joined by `include()` in any mixture.
    Django,
    /// Sanic.
    Sanic,
    /// Bottle, with its old `:name#regex#` form.
    Bottle,
    /// Falcon.
    Falcon,
    /// aiohttp.
    Aiohttp,
    /// Express 4 and 5, a RegExp in its source form `/…/flags` too.
    Express,
    /// Fastify.
    Fastify,
    /// Koa with `@koa/router`: path-to-regexp 6 and 8, a RegExp too.
    Koa,
    /// Hono.
    Hono,
    /// hapi.
    Hapi,
    /// Go's `net/http`: `[METHOD ][HOST]/path`.
    Go,
    /// chi.
    Chi,
    /// gorilla/mux.
    Gorilla,
    /// gin.
    Gin,
    /// echo.
    Echo,
    /// Fiber.
    Fiber,
    /// No framework: the path of a request, or a pattern that is in normal form already. It stays as
    /// it is but for the query string, which is cut off, and for `<name>`, `[name]` and `[...name]`,
    /// which become `{name}`.
    Plain,
}

impl Dialect {
    const ALL: [Self; 21] = [
        Self::Starlette,
        Self::Fastapi,
        Self::Litestar,
        Self::Werkzeug,
        Self::Django,
        Self::Sanic,
        Self::Bottle,
        Self::Falcon,
        Self::Aiohttp,
        Self::Express,
        Self::Fastify,
        Self::Koa,
        Self::Hono,
        Self::Hapi,
        Self::Go,
        Self::Chi,
        Self::Gorilla,
        Self::Gin,
        Self::Echo,
        Self::Fiber,
        Self::Plain,
    ];

    /// The name by which a host asks for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starlette => "starlette",
            Self::Fastapi => "fastapi",
            Self::Litestar => "litestar",
            Self::Werkzeug => "werkzeug",
            Self::Django => "django",
            Self::Sanic => "sanic",
            Self::Bottle => "bottle",
            Self::Falcon => "falcon",
            Self::Aiohttp => "aiohttp",
            Self::Express => "express",
            Self::Fastify => "fastify",
            Self::Koa => "koa",
            Self::Hono => "hono",
            Self::Hapi => "hapi",
            Self::Go => "go",
            Self::Chi => "chi",
            Self::Gorilla => "gorilla",
            Self::Gin => "gin",
            Self::Echo => "echo",
            Self::Fiber => "fiber",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    /// Takes exactly the names that [`Dialect::name`] gives.
    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| UnknownDialect(name.chars().take(40).collect()))
    }
}

/// A name that is no [`Dialect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect(String);

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not one of", self.0)?;
        for (i, dialect) in Dialect::ALL.into_iter().enumerate() {
            write!(f, "{} {dialect}", if i == 0 { "" } else { "," })?;
        }
        let nearest = Dialect::ALL
            .into_iter()
            .map(|dialect| (strsim::levenshtein(dialect.name(), &self.0), dialect))
            .min_by_key(|&(distance, _)| distance);
        match nearest {
            Some((1..=2, dialect)) => write!(f, "; did you mean {dialect}?"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for UnknownDialect {}

/// The normal form of a route pattern: it starts with `/` and holds no `<` or `>`. Any text gives a
/// result. No more than the first 2,000 bytes are looked at: a record keeps no more of an endpoint.
///
/// A host calls this once per route and keeps the result.
pub fn normalize(dialect: Dialect, pattern: &str) -> String {
    let pattern = cut(pattern);
    let mut out = Output::new(pattern.len());
    match dialect {
        Dialect::Plain => return plain::convert(pattern),
        Dialect::Starlette
        | Dialect::Fastapi
        | Dialect::Litestar
        | Dialect::Falcon
        | Dialect::Aiohttp
        | Dialect::Hapi
        | Dialect::Gorilla => brace::convert(&mut out, pattern),
        Dialect::Chi => brace::convert_chi(&mut out, pattern),
        Dialect::Go => brace::convert_go(&mut out, pattern),
        Dialect::Werkzeug => angle::convert_werkzeug(&mut out, pattern),
        Dialect::Sanic => angle::convert_sanic(&mut out, pattern),
        Dialect::Bottle => angle::convert_bottle(&mut out, pattern),
        Dialect::Django => regex::convert_django(&mut out, pattern),
        Dialect::Express => colon::convert(&mut out, &colon::EXPRESS, pattern),
        Dialect::Koa => colon::convert(&mut out, &colon::KOA, pattern),
        Dialect::Fastify => colon::convert(&mut out, &colon::FASTIFY, pattern),
        Dialect::Hono => colon::convert(&mut out, &colon::HONO, pattern),
        Dialect::Gin => colon::convert(&mut out, &colon::GIN, pattern),
        Dialect::Echo => colon::convert(&mut out, &colon::ECHO, pattern),
        Dialect::Fiber => colon::convert(&mut out, &colon::FIBER, pattern),
    }
    out.text
}

fn cut(pattern: &str) -> &str {
    let mut end = pattern.len().min(FIELD_MAX);
    while !pattern.is_char_boundary(end) {
        end -= 1;
    }
    &pattern[..end]
}

/// A normal form in the making.
struct Output {
    text: String,
    unnamed: usize,
}

impl Output {
    fn new(capacity: usize) -> Self {
        let mut text = String::with_capacity(capacity + 8);
        text.push('/');
        Self { text, unnamed: 0 }
    }

    fn at_segment_start(&self) -> bool {
        self.text.ends_with('/')
    }

    fn literal(&mut self, c: char) {
        match c {
            '/' if self.at_segment_start() => {}
            '<' => self.text.push_str("%3C"),
            '>' => self.text.push_str("%3E"),
            '?' => self.text.push_str("%3F"),
            '[' => self.text.push_str("%5B"),
            ']' => self.text.push_str("%5D"),
            _ => self.text.push(c),
        }
    }

    /// A parameter; without the characters that mean something in a normal form or a path.
    fn param(&mut self, name: &str) {
        let clean = |c: &char| !matches!(c, '{' | '}' | '<' | '>' | '[' | ']' | '/' | '?');
        let start = self.text.len();
        self.text.push('{');
        self.text.extend(name.trim().chars().filter(clean));
        if self.text.len() == start + 1 {
            self.text.truncate(start);
            self.unnamed();
        } else {
            self.text.push('}');
        }
    }

    fn unnamed(&mut self) {
        self.text.push_str(&format!("{{{}}}", self.unnamed));
        self.unnamed += 1;
    }

    /// Something that varies and is no parameter; several in a row are one.
    fn wildcard(&mut self) {
        if !self.text.ends_with('*') {
            self.text.push('*');
        }
    }
}

/// Splits the first character off.
fn split_char(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    Some((chars.next()?, chars.as_str()))
}

/// Where the bracket `( { [ <` that `text` starts with closes. Escapes, character classes and nested
/// brackets are stepped over: round ones inside `( <`, curly ones inside `{`.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (open, close, end) = match bytes.first()? {
        b'(' => (b'(', b')', b')'),
        b'{' => (b'{', b'}', b'}'),
        b'<' => (b'(', b')', b'>'),
        b'[' => return class_end(bytes, 0),
        _ => return None,
    };
    if !bytes.contains(&end) {
        return None;
    }
    let mut depth = 0_usize;
    let mut skipper = Skipper::default();
    let mut at = 1;
    while let Some(&b) = bytes.get(at) {
        match b {
            _ if b == end && depth == 0 => return Some(at),
            _ if b == open => depth += 1,
            _ if b == close => depth = depth.saturating_sub(1),
            _ => {}
        }
        at = skipper.next(bytes, at);
    }
    None
}

/// Steps through a pattern, over escapes and character classes.
#[derive(Default)]
struct Skipper {
    /// Once a class did not end, no later one will: looking again would cost the square of the length.
    no_class_ends: bool,
}

impl Skipper {
    /// What is to be looked at after the byte at `at`.
    fn next(&mut self, bytes: &[u8], at: usize) -> usize {
        match bytes[at] {
            b'\\' => at + 2,
            b'[' if !self.no_class_ends => match class_end(bytes, at) {
                Some(end) => end + 1,
                None => {
                    self.no_class_ends = true;
                    at + 1
                }
            },
            _ => at + 1,
        }
    }
}

/// Where the character class that opens at `start` ends.
fn class_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'\\' => at += 2,
            b']' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_by_name() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        let error = |name: &str| name.parse::<Dialect>().unwrap_err().to_string();
        let text = error("fastappi");
        assert!(text.starts_with("'fastappi' is not one of starlette, fastapi, litestar, "));
        assert!(text.ends_with(", fiber, plain; did you mean fastapi?"));
        assert!(error("Go").ends_with("did you mean go?"));
        assert!(error("rails on rails").ends_with(", plain"));
        assert!(error(&"x".repeat(1 << 20)).len() < 400);
    }

    #[test]
    fn looks_no_further_than_a_record_keeps() {
        let long = format!("/{}", "é".repeat(5 << 20));
        for dialect in Dialect::ALL {
            let text = normalize(dialect, &long);
            assert_eq!(text.len(), FIELD_MAX - 1, "{dialect}");
        }
    }

    #[test]
    fn brackets_close_past_escapes_classes_and_nesting() {
        for (text, rest) in [
            ("(a(b)c)d", Some("d")),
            (r"(\)[)])d", Some("d")),
            (r"{x:[}]\}{2}}d", Some("d")),
            ("<x:(?P<y>[>]+)>d", Some("d")),
            ("[(]d", Some("d")),
            ("(a", None),
            (r"(a\)", None),
            ("{[}", Some("")),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(closing(text).map(|at| &text[at + 1..]), rest, "{text}");
        }
    }

    /// Text made of the pieces that mean something to some dialect.
    fn hostile(rng: &mut fastrand::Rng, pieces: usize) -> String {
        const PIECES: [&str; 60] = [
            "/", "//", "a", "id", "é", "☃", "{", "}", "<", ">", "(", ")", "[", "]", ":", "::", "*",
            "+", "?", "|", ".", "-", "\\", "^", "$", "\"", "#", "=", "...", "(?", "(?:", "(?P<",
            "(?<", "(?=", "(?<!", "(?#", "(?i)", "\\d", "\\Z", "\\x2f", "\\u{2f}", "\\p{L}",
            "\\k<a>", "{2}", "{1,}", "<int:", ":re:", "{x:", "{$}", "/^", "$/", "GET ", "\0", "\n",
            "%3C", ".*", "[^/]+", "*/", "{/}", "/?",
        ];
        (0..pieces)
            .map(|_| PIECES[rng.usize(..PIECES.len())])
            .collect()
    }

    #[test]
    fn any_text_gives_a_normal_form_that_stays() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..5_000 {
            let pieces = rng.usize(..24);
            let pattern = hostile(&mut rng, pieces);
            for dialect in Dialect::ALL {
                let text = normalize(dialect, &pattern);
                let context = format!("{dialect} {pattern:?} {text:?}");
                assert!(text.starts_with('/'), "{context}");
                assert!(!text.contains(['<', '>']), "{context}");
                assert_eq!(normalize(Dialect::Plain, &text), text, "{context}");
            }
        }
        for _ in 0..10 {
            let pattern = hostile(&mut rng, 3_000);
            for dialect in Dialect::ALL {
                normalize(dialect, &pattern);
            }
        }
    }

    #[test]
    fn unclosed_brackets_in_great_number() {
        for piece in ["(", "(?:", "(?P<", "{", "[", "<", "<(>", ":a(", "{/", "\\"] {
            for dialect in Dialect::ALL {
                normalize(dialect, &piece.repeat(FIELD_MAX));
            }
        }
    }
}
