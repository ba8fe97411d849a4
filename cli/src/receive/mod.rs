//! `malti receive`: a server that behaves like Malti's ingest API, keeps what it
//! gets and shows it. For trying things out and for tests, on one machine.

mod database;
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;

use database::{Database, Limits};
use faults::Faults;
use ingest::Keys;
use store::{Record, Store};

type Response = hyper::Response<Full<Bytes>>;

/// For the help.
pub const HELP: &str = "\
With --db a batch is answered 200 once it is synced to the disk: neither a kill nor a power cut loses it.
What can't be written is answered 503, so that clients keep it and try again. The file is for one receiver
at a time.

It runs until SIGINT or SIGTERM. Exit codes: 0 it was ended, 1 it can't listen or use a file, 2 wrong
arguments.";

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

    /// Keep records in this SQLite file, and show them again after a restart
    #[arg(long, value_name = "FILE", conflicts_with = "ndjson")]
    db: Option<PathBuf>,

    /// How many days the file keeps a record
    #[arg(long, value_name = "DAYS", requires = "db", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..))]
    db_keep: u32,

    /// How large the file may become, in MiB; the oldest records go first
    #[arg(long, value_name = "MIB", requires = "db", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..))]
    db_size: u32,

    /// How many records to keep in memory, which the page shows; the oldest go first
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
    store: Arc<Mutex<Store>>,
    /// Records come to the store by way of this, if there is one.
    database: Option<database::Handle>,
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
    /// Keeps the batch whole or not at all; the status and the reason if not.
    async fn keep(&self, batch: Vec<Record>) -> Result<(), (u16, String)> {
        match &self.database {
            // Clients try that again.
            Some(database) => database.add(batch).await.map_err(|fault| (503, fault)),
            None => self.store().add(batch).map_err(|e| (500, e.to_string())),
        }
    }

    async fn clear(&self) -> Result<(), String> {
        match &self.database {
            Some(database) => database.clear().await,
            None => {
                self.store().clear();
                Ok(())
            }
        }
    }

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
/// The address cannot be listened on, or a file cannot be opened.
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let listener = runtime
        .block_on(TcpListener::bind(options.listen))
        .map_err(|e| about(&options.listen.to_string(), e))?;
    let mut store = Store::new(options.max_records, file);
    let database = match &options.db {
        Some(path) => {
            let mut database = Database::open(path, limits(&options))?;
            database.replay(&mut store)?;
            Some(database)
        }
        None => None,
    };
    let store = Arc::new(Mutex::new(store));
    let writing = database
        .map(|database| database.start(Arc::clone(&store)))
        .transpose()?;
    let (database, writer) = writing.unzip();
    runtime.block_on(async {
        let address = listener.local_addr()?;
        // Before anybody is told where we are: a signal must find us listening.
        let stop = serve::stop_signal()?;
        announce(&options, address)?;
        let (stopping, stopped) = watch::channel(false);
        let state = State {
            store,
            database,
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
        io::Result::Ok(())
    })?;
    // With the last request goes the last handle of the database.
    drop(runtime);
    writer.map_or(Ok(()), |writer| {
        writer
            .join()
            .map_err(|_| io::Error::other("the database was not closed"))
    })
}

fn limits(options: &Options) -> Limits {
    Limits {
        age: Duration::from_secs(u64::from(options.db_keep) * 24 * 3600),
        bytes: u64::from(options.db_size) << 20,
    }
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
