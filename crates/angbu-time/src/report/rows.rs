//! The rows of a server's table of periods. Where a verdict changes from one exchange to the next, the stretch is one row.

use std::collections::BTreeSet;

use angbu_units::{ClockVerdict, Nanos, UnixTime};

use crate::periods::{Period, Totals, Verdict, Why, totals};

/// The most rows of a table.
pub(super) const MOST: usize = 200;

/// What counts as a short period: one of 240 equal parts of the whole.
const PARTS: i64 = 240;

/// One row: one period, or short ones that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) from: UnixTime,
    pub(super) to: UnixTime,
    pub(super) totals: Totals,
    /// Why what is not within is not; of a single period, why.
    pub(super) whys: BTreeSet<Why>,
    pub(super) references: BTreeSet<Option<u8>>,
    pub(super) periods: usize,
}

/// The rows of a table, and how many there would be in all.
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) all: usize,
    /// What is not within in the rows that are left out.
    pub(super) left_out: Nanos,
}

impl Rows {
    /// All rows if they are few, else the longest in which not everything is within, in order of time.
    pub(super) fn of(periods: &[Period]) -> Self {
        let whole = periods.last().map_or(Nanos::ZERO, |last| last.to - first(periods));
        let short = Nanos::new(whole.count() / PARTS);
        let is_short = |period: &Period| period.to - period.from < short;
        let mut all: Vec<Row> = Vec::new();
        for run in periods.chunk_by(|one, next| is_short(one) && is_short(next)) {
            // Two or three short periods are still told one by one.
            let size = if run.len() > 3 { run.len() } else { 1 };
            all.extend(run.chunks(size).map(Row::of));
        }
        let count = all.len();
        let mut rows = all;
        let mut left_out = Nanos::ZERO;
        if count > MOST {
            rows.retain(|row| row.not_within() > Nanos::ZERO);
            rows.sort_by_key(|row| (-row.not_within(), row.from));
            left_out = rows.iter().skip(MOST).fold(Nanos::ZERO, |sum, row| sum + row.not_within());
            rows.truncate(MOST);
            rows.sort_by_key(|row| row.from);
        }
        Self { rows, all: count, left_out }
    }
}

impl Row {
    fn of(periods: &[Period]) -> Self {
        let one = periods.len() == 1;
        let telling = periods.iter().filter(|period| one || period.verdict != Verdict::Within);
        Self {
            from: first(periods),
            to: periods.last().map_or(UnixTime::MIN, |last| last.to),
            totals: totals(periods),
            whys: telling.map(|period| period.why).collect(),
            references: periods.iter().map(|period| period.reference.map(rank)).collect(),
            periods: periods.len(),
        }
    }

    /// The verdict, where the row has one.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self.totals {
            Totals { outside: Nanos::ZERO, not_proven: Nanos::ZERO, .. } => Some(Verdict::Within),
            Totals { within: Nanos::ZERO, not_proven: Nanos::ZERO, .. } => Some(Verdict::Outside),
            Totals { within: Nanos::ZERO, outside: Nanos::ZERO, .. } => Some(Verdict::NotProven),
            _ => None,
        }
    }

    fn not_within(&self) -> Nanos {
        self.totals.outside + self.totals.not_proven
    }

    /// What the row's verdicts rest on: nothing, or these clocks.
    pub(super) fn references(&self) -> impl Iterator<Item = Option<ClockVerdict>> {
        let any = self.references.len() > 1;
        let verdict = |rank| match rank {
            0 => ClockVerdict::Proven,
            1 => ClockVerdict::Declared,
            _ => ClockVerdict::Unproven,
        };
        self.references.iter().filter(move |rank| !any || rank.is_some()).map(move |rank| rank.map(verdict))
    }
}

const fn rank(verdict: ClockVerdict) -> u8 {
    match verdict {
        ClockVerdict::Proven => 0,
        ClockVerdict::Declared => 1,
        ClockVerdict::Unproven => 2,
    }
}

fn first(periods: &[Period]) -> UnixTime {
    periods.first().map_or(UnixTime::MIN, |first| first.from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn periods(lengths: &[(i64, Why)]) -> Vec<Period> {
        let mut from = UnixTime::from_nanos(0);
        let period = |(length, why): &(i64, Why)| {
            let period = Period {
                from,
                to: from + Nanos::from_secs(*length),
                verdict: why.verdict(),
                why: *why,
                reference: None,
            };
            from = period.to;
            period
        };
        lengths.iter().map(period).collect()
    }

    #[test]
    fn flicker_is_one_row() {
        let mut lengths = vec![(10_000, Why::Within)];
        lengths.extend((0..50).flat_map(|_| [(3, Why::Aged), (2, Why::Within), (1, Why::Undecided)]));
        lengths.extend([(5_000, Why::Silent), (4, Why::Starting), (9_000, Why::Outside)]);
        let Rows { rows, all, .. } = Rows::of(&periods(&lengths));
        assert_eq!(all, 5);
        let verdicts: Vec<_> = rows.iter().map(Row::verdict).collect();
        let not_proven = Some(Verdict::NotProven);
        assert_eq!(verdicts, [Some(Verdict::Within), None, not_proven, not_proven, Some(Verdict::Outside)]);
        assert_eq!(rows[1].whys, [Why::Aged, Why::Undecided].into());
        assert_eq!(rows[1].totals.within, Nanos::from_secs(100));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(lengths in prop::collection::vec((1i64..5_000, 0u8..4), 1..1_200)) {
            let whys = [Why::Within, Why::Outside, Why::Silent, Why::Alarm];
            let lengths: Vec<_> = lengths.into_iter().map(|(length, why)| (length, whys[usize::from(why)])).collect();
            let periods = periods(&lengths);
            let whole = totals(&periods);
            let rows = Rows::of(&periods);
            prop_assert!(rows.rows.len() <= MOST);
            let told = rows.rows.iter().fold(Nanos::ZERO, |sum, row| sum + row.not_within());
            prop_assert_eq!(told + rows.left_out, whole.outside + whole.not_proven);
            if rows.all <= MOST {
                prop_assert_eq!(rows.rows.len(), rows.all);
                prop_assert!(rows.rows.windows(2).all(|pair| pair[0].to == pair[1].from));
            }
        }
    }
}
