//! Settings, the durable buffer's folder, sinks.

use crate::client::Receiver;
use crate::harness::{check, check_with, command};

#[test]
fn settings_that_are_wrong() {
    let receiver = Receiver::start();
    let url = format!("http://{}", receiver.address);
    let bad = [
        ("MALTI_BATCH_SIZE", "many"),
        ("MALTI_BATCH_SZE", "3"),
        ("MALTI_COLOUR", "red"),
    ];
    let found = check_with(&url, &[], &bad);
    assert_eq!(found.code, 3, "{}", found.text);
    for part in [
        "MALTI_BATCH_SIZE: invalid value \\\"many\\\"",
        "did you mean MALTI_BATCH_SIZE?",
        "MALTI_COLOUR is no setting",
    ] {
        assert!(found.text.contains(part), "{part}: {}", found.text);
    }
    assert_eq!(
        found.step("service")["result"],
        "ok",
        "it goes on with the defaults"
    );

    let found = check(&url, &["--batch_size=0"]);
    found.failed("settings", 3, "batch_size: invalid value", "");
    assert_eq!(found.steps.len(), 1);
    let output = command(&["--batch-sice=3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--batch-size"));
}

#[test]
fn a_variable_that_is_overridden_is_not_judged() {
    let receiver = Receiver::start();
    let url = format!("--url=http://{}", receiver.address);
    let found = check("no URL", &[]);
    assert_eq!(found.code, 3, "{}", found.text);
    let bad = [("MALTI_BATCH_SIZE", "many"), ("MALTI_BATCH", "3")];
    let found = check_with("no URL", &[&url, "--batch-size=7"], &bad);
    assert_eq!(found.code, 0, "{}", found.text);
    // The beginning of a key's name is no key.
    assert!(
        found.text.contains("MALTI_BATCH is no setting"),
        "{}",
        found.text
    );
    assert_eq!(found.step("service")["result"], "ok");
}

#[test]
fn nothing_would_be_recorded() {
    check("stderr:", &["--enabled=no"]).failed("settings", 3, "enabled is false", "MALTI_ENABLED");
    let output = command(&["--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("api_key is not set"));
}

#[test]
fn a_folder_for_the_durable_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("file"), "").unwrap();
    let spool = |name: &str| check("stderr:", &["--spool-dir", &path(name)]);
    assert_eq!(spool("to/be/made").step("spool")["result"], "ok");
    assert!(!dir.path().join("to").exists());
    spool("file/below").failed("spool", 4, "not a directory", "MALTI_SPOOL_DIR");
}

/// No file may grow.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("sh")
        .env_clear()
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .args([env!("CARGO_BIN_EXE_malti"), "check", "--url=stderr:"])
        .arg(format!("--spool-dir={}", dir.path().display()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(
        text.contains("too large") && text.contains("has room"),
        "{text}"
    );
}

#[test]
fn sinks() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("records.ndjson");
    let url = format!("file:{}", file.display());
    assert_eq!(check(&url, &[]).code, 0);
    assert!(!file.exists(), "it was not there before");
    std::fs::write(&file, "kept\n").unwrap();
    assert_eq!(check(&url, &[]).results(), ["settings ok", "sink ok"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept\n");
    let found = check(&format!("file:{}/none/x", dir.path().display()), &[]);
    found.failed("sink", 5, "none/x", "folder");
}
