//! Init, flush, shutdown, log lines.

use std::borrow::Cow;
use std::ffi::c_char;
use std::time::Duration;

use super::config::malti_config;
use super::guard;
use super::status::*;
use super::text::put;
use crate::client::FlushError;
use crate::config::Config;
use crate::process::{self, HostLog, InitError, Started};
use crate::shell::Shell;

/// Starts the process-wide client with a copy of `config` (NULL: the environment alone). Returns at once: no network
/// I/O, and no thread before the first record.
///
/// MALTI_OK. MALTI_DISABLED: switched off, or no API key (a warning is logged); nothing will be recorded, and a later
/// malti_init with other settings may start it. MALTI_ALREADY_RUNNING: it runs with the same settings and has one more
/// owner. MALTI_ERR_ALREADY_INITIALIZED: it runs with other settings; nothing changed, and the message names the first
/// key that differs. MALTI_ERR_INVALID_VALUE: a file that the settings name can't be used, or `proxy`, `api_key` or
/// `binding` can't be sent as they are.
///
/// MALTI_ERR_WOULD_DEADLOCK: called inside the log callback; nothing done.
///
/// Each MALTI_OK and MALTI_ALREADY_RUNNING is to be paired with one malti_shutdown. A child that is forked later has a
/// client of its own, with the same settings and owners and an empty buffer. While another thread's malti_shutdown
/// delivers, it waits for that. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_init(
    config: *const malti_config,
    errbuf: *mut c_char,
    errbuf_len: usize,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        let explain = |status: i32, why: &str| {
            // SAFETY: errbuf is NULL or has errbuf_len writable bytes.
            unsafe { put(why, errbuf, errbuf_len) };
            status
        };
        if process::in_log_callback() {
            return explain(
                MALTI_ERR_WOULD_DEADLOCK,
                "not allowed inside the log callback",
            );
        }
        // SAFETY: by contract NULL, or made by malti_config_new and used by this thread alone.
        let (settings, callback) = match unsafe { config.as_ref() } {
            Some(config) => (config.config.clone(), config.callback.clone()),
            None => (Config::from_env(), None),
        };
        let (status, why) = start(settings, callback);
        explain(status, &why)
    })
}

/// Begins the process-wide client: the status, and where it is an error what is wrong.
pub(crate) fn start(settings: Config, callback: Option<HostLog>) -> (i32, Cow<'static, str>) {
    match process::init(settings, callback) {
        Ok(Started::New) => (MALTI_OK, "".into()),
        Ok(Started::Shared) => (MALTI_ALREADY_RUNNING, "".into()),
        Ok(Started::Disabled) => (
            MALTI_DISABLED,
            "no api_key, or enabled is false: nothing is recorded".into(),
        ),
        Err(InitError::Differs(key)) => (
            MALTI_ERR_ALREADY_INITIALIZED,
            format!("already running with another {key}").into(),
        ),
        Err(InitError::Unusable(why)) => (MALTI_ERR_INVALID_VALUE, why.into()),
    }
}

fn status_of(flushed: Result<(), FlushError>) -> i32 {
    match flushed {
        Ok(()) => MALTI_OK,
        Err(FlushError::TimedOut) => MALTI_ERR_TIMED_OUT,
        Err(FlushError::Rejected) => MALTI_ERR_REJECTED,
        Err(FlushError::NoThread) => MALTI_ERR_NO_THREAD,
        Err(FlushError::WouldDeadlock) => MALTI_ERR_WOULD_DEADLOCK,
        Err(FlushError::NotRunning) => MALTI_NOT_RUNNING,
    }
}

/// The client to wait for, or the answer where there is none to wait for.
fn running() -> Result<&'static Shell, i32> {
    if process::in_log_callback() {
        return Err(MALTI_ERR_WOULD_DEADLOCK);
    }
    process::running().map_err(i32::from)
}

fn millis(timeout_ms: u32) -> Duration {
    Duration::from_millis(u64::from(timeout_ms))
}

