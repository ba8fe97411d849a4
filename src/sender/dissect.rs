//! A batch that is refused for what is in it: find the records that are to blame, deliver the others.

use super::{Halt, Refusal, SENDER, Sender, Verdict};
use crate::buffer::{Batch, Fate};
use crate::log::Level;
use crate::outcome::Fault;
use crate::transport::Round;

/// So many refusals, nothing having passed, and it is time to ask what becomes of another batch: it may be a fault of
/// the settings rather than of the records.
const FRUITLESS_MAX: u32 = 40;
/// So many 500s in a row, and the witness is asked whether the server is still up.
const FAULTS_IN_A_ROW: u32 = 8;

/// What is known while batches are taken apart.
#[derive(Default)]
struct Findings {
    /// Still to be looked at, the oldest last.
    pieces: Vec<Batch>,
    /// The server took something, so it is the records that it minds.
    passed: bool,
    fruitless: u32,
    /// Refused alone, or named by the server.
    suspects: Vec<Batch>,
    why: String,
}

impl Findings {
    /// Whether it is time for another opinion.
    fn doubtful(&self) -> bool {
        !self.passed && self.fruitless >= FRUITLESS_MAX
    }
}

impl Sender {
    /// Takes a refused batch apart. Where nothing of it nor of the next batch passes, the settings are at fault, and
    /// nothing is dropped.
    pub(super) fn dissect(
        &mut self,
        round: &Round,
        batch: Batch,
        refusal: Refusal,
    ) -> Result<(), Halt> {
        let mut found = Findings::default();
        self.divide(batch, refusal, &mut found);
        self.take_apart(round, &mut found)?;
        let is_open = !found.suspects.is_empty() || !found.pieces.is_empty();
        if is_open && !found.passed {
            let rest = std::mem::take(&mut found.pieces);
            found.fruitless = 0;
            found.pieces.extend(self.take_next());
            self.take_apart(round, &mut found)?;
            if !found.passed {
                return Err(Halt::Misconfigured(found.why));
            }
            found.pieces = rest;
            self.take_apart(round, &mut found)?;
        }
        self.reject(found.suspects, &found.why);
        Ok(())
    }

    fn take_apart(&mut self, round: &Round, found: &mut Findings) -> Result<(), Halt> {
        while !found.doubtful()
            && let Some(mut piece) = found.pieces.pop()
        {
            match self.attempt(round, &mut piece)? {
                Verdict::Sent => {
                    found.passed = true;
                    self.sent(piece);
                }
                Verdict::Refused(refusal) => self.divide(piece, refusal, found),
            }
        }
        Ok(())
    }

    /// The same batch got 500 in every round so far. If records of the next one pass, the reason is in this one; if not,
    /// it is an outage like any other, and nothing is taken apart.
    pub(super) fn deliver_around_poison(
        &mut self,
        round: &Round,
        mut batch: Batch,
    ) -> Result<(), Halt> {
        let Some(mut witness) = self.take_next() else {
            return match self.attempt(round, &mut batch)? {
                Verdict::Sent => {
                    self.sent(batch);
                    Ok(())
                }
                Verdict::Refused(refusal) => self.dissect(round, batch, refusal),
            };
        };
        self.testify(round, &mut witness)?;
        let mut found = Findings {
            pieces: vec![batch],
            passed: true,
            ..Findings::default()
        };
        self.take_apart_by_500(round, &mut found, &mut witness, false)?;
        // Each once more: the server may have been away just when its turn was, and back for what came next.
        found.pieces = std::mem::take(&mut found.suspects);
        self.take_apart_by_500(round, &mut found, &mut witness, true)?;
        self.reject(found.suspects, &found.why);
        if witness.count() > 0 {
            self.deliver(round, witness)?;
        }
        Ok(())
    }

