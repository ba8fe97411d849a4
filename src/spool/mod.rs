//! The durable buffer: chunks in a mapped file, so that what was recorded outlives a process that is killed, and is
//! delivered by the next one. Linux; elsewhere, and wherever it can't be had, the buffer is in memory alone.
//!
//! A process has one file, which it keeps locked, named `malti-<pid>-<random>.spool`. It begins with a header
//! ([`header`]) of [`HEADER_BYTES`], then come chunks as [`crate::sys::Region`] lays them out, of records as
//! [`crate::record`] packs them. A SIGKILL tears no page: the order of writes is enough. Power loss is another matter.

mod adopted;
mod header;
mod own;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

#[cfg(test)]
use adopted::Found;
pub(crate) use adopted::{Adopted, scan};
pub(crate) use own::Own;

/// What a file of ours is made from, and how files of others are judged.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) dir: PathBuf,
    /// All files of the directory together.
    pub(crate) bytes: u64,
    pub(crate) max_age: Duration,
    /// Whose records they are: a digest of address, service and key.
    pub(crate) identity: [u8; 16],
    pub(crate) service: String,
    pub(crate) node: String,
}

const SUFFIX: &str = ".spool";
/// A file that is not ready yet.
const UNFINISHED: &str = ".tmp-malti-";

fn is_spool(name: &str) -> bool {
    name.starts_with("malti-") && name.ends_with(SUFFIX)
}
