//! The SQLite file: that it is ours, for this process alone, and still what its path leads to.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, TransactionBehavior};

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// "MALT", in `PRAGMA application_id`: tells our files from those of other programs.
const APPLICATION: i32 = 0x4d41_4c54;
/// Bytes at the beginning of a file, of which the last four are its application.
const HEAD: u64 = 72;
/// Of the schema, in `PRAGMA user_version`; 0: there is none yet.
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

/// Bytes that the log of transactions keeps when it begins anew.
const LOG: i64 = 16 << 20;
/// How long to wait for another process that is about to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file that no other process can open until this is dropped.
pub struct Attached {
    pub connection: Connection,
    file: Place,
    /// What was committed is in here, until a checkpoint brings it into the file.
    log: Place,
}

impl Attached {
    /// Opens the file, or makes it. One that is refused is left as it is.
    ///
    /// # Errors
    /// Why it can't be had.
    pub fn open(path: &Path) -> Result<Self, String> {
        // SQLite knows names that are no paths; none of them begins like this.
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        claim(&path)?;
        let mut connection = connect(&path)?;
        if version(&connection)? == 0 {
            // By a connection of its own, for this one would leave its journal there.
            drop(connection);
            make(&path).map_err(|error| words(&error))?;
            connection = connect(&path)?;
        }
        let newer = version(&connection)?;
        if newer > VERSION {
            return Err(format!(
                "it was made by a newer malti (its form is {newer}; this one knows {VERSION})"
            ));
        }
        begin_log(&mut connection).map_err(|error| words(&error))?;
        Ok(Self {
            log: Place::new(log_of(&path)?)?,
            file: Place::new(path)?,
            connection,
        })
    }

    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The file is good: from now on its end brings all of the log into it.
    ///
    /// # Errors
    /// SQLite does not know this setting.
    pub fn accept(&self) -> rusqlite::Result<()> {
        let setting = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        self.connection.set_db_config(setting, false).map(drop)
    }

    /// Makes sure that what is written from now on can be found again.
    ///
    /// # Errors
    /// It would be lost.
    pub fn keep(&mut self) -> Result<(), String> {
        if !self.file.is_there() {
            return Err("the file was moved or deleted".to_owned());
        }
        if !self.log.is_there() {
            let gone = "its -wal file was moved or deleted";
            self.renew_log()
                .map_err(|fault| format!("{gone}, and {fault}"))?;
            let path = self.path().display();
            complain!("{path}: {gone}; it was begun anew, and no record is lost");
        }
        Ok(())
    }

    /// What is in the log without a name goes into the file.
    fn renew_log(&mut self) -> Result<(), String> {
        let renewed = self.checkpoint().and_then(|()| {
            // Any other mode, to leave this one.
            self.connection
                .pragma_update(None, "journal_mode", "memory")?;
            begin_log(&mut self.connection)
        });
        renewed.map_err(|error| words(&error))?;
        self.log = Place::new(log_of(self.path())?)?;
        Ok(())
    }

    /// Brings all of the log into the file and gives its room back.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn checkpoint(&self) -> rusqlite::Result<()> {
        let all = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.connection.query_row(all, [], |_| Ok(()))
    }

    /// Bytes that the disk has left when all of the log has come into the file, where it is known.
    pub fn room(&self) -> Option<u64> {
        #[cfg(unix)]
        {
            let disk = rustix::fs::statvfs(self.path()).ok()?;
            let log = self.log.path.metadata().ok()?.len();
            Some((disk.f_bavail * disk.f_frsize).saturating_sub(log))
        }
        #[cfg(not(unix))]
        None
    }

    /// # Errors
    /// The file can't be read.
    pub fn number(&self, pragma: &str) -> rusqlite::Result<i64> {
        number(&self.connection, pragma)
    }
}

/// A file that has its path for as long as nobody takes it away.
struct Place {
    path: PathBuf,
    identity: Identity,
}

impl Place {
    fn new(path: PathBuf) -> Result<Self, String> {
        let identity = identity(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { path, identity })
    }

    fn is_there(&self) -> bool {
        identity(&self.path).ok() == Some(self.identity)
    }
}

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

/// Tells the file from another one in its place.
#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let file = path.metadata()?;
    Ok((file.dev(), file.ino()))
}

/// Elsewhere a file that is open is neither moved nor deleted.
#[cfg(not(unix))]
fn identity(_: &Path) -> std::io::Result<Identity> {
    Ok(())
}

/// SQLite has it beside the file itself, not beside a link to it.
fn log_of(path: &Path) -> Result<PathBuf, String> {
    let mut name = path
        .canonicalize()
        .map_err(|error| error.to_string())?
        .into_os_string();
    name.push("-wal");
    Ok(name.into())
}

/// Makes an empty file, which nobody else may read (SQLite gives its own ones the same mode), or looks
/// at the one that is there. SQLite is not asked what it is: it would first clean up after whoever
/// wrote it.
fn claim(path: &Path) -> Result<(), String> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let mut new = options.clone();
    new.create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        new.mode(0o600);
    }
    let opened = match new.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(path),
        opened => opened,
    };
    let mut head = Vec::new();
    let read = opened.and_then(|file| {
        // To read from a pipe would take for ever.
        let is_file = file.metadata()?.is_file();
        file.take(if is_file { HEAD } else { 0 })
            .read_to_end(&mut head)?;
        Ok(is_file)
    });
    let is_file = read.map_err(|error| error.to_string())?;
    let is_sqlite = head.starts_with(MAGIC);
    if !is_file || !is_sqlite && !head.is_empty() {
        Err("it is not a database".to_owned())
    } else if is_sqlite && !head.ends_with(&APPLICATION.to_be_bytes()) {
        Err("it is another program's database".to_owned())
    } else {
        Ok(())
    }
}

/// A connection that has the file alone, and leaves it as it is.
fn connect(path: &Path) -> Result<Connection, String> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // Before anything is read: then no memory is shared, for which a full disk may have no room.
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        Ok(connection)
    };
    open().map_err(|error| words(&error))
}

fn version(connection: &Connection) -> Result<i64, String> {
    number(connection, "user_version").map_err(|error| words(&error))
}

/// Whose it is stands in the file before anything else, so that one whose making was cut short is still
/// ours. It has no log yet.
fn make(path: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "application_id", APPLICATION)?;
    // It holds for a file that has a page once this is made anew.
    connection.execute_batch("PRAGMA auto_vacuum = incremental; VACUUM")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    if number(&transaction, "user_version")? == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

fn begin_log(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    // It is opened, and found to be writable, by the first transaction.
    connection
        .transaction_with_behavior(TransactionBehavior::Immediate)?
        .commit()
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// What is wrong, for who runs the receiver.
pub fn words(error: &Error) -> String {
    let Some(cause) = error.sqlite_error() else {
        return error.to_string();
    };
    match cause.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another process has it open".to_owned()
        }
        ErrorCode::DatabaseCorrupt => format!("it is damaged: {error}"),
        ErrorCode::DiskFull => "the disk is full: it needs room".to_owned(),
        ErrorCode::SystemIoFailure => format!(
            "{error} (SQLite's {}): is the disk full or failing, or a limit of file sizes reached?",
            cause.extended_code
        ),
        ErrorCode::CannotOpen => "the -wal file beside it can't be opened or made".to_owned(),
        ErrorCode::ReadOnly => "it, or the -wal file beside it, may not be written".to_owned(),
        _ => error.to_string(),
    }
}
