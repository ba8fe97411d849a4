//! The file of this process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::header::{CLEAN_AT, HEADER_BYTES, Header};
use super::{SUFFIX, Settings, UNFINISHED, is_spool};
use crate::sys::{self, Mapping, OwnedFile};

/// Locked and mapped; `Drop` leaves it as it is, for others to find.
#[derive(Debug)]
pub(crate) struct Own {
    file: OwnedFile,
    path: PathBuf,
    /// The name that others look for, once there is something for them to find.
    name: PathBuf,
    mapping: Arc<Mapping>,
}

impl Own {
    /// Makes a file with room for so many chunks. Nobody looks at it before [`publish`](Self::publish).
    pub(crate) fn create(settings: &Settings, chunks: u32) -> io::Result<Own> {
        let file_id = fastrand::u64(1..);
        let header = Header::new(settings, chunks, file_id);
        make_dir(&settings.dir)?;
        let others = held(&settings.dir)?;
        if others.saturating_add(header.length()) > settings.bytes {
            let needed = header.length();
            let why =
                format!("spool_bytes leaves no room for {needed} bytes beside {others} of others");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, why));
        }
        let name = format!("malti-{}-{file_id:016x}{SUFFIX}", std::process::id());
        let path = settings.dir.join(format!("{UNFINISHED}{name}"));
        let made = Own::fill(create_new(&path)?, &header);
        if made.is_err() {
            let _ = fs::remove_file(&path);
        }
        let (file, mapping) = made?;
        Ok(Own {
            file,
            path,
            name: settings.dir.join(name),
            mapping: Arc::new(mapping),
        })
    }

    /// Gives it its name. What waits in memory is in it by now: others may take it for all that there was.
    pub(crate) fn publish(&mut self) -> io::Result<()> {
        let named = fs::rename(&self.path, &self.name);
        if named.is_err() {
            self.mapping.set_lost();
            let _ = fs::remove_file(&self.path);
        }
        named?;
        self.path.clone_from(&self.name);
        Ok(())
    }

    fn fill(file: File, header: &Header) -> io::Result<(OwnedFile, Mapping)> {
        let owned = OwnedFile::new(file)?;
        let file = owned.get()?;
        file.try_lock()?;
        sys::reserve(file, header.length())?;
        write_at(file, &header.encode(), 0)?;
        let mapping = Mapping::new(file, HEADER_BYTES, header.chunks, header.file_id)?;
        Ok((owned, mapping))
    }

    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn identity(&self) -> (u64, u64) {
        self.file.identity()
    }

    /// Whether it is still there, and still locked by us.
    pub(crate) fn check(&self) -> io::Result<()> {
        let (descriptor, found) = (self.file.get(), identity_at(&self.path));
        let lost = match (descriptor, found) {
            (Ok(_), Ok(identity)) if identity == self.file.identity() => return Ok(()),
            (Err(error), _) | (_, Err(error)) => error,
            _ => io::Error::other("another file stands in its place"),
        };
        self.mapping.set_lost();
        Err(lost)
    }

    /// At a clean stop: what is left in it is for the next process. Without anything left it goes.
    pub(crate) fn finish(self, is_empty: bool) {
        if self.check().is_err() {
            return;
        }
        if is_empty {
            let _ = fs::remove_file(&self.path);
        } else if let Ok(file) = self.file.get() {
            let _ = write_at(file, &1u32.to_le_bytes(), CLEAN_AT);
        }
    }
}

/// The bytes of all files of the directory.
fn held(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0u64;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_spool) {
            bytes = bytes.saturating_add(entry.metadata().map_or(0, |metadata| metadata.len()));
        }
    }
    Ok(bytes)
}

#[cfg(target_os = "linux")]
fn make_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

#[cfg(not(target_os = "linux"))]
fn make_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn create_new(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

#[cfg(not(target_os = "linux"))]
fn create_new(_: &Path) -> io::Result<File> {
    let _: Option<OpenOptions> = None;
    Err(io::Error::other("not supported on this platform"))
}

#[cfg(unix)]
pub(super) fn identity_at(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity_at(_: &Path) -> io::Result<(u64, u64)> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(unix)]
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(not(unix))]
pub(super) fn write_at(_: &File, _: &[u8], _: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
