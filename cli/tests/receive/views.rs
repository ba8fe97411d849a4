//! What the receiver tells about what it got.

use serde_json::{Value, json};

use crate::client::{Receiver, Request, batch, good, record};

fn ids(receiver: &Receiver, query: &str) -> Vec<u64> {
    let records = receiver.get(&format!("/api/records{query}")).json()["records"].clone();
    records
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["id"].as_u64().unwrap())
        .collect()
}

#[test]
fn the_summary() {
    let receiver = Receiver::with(&[]);
    let of = |time: u32, status: u16, consumer: &str| {
        record(json!({ "response_time": time, "status": status, "consumer": consumer }))
    };
    let mut records: Vec<Value> = (1..=98).map(|time| of(time, 200, "alice")).collect();
    records.extend([of(99, 500, "bob"), of(100, 499, "bob")]);
    records.push(record(
        json!({ "service": "other", "method": "POST", "endpoint": "/" }),
    ));
    let mut connection = receiver.connect();
    assert_eq!(
        connection.send(&Request::ingest(batch(&records))).status,
        200
    );
    let summary = connection.send(&Request::new("GET", "/api/summary")).json();
    assert_eq!(
        summary,
        json!({
            "records": 101, "kept": 101, "evicted": 0, "batches": 1,
            "requests": 2, "connections": 1,
            "endpoints": [
                { "service": "other", "method": "POST", "endpoint": "/", "count": 1, "errors": 0,
                  "error_rate": 0.0, "p50": 12, "p95": 12, "p99": 12 },
                { "service": "test-service", "method": "GET", "endpoint": "/users/{id}",
                  "count": 100, "errors": 1, "error_rate": 0.01, "p50": 50, "p95": 95, "p99": 99 },
            ],
            "consumers": [
                { "service": "other", "consumer": "alice", "count": 1 },
                { "service": "test-service", "consumer": "alice", "count": 98 },
                { "service": "test-service", "consumer": "bob", "count": 2 },
            ],
        })
    );
}

#[test]
fn records_can_be_selected_paged_and_cleared() {
    let receiver = Receiver::with(&[]);
    let services = ["a", "b", "a", "b", "a"];
    let records = services.map(|service| record(json!({ "service": service })));
    assert_eq!(receiver.ingest(batch(&records)).status, 200);
    for (query, expected) in [
        ("", vec![1, 2, 3, 4, 5]),
        ("?service=a", vec![1, 3, 5]),
        ("?service=%61&limit=1", vec![5]),
        ("?after=1&limit=2", vec![2, 3]),
        ("?after=5", vec![]),
    ] {
        assert_eq!(ids(&receiver, query), expected, "{query}");
    }
    for query in ["?limit=x", "?after=-1", "?page=2"] {
        assert_eq!(
            receiver.get(&format!("/api/records{query}")).status,
            422,
            "{query}"
        );
    }
    assert_eq!(
        receiver
            .send(&Request::new("DELETE", "/api/records"))
            .status,
        200
    );
    assert_eq!(receiver.records().len(), 0);
    assert_eq!(receiver.get("/api/summary").json()["records"], 0);
    assert_eq!(receiver.ingest(batch(&records)).status, 200);
    assert_eq!(ids(&receiver, ""), [6, 7, 8, 9, 10]);
}

#[test]
fn the_oldest_records_make_room() {
    let receiver = Receiver::with(&["--max-records", "3"]);
    for _ in 0..2 {
        assert_eq!(
            receiver
                .ingest(batch(&[record(json!({})), record(json!({}))]))
                .status,
            200
        );
    }
    assert_eq!(ids(&receiver, ""), [2, 3, 4]);
    let summary = receiver.get("/api/summary").json();
    assert_eq!(
        [&summary["records"], &summary["kept"], &summary["evicted"]],
        [4, 3, 1]
    );
}

#[test]
fn health_and_page() {
    let receiver = Receiver::with(&[]);
    receiver
        .get("/health")
        .is(200, &json!({ "status": "healthy" }));
    let page = receiver.get("/");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none';")
    );
    // It shows strangers' texts and must stand alone.
    for banned in [
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "http://",
        "https://",
    ] {
        assert!(!page.body.contains(banned), "{banned}");
    }
}

#[test]
fn other_web_sites_are_kept_out() {
    let receiver = Receiver::with(&[]);
    let host = receiver.address.to_string();
    for (name, value, status) in [
        ("Host", "rebound.example:8080", 403),
        ("Host", "127.0.0.1:8080", 200),
        ("Host", "[::1]:8080", 200),
        ("Host", "[::ffff:127.0.0.1]:8080", 200),
        ("Host", "LOCALHOST", 200),
        ("Host", "203.0.113.7", 403),
        ("Host", "[2001:db8::1]:8080", 403),
        ("Host", "", 403),
        ("Host", "rebound.example:x", 403),
        ("Host", "rebound example", 403),
        ("Host", "localhost/.rebound.example", 403),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "http://localhost", 200),
    ] {
        for path in ["/", "/api/records", "/api/control"] {
            let answer = receiver.send(&Request::new("GET", path).set(name, value));
            assert_eq!(answer.status, status, "{path} with {name}: {value}");
        }
    }
    let own = Request::new("GET", "/")
        .set("Host", &host)
        .set("Origin", &format!("http://{host}"));
    assert_eq!(receiver.send(&own).status, 200);
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 403),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET / HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n", 403),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example\r\n\r\n",
            403,
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            403,
        ),
        ("GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", 403),
    ] {
        let mut connection = receiver.connect();
        connection.write(head.as_bytes());
        assert_eq!(connection.answer("GET").unwrap().status, status, "{head}");
    }
    // Ingest has its key; it answers to any name, as the server does.
    let ingest = Request::ingest(good()).set("Host", "malti.example");
    assert_eq!(receiver.send(&ingest).status, 200);
}
