//! One POST to a Malti server.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::{ClientConfig, Error as TlsError};
use ureq::http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use ureq::http::{HeaderMap, Response, Uri};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, Body, Error};

use super::destination::{BaseUrl, bracketed};
use super::probe::{self, Attempt, Probe};
use super::resolver::{Dns, LookupFailed, RoundResolver};
use super::tls::{HandshakeFailed, Tls};
use super::trust::{Roots, Trust};
use super::{Answer, Failure, FailureKind, Peer, Settings, proxy};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Keeps `Instant` arithmetic far from overflow.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// The server closes an idle connection after 5 s; one that is about to be closed is not used.
const MAX_IDLE: Duration = Duration::from_secs(4);
/// Not more: each part of a buffer that the system takes has the time limit anew, so that a request over a slow
/// connection would take longer than it may.
const BUFFER: usize = 16 * 1024;
const MAX_ANSWER: u64 = 64 * 1024;

/// Everything about a server that outlives a round.
pub(super) struct Server {
    ingest: Uri,
    /// For messages.
    origin: String,
    /// Whom the connection goes to.
    peer: Peer,
    https: bool,
    key: HeaderValue,
    timeout: Duration,
    config: ureq::config::Config,
    trust: Arc<Trust>,
    dns: Arc<Dns>,
}

impl Server {
    /// No network I/O.
    pub(super) fn new(url: &BaseUrl, settings: &Settings) -> Result<Self, String> {
        let ingest = url.ingest().parse::<Uri>();
        let ingest = ingest.map_err(|error| format!("url: {error}"))?;
        let mut key = HeaderValue::from_str(&settings.api_key)
            .map_err(|_| "api_key: only printable ASCII characters are accepted")?;
        key.set_sensitive(true);
        HeaderValue::from_str(&settings.user_agent)
            .map_err(|_| "binding: only printable ASCII characters are accepted")?;
        let proxy = match &settings.proxy {
            Some(proxy) => proxy::choose(proxy, &settings.no_proxy, url)?,
            None => None,
        };
        let (host, port) = match &proxy {
            // IPv6 stands in brackets there.
            Some(proxy) => (proxy.host().trim_matches(['[', ']']), proxy.port()),
            None => (url.host(), url.port()),
        };
        let dns = Dns::new(host, port, &settings.known_addresses, settings.forked);
        let peer = Peer {
            host: host.to_owned(),
            port,
            proxy: proxy.is_some(),
        };
        let trust = Trust::new(settings, url.https())?;
        let timeout = settings.http_timeout.min(LONGEST);
        let idle = settings.max_keepalive_connections;
        let config = Agent::config_builder()
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(timeout.min(LONGEST_CONNECT)))
            .max_idle_age(MAX_IDLE)
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .accept_encoding("identity")
            .user_agent(settings.user_agent.clone())
            .build();
        Ok(Self {
            ingest,
            origin: url.origin(),
            peer,
            https: url.https(),
            key,
            timeout,
            config,
            trust: Arc::new(trust),
            dns,
        })
    }

    pub(super) fn roots(&self) -> &Arc<Roots> {
        self.trust.roots()
    }

    pub(super) fn good_addresses(&self) -> Vec<SocketAddr> {
        self.dns.good()
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    pub(super) fn tls(&self) -> Result<Option<Arc<ClientConfig>>, String> {
        self.https.then(|| self.trust.config()).transpose()
    }

    /// An agent of its own for each round: when it is dropped, no socket is left open.
    pub(super) fn round(self: &Arc<Self>, aborted: Arc<AtomicBool>) -> Line {
        let chain = ()
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(Tls {
                trust: Arc::clone(&self.trust),
            })
            .chain(Probe {
                proxied: self.peer.proxy,
            });
        let resolver = RoundResolver {
            dns: Arc::clone(&self.dns),
            aborted: Arc::clone(&aborted),
        };
        Line {
            server: Arc::clone(self),
            agent: Agent::with_parts(self.config.clone(), chain, resolver),
            aborted,
        }
    }
}

/// The connections of one round.
#[derive(Clone)]
pub(super) struct Line {
    server: Arc<Server>,
    agent: Agent,
    aborted: Arc<AtomicBool>,
}

impl Line {
    pub(super) fn post(&self, body: &[u8], gzip: bool) -> Result<Answer, Failure> {
        let packed;
        let body = if gzip {
            packed = pack(body).map_err(|error| Failure {
                kind: FailureKind::Io,
                sent: false,
                text: format!("compression failed: {error}"),
            })?;
            &packed
        } else {
            body
        };
        let start = Instant::now();
        let (mut result, mut attempt) = probe::watch(|| self.attempt(body, gzip, None));
        let mut repeated = false;
        if let Err(Error::Io(error)) = &result
            && attempt.reused
            && !attempt.got
            && probe::is_cut(error.kind())
            && !self.aborted.load(Ordering::Acquire)
        {
            // The server closed the idle connection while we wrote to it. That says nothing about how
            // it is, so a fresh connection is tried at once.
            let left = self.server.timeout.saturating_sub(start.elapsed());
            (result, attempt) = probe::watch(|| self.attempt(body, gzip, Some(left)));
            repeated = true;
        }
        match result {
            Ok(answer) => {
                self.server.dns.confirm();
                Ok(answer)
            }
            Err(error) => {
                let mut failure = self.failure(&error, attempt);
                failure.sent |= repeated;
                Err(failure)
            }
        }
    }

