//! Names to addresses, never longer than asked.
//!
//! `getaddrinfo` can hang for minutes and can't be cancelled. It runs on one detached thread, of which
//! there is never more than one, and whoever waits for it does so with a deadline.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an answer of the name service is used without asking again.
const FRESH: Duration = Duration::from_secs(60);
/// How long the name service may take while good addresses are at hand.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keeps `Instant` arithmetic far from overflow.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const STACK: usize = 256 * 1024;
/// The room that ureq has.
const MAX_ADDRESSES: usize = 16;

/// No address could be had.
#[derive(Debug)]
pub(super) struct LookupFailed(String);

impl fmt::Display for LookupFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LookupFailed {}

/// The one name that a transport has to resolve (the server's, or the proxy's), and what is known
/// of it. Shared by all rounds.
pub(super) struct Dns {
    host: String,
    port: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is used now.
    current: Vec<SocketAddr>,
    /// Until when `current` is used without asking.
    fresh_until: Option<Instant>,
    /// The last addresses that led to an answer.
    good: Vec<SocketAddr>,
    /// A lookup is under way.
    running: bool,
    /// Counts finished lookups, so that a waiter knows a new one.
    finished: u64,
    /// Why the last lookup failed.
    fault: Option<String>,
}

impl Dns {
    /// `known` are addresses that led to answers before; `first` uses them before asking: a forked
    /// child may find the C library's resolver locked for ever.
    pub(super) fn new(host: &str, port: u16, known: &[SocketAddr], first: bool) -> Arc<Self> {
        let mut state = State {
            good: known.to_vec(),
            ..State::default()
        };
        if first && !known.is_empty() {
            state.renew(known.to_vec());
        }
        Arc::new(Self {
            host: host.to_owned(),
            port,
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// The addresses in use have led to an answer.
    pub(super) fn confirm(&self) {
        let mut state = self.lock();
        if state.good != state.current && !state.current.is_empty() {
            state.good = state.current.clone();
        }
    }

    /// The addresses in use led nowhere: ask again next time.
    pub(super) fn distrust(&self) {
        self.lock().fresh_until = None;
    }

    /// The last addresses that led to an answer.
    pub(super) fn good(&self) -> Vec<SocketAddr> {
        self.lock().good.clone()
    }

    /// Makes waiters look at their `aborted` flag.
    pub(super) fn wake(&self) {
        let _state = self.lock();
        self.changed.notify_all();
    }

    fn addresses(
        self: &Arc<Self>,
        timeout: Duration,
        aborted: &AtomicBool,
    ) -> Result<Vec<SocketAddr>, LookupFailed> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let mut state = self.lock();
        if state
            .fresh_until
            .is_some_and(|until| Instant::now() < until)
        {
            return Ok(state.current.clone());
        }
        let timeout = timeout.min(if state.good.is_empty() {
            LONGEST
        } else {
            PATIENCE
        });
        let fault = match self.ask(&mut state) {
            Ok(()) => {
                let before = state.finished;
                let pending = |state: &mut State| {
                    state.finished == before && !aborted.load(Ordering::Acquire)
                };
                let waited = self.changed.wait_timeout_while(state, timeout, pending);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if state.finished == before {
                    Some(format!(
                        "no answer from the name service within {timeout:?}"
                    ))
                } else {
                    state.fault.clone()
                }
            }
            Err(fault) => Some(fault),
        };
        match fault {
            None => Ok(state.current.clone()),
            Some(_) if !state.good.is_empty() && !aborted.load(Ordering::Acquire) => {
                state.current = state.good.clone();
                Ok(state.current.clone())
            }
            Some(fault) => Err(LookupFailed(format!(
                "{} was not found: {fault}",
                self.host
            ))),
        }
    }

    /// Starts a lookup if none is under way.
    fn ask(self: &Arc<Self>, state: &mut State) -> Result<(), String> {
        if state.running {
            return Ok(());
        }
        let dns = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("malti-dns".to_owned())
            .stack_size(STACK)
            .spawn(move || dns.look_up());
        match thread {
            Ok(_detached) => {
                state.running = true;
                Ok(())
            }
            Err(error) => Err(format!("no thread for the lookup: {error}")),
        }
    }

    fn look_up(&self) {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let mut state = self.lock();
        state.running = false;
        state.finished += 1;
        state.fault = match found.map(Iterator::collect::<Vec<_>>) {
            Ok(addresses) if addresses.is_empty() => Some("it has no address".to_owned()),
            Ok(addresses) => {
                state.renew(addresses);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn renew(&mut self, addresses: Vec<SocketAddr>) {
        self.current = addresses;
        self.fresh_until = Some(Instant::now() + FRESH);
    }
}

/// One round's way to the shared [`Dns`], which ends when the round is aborted.
pub(super) struct RoundResolver {
    pub(super) dns: Arc<Dns>,
    pub(super) aborted: Arc<AtomicBool>,
}

impl Resolver for RoundResolver {
    /// `uri` is not looked at: a transport talks to one host only, and `dns` was made for it.
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self
            .dns
            .addresses(*timeout.after, &self.aborted)
            .map_err(|failed| ureq::Error::Other(Box::new(failed)))?;
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            resolved.push(address);
        }
        Ok(resolved)
    }
}

impl fmt::Debug for RoundResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoundResolver")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> Vec<SocketAddr> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn literals_need_no_lookup() {
        for (host, expected) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
            let dns = Dns::new(host, 80, &[], false);
            let found = dns
                .addresses(Duration::ZERO, &AtomicBool::new(false))
                .unwrap();
            assert_eq!(found, address(expected));
            assert_eq!(dns.lock().finished, 0);
        }
    }

