//! TLS with a private CA.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::*;

/// Certificates of a CA that nobody knows: `ca.pem` in a folder, and a server's configuration.
pub(super) struct Authority {
    pub(super) dir: TempDir,
    pub(super) server: Arc<ServerConfig>,
}

impl Authority {
    pub(super) fn new(names: &[&str]) -> Self {
        Self::until(names, 4000)
    }

    /// The server's certificate ends with this year.
    fn until(names: &[&str], year: i32) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.not_after = rcgen::date_time_ymd(year, 12, 31);
        let leaf = leaf.signed_by(&key, &ca).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        Self {
            dir,
            server: Arc::new(server),
        }
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Answers with 200 and tells for each request whether its connection resumed a session.
    fn serve(&self) -> (TestServer, mpsc::Receiver<bool>) {
        let config = Arc::clone(&self.server);
        let (requests, seen) = mpsc::channel();
        let server = TestServer::start(move |_, stream| {
            let mut stream = accept(&config, stream);
            while read_request(&mut stream).is_some() {
                let resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
                requests.send(resumed).unwrap();
                stream.write_all(OK.as_bytes()).unwrap();
            }
        });
        (server, seen)
    }
}

pub(super) fn accept(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}

fn https(server: &TestServer, ca_file: Option<&Path>) -> Settings {
    Settings {
        ca_file: ca_file.map(Path::to_owned),
        ..settings(&format!("https://{}", server.address))
    }
}

#[test]
fn a_private_ca_is_refused_without_ca_file_and_accepted_with_it() {
    let authority = Authority::new(&["127.0.0.1"]);
    let (server, seen) = authority.serve();
    let failure = failure(&Transport::new(https(&server, None)).unwrap().round());
    assert_eq!((failure.kind, failure.sent), (FailureKind::Tls, false));
    assert!(failure.text.contains("UnknownIssuer"), "{}", failure.text);
    assert_eq!(
        seen.try_iter().count(),
        0,
        "a request reached a server that is not trusted"
    );

    let transport = Transport::new(https(&server, Some(&authority.ca_file()))).unwrap();
    let round = transport.round();
    for _ in 0..2 {
        assert_eq!(post(&round).unwrap().status, 200);
    }
    drop(round);
    assert_eq!(post(&transport.round()).unwrap().status, 200);
    assert_eq!(
        seen.try_iter().collect::<Vec<_>>(),
        [false, false, true],
        "full, kept, resumed"
    );
    assert_eq!(server.connections(), 3);
    assert!(
        CryptoProvider::get_default().is_none(),
        "that choice is the host's"
    );
}

#[test]
fn certificates_that_a_parent_read_need_not_be_there_any_more() {
    static LEGACIES: [Legacy; 3] = [const { Legacy::new() }; 3];
    let sources = ["ca_file", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    for (source, legacy) in sources.into_iter().zip(&LEGACIES) {
        let authority = Authority::new(&["127.0.0.1"]);
        let (server, _seen) = authority.serve();
        let file = authority.ca_file();
        let mut settings = https(&server, None);
        match source {
            "ca_file" => settings.ca_file = Some(file.clone()),
            "SSL_CERT_FILE" => settings.ssl_cert_file = Some(file.clone()),
            _ => settings.ssl_cert_dir = Some(authority.dir.path().to_owned()),
        }
        let origin = |forked| Origin {
            forked,
            legacy: Some(legacy),
        };
        // Nothing connects before the fork.
        origin(false).leave(&Transport::new(settings.clone()).unwrap());
        fs::remove_file(&file).unwrap();
        // An init of the same process reads anew, a child does not.
        assert!(origin(false).roots().is_none());
        let child = Settings {
            forked: true,
            known_roots: origin(true).roots(),
            ..settings
        };
        let answer = post(&Transport::new(child).unwrap().round());
        assert_eq!(answer.map(|answer| answer.status), Ok(200), "{source}");
    }
}

#[test]
fn certificates_that_come_later_are_found() {
    let authority = Authority::new(&["127.0.0.1"]);
    let (server, _seen) = authority.serve();
    let later = authority.dir.path().join("later.pem");
    let settings = Settings {
        ssl_cert_file: Some(later.clone()),
        ..https(&server, None)
    };
    let transport = Transport::new(settings).unwrap();
    assert_eq!(failure(&transport.round()).kind, FailureKind::Tls);
    fs::rename(authority.ca_file(), later).unwrap();
    assert_eq!(post(&transport.round()).unwrap().status, 200);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new(&["malti.example"]);
    let (server, _seen) = authority.serve();
    let transport = Transport::new(https(&server, Some(&authority.ca_file()))).unwrap();
    assert_eq!(failure(&transport.round()).kind, FailureKind::Tls);
}

#[test]
fn certificates_that_the_environment_names_replace_the_platforms() {
    let authority = Authority::new(&["127.0.0.1"]);
    let (server, _seen) = authority.serve();
    let file = Settings {
        ssl_cert_file: Some(authority.ca_file()),
        ..https(&server, None)
    };
    let dir = Settings {
        ssl_cert_dir: Some(authority.dir.path().to_owned()),
        ..https(&server, None)
    };
    for settings in [file, dir] {
        assert_eq!(
            post(&Transport::new(settings).unwrap().round())
                .unwrap()
                .status,
            200
        );
    }
    let missing = Settings {
        ssl_cert_file: Some(authority.dir.path().join("missing.pem")),
        ..https(&server, None)
    };
    let failure = failure(&Transport::new(missing).unwrap().round());
    assert_eq!((failure.kind, failure.sent), (FailureKind::Tls, false));
    assert!(failure.text.contains("SSL_CERT_FILE"), "{}", failure.text);
}

#[test]
fn a_bad_ca_file_is_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roots.pem");
    for content in [
        None,
        Some("no certificate"),
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let settings = Settings {
            ca_file: Some(path.clone()),
            ..settings("https://malti.example")
        };
        let error = Transport::new(settings).unwrap_err();
        assert!(
            error.starts_with(&format!("ca_file: {}: ", path.display())),
            "{error}"
        );
    }
}

