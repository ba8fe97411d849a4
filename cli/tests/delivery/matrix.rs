//! The fault matrix: each row a host in a process of its own, against the real receiver or a server that is really
//! broken. A row fails if its fault did not occur, if the ledger does not add up, or if anything is lost that had room.
//!
//! `make faults` prints what became of the records of each row.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{KEY, Receiver, SERVICE};
use crate::harness::{assert_arrived, contexts, faults_served, nobody, url};
use crate::process::{Process, at_rest};

/// Short delays, so that a row need not wait.
const QUICK: [(&str, &str); 4] = [
    ("batch_interval", "0.1"),
    ("batch_size", "100"),
    ("max_retries", "2"),
    ("retry_delay", "0.02"),
];

fn host(url: &str, settings: &[(&str, &str)]) -> Process {
    Process::start(url, &[&QUICK, settings].concat())
}

fn receiver_at(address: &str) -> Receiver {
    Receiver::at(
        address,
        &[
            "--key",
            &format!("{KEY}={SERVICE}"),
            "--max-records",
            "200000",
        ],
    )
}

/// Waits until all is settled; prints the row and returns its last ledger.
fn settled(row: &str, host: &mut Process) -> Value {
    let stats = host.until(at_rest);
    print(row, &stats);
    stats
}

fn print(row: &str, stats: &Value) {
    let mut line = format!("{row}:");
    for name in [
        "recorded",
        "sent",
        "spooled",
        "dropped_overflow",
        "dropped_rejected",
        "dropped_shutdown",
        "retries",
    ] {
        line += &format!(" {name} {}", stats[name]);
    }
    println!("{line}, unaccounted 0");
}

/// Asserts that all of them were confirmed.
fn all_sent(stats: &Value, count: usize) {
    assert_eq!(stats["recorded"], count, "{stats}");
    assert_eq!(stats["sent"], count, "{stats}");
}

/// Waits until a delivery has failed.
fn until_trouble(host: &mut Process) {
    host.until(|stats| stats["state"] == "retrying" || stats["state"] == "misconfigured");
}

#[test]
fn down_at_start() {
    for pause in [0, 500] {
        let address = nobody().to_string();
        let mut host = host(&format!("http://{address}"), &[]);
        host.ask("record 0 250");
        until_trouble(&mut host);
        std::thread::sleep(Duration::from_millis(pause));
        host.ask("record 250 300");
        let receiver = receiver_at(&address);
        let stats = settled(&format!("1 down at start, {pause} ms longer"), &mut host);
        all_sent(&stats, 300);
        assert_arrived(&receiver.records(), 0..300);
    }
}

#[test]
fn restart_in_the_middle() {
    let address = nobody().to_string();
    let first = receiver_at(&address);
    let mut host = host(&format!("http://{address}"), &[]);
    host.ask("record 0 150");
    host.until(|stats| stats["sent"] == 150);
    let before = first.records();
    drop(first);
    host.ask("record 150 400");
    until_trouble(&mut host);
    let second = receiver_at(&address);
    let stats = settled("2 restart in the middle", &mut host);
    all_sent(&stats, 400);
    assert_arrived(&[before, second.records()].concat(), 0..400);
}

#[test]
fn reset_connections() {
    let receiver = Receiver::start();
    receiver.set_faults(&json!([{ "times": 4, "close": true }]));
    let mut host = host(&url(receiver.address), &[]);
    host.ask("record 0 450");
    let stats = settled("2 connections reset", &mut host);
    all_sent(&stats, 450);
    assert_eq!(faults_served(&receiver), 4);
    assert_arrived(&receiver.records(), 0..450);
}

#[test]
fn each_status_and_then_200() {
    // A redirect, or a fault of the settings, ends a round; the others are tried again within it.
    for status in [
        307, 400, 401, 403, 404, 408, 413, 422, 425, 429, 500, 502, 503, 504,
    ] {
        let receiver = Receiver::start();
        receiver.set_faults(&json!([{ "times": 2, "status": status }]));
        let mut host = host(&url(receiver.address), &[]);
        host.ask("record 0 100");
        host.until(|_| faults_served(&receiver) == 2);
        let stats = settled(&format!("3 status {status} twice"), &mut host);
        all_sent(&stats, 100);
        assert_arrived(&receiver.records(), 0..100);
    }
    for status in [201, 204] {
        let receiver = Receiver::start();
        receiver.set_faults(&json!([{ "times": 1, "status": status }]));
        let mut host = host(&url(receiver.address), &[]);
        host.ask("record 0 100");
        let stats = settled(&format!("3 status {status}"), &mut host);
        all_sent(&stats, 100);
        assert_eq!(faults_served(&receiver), 1);
    }
}

