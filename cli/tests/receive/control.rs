//! Faults on demand.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Receiver, Request, good};

fn request() -> Request {
    Request::ingest(good())
}

fn statuses(receiver: &Receiver, count: usize) -> Vec<Option<u16>> {
    let one = |_| {
        let mut connection = receiver.connect();
        connection.begin(&request());
        connection.answer("POST").map(|answer| answer.status)
    };
    (0..count).map(one).collect()
}

#[test]
fn faults_come_in_order_and_are_counted() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!({ "faults": [
        { "after": 1, "times": 2, "status": 503 },
        { "close": true },
        { "after": 1, "status": 429 },
    ] }));
    assert_eq!(
        statuses(&receiver, 7),
        [
            Some(200),
            Some(503),
            Some(503),
            None,
            Some(200),
            Some(429),
            Some(200)
        ]
    );
    assert_eq!(receiver.records().len(), 3);
    let faults = receiver.get("/api/control").json()["faults"].clone();
    let figures = |f: &Value| {
        (
            f["passed"].clone(),
            f["served"].clone(),
            f["remaining"].clone(),
        )
    };
    let figures: Vec<_> = faults.as_array().unwrap().iter().map(figures).collect();
    let of = |passed, served| (json!(passed), json!(served), json!(0));
    assert_eq!(figures, [of(1, 2), of(0, 1), of(1, 1)]);

    // New faults replace the old ones; other paths are never hit.
    receiver.set_faults(&json!([{ "status": 500 }]));
    assert_eq!(receiver.get("/health").status, 200);
    receiver.set_faults(&json!([]));
    assert_eq!(statuses(&receiver, 1), [Some(200)]);
}

#[test]
fn a_status_with_headers_and_body() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([
        { "status": 429, "headers": { "Retry-After": "7" }, "body": { "error": "slow down" } },
        { "status": 502, "headers": { "Content-Type": "text/html" }, "body": "<h1>Bad gateway</h1>" },
        { "status": 500 },
    ]));
    let answer = receiver.send(&request());
    answer.is(429, &json!({ "error": "slow down" }));
    assert_eq!(answer.header("retry-after"), Some("7"));
    let answer = receiver.send(&request());
    assert_eq!(
        (answer.status, &*answer.body),
        (502, "<h1>Bad gateway</h1>")
    );
    assert_eq!(answer.header("content-type"), Some("text/html"));
    receiver.send(&request()).detail(500, "Fault 500");
}

#[test]
fn a_delay_comes_before_the_answer() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "delay_ms": 200 }, { "delay_ms": 200, "status": 503 }]));
    for status in [200, 503] {
        let start = Instant::now();
        assert_eq!(receiver.send(&request()).status, status);
        assert!(start.elapsed() >= Duration::from_millis(200));
    }
}

#[test]
fn a_batch_may_be_kept_although_the_client_never_learns() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([
        { "store": true, "close": true },
        { "store": true, "status": 504 },
        { "store": true, "delay_ms": 10 },
    ]));
    assert_eq!(statuses(&receiver, 3), [None, Some(504), Some(200)]);
    assert_eq!(receiver.records().len(), 3);
}

#[test]
fn a_hanging_request_never_gets_an_answer() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "hang": true }]));
    let mut connection = receiver.connect();
    connection.begin(&request());
    connection.read_timeout(Duration::from_millis(300));
    assert!(connection.answer("POST").is_none());
    // Only this one hangs, and its client's leaving stores nothing.
    drop(connection);
    assert_eq!(receiver.send(&request()).status, 200);
    assert_eq!(receiver.records().len(), 1);
}

#[test]
fn an_early_answer_comes_before_the_body() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "early": true, "status": 413 }]));
    let mut request = request();
    request.body = Some(vec![b' '; 1 << 20]);
    let mut connection = receiver.connect();
    connection.write(request.head().as_bytes());
    let answer = connection.answer("POST").unwrap();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (413, Some("close"))
    );
}

#[test]
fn bad_faults_are_refused_and_change_nothing() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "status": 503 }]));
    for (body, status, text) in [
        ("{", 400, "EOF"),
        (r#"[{"delay":5}]"#, 422, "fault 0: unknown field `delay`"),
        (
            r#"{"faults":[{},{"close":true,"hang":true}]}"#,
            422,
            "fault 1: status, close and hang",
        ),
    ] {
        let mut request = Request::new("POST", "/api/control");
        request.body = Some(body.into());
        let answer = receiver.send(&request);
        assert_eq!(answer.status, status);
        assert!(
            answer.json()["detail"].as_str().unwrap().contains(text),
            "{}",
            answer.body
        );
    }
    assert_eq!(receiver.send(&request()).status, 503);
}
