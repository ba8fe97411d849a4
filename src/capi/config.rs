//! Settings: an opaque object with string keys.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use super::guard;
use super::status::*;
use super::text::put;
use crate::config::{Config, ConfigError};
use crate::log::Level;
use crate::process::{self, HostLog};

/// Settings for malti_init: opaque, with string keys. Used by one thread at a time.
pub struct malti_config {
    pub(super) config: Config,
    pub(super) callback: Option<HostLog>,
}

/// Takes a log line: `level` is 1 error, 2 warn, 3 info, 4 debug; `line` is NUL-terminated UTF-8 without a line end, valid
/// during the call; `userdata` is what malti_config_set_log was given. Runs on the thread "malti-sender" or inside
/// malti_init, malti_flush* and malti_shutdown, never inside malti_record*, with no lock held; on several threads at once
/// where several have something to say. Inside it only malti_record*, malti_stats_* and malti_version are allowed; init,
/// flush and shutdown answer MALTI_ERR_WOULD_DEADLOCK.
pub type malti_log_fn =
    Option<unsafe extern "C" fn(level: i32, line: *const c_char, userdata: *mut c_void)>;

/// New settings: the defaults, then what the environment says (MALTI_BATCH_SIZE for the key batch_size, and so on; the
/// proxy and certificate variables too). The environment is read here and never again. A bad value in it is no error:
/// the default holds, and malti_init logs a warning. Free it with malti_config_free. NULL: an internal fault, and
/// nothing else. Any thread, but like every reader of the environment not while another thread changes it.
#[unsafe(no_mangle)]
pub extern "C" fn malti_config_new() -> *mut malti_config {
    guard(std::ptr::null_mut(), || {
        Box::into_raw(Box::new(malti_config {
            config: Config::from_env(),
            callback: None,
        }))
    })
}

/// Sets one key, such as "batch_size", to a value in text form, such as "500". Both are copied.
///
/// MALTI_OK, or MALTI_ERR_UNKNOWN_KEY (the message names the nearest key), MALTI_ERR_INVALID_VALUE (the message names
/// key, value and what is accepted), MALTI_ERR_INVALID_ARGUMENT (NULL). After an error nothing has changed. The message
/// goes to `errbuf` (`errbuf_len` bytes, cut, always terminated; NULL and 0 are allowed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_config_set(
    config: *mut malti_config,
    key: *const c_char,
    value: *const c_char,
    errbuf: *mut c_char,
    errbuf_len: usize,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        let explain = |status: i32, why: &str| {
            // SAFETY: errbuf is NULL or has errbuf_len writable bytes.
            unsafe { put(why, errbuf, errbuf_len) };
            status
        };
        // SAFETY: by contract NULL, or made by malti_config_new and used by this thread alone.
        let Some(config) = (unsafe { config.as_mut() }) else {
            return explain(MALTI_ERR_INVALID_ARGUMENT, "config is NULL");
        };
        for (name, text) in [("key", key), ("value", value)] {
            if text.is_null() {
                return explain(MALTI_ERR_INVALID_ARGUMENT, &format!("{name} is NULL"));
            }
        }
        // SAFETY: not NULL, so by contract NUL-terminated strings.
        let (key, value) = unsafe { (CStr::from_ptr(key), CStr::from_ptr(value)) };
        let key = key.to_string_lossy();
        let Ok(value) = value.to_str() else {
            return explain(
                MALTI_ERR_INVALID_VALUE,
                &format!("{key}: the value is not valid UTF-8"),
            );
        };
        match config.config.set(&key, value) {
            Ok(()) => explain(MALTI_OK, ""),
            Err(error) => explain(status_of(&error), &error.to_string()),
        }
    })
}

fn status_of(error: &ConfigError) -> i32 {
    match error {
        ConfigError::UnknownKey { .. } => MALTI_ERR_UNKNOWN_KEY,
        ConfigError::InvalidValue { .. } => MALTI_ERR_INVALID_VALUE,
    }
}

/// Reads one key as text, in the form that malti_config_set accepts; api_key comes back masked. `config` NULL reads
/// the running client's. Returns the length needed without the terminating NUL, as snprintf does; `out` is always
/// terminated, cut on a character boundary (NULL and 0 are allowed). MALTI_ERR_UNKNOWN_KEY,
/// MALTI_ERR_INVALID_ARGUMENT (`key` NULL), MALTI_ERR_NOT_INITIALIZED (`config` NULL and no client runs).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_config_get(
    config: *const malti_config,
    key: *const c_char,
    out: *mut c_char,
    out_len: usize,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        if key.is_null() {
            return MALTI_ERR_INVALID_ARGUMENT;
        }
        // SAFETY: not NULL, so by contract a NUL-terminated string.
        let key = unsafe { CStr::from_ptr(key) }.to_string_lossy();
        // SAFETY: by contract NULL, or made by malti_config_new and used by this thread alone.
        let value = match (unsafe { config.as_ref() }, process::tenure()) {
            (Some(config), _) => config.config.get(&key),
            (None, Some(tenure)) => tenure.config.get(&key),
            (None, None) => return MALTI_ERR_NOT_INITIALIZED,
        };
        match value {
            // SAFETY: out is NULL or has out_len writable bytes.
            Ok(value) => unsafe { put(&value, out, out_len) },
            Err(error) => status_of(&error),
        }
    })
}

struct Callback {
    call: unsafe extern "C" fn(i32, *const c_char, *mut c_void),
    userdata: *mut c_void,
}

// SAFETY: the host is told that the callback runs on another thread, and what it may do there.
unsafe impl Send for Callback {}
// SAFETY: as above; several threads may call it at the same time.
unsafe impl Sync for Callback {}

/// Sends log lines to `log` instead of standard error; NULL: standard error again. `userdata` is passed through and
/// must stay valid until the process ends. A language with a runtime of its own pulls its lines with malti_log_next
/// instead. MALTI_ERR_INVALID_ARGUMENT: `config` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_config_set_log(
    config: *mut malti_config,
    log: malti_log_fn,
    userdata: *mut c_void,
) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        // SAFETY: by contract NULL, or made by malti_config_new and used by this thread alone.
        let Some(config) = (unsafe { config.as_mut() }) else {
            return MALTI_ERR_INVALID_ARGUMENT;
        };
        config.callback = log.map(|call| {
            let identity = (call as usize, userdata as usize);
            let host = Callback { call, userdata };
            let callback = Arc::new(move |level: Level, line: &str| {
                let host = &host;
                // A log line has no NUL: control characters are escaped.
                let Ok(line) = std::ffi::CString::new(line) else {
                    return;
                };
                // SAFETY: the host's function, by its contract callable from any thread.
                unsafe { (host.call)(level as i32, line.as_ptr(), host.userdata) };
            });
            HostLog { callback, identity }
        });
        MALTI_OK
    })
}

/// Frees settings; NULL is fine. A client that was started with them has a copy of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_config_free(config: *mut malti_config) {
    guard((), || {
        if !config.is_null() {
            // SAFETY: by contract made by malti_config_new and not freed yet.
            drop(unsafe { Box::from_raw(config) });
        }
    });
}
