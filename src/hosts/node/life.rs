//! An environment (the main thread, each worker), and the owners of the client that it has.

use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use napi_sys as napi;

use super::values::{Env, Outcome, done};
use crate::capi::{self, status};
use crate::process;

/// When the process ends at the latest, once its main thread has said that it does: workers that end with it have the
/// time that is left of that.
static ENDS: OnceLock<Instant> = OnceLock::new();

/// How many environments pull log lines.
static PULLING: AtomicU32 = AtomicU32::new(0);

/// An environment, from the module's registration there to its clean-up hook.
pub(super) struct Life {
    owners: AtomicU32,
    pulls: AtomicBool,
}

impl Life {
    /// Begins with the environment, and is freed when that ends.
    pub(super) fn begin(env: Env) -> Outcome<*mut Life> {
        let life = Box::into_raw(Box::new(Life {
            owners: AtomicU32::new(0),
            pulls: AtomicBool::new(false),
        }));
        // SAFETY: the hook is a function of this image, which is never unloaded, and frees `life`.
        let hooked =
            done(unsafe { napi::napi_add_env_cleanup_hook(env, Some(clean_up), life.cast()) });
        if let Err(fault) = hooked {
            // SAFETY: nobody else has it.
            drop(unsafe { Box::from_raw(life) });
            return Err(fault);
        }
        Ok(life)
    }

    /// One more owner of the client is this environment's.
    pub(super) fn own(&self) {
        self.owners.fetch_add(1, Ordering::AcqRel);
    }

    /// This environment asks for log lines.
    pub(super) fn pull(&self) {
        if !self.pulls.swap(true, Ordering::AcqRel) {
            PULLING.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Gives back the owners, and says how the last one's end went. `others`: how long it waits where the client has
    /// owners elsewhere.
    pub(super) fn leave(&self, timeout: Duration, others: Duration) -> i32 {
        let mut code = status::MALTI_NOT_RUNNING;
        for left in (0..self.owners.swap(0, Ordering::AcqRel)).rev() {
            let others = if left == 0 { others } else { Duration::ZERO };
            code = match process::release(timeout, others) {
                Ok(true) => status::MALTI_OK,
                Ok(false) => status::MALTI_ERR_TIMED_OUT,
                Err(absent) => absent.into(),
            };
        }
        code
    }

    /// The same within `shutdown_timeout`, since the process ends.
    pub(super) fn exit(&self) -> i32 {
        let timeout = end_timeout();
        ENDS.get_or_init(|| Instant::now() + timeout);
        self.leave(timeout, timeout)
    }
}

/// The time that an end may take.
fn end_timeout() -> Duration {
    let timeout = process::tenure().map_or(Duration::ZERO, |t| t.config.shutdown_timeout);
    match ENDS.get() {
        Some(end) => end.saturating_duration_since(Instant::now()).min(timeout),
        None => timeout,
    }
}

/// The environment ends: a worker without waiting for what others go on with.
unsafe extern "C" fn clean_up(life: *mut c_void) {
    capi::guard((), || {
        // SAFETY: made by `begin`, and given to nobody else to free.
        let life = unsafe { Box::from_raw(life.cast::<Life>()) };
        life.leave(end_timeout(), Duration::ZERO);
        if life.pulls.into_inner() {
            PULLING.fetch_sub(1, Ordering::AcqRel);
        }
        // A worker that had the only logger may have been terminated: nobody else asks for what waits.
        if PULLING.load(Ordering::Acquire) == 0 {
            process::say_log_lines();
        }
    });
}
