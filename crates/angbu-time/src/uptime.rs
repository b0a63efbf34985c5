//! How long a centre ran, and how long its clock was proven meanwhile: what its runs and its clock's states come to.

use angbu_units::{ClockVerdict, Nanos, UnixTime};

/// One run of a centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its start.
    pub started: UnixTime,
    /// Its end; of one that crashed, when it was last known to run; of one that goes on, now.
    pub ended: UnixTime,
}

/// One state of a centre's clock, which holds until the next one or the run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated {
    /// From when on.
    pub since: UnixTime,
    /// What could be said.
    pub verdict: ClockVerdict,
    /// Within which bound, when it was stated.
    pub bound: Nanos,
}

/// A stretch of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its begin.
    pub from: UnixTime,
    /// Its end.
    pub to: UnixTime,
    /// What held; none where the centre is not known to have run.
    pub verdict: Option<ClockVerdict>,
}

/// What a period came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// How long the clock was proven.
    pub proven: Nanos,
    /// How long it was declared.
    pub declared: Nanos,
    /// How long the centre ran with neither.
    pub unproven: Nanos,
    /// How long it did not run, or is not known to have.
    pub down: Nanos,
}

/// The stretches of the period from `from` to `to`, in order and without gaps. `runs` and `states` are in the order of their
/// instants; a clock that was set back between two of them yields what the later one says.
pub fn stretches(runs: &[Run], states: &[Stated], from: UnixTime, to: UnixTime) -> Vec<Stretch> {
    let mut cuts: Vec<UnixTime> = vec![from, to];
    cuts.extend(runs.iter().flat_map(|run| [run.started, run.ended]));
    cuts.extend(states.iter().map(|state| state.since));
    cuts.retain(|cut| (from..=to).contains(cut));
    cuts.sort_unstable();
    cuts.dedup();
    let mut found: Vec<Stretch> = Vec::new();
    for (begin, end) in cuts.iter().zip(cuts.iter().skip(1)) {
        let verdict = holds(runs, states, *begin);
        match found.last_mut() {
            Some(last) if last.verdict == verdict => last.to = *end,
            _ => found.push(Stretch { from: *begin, to: *end, verdict }),
        }
    }
    found
}

/// What held at an instant.
fn holds(runs: &[Run], states: &[Stated], at: UnixTime) -> Option<ClockVerdict> {
    if !runs.iter().any(|run| run.started <= at && at < run.ended) {
        return None;
    }
    // A run writes its first clock state down a moment before its own start, so that each run has one.
    states.iter().rev().find(|state| state.since <= at).map(|state| state.verdict)
}

/// What stretches come to.
pub fn totals(stretches: &[Stretch]) -> Totals {
    let mut totals = Totals::default();
    for stretch in stretches {
        let length = stretch.to - stretch.from;
        let sum = match stretch.verdict {
            Some(ClockVerdict::Proven) => &mut totals.proven,
            Some(ClockVerdict::Declared) => &mut totals.declared,
            Some(ClockVerdict::Unproven) => &mut totals.unproven,
            None => &mut totals.down,
        };
        *sum = *sum + length;
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClockVerdict::{Declared, Proven, Unproven};
    use proptest::prelude::*;

    fn at(second: i64) -> UnixTime {
        UnixTime::from_nanos(second * 1_000_000_000)
    }

    fn run(started: i64, ended: i64) -> Run {
        Run { started: at(started), ended: at(ended) }
    }

    fn stated(since: i64, verdict: ClockVerdict) -> Stated {
        Stated { since: at(since), verdict, bound: Nanos::from_millis(1) }
    }

    #[test]
    fn a_period_is_cut_where_something_changed() {
        let runs = [run(10, 50), run(70, 100)];
        let states = [stated(9, Unproven), stated(20, Proven), stated(69, Unproven), stated(80, Declared)];
        let found = stretches(&runs, &states, at(0), at(90));
        let told: Vec<_> =
            found.iter().map(|each| ((each.from - at(0)).count() / 1_000_000_000, each.verdict)).collect();
        assert_eq!(
            told,
            [
                (0, None),
                (10, Some(Unproven)),
                (20, Some(Proven)),
                (50, None),
                (70, Some(Unproven)),
                (80, Some(Declared))
            ]
        );
        let seconds = |length: Nanos| length.count() / 1_000_000_000;
        let sums = totals(&found);
        assert_eq!([sums.proven, sums.declared, sums.unproven, sums.down].map(seconds), [30, 10, 20, 30]);
        assert_eq!(stretches(&[], &[], at(0), at(9)).len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(runs in prop::collection::vec((0i64..200, 0i64..60), 0..6), states in prop::collection::vec((0i64..200, 0u8..3), 0..9), from in 0i64..200, length in 1i64..200) {
            let runs: Vec<_> = runs.into_iter().map(|(start, long)| run(start, start + long)).collect();
            let mut states: Vec<_> = states.into_iter().map(|(since, which)| stated(since, [Proven, Declared, Unproven][usize::from(which)])).collect();
            states.sort_by_key(|state| state.since);
            let found = stretches(&runs, &states, at(from), at(from + length));
            prop_assert_eq!(found.first().unwrap().from, at(from));
            prop_assert_eq!(found.last().unwrap().to, at(from + length));
            for (one, next) in found.iter().zip(found.iter().skip(1)) {
                prop_assert!(one.to == next.from && one.verdict != next.verdict);
            }
            let sums = totals(&found);
            prop_assert_eq!(sums.proven + sums.declared + sums.unproven + sums.down, Nanos::from_secs(length));
        }
    }
}
