//! One POST: to the Malti server by ureq, or to a `file:` / `stderr:` sink.
//!
//! A [`Transport`] lives as long as its settings. The sender takes a [`Round`] from it for each burst of
//! batches and drops it afterwards, which closes every connection.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

mod destination;
mod http;
mod origin;
mod probe;
mod proxy;
mod resolver;
mod sinks;
mod tls;
mod trust;

#[cfg(test)]
mod tests;

use rustls::ClientConfig;

pub use destination::{BaseUrl, Destination};
pub(crate) use origin::{Legacy, Origin};
pub use trust::Roots;

use crate::wire::Framing;

/// What a [`Transport`] is made from. It holds the key, so there is no `Debug`.
#[derive(Clone)]
pub struct Settings {
    /// Where to.
    pub destination: Destination,
    /// Sent as `X-API-Key`. Not used by sinks.
    pub api_key: String,
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// The most that one post takes, from the name lookup to the end of the answer.
    pub http_timeout: Duration,
    /// Idle connections kept within a round.
    pub max_keepalive_connections: usize,
    /// PEM file with further roots.
    pub ca_file: Option<PathBuf>,
    /// `SSL_CERT_FILE`: replaces the platform's trust store.
    pub ssl_cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`, one or several directories: as above.
    pub ssl_cert_dir: Option<PathBuf>,
    /// Proxy for this destination, `http://[user:password@]host[:port]`.
    pub proxy: Option<String>,
    /// Hosts that are reached directly, in the form of `NO_PROXY`. Loopback always is.
    pub no_proxy: String,
    /// This process was forked from one that used the library: `known_addresses` are tried before the
    /// name service, and on Apple systems only the bundled roots are used.
    pub forked: bool,
    /// [`Transport::good_addresses`] of an earlier transport; they stand in when the lookup fails.
    pub known_addresses: Vec<SocketAddr>,
    /// [`Transport::roots`] of an earlier transport, instead of reading the files again.
    pub known_roots: Option<Arc<Roots>>,
}

/// The way to one destination.
pub struct Transport(Way);

enum Way {
    Http(Arc<http::Server>),
    Sink(Arc<sinks::Sink>),
}

impl Transport {
    /// Checks the settings. Reads the files with certificates, but touches no network and starts no thread.
    ///
    /// # Errors
    /// One line that begins with the key of the setting at fault.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let timeout = settings.http_timeout;
        Ok(Self(match &settings.destination {
            Destination::Http(url) => Way::Http(Arc::new(http::Server::new(url, &settings)?)),
            Destination::File(path) => {
                Way::Sink(Arc::new(sinks::Sink::file(path.clone(), timeout)))
            }
            Destination::Stderr => Way::Sink(Arc::new(sinks::Sink::stderr(timeout))),
        }))
    }

    /// Begins a round. Its clones share their connections.
    #[must_use]
    pub fn round(&self) -> Round {
        let aborted = Arc::new(AtomicBool::new(false));
        let line = match &self.0 {
            Way::Http(server) => Line::Http(server.round(Arc::clone(&aborted))),
            Way::Sink(sink) => Line::Sink(Arc::clone(sink)),
        };
        Round { line, aborted }
    }

    /// What [`Round::post`] expects as a body.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match &self.0 {
            Way::Http(_) => Framing::Envelope,
            Way::Sink(_) => Framing::Lines,
        }
    }

    /// The addresses that last led to an answer. Empty before the first, for sinks, and where the
    /// host was given as an address.
    #[must_use]
    pub fn good_addresses(&self) -> Vec<SocketAddr> {
        match &self.0 {
            Way::Http(server) => server.good_addresses(),
            Way::Sink(_) => Vec::new(),
        }
    }

    /// Whom connections go to; `None` for sinks.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match &self.0 {
            Way::Http(server) => Some(server.peer()),
            Way::Sink(_) => None,
        }
    }

    /// The TLS configuration of connections to an `https` server.
    ///
    /// # Errors
    /// Certificate authorities that were asked for could not be read.
    pub fn tls(&self) -> Result<Option<Arc<ClientConfig>>, String> {
        match &self.0 {
            Way::Http(server) => server.tls(),
            Way::Sink(_) => Ok(None),
        }
    }

    /// The certificates that were read in files.
    #[must_use]
    pub fn roots(&self) -> Option<&Arc<Roots>> {
        match &self.0 {
            Way::Http(server) => Some(server.roots()),
            Way::Sink(_) => None,
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("framing", &self.framing())
            .finish_non_exhaustive()
    }
}

/// The other end of connections: the server, or the proxy before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// It is a proxy.
    pub proxy: bool,
}

/// A burst of posts that share connections. Any thread may use a clone.
#[derive(Clone)]
pub struct Round {
    line: Line,
    aborted: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Line {
    Http(http::Line),
    Sink(Arc<sinks::Sink>),
}

impl Round {
    /// Delivers one body, built as [`Transport::framing`] says. `gzip` compresses it, sinks excepted.
    ///
    /// A request on a kept connection that the server closed before it answered is tried once more on
    /// a new one, within the same time.
    ///
    /// # Errors
    /// A [`Failure`] when nothing answered. Every HTTP status is an [`Answer`], a redirect too: it is
    /// not followed.
    pub fn post(&self, body: &[u8], gzip: bool) -> Result<Answer, Failure> {
        if self.aborted.load(Ordering::Acquire) {
            return Err(Failure::aborted(false));
        }
        match &self.line {
            Line::Http(line) => line.post(body, gzip),
            Line::Sink(sink) => sink.append(body, &self.aborted),
        }
    }

    /// Ends the posts of every clone, for good: those that wait for a name or for the server return
    /// [`FailureKind::Aborted`] at once, later ones too. Only a TCP connect under way (10 s at most)
    /// and a blocking write to a sink run on.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        if let Line::Http(line) = &self.line {
            line.abort();
        }
    }
}

/// What answered a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, seconds or date, as a pause from now. Not capped.
    pub retry_after: Option<Duration>,
    /// `Date`: the server's clock, in whole seconds.
    pub date: Option<SystemTime>,
    /// `Location`, where a redirect would lead.
    pub location: Option<String>,
    /// The body, at most 64 KiB; less than the server meant to send if the connection broke.
    pub body: Vec<u8>,
}

/// Why nothing answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it failed.
    pub kind: FailureKind,
    /// Whether any byte of the request may have reached the server.
    pub sent: bool,
    /// One line for a person, without the key.
    pub text: String,
}

impl Failure {
    fn aborted(sent: bool) -> Self {
        Self {
            kind: FailureKind::Aborted,
            sent,
            text: "stopped before an answer came".to_owned(),
        }
    }
}

/// Where an attempt without an answer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The name could not be resolved.
    Dns,
    /// The server (or the proxy) refused the connection.
    Refused,
    /// No connection otherwise: unreachable, reset, timed out while connecting.
    Connect,
    /// The TLS handshake failed, or a TLS record was refused.
    Tls,
    /// The proxy refused (407 and its like): a configuration fault.
    Proxy,
    /// The request's time ran out.
    Timeout,
    /// Reading, writing, or an answer that is not HTTP.
    Io,
    /// [`Round::abort`] was called.
    Aborted,
}
