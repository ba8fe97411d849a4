//! Runs the program with an environment of its own; servers that answer what a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::client::{KEY, SERVICE};

/// What a run found.
pub struct Found {
    pub code: i32,
    pub steps: Vec<Value>,
    pub text: String,
}

impl Found {
    /// The only finding of this step.
    pub fn step(&self, name: &str) -> &Value {
        let mut steps = self.steps.iter().filter(|step| step["step"] == name);
        let step = steps.next();
        assert!(
            step.is_some() && steps.next().is_none(),
            "{name}: {}",
            self.text
        );
        step.unwrap()
    }

    /// `[step, result]` of each finding.
    pub fn results(&self) -> Vec<String> {
        let word = |step: &Value| format!("{} {}", step["step"], step["result"]).replace('"', "");
        self.steps.iter().map(word).collect()
    }

    /// Asserts that this step failed, decided the exit code, and said these words.
    pub fn failed(&self, step: &str, code: i32, text: &str, remedy: &str) {
        let found = self.step(step);
        assert_eq!(
            (found["result"].as_str(), self.code),
            (Some("failed"), code),
            "{}",
            self.text
        );
        let says = |key: &str, part: &str| found[key].as_str().unwrap_or_default().contains(part);
        assert!(says("text", text), "{text:?} in {found}");
        assert!(says("remedy", remedy), "{remedy:?} in {found}");
    }
}

/// The program with nothing of the tester's own settings.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_malti"));
    command.env_clear().arg("check").args(arguments);
    command
}

/// With the receiver's key and service, unless `arguments` say otherwise.
pub fn check(url: &str, arguments: &[&str]) -> Found {
    check_with(url, arguments, &[])
}

pub fn check_with(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Found {
    let output = command(&["--json"])
        .args(arguments)
        .env("MALTI_URL", url)
        .env("MALTI_API_KEY", KEY)
        .env("MALTI_SERVICE_NAME", SERVICE)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_str(&text).unwrap();
    let code = output.status.code().unwrap();
    assert_eq!(report["exit_code"], code);
    assert_eq!(report["ok"], code == 0);
    Found {
        code,
        steps: report["steps"].as_array().unwrap().clone(),
        text,
    }
}

/// A server that answers each request with this, head and body, and closes.
pub fn answering(answer: &str) -> SocketAddr {
    let answer = answer.to_owned();
    serving(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// A server that hands over each connection on a thread of its own. It ends with the test's process.
pub fn serving(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    });
    address
}

/// The first line of a request whose head and body are read.
pub fn read_request(stream: &mut (impl Read + ?Sized)) -> String {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap_or_default();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 || line == "\r\n" {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let _ = reader.read_exact(&mut vec![0; length]);
    first
}
