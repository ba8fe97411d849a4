//! One row after the other: what an answer does to the batch.

use std::time::{Duration, Instant};

use malti::{FlushError, State};
use serde_json::json;

use crate::client::Receiver;
use crate::harness::{Host, SOON, assert_arrived, nobody, url};

#[test]
fn every_2xx_is_a_delivery() {
    for status in [200, 201, 202, 204, 299] {
        let receiver = Receiver::start();
        receiver.set_faults(&json!([{ "status": status }]));
        let host = Host::to(&receiver, &[]);
        host.record(0..3);
        host.client.flush(SOON).unwrap();
        let stats = host.client.stats();
        assert_eq!(
            (stats.sent, stats.retries, stats.last_http_status),
            (3, 0, status)
        );
    }
}

#[test]
fn a_passing_fault_is_tried_again() {
    for fault in [
        json!({ "status": 408 }),
        json!({ "status": 425 }),
        json!({ "status": 429 }),
        json!({ "status": 500 }),
        json!({ "status": 502 }),
        json!({ "status": 503 }),
        json!({ "status": 504 }),
        json!({ "status": 599 }),
        json!({ "close": true }),
        json!({ "hang": true }),
    ] {
        let receiver = Receiver::start();
        receiver.set_faults(&json!([fault]));
        let host = Host::to(&receiver, &[("http_timeout", "0.5")]);
        host.record(0..3);
        host.client.flush(SOON).unwrap();
        assert_arrived(&receiver.records(), 0..3);
        let stats = host.client.stats();
        assert_eq!((stats.sent, stats.retries), (3, 1), "{fault}");
        assert_eq!(
            receiver.get("/api/control").json()["faults"][0]["served"],
            1
        );
    }
}

#[test]
fn retries_end_and_the_next_round_goes_on() {
    let receiver = Receiver::start();
    receiver
        .set_faults(&json!([{ "status": 503, "times": 4, "body": { "detail": "out for lunch" } }]));
    let host = Host::to(&receiver, &[("max_retries", "3"), ("batch_interval", "1")]);
    host.record(0..3);
    let stats = host.until(|stats| {
        stats.state == State::Retrying && stats.retries == 3 && stats.in_flight == 0
    });
    assert_eq!(stats.last_error.as_deref(), Some("HTTP 503: out for lunch"));
    host.until(|stats| stats.sent == 3);
    assert_arrived(&receiver.records(), 0..3);
    host.said_once("cannot deliver (HTTP 503: out for lunch), will try again; records kept: 3");
    host.said_once("delivered again after");
    assert_eq!(host.client.stats().state, State::Idle);
}

#[test]
fn a_configuration_fault_keeps_everything_and_is_said_once() {
    for status in [
        301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 409, 418, 451,
    ] {
        let receiver = Receiver::start();
        receiver.set_faults(&json!([
            { "status": status, "times": 3, "body": { "detail": "mend me" }, "headers": { "location": "/elsewhere" } }
        ]));
        let host = Host::to(&receiver, &[]);
        host.record(0..3);
        for _ in 0..3 {
            assert_eq!(
                host.client.flush(SOON),
                Err(FlushError::Rejected),
                "{status}"
            );
            let stats = host.client.stats();
            assert_eq!(
                (stats.buffered, stats.retries, stats.state),
                (3, 0, State::Misconfigured)
            );
        }
        host.said_once("refuses the records");
        host.said_once(&format!("HTTP {status}: mend me"));
        host.client.flush(SOON).unwrap();
        assert_arrived(&receiver.records(), 0..3);
        host.said_once("delivered again");
    }
}

#[test]
fn a_wrong_key_a_wrong_service_and_a_wrong_path_are_told() {
    let receiver = Receiver::start();
    for (settings, said) in [
        ([("api_key", "wrong")], "Invalid API key"),
        (
            [("service_name", "other")],
            "Service mismatch: expected test-service, got other",
        ),
        (
            [("url", &format!("{}/prefix", url(receiver.address)))],
            "Not Found",
        ),
    ] {
        let host = Host::to(&receiver, &settings);
        host.record(0..1);
        assert_eq!(host.client.flush(SOON), Err(FlushError::Rejected));
        host.said_once(said);
    }
    assert!(receiver.records().is_empty());
}

#[test]
fn retry_after_is_waited_for_but_not_by_a_flush() {
    let receiver = Receiver::start();
    let fault = json!([{ "status": 429, "headers": { "retry-after": "2" } }]);
    receiver.set_faults(&fault);
    let host = Host::to(&receiver, &[("batch_interval", "0.05")]);
    host.record(0..1);
    let start = Instant::now();
    host.until(|stats| stats.sent == 1);
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );

    receiver.set_faults(&json!([{ "status": 503, "headers": { "retry-after": "300" } }]));
    let host = Host::to(&receiver, &[("batch_interval", "0.05")]);
    host.record(1..2);
    host.until(|stats| stats.last_http_status == 503);
    host.client.flush(SOON).unwrap();
    assert_arrived(&receiver.records(), 0..2);
}

#[test]
fn a_server_that_comes_up_late_loses_nothing() {
    let address = nobody();
    let host = Host::start(&url(address), &[("batch_interval", "0.1")]);
    host.record(0..100);
    host.until(|stats| stats.state == State::Retrying && stats.retries >= 3);
    let receiver = Receiver::at(&address.to_string(), &["--key", "service-key=test-service"]);
    host.until(|stats| stats.sent == 100);
    assert_arrived(&receiver.records(), 0..100);
    host.said_once("cannot deliver");
}

#[test]
fn a_server_that_does_not_inflate_is_sent_plain_text() {
    let receiver = Receiver::start();
    let host = Host::to(&receiver, &[("compression", "gzip")]);
    host.record(0..10);
    host.client.flush(SOON).unwrap();
    host.record(10..20);
    host.client.flush(SOON).unwrap();
    assert_arrived(&receiver.records(), 0..20);
    host.said_once("compression is switched off");
}
