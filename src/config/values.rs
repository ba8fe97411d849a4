//! Reading and showing the values of settings. A value that is shown reads back as the same one.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::proxy::{Proxy, ProxyUrl};
use super::secret::Secret;

/// A value, or what is wrong with the text (the middle of an error message).
pub(super) type Parsed<T> = Result<T, Cow<'static, str>>;

/// The characters of a name that the server keeps.
const NAME_MAX: usize = 500;
/// The bytes of an API key: with the other headers it stays under the 8 KiB that servers take.
const API_KEY_MAX: usize = 4_096;

/// How a batch's body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
}

impl FromStr for Compression {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            _ if text.eq_ignore_ascii_case("none") => Ok(Self::None),
            _ if text.eq_ignore_ascii_case("gzip") => Ok(Self::Gzip),
            _ => Err("not a compression"),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        })
    }
}

/// An API key and the file that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) key: Secret,
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    let text = text.trim();
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "1", "yes", "on"]) {
        Ok(true)
    } else if is(["false", "0", "no", "off"]) {
        Ok(false)
    } else {
        Err("not a boolean".into())
    }
}

pub(super) fn integer<T: TryFrom<u64>>(text: &str, range: RangeInclusive<u64>) -> Parsed<T> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("not a plain whole number".into());
    }
    let number = text.parse().ok().filter(|number| range.contains(number));
    let number = number.and_then(|number: u64| T::try_from(number).ok());
    number.ok_or("out of range".into())
}

/// malti-telemetry's documentation writes `90.0`.
pub(super) fn percent<T: TryFrom<u64>>(text: &str) -> Parsed<T> {
    match text.trim().split_once('.') {
        Some((whole, part)) if part.bytes().all(|byte| byte.is_ascii_digit()) => {
            integer(whole, 1..=100)
        }
        _ => integer(text, 1..=100),
    }
}

pub(super) fn seconds(text: &str, range: RangeInclusive<f64>) -> Parsed<Duration> {
    let text = text.trim();
    // `parse` alone would also take "inf", "nan" and "1e9".
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = text.parse().ok().filter(|_| plain);
    let number: f64 = number.ok_or("not a plain decimal number")?;
    let time = range
        .contains(&number)
        .then(|| Duration::try_from_secs_f64(number));
    time.and_then(Result::ok).ok_or("out of range".into())
}

pub(super) fn show_seconds(time: &Duration) -> String {
    time.as_secs_f64().to_string()
}

/// Empty is unset; anything else is for `parse`.
pub(super) fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Parsed<Option<T>> {
    match text.trim() {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

pub(super) fn show_optional<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

/// The items between commas, trimmed, without empty ones and repetitions.
pub(super) fn list<T: PartialEq>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut items = Vec::new();
    for item in text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        let item = parse(item)?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(items)
}

pub(super) fn show_list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    items.join(",")
}

/// What a type's own `FromStr` takes.
pub(super) fn parsed<T: FromStr<Err: ToString>>(text: &str) -> Parsed<T> {
    text.trim()
        .parse()
        .map_err(|error: T::Err| error.to_string().into())
}

pub(super) fn no_control_characters(text: &str) -> Parsed<String> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err("a control character".into());
    }
    Ok(text.to_owned())
}

/// The name of a service or a node. A longer one would be cut by the server, and then be another's.
pub(super) fn name(text: &str) -> Parsed<String> {
    if text.chars().nth(NAME_MAX).is_some() {
        return Err("too long".into());
    }
    no_control_characters(text)
}

pub(super) fn host_name() -> String {
    match gethostname::gethostname().to_string_lossy().trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// A key goes into a header, so that nothing but visible ASCII may be in it.
pub(super) fn api_key(text: &str) -> Parsed<Secret> {
    if text.len() > API_KEY_MAX {
        return Err("too long".into());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a character that is not visible ASCII".into());
    }
    Ok(Secret::new(text))
}

pub(super) fn api_key_file(text: &str) -> Parsed<Option<KeyFile>> {
    let Some(path) = path(text)? else {
        return Ok(None);
    };
    match read_key(&path)?.trim() {
        "" => Err("the file is empty".into()),
        key => {
            let key = api_key(key).map_err(|reason| format!("the file's text: {reason}"))?;
            Ok(Some(KeyFile { path, key }))
        }
    }
}

/// Reads no further than a key can go, as the path may be a device or a pipe.
fn read_key(path: &Path) -> Parsed<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(2 * API_KEY_MAX as u64).read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    Ok(text)
}

pub(super) fn path(text: &str) -> Parsed<Option<PathBuf>> {
    if text.contains('\0') {
        return Err("a NUL character".into());
    }
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

pub(super) fn directory(text: &str) -> Parsed<PathBuf> {
    match path(text)? {
        Some(path) if path.is_absolute() => Ok(path),
        _ => Err("not an absolute path".into()),
    }
}

pub(super) fn show_path(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}

pub(super) fn endpoint_pattern(text: &str) -> Parsed<String> {
    let fixed = text.strip_suffix('*').unwrap_or(text);
    if fixed.contains('*') {
        return Err(format!("{text:?} has a * that is not its last character").into());
    }
    no_control_characters(text)
}

pub(super) fn header_name(text: &str) -> Parsed<String> {
    if !is_token(text) {
        return Err(format!("{text:?} is not a header's name").into());
    }
    Ok(text.to_ascii_lowercase())
}

pub(super) fn network(text: &str) -> Parsed<IpNet> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse::<IpNet>().or_else(|_| address());
    let network = network.map_err(|_| format!("{text:?} is neither an address nor a network"))?;
    Ok(network.trunc())
}

pub(super) fn proxy(text: &str) -> Parsed<Proxy> {
    match text.trim() {
        "" => Ok(Proxy::Direct),
        text if text.eq_ignore_ascii_case("none") => Ok(Proxy::Direct),
        text => Ok(Proxy::Url(ProxyUrl::parse(text)?)),
    }
}

/// One product of a User-Agent header.
pub(super) fn product(text: &str) -> Parsed<String> {
    match text.split_once('/') {
        Some((name, version)) if is_token(name) && is_token(version) && text.len() <= 100 => {
            Ok(text.to_owned())
        }
        _ => Err("not a name and a version".into()),
    }
}

/// A token of RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let special = b"!#$%&'*+-.^_`|~";
    let token = |byte: u8| byte.is_ascii_alphanumeric() || special.contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}
