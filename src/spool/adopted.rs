//! Files that others left: found, judged, read, and marked as their records are settled. Never mapped, since a file
//! that shrinks under a mapping kills who reads it.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::header::{HEADER_BYTES, Header};
use super::own::{identity_at, write_at};
use super::{Settings, UNFINISHED, is_spool};
use crate::record::{self, CREATED_AT_MAX_US, DONE, DONE_AT, RawRecord};
use crate::sys::{DATA_BYTES, HEAD_BYTES, OwnedFile, REGION_BYTES};

/// Adopted files are open; so many at a time at most, the rest waits for the next look.
const MOST: usize = 16;
/// One that is not ready after so long never will be.
const UNFINISHED_AGE: Duration = Duration::from_secs(60);
/// Numbers of adopted records begin here, beyond those of any record of our own.
const FIRST_NUMBER: u64 = 1 << 62;
/// More than a chunk holds.
const NUMBERS_A_CHUNK: u64 = 1 << 12;

/// What a look into the directory brought.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The oldest first.
    pub(crate) adopted: Vec<Adopted>,
    /// Bytes that can't be read as ours.
    pub(crate) skipped_bytes: u64,
    /// What a person should know.
    pub(crate) remarks: Vec<String>,
}

/// A file whose owner is gone, locked by us.
#[derive(Debug)]
pub(crate) struct Adopted {
    file: OwnedFile,
    path: PathBuf,
    header: Header,
    modified: SystemTime,
    /// Not settled yet, the oldest first.
    chunks: VecDeque<Place>,
    /// The records of the first chunk that are out for delivery.
    loaded: Option<Loaded>,
    records: usize,
}

/// A chunk that holds something.
#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    index: u32,
    committed: usize,
    checksum: u32,
}

#[derive(Debug)]
struct Loaded {
    first: u64,
    /// Where in the file each record's mark is, and what stands there.
    marks: Vec<(u64, u8)>,
}

/// Records of one chunk, packed, to be delivered.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) packed: Vec<u8>,
    pub(crate) count: usize,
    /// The number of the first one.
    pub(crate) first: u64,
    /// So many besides were too old, and are settled by that.
    pub(crate) expired: usize,
}

/// Looks for files to adopt, but for those `held` already, and removes what is too old to be of use. `seen` remembers
/// what was remarked on.
pub(crate) fn scan(
    settings: &Settings,
    held: &[(u64, u64)],
    seen: &mut HashSet<(u64, u64)>,
) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in fs::read_dir(&settings.dir)? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let unfinished = name.starts_with(UNFINISHED);
        if !(unfinished || is_spool(name)) || found.adopted.len() + held.len() > MOST {
            continue;
        }
        let path = entry.path();
        let Some((file, modified)) = open(&path, held) else {
            continue;
        };
        let age = modified.elapsed().unwrap_or_default();
        if unfinished {
            if age > UNFINISHED_AGE {
                let _ = fs::remove_file(&path);
            }
            continue;
        }
        judge(
            settings,
            Candidate {
                file,
                path,
                modified,
                age,
            },
            seen,
            &mut found,
        );
    }
    found.adopted.sort_by_key(|file| file.modified);
    Ok(found)
}

struct Candidate {
    file: OwnedFile,
    path: PathBuf,
    modified: SystemTime,
    age: Duration,
}

