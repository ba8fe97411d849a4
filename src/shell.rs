//! What client and sender share: the shell of a client, which can be opened and shut down again and again, and its life
//! between the two.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::buffer::{Buffer, Central};
use crate::config::Config;
use crate::log::Logger;
use crate::spool::Own;
use crate::transport::{Origin, Round, Transport};

/// What belongs to one life of a client, from its opening to its end.
pub(crate) struct Life {
    pub(crate) epoch: u64,
    pub(crate) origin: Origin,
    pub(crate) config: Arc<Config>,
    pub(crate) log: Arc<Logger>,
    /// Absent while disabled.
    pub(crate) transport: Option<Transport>,
    /// The durable file, while there is one.
    pub(crate) spool: Mutex<Option<Own>>,
    /// The request that shutdown aborts.
    pub(crate) round: Mutex<Option<Round>>,
    /// Fields of bad calls that were complained of.
    pub(crate) complaints: Mutex<Vec<&'static str>>,
}

const NOTHING: u64 = u64::MAX;

/// A client, whatever its state. Its methods stand with the client, by subject.
pub(crate) struct Shell {
    pub(crate) me: Weak<Shell>,
    pub(crate) buffer: Buffer,
    /// The first mark that somebody waits for, or [`NOTHING`]; read and written under the central lock.
    awaited: AtomicU64,
    life: Mutex<Option<Arc<Life>>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

impl Shell {
    pub(crate) fn new() -> Arc<Shell> {
        Arc::new_cyclic(|me| Shell {
            me: me.clone(),
            buffer: Buffer::new(),
            awaited: AtomicU64::new(NOTHING),
            life: Mutex::new(None),
        })
    }

    /// Waits as [`Buffer::wait_for_progress`], and is not woken for every batch that is sent before `mark`.
    pub(crate) fn wait_for_mark<'a>(
        &'a self,
        central: MutexGuard<'a, Central>,
        mark: u64,
        timeout: Duration,
    ) -> MutexGuard<'a, Central> {
        self.awaited.fetch_min(mark, Ordering::Relaxed);
        self.buffer.wait_for_progress(central, timeout)
    }

    /// Whether a batch that was sent is what somebody waits for. All who wait are to be woken then, for each says anew
    /// what it waits for.
    pub(crate) fn is_awaited(&self, central: &Central) -> bool {
        let mark = self.awaited.load(Ordering::Relaxed);
        let reached = mark != NOTHING && central.settled(mark);
        if reached {
            self.awaited.store(NOTHING, Ordering::Relaxed);
        }
        reached
    }

    pub(crate) fn life_slot(&self) -> MutexGuard<'_, Option<Arc<Life>>> {
        lock(&self.life)
    }

    /// The life that runs, or ran last.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        self.life_slot().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{Fate, Limits};
    use crate::record::RawRecord;

    #[test]
    fn who_waits_is_woken_for_its_own_mark_and_once() {
        let shell = Shell::new();
        shell.buffer.open(&Limits {
            records: 100,
            bytes: 1 << 20,
            batch_size: 2,
            clean_mode: false,
            exclude: Arc::from([]),
        });
        for _ in 0..6 {
            shell.buffer.push(&RawRecord {
                method: b"GET",
                endpoint: b"/",
                status: 200,
                response_time_ms: 1,
                consumer: b"",
                context: b"",
                created_at_us: 1,
            });
        }
        shell.buffer.seal();
        let mut central = shell.buffer.central();
        let mark = central.mark();
        for wanted in [mark, mark - 2] {
            central = shell.wait_for_mark(central, wanted, Duration::ZERO);
        }
        let mut woken = Vec::new();
        while let Some(batch) = central.take(2, 0) {
            central.settle(batch, Fate::Sent);
            woken.push(shell.is_awaited(&central));
            if woken == [false, true] {
                central = shell.wait_for_mark(central, mark, Duration::ZERO);
            }
        }
        assert_eq!(woken, [false, true, true]);
        assert!(!shell.is_awaited(&central));
    }
}
