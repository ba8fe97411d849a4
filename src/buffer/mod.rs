//! The buffer between the host's threads and the sender: bounded in records and in bytes, the oldest go first.
//!
//! A few shards, picked by thread, each a lock over the chunk that is being filled; a full chunk goes to one queue
//! ([`central`]), in order. A chunk moves only while its shard's **and** the central lock are held, in this order, and
//! each shard publishes what it holds in an atomic: so a snapshot under the central lock alone is exact, and the hot
//! path pays nothing for it.

mod central;
mod chunk;
mod short_lock;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use central::{Central, Fate};
pub(crate) use chunk::{Batch, Segment};
use chunk::{CHUNK_BYTES, OpenChunk};
use short_lock::{ShortGuard, ShortLock};

use crate::exclude::excluded;
use crate::ledger::Stats;
use crate::record::RawRecord;

const SHARDS: usize = 8;
/// A shard tells the sender of every 32nd record; of each one where batches are small.
const SIGNAL_EVERY: u64 = 32;

/// An empty chunk of a durable file, to look at what is written to it.
#[cfg(test)]
pub(crate) fn chunk_in(file: &Arc<crate::sys::Mapping>) -> OpenChunk {
    chunk::Chunk::try_new(Some(file))
        .filter(|chunk| chunk.is_in(Some(file)))
        .unwrap()
}

/// What a buffer holds at most, and what it leaves out.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) batch_size: usize,
    pub(crate) clean_mode: bool,
    pub(crate) exclude: Arc<[String]>,
}

/// What became of a record that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    Kept,
    /// Kept, and the sender has something to do now: see [`Buffer::wake`].
    KeptWake,
    /// Kept, but this shard has not seen a sender yet: see [`Buffer::note_sender`].
    KeptNoSender,
    Filtered,
    /// The buffer is closed.
    Closed,
    /// No memory for a chunk, and nothing to evict.
    NoMemory,
}

/// On lines of its own, so that shards don't slow each other down.
#[repr(align(128))]
struct Shard {
    filling: ShortLock<Filling>,
    /// Records (high half) and bytes (low half) of the open chunk, written under `filling`.
    open: AtomicU64,
    filtered: AtomicU64,
    invalid: AtomicU64,
}

struct Filling {
    /// The life that it is open for.
    epoch: u64,
    open: bool,
    clean_mode: bool,
    sender_runs: bool,
    exclude: Arc<[String]>,
    chunk: Option<OpenChunk>,
    /// The chunk is closed when it holds this much, so that open chunks are never more than half of the cap.
    max_count: usize,
    max_bytes: usize,
    signal_every: u64,
    /// Records up to the one that [`Buffer::due`] is asked about.
    until_due: u64,
}

pub(crate) struct Buffer {
    shards: [Shard; SHARDS],
    central: Mutex<Central>,
    /// The sender waits here.
    work: Condvar,
    /// Flush and shutdown wait here.
    progress: Condvar,
    /// Records signalled so far.
    signalled: AtomicU64,
    /// The value of `signalled` that wakes the sender; `u64::MAX` while it is awake.
    wake_at: AtomicU64,
}

/// A lock whose holder panicked holds plain counters and queues, whole between any two statements that can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shard_of_thread() -> usize {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    thread_local!(static MINE: Cell<u32> = const { Cell::new(u32::MAX) });
    // `try_with`: a record from another library's thread-exit destructor still finds a shard.
    MINE.try_with(|mine| {
        if mine.get() == u32::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff);
        }
        mine.get() as usize % SHARDS
    })
    .unwrap_or(0)
}

impl Shard {
    fn new() -> Self {
        Shard {
            filling: ShortLock::new(Filling {
                epoch: 0,
                open: false,
                clean_mode: false,
                sender_runs: false,
                exclude: Arc::from([]),
                chunk: None,
                max_count: 1,
                max_bytes: CHUNK_BYTES,
                signal_every: 1,
                until_due: 1,
            }),
            open: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
        }
    }

