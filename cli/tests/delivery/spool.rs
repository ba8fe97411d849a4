//! The durable buffer: what a process leaves behind, the next one delivers. Each host is a process of its own, this
//! program again, which ends in its own way.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::client::Receiver;
use crate::harness::{SOON, assert_arrived, nobody};
use crate::process::{Process, at_rest};

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Waits until its file is there, and all that it recorded in it.
fn file_of(host: &mut Process, dir: &Path) -> PathBuf {
    let start = Instant::now();
    let prefix = format!("malti-{}-", host.child.id());
    loop {
        let own = |path: &PathBuf| name(path).starts_with(&prefix) && !used(path).is_empty();
        if let Some(path) = files(dir).into_iter().find(own) {
            return path;
        }
        assert!(start.elapsed() < SOON, "no file; {}", host.ask("log"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The files of the durable buffer.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| name(path).ends_with(".spool"))
        .collect()
}

fn start(url: &str, dir: &Path, settings: &[(&str, &str)]) -> Process {
    let mut all = vec![("spool_dir", dir.to_str().unwrap())];
    all.extend(settings);
    Process::start(url, &all)
}

/// Everybody sends to the same address, wherever the server is just now.
struct Place {
    dir: TempDir,
    address: String,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
            address: nobody().to_string(),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The server comes up.
    fn serve(&self) -> Receiver {
        Receiver::at(&self.address, &[])
    }

    fn host(&self, settings: &[(&str, &str)]) -> Process {
        start(&self.url(), self.dir(), settings)
    }

    /// A process that recorded these numbers while nobody listened, and was killed. What it left.
    fn left_behind(&self, numbers: std::ops::Range<usize>, settings: &[(&str, &str)]) -> PathBuf {
        let mut host = self.host(settings);
        host.ask(&format!("record {} {}", numbers.start, numbers.end));
        let file = file_of(&mut host, self.dir());
        host.kill();
        file
    }

    /// The next process, which records one more, so that its sender starts.
    fn next(&self, settings: &[(&str, &str)]) -> Process {
        let mut all = vec![("batch_interval", "0.1")];
        all.extend(settings);
        let mut host = self.host(&all);
        host.ask(&format!("record {EXTRA} {}", EXTRA + 1));
        host
    }

    /// Stops the last process, and asserts that nothing is left over.
    fn nothing_is_left_by(&self, host: Process) -> serde_json::Value {
        let stats = host.shutdown(30_000);
        assert_eq!(stats["spooled"], 0, "{stats}");
        assert_eq!(files(self.dir()), Vec::<PathBuf>::new());
        stats
    }
}

const HEADER: usize = 4096;
const CHUNK: usize = 8192;

/// Where the chunks of a file begin that hold something.
fn used(file: &Path) -> Vec<usize> {
    let bytes = fs::read(file).unwrap_or_default();
    let chunks = (HEADER..bytes.len().saturating_sub(CHUNK - 1)).step_by(CHUNK);
    chunks
        .filter(|at| bytes[at + 16..at + 24] != [0; 8])
        .collect()
}

/// The number of the record that [`Place::next`] makes.
const EXTRA: usize = 1_000_000;

fn with_extra(numbers: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
    numbers.chain([EXTRA])
}

/// Its size and mode are as they should be.
fn is_proper(file: &Path) {
    let metadata = fs::metadata(file).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(
        metadata.blocks() * 512 >= metadata.len(),
        "its space is reserved"
    );
}

#[test]
fn what_a_killed_process_left_is_delivered_by_the_next() {
    let place = Place::new();
    let file = place.left_behind(0..1234, &[]);
    is_proper(&file);
    let receiver = place.serve();
    let mut next = place.next(&[]);
    next.until(|stats| stats["sent"] == 1235);
    assert_arrived(&receiver.records(), with_extra(0..1234));
    let stats = place.nothing_is_left_by(next);
    assert_eq!(
        (&stats["adopted"], &stats["recorded"]),
        (&json!(1234), &json!(1))
    );
}

#[test]
fn an_abort_loses_nothing_either() {
    let place = Place::new();
    let mut host = place.host(&[]);
    host.ask("record 0 10");
    file_of(&mut host, place.dir());
    writeln!(host.input.as_mut().unwrap(), "abort").unwrap();
    assert_eq!(host.child.wait().unwrap().signal(), Some(6));
    let receiver = place.serve();
    let mut next = place.next(&[]);
    next.until(|stats| stats["sent"] == 11);
    assert_arrived(&receiver.records(), with_extra(0..10));
    place.nothing_is_left_by(next);
}

#[test]
fn a_shutdown_with_the_server_down_leaves_a_file() {
    let place = Place::new();
    let mut host = place.host(&[]);
    host.ask("record 0 700");
    file_of(&mut host, place.dir());
    let stats = host.shutdown(500);
    assert_eq!(
        (&stats["spooled"], &stats["dropped_shutdown"]),
        (&json!(700), &json!(0)),
        "{stats}"
    );
    assert_eq!(files(place.dir()).len(), 1);
    let receiver = place.serve();
    let mut next = place.next(&[]);
    next.until(|stats| stats["sent"] == 701);
    assert_arrived(&receiver.records(), with_extra(0..700));
    place.nothing_is_left_by(next);
}

#[test]
fn a_short_lived_process_delivers_what_was_left_before_it_ends() {
    let place = Place::new();
    place.left_behind(0..50, &[]);
    let receiver = place.serve();
    let stats = place.nothing_is_left_by(place.next(&[("batch_interval", "600")]));
    assert_eq!(stats["sent"], 51, "{stats}");
    assert_arrived(&receiver.records(), with_extra(0..50));
}

#[test]
fn a_sibling_adopts_within_an_interval() {
    let place = Place::new();
    let mut sibling = place.next(&[]);
    file_of(&mut sibling, place.dir());
    place.left_behind(0..300, &[]);
    place.left_behind(300..600, &[]);
    sibling.until(|stats| stats["adopted"] == 600);
    let receiver = place.serve();
    sibling.until(|stats| stats["sent"] == 601);
    assert_arrived(&receiver.records(), with_extra(0..600));
    place.nothing_is_left_by(sibling);
}

#[test]
fn what_others_recorded_for_somebody_else_is_not_touched() {
    let place = Place::new();
    let theirs = place.left_behind(0..5, &[("api_key", "another-key")]);
    let other = place.left_behind(5..9, &[("service_name", "another service")]);
    let _receiver = place.serve();
    let mut next = place.next(&[]);
    next.until(|stats| stats["sent"] == 1);
    let before = [&theirs, &other].map(|file| fs::read(file).unwrap());
    let stats = next.shutdown(30_000);
    assert_eq!(stats["adopted"], 0, "{stats}");
    assert_eq!(
        [&theirs, &other].map(|file| fs::read(file).unwrap()),
        before
    );
    assert_eq!(files(place.dir()).len(), 2);
}

#[test]
fn what_was_delivered_is_not_delivered_again() {
    let place = Place::new();
    let receiver = place.serve();
    // The first batch passes, then the server fails.
    receiver.set_faults(&json!([{ "after": 1, "times": 10_000, "status": 503 }]));
    let settings = [
        ("batch_size", "100"),
        ("batch_interval", "0.05"),
        ("max_retries", "0"),
    ];
    let mut host = place.host(&settings);
    host.ask("record 0 250");
    file_of(&mut host, place.dir());
    host.until(|stats| stats["sent"] == 100 && stats["in_flight"] == 0);
    host.kill();
    receiver.set_faults(&json!([]));
    let mut next = place.next(&settings);
    next.until(|stats| stats["sent"] == 151);
    assert_arrived(&receiver.records(), with_extra(0..250));
    place.nothing_is_left_by(next);

    // After a clean stop there is nothing at all.
    let next = place.next(&settings);
    let stats = place.nothing_is_left_by(next);
    assert_eq!(stats["adopted"], 0, "{stats}");
}

#[test]
fn a_refused_record_that_was_adopted_is_dropped_and_the_others_are_not() {
    let place = Place::new();
    place.left_behind(0..40, &[]);
    let receiver = place.serve();
    receiver.set_faults(&json!([{ "times": 1, "status": 422, "body": {
        "detail": [{ "loc": ["body", "requests", 7, "status"], "msg": "no" }] } }]));
    let mut next = place.next(&[]);
    let stats = next.until(|stats| stats["sent"] == 40);
    assert_eq!(stats["dropped_rejected"], 1, "{stats}");
    assert_arrived(&receiver.records(), with_extra(0..40).filter(|n| *n != 7));
    place.nothing_is_left_by(next);
}

#[test]
fn damage_is_left_out_counted_and_said_once() {
    let place = Place::new();
    // A chunk holds about a hundred of these.
    let file = place.left_behind(0..500, &[]);
    let mut bytes = fs::read(&file).unwrap();
    let used = used(&file);
    assert!(used.len() >= 3, "{used:?}");
    // A sealed chunk with another byte in a text, and one that says it has more than it can.
    let is_sealed = |at: &&usize| bytes[**at + 24..**at + 28] != [0; 4];
    let sealed = *used.iter().find(is_sealed).unwrap();
    let other = *used.iter().find(|at| **at != sealed).unwrap();
    bytes[sealed + 64 + 30] ^= 1;
    bytes[other + 16..other + 24].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&file, &bytes).unwrap();

    let noise: Vec<u8> = (0..20_000).map(|_| fastrand::u8(..)).collect();
    let strangers =
        ["malti-1-00.spool", "malti-2-00.spool", "malti-3-00.spool"].map(|n| place.dir().join(n));
    fs::write(&strangers[0], &noise).unwrap();
    fs::write(&strangers[1], &bytes[..100]).unwrap();
    File::create(&strangers[2]).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", place.dir().join("malti-4-00.spool")).unwrap();
    let pipe = place.dir().join("malti-5-00.spool");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );

    let receiver = place.serve();
    let mut next = place.next(&[("log", "warn")]);
    let stats = next.until(|stats| stats["adopted"].as_u64() > Some(0) && at_rest(stats));
    let arrived = receiver.records().len() as u64 - 1;
    assert_eq!(stats["adopted"], arrived, "{stats}");
    assert!(arrived < 500 && arrived > 0, "{arrived}");
    assert!(
        stats["spool_skipped_bytes"].as_u64().unwrap() > 8192,
        "{stats}"
    );
    let said = |log: &str, what: &str| log.matches(what).count();
    let log = next.ask("log");
    assert_eq!(said(&log, "are damaged and left out"), 1, "{log}");
    assert_eq!(said(&log, "no file of this version"), 3, "{log}");
    // Not again at the next look.
    next.ask("flush 30000");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        next.stats()["spool_skipped_bytes"],
        stats["spool_skipped_bytes"]
    );
    next.shutdown(30_000);
    assert!(
        strangers.iter().all(|path| path.exists()),
        "what is not ours stays"
    );
}

