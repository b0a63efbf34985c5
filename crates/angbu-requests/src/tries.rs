//! How long somebody waits who guesses wrongly: first not at all, then ever longer.

use angbu_units::{Nanos, UnixTime};

/// Failures that cost nothing.
const FREE: u32 = 5;
/// The wait after the first failure beyond those; it doubles with each further one.
const FIRST_WAIT: Nanos = Nanos::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: Nanos = Nanos::from_secs(300);

/// Failures in a row under one name or from one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many.
    pub failures: u32,
    /// When the last was.
    pub last: UnixTime,
}

impl Tries {
    /// For how long these are remembered after the last: longer than any wait.
    pub const REMEMBERED: Nanos = Nanos::from_secs(3_600);

    /// How long the next try must wait; `None` when it may be made now. A clock that was set back makes nobody wait longer
    /// than the longest wait.
    pub fn wait(&self, now: UnixTime) -> Option<Nanos> {
        let wait = match self.failures.checked_sub(FREE) {
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
        for (failures, now, wait) in [
            (4, 0, None),
            (5, 0, Some(5)),
            (5, 4, Some(1)),
            (5, 5, None),
            (6, 0, Some(10)),
            (100, 0, Some(300)),
            (100, 300, None),
            (5, -1_000, Some(5)),
        ] {
            let tries = Tries { failures, last: at(0) };
            assert_eq!(tries.wait(at(now)), wait.map(Nanos::from_secs), "{failures} failures, {now} s later");
        }
    }
}
