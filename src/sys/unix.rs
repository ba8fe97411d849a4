//! Unix: fork handlers, pinning by `dlopen`, signal masks, one `write(2)` a log line.

use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Runs `child` in the child process after each later fork.
pub(crate) fn on_fork_child(child: extern "C" fn()) {
    // SAFETY: the handler is a plain function of this image, which is never unloaded (`pin_image`).
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
}

/// Keeps this image loaded for ever: its threads and fork handlers outlive a `dlclose`. `-z nodelete` does not reach a
/// static archive inside somebody's plugin.
pub(crate) fn pin_image() {
    static PINNED: AtomicU32 = AtomicU32::new(0);
    if PINNED.swap(1, Ordering::AcqRel) != 0 {
        return;
    }
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: `info` is written where dladdr returns non-zero; `dli_fname` is then a C string. The handle that dlopen
    // returns is kept for ever on purpose; a null one (a static executable) needs nothing.
    unsafe {
        if libc::dladdr(pin_image as *const c_void, info.as_mut_ptr()) != 0 {
            let info = info.assume_init();
            if !info.dli_fname.is_null() && !CStr::from_ptr(info.dli_fname).is_empty() {
                libc::dlopen(
                    info.dli_fname,
                    libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
                );
            }
        }
    }
}

/// Whether the process is already being torn down: never to be asked on unix.
#[inline]
pub(crate) fn process_ending() -> bool {
    false
}

/// The signals of faults, which must not be blocked: a blocked one kills without a trace.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
];

/// Starts a detached thread that no signal of the host is ever delivered to.
pub(crate) fn spawn(
    name: &str,
    stack: usize,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are initialised by sigfillset and pthread_sigmask before they are read.
    unsafe {
        let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(blocked.as_mut_ptr());
        for fault in FAULTS {
            libc::sigdelset(blocked.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr());
    }
    // The mask is inherited at creation: there is no moment without it.
    let spawned = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack)
        .spawn(|| {
            yield_to_the_host();
            run();
        });
    // SAFETY: `before` was filled by pthread_sigmask above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    spawned.map(drop)
}

/// Sleeps for about so long. A thread of the host that is cancelled (`pthread_cancel`) must not end in here: it may hold
/// locks of ours, and the C library's unwinding aborts the process at the first frame of Rust that catches panics. So it
/// waits for what never comes, where `nanosleep` is a cancellation point.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn nap(time: Duration) {
    let nobody = Mutex::new(());
    if let Ok(held) = nobody.lock() {
        let _ = Condvar::new().wait_timeout(held, time);
    }
}

/// Sleeps for so long. Elsewhere std's condition variables allocate, and are cancellation points as well.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn nap(time: Duration) {
    std::thread::sleep(time);
}