    /// Here a 500 is a verdict on a piece, as long as the server is up: the witness is asked in between, and after the
    /// last one.
    fn take_apart_by_500(
        &mut self,
        round: &Round,
        found: &mut Findings,
        witness: &mut Batch,
        again: bool,
    ) -> Result<(), Halt> {
        let mut in_a_row = 0;
        while let Some(mut piece) = found.pieces.pop() {
            self.worker.encode(&self.shell, &mut piece);
            let refusal = match self.post(round) {
                Ok(Verdict::Sent) => {
                    in_a_row = 0;
                    self.sent(piece);
                    continue;
                }
                Ok(Verdict::Refused(refusal)) => refusal,
                Err(Halt::Fault(fault)) if fault.is_500 => {
                    in_a_row += 1;
                    if in_a_row % FAULTS_IN_A_ROW == 0 {
                        self.testify(round, witness)?;
                    }
                    Refusal {
                        named: Vec::new(),
                        why: fault.why,
                        too_large: false,
                    }
                }
                Err(halt) => return Err(halt),
            };
            if again {
                found.suspects.push(piece);
            } else {
                self.divide(piece, refusal, found);
            }
        }
        if in_a_row > 0 {
            self.testify(round, witness)?;
        }
        Ok(())
    }

    /// Sends one record of the witness, any one: that it passes shows that the server is up.
    fn testify(&mut self, round: &Round, witness: &mut Batch) -> Result<(), Halt> {
        if witness.count() == 0 {
            match self.take_next() {
                Some(next) => *witness = next,
                None => return Err(unproven("HTTP 500".to_owned())),
            }
        }
        let one = fastrand::usize(0..witness.count());
        let mut record = self.shell.buffer.central().pick(witness, |i| i == one);
        self.worker.encode(&self.shell, &mut record);
        match self.post(round)? {
            Verdict::Sent => {
                self.sent(record);
                Ok(())
            }
            Verdict::Refused(refusal) => Err(unproven(refusal.why)),
        }
    }

    /// The batch behind the one in hand, wherever its records stand.
    fn take_next(&self) -> Option<Batch> {
        self.shell.buffer.seal();
        self.shell.buffer.central().take(self.batch_size, SENDER)
    }

    /// What a refusal says of a piece: which of its records are suspects, and what is to be looked at by itself.
    fn divide(&mut self, mut piece: Batch, refusal: Refusal, found: &mut Findings) {
        let count = piece.count();
        // That one record is larger than something on the way accepts needs no proof by others.
        if refusal.too_large && count == 1 {
            return self.reject(vec![piece], &refusal.why);
        }
        found.fruitless += 1;
        found.why = refusal.why;
        let named: Vec<usize> = refusal.named.into_iter().filter(|i| *i < count).collect();
        if count == 1 || named.len() == count {
            found.suspects.push(piece);
            return;
        }
        let mut central = self.shell.buffer.central();
        if named.is_empty() {
            let second = central.pick(&mut piece, |i| i >= count / 2);
            found.pieces.extend([second, piece]);
        } else {
            let bad = central.pick(&mut piece, |i| named.binary_search(&i).is_ok());
            found.suspects.push(bad);
            found.pieces.push(piece);
        }
    }

    fn reject(&mut self, suspects: Vec<Batch>, why: &str) {
        let count: usize = suspects.iter().map(Batch::count).sum();
        suspects
            .iter()
            .for_each(|suspect| self.durable.settle(suspect));
        let Some(mut central) = self.central() else {
            return;
        };
        for suspect in suspects {
            central.settle(suspect, Fate::Rejected);
        }
        drop(central);
        self.shell.buffer.progressed();
        if count > 0 {
            self.life.log.log(
                Level::Error,
                format_args!("refused by the server and dropped: {count} ({why})"),
            );
        }
    }
}

/// Whether the records or the server are at fault can't be told now: the round ends as by another 500.
fn unproven(why: String) -> Halt {
    Halt::Fault(Fault {
        why,
        retry_after: None,
        is_500: true,
        refused: false,
    })
}