#[test]
fn a_shortened_file_gives_what_is_left_of_it() {
    let place = Place::new();
    let file = place.left_behind(0..500, &[]);
    let length = 4096 + 2 * 8192 + 100;
    OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(length)
        .unwrap();
    let receiver = place.serve();
    let mut next = place.next(&[]);
    let stats = next.until(|stats| stats["adopted"].as_u64() > Some(0) && at_rest(stats));
    assert_eq!(
        receiver.records().len() as u64,
        stats["adopted"].as_u64().unwrap() + 1
    );
    assert!(stats["spool_skipped_bytes"].as_u64() > Some(0), "{stats}");
    place.nothing_is_left_by(next);
}

#[test]
fn random_damage_never_harms() {
    let place = Place::new();
    let file = place.left_behind(0..300, &[]);
    let original = fs::read(&file).unwrap();
    let _receiver = place.serve();
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let damaged = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&file)
            .unwrap();
        damaged.write_all_at(&original, 0).unwrap();
        let reach = if seed % 2 == 0 {
            4096 + 4 * 8192
        } else {
            4096 + 200
        };
        for _ in 0..rng.usize(1..50) {
            damaged
                .write_all_at(&[rng.u8(..)], rng.u64(0..reach))
                .unwrap();
        }
        drop(damaged);
        let mut next = place.next(&[]);
        let stats = next.until(|stats| stats["sent"].as_u64() > Some(0) && at_rest(stats));
        assert!(stats["adopted"].as_u64() <= Some(300), "{stats}");
        next.shutdown(30_000);
    }
}

