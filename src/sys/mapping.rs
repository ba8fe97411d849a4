//! A file mapped into memory, cut into slots of one size. Linux; elsewhere there is none.

use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::region::REGION_BYTES;

/// Shared with the file, and not inherited by forked children.
#[derive(Debug)]
pub(crate) struct Mapping {
    id: u64,
    base: NonNull<u8>,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    length: usize,
    /// Bytes before the first slot.
    offset: usize,
    /// Slots that nobody has; the last used first, so that few pages are touched.
    free: Mutex<Vec<u32>>,
    /// Others can find it.
    published: AtomicBool,
    lost: AtomicBool,
}

// SAFETY: each slot is handed out once, and whoever has it answers for it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `slots` slots behind the first `offset` bytes of the file `id`, which is that long, its blocks reserved.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(file: &File, offset: usize, slots: u32, id: u64) -> io::Result<Mapping> {
        use std::os::fd::AsRawFd;

        let length = offset + slots as usize * REGION_BYTES;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            let base = libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            );
            if base == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            // A child that wrote to it would write into its parent's file.
            libc::madvise(base, length, libc::MADV_DONTFORK);
            base
        };
        Ok(Mapping {
            id,
            base: NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            length,
            offset,
            free: Mutex::new((0..slots).rev().collect()),
            published: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(_: &File, _: usize, _: u32, _: u64) -> io::Result<Mapping> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn slot(&self, index: u32) -> NonNull<u8> {
        // SAFETY: each index is below the number of slots.
        unsafe { self.base.add(self.offset + index as usize * REGION_BYTES) }
    }

    pub(super) fn take_slot(&self) -> Option<(u32, NonNull<u8>)> {
        let index = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()?;
        Some((index, self.slot(index)))
    }

    /// One that still holds something is not handed out again.
    pub(super) fn give_slot(&self, index: u32, is_free: bool) {
        if is_free {
            self.free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(index);
        }
    }

    /// What is in it will be found by others when this process is gone.
    pub(crate) fn is_durable(&self) -> bool {
        self.published.load(Ordering::Acquire) && !self.is_lost()
    }

    pub(crate) fn set_published(&self) {
        self.published.store(true, Ordering::Release);
    }

    /// The file is gone, or not ours any more: what is in it dies with the process.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(crate) fn set_lost(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        // SAFETY: mapped by `new`; the last region that pointed into it is gone.
        unsafe {
            libc::munmap(self.base.as_ptr().cast(), self.length);
        }
    }
}
