//! The process-wide client behind the C ABI: who owns it, and what becomes of it at fork.
//!
//! All that is bound to one process hangs off two [`ForkCell`]s, which a child finds empty; only the settings, leaked
//! and immutable, reach it. The child's first call that needs a client builds a new one from them. What the parent
//! had in memory stays the parent's: the child touches none of its locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::client::{FlushError, WAIT_MAX};
use crate::config::Config;
use crate::consumer::Rules;
use crate::ledger::Stats;
use crate::log::{self, Level, Logger, Sink};
use crate::shell::Shell;
use crate::sys::{self, ForkCell, LeakCell};
use crate::transport::{Legacy, Origin};

/// The client that takes records; empty before init, after shutdown and while disabled.
static HOT: ForkCell<Shell> = ForkCell::new();
/// The same client, from the first init to the end of the process, for its last figures and log lines.
static SHELL: ForkCell<Shell> = ForkCell::new();
/// What an init left behind, until the last owner's shutdown. Leaked, so that children can read it.
static TENURE: LeakCell<Tenure> = LeakCell::new();
/// The tenure that was leaked last, and through it those before: used again by an init with the same settings, so that
/// cycles of init and shutdown don't grow.
static LAST: LeakCell<Tenure> = LeakCell::new();
/// A binding pulls log lines.
static PULLS: AtomicBool = AtomicBool::new(false);

pub(crate) struct Tenure {
    pub(crate) config: Arc<Config>,
    /// Who called, by these settings.
    pub(crate) rules: Rules,
    /// A bit for the length of each header's name that the rules read.
    read_lengths: u64,
    sink: Said,
    /// The process that was started; in any other one the client is a child's.
    pid: u32,
    legacy: Legacy,
    owners: AtomicU32,
    /// The one leaked before it: found again by a later init, and by tools that look for leaks.
    previous: Option<&'static Tenure>,
}

impl Tenure {
    /// Whether a header of this name can make a difference. Most are of a length that none of those has.
    pub(crate) fn reads(&self, name: &[u8]) -> bool {
        self.read_lengths & length_bit(name) != 0 && self.rules.reads(name)
    }
}

/// Names longer than 63 bytes share theirs with shorter ones.
fn length_bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

/// A function of the host that takes log lines, told from others by what the host gave.
#[derive(Clone)]
pub(crate) struct HostLog {
    pub(crate) callback: log::Callback,
    /// Addresses of the function and of its data.
    pub(crate) identity: (usize, usize),
}

impl PartialEq for HostLog {
    fn eq(&self, other: &HostLog) -> bool {
        self.identity == other.identity
    }
}

/// Where a tenure's log lines go.
#[derive(PartialEq)]
enum Said {
    OnStderr,
    Pulled,
    ToHost(HostLog),
}

impl Said {
    fn sink(&self) -> Sink {
        match self {
            Said::OnStderr => Sink::Stderr,
            Said::Pulled => Sink::Pull,
            Said::ToHost(host) => Sink::Callback(host.callback.clone()),
        }
    }
}

/// Why there is no client to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    NotRunning,
    Disabled,
}

/// What an init did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    New,
    Disabled,
    /// One more owner of a client that already runs.
    Shared,
}

/// Why an init failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InitError {
    /// Running, with another value of this key.
    Differs(&'static str),
    /// A file that the settings name can't be used.
    Unusable(String),
}

extern "C" fn in_forked_child() {
    HOT.reset();
    SHELL.reset();
    #[cfg(unix)]
    sys::close_inherited();
}

/// Before the first turn is taken: a child forked by another thread must not inherit it taken.
fn survive_fork() {
    static READY: AtomicBool = AtomicBool::new(false);
    // Set at the end, so that nobody goes on before it is done. Two who do it at once do no harm.
    if !READY.load(Ordering::Acquire) {
        sys::pin_image();
        HOT.protect();
        SHELL.protect();
        sys::on_fork_child(in_forked_child);
        READY.store(true, Ordering::Release);
    }
}

/// What the running (or disabled) client was started with.
pub(crate) fn tenure() -> Option<&'static Tenure> {
    TENURE.get()
}

/// Holds the right to begin or end a tenure, for short work only: no wait and no log line while one has it. A spinning
/// word, not a lock: it must not be inherited held.
struct Turn;

impl Turn {
    fn take() -> Turn {
        survive_fork();
        while SHELL
            .state
            .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            nap();
        }
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        SHELL.state.store(0, Ordering::Release);
    }
}

/// The last owner's shutdown is delivering; its shell can't be opened again before it is done.
struct Ending;

impl Ending {
    fn begin(_: &Turn) -> Ending {
        HOT.state.store(1, Ordering::Release);
        Ending
    }

    fn is_under_way() -> bool {
        HOT.state.load(Ordering::Acquire) != 0
    }

    /// Whether none is under way any more, before no time is left.
    fn wait(left: impl Fn() -> Duration) -> bool {
        while Ending::is_under_way() {
            if left().is_zero() {
                return false;
            }
            nap();
        }
        true
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        HOT.state.store(0, Ordering::Release);
    }
}

fn nap() {
    std::thread::sleep(Duration::from_micros(200));
}

/// The client that takes records: one load.
#[inline]
pub(crate) fn hot() -> Option<&'static Shell> {
    HOT.get()
}

