//! Who called: the rules by which a request's consumer is found. Pure.
//!
//! The sources are asked in the configured order and the first that has a value wins. A value is
//! trimmed of white space and C0 controls; one that is empty then counts as absent, wherever it
//! stands: an empty header line is as good as no line, so of a repeated header (or query parameter)
//! the first that is not empty counts.
//!
//! `tests/vectors/consumer.json` holds the rules as cases for every language.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::str::FromStr;

use ipnet::IpNet;

/// The consumer of a request that no source knows.
pub const ANONYMOUS: &str = "anonymous";

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where a consumer may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// What the application itself set for the request.
    State,
    /// One of [`Rules::headers`].
    Header,
    /// One of [`Rules::query`].
    Query,
    /// The client's address, if [`Rules::use_ip`] is on.
    Ip,
}

impl Source {
    const ALL: [Self; 4] = [Self::State, Self::Header, Self::Query, Self::Ip];

    /// The name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Header => "header",
            Self::Query => "query",
            Self::Ip => "ip",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Source {
    type Err = UnknownSource;

    /// Takes a name in any case.
    fn from_str(name: &str) -> Result<Self, UnknownSource> {
        Self::ALL
            .into_iter()
            .find(|source| source.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownSource(name.chars().take(40).collect()))
    }
}

/// A name that is no [`Source`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSource(String);

impl fmt::Display for UnknownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not one of state, header, query, ip", self.0)
    }
}

impl std::error::Error for UnknownSource {}

/// How consumers are found. [`Default`] is the documented default.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The sources, the first with a value wins.
    pub order: Vec<Source>,
    /// Header names, the most important first; compared without case.
    pub headers: Vec<String>,
    /// Query parameters, the most important first; compared with case.
    pub query: Vec<String>,
    /// Headers that fill the context, the most important first; compared without case.
    pub context_headers: Vec<String>,
    /// Whether [`Source::Ip`] has a value at all.
    pub use_ip: bool,
    /// Whether an address loses its last octet (IPv4) or its interface half (IPv6).
    pub anonymize: bool,
    /// The proxies whose `X-Forwarded-For` is believed. Empty: everybody's is.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Rules {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        Self {
            order: Source::ALL.to_vec(),
            headers: names(&["x-consumer-id", "x-user-id", "consumer-id", "user-id"]),
            query: names(&["consumer_id", "user_id"]),
            context_headers: Vec::new(),
            use_ip: false,
            anonymize: false,
            trusted_proxies: Vec::new(),
        }
    }
}

/// What a host knows of one request, raw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The application's own value, if it set one. Text: invalid UTF-8 becomes U+FFFD, as in a record.
    pub state: Option<&'a [u8]>,
    /// `name NUL value NUL …`, raw bytes in order of arrival. Values are UTF-8 where valid, else Latin-1.
    pub headers: &'a [u8],
    /// The raw query string, without `?`.
    pub query: &'a [u8],
    /// The other end of the connection: an address, with or without port. Anything else is no address.
    pub peer: &'a [u8],
}

impl Rules {
    /// The consumer of a request: trimmed, never empty, not cut. Borrows from the request where it can.
    pub fn consumer<'a>(&self, request: &Request<'a>) -> Cow<'a, str> {
        self.consumer_of(request, pairs(request.headers))
    }

    /// The same with these headers in place of the request's.
    pub(crate) fn consumer_of<'a>(
        &self,
        request: &Request<'a>,
        headers: impl Headers<'a>,
    ) -> Cow<'a, str> {
        self.order
            .iter()
            .find_map(|source| match source {
                Source::State => trimmed(String::from_utf8_lossy(request.state?)),
                Source::Header => header(&self.headers, headers.clone()),
                Source::Query if request.query.is_empty() => None,
                Source::Query => first_of(
                    &self.query,
                    form_urlencoded::parse(request.query),
                    |wanted, name| wanted == name,
                    trimmed,
                ),
                Source::Ip if self.use_ip => self
                    .client(request.peer, headers.clone())
                    .map(|ip| self.show(ip).into()),
                Source::Ip => None,
            })
            .unwrap_or(Cow::Borrowed(ANONYMOUS))
    }

    /// Whether a header of this name can make a difference, here or to [`context`](Self::context).
    pub fn reads(&self, name: &[u8]) -> bool {
        let is_of = |names: &[String]| names.iter().any(|wanted| same_name(wanted, name));
        is_of(&self.headers)
            || is_of(&self.context_headers)
            || (self.use_ip && same_name(FORWARDED_FOR, name))
    }

    /// The names that [`reads`](Self::reads) takes, in small letters.
    pub fn names(&self) -> Vec<String> {
        let own = self.headers.iter().chain(&self.context_headers);
        own.map(|name| name.to_ascii_lowercase())
            .chain(self.use_ip.then(|| FORWARDED_FOR.to_owned()))
            .collect()
    }

    /// The context that the headers (as in [`Request::headers`]) give, if [`Rules::context_headers`]
    /// names one that has a value.
    pub fn context<'a>(&self, headers: &'a [u8]) -> Option<Cow<'a, str>> {
        self.context_of(pairs(headers))
    }

    pub(crate) fn context_of<'a>(&self, headers: impl Headers<'a>) -> Option<Cow<'a, str>> {
        header(&self.context_headers, headers)
    }

    /// The client's address. `X-Forwarded-For` is one list however many lines it came in; empty
    /// elements are skipped.
    ///
    /// With trusted proxies an entry counts only if all to its right were written by them, so the
    /// first one from the right that is not theirs ends the search. If it is no address, or if every
    /// entry is theirs, the peer's stands.
    fn client<'a>(&self, peer: &[u8], headers: impl Headers<'a>) -> Option<IpAddr> {
        let peer = address(peer);
        let mut forwarded = headers
            .filter(|(name, _)| same_name(FORWARDED_FOR, name))
            .flat_map(|(_, value)| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|entry| !entry.is_empty())
            .map(address);
        let claimed = if self.trusted_proxies.is_empty() {
            forwarded.next().flatten()
        } else if self.trusts(peer) {
            forwarded
                .filter(|&entry| !self.trusts(entry))
                .last()
                .flatten()
        } else {
            None
        };
        claimed.or(peer)
    }

    fn trusts(&self, ip: Option<IpAddr>) -> bool {
        ip.is_some_and(|ip| self.trusted_proxies.iter().any(|net| net.contains(&ip)))
    }

    fn show(&self, ip: IpAddr) -> String {
        match ip {
            _ if !self.anonymize => ip.to_string(),
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                format!("{a}.{b}.{c}.xxx")
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                format!("{a:04x}:{b:04x}:{c:04x}:{d:04x}:xxxx:xxxx:xxxx:xxxx")
            }
        }
    }
}

