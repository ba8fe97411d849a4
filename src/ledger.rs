//! The ledger: every record is accounted for, at every moment.
//!
//! `recorded + adopted = sent + buffered + in_flight + spooled + dropped_overflow + dropped_rejected
//! + dropped_shutdown + dropped_expired`
//!
//! `filtered` and `invalid` count calls that recorded nothing and stand outside.

use serde::Serialize;

/// What the client is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Switched off, without an API key, or never started: nothing is recorded.
    #[default]
    Disabled = 0,
    /// Waiting for records, or for the next time to send.
    Idle = 1,
    /// A request is under way.
    Sending = 2,
    /// The server could not be reached or had a fault; the records are kept.
    Retrying = 3,
    /// The server refuses this key, service or address; the records are kept.
    Misconfigured = 4,
    /// Shut down.
    Stopped = 5,
}

/// The counters that the central lock guards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Records that have left the shards.
    pub(crate) entered: u64,
    pub(crate) adopted: u64,
    pub(crate) sent: u64,
    pub(crate) spooled: u64,
    pub(crate) dropped_overflow: u64,
    pub(crate) dropped_rejected: u64,
    pub(crate) dropped_shutdown: u64,
    pub(crate) dropped_expired: u64,
    pub(crate) spool_skipped_bytes: u64,
    pub(crate) batches: u64,
    pub(crate) retries: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) last_http_status: u16,
    pub(crate) last_success_unix_ms: i64,
    pub(crate) last_error: Option<String>,
    pub(crate) state: State,
}

/// One exact snapshot of the ledger and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls that were accepted.
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
    /// Calls left out by clean mode or `exclude_endpoints`.
    pub filtered: u64,
    /// Calls with arguments that could not be recorded.
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
    /// Status of the last answer; 0: none yet.
    pub last_http_status: u16,
    /// When a request was last confirmed, milliseconds since 1970 UTC; 0: never.
    pub last_success_unix_ms: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// What the client is doing.
    pub state: State,
}

impl Stats {
    /// `recorded + adopted` less all that is accounted for. Never anything but 0.
    pub fn unaccounted(&self) -> i128 {
        let accounted = [
            self.sent,
            self.buffered,
            self.in_flight,
            self.spooled,
            self.dropped_overflow,
            self.dropped_rejected,
            self.dropped_shutdown,
            self.dropped_expired,
        ];
        i128::from(self.recorded) + i128::from(self.adopted)
            - accounted.into_iter().map(i128::from).sum::<i128>()
    }

    /// The ledger in one line, for a person.
    pub fn line(&self) -> String {
        format!(
            "recorded {} = sent {} + buffered {} + in flight {} + spooled {} + dropped (overflow {}, rejected {}, \
             shutdown {}, expired {}); besides: filtered {}, invalid {}",
            self.recorded + self.adopted,
            self.sent,
            self.buffered,
            self.in_flight,
            self.spooled,
            self.dropped_overflow,
            self.dropped_rejected,
            self.dropped_shutdown,
            self.dropped_expired,
            self.filtered,
            self.invalid
        )
    }
}
