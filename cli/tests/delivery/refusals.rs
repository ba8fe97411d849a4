//! Batches that are refused for what is in them: the good records arrive, the bad ones are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use malti::{FlushError, State};
use serde_json::{Value, json};

use crate::client::Receiver;
use crate::harness::{Host, SOON, Server, assert_arrived, url};

fn is_poison(record: &Value) -> bool {
    record["endpoint"] == "/poison"
}

/// Numbers, with poison among them.
fn record_some(host: &Host, count: usize, poison: &[usize]) {
    for number in 0..count {
        let endpoint = if poison.contains(&number) {
            "/poison"
        } else {
            "/fine"
        };
        host.record_one(endpoint, &number.to_string());
    }
}

fn assert_taken(server: &Server, count: usize, poison: &[usize]) {
    let mut taken: Vec<usize> = server
        .contexts()
        .iter()
        .map(|c| c.parse().unwrap())
        .collect();
    taken.sort_unstable();
    let wanted: Vec<usize> = (0..count).filter(|n| !poison.contains(n)).collect();
    assert_eq!(taken, wanted);
}

#[test]
fn named_records_are_taken_out() {
    let requests = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&requests);
    let server = Server::start(move |records, _| {
        asked.fetch_add(1, Ordering::SeqCst);
        let named: Vec<_> = (0..records.len())
            .filter(|i| is_poison(&records[*i]))
            .collect();
        let detail: Vec<_> = named
            .iter()
            .map(|i| json!({ "loc": ["body", "requests", i, "status"] }))
            .collect();
        if named.is_empty() {
            (200, String::new())
        } else {
            (422, json!({ "detail": detail }).to_string())
        }
    });
    let host = Host::start(&url(server.address), &[]);
    let poison = [0, 7, 8, 250, 499];
    record_some(&host, 500, &poison);
    host.client.flush(SOON).unwrap();
    let stats = host.client.stats();
    assert_eq!(
        (stats.sent, stats.dropped_rejected),
        (495, 5),
        "{}",
        stats.line()
    );
    assert_taken(&server, 500, &poison);
    assert_eq!(
        requests.load(Ordering::SeqCst),
        2,
        "one that is refused, one with the rest"
    );
    host.said_once("refused by the server and dropped: 5");
}

#[test]
fn unnamed_ones_are_found_by_halves() {
    for (status, poison) in [
        (422, vec![123]),
        (400, vec![0, 499]),
        (422, vec![3, 4, 5, 300]),
    ] {
        let server = Server::start(move |records, _| {
            if records.iter().any(is_poison) {
                (status, String::new())
            } else {
                (200, String::new())
            }
        });
        let host = Host::start(&url(server.address), &[]);
        record_some(&host, 500, &poison);
        host.client.flush(SOON).unwrap();
        let stats = host.client.stats();
        assert_eq!(
            (stats.sent as usize, stats.dropped_rejected as usize),
            (500 - poison.len(), poison.len())
        );
        assert_taken(&server, 500, &poison);
    }
}

#[test]
fn many_bad_records_in_front_do_not_hide_the_good_ones() {
    let server = Server::start(|records, _| {
        if records.iter().any(is_poison) {
            (422, String::new())
        } else {
            (200, String::new())
        }
    });
    let host = Host::start(&url(server.address), &[("batch_size", "100")]);
    let poison: Vec<usize> = (0..60).collect();
    record_some(&host, 200, &poison);
    host.client.flush(SOON).unwrap();
    let stats = host.client.stats();
    assert_eq!(
        (stats.sent, stats.dropped_rejected),
        (140, 60),
        "{}",
        stats.line()
    );
    assert_taken(&server, 200, &poison);
}

#[test]
fn an_outage_while_a_batch_is_taken_apart_drops_nothing_good() {
    for verdict in [422, 500] {
        let in_pieces = AtomicUsize::new(0);
        let server = Server::start(move |records, _| {
            // From the third piece of the batch on, it is the server that fails, for a while.
            let piece = if records.len() < 100 {
                in_pieces.fetch_add(1, Ordering::SeqCst)
            } else {
                0
            };
            if (3..60).contains(&piece) {
                (500, "out of order".into())
            } else if records.iter().any(is_poison) {
                (verdict, String::new())
            } else {
                (200, String::new())
            }
        });
        let host = Host::start(
            &url(server.address),
            &[
                ("batch_size", "100"),
                ("batch_interval", "0.02"),
                ("max_retries", "1"),
                ("retry_delay", "0.001"),
            ],
        );
        record_some(&host, 300, &[42, 43]);
        let stats = host.until(|stats| stats.sent + stats.dropped_rejected == 300);
        assert_eq!(
            (stats.sent, stats.dropped_rejected),
            (298, 2),
            "{verdict}: {}",
            stats.line()
        );
        assert_taken(&server, 300, &[42, 43]);
    }
}

