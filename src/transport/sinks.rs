//! The destinations without a server: lines appended to a file or to standard error.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Answer, Failure, FailureKind};

/// Pause before a reader that lags behind, or a lock that another process has, is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// Appends lines. Nothing stays open between two appends, so that a rotated file is left alone and a
/// host that closes every descriptor can't make us write into a file of its own.
pub(super) struct Sink {
    target: Target,
    /// How long a full pipe, or another process's lock, may take.
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

    /// Appends `lines`, each ended by a newline. After a failure `sent` tells whether some of them stayed.
    ///
    /// A regular file takes all of them or none: what a disk that ran full left there is taken back, under a lock that
    /// each process with this library waits for. It stays, and a retry repeats its whole lines, where it can't be taken
    /// back: in a pipe or device, on standard error, in a file that can't be locked or cut (some network file systems,
    /// Windows), once a program that knows no lock has appended behind it, and when the process is killed meanwhile.
    pub(super) fn append(&self, lines: &[u8], aborted: &AtomicBool) -> Result<Answer, Failure> {
        let mut torn = self.torn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = 0;
        let patience = Patience::new(self.timeout, aborted);
        let result = self.open().and_then(|file| {
            let turn = match self.target {
                Target::File(_) => Turn::take(&file, &patience)?,
                Target::Stderr => None,
            };
            if *torn {
                write_all(&mut &file, b"\n", &mut 0, &patience)?;
                *torn = false;
            }
            // Of what can be taken back alone: Windows tells no length of a console.
            let start = match turn {
                Some(_) => Some(file.metadata()?.len()),
                None => None,
            };
            let result = write_all(&mut &file, lines, &mut written, &patience);
            if result.is_err()
                && let Some(start) = start
                && take_back(&file, start, written).unwrap_or(false)
            {
                written = 0;
            }
            result
        });
        match result {
            Ok(()) => Ok(Answer {
                status: 200,
                ..Answer::default()
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
    {
        use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
        // A pipe that nobody reads would hold the thread up until somebody does; a terminal would become ours.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        options.mode(0o600).custom_flags(flags);
        options.open(path).map_err(|error| {
            let is_pipe = || std::fs::metadata(path).is_ok_and(|of| of.file_type().is_fifo());
            match error.raw_os_error() {
                Some(libc::ENXIO) if is_pipe() => {
                    io::Error::new(ErrorKind::ConnectionRefused, "a pipe that nobody reads")
                }
                _ => error,
            }
        })
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// The lock of a regular file, held. It is only advice: programs that don't ask for it append as ever.
struct Turn<'a>(&'a File);

impl<'a> Turn<'a> {
    /// `None` for what is no regular file or can't be locked.
    fn take(file: &'a File, patience: &Patience<'_>) -> io::Result<Option<Self>> {
        // What Windows tells nothing of, such as a pipe, is no regular file.
        if !file.metadata().is_ok_and(|of| of.is_file()) {
            return Ok(None);
        }
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::WouldBlock) => patience.pause("locked by another process")?,
                Err(TryLockError::Error(_)) => return Ok(None),
            }
        }
    }
}

impl Drop for Turn<'_> {
    /// Closing is not enough: a child that was forked meanwhile has the file open too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Cuts off the `written` bytes behind `start`, unless others wrote there too. No call both looks and cuts: a program
/// that knows no lock, and appends just between the two, loses what it wrote.
fn take_back(file: &File, start: u64, written: usize) -> io::Result<bool> {
    let alone = file.metadata()?.len() == start + written as u64;
    if alone {
        file.set_len(start)?;
    }
    Ok(alone)
}

/// How long to wait, all in all.
struct Patience<'a> {
    start: Instant,
    timeout: Duration,
    aborted: &'a AtomicBool,
}

impl<'a> Patience<'a> {
    fn new(timeout: Duration, aborted: &'a AtomicBool) -> Self {
        Self {
            start: Instant::now(),
            timeout,
            aborted,
        }
    }

