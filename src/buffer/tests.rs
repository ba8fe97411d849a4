//! The buffer against a model: whatever happens to it, it holds what a plain list would hold.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::record::{PACKED_MAX, packed};

fn limits(records: usize, bytes: usize) -> Limits {
    Limits {
        records,
        bytes,
        batch_size: 500,
        clean_mode: false,
        exclude: Arc::from([]),
    }
}

fn open(records: usize, bytes: usize) -> Buffer {
    let buffer = Buffer::new();
    begin(&buffer, records, bytes);
    buffer
}

/// Opens it as if a sender ran.
fn begin(buffer: &Buffer, records: usize, bytes: usize) -> u64 {
    let epoch = buffer.open(&limits(records, bytes));
    buffer.central().sender_epoch = Some(epoch);
    buffer.note_sender(epoch);
    epoch
}

fn record<'a>(number: &'a [u8], context: &'a [u8]) -> RawRecord<'a> {
    RawRecord {
        method: b"GET",
        endpoint: number,
        status: 200,
        response_time_ms: 1,
        consumer: b"",
        context,
        created_at_us: 1,
    }
}

fn push(buffer: &Buffer, number: u64, context: &[u8]) {
    let number = number.to_string();
    let pushed = buffer.push(&record(number.as_bytes(), context));
    assert!(matches!(pushed, Push::Kept | Push::KeptWake), "{pushed:?}");
}

fn number_of(record: &RawRecord<'_>) -> u64 {
    str::from_utf8(record.endpoint).unwrap().parse().unwrap()
}

fn numbers(batch: &Batch) -> Vec<u64> {
    batch.records().map(|record| number_of(&record)).collect()
}

fn bytes(batch: &Batch) -> usize {
    batch.segments.iter().map(|s| s.packed().len()).sum()
}

/// Everything that waits, in order.
fn drain(buffer: &Buffer) -> Vec<u64> {
    buffer.seal();
    let mut all = Vec::new();
    let mut central = buffer.central();
    while let Some(batch) = central.take(7, 0) {
        all.extend(numbers(&batch));
        central.settle(batch, Fate::Sent);
    }
    all
}

#[test]
fn a_record_comes_out_as_it_went_in() {
    let largest: Vec<u8> = (0..crate::record::FIELD_MAX).map(|i| i as u8).collect();
    // Every length at which another way of copying begins, and those beside it.
    for text in (0..70).chain([largest.len()]).map(|len| &largest[..len]) {
        let record = RawRecord {
            method: text,
            endpoint: text,
            status: 999,
            response_time_ms: u32::MAX,
            consumer: text,
            context: text,
            created_at_us: i64::MAX,
        };
        assert!(record.packed_len() <= PACKED_MAX && record.packed_len().is_multiple_of(8));
        let mut bytes = vec![0; record.packed_len() + 3];
        record.pack(&mut bytes);
        assert_eq!(
            RawRecord::unpack(&bytes),
            Some((record, record.packed_len()))
        );
        for cut in 0..record.packed_len() {
            assert_eq!(RawRecord::unpack(&bytes[..cut]), None);
        }
    }
    assert_eq!(packed(&[]).count(), 0);
}

