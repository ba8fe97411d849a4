//! What the central lock guards: the queue, what is in flight, the counters, and what the sender is asked for.

use std::collections::VecDeque;
use std::time::Instant;

use super::Limits;
use super::chunk::{Batch, CHUNK_BYTES, Chunk, OpenChunk, Segment};
use crate::ledger::{Counters, State};

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Sent,
    Rejected,
}

/// A batch that is out of the queue. The table keeps segments of its own, so that a batch whose thread panicked, or
/// whose answer never comes, is still here.
struct InFlight {
    id: u64,
    /// The thread that has it: 0 the sender, else a helper.
    owner: usize,
    segments: Vec<Segment>,
}

impl InFlight {
    fn first(&self) -> u64 {
        self.segments.first().map_or(u64::MAX, Segment::first)
    }

    fn count(&self) -> usize {
        self.segments.iter().map(Segment::count).sum()
    }

    fn bytes(&self) -> usize {
        self.segments.iter().map(|s| s.packed().len()).sum()
    }
}

#[derive(Default)]
pub(crate) struct Central {
    max_records: usize,
    max_bytes: usize,
    batch_due_bytes: usize,
    /// Chunks that may exist; nearly empty ones count, so that memory is bounded too.
    max_chunks: usize,
    chunks: usize,
    /// Most chunks in use since the free list was last trimmed.
    high_water: usize,
    free: Vec<OpenChunk>,
    queue: VecDeque<Segment>,
    queued: usize,
    queued_bytes: usize,
    in_flight: Vec<InFlight>,
    /// Number of the next record to leave a shard. Goes on over all lives, so that a flush's mark stays meaningful.
    next_record: u64,
    next_batch: u64,
    /// The client's life: raised at each opening and each end.
    pub(crate) epoch: u64,
    /// From opening to the end of shutdown.
    pub(crate) running: bool,
    pub(crate) counters: Counters,
    /// The sender has something to look at.
    pub(crate) woken: bool,
    /// Calls of flush so far: each is worth one attempt at once.
    pub(crate) flushes: u64,
    /// Records before this number are wanted delivered at once.
    pub(crate) flush_mark: u64,
    /// A configuration fault ended the flushes up to this mark.
    pub(crate) refused_mark: u64,
    /// Shutdown has begun, and ends then.
    pub(crate) stop_at: Option<Instant>,
    /// The sender has done what it could before the end.
    pub(crate) gave_up: bool,
    /// The life for which a sender thread exists.
    pub(crate) sender_epoch: Option<u64>,
    /// No thread could be had; not tried again before then.
    pub(crate) no_thread_until: Option<Instant>,
}

impl Central {
    pub(super) fn begin(&mut self, limits: &Limits) {
        self.max_records = limits.records;
        self.max_bytes = limits.bytes;
        self.batch_due_bytes = usize::MAX;
        self.max_chunks = 2 * (limits.bytes / CHUNK_BYTES + super::SHARDS);
        self.epoch += 1;
        self.running = true;
        self.counters = Counters {
            state: State::Idle,
            ..Counters::default()
        };
        self.woken = false;
        self.flushes = 0;
        self.flush_mark = 0;
        self.refused_mark = 0;
        self.stop_at = None;
        self.gave_up = false;
        self.no_thread_until = None;
    }

    /// Ends this life: what is not confirmed is counted as lost at shutdown, and a later outcome is discarded. All
    /// chunks are let go; one that a request under way still holds is freed with its batch.
    pub(crate) fn end(&mut self) {
        let lost = self.queued + self.in_flight();
        self.counters.dropped_shutdown += lost as u64;
        self.counters.state = State::Stopped;
        self.epoch += 1;
        self.running = false;
        self.in_flight = Vec::new();
        self.queue = VecDeque::new();
        self.free = Vec::new();
        (self.queued, self.queued_bytes) = (0, 0);
        (self.chunks, self.high_water) = (0, 0);
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Number of the oldest record in the queue; `u64::MAX`: it is empty.
    pub(crate) fn first_queued(&self) -> u64 {
        self.queue.front().map_or(u64::MAX, Segment::first)
    }

    /// Memory of all chunks there are.
    #[cfg(test)]
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunks * CHUNK_BYTES
    }

    pub(crate) fn capacity(&self) -> usize {
        self.max_records
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.iter().map(InFlight::count).sum()
    }

    fn in_flight_bytes(&self) -> usize {
        self.in_flight.iter().map(InFlight::bytes).sum()
    }

