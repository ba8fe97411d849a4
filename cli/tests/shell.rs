//! What shells and `man` are given.

// The helpers of tests fail like tests.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

fn malti(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_malti"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = malti(&["completions", shell]);
        for word in ["receive", "check", "send", "follow"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
}

#[cfg(unix)]
#[test]
fn bash_can_read_them() {
    let script = malti(&["completions", "bash"]);
    let mut bash = Command::new("bash")
        .args(["--norc", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = "COMP_WORDS=(malti send --fol); COMP_CWORD=2; _malti malti --fol send; echo \"${COMPREPLY[@]}\"";
    let mut stdin = bash.stdin.take().unwrap();
    writeln!(stdin, "{script}\n{ask}").unwrap();
    drop(stdin);
    let output = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "--follow");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let manual = malti(&["manual"]);
    for title in [
        ".TH malti 1",
        ".TH malti-check 1",
        ".TH malti-receive 1",
        ".TH malti-send 1",
    ] {
        assert!(manual.contains(title), "{title} in {manual}");
    }
}

#[test]
fn help_says_what_each_command_is_for() {
    let help = malti(&["--help"]);
    for line in ["check", "receive", "send", "completions", "manual"] {
        assert!(help.contains(&format!("\n  {line} ")), "{line}: {help}");
    }
    assert!(malti(&["check", "--help"]).contains("--service-name"));
}