fn judge(
    settings: &Settings,
    candidate: Candidate,
    seen: &mut HashSet<(u64, u64)>,
    found: &mut Found,
) {
    let Candidate {
        file,
        path,
        modified,
        age,
    } = candidate;
    let length = file.get().and_then(File::metadata).map_or(0, |m| m.len());
    let header = read(&file, 0, HEADER_BYTES)
        .ok()
        .and_then(|bytes| Header::decode(&bytes));
    let Some(header) = header else {
        // Another version's, perhaps, whose process can still read it.
        let is_new = seen.insert(file.identity());
        if age > settings.max_age {
            let _ = fs::remove_file(&path);
        }
        if is_new {
            found.skipped_bytes += length;
            found.remarks.push(format!(
                "{} is no file of this version: left alone",
                path.display()
            ));
        }
        return;
    };
    if !header.clean && !header.owner.is_gone() {
        return;
    }
    if header.identity != settings.identity {
        if age > settings.max_age {
            let _ = fs::remove_file(&path);
        }
        return;
    }
    let mut adopted = Adopted {
        file,
        path,
        header,
        modified,
        chunks: VecDeque::new(),
        loaded: None,
        records: 0,
    };
    let skipped = adopted.look(length);
    found.skipped_bytes += skipped;
    if skipped > 0 {
        let path = adopted.path.display();
        found
            .remarks
            .push(format!("{path}: {skipped} bytes are damaged and left out"));
    }
    if adopted.records == 0 {
        adopted.remove();
    } else {
        found.adopted.push(adopted);
    }
}

/// Opens and locks a regular file of this user, which still stands there.
#[cfg(unix)]
fn open(path: &Path, held: &[(u64, u64)]) -> Option<(OwnedFile, SystemTime)> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let me = fs::metadata("/proc/self").ok()?.uid();
    let metadata = fs::symlink_metadata(path).ok()?;
    if !metadata.is_file()
        || metadata.uid() != me
        || held.contains(&(metadata.dev(), metadata.ino()))
    {
        return None;
    }
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = OwnedFile::new(options.open(path).ok()?).ok()?;
    file.get().ok()?.try_lock().ok()?;
    let modified = metadata.modified().ok()?;
    (identity_at(path).ok()? == file.identity()).then_some((file, modified))
}

#[cfg(not(unix))]
fn open(_: &Path, _: &[(u64, u64)]) -> Option<(OwnedFile, SystemTime)> {
    let _: Option<OpenOptions> = None;
    None
}

#[cfg(unix)]
fn read(file: &OwnedFile, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    std::os::unix::fs::FileExt::read_exact_at(file.get()?, &mut bytes, at)?;
    Ok(bytes)
}

