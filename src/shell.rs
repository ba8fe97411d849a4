//! What client and sender share: the shell of a client, which can be opened and shut down again and again, and its life
//! between the two.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::buffer::Buffer;
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

/// A client, whatever its state. Its methods stand with the client, by subject.
pub(crate) struct Shell {
    pub(crate) me: Weak<Shell>,
    pub(crate) buffer: Buffer,
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
            life: Mutex::new(None),
        })
    }

    pub(crate) fn life_slot(&self) -> MutexGuard<'_, Option<Arc<Life>>> {
        lock(&self.life)
    }

    /// The life that runs, or ran last.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        self.life_slot().clone()
    }
}