#[test]
fn retry_after_in_both_forms() {
    // Whole seconds, the next of which may begin at once.
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3));
    for (value, at_least) in [("1", 900), (date.as_str(), 1000)] {
        let receiver = Receiver::start();
        let headers = json!({ "retry-after": value });
        receiver.set_faults(&json!([{ "times": 1, "status": 429, "headers": headers }]));
        let mut host = host(&url(receiver.address), &[]);
        host.ask("record 0 100");
        host.until(|_| faults_served(&receiver) == 1);
        let start = Instant::now();
        let stats = settled(&format!("3 Retry-After: {value}"), &mut host);
        assert!(
            start.elapsed() > Duration::from_millis(at_least - 300),
            "{:?}",
            start.elapsed()
        );
        all_sent(&stats, 100);
        assert_arrived(&receiver.records(), 0..100);
    }
}

/// A server that treats its first connections badly, and hands the others on to a receiver.
struct Broken {
    address: SocketAddr,
    receiver: Receiver,
    served: Arc<AtomicUsize>,
}

impl Broken {
    fn start(times: usize, fault: impl Fn(TcpStream) + Send + Sync + 'static) -> Broken {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Receiver::start();
        let behind = receiver.address;
        let (fault, served) = (Arc::new(fault), Arc::new(AtomicUsize::new(0)));
        let count = served.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let fault = fault.clone();
                if count.load(Ordering::SeqCst) < times {
                    count.fetch_add(1, Ordering::SeqCst);
                    std::thread::spawn(move || fault(stream));
                } else {
                    std::thread::spawn(move || hand_on(stream, behind));
                }
            }
        });
        Broken {
            address,
            receiver,
            served,
        }
    }
}

fn hand_on(client: TcpStream, server: SocketAddr) {
    let server = TcpStream::connect(server).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let there = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    there.join().unwrap();
}

