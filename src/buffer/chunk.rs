//! Where packed records stand: chunks of one size, filled by one shard, then shared by the batches that cut them up.
//! They are on the heap, or slots of a durable file.

use triomphe::{Arc, UniqueArc};

use crate::record::{self, PACKED_MAX, RawRecord};
use crate::sys::{DATA_BYTES, Mapping, REGION_BYTES, Region, prefetch};

/// Bytes of memory of a chunk.
pub(crate) const CHUNK_BYTES: usize = REGION_BYTES;
// The largest record fits.
const _: () = assert!(PACKED_MAX <= DATA_BYTES);

/// A chunk while one shard fills it: nobody else sees it, so writing needs no atomic.
pub(crate) type OpenChunk = UniqueArc<Chunk>;

/// Packed records, one behind the other.
#[derive(Debug)]
pub(crate) struct Chunk {
    region: Region,
    count: usize,
}

impl Chunk {
    /// A new, empty chunk, in a slot of the file where there is one with room; `None` where there is no memory (never an
    /// abort).
    pub(crate) fn try_new(file: Option<&std::sync::Arc<Mapping>>) -> Option<OpenChunk> {
        let region = file.and_then(Region::in_file).or_else(Region::on_heap)?;
        UniqueArc::try_new(Chunk { region, count: 0 }).ok()
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.region.committed()
    }

    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether it is a slot of this file, or of the heap where there is none.
    pub(crate) fn is_in(&self, file: Option<&std::sync::Arc<Mapping>>) -> bool {
        self.region.file().map(std::sync::Arc::as_ptr) == file.map(std::sync::Arc::as_ptr)
    }

    #[inline]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.used() + len <= DATA_BYTES
    }

    /// Appends a record that [`has_room`](Self::has_room). Returns how many records and bytes it holds now.
    #[inline(always)]
    pub(crate) fn push(&mut self, record: &RawRecord<'_>, len: usize) -> (usize, usize) {
        let used = self.used();
        record.pack(self.region.room(used));
        let (count, used) = (self.count + 1, used + len);
        self.count = count;
        self.region.commit(used);
        (count, used)
    }

    fn append(&mut self, packed: &[u8], count: usize) {
        let used = self.used();
        self.region.set_checksum(0);
        self.region.room(used)[..packed.len()].copy_from_slice(packed);
        self.region.commit(used + packed.len());
        self.count += count;
    }

    fn is_durable(&self) -> bool {
        self.region.file().is_some_and(|file| file.is_durable())
    }

    /// Dies with the process, whatever happens.
    fn is_mortal(&self) -> bool {
        self.region.file().is_none_or(|file| file.is_lost())
    }

    /// Takes another chunk's records into an empty one.
    pub(crate) fn take_over(&mut self, other: &Chunk) {
        self.append(other.region.data(0, other.used()), other.count);
    }

    /// It is asked soon where its memory is.
    pub(crate) fn prefetch(&self) {
        prefetch(std::ptr::from_ref(self).cast(), size_of::<Chunk>());
    }

    /// It is filled soon.
    pub(crate) fn prefetch_memory(&self) {
        self.region.prefetch();
    }

    /// In use from now on, as number `sequence`.
    pub(crate) fn begin(&mut self, sequence: u64) {
        self.region.begin(sequence);
    }

    /// Empty and free.
    pub(crate) fn clear(&mut self) {
        self.region.clear();
        self.count = 0;
    }
}

/// A run of records in a chunk that is no longer written to.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    chunk: Arc<Chunk>,
    start: usize,
    end: usize,
    count: usize,
    /// Number of the first record, in the order in which records left the shards.
    first: u64,
}

impl Segment {
    pub(crate) fn whole(chunk: OpenChunk, first: u64) -> Self {
        let (end, count) = (chunk.used(), chunk.count);
        Segment {
            chunk: chunk.shareable(),
            start: 0,
            end,
            count,
            first,
        }
    }

    /// Records that were packed elsewhere, numbered from `first` on.
    pub(crate) fn of(packed: &[u8], count: usize, first: u64) -> Option<Self> {
        let mut chunk = Chunk::try_new(None)?;
        (packed.len() <= DATA_BYTES).then(|| chunk.append(packed, count))?;
        Some(Segment::whole(chunk, first))
    }

