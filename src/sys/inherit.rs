//! Files with a lock that forked children must not keep: a child closes its copies at once.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// A file of this process alone. Its descriptor is believed only while it still leads to the same file: a host that
/// closes every descriptor may have opened something of its own under that number.
#[derive(Debug)]
pub(crate) struct OwnedFile {
    file: Option<File>,
    identity: (u64, u64),
}

/// One more than are open at any time is not closed in children, and no harm beyond that.
const MOST: usize = 64;
static OPEN: [Entry; MOST] = [const { Entry::new() }; MOST];

struct Entry {
    /// The descriptor and 1; 0: free.
    fd: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Entry {
    const fn new() -> Self {
        Entry {
            fd: AtomicI32::new(0),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
        }
    }
}

#[cfg(unix)]
fn identity_of(file: &File) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity_of(_: &File) -> io::Result<(u64, u64)> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn number(file: &File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

#[cfg(not(unix))]
fn number(_: &File) -> i32 {
    0
}

impl OwnedFile {
    pub(crate) fn new(file: File) -> io::Result<OwnedFile> {
        let identity = identity_of(&file)?;
        let wanted = number(&file) + 1;
        for entry in &OPEN {
            let taken = entry
                .fd
                .compare_exchange(0, -1, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_ok() {
                entry.device.store(identity.0, Ordering::Release);
                entry.inode.store(identity.1, Ordering::Release);
                entry.fd.store(wanted, Ordering::Release);
                break;
            }
        }
        Ok(OwnedFile {
            file: Some(file),
            identity,
        })
    }

    /// Device and inode.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// The file, while its descriptor is still ours.
    pub(crate) fn get(&self) -> io::Result<&File> {
        let gone = || io::Error::other("its descriptor was closed by the host");
        let file = self.file.as_ref().ok_or_else(gone)?;
        match identity_of(file) {
            Ok(identity) if identity == self.identity => Ok(file),
            _ => Err(gone()),
        }
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        let is_ours = self.get().is_ok();
        let Some(file) = self.file.take() else { return };
        let mine = number(&file) + 1;
        for entry in &OPEN {
            if entry.fd.load(Ordering::Acquire) == mine
                && entry.inode.load(Ordering::Acquire) == self.identity.1
            {
                entry.fd.store(0, Ordering::Release);
                break;
            }
        }
        if !is_ours {
            forget(file);
        }
    }
}

/// The number is the host's now.
#[cfg(unix)]
fn forget(file: File) {
    let _ = std::os::fd::IntoRawFd::into_raw_fd(file);
}

#[cfg(not(unix))]
fn forget(_: File) {}

/// For the child's fork handler: closes what is the parent's. Async-signal-safe.
#[cfg(unix)]
pub(crate) fn close_inherited() {
    for entry in &OPEN {
        let fd = entry.fd.swap(0, Ordering::AcqRel) - 1;
        if fd < 0 {
            continue;
        }
        let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `stat` is read only where fstat filled it.
        unsafe {
            if libc::fstat(fd, stat.as_mut_ptr()) == 0 {
                let stat = stat.assume_init();
                #[allow(clippy::unnecessary_cast)] // Their widths differ by platform.
                let same = stat.st_dev as u64 == entry.device.load(Ordering::Acquire)
                    && stat.st_ino as u64 == entry.inode.load(Ordering::Acquire);
                if same {
                    libc::close(fd);
                }
            }
        }
    }
}

/// Reserves blocks for a file of this length: a sparse file on a full disk would be a SIGBUS later on.
#[cfg(target_os = "linux")]
pub(crate) fn reserve(file: &File, length: u64) -> io::Result<()> {
    let length = i64::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: a plain system call on a descriptor that is open.
        if unsafe { libc::fallocate64(number(file), 0, 0, length) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn reserve(_: &File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
