//! The statuses, and what they are called. Never renumbered; new ones are added.

use std::ffi::c_char;

use super::guard;
use crate::process::Absent;

/// The version of the binary interface, major << 16 | minor, that this header describes; malti_abi_version tells the
/// library's.
pub const MALTI_ABI_VERSION: u32 = 0x1_0000;
/// Done.
pub const MALTI_OK: i32 = 0;
/// Not recorded, and rightly so: clean mode or `exclude_endpoints` leaves it out.
pub const MALTI_IGNORED: i32 = 1;
/// The client is switched off, or has no API key.
pub const MALTI_DISABLED: i32 = 2;
/// One more owner of the client that already runs with the same settings.
pub const MALTI_ALREADY_RUNNING: i32 = 3;
/// Before `malti_init`, or after the last owner's `malti_shutdown`.
pub const MALTI_NOT_RUNNING: i32 = 4;
/// An argument can't be used: NULL where a value is needed, a status outside 100–999, ...
pub const MALTI_ERR_INVALID_ARGUMENT: i32 = -1;
/// No configuration key has this name.
pub const MALTI_ERR_UNKNOWN_KEY: i32 = -2;
/// A configuration value that its key does not accept.
pub const MALTI_ERR_INVALID_VALUE: i32 = -3;
/// There is no running client whose configuration could be used.
pub const MALTI_ERR_NOT_INITIALIZED: i32 = -4;
/// The client runs with other settings; nothing was changed.
pub const MALTI_ERR_ALREADY_INITIALIZED: i32 = -5;
/// The time was up.
pub const MALTI_ERR_TIMED_OUT: i32 = -6;
/// The server refuses this key, service or address; the records are kept.
pub const MALTI_ERR_REJECTED: i32 = -7;
/// No memory; the record was not kept.
pub const MALTI_ERR_NO_MEMORY: i32 = -8;
/// No thread could be started to send; the records are kept.
pub const MALTI_ERR_NO_THREAD: i32 = -9;
/// Not allowed inside the log callback.
pub const MALTI_ERR_WOULD_DEADLOCK: i32 = -10;
/// A fault inside libmalti, contained; please report it.
pub const MALTI_ERR_PANIC: i32 = -11;

impl From<Absent> for i32 {
    fn from(absent: Absent) -> i32 {
        match absent {
            Absent::NotRunning => MALTI_NOT_RUNNING,
            Absent::Disabled => MALTI_DISABLED,
        }
    }
}

/// What a status means, in a few words. Static text, never NULL, also for a number that is no status.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn malti_status_str(status: i32) -> *const c_char {
    guard(c"error inside libmalti".as_ptr(), || {
        let text = match status {
            MALTI_OK => c"ok",
            MALTI_IGNORED => c"left out by clean mode or exclude_endpoints",
            MALTI_DISABLED => c"disabled: switched off, or no API key",
            MALTI_ALREADY_RUNNING => c"already running with the same settings: one more owner",
            MALTI_NOT_RUNNING => c"not running: before malti_init or after malti_shutdown",
            MALTI_ERR_INVALID_ARGUMENT => c"invalid argument",
            MALTI_ERR_UNKNOWN_KEY => c"unknown configuration key",
            MALTI_ERR_INVALID_VALUE => c"invalid configuration value",
            MALTI_ERR_NOT_INITIALIZED => c"no running client",
            MALTI_ERR_ALREADY_INITIALIZED => c"already running with other settings",
            MALTI_ERR_TIMED_OUT => c"timed out",
            MALTI_ERR_REJECTED => c"rejected: the server refuses this key, service or address",
            MALTI_ERR_NO_MEMORY => c"no memory",
            MALTI_ERR_NO_THREAD => c"no thread could be started",
            MALTI_ERR_WOULD_DEADLOCK => c"not allowed inside the log callback",
            MALTI_ERR_PANIC => c"error inside libmalti",
            _ => c"unknown status",
        };
        text.as_ptr()
    })
}

/// The library's version, such as "0.1.0". Static text. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn malti_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the binary interface: major << 16 | minor. A binding needs the same major number and at least the
/// minor number that it was made for, and checks it when it loads the library. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn malti_abi_version() -> u32 {
    MALTI_ABI_VERSION
}
