//! Names, connections, proxies, TLS.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::client::{KEY, Receiver, SERVICE};
use crate::harness::{check, check_with, read_request, serving};

#[test]
fn a_name_that_nobody_has() {
    let found = check("https://malti.invalid", &[]);
    found.failed("dns", 7, "malti.invalid", "MALTI_URL");
}

/// Which name server is asked, and at which port, only root can say (/etc/resolv.conf). So it is the call
/// that asks which never returns, in a library that the program is started with.
#[cfg(target_os = "linux")]
#[test]
fn a_name_service_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let (source, library) = (dir.path().join("hang.c"), dir.path().join("hang.so"));
    let hang = "#include <unistd.h>\nint getaddrinfo(void) { for (;;) pause(); }\n";
    std::fs::write(&source, hang).unwrap();
    let mut cc = std::process::Command::new("cc");
    cc.args(["-shared", "-fPIC", "-fno-builtin", "-o"]);
    assert!(cc.args([&library, &source]).status().unwrap().success());

    let preload = ("LD_PRELOAD", library.to_str().unwrap());
    let check = |url: &str, variables: &[_]| {
        let found = check_with(url, &["--http-timeout=0.3"], variables);
        assert_eq!(found.steps.last().unwrap()["step"], "dns", "{}", found.text);
        found
    };
    let found = check("http://malti.invalid", &[preload]);
    found.failed(
        "dns",
        7,
        "malti.invalid: no answer within 300ms",
        "MALTI_URL",
    );
    let proxy = ("https_proxy", "proxy.invalid:3128");
    let found = check("https://malti.invalid", &[preload, proxy]);
    found.failed("dns", 7, "proxy.invalid: no answer", "MALTI_PROXY");
}

#[test]
fn a_port_where_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    check(&format!("http://{free}"), &[]).failed("tcp", 8, "refused", "running");
}

/// A listener whose queue is full: what is sent to it is dropped, as by a firewall.
#[cfg(target_os = "linux")]
#[test]
fn an_address_that_drops_packets() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let found = check(&format!("http://{address}"), &["--http-timeout=0.2"]);
    found.failed("tcp", 8, "timed out", "firewall");
}

#[test]
fn a_server_of_ipv6_alone() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let receiver = Receiver::at("[::1]:0", &["--key", &format!("{KEY}={SERVICE}")]);
    let found = check(&format!("http://{}", receiver.address), &[]);
    assert_eq!(found.code, 0, "{}", found.text);
    assert_eq!(found.step("dns")["text"], "::1 is ::1");
}

