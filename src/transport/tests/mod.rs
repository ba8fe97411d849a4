//! The transport against real sockets. The servers are written by hand, since what is tested is how
//! broken ones are borne.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

mod http;
mod keepalive;
mod proxied;
mod sink;
mod tls;

pub(super) const KEY: &str = "key-that-nobody-may-see";
/// Far more than anything takes here, and far less than a test may hang.
const LONG: Duration = Duration::from_secs(60);
/// A timeout that is waited out, though a slow machine must get connected within it.
const SHORT: Duration = Duration::from_millis(1500);
/// What "at once" means on a slow machine.
const PROMPT: Duration = Duration::from_secs(20);

/// A server on a free loopback port. Its threads end with the test process.
struct TestServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl TestServer {
    /// `serve` gets every connection, with its number from 0.
    fn start(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    fn listen(
        listener: TcpListener,
        serve: impl Fn(usize, TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&connections), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Else Nagle's algorithm holds an early answer back until the close discards it.
                stream.set_nodelay(true).unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(number, stream));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Answers every request alike, as long as the client likes.
    fn answering(answer: &'static str) -> Self {
        Self::start(move |_, mut stream| {
            while read_request(&mut stream).is_some() && stream.write_all(answer.as_bytes()).is_ok()
            {
            }
        })
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn settings(&self) -> Settings {
        settings(&format!("http://{}", self.address))
    }

    fn round(&self) -> Round {
        Transport::new(self.settings()).unwrap().round()
    }
}

/// A listener that stands apart: the other servers take ports of 127.0.0.1, so that on Linux none of
/// them can come to listen where this one stopped.
fn apart() -> TcpListener {
    let other = TcpListener::bind("127.0.0.77:0");
    other.or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap()
}

/// An address where nobody listens.
fn refusing() -> SocketAddr {
    apart().local_addr().unwrap()
}

struct Request {
    /// Request line and headers, names in lower case.
    head: String,
    body: Vec<u8>,
}

/// `None` at the end of the connection.
fn read_request(stream: &mut impl Read) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let head = head
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}\n", name.to_ascii_lowercase()),
            None => format!("{line}\n"),
        })
        .collect::<String>();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

pub(super) fn settings(url: &str) -> Settings {
    Settings {
        destination: Destination::parse(url).unwrap(),
        api_key: KEY.to_owned(),
        user_agent: "libmalti/test".to_owned(),
        http_timeout: LONG,
        max_keepalive_connections: 5,
        ca_file: None,
        ssl_cert_file: None,
        ssl_cert_dir: None,
        proxy: None,
        no_proxy: String::new(),
        forked: false,
        known_addresses: Vec::new(),
        known_roots: None,
    }
}

fn post(round: &Round) -> Result<Answer, Failure> {
    round.post(b"{\"requests\":[]}", false)
}

/// A post that must fail, and must not tell the key.
fn failure(round: &Round) -> Failure {
    let failure = post(round).unwrap_err();
    assert!(!format!("{failure:?}").contains(KEY));
    assert!(!failure.text.contains('\n'));
    failure
}
