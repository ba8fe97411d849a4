//! Where records go: the value of the `url` setting.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use ureq::http::Uri;

/// Path of the ingest call, appended to the base URL.
const INGEST: &str = "/api/v1/ingest";

/// Where records go. `Display` gives the canonical form: equal destinations print equally, and it
/// never holds a secret, since user and password are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A Malti server.
    Http(BaseUrl),
    /// A file that gets one JSON record a line.
    File(PathBuf),
    /// Standard error, one JSON record a line.
    Stderr,
}

/// The base URL of a Malti server, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    https: bool,
    /// Lower case; IPv6 without brackets.
    host: String,
    port: u16,
    /// Empty or `/…`, never with a slash at its end.
    prefix: String,
}

impl Destination {
    /// Reads a value of `url`. A `file:` path is taken as it is, without percent-decoding.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(str::to_owned)
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(char::is_control) {
            return Err("control characters are not allowed");
        }
        let (scheme, rest) = text.split_once(':').ok_or("the scheme is missing")?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => BaseUrl::read(false, rest).map(Self::Http),
            "https" => BaseUrl::read(true, rest).map(Self::Http),
            "file" => file_path(rest).map(Self::File),
            "stderr" if rest.is_empty() => Ok(Self::Stderr),
            "stderr" => Err("nothing may follow stderr:"),
            _ => Err("the scheme is unknown"),
        }
    }

    /// Whether the key and the records would travel unencrypted to another machine.
    #[must_use]
    pub fn is_plain_http_to_remote(&self) -> bool {
        matches!(self, Self::Http(url) if !url.https && !url.is_loopback())
    }

    /// Scheme, host and port for a log line; a sink as it is.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Http(url) => url.origin(),
            sink => sink.to_string(),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => url.fmt(f),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stderr => f.write_str("stderr:"),
        }
    }
}

fn file_path(rest: &str) -> Result<PathBuf, &'static str> {
    let path = match rest.strip_prefix("//") {
        Some(after) if after.starts_with('/') => after,
        Some(_) => return Err("a file: URL takes no host"),
        None => rest,
    };
    // `file:///C:/logs/a.ndjson`: the slash before the drive belongs to the URL.
    let bare = path.strip_prefix('/').unwrap_or(path);
    let path = PathBuf::from(if cfg!(windows) && bare.get(1..2) == Some(":") {
        bare
    } else {
        path
    });
    if !path.is_absolute() {
        return Err("the path is not absolute");
    }
    if path.file_name().is_none() || rest.ends_with('/') {
        return Err("the path names no file");
    }
    Ok(path)
}