    /// One request. `fresh`: on a new connection, within that time.
    fn attempt(&self, body: &[u8], gzip: bool, fresh: Option<Duration>) -> Result<Answer, Error> {
        let server = &*self.server;
        let mut request = self
            .agent
            .post(server.ingest.clone())
            .header(API_KEY, server.key.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if gzip {
            request = request.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(left) = fresh {
            request = request
                .config()
                .timeout_global(Some(left))
                .max_idle_age(Duration::ZERO)
                .build();
        }
        request.send(body).map(answer)
    }

    pub(super) fn abort(&self) {
        self.server.dns.wake();
        self.agent.clone().shutdown();
    }

    fn failure(&self, error: &Error, attempt: Attempt) -> Failure {
        let server = &*self.server;
        if self.aborted.load(Ordering::Acquire) {
            return Failure::aborted(attempt.sent);
        }
        let kind = classify(error, attempt.sent);
        if matches!(kind, FailureKind::Refused | FailureKind::Connect) {
            server.dns.distrust();
        }
        let peer = match &server.peer {
            Peer {
                proxy: true,
                host,
                port,
            } if !attempt.sent => {
                format!("proxy {}:{port}", bracketed(host))
            }
            _ => server.origin.clone(),
        };
        let text = match (kind, error) {
            (FailureKind::Refused, _) => format!("{peer}: connection refused"),
            (FailureKind::Timeout, _) => format!("{peer}: no answer within {:?}", server.timeout),
            (_, Error::Timeout(_)) => format!("{peer}: no connection in time"),
            (_, Error::Io(error)) => format!("{peer}: {error}"),
            // Ours; its own print would begin with "other".
            (_, Error::Other(error)) => format!("{peer}: {error}"),
            (_, error) => format!("{peer}: {error}"),
        };
        Failure {
            kind,
            sent: attempt.sent,
            text,
        }
    }
}

/// Once a status has come it counts, whatever becomes of the rest of the answer: a batch that was
/// accepted must not be sent again because the connection broke behind the status line.
fn answer(mut response: Response<Body>) -> Answer {
    let mut body = Vec::new();
    let _ = response
        .body_mut()
        .as_reader()
        .take(MAX_ANSWER)
        .read_to_end(&mut body);
    let headers = response.headers();
    let text = |name| headers.get(name)?.to_str().ok();
    Answer {
        status: response.status().as_u16(),
        retry_after: retry_after(headers, SystemTime::now()),
        date: text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()),
        location: text(LOCATION).map(str::to_owned),
        body,
    }
}

/// Seconds, or a date (RFC 9110, 10.2.3). Anything else is taken as absent.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn pack(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn classify(error: &Error, sent: bool) -> FailureKind {
    match error {
        Error::Other(error) if error.is::<LookupFailed>() => FailureKind::Dns,
        Error::Other(error) if error.is::<HandshakeFailed>() => FailureKind::Tls,
        Error::Rustls(_) => FailureKind::Tls,
        Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<TlsError>()) => {
            FailureKind::Tls
        }
        Error::ConnectProxyFailed(reason) if is_refusal(reason) => FailureKind::Proxy,
        Error::Timeout(_) if sent => FailureKind::Timeout,
        _ if sent => FailureKind::Io,
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            FailureKind::Refused
        }
        _ => FailureKind::Connect,
    }
}

/// Whether a proxy's answer to CONNECT, which ureq gives as `… responded 407/…`, is one that only
/// another configuration changes. A 5xx means that it could not reach the server.
fn is_refusal(reason: &str) -> bool {
    let status = reason
        .rsplit('/')
        .next()
        .and_then(|status| status.parse::<u16>().ok());
    matches!(status, Some(300..=499)) && !matches!(status, Some(408 | 425 | 429))
}

#[cfg(test)]
mod tests {
    use super::super::Destination;
    use super::super::tests::{KEY, settings};
    use super::*;

    #[test]
    fn the_key_is_kept_out_of_debug_output() {
        let settings = settings("http://127.0.0.1");
        let Destination::Http(url) = &settings.destination else {
            panic!("not http")
        };
        let server = Server::new(url, &settings).unwrap();
        assert_eq!(server.key, KEY);
        assert!(!format!("{:?}", server.key).contains(KEY));
    }

    #[test]
    fn retry_after_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(252_618_189_022)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = [(RETRY_AFTER, HeaderValue::from_static(value))];
            let found = retry_after(&headers.into_iter().collect(), now);
            assert_eq!(found, seconds.map(Duration::from_secs), "{value:?}");
        }
    }
}
