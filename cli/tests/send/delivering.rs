//! The server is slow, away, or refuses; the input grows, or does not end.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Receiver;
use crate::harness::{command, run, send};

fn line(number: usize) -> String {
    format!("{{\"method\":\"GET\",\"endpoint\":\"/{number}\",\"status\":200}}\n")
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "still waiting: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// More than the buffer holds, to a server that takes its time: none is dropped.
#[test]
fn no_faster_than_the_server() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!({ "faults": [{ "delay_ms": 20, "times": 30 }] }));
    let input: String = (0..5000).map(line).collect();
    let sent = send(&receiver, &["--buffer-size=400", "--batch-size=50"], &input);
    sent.went_well(&[
        ("lines", 5000),
        ("recorded", 5000),
        ("sent", 5000),
        ("undelivered", 0),
    ]);
    assert_eq!(receiver.records().len(), 5000);
}

#[test]
fn a_server_that_comes_back() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!({ "faults": [{ "status": 503, "times": 5 }] }));
    let input: String = (0..100).map(line).collect();
    let sent = send(&receiver, &["--retry-delay=0.01"], &input);
    sent.went_well(&[("sent", 100)]);
}

#[test]
fn a_server_that_is_away() {
    let receiver = Receiver::start();
    let mut command = command(&receiver);
    drop(receiver);
    let sent = run(
        command.args(["--give-up=0.3", "--retry-delay=0.01"]),
        line(1),
    );
    assert_eq!(
        (sent.code, sent.report["undelivered"].as_u64()),
        (1, Some(1))
    );
    assert!(
        sent.errors.contains("nothing was delivered any more"),
        "{}",
        sent.errors
    );
    // Once is enough.
    assert!(!sent.errors.contains("before shutdown"), "{}", sent.errors);
}

#[test]
fn a_key_that_is_refused() {
    let receiver = Receiver::start();
    let input: String = (0..2000).map(line).collect();
    let sent = send(&receiver, &["--api-key=wrong", "--buffer-size=100"], &input);
    assert_eq!(sent.code, 1);
    assert!(
        sent.errors.contains("Invalid API key") && sent.errors.contains("malti check"),
        "{}",
        sent.errors
    );
    let report = &sent.report;
    // Also what was read and not looked at any more.
    assert_eq!(report["lines"], report["undelivered"], "{report}");
}

/// Reads lines as long as it may, to a server that has a request and takes its time.
#[cfg(unix)]
struct Reading {
    child: Child,
    input: ChildStdin,
}

#[cfg(unix)]
impl Reading {
    fn start(receiver: &Receiver, lines: usize) -> Self {
        let mut child = command(receiver)
            .args(["--buffer-size=100", "--batch-size=10", "--json", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text: String = (0..lines).map(line).collect();
        input.write_all(text.as_bytes()).unwrap();
        until("a request", || {
            receiver.get("/api/control").json()["faults"][0]["served"] != 0
        });
        Self { child, input }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let killed = std::process::Command::new("kill")
            .args(["-s", name, &id])
            .status();
        assert!(killed.unwrap().success());
    }

    /// The exit code, and the report.
    fn end(self) -> (Option<i32>, Value) {
        let output = self.child.wait_with_output().unwrap();
        drop(self.input);
        let report = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_reading_and_what_was_read_is_delivered() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "delay_ms": 300, "times": 5 }]));
    let reading = Reading::start(&receiver, 1000);
    reading.signal("TERM");
    let (code, report) = reading.end();
    let stopped = report["stopped"].as_str().unwrap();
    assert!(stopped.contains("not read to its end"), "{report}");
    assert_eq!(
        (code, &report["undelivered"]),
        (Some(1), &json!(0)),
        "{report}"
    );
    assert_eq!(report["sent"], report["lines"]);
    assert_eq!(report["sent"], receiver.records().len());
}

#[cfg(unix)]
#[test]
fn a_second_signal_gives_up_and_counts() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "hang": true, "times": 1000 }]));
    let reading = Reading::start(&receiver, 1000);
    // Two of one name may become one.
    reading.signal("TERM");
    reading.signal("INT");
    let (code, report) = reading.end();
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(
        report["stopped"],
        "interrupted: not all that was read was delivered"
    );
    assert_eq!(
        (&report["sent"], &report["undelivered"]),
        (&json!(0), &report["lines"])
    );
    assert_ne!(report["lines"], 0);
}

