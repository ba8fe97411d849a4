//! What servers answer, and what is made of it.

use serde_json::json;

use crate::client::{KEY, Receiver, SERVICE};
use crate::harness::{answering, check, command};

fn url(receiver: &Receiver) -> String {
    format!("http://{}", receiver.address)
}

#[test]
fn all_is_well_and_nothing_is_stored() {
    let receiver = Receiver::start();
    let found = check(&url(&receiver), &[]);
    assert_eq!(
        found.results(),
        [
            "settings ok",
            "dns ok",
            "tcp ok",
            "tls skipped",
            "url ok",
            "clock ok",
            "key ok",
            "service ok",
        ],
        "{}",
        found.text
    );
    assert_eq!(found.code, 0);
    assert!(receiver.records().is_empty());
}

#[test]
fn lines_for_people() {
    let receiver = Receiver::start();
    let output = command(&["--api-key", "wrong", "--service_name=s", "--url"])
        .arg(url(&receiver))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(12), "{text}");
    let key = text
        .lines()
        .find(|line| line.starts_with("FAILED"))
        .unwrap();
    assert!(
        key.contains("key") && key.contains("Invalid API key"),
        "{text}"
    );
    assert!(text.contains("→ set MALTI_API_KEY"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours off a terminal: {text:?}");
}

#[test]
fn a_receiver_without_keys_gets_no_record() {
    let receiver = Receiver::with(&[]);
    let found = check(&url(&receiver), &["--service-name=whatever"]);
    assert_eq!(found.code, 0, "{}", found.text);
    assert_eq!(found.step("service")["result"], "skipped");
    assert!(receiver.records().is_empty());
}

#[test]
fn keys() {
    let receiver = Receiver::start();
    let found = check(&url(&receiver), &["--api-key=revoked"]);
    found.failed("key", 12, "Invalid API key", "MALTI_API_KEY");
    let found = check(&url(&receiver), &["--api-key=user-key"]);
    found.failed("key", 12, "Service API key required", "a person's key");
}

#[test]
fn another_service() {
    let receiver = Receiver::start();
    let found = check(&url(&receiver), &["--service-name=shop"]);
    let remedy = format!("MALTI_SERVICE_NAME={SERVICE}");
    found.failed("service", 13, &format!("belongs to {SERVICE:?}"), &remedy);
    assert!(receiver.records().is_empty());
}

#[test]
fn wrong_address() {
    let receiver = Receiver::start();
    let found = check(&format!("{}/prefix", url(&receiver)), &[]);
    found.failed("url", 10, "404", "without /api/v1/ingest");
}

#[test]
fn answers_of_others() {
    let redirect = "HTTP/1.1 301 Moved\r\nLocation: https://malti.example/p/api/v1/ingest\r\n\
                    Content-Length: 0\r\n\r\n";
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (answer, step, code, text, remedy) in [
        (
            redirect,
            "url",
            10,
            "redirects to https://malti.example",
            "set MALTI_URL=https://malti.example/p",
        ),
        (page, "url", 10, "HTTP 200: hello", "base address"),
        (
            "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
            "url",
            10,
            "405",
            "base address",
        ),
        (
            "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n",
            "proxy",
            6,
            "407",
            "MALTI_PROXY",
        ),
        (
            "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n",
            "server",
            11,
            "413",
            "client_max_body_size",
        ),
        (
            "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            "server",
            11,
            "503",
            "log",
        ),
        (
            "HTTP/1.1 400 No\r\nContent-Length: 3\r\n\r\nbah",
            "url",
            10,
            "bah",
            "not Malti",
        ),
        (
            "HTTP/1.1 403 No\r\nContent-Length: 23\r\n\r\n<h1>403\r\nForbidden</h1>",
            "url",
            10,
            "403: <h1>403  Forbidden",
            "a gateway",
        ),
        (
            "220 mail.example ESMTP\r\n",
            "server",
            11,
            "",
            "does not speak HTTP",
        ),
    ] {
        let found = check(&format!("http://{}", answering(answer)), &[]);
        found.failed(step, code, text, remedy);
    }
}

#[test]
fn an_echoed_key_is_not_shown() {
    let body = json!({ "detail": format!("no such key: {KEY}\u{1b}[2J") }).to_string();
    let answer = format!(
        "HTTP/1.1 401 No\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let found = check(&format!("http://{}", answering(&answer)), &[]);
    found.failed("key", 12, "no such key: *** ", "");
    assert!(!found.text.contains(KEY), "{}", found.text);
}

#[test]
fn clocks() {
    let answer = |date: &str| {
        let body = r#"{"detail":"Invalid API key"}"#;
        let length = body.len();
        format!("HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let found = check(
        &format!(
            "http://{}",
            answering(&answer("Thu, 01 Jan 2015 00:00:00 GMT"))
        ),
        &[],
    );
    found.failed("clock", 14, "s ahead of the server's", "NTP");
    let found = check(
        &format!(
            "http://{}",
            answering(&answer("Tue, 01 Jan 2999 00:00:00 GMT"))
        ),
        &[],
    );
    found.failed("clock", 14, "s behind the server's", "NTP");
}

#[test]
fn a_server_that_hangs() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!({ "faults": [{ "hang": true }] }));
    let found = check(&url(&receiver), &["--http-timeout=0.2"]);
    found.failed("server", 11, "no answer within 200ms", "log");
}
