//! The ledger, as a struct and as JSON.

use std::ffi::c_char;

use super::guard;
use super::status::*;
use super::text::put;
use crate::ledger::Stats;
use crate::process;

/// The ledger in one exact snapshot. In each of them `recorded` and `adopted` together are the sum of
/// `sent`, `buffered`, `in_flight`, `spooled` and the four `dropped_…`.
/// The one public struct: it only ever grows at its end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct malti_stats {
    /// Calls that returned MALTI_OK.
    pub recorded: u64,
    /// Records taken over from the durable buffer of a process that died.
    pub adopted: u64,
    /// Records that the server (or the sink) confirmed.
    pub sent: u64,
    /// Records that wait.
    pub buffered: u64,
    /// Records in a request that is under way.
    pub in_flight: u64,
    /// Records left in a durable buffer at shutdown.
    pub spooled: u64,
    /// Records, the oldest, that a full buffer let go.
    pub dropped_overflow: u64,
    /// Records that the server refused for good.
    pub dropped_rejected: u64,
    /// Records not confirmed when shutdown's time was up.
    pub dropped_shutdown: u64,
    /// Records of a durable buffer that grew too old.
    pub dropped_expired: u64,
    /// Calls that returned MALTI_IGNORED. Outside the sum.
    pub filtered: u64,
    /// Calls that returned MALTI_ERR_INVALID_ARGUMENT or MALTI_ERR_NO_MEMORY. Outside the sum.
    pub invalid: u64,
    /// Requests that were confirmed.
    pub batches: u64,
    /// Requests made again after a fault.
    pub retries: u64,
    /// Bytes of the bodies of confirmed requests.
    pub bytes_sent: u64,
    /// The buffer's bound, in records.
    pub buffer_capacity: u64,
    /// Bytes of a durable buffer that were torn or foreign.
    pub spool_skipped_bytes: u64,
    /// When a request was last confirmed, milliseconds since 1970 UTC; 0: never.
    pub last_success_unix_ms: i64,
    /// Status of the last answer; 0: none yet.
    pub last_http_status: i32,
    /// 0 disabled, 1 idle, 2 sending, 3 retrying, 4 misconfigured, 5 stopped.
    pub state: i32,
}

impl From<&Stats> for malti_stats {
    fn from(s: &Stats) -> Self {
        malti_stats {
            recorded: s.recorded,
            adopted: s.adopted,
            sent: s.sent,
            buffered: s.buffered,
            in_flight: s.in_flight,
            spooled: s.spooled,
            dropped_overflow: s.dropped_overflow,
            dropped_rejected: s.dropped_rejected,
            dropped_shutdown: s.dropped_shutdown,
            dropped_expired: s.dropped_expired,
            filtered: s.filtered,
            invalid: s.invalid,
            batches: s.batches,
            retries: s.retries,
            bytes_sent: s.bytes_sent,
            buffer_capacity: s.buffer_capacity,
            spool_skipped_bytes: s.spool_skipped_bytes,
            last_success_unix_ms: s.last_success_unix_ms,
            last_http_status: i32::from(s.last_http_status),
            state: s.state as i32,
        }
    }
}

/// Fills `out` with the ledger, `size` being sizeof(malti_stats) as the caller was compiled: a smaller struct gets its
/// part, the rest of a larger one is zeroed. Returns the library's own size of it. After shutdown the final figures
/// stay readable until the next malti_init; before the first one all are 0. MALTI_ERR_INVALID_ARGUMENT: `out` is NULL.
/// Any thread, also inside the log callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_stats_get(out: *mut malti_stats, size: usize) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        if out.is_null() {
            return MALTI_ERR_INVALID_ARGUMENT;
        }
        let stats = malti_stats::from(&process::stats());
        let own = size_of::<malti_stats>();
        // SAFETY: by contract `out` has `size` writable bytes; both sides are plain numbers.
        unsafe {
            std::ptr::write_bytes(out.cast::<u8>(), 0, size);
            std::ptr::copy_nonoverlapping(
                (&raw const stats).cast::<u8>(),
                out.cast::<u8>(),
                size.min(own),
            );
        }
        own as i32
    })
}

/// The ledger as a JSON object: the struct's fields, `state` as a word, and `last_error` (text or null). The length
/// needed comes back as from snprintf; `out` is always terminated. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_stats_json(out: *mut c_char, out_len: usize) -> i32 {
    guard(MALTI_ERR_PANIC, || {
        let json = serde_json::to_string(&process::stats()).unwrap_or_default();
        // SAFETY: out is NULL or has out_len writable bytes.
        unsafe { put(&json, out, out_len) }
    })
}