#[test]
fn a_server_that_refuses_everything_is_a_configuration_fault() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "status": 422, "times": 200, "body": { "detail": "no" } }]));
    // One batch, so that the flush alone makes the round.
    let host = Host::to(&receiver, &[("batch_size", "400")]);
    host.record(0..250);
    assert_eq!(host.client.flush(SOON), Err(FlushError::Rejected));
    let stats = host.client.stats();
    assert_eq!(
        (stats.buffered, stats.dropped_rejected, stats.state),
        (250, 0, State::Misconfigured)
    );
    receiver.set_faults(&json!([]));
    host.client.flush(SOON).unwrap();
    assert_arrived(&receiver.records(), 0..250);
}

#[test]
fn a_single_bad_record_is_kept_until_another_one_passes() {
    let server = Server::start(|records, _| {
        if records.iter().any(is_poison) {
            (422, String::new())
        } else {
            (200, String::new())
        }
    });
    let host = Host::start(&url(server.address), &[]);
    record_some(&host, 1, &[0]);
    assert_eq!(host.client.flush(SOON), Err(FlushError::Rejected));
    assert_eq!(host.client.stats().buffered, 1);
    host.record(1..2);
    host.client.flush(SOON).unwrap();
    let stats = host.client.stats();
    assert_eq!(
        (stats.sent, stats.dropped_rejected),
        (1, 1),
        "{}",
        stats.line()
    );
}

#[test]
fn bodies_shrink_until_they_pass() {
    let server = Server::start(|_, length| {
        if length > 10_000 {
            (413, String::new())
        } else {
            (200, String::new())
        }
    });
    let host = Host::start(&url(server.address), &[("batch_size", "1000")]);
    host.record(0..2000);
    host.client.flush(SOON).unwrap();
    let mut taken: Vec<usize> = server
        .contexts()
        .iter()
        .map(|c| c.parse().unwrap())
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..2000).collect::<Vec<_>>());
    // The size that passed is remembered: no second hunt for it.
    host.record(2000..3000);
    host.client.flush(SOON).unwrap();
    assert_eq!(host.client.stats().sent, 3000);
}

#[test]
fn a_record_too_large_by_itself_is_dropped() {
    let server = Server::start(|_, length| {
        if length > 500 {
            (413, String::new())
        } else {
            (200, String::new())
        }
    });
    let host = Host::start(&url(server.address), &[]);
    host.record_one("/large", &"x".repeat(490));
    host.record(0..20);
    host.client.flush(SOON).unwrap();
    let stats = host.client.stats();
    assert_eq!(
        (stats.sent, stats.dropped_rejected),
        (20, 1),
        "{}",
        stats.line()
    );
    host.said_once("refused by the server and dropped: 1 ");
}

#[test]
fn a_batch_answered_500_for_ever_does_not_stop_the_others() {
    let server = Server::start(|records, _| {
        if records.iter().any(is_poison) {
            (500, "out of range".into())
        } else {
            (200, String::new())
        }
    });
    let host = Host::start(
        &url(server.address),
        &[
            ("batch_size", "100"),
            ("batch_interval", "0.05"),
            ("max_retries", "1"),
        ],
    );
    record_some(&host, 300, &[42]);
    let stats = host.until(|stats| stats.sent + stats.dropped_rejected == 300);
    assert_eq!(
        (stats.sent, stats.dropped_rejected),
        (299, 1),
        "{}",
        stats.line()
    );
    assert_taken(&server, 300, &[42]);
}

#[test]
fn an_outage_with_500_drops_nothing() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "status": 500, "times": 30 }]));
    let host = Host::to(
        &receiver,
        &[
            ("batch_size", "100"),
            ("batch_interval", "0.02"),
            ("max_retries", "1"),
        ],
    );
    host.record(0..300);
    let stats = host.until(|stats| stats.sent == 300);
    assert_eq!(stats.dropped_rejected, 0);
    assert_arrived(&receiver.records(), 0..300);
}
