//! The client: owns settings, buffer and sender.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::buffer::{Buffer, Limits, Push};
use crate::config::Config;
use crate::ledger::{State, Stats};
use crate::log::{self, Level, Logger, Sink};
use crate::record::{CREATED_AT_MAX_US, FIELD_MAX, RESPONSE_TIME_MAX_MS, RawRecord};
use crate::sender;
use crate::sys;
use crate::transport::{Round, Transport};

/// A wait of more than this counts as this.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// A thread that could not be had is not asked for again sooner.
const THREAD_RETRY: Duration = Duration::from_secs(1);
const SENDER_STACK: usize = 512 * 1024;

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
    core: Arc<Core>,
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
        let core = Core::new();
        core.open(Arc::new(config), Arc::new(logger))?;
        Ok(Client {
            core,
            shutdown_timeout,
        })
    }

    /// Records one request. Never blocks on I/O and never fails the caller.
    pub fn record(&self, record: &Record<'_>) -> Recorded {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let created_at = match record.created_at.map(|t| t.duration_since(UNIX_EPOCH)) {
            None => 0,
            // The first microsecond stands in for the epoch itself, which would read as "now".
            Some(Ok(since)) => i64::try_from(micros(since)).unwrap_or(i64::MAX).max(1),
            Some(Err(_)) => -1,
        };
        self.core.record(&RawCall {
            method: record.method.as_bytes(),
            endpoint: record.endpoint.as_bytes(),
            status: i32::from(record.status),
            response_time_us: micros(record.response_time),
            consumer: record.consumer.unwrap_or_default().as_bytes(),
            context: record.context.unwrap_or_default().as_bytes(),
            created_at_us: created_at,
        })
    }

    /// Waits until everything recorded before the call is delivered or counted.
    ///
    /// # Errors
    /// See [`FlushError`]; nothing is lost by any of them.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.core.flush(timeout)
    }

    /// Delivers what it can until the time is up, then stops. More than an hour counts as an hour. Returns the final
    /// ledger.
    pub fn shutdown(self, timeout: Duration) -> Stats {
        self.core.shutdown(timeout);
        self.core.stats()
    }

    /// An exact snapshot of the ledger.
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.core.shutdown(self.shutdown_timeout);
    }
}

/// The arguments of one call, unchecked.
#[derive(Clone, Copy)]
pub(crate) struct RawCall<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) endpoint: &'a [u8],
    pub(crate) status: i32,
    pub(crate) response_time_us: u64,
    pub(crate) consumer: &'a [u8],
    pub(crate) context: &'a [u8],
    /// 0: now.
    pub(crate) created_at_us: i64,
}

/// What belongs to one life of a client, from its opening to its end.
pub(crate) struct Life {
    pub(crate) epoch: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) log: Arc<Logger>,
    /// Absent while disabled.
    pub(crate) transport: Option<Transport>,
    /// The request that shutdown aborts.
    pub(crate) round: Mutex<Option<Round>>,
    /// Fields of bad calls that were complained of.
    complaints: Mutex<Vec<&'static str>>,
}

/// The shell of a client: it can be opened and shut down again and again.
pub(crate) struct Core {
    me: Weak<Core>,
    pub(crate) buffer: Buffer,
    life: Mutex<Option<Arc<Life>>>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new() -> Arc<Core> {
        Arc::new_cyclic(|me| Core {
            me: me.clone(),
            buffer: Buffer::new(),
            life: Mutex::new(None),
        })
    }

