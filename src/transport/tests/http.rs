//! Requests, answers, and servers that misbehave.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::*;

#[test]
fn the_request_is_what_the_server_expects() {
    let (requests, received) = mpsc::channel();
    let server = TestServer::start(move |_, mut stream| {
        requests.send(read_request(&mut stream).unwrap()).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let transport = Transport::new(settings(&format!("http://{}/p/", server.address))).unwrap();
    assert_eq!(transport.framing(), Framing::Envelope);
    let answer = post(&transport.round()).unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, b"{}".as_slice())
    );
    let request = received.recv().unwrap();
    assert!(
        request.head.starts_with("POST /p/api/v1/ingest HTTP/1.1\n"),
        "{}",
        request.head
    );
    for line in [
        format!("host: {}\n", server.address),
        format!("x-api-key: {KEY}\n"),
        "content-type: application/json\n".to_owned(),
        "user-agent: libmalti/test\n".to_owned(),
        "content-length: 15\n".to_owned(),
    ] {
        assert!(request.head.contains(&line), "{line} {}", request.head);
    }
    assert!(!request.head.contains("content-encoding") && !request.head.contains("expect:"));
    assert_eq!(request.body, b"{\"requests\":[]}");
    assert!(!format!("{transport:?}").contains(KEY));
    assert!(
        transport.good_addresses().is_empty(),
        "a literal needs no memory"
    );
}

#[test]
fn every_status_is_an_answer_and_a_redirect_is_not_followed() {
    let elsewhere = TestServer::answering(OK);
    let target = elsewhere.address;
    for status in [201, 301, 302, 303, 307, 308, 400, 401, 404, 422, 500, 503] {
        let server = TestServer::start(move |_, mut stream| {
            read_request(&mut stream).unwrap();
            let head = format!("HTTP/1.1 {status} X\r\nLocation: http://{target}/\r\n");
            let _ = stream.write_all(format!("{head}Content-Length: 4\r\n\r\nbody").as_bytes());
        });
        let answer = post(&server.round()).unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, b"body".as_slice())
        );
        assert_eq!(answer.retry_after, None);
    }
    assert_eq!(
        elsewhere.connections(),
        0,
        "the key went to where the redirect pointed"
    );
}

#[test]
fn retry_after_is_read_from_the_answer() {
    let server = TestServer::answering(
        "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(
        post(&server.round()).unwrap().retry_after,
        Some(Duration::from_secs(7))
    );
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(500));
    let server = TestServer::start(move |_, mut stream| {
        read_request(&mut stream).unwrap();
        let head = format!("HTTP/1.1 503 Busy\r\nRetry-After: {date}\r\n");
        let _ = stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes());
    });
    let pause = post(&server.round()).unwrap().retry_after.unwrap();
    assert!(
        pause > Duration::from_secs(400) && pause <= Duration::from_secs(500),
        "{pause:?}"
    );
}

#[test]
fn a_gzip_body_inflates_to_the_same() {
    let (requests, received) = mpsc::channel();
    let server = TestServer::start(move |_, mut stream| {
        requests.send(read_request(&mut stream).unwrap()).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let body = "{\"endpoint\":\"/users/{id}\"},".repeat(4000);
    server.round().post(body.as_bytes(), true).unwrap();
    let request = received.recv().unwrap();
    assert!(
        request.head.contains("content-encoding: gzip\n"),
        "{}",
        request.head
    );
    assert!(request.body.len() < body.len() / 20);
    let mut inflated = String::new();
    flate2::read::GzDecoder::new(request.body.as_slice())
        .read_to_string(&mut inflated)
        .unwrap();
    assert_eq!(inflated, body);
}

#[test]
fn an_ipv6_literal_is_reached() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: no IPv6 loopback here");
        return;
    };
    let server = TestServer::listen(listener, |_, mut stream| {
        let request = read_request(&mut stream).unwrap();
        assert!(request.head.contains("host: [::1]:"));
        stream.write_all(OK.as_bytes()).unwrap();
    });
    assert_eq!(post(&server.round()).unwrap().status, 200);
}

#[test]
fn a_refused_connection_is_told_apart() {
    let address = refusing();
    let round = Transport::new(settings(&format!("http://{address}")))
        .unwrap()
        .round();
    let failure = failure(&round);
    assert_eq!((failure.kind, failure.sent), (FailureKind::Refused, false));
    assert_eq!(
        failure.text,
        format!("http://{address}: connection refused")
    );
}

#[test]
fn an_unknown_name_is_told_apart() {
    let round = Transport::new(settings("http://name.invalid"))
        .unwrap()
        .round();
    let failure = failure(&round);
    assert_eq!((failure.kind, failure.sent), (FailureKind::Dns, false));
    assert!(
        failure.text.contains("name.invalid was not found"),
        "{}",
        failure.text
    );
}

#[test]
fn known_addresses_carry_over_a_name_service_that_fails() {
    let server = TestServer::answering(OK);
    for forked in [false, true] {
        let url = format!("http://name.invalid:{}", server.address.port());
        let transport = Transport::new(Settings {
            known_addresses: vec![server.address],
            forked,
            ..settings(&url)
        })
        .unwrap();
        assert_eq!(post(&transport.round()).unwrap().status, 200);
        assert_eq!(transport.good_addresses(), [server.address]);
    }
}