/// Waits until everything recorded before the call is delivered or counted, at most `timeout_ms` milliseconds (0: does
/// not wait; more than an hour counts as one). Tries at once, also while the sender pauses after a fault.
///
/// MALTI_OK. MALTI_ERR_TIMED_OUT: delivery goes on. MALTI_ERR_REJECTED: the server refuses this key, service or
/// address. MALTI_ERR_NO_THREAD. MALTI_ERR_WOULD_DEADLOCK: called inside the log callback. Nothing is lost by any of
/// them. MALTI_NOT_RUNNING, MALTI_DISABLED: nothing to do. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn malti_flush(timeout_ms: u32) -> i32 {
    guard(MALTI_ERR_PANIC, || match running() {
        Ok(shell) => status_of(shell.flush(millis(timeout_ms))),
        Err(status) => status,
    })
}

/// The first half of malti_flush, for event loops: marks what is recorded so far, wakes the sender, and returns at
/// once. `ticket` takes what malti_flush_wait wants. MALTI_ERR_INVALID_ARGUMENT: `ticket` is NULL; else as malti_flush.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_flush_begin(ticket: *mut u64) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        let shell = match running() {
            Ok(shell) => shell,
            Err(status) => return status,
        };
        // SAFETY: by contract NULL or writable.
        let Some(ticket) = (unsafe { ticket.as_mut() }) else {
            return MALTI_ERR_INVALID_ARGUMENT;
        };
        match shell.flush_begin() {
            Ok(mark) => {
                *ticket = mark;
                MALTI_OK
            }
            Err(error) => status_of(Err(error)),
        }
    })
}

/// The second half: waits for the mark that `ticket` stands for, at most `timeout_ms` milliseconds; 0 only looks, and
/// answers MALTI_ERR_TIMED_OUT while there is more to do. Answers as malti_flush. A ticket may be asked for often, by
/// any thread.
#[unsafe(no_mangle)]
pub extern "C" fn malti_flush_wait(ticket: u64, timeout_ms: u32) -> i32 {
    guard(MALTI_ERR_PANIC, || match running() {
        Ok(shell) => status_of(shell.flush_wait(ticket, millis(timeout_ms))),
        Err(status) => status,
    })
}

/// Gives one ownership of the client back. The last owner's call delivers what it can within `timeout_ms` milliseconds
/// (0: does not wait; more than an hour counts as one), aborts a request that is still under way, and stops the
/// client; an earlier owner's call only flushes. Returns by its deadline, always. Where the server refuses connections
/// it gives up at once. malti_init may follow.
///
/// MALTI_OK: everything was delivered or had been counted. MALTI_ERR_TIMED_OUT: stopped all the same, but some records
/// were not confirmed; they are counted `dropped_shutdown`, and one log line gives the ledger. From an earlier owner's
/// call it means that the flush did not end in time: nothing is lost by it, delivery goes on.
/// MALTI_NOT_RUNNING, MALTI_DISABLED: nothing to do. MALTI_ERR_WOULD_DEADLOCK: called inside the log callback; nothing
/// done. Any thread; not in a signal handler. A C host calls it before it ends: the library has no exit hook, and a main
/// thread that ends by pthread_exit leaves the thread "malti-sender" behind, which keeps the process alive.
#[unsafe(no_mangle)]
pub extern "C" fn malti_shutdown(timeout_ms: u32) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        if process::in_log_callback() {
            return MALTI_ERR_WOULD_DEADLOCK;
        }
        match process::shutdown(millis(timeout_ms)) {
            Ok(true) => MALTI_OK,
            Ok(false) => MALTI_ERR_TIMED_OUT,
            Err(absent) => absent.into(),
        }
    })
}

/// Takes the oldest log line that waits: its text to `out` (as snprintf does: the length needed comes back, `out` is
/// always terminated) and its level (1 error, 2 warn, 3 info, 4 debug) to `level` where that is not NULL. 0: none
/// waits. Called once before malti_init, it makes the client keep its last 64 lines for this function instead of
/// writing them to standard error. What the shutdown says can still be taken after it; what nobody took goes to
/// standard error at the next malti_init. `out` should hold 4096 bytes: a cut line is not given twice. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_log_next(level: *mut i32, out: *mut c_char, out_len: usize) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        let Some((grade, line)) = process::next_log_line() else {
            // SAFETY: out is NULL or has out_len writable bytes.
            return unsafe { put("", out, out_len) };
        };
        // SAFETY: by contract NULL or writable.
        if let Some(level) = unsafe { level.as_mut() } {
            *level = grade as i32;
        }
        // SAFETY: out is NULL or has out_len writable bytes.
        unsafe { put(&line, out, out_len) }
    })
}
