//! A host in a process of its own: this program again, told what to do line by line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Host, SOON};

const PROGRAM: &str = "MALTI_TEST_SPOOL_HOST";

/// The host's program: one command a line, one answer a line.
#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn host() {
    let Ok(settings) = std::env::var(PROGRAM) else {
        return;
    };
    let settings: Vec<(String, String)> = serde_json::from_str(&settings).unwrap();
    let borrowed: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
    let host = Host::start(&settings[0].1, &borrowed);
    let mut host = Some(host);
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match (words[0], &host) {
            ("record", Some(host)) => {
                host.record(words[1].parse().unwrap()..words[2].parse().unwrap());
                "recorded".to_owned()
            }
            // A batch of 10,000 such records has seven megabytes.
            ("record_large", Some(host)) => {
                for number in words[1].parse::<usize>().unwrap()..words[2].parse().unwrap() {
                    host.record_one(&"/long".repeat(100), &number.to_string());
                }
                "recorded".to_owned()
            }
            ("stats", Some(host)) => serde_json::to_string(&host.client.stats()).unwrap(),
            ("log", Some(host)) => serde_json::to_string(&host.lines()).unwrap(),
            ("flush", Some(host)) => {
                let timeout = Duration::from_millis(words[1].parse().unwrap());
                format!("{:?}", host.client.flush(timeout))
            }
            ("shutdown", Some(_)) => {
                let timeout = Duration::from_millis(words[1].parse().unwrap());
                let stats = host.take().unwrap().client.shutdown(timeout);
                serde_json::to_string(&stats).unwrap()
            }
            ("abort", _) => std::process::abort(),
            _ => panic!("{line}"),
        };
        println!("= {answer}");
    }
    // Without exit hooks: what was not shut down is left as a crash leaves it.
    std::process::exit(0);
}

pub struct Process {
    pub child: Child,
    pub input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(url: &str, settings: &[(&str, &str)]) -> Process {
        let mut all = vec![("url", url)];
        all.extend(settings);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::host", "--ignored", "--nocapture"])
            .env(PROGRAM, json!(all).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Process {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    pub fn ask(&mut self, command: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        loop {
            let mut line = String::new();
            assert!(
                self.output.read_line(&mut line).unwrap() > 0,
                "the host is gone"
            );
            // The test harness prints into the same line.
            if let Some((_, answer)) = line.split_once("= ") {
                return answer.trim_end().to_owned();
            }
        }
    }

    pub fn stats(&mut self) -> serde_json::Value {
        let stats: serde_json::Value = serde_json::from_str(&self.ask("stats")).unwrap();
        balanced(&stats);
        stats
    }

    pub fn shutdown(mut self, ms: u32) -> serde_json::Value {
        let stats = serde_json::from_str(&self.ask(&format!("shutdown {ms}"))).unwrap();
        balanced(&stats);
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
        stats
    }

    /// Waits until the ledger is as wanted.
    pub fn until(&mut self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let start = Instant::now();
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            assert!(
                start.elapsed() < SOON,
                "never as wanted: {stats}; {}",
                self.ask("log")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it by SIGKILL and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn at_rest(stats: &serde_json::Value) -> bool {
    stats["buffered"] == 0 && stats["in_flight"] == 0
}

fn balanced(stats: &serde_json::Value) {
    let sum = |names: &[&str]| {
        names
            .iter()
            .map(|n| stats[n].as_u64().unwrap())
            .sum::<u64>()
    };
    let all = sum(&["recorded", "adopted"]);
    let accounted = sum(&[
        "sent",
        "buffered",
        "in_flight",
        "spooled",
        "dropped_overflow",
        "dropped_rejected",
        "dropped_shutdown",
        "dropped_expired",
    ]);
    assert_eq!(all, accounted, "{stats}");
}