#[test]
fn the_cap_in_records_is_exact_and_the_oldest_go() {
    for cap in [1, 2, 3, 10, 16, 100, 1000] {
        let buffer = open(cap, 1 << 24);
        for number in 0..3000 {
            push(&buffer, number, b"");
            if number % 97 == 0 || number == 2999 {
                let stats = buffer.snapshot();
                assert_eq!(stats.unaccounted(), 0);
                assert_eq!(stats.buffered, (number + 1).min(cap as u64), "cap {cap}");
                assert_eq!(
                    stats.dropped_overflow,
                    (number + 1).saturating_sub(cap as u64)
                );
            }
        }
        assert_eq!(
            drain(&buffer),
            (3000 - cap as u64..3000).collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_cap_in_bytes_is_exact() {
    let cap = 65_536;
    let buffer = open(1_000_000, cap);
    let context = [b'x'; 1000];
    let one = record(b"1000", &context).packed_len();
    for number in 1000..2000 {
        push(&buffer, number, &context);
    }
    let stats = buffer.snapshot();
    assert_eq!(stats.buffered as usize, cap / one);
    assert_eq!(
        drain(&buffer),
        (2000 - (cap / one) as u64..2000).collect::<Vec<_>>()
    );
}

#[test]
fn memory_stays_within_twice_the_cap_whatever_comes() {
    let cap = 1 << 20;
    let buffer = open(1_000_000, cap);
    // Large ones leave the most room unused in their chunks, rare ones fill hardly any of it.
    for number in 0..5000 {
        push(
            &buffer,
            number,
            &[b'x'; 2000][..if number % 2 == 0 { 2000 } else { 1 }],
        );
        if number % 3 == 0 {
            buffer.seal();
        }
        assert!(buffer.central().chunk_bytes() <= 2 * cap + 2 * SHARDS * CHUNK_BYTES);
    }
    assert_eq!(buffer.snapshot().unaccounted(), 0);
}

#[test]
fn nearly_empty_chunks_are_joined() {
    let buffer = open(25_000, 1 << 24);
    for number in 0..1000 {
        push(&buffer, number, b"");
        buffer.seal();
    }
    let packed = 1000 * record(b"1000", b"").packed_len();
    assert!(
        buffer.central().chunk_bytes() <= 2 * packed,
        "{}",
        buffer.central().chunk_bytes()
    );
    assert_eq!(drain(&buffer), (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_quiet_buffer_gives_its_memory_back() {
    let buffer = open(25_000, 1 << 24);
    for number in 0..20_000 {
        push(&buffer, number, b"");
    }
    drain(&buffer);
    let busy = buffer.central().chunk_bytes();
    buffer.central().trim_free();
    assert_eq!(
        buffer.central().chunk_bytes(),
        busy,
        "what was needed last time is kept for next time"
    );
    buffer.central().trim_free();
    assert_eq!(buffer.central().chunk_bytes(), 0);
}

#[test]
fn what_is_in_flight_is_never_evicted_but_counts() {
    let buffer = open(100, 1 << 24);
    (0..100).for_each(|number| push(&buffer, number, b""));
    buffer.seal();
    let batch = buffer.central().take(80, 0).unwrap();
    (100..300).for_each(|number| push(&buffer, number, b""));
    let stats = buffer.snapshot();
    assert_eq!(
        (stats.in_flight, stats.buffered, stats.dropped_overflow),
        (80, 20, 200)
    );
    buffer.central().put_back(batch);
    let stats = buffer.snapshot();
    assert_eq!(
        (stats.in_flight, stats.buffered, stats.dropped_overflow),
        (0, 100, 200)
    );
    assert_eq!(drain(&buffer), (0..80).chain(280..300).collect::<Vec<_>>());

    // All in flight: nothing else has room.
    (0..100).for_each(|number| push(&buffer, number, b""));
    buffer.seal();
    let batch = buffer.central().take(100, 0).unwrap();
    push(&buffer, 100, b"");
    let stats = buffer.snapshot();
    assert_eq!(
        (stats.in_flight, stats.buffered, stats.dropped_overflow),
        (100, 0, 201)
    );
    buffer.central().settle(batch, Fate::Sent);
    assert_eq!(buffer.snapshot().unaccounted(), 0);
}

#[test]
fn an_ended_life_discards_late_outcomes() {
    let buffer = open(100, 1 << 24);
    (0..30).for_each(|number| push(&buffer, number, b""));
    buffer.seal();
    let sent = buffer.central().take(10, 0).unwrap();
    let back = buffer.central().take(10, 0).unwrap();
    buffer.close();
    buffer.central().end();
    assert_eq!(buffer.push(&record(b"1", b"")), Push::Closed);
    let stats = buffer.snapshot();
    assert_eq!(
        (stats.recorded, stats.dropped_shutdown, stats.in_flight),
        (30, 30, 0)
    );
    buffer.central().settle(sent, Fate::Sent);
    buffer.central().put_back(back);
    assert_eq!(buffer.snapshot(), stats, "nobody waits for them any more");
    assert_eq!(buffer.central().chunk_bytes(), 0);

    let epoch = buffer.open(&limits(100, 1 << 24));
    assert_eq!(buffer.snapshot().recorded, 0);
    buffer.central().sender_epoch = Some(epoch - 1);
    buffer.note_sender(epoch - 1);
    buffer.note_sender(epoch);
    assert_eq!(
        buffer.push(&record(b"6", b"")),
        Push::KeptNoSender,
        "an earlier life's thread is not this one's"
    );
    buffer.central().sender_epoch = Some(epoch);
    buffer.note_sender(epoch);
    push(&buffer, 7, b"");
    assert_eq!(drain(&buffer), [6, 7]);
}

#[test]
fn lives_that_end_with_requests_under_way_leave_no_memory_behind() {
    let buffer = Buffer::new();
    for life in 0..100 {
        begin(&buffer, 1000, 65_536);
        (0..300).for_each(|number| push(&buffer, number, b""));
        buffer.seal();
        let hanging = buffer.central().take(70, 0).unwrap();
        buffer.close();
        buffer.central().end();
        assert_eq!(buffer.central().chunk_bytes(), 0, "life {life}");
        buffer.central().settle(hanging, Fate::Sent);
        assert_eq!(buffer.central().chunk_bytes(), 0, "life {life}");
    }
}

#[test]
fn an_earlier_lifes_thread_does_not_swallow_a_wake_up() {
    let buffer = open(100, 1 << 24);
    let entered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let central = buffer.central();
            entered.store(true, Ordering::Release);
            drop(buffer.wait_for_work(central, Some(u64::MAX - 1), Duration::from_secs(60)));
        });
        while !entered.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        // It has let go of the lock: it waits.
        buffer.close();
        buffer.central().end();
        buffer.open(&limits(100, 1 << 24));
        buffer.wake_at.store(5, Ordering::SeqCst);
        buffer.wake();
    });
    assert!(buffer.central().woken);
    assert_eq!(buffer.wake_at.load(Ordering::SeqCst), 5);
}

#[test]
fn who_waits_for_progress_is_told_of_an_eviction() {
    let buffer = open(10, 1 << 24);
    (0..10).for_each(|number| push(&buffer, number, b""));
    buffer.seal();
    let entered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = std::time::Instant::now();
            let mut central = buffer.central();
            let mark = central.mark();
            entered.store(true, Ordering::Release);
            while !central.settled(mark) {
                central = buffer.wait_for_progress(central, Duration::from_secs(60));
            }
            assert!(start.elapsed() < Duration::from_secs(50));
        });
        while !entered.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        (10..30).for_each(|number| push(&buffer, number, b""));
    });
}

