//! When records are sent, and how many at a time.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::Receiver;
use crate::harness::{Host, SOON, Server, assert_arrived, nobody, url};

/// How many records each request brought.
fn sizes(records: &[Value]) -> Vec<usize> {
    let mut requests = BTreeMap::<String, usize>::new();
    for record in records {
        *requests
            .entry(record["received_at"].to_string())
            .or_default() += 1;
    }
    requests.into_values().collect()
}

#[test]
fn a_flush_sends_whole_batches_and_then_the_rest() {
    let receiver = Receiver::start();
    let host = Host::to(&receiver, &[("batch_size", "500")]);
    host.record(0..1234);
    host.client.flush(SOON).unwrap();
    assert_arrived(&receiver.records(), 0..1234);
    let stats = host.until(|stats| stats.sent == 1234);
    // Whole batches may have left before the flush; it is still three requests.
    assert_eq!((stats.batches, stats.buffered, stats.in_flight), (3, 0, 0));
    assert_eq!(sizes(&receiver.records()), [500, 500, 234]);
}

#[test]
fn a_full_batch_leaves_by_itself_and_the_rest_waits() {
    for size in ["500", "100", "1"] {
        let receiver = Receiver::start();
        let host = Host::to(&receiver, &[("batch_size", size)]);
        let size: usize = size.parse().unwrap();
        host.record(0..size + size / 2);
        let stats = host.until(|stats| stats.sent as usize == size);
        assert_eq!(stats.buffered as usize, size / 2);
    }
}

#[test]
fn time_sends_what_is_there() {
    let receiver = Receiver::start();
    let host = Host::to(&receiver, &[("batch_interval", "0.05")]);
    host.record(0..3);
    host.until(|stats| stats.sent == 3);
    host.record(3..5);
    host.until(|stats| stats.sent == 5);
    assert_arrived(&receiver.records(), 0..5);
}

#[test]
fn bytes_make_a_batch_too() {
    let server = Server::start(|_, length| {
        if length <= 20_000 {
            (200, String::new())
        } else {
            (500, String::new())
        }
    });
    let host = Host::start(&url(server.address), &[("batch_bytes", "20000")]);
    let context = "x".repeat(480);
    for _ in 0..200 {
        host.record_one("/large", &context);
    }
    host.client.flush(SOON).unwrap();
    assert_eq!(host.client.stats().sent, 200);
    let batches = server.taken.lock().unwrap().len();
    assert!((7..=20).contains(&batches), "{batches}");
}

#[test]
fn an_overflowing_buffer_is_sent_at_once_and_in_parallel() {
    let receiver = Receiver::with(&["--key", "service-key=test-service"]);
    receiver.set_faults(&serde_json::json!([{ "delay_ms": 20, "times": 1000 }]));
    let host = Host::to(
        &receiver,
        &[
            ("batch_size", "100"),
            ("buffer_size", "2000"),
            ("max_connections", "4"),
        ],
    );
    for round in 0..10 {
        host.record(round * 2000..round * 2000 + 1900);
        host.client.flush(SOON).unwrap();
    }
    let stats = host.client.stats();
    assert_eq!(
        (stats.sent, stats.dropped_overflow),
        (19_000, 0),
        "{}",
        stats.line()
    );
    assert_arrived(
        &receiver.records(),
        (0..10).flat_map(|round| round * 2000..round * 2000 + 1900),
    );
    let summary = receiver.get("/api/summary").json();
    assert!(
        summary["connections"].as_u64().unwrap() > 10,
        "never more than one connection at a time: {summary}"
    );
}

#[test]
fn the_overflow_threshold_is_a_reason_to_send() {
    let receiver = Receiver::start();
    let host = Host::to(
        &receiver,
        &[("batch_size", "10000"), ("buffer_size", "100")],
    );
    host.record(0..90);
    host.until(|stats| stats.sent == 90);
}

#[test]
fn a_round_uses_one_connection() {
    let receiver = Receiver::start();
    let before = receiver.get("/api/summary").json()["connections"]
        .as_u64()
        .unwrap();
    let host = Host::to(&receiver, &[("batch_size", "10")]);
    host.client.flush(SOON).unwrap();
    host.record(0..5);
    host.client.flush(SOON).unwrap();
    let after = receiver.get("/api/summary").json()["connections"]
        .as_u64()
        .unwrap();
    assert_eq!(after - before, 2, "one for the summary, one for the round");
}

#[test]
fn no_thread_and_no_connection_before_the_first_record() {
    let host = Host::start(&url(nobody()), &[]);
    host.client.flush(SOON).unwrap();
    assert_eq!(host.lines(), Vec::<String>::new());
}

#[test]
fn records_of_one_thread_arrive_in_their_order() {
    let server = Server::start(|_, _| (200, String::new()));
    let host = Host::start(&url(server.address), &[("batch_size", "7")]);
    host.record(0..2000);
    host.client.flush(SOON).unwrap();
    let wanted: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    assert_eq!(server.contexts(), wanted);
}
