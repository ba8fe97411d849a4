//! `--db`: what is kept, across restarts and for how long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::{Receiver, Request, batch, command, good, record};

/// A folder with the path of a file that is to be made.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("records.db")
    }

    pub fn with(&self, arguments: &[&str]) -> Receiver {
        Receiver::with(&[&["--db", self.file().to_str().unwrap()], arguments].concat())
    }

    pub fn receiver(&self) -> Receiver {
        self.with(&[])
    }

    /// The records of the file, of which no receiver is using it.
    pub fn count(&self) -> usize {
        let file = rusqlite::Connection::open(self.file()).unwrap();
        let count = file.query_row("SELECT count(*) FROM records", [], |row| row.get(0));
        count.unwrap()
    }

    /// What a pragma says of the file, of which no receiver is using it.
    pub fn number(&self, pragma: &str) -> i64 {
        let file = rusqlite::Connection::open(self.file()).unwrap();
        let number = file.pragma_query_value(None, pragma, |row| row.get(0));
        number.unwrap()
    }

    /// One whose standard error is kept.
    pub fn receiver_that_is_heard(&self) -> Receiver {
        let mut command = command();
        command
            .args(["--listen", "127.0.0.1:0", "--json", "--db"])
            .arg(self.file());
        Receiver::spawn(command.stderr(Stdio::piped()))
    }

    pub fn log(&self) -> PathBuf {
        self.file().with_file_name("records.db-wal")
    }

    /// What a receiver does that can't have the file.
    pub fn refused(&self, text: &str) {
        let mut command = command();
        command.args(["--listen", "127.0.0.1:0", "--db"]);
        self.refuses(command.arg(self.file()), text);
    }

    pub fn refuses(&self, command: &mut Command, text: &str) {
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(output.stdout.is_empty());
        assert_eq!(message.lines().count(), 1, "{message}");
        let name = self.file().display().to_string();
        assert!(
            message.contains(&name) && message.contains(text),
            "{message}"
        );
    }
}

#[cfg(unix)]
pub fn stop(mut receiver: Receiver) {
    let pid = receiver.child.id().to_string();
    let sent = Command::new("kill").arg(&pid).status();
    assert!(sent.unwrap().success());
    assert!(receiver.child.wait().unwrap().success());
}

pub fn consumers(names: std::ops::Range<usize>) -> String {
    let named = |name: usize| record(json!({ "consumer": name.to_string() }));
    batch(&names.map(named).collect::<Vec<_>>())
}

fn text(record: &Value, field: &str) -> String {
    record[field].as_str().unwrap().to_owned()
}

#[test]
fn a_restart_shows_what_was_there() {
    let place = Place::new();
    let first = place.receiver();
    let records = [
        record(json!({ "endpoint": "/käse", "node": "n", "context": "c", "status": -1 })),
        record(
            json!({ "created_at": "1969-12-31T23:59:59.999999Z", "response_time": 2_147_483_647 }),
        ),
    ];
    assert_eq!(first.ingest(batch(&records)).status, 200);
    assert_eq!(first.ingest(consumers(0..3)).status, 200);
    let before = first.records();
    assert_eq!(before.len(), 5);
    // Killed, not asked.
    drop(first);

    let second = place.receiver();
    assert_eq!(second.records(), before);
    assert_eq!(second.ingest(good()).status, 200);
    let after = second.records();
    assert_eq!((after.len(), &after[5]["id"]), (6, &json!(6)));
    drop(second);

    // Memory has the newest alone; the file has all.
    let third = place.with(&["--max-records", "2"]);
    assert_eq!(third.records(), after[4..]);
    let summary = third.get("/api/summary").json();
    assert_eq!(
        (&summary["records"], &summary["evicted"]),
        (&json!(6), &json!(4))
    );
}

/// Also of the records that memory has no room for.
#[test]
fn the_page_counts_what_was_there() {
    let place = Place::new();
    let first = place.receiver();
    assert_eq!(first.ingest(consumers(0..5000)).status, 200);
    drop(first);
    let second = place.with(&["--max-records", "10"]);
    let in_range = || second.get("/api/traffic?range=1h").json()["in_range"].clone();
    while in_range() != 5000 {
        thread::yield_now();
    }
    assert_eq!(second.ingest(good()).status, 200);
    assert_eq!((in_range(), second.records().len()), (json!(5001), 10));
    assert_eq!(
        second.send(&Request::new("DELETE", "/api/records")).status,
        200
    );
    assert_eq!(in_range(), 0);
}

#[test]
fn what_was_cleared_stays_so() {
    let place = Place::new();
    let first = place.receiver();
    assert_eq!(first.ingest(consumers(0..3)).status, 200);
    assert_eq!(
        first.send(&Request::new("DELETE", "/api/records")).status,
        200
    );
    drop(first);
    let second = place.receiver();
    assert_eq!(second.records().len(), 0);
    assert_eq!(second.ingest(good()).status, 200);
    assert_eq!(second.records()[0]["id"], 4, "an id is not used again");
}