/// Reads what is there of a request, so that the answer is not a reset.
fn read_some(stream: &mut TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let mut buffer = [0; 65536];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

#[test]
fn answers_that_are_none() {
    type Fault = fn(TcpStream);
    let faults: [(&str, Fault); 6] = [
        ("never answers", |mut stream| {
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }),
        ("closes without an answer", drop),
        ("answers with garbage", |mut stream| {
            read_some(&mut stream);
            let _ = stream.write_all(&[0xff; 3000]);
        }),
        ("answers with broken HTTP", |mut stream| {
            read_some(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 two hundred\r\n:\r\n\r\n");
        }),
        ("breaks off in the head", |mut stream| {
            read_some(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le");
        }),
        ("drips its head", |mut stream| {
            for byte in b"HTTP/1.1 200 OK\r\n"
                .iter()
                .chain(std::iter::repeat(&b'x'))
            {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }),
    ];
    for (name, fault) in faults {
        let broken = Broken::start(2, fault);
        let mut host = host(&url(broken.address), &[("http_timeout", "0.5")]);
        host.ask("record 0 100");
        let stats = settled(&format!("4 server {name}"), &mut host);
        all_sent(&stats, 100);
        assert_eq!(broken.served.load(Ordering::SeqCst), 2);
        assert_arrived(&broken.receiver.records(), 0..100);
    }
}

#[test]
fn an_answer_of_a_gigabyte() {
    let broken = Broken::start(1, |mut stream| {
        read_some(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let block = [b' '; 65536];
        while stream.write_all(&block).is_ok() {}
    });
    let mut host = host(&url(broken.address), &[("http_timeout", "5")]);
    host.ask("record 0 100");
    let start = Instant::now();
    let stats = settled("4 answer of 1 GB", &mut host);
    all_sent(&stats, 100);
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "it was read: {:?}",
        start.elapsed()
    );
}

#[test]
fn an_ipv6_only_server() {
    let Ok(probe) = TcpListener::bind("[::1]:0") else {
        return;
    };
    let address = probe.local_addr().unwrap().to_string();
    drop(probe);
    let receiver = receiver_at(&address);
    let mut host = host(&format!("http://{address}"), &[]);
    host.ask("record 0 50");
    let stats = settled("6 IPv6 alone", &mut host);
    all_sent(&stats, 50);
    assert_arrived(&receiver.records(), 0..50);
}

/// A listener whose queue is full: what is sent to it is dropped, as by a firewall.
fn black_hole() -> (SocketAddr, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = vec![TcpStream::from(socket)];
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    (address, waiting)
}

#[test]
fn an_address_that_drops_packets() {
    let (address, _waiting) = black_hole();
    let mut host = host(&url(address), &[("http_timeout", "0.3")]);
    host.ask("record 0 10");
    until_trouble(&mut host);
    let start = Instant::now();
    assert_eq!(host.ask("flush 200"), "Err(TimedOut)");
    let stats = host.shutdown(300);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    print("6 packets dropped", &stats);
    assert_eq!(stats["dropped_shutdown"], 10);
}

#[test]
fn a_name_that_leads_nowhere() {
    let mut host = host("http://no-such-host.invalid", &[]);
    host.ask("record 0 10");
    until_trouble(&mut host);
    let stats = host.shutdown(300);
    print("6 unknown name", &stats);
    assert_eq!(stats["dropped_shutdown"], 10);
}

#[test]
fn overflow_while_the_server_is_down() {
    let address = nobody().to_string();
    let mut host = host(&format!("http://{address}"), &[]);
    host.ask("record 0 100000");
    until_trouble(&mut host);
    let stats = host.until(|stats| stats["in_flight"] == 0);
    assert_eq!(
        (&stats["dropped_overflow"], &stats["buffered"]),
        (&json!(75_000), &json!(25_000))
    );
    let receiver = receiver_at(&address);
    let stats = settled("7 overflow", &mut host);
    assert_eq!(stats["sent"], 25_000, "{stats}");
    let arrived = contexts(&receiver.records());
    assert!(arrived.len() == 25_000 && arrived.values().all(|count| *count == 1));
}

#[test]
fn a_key_that_is_revoked_and_restored() {
    let address = nobody().to_string();
    let others = [
        ("9 key revoked", "other-key=test-service", "Invalid API key"),
        (
            "9 another service's key",
            "service-key=other-service",
            "Service mismatch",
        ),
    ];
    for (row, keys, said) in others {
        let wrong = Receiver::at(&address, &["--key", keys]);
        let mut host = host(&format!("http://{address}"), &[]);
        host.ask("record 0 120");
        host.until(|stats| stats["state"] == "misconfigured");
        host.ask("record 120 130");
        assert_eq!(host.ask("flush 5000"), "Err(Rejected)");
        let log = host.ask("log");
        assert_eq!(log.matches(said).count(), 1, "{log}");
        drop(wrong);
        let right = receiver_at(&address);
        let stats = settled(row, &mut host);
        all_sent(&stats, 130);
        assert_arrived(&right.records(), 0..130);
    }
}

#[test]
fn a_wrong_address() {
    let receiver = Receiver::start();
    let mut host = host(&format!("{}/wrong", url(receiver.address)), &[]);
    host.ask("record 0 10");
    host.until(|stats| stats["state"] == "misconfigured" && stats["last_http_status"] == 404);
    let stats = host.shutdown(200);
    print("9 wrong address", &stats);
    assert_eq!(stats["dropped_shutdown"], 10);
}

#[test]
fn an_early_413_on_a_large_body() {
    // Answers as soon as the head is there and closes, as a proxy does.
    let broken = Broken::start(3, |mut stream| {
        let mut head = [0; 2048];
        let _ = stream.read(&mut head);
        let _ = stream.write_all(
            b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    });
    let settings = [
        ("batch_size", "10000"),
        ("batch_bytes", "100000000"),
        ("buffer_size", "50000"),
    ];
    let mut host = host(&url(broken.address), &settings);
    host.ask("record_large 0 10000");
    let stats = settled("17 early 413", &mut host);
    all_sent(&stats, 10_000);
    assert_eq!(broken.served.load(Ordering::SeqCst), 3);
    assert_arrived(&broken.receiver.records(), 0..10_000);
}

#[test]
fn a_retry_after_of_an_hour() {
    let receiver = Receiver::start();
    receiver
        .set_faults(&json!([{ "times": 1, "status": 429, "headers": { "retry-after": "3600" } }]));
    let mut host = host(&url(receiver.address), &[]);
    host.ask("record 0 10");
    host.until(|_| faults_served(&receiver) == 1);
    // Somebody who asks for it need not wait that long.
    assert_eq!(host.ask("flush 10000"), "Ok(())");
    let stats = settled("18 Retry-After of an hour", &mut host);
    all_sent(&stats, 10);
    assert_arrived(&receiver.records(), 0..10);
}

#[test]
fn a_proxy_that_answers_407() {
    let proxy = Broken::start(usize::MAX, |mut stream| {
        let mut head = [0; 2048];
        let _ = stream.read(&mut head);
        let _ = stream
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    });
    let address = url(proxy.address);
    let mut host = host("http://malti.invalid", &[("proxy", &address)]);
    host.ask("record 0 10");
    host.until(|stats| stats["state"] == "misconfigured");
    assert_eq!(host.ask("flush 5000"), "Err(Rejected)");
    assert!(proxy.served.load(Ordering::SeqCst) > 0);
    let stats = host.shutdown(200);
    print("18 proxy answers 407", &stats);
    assert_eq!(stats["dropped_shutdown"], 10);
}