#[test]
fn known_addresses_that_lead_nowhere_are_looked_up_again() {
    let server = TestServer::answering(OK);
    let transport = Transport::new(Settings {
        known_addresses: vec![refusing()],
        forked: true,
        ..settings(&format!("http://localhost:{}", server.address.port()))
    })
    .unwrap();
    let round = transport.round();
    assert_eq!(failure(&round).kind, FailureKind::Refused);
    assert_eq!(post(&round).unwrap().status, 200);
    assert!(transport.good_addresses().contains(&server.address));
}

/// Reads the request, then never answers.
fn silent(reached: mpsc::Sender<()>) -> TestServer {
    TestServer::start(move |_, mut stream| {
        read_request(&mut stream);
        let _ = reached.send(());
        let _ = stream.read(&mut [0]);
    })
}

#[test]
fn a_silent_server_costs_the_timeout() {
    let server = silent(mpsc::channel().0);
    let mut settings = server.settings();
    settings.http_timeout = SHORT;
    let start = Instant::now();
    let failure = failure(&Transport::new(settings).unwrap().round());
    assert_eq!((failure.kind, failure.sent), (FailureKind::Timeout, true));
    assert!(
        failure.text.ends_with("no answer within 1.5s"),
        "{}",
        failure.text
    );
    assert!(start.elapsed() >= SHORT && start.elapsed() < PROMPT);
}

#[test]
fn an_abort_ends_every_post_at_once_and_for_good() {
    let (reached, at_server) = mpsc::channel();
    let server = silent(reached);
    let round = server.round();
    let posts: Vec<_> = (0..3)
        .map(|_| {
            let round = round.clone();
            thread::spawn(move || failure(&round))
        })
        .collect();
    for _ in 0..3 {
        at_server.recv_timeout(LONG).unwrap();
    }
    let start = Instant::now();
    round.abort();
    for post in posts {
        let failure = post.join().unwrap();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Aborted, true));
    }
    let later = failure(&round);
    assert_eq!((later.kind, later.sent), (FailureKind::Aborted, false));
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
    assert_eq!(server.connections(), 3);
}

/// Sends `start`, then one byte after the other for as long as it is read.
fn dripping(start: &'static str) -> Settings {
    let server = TestServer::start(move |_, mut stream| {
        read_request(&mut stream).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    Settings {
        http_timeout: SHORT,
        ..server.settings()
    }
}

#[test]
fn a_dripping_head_does_not_stretch_the_timeout() {
    let start = Instant::now();
    let round = Transport::new(dripping("HTTP/1.1 200 OK\r\nX-Drip: "))
        .unwrap()
        .round();
    let failure = failure(&round);
    assert_eq!((failure.kind, failure.sent), (FailureKind::Timeout, true));
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn a_status_counts_though_its_body_never_ends() {
    let start = Instant::now();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let round = Transport::new(dripping(head)).unwrap().round();
    let answer = post(&round).unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() < 1_000_000 && answer.body.iter().all(|byte| *byte == b'x'));
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn an_endless_answer_is_not_read_on() {
    let (written, total) = mpsc::channel();
    let server = TestServer::start(move |_, mut stream| {
        read_request(&mut stream).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 500 X\r\nContent-Length: 1000000000\r\n\r\n");
        let chunk = vec![b'x'; 65_536];
        let mut sum = 0_u64;
        while sum < 1_000_000_000 && stream.write_all(&chunk).is_ok() {
            sum += chunk.len() as u64;
        }
        written.send(sum).unwrap();
    });
    let answer = post(&server.round()).unwrap();
    assert_eq!((answer.status, answer.body.len()), (500, 65_536));
    let total = total.recv_timeout(LONG).unwrap();
    assert!(total < 100_000_000, "the server got rid of {total} bytes");
}

#[test]
fn what_is_not_http_is_an_io_failure() {
    for garbage in [
        "garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "",
        "HTTP/1.1 2",
    ] {
        let server = TestServer::start(move |_, mut stream| {
            read_request(&mut stream).unwrap();
            let _ = stream.write_all(garbage.as_bytes());
        });
        let failure = failure(&server.round());
        assert_eq!(
            (failure.kind, failure.sent),
            (FailureKind::Io, true),
            "{garbage:?}"
        );
        assert_eq!(
            server.connections(),
            1,
            "a fresh connection is not tried twice"
        );
    }
}

#[test]
fn an_early_answer_is_read_though_the_server_closes() {
    let body = vec![b'x'; 8 << 20];
    for status in [413, 401] {
        let server = TestServer::start(move |_, mut stream| {
            let mut head = [0; 64];
            stream.read_exact(&mut head).unwrap();
            let answer =
                format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
            // Closing with unread data resets the connection while the client still writes.
        });
        let round = server.round();
        for _ in 0..5 {
            assert_eq!(round.post(&body, false).unwrap().status, status);
        }
        assert_eq!(server.connections(), 5);
    }
}

#[test]
fn values_that_no_header_can_carry_are_refused_at_the_start() {
    for (key, agent, fault) in [("a\r\nb", "x", "api_key: "), ("a", "x\ny", "binding: ")] {
        let error = Transport::new(Settings {
            api_key: key.to_owned(),
            user_agent: agent.to_owned(),
            ..settings("http://127.0.0.1")
        })
        .unwrap_err();
        assert!(
            error.starts_with(fault) && !error.contains("\r\n"),
            "{error}"
        );
    }
}