#[test]
fn who_waits_for_a_mark_is_told_when_it_is_settled_and_once() {
    let buffer = open(100, 1 << 24);
    (0..6).for_each(|number| push(&buffer, number, b""));
    buffer.seal();
    let mut central = buffer.central();
    let mark = central.mark();
    for wanted in [mark, mark - 2] {
        central = buffer.wait_for_mark(central, wanted, Duration::ZERO);
    }
    let mut told = Vec::new();
    while let Some(batch) = central.take(2, 0) {
        central.settle(batch, Fate::Sent);
        told.push(central.is_awaited());
        if told == [false, true] {
            central = buffer.wait_for_mark(central, mark, Duration::ZERO);
        }
    }
    assert_eq!(told, [false, true, true]);
    assert!(!central.is_awaited());
}

/// A file of so many chunks, mapped.
fn mapped(chunks: usize) -> (tempfile::TempDir, Arc<crate::sys::Mapping>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let length = 4096 + chunks * CHUNK_BYTES;
    std::fs::write(&path, vec![0; length]).unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mapping = crate::sys::Mapping::new(&file, 4096, chunks as u32, 1).unwrap();
    (dir, Arc::new(mapping))
}

/// Numbers of the records that whoever finds the file would send.
fn unsettled(dir: &std::path::Path) -> Vec<u64> {
    let bytes = std::fs::read(dir.join("file")).unwrap();
    let mut found = Vec::new();
    for chunk in bytes[4096..].chunks(CHUNK_BYTES) {
        let word = |at: usize| u64::from_le_bytes(chunk[at..at + 8].try_into().unwrap());
        let mut rest = match word(8) {
            0 => &[][..],
            _ => &chunk[crate::sys::HEAD_BYTES..][..word(16) as usize],
        };
        while let Some((record, len)) = RawRecord::unpack(rest) {
            if !crate::record::is_done(rest) {
                found.push(number_of(&record));
            }
            rest = &rest[len..];
        }
    }
    found.sort_unstable();
    found
}

/// Chunks of the file that hold something which is not settled.
fn in_use(dir: &std::path::Path) -> usize {
    let bytes = std::fs::read(dir.join("file")).unwrap();
    let heads = bytes[4096..].chunks(CHUNK_BYTES);
    heads.filter(|chunk| chunk[8..16] != [0; 8]).count()
}

