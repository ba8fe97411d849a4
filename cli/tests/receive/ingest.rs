//! The protocol: what the server answers to what, and what it keeps.

use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{KEY, Receiver, Request, SERVICE, batch, errors, good, raw, record};

const UNREADABLE: &str = "There was an error parsing the body";

#[test]
fn a_batch_is_accepted_and_kept() {
    let receiver = Receiver::start();
    let records = [
        record(json!({ "node": "n1", "context": "ctx", "created_at": "2024-01-02T03:04:05.678Z" })),
        record(json!({ "consumer": "bob", "status": 503, "unknown": [1, { "a": null }] })),
    ];
    receiver.ingest(batch(&records)).is(
        200,
        &json!({
            "message": "Telemetry data ingested successfully",
            "count": 2,
            "service": SERVICE,
        }),
    );
    let kept = receiver.records();
    assert_eq!(kept.len(), 2);
    let mut first = kept[0].clone();
    first
        .as_object_mut()
        .unwrap()
        .remove("received_at")
        .unwrap();
    assert_eq!(
        first,
        json!({
            "id": 1, "service": SERVICE, "method": "GET", "endpoint": "/users/{id}",
            "status": 200, "response_time": 12, "consumer": "alice", "node": "n1",
            "context": "ctx", "created_at": "2024-01-02T03:04:05.678000Z",
        })
    );
    assert_eq!(
        (&kept[1]["consumer"], &kept[1]["status"]),
        (&json!("bob"), &json!(503))
    );
    assert_eq!(
        (&kept[1]["node"], &kept[1]["context"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(kept[1].get("unknown"), None);
}

#[test]
fn the_same_batch_twice_is_kept_twice() {
    let receiver = Receiver::start();
    for _ in 0..2 {
        assert_eq!(receiver.ingest(good()).status, 200);
    }
    assert_eq!(receiver.records().len(), 2);
}

#[test]
fn an_empty_batch_probes_url_and_key() {
    let receiver = Receiver::start();
    let empty = batch(&[]);
    receiver
        .ingest(empty.clone())
        .detail(400, "Empty requests array is not allowed");
    let wrong = Request::ingest(empty).set("X-API-Key", "wrong");
    receiver.send(&wrong).detail(401, "Invalid API key");
    assert_eq!(receiver.records().len(), 0);
}

#[test]
fn no_key() {
    let receiver = Receiver::start();
    let request = Request::ingest(good());
    for request in [
        request.clone().without("X-API-Key"),
        request.clone().set("X-API-Key", ""),
        request
            .without("X-API-Key")
            .set("Authorization", &format!("Bearer {KEY}")),
    ] {
        receiver.send(&request).detail(401, "API key required");
    }
}

#[test]
fn a_wrong_key_and_what_is_judged_before_it() {
    let receiver = Receiver::start();
    let with = |body: &[u8]| receiver.send(&Request::ingest(body).set("X-API-Key", "wrong"));
    with(good().as_bytes()).detail(401, "Invalid API key");
    // JSON, but no batch: the key is first.
    with(b"[]").detail(401, "Invalid API key");
    // Not JSON, not text: these are before the key.
    assert_eq!(with(b"{").status, 422);
    with(b"\xff").detail(400, UNREADABLE);
    assert_eq!(receiver.records().len(), 0);
}

#[test]
fn a_persons_key() {
    let receiver = Receiver::start();
    let request = Request::ingest(good()).set("X-API-Key", "user-key");
    receiver
        .send(&request)
        .detail(403, "Service API key required for ingest endpoint");
}

#[test]
fn without_keys_any_key_and_service_pass() {
    let receiver = Receiver::with(&[]);
    let body = batch(&[
        record(json!({ "service": "a" })),
        record(json!({ "service": "b" })),
    ]);
    let request = Request::ingest(body).set("X-API-Key", "whatever");
    let answer = receiver.send(&request);
    assert_eq!(
        (answer.status, &answer.json()["service"]),
        (200, &json!("a"))
    );
    receiver
        .send(&request.without("X-API-Key"))
        .detail(401, "API key required");
}

#[test]
fn a_record_of_another_service_refuses_the_batch() {
    let receiver = Receiver::start();
    let body = batch(&[
        record(json!({})),
        record(json!({ "service": "auth-service" })),
    ]);
    receiver.ingest(body).detail(
        403,
        "Service mismatch: expected test-service, got auth-service",
    );
    assert_eq!(receiver.records().len(), 0);
}

#[test]
fn bodies_that_are_no_batch() {
    let receiver = Receiver::start();
    for (body, kind, loc) in [
        ("", "missing", json!(["body"])),
        ("null", "model_attributes_type", json!(["body"])),
        ("[]", "model_attributes_type", json!(["body"])),
        ("{}", "missing", json!(["body", "requests"])),
        (
            r#"{"requests":{}}"#,
            "list_type",
            json!(["body", "requests"]),
        ),
        (
            r#"{"requests":[null]}"#,
            "model_attributes_type",
            json!(["body", "requests", 0]),
        ),
        (
            r#"{"requests":[1],"requests":null}"#,
            "list_type",
            json!(["body", "requests"]),
        ),
        (r#"{"requests":[]} x"#, "json_invalid", json!(["body", 16])),
        (r#"{"requests":[1,]}"#, "json_invalid", json!(["body", 15])),
        ("{", "json_invalid", json!(["body", 1])),
    ] {
        assert_eq!(errors(&receiver, body), [(kind.to_owned(), loc)], "{body}");
    }
    receiver.ingest("[".repeat(2000)).detail(400, UNREADABLE);
}

#[test]
fn what_json_cannot_say_crashes_the_server() {
    let receiver = Receiver::start();
    for body in [
        raw("response_time", "NaN"),
        raw("status", "Infinity"),
        raw("status", "-Infinity"),
        raw("created_at", "NaN"),
        raw("consumer", r#""\ud800""#),
        raw("consumer", r#""\ud800x""#),
        raw("context", r#""\udc00\ud800""#),
    ] {
        let answer = receiver.ingest(body.clone());
        assert_eq!(
            (answer.status, &*answer.body),
            (500, "Internal Server Error"),
            "{body}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
    // Where nobody looks it does no harm; and a whole pair is a character.
    assert_eq!(receiver.ingest(raw("unknown", "NaN")).status, 200);
    assert_eq!(
        receiver.ingest(raw("consumer", r#""\ud83d\ude00""#)).status,
        200
    );
    assert_eq!(receiver.records()[1]["consumer"], "😀");
}

#[test]
fn bytes_that_are_not_text() {
    let receiver = Receiver::start();
    receiver
        .ingest(b"{\"requests\":[\"\xed\xa0\x80\"]}")
        .detail(400, UNREADABLE);
    // The beginnings of a gzip and of a zlib stream: nothing is inflated.
    for (encoding, body) in [
        ("gzip", &b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xabV*J-"[..]),
        ("deflate", b"x\x9c\xabV*J-"),
    ] {
        let request = Request::ingest(body).set("Content-Encoding", encoding);
        receiver.send(&request).detail(400, UNREADABLE);
    }
}

#[test]
fn content_types() {
    let receiver = Receiver::start();
    let request = Request::ingest(good());
    for bad in [
        "text/plain",
        "application/x-ndjson",
        "text/json",
        "application/octet-stream",
    ] {
        let answer = receiver.send(&request.clone().set("Content-Type", bad));
        assert_eq!(
            (answer.status, &answer.json()["detail"][0]["loc"]),
            (422, &json!(["body"]))
        );
    }
    assert_eq!(
        receiver
            .send(&request.clone().without("Content-Type"))
            .status,
        422
    );
    for fine in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.x+json",
    ] {
        assert_eq!(
            receiver
                .send(&request.clone().set("Content-Type", fine))
                .status,
            200
        );
    }
}

#[test]
fn chunked_bodies() {
    let receiver = Receiver::start();
    let body = good();
    let (start, end) = body.split_at(10);
    let chunked = format!(
        "{:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n",
        start.len(),
        end.len()
    );
    let request = Request::ingest(chunked).set("Transfer-Encoding", "chunked");
    assert_eq!(receiver.send(&request).status, 200);
}

#[test]
fn expect_100_continue() {
    let receiver = Receiver::start();
    let request = Request::ingest(good()).set("Expect", "100-continue");
    let mut connection = receiver.connect();
    connection.write(request.head().as_bytes());
    assert_eq!(connection.answer("POST").unwrap().status, 100);
    connection.write(good().as_bytes());
    assert_eq!(connection.answer("POST").unwrap().status, 200);
}

#[test]
fn a_slash_at_the_end_is_redirected() {
    let receiver = Receiver::start();
    for (path, location) in [
        ("/api/v1/ingest/", "http://malti.example:8123/api/v1/ingest"),
        (
            "/api/v1/ingest/?a=b",
            "http://malti.example:8123/api/v1/ingest?a=b",
        ),
    ] {
        let mut request = Request::ingest(good()).set("Host", "malti.example:8123");
        request.path = path.to_owned();
        let answer = receiver.send(&request);
        assert_eq!(
            (answer.status, answer.header("location")),
            (307, Some(location))
        );
    }
    assert_eq!(receiver.records().len(), 0);
}

#[test]
fn other_paths_are_not_found() {
    let receiver = Receiver::start();
    for path in [
        "//api/v1/ingest",
        "/malti/api/v1/ingest",
        "/API/v1/ingest",
        "/api/v1",
        "/x/",
    ] {
        let mut request = Request::ingest(good());
        request.path = path.to_owned();
        receiver.send(&request).detail(404, "Not Found");
    }
}

#[test]
fn a_refused_body_is_read_and_the_connection_goes_on() {
    let receiver = Receiver::start();
    let mut connection = receiver.connect();
    for (path, status) in [
        ("/nowhere", 404),
        ("/health", 405),
        ("/api/v1/ingest/", 307),
    ] {
        let mut request = Request::ingest(vec![b' '; 8 << 20]);
        request.path = path.to_owned();
        assert_eq!(connection.send(&request).status, status);
    }
    assert_eq!(receiver.get("/api/summary").json()["connections"], 2);
}

#[test]
fn other_methods_are_not_allowed() {
    let receiver = Receiver::start();
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = receiver.send(&Request::new(method, "/api/v1/ingest"));
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
        if method != "HEAD" {
            answer.detail(405, "Method Not Allowed");
        }
    }
}

#[test]
fn large_bodies() {
    let receiver = Receiver::start();
    let long = record(json!({ "context": "x".repeat(20 << 20) }));
    assert_eq!(receiver.ingest(batch(&[long])).status, 200);
    assert_eq!(receiver.records()[0]["context"], "x".repeat(500));
    let many = vec![record(json!({})); 5000];
    assert_eq!(receiver.ingest(batch(&many)).json()["count"], 5000);
}

#[test]
fn an_idle_connection_is_closed_after_five_seconds() {
    let receiver = Receiver::start();
    let mut connection = receiver.connect();
    for _ in 0..2 {
        assert_eq!(connection.send(&Request::ingest(good())).status, 200);
    }
    let idle = Instant::now();
    assert!(connection.answer("POST").is_none());
    let seconds = idle.elapsed().as_secs_f64();
    // Late only if the machine is busy; never early.
    assert!((4.9..15.0).contains(&seconds), "closed after {seconds} s");
}
