//! Opening, flush, shutdown, figures.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::FlushError;
use crate::buffer::Limits;
use crate::config::Config;
use crate::ledger::{State, Stats};
use crate::log::{self, Level, Logger};
use crate::sender;
use crate::shell::{Life, Shell};
use crate::sys;
use crate::transport::{Origin, Transport};

/// A wait of more than this counts as this.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(3600);
/// A thread that could not be had is not asked for again sooner.
const THREAD_RETRY: Duration = Duration::from_secs(1);
/// How often shutdown asks the sender for the durable file, a millisecond apart.
const SPOOL_TRIES: u32 = 50;
const SENDER_STACK: usize = 512 * 1024;

/// Who wants a sender.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Record,
    Flush,
    /// It is the last chance: tried even if a thread was refused just now.
    Shutdown,
}

impl Shell {
    /// Begins a life. [`say_deferred`](Self::say_deferred) says what there is to say of its settings.
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
        // The parent has said it already. Later, since the caller may hold what a log callback must not wait for.
        if !origin.forked {
            for warning in config.startup_warnings() {
                log.log_later(Level::Warn, warning);
            }
        }
        if let Some(transport) = &transport {
            origin.leave(transport);
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
            spool: Mutex::new(None),
            round: Mutex::new(None),
            complaints: Mutex::default(),
        };
        *self.life_slot() = Some(Arc::new(life));
        Ok(())
    }

    /// Starts the sender's thread where this life has none yet.
    #[cold]
    pub(crate) fn ensure_sender(&self, asked: Asked) -> bool {
        let Some((life, shell)) = self.life().zip(self.me.upgrade()) else {
            return false;
        };
        let epoch = life.epoch;
        let mut central = self.buffer.central();
        if central.epoch != epoch {
            return false;
        }
        if central.sender_epoch != Some(epoch) {
            let now = Instant::now();
            let too_soon = central.no_thread_until.is_some_and(|until| now < until);
            if too_soon && asked != Asked::Shutdown {
                return false;
            }
            // Before the thread is there, so that nobody starts a second one while no lock is held.
            central.sender_epoch = Some(epoch);
            drop(central);
            if let Err(error) = self.start_sender(shell, life.clone()) {
                let mut central = self.buffer.central();
                if central.sender_epoch == Some(epoch) {
                    central.sender_epoch = None;
                }
                let until = &mut central.no_thread_until;
                let first = until.replace(now + THREAD_RETRY).is_none();
                drop(central);
                self.buffer.note_sender(epoch);
                if first {
                    life.log.log_later(
                        Level::Error,
                        format_args!("no thread to send with ({error}): records are kept"),
                    );
                }
                return false;
            }
        } else {
            drop(central);
        }
        self.buffer.note_sender(epoch);
        true
    }

    fn start_sender(&self, shell: Arc<Shell>, life: Arc<Life>) -> io::Result<()> {
        sys::spawn("malti-sender", SENDER_STACK, move || {
            let epoch = life.epoch;
            let ended = catch_unwind(AssertUnwindSafe(|| sender::run(shell.clone(), life)));
            if ended.is_err() {
                // It stands outside of what it catches itself; the next record starts another one.
                let mut central = shell.buffer.central();
                if central.sender_epoch == Some(epoch) {
                    central.sender_epoch = None;
                }
                drop(central);
                shell.buffer.note_sender(epoch);
            }
        })
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
        let epoch = central.epoch;
        self.buffer.notify(&mut central);
        drop(central);
        let has_sender = self.ensure_sender(Asked::Flush);
        self.say_deferred();
        if has_sender {
            return Ok(mark);
        }
        // Another thread may have ended this life meanwhile, and then it needs no thread.
        let central = self.buffer.central();
        if central.running && central.epoch == epoch {
            Err(FlushError::NoThread)
        } else {
            Err(FlushError::NotRunning)
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
            central = self.buffer.wait_for_mark(central, mark, left);
        }
    }

    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.flush_wait(self.flush_begin()?, timeout)
    }

    /// Says the lines that wait for somebody who may.
    pub(crate) fn say_deferred(&self) {
        if let Some(life) = self.life() {
            life.log.say_deferred();
        }
    }

    /// Ends the life: delivers until the time is up, then counts what is left as lost. Inside the log callback, which
    /// may run on the sender's thread, it does not wait. What there is to say of it waits in the log that comes back.
    #[must_use]
    pub(crate) fn shutdown(&self, timeout: Duration) -> Option<Arc<Logger>> {
        let timeout = if log::in_callback() {
            Duration::ZERO
        } else {
            timeout
        };
        let deadline = Instant::now() + timeout.min(WAIT_MAX);
        let life = self.life()?;
        self.buffer.close();
        let mut central = self.buffer.central();
        if !central.running || central.epoch != life.epoch || central.stop_at.is_some() {
            return None;
        }
        central.stop_at = Some(deadline);
        self.buffer.notify(&mut central);
        if !central.is_idle() && !timeout.is_zero() {
            drop(central);
            let has_sender = self.ensure_sender(Asked::Shutdown);
            central = self.buffer.central();
            while has_sender && !central.is_idle() && !central.gave_up {
                let Some(left) = deadline
                    .checked_duration_since(Instant::now())
                    .filter(|l| !l.is_zero())
                else {
                    break;
                };
                // What others left counts, too, and has no mark.
                central = self.buffer.wait_for_mark(central, 0, left);
            }
        }
        let left_in_file = central.end();
        self.buffer.notify(&mut central);
        drop(central);
        // A sender that a slow disk holds up has it for longer, and then leaves the file to whoever finds it.
        for _ in 0..SPOOL_TRIES {
            if let Ok(mut own) = life.spool.try_lock() {
                if let Some(own) = own.take() {
                    own.finish(left_in_file == 0);
                }
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
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
            life.log.log_later(
                Level::Warn,
                format_args!(
                    "records not delivered before shutdown: {lost}; {}",
                    stats.line()
                ),
            );
        }
        Some(life.log.clone())
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
