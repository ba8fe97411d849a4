//! One call of record: checks, the clock, a copy under an uncontended lock.

use super::Recorded;
use super::control::Asked;
use crate::buffer::Push;
use crate::consumer::{Headers, Request, Rules};
use crate::log::Level;
use crate::record::{CREATED_AT_MAX_US, RESPONSE_TIME_MAX_MS, RawRecord, kept};
use crate::shell::Shell;
use std::sync::PoisonError;

/// The arguments of one call, unchecked, but their text already cut to [`FIELD_MAX`](crate::record::FIELD_MAX) bytes.
#[derive(Clone, Copy)]
pub(crate) struct RawCall<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) endpoint: &'a [u8],
    pub(crate) status: i32,
    pub(crate) response_time_us: u64,
    pub(crate) consumer: &'a [u8],
    pub(crate) context: &'a [u8],
    pub(crate) created_at_us: i64,
}

impl<'a> RawCall<'a> {
    /// Gives `record` the call with what the rules find where it says nothing itself: who called, and the context.
    pub(crate) fn completed<T>(
        self,
        rules: &Rules,
        headers: impl Headers<'a>,
        query: &'a [u8],
        peer: &'a [u8],
        record: impl FnOnce(RawCall<'_>) -> T,
    ) -> T {
        let request = Request {
            state: (!self.consumer.is_empty()).then_some(self.consumer),
            query,
            peer,
            ..Request::default()
        };
        let consumer = rules.consumer_of(&request, headers.clone());
        let context = self.context.is_empty().then(|| rules.context_of(headers));
        let context = context.flatten();
        record(RawCall {
            consumer: kept(consumer.as_bytes()),
            context: context
                .as_deref()
                .map_or(self.context, |text| kept(text.as_bytes())),
            ..self
        })
    }
}

impl Shell {
    /// Records one request: checks, the clock, a copy under an uncontended lock.
    // Always: else the caller lays out and this reads back eleven words.
    #[inline(always)]
    pub(crate) fn record(&self, call: RawCall<'_>) -> Recorded {
        if call.method.is_empty() {
            return self.complain("method", || "it is missing or empty".to_owned());
        }
        // Closures that borrowed `call` would keep all of it out of registers.
        let (status, us) = (call.status, call.created_at_us);
        if !(100..=999).contains(&status) {
            return self.complain("status", move || format!("{status} is not in 100–999"));
        }
        if !(0..=CREATED_AT_MAX_US).contains(&us) {
            return self.complain("created_at", move || {
                format!("{us} is not in 1970–9999 (microseconds since 1970 UTC)")
            });
        }
        let record = RawRecord {
            method: call.method,
            endpoint: call.endpoint,
            status: status as u16,
            response_time_ms: (call.response_time_us / 1000).min(u64::from(RESPONSE_TIME_MAX_MS))
                as u32,
            consumer: call.consumer,
            context: call.context,
            created_at_us: us,
        };
        match self.buffer.push(&record) {
            Push::Kept => Recorded::Kept,
            pushed => self.unusual(pushed),
        }
    }

    #[cold]
    fn unusual(&self, pushed: Push) -> Recorded {
        match pushed {
            Push::Kept => Recorded::Kept,
            Push::KeptWake => {
                self.buffer.wake();
                Recorded::Kept
            }
            Push::KeptNoSender => {
                self.ensure_sender(Asked::Record);
                Recorded::Kept
            }
            Push::Filtered => Recorded::Filtered,
            Push::Closed => self.why_closed(),
            Push::NoMemory => {
                self.buffer.count_invalid();
                Recorded::NoMemory
            }
        }
    }

    fn why_closed(&self) -> Recorded {
        match self.life() {
            Some(life) if life.transport.is_none() => Recorded::Disabled,
            _ => Recorded::NotRunning,
        }
    }

    /// Counts a call that can't be recorded, and leaves it to the sender to say once per field what is wrong with it.
    #[cold]
    pub(crate) fn complain(&self, field: &'static str, why: impl FnOnce() -> String) -> Recorded {
        let Some(life) = self
            .life()
            .filter(|life| life.transport.is_some() && self.buffer.central().epoch == life.epoch)
        else {
            return self.why_closed();
        };
        self.buffer.count_invalid();
        let mut said = life
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&field) {
            said.push(field);
            drop(said);
            let why = why();
            life.log.log_later(
                Level::Warn,
                format_args!("a call of record was refused: {field}: {why} (said once)"),
            );
            self.ensure_sender(Asked::Record);
            self.buffer.wake();
        }
        Recorded::Invalid(field)
    }
}