impl BaseUrl {
    fn read(https: bool, rest: &str) -> Result<Self, &'static str> {
        let rest = rest
            .strip_prefix("//")
            .ok_or("`//` must follow the scheme")?;
        for (bad, fault) in [
            ('?', "a query is not allowed"),
            ('#', "a fragment is not allowed"),
            ('@', "user and password are not allowed"),
            (' ', "blanks are not allowed"),
            ('\\', "a backslash is not allowed"),
        ] {
            if rest.contains(bad) {
                return Err(fault);
            }
        }
        if !rest.is_ascii() {
            return Err("only ASCII is allowed (punycode, %-encoding)");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)?;
        let url = Self {
            https,
            host,
            port: port.unwrap_or(default_port(https)),
            prefix: path.trim_end_matches('/').to_owned(),
        };
        // The HTTP library has the last word, so that it can't refuse the URL later.
        match url.ingest().parse::<Uri>() {
            Ok(_) => Ok(url),
            Err(_) => Err("it is not a valid URL"),
        }
    }

    /// Whether TLS is used.
    #[must_use]
    pub fn https(&self) -> bool {
        self.https
    }

    /// Host name in lower case, or address (IPv6 without brackets).
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the URL left it out.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The full address of the ingest call.
    #[must_use]
    pub fn ingest(&self) -> String {
        format!("{self}{INGEST}")
    }

    /// Scheme, host and port, without the prefix.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let host = bracketed(&self.host);
        if self.port == default_port(self.https) {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }

    /// Whether the host is this machine, as far as its name tells.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.prefix)
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// As it stands in a URL.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`, and checks both.
fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (ip, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
        let ip: Ipv6Addr = ip
            .parse()
            .map_err(|_| "it is no IPv6 address in the brackets")?;
        let port = match after.strip_prefix(':') {
            None if after.is_empty() => None,
            None => return Err("only a port may follow the bracket"),
            port => port,
        };
        (ip.to_string(), port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("IPv6 must be in brackets"),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() {
            return Err("the host is missing");
        }
        if !host.chars().all(plain) {
            return Err("the host has a character that is not allowed");
        }
        (host.to_ascii_lowercase(), port)
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err("the port is not in 1-65535"),
        },
        Some(_) => return Err("the port is not a number"),
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (given, canonical) in [
            ("http://localhost:8000", "http://localhost:8000"),
            ("HTTP://LocalHost:8000/", "http://localhost:8000"),
            ("http://a:80", "http://a"),
            ("https://a.example:443/malti//", "https://a.example/malti"),
            ("https://a.example:80", "https://a.example:80"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("http://[0:0:0:0:0:0:0:1]/p/q/", "http://[::1]/p/q"),
            ("http://10.0.0.1/%7Ea", "http://10.0.0.1/%7Ea"),
            ("http://under_score", "http://under_score"),
            ("stderr:", "stderr:"),
        ] {
            assert_eq!(
                Destination::parse(given).unwrap().to_string(),
                canonical,
                "{given}"
            );
        }
    }

    #[test]
    #[cfg(unix)]
    fn file_forms() {
        for given in ["file:/var/log/a b.ndjson", "file:///var/log/a b.ndjson"] {
            let destination = Destination::parse(given).unwrap();
            assert_eq!(destination, Destination::File("/var/log/a b.ndjson".into()));
            assert_eq!(destination.to_string(), "file:/var/log/a b.ndjson");
        }
    }

    #[test]
    fn refused_with_what_is_accepted() {
        for given in [
            "",
            "localhost:8000",
            "localhost",
            "ftp://a",
            "http:a",
            "http:/a",
            "http://",
            "http:///x",
            "http://:80",
            "http://a:",
            "http://a:0",
            "http://a:65536",
            "http://a:+1",
            "http://a:b",
            "http://a?x=1",
            "http://a/#f",
            "http://user:secret@a",
            "http://a b",
            "http://a/b c",
            "http://a/\r\nX-Evil: 1",
            "http://a\n",
            "http://::1",
            "http://[::1",
            "http://[::1]x",
            "http://[fe80::1%eth0]",
            "http://ä.example",
            "http://a\\b",
            "http://a,b",
            "http://a/\u{e4}",
            "file:",
            "file:relative",
            "file://host/path",
            "file:/",
            "file:/dir/",
            "file:/a\0b",
            "stderr:x",
            "stderr",
        ] {
            let error = Destination::parse(given).unwrap_err();
            assert!(!error.contains("secret"), "{given:?}: {error}");
        }
    }

    #[test]
    fn ingest_keeps_the_prefix() {
        for (given, ingest) in [
            ("http://a:1", "http://a:1/api/v1/ingest"),
            ("http://a:1/", "http://a:1/api/v1/ingest"),
            ("http://a:1/p/", "http://a:1/p/api/v1/ingest"),
        ] {
            let Destination::Http(url) = Destination::parse(given).unwrap() else {
                panic!("{given}")
            };
            assert_eq!(url.ingest(), ingest);
        }
    }

    #[test]
    fn plain_http_to_another_machine() {
        for (given, warned) in [
            ("http://malti.example", true),
            ("http://10.0.0.7:8000", true),
            ("http://[fd00::1]", true),
            ("https://malti.example", false),
            ("http://localhost:8000", false),
            ("http://api.localhost", false),
            ("http://127.0.0.53", false),
            ("http://[::1]:8000", false),
            ("stderr:", false),
        ] {
            assert_eq!(
                Destination::parse(given).unwrap().is_plain_http_to_remote(),
                warned,
                "{given}"
            );
        }
    }
}
