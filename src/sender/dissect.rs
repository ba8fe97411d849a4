//! A batch that is refused for what is in it: find the records that are to blame, deliver the others.

use super::{Halt, Patience, SENDER, Sender};
use crate::buffer::Batch;
use crate::log::Level;
use crate::outcome::Outcome;
use crate::transport::Round;

/// So many refusals in a row, nothing having passed, are a fault of the settings rather than of the records.
const FRUITLESS_MAX: u32 = 40;

/// What is known while a batch is taken apart.
#[derive(Default)]
struct Findings {
    /// The server took something, so it is the records that it minds.
    passed: bool,
    fruitless: u32,
    /// Refused alone, or named by the server.
    suspects: Vec<Batch>,
    why: String,
}

impl Sender {
    /// Takes a refused batch apart. Where nothing of it nor of the next batch passes, the settings are at fault, and
    /// nothing is dropped.
    pub(super) fn dissect(&mut self, round: &Round, batch: Batch) -> Result<(), Halt> {
        let mut found = Findings::default();
        self.take_apart(round, batch, &mut found)?;
        if !found.passed && !found.suspects.is_empty() {
            match self.take_next() {
                Some(next) => self.take_apart(round, next, &mut found)?,
                None => return Err(Halt::Misconfigured(found.why)),
            }
        }
        if !found.passed && !found.suspects.is_empty() {
            return Err(Halt::Misconfigured(found.why));
        }
        self.reject(found);
        Ok(())
    }

    /// The same batch got 500 in every round so far. If the next one passes, the reason is in this one; if not, it is
    /// an outage like any other, and nothing is taken apart.
    pub(super) fn deliver_around_poison(
        &mut self,
        round: &Round,
        mut batch: Batch,
    ) -> Result<(), Halt> {
        let mut next = self.take_next();
        let answered = self.attempt(round, next.as_mut().unwrap_or(&mut batch), Patience::None)?;
        if let Outcome::Retry(fault) = answered {
            return Err(Halt::Fault(fault));
        }
        match (answered, next) {
            (Outcome::Sent, Some(next)) => self.sent(next),
            (Outcome::Sent, None) => {
                self.sent(batch);
                return Ok(());
            }
            (_, Some(next)) => self.dissect(round, next)?,
            (_, None) => return self.dissect(round, batch),
        }
        self.poison = None;
        let mut found = Findings {
            passed: true,
            ..Findings::default()
        };
        self.take_apart(round, batch, &mut found)?;
        self.reject(found);
        Ok(())
    }

    /// The batch behind the one in hand, wherever its records stand.
    fn take_next(&self) -> Option<Batch> {
        self.shell.buffer.seal();
        self.shell.buffer.central().take(self.batch_size, SENDER)
    }

    fn take_apart(
        &mut self,
        round: &Round,
        batch: Batch,
        found: &mut Findings,
    ) -> Result<(), Halt> {
        let mut pieces = vec![batch];
        while let Some(mut piece) = pieces.pop() {
            if !found.passed && found.fruitless >= FRUITLESS_MAX {
                return Err(Halt::Misconfigured(std::mem::take(&mut found.why)));
            }
            let answered = self.attempt(round, &mut piece, Patience::None)?;
            let count = piece.count();
            let (named, why) = match answered {
                Outcome::Sent => {
                    found.passed = true;
                    self.sent(piece);
                    continue;
                }
                Outcome::Refused { named, why } => (named, why),
                Outcome::TooLarge => {
                    // That one record is larger than something on the way accepts needs no proof by others.
                    if count == 1 {
                        self.reject(Findings {
                            suspects: vec![piece],
                            why: "HTTP 413".to_owned(),
                            ..Findings::default()
                        });
                        continue;
                    }
                    (Vec::new(), "HTTP 413".to_owned())
                }
                Outcome::Retry(fault) => (Vec::new(), fault.why),
                Outcome::Misconfigured(why) => return Err(Halt::Misconfigured(why)),
                Outcome::Aborted => return Err(Halt::Over),
            };
            found.fruitless += 1;
            found.why = why;
            let mut central = self.shell.buffer.central();
            let named: Vec<usize> = named.into_iter().filter(|i| *i < count).collect();
            if count == 1 || named.len() == count {
                found.suspects.push(piece);
            } else if named.is_empty() {
                let second = central.pick(&mut piece, |i| i >= count / 2);
                pieces.extend([second, piece]);
            } else {
                let bad = central.pick(&mut piece, |i| named.binary_search(&i).is_ok());
                found.suspects.push(bad);
                pieces.push(piece);
            }
        }
        Ok(())
    }

    fn reject(&mut self, found: Findings) {
        let count: usize = found.suspects.iter().map(Batch::count).sum();
        found
            .suspects
            .into_iter()
            .for_each(|suspect| self.rejected(suspect));
        if count > 0 {
            let why = found.why;
            self.life.log.log(
                Level::Error,
                format_args!("{count} records were refused by the server and dropped ({why})"),
            );
        }
    }
}
