//! Where packed records stand: chunks of one size, filled by one shard, then shared by the batches that cut them up.

use triomphe::{Arc, UniqueArc};

use crate::record::{PACKED_MAX, RawRecord};

/// Bytes of a chunk; the largest record fits.
pub(crate) const CHUNK_BYTES: usize = 8 * 1024;
const _: () = assert!(PACKED_MAX <= CHUNK_BYTES);

/// A chunk while one shard fills it: nobody else sees it, so writing needs no atomic.
pub(crate) type OpenChunk = UniqueArc<Chunk>;

/// Packed records, one behind the other.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    used: usize,
    count: usize,
}

impl Chunk {
    /// A new, empty chunk; `None` where there is no memory (never an abort).
    pub(crate) fn try_new() -> Option<OpenChunk> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(CHUNK_BYTES).ok()?;
        bytes.resize(CHUNK_BYTES, 0);
        UniqueArc::try_new(Chunk {
            bytes,
            used: 0,
            count: 0,
        })
        .ok()
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.used + len <= CHUNK_BYTES
    }

    /// Appends a record that [`has_room`](Self::has_room). Returns how many records and bytes it holds now.
    #[inline(always)]
    pub(crate) fn push(&mut self, record: &RawRecord<'_>, len: usize) -> (usize, usize) {
        record.pack(&mut self.bytes[self.used..]);
        let (count, used) = (self.count + 1, self.used + len);
        self.count = count;
        self.used = used;
        (count, used)
    }

    fn append(&mut self, packed: &[u8], count: usize) {
        self.bytes[self.used..self.used + packed.len()].copy_from_slice(packed);
        self.used += packed.len();
        self.count += count;
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
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
        let (end, count) = (chunk.used, chunk.count);
        Segment {
            chunk: chunk.shareable(),
            start: 0,
            end,
            count,
            first,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Packed records, as [`crate::record::packed`] reads them.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.chunk.bytes[self.start..self.end]
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

    /// Lets go of the first record and returns its packed length.
    pub(crate) fn drop_first(&mut self) -> usize {
        let len = RawRecord::packed_len_at(self.packed());
        self.start += len;
        self.count -= 1;
        self.first += 1;
        len
    }

    /// Takes a small chunk's records in behind its own, where there is room and nobody else looks at the chunk.
    /// Without this, a server that is down would cost a whole chunk for each nearly empty one that waits.
    pub(crate) fn absorb(&mut self, small: &Chunk, first: u64) -> bool {
        if self.first + self.count as u64 != first || self.end + small.used > CHUNK_BYTES {
            return false;
        }
        let end = self.end;
        let Some(chunk) = Arc::get_mut(&mut self.chunk) else {
            return false;
        };
        if chunk.used != end {
            return false;
        }
        chunk.append(&small.bytes[..small.used], small.count);
        self.end = chunk.used;
        self.count += small.count;
        true
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

    pub(crate) fn records(&self) -> impl Iterator<Item = RawRecord<'_>> {
        self.segments
            .iter()
            .flat_map(|s| crate::record::packed(s.packed()))
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
