//! `file:` and `stderr:`.

use std::fs;
use std::io;
use std::process::Command;

use super::*;

fn file_round(path: &std::path::Path) -> Round {
    let transport = Transport::new(settings(&format!("file:{}", path.display()))).unwrap();
    assert_eq!(transport.framing(), Framing::Lines);
    transport.round()
}

#[test]
fn lines_are_appended_and_a_rotated_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("a b.ndjson"), dir.path().join("a.1"));
    let round = file_round(&path);
    assert_eq!(round.post(b"{\"n\":1}\n", false).unwrap().status, 200);
    // No sink compresses.
    round.post(b"{\"n\":2}\n", true).unwrap();
    fs::rename(&path, &rotated).unwrap();
    round.post(b"{\"n\":3}\n", false).unwrap();
    fs::remove_file(&path).unwrap();
    round.post(b"{\"n\":4}\n", false).unwrap();
    assert_eq!(
        fs::read_to_string(&rotated).unwrap(),
        "{\"n\":1}\n{\"n\":2}\n"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":4}\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn two_transports_share_a_file_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shared");
    thread::scope(|scope| {
        for letter in ["a", "b", "c"] {
            let round = file_round(&path);
            scope.spawn(move || {
                let batch = format!("{}\n", letter.repeat(3000)).repeat(20);
                for _ in 0..10 {
                    round.post(batch.as_bytes(), false).unwrap();
                }
            });
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 600);
    assert!(
        text.lines()
            .all(|line| line.len() == 3000 && line.replace(&line[..1], "").is_empty())
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_like_a_server_that_is_down() {
    let failure = failure(&file_round(std::path::Path::new("/dev/full")));
    assert_eq!((failure.kind, failure.sent), (FailureKind::Io, false));
    assert!(failure.text.starts_with("/dev/full: "), "{}", failure.text);
}

#[test]
#[cfg(unix)]
fn a_disk_that_runs_full_within_a_batch_leaves_none_of_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "before\n").unwrap();
    // No file of the child grows beyond a few kilobytes.
    let child = Command::new("sh")
        .args(["-c", "ulimit -f 8; trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "transport::tests::sink::cramped"])
        .env("MALTI_TEST_FILE", &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    file_round(&path)
        .post(cramping().as_bytes(), false)
        .unwrap();
    let expected = format!("before\nsmall\n{}", cramping());
    assert!(fs::read_to_string(&path).unwrap() == expected);
}

#[cfg(unix)]
fn cramping() -> String {
    (0..1000).map(|n| format!("{{\"n\":{n:090}}}\n")).collect()
}

#[test]
#[cfg(unix)]
#[ignore = "run by the test above, in a process of its own"]
fn cramped() {
    let path = PathBuf::from(std::env::var_os("MALTI_TEST_FILE").unwrap());
    let round = file_round(&path);
    for _ in 0..3 {
        let failure = round.post(cramping().as_bytes(), false).unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Io, false));
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\n");
    }
    round.post(b"small\n", false).unwrap();
}

#[test]
fn a_directory_that_is_missing_may_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later").join("file");
    let round = file_round(&path);
    assert_eq!(failure(&round).kind, FailureKind::Io);
    fs::create_dir(dir.path().join("later")).unwrap();
    round.post(b"{}\n", false).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"{}\n");
}

#[test]
fn an_aborted_round_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let round = file_round(&path);
    round.abort();
    assert_eq!(failure(&round).kind, FailureKind::Aborted);
    assert!(!path.exists());
}

#[test]
fn standard_error_gets_lines_though_another_thread_holds_its_lock() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            "transport::tests::sink::child",
        ])
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    let text = String::from_utf8(child.stderr).unwrap();
    assert!(
        text.lines().any(|line| line == "{\"from\":\"child\"}"),
        "{text}"
    );
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn child() {
    thread::scope(|scope| {
        let lock = io::stderr().lock();
        let transport = Transport::new(settings("stderr:")).unwrap();
        let post = scope.spawn(move || transport.round().post(b"{\"from\":\"child\"}\n", false));
        assert_eq!(post.join().unwrap().unwrap().status, 200);
        drop(lock);
    });
}