    fn publish(&self, chunk: Option<&OpenChunk>) {
        let held = chunk.map_or(0, |c| (c.count() as u64) << 32 | c.used() as u64);
        self.open.store(held, Ordering::Release);
    }
}

impl Buffer {
    /// A closed buffer.
    pub(crate) fn new() -> Self {
        Buffer {
            shards: std::array::from_fn(|_| Shard::new()),
            central: Mutex::new(Central::default()),
            work: Condvar::new(),
            progress: Condvar::new(),
            signalled: AtomicU64::new(0),
            wake_at: AtomicU64::new(u64::MAX),
        }
    }

    /// Opens it for a new life: counters at zero, nothing buffered. Returns the life's epoch.
    pub(crate) fn open(&self, limits: &Limits) -> u64 {
        let mut shards = self.lock_shards();
        let mut central = lock(&self.central);
        central.begin(limits);
        self.wake_at.store(u64::MAX, Ordering::SeqCst);
        let chunk_share = limits.bytes / (2 * SHARDS);
        for (shard, filling) in self.shards.iter().zip(&mut shards) {
            shard.filtered.store(0, Ordering::Relaxed);
            shard.invalid.store(0, Ordering::Relaxed);
            filling.epoch = central.epoch;
            filling.open = true;
            filling.clean_mode = limits.clean_mode;
            filling.sender_runs = false;
            filling.exclude = limits.exclude.clone();
            filling.max_count = (limits.records / (2 * SHARDS)).max(1);
            filling.max_bytes = chunk_share.min(CHUNK_BYTES);
            filling.signal_every = if limits.batch_size < SIGNAL_EVERY as usize * SHARDS {
                1
            } else {
                SIGNAL_EVERY
            };
            filling.until_due = 1;
        }
        central.epoch
    }

    /// Closes it to new records and moves what is in the shards to the queue.
    pub(crate) fn close(&self) {
        for shard in &self.shards {
            let mut filling = shard.filling.lock();
            filling.open = false;
            let mut central = lock(&self.central);
            self.hand_over(shard, &mut filling, &mut central);
            if let Some(chunk) = filling.chunk.take() {
                central.give_back(chunk);
            }
        }
    }

    /// The hot path: keeps one record. Blocks for no longer than another thread of the same shard copies one.
    #[inline(always)]
    pub(crate) fn push(&self, record: &RawRecord<'_>) -> Push {
        let shard = &self.shards[shard_of_thread()];
        let len = record.packed_len();
        let mut filling = shard.filling.lock();
        let filling = &mut *filling;
        if !filling.open {
            return Push::Closed;
        }
        if filling.leaves_out(record) {
            shard.filtered.fetch_add(1, Ordering::Relaxed);
            return Push::Filtered;
        }
        let chunk = match &mut filling.chunk {
            Some(chunk) if chunk.has_room(len) => chunk,
            _ => match self.next_chunk(shard, filling) {
                Some(chunk) => chunk,
                None => return Push::NoMemory,
            },
        };
        let (count, used) = chunk.push(record, len);
        shard
            .open
            .store((count as u64) << 32 | used as u64, Ordering::Release);
        if count >= filling.max_count || used >= filling.max_bytes {
            self.hand_over_full(shard, filling);
        }
        filling.until_due -= 1;
        if filling.until_due > 0 {
            return Push::Kept;
        }
        self.due(filling)
    }

    /// Whether somebody is to be told of the record that was just kept.
    fn due(&self, filling: &mut Filling) -> Push {
        if !filling.sender_runs {
            filling.until_due = 1;
            return Push::KeptNoSender;
        }
        let by = filling.signal_every;
        filling.until_due = by;
        let before = self.signalled.fetch_add(by, Ordering::SeqCst);
        let wake_at = self.wake_at.load(Ordering::SeqCst);
        if before < wake_at && before + by >= wake_at {
            Push::KeptWake
        } else {
            Push::Kept
        }
    }

