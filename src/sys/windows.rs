//! Windows: no fork, no signals; pinning by the module's own address.

use std::ffi::c_char;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

#[link(name = "ntdll")]
unsafe extern "system" {
    fn RtlDllShutdownInProgress() -> u8;
}

/// There is no fork.
pub(crate) fn on_fork_child(_child: extern "C" fn()) {}

/// Keeps this image loaded for ever: its threads outlive a `FreeLibrary`.
pub(crate) fn pin_image() {
    static PINNED: AtomicU32 = AtomicU32::new(0);
    if PINNED.swap(1, Ordering::AcqRel) == 0 {
        let mut module = std::ptr::null_mut();
        let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
        // SAFETY: with FROM_ADDRESS the second argument is any address inside the image.
        unsafe { GetModuleHandleExW(flags, pin_image as *const u16, &mut module) };
    }
}

/// Whether the process is already being torn down: its other threads are gone, and locks may be held for ever.
pub(crate) fn process_ending() -> bool {
    // SAFETY: no arguments; may be called at any time.
    unsafe { RtlDllShutdownInProgress() != 0 }
}

/// Starts a detached thread.
pub(crate) fn spawn(
    name: &str,
    stack: usize,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack)
        .spawn(run)
        .map(drop)
}

/// Writes to standard error.
pub(crate) fn write_stderr(line: &[u8]) {
    use std::io::Write;
    let _ = io::stderr().write_all(line);
}

pub(crate) fn nap(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Microseconds since 1970 UTC, at least 1.
pub(crate) fn now_us() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |since| since.as_micros() as i64)
}

/// Nanoseconds since the first call.
pub(crate) fn monotonic_ns() -> u64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Length of a NUL-terminated string, at most `most`.
///
/// # Safety
/// `text` is readable up to its NUL or for `most` bytes.
#[inline]
pub(crate) unsafe fn strnlen(text: *const c_char, most: usize) -> usize {
    // SAFETY: by the caller's promise; nothing behind the NUL is read.
    (0..most)
        .find(|i| unsafe { *text.add(*i) } == 0)
        .unwrap_or(most)
}
