//! What the central lock guards: the queue, what is in flight, the counters, and what the sender is asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::Limits;
use super::chunk::{Batch, CHUNK_BYTES, Chunk, OpenChunk, Segment};
use crate::ledger::{Counters, State};
use crate::sys::Mapping;

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
    /// From a file that another process left; it waits there, not in the queue.
    adopted: bool,
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
    /// Records at the queue's head that are let go and counted, but still stand there: to find where each ends reads
    /// memory that has left the caches, and mostly the rest of their segment goes too before anybody wants it.
    passed_over: usize,
    /// Without those.
    queued: usize,
    /// With those.
    queued_bytes: usize,
    in_flight: Vec<InFlight>,
    /// The durable file that new chunks are slots of.
    file: Option<Arc<Mapping>>,
    /// Place of the next chunk in the order of chunks.
    next_chunk: u64,
    /// Records that wait in adopted files.
    adopted_waiting: usize,
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
    /// The first mark that somebody waits for: see [`Buffer::wait_for_mark`](super::Buffer::wait_for_mark).
    pub(super) awaited: Option<u64>,
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
    ///
    /// Returns how many records are left in the durable file.
    pub(crate) fn end(&mut self) -> u64 {
        self.drop_passed_over();
        let own = self.in_flight.iter().filter(|batch| !batch.adopted);
        let segments = own.flat_map(|batch| &batch.segments).chain(&self.queue);
        let (kept, lost): (Vec<&Segment>, Vec<&Segment>) =
            segments.partition(|segment| segment.is_durable());
        let count = |of: Vec<&Segment>| of.into_iter().map(Segment::count).sum::<usize>() as u64;
        let (kept, lost) = (count(kept), count(lost));
        self.counters.spooled += kept + (self.adopted_waiting + self.adopted_in_flight()) as u64;
        self.counters.dropped_shutdown += lost;
        self.adopted_waiting = 0;
        self.file = None;
        self.counters.state = State::Stopped;
        self.epoch += 1;
        self.running = false;
        self.in_flight = Vec::new();
        self.queue = VecDeque::new();
        self.free = Vec::new();
        (self.queued, self.queued_bytes) = (0, 0);
        (self.chunks, self.high_water) = (0, 0);
        kept
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Number of the oldest record in the queue; `u64::MAX`: it is empty.
    pub(crate) fn first_queued(&self) -> u64 {
        let first = |front: &Segment| front.first() + self.passed_over as u64;
        self.queue.front().map_or(u64::MAX, first)
    }

    /// Memory of all chunks there are.
    #[cfg(test)]
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunks * CHUNK_BYTES
    }

    pub(crate) fn capacity(&self) -> usize {
        self.max_records
    }

    /// Records of our own, which the caps are for.
    fn in_flight(&self) -> usize {
        let own = self.in_flight.iter().filter(|batch| !batch.adopted);
        own.map(InFlight::count).sum()
    }

    fn adopted_in_flight(&self) -> usize {
        let adopted = self.in_flight.iter().filter(|batch| batch.adopted);
        adopted.map(InFlight::count).sum()
    }

    pub(crate) fn all_in_flight(&self) -> usize {
        self.in_flight.iter().map(InFlight::count).sum()
    }

    fn in_flight_bytes(&self) -> usize {
        let own = self.in_flight.iter().filter(|batch| !batch.adopted);
        own.map(InFlight::bytes).sum()
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

    /// Whether somebody waited for what is settled now. All who wait are to be woken then, for each says anew what it
    /// waits for.
    pub(crate) fn is_awaited(&mut self) -> bool {
        let reached = self.awaited.is_some_and(|mark| self.settled(mark));
        if reached {
            self.awaited = None;
        }
        reached
    }

    /// Whether nothing waits or is in flight (open chunks aside).
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// The same, in adopted files too.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_empty() && self.adopted_waiting == 0
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
            && let Some(chunk) = Chunk::try_new(self.file.as_ref())
        {
            self.chunks += 1;
            self.free_push(chunk);
        }
        while self.free.is_empty() && !self.queue.is_empty() {
            self.evict_front(usize::MAX);
        }
        let mut chunk = self.free.pop();
        if let Some(chunk) = &mut chunk {
            self.next_chunk += 1;
            chunk.begin(self.next_chunk);
        }
        self.prefetch_free();
        self.high_water = self.high_water.max(self.chunks - self.free.len());
        chunk
    }

    /// What the sender wrote last of the two that are taken next is on its way here while one is filled: a record that
    /// found the chunk full would wait for one line after the other.
    fn prefetch_free(&self) {
        let mut next = self.free.iter().rev();
        if let Some(chunk) = next.next() {
            chunk.prefetch_memory();
        }
        if let Some(chunk) = next.next() {
            chunk.prefetch();
        }
    }

    /// What is not in the file that is used now is not used again.
    fn free_push(&mut self, chunk: OpenChunk) {
        if chunk.is_in(self.file.as_ref()) && self.free.try_reserve(1).is_ok() {
            self.free.push(chunk);
        } else {
            self.chunks -= 1;
        }
    }

    /// A shard does not need its empty chunk any more.
    pub(super) fn give_back(&mut self, mut chunk: OpenChunk) {
        chunk.clear();
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

    /// A segment that nobody needs: its chunk may be used again, if it was the last of it.
    fn retire(&mut self, segment: Segment) {
        if let Some(chunk) = segment.recycle() {
            self.free_push(chunk);
        }
    }

    /// The same for one whose records are settled.
    fn retire_settled(&mut self, segment: Segment) {
        segment.settle();
        self.retire(segment);
    }

    pub(super) fn enqueue(&mut self, mut chunk: OpenChunk) {
        let (count, bytes, first) = (chunk.count(), chunk.used(), self.next_record);
        self.next_record += count as u64;
        self.counters.entered += count as u64;
        if !chunk.is_in(self.file.as_ref())
            && let Some(mut slot) = self.file_chunk()
        {
            slot.take_over(&chunk);
            chunk.clear();
            self.free_push(std::mem::replace(&mut chunk, slot));
        }
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
            if records == 0 && self.drop_passed_over() {
                continue;
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
        let Some(front) = self.queue.front() else {
            return;
        };
        let left = front.count() - self.passed_over;
        let count = left.min(most);
        self.queued -= count;
        self.counters.dropped_overflow += count as u64;
        if count < left {
            self.passed_over += count;
        } else if let Some(segment) = self.queue.pop_front() {
            self.passed_over = 0;
            self.queued_bytes -= segment.packed().len();
            self.retire_settled(segment);
        }
    }

    /// Takes the records that were passed over out of the queue. Tells whether there were any.
    fn drop_passed_over(&mut self) -> bool {
        let count = std::mem::take(&mut self.passed_over);
        if let Some(front) = self.queue.front_mut()
            && count > 0
        {
            let rest = front.split_off(count);
            let gone = std::mem::replace(front, rest);
            self.queued_bytes -= gone.packed().len();
            gone.settle();
        }
        count > 0
    }

    fn register(&mut self, owner: usize, adopted: bool, segments: Vec<Segment>) -> Batch {
        self.next_batch += 1;
        let id = self.next_batch;
        let batch = Batch {
            id,
            epoch: self.epoch,
            adopted,
            segments: segments.clone(),
        };
        self.in_flight.push(InFlight {
            id,
            owner,
            adopted,
            segments,
        });
        batch
    }

    /// Takes the oldest `most` records, fewer where there are fewer; `None` where there are none.
    pub(crate) fn take(&mut self, most: usize, owner: usize) -> Option<Batch> {
        self.drop_passed_over();
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
        (!segments.is_empty()).then(|| self.register(owner, false, segments))
    }

    /// From now on chunks are slots of this file; what waits moves there.
    pub(crate) fn move_to(&mut self, file: Arc<Mapping>) {
        self.drop_passed_over();
        self.chunks -= self.free.len();
        self.free = Vec::new();
        self.file = Some(file);
        for mut segment in std::mem::take(&mut self.queue) {
            if let Some(moved) = self.copy_of(&segment) {
                self.retire(std::mem::replace(&mut segment, moved));
            }
            self.queue.push_back(segment);
        }
    }

    fn copy_of(&mut self, segment: &Segment) -> Option<Segment> {
        Some(segment.copied_to(self.file_chunk()?))
    }

    /// An empty slot of the file beside what is counted already.
    fn file_chunk(&mut self) -> Option<OpenChunk> {
        let file = self.file.as_ref()?;
        let mut chunk = Chunk::try_new(Some(file)).filter(|chunk| chunk.is_in(Some(file)))?;
        self.chunks += 1;
        self.next_chunk += 1;
        chunk.begin(self.next_chunk);
        Some(chunk)
    }

    /// New chunks are on the heap again.
    pub(crate) fn leave_file(&mut self) {
        self.chunks -= self.free.len();
        self.free = Vec::new();
        self.file = None;
    }

    /// How many chunks there may be.
    pub(crate) fn max_chunks(&self) -> usize {
        self.max_chunks
    }

    /// Gives checksums to up to `most` chunks that wait without one, but for the last, which may still grow. Tells
    /// whether there are more.
    pub(crate) fn seal(&self, most: usize) -> bool {
        if self.file.is_none() {
            return false;
        }
        let last = self.queue.len().saturating_sub(1);
        let mut sealed = 0;
        for segment in self.queue.iter().take(last) {
            if sealed == most {
                break;
            }
            if !segment.is_sealed() {
                segment.seal();
                sealed += 1;
            }
        }
        sealed == most
    }

    /// So many records were found in a file that another process left.
    pub(crate) fn adopt(&mut self, records: usize) {
        self.counters.adopted += records as u64;
        self.adopted_waiting += records;
    }

    pub(crate) fn adopted_waiting(&self) -> usize {
        self.adopted_waiting
    }

    /// So many of them were too old, or their file had to go.
    pub(crate) fn expire(&mut self, records: usize) {
        let records = records.min(self.adopted_waiting);
        self.adopted_waiting -= records;
        self.counters.dropped_expired += records as u64;
    }

    /// So many of them stay where they are.
    pub(crate) fn leave_adopted(&mut self, records: usize) {
        let records = records.min(self.adopted_waiting);
        self.adopted_waiting -= records;
        self.counters.spooled += records as u64;
    }

    /// Takes adopted records that were read.
    pub(crate) fn take_adopted(&mut self, owner: usize, segment: Segment) -> Batch {
        self.adopted_waiting -= segment.count().min(self.adopted_waiting);
        self.register(owner, true, vec![segment])
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
                adopted: batch.adopted,
                segments: out,
            };
        };
        entry.segments = batch.segments.clone();
        let owner = entry.owner;
        self.register(owner, batch.adopted, out)
    }

    /// `None`: the batch is of a life that is over; its chunks are not ours any more.
    fn unregister(&mut self, batch: Batch) -> Option<InFlight> {
        if self.is_stale(&batch) {
            return None;
        }
        let at = self.in_flight.iter().position(|b| b.id == batch.id)?;
        let entry = self.in_flight.swap_remove(at);
        if !batch.adopted {
            let segments = batch.segments.into_iter();
            segments.for_each(|segment| self.retire(segment));
        }
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
        // An adopted one's chunk is a copy, and none of ours.
        if !entry.adopted {
            for segment in entry.segments {
                self.retire_settled(segment);
            }
        }
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
        if entry.adopted {
            self.adopted_waiting += entry.count();
            return;
        }
        self.drop_passed_over();
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
