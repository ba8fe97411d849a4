//! A client with small delays, the lines it logs, and a server that answers what a test says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use malti::log::{Level, Logger, Sink};
use malti::{Client, Config, Record, Recorded, Stats};
use serde_json::Value;

use crate::client::{KEY, Receiver, SERVICE};

pub const SOON: Duration = Duration::from_secs(30);

/// A running client and what it has logged.
pub struct Host {
    pub client: Client,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// Delays are short, so that a test need not wait; nothing is sent by time unless `settings` say so.
    pub fn start(url: &str, settings: &[(&str, &str)]) -> Self {
        let mut config = Config::default();
        let usual = [
            ("url", url),
            ("api_key", KEY),
            ("service_name", SERVICE),
            ("node", "n1"),
            ("retry_delay", "0.01"),
            ("batch_interval", "600"),
            ("log", "debug"),
        ];
        for (key, value) in usual.iter().chain(settings) {
            config.set(key, value).unwrap();
        }
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let logged = Arc::clone(&lines);
        let log = move |level: Level, line: &str| {
            assert!(!line.contains(KEY), "the key in a log line: {line}");
            logged.lock().unwrap().push(format!("{level}: {line}"));
        };
        let logger = Logger::new(Level::Debug, Sink::Callback(Arc::new(log)));
        Self {
            client: Client::start_with(config, logger).unwrap(),
            lines,
        }
    }

    pub fn to(receiver: &Receiver, settings: &[(&str, &str)]) -> Self {
        Self::start(&url(receiver.address), settings)
    }

    /// Records requests numbered from `from`; the number is the context.
    pub fn record(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.record_one("/users/{user_id}", &number.to_string());
        }
    }

    pub fn record_one(&self, endpoint: &str, context: &str) {
        assert_eq!(record(&self.client, endpoint, context), Recorded::Kept);
    }

    /// The log itself, which outlives the client.
    pub fn log(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.lines)
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines that contain this.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|line| line.contains(part))
            .collect()
    }

    /// Asserts that one line says this; it may still be on its way.
    pub fn said_once(&self, part: &str) {
        let start = Instant::now();
        while self.lines_with(part).is_empty() && start.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(
            self.lines_with(part).len(),
            1,
            "{part:?} in {:?}",
            self.lines()
        );
    }

    /// Waits until the ledger is as the test wants it.
    pub fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        let start = Instant::now();
        loop {
            let stats = self.client.stats();
            assert_eq!(stats.unaccounted(), 0, "{}", stats.line());
            if wanted(&stats) {
                return stats;
            }
            assert!(
                start.elapsed() < SOON,
                "never as wanted: {stats:?}; log: {:?}",
                self.lines()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn record(client: &Client, endpoint: &str, context: &str) -> Recorded {
    client.record(&Record {
        method: "GET",
        endpoint,
        status: 200,
        response_time: Duration::from_millis(12),
        consumer: Some("acme"),
        context: Some(context),
        created_at: None,
    })
}

pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// How many faults the receiver served since they were set.
pub fn faults_served(receiver: &Receiver) -> u64 {
    let faults = receiver.get("/api/control").json();
    let served = |fault: &Value| fault["served"].as_u64().unwrap();
    faults["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(served)
        .sum()
}

/// How often each context stands at the receiver.
pub fn contexts(records: &[Value]) -> BTreeMap<String, usize> {
    let mut contexts = BTreeMap::new();
    for record in records {
        *contexts
            .entry(record["context"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    contexts
}

/// Asserts that these numbers arrived, each once.
pub fn assert_arrived(records: &[Value], numbers: impl IntoIterator<Item = usize>) {
    let wanted: BTreeMap<String, usize> = numbers.into_iter().map(|n| (n.to_string(), 1)).collect();
    let got = contexts(records);
    let missing: Vec<_> = wanted.keys().filter(|n| !got.contains_key(*n)).collect();
    let extra: Vec<_> = got
        .iter()
        .filter(|(n, count)| wanted.get(*n) != Some(count))
        .collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {missing:?}, extra {extra:?}"
    );
}

/// A port where nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A server that answers each body with what the test's function says: a status and a body.
pub struct Server {
    pub address: SocketAddr,
    /// The batches that were taken, as contexts in order.
    pub taken: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Server {
    pub fn start(judge: impl Fn(&[Value], usize) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::<Mutex<Vec<Vec<String>>>>::default();
        let (judge, kept) = (Arc::new(judge), Arc::clone(&taken));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (judge, kept) = (Arc::clone(&judge), Arc::clone(&kept));
                std::thread::spawn(move || while serve(&stream, &*judge, &kept).is_some() {});
            }
        });
        Self { address, taken }
    }

    pub fn contexts(&self) -> Vec<String> {
        self.taken.lock().unwrap().concat()
    }
}

/// What a test answers to the records of a body of this length.
type Judge = dyn Fn(&[Value], usize) -> (u16, String);

/// One request of a connection; `None` at its end.
fn serve(stream: &TcpStream, judge: &Judge, taken: &Mutex<Vec<Vec<String>>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let records = body["requests"].as_array()?;
    let (status, text) = judge(records, length);
    if status == 200 {
        let batch = records
            .iter()
            .map(|r| r["context"].as_str().unwrap_or_default().to_owned());
        taken.lock().unwrap().push(batch.collect());
    }
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    (&*stream)
        .write_all(&[head.as_bytes(), text.as_bytes()].concat())
        .ok()
}
