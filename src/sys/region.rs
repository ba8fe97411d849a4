//! The memory of a chunk: on the heap, or a slot of a mapped file, alike to whoever writes to it.
//!
//! Both begin with a head, so that the hot path is the same for both:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | in a file, which chunk of which file it is |
//! | 8–15 | place in the order of chunks; 0: free |
//! | 16–23 | bytes of data that are whole: the write cursor |
//! | 24–27 | checksum of them; 0: there is none |

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::{Mapping, prefetch};

/// Bytes of a region, head and data.
pub(crate) const REGION_BYTES: usize = 8 * 1024;
pub(crate) const HEAD_BYTES: usize = 64;
/// Bytes of its data.
pub(crate) const DATA_BYTES: usize = REGION_BYTES - HEAD_BYTES;

const SEQUENCE: usize = 8;
const COMMITTED: usize = 16;
const CHECKSUM: usize = 24;
const LAYOUT: Layout = match Layout::from_size_align(REGION_BYTES, 64) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Writing needs `&mut`; what was committed may be read by many.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    /// `None`: on the heap.
    slot: Option<Slot>,
}

#[derive(Debug)]
struct Slot {
    file: Arc<Mapping>,
    index: u32,
}

// SAFETY: it owns its memory alone, like a Box; what `&self` can write to is atomic.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Zeroed memory of the heap; `None` where there is none (never an abort).
    pub(crate) fn on_heap() -> Option<Region> {
        // SAFETY: the layout has a size.
        let base = NonNull::new(unsafe { alloc_zeroed(LAYOUT) })?;
        Some(Region { base, slot: None })
    }

    /// A free slot of the file; `None` where all are taken.
    pub(crate) fn in_file(file: &Arc<Mapping>) -> Option<Region> {
        let (index, base) = file.take_slot()?;
        let file = file.clone();
        Some(Region {
            base,
            slot: Some(Slot { file, index }),
        })
    }

    /// The file it is a slot of.
    pub(crate) fn file(&self) -> Option<&Arc<Mapping>> {
        self.slot.as_ref().map(|slot| &slot.file)
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: inside the head, 8-aligned, and only ever used as an atomic.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    fn checksum_word(&self) -> &AtomicU32 {
        // SAFETY: as in `word`, 4-aligned.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(CHECKSUM).cast()) }
    }

    /// It is written to soon: its head and the first data.
    pub(crate) fn prefetch(&self) {
        prefetch(self.base.as_ptr(), 4 * HEAD_BYTES);
    }

    /// What a slot that is in use begins with.
    pub(crate) fn mark_of(file_id: u64, index: u32) -> u64 {
        (file_id ^ u64::from(index)).to_le()
    }

    /// Empty, and in use from now on.
    pub(crate) fn begin(&mut self, sequence: u64) {
        if let Some(slot) = &self.slot {
            let mark = Region::mark_of(slot.file.id(), slot.index);
            self.word(0).store(mark, Ordering::Release);
        }
        self.word(SEQUENCE).store(sequence, Ordering::Release);
    }

    /// Empty and free.
    pub(crate) fn clear(&mut self) {
        self.word(SEQUENCE).store(0, Ordering::Release);
        self.word(COMMITTED).store(0, Ordering::Release);
        self.checksum_word().store(0, Ordering::Release);
    }

    /// How far the data goes.
    #[inline]
    pub(crate) fn committed(&self) -> usize {
        self.word(COMMITTED).load(Ordering::Relaxed) as usize
    }

    /// The data from `start` on, to be written and then committed.
    #[inline]
    pub(crate) fn room(&mut self, start: usize) -> &mut [u8] {
        let start = start.min(DATA_BYTES);
        // SAFETY: inside the data, and `&mut self` is the only reference to it.
        unsafe {
            let from = self.base.as_ptr().add(HEAD_BYTES + start);
            std::slice::from_raw_parts_mut(from, DATA_BYTES - start)
        }
    }

    /// What was written up to `end` is whole: from here on it survives the process, where it is in a file.
    #[inline]
    pub(crate) fn commit(&mut self, end: usize) {
        self.word(COMMITTED).store(end as u64, Ordering::Release);
    }

    /// Committed data. The caller names what it owns: another thread may mark bytes outside of that.
    #[inline]
    pub(crate) fn data(&self, start: usize, end: usize) -> &[u8] {
        let end = end.min(DATA_BYTES);
        let start = start.min(end);
        // SAFETY: inside the data; it is not written to any more but by `mark`.
        unsafe {
            std::slice::from_raw_parts(self.base.as_ptr().add(HEAD_BYTES + start), end - start)
        }
    }

    /// Sets bits of one byte of the data.
    pub(crate) fn mark(&self, at: usize, bits: u8) {
        let at = at.min(DATA_BYTES - 1);
        // SAFETY: inside the data; nobody reads this byte at the same time, by the caller's care.
        let byte = unsafe { AtomicU8::from_ptr(self.base.as_ptr().add(HEAD_BYTES + at)) };
        byte.fetch_or(bits, Ordering::Relaxed);
    }

    pub(crate) fn checksum(&self) -> u32 {
        self.checksum_word().load(Ordering::Relaxed)
    }

    /// 0 takes it away: the data may grow again.
    pub(crate) fn set_checksum(&self, checksum: u32) {
        self.checksum_word().store(checksum, Ordering::Release);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        match &self.slot {
            // What is committed in it stays in the file.
            Some(slot) => slot
                .file
                .give_slot(slot.index, self.word(SEQUENCE).load(Ordering::Relaxed) == 0),
            // SAFETY: allocated with this layout, and not freed yet.
            None => unsafe { dealloc(self.base.as_ptr(), LAYOUT) },
        }
    }
}
