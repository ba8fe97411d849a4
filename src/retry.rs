//! How long to wait before the next try. Pure: no clock of its own.

use std::time::Duration;

/// Our own pauses never grow beyond this.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A server that asks for more gets this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Pauses that double, each drawn anew from nothing to its full length ("full jitter"), so that clients that failed
/// together don't come back together.
pub(crate) struct Backoff {
    first: Duration,
    rng: fastrand::Rng,
}

impl Backoff {
    /// `first` is the longest first pause.
    pub(crate) fn new(first: Duration, seed: u64) -> Self {
        Backoff {
            first,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The pause before retry number `retry` (from 0), never under what the server asked for.
    pub(crate) fn pause(&mut self, retry: u32, retry_after: Option<Duration>) -> Duration {
        let longest = self
            .first
            .saturating_mul(2u32.saturating_pow(retry))
            .min(PAUSE_MAX);
        longest.mul_f64(self.rng.f64()).max(capped(retry_after))
    }

    /// An interval shortened by up to a tenth, so that workers don't march in step.
    pub(crate) fn interval(&mut self, interval: Duration) -> Duration {
        interval.mul_f64(1.0 - 0.1 * self.rng.f64())
    }
}

/// What a server's `Retry-After` counts for.
pub(crate) fn capped(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_are_drawn_from_zero() {
        let mut backoff = Backoff::new(Duration::from_secs(1), 7);
        for (retry, longest) in [
            (0, 1),
            (1, 2),
            (2, 4),
            (5, 32),
            (6, 60),
            (40, 60),
            (u32::MAX, 60),
        ] {
            let longest = Duration::from_secs(longest);
            let drawn: Vec<_> = (0..500).map(|_| backoff.pause(retry, None)).collect();
            assert!(drawn.iter().all(|p| *p <= longest), "{retry}");
            assert!(
                drawn.iter().any(|p| *p < longest / 10)
                    && drawn.iter().any(|p| *p > longest / 10 * 9),
                "{retry}"
            );
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_five_minutes() {
        let mut backoff = Backoff::new(Duration::ZERO, 7);
        for (asked, waited) in [(0, 0), (7, 7), (300, 300), (3600, 300)] {
            assert_eq!(
                backoff.pause(0, Some(Duration::from_secs(asked))),
                Duration::from_secs(waited)
            );
        }
    }

    #[test]
    fn an_interval_is_shortened_by_at_most_a_tenth() {
        let mut backoff = Backoff::new(Duration::ZERO, 7);
        let minute = Duration::from_secs(60);
        let drawn: Vec<_> = (0..500).map(|_| backoff.interval(minute)).collect();
        assert!(
            drawn
                .iter()
                .all(|d| (Duration::from_secs(54)..=minute).contains(d))
        );
        assert!(drawn.iter().any(|d| *d < Duration::from_secs(55)));
    }
}
