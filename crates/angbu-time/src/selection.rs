//! Which of several clocks can be right at once (Marzullo's algorithm; the intersection of RFC 5905, section 11.2.1).

use angbu_units::Nanos;

/// Where one clock says that true time lies, compared with the clock that is being set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Its lower end.
    pub low: Nanos,
    /// Its upper end, not below the lower.
    pub high: Nanos,
}

/// What most of the intervals have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The stretch that lies in all of the members.
    pub common: Interval,
    /// The places of the intervals that contain it, in order. The others are falsetickers.
    pub members: Vec<usize>,
}

impl Interval {
    /// The values within `bound` of `offset`.
    pub fn around(offset: Nanos, bound: Nanos) -> Self {
        Self { low: offset - bound, high: offset + bound }
    }

    fn contains(&self, point: Nanos) -> bool {
        self.low <= point && point <= self.high
    }
}

/// The stretch in which more than half of the intervals agree. None where no stretch lies in more than half of them.
///
/// Of several stretches that as many agree on, the last. It takes the square of the number of intervals, which is small.
pub fn agreement(intervals: &[Interval]) -> Option<Agreement> {
    let containing =
        |point: Nanos| intervals.iter().enumerate().filter(move |(_, interval)| interval.contains(point));
    // The largest overlap begins at some interval's lower end.
    let low =
        intervals.iter().map(|interval| interval.low).max_by_key(|low| (containing(*low).count(), *low))?;
    let members: Vec<usize> = containing(low).map(|(place, _)| place).collect();
    if members.len() * 2 <= intervals.len() {
        return None;
    }
    let high = containing(low).map(|(_, interval)| interval.high).min()?;
    Some(Agreement { common: Interval { low, high }, members })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(intervals: &[(i64, i64)], expected: Option<(i64, i64, &[usize])>) {
        let intervals: Vec<_> = intervals
            .iter()
            .map(|(low, high)| Interval { low: Nanos::new(*low), high: Nanos::new(*high) })
            .collect();
        let expected = expected.map(|(low, high, members)| Agreement {
            common: Interval { low: Nanos::new(low), high: Nanos::new(high) },
            members: members.to_vec(),
        });
        assert_eq!(agreement(&intervals), expected);
    }

    #[test]
    fn most_agree_or_nobody_does() {
        check(&[], None);
        check(&[(-5, 5)], Some((-5, 5, &[0])));
        check(&[(-5, 5), (6, 9)], None);
        check(&[(-5, 5), (5, 9)], Some((5, 5, &[0, 1])));
        check(&[(-5, 5), (100, 101), (3, 9)], Some((3, 5, &[0, 2])));
        check(&[(-5, 5), (100, 101), (3, 9), (100, 102)], None);
    }

    proptest! {
        /// Whatever fewer than half say, what the others have in common contains the truth.
        #[test]
        fn a_minority_of_liars_gets_nowhere(
            truth in -1_000i64..1_000, honest in prop::collection::vec((0i64..50, 0i64..50), 1..8), lies in prop::collection::vec((-5_000i64..5_000, 0i64..100), 0..7),
        ) {
            let honest_count = honest.len();
            let mut intervals: Vec<_> = honest.into_iter().map(|(below, above)| Interval { low: Nanos::new(truth - below), high: Nanos::new(truth + above) }).collect();
            intervals.extend(lies.into_iter().take(honest_count - 1).map(|(low, width)| Interval { low: Nanos::new(low), high: Nanos::new(low + width) }));
            let found = agreement(&intervals).unwrap();
            prop_assert!(found.members.len() >= honest_count);
            // At least one honest clock is among them, and the common stretch lies within its interval.
            prop_assert!(found.members.iter().any(|place| *place < honest_count));
        }
    }
}
