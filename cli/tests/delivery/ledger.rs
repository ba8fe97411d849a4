//! The ledger holds in every snapshot, and agrees with the host's own count and with what the receiver has.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use malti::Recorded;
use serde_json::json;

use crate::client::Receiver;
use crate::harness::{Host, SOON, contexts, nobody, record, url};

#[test]
fn eight_threads_and_a_server_that_stumbles() {
    let receiver = Receiver::with(&[
        "--key",
        "service-key=test-service",
        "--max-records",
        "400000",
    ]);
    let stumbles: Vec<_> = (0..40)
        .map(|n| {
            [
                json!({ "after": 3, "status": 503 }),
                json!({ "close": true, "after": n % 3 }),
            ]
        })
        .collect();
    receiver.set_faults(&json!(stumbles.concat()));
    let host = Host::to(
        &receiver,
        &[
            ("batch_interval", "0.02"),
            ("batch_size", "200"),
            ("buffer_size", "5000"),
        ],
    );
    let kept = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut last = 0;
            let mut looks = 0_u64;
            while !done.load(Ordering::Acquire) {
                let stats = host.client.stats();
                assert_eq!(stats.unaccounted(), 0, "{}", stats.line());
                assert!(stats.recorded >= last, "recorded went back");
                assert!(
                    stats.buffered + stats.in_flight <= 5000,
                    "over the cap: {}",
                    stats.line()
                );
                last = stats.recorded;
                looks += 1;
            }
            looks
        });
        let recorders: Vec<_> = (0..8)
            .map(|thread| {
                let (client, kept) = (&host.client, &kept);
                scope.spawn(move || {
                    for number in 0..10_000 {
                        if record(client, "/x", &format!("{thread}-{number}")) == Recorded::Kept {
                            kept.fetch_add(1, Ordering::Relaxed);
                        }
                        if number % 100 == 0 {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                })
            })
            .collect();
        recorders
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Release);
        assert!(watcher.join().unwrap() > 10, "nobody looked");
    });
    while host.client.flush(SOON).is_err() {}
    let stats = host.client.stats();
    assert_eq!(stats.recorded, kept.load(Ordering::Relaxed));
    assert_eq!(stats.recorded, 80_000);
    assert_eq!(
        stats.sent + stats.dropped_overflow,
        80_000,
        "{}",
        stats.line()
    );
    let arrived = contexts(&receiver.records());
    // A connection closed after the server had read the batch leaves it untaken here: nothing arrives twice.
    assert_eq!(arrived.len() as u64, stats.sent);
    assert!(arrived.values().all(|count| *count == 1));
}

#[test]
fn a_full_buffer_lets_the_oldest_go_and_counts_them() {
    let address = nobody();
    let host = Host::start(&url(address), &[]);
    host.record(0..100_000);
    let stats = host.client.stats();
    assert_eq!(
        (
            stats.recorded,
            stats.buffered + stats.in_flight,
            stats.dropped_overflow
        ),
        (100_000, 25_000, 75_000)
    );
    let receiver = Receiver::at(&address.to_string(), &["--key", "service-key=test-service"]);
    host.client.flush(SOON).unwrap();
    let stats = host.client.stats();
    assert_eq!(
        (stats.sent, stats.dropped_overflow),
        (25_000, 75_000),
        "{}",
        stats.line()
    );
    assert_eq!(receiver.records().len(), 25_000);
    host.said_once("the oldest are dropped");
}

#[test]
fn what_is_left_out_stands_outside() {
    let receiver = Receiver::start();
    let host = Host::to(&receiver, &[("exclude_endpoints", "/health*, /metrics")]);
    let one = |endpoint: &str, status: u16| {
        host.client.record(&malti::Record {
            method: "GET",
            endpoint,
            status,
            response_time: Duration::ZERO,
            consumer: None,
            context: None,
            created_at: None,
        })
    };
    for (endpoint, status, recorded) in [
        ("/a", 401, Recorded::Filtered),
        ("/a", 404, Recorded::Filtered),
        ("/a", 403, Recorded::Kept),
        ("/healthz", 200, Recorded::Filtered),
        ("/metrics", 200, Recorded::Filtered),
        ("/metrics/x", 200, Recorded::Kept),
        ("/a", 99, Recorded::Invalid("status")),
        ("/a", 1000, Recorded::Invalid("status")),
    ] {
        assert_eq!(one(endpoint, status), recorded, "{endpoint} {status}");
    }
    let stats = host.client.stats();
    assert_eq!((stats.recorded, stats.filtered, stats.invalid), (2, 4, 2));
    assert_eq!(stats.unaccounted(), 0);
    host.said_once("status: 99 is not in 100–999");
    assert_eq!(
        host.lines_with("status: 1000").len(),
        0,
        "said once per field"
    );
}