#[test]
fn a_handshake_that_hangs() {
    let silent = serving(|mut stream| {
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    let found = check(&format!("https://{silent}"), &["--http-timeout=0.3"]);
    found.failed("tls", 9, "no handshake within 300ms", "http://");
}

/// A server that sends a little all the time, and never what it takes.
#[test]
fn a_handshake_without_end() {
    let dripping = serving(|mut stream| {
        // The head of a record of 16 KiB, then its bytes one by one.
        let record = [22, 3, 3, 0x40, 0].into_iter().chain([0; 0x4000]);
        for byte in record {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let found = check(&format!("https://{dripping}"), &["--http-timeout=0.3"]);
    found.failed("tls", 9, "no handshake within 300ms", "http://");
}

/// What a web server makes of a request's header `Proxy` is no proxy of ours.
#[test]
fn a_proxy_by_way_of_cgi() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let found = |variables: &[_]| check_with("http://malti.invalid", &[], variables);
    let proxy = ("HTTP_PROXY", proxy.as_str());
    found(&[proxy]).failed("tcp", 8, "refused", "proxy");
    found(&[proxy, ("REQUEST_METHOD", "GET")]).failed("dns", 7, "malti.invalid", "MALTI_URL");
}

/// A TLS server with a private authority, which answers that the key is wrong.
fn tls(names: &[&str], until: i32, ca_file: &Path) -> SocketAddr {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(ca_file, ca.pem()).unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut leaf = CertificateParams::new(names).unwrap();
    leaf.not_after = rcgen::date_time_ymd(until, 12, 31);
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &ca).unwrap();
    secured(leaf.der().clone(), &key)
}

fn secured(certificate: CertificateDer<'static>, key: &KeyPair) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let config = Arc::new(config);
    serving(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        // Empty: the handshake was all.
        if !read_request(&mut stream).is_empty() {
            let _ = stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
        }
    })
}

#[test]
fn certificates() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let ca_argument = format!("--ca-file={}", ca.display());
    let url = |server: SocketAddr, host: &str| format!("https://{host}:{}", server.port());

    let good = tls(&["localhost", "127.0.0.1"], 4000, &ca);
    check(&url(good, "localhost"), &[]).failed("tls", 9, "UnknownIssuer", "MALTI_CA_FILE");
    let found = check(&url(good, "localhost"), &[&ca_argument]);
    found.failed("key", 12, "401", "");
    let text = found.step("tls")["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("TLS 1.3, certificate for localhost by"),
        "{text}"
    );

    // Nobody but itself vouches for it.
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let signed = secured(own.cert.der().clone(), &own.signing_key);
    check(&url(signed, "localhost"), &[]).failed("tls", 9, "UnknownIssuer", "MALTI_CA_FILE");

    let named = tls(&["malti.example"], 4000, &ca);
    let found = check(&url(named, "localhost"), &[&ca_argument]);
    found.failed("tls", 9, "malti.example", "a name that the certificate has");

    let old = tls(&["localhost"], 2020, &ca);
    let found = check(&url(old, "localhost"), &[&ca_argument]);
    found.failed("tls", 9, "expired", "renew");

    let plain = serving(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 No\r\n\r\n");
    });
    check(&url(plain, "localhost"), &[]).failed("tls", 9, "", "http://");
}

#[test]
fn a_ca_file_that_is_none() {
    let found = check("https://localhost:1", &["--ca-file=/no/such.pem"]);
    found.failed("settings", 3, "ca_file: /no/such.pem", "");
}

/// A proxy that takes CONNECT, and brings everybody to this server.
fn proxy(server: SocketAddr, answer: &'static str) -> SocketAddr {
    serving(move |mut stream| {
        let request = read_request(&mut stream);
        if request.is_empty() {
            // A look whether it is there.
            return;
        }
        assert!(request.starts_with("CONNECT "), "{request}");
        let _ = write!(stream, "HTTP/1.1 {answer}\r\n\r\n");
        if answer.starts_with("200") {
            let upstream = TcpStream::connect(server).unwrap();
            let back = (upstream.try_clone().unwrap(), stream.try_clone().unwrap());
            thread::spawn(move || pass_on(back.0, back.1));
            pass_on(stream, upstream);
        }
    })
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn proxies() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let ca_argument = format!("--ca-file={}", ca.display());
    let server = tls(&["malti.example"], 4000, &ca);
    let url = "https://malti.example";

    // The name is looked up by the proxy alone.
    let open = format!("http://{}", proxy(server, "200 OK"));
    let found = check_with(url, &[&ca_argument], &[("HTTPS_PROXY", &open)]);
    found.failed("key", 12, "401", "");
    assert_eq!(found.step("proxy")["result"], "ok");
    assert_eq!(found.step("tls")["result"], "ok");
    let found = check_with(url, &[], &[("HTTPS_PROXY", &open)]);
    found.failed("tls", 9, "UnknownIssuer", "MALTI_CA_FILE");

    let shut = format!("--proxy=http://{}", proxy(server, "407 No"));
    let found = check(url, &[&ca_argument, &shut]);
    let steps: Vec<_> = found
        .steps
        .iter()
        .filter(|step| step["result"] == "failed")
        .collect();
    assert_eq!((steps.len(), found.code), (1, 6), "{}", found.text);
    assert!(
        found.text.contains("407") && found.text.contains("user:password@"),
        "{}",
        found.text
    );

    let found = check(url, &[&shut, "--no-proxy=malti.example"]);
    assert!(
        !found.results().iter().any(|step| step.starts_with("proxy")),
        "{}",
        found.text
    );

    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let found = check(url, &[&format!("--proxy=http://{gone}")]);
    found.failed("tcp", 8, "refused", "proxy");
}