/// Writes to standard error by itself: `std::io::stderr()` has a lock, which a forked child may inherit held. A reader
/// that has gone away must not end the host: SIGPIPE is blocked meanwhile and, if it is ours, taken.
///
/// A pipe that nobody reads must not hold the host up either: where the line finds no room, it is let go.
pub(crate) fn write_stderr(line: &[u8]) {
    let mut room = libc::pollfd {
        fd: 2,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one entry, writable.
    if unsafe { libc::poll(&mut room, 1, 0) } != 1 || room.revents & libc::POLLOUT == 0 {
        return;
    }
    // SAFETY: the sets are initialised before use; the buffer is valid for its length; descriptor 2 may be closed,
    // which is an error that nobody can be told of.
    unsafe {
        let mut pipe = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        let was_pending = sigpipe_pends();
        libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), before.as_mut_ptr());
        let written = libc::write(2, line.as_ptr().cast(), line.len());
        if written < 0 && !was_pending && sigpipe_pends() {
            let mut signal = 0;
            libc::sigwait(pipe.as_ptr(), &mut signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
}

/// This thread, when it wakes, preempts none of the host's: it takes its turn when one sleeps or has had its own. It gets
/// as much time as before, so that nobody waits long for a lock that it holds.
fn yield_to_the_host() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: both are written before they are read. Where it fails all is as it was.
    unsafe {
        let (mut policy, mut parameter) = (0, MaybeUninit::uninit());
        let this = libc::pthread_self();
        // A filter of system calls may kill whoever makes this one.
        if libc::prctl(libc::PR_GET_SECCOMP) == 0
            && libc::pthread_getschedparam(this, &mut policy, parameter.as_mut_ptr()) == 0
            && policy == libc::SCHED_OTHER
        {
            libc::pthread_setschedparam(this, libc::SCHED_BATCH, parameter.as_ptr());
        }
    }
}

fn sigpipe_pends() -> bool {
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigpending initialises the set before sigismember reads it.
    unsafe {
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
    }
}

/// Microseconds since 1970 UTC, at least 1: the exact time of a call since the last tick of the kernel (1 to 10 ms, most
/// often 4), which those until the next tick share. The exact clock costs as much as all else that a record does,
/// the tick's a sixth of it. What `SystemTime` adds to the call costs more than the call.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
pub(crate) fn now_us() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    const TICK_MAX_US: i64 = 10_000;
    static EXACT: AtomicI64 = AtomicI64::new(0);

    let (exact, tick) = (
        EXACT.load(Ordering::Relaxed),
        wall_us(libc::CLOCK_REALTIME_COARSE),
    );
    // A tick after `exact` was read would be later than it; far earlier: the clock was set back.
    if (tick..tick + TICK_MAX_US).contains(&exact) {
        return exact;
    }
    let exact = wall_us(libc::CLOCK_REALTIME);
    EXACT.store(exact, Ordering::Relaxed);
    exact
}

/// Microseconds since 1970 UTC, at least 1. What `SystemTime` adds to the call costs more than the call.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
pub(crate) fn now_us() -> i64 {
    wall_us(libc::CLOCK_REALTIME)
}

#[inline]
fn wall_us(of: libc::clockid_t) -> i64 {
    let now = clock(of);
    #[allow(clippy::unnecessary_cast)] // Both are 32 bits wide on some targets.
    let us = now.tv_sec as i64 * 1_000_000 + i64::from(now.tv_nsec as u32 / 1_000);
    us.max(1)
}

/// Nanoseconds since some moment before; what `Instant` adds to the call costs twice the call.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock(libc::CLOCK_MONOTONIC);
    now.tv_sec as u64 * 1_000_000_000 + u64::from(now.tv_nsec as u32)
}

#[inline]
fn clock(clock: libc::clockid_t) -> libc::timespec {
    let mut now = MaybeUninit::uninit();
    // SAFETY: `now` is writable and then written: the clocks above are always there.
    unsafe {
        libc::clock_gettime(clock, now.as_mut_ptr());
        now.assume_init()
    }
}

/// Length of a NUL-terminated string, at most `most`.
///
/// # Safety
/// `text` is readable up to its NUL or for `most` bytes.
#[inline]
pub(crate) unsafe fn strnlen(text: *const c_char, most: usize) -> usize {
    // SAFETY: by the caller's promise.
    unsafe { libc::strnlen(text, most) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_thread_of_ours_preempts_none_of_the_hosts() {
        let (said, heard) = std::sync::mpsc::channel();
        let ask = move || {
            let (mut policy, mut parameter) = (0, libc::sched_param { sched_priority: 0 });
            // SAFETY: asks about the calling thread; both can be written.
            let filtered = unsafe {
                libc::pthread_getschedparam(libc::pthread_self(), &mut policy, &mut parameter);
                libc::prctl(libc::PR_GET_SECCOMP) != 0
            };
            said.send((policy, filtered)).unwrap();
        };
        super::spawn("asked", 1 << 16, ask).unwrap();
        let (policy, filtered) = heard.recv().unwrap();
        assert_eq!(policy == libc::SCHED_BATCH, !filtered);
    }
}
