//! Through a proxy. The target's name exists nowhere, so that only the proxy can reach it.

use std::sync::mpsc;

use super::tls::{Authority, accept};
use super::*;

/// Answers CONNECT with `answer`, tells its head, and gives the tunnel to `serve`.
fn proxy(
    answer: &'static str,
    serve: impl Fn(TcpStream) + Send + Sync + 'static,
) -> (TestServer, mpsc::Receiver<String>) {
    let (heads, seen) = mpsc::channel();
    let server = TestServer::start(move |_, mut stream| {
        heads.send(read_request(&mut stream).unwrap().head).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        serve(stream);
    });
    (server, seen)
}

const TUNNEL: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn through(url: &str, proxy: &TestServer) -> Settings {
    Settings {
        proxy: Some(format!("http://user:p%40ss@{}", proxy.address)),
        ..settings(url)
    }
}

fn serve_two(mut stream: impl Read + Write) {
    for _ in 0..2 {
        assert!(read_request(&mut stream).unwrap().head.contains(KEY));
        stream.write_all(OK.as_bytes()).unwrap();
    }
}

#[test]
fn http_goes_through_a_tunnel_that_is_kept() {
    let (proxy, heads) = proxy(TUNNEL, serve_two);
    let transport = Transport::new(through("http://malti.example/p", &proxy)).unwrap();
    let round = transport.round();
    for _ in 0..2 {
        assert_eq!(post(&round).unwrap().status, 200);
    }
    assert_eq!(proxy.connections(), 1);
    let head = heads.recv().unwrap();
    assert!(
        head.starts_with("CONNECT malti.example:80 HTTP/1.1\n"),
        "{head}"
    );
    assert!(
        head.contains("proxy-authorization: Basic dXNlcjpwQHNz\n"),
        "{head}"
    );
    assert!(
        !head.contains(KEY),
        "the key is for the server, not for the proxy"
    );
}

#[test]
fn https_is_encrypted_up_to_the_server() {
    let authority = Authority::new(&["malti.example"]);
    let config = Arc::clone(&authority.server);
    let (proxy, heads) = proxy(TUNNEL, move |stream| serve_two(accept(&config, stream)));
    let settings = Settings {
        ca_file: Some(authority.ca_file()),
        ..through("https://malti.example:8443", &proxy)
    };
    let round = Transport::new(settings).unwrap().round();
    for _ in 0..2 {
        assert_eq!(post(&round).unwrap().status, 200);
    }
    assert_eq!(proxy.connections(), 1);
    assert!(
        heads
            .recv()
            .unwrap()
            .starts_with("CONNECT malti.example:8443 ")
    );
}

#[test]
fn a_proxy_that_refuses_is_a_fault_of_its_own() {
    for (answer, kind) in [
        (
            "HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n",
            FailureKind::Proxy,
        ),
        (
            "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
            FailureKind::Proxy,
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            FailureKind::Connect,
        ),
        (
            "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n",
            FailureKind::Connect,
        ),
        ("", FailureKind::Connect),
        ("garbage\r\n\r\n", FailureKind::Connect),
    ] {
        let (proxy, _heads) = proxy(answer, drop);
        let transport = Transport::new(through("http://malti.example", &proxy)).unwrap();
        let failure = failure(&transport.round());
        assert_eq!(
            (failure.kind, failure.sent),
            (kind, false),
            "{answer:?} {}",
            failure.text
        );
        assert!(
            failure
                .text
                .starts_with(&format!("proxy {}: ", proxy.address)),
            "{}",
            failure.text
        );
        assert!(!failure.text.contains("user"), "{}", failure.text);
    }
}

#[test]
fn a_proxy_that_is_away_is_named() {
    let address = refusing();
    let settings = Settings {
        proxy: Some(address.to_string()),
        ..settings("http://malti.example")
    };
    let failure = failure(&Transport::new(settings).unwrap().round());
    assert_eq!((failure.kind, failure.sent), (FailureKind::Refused, false));
    assert_eq!(failure.text, format!("proxy {address}: connection refused"));
}

#[test]
fn no_proxy_and_loopback_go_direct() {
    let (proxy, _heads) = proxy(TUNNEL, drop);
    let server = TestServer::answering(OK);
    let listed = Settings {
        no_proxy: "other.example,.malti.example".to_owned(),
        known_addresses: vec![server.address],
        forked: true,
        ..through("http://eu.malti.example", &proxy)
    };
    let loopback = through(&format!("http://{}", server.address), &proxy);
    for settings in [listed, loopback] {
        assert_eq!(
            post(&Transport::new(settings).unwrap().round())
                .unwrap()
                .status,
            200
        );
    }
    assert_eq!((server.connections(), proxy.connections()), (2, 0));
}

#[test]
fn an_unusable_proxy_shows_at_the_start() {
    let settings = Settings {
        proxy: Some("socks5://user:secret@127.0.0.1:1080".to_owned()),
        ..settings("http://malti.example")
    };
    let error = Transport::new(settings).unwrap_err();
    assert!(
        error.contains("SOCKS is not supported") && !error.contains("secret"),
        "{error}"
    );
}