#[test]
fn an_early_answer_is_read_over_tls() {
    let authority = Authority::new(&["127.0.0.1"]);
    let config = Arc::clone(&authority.server);
    let server = TestServer::start(move |_, stream| {
        let mut stream = accept(&config, stream);
        stream.read_exact(&mut [0; 64]).unwrap();
        let answer = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let transport = Transport::new(https(&server, Some(&authority.ca_file()))).unwrap();
    let round = transport.round();
    for _ in 0..5 {
        assert_eq!(round.post(&vec![b'x'; 8 << 20], false).unwrap().status, 413);
    }
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let server = TestServer::start(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    let failure = failure(&Transport::new(https(&server, None)).unwrap().round());
    assert_eq!((failure.kind, failure.sent), (FailureKind::Tls, false));
}

/// Accepts, and says nothing.
fn mute() -> (TestServer, mpsc::Receiver<()>) {
    let (reached, at_server) = mpsc::channel();
    let server = TestServer::start(move |_, mut stream| {
        stream.read_exact(&mut [0; 16]).unwrap();
        reached.send(()).unwrap();
        while stream.read(&mut [0; 4096]).is_ok_and(|amount| amount > 0) {}
    });
    (server, at_server)
}

#[test]
fn a_handshake_that_hangs_costs_the_timeout() {
    let (server, _at_server) = mute();
    let settings = Settings {
        http_timeout: SHORT,
        ..https(&server, None)
    };
    let start = Instant::now();
    let failure = failure(&Transport::new(settings).unwrap().round());
    assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, false));
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn an_abort_ends_a_handshake_that_hangs() {
    let (server, at_server) = mute();
    let round = Transport::new(https(&server, None)).unwrap().round();
    let posting = round.clone();
    let post = thread::spawn(move || failure(&posting));
    at_server.recv_timeout(LONG).unwrap();
    let start = Instant::now();
    round.abort();
    let failure = post.join().unwrap();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Aborted, false));
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "the connect timeout did it"
    );
}

/// A client with ten records, flushed; the reason it has for not delivering them.
fn delivers(url: &str, settings: &[(&str, &str)]) -> (crate::Stats, String) {
    let mut config = crate::Config::default();
    let usual = [
        ("url", url),
        ("api_key", "k"),
        ("service_name", "s"),
        ("max_retries", "0"),
    ];
    for (key, value) in usual.iter().chain(settings) {
        config.set(key, value).unwrap();
    }
    let logger = crate::log::Logger::new(crate::log::Level::Off, crate::log::Sink::Stderr);
    let client = crate::Client::start_with(config, logger).unwrap();
    for _ in 0..10 {
        let recorded = client.record(&crate::Record {
            method: "GET",
            endpoint: "/",
            status: 200,
            response_time: Duration::ZERO,
            consumer: None,
            context: None,
            created_at: None,
        });
        assert_eq!(recorded, crate::Recorded::Kept);
    }
    let _ = client.flush(Duration::from_secs(3));
    let stats = client.stats();
    assert_eq!(stats.unaccounted(), 0);
    let why = stats.last_error.clone().unwrap_or_default();
    (client.shutdown(Duration::ZERO), why)
}

#[test]
fn a_client_delivers_where_the_certificate_is_good_and_keeps_its_records_where_it_is_not() {
    let trusted = Authority::new(&["127.0.0.1"]);
    let expired = Authority::until(&["127.0.0.1"], 2001);
    let misnamed = Authority::new(&["malti.example"]);
    for (row, authority, known, wanted) in [
        ("private CA by ca_file", &trusted, true, ""),
        ("self-signed", &trusted, false, "UnknownIssuer"),
        ("expired", &expired, true, "Expired"),
        ("wrong host name", &misnamed, true, "not valid for name"),
    ] {
        let (server, _seen) = authority.serve();
        let url = format!("https://{}", server.address);
        let ca_file = authority.ca_file();
        let ca_file = [("ca_file", ca_file.to_str().unwrap())];
        let (stats, why) = delivers(&url, &ca_file[..usize::from(known)]);
        let (sent, lost) = if wanted.is_empty() { (10, 0) } else { (0, 10) };
        assert_eq!((stats.sent, stats.dropped_shutdown), (sent, lost), "{row}");
        let why = why.to_lowercase();
        assert!(why.contains(&wanted.to_lowercase()), "{row}: {why}");
        assert!(!why.contains("other:"), "{row}: {why}");
    }
}
