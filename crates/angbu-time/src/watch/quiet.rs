//! One deed is one alarm, and a deed that goes on forever does not fill the log: after a few alarms in an hour the next are
//! told together, one in ten minutes, with the sum of what they found.

use angbu_units::{Monotonic, Nanos};

use crate::record::AlarmKind;

/// How many alarms are told at once.
const FEW: u32 = 16;

/// How long there must be none until they are told at once again.
const HOUR: Nanos = Nanos::from_secs(3_600);

/// How often they are told together.
const TOGETHER: Nanos = Nanos::from_secs(600);

/// What was told, and what waits to be told.
#[derive(Debug, Clone, Default)]
pub(super) struct Quiet {
    told: u32,
    last_found: Option<Monotonic>,
    last_told: Option<Monotonic>,
    /// The sum of what waits, and since when the clock was last known to be untouched.
    waiting: Option<(Nanos, Monotonic)>,
}

impl Quiet {
    /// The alarm to tell now, if one is: this one, or the sum of those that waited and this one.
    pub(super) fn admit(
        &mut self,
        now: Monotonic,
        kind: AlarmKind,
        difference: Nanos,
        since: Nanos,
    ) -> Option<(AlarmKind, Nanos, Nanos)> {
        if self.last_found.is_none_or(|at| now - at > HOUR) {
            self.told = 0;
        }
        self.last_found = Some(now);
        let due = self.told < FEW || self.last_told.is_none_or(|at| now - at >= TOGETHER);
        let (waited, untouched) = self.waiting.take().unwrap_or((Nanos::ZERO, now + (Nanos::ZERO - since)));
        let sum = waited + difference;
        if !due {
            self.waiting = Some((sum, untouched));
            return None;
        }
        self.told = self.told.saturating_add(1);
        self.last_told = Some(now);
        Some((kind, sum, now - untouched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_forever_is_told_together() {
        let mut quiet = Quiet::default();
        let (mut told, mut sum) = (0, Nanos::ZERO);
        for second in 1..=86_400 {
            let now = Monotonic::from_nanos(second * 1_000_000_000);
            let found = quiet.admit(now, AlarmKind::Step, Nanos::from_millis(20), Nanos::from_secs(1));
            if let Some((_, difference, since)) = found {
                told += 1;
                sum = sum + difference;
                assert_eq!(difference, Nanos::from_millis(20).times(since.count() / 1_000_000_000));
            }
        }
        assert!((16..16 + 145).contains(&told), "{told}");
        assert!(sum > Nanos::from_millis(20).times(86_400 - 600), "{sum}");
        // After an hour's peace the next is told at once, with what had waited.
        let later = Monotonic::from_nanos(95_000 * 1_000_000_000);
        assert!(quiet.admit(later, AlarmKind::Slew, Nanos::new(5), Nanos::from_secs(1)).is_some());
    }
}
