//! A receiver of one's own and a client that sends exactly what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

pub const KEY: &str = "service-key";
pub const SERVICE: &str = "test-service";

/// A running receiver; it is killed when dropped.
pub struct Receiver {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Receiver {
    /// With the key and service above, and a person's key.
    pub fn start() -> Self {
        let key = format!("{KEY}={SERVICE}");
        Self::with(&["--key", &key, "--user-key", "user-key"])
    }

    pub fn with(arguments: &[&str]) -> Self {
        Self::at("127.0.0.1:0", arguments)
    }

    /// On a port of the caller's choice.
    pub fn at(listen: &str, arguments: &[&str]) -> Self {
        Self::spawn(
            command()
                .args(["--listen", listen, "--json"])
                .args(arguments),
        )
    }

    /// By a command of the caller's, which says `--json`.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let first: Value = serde_json::from_str(&line).unwrap();
        let url = first["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self {
            child,
            stdout,
            address,
        }
    }

    pub fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Connection(BufReader::new(stream))
    }

    /// One request on a connection of its own.
    pub fn send(&self, request: &Request) -> Answer {
        self.connect().send(request)
    }

    pub fn ingest(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.send(&Request::ingest(body))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(&Request::new("GET", path))
    }

    /// The records in memory.
    pub fn records(&self) -> Vec<Value> {
        self.get("/api/records").json()["records"]
            .as_array()
            .unwrap()
            .clone()
    }

    pub fn set_faults(&self, faults: &Value) {
        let mut request = Request::new("POST", "/api/control");
        request.body = Some(faults.to_string().into_bytes());
        assert_eq!(self.send(&request).status, 200);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `malti receive`, three hours ahead of UTC.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_malti"));
    command.arg("receive").env("TZ", "TEST-3");
    command
}

#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    /// Its length is declared, unless a Transfer-Encoding is among the headers.
    pub body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(method: &'static str, path: &str) -> Self {
        let headers = vec![("Host", "localhost".to_owned())];
        Self {
            method,
            path: path.to_owned(),
            headers,
            body: None,
        }
    }

    pub fn ingest(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..Self::new("POST", "/api/v1/ingest")
        }
        .set("X-API-Key", KEY)
        .set("Content-Type", "application/json")
    }

    pub fn set(mut self, name: &'static str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body
            && !self
                .headers
                .iter()
                .any(|(name, _)| *name == "Transfer-Encoding")
        {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head + "\r\n"
    }
}

pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Nothing if the receiver ends meanwhile.
    pub fn try_send(&mut self, request: &Request) -> Option<Answer> {
        let body = request.body.as_deref().unwrap_or_default();
        let bytes = [request.head().as_bytes(), body].concat();
        self.0.get_mut().write_all(&bytes).ok()?;
        self.answer(request.method)
    }

    pub fn send(&mut self, request: &Request) -> Answer {
        self.begin(request);
        self.answer(request.method).expect("an answer")
    }

    /// Sends without waiting for the answer.
    pub fn begin(&mut self, request: &Request) {
        self.write(request.head().as_bytes());
        self.write(request.body.as_deref().unwrap_or_default());
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub fn read_timeout(&self, time: Duration) {
        self.0.get_ref().set_read_timeout(Some(time)).unwrap();
    }

    /// The next answer; nothing if the connection ends before it begins.
    pub fn answer(&mut self, method: &str) -> Option<Answer> {
        let mut line = String::new();
        if self.0.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: String::new(),
        };
        if method != "HEAD"
            && let Some(length) = answer.header("content-length")
        {
            let mut body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut body).unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        Some(answer)
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| &**value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, self.json()), (status, body.clone()));
    }

    #[track_caller]
    pub fn detail(&self, status: u16, detail: &str) {
        self.is(status, &json!({ "detail": detail }));
    }
}

/// A good record, with the given fields changed; `null` stays null.
pub fn record(changes: Value) -> Value {
    let mut record = json!({
        "service": SERVICE,
        "method": "GET",
        "endpoint": "/users/{id}",
        "status": 200,
        "response_time": 12,
        "consumer": "alice",
    });
    for (name, value) in changes.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

pub fn batch(records: &[Value]) -> String {
    json!({ "requests": records }).to_string()
}

/// A batch that is accepted.
pub fn good() -> String {
    batch(&[record(json!({}))])
}

/// A batch of one good record whose field `name` is the JSON `text`, which may
/// be such that no JSON library would write it.
pub fn raw(name: &str, text: &str) -> String {
    batch(&[record(json!({ name: "?" }))]).replace("\"?\"", text)
}

/// The type and place of each error in a 422.
#[track_caller]
pub fn errors(receiver: &Receiver, body: impl Into<Vec<u8>>) -> Vec<(String, Value)> {
    let answer = receiver.ingest(body);
    assert_eq!(answer.status, 422, "{}", answer.body);
    let detail = answer.json()["detail"].clone();
    let pair = |e: &Value| (e["type"].as_str().unwrap().to_owned(), e["loc"].clone());
    detail.as_array().unwrap().iter().map(pair).collect()
}