#[test]
fn without_a_place_to_write_memory_is_used_and_it_is_said_once() {
    let place = Place::new();
    let receiver = place.serve();
    let not_a_dir = place.dir().join("file");
    File::create(&not_a_dir).unwrap();
    let cases = [
        (not_a_dir.as_path(), "268435456", "spool_dir: "),
        (
            Path::new("/proc/malti"),
            "268435456",
            "spool_dir: /proc/malti: ",
        ),
        (place.dir(), "1048576", "spool_bytes leaves no room"),
    ];
    for (number, (dir, bytes, said)) in cases.into_iter().enumerate() {
        let settings = [("spool_bytes", bytes), ("batch_interval", "0.05")];
        let mut host = start(&place.url(), dir, &settings);
        host.ask(&format!("record {} {}", number * 10, number * 10 + 10));
        host.until(|stats| stats["sent"] == 10);
        std::thread::sleep(Duration::from_millis(200));
        let log = host.ask("log");
        assert_eq!(log.matches("in memory alone").count(), 1, "{log}");
        assert!(log.contains(said), "{log}");
        let stats = host.shutdown(5000);
        assert_eq!((&stats["sent"], &stats["spooled"]), (&json!(10), &json!(0)));
    }
    assert_arrived(&receiver.records(), 0..30);
}

