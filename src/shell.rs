//! What client and sender share: the shell of a client, which can be opened and shut down again and again, and its life
//! between the two.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::buffer::Buffer;
use crate::config::Config;
use crate::log::Logger;
use crate::sys::LeakCell;
use crate::transport::{Round, Transport};

/// How a life came to be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin {
    /// In a forked child, from what its parent left.
    pub(crate) forked: bool,
    /// Where the server's addresses are left for children, whose name lookup may be stuck in a lock that the parent
    /// held. Written once: a child that finds them stale looks up anew.
    pub(crate) addresses: Option<&'static LeakCell<Vec<SocketAddr>>>,
}

/// What belongs to one life of a client, from its opening to its end.
pub(crate) struct Life {
    pub(crate) epoch: u64,
    pub(crate) origin: Origin,
    pub(crate) config: Arc<Config>,
    pub(crate) log: Arc<Logger>,
    /// Absent while disabled.
    pub(crate) transport: Option<Transport>,
    /// The request that shutdown aborts.
    pub(crate) round: Mutex<Option<Round>>,
    /// Fields of bad calls that were complained of.
    pub(crate) complaints: Mutex<Vec<&'static str>>,
}

impl Life {
    /// Leaves the addresses that answered for children.
    pub(crate) fn leave_addresses(&self) {
        let Some((cell, transport)) = self.origin.addresses.zip(self.transport.as_ref()) else {
            return;
        };
        if cell.get().is_none() {
            let good = transport.good_addresses();
            if !good.is_empty() {
                cell.set(Box::leak(Box::new(good)));
            }
        }
    }
}

/// A client, whatever its state. Its methods stand with the client, by subject.
pub(crate) struct Shell {
    pub(crate) me: Weak<Shell>,
    pub(crate) buffer: Buffer,
    life: Mutex<Option<Arc<Life>>>,
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
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life that runs, or ran last.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        self.life_slot().clone()
    }
}