/// Clients send batches when it is killed: what it confirmed is there, and a batch is there whole or
/// not at all, and once.
#[test]
fn killed_while_it_takes_records() {
    const CLIENTS: usize = 4;
    const SIZE: usize = 50;
    let place = Place::new();
    let mut receiver = place.receiver();
    let confirmed = AtomicU64::new(0);
    let sent: Vec<Vec<bool>> = thread::scope(|scope| {
        let client = |client: usize| {
            let (confirmed, mut connection) = (&confirmed, receiver.connect());
            scope.spawn(move || {
                let mut answered = Vec::new();
                loop {
                    let first = (client * 1_000_000 + answered.len()) * SIZE;
                    let request = Request::ingest(consumers(first..first + SIZE));
                    let answer = connection.try_send(&request);
                    answered.push(answer.is_some_and(|answer| answer.status == 200));
                    if answered.last() == Some(&false) {
                        return answered;
                    }
                    confirmed.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        while confirmed.load(Ordering::SeqCst) < 40 {
            thread::yield_now();
        }
        receiver.child.kill().unwrap();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    drop(receiver);

    let receiver = place.receiver();
    let mut found = BTreeMap::new();
    for record in receiver.records() {
        let consumer: usize = text(&record, "consumer").parse().unwrap();
        *found.entry(consumer).or_insert(0) += 1;
    }
    for (client, answered) in sent.iter().enumerate() {
        for (number, confirmed) in answered.iter().enumerate() {
            let first = (client * 1_000_000 + number) * SIZE;
            let counts: Vec<_> = (first..first + SIZE)
                .map(|name| found.remove(&name).unwrap_or(0))
                .collect();
            assert!(
                counts == [1; SIZE] || !confirmed && counts == [0; SIZE],
                "client {client}, batch {number}, confirmed: {confirmed}: {counts:?}"
            );
        }
    }
    assert!(found.is_empty(), "nobody sent {found:?}");
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it_and_its_end_leaves_one_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let receiver = place.receiver();
    assert_eq!(receiver.ingest(good()).status, 200);
    let files = || std::fs::read_dir(place.folder.path()).unwrap();
    for file in files() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
    stop(receiver);
    assert_eq!(files().count(), 1);
    assert_eq!(place.count(), 1);
}

/// Makes a file of one record.
pub fn stopped(place: &Place) {
    let receiver = place.receiver();
    assert_eq!(receiver.ingest(good()).status, 200);
    drop(receiver);
    // Whoever opens and closes it brings all into the one file.
    sql(&place.file(), "PRAGMA journal_mode = delete");
}

pub fn sql(file: &Path, statement: &str) {
    rusqlite::Connection::open(file)
        .unwrap()
        .execute_batch(statement)
        .unwrap();
}

#[test]
fn an_address_in_use_makes_no_file() {
    let place = Place::new();
    let receiver = Receiver::start();
    let output = command()
        .args(["--listen", &receiver.address.to_string(), "--db"])
        .arg(place.file())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!place.file().exists());
}

#[test]
fn arguments() {
    for arguments in [
        &["--db", "x", "--ndjson", "y"][..],
        &["--db", "x", "--db-keep", "0"],
        &["--db-keep", "3"],
        &["--db-size", "3"],
    ] {
        let output = command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_too_old_leaves_the_file() {
    let place = Place::new();
    stopped(&place);
    // Three days before the one that is there.
    sql(
        &place.file(),
        "UPDATE records SET id = 10001;
         UPDATE sqlite_sequence SET seq = 10001;
         WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)
         INSERT INTO records SELECT n, received_at - 3 * 24 * 3600 * 1000000, created_at, service, method,
             endpoint, status, response_time, consumer, node, context FROM records, numbers",
    );
    stop(place.with(&["--db-keep", "4"]));
    assert_eq!(place.count(), 10_001);
    // It is done beside its work, so its end may come first.
    while place.count() > 1 {
        stop(place.with(&["--db-keep", "2"]));
    }
    let receiver = place.receiver();
    assert_eq!(receiver.records()[0]["id"], 10_001);
}

#[test]
fn the_file_stays_small() {
    let place = Place::new();
    let receiver = place.with(&["--db-size", "1"]);
    let long = record(json!({ "context": "c".repeat(500), "consumer": "d".repeat(500) }));
    let full = batch(&vec![long; 1000]);
    for _ in 0..15 {
        assert_eq!(receiver.ingest(full.clone()).status, 200);
    }
    assert_eq!(receiver.ingest(consumers(7..8)).status, 200);
    drop(receiver);
    let size = std::fs::metadata(place.file()).unwrap().len();
    assert!(size < 6 << 20, "{size} bytes for 16 MB");
    let receiver = place.receiver();
    let records = receiver.records();
    assert!(records.len() < 6000, "{}", records.len());
    assert_eq!(records.last().unwrap()["consumer"], "7");
    assert_eq!(
        receiver.get("/api/summary").json()["records"],
        records.len()
    );
}
