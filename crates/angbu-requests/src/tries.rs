//! How long somebody waits who guesses wrongly: first not at all, then ever longer.

use angbu_units::{Nanos, UnixTime};

/// The wait after the first failure beyond those that cost nothing; it doubles with each further one.
const FIRST_WAIT: Nanos = Nanos::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: Nanos = Nanos::from_secs(300);

/// What whoever fails is allowed all the same: people mistype, and many of them can share an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Failures that cost nothing.
    pub free: u32,
    /// From the first failure on they are counted for this time, and then anew: what trickles in never adds up.
    pub within: Nanos,
}

impl Allowance {
    /// For guesses about one person, or at a secret that nobody has to remember.
    pub const ONE: Self = Self { free: 5, within: Nanos::from_secs(3_600) };
    /// For a place that some people sign in from.
    pub const PLACE: Self = Self { free: 20, within: Nanos::from_secs(900) };
    /// For a relying party that asks for everybody and does not say for whom.
    pub const RELYING_PARTY: Self = Self { free: 2_000, within: Nanos::from_secs(900) };
}

/// Failures under one name or from one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many.
    pub failures: u32,
    /// When the last was.
    pub last: UnixTime,
}

impl Tries {
    /// For how long these are remembered after the last: as long as any are counted, and longer than any wait.
    pub const REMEMBERED: Nanos = Allowance::ONE.within;

    /// How long the next try must wait; `None` when it may be made now. A clock that was set back makes nobody wait longer
    /// than the longest wait.
    pub fn wait(&self, allowance: &Allowance, now: UnixTime) -> Option<Nanos> {
        let wait = match self.failures.checked_sub(allowance.free) {
            None => Nanos::ZERO,
            Some(more) => FIRST_WAIT.times(1 << more.min(6)).min(LONGEST_WAIT),
        };
        let passed = (now - self.last).max(Nanos::ZERO);
        let left = wait - passed;
        (left > Nanos::ZERO).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let at = |seconds: i64| UnixTime::from_nanos(seconds * 1_000_000_000);
        for (allowance, failures, now, wait) in [
            (Allowance::ONE, 4, 0, None),
            (Allowance::ONE, 5, 0, Some(5)),
            (Allowance::ONE, 5, 4, Some(1)),
            (Allowance::ONE, 5, 5, None),
            (Allowance::ONE, 6, 0, Some(10)),
            (Allowance::ONE, 100, 0, Some(300)),
            (Allowance::ONE, 100, 300, None),
            (Allowance::ONE, 5, -1_000, Some(5)),
            (Allowance::PLACE, 19, 0, None),
            (Allowance::PLACE, 20, 0, Some(5)),
            (Allowance::RELYING_PARTY, 1_999, 0, None),
            (Allowance::RELYING_PARTY, 2_001, 0, Some(10)),
        ] {
            let tries = Tries { failures, last: at(0) };
            let found = tries.wait(&allowance, at(now));
            assert_eq!(found, wait.map(Nanos::from_secs), "{failures} failures, {now} s later");
        }
    }
}
