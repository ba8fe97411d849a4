//! The records in an SQLite file, which one thread writes.
//!
//! A batch is in the file once the transaction that holds it was committed and synced to the disk: what
//! was answered 200 outlives a killed process and a power cut. A sync takes its time, so all batches
//! that wait by then share the next one.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Row, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::store::{Record, Store, Stored, stamped};
use super::time::Moment;

/// "MALT", in `PRAGMA application_id`: tells our files from those of other programs.
const APPLICATION: i64 = 0x4d41_4c54;
/// Of the schema, in `PRAGMA user_version`.
const VERSION: i64 = 1;
/// An id is not used again, whatever was deleted.
const SCHEMA: &str = "
    CREATE TABLE records (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        received_at INTEGER NOT NULL, -- microseconds since 1970 UTC, as created_at
        created_at INTEGER NOT NULL,
        service TEXT NOT NULL,
        method TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        status INTEGER NOT NULL,
        response_time INTEGER NOT NULL, -- milliseconds
        consumer TEXT NOT NULL,
        node TEXT,
        context TEXT
    ) STRICT";

/// Records of one transaction, unless one batch has more.
const GROUP: usize = 20_000;
/// Records that are read, or deleted, at once.
const SLICE: u64 = 2_000;
/// Pages that are given back to the file system at once.
const PAGES: i64 = 1_000;
/// Bytes that the log of transactions keeps when it begins anew.
const LOG: i64 = 16 << 20;
/// How often to look for records that are too old.
const LOOK: Duration = Duration::from_secs(60);
/// How long to wait for another process that is about to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the file keeps; the oldest records go first.
pub struct Limits {
    pub age: Duration,
    /// Of the file, without its log.
    pub bytes: u64,
}

pub struct Database {
    path: PathBuf,
    identity: Identity,
    connection: Connection,
    limits: Limits,
    last_id: u64,
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

enum Change {
    Add(Vec<Record>),
    Clear,
}

/// A change that is in the file and not in memory yet.
enum Kept {
    Added(Vec<Stored>),
    Cleared,
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
        let about = |fault: String| named(path, &fault);
        let says = |error: io::Error| about(error.to_string());
        // SQLite knows names that are no paths; none of them begins like this.
        let absolute = std::path::absolute(path).map_err(says)?;
        make(&absolute).map_err(says)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&absolute, flags).map_err(|e| about(words(&e)))?;
        prepare(&mut connection).map_err(about)?;
        let last_id = connection
            .query_row(
                "SELECT ifnull(max(seq), 0) FROM sqlite_sequence",
                [],
                |row| row.get(0),
            )
            .map_err(|e| about(words(&e)))?;
        Ok(Self {
            identity: identity(&absolute).map_err(says)?,
            path: absolute,
            connection,
            limits,
            last_id,
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
        self.read(store)
            .map_err(|error| named(&self.path, &words(&error)))
    }

    fn read(&mut self, store: &mut Store) -> rusqlite::Result<()> {
        let next = self.last_id + 1;
        let oldest = "SELECT ifnull(min(id), ?1) FROM records";
        let oldest: u64 = self
            .connection
            .query_row(oldest, [next], |row| row.get(0))?;
        let wanted = u64::try_from(store.max_records()).unwrap_or(u64::MAX);
        let first = next.saturating_sub(wanted).max(oldest);
        let mut query = self
            .connection
            .prepare("SELECT * FROM records WHERE id >= ?1 ORDER BY id")?;
        let mut rows = query.query([first])?;
        let mut slice = Vec::new();
        while let Some(row) = rows.next()? {
            slice.push(stored(row)?);
            if slice.len() as u64 == SLICE {
                store.take(std::mem::take(&mut slice));
            }
        }
        store.take(slice);
        // Ids follow one another, for only the oldest are deleted.
        store.resume(self.last_id, first - oldest);
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
            let before = self.last_id;
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
            if look <= Instant::now() || self.is_too_big().unwrap_or(false) {
                // A part only, for batches go before; but more than came since.
                let added = self.last_id - before;
                let pruned = self.prune(SLICE.max(2 * added));
                let soon = matches!(pruned, Ok(true));
                if pruned.is_err() {
                    // Only a batch that could be written shows that it is over.
                    let _ = self.noted(pruned);
                }
                look = Instant::now() + if soon { Duration::ZERO } else { LOOK };
            }
        }
    }

