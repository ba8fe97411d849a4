//! The durable buffer's keeper: makes our file, moves what waits into it, and delivers what other processes left.

use std::collections::HashSet;
use std::time::Instant;

use super::{Halt, SENDER, Sender};
use crate::buffer::{Batch, Segment};
use crate::log::Level;
use crate::outcome::Fault;
use crate::shell::lock;
use crate::spool::{self, Adopted, Own};
use crate::sys;
use crate::transport::Round;

/// Chunks that get their checksum under one hold of the central lock.
const SEALED_AT_ONCE: usize = 8;

pub(super) struct Durable {
    settings: Option<spool::Settings>,
    /// The oldest first.
    adopted: Vec<Adopted>,
    /// Files that were remarked on.
    seen: HashSet<(u64, u64)>,
    next_look: Instant,
    /// It was said that there is no file.
    said: bool,
}

impl Durable {
    pub(super) fn new(settings: Option<spool::Settings>) -> Durable {
        Durable {
            settings,
            adopted: Vec::new(),
            seen: HashSet::new(),
            next_look: Instant::now(),
            said: false,
        }
    }

    /// Notes in the file that a batch's records are settled, and removes it after the last one.
    pub(super) fn settle(&mut self, batch: &Batch) {
        if !batch.is_adopted() {
            return;
        }
        if let Some(file) = self.adopted.first_mut() {
            batch.numbers().for_each(|range| file.settle(range));
            if file.records() == 0 {
                self.adopted.remove(0).remove();
            }
        }
    }
}

impl Sender {
    /// Before each round: a file of our own, checksums, and now and then a look for files of others. Tells whether
    /// there is something to deliver that nobody here recorded.
    pub(super) fn tend_spool(&mut self) -> bool {
        let Some(settings) = self.durable.settings.clone() else {
            return false;
        };
        let lost = lock(&self.life.spool).as_ref().map(Own::check);
        if let Some(Err(error)) = lost {
            self.lose_spool(&error.to_string());
        }
        let now = Instant::now();
        if now >= self.durable.next_look {
            self.durable.next_look = now + self.life.config.batch_interval;
            self.look_for_files(&settings);
            if lock(&self.life.spool).is_none() {
                self.open_spool(&settings);
            }
        }
        while self.shell.buffer.central().seal(SEALED_AT_ONCE) {}
        !self.durable.adopted.is_empty()
    }

    fn lose_spool(&mut self, why: &str) {
        if let Some(mut central) = self.central() {
            central.leave_file();
        }
        *lock(&self.life.spool) = None;
        self.say_memory_only(why);
        // Perhaps another one can be made at once.
        self.durable.next_look = Instant::now();
    }

    fn say_memory_only(&mut self, why: &str) {
        if !std::mem::replace(&mut self.durable.said, true) {
            self.life.log.log(
                Level::Warn,
                format_args!("spool_dir: {why}: records are in memory alone"),
            );
        }
    }

    fn open_spool(&mut self, settings: &spool::Settings) {
        let Some(chunks) = self.central().map(|central| central.max_chunks()) else {
            return;
        };
        let chunks = u32::try_from(chunks).unwrap_or(u32::MAX);
        let made = loop {
            match Own::create(settings, chunks) {
                // What nobody has delivered yet makes room for what is new, the oldest first.
                Err(error) if error.kind() == std::io::ErrorKind::QuotaExceeded => {
                    if !self.give_up_oldest() {
                        break Err(error);
                    }
                }
                made => break made,
            }
        };
        let mut own = match made {
            Ok(own) => own,
            Err(error) => {
                return self.say_memory_only(&format!("{}: {error}", settings.dir.display()));
            }
        };
        self.shell.buffer.seal();
        let shell = self.shell.clone();
        let mut place = lock(&self.life.spool);
        let Some(mut central) = self.central() else {
            return own.finish(true);
        };
        central.move_to(own.mapping().clone());
        drop(central);
        // What threads filled meanwhile moves in as it is handed over.
        shell.buffer.seal();
        // By its name it is found, and then everything must be in it.
        let named = own.publish();
        let Some(mut central) = self.central() else {
            // The end counted what is in it as lost.
            return own.finish(true);
        };
        match named {
            Ok(()) => {
                own.mapping().set_published();
                *place = Some(own);
                drop((central, place));
                self.durable.said = false;
            }
            Err(error) => {
                central.leave_file();
                drop((central, place));
                self.say_memory_only(&format!("{}: {error}", settings.dir.display()));
            }
        }
    }

    fn give_up_oldest(&mut self) -> bool {
        if self.durable.adopted.is_empty() {
            return false;
        }
        let file = self.durable.adopted.remove(0);
        if let Some(mut central) = self.central() {
            central.expire(file.records());
        }
        file.remove();
        true
    }

    fn look_for_files(&mut self, settings: &spool::Settings) {
        let own = lock(&self.life.spool).as_ref().map(Own::identity);
        let adopted = self.durable.adopted.iter().map(Adopted::identity);
        let held: Vec<_> = adopted.chain(own).collect();
        let Ok(found) = spool::scan(settings, &held, &mut self.durable.seen) else {
            // It may not be there yet: our own file's making says so.
            return;
        };
        for remark in &found.remarks {
            self.life
                .log
                .log(Level::Warn, format_args!("spool_dir: {remark}"));
        }
        let records: usize = found.adopted.iter().map(Adopted::records).sum();
        if let Some(mut central) = self.central() {
            central.counters.spool_skipped_bytes += found.skipped_bytes;
            central.adopt(records);
        } else {
            return;
        }
        if records > 0 {
            let files = found.adopted.len();
            self.life.log.log(
                Level::Info,
                format_args!(
                    "records adopted from processes that are gone: {records}, in files: {files}"
                ),
            );
        }
        self.durable.adopted.extend(found.adopted);
    }

    /// Delivers what waits in adopted files.
    pub(super) fn send_adopted(&mut self, round: &Round) -> Result<(), Halt> {
        let Some(max_age) = self
            .durable
            .settings
            .as_ref()
            .map(|settings| settings.max_age)
        else {
            return Ok(());
        };
        while let Some(file) = self.durable.adopted.first_mut() {
            let Some(records) = file.load(sys::now_us(), max_age) else {
                let file = self.durable.adopted.remove(0);
                let unread = file.records();
                match self.central() {
                    Some(mut central) if unread > 0 => central.leave_adopted(unread),
                    Some(_) => file.remove(),
                    None => return Err(Halt::Over),
                }
                continue;
            };
            self.worker.set_adopted_node(file.node());
            let Some(mut central) = self.central() else {
                return Err(Halt::Over);
            };
            central.expire(records.expired);
            if records.count == 0 {
                continue;
            }
            let Some(segment) = Segment::of(&records.packed, records.count, records.first) else {
                return Err(Halt::Fault(Fault {
                    why: "no memory".to_owned(),
                    retry_after: None,
                    is_500: false,
                    refused: false,
                }));
            };
            let batch = central.take_adopted(SENDER, segment);
            drop(central);
            self.deliver(round, batch)?;
        }
        Ok(())
    }
}
