//! The library's client, fed no faster than it delivers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use malti::log::{Logger, Sink};
use malti::{Client, Config, FlushError, Record, Recorded, State, Stats};

use super::entry::Entry;
use super::progress::Progress;

/// A client for each service and node that records name.
const CLIENTS_MAX: usize = 64;
/// Records between two looks at how many wait.
const LOOK_EVERY: u64 = 256;
const PAUSE: Duration = Duration::from_millis(2);

/// Why it ends before the input does.
pub enum Halt {
    /// Why the input was not read to its end.
    Unread(String),
    /// By a second signal.
    Interrupted,
    /// The settings must be mended first.
    Refused(String),
    /// Nothing was delivered for too long.
    Unreachable(String),
    TooMany,
    Start(String),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(why) => write!(f, "the input was not read to its end: {why}"),
            Self::Interrupted => f.write_str("interrupted: not all that was read was delivered"),
            Self::Refused(why) => write!(f, "the server refuses: {why}; `malti check` says more"),
            Self::Unreachable(why) => write!(f, "nothing was delivered any more: {why}"),
            Self::TooMany => write!(f, "more than {CLIENTS_MAX} services and nodes in one input"),
            Self::Start(why) => f.write_str(why),
        }
    }
}

/// What became of the records.
#[derive(Default)]
pub struct Ledger {
    pub recorded: u64,
    pub sent: u64,
    pub filtered: u64,
    pub invalid: u64,
    pub rejected: u64,
}

impl Ledger {
    fn add(&mut self, stats: &Stats) {
        // What a durable buffer had is delivered too.
        self.recorded += stats.recorded + stats.adopted;
        self.sent += stats.sent;
        self.filtered += stats.filtered;
        self.invalid += stats.invalid;
        self.rejected += stats.dropped_rejected;
    }
}

pub struct Delivery<'a> {
    config: Config,
    /// Over what records say.
    service_is_set: bool,
    clients: HashMap<(String, String), Client>,
    /// What clients have said of the settings, which are nearly the same for all of them.
    warned: Vec<String>,
    give_up: Duration,
    signals: &'a AtomicUsize,
    progress: &'a Progress,
    until_look: u64,
    /// The most that may wait in one client: less than its buffer, so that none is ever dropped.
    waiting_max: u64,
}

impl<'a> Delivery<'a> {
    pub fn new(
        config: &Config,
        follow: bool,
        give_up: Duration,
        signals: &'a AtomicUsize,
        progress: &'a Progress,
    ) -> Self {
        let mut config = config.clone();
        // For a flood instead of a trickle, where nothing else was asked for.
        tune(&mut config, "overflow_threshold_percent", "20");
        tune(&mut config, "buffer_bytes", "268435456");
        tune(&mut config, "max_connections", "4");
        tune(
            &mut config,
            "batch_interval",
            if follow { "1" } else { "60" },
        );
        let number = |key| {
            config
                .get(key)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
        };
        let buffer = number("buffer_size").unwrap_or(1);
        Self {
            service_is_set: !has_default(&config, "service_name"),
            config,
            clients: HashMap::new(),
            warned: Vec::new(),
            give_up,
            signals,
            progress,
            until_look: 0,
            waiting_max: (buffer / 2).max(1),
        }
    }

    /// # Errors
    /// It makes no sense to go on.
    pub fn record(&mut self, entry: &Entry<'_>) -> Result<(), Halt> {
        if self.until_look == 0 {
            self.until_look = LOOK_EVERY.min(self.waiting_max / 2).max(1);
            self.wait_for_room()?;
        }
        self.until_look -= 1;
        let client = self.client(entry)?;
        let recorded = client.record(&Record {
            method: &entry.method,
            endpoint: &entry.path,
            status: entry.status,
            response_time: entry.response_time,
            consumer: entry.consumer.as_deref(),
            context: entry.context.as_deref(),
            created_at: entry.created_at,
        });
        match recorded {
            Recorded::Kept | Recorded::Filtered | Recorded::Invalid(_) => Ok(()),
            other => Err(Halt::Start(format!(
                "the client takes no records: {other:?}"
            ))),
        }
    }