    #[test]
    fn an_answer_is_used_again_until_it_is_distrusted() {
        let dns = Dns::new("localhost", 80, &[], false);
        let live = AtomicBool::new(false);
        let found = dns.addresses(LONGEST, &live).unwrap();
        assert!(
            found.iter().all(|address| address.ip().is_loopback()),
            "{found:?}"
        );
        assert_eq!(dns.addresses(LONGEST, &live).unwrap(), found);
        assert_eq!(dns.lock().finished, 1);
        dns.distrust();
        dns.addresses(LONGEST, &live).unwrap();
        assert_eq!(dns.lock().finished, 2);
    }

    #[test]
    fn good_addresses_stand_in_when_the_lookup_fails() {
        let known = address("127.0.0.9:80");
        let live = AtomicBool::new(false);
        let dns = Dns::new("name.invalid", 80, &known, false);
        assert_eq!(dns.addresses(LONGEST, &live).unwrap(), known);
        let unknown = Dns::new("name.invalid", 80, &[], false);
        let error = unknown.addresses(LONGEST, &live).unwrap_err().to_string();
        assert!(error.starts_with("name.invalid was not found: "), "{error}");
        assert!(unknown.good().is_empty());
    }

    #[test]
    fn a_forked_child_tries_the_known_addresses_first() {
        let known = address("127.0.0.9:80");
        let live = AtomicBool::new(false);
        let dns = Dns::new("localhost", 80, &known, true);
        assert_eq!(dns.addresses(LONGEST, &live).unwrap(), known);
        assert_eq!(dns.lock().finished, 0, "no lookup yet");
        dns.distrust();
        assert_ne!(dns.addresses(LONGEST, &live).unwrap(), known);
    }

    #[test]
    fn only_addresses_that_led_to_an_answer_are_good() {
        let dns = Dns::new("localhost", 80, &[], false);
        let found = dns.addresses(LONGEST, &AtomicBool::new(false)).unwrap();
        assert!(dns.good().is_empty());
        dns.confirm();
        assert_eq!(dns.good(), found);
    }

    /// A lookup that never ends, without a thread: `running` is all that a waiter sees of it.
    fn hanging(known: &[SocketAddr]) -> Arc<Dns> {
        let dns = Dns::new("localhost", 80, known, false);
        dns.lock().running = true;
        dns
    }

    #[test]
    fn a_hanging_lookup_is_left_in_time_and_not_started_twice() {
        let dns = hanging(&[]);
        let start = Instant::now();
        let live = AtomicBool::new(false);
        let error = dns
            .addresses(Duration::from_millis(50), &live)
            .unwrap_err()
            .to_string();
        assert!(error.contains("within 50ms"), "{error}");
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert_eq!(dns.lock().finished, 0);
        // Its answer, when it comes after all, serves the next who asks.
        dns.look_up();
        assert!(dns.addresses(Duration::ZERO, &live).is_ok());
    }

    #[test]
    fn a_hanging_lookup_gives_way_to_good_addresses() {
        let known = address("127.0.0.9:80");
        let dns = hanging(&known);
        let found = dns.addresses(Duration::from_millis(20), &AtomicBool::new(false));
        assert_eq!(found.unwrap(), known);
    }

    #[test]
    fn an_abort_ends_the_wait() {
        let dns = hanging(&address("127.0.0.9:80"));
        let aborted = Arc::new(AtomicBool::new(false));
        let (ours, flag) = (Arc::clone(&dns), Arc::clone(&aborted));
        let waiter = thread::spawn(move || ours.addresses(LONGEST, &flag).is_err());
        aborted.store(true, Ordering::Release);
        dns.wake();
        let start = Instant::now();
        assert!(
            waiter.join().unwrap(),
            "no address is handed out after an abort"
        );
        assert!(start.elapsed() < PATIENCE - SECOND);
    }
}