    #[cold]
    fn hand_over_full(&self, shard: &Shard, filling: &mut Filling) {
        self.hand_over(shard, filling, &mut lock(&self.central));
    }

    #[cold]
    fn next_chunk<'a>(&self, shard: &Shard, filling: &'a mut Filling) -> Option<&'a mut OpenChunk> {
        let mut central = lock(&self.central);
        self.hand_over(shard, filling, &mut central);
        if filling.chunk.is_none() {
            let dropped = central.counters.dropped_overflow;
            filling.chunk = central.take_chunk();
            if central.counters.dropped_overflow > dropped {
                self.progressed();
            }
        }
        filling.chunk.as_mut()
    }

    /// Moves the shard's open chunk to the queue; both locks are held.
    fn hand_over(&self, shard: &Shard, filling: &mut Filling, central: &mut Central) {
        let Some(chunk) = filling.chunk.take_if(|c| c.count() > 0) else {
            return;
        };
        central.enqueue(chunk);
        shard.publish(None);
        self.trim(central, self.open_now());
        if central.bytes_are_due() {
            self.notify(central);
        }
    }

    /// Applies the caps. What was let go is settled, and somebody may wait for that.
    fn trim(&self, central: &mut Central, open: (usize, usize)) {
        if central.trim(open) {
            self.progressed();
        }
    }

    /// Records and bytes in open chunks.
    fn open_now(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(count, bytes), shard| {
            let held = shard.open.load(Ordering::Acquire);
            (
                count + (held >> 32) as usize,
                bytes + (held & 0xffff_ffff) as usize,
            )
        })
    }

    fn lock_shards(&self) -> [ShortGuard<'_, Filling>; SHARDS] {
        std::array::from_fn(|i| self.shards[i].filling.lock())
    }

    /// Moves what is in the shards to the queue, so that the sender can take it.
    pub(crate) fn seal(&self) {
        for shard in &self.shards {
            let mut filling = shard.filling.lock();
            self.hand_over(shard, &mut filling, &mut lock(&self.central));
        }
    }

    /// A call that recorded nothing because of its arguments.
    #[cold]
    pub(crate) fn count_invalid(&self) {
        self.shards[shard_of_thread()]
            .invalid
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Tells the shards whether the records of this life may count on a running sender.
    pub(crate) fn note_sender(&self, epoch: u64) {
        for shard in &self.shards {
            let mut filling = shard.filling.lock();
            if filling.epoch == epoch {
                let runs = lock(&self.central).sender_epoch == Some(epoch);
                if runs != filling.sender_runs {
                    filling.sender_runs = runs;
                    filling.until_due = if runs { filling.signal_every } else { 1 };
                }
            }
        }
    }

    pub(crate) fn central(&self) -> MutexGuard<'_, Central> {
        lock(&self.central)
    }

    /// Records that wait, wherever they stand.
    pub(crate) fn buffered(&self, central: &Central) -> usize {
        central.queued() + self.open_now().0
    }

    /// Applies the caps for good and reads the ledger.
    pub(crate) fn snapshot(&self) -> Stats {
        let mut central = self.central();
        let open = self.open_now();
        self.trim(&mut central, open);
        if !central.over(open) {
            return self.read(&central, open.0);
        }
        // Requests under way hold so much that the open chunks alone are over the cap.
        drop(central);
        let mut shards = self.lock_shards();
        let mut central = self.central();
        for (shard, filling) in self.shards.iter().zip(&mut shards) {
            self.hand_over(shard, filling, &mut central);
        }
        self.read(&central, 0)
    }

    /// `open` is one reading of what the open chunks hold: both sides of the ledger count the same.
    fn read(&self, central: &Central, open: usize) -> Stats {
        let open = open as u64;
        let sum = |of: fn(&Shard) -> &AtomicU64| {
            self.shards
                .iter()
                .map(|s| of(s).load(Ordering::Relaxed))
                .sum()
        };
        let counters = &central.counters;
        Stats {
            recorded: counters.entered + open,
            sent: counters.sent,
            adopted: counters.adopted,
            buffered: (central.queued() + central.adopted_waiting()) as u64 + open,
            in_flight: central.all_in_flight() as u64,
            spooled: counters.spooled,
            dropped_overflow: counters.dropped_overflow,
            dropped_rejected: counters.dropped_rejected,
            dropped_shutdown: counters.dropped_shutdown,
            dropped_expired: counters.dropped_expired,
            spool_skipped_bytes: counters.spool_skipped_bytes,
            filtered: sum(|s| &s.filtered),
            invalid: sum(|s| &s.invalid),
            batches: counters.batches,
            retries: counters.retries,
            bytes_sent: counters.bytes_sent,
            buffer_capacity: central.capacity() as u64,
            last_http_status: counters.last_http_status,
            last_success_unix_ms: counters.last_success_unix_ms,
            last_error: counters.last_error.clone(),
            state: counters.state,
        }
    }

    /// Wakes the sender.
    pub(crate) fn wake(&self) {
        self.central().woken = true;
        // Without the lock, or the sender would wait for it as soon as it is awake, and be woken once more.
        self.work.notify_all();
    }

    pub(crate) fn notify(&self, central: &mut Central) {
        central.woken = true;
        self.work.notify_all();
    }

    /// Records that were signalled so far; for [`wait_for_work`](Self::wait_for_work).
    pub(crate) fn signalled(&self) -> u64 {
        self.signalled.load(Ordering::SeqCst)
    }

    /// The sender of the running life sleeps until it is woken, at most `timeout`. With `wake_at`, also until so many
    /// records were signalled.
    pub(crate) fn wait_for_work<'a>(
        &'a self,
        mut central: MutexGuard<'a, Central>,
        wake_at: Option<u64>,
        timeout: Duration,
    ) -> MutexGuard<'a, Central> {
        let epoch = central.epoch;
        if let Some(wake_at) = wake_at {
            self.wake_at.store(wake_at, Ordering::SeqCst);
            if self.signalled() >= wake_at {
                central.woken = true;
            }
        }
        if !central.woken {
            central = self
                .work
                .wait_timeout(central, timeout)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        // Of a later life both belong to its own sender.
        if central.epoch == epoch {
            self.wake_at.store(u64::MAX, Ordering::SeqCst);
            central.woken = false;
        }
        central
    }

    /// Records that may have come without a signal yet.
    pub(crate) fn unsignalled_at_most(&self, batch_size: usize) -> usize {
        if batch_size < SIGNAL_EVERY as usize * SHARDS {
            0
        } else {
            (SIGNAL_EVERY as usize - 1) * SHARDS
        }
    }

    /// Waits until all before `mark` may be settled, at most `timeout`; not woken for each batch before it.
    pub(crate) fn wait_for_mark<'a>(
        &'a self,
        mut central: MutexGuard<'a, Central>,
        mark: u64,
        timeout: Duration,
    ) -> MutexGuard<'a, Central> {
        central.awaited = Some(central.awaited.map_or(mark, |first| first.min(mark)));
        self.wait_for_progress(central, timeout)
    }

    /// Waits until something was settled, at most `timeout`.
    pub(crate) fn wait_for_progress<'a>(
        &'a self,
        central: MutexGuard<'a, Central>,
        timeout: Duration,
    ) -> MutexGuard<'a, Central> {
        self.progress
            .wait_timeout(central, timeout)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Tells those who wait for progress to look again.
    pub(crate) fn progressed(&self) {
        self.progress.notify_all();
    }
}

impl Filling {
    #[inline]
    fn leaves_out(&self, record: &RawRecord<'_>) -> bool {
        (self.clean_mode && (record.status == 401 || record.status == 404))
            || (!self.exclude.is_empty() && excluded(&self.exclude, record.endpoint))
    }
}
