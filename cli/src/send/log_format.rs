//! Access logs of one line a request: Apache's and nginx's, and others by a line of nginx's variables.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::strtime;

use super::entry::Entry;

/// Apache has a name that it looked up, the identity of RFC 1413, a user; the third field may have blanks.
const COMMON: &str =
    r#"$remote_addr $identity $remote_user [$time_local] "$request" $status $body_bytes_sent"#;
const COMBINED: &str = r#"$remote_addr $identity $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
const TIME_LOCAL: &str = "%d/%b/%Y:%H:%M:%S %z";

/// The text of a variable, and the text that ends it.
#[derive(Clone)]
pub struct LogFormat {
    before: String,
    fields: Vec<(Variable, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Variable {
    Request,
    Method,
    Target,
    Query,
    Status,
    TimeLocal,
    Iso8601,
    Seconds,
    /// How many of them make a second.
    Took(f64),
    Address,
    User,
    Header(String),
    Node,
    Context,
    Other,
}

impl Variable {
    fn named(name: &str) -> Self {
        match name {
            "request" => Self::Request,
            "request_method" => Self::Method,
            "request_uri" | "uri" | "document_uri" => Self::Target,
            "args" | "query_string" => Self::Query,
            "status" => Self::Status,
            "time_local" => Self::TimeLocal,
            "time_iso8601" => Self::Iso8601,
            "msec" => Self::Seconds,
            "request_time" => Self::Took(1.0),
            "request_time_ms" => Self::Took(1e3),
            "request_time_us" => Self::Took(1e6),
            "remote_addr" | "realip_remote_addr" => Self::Address,
            "remote_user" => Self::User,
            "hostname" => Self::Node,
            "request_id" => Self::Context,
            _ => match name.strip_prefix("http_") {
                Some(header) => Self::Header(header.replace('_', "-")),
                None => Self::Other,
            },
        }
    }
}

impl LogFormat {
    pub fn common() -> Self {
        Self::of(COMMON)
    }

    pub fn combined() -> Self {
        Self::of(COMBINED)
    }

    /// # Errors
    /// It lacks what every record needs, or leaves open where a variable ends.
    pub fn parse(text: &str) -> Result<Self, String> {
        let format = Self::of(text);
        let has = |wanted| format.fields.iter().any(|(field, _)| *field == wanted);
        if !has(Variable::Request) && (!has(Variable::Method) || !has(Variable::Target)) {
            return Err("it has neither $request nor $request_method and $request_uri".into());
        }
        if !has(Variable::Status) {
            return Err("it has no $status".into());
        }
        let mut inner = format.fields.iter().rev().skip(1);
        if inner.any(|(_, end)| end.is_empty()) {
            return Err("it has two variables with nothing between them".into());
        }
        Ok(format)
    }

    fn of(text: &str) -> Self {
        let mut parts = text.split('$');
        let before = parts.next().unwrap_or_default().to_owned();
        let fields = parts.map(|part| {
            let part = part.trim_start_matches('{');
            let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = part.find(|c| !in_name(c)).unwrap_or(part.len());
            let (name, after) = part.split_at(end);
            (
                Variable::named(name),
                after.trim_start_matches('}').to_owned(),
            )
        });
        Self {
            before,
            fields: fields.collect(),
        }
    }

    /// # Errors
    /// What does not fit.
    pub fn entry<'a>(&self, line: &'a [u8]) -> Result<Entry<'a>, String> {
        let line = match String::from_utf8_lossy(line) {
            Cow::Borrowed(line) => line,
            // A value that is not UTF-8 is rare enough for a copy that is never given back.
            Cow::Owned(_) => return Err("not UTF-8".into()),
        };
        let mut rest = line
            .strip_prefix(self.before.as_str())
            .ok_or("the beginning differs")?;
        let mut entry = Entry::default();
        let last = self.fields.len().saturating_sub(1);
        for (index, (variable, end)) in self.fields.iter().enumerate() {
            let at = if index == last && end.is_empty() {
                rest.len()
            } else {
                find_end(rest, end).ok_or_else(|| format!("no {end:?} where one is expected"))?
            };
            let (text, after) = rest.split_at(at);
            rest = after.get(end.len()..).unwrap_or_default();
            take(&mut entry, variable, unescaped(text))?;
        }
        match (&*entry.method, &*entry.path, entry.status) {
            ("", ..) => Err("no method".into()),
            (_, "", _) => Err("no path".into()),
            (.., 0) => Err("no status".into()),
            _ => Ok(entry),
        }
    }
}

/// Where a field ends. A quote that the server escaped, as Apache does by a backslash, ends none.
fn find_end(text: &str, end: &str) -> Option<usize> {
    let quoted = end.starts_with('"');
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find(end)?;
        let slashes = text[..at]
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'\\')
            .count();
        if !quoted || slashes % 2 == 0 {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Without the escapes that nginx (`\xHH`) and Apache (`\"`, `\\`, `\xhh`) write.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (bytes, rest) = match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (pushed(bytes, high << 4 | low), tail),
                _ => (pushed(bytes, b'\\'), rest.get(1..).unwrap_or_default()),
            },
            (b'\\', [escaped, tail @ ..]) => (pushed(bytes, *escaped), tail),
            _ => (pushed(bytes, *first), tail),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn pushed(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn take<'a>(entry: &mut Entry<'a>, variable: &Variable, text: Cow<'a, str>) -> Result<(), String> {
    // So both servers write what is not there.
    if text == "-" || text.is_empty() {
        return Ok(());
    }
    match variable {
        Variable::Request => {
            let mut words = text.split(' ');
            let (method, target, rest) = (words.next(), words.next(), words.next());
            match (method, target, rest) {
                (Some(method), Some(target), Some(version))
                    if version.starts_with("HTTP/") && is_token(method) =>
                {
                    entry.method = method.to_owned().into();
                    entry.set_target(target);
                }
                _ => return Err("what was asked for is no HTTP request".into()),
            }
        }
        Variable::Method if is_token(&text) => entry.method = text,
        Variable::Method => return Err("the method is none".into()),
        Variable::Target => {
            let query = std::mem::take(&mut entry.query);
            entry.set_target(&text);
            if entry.query.is_empty() {
                entry.query = query;
            }
        }
        Variable::Query => entry.query = text,
        Variable::Status => entry.status = parsed(&text, "status")?,
        Variable::TimeLocal => {
            let moment = strtime::parse(TIME_LOCAL, &*text).and_then(|time| time.to_timestamp());
            entry.created_at = Some(moment.map_err(|_| "the time is none")?.into());
        }
        Variable::Iso8601 => entry.created_at = Some(parsed::<Timestamp>(&text, "time")?.into()),
        Variable::Seconds => {
            let since = duration(&text, 1.0)?;
            entry.created_at = SystemTime::UNIX_EPOCH.checked_add(since);
        }
        Variable::Took(per_second) => entry.response_time = duration(&text, *per_second)?,
        Variable::Address => entry.peer = text,
        Variable::User => entry.consumer = Some(text),
        Variable::Header(name) => entry.add_header(name, &text),
        Variable::Node => entry.node = Some(text),
        Variable::Context => entry.context = Some(text),
        Variable::Other => {}
    }
    Ok(())
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

fn parsed<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("the {what} is none"))
}

fn duration(text: &str, per_second: f64) -> Result<Duration, String> {
    let number: f64 = parsed(text, "time")?;
    Duration::try_from_secs_f64(number / per_second).map_err(|_| "the time is below 0".into())
}