    /// How full the buffer is, in percent, by records or by bytes, whichever is more.
    pub(crate) fn fill_percent(&self, buffered: usize) -> usize {
        let records = (buffered + self.in_flight()) * 100 / self.max_records;
        records.max((self.queued_bytes + self.in_flight_bytes()) * 100 / self.max_bytes)
    }

    /// Number of the next record to leave a shard.
    pub(crate) fn mark(&self) -> u64 {
        self.next_record
    }

    /// Whether every record before `mark` is delivered or counted.
    pub(crate) fn settled(&self, mark: u64) -> bool {
        self.in_flight
            .iter()
            .map(InFlight::first)
            .fold(self.first_queued(), u64::min)
            >= mark
    }

    /// Whether nothing waits or is in flight (open chunks aside).
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Asks for a wake-up when so many bytes wait; `usize::MAX`: no more.
    pub(crate) fn wake_at_bytes(&mut self, bytes: usize) {
        self.batch_due_bytes = bytes;
    }

    /// Once: whether the bytes that were asked for are there.
    pub(super) fn bytes_are_due(&mut self) -> bool {
        let due = self.queued_bytes >= self.batch_due_bytes;
        if due {
            self.batch_due_bytes = usize::MAX;
        }
        due
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// An empty chunk: a used one, else a new one, else the oldest records' (they are counted). `None`: no memory.
    pub(super) fn take_chunk(&mut self) -> Option<OpenChunk> {
        if self.free.is_empty()
            && self.chunks < self.max_chunks
            && let Some(chunk) = Chunk::try_new()
        {
            self.chunks += 1;
            self.free_push(chunk);
        }
        while self.free.is_empty() && !self.queue.is_empty() {
            self.evict_front(usize::MAX);
        }
        let chunk = self.free.pop();
        self.high_water = self.high_water.max(self.chunks - self.free.len());
        chunk
    }

    fn free_push(&mut self, chunk: OpenChunk) {
        if self.free.try_reserve(1).is_ok() {
            self.free.push(chunk);
        } else {
            self.chunks -= 1;
        }
    }

    /// A shard does not need its empty chunk any more.
    pub(super) fn give_back(&mut self, chunk: OpenChunk) {
        self.free_push(chunk);
    }

    /// Gives back the memory that the last busy times did not need.
    pub(crate) fn trim_free(&mut self) {
        let in_use = self.chunks - self.free.len();
        let keep = self.high_water.saturating_sub(in_use);
        if self.free.len() > keep {
            self.chunks -= self.free.len() - keep;
            self.free.truncate(keep);
            self.free.shrink_to(keep);
        }
        self.high_water = in_use;
    }

    /// A segment's records are settled: its chunk may be used again.
    fn retire(&mut self, segment: Segment) {
        if let Some(chunk) = segment.recycle() {
            self.free_push(chunk);
        }
    }

    pub(super) fn enqueue(&mut self, mut chunk: OpenChunk) {
        let (count, bytes, first) = (chunk.count(), chunk.used(), self.next_record);
        self.next_record += count as u64;
        self.counters.entered += count as u64;
        if self
            .queue
            .back_mut()
            .is_some_and(|tail| tail.absorb(&chunk, first))
        {
            chunk.clear();
            self.free_push(chunk);
        } else if self.queue.try_reserve(1).is_ok() {
            self.queue.push_back(Segment::whole(chunk, first));
        } else {
            self.counters.dropped_overflow += count as u64;
            chunk.clear();
            self.free_push(chunk);
            return;
        }
        self.queued += count;
        self.queued_bytes += bytes;
    }

    fn excess(&self, (open, open_bytes): (usize, usize)) -> (usize, usize) {
        let records = self.queued + self.in_flight() + open;
        let bytes = self.queued_bytes + self.in_flight_bytes() + open_bytes;
        (
            records.saturating_sub(self.max_records),
            bytes.saturating_sub(self.max_bytes),
        )
    }

    pub(super) fn over(&self, open: (usize, usize)) -> bool {
        self.excess(open) != (0, 0)
    }

    /// Applies the caps: lets the oldest records go that are not in flight. Tells whether it did.
    pub(super) fn trim(&mut self, open: (usize, usize)) -> bool {
        let mut trimmed = false;
        loop {
            let (records, bytes) = self.excess(open);
            if (records == 0 && bytes == 0) || self.queue.is_empty() {
                return trimmed;
            }
            trimmed = true;
            let whole = self.queue.front().map_or(0, |s| s.packed().len());
            self.evict_front(match (records, bytes) {
                (_, bytes) if bytes >= whole => usize::MAX,
                (0, _) => 1,
                (records, _) => records,
            });
        }
    }

    /// Lets go of up to `most` records of the oldest segment.
    fn evict_front(&mut self, most: usize) {
        let Some(mut segment) = self.queue.pop_front() else {
            return;
        };
        let count = segment.count().min(most);
        let bytes = if count == segment.count() {
            let bytes = segment.packed().len();
            self.retire(segment);
            bytes
        } else {
            let bytes = (0..count).map(|_| segment.drop_first()).sum();
            self.queue.push_front(segment);
            bytes
        };
        self.queued -= count;
        self.queued_bytes -= bytes;
        self.counters.dropped_overflow += count as u64;
    }

    fn register(&mut self, owner: usize, segments: Vec<Segment>) -> Batch {
        self.next_batch += 1;
        let id = self.next_batch;
        let batch = Batch {
            id,
            epoch: self.epoch,
            segments: segments.clone(),
        };
        self.in_flight.push(InFlight {
            id,
            owner,
            segments,
        });
        batch
    }

    /// Takes the oldest `most` records, fewer where there are fewer; `None` where there are none.
    pub(crate) fn take(&mut self, most: usize, owner: usize) -> Option<Batch> {
        let mut segments = Vec::new();
        let mut wanted = most;
        while wanted > 0 {
            let Some(mut segment) = self.queue.pop_front() else {
                break;
            };
            if segment.count() > wanted {
                self.queue.push_front(segment.split_off(wanted));
            }
            wanted -= segment.count();
            self.queued -= segment.count();
            self.queued_bytes -= segment.packed().len();
            segments.push(segment);
        }
        (!segments.is_empty()).then(|| self.register(owner, segments))
    }

    /// Whether the batch belongs to a life that is over: nobody waits for its outcome.
    pub(crate) fn is_stale(&self, batch: &Batch) -> bool {
        batch.epoch != self.epoch
    }

    /// Takes the records for which `picked` says yes out into a batch of their own; both stay in flight.
    pub(crate) fn pick(&mut self, batch: &mut Batch, picked: impl Fn(usize) -> bool) -> Batch {
        let out = batch.pick(picked);
        let epoch = batch.epoch;
        let Some(entry) = self
            .in_flight
            .iter_mut()
            .find(|b| b.id == batch.id && epoch == self.epoch)
        else {
            return Batch {
                id: 0,
                epoch,
                segments: out,
            };
        };
        entry.segments = batch.segments.clone();
        let owner = entry.owner;
        self.register(owner, out)
    }

    /// `None`: the batch is of a life that is over; its chunks are not ours any more.
    fn unregister(&mut self, batch: Batch) -> Option<InFlight> {
        if self.is_stale(&batch) {
            return None;
        }
        let at = self.in_flight.iter().position(|b| b.id == batch.id)?;
        let entry = self.in_flight.swap_remove(at);
        batch
            .segments
            .into_iter()
            .for_each(|segment| self.retire(segment));
        Some(entry)
    }

    /// A batch has come to its end.
    pub(crate) fn settle(&mut self, batch: Batch, fate: Fate) {
        let Some(entry) = self.unregister(batch) else {
            return;
        };
        let count = entry.count() as u64;
        match fate {
            Fate::Sent => self.counters.sent += count,
            Fate::Rejected => self.counters.dropped_rejected += count,
        }
        entry
            .segments
            .into_iter()
            .for_each(|segment| self.retire(segment));
    }

    /// A batch goes back to where it was: before everything younger.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        if let Some(entry) = self.unregister(batch) {
            self.requeue(entry);
        }
    }

    /// Everything goes back that the thread `owner` of this life has in flight. In a later life the table holds what
    /// other threads have taken.
    pub(crate) fn put_back_all(&mut self, owner: usize, epoch: u64) {
        if epoch != self.epoch {
            return;
        }
        let (mine, others) = std::mem::take(&mut self.in_flight)
            .into_iter()
            .partition(|b| b.owner == owner);
        self.in_flight = others;
        let mine: Vec<InFlight> = mine;
        mine.into_iter().for_each(|entry| self.requeue(entry));
    }

    fn requeue(&mut self, entry: InFlight) {
        for segment in entry.segments.into_iter().rev() {
            self.queued += segment.count();
            self.queued_bytes += segment.packed().len();
            let at = self
                .queue
                .iter()
                .position(|s| s.first() > segment.first())
                .unwrap_or(self.queue.len());
            self.queue.insert(at, segment);
        }
    }
}
