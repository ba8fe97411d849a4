//! The client: owns settings, buffer and sender.

mod control;
mod record;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use control::WAIT_MAX;
pub(crate) use record::RawCall;

use crate::config::Config;
use crate::ledger::Stats;
use crate::log::{Logger, Sink};
use crate::record::kept;
use crate::shell::Shell;
use crate::sys;
use crate::transport::Origin;

/// One request to record. Text is cut to what the server keeps; nothing in it can harm the batch it travels in.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// HTTP method; required.
    pub method: &'a str,
    /// Route pattern in normal form (see [`crate::route`]), else the path; empty: `/`.
    pub endpoint: &'a str,
    /// HTTP status, 100–999.
    pub status: u16,
    /// From the request's arrival to the end of the response body.
    pub response_time: Duration,
    /// Who called (see [`crate::consumer`]); `None` or empty: `anonymous`.
    pub consumer: Option<&'a str>,
    /// Free text.
    pub context: Option<&'a str>,
    /// When the response ended; `None`: now. 1970–9999.
    pub created_at: Option<SystemTime>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Kept, and counted as `recorded`.
    Kept,
    /// Left out by clean mode or `exclude_endpoints`; counted as `filtered`.
    Filtered,
    /// The client is switched off, or has no API key.
    Disabled,
    /// The client is shut down.
    NotRunning,
    /// The named field can't be recorded; counted as `invalid`.
    Invalid(&'static str),
    /// No memory; counted as `invalid`.
    NoMemory,
}

/// Why a flush did not end with everything delivered or counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushError {
    /// The time was up. Delivery goes on.
    TimedOut,
    /// The server refuses this key, service or address; the records are kept.
    Rejected,
    /// No thread could be started to send; the records are kept.
    NoThread,
    /// Called from inside the log callback.
    WouldDeadlock,
    /// The client is shut down.
    NotRunning,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FlushError::TimedOut => "the time was up; delivery goes on",
            FlushError::Rejected => {
                "the server refuses this key, service or address; the records are kept"
            }
            FlushError::NoThread => "no thread could be started to send; the records are kept",
            FlushError::WouldDeadlock => "not allowed inside the log callback",
            FlushError::NotRunning => "the client is not running",
        })
    }
}

impl std::error::Error for FlushError {}

/// A client of its own, for Rust hosts. Any thread may use it; dropping it shuts it down within `shutdown_timeout`.
///
/// The C ABI has one process-wide client, which also survives fork; this one is plain memory and must not be used in
/// a forked child.
#[derive(Debug)]
pub struct Client {
    shell: Arc<Shell>,
    shutdown_timeout: Duration,
}

impl Client {
    /// Starts a client. No network I/O: the sender's thread starts at the first record.
    ///
    /// # Errors
    /// A file that the settings name can't be used; the text names the key.
    pub fn start(config: Config) -> Result<Client, String> {
        let logger = Logger::new(config.log, Sink::Stderr);
        Client::start_with(config, logger)
    }

    /// The same with log lines of one's own.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(config: Config, logger: Logger) -> Result<Client, String> {
        let shutdown_timeout = config.shutdown_timeout;
        let shell = Shell::new();
        shell.open(Arc::new(config), Arc::new(logger), Origin::default())?;
        shell.say_deferred();
        Ok(Client {
            shell,
            shutdown_timeout,
        })
    }

    /// Records one request. Never blocks on I/O and never fails the caller.
    pub fn record(&self, record: &Record<'_>) -> Recorded {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let created_at = match record.created_at.map(|t| t.duration_since(UNIX_EPOCH)) {
            None => sys::now_us(),
            Some(Ok(since)) => i64::try_from(micros(since)).unwrap_or(i64::MAX),
            Some(Err(_)) => -1,
        };
        self.shell.record(RawCall {
            method: kept(record.method.as_bytes()),
            endpoint: kept(record.endpoint.as_bytes()),
            status: i32::from(record.status),
            response_time_us: micros(record.response_time),
            consumer: kept(record.consumer.unwrap_or_default().as_bytes()),
            context: kept(record.context.unwrap_or_default().as_bytes()),
            created_at_us: created_at,
        })
    }

    /// Waits until everything recorded before the call is delivered or counted.
    ///
    /// # Errors
    /// See [`FlushError`]; nothing is lost by any of them.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.shell.flush(timeout)
    }

    /// Delivers what it can until the time is up, then stops. More than an hour counts as an hour. Returns the final
    /// ledger.
    pub fn shutdown(self, timeout: Duration) -> Stats {
        self.end(timeout);
        self.shell.stats()
    }

    fn end(&self, timeout: Duration) {
        if let Some(log) = self.shell.shutdown(timeout) {
            log.drain();
        }
    }

    /// An exact snapshot of the ledger.
    pub fn stats(&self) -> Stats {
        self.shell.stats()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end(self.shutdown_timeout);
    }
}
