//! The smallest forms of what other modules bring; goes away when they are there.
#![allow(missing_docs, dead_code)]

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    State,
    Header,
    Query,
    Ip,
}

impl FromStr for Source {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "state" => Ok(Self::State),
            "header" => Ok(Self::Header),
            "query" => Ok(Self::Query),
            "ip" => Ok(Self::Ip),
            _ => Err(format!("{text:?} is not a source")),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::State => "state",
            Self::Header => "header",
            Self::Query => "query",
            Self::Ip => "ip",
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    Http(String),
    File(PathBuf),
    Stderr,
}

impl Destination {
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "stderr:" {
            Ok(Self::Stderr)
        } else if let Some(path) = text.strip_prefix("file:") {
            Ok(Self::File(path.into()))
        } else if text.starts_with("http://") || text.starts_with("https://") {
            Ok(Self::Http(text.trim_end_matches('/').into()))
        } else {
            Err(format!("{text:?} has no scheme"))
        }
    }

    pub fn is_plain_http_to_remote(&self) -> bool {
        matches!(self, Self::Http(url) if url.starts_with("http://")
            && !url.contains("localhost") && !url.contains("127.0.0.1"))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(url),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stderr => f.write_str("stderr:"),
        }
    }
}

pub fn write_stderr(line: &[u8]) {
    let _ = std::io::stderr().write_all(line);
}
