//! Flush and shutdown return by their deadline, always.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use malti::{FlushError, State};
use serde_json::json;

use crate::client::Receiver;
use crate::harness::{Host, SOON, Server, assert_arrived, nobody, record, url};

const DEADLINE: Duration = Duration::from_millis(300);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);

fn in_time<T>(act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    let took = start.elapsed();
    assert!(took < DEADLINE + SLACK, "{took:?}");
    result
}

/// Flush and shutdown against one kind of dead end.
fn meets_deadlines(host: Host, records: u64) {
    let flushed = in_time(|| host.client.flush(DEADLINE));
    assert_eq!(flushed, Err(FlushError::TimedOut));
    let stats = in_time(|| host.client.shutdown(DEADLINE));
    assert_eq!(
        (stats.dropped_shutdown, stats.sent),
        (records, 0),
        "{}",
        stats.line()
    );
    assert_eq!(stats.unaccounted(), 0);
}

#[test]
fn a_server_that_accepts_and_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::start(&url(listener.local_addr().unwrap()), &[]);
    host.record(0..1000);
    meets_deadlines(host, 1000);
}

#[test]
fn a_retry_pause() {
    let receiver = Receiver::start();
    receiver.set_faults(
        &json!([{ "status": 503, "times": 1000, "headers": { "retry-after": "200" } }]),
    );
    let host = Host::to(&receiver, &[("batch_interval", "0.01")]);
    host.record(0..10);
    host.until(|stats| stats.last_http_status == 503);
    meets_deadlines(host, 10);
}

#[test]
fn a_name_that_cannot_be_resolved() {
    let host = Host::start("http://no-such-host.invalid", &[]);
    host.record(0..10);
    meets_deadlines(host, 10);
}

#[test]
fn a_server_that_drips_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::start(&url(listener.local_addr().unwrap()), &[]);
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
                    .iter()
                    .chain(std::iter::repeat(&b' '));
                for b in bytes {
                    if stream.write_all(&[*b]).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    host.record(0..10);
    meets_deadlines(host, 10);
}

#[test]
fn a_refused_connection_ends_shutdown_at_once() {
    let host = Host::start(&url(nobody()), &[]);
    host.record(0..10);
    let start = Instant::now();
    let stats = host.client.shutdown(Duration::from_secs(60));
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(stats.dropped_shutdown, 10);
}

#[test]
fn shutdown_delivers_what_it_can() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "status": 503, "times": 2 }]));
    let host = Host::to(&receiver, &[]);
    host.record(0..1234);
    let stats = host.client.shutdown(SOON);
    assert_eq!(
        (stats.sent, stats.dropped_shutdown),
        (1234, 0),
        "{}",
        stats.line()
    );
    assert_arrived(&receiver.records(), 0..1234);
}

#[test]
fn shutdown_tries_as_long_as_it_has_time() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "status": 503, "times": 8 }]));
    let host = Host::to(&receiver, &[("max_retries", "1")]);
    host.record(0..10);
    let stats = host.client.shutdown(SOON);
    assert_eq!(
        (stats.sent, stats.dropped_shutdown),
        (10, 0),
        "{}",
        stats.line()
    );
}

#[test]
fn shutdown_sends_what_a_helper_could_not() {
    for _ in 0..3 {
        let (down, failed) = (AtomicBool::new(true), AtomicBool::new(false));
        let server = Server::start(move |records, _| {
            let last = records.iter().any(|r| r["context"] == "999");
            if down.swap(false, Ordering::SeqCst) {
                return (503, String::new());
            }
            if last && !failed.swap(true, Ordering::SeqCst) {
                // Long enough for the others to find nothing left to send.
                std::thread::sleep(Duration::from_millis(400));
                return (503, String::new());
            }
            std::thread::sleep(Duration::from_millis(10));
            (200, String::new())
        });
        let settings = [
            ("batch_size", "100"),
            ("buffer_size", "1000"),
            ("overflow_threshold_percent", "50"),
            ("max_connections", "4"),
            ("max_retries", "0"),
        ];
        let host = Host::start(&url(server.address), &settings);
        // After a fault nothing is sent before shutdown, which therefore finds an overflowing buffer.
        host.record(0..100);
        host.until(|stats| stats.state == State::Retrying && stats.in_flight == 0);
        host.record(100..1000);
        let stats = host.client.shutdown(SOON);
        assert_eq!(
            (stats.sent, stats.dropped_shutdown),
            (1000, 0),
            "{}",
            stats.line()
        );
    }
}

#[test]
fn shutdown_without_time_waits_for_nothing() {
    let receiver = Receiver::start();
    let host = Host::to(&receiver, &[]);
    host.record(0..10);
    let stats = host.client.shutdown(Duration::ZERO);
    assert_eq!(stats.sent + stats.dropped_shutdown, 10);
}

#[test]
fn a_client_that_is_dropped_shuts_down() {
    let receiver = Receiver::start();
    let host = Host::to(&receiver, &[("shutdown_timeout", "30")]);
    host.record(0..10);
    drop(host.client);
    assert_arrived(&receiver.records(), 0..10);
}

#[test]
fn the_loss_at_shutdown_is_told_with_the_ledger() {
    let lines = {
        let host = Host::start(&url(nobody()), &[]);
        host.record(0..10);
        let Host { client, .. } = &host;
        assert_eq!(record(client, "/", "x"), malti::Recorded::Kept);
        let lines = host.log();
        drop(host);
        lines
    };
    let lines = lines.lock().unwrap();
    let told: Vec<_> = lines
        .iter()
        .filter(|l| l.contains("records not delivered before shutdown: 11"))
        .collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert!(
        told[0].starts_with("warn: ") && told[0].contains("shutdown 11"),
        "{told:?}"
    );
}
