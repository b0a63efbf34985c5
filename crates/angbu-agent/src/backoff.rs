//! How long to wait before the next try.

use std::time::Duration;

use rand::RngExt as _;

/// After how many doublings a wait grows no more.
const MOST_DOUBLINGS: u32 = 6;

/// Waits that double from one failure to the next, each cut by chance to between half and all of it, so that
/// agents that lost the same centre do not come back in step.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// The wait after one more failure.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let longest = self.first.saturating_mul(1 << self.failures.min(MOST_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        for n in 0..20 {
            let longest = Duration::from_secs(1 << n.min(6));
            let wait = backoff.next_wait();
            assert!((longest / 2..=longest).contains(&wait), "{n}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_secs(1));
    }
}