/// Names and values in order of arrival, as in [`Request::headers`].
pub(crate) trait Headers<'a>: Iterator<Item = (&'a [u8], &'a [u8])> + Clone {}

impl<'a, T: Iterator<Item = (&'a [u8], &'a [u8])> + Clone> Headers<'a> for T {}

/// Those of a header block. A name without a value at its end is ignored.
pub(crate) fn pairs(headers: &[u8]) -> impl Headers<'_> {
    let mut rest = headers;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_at(memchr::memchr(0, rest)?);
        let after = &after[1..];
        let end = memchr::memchr(0, after).unwrap_or(after.len());
        rest = after.get(end + 1..).unwrap_or_default();
        Some((name, &after[..end]))
    })
}

fn header<'a>(names: &[String], headers: impl Headers<'a>) -> Option<Cow<'a, str>> {
    first_of(
        names,
        headers,
        |wanted, name| same_name(wanted, name),
        |value| trimmed(utf8_or_latin1(value)),
    )
}

/// Without case. In most requests the case is the same, too.
#[inline]
fn same_name(wanted: &str, name: &[u8]) -> bool {
    let wanted = wanted.as_bytes();
    wanted.len() == name.len() && (wanted == name || wanted.eq_ignore_ascii_case(name))
}

/// The value of the first of `names` that has one, in one pass: once a name has a value, only better
/// names are looked for.
fn first_of<N, V, T>(
    names: &[String],
    mut pairs: impl Iterator<Item = (N, V)>,
    same: impl Fn(&str, &N) -> bool,
    value_of: impl Fn(V) -> Option<T>,
) -> Option<T> {
    let mut better = names;
    let mut best = None;
    // Without a name to look for no pair is even cut out.
    while !better.is_empty()
        && let Some((name, value)) = pairs.next()
    {
        if let Some(rank) = better.iter().position(|wanted| same(wanted, &name))
            && let Some(found) = value_of(value)
        {
            better = &better[..rank];
            best = Some(found);
        }
    }
    best
}

fn utf8_or_latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// `None` when nothing is left. Controls go too: a record drops them, and a consumer that is empty
/// only there would hide the next source.
fn trimmed(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    // Nothing to trim, in most values.
    if let (Some(first), Some(last)) = (text.as_bytes().first(), text.as_bytes().last())
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return Some(text);
    }
    let blank = |c: char| c.is_whitespace() || c < ' ';
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(blank)),
        Cow::Owned(text) => match text.trim_matches(blank) {
            inner if inner.len() == text.len() => Cow::Owned(text),
            inner => Cow::Owned(inner.to_owned()),
        },
    };
    (!text.is_empty()).then_some(text)
}

/// An address as proxies and servers write it: `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`,
/// `[2001:db8::1]:80`, each IPv6 form also with a zone. Port and zone are dropped: neither says who
/// called. An IPv4-mapped address is the IPv4 address.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if let Some(text) = text.strip_prefix('[') {
        let (ip, port) = text.split_once(']')?;
        return if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) {
            ipv6(ip)
        } else {
            None
        };
    }
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Some(v4.into());
    }
    if let Ok(v4) = text.parse::<SocketAddrV4>() {
        return Some((*v4.ip()).into());
    }
    ipv6(text)
}