    /// Begins a life.
    pub(crate) fn open(&self, config: Arc<Config>, log: Arc<Logger>) -> Result<(), String> {
        let transport = if config.is_enabled() {
            Some(Transport::new(config.transport())?)
        } else {
            None
        };
        for warning in config.startup_warnings() {
            log.log(Level::Warn, &warning);
        }
        let epoch = if transport.is_some() {
            self.buffer.open(&Limits {
                records: config.buffer_size,
                bytes: config.buffer_bytes,
                batch_size: config.batch_records(),
                clean_mode: config.clean_mode,
                exclude: config.exclude_endpoints.iter().cloned().collect(),
            })
        } else {
            0
        };
        let life = Life {
            epoch,
            config,
            log,
            transport,
            round: Mutex::new(None),
            complaints: Mutex::default(),
        };
        *self.life_slot() = Some(Arc::new(life));
        Ok(())
    }

    fn life_slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Life>>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life that runs, or ran last.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        self.life_slot().clone()
    }

    /// Records one request: checks, the clock, a copy under an uncontended lock.
    #[inline]
    pub(crate) fn record(&self, call: &RawCall<'_>) -> Recorded {
        if call.method.is_empty() {
            return self.complain("method", || "it is missing or empty".to_owned());
        }
        if !(100..=999).contains(&call.status) {
            return self.complain("status", || format!("{} is not in 100–999", call.status));
        }
        if !(0..=CREATED_AT_MAX_US).contains(&call.created_at_us) {
            return self.complain("created_at", || {
                format!(
                    "{} is not in 1970–9999 (microseconds since 1970 UTC)",
                    call.created_at_us
                )
            });
        }
        let record = RawRecord {
            method: kept(call.method),
            endpoint: kept(call.endpoint),
            status: call.status as u16,
            response_time_ms: (call.response_time_us / 1000).min(u64::from(RESPONSE_TIME_MAX_MS))
                as u32,
            consumer: kept(call.consumer),
            context: kept(call.context),
            created_at_us: if call.created_at_us == 0 {
                now_us()
            } else {
                call.created_at_us
            },
        };
        match self.buffer.push(&record) {
            Push::Kept => Recorded::Kept,
            pushed => self.unusual(pushed),
        }
    }

    #[cold]
    fn unusual(&self, pushed: Push) -> Recorded {
        match pushed {
            Push::Kept => Recorded::Kept,
            Push::KeptWake => {
                self.buffer.wake();
                Recorded::Kept
            }
            Push::KeptNoSender => {
                self.ensure_sender();
                Recorded::Kept
            }
            Push::Filtered => Recorded::Filtered,
            Push::Closed => self.why_closed(),
            Push::NoMemory => {
                self.buffer.count_invalid();
                Recorded::NoMemory
            }
        }
    }

    fn why_closed(&self) -> Recorded {
        match self.life() {
            Some(life) if life.transport.is_none() => Recorded::Disabled,
            _ => Recorded::NotRunning,
        }
    }

    /// Counts a call that can't be recorded, and says once per field what is wrong with it.
    #[cold]
    pub(crate) fn complain(&self, field: &'static str, why: impl FnOnce() -> String) -> Recorded {
        let Some(life) = self
            .life()
            .filter(|life| self.buffer.central().epoch == life.epoch)
        else {
            return self.why_closed();
        };
        self.buffer.count_invalid();
        let mut said = life
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&field) {
            said.push(field);
            drop(said);
            let why = why();
            life.log.log(
                Level::Warn,
                format_args!("a call of record was refused: {field}: {why} (said once)"),
            );
        }
        Recorded::Invalid(field)
    }

    /// Starts the sender's thread where this life has none yet.
    #[cold]
    pub(crate) fn ensure_sender(&self) -> bool {
        let Some((life, core)) = self.life().zip(self.me.upgrade()) else {
            return false;
        };
        let mut central = self.buffer.central();
        if central.epoch != life.epoch {
            return false;
        }
        if central.sender_epoch != Some(life.epoch) {
            let now = Instant::now();
            if central.no_thread_until.is_some_and(|until| now < until) {
                return false;
            }
            let for_thread = life.clone();
            if let Err(error) = sys::spawn("malti-sender", SENDER_STACK, move || {
                sender::run(core, for_thread)
            }) {
                let first = central
                    .no_thread_until
                    .replace(now + THREAD_RETRY)
                    .is_none();
                drop(central);
                if first {
                    life.log.log(
                        Level::Error,
                        &format!("no thread to send with ({error}): records are kept"),
                    );
                }
                return false;
            }
            central.sender_epoch = Some(life.epoch);
        }
        drop(central);
        self.buffer.sender_runs();
        true
    }

    /// Marks everything recorded so far and asks the sender to try at once.
    pub(crate) fn flush_begin(&self) -> Result<u64, FlushError> {
        if log::in_callback() {
            return Err(FlushError::WouldDeadlock);
        }
        self.buffer.seal();
        let mut central = self.buffer.central();
        if !central.running {
            return Err(FlushError::NotRunning);
        }
        let mark = central.mark();
        if central.settled(mark) {
            return Ok(mark);
        }
        central.flush_mark = mark;
        central.refused_mark = 0;
        central.flushes += 1;
        self.buffer.notify(&mut central);
        drop(central);
        if self.ensure_sender() {
            Ok(mark)
        } else {
            Err(FlushError::NoThread)
        }
    }

    /// Waits until everything before `mark` is delivered or counted.
    pub(crate) fn flush_wait(&self, mark: u64, timeout: Duration) -> Result<(), FlushError> {
        if log::in_callback() {
            return Err(FlushError::WouldDeadlock);
        }
        let deadline = Instant::now() + timeout.min(WAIT_MAX);
        let mut central = self.buffer.central();
        let epoch = central.epoch;
        loop {
            if !central.running || central.epoch != epoch {
                return Err(FlushError::NotRunning);
            }
            if central.settled(mark) {
                return Ok(());
            }
            if central.refused_mark >= mark {
                return Err(FlushError::Rejected);
            }
            let Some(left) = deadline
                .checked_duration_since(Instant::now())
                .filter(|l| !l.is_zero())
            else {
                return Err(FlushError::TimedOut);
            };
            central = self.buffer.wait_for_progress(central, left);
        }
    }

    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.flush_wait(self.flush_begin()?, timeout)
    }

    /// Ends the life: delivers until the time is up, then counts what is left as lost.
    pub(crate) fn shutdown(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout.min(WAIT_MAX);
        let Some(life) = self.life() else { return };
        self.buffer.close();
        let mut central = self.buffer.central();
        if !central.running || central.epoch != life.epoch || central.stop_at.is_some() {
            return;
        }
        central.stop_at = Some(deadline);
        self.buffer.notify(&mut central);
        if !central.is_empty() && !timeout.is_zero() {
            drop(central);
            let has_sender = self.ensure_sender();
            central = self.buffer.central();
            while has_sender && !central.is_empty() && !central.gave_up {
                let Some(left) = deadline
                    .checked_duration_since(Instant::now())
                    .filter(|l| !l.is_zero())
                else {
                    break;
                };
                central = self.buffer.wait_for_progress(central, left);
            }
        }
        central.end();
        self.buffer.notify(&mut central);
        drop(central);
        self.buffer.progressed();
        if let Some(round) = life
            .round
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            round.abort();
        }
        let stats = self.stats();
        if stats.dropped_shutdown > 0 {
            let lost = stats.dropped_shutdown;
            life.log.log(
                Level::Warn,
                &format!(
                    "{lost} records were not delivered before shutdown; {}",
                    stats.line()
                ),
            );
        }
        life.log.drain_to_stderr();
    }

    /// An exact snapshot; after shutdown the final figures.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.buffer.snapshot();
        if self.life().is_some_and(|life| life.transport.is_none()) {
            stats = Stats {
                state: State::Disabled,
                ..Stats::default()
            };
        }
        stats
    }
}

#[inline]
fn kept(field: &[u8]) -> &[u8] {
    &field[..field.len().min(FIELD_MAX)]
}

#[inline]
pub(crate) fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_micros() as i64)
}
