//! What a process leaves to its forked children, so that they need neither the name service, whose locks they may have
//! inherited held, nor files, which they may not be able to read any more.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Roots, Transport};
use crate::sys::LeakCell;

/// Leaked, and each part written once.
pub(crate) struct Legacy {
    addresses: LeakCell<Vec<SocketAddr>>,
    roots: LeakCell<Arc<Roots>>,
}

impl Legacy {
    pub(crate) const fn new() -> Self {
        Legacy {
            addresses: LeakCell::new(),
            roots: LeakCell::new(),
        }
    }
}

/// How a client's life came to be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin {
    /// In a forked child, from what its parent left.
    pub(crate) forked: bool,
    pub(crate) legacy: Option<&'static Legacy>,
}

impl Origin {
    /// The addresses that answered an ancestor. A child that finds them stale looks up anew.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let left = self.legacy.and_then(|legacy| legacy.addresses.get());
        left.cloned().unwrap_or_default()
    }

    /// What an ancestor read in files of certificates.
    pub(crate) fn roots(&self) -> Option<Arc<Roots>> {
        let legacy = self.legacy.filter(|_| self.forked)?;
        legacy.roots.get().cloned()
    }

    /// Leaves what `transport` knows by now.
    pub(crate) fn leave(&self, transport: &Transport) {
        let Some(legacy) = self.legacy else { return };
        leave_once(&legacy.addresses, || {
            Some(transport.good_addresses()).filter(|known| !known.is_empty())
        });
        leave_once(&legacy.roots, || transport.roots().cloned());
    }
}

fn leave_once<T: Sync>(cell: &LeakCell<T>, known: impl FnOnce() -> Option<T>) {
    if cell.get().is_none()
        && let Some(known) = known()
    {
        cell.set(Box::leak(Box::new(known)));
    }
}