    /// From the newest to the oldest, so that the page is soon right about what is near.
    fn count_older(&mut self, store: &Mutex<Store>) {
        match self.older() {
            Ok(older) => {
                self.uncounted = older.last().map_or(0, |oldest| oldest.id);
                store
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .count(&older);
            }
            Err(error) => {
                self.uncounted = 0;
                let (path, fault) = (self.path.display(), words(&error));
                complain!("{path}: the page shows not all older records: {fault}");
            }
        }
    }

    fn older(&self) -> rusqlite::Result<Vec<Stored>> {
        let mut query = self
            .connection
            .prepare("SELECT * FROM records WHERE id < ?1 ORDER BY id DESC LIMIT ?2")?;
        let rows = query.query_map([self.uncounted, SLICE], stored)?;
        rows.collect()
    }

    /// This job and those that wait behind it.
    fn write_group(&mut self, first: Job, jobs: &Receiver<Job>, store: &Mutex<Store>) {
        let (mut changes, mut waiting, mut count) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            if let Change::Add(batch) = &job.change {
                count += batch.len();
            }
            changes.push(job.change);
            waiting.push(job.done);
            next = if count < GROUP {
                jobs.try_recv().ok()
            } else {
                None
            };
        }
        let written = self.write(changes);
        let outcome = match self.noted(written) {
            Ok(kept) => {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                for change in kept {
                    match change {
                        Kept::Added(batch) => store.take(batch),
                        Kept::Cleared => store.clear(),
                    }
                }
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        for done in waiting {
            // Who has gone does not get to know it.
            let _ = done.send(outcome.clone());
        }
    }

    /// All of them or none.
    fn write(&mut self, changes: Vec<Change>) -> Result<Vec<Kept>, String> {
        // What is written to a file without a name would be lost.
        if identity(&self.path).ok() != Some(self.identity) {
            return Err("the file was moved or deleted".to_owned());
        }
        self.commit(changes).map_err(|error| words(&error))
    }

    fn commit(&mut self, changes: Vec<Change>) -> rusqlite::Result<Vec<Kept>> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut last_id = self.last_id;
        let mut kept = Vec::with_capacity(changes.len());
        {
            let mut insert = transaction.prepare(
                "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?;
            for change in changes {
                let Change::Add(batch) = change else {
                    transaction.execute("DELETE FROM records", [])?;
                    kept.push(Kept::Cleared);
                    continue;
                };
                let batch = stamped(last_id, batch);
                for Stored {
                    id,
                    received_at,
                    record,
                } in &batch
                {
                    insert.execute(params![
                        id,
                        received_at.micros(),
                        record.created_at.micros(),
                        record.service,
                        record.method,
                        record.endpoint,
                        record.status,
                        record.response_time,
                        record.consumer,
                        record.node,
                        record.context,
                    ])?;
                    last_id = *id;
                }
                kept.push(Kept::Added(batch));
            }
        }
        transaction.commit()?;
        self.last_id = last_id;
        Ok(kept)
    }

    /// Deletes some of the oldest where they are too many or too old, or gives room back that nothing
    /// needs; whether it is to be called again soon.
    fn prune(&self, most: u64) -> Result<bool, String> {
        let pruned = self
            .delete_oldest(most)
            .and_then(|deleted| Ok(deleted || self.shrink()?));
        pruned.map_err(|error| words(&error))
    }

    fn delete_oldest(&self, most: u64) -> rusqlite::Result<bool> {
        let age = i64::try_from(self.limits.age.as_micros()).unwrap_or(i64::MAX);
        let since = Moment::now().micros().saturating_sub(age);
        let some = "DELETE FROM records WHERE id < (SELECT min(id) FROM records) + ?1
            AND (?2 OR received_at < ?3)";
        let deleted = self
            .connection
            .execute(some, params![most, self.is_too_big()?, since])?;
        Ok(deleted > 0)
    }

    fn is_too_big(&self) -> rusqlite::Result<bool> {
        let used = self.number("page_count")? - self.number("freelist_count")?;
        let bytes = used * self.number("page_size")?;
        Ok(u64::try_from(bytes).unwrap_or(0) > self.limits.bytes)
    }

    fn shrink(&self) -> rusqlite::Result<bool> {
        let (pages, free) = (self.number("page_count")?, self.number("freelist_count")?);
        // Less is soon used again.
        if free < PAGES || free < pages / 2 {
            return Ok(false);
        }
        let vacuum = format!("PRAGMA incremental_vacuum({PAGES})");
        let mut vacuum = self.connection.prepare(&vacuum)?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
        Ok(self.number("page_count")? < pages)
    }

    fn number(&self, pragma: &str) -> rusqlite::Result<i64> {
        number(&self.connection, pragma)
    }

    /// Says when it begins to fail, and when that is over.
    fn noted<T>(&mut self, outcome: Result<T, String>) -> Result<T, String> {
        let path = self.path.display();
        match &outcome {
            Err(fault) if !self.failing => {
                complain!("{path}: {fault}; until it can be written, batches are answered 503");
            }
            Ok(_) if self.failing => complain!("{path}: can be written again"),
            _ => {}
        }
        self.failing = outcome.is_err();
        outcome
    }
}

fn named(path: &Path, fault: &str) -> io::Error {
    io::Error::other(format!("{}: {fault}", path.display()))
}

/// An empty file, which nobody else may read: SQLite gives its own ones the same mode.
fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

/// Tells the file from another one in its place.
#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let file = path.metadata()?;
    Ok((file.dev(), file.ino()))
}

