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

/// Whether a shell is there. CI has all of them.
#[cfg(unix)]
fn is_there(shell: &str) -> bool {
    let found = Command::new(shell).args(["-c", "true"]).status().is_ok();
    assert!(
        found || std::env::var("CI").as_deref() != Ok("true"),
        "no {shell}"
    );
    if !found {
        eprintln!("skipped: {shell} is not installed");
    }
    found
}

#[cfg(unix)]
fn written(script: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(script.as_bytes()).unwrap();
    file
}

#[cfg(unix)]
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(unix)]
#[test]
fn fish_can_read_them() {
    if !is_there("fish") {
        return;
    }
    let script = written(&malti(&["completions", "fish"]));
    let ask = "source $argv[1]; complete -C 'malti send --fol'";
    let mut fish = Command::new("fish");
    let home = tempfile::tempdir().unwrap();
    let found = output(
        fish.env("HOME", home.path())
            .args(["--no-config", "-c", ask])
            .arg(script.path()),
    );
    assert!(found.starts_with("--follow\t"), "{found}");
}

/// zsh completes for somebody who types alone.
#[cfg(unix)]
#[test]
fn zsh_can_read_them() {
    if !is_there("zsh") {
        return;
    }
    let script = written(&malti(&["completions", "zsh"]));
    let ask = r#"
        zmodload zsh/zpty
        zpty typed zsh -f -i
        zpty -w typed "PS1=; autoload -U compinit; compinit -u -D; source $1; print loaded\$((40 + 2))"
        zpty -r typed said '*loaded42*'
        zpty -w -n typed $'malti send --fol\t'
        zpty -r typed said '*--follow*' && print found
        zpty -d typed"#;
    let mut zsh = Command::new("zsh");
    let found = output(zsh.args(["-f", "-c", ask, "zsh"]).arg(script.path()));
    assert!(found.contains("found"), "{found}");
}

/// What a command writes on a terminal, or off one.
#[cfg(target_os = "linux")]
fn on_terminal(arguments: &str, terminal: bool, variables: &[(&str, &str)]) -> String {
    let line = format!("{} {arguments} 2>&1", env!("CARGO_BIN_EXE_malti"));
    let mut command = match terminal {
        true => Command::new("script"),
        false => Command::new("sh"),
    };
    command.args(match terminal {
        true => vec!["-qec", &line, "/dev/null"],
        false => vec!["-c", &line],
    });
    command
        .env_clear()
        .envs([
            ("PATH", std::env::var("PATH").unwrap().as_str()),
            ("TERM", "xterm"),
        ])
        .envs(variables.iter().copied());
    output(&mut command)
}

#[cfg(target_os = "linux")]
#[test]
fn colours_and_the_bar_are_for_terminals() {
    let check = "check --url=stderr:";
    assert!(on_terminal(check, true, &[]).contains("\u{1b}["));
    assert!(!on_terminal(check, true, &[("NO_COLOR", "1")]).contains('\u{1b}'));
    assert!(!on_terminal(check, false, &[]).contains('\u{1b}'));

    let log = written("{\"method\":\"GET\",\"endpoint\":\"/\",\"status\":200}\n");
    let send = format!(
        "send --url=file:/dev/null --service-name=s {}",
        log.path().display()
    );
    assert!(on_terminal(&send, true, &[]).contains("% of "));
    let plain = on_terminal(&send, false, &[]);
    assert_eq!(plain.lines().count(), 1, "{plain:?}");
    assert!(!plain.contains(['\r', '\u{1b}']), "{plain:?}");
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
    // As it is typed, and in characters that every troff reads.
    assert!(
        manual.contains("\n\\fBmalti send\\fR [\\fB\\-\\-format"),
        "{manual}"
    );
    assert!(manual.is_ascii() && manual.contains("\\[u2026]"));
}

#[test]
fn help_says_what_each_command_is_for() {
    let help = malti(&["--help"]);
    for line in ["check", "receive", "send", "completions", "manual"] {
        assert!(help.contains(&format!("\n  {line} ")), "{line}: {help}");
    }
    let check = malti(&["check", "--help"]);
    assert!(check.contains("--service-name <VALUE>") && check.contains(". Default: 500\n"));
    // Its own, in the place of the library's.
    assert!(malti(&["send", "-h"]).contains("max-connections 4"));
}
