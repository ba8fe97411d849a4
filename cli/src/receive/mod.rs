//! `malti receive`: a server that behaves like Malti's ingest API, keeps what it
//! gets and shows it. For trying things out and for tests, on one machine.

mod faults;
mod http;
mod ingest;
mod page;
mod queries;
mod store;
mod summary;
mod text;
mod time;
mod traffic;
mod validate;

mod routes;
mod serve;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;

use faults::Faults;
use ingest::Keys;
use store::Store;

type Response = hyper::Response<Full<Bytes>>;

#[derive(clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// A service's key; may be repeated. Without any, every key and service passes
    #[arg(long = "key", value_name = "KEY=SERVICE", value_parser = key_and_service)]
    keys: Vec<(String, String)>,

    /// A person's key, which the server refuses for ingest; may be repeated
    #[arg(long = "user-key", value_name = "KEY")]
    user_keys: Vec<String>,

    /// Append each record to this file, as one JSON object a line
    #[arg(long, value_name = "FILE")]
    ndjson: Option<PathBuf>,

    /// How many records to keep in memory; the oldest go first
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    max_records: usize,

    /// Print {"url": …} as the first line instead of lines to copy
    #[arg(long)]
    json: bool,
}

/// The last `=` parts the two: a key may well end in some, a service does not.
fn key_and_service(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((key, service)) if !key.is_empty() && !service.is_empty() => {
            Ok((key.to_owned(), service.to_owned()))
        }
        _ => Err("expected KEY=SERVICE".to_owned()),
    }
}

/// What all requests share.
struct State {
    keys: Keys,
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    /// HTTP requests answered or being answered.
    requests: AtomicU64,
    /// Connections accepted.
    connections: AtomicU64,
    /// Only this machine can reach us, so a foreign `Host` is a web page's trick.
    loopback: bool,
    /// Becomes true when the receiver is to stop.
    stopping: watch::Receiver<bool>,
}

impl State {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until SIGTERM, SIGINT or Ctrl-C.
///
/// # Errors
/// The address cannot be listened on, or the file cannot be opened.
pub fn run(options: Options) -> io::Result<()> {
    let about = |what: &str, e: io::Error| io::Error::new(e.kind(), format!("{what}: {e}"));
    let file = options
        .ndjson
        .as_ref()
        .map(|path| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|e| about(&path.display().to_string(), e))
        })
        .transpose()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind(options.listen)
                .await
                .map_err(|e| about(&options.listen.to_string(), e))?;
            let address = listener.local_addr()?;
            // Before anybody is told where we are: a signal must find us listening.
            let stop = serve::stop_signal()?;
            announce(&options, address)?;
            let (stopping, stopped) = watch::channel(false);
            let state = State {
                store: Mutex::new(Store::new(options.max_records, file)),
                keys: Keys {
                    services: options.keys.into_iter().collect(),
                    users: options.user_keys.into_iter().collect(),
                },
                faults: Mutex::default(),
                requests: AtomicU64::new(0),
                connections: AtomicU64::new(0),
                loopback: address.ip().is_loopback(),
                stopping: stopped,
            };
            serve::serve(listener, state, stop, stopping).await;
            Ok(())
        })
}

fn announce(options: &Options, address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(
            out,
            "{}",
            serde_json::json!({ "url": format!("http://{address}") })
        )?;
    } else {
        let (key, service) = match options.keys.first() {
            Some((key, service)) => (key.as_str(), service.as_str()),
            None => ("any-key", "my-service"),
        };
        writeln!(out, "export MALTI_URL=http://{address}")?;
        writeln!(out, "export MALTI_API_KEY={}", quoted(key))?;
        writeln!(out, "export MALTI_SERVICE_NAME={}", quoted(service))?;
        writeln!(out, "\nWhat arrives is shown at http://{address}/")?;
    }
    out.flush()
}

/// `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_services() {
        let pair = |key: &str, service: &str| Ok((key.to_owned(), service.to_owned()));
        assert_eq!(key_and_service("k=s"), pair("k", "s"));
        assert_eq!(key_and_service("a2V5==s"), pair("a2V5=", "s"));
        for bad in ["", "k", "=s", "k="] {
            assert!(key_and_service(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shell_words() {
        assert_eq!(quoted("my-key_1="), "my-key_1=");
        assert_eq!(quoted("it's $5"), r"'it'\''s $5'");
    }
}
