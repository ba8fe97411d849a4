//! Files as they are made, and as damage leaves them.
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use super::header::{Header, Owner};
use super::*;
use crate::buffer::chunk_in;
use crate::record::{RawRecord, packed};
use crate::sys::{HEAD_BYTES, REGION_BYTES};

const FOR_EVER: Duration = Duration::from_secs(1 << 30);

fn settings(dir: &std::path::Path) -> Settings {
    Settings {
        dir: dir.to_owned(),
        bytes: u64::MAX,
        max_age: FOR_EVER,
        identity: [7; 16],
        service: "service".into(),
        node: "node".into(),
    }
}

fn record(endpoint: &[u8], created_at_us: i64) -> RawRecord<'_> {
    RawRecord {
        method: b"GET",
        endpoint,
        status: 200,
        response_time_ms: 1,
        consumer: b"",
        context: b"",
        created_at_us,
    }
}

/// A file with these records, so many to a chunk, whose owner has stopped. Its path.
fn left(settings: &Settings, numbers: std::ops::Range<u64>, in_a_chunk: usize) -> PathBuf {
    let mut own = Own::create(settings, 16).unwrap();
    own.publish().unwrap();
    own.mapping().set_published();
    let mut chunks = Vec::new();
    let numbers: Vec<u64> = numbers.collect();
    for (sequence, numbers) in (1..).zip(numbers.chunks(in_a_chunk)) {
        let mut chunk = chunk_in(own.mapping());
        chunk.begin(sequence);
        for number in numbers {
            let text = number.to_string();
            let record = record(text.as_bytes(), 1000 + *number as i64);
            chunk.push(&record, record.packed_len());
        }
        chunks.push(chunk);
    }
    let path = own.path().to_owned();
    own.finish(false);
    path
}

fn adopt(settings: &Settings) -> Found {
    scan(settings, &[], &mut HashSet::new()).unwrap()
}

fn endpoints(records: &adopted::Records) -> Vec<u64> {
    let number = |record: RawRecord<'_>| str::from_utf8(record.endpoint).unwrap().parse().unwrap();
    packed(&records.packed).map(number).collect()
}

/// All that it still has to give, each settled.
fn drain(file: &mut Adopted) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(records) = file.load(0, FOR_EVER) {
        all.extend(endpoints(&records));
        file.settle(records.first..records.first + records.count as u64);
    }
    all
}

#[test]
fn a_header_reads_back_and_any_change_shows() {
    let dir = tempfile::tempdir().unwrap();
    let long = "é".repeat(3000);
    let settings = Settings {
        node: long,
        ..settings(dir.path())
    };
    let header = Header::new(&settings, 16, 99);
    let bytes = header.encode();
    assert_eq!(Header::decode(&bytes), Some(header.clone()));
    assert!(header.node.len() > 1000 && settings.node.starts_with(&header.node));
    for at in (0..20).chain(24..bytes.len()) {
        let mut other = bytes.clone();
        other[at] ^= 0x10;
        let read = Header::decode(&other);
        // Four bytes mean nothing yet.
        assert!(
            read.is_none() || (16..20).contains(&at) || (28..32).contains(&at),
            "{at}"
        );
        assert_eq!(Header::decode(&bytes[..at]), None);
    }
}

#[test]
fn a_process_is_told_from_others_with_its_number() {
    let me = Owner::this_process();
    assert!(me.started > 0 && me.namespace > 0 && me.boot != [0; 16]);
    let parent = fs::read_to_string("/proc/self/stat").unwrap();
    let parent: u32 = parent
        .rsplit(')')
        .next()
        .unwrap()
        .split(' ')
        .nth(2)
        .unwrap()
        .parse()
        .unwrap();
    let started = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit(')').next().unwrap().to_owned();
        fields
            .split_ascii_whitespace()
            .nth(19)
            .unwrap()
            .parse()
            .unwrap()
    };
    let alive = Owner {
        pid: parent,
        started: started(parent),
        ..me
    };
    assert!(!alive.is_gone());
    for gone in [
        Owner {
            started: alive.started + 1,
            ..alive
        },
        Owner {
            pid: u32::MAX,
            ..alive
        },
        Owner {
            boot: [1; 16],
            ..alive
        },
        Owner {
            namespace: 1,
            ..alive
        },
        me,
    ] {
        assert!(gone.is_gone(), "{gone:?}");
    }
}