#[test]
fn random_surgery_matches_a_list() {
    let mut rng = fastrand::Rng::with_seed(20_261_124);
    for run in 0..200 {
        let cap = rng.usize(1..400);
        let buffer = open(cap, 1 << 18);
        // Half of them with a durable file, from somewhere in the middle.
        let durable = cfg!(target_os = "linux") && run % 2 == 0;
        let mut file = None;
        let mut next = 0;
        let (mut sent, mut rejected) = (Vec::new(), Vec::new());
        let mut held: Vec<Batch> = Vec::new();
        for step in 0..200 {
            if durable && step == 50 {
                let (dir, mapped) = mapped(buffer.central().max_chunks());
                buffer.central().move_to(mapped.clone());
                buffer.seal();
                file = Some((dir, mapped));
            }
            match rng.u32(0..8) {
                0..3 => {
                    for _ in 0..rng.usize(0..60) {
                        push(&buffer, next, &b"xxxxxxxxxxxxxxxx"[..rng.usize(0..16)]);
                        next += 1;
                    }
                }
                3 => buffer.seal(),
                4 => held.extend(buffer.central().take(rng.usize(1..80), rng.usize(0..3))),
                5 if !held.is_empty() => {
                    let mut batch = held.swap_remove(rng.usize(0..held.len()));
                    let before = numbers(&batch);
                    let modulus = rng.usize(1..5);
                    let out = buffer.central().pick(&mut batch, |i| i % modulus == 0);
                    let (wanted, kept): (Vec<_>, Vec<_>) = before
                        .iter()
                        .enumerate()
                        .partition(|(i, _)| i % modulus == 0);
                    let only =
                        |v: Vec<(usize, &u64)>| v.into_iter().map(|(_, n)| *n).collect::<Vec<_>>();
                    assert_eq!(numbers(&out), only(wanted));
                    assert_eq!(numbers(&batch), only(kept));
                    held.extend([batch, out]);
                }
                6 if !held.is_empty() => {
                    let batch = held.swap_remove(rng.usize(0..held.len()));
                    if rng.bool() {
                        sent.extend(numbers(&batch));
                        buffer.central().settle(batch, Fate::Sent);
                    } else {
                        rejected.extend(numbers(&batch));
                        buffer.central().settle(batch, Fate::Rejected);
                    }
                }
                7 if !held.is_empty() => {
                    let batch = held.swap_remove(rng.usize(0..held.len()));
                    buffer.central().put_back(batch);
                }
                _ => {}
            }
            let stats = buffer.snapshot();
            assert_eq!(stats.unaccounted(), 0, "{}", stats.line());
            assert_eq!(stats.recorded, next);
            assert_eq!(
                (stats.sent, stats.dropped_rejected),
                (sent.len() as u64, rejected.len() as u64)
            );
            assert_eq!(
                stats.in_flight as usize,
                held.iter().map(Batch::count).sum::<usize>()
            );
            assert!(stats.buffered + stats.in_flight <= cap as u64);
        }
        for batch in held {
            buffer.central().put_back(batch);
        }
        let dropped = buffer.snapshot().dropped_overflow as usize;
        let rest = drain(&buffer);
        if let Some((dir, mapped)) = file {
            buffer.close();
            assert_eq!(buffer.central().end(), 0);
            drop(mapped);
            assert_eq!(in_use(dir.path()), 0, "what is settled is free");
        }
        assert!(
            rest.is_sorted(),
            "what was put back stands before what is younger"
        );
        assert_eq!(
            sent.len() + rejected.len() + dropped + rest.len(),
            next as usize
        );
        let mut all = [sent, rejected, rest].concat();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "a record came out twice");
    }
}

