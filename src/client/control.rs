//! Opening, flush, shutdown, figures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::FlushError;
use crate::buffer::Limits;
use crate::config::Config;
use crate::ledger::{State, Stats};
use crate::log::{self, Level, Logger};
use crate::sender;
use crate::shell::{Life, Origin, Shell};
use crate::sys;
use crate::transport::Transport;

/// A wait of more than this counts as this.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(3600);
/// A thread that could not be had is not asked for again sooner.
const THREAD_RETRY: Duration = Duration::from_secs(1);
const SENDER_STACK: usize = 512 * 1024;

impl Shell {
    /// Begins a life.
    pub(crate) fn open(
        &self,
        config: Arc<Config>,
        log: Arc<Logger>,
        origin: Origin,
    ) -> Result<(), String> {
        let transport = if config.is_enabled() {
            Some(Transport::new(config.transport(origin))?)
        } else {
            None
        };
        // The parent has said it already; and a line here, while the child's first call waits for its client, could
        // lead a log callback back to here.
        if !origin.forked {
            for warning in config.startup_warnings() {
                log.log(Level::Warn, warning);
            }
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
            origin,
            config,
            log,
            transport,
            round: Mutex::new(None),
            complaints: Mutex::default(),
        };
        *self.life_slot() = Some(Arc::new(life));
        Ok(())
    }

    /// Starts the sender's thread where this life has none yet.
    #[cold]
    pub(crate) fn ensure_sender(&self) -> bool {
        let Some((life, shell)) = self.life().zip(self.me.upgrade()) else {
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
                sender::run(shell, for_thread)
            }) {
                let first = central
                    .no_thread_until
                    .replace(now + THREAD_RETRY)
                    .is_none();
                drop(central);
                if first {
                    life.log.log(
                        Level::Error,
                        format_args!("no thread to send with ({error}): records are kept"),
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
                format_args!(
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
