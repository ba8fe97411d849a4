//! One POST: to the Malti server by ureq, or to a `file:` / `stderr:` sink.

use std::time::Duration;

/// What answered a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, seconds or date, as a pause from now. Not capped.
    pub retry_after: Option<Duration>,
    /// The body, at most 64 KiB.
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

/// Where an attempt without an answer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The name could not be resolved.
    Dns,
    /// The server refused the connection.
    Refused,
    /// No connection otherwise: unreachable, reset, timed out while connecting.
    Connect,
    /// The TLS handshake failed.
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