#[cfg(not(unix))]
fn read(_: &OwnedFile, _: u64, _: usize) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Adopted {
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.file.identity()
    }

    pub(crate) fn node(&self) -> &str {
        &self.header.node
    }

    /// Records that are not settled.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// Finds the chunks that hold something, and counts the records. Returns how many bytes are damaged.
    fn look(&mut self, length: u64) -> u64 {
        let whole = length.saturating_sub(HEADER_BYTES as u64) / REGION_BYTES as u64;
        let mut skipped = 0;
        if whole < u64::from(self.header.chunks) {
            skipped += self.header.length() - length.min(self.header.length());
        }
        let chunks = u64::from(self.header.chunks).min(whole) as u32;
        let mut places: Vec<Place> = Vec::new();
        for index in 0..chunks {
            let Ok(head) = read(&self.file, chunk_at(index), HEAD_BYTES) else {
                skipped += REGION_BYTES as u64;
                continue;
            };
            let word = |at: usize| {
                let mut word = [0; 8];
                word.copy_from_slice(&head[at..at + 8]);
                u64::from_le_bytes(word)
            };
            let (mark, sequence, committed) = (word(0), word(8), word(16));
            if sequence == 0 || committed == 0 {
                continue;
            }
            if mark != self.header.mark(index) || committed > DATA_BYTES as u64 {
                skipped += REGION_BYTES as u64;
            } else {
                places.push(Place {
                    sequence,
                    index,
                    committed: committed as usize,
                    checksum: word(24) as u32,
                });
            }
        }
        places.sort_by_key(|place| place.sequence);
        for place in places {
            match self.chunk(place) {
                Some(bytes) => {
                    let undone = pieces(&bytes)
                        .filter(|piece| !record::is_done(piece))
                        .count();
                    if undone > 0 {
                        self.records += undone;
                        self.chunks.push_back(place);
                    }
                }
                None => skipped += place.committed as u64,
            }
        }
        skipped
    }

    /// A chunk's data, if it is whole: records one behind the other up to where it was committed, and where it was
    /// sealed, as it was then.
    fn chunk(&self, place: Place) -> Option<Vec<u8>> {
        let at = chunk_at(place.index) + HEAD_BYTES as u64;
        let bytes = read(&self.file, at, place.committed).ok()?;
        let whole: usize = pieces(&bytes).map(<[u8]>::len).sum();
        let intact = place.checksum == 0 || place.checksum == record::checksum(&bytes);
        (whole == bytes.len() && intact).then_some(bytes)
    }

    /// The next records to deliver; `None`: there are none. Until they are settled or given back they are all there are.
    pub(crate) fn load(&mut self, now_us: i64, max_age: Duration) -> Option<Records> {
        let max_age_us = i64::try_from(max_age.as_micros()).unwrap_or(i64::MAX);
        while let Some(place) = self.chunks.front().copied() {
            let mut records = Records {
                packed: Vec::new(),
                count: 0,
                first: 0,
                expired: 0,
            };
            let mut loaded = Loaded {
                first: 0,
                marks: Vec::new(),
            };
            let mut too_old = Vec::new();
            let mut at = chunk_at(place.index) + HEAD_BYTES as u64 + DONE_AT as u64;
            let bytes = self.chunk(place).unwrap_or_default();
            for (number, piece) in (0..).zip(pieces(&bytes)) {
                let mark = (at, piece[DONE_AT]);
                at += piece.len() as u64;
                if record::is_done(piece) {
                    continue;
                }
                let age = RawRecord::unpack(piece)
                    .map_or(0, |(record, _)| now_us.saturating_sub(record.created_at_us));
                if age > max_age_us {
                    too_old.push(mark);
                    continue;
                }
                if records.count == 0 {
                    let chunk = u64::from(place.index) * NUMBERS_A_CHUNK;
                    loaded.first = FIRST_NUMBER + chunk + number;
                }
                records.packed.extend(piece);
                records.count += 1;
                loaded.marks.push(mark);
            }
            records.first = loaded.first;
            records.expired = too_old.len();
            self.records -= too_old.len().min(self.records);
            self.mark(&too_old);
            if records.count == 0 {
                self.chunks.pop_front();
                if records.expired > 0 {
                    return Some(records);
                }
                continue;
            }
            self.loaded = Some(loaded);
            return Some(records);
        }
        None
    }

    /// These records are settled.
    pub(crate) fn settle(&mut self, numbers: Range<u64>) {
        let Some(loaded) = &self.loaded else { return };
        let place = |number: u64| number.saturating_sub(loaded.first) as usize;
        let marks = loaded.marks.get(place(numbers.start)..place(numbers.end));
        let marks = marks.unwrap_or_default().to_vec();
        self.records -= marks.len().min(self.records);
        self.mark(&marks);
    }

    /// A failure costs a second delivery at most.
    fn mark(&self, marks: &[(u64, u8)]) {
        for (at, byte) in marks {
            if let Ok(file) = self.file.get() {
                let _ = write_at(file, &[byte | DONE], *at);
            }
        }
    }

    /// All is settled, or given up: the file goes.
    pub(crate) fn remove(self) {
        if identity_at(&self.path).is_ok_and(|identity| identity == self.file.identity()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn chunk_at(index: u32) -> u64 {
    HEADER_BYTES as u64 + u64::from(index) * REGION_BYTES as u64
}

/// The packed records in `bytes`, up to the first that can't be one.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (record, length) = RawRecord::unpack(rest)?;
        let plausible = record.packed_len() == length
            && (100..=999).contains(&record.status)
            && (0..=CREATED_AT_MAX_US).contains(&record.created_at_us);
        let (piece, tail) = rest.split_at_checked(length).filter(|_| plausible)?;
        rest = tail;
        Some(piece)
    })
}