/// The running client; in a forked child the first call builds it.
#[cold]
pub(crate) fn running() -> Result<&'static Shell, Absent> {
    if let Some(shell) = HOT.get() {
        return Ok(shell);
    }
    let Some(inherited) = tenure() else {
        return Err(Absent::NotRunning);
    };
    if !inherited.config.is_enabled() {
        return Err(Absent::Disabled);
    }
    let _turn = Turn::take();
    match (HOT.get(), tenure()) {
        (Some(shell), _) => Ok(shell),
        (None, Some(inherited)) => open(inherited).map_err(|_| Absent::NotRunning),
        (None, None) => Err(Absent::NotRunning),
    }
}

fn open(tenure: &'static Tenure) -> Result<&'static Shell, String> {
    let shell = SHELL.get().unwrap_or_else(|| {
        let shell: &'static Shell = Box::leak(Box::new(Shell::new()));
        SHELL.set(shell);
        shell
    });
    shell.open(
        tenure.config.clone(),
        Arc::new(Logger::new(tenure.config.log, tenure.sink.sink())),
        Origin {
            forked: tenure.pid != std::process::id(),
            legacy: Some(&tenure.legacy),
        },
    )?;
    if tenure.config.is_enabled() {
        HOT.set(shell);
    }
    Ok(shell)
}

/// Starts the client, or adds an owner to the one that runs with the same settings. Waits for a shutdown under way.
pub(crate) fn init(config: Config, callback: Option<HostLog>) -> Result<Started, InitError> {
    let turn = loop {
        let turn = Turn::take();
        if !Ending::is_under_way() {
            break turn;
        }
        drop(turn);
        nap();
    };
    if let Some(running) = tenure().filter(|t| t.config.is_enabled()) {
        if let Some(key) = running.config.difference(&config) {
            return Err(InitError::Differs(key));
        }
        running.owners.fetch_add(1, Ordering::AcqRel);
        return Ok(Started::Shared);
    }
    let started = if config.is_enabled() {
        Started::New
    } else {
        Started::Disabled
    };
    let sink = match callback {
        Some(host) => Said::ToHost(host),
        None if PULLS.load(Ordering::Acquire) => Said::Pulled,
        None => Said::OnStderr,
    };
    let pid = std::process::id();
    let same = std::iter::successors(LAST.get(), |t| t.previous)
        .find(|t| t.pid == pid && t.sink == sink && t.config.difference(&config).is_none());
    let tenure = same.unwrap_or_else(|| {
        let rules = config.rules();
        let names = rules.names();
        let leaked: &'static Tenure = Box::leak(Box::new(Tenure {
            config: Arc::new(config),
            rules,
            read_lengths: names
                .iter()
                .fold(0, |bits, name| bits | length_bit(name.as_bytes())),
            sink,
            pid,
            legacy: Legacy::new(),
            owners: AtomicU32::new(0),
            previous: LAST.get(),
        }));
        LAST.set(leaked);
        leaked
    });
    let before = SHELL.get().and_then(Shell::life);
    let shell = open(tenure).map_err(InitError::Unusable)?;
    tenure.owners.store(1, Ordering::Release);
    TENURE.set(tenure);
    drop(turn);
    // Nobody can pull these any more.
    if let Some(before) = before {
        before.log.drain();
    }
    shell.say_deferred();
    Ok(started)
}

/// Gives one ownership back. The last one ends the client; the others only flush.
pub(crate) fn shutdown(timeout: Duration) -> Result<bool, Absent> {
    release(timeout, timeout)
}

/// The same where an owner that is not the last waits for another time, `others`.
pub(crate) fn release(timeout: Duration, others: Duration) -> Result<bool, Absent> {
    let deadline = Instant::now() + timeout.min(WAIT_MAX);
    let left = || deadline.saturating_duration_since(Instant::now());
    let turn = Turn::take();
    let Some(running) = tenure() else {
        drop(turn);
        // Whoever calls this may end the process next: what another thread delivers just now deserves its time.
        Ending::wait(left);
        return Err(Absent::NotRunning);
    };
    if !running.config.is_enabled() {
        return Err(Absent::Disabled);
    }
    if running.owners.fetch_sub(1, Ordering::AcqRel) > 1 {
        let shell = hot();
        drop(turn);
        let until = Instant::now() + others.min(left());
        let left = || until.saturating_duration_since(Instant::now());
        return Ok(match shell.map(|shell| shell.flush(left())) {
            // The last owner ended it meanwhile, delivers for all, and tells what it lost.
            Some(Err(FlushError::NotRunning)) => Ending::wait(left),
            flushed => flushed.is_none_or(|flushed| flushed.is_ok()),
        });
    }
    TENURE.clear();
    let Some(shell) = HOT.get() else {
        return Ok(true);
    };
    HOT.clear();
    let ending = Ending::begin(&turn);
    drop(turn);
    let log = shell.shutdown(left());
    let all_settled = shell.stats().dropped_shutdown == 0;
    drop(ending);
    if let Some(log) = log {
        log.say_deferred();
    }
    Ok(all_settled)
}

/// The ledger of the running client, or of the one that ran last.
pub(crate) fn stats() -> Stats {
    let _ = running();
    SHELL.get().map_or_else(Stats::default, Shell::stats)
}

/// Says the log lines that nobody will pull any more.
pub(crate) fn say_log_lines() {
    if let Some(life) = SHELL.get().and_then(Shell::life) {
        life.log.drain();
    }
}

/// The oldest log line that nobody has pulled yet. Asking before init makes the client keep its lines for it.
pub(crate) fn next_log_line() -> Option<(Level, String)> {
    PULLS.store(true, Ordering::Release);
    SHELL.get()?.life()?.log.next()
}

/// Whether flush and shutdown are refused here.
pub(crate) fn in_log_callback() -> bool {
    log::in_callback()
}