    fn client(&mut self, entry: &Entry<'_>) -> Result<&Client, Halt> {
        let service = match &entry.service {
            Some(service) if !self.service_is_set => service,
            _ => "",
        };
        let key = (
            service.to_owned(),
            entry.node.as_deref().unwrap_or_default().to_owned(),
        );
        if !self.clients.contains_key(&key) {
            if self.clients.len() >= CLIENTS_MAX {
                return Err(Halt::TooMany);
            }
            let mut config = self.config.clone();
            for (name, value) in [("service_name", &key.0), ("node", &key.1)] {
                if !value.is_empty() {
                    config
                        .set(name, value)
                        .map_err(|error| Halt::Start(error.to_string()))?;
                }
            }
            let progress = self.progress.clone();
            let warned = self.warned.clone();
            self.warned.extend(config.startup_warnings());
            let say = move |_, line: &str| {
                // What was not delivered is in the ledger at the end.
                let is_ledger = line.starts_with("records not delivered before shutdown");
                if !is_ledger && warned.iter().all(|warning| warning != line) {
                    progress.say(line);
                }
            };
            let level = config.get("log").ok().and_then(|level| level.parse().ok());
            let logger = Logger::new(
                level.unwrap_or(malti::log::Level::Warn),
                Sink::Callback(Arc::new(say)),
            );
            let client = Client::start_with(config, logger).map_err(Halt::Start)?;
            self.clients.insert(key.clone(), client);
        }
        self.clients.get(&key).ok_or(Halt::TooMany)
    }

    /// Until each client has as little waiting as it may.
    fn wait_for_room(&self) -> Result<(), Halt> {
        for client in self.clients.values() {
            let mut stats = client.stats();
            let (mut sent, mut since) = (stats.sent, Instant::now());
            while stats.buffered + stats.in_flight > self.waiting_max {
                self.hopeful(&stats, &mut sent, &mut since)?;
                thread::sleep(PAUSE);
                stats = client.stats();
            }
        }
        self.show();
        Ok(())
    }

    /// Whether it makes sense to wait on.
    fn hopeful(&self, stats: &Stats, sent: &mut u64, since: &mut Instant) -> Result<(), Halt> {
        if self.signals.load(Ordering::Acquire) > 1 {
            return Err(Halt::Interrupted);
        }
        let why = || stats.last_error.clone().unwrap_or_default();
        if stats.state == State::Misconfigured {
            return Err(Halt::Refused(why()));
        }
        if stats.sent + stats.dropped_rejected != *sent {
            (*sent, *since) = (stats.sent + stats.dropped_rejected, Instant::now());
        } else if since.elapsed() > self.give_up {
            return Err(Halt::Unreachable(why()));
        }
        Ok(())
    }

    fn show(&self) {
        let (mut sent, mut waiting) = (0, 0);
        for client in self.clients.values() {
            let stats = client.stats();
            sent += stats.sent;
            waiting += stats.buffered + stats.in_flight;
        }
        self.progress.delivered(sent, waiting);
    }

    /// Now and then, also while there is nothing to record: whether to read on.
    pub fn tick(&self) -> bool {
        self.show();
        self.signals.load(Ordering::Acquire) == 0
    }

    /// Waits until all is delivered, also after the signal that ends the reading.
    ///
    /// # Errors
    /// It makes no sense to wait on.
    pub fn settle(&self) -> Result<(), Halt> {
        for client in self.clients.values() {
            let (mut sent, mut since) = (0, Instant::now());
            while let Err(error) = client.flush(Duration::from_millis(100)) {
                self.show();
                let stats = client.stats();
                self.hopeful(&stats, &mut sent, &mut since)?;
                if error != FlushError::TimedOut {
                    return Err(Halt::Refused(
                        stats.last_error.unwrap_or_else(|| error.to_string()),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Stops at once: what was to be waited for is delivered.
    pub fn close(self) -> Ledger {
        let mut ledger = Ledger::default();
        for client in self.clients.into_values() {
            ledger.add(&client.shutdown(Duration::ZERO));
        }
        ledger
    }
}

/// Sets what still has its default, and not because its variable could not be used: then the default is
/// what was announced.
fn tune(config: &mut Config, key: &str, value: &str) {
    let announced = format!("MALTI_{}:", key.to_ascii_uppercase());
    let is_announced = config
        .environment_faults()
        .any(|fault| fault.starts_with(&announced));
    if has_default(config, key) && !is_announced {
        // Both are ours, and known to fit.
        let _ = config.set(key, value);
    }
}

fn has_default(config: &Config, key: &str) -> bool {
    let known = Config::keys().find(|known| known.name == key);
    config.get(key).ok().as_deref() == known.map(|known| known.default)
}