/// Records are evicted without a look at them: what the file says of each, and the count of bytes, must be right
/// whatever comes next.
#[cfg(target_os = "linux")]
#[test]
fn an_end_finds_in_the_file_what_was_not_settled() {
    let mut rng = fastrand::Rng::with_seed(20_261_126);
    for run in 0..400 {
        let cap = rng.usize(1..400);
        let byte_cap = rng.usize(1 << 13..1 << 17);
        let buffer = open(cap, byte_cap);
        let (dir, mapped) = mapped(buffer.central().max_chunks());
        mapped.set_published();
        buffer.central().move_to(mapped.clone());
        let mut next = 0;
        let mut held: Vec<Batch> = Vec::new();
        let mut settled = Vec::new();
        for _ in 0..rng.usize(1..120) {
            match rng.u32(0..8) {
                0..3 => {
                    for _ in 0..rng.usize(0..60) {
                        push(&buffer, next, &vec![b'x'; rng.usize(0..600)]);
                        next += 1;
                    }
                }
                3 => buffer.seal(),
                4 => held.extend(buffer.central().take(rng.usize(1..80), 0)),
                5 if !held.is_empty() => {
                    let batch = held.swap_remove(rng.usize(0..held.len()));
                    settled.extend(numbers(&batch));
                    buffer.central().settle(batch, Fate::Sent);
                }
                6 if !held.is_empty() => {
                    let batch = held.swap_remove(rng.usize(0..held.len()));
                    buffer.central().put_back(batch);
                }
                7 => while buffer.central().seal(3) {},
                _ => {}
            }
            if rng.bool() {
                let stats = buffer.snapshot();
                assert_eq!(stats.unaccounted(), 0, "run {run}: {}", stats.line());
                assert!(stats.buffered + stats.in_flight <= cap as u64);
            }
        }
        buffer.close();
        let waits = buffer.snapshot();
        if run % 2 == 0 {
            let mut all = Vec::new();
            held.iter().for_each(|batch| all.extend(numbers(batch)));
            let bytes = buffer.central().queued_bytes();
            if let Some(batch) = buffer.central().take(usize::MAX, 0) {
                assert!(self::bytes(&batch) <= bytes);
                all.extend(numbers(&batch));
            }
            assert_eq!(buffer.central().queued_bytes(), 0);
            all.sort_unstable();
            assert_eq!(unsettled(dir.path()), all, "run {run}");
        }
        let kept = buffer.central().end();
        let found = unsettled(dir.path());
        assert_eq!(kept, waits.buffered + waits.in_flight, "run {run}");
        assert_eq!(found.len() as u64, kept, "run {run}");
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(found.iter().all(|number| !settled.contains(number)));
        drop(held);
        assert_eq!(unsettled(dir.path()), found);
    }
}

#[test]
fn a_threads_batches_can_all_be_put_back() {
    let buffer = open(1000, 1 << 24);
    (0..100).for_each(|number| push(&buffer, number, b""));
    buffer.seal();
    let (mine, other) = {
        let mut central = buffer.central();
        (central.take(10, 1).unwrap(), central.take(10, 2).unwrap())
    };
    drop(mine);
    let epoch = buffer.central().epoch;
    buffer.central().put_back_all(1, epoch + 1);
    assert_eq!(
        buffer.snapshot().in_flight,
        20,
        "another life's batches are not touched"
    );
    buffer.central().put_back_all(1, epoch);
    assert_eq!(buffer.snapshot().in_flight, 10);
    buffer.central().settle(other, Fate::Sent);
    assert_eq!(drain(&buffer), (0..10).chain(20..100).collect::<Vec<_>>());
}

#[test]
fn marks_are_settled_in_any_order_of_outcomes() {
    let buffer = open(1000, 1 << 24);
    (0..30).for_each(|number| push(&buffer, number, b""));
    buffer.seal();
    let mut central = buffer.central();
    let mark = central.mark();
    assert!(!central.settled(mark) && central.settled(mark - 30));
    let (first, second, third) = (
        central.take(10, 0).unwrap(),
        central.take(10, 0).unwrap(),
        central.take(10, 0).unwrap(),
    );
    central.settle(third, Fate::Sent);
    central.settle(first, Fate::Sent);
    assert!(central.settled(mark - 20) && !central.settled(mark));
    central.settle(second, Fate::Rejected);
    assert!(central.settled(mark));
}

#[test]
fn snapshots_are_exact_while_threads_record() {
    let buffer = open(3000, 1 << 20);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recorders: Vec<_> = (0..8)
            .map(|_| {
                scope
                    .spawn(|| (0..20_000).for_each(|number| push(&buffer, number, b"some context")))
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                buffer.seal();
                let batch = buffer.central().take(100, 0);
                if let Some(batch) = batch {
                    assert!(bytes(&batch) > 0);
                    buffer.central().settle(batch, Fate::Sent);
                }
            }
        });
        scope.spawn(|| {
            let mut before = 0;
            while !done.load(Ordering::Acquire) {
                let stats = buffer.snapshot();
                assert_eq!(stats.unaccounted(), 0, "{}", stats.line());
                assert!(stats.recorded >= before && stats.buffered + stats.in_flight <= 3000);
                before = stats.recorded;
            }
        });
        recorders
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Release);
    });
    assert_eq!(buffer.snapshot().recorded, 160_000);
}
