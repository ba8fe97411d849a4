//! `--db` where the disk, the file or another program is in the way.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{self, Receiver, Request, batch, good, record};
use crate::database::{Place, consumers, sql, stop, stopped};

/// A receiver whose files may have so many bytes, for `sh` of which 512 are one: the nearest to a full
/// disk that every user can have.
#[cfg(target_os = "linux")]
fn limited(place: &Place, bytes: u32) -> Command {
    let mut command = Command::new("sh");
    // Without the signal it is an error of writing.
    let limit = format!(
        "trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"",
        bytes / 512
    );
    command
        .args(["-c", &limit, env!("CARGO_BIN_EXE_malti")])
        .args(["receive", "--listen", "127.0.0.1:0", "--json", "--db"])
        .arg(place.file())
        .stderr(Stdio::piped());
    command
}

#[cfg(target_os = "linux")]
fn limit(receiver: &Receiver, bytes: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--fsize={bytes}:"))
        .args(["--pid", &receiver.child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Sends batches of so many until one is refused, and gives how many records are stored.
#[cfg(target_os = "linux")]
fn fill(receiver: &Receiver, batch: usize) -> usize {
    fill_with(receiver, batch, consumers)
}

fn fill_with(receiver: &Receiver, batch: usize, made: impl Fn(Range<usize>) -> String) -> usize {
    let mut stored = 0;
    loop {
        let answer = receiver.ingest(made(stored..stored + batch));
        if answer.status == 200 {
            stored += batch;
            assert!(stored < 100_000, "it never was full");
            continue;
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
        let known = answer.body.contains("Failed to store telemetry: ");
        assert!(known && answer.body.contains("full"), "{}", answer.body);
        return stored;
    }
}

/// What a receiver has said when it is asked to end.
#[cfg(unix)]
fn said(mut receiver: Receiver) -> String {
    let stderr = receiver.child.stderr.take().unwrap();
    stop(receiver);
    std::io::read_to_string(stderr).unwrap()
}

/// A fault that began and is over.
#[cfg(unix)]
#[track_caller]
fn once(said: &str) {
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.contains("answered 503") && said.contains("can be written again"),
        "{said}"
    );
}

fn delete(receiver: &Receiver) -> u16 {
    receiver
        .send(&Request::new("DELETE", "/api/records"))
        .status
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    let place = Place::new();
    let receiver = Receiver::spawn(&mut limited(&place, 200 << 10));
    let stored = fill(&receiver, 100);
    let again = receiver.ingest(consumers(stored..stored + 100));
    assert_eq!(again.status, 503, "{}", again.body);
    assert_eq!(receiver.records().len(), stored);

    limit(&receiver, "unlimited");
    assert_eq!(receiver.ingest(consumers(stored..stored + 100)).status, 200);
    let all = receiver.records();
    once(&said(receiver));
    assert_eq!(place.receiver().records(), all);
}

/// A real disk of so many MiB, which is mounted for the receiver alone: who is not root needs a namespace of users.
#[cfg(target_os = "linux")]
fn small_disk(place: &Place, size: u32) -> Option<Command> {
    let mounted = |then: &str| {
        let mut command = Command::new("unshare");
        let mount = format!("mount -t tmpfs -o size={size}m none \"$0\" && {then}");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .arg(place.file().parent().unwrap());
        command
    };
    let can = mounted("true").stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("skipped: nothing can be mounted here");
        return None;
    }
    let mut command = mounted("exec \"$@\"");
    command
        .args([env!("CARGO_BIN_EXE_malti"), "receive"])
        .args(["--listen", "127.0.0.1:0", "--json", "--db"])
        .arg(place.file())
        .stderr(Stdio::piped());
    Some(command)
}

/// Whatever the batches' size, they leave enough to delete records, which leaves room for others.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_that_is_emptied() {
    // The log comes into the file by itself when it has 4 MiB.
    for (size, batch) in [(1, 10), (1, 100), (1, 700), (7, 1000)] {
        let place = Place::new();
        let Some(mut command) = small_disk(&place, size) else {
            return;
        };
        let receiver = Receiver::spawn(&mut command);
        let stored = fill(&receiver, batch);
        assert!(stored > 1000, "{stored} of {batch} each");
        assert_eq!(delete(&receiver), 200, "{batch}");
        assert_eq!(receiver.ingest(good()).status, 200);
        let again = fill(&receiver, batch);
        assert!(2 * again > stored, "{again}, and {stored} before");
        let said = said(receiver);
        assert_eq!(said.lines().count(), 3, "{said}");
    }
}

/// Nor do records of the longest texts take what that needs.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_full_of_long_texts_that_is_emptied() {
    for (text, batch) in [("x", 700), ("漢", 50), ("漢", 500)] {
        let long = text.repeat(490);
        let made = |names: Range<usize>| {
            let texts =
                json!({ "endpoint": long, "consumer": long, "node": long, "context": long });
            client::batch(&vec![record(texts); names.len()])
        };
        let place = Place::new();
        let Some(mut command) = small_disk(&place, 20) else {
            return;
        };
        let receiver = Receiver::spawn(&mut command);
        let stored = fill_with(&receiver, batch, made);
        assert!(stored >= batch, "{text}");
        assert_eq!(delete(&receiver), 200, "{text} {batch}");
        assert_eq!(receiver.ingest(good()).status, 200);
        let again = fill_with(&receiver, batch, made);
        assert!(2 * again >= stored, "{again}, and {stored} before");
        said(receiver);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_at_the_start() {
    let place = Place::new();
    let output = limited(&place, 0).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.lines().count() == 1 && message.contains("is the disk full"),
        "{message}"
    );

    // One that was killed, so that there are records in its log, and one that has ended.
    drop({
        let receiver = place.receiver();
        assert_eq!(receiver.ingest(consumers(0..300)).status, 200);
        receiver
    });
    for count in [300, 301] {
        let receiver = Receiver::spawn(&mut limited(&place, 0));
        assert_eq!(receiver.records().len(), count);
        assert_eq!(receiver.ingest(good()).status, 503);
        limit(&receiver, "unlimited");
        assert_eq!(receiver.ingest(good()).status, 200);
        once(&said(receiver));
    }
}

/// Deleting takes less room than a batch, and so does not show that there is enough.
#[cfg(target_os = "linux")]
#[test]
fn only_a_batch_shows_that_the_disk_has_room() {
    let place = Place::new();
    let receiver = Receiver::spawn(&mut limited(&place, 200 << 10));
    fill(&receiver, 100);
    limit(&receiver, &(300 << 10).to_string());
    assert_eq!(delete(&receiver), 200);
    let large = consumers(0..20_000);
    assert_eq!(receiver.ingest(large.clone()).status, 503);
    limit(&receiver, "unlimited");
    assert_eq!(receiver.ingest(large).status, 200);
    once(&said(receiver));
}

/// Bytes of all files of the folder.
fn size(place: &Place) -> u64 {
    let files = std::fs::read_dir(place.file().parent().unwrap()).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn what_is_deleted_leaves_room() {
    let place = Place::new();
    let receiver = place.receiver();
    let long = record(json!({ "context": "c".repeat(500), "consumer": "d".repeat(500) }));
    assert_eq!(receiver.ingest(batch(&vec![long; 3000])).status, 200);
    assert!(size(&place) > 3 << 20, "{}", size(&place));
    assert_eq!(delete(&receiver), 200);
    assert!(size(&place) < 64 << 10, "{}", size(&place));
    assert_eq!(receiver.ingest(good()).status, 200);
    drop(receiver);
    let receiver = place.receiver();
    assert_eq!(receiver.records()[0]["id"], 3001);
}

#[test]
fn what_is_too_old_leaves_room() {
    let place = Place::new();
    let receiver = place.receiver();
    let long = record(json!({ "context": "c".repeat(500), "consumer": "d".repeat(500) }));
    assert_eq!(receiver.ingest(batch(&vec![long; 9000])).status, 200);
    drop(receiver);
    sql(
        &place.file(),
        "UPDATE records SET received_at = received_at - 3 * 24 * 3600 * 1000000",
    );
    assert!(size(&place) > 9 << 20, "{}", size(&place));
    let receiver = place.with(&["--db-keep", "2"]);
    let end = Instant::now() + Duration::from_secs(60);
    while size(&place) > 1 << 20 {
        assert!(Instant::now() < end, "still {} bytes", size(&place));
        thread::yield_now();
    }
    assert_eq!(receiver.ingest(good()).status, 200);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_taken_away() {
    let place = Place::new();
    let receiver = place.receiver();
    assert_eq!(receiver.ingest(good()).status, 200);
    let elsewhere = place.file().with_file_name("elsewhere");
    std::fs::rename(place.file(), &elsewhere).unwrap();
    let answer = receiver.ingest(good());
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("moved or deleted"), "{}", answer.body);
    std::fs::rename(&elsewhere, place.file()).unwrap();
    assert_eq!(receiver.ingest(good()).status, 200);
    drop(receiver);
    assert_eq!(place.receiver().records().len(), 2);
}

#[test]
fn one_receiver_at_a_time() {
    let place = Place::new();
    let receiver = place.receiver();
    place.refused("another process has it open");
    assert_eq!(receiver.ingest(good()).status, 200);
    drop(receiver);
    assert_eq!(place.receiver().records().len(), 1);
}

#[test]
fn files_of_others() {
    let place = Place::new();
    let unchanged = |text: &str| {
        let before = std::fs::read(place.file()).unwrap();
        place.refused(text);
        assert_eq!(std::fs::read(place.file()).unwrap(), before);
    };
    std::fs::write(
        place.file(),
        "not a database, but a text that is long enough to be read",
    )
    .unwrap();
    unchanged("not a database");

    std::fs::remove_file(place.file()).unwrap();
    sql(&place.file(), "CREATE TABLE records (id INTEGER)");
    unchanged("another program's database");

    std::fs::remove_file(place.file()).unwrap();
    stopped(&place);
    sql(&place.file(), "PRAGMA user_version = 2");
    unchanged("made by a newer malti");

    std::fs::remove_file(place.file()).unwrap();
    std::fs::create_dir(place.file()).unwrap();
    place.refused("");
}

#[test]
fn a_damaged_file() {
    let place = Place::new();
    let receiver = place.receiver();
    assert_eq!(receiver.ingest(consumers(0..2000)).status, 200);
    drop(receiver);
    sql(&place.file(), "PRAGMA journal_mode = delete");
    let mut bytes = std::fs::read(place.file()).unwrap();
    // All but the first page, which says what it is.
    bytes[4096..].fill(0xa5);
    std::fs::write(place.file(), bytes).unwrap();
    place.refused("it is damaged");
}

/// `malti receive` with the rights of the files' owner: one who may do everything loses that.
#[cfg(target_os = "linux")]
fn ordinary(place: &Place) -> Command {
    use std::os::unix::fs::MetadataExt;
    let malti = env!("CARGO_BIN_EXE_malti");
    let folder = place.file().parent().unwrap().metadata().unwrap();
    let mut command = if folder.uid() == 0 {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-dac_override,-dac_read_search", malti]);
        command
    } else {
        Command::new(malti)
    };
    command
        .args(["receive", "--listen", "127.0.0.1:0", "--json", "--db"])
        .arg(place.file());
    command
}

#[cfg(unix)]
fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn files_that_may_not_be_written() {
    let place = Place::new();
    stopped(&place);
    set_mode(&place.file(), 0o400);
    place.refuses(&mut ordinary(&place), "denied");
    assert_eq!(contents(&place).len(), 1, "it left a file");
    set_mode(&place.file(), 0o600);
    let receiver = Receiver::spawn(&mut ordinary(&place));
    assert_eq!(receiver.ingest(good()).status, 200);
    drop(receiver);

    let log = place.log();
    set_mode(&log, 0o400);
    place.refuses(
        &mut ordinary(&place),
        "the -wal file beside it, may not be written",
    );
    set_mode(&log, 0o600);
    assert_eq!(Receiver::spawn(&mut ordinary(&place)).records().len(), 2);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_there_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    std::fs::write(place.file(), "").unwrap();
    set_mode(&place.file(), 0o640);
    let receiver = place.receiver();
    assert_eq!(receiver.ingest(good()).status, 200);
    for file in [place.file(), place.log()] {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{file:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_log_that_is_taken_away() {
    let place = Place::new();
    let mut receiver = place.receiver_that_is_heard();
    assert_eq!(receiver.ingest(consumers(0..3)).status, 200);
    std::fs::remove_file(place.log()).unwrap();
    assert_eq!(receiver.ingest(consumers(3..5)).status, 200);
    // Another one in its place is as bad as none.
    std::fs::remove_file(place.log()).unwrap();
    std::fs::write(place.log(), "no log").unwrap();
    assert_eq!(receiver.ingest(consumers(5..7)).status, 200);
    let before = receiver.records();
    let stderr = receiver.child.stderr.take().unwrap();
    drop(receiver);
    let said = std::io::read_to_string(stderr).unwrap();
    assert_eq!(said.matches("it was begun anew").count(), 2, "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");

    let mut receiver = place.receiver_that_is_heard();
    assert_eq!(receiver.records(), before);
    assert_eq!(before.len(), 7);
    // No new one can be made: what would be lost is not confirmed.
    std::fs::remove_file(place.log()).unwrap();
    std::fs::create_dir(place.log()).unwrap();
    let answer = receiver.ingest(good());
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("-wal file"), "{}", answer.body);
    std::fs::remove_dir(place.log()).unwrap();
    assert_eq!(receiver.ingest(good()).status, 200);
    receiver.child.kill().unwrap();
    drop(receiver);
    assert_eq!(place.receiver().records().len(), 8);
}

/// The names and bytes of all files of the folder.
fn contents(place: &Place) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let files = std::fs::read_dir(place.file().parent().unwrap()).unwrap();
    let content = |file: std::fs::DirEntry| (file.file_name(), std::fs::read(file.path()).unwrap());
    files.map(|file| content(file.unwrap())).collect()
}

/// Leaves at the place what a program left that was killed after these statements.
fn abandoned(place: &Place, statements: &[&str]) {
    let made = Place::new();
    if place.file().exists() {
        std::fs::copy(place.file(), made.file()).unwrap();
    }
    let connection = rusqlite::Connection::open(made.file()).unwrap();
    for statement in statements {
        connection.execute_batch(statement).unwrap();
    }
    for (name, bytes) in contents(&made) {
        std::fs::write(place.file().with_file_name(name), bytes).unwrap();
    }
}

/// Killed before the table was there, which has happened.
#[test]
fn a_file_that_was_not_finished() {
    for statements in [
        &["PRAGMA application_id = 1296125012"][..],
        &[
            "PRAGMA application_id = 1296125012",
            "PRAGMA auto_vacuum = incremental; VACUUM",
        ],
    ] {
        let place = Place::new();
        abandoned(&place, statements);
        assert!(!std::fs::read(place.file()).unwrap().is_empty());
        let receiver = place.receiver();
        assert_eq!(receiver.ingest(good()).status, 200);
        drop(receiver);
        assert_eq!(place.receiver().records().len(), 1);
        assert_eq!(place.number("auto_vacuum"), 2);
    }
}

/// Nobody but its own program puts a file in order.
#[test]
fn files_that_others_left_unfinished() {
    let log = ["PRAGMA journal_mode = wal", "CREATE TABLE other (name)"];
    let journal = [
        "CREATE TABLE other (name); INSERT INTO other VALUES (zeroblob(1000000))",
        "PRAGMA cache_size = 10; BEGIN",
        "UPDATE other SET name = randomblob(1000000)",
    ];
    for (statements, beside) in [(&log[..], "-wal"), (&journal, "-journal")] {
        let place = Place::new();
        abandoned(&place, statements);
        let before = contents(&place);
        let name = format!("records.db{beside}");
        assert!(!before[std::ffi::OsStr::new(&name)].is_empty());
        place.refused("another program's database");
        assert_eq!(contents(&place), before, "{beside}");
    }

    let place = Place::new();
    stopped(&place);
    abandoned(
        &place,
        &["PRAGMA journal_mode = wal", "PRAGMA user_version = 2"],
    );
    let before = contents(&place);
    place.refused("made by a newer malti");
    for (name, bytes) in before {
        // Memory that is shared by those who have it open is no part of it.
        if !name.to_str().unwrap().ends_with("-shm") {
            assert_eq!(contents(&place)[&name], bytes, "{name:?}");
        }
    }
}