#[test]
fn records_come_back_in_order_and_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let path = left(&settings, 0..250, 60);
    let mut found = adopt(&settings);
    assert_eq!((found.skipped_bytes, found.adopted.len()), (0, 1));
    let file = &mut found.adopted[0];
    assert_eq!((file.records(), file.node()), (250, "node"));
    // It is locked: nobody else takes it.
    assert!(adopt(&settings).adopted.is_empty());

    // Some are settled, then the process that adopted them goes too.
    let records = file.load(0, FOR_EVER).unwrap();
    assert_eq!(endpoints(&records), (0..60).collect::<Vec<_>>());
    file.settle(records.first..records.first + 20);
    file.settle(records.first + 50..records.first + 60);
    assert_eq!(file.records(), 220);
    drop(found);
    let mut found = adopt(&settings);
    let file = &mut found.adopted[0];
    assert_eq!(file.records(), 220);
    assert_eq!(drain(file), (20..50).chain(60..250).collect::<Vec<_>>());
    assert_eq!(file.records(), 0);
    drop(found);
    // Nothing in it any more: the look removes it.
    assert!(adopt(&settings).adopted.is_empty());
    assert!(!path.exists());
}

#[test]
fn what_is_too_old_is_settled_by_that() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    left(&settings, 0..10, 4);
    let mut found = adopt(&settings);
    let file = &mut found.adopted[0];
    // They were recorded at 1000 to 1009.
    let (now, max_age) = (1105, Duration::from_micros(99));
    let mut expired = 0;
    let mut kept = Vec::new();
    while let Some(records) = file.load(now, max_age) {
        expired += records.expired;
        kept.extend(endpoints(&records));
        file.settle(records.first..records.first + records.count as u64);
    }
    assert_eq!((expired, kept), (6, vec![6, 7, 8, 9]));
    assert_eq!(file.records(), 0);
}

#[test]
fn a_file_of_somebody_else_waits_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = settings(dir.path());
    let path = left(&theirs, 0..5, 5);
    let mine = Settings {
        identity: [8; 16],
        ..theirs.clone()
    };
    assert!(adopt(&mine).adopted.is_empty());
    assert!(path.exists());
    // But not for ever.
    let impatient = Settings {
        max_age: Duration::ZERO,
        ..mine
    };
    std::thread::sleep(Duration::from_millis(20));
    assert!(adopt(&impatient).adopted.is_empty());
    assert!(!path.exists());
}

#[test]
fn no_damage_is_believed_or_harms() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let path = left(&settings, 0..300, 60);
    let whole = fs::read(&path).unwrap();
    let mut rng = fastrand::Rng::with_seed(20_261_126);
    for round in 0..1000 {
        let mut bytes = whole.clone();
        for _ in 0..rng.usize(1..20) {
            let at = match rng.u8(0..4) {
                0 => rng.usize(0..200),
                1 => {
                    header::HEADER_BYTES + rng.usize(0..5) * REGION_BYTES + rng.usize(0..HEAD_BYTES)
                }
                2 => header::HEADER_BYTES + rng.usize(0..5) * REGION_BYTES + rng.usize(0..600),
                _ => rng.usize(0..bytes.len()),
            };
            bytes[at] = rng.u8(..);
        }
        if round % 5 == 0 {
            bytes.truncate(rng.usize(0..bytes.len()));
        }
        fs::write(&path, &bytes).unwrap();
        for mut file in adopt(&settings).adopted {
            let records = file.records();
            let mut given = 0;
            while let Some(records) = file.load(0, FOR_EVER) {
                given += records.count;
                assert_eq!(packed(&records.packed).count(), records.count);
                assert!(records.count > 0 || records.expired > 0);
                file.settle(records.first..records.first + records.count as u64);
            }
            assert_eq!((given, file.records()), (records, 0));
        }
    }
}

#[test]
fn a_file_is_private_and_its_space_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("made/here");
    let roomy = settings(&inner);
    let mut own = Own::create(&roomy, 16).unwrap();
    own.publish().unwrap();
    own.mapping().set_published();
    assert!(own.check().is_ok());
    let size = header::HEADER_BYTES + 16 * REGION_BYTES;
    assert_eq!(fs::metadata(own.path()).unwrap().len(), size as u64);
    let tight = Settings {
        bytes: 2 * size as u64 - 1,
        ..roomy.clone()
    };
    let error = Own::create(&tight, 16).unwrap_err();
    assert!(error.to_string().contains("spool_bytes"), "{error}");
    // Nothing is left of the attempt.
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);

    // Without its name it is nobody's, and dies with the process.
    let mut late = Own::create(&settings(&inner), 16).unwrap();
    assert!(!late.mapping().is_durable());
    fs::remove_file(late.path()).unwrap();
    assert!(late.publish().is_err() && late.mapping().is_lost());

    // Another file in its place is not ours, whatever its name.
    let mapping = Arc::clone(own.mapping());
    fs::rename(own.path(), inner.join("elsewhere")).unwrap();
    fs::write(own.path(), "theirs").unwrap();
    assert!(own.check().is_err() && !mapping.is_durable());
    let path = own.path().to_owned();
    own.finish(true);
    assert_eq!(fs::read_to_string(path).unwrap(), "theirs");
}
