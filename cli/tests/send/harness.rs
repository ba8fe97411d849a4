//! Runs the program on some input.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::{KEY, Receiver, SERVICE};

pub struct Sent {
    pub code: i32,
    pub report: Value,
    pub errors: String,
}

impl Sent {
    /// Asserts these figures of the report, and that the run went well.
    pub fn went_well(&self, figures: &[(&str, u64)]) {
        assert_eq!(self.code, 0, "{} {}", self.report, self.errors);
        for (key, number) in figures {
            assert_eq!(
                self.report[key], *number,
                "{key}: {} {}",
                self.report, self.errors
            );
        }
    }
}

/// The program with nothing of the tester's own settings but the receiver's.
pub fn command(receiver: &Receiver) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_malti"));
    command
        .env_clear()
        .arg("send")
        .env("MALTI_URL", format!("http://{}", receiver.address))
        .env("MALTI_API_KEY", KEY)
        .env("MALTI_SERVICE_NAME", SERVICE);
    command
}

pub fn send(receiver: &Receiver, arguments: &[&str], input: &str) -> Sent {
    run(command(receiver).args(arguments), input)
}

pub fn run(command: &mut Command, input: impl AsRef<[u8]>) -> Sent {
    let mut child = command
        .arg("--json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended for its arguments.
    let _ = child.stdin.take().unwrap().write_all(input.as_ref());
    let output = child.wait_with_output().unwrap();
    Sent {
        code: output.status.code().unwrap(),
        report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// These fields of the only record.
pub fn only(receiver: &Receiver, fields: &[&str]) -> Vec<Value> {
    let records = receiver.records();
    assert_eq!(records.len(), 1, "{records:?}");
    fields
        .iter()
        .map(|field| records[0][field].clone())
        .collect()
}