/// Digits alone: `u16::from_str` would take a sign.
fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn ipv6(text: &str) -> Option<IpAddr> {
    let ip = text.split_once('%').map_or(text, |(ip, _zone)| ip);
    Some(ip.parse::<Ipv6Addr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(headers: &[u8]) -> String {
        let request = Request {
            headers,
            ..Request::default()
        };
        Rules::default().consumer(&request).into_owned()
    }

    #[test]
    fn sources_by_name() {
        for source in Source::ALL {
            assert_eq!(source.to_string().parse(), Ok(source));
        }
        assert_eq!("IP".parse(), Ok(Source::Ip));
        let error = "cookie".parse::<Source>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "'cookie' is not one of state, header, query, ip"
        );
        let error = "x".repeat(10_000).parse::<Source>().unwrap_err();
        assert!(error.to_string().len() < 100);
    }

    #[test]
    fn only_headers_that_are_read_matter() {
        let mut rules = Rules::default();
        let names = [
            "X-User-ID",
            "x-request-id",
            "X-Forwarded-For",
            "x-user-i",
            "",
        ];
        let read = |rules: &Rules| names.map(|name| rules.reads(name.as_bytes()));
        assert_eq!(read(&rules), [true, false, false, false, false]);
        rules.use_ip = true;
        rules.context_headers = vec!["X-Request-Id".into()];
        assert_eq!(read(&rules), [true, true, true, false, false]);
    }

    #[test]
    fn malformed_header_blocks() {
        for (block, expect) in [
            (&b""[..], ANONYMOUS),
            (b"\0", ANONYMOUS),
            (b"\0\0\0\0\0", ANONYMOUS),
            (b"x-user-id", ANONYMOUS),
            (b"x-user-id\0", ANONYMOUS),
            (b"x-user-id\0u1", "u1"),
            (b"x-user-id\0u1\0x-consumer-id", "u1"),
            (b"x-user-id\0u1\0\0", "u1"),
            (b"\0\0x-user-id\0u1\0", "u1"),
            (b"\xff\xfe\0\xff\0X-USER-ID\0u1\0", "u1"),
        ] {
            assert_eq!(consumer(block), expect, "{block:?}");
        }
    }

    #[test]
    fn borrows_what_needs_no_decoding() {
        let rules = Rules::default();
        let by_state = Request {
            state: Some(b" s "),
            ..Request::default()
        };
        let by_header = Request {
            headers: b"x-user-id\0 u \0",
            ..Request::default()
        };
        let by_query = Request {
            query: b"a=%20&user_id=q",
            ..Request::default()
        };
        for request in [by_state, by_header, by_query, Request::default()] {
            assert!(matches!(rules.consumer(&request), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn state_is_text_like_a_record_field() {
        let request = Request {
            state: Some(b"Zo\xeb"),
            ..Request::default()
        };
        assert_eq!(Rules::default().consumer(&request), "Zo\u{fffd}");
    }

    #[test]
    fn large_values() {
        let big = vec![b'a'; 10 << 20];
        let mut headers = b"x-consumer-id\0".to_vec();
        headers.extend_from_slice(&big);
        assert_eq!(consumer(&headers).len(), big.len());

        let latin1 = [b"x-consumer-id\0", &vec![0xeb; 1 << 20][..]].concat();
        assert_eq!(consumer(&latin1).chars().count(), 1 << 20);

        let blank = [
            b"x-consumer-id\0",
            &vec![b' '; 1 << 20][..],
            b"\0user-id\0u\0",
        ]
        .concat();
        assert_eq!(consumer(&blank), "u");

        let forwarded = [b"x-forwarded-for\0", &b"10.0.0.1,".repeat(1 << 17)[..]].concat();
        let rules = Rules {
            use_ip: true,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Rules::default()
        };
        let request = Request {
            headers: &forwarded,
            peer: b"10.0.0.2",
            ..Request::default()
        };
        assert_eq!(rules.consumer(&request), "10.0.0.2");
    }

    #[test]
    fn random_bytes_never_panic_and_never_give_nothing() {
        let mut rng = fastrand::Rng::with_seed(7);
        let alphabet = b"\0\0x-user-id:forwd=&%+ ,.[]12fe\xff\xc3\xab";
        let rules = Rules {
            use_ip: true,
            anonymize: true,
            context_headers: vec!["x".into()],
            ..Rules::default()
        };
        for _ in 0..5_000 {
            let mut bytes = || -> Vec<u8> {
                (0..rng.usize(..40))
                    .map(|_| alphabet[rng.usize(..alphabet.len())])
                    .collect()
            };
            let (state, mut headers, query, peer) = (bytes(), bytes(), bytes(), bytes());
            headers.extend_from_slice(b"\0x-forwarded-for\0");
            headers.extend(bytes());
            let request = Request {
                state: Some(&state),
                headers: &headers,
                query: &query,
                peer: &peer,
            };
            assert!(!rules.consumer(&request).is_empty());
            rules.context(&headers);
        }
    }
}