/// What is appended to the file that is read would be read, and appended.
#[cfg(unix)]
#[test]
fn a_file_that_is_its_own_sink() {
    let receiver = Receiver::start();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("records"), line(1)).unwrap();
    std::fs::hard_link(path("records"), path("linked")).unwrap();
    let refused = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        output
    };
    let own = |file: &str, more: &[&str]| {
        let url = format!("--url=file:{}", path("linked"));
        let mut command = command(&receiver);
        let output = refused(command.args(more).args([&url, file]).stdin(Stdio::null()));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("would never end"), "{errors}");
    };
    own(&path("records"), &["--follow"]);
    own(&path("records"), &[]);
    let open = || {
        OpenOptions::new()
            .append(true)
            .read(true)
            .open(path("records"))
    };
    // By standard input and standard error.
    refused(
        command(&receiver)
            .arg("--url=stderr:")
            .stdin(open().unwrap())
            .stderr(open().unwrap()),
    );
    let left = std::fs::read_to_string(path("records")).unwrap();
    assert_eq!(left.matches("\"endpoint\"").count(), 1, "{left}");

    let url = format!("--url=file:{}", path("other"));
    send(&receiver, &[&url, &path("records")], "").went_well(&[("sent", 1), ("not_understood", 1)]);
}

struct Following(Child);

impl Following {
    fn start(receiver: &Receiver, file: &Path) -> Self {
        let child = command(receiver)
            .args(["--follow", "--batch-interval=0.05", "--json"])
            .arg(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// Its report after SIGTERM.
    fn stop(mut self) -> Value {
        let id = self.0.id().to_string();
        let killed = std::process::Command::new("kill").arg(id).status().unwrap();
        assert!(killed.success());
        let mut text = String::new();
        BufReader::new(self.0.stdout.take().unwrap())
            .read_line(&mut text)
            .unwrap();
        self.0.wait().unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_that_grows_is_turned_over_and_emptied() {
    let receiver = Receiver::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("access.ndjson");
    append(&file, &line(1));
    let following = Following::start(&receiver, &file);
    let arrived = |count| until("records", || receiver.records().len() == count);
    arrived(1);
    // In two pieces, of which the first is no line yet.
    let (first, second) = (&line(2)[..10], &line(2)[10..]);
    append(&file, first);
    append(&file, second);
    arrived(2);
    // A server goes on with the file that it has open, for a while and up to half a line.
    let old = dir.path().join("access.1");
    std::fs::rename(&file, &old).unwrap();
    append(&file, &(line(3) + &line(4)));
    append(&old, &(line(5) + &line(6)[..10]));
    arrived(5);
    // In its place, and shorter than what was read.
    std::fs::write(&file, line(7)).unwrap();
    arrived(6);
    let report = following.stop();
    let figures = ["sent", "lines", "not_understood"].map(|name| report[name].as_u64());
    assert_eq!(figures, [Some(6), Some(7), Some(1)], "{report}");
}

/// As logrotate does it with `create`: the server is told some time after its file has a successor.
#[cfg(unix)]
#[test]
fn a_server_that_learns_late_of_a_rotation() {
    let receiver = Receiver::start();
    let dir = tempfile::tempdir().unwrap();
    let (file, old) = (dir.path().join("access"), dir.path().join("access.1"));
    append(&file, &line(0));
    let following = Following::start(&receiver, &file);
    let arrived = |count| until("records", || receiver.records().len() == count);
    arrived(1);
    std::fs::rename(&file, &old).unwrap();
    append(&file, "");
    for number in 1..=20 {
        append(&old, &line(number));
        std::thread::sleep(Duration::from_millis(50));
    }
    append(&file, &line(21));
    arrived(22);
    assert_eq!(following.stop()["lines"], 22);
}

/// Whoever writes to a pipe may come and go.
#[cfg(unix)]
#[test]
fn a_pipe_is_followed() {
    let receiver = Receiver::start();
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let following = Following::start(&receiver, &pipe);
    for number in 1..=2 {
        let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
        writer.write_all(line(number).as_bytes()).unwrap();
        drop(writer);
        until("a record", || receiver.records().len() == number);
    }
    assert_eq!(following.stop()["sent"], 2);
}
