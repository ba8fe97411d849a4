//! What the receiver tells about what it got.

use std::time::{SystemTime, UNIX_EPOCH};

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
        ("?status=2xx&consumer=alice&after=2", vec![3, 4, 5]),
        ("?status=5xx", vec![]),
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
    let delete = |path| receiver.send(&Request::new("DELETE", path));
    // Who asks for some to be deleted would lose all.
    delete("/api/records?service=a").detail(422, "service: unknown; there are none");
    assert_eq!(receiver.records().len(), 5);
    assert_eq!(delete("/api/records").status, 200);
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
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let file = receiver.get(path);
        assert_eq!(
            file.header("content-type"),
            Some(&*format!("{kind}; charset=utf-8"))
        );
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        let policy = file.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"));
        assert!(!policy.contains("unsafe"));
        // It shows strangers' texts and must stand alone. The one address is a name of XML's.
        let text = file.body.replace("http://www.w3.org/2000/svg", "");
        for banned in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=",
            "http://",
            "https://",
        ] {
            assert!(!text.contains(banned), "{path}: {banned}");
        }
    }
}

fn counts(receiver: &Receiver, path: &str) -> Value {
    let answer = receiver.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

/// Two endpoints, three consumers, and a request of two hours ago.
fn visited() -> Receiver {
    let receiver = Receiver::with(&["--max-records", "2"]);
    let records = [
        record(json!({ "consumer": "a & b" })),
        record(json!({ "consumer": "bob", "status": 503, "response_time": 1234 })),
        record(json!({ "endpoint": "/x", "status": 404, "service": "other" })),
        record(json!({ "endpoint": "/x", "created_at": now() - 7200, "service": "other" })),
    ];
    assert_eq!(receiver.ingest(batch(&records)).status, 200);
    receiver
}

#[test]
fn traffic_over_time() {
    let receiver = visited();
    let sum = |list: &Value| -> u64 {
        let list = list.as_array().unwrap();
        list.iter().map(|value| value.as_u64().unwrap_or(0)).sum()
    };
    // Also what has left memory since: the counts do not live on records.
    let day = counts(&receiver, "/api/traffic?range=24h");
    assert_eq!([&day["width"], &day["slots"]], [900, 96]);
    assert_eq!(sum(&day["statuses"]["2xx"]), 2);
    assert_eq!(sum(&day["statuses"]["5xx"]), 1);
    assert_eq!([&day["in_range"], &day["unnamed"]], [4, 0]);
    assert_eq!(
        [
            &day["records"],
            &day["kept"],
            &day["evicted"],
            &day["batches"]
        ],
        [4, 2, 2, 1]
    );
    assert_eq!(day["services"], json!({ "other": 2, "test-service": 2 }));
    assert_eq!(day["keys"], json!([]));
    let hour = counts(&receiver, "/api/traffic?range=1h&endpoint=/x");
    assert_eq!(
        hour["total"],
        json!({ "count": 1, "client_errors": 1, "server_errors": 0, "p50": 12, "p95": 12, "p99": 12 })
    );
    assert_eq!(hour["in_range"], 3);
    for list in ["p50", "p99"] {
        assert_eq!(hour[list].as_array().unwrap().len(), 60);
        assert_eq!(sum(&hour[list]), 12);
    }
    let heat = hour["heat"]["rows"].as_array().unwrap();
    assert_eq!(
        heat.iter().map(sum).collect::<Vec<_>>()[..6],
        [0, 0, 0, 0, 1, 0]
    );
    let start = hour["start"].as_u64().unwrap();
    assert!(start + 3600 > now() - 60 && start < now() - 3480);
}

#[test]
fn tables_are_filtered_sorted_and_cut() {
    let receiver = visited();
    let names = |path: &str, key: &str| {
        let table = counts(&receiver, path);
        let rows = table["rows"].as_array().unwrap();
        let names: Vec<_> = rows.iter().map(|row| row[key].clone()).collect();
        (table["matches"].as_u64().unwrap(), Value::from(names))
    };
    for (query, matches, expected) in [
        (
            "range=24h&sort=name&order=asc",
            2,
            json!(["/users/{id}", "/x"]),
        ),
        ("range=24h&sort=p95", 2, json!(["/users/{id}", "/x"])),
        (
            "range=24h&sort=client_errors",
            2,
            json!(["/x", "/users/{id}"]),
        ),
        (
            "range=24h&sort=name&limit=1&offset=1",
            2,
            json!(["/users/{id}"]),
        ),
        ("search=OTHER", 1, json!(["/x"])),
        ("consumer=bob", 1, json!(["/users/{id}"])),
        ("status=4xx", 1, json!(["/x"])),
        ("method=POST&consumer=carol", 0, json!([])),
    ] {
        let path = format!("/api/endpoints?{query}");
        assert_eq!(names(&path, "endpoint"), (matches, expected), "{query}");
    }
    for (query, expected) in [
        ("sort=name&order=asc", json!(["a &amp; b", "alice", "bob"])),
        ("endpoint=/x&method=GET&service=other", json!(["alice"])),
        ("service=nobody", json!([])),
    ] {
        let (_, found) = names(&format!("/api/consumers?{query}"), "consumer");
        assert_eq!(found, expected, "{query}");
    }
    let row = &counts(&receiver, "/api/endpoints?endpoint=/x&sort=server_errors")["rows"][0];
    assert_eq!(
        (
            &row["count"],
            &row["server_errors"],
            &row["p99"],
            &row["consumers"]
        ),
        (&json!(2), &json!(1), &json!(1200), &json!(2))
    );
    assert_eq!(row["spark"].as_array().unwrap().len(), 30);
    for path in [
        "traffic?range=2h",
        "traffic?sort=name",
        "endpoints?sort=size",
        "endpoints?order=up",
        "consumers?status=200",
        "consumers?limit=x",
        "records?range=1h",
        "records?status=9xx",
        "summary?service=other",
    ] {
        assert_eq!(receiver.get(&format!("/api/{path}")).status, 422, "{path}");
    }
    for path in ["/api/endpoints", "/api/consumers"] {
        assert_eq!(receiver.get(&format!("{path}?limit=1000")).status, 200);
        let more = receiver.get(&format!("{path}?limit=1001"));
        more.detail(422, "limit: 1001 is more than 1000");
    }
    assert_eq!(receiver.get("/api/records?limit=1001").status, 200);
    receiver
        .get("/api/summary?limit=1")
        .detail(422, "limit: unknown; there are none");
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let receiver = visited();
    for path in [
        "traffic",
        "endpoints?sort=p50",
        "consumers",
        "records?limit=1",
        "summary",
    ] {
        let request = Request::new("GET", &format!("/api/{path}"));
        // A slot may end between the two: then they differ, and the next two do not.
        let unchanged = (0..3).any(|_| {
            let first = receiver.send(&request);
            assert_eq!(
                (first.status, first.header("cache-control")),
                (200, Some("no-cache"))
            );
            let tag = first.header("etag").unwrap();
            let second = receiver.send(&request.clone().set("If-None-Match", tag));
            second.status == 304 && second.body.is_empty() && second.header("etag") == Some(tag)
        });
        assert!(unchanged, "{path}");
        let tag = receiver.send(&request).header("etag").unwrap().to_owned();
        assert_eq!(receiver.ingest(good()).status, 200);
        let changed = receiver.send(&request.clone().set("If-None-Match", &tag));
        assert_eq!(changed.status, 200, "{path}");
    }
    let cleared = Request::new("DELETE", "/api/records");
    let tag = receiver
        .get("/api/traffic")
        .header("etag")
        .unwrap()
        .to_owned();
    assert_eq!(receiver.send(&cleared).status, 200);
    let request = Request::new("GET", "/api/traffic").set("If-None-Match", &tag);
    assert_eq!(receiver.send(&request).json()["total"]["count"], 0);
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
