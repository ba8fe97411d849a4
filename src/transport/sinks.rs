//! The destinations without a server: lines appended to a file or to standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Answer, Failure, FailureKind};

/// Pause before a reader that lags behind is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// Appends lines. Nothing stays open between two appends, so that a rotated file is left alone and a
/// host that closes every descriptor can't make us write into a file of its own.
pub(super) struct Sink {
    target: Target,
    /// How long a full pipe may take.
    timeout: Duration,
    /// The last append ended within a line. Held while writing, so that lines of two threads can't mix.
    torn: Mutex<bool>,
}

enum Target {
    File(PathBuf),
    Stderr,
}

impl Sink {
    pub(super) fn file(path: PathBuf, timeout: Duration) -> Self {
        Self::new(Target::File(path), timeout)
    }

    pub(super) fn stderr(timeout: Duration) -> Self {
        Self::new(Target::Stderr, timeout)
    }

    fn new(target: Target, timeout: Duration) -> Self {
        Self {
            target,
            timeout,
            torn: Mutex::new(false),
        }
    }

    /// Appends `lines`, each ended by a newline. A failure may leave some of them written.
    pub(super) fn append(&self, lines: &[u8], aborted: &AtomicBool) -> Result<Answer, Failure> {
        let mut torn = self.torn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = 0;
        let result = self.open().and_then(|mut file| {
            if *torn {
                // What stands there can't be taken back: other processes may have appended to it.
                write_all(&mut file, b"\n", &mut 0, self.timeout, aborted)?;
                *torn = false;
            }
            write_all(&mut file, lines, &mut written, self.timeout, aborted)
        });
        match result {
            Ok(()) => Ok(Answer {
                status: 200,
                retry_after: None,
                body: Vec::new(),
            }),
            Err(error) => {
                *torn |= written > 0 && lines.get(written - 1) != Some(&b'\n');
                Err(Failure {
                    kind: kind(&error),
                    sent: written > 0,
                    text: format!("{}: {error}", self.name()),
                })
            }
        }
    }

    fn open(&self) -> io::Result<File> {
        match &self.target {
            Target::File(path) => open_to_append(path),
            Target::Stderr => stderr(),
        }
    }

    fn name(&self) -> String {
        match &self.target {
            Target::File(path) => path.display().to_string(),
            Target::Stderr => "standard error".to_owned(),
        }
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A duplicate of the descriptor: `std::io::stderr()` is only named, its lock (which a fork can leave
/// held for ever) is not taken.
#[cfg(unix)]
fn stderr() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn stderr() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stderr().as_handle().try_clone_to_owned()?))
}

/// `write_all` that counts, and waits for a pipe that a runtime (Node) has made non-blocking.
fn write_all(
    file: &mut File,
    bytes: &[u8],
    written: &mut usize,
    timeout: Duration,
    aborted: &AtomicBool,
) -> io::Result<()> {
    let start = Instant::now();
    while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(amount) => *written += amount,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if aborted.load(Ordering::Acquire) {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                if start.elapsed() >= timeout {
                    return Err(ErrorKind::TimedOut.into());
                }
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn kind(error: &io::Error) -> FailureKind {
    match error.kind() {
        ErrorKind::ConnectionAborted => FailureKind::Aborted,
        ErrorKind::TimedOut => FailureKind::Timeout,
        _ => FailureKind::Io,
    }
}