    /// One pause, or why there is to be none.
    fn pause(&self, why: &str) -> io::Result<()> {
        if self.aborted.load(Ordering::Acquire) {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        if self.start.elapsed() >= self.timeout {
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        thread::sleep(PAUSE);
        Ok(())
    }
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
    file: &mut impl Write,
    bytes: &[u8],
    written: &mut usize,
    patience: &Patience<'_>,
) -> io::Result<()> {
    while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(amount) => *written += amount,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                patience.pause("its reader lags behind")?;
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
        ErrorKind::ConnectionRefused => FailureKind::Refused,
        _ => FailureKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each call of `write` takes what the next step says.
    struct Script {
        steps: Vec<Result<usize, ErrorKind>>,
        got: Vec<u8>,
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let amount = self.steps.remove(0)?.min(bytes.len());
            self.got.extend_from_slice(&bytes[..amount]);
            Ok(amount)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(
        steps: &[Result<usize, ErrorKind>],
        timeout: Duration,
        aborted: bool,
    ) -> (Result<(), ErrorKind>, usize, Vec<u8>) {
        let mut script = Script {
            steps: steps.to_vec(),
            got: Vec::new(),
        };
        let mut written = 0;
        let aborted = AtomicBool::new(aborted);
        let patience = Patience::new(timeout, &aborted);
        let result = write_all(&mut script, b"12345\n", &mut written, &patience);
        (result.map_err(|error| error.kind()), written, script.got)
    }

    #[test]
    fn a_partial_write_is_continued() {
        let pause = Err(ErrorKind::WouldBlock);
        let steps = [
            Ok(2),
            Err(ErrorKind::Interrupted),
            pause,
            Ok(1),
            pause,
            Ok(9),
        ];
        let (result, written, got) = run(&steps, Duration::from_secs(60), false);
        assert_eq!(
            (result, written, got.as_slice()),
            (Ok(()), 6, b"12345\n".as_slice())
        );
    }

    #[test]
    fn a_failure_tells_how_far_it_got() {
        let full = ErrorKind::StorageFull;
        let (result, written, got) = run(&[Ok(4), Err(full)], Duration::ZERO, false);
        assert_eq!(
            (result, written, got.as_slice()),
            (Err(full), 4, b"1234".as_slice())
        );
        for (aborted, expected) in [
            (false, ErrorKind::TimedOut),
            (true, ErrorKind::ConnectionAborted),
        ] {
            let steps = [Ok(4), Err(ErrorKind::WouldBlock)];
            assert_eq!(run(&steps, Duration::ZERO, aborted).0, Err(expected));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_without_a_reader_is_a_fault_and_no_wait() {
        use std::io::Read;
        use std::os::unix::fs::OpenOptionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let sink = Sink::file(path.clone(), Duration::from_millis(20));
        let live = AtomicBool::new(false);
        let failure = sink.append(b"{\"n\":1}\n", &live).unwrap_err();
        let text = format!("{}: a pipe that nobody reads", path.display());
        assert_eq!(
            (failure.kind, failure.sent, failure.text),
            (FailureKind::Refused, false, text)
        );

        let mut reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .unwrap();
        sink.append(b"{\"n\":2}\n", &live).unwrap();
        let mut line = [0; 32];
        let count = reader.read(&mut line).unwrap();
        assert_eq!(&line[..count], b"{\"n\":2}\n");
        let failure = sink.append(&[b'x'; 1 << 20], &live).unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Timeout, true));
        drop(reader);
        // What a reader may have had can't be taken back.
        assert!(*sink.torn.lock().unwrap());
    }

    #[test]
    fn only_what_stands_last_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = open_to_append(&path).unwrap();
        (&file).write_all(b"old\nmine\nmi").unwrap();
        assert!(take_back(&file, 4, 7).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old\n");
        (&file).write_all(b"mine\nmiother\n").unwrap();
        assert!(!take_back(&file, 4, 7).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old\nmine\nmiother\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_locked_file_is_waited_for_and_left_unlocked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let other = open_to_append(&path).unwrap();
        other.lock().unwrap();
        let sink = Sink::file(path.clone(), Duration::from_millis(20));
        let failure = sink.append(b"1\n", &AtomicBool::new(false)).unwrap_err();
        let text = format!("{}: locked by another process", path.display());
        assert_eq!(
            (failure.kind, failure.sent, failure.text),
            (FailureKind::Timeout, false, text)
        );
        let sink = Sink::file(path.clone(), Duration::from_secs(60));
        let aborted = AtomicBool::new(true);
        let failure = sink.append(b"2\n", &aborted).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Aborted);
        thread::scope(|scope| {
            let append = scope.spawn(|| sink.append(b"3\n", &AtomicBool::new(false)));
            other.unlock().unwrap();
            append.join().unwrap().unwrap();
        });
        other.try_lock().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"3\n");
    }

    #[test]
    fn a_torn_line_stays_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "{\"n\":1}\n{\"n\"").unwrap();
        let sink = Sink::file(path.clone(), Duration::ZERO);
        *sink.torn.lock().unwrap() = true;
        let live = AtomicBool::new(false);
        sink.append(b"{\"n\":2}\n", &live).unwrap();
        sink.append(b"{\"n\":3}\n", &live).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"n\":1}\n{\"n\"\n{\"n\":2}\n{\"n\":3}\n");
    }
}