/// Elsewhere a file that is open is neither moved nor deleted.
#[cfg(not(unix))]
fn identity(_: &Path) -> io::Result<Identity> {
    Ok(())
}

/// Takes the file for this connection alone, until it is closed, and makes what is not there yet.
fn prepare(connection: &mut Connection) -> Result<(), String> {
    let says = |error| words(&error);
    connection.busy_timeout(PATIENCE).map_err(says)?;
    let application = number(connection, "application_id").map_err(says)?;
    let version = number(connection, "user_version").map_err(says)?;
    let objects: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(says)?;
    let is_new = (application, version, objects) == (0, 0, 0);
    if !is_new && application != APPLICATION {
        return Err("it is another program's database".to_owned());
    }
    if version > VERSION {
        return Err(format!(
            "it was made by a newer malti (its form is {version}; this one knows {VERSION})"
        ));
    }
    take(connection, is_new).map_err(says)
}

fn take(connection: &mut Connection, is_new: bool) -> rusqlite::Result<()> {
    for (pragma, value) in [
        ("auto_vacuum", "incremental"),
        ("locking_mode", "exclusive"),
        ("journal_mode", "wal"),
        ("synchronous", "full"),
    ] {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_new {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        received_at: Moment::from_micros(row.get(1)?),
        record: Record {
            created_at: Moment::from_micros(row.get(2)?),
            service: row.get(3)?,
            method: row.get(4)?,
            endpoint: row.get(5)?,
            status: row.get(6)?,
            response_time: row.get(7)?,
            consumer: row.get(8)?,
            node: row.get(9)?,
            context: row.get(10)?,
        },
    })
}

fn words(error: &Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has it open".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged: {error}"),
        _ => error.to_string(),
    }
}
