//! The sender: when to send, and what to do with each outcome. One thread per client, never joined; each of its waits
//! is timed, and ends with the life it serves.

mod dissect;
mod durable;
mod parallel;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffer::{Batch, Central, Fate};
use crate::ledger::State;
use crate::log::Level;
use crate::outcome::{Fault, Outcome};
use crate::retry::{Backoff, capped};
use crate::shell::{Life, Shell};
use crate::sys;
use crate::transport::Round;
use durable::Durable;
use parallel::Helpers;
use worker::Worker;

/// The sender's own entry in the in-flight table; helpers have higher numbers.
const SENDER: usize = 0;
/// A batch answered 500 in so many rounds may hold the reason itself.
const POISON_ROUNDS: u32 = 3;
/// Less time than this before shutdown's end is not worth another try.
const LAST_TRY: Duration = Duration::from_millis(50);
/// While a batch is nearly full, records may have come that were not signalled yet.
const NEARLY_FULL_POLL: Duration = Duration::from_secs(1);

/// The body of the sender's thread.
pub(crate) fn run(shell: Arc<Shell>, life: Arc<Life>) {
    let mut sender = Sender::new(shell, life);
    if sender.tend_spool() {
        sender.next_round = Instant::now();
    }
    while let Some(work) = sender.wait() {
        if catch_unwind(AssertUnwindSafe(|| sender.round(work))).is_err() {
            sender.after_panic();
        }
        if work == Work::Last {
            sender.give_up();
            return;
        }
    }
}

/// What a round is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Whole batches, or whatever an overflowing buffer holds.
    Batches,
    /// Everything that waits now.
    Everything,
    /// Everything, before shutdown's time is up.
    Last,
}

/// Why a round ended before its work was done.
#[derive(Debug)]
enum Halt {
    Fault(Fault),
    Misconfigured(String),
    /// The life is over.
    Over,
}

struct Sender {
    shell: Arc<Shell>,
    life: Arc<Life>,
    worker: Worker,
    durable: Durable,
    backoff: Backoff,
    batch_size: usize,
    /// When the next round starts by itself.
    next_round: Instant,
    flushes_seen: u64,
    /// Since when nothing could be delivered, and why; `None`: all is well.
    trouble: Option<(Instant, State)>,
    /// First record of the batch that was delivered last, or was to be.
    delivering: u64,
    /// First record of a batch that got 500, and in how many rounds.
    poison: Option<(u64, u32)>,
    /// Records that had been let go when that was last looked at, and whether it was said since all was well.
    overflow: (u64, bool),
}

impl Sender {
    fn new(shell: Arc<Shell>, life: Arc<Life>) -> Self {
        let config = &life.config;
        let seed = sys::now_us() as u64 ^ u64::from(std::process::id()) << 32;
        let mut backoff = Backoff::new(config.retry_delay, seed);
        let next_round = Instant::now() + backoff.interval(config.batch_interval);
        Sender {
            worker: Worker::new(&life),
            durable: Durable::new(config.spool()),
            batch_size: config.batch_records(),
            backoff,
            next_round,
            shell,
            life,
            flushes_seen: 0,
            trouble: None,
            delivering: u64::MAX,
            poison: None,
            overflow: (0, false),
        }
    }

    fn over(&self, central: &Central) -> bool {
        central.epoch != self.life.epoch
    }

