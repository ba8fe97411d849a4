//! The way to the server, layer by layer: proxy, name, connection, TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use malti::transport::{BaseUrl, Peer, Transport};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error as TlsError};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::report::{Report, Step};

/// For each step at most; what the library gives a connection.
const LONGEST: Duration = Duration::from_secs(10);
/// No time at all is no time limit.
const SHORTEST: Duration = Duration::from_millis(1);
/// A certificate that ends sooner is worth a word.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
const DAY: u64 = 24 * 3600;

/// Whether the server, or the proxy before it, can be connected to. `timeout`: that of a request.
pub fn reach(
    url: &BaseUrl,
    transport: &Transport,
    timeout: Duration,
    report: &mut Report,
) -> io::Result<bool> {
    let limit = timeout.min(LONGEST);
    let Some(peer) = transport.peer() else {
        return Ok(false);
    };
    if peer.proxy {
        let text = format!("by {}:{}, for {}", peer.host, peer.port, url.origin());
        report.ok(Step::Proxy, text)?;
    }
    let Some(addresses) = lookup(&peer, limit, report)? else {
        return Ok(false);
    };
    let Some(stream) = connect(&peer, &addresses, limit, report)? else {
        return Ok(false);
    };
    if !url.https() {
        report.skipped(Step::Tls, "plain http")?;
        return Ok(true);
    }
    if peer.proxy {
        // It lies behind, where the library's own connection will meet it.
        return Ok(true);
    }
    match transport.tls() {
        Ok(Some(config)) => handshake(url.host(), config, stream, limit, report),
        Ok(None) => Ok(true),
        Err(fault) => {
            report.failed(Step::Tls, fault, "mend SSL_CERT_FILE or SSL_CERT_DIR")?;
            Ok(false)
        }
    }
}

fn lookup(
    peer: &Peer,
    limit: Duration,
    report: &mut Report,
) -> io::Result<Option<Vec<SocketAddr>>> {
    let (found, answer) = mpsc::channel();
    let name = (peer.host.clone(), peer.port);
    // The name service knows no time limit; a thread that waits for it ends with the process.
    thread::spawn(move || {
        let addresses = name.to_socket_addrs().map(Vec::from_iter);
        let _ = found.send(addresses);
    });
    let text = match answer.recv_timeout(limit) {
        Ok(Ok(addresses)) if !addresses.is_empty() => {
            let mut list: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
            list.dedup();
            report.ok(Step::Dns, format!("{} is {}", peer.host, list.join(", ")))?;
            return Ok(Some(addresses));
        }
        Ok(Ok(_)) => format!("{}: no address", peer.host),
        Ok(Err(error)) => format!("{}: {error}", peer.host),
        Err(_) => format!("{}: no answer within {limit:?}", peer.host),
    };
    let remedy = if peer.proxy {
        "MALTI_PROXY (or https_proxy, http_proxy) must name a host that this machine can look up"
    } else {
        "MALTI_URL must name a host that this machine can look up"
    };
    report.failed(Step::Dns, text, remedy)?;
    Ok(None)
}

fn connect(
    peer: &Peer,
    addresses: &[SocketAddr],
    limit: Duration,
    report: &mut Report,
) -> io::Result<Option<TcpStream>> {
    let mut faults = Vec::new();
    let until = Instant::now() + limit;
    for (address, those_left) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let start = Instant::now();
        let share = until.saturating_duration_since(start) / those_left;
        match TcpStream::connect_timeout(address, share.max(SHORTEST)) {
            Ok(stream) => {
                let took = start.elapsed().as_secs_f64() * 1000.0;
                let mut text = format!("{address} in {took:.1} ms");
                if !faults.is_empty() {
                    text = format!("{text}; but {}", faults.join("; "));
                }
                report.ok(Step::Tcp, text)?;
                return Ok(Some(stream));
            }
            Err(error) => faults.push(format!("{address}: {error}")),
        }
    }
    let remedy = if peer.proxy {
        "is the proxy running, and is this its port?"
    } else {
        "is the server running, is this its port, and does a firewall let this machine through?"
    };
    report.failed(Step::Tcp, faults.join("; "), remedy)?;
    Ok(None)
}

/// As the library's connections do it; also shows what the certificate says.
fn handshake(
    host: &str,
    config: Arc<ClientConfig>,
    stream: TcpStream,
    limit: Duration,
    report: &mut Report,
) -> io::Result<bool> {
    let until = Instant::now() + limit;
    let mut stream = Timed { stream, until };
    let shaken = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::other(error.to_string()))
        .and_then(|name| ClientConnection::new(config, name).map_err(io::Error::other))
        .and_then(|mut connection| {
            // It also returns when time runs out after some of it.
            while connection.is_handshaking() {
                connection.complete_io(&mut stream)?;
            }
            Ok(connection)
        });
    match shaken {
        Ok(connection) => {
            describe(&connection, report)?;
            Ok(true)
        }
        Err(error) => {
            let text = match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    format!("no handshake within {limit:?}")
                }
                io::ErrorKind::UnexpectedEof => "the server ended the handshake".to_owned(),
                _ => error.to_string(),
            };
            report.failed(Step::Tls, text, remedy(&error))?;
            Ok(false)
        }
    }
}

/// A connection whose time runs out, however little by little the other end sends.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        left.max(SHORTEST)
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(self.left()))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn remedy(error: &io::Error) -> &'static str {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    match inner {
        Some(TlsError::InvalidCertificate(fault)) => match fault {
            CertificateError::UnknownIssuer => {
                "if its authority is your own, MALTI_CA_FILE names the authority's certificate"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew the server's certificate"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "set this machine's clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "MALTI_URL must use a name that the certificate has"
            }
            _ => "mend the server's certificate",
        },
        _ => "does this port speak TLS? If not, MALTI_URL begins with http://",
    }
}

fn describe(connection: &ClientConnection, report: &mut Report) -> io::Result<()> {
    let version = connection
        .protocol_version()
        .and_then(|version| version.as_str())
        .unwrap_or("TLS");
    let chain = connection.peer_certificates().unwrap_or_default();
    let leaf = chain.first().map(|leaf| X509Certificate::from_der(leaf));
    let Some(Ok((_, leaf))) = leaf else {
        return report.ok(Step::Tls, version.replace('_', "."));
    };
    let names = leaf.subject_alternative_name().ok().flatten();
    let names: Vec<_> = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .take(3)
        .collect();
    let issuer = leaf.issuer().to_string();
    let end = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let left = Duration::from_secs(end).saturating_sub(now);
    let text = format!(
        "{}, certificate{}{} by {issuer}, good for {} days, chain of {}",
        version.replace("TLSv1_", "TLS 1."),
        if names.is_empty() { "" } else { " for " },
        names.join(", "),
        left.as_secs() / DAY,
        chain.len(),
    );
    if left < SOON {
        report.warn(Step::Tls, text, "renew the server's certificate")
    } else {
        report.ok(Step::Tls, text)
    }
}
