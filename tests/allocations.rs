//! Once the buffer has grown to what it needs, recording allocates nothing. An allocator counts.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use malti::{Client, Config, Record, Recorded};

/// The system's allocator, which counts for each thread how often it is asked for memory.
struct Counting;

thread_local!(static ASKED: Cell<u64> = const { Cell::new(0) });

fn asked() -> u64 {
    ASKED.with(Cell::get)
}

// SAFETY: every call is passed on unchanged; the counter neither allocates nor has a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|n| n.set(n.get() + 1));
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.with(|n| n.set(n.get() + 1));
        // SAFETY: by the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// So many that they fill dozens of chunks, and twice as many fewer than the batch, so that each round finds the same work.
const RECORDS: usize = 4_000;
const MINUTE: Duration = Duration::from_secs(60);

fn record_all(client: &Client, consumers: &[String]) {
    for i in 0..RECORDS {
        let recorded = client.record(&Record {
            method: "GET",
            endpoint: "/api/v1/users/{id}",
            status: 200,
            response_time: Duration::from_micros(i as u64),
            consumer: Some(&consumers[i % consumers.len()]),
            context: None,
            created_at: None,
        });
        assert_eq!(recorded, Recorded::Kept);
    }
}

#[test]
fn recording_allocates_nothing_once_warm() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().join("out.ndjson").display());
    let mut config = Config::from_vars([]);
    for (key, value) in [
        ("url", url.as_str()),
        ("batch_size", "10000"),
        ("log", "off"),
    ] {
        config.set(key, value).unwrap();
    }
    let client = Client::start(config).unwrap();
    let consumers: Vec<String> = (0..97).map(|i| format!("customer-{i}")).collect();

    let start = asked();
    // Twice, for the sender may still hold a chunk or two when a flush is over.
    record_all(&client, &consumers);
    record_all(&client, &consumers);
    assert!(asked() > start, "the allocator does not count");
    client.flush(MINUTE).unwrap();

    for round in 1..=5 {
        let before = asked();
        record_all(&client, &consumers);
        assert_eq!(asked() - before, 0, "allocations in round {round}");
        client.flush(MINUTE).unwrap();
    }
    let stats = client.shutdown(MINUTE);
    assert_eq!(stats.sent, 7 * RECORDS as u64);
}
