//! A lock that is held for as long as it takes to copy a record, and rarely wanted by two.
//!
//! `std`'s is given back by an exchange, for somebody may sleep who has to be told; that is half of what the lock costs,
//! and it waits until all that was written before is in the cache. This one is given back by a plain store. So nobody is
//! told: who finds it held looks again, at first at once, then from time to time. In between it sleeps, and does not
//! only yield: a holder of lower priority must get to run too. Like `std`'s it is one word, with no table behind it whose
//! locks a forked child could inherit.

use std::time::Duration;

use spin::mutex::{SpinMutex, SpinMutexGuard};

use crate::sys;

/// Looks before the first nap: about a microsecond, in which a holder that runs is done.
const LOOKS: u32 = 100;
/// One that takes longer waits for a processor. Each nap is twice as long as the one before, so that those who wait for
/// it leave it one.
const FIRST_NAP: Duration = Duration::from_micros(50);
const LONGEST_NAP: Duration = Duration::from_millis(1);

pub(super) struct ShortLock<T>(SpinMutex<T>);

/// Gives the lock back when dropped, by a panic too: what it guards is then as whole as the panic left it.
pub(super) type ShortGuard<'a, T> = SpinMutexGuard<'a, T>;

impl<T> ShortLock<T> {
    pub(super) const fn new(value: T) -> Self {
        ShortLock(SpinMutex::new(value))
    }

    #[inline(always)]
    pub(super) fn lock(&self) -> ShortGuard<'_, T> {
        self.0.try_lock().unwrap_or_else(|| self.lock_held())
    }

    #[cold]
    fn lock_held(&self) -> ShortGuard<'_, T> {
        for _ in 0..LOOKS {
            std::hint::spin_loop();
            // What only looks does not take the line from who gives it back.
            if !self.0.is_locked()
                && let Some(guard) = self.0.try_lock()
            {
                return guard;
            }
        }
        let mut nap = FIRST_NAP;
        loop {
            sys::nap(nap);
            if let Some(guard) = self.0.try_lock() {
                return guard;
            }
            nap = (2 * nap).min(LONGEST_NAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    use super::*;

    /// More threads than processors, so that holders lose theirs too.
    #[test]
    fn one_at_a_time_holds_it() {
        const THREADS: u64 = 16;
        const TIMES: u64 = 20_000;
        let sums = ShortLock::new((0, 0));
        let start = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for time in 0..TIMES {
                        let mut sums = sums.lock();
                        assert_eq!(sums.0, sums.1);
                        sums.0 += 1;
                        if time % 1_000 == 0 {
                            std::thread::yield_now();
                        }
                        sums.1 += 1;
                    }
                });
            }
        });
        assert_eq!(*sums.lock(), (THREADS * TIMES, THREADS * TIMES));
    }

    /// It is held for longer than all looks and the first naps take.
    #[test]
    fn who_has_gone_to_sleep_gets_it_too() {
        let lock = ShortLock::new(0);
        let mut held = lock.lock();
        std::thread::scope(|scope| {
            let waiting: [_; 4] = std::array::from_fn(|_| scope.spawn(|| *lock.lock() += 1));
            std::thread::sleep(5 * LONGEST_NAP);
            assert!(waiting.iter().all(|thread| !thread.is_finished()));
            *held += 10;
            drop(held);
        });
        assert_eq!(*lock.lock(), 14);
    }

    #[test]
    fn a_panic_gives_it_back() {
        let lock = ShortLock::new(0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            *lock.lock() += 1;
            let _held = lock.lock();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(*lock.lock(), 1);
    }
}