    /// What the lock guards, while it is this life's.
    fn central(&self) -> Option<MutexGuard<'_, Central>> {
        Some(self.shell.buffer.central()).filter(|central| !self.over(central))
    }

    /// Sleeps until there is something to do; `None` when this life is over.
    fn wait(&mut self) -> Option<Work> {
        let shell = self.shell.clone();
        let mut central = shell.buffer.central();
        loop {
            if self.life.log.has_deferred() {
                drop(central);
                self.life.log.say_deferred();
                central = shell.buffer.central();
            }
            if self.over(&central) {
                return None;
            }
            if central.stop_at.is_some() {
                return Some(Work::Last);
            }
            if central.flushes != self.flushes_seen {
                self.flushes_seen = central.flushes;
                return Some(Work::Everything);
            }
            let left = self.next_round.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Work::Everything);
            }
            if self.trouble.is_some() {
                // Only time, a flush and shutdown are reasons to try again.
                central = shell.buffer.wait_for_work(central, None, left);
                continue;
            }
            if self.batch_waits(&central) {
                return Some(Work::Batches);
            }
            // In this order: a record that comes between the two counts twice rather than not at all.
            let signalled = shell.buffer.signalled();
            let buffered = shell.buffer.buffered(&central);
            let need = self.wanted_records().saturating_sub(buffered);
            let unsignalled = shell.buffer.unsignalled_at_most(self.batch_size);
            let (need, left) = if need > unsignalled {
                (need - unsignalled, left)
            } else {
                (need, left.min(NEARLY_FULL_POLL))
            };
            central.wake_at_bytes(self.wanted_bytes());
            let wake_at = Some(signalled + need.max(1) as u64);
            central = shell.buffer.wait_for_work(central, wake_at, left);
            central.wake_at_bytes(usize::MAX);
        }
    }

    /// Records that are reason enough for a round.
    fn wanted_records(&self) -> usize {
        self.batch_size.min(self.life.config.overflow_records())
    }

    fn wanted_bytes(&self) -> usize {
        self.life
            .config
            .batch_bytes
            .min(self.life.config.overflow_bytes())
    }

    fn batch_waits(&self, central: &Central) -> bool {
        self.shell.buffer.buffered(central) >= self.wanted_records()
            || central.queued_bytes() >= self.wanted_bytes()
    }

    fn overflowing(&self, central: &Central) -> bool {
        central.fill_percent(self.shell.buffer.buffered(central))
            >= usize::from(self.life.config.overflow_threshold_percent)
    }

    /// From a wake-up until nothing is left to do, with connections that live as long.
    fn round(&mut self, work: Work) {
        let left_by_others = self.tend_spool();
        let Some(transport) = &self.life.transport else {
            return;
        };
        let buffer = &self.shell.buffer;
        let troubled = self.trouble.is_some();
        if !troubled || work != Work::Everything || buffer.central().queued() < self.batch_size {
            buffer.seal();
        }
        let mut central = buffer.central();
        let mark = if work == Work::Batches {
            0
        } else {
            central.mark()
        };
        if self.over(&central) || (central.is_empty() && !left_by_others) {
            drop(central);
            return self.round_is_done();
        }
        central.counters.state = State::Sending;
        drop(central);

        let round = transport.round();
        *self
            .life
            .round
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(round.clone());
        let result = if work == Work::Last {
            // Ours first: the others have waited longer, and lose nothing by it.
            self.send_until(&round, mark)
                .and_then(|()| self.put_back_on_halt(|sender| sender.send_adopted(&round)))
        } else {
            self.put_back_on_halt(|sender| sender.send_adopted(&round))
                .and_then(|()| self.send_until(&round, mark))
        };
        self.life
            .round
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match result {
            Ok(()) => self.round_is_done(),
            Err(halt) => self.round_failed(halt),
        }
    }

    fn put_back_on_halt(
        &mut self,
        send: impl FnOnce(&mut Self) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let result = send(self);
        if result.is_err() {
            let mut central = self.shell.buffer.central();
            central.put_back_all(SENDER, self.life.epoch);
        }
        result
    }

    /// Sends what stands before `mark`, and whole batches behind it.
    fn send_until(&mut self, round: &Round, mark: u64) -> Result<(), Halt> {
        loop {
            let mut helpers = None;
            let send = |sender: &mut Self| sender.send_beside(round, mark, &mut helpers);
            let result = self.put_back_on_halt(send);
            drop(helpers);
            result?;
            let Some(central) = self.central() else {
                return Err(Halt::Over);
            };
            // A helper may have put its batch back when nothing else waited any more.
            if central.first_queued() >= mark.max(central.flush_mark) {
                return Ok(());
            }
        }
    }

    /// The same, with helpers from when the buffer overflows.
    fn send_beside(
        &mut self,
        round: &Round,
        mark: u64,
        helpers: &mut Option<Helpers>,
    ) -> Result<(), Halt> {
        let shell = self.shell.clone();
        loop {
            let mut central = shell.buffer.central();
            if self.over(&central) {
                return Err(Halt::Over);
            }
            let wanted = mark.max(central.flush_mark);
            if central.first_queued() >= wanted && !self.batch_waits(&central) {
                return Ok(());
            }
            if central.queued() < self.batch_size && central.first_queued() >= wanted {
                drop(central);
                shell.buffer.seal();
                central = shell.buffer.central();
            }
            let overflowing = self.overflowing(&central);
            let Some(batch) = central.take(self.batch_size, SENDER) else {
                return Ok(());
            };
            drop(central);
            self.deliver(round, batch)?;
            if overflowing && helpers.is_none() {
                *helpers = Some(Helpers::start(
                    &shell,
                    &self.life,
                    round,
                    self.batch_size,
                    &self.worker,
                ));
            }
        }
    }

    /// Brings one batch to its end.
    fn deliver(&mut self, round: &Round, mut batch: Batch) -> Result<(), Halt> {
        self.delivering = batch.first();
        if self
            .poison
            .is_some_and(|(first, rounds)| first == batch.first() && rounds >= POISON_ROUNDS)
        {
            return self.deliver_around_poison(round, batch);
        }
        match self.attempt(round, &mut batch)? {
            Verdict::Sent => {
                self.sent(batch);
                Ok(())
            }
            Verdict::Refused(refusal) => self.dissect(round, batch, refusal),
        }
    }

    /// One request with what fits of the batch (the rest goes back), and its retries.
    fn attempt(&mut self, round: &Round, batch: &mut Batch) -> Result<Verdict, Halt> {
        self.worker.encode(&self.shell, batch);
        let mut retry = 0;
        loop {
            let fault = match self.post(round) {
                Ok(verdict) => return Ok(verdict),
                Err(Halt::Fault(fault)) => fault,
                Err(halt) => return Err(halt),
            };
            if !self.pause(retry, &fault) {
                return Err(Halt::Fault(fault));
            }
            retry += 1;
            if let Some(mut central) = self.central() {
                central.counters.retries += 1;
            }
        }
    }

    /// One request with what was encoded, without compression where the server does not inflate.
    fn post(&mut self, round: &Round) -> Result<Verdict, Halt> {
        let mut outcome = self.worker.post(&self.shell, &self.life, round);
        if let Outcome::Refused { .. } = outcome
            && self.worker.stop_compressing()
        {
            let plain = self.worker.post(&self.shell, &self.life, round);
            if plain == Outcome::Sent {
                self.life.log.log(
                    Level::Warn,
                    "the server does not inflate: compression is switched off",
                );
            } else {
                self.worker.compress_again();
            }
            outcome = plain;
        }
        match outcome {
            Outcome::Sent => Ok(Verdict::Sent),
            Outcome::Refused { named, why } => Ok(Verdict::Refused(Refusal {
                named,
                why,
                too_large: false,
            })),
            Outcome::TooLarge => Ok(Verdict::Refused(Refusal {
                named: Vec::new(),
                why: "HTTP 413".to_owned(),
                too_large: true,
            })),
            Outcome::Retry(fault) => Err(Halt::Fault(fault)),
            Outcome::Misconfigured(why) => Err(Halt::Misconfigured(why)),
            Outcome::Aborted => Err(Halt::Over),
        }
    }

    /// Waits before a retry; cut short by a new flush and by the beginning of shutdown, which are worth a try at once.
    /// `false`: there is to be no other try now. Shutdown tries as long as it has time, but not where nobody listens.
    fn pause(&mut self, retry: u32, fault: &Fault) -> bool {
        let shell = self.shell.clone();
        let mut central = shell.buffer.central();
        let stopping = central.stop_at;
        let mut pause = self.backoff.pause(retry, fault.retry_after);
        if let Some(stop_at) = stopping {
            let left = stop_at.saturating_duration_since(Instant::now());
            if fault.refused || left < LAST_TRY || capped(fault.retry_after) >= left {
                return false;
            }
            pause = pause.min(left / 2).max(capped(fault.retry_after));
        } else if retry >= self.life.config.max_retries {
            return false;
        }
        let until = Instant::now() + pause;
        if !self.over(&central) {
            central.counters.state = State::Retrying;
        }
        loop {
            if self.over(&central) {
                return false;
            }
            if central.flushes != self.flushes_seen {
                self.flushes_seen = central.flushes;
                return true;
            }
            if central.stop_at.is_some() && stopping.is_none() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            central = shell.buffer.wait_for_work(central, None, left);
        }
    }

    /// A batch is delivered: counted, and the trouble is over.
    fn sent(&mut self, batch: Batch) {
        // Before it counts: shutdown waits for no more than that.
        self.durable.settle(&batch);
        let Some(mut central) = self.central() else {
            return;
        };
        central.settle(batch, Fate::Sent);
        central.counters.state = State::Sending;
        let behind = central.queued();
        let awaited = central.is_awaited();
        drop(central);
        if let Some(transport) = &self.life.transport {
            self.life.origin.leave(transport);
        }
        if let Some((since, _)) = self.trouble.take() {
            let after = human(since.elapsed());
            self.life.log.log(
                Level::Warn,
                format_args!("delivered again after {after}; records behind: {behind}"),
            );
        }
        if awaited {
            self.shell.buffer.progressed();
        }
    }

    fn plan_next(&mut self, at_least: Duration) {
        let interval = self.backoff.interval(self.life.config.batch_interval);
        self.next_round = Instant::now() + interval.max(at_least);
    }

    fn round_is_done(&mut self) {
        let interval_is_over = self.next_round <= Instant::now();
        if interval_is_over || self.trouble.take().is_some() {
            self.plan_next(Duration::ZERO);
        }
        let mut central = self.shell.buffer.central();
        if !self.over(&central) {
            central.counters.state = State::Idle;
            // Not after each round: the next burst would allocate it all again, in the host's threads.
            if interval_is_over {
                central.trim_free();
            }
        }
        drop(central);
        self.worker.trim();
        self.report_overflow(true);
        self.shell.buffer.progressed();
    }

    fn round_failed(&mut self, halt: Halt) {
        let (state, why, retry_after) = match &halt {
            Halt::Over => return,
            Halt::Fault(fault) => (State::Retrying, &fault.why, fault.retry_after),
            Halt::Misconfigured(why) => (State::Misconfigured, why, None),
        };
        let before = self.trouble.map(|(_, state)| state);
        self.trouble = Some((
            self.trouble.map_or_else(Instant::now, |(since, _)| since),
            state,
        ));
        self.plan_next(capped(retry_after));
        let mut central = self.shell.buffer.central();
        if self.over(&central) {
            return;
        }
        central.counters.state = state;
        central.counters.last_error = Some(why.clone());
        if state == State::Misconfigured {
            central.refused_mark = central.flush_mark;
        }
        let first = self.delivering;
        let kept = self.shell.buffer.buffered(&central);
        drop(central);
        self.poison = match (&halt, self.poison) {
            (Halt::Fault(Fault { is_500: true, .. }), Some((at, rounds))) if at == first => {
                Some((at, rounds + 1))
            }
            (Halt::Fault(Fault { is_500: true, .. }), _) => Some((first, 1)),
            _ => None,
        };
        if before != Some(state) {
            let to = &self.life.config.url;
            match state {
                State::Misconfigured => self.life.log.log(
                    Level::Error,
                    format_args!("{to} refuses the records ({why}): check api_key, service_name and url; records kept: {kept}"),
                ),
                _ => self.life.log.log(
                    Level::Warn,
                    format_args!("cannot deliver ({why}), will try again; records kept: {kept}"),
                ),
            }
        }
        self.report_overflow(false);
        self.shell.buffer.progressed();
    }

    /// One line when a full buffer began to let records go, until all is delivered again.
    fn report_overflow(&mut self, all_is_well: bool) {
        let (before, said) = self.overflow;
        let Some(dropped) = self.central().map(|c| c.counters.dropped_overflow) else {
            return;
        };
        if dropped > before && !said {
            let size = self.life.config.buffer_size;
            self.life.log.log(
                Level::Warn,
                format_args!(
                    "the buffer ({size} records) is full: the oldest are dropped, {dropped} so far"
                ),
            );
        }
        self.overflow = (dropped, !all_is_well && (said || dropped > before));
    }

    fn after_panic(&mut self) {
        self.shell
            .buffer
            .central()
            .put_back_all(SENDER, self.life.epoch);
        self.life
            .round
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let fault = Fault {
            why: "internal error while sending".to_owned(),
            retry_after: None,
            is_500: false,
            refused: false,
        };
        self.round_failed(Halt::Fault(fault));
    }

    /// The last round is over: shutdown need not wait any longer.
    fn give_up(&self) {
        let mut central = self.shell.buffer.central();
        if !self.over(&central) {
            central.gave_up = true;
        }
        drop(central);
        self.shell.buffer.progressed();
    }
}

/// What the server thinks of a batch.
#[derive(Debug)]
enum Verdict {
    Sent,
    Refused(Refusal),
}

/// Why it is refused for what is in it.
#[derive(Debug)]
struct Refusal {
    /// The records at fault, where the server says so.
    named: Vec<usize>,
    why: String,
    too_large: bool,
}

fn human(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}
