//! The records in an SQLite file, which one thread writes.
//!
//! A batch is in the file once the transaction that holds it was committed and synced to the disk: what
//! was answered 200 outlives a killed process and a power cut. A sync takes its time, so all batches
//! that wait by then share the next one.

mod attached;
mod file;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::store::{Record, Store};
use attached::words;
pub use file::Limits;
use file::{Change, Kept, RecordFile};

/// Bytes of the records of one transaction, unless one batch has more.
const GROUP: u64 = 4 << 20;
/// Records that are read, or deleted, at once.
const SLICE: usize = 2_000;
/// How often to look for records that are too old.
const LOOK: Duration = Duration::from_secs(60);

pub struct Database {
    file: RecordFile,
    /// Records before this id are still to be counted for the page.
    uncounted: u64,
    /// The last change could not be written.
    failing: bool,
}

/// Hands changes to the thread that writes, which ends when no handle is left.
pub struct Handle(Sender<Job>);

struct Job {
    change: Change,
    done: oneshot::Sender<Result<(), String>>,
}

impl Handle {
    /// Comes back when all of the batch, or none, is in the file and in memory.
    ///
    /// # Errors
    /// Why it can't be kept now.
    pub async fn add(&self, batch: Vec<Record>) -> Result<(), String> {
        self.ask(Change::Add(batch)).await
    }

    /// # Errors
    /// Why nothing can be deleted now.
    pub async fn clear(&self) -> Result<(), String> {
        self.ask(Change::Clear).await
    }

    async fn ask(&self, change: Change) -> Result<(), String> {
        let (done, outcome) = oneshot::channel();
        let closed = || "the database is closed".to_owned();
        let job = Job { change, done };
        self.0.send(job).map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }
}

impl Database {
    /// Opens the file, or makes it, for this process alone.
    ///
    /// # Errors
    /// It can't be opened, is in use or damaged, or another program's, or a newer malti's.
    pub fn open(path: &Path, limits: Limits) -> io::Result<Self> {
        let file = RecordFile::open(path, limits).map_err(|fault| named(path, &fault))?;
        Ok(Self {
            file,
            uncounted: 0,
            failing: false,
        })
    }

    /// Gives the newest records to the store, as many as it keeps. The others are counted later, beside
    /// what comes in.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn replay(&mut self, store: &mut Store) -> io::Result<()> {
        self.read_newest(store)
            .map_err(|error| named(self.file.path(), &words(&error)))
    }

    fn read_newest(&mut self, store: &mut Store) -> rusqlite::Result<()> {
        let oldest = self.file.first_id()?;
        let wanted = u64::try_from(store.max_records()).unwrap_or(u64::MAX);
        let first = (self.file.last_id + 1).saturating_sub(wanted).max(oldest);
        self.file
            .read_from(first, SLICE, |slice| store.take(slice))?;
        self.file.accept()?;
        // Ids follow one another, for only the oldest are deleted.
        store.resume(self.file.last_id, first - oldest);
        self.uncounted = first;
        Ok(())
    }

    /// Writes on a thread of its own from now on. What is in the file comes to the store as well.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start(mut self, store: Arc<Mutex<Store>>) -> io::Result<(Handle, JoinHandle<()>)> {
        let (sender, jobs) = channel();
        let writer = thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || self.write_all(&jobs, &store))?;
        Ok((Handle(sender), writer))
    }

    fn write_all(&mut self, jobs: &Receiver<Job>, store: &Mutex<Store>) {
        let mut look = Instant::now();
        loop {
            let before = self.file.last_id;
            let wait = match self.uncounted {
                0 => look.saturating_duration_since(Instant::now()),
                _ => Duration::ZERO,
            };
            match jobs.recv_timeout(wait) {
                Ok(job) => self.write_group(job, jobs, store),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.uncounted > 0 {
                self.count_older(store);
            }
            if look <= Instant::now() || self.file.is_too_big().unwrap_or(false) {
                // A part only, for batches go before; but more than came since.
                let added = self.file.last_id - before;
                let soon = self.file.prune((2 * added).max(SLICE as u64));
                let soon = soon.unwrap_or_else(|fault| {
                    self.failed(&fault);
                    false
                });
                look = Instant::now() + if soon { Duration::ZERO } else { LOOK };
            }
        }
    }

    /// From the newest to the oldest, so that the page is soon right about what is near.
    fn count_older(&mut self, store: &Mutex<Store>) {
        match self.file.read_before(self.uncounted, SLICE) {
            Ok(older) => {
                self.uncounted = older.last().map_or(0, |oldest| oldest.id);
                locked(store).count(&older);
            }
            Err(error) => {
                self.uncounted = 0;
                let (path, fault) = (self.file.path().display(), words(&error));
                complain!("{path}: the page shows not all older records: {fault}");
            }
        }
    }

    /// This job and those that wait behind it.
    fn write_group(&mut self, first: Job, jobs: &Receiver<Job>, store: &Mutex<Store>) {
        let (mut changes, mut waiting, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(Job { change, done }) = next {
            match self.file.room_for(&change, bytes) {
                Ok(()) => {
                    bytes += change.bytes();
                    changes.push(change);
                    waiting.push(done);
                }
                Err(fault) => {
                    self.failed(&fault);
                    let _ = done.send(Err(fault));
                }
            }
            next = if bytes < GROUP {
                jobs.try_recv().ok()
            } else {
                None
            };
        }
        let outcome = match self.file.write(changes) {
            Ok(kept) => {
                self.written(&kept);
                let mut store = locked(store);
                for change in kept {
                    match change {
                        Kept::Added(batch) => store.take(batch),
                        Kept::Cleared => store.clear(),
                    }
                }
                Ok(())
            }
            Err(fault) => {
                self.failed(&fault);
                Err(fault)
            }
        };
        for done in waiting {
            // Who has gone does not get to know it.
            let _ = done.send(outcome.clone());
        }
    }

    /// Says when it begins to fail.
    fn failed(&mut self, fault: &str) {
        if !self.failing {
            let path = self.file.path().display();
            complain!("{path}: {fault}; until it can be written, batches are answered 503");
        }
        self.failing = true;
    }

    /// Says when that is over, which only a batch shows: to delete takes less room.
    fn written(&mut self, kept: &[Kept]) {
        if self.failing && kept.iter().any(|change| matches!(change, Kept::Added(_))) {
            complain!("{}: can be written again", self.file.path().display());
            self.failing = false;
        }
    }
}

fn locked(store: &Mutex<Store>) -> std::sync::MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn named(path: &Path, fault: &str) -> io::Error {
    io::Error::other(format!("{}: {fault}", path.display()))
}
