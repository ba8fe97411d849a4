//! Helpers for a buffer that overflows: more requests at once, for the rest of one round.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::worker::Worker;
use crate::buffer::Fate;
use crate::outcome::Outcome;
use crate::shell::{Life, Shell};
use crate::sys;
use crate::transport::Round;

const HELPER_STACK: usize = 512 * 1024;

/// The helpers of one round. They send only what passes at once: a batch with any other outcome goes back, and the
/// sender, who alone decides what to do with it, goes on by itself. Dropping waits until the last one is done, so that
/// a number means one helper at a time; a request's own time limit bounds it, and shutdown's abort.
pub(super) struct Helpers {
    shell: Arc<Shell>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    stop: AtomicBool,
}

impl Helpers {
    /// Starts as many as there are whole batches for, within `max_connections`.
    pub(super) fn start(
        shell: &Arc<Shell>,
        life: &Arc<Life>,
        round: &Round,
        batch_size: usize,
        sender: &Worker,
    ) -> Helpers {
        let batches = shell.buffer.central().queued() / batch_size;
        let shared = Arc::new(Shared::default());
        for number in 1..=batches.min(life.config.max_connections - 1) {
            let mut worker = sender.another(life);
            let (shell, life, round, mine) =
                (shell.clone(), life.clone(), round.clone(), shared.clone());
            shared.running.fetch_add(1, Ordering::AcqRel);
            let spawned = sys::spawn(&format!("malti-send-{number}"), HELPER_STACK, move || {
                if catch_unwind(AssertUnwindSafe(|| {
                    help(
                        &shell,
                        &life,
                        &round,
                        &mine.stop,
                        number,
                        batch_size,
                        &mut worker,
                    )
                }))
                .is_err()
                {
                    shell.buffer.central().put_back_all(number, life.epoch);
                }
                mine.running.fetch_sub(1, Ordering::AcqRel);
                // Under the lock, so that the sender can't miss it between its look and its wait.
                drop(shell.buffer.central());
                shell.buffer.progressed();
            });
            if spawned.is_err() {
                shared.running.fetch_sub(1, Ordering::AcqRel);
                break;
            }
        }
        Helpers {
            shell: shell.clone(),
            shared,
        }
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let buffer = &self.shell.buffer;
        let mut central = buffer.central();
        while self.shared.running.load(Ordering::Acquire) > 0 {
            central = buffer.wait_for_progress(central, Duration::from_secs(1));
        }
    }
}

fn help(
    shell: &Shell,
    life: &Life,
    round: &Round,
    stop: &AtomicBool,
    number: usize,
    batch_size: usize,
    worker: &mut Worker,
) {
    while !stop.load(Ordering::Acquire) {
        let mut central = shell.buffer.central();
        if central.epoch != life.epoch || central.queued() < batch_size {
            return;
        }
        let Some(mut batch) = central.take(batch_size, number) else {
            return;
        };
        drop(central);
        worker.encode(shell, &mut batch);
        let sent = worker.post(shell, life, round) == Outcome::Sent;
        let mut central = shell.buffer.central();
        if sent {
            central.settle(batch, Fate::Sent);
        } else {
            central.put_back(batch);
        }
        drop(central);
        shell.buffer.progressed();
        if !sent {
            return;
        }
    }
}
