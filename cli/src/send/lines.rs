//! Lines of a file or of standard input, read by a thread of their own.

use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use malti::transport::Destination;

/// Bytes handed over at once, and how many such wait.
const CHUNK: usize = 256 * 1024;
const WAITING: usize = 4;
/// What of a longer line is kept.
const LINE_MAX: usize = 4 << 20;
/// How files of gzip begin.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How often a file's end is looked at, and how often the reader of lines is to do other things.
const LOOK: Duration = Duration::from_millis(200);

/// Whole lines, one after the other.
pub struct Lines(Vec<u8>);

impl Lines {
    pub fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.0.strip_suffix(b"\n").unwrap_or(&self.0);
        text.split(|byte| *byte == b'\n')
    }
}

pub struct Source {
    chunks: Receiver<io::Result<Lines>>,
    length: Option<u64>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Nothing more is to be read.
    cut: AtomicBool,
    /// All was.
    ended: AtomicBool,
}

impl Source {
    /// `follow`: goes on at the file's end.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(path: Option<&Path>, follow: bool) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(WAITING);
        let shared = Arc::<Shared>::default();
        let reader = Arc::clone(&shared);
        let Some(path) = path else {
            if io::stdin().is_terminal() {
                complain!("reads standard input, to its end (Ctrl-D)");
            }
            thread::spawn(move || read(io::stdin().lock(), &sender, &reader, || Ok(After::End)));
            return Ok(Self {
                chunks,
                length: None,
                shared,
            });
        };
        let about =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(about)?;
        let length = file.metadata().map_err(about)?;
        let is_gz = path.extension().is_some_and(|extension| extension == "gz");
        let mut followed = Followed {
            path: path.to_owned(),
            file: file.try_clone()?,
            next: None,
        };
        thread::spawn(move || {
            read(file, &sender, &reader, || match follow {
                true => followed.after(),
                false => Ok(After::End),
            });
        });
        Ok(Self {
            chunks,
            length: (length.is_file() && !follow && !is_gz).then_some(length.len()),
            shared,
        })
    }

    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next lines; none: that was all. Between them, and while there are none, `tick` is called. Once
    /// it says no, only what was read by then is given.
    ///
    /// # Errors
    /// The input can't be read.
    pub fn next(&self, mut tick: impl FnMut() -> bool) -> io::Result<Option<Lines>> {
        loop {
            let go_on = tick();
            if !go_on {
                self.shared.cut.store(true, Ordering::Release);
            }
            match self.chunks.recv_timeout(LOOK) {
                Ok(lines) => return lines.map(Some),
                Err(RecvTimeoutError::Timeout) if go_on => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// Whether all of it was read.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }
}

/// What is to be done where the input ends.
enum After {
    End,
    /// The same input may have grown.
    Again,
    /// The same input begins anew.
    Anew,
    Other(File),
}

struct Followed {
    path: PathBuf,
    file: File,
    /// Stands in its place, and is next when what is still written to it was read.
    next: Option<File>,
}

impl Followed {
    fn after(&mut self) -> io::Result<After> {
        thread::sleep(LOOK);
        if let Some(next) = self.next.take() {
            self.file = next.try_clone()?;
            return Ok(After::Other(next));
        }
        // In between it may have no file at all.
        let Ok(now) = fs::metadata(&self.path) else {
            return Ok(After::Again);
        };
        if !is_same(&now, &self.file.metadata()?) {
            // As long as it is empty, a server may not have been told that its file was renamed.
            if now.len() > 0 {
                self.next = File::open(&self.path).ok();
            }
            return Ok(After::Again);
        }
        // Emptied in its place, as logrotate's copytruncate does it. A pipe has no position.
        if now.is_file() && self.file.stream_position()? > now.len() {
            self.file.rewind()?;
            return Ok(After::Anew);
        }
        Ok(After::Again)
    }
}

/// Whether what would be read is the file that records go to: then it would never end.
pub fn is_own_sink(path: Option<&Path>, destination: &Destination) -> bool {
    let sink = match destination {
        Destination::Http(_) => return false,
        Destination::File(path) => fs::metadata(path),
        Destination::Stderr => metadata(&io::stderr()),
    };
    let input = match path {
        Some(path) => fs::metadata(path),
        None => metadata(&io::stdin()),
    };
    // A terminal or a device is no file that grows.
    matches!((input, sink), (Ok(input), Ok(sink)) if input.is_file() && is_same(&input, &sink))
}

#[cfg(unix)]
fn metadata(stream: &impl std::os::fd::AsFd) -> io::Result<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned()?).metadata()
}

#[cfg(windows)]
fn metadata(stream: &impl std::os::windows::io::AsHandle) -> io::Result<Metadata> {
    File::from(stream.as_handle().try_clone_to_owned()?).metadata()
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// By what a file keeps from its beginning.
#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    matches!((one.created(), other.created()), (Ok(one), Ok(other)) if one == other)
}

fn read(
    input: impl Read + 'static,
    sender: &SyncSender<io::Result<Lines>>,
    shared: &Shared,
    mut after: impl FnMut() -> io::Result<After>,
) {
    let mut input = match buffered(input) {
        Ok(input) => input,
        Err(error) => {
            let _ = sender.send(Err(error));
            return;
        }
    };
    let mut lines = Vec::new();
    while !shared.cut.load(Ordering::Acquire) {
        match chunk(&mut input, &mut lines) {
            Ok(true) => {}
            Ok(false) => match after() {
                Ok(After::Again) => {}
                Ok(After::Anew) => end_line(&mut lines),
                Ok(After::Other(file)) => {
                    end_line(&mut lines);
                    input = BufReader::with_capacity(CHUNK, Box::new(file));
                }
                Ok(After::End) => {
                    shared.ended.store(true, Ordering::Release);
                    let _ = sender.send(Ok(Lines(lines)));
                    return;
                }
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            },
            Err(error) => {
                let _ = sender.send(Err(error));
                return;
            }
        }
        // What has no end yet is not a line yet.
        let Some(end) = lines.iter().rposition(|byte| *byte == b'\n') else {
            lines.truncate(LINE_MAX);
            continue;
        };
        let rest = lines.split_off(end + 1);
        if sender
            .send(Ok(Lines(std::mem::replace(&mut lines, rest))))
            .is_err()
        {
            return;
        }
    }
}

/// What was begun and has no end is a line before others come.
fn end_line(lines: &mut Vec<u8>) {
    if !lines.is_empty() {
        lines.push(b'\n');
    }
}

/// What is compressed by gzip, as logs are that were rotated, becomes text again.
fn buffered(input: impl Read + 'static) -> io::Result<BufReader<Box<dyn Read>>> {
    let mut input = BufReader::with_capacity(CHUNK, input);
    let is_gzip = input.fill_buf()?.starts_with(GZIP);
    let input: Box<dyn Read> = match is_gzip {
        true => Box::new(MultiGzDecoder::new(input)),
        false => Box::new(input),
    };
    Ok(BufReader::with_capacity(CHUNK, input))
}

/// Takes what is there; false: nothing more for now.
fn chunk(input: &mut impl BufRead, lines: &mut Vec<u8>) -> io::Result<bool> {
    let found = loop {
        match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            found => break found?,
        }
    };
    let length = found.len();
    lines.extend_from_slice(found);
    input.consume(length);
    Ok(length > 0)
}