    /// The same records in another chunk, which is empty.
    pub(crate) fn copied_to(&self, mut chunk: OpenChunk) -> Self {
        chunk.append(self.packed(), self.count);
        Segment::whole(chunk, self.first)
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Packed records, as [`crate::record::packed`] reads them.
    pub(crate) fn packed(&self) -> &[u8] {
        self.chunk.region.data(self.start, self.end)
    }

    fn offset_of(&self, index: usize) -> usize {
        let mut rest = self.packed();
        for _ in 0..index {
            rest = &rest[RawRecord::packed_len_at(rest)..];
        }
        self.end - rest.len()
    }

    /// Keeps the first `index` records and returns the others.
    pub(crate) fn split_off(&mut self, index: usize) -> Segment {
        let at = self.offset_of(index);
        let tail = Segment {
            chunk: self.chunk.clone(),
            start: at,
            end: self.end,
            count: self.count - index,
            first: self.first + index as u64,
        };
        self.end = at;
        self.count = index;
        tail
    }

    /// Takes a small chunk's records in behind its own, where there is room and nobody else looks at the chunk.
    /// Without this, a server that is down would cost a whole chunk for each nearly empty one that waits.
    pub(crate) fn absorb(&mut self, small: &Chunk, first: u64) -> bool {
        if self.first + self.count as u64 != first || self.end + small.used() > DATA_BYTES {
            return false;
        }
        let end = self.end;
        let Some(chunk) = Arc::get_mut(&mut self.chunk) else {
            return false;
        };
        // What it can't outlive the process in, it must not go to.
        if chunk.used() != end || chunk.is_mortal() != small.is_mortal() {
            return false;
        }
        chunk.append(small.region.data(0, small.used()), small.count);
        self.end = chunk.used();
        self.count += small.count;
        true
    }

    /// Whether others will find its records when this process is gone.
    pub(crate) fn is_durable(&self) -> bool {
        self.chunk.is_durable()
    }

    /// Its records are settled: whoever finds the file need not send them. An unshared chunk is emptied next, and that
    /// says as much of all of them.
    pub(crate) fn settle(&self) {
        if self.chunk.region.file().is_none() || self.chunk.is_unique() {
            return;
        }
        let mut at = self.start;
        while at < self.end {
            let len = RawRecord::packed_len_at(self.chunk.region.data(at, self.end));
            self.chunk.region.mark(at + record::DONE_AT, record::DONE);
            at += len;
        }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.chunk.region.checksum() != 0
    }

    /// Gives the chunk its checksum, where it needs one and has none yet.
    pub(crate) fn seal(&self) {
        let chunk = &*self.chunk;
        if !self.is_sealed() {
            let used = chunk.used();
            chunk
                .region
                .set_checksum(record::checksum(chunk.region.data(0, used)));
        }
    }

    /// The chunk, emptied for its next use, where this was the last segment of it.
    pub(crate) fn recycle(self) -> Option<OpenChunk> {
        let mut chunk = Arc::try_unique(self.chunk).ok()?;
        chunk.clear();
        Some(chunk)
    }
}

/// Up to a request's worth of records, taken out of the buffer but not yet settled.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Which entry of the in-flight table this is.
    pub(super) id: u64,
    /// The client's life in which it was taken; an outcome of an earlier life counts no more.
    pub(super) epoch: u64,
    pub(super) adopted: bool,
    pub(super) segments: Vec<Segment>,
}

impl Batch {
    pub(crate) fn count(&self) -> usize {
        self.segments.iter().map(Segment::count).sum()
    }

    /// Number of its first record.
    pub(crate) fn first(&self) -> u64 {
        self.segments.first().map_or(u64::MAX, Segment::first)
    }

    /// Whether another process recorded it.
    pub(crate) fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// The numbers of its records.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = std::ops::Range<u64>> {
        let numbers = |s: &Segment| s.first..s.first + s.count as u64;
        self.segments.iter().map(numbers)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = RawRecord<'_>> {
        self.segments
            .iter()
            .flat_map(|s| record::packed(s.packed()))
    }

    /// Takes the records for which `picked` says yes out; runs of neighbours stay together.
    pub(super) fn pick(&mut self, picked: impl Fn(usize) -> bool) -> Vec<Segment> {
        let mut out = Vec::new();
        let mut index = 0;
        for mut segment in std::mem::take(&mut self.segments) {
            loop {
                let yes = picked(index);
                let run = (0..segment.count())
                    .take_while(|i| picked(index + i) == yes)
                    .count();
                let rest = (run < segment.count()).then(|| segment.split_off(run));
                index += run;
                if yes {
                    out.push(segment)
                } else {
                    self.segments.push(segment)
                }
                match rest {
                    Some(tail) => segment = tail,
                    None => break,
                }
            }
        }
        out
    }
}
