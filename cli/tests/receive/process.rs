//! The program: its arguments, its output and its end.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::client::{Receiver, Request, batch, command, good, record};

#[test]
fn lines_to_copy() {
    let mut child = command()
        .args([
            "--listen",
            "127.0.0.1:0",
            "--key",
            "my key=shop",
            "--key",
            "b=other",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    let mut stdout = child.stdout.take().unwrap();
    while !text.contains("is shown at") || !text.ends_with('\n') {
        let mut bytes = [0; 1024];
        let count = stdout.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "it ended: {text}");
        text += str::from_utf8(&bytes[..count]).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let url = text
        .lines()
        .next()
        .unwrap()
        .strip_prefix("export MALTI_URL=")
        .unwrap();
    assert_eq!(
        text,
        format!(
            "export MALTI_URL={url}\nexport MALTI_API_KEY='my key'\n\
             export MALTI_SERVICE_NAME=shop\n\nWhat arrives is shown at {url}/\n"
        )
    );
}

#[test]
fn bad_arguments() {
    for (arguments, code, text) in [
        (&["--key", "no-service"][..], 2, "expected KEY=SERVICE"),
        (&["--listen", "somewhere"], 2, "--listen"),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--ndjson",
                "/no/such/folder/file",
            ],
            1,
            "/no/such/folder",
        ),
    ] {
        let output = command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(text), "{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn an_address_in_use_is_named() {
    let receiver = Receiver::start();
    let address = receiver.address.to_string();
    let output = command().args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));
}

#[test]
fn records_are_appended_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.ndjson");
    std::fs::write(&path, "{\"id\":0}\n").unwrap();
    let receiver = Receiver::with(&["--ndjson", path.to_str().unwrap(), "--max-records", "1"]);
    let records = [
        record(json!({ "endpoint": "/a\nb" })),
        record(json!({ "endpoint": "/<x>" })),
    ];
    assert_eq!(receiver.ingest(batch(&records)).status, 200);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[1]["id"], &lines[1]["endpoint"]),
        (&json!(1), &json!("/a b"))
    );
    // What is in memory is what is in the file.
    assert_eq!(receiver.records(), lines[2..]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_written_stores_nothing() {
    let receiver = Receiver::with(&["--ndjson", "/dev/full"]);
    let answer = receiver.ingest(good());
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .body
            .contains("Failed to store telemetry: No space left"),
        "{}",
        answer.body
    );
    assert_eq!(receiver.records().len(), 0);
}

#[cfg(unix)]
fn signal(receiver: &Receiver, name: &str) {
    let pid = receiver.child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
#[cfg(unix)]
fn signals_end_it_with_success() {
    for name in ["TERM", "INT"] {
        let mut receiver = Receiver::start();
        // Neither an idle connection nor a hanging request holds it up.
        let mut idle = receiver.connect();
        assert_eq!(idle.send(&Request::new("GET", "/health")).status, 200);
        receiver.set_faults(&json!([{ "hang": true }]));
        let mut hanging = receiver.connect();
        hanging.begin(&Request::ingest(good()));
        served(&receiver, 1);
        signal(&receiver, name);
        assert!(receiver.child.wait().unwrap().success());
        assert!(idle.answer("GET").is_none());
        assert!(hanging.answer("POST").is_none());
        let mut rest = String::new();
        receiver.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[test]
#[cfg(unix)]
fn a_running_request_still_gets_its_answer() {
    let mut receiver = Receiver::start();
    receiver.set_faults(&json!([{ "delay_ms": 500 }]));
    let mut running = receiver.connect();
    running.begin(&Request::ingest(good()));
    served(&receiver, 1);
    signal(&receiver, "TERM");
    let answer = running.answer("POST").unwrap();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert!(receiver.child.wait().unwrap().success());
}

/// Waits until so many requests have got the first fault.
#[cfg(unix)]
fn served(receiver: &Receiver, count: u64) {
    while receiver.get("/api/control").json()["faults"][0]["served"] != count {
        std::thread::yield_now();
    }
}
