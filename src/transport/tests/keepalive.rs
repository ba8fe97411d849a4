//! Connections: shared within a round, gone after it, replaced when stale.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc;

use super::*;

#[test]
fn a_round_uses_one_connection_and_closes_it_at_its_end() {
    let (ended, at_end) = mpsc::channel();
    let server = TestServer::start(move |_, mut stream| {
        let mut served = 0;
        while read_request(&mut stream).is_some() {
            served += 1;
            stream.write_all(OK.as_bytes()).unwrap();
        }
        ended.send(served).unwrap();
    });
    let transport = Transport::new(server.settings()).unwrap();
    for expected in [3, 2] {
        let round = transport.round();
        for _ in 0..expected {
            assert_eq!(post(&round.clone()).unwrap().status, 200);
        }
        drop(round);
        assert_eq!(at_end.recv_timeout(LONG).unwrap(), expected);
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn without_kept_connections_each_post_has_its_own() {
    let server = TestServer::answering(OK);
    let settings = Settings {
        max_keepalive_connections: 0,
        ..server.settings()
    };
    let round = Transport::new(settings).unwrap().round();
    for _ in 0..3 {
        post(&round).unwrap();
    }
    assert_eq!(server.connections(), 3);
}

/// Answers the first `answered` requests of each connection, then closes on the next after reading it.
fn closing_after(answered: &'static [usize]) -> (TestServer, mpsc::Receiver<usize>) {
    let (requests, seen) = mpsc::channel();
    let server = TestServer::start(move |number, mut stream| {
        for served in 0.. {
            if read_request(&mut stream).is_none() {
                return;
            }
            requests.send(number).unwrap();
            if served == answered[number.min(answered.len() - 1)] {
                return;
            }
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    (server, seen)
}

#[test]
fn a_stale_connection_is_replaced_within_the_post() {
    let (server, seen) = closing_after(&[1, 9]);
    let round = server.round();
    assert_eq!(post(&round).unwrap().status, 200);
    assert_eq!(post(&round).unwrap().status, 200);
    assert_eq!(server.connections(), 2);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn the_second_try_is_the_last() {
    let (server, _seen) = closing_after(&[1, 0]);
    let round = server.round();
    post(&round).unwrap();
    let failure = failure(&round);
    assert_eq!((failure.kind, failure.sent), (FailureKind::Io, true));
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_server_that_goes_away_between_the_tries_is_told_apart() {
    let listener = apart();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        read_request(&mut stream).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
        read_request(&mut stream).unwrap();
    });
    let round = Transport::new(settings(&url)).unwrap().round();
    post(&round).unwrap();
    let failure = failure(&round);
    // The first try may have been read, and was.
    assert_eq!((failure.kind, failure.sent), (FailureKind::Refused, true));
}

#[test]
fn an_answer_that_breaks_off_is_not_tried_again() {
    let server = TestServer::start(|_, mut stream| {
        read_request(&mut stream).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
        read_request(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 2").unwrap();
    });
    let round = server.round();
    post(&round).unwrap();
    let failure = failure(&round);
    assert_eq!((failure.kind, failure.sent), (FailureKind::Io, true));
    assert_eq!(server.connections(), 1);
}

#[test]
fn the_second_try_takes_no_kept_connection() {
    // Two kept connections, both stale: the second try must not pick the other one.
    static GATE: Mutex<()> = Mutex::new(());
    let shut = GATE.lock().unwrap();
    let (arrived, arrivals) = mpsc::channel();
    let server = TestServer::start(move |number, mut stream| {
        read_request(&mut stream).unwrap();
        arrived.send(()).unwrap();
        drop(GATE.lock().unwrap());
        stream.write_all(OK.as_bytes()).unwrap();
        if read_request(&mut stream).is_some() && number >= 2 {
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    let round = server.round();
    thread::scope(|scope| {
        let posts = [(); 2].map(|()| scope.spawn(|| post(&round).unwrap()));
        for _ in 0..2 {
            arrivals.recv_timeout(LONG).unwrap();
        }
        drop(shut);
        for post in posts {
            post.join().unwrap();
        }
    });
    assert_eq!(post(&round).unwrap().status, 200);
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_reused_connection_that_stays_silent_is_no_stale_one() {
    let server = TestServer::start(|_, mut stream| {
        read_request(&mut stream).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
        read_request(&mut stream).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let settings = Settings {
        http_timeout: SHORT,
        ..server.settings()
    };
    let round = Transport::new(settings).unwrap().round();
    post(&round).unwrap();
    assert_eq!(failure(&round).kind, FailureKind::Timeout);
    assert_eq!(server.connections(), 1);
}
