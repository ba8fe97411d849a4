//! One batch into one request: encoding, the size that passes, what is remembered of the answer.

use crate::buffer::Batch;
use crate::config::Compression;
use crate::outcome::{Outcome, judge};
use crate::shell::{Life, Shell};
use crate::sys;
use crate::transport::{Round, Transport};
use crate::wire::{Body, Framing, Writer};

pub(super) struct Worker {
    writer: Writer,
    /// For records that another process left: its name of the machine.
    adopted_writer: Option<(String, Writer)>,
    service: String,
    body: Body,
    gzip: bool,
    /// Bodies are kept under this: the setting, or less after a 413.
    body_max: usize,
    body_max_set: usize,
    /// Bodies that passed since the limit was last changed.
    passed: u32,
}

/// So many bodies have to pass before a limit that a 413 lowered is tried doubled.
const PASSES_TO_GROW: u32 = 64;
/// A body's memory up to this is kept between rounds.
const BODY_KEPT: usize = 512 * 1024;

impl Worker {
    pub(super) fn new(life: &Life) -> Self {
        let config = &life.config;
        let framing = life
            .transport
            .as_ref()
            .map_or(Framing::Envelope, Transport::framing);
        Worker {
            writer: Writer::new(config.service_name(), &config.node),
            adopted_writer: None,
            service: config.service_name().to_owned(),
            body: Body::new(framing),
            gzip: config.compression == Compression::Gzip,
            body_max: config.batch_bytes,
            body_max_set: config.batch_bytes,
            passed: 0,
        }
    }

    /// Another one, with what this one has learned of the server.
    pub(super) fn another(&self, life: &Life) -> Self {
        Worker {
            gzip: self.gzip,
            body_max: self.body_max,
            ..Worker::new(life)
        }
    }

    /// The machine that adopted records were recorded on.
    pub(super) fn set_adopted_node(&mut self, node: &str) {
        if self
            .adopted_writer
            .as_ref()
            .is_none_or(|(known, _)| known != node)
        {
            self.adopted_writer = Some((node.to_owned(), Writer::new(&self.service, node)));
        }
    }

    /// Makes the batch the body of the next request. Records that do not fit go back to the buffer; the first always
    /// fits.
    pub(super) fn encode(&mut self, shell: &Shell, batch: &mut Batch) {
        self.body.clear();
        let writer = match &mut self.adopted_writer {
            Some((_, writer)) if batch.is_adopted() => writer,
            _ => &mut self.writer,
        };
        let _ = batch.records().try_for_each(|record| {
            let fits = self.body.push(writer, &record, self.body_max);
            fits.then_some(())
        });
        let fit = self.body.records();
        if fit < batch.count() {
            let mut central = shell.buffer.central();
            let rest = central.pick(batch, |i| i >= fit);
            central.put_back(rest);
        }
    }

    /// Sends what was encoded, once.
    pub(super) fn post(&mut self, shell: &Shell, life: &Life, round: &Round) -> Outcome {
        let outcome = self.exchange(shell, life, round, self.gzip);
        self.learn_size(&outcome);
        outcome
    }

    /// Whether it compressed, and does so no more.
    pub(super) fn stop_compressing(&mut self) -> bool {
        std::mem::take(&mut self.gzip)
    }

    pub(super) fn compress_again(&mut self) {
        self.gzip = true;
    }

    /// Halves what was too large; asks for more again, now and then, since what stood in the way may be gone.
    fn learn_size(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::TooLarge if self.body.records() > 1 => {
                self.body_max = (self.body.bytes().len() / 2).min(self.body_max);
                self.passed = 0;
            }
            Outcome::Sent => {
                self.passed += 1;
                if self.passed >= PASSES_TO_GROW && self.body_max < self.body_max_set {
                    self.body_max = (2 * self.body_max).min(self.body_max_set);
                    self.passed = 0;
                }
            }
            _ => {}
        }
    }

    /// Gives back what an unusually large body needed.
    pub(super) fn trim(&mut self) {
        self.body.trim(BODY_KEPT);
    }

    fn exchange(&mut self, shell: &Shell, life: &Life, round: &Round, gzip: bool) -> Outcome {
        let body = self.body.bytes();
        let length = body.len() as u64;
        let mut answer = round.post(body, gzip);
        if let (Ok(answer), Some(key)) = (&mut answer, life.config.api_key()) {
            mask(&mut answer.body, key.expose());
        }
        let status = answer.as_ref().ok().map(|a| a.status);
        let outcome = judge(answer);
        let mut central = shell.buffer.central();
        if central.epoch == life.epoch {
            let counters = &mut central.counters;
            counters.last_http_status = status.unwrap_or(counters.last_http_status);
            match &outcome {
                Outcome::Sent => {
                    counters.batches += 1;
                    counters.bytes_sent += length;
                    counters.last_success_unix_ms = sys::now_us() / 1000;
                }
                Outcome::Retry(fault) => counters.last_error = Some(fault.why.clone()),
                Outcome::Misconfigured(why) | Outcome::Refused { why, .. } => {
                    counters.last_error = Some(why.clone())
                }
                Outcome::TooLarge => counters.last_error = Some("HTTP 413".to_owned()),
                Outcome::Aborted => {}
            }
        }
        outcome
    }
}

/// A server that echoes the request must not bring the key into a log line.
fn mask(body: &mut Vec<u8>, key: &str) {
    if !key.is_empty() && memchr::memmem::find(body, key.as_bytes()).is_some() {
        *body = String::from_utf8_lossy(body)
            .replace(key, "***")
            .into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn an_echoed_key_is_masked() {
        let mut body = b"x-api-key: s3cret \xff s3cret".to_vec();
        mask(&mut body, "s3cret");
        assert_eq!(
            String::from_utf8_lossy(&body),
            "x-api-key: *** \u{fffd} ***"
        );
        mask(&mut body, "");
        assert_eq!(
            String::from_utf8_lossy(&body),
            "x-api-key: *** \u{fffd} ***"
        );
    }
}