#[test]
fn a_file_that_vanishes_is_made_anew() {
    let place = Place::new();
    let mut host = place.host(&[("batch_interval", "0.05"), ("max_retries", "0")]);
    host.ask("record 0 100");
    let file = file_of(&mut host, place.dir());
    fs::remove_file(&file).unwrap();
    let anew = file_of(&mut host, place.dir());
    assert_ne!(file, anew);
    host.ask("record 100 150");
    let log = host.ask("log");
    assert_eq!(log.matches("in memory alone").count(), 1, "{log}");
    host.kill();
    let receiver = place.serve();
    let mut next = place.next(&[]);
    next.until(|stats| stats["sent"] == 151);
    assert_arrived(&receiver.records(), with_extra(0..150));
    place.nothing_is_left_by(next);
}

#[test]
fn what_is_too_old_is_given_up_and_counted() {
    let place = Place::new();
    place.left_behind(0..30, &[]);
    let receiver = place.serve();
    std::thread::sleep(Duration::from_millis(1100));
    let mut next = place.next(&[("spool_max_age", "1")]);
    let stats = next.until(|stats| stats["dropped_expired"] == 30);
    assert_eq!(stats["adopted"], 30, "{stats}");
    next.until(|stats| stats["sent"] == 1);
    assert_arrived(&receiver.records(), [EXTRA]);
    place.nothing_is_left_by(next);
}

#[test]
fn the_oldest_files_make_room_for_a_new_one() {
    let place = Place::new();
    let small = [("buffer_bytes", "1000000")];
    let oldest = place.left_behind(0..10, &small);
    place.left_behind(10..30, &small);
    let size = fs::metadata(&oldest).unwrap().len();
    // Room for two.
    let bytes = (size * 5 / 2).to_string();
    let mut next = place.next(&[small[0], ("spool_bytes", &bytes)]);
    let stats = next.until(|stats| stats["dropped_expired"] == 10);
    assert_eq!(stats["adopted"], 30, "{stats}");
    assert!(!oldest.exists());
    let receiver = place.serve();
    next.until(|stats| stats["sent"] == 21);
    assert_arrived(&receiver.records(), with_extra(10..30));
    place.nothing_is_left_by(next);
}

#[test]
fn the_machines_name_is_that_of_who_recorded() {
    let place = Place::new();
    place.left_behind(0..3, &[("node", "the dead one")]);
    let receiver = place.serve();
    let mut next = place.next(&[("node", "the living one")]);
    next.until(|stats| stats["sent"] == 4);
    let nodes: Vec<String> = receiver
        .records()
        .iter()
        .map(|record| record["node"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        nodes.iter().filter(|node| *node == "the dead one").count(),
        3,
        "{nodes:?}"
    );
    place.nothing_is_left_by(next);
}
