//! Within tolerance, outside it, or not proven: what an agent's records show of every instant of a stretch of time.
//!
//! An exchange shows that the clock's offset lies in an interval, offset ± bound. It covers the time from its instant on, while
//! its interval grows by the stated drift, until the next exchange, or until twice the poll interval has passed, or until
//! something happened after which nothing is known: an alarm, a stop, a start, lost records. While the whole interval lies
//! within the tolerance, that time is **within**; while the whole interval lies beyond it, **outside**; else **not proven**.
//! Where there is no data, nothing is proven.
//!
//! Two exchanges whose offsets differ by more than their bounds and the drift explain refute the drift between them: the clock was
//! moved there, and the time from the one to the other is not proven. Each exchange is held against all of the last hour
//! and not only against the one before, so that a clock that runs away faster than is stated, or a server that wanders
//! off, shows in the end, however wide the bounds. Where only the long view shows it, nothing is proven for as
//! long again: what broke the assumption may well go on.
//!
//! A bound above [`WIDEST`] shows no clock within anything: who keeps exchanges long would otherwise choose how little they show.

mod knowledge;
mod painter;

use angbu_units::{ClockVerdict, Nanos, Ppb, UnixTime};

use knowledge::Knowledge;
use painter::Painter;

use crate::correction::Correction;
use crate::record::{Fact, PauseReason, Record, When};

/// The stated maximum by which a clock drifts while nobody looks.
pub const DRIFT: Ppb = Ppb::new(100_000);

/// How many poll intervals an exchange covers at most: one exchange can be lost without a gap.
pub const COVERS_POLLS: i64 = 2;

/// A wider bound than this, with what the drift adds to it, proves no clock within a tolerance, however large the tolerance: 100 ms, the
/// one-way delay from which on a clock is not steady either ([`crate::sync::Policy`]). It is no customer's to choose, because it
/// is the answerer's side of the question. "Outside" needs no such limit: width only ever speaks against it.
pub const WIDEST: Nanos = Nanos::from_millis(100);

/// How far back an exchange is held against the ones before it.
pub const LOOKS_BACK: Nanos = Nanos::from_secs(3_600);

/// What can be said of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The clock was within the tolerance.
    Within,
    /// The clock was not within the tolerance.
    Outside,
    /// Neither is shown.
    NotProven,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// An exchange shows that the clock was within the tolerance.
    Within,
    /// An exchange shows that the clock was outside the tolerance.
    Outside,
    /// No exchange yet.
    NoData,
    /// The server was not reached, or the agent did not ask.
    Silent,
    /// The agent had stopped.
    Stopped,
    /// The agent had started and not yet finished an exchange.
    Starting,
    /// The agent was not running, and had not said so.
    Unwatched,
    /// Nobody watched the clock: the agent was held, or the machine suspended.
    Paused,
    /// The clock was moved, and not yet shown since.
    Alarm,
    /// Two exchanges differ by more than drift explains.
    Moved,
    /// The agent set the clock itself, and no exchange has shown it since.
    Corrected,
    /// Records were lost before they reached the centre.
    Dropped,
    /// The tolerance's edge lies inside the exchange's interval.
    Undecided,
    /// The interval grew over the tolerance's edge, or over [`WIDEST`], since the exchange.
    Aged,
    /// The interval is wider than [`WIDEST`].
    Wide,
    /// The centre's own clock was not proven.
    Centre,
    /// The centre's clock was set back and showed this time twice.
    Twice,
    /// No tolerance was settled.
    NoTolerance,
}

/// A stretch of time, from `from` to just before `to`, by the centre's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first instant.
    pub from: UnixTime,
    /// The first instant after it.
    pub to: UnixTime,
    /// What can be said of it.
    pub verdict: Verdict,
    /// Why.
    pub why: Why,
    /// What the centre could say of its own clock, where the verdict rests on an exchange with it.
    pub reference: Option<ClockVerdict>,
}

/// How long in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Within the tolerance.
    pub within: Nanos,
    /// Outside it.
    pub outside: Nanos,
    /// Neither.
    pub not_proven: Nanos,
}

/// One record, as far as periods need it. Records come in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// The record's number.
    pub seq: u64,
    /// The number of the record after it.
    pub next_seq: u64,
    /// What it says.
    pub what: What,
}

/// What an exchange shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When, by the centre's clock.
    pub at: UnixTime,
    /// The centre's clock minus the agent's.
    pub offset: Nanos,
    /// How far the offset can be wrong.
    pub bound: Nanos,
    /// How often the agent then asked.
    pub poll: Nanos,
    /// What the centre could say of its own clock at the time, if that is known.
    pub centre: Option<ClockVerdict>,
}

impl Sample {
    /// Whether the centre's own clock was shown when it was asked.
    const fn is_usable(&self) -> bool {
        !matches!(self.centre, None | Some(ClockVerdict::Unproven))
    }

    /// What it shows of its own instant, held against a tolerance and against nothing else.
    pub fn verdict(&self, tolerance: Nanos) -> Verdict {
        let offset = self.offset.abs();
        if !self.is_usable() {
            Verdict::NotProven
        } else if offset - self.bound > tolerance {
            Verdict::Outside
        } else if self.bound <= WIDEST && offset + self.bound <= tolerance {
            Verdict::Within
        } else {
            Verdict::NotProven
        }
    }
}

/// What a record says of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An exchange.
    Exchange(Sample),
    /// The clock was moved some time in the stretch `since` before `at`.
    Alarm {
        /// When it was noticed.
        at: When,
        /// How long before the clock was last known to be untouched.
        since: Nanos,
    },
    /// The agent started.
    Start {
        /// When.
        at: When,
        /// Whether the run before had ended in good order.
        clean: bool,
    },
    /// The agent stopped.
    Stop {
        /// When.
        at: When,
    },
    /// Nobody watched the clock for `length` before `at`.
    Pause {
        /// When it was watched again.
        at: When,
        /// How long it was not.
        length: Nanos,
        /// Why not. Only where the process alone was held did the machine run on, and what carries its clock forward with it.
        reason: PauseReason,
    },
    /// Records were lost.
    Dropped,
    /// The agent itself corrected the clock.
    Correction {
        /// When, by the centre's clock as the agent reckons it.
        at: UnixTime,
        /// By how much it was moved, or at most will have been.
        amount: Nanos,
        /// Whether at once.
        step: bool,
    },
}

impl Observed {
    /// What a record says. `centre` is what the centre could say of its own clock at the time, which matters to
    /// exchanges only.
    pub fn new(record: &Record, centre: Option<ClockVerdict>) -> Self {
        let what = match &record.fact {
            Fact::Exchange(measured) => {
                let exchange = &measured.exchange;
                let (at, offset, bound) = (exchange.at(), exchange.offset(), exchange.bound());
                What::Exchange(Sample { at, offset, bound, poll: measured.poll, centre })
            }
            Fact::Alarm(alarm) => What::Alarm { at: alarm.at, since: alarm.since },
            Fact::Start(start) => What::Start { at: start.at, clean: start.clean },
            Fact::Stop(stop) => What::Stop { at: stop.at },
            Fact::Dropped(_) => What::Dropped,
            Fact::Pause(pause) => What::Pause { at: pause.at, length: pause.length, reason: pause.reason },
            Fact::Corrections(corrections) => {
                // Of several only the last can be a step; the slews before it are given by `all`.
                let last = corrections.made.last();
                What::Correction {
                    at: last.map_or(corrections.at.best(), |made| made.at),
                    amount: last.map_or(Nanos::ZERO, |made| made.amount),
                    step: corrections.tells_of_a_step(),
                }
            }
        };
        Self { seq: record.seq, next_seq: record.next_seq(), what }
    }
}

/// What one record says, as [`Observed::new`]; of several corrections in it each.
pub fn observed(record: &Record, centre: Option<ClockVerdict>) -> Vec<Observed> {
    let whole = Observed::new(record, centre);
    let Fact::Corrections(corrections) = &record.fact else { return vec![whole] };
    let before = corrections.made.split_last().map_or(&[][..], |(_, before)| before);
    let slew = |made: &Correction| What::Correction { at: made.at, amount: made.amount, step: false };
    let before = before.iter().map(|made| Observed { next_seq: record.seq, what: slew(made), ..whole });
    before.chain([whole]).collect()
}

/// The verdicts on the time from `from` to just before `to`: they cover it exactly, in order, and neighbours differ.
///
/// `observed` is one agent's records in the order of their numbers, and should begin before `from` by an exchange or more.
/// `tolerance` says from when on which tolerance held, in order of time; before the first none did.
pub fn periods(
    observed: &[Observed],
    tolerance: &[(UnixTime, Nanos)],
    from: UnixTime,
    to: UnixTime,
    drift: Ppb,
) -> Vec<Period> {
    let mut painter = Painter::new([from, to], drift, tolerance, slews(observed));
    let mut knowledge = Knowledge::Nothing { since: UnixTime::MIN, why: Why::NoData };
    let mut latest = UnixTime::MIN;
    let mut twice = Vec::new();
    let mut next_seq = None;
    let mut exchanges = observed.iter().enumerate().filter_map(exchanged_at).peekable();
    for (index, now) in observed.iter().enumerate() {
        if next_seq.is_some_and(|expected| expected != now.seq) {
            knowledge = knowledge.lost(Why::Dropped);
        }
        next_seq = Some(now.next_seq);
        while exchanges.next_if(|(place, _)| *place <= index).is_some() {}
        let next_exchange = exchanges.peek().map(|(_, at)| *at);
        knowledge = painter.advance(knowledge, &now.what, next_exchange);
        let at = knowledge.since();
        if at < latest {
            twice.push((at, latest));
        }
        latest = latest.max(at);
    }
    painter.finish(knowledge);
    cover(painter.pieces, twice, from, to)
}

/// Periods one behind the other without gap, where neighbours that say the same become one.
pub fn merged(periods: Vec<Period>) -> Vec<Period> {
    let Some(from) = periods.first().map(|first| first.from) else { return periods };
    let mut row = Row { periods: Vec::with_capacity(periods.len()), until: from };
    for period in periods {
        row.fill(period.to, period.why, period.reference);
    }
    row.periods
}

/// How long in all, by verdict.
pub fn totals(periods: &[Period]) -> Totals {
    let mut totals = Totals::default();
    for period in periods {
        let length = period.to - period.from;
        match period.verdict {
            Verdict::Within => totals.within = totals.within + length,
            Verdict::Outside => totals.outside = totals.outside + length,
            Verdict::NotProven => totals.not_proven = totals.not_proven + length,
        }
    }
    totals
}

/// The agent's own slews, in order of time.
fn slews(observed: &[Observed]) -> Vec<(UnixTime, Nanos)> {
    let slew = |observed: &Observed| match observed.what {
        What::Correction { at, amount, step: false } => Some((at, amount)),
        _ => None,
    };
    let mut slews: Vec<_> = observed.iter().filter_map(slew).collect();
    slews.sort_unstable();
    slews
}

/// The place and the instant of an exchange among the records.
fn exchanged_at((place, observed): (usize, &Observed)) -> Option<(usize, UnixTime)> {
    match observed.what {
        What::Exchange(sample) => Some((place, sample.at)),
        _ => None,
    }
}

/// One row of periods from pieces, which may overlap only where time was shown twice.
fn cover(
    mut pieces: Vec<Period>,
    twice: Vec<(UnixTime, UnixTime)>,
    from: UnixTime,
    to: UnixTime,
) -> Vec<Period> {
    pieces.sort_by_key(|piece| piece.from);
    let mut row = Row { periods: Vec::new(), until: from };
    for piece in pieces {
        row.fill(piece.from, Why::NoData, None);
        row.fill(piece.to, piece.why, piece.reference);
    }
    row.fill(to, Why::NoData, None);
    if twice.is_empty() { row.periods } else { spoil(&row.periods, twice, from) }
}

/// What lies in a stretch that the centre's clock showed twice is not proven.
fn spoil(periods: &[Period], mut twice: Vec<(UnixTime, UnixTime)>, from: UnixTime) -> Vec<Period> {
    twice.sort_unstable();
    let mut twice = twice.into_iter().peekable();
    let mut row = Row { periods: Vec::new(), until: from };
    for period in periods {
        while row.until < period.to {
            while twice.next_if(|(_, end)| *end <= row.until).is_some() {}
            let (start, end) = twice.peek().copied().unwrap_or((UnixTime::MAX, UnixTime::MAX));
            row.fill(start.min(period.to), period.why, period.reference);
            if start < period.to {
                row.fill(end.min(period.to), Why::Twice, None);
            }
        }
    }
    row.periods
}

/// A row of periods without gap; neighbours that say the same become one.
struct Row {
    periods: Vec<Period>,
    until: UnixTime,
}

impl Row {
    fn fill(&mut self, to: UnixTime, why: Why, reference: Option<ClockVerdict>) {
        if to <= self.until {
            return;
        }
        match self.periods.last_mut() {
            Some(last) if last.why == why && last.reference == reference => last.to = to,
            _ => {
                let verdict = why.verdict();
                self.periods.push(Period { from: self.until, to, verdict, why, reference });
            }
        }
        self.until = to;
    }
}

impl Verdict {
    /// The word for it in interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Outside => "outside",
            Self::NotProven => "not-proven",
        }
    }
}

impl Why {
    /// The verdict that this is a reason for.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Within => Verdict::Within,
            Self::Outside => Verdict::Outside,
            _ => Verdict::NotProven,
        }
    }

    /// Its code in interfaces.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Outside => "outside",
            Self::NoData => "no-data",
            Self::Silent => "silence",
            Self::Stopped => "stopped",
            Self::Starting => "started",
            Self::Unwatched => "unwatched",
            Self::Paused => "paused",
            Self::Alarm => "alarm",
            Self::Moved => "moved",
            Self::Corrected => "corrected",
            Self::Dropped => "dropped",
            Self::Undecided => "straddles",
            Self::Aged => "aged",
            Self::Wide => "too-wide",
            Self::Centre => "reference-unproven",
            Self::Twice => "clock-set-back",
            Self::NoTolerance => "no-tolerance",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;
    const TOLERANCE: [(UnixTime, Nanos); 1] = [(UnixTime::MIN, Nanos::from_millis(50))];

    /// `(seconds, what)` as records numbered from 1.
    fn observed(what: &[What]) -> Vec<Observed> {
        (1..).zip(what).map(|(seq, what)| Observed { seq, next_seq: seq + 1, what: *what }).collect()
    }

    /// An exchange at a second, offset and bound in ms, poll 10 s.
    fn exchange(second: i64, offset: i64, bound: i64) -> What {
        What::Exchange(sample(second, offset, bound))
    }

    fn sample(second: i64, offset: i64, bound: i64) -> Sample {
        Sample {
            at: UnixTime::from_nanos(second * S),
            offset: Nanos::from_millis(offset),
            bound: Nanos::from_millis(bound),
            poll: Nanos::from_secs(10),
            centre: Some(ClockVerdict::Declared),
        }
    }

    fn when(second: i64) -> When {
        When { system: UnixTime::from_nanos(second * S), centre: None }
    }

    fn reckoned(system: i64, centre: i64) -> When {
        When { centre: Some(UnixTime::from_nanos(centre * S)), ..when(system) }
    }

    fn row(periods: &[Period]) -> String {
        let words = periods.iter().map(|period| {
            let length = (period.to - period.from).count();
            assert!(length > 0);
            format!("{}:{}:{}", length.div_euclid(S), period.verdict.word(), period.why.code())
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(what: &[What], seconds: i64, expected: &str) {
        let found = periods(
            &observed(what),
            &TOLERANCE,
            UnixTime::from_nanos(0),
            UnixTime::from_nanos(seconds * S),
            Ppb::new(0),
        );
        assert_eq!(row(&found), expected);
    }

    #[test]
    fn no_data_is_not_proven() {
        check(&[], 30, "30:not-proven:no-data");
        check(&[exchange(10, 0, 1)], 60, "10:not-proven:no-data 20:within:within 30:not-proven:silence");
    }

    #[test]
    fn the_interval_decides() {
        check(&[exchange(0, 0, 50)], 10, "10:within:within");
        check(&[exchange(0, 0, 51)], 10, "10:not-proven:straddles");
        check(&[exchange(0, -49, 1)], 10, "10:within:within");
        check(&[exchange(0, 50, 1)], 10, "10:not-proven:straddles");
        check(&[exchange(0, -51, 1)], 10, "10:not-proven:straddles");
        check(&[exchange(0, 52, 1)], 10, "10:outside:outside");
        check(&[exchange(0, -3_600_000, 1)], 10, "10:outside:outside");
    }

    #[test]
    fn neighbours_that_say_the_same_are_one() {
        check(
            &[exchange(0, 0, 1), exchange(10, 1, 1), exchange(25, 0, 1), exchange(50, 0, 1)],
            60,
            "45:within:within 5:not-proven:silence 10:within:within",
        );
    }

    #[test]
    fn a_pause_is_unwatched_and_a_machine_that_ran_on_is_still_shown() {
        let length = Nanos::from_secs(3);
        for (at, reason, last, expected) in [
            (reckoned(5, 5), PauseReason::Stopped, 1, "2:within:within 3:not-proven:paused 15:within:within"),
            (
                reckoned(5, 5),
                PauseReason::Suspended,
                1,
                "2:within:within 8:not-proven:paused 10:within:within",
            ),
            (when(5), PauseReason::Stopped, 1, "10:not-proven:paused 10:within:within"),
            (reckoned(5, 5), PauseReason::Migrated, 900, "10:not-proven:moved 10:outside:outside"),
            // What two exchanges contradict stays contradicted, pause or no pause.
            (reckoned(5, 5), PauseReason::Stopped, 900, "10:not-proven:moved 10:outside:outside"),
        ] {
            let story = [exchange(0, 0, 1), What::Pause { at, length, reason }, exchange(10, last, 1)];
            check(&story, 20, expected);
        }
    }

    #[test]
    fn an_alarm_ends_what_was_shown() {
        let since = Nanos::from_secs(1);
        // The alarm's own clock is wrong by an hour. What the agent reckons of the centre's clock goes before it, and cannot lie
        // outside the alarm's neighbours; where it reckons nothing, nothing since the last exchange is shown.
        for (at, expected) in [
            (reckoned(3_605, 5), "4:within:within 6:not-proven:alarm 10:within:within"),
            (reckoned(3_605, -90), "10:not-proven:alarm 10:within:within"),
            (reckoned(3_605, 90), "20:within:within"),
            (when(5), "10:not-proven:alarm 10:within:within"),
        ] {
            check(&[exchange(0, 0, 0), What::Alarm { at, since }, exchange(10, 0, 0)], 20, expected);
        }
        // The reckoning is as wrong as the exchange: with 1 s of doubt the alarm may have been 1 s earlier.
        let large = [(UnixTime::MIN, Nanos::from_secs(50))];
        let alarm = What::Alarm { at: reckoned(5, 5), since };
        let story = observed(&[exchange(0, 0, 90), alarm]);
        let found =
            periods(&story, &large, UnixTime::from_nanos(0), UnixTime::from_nanos(5 * S), Ppb::new(0));
        assert_eq!(found[0].to, UnixTime::from_nanos(4 * S - 90 * MS));
    }

    #[test]
    fn a_stop_and_a_start() {
        let stop = What::Stop { at: reckoned(5, 5) };
        let start = |clean| What::Start { at: when(20), clean };
        check(
            &[exchange(0, 0, 0), stop, start(true), exchange(22, 0, 1)],
            30,
            "5:within:within 15:not-proven:stopped 2:not-proven:started 8:within:within",
        );
        // Killed: nobody knows when it stopped watching.
        check(
            &[exchange(0, 0, 1), start(false), exchange(22, 0, 1)],
            30,
            "20:not-proven:unwatched 2:not-proven:started 8:within:within",
        );
    }

    #[test]
    fn lost_records_show_nothing() {
        check(
            &[exchange(0, 0, 1), What::Dropped, exchange(10, 0, 1)],
            15,
            "10:not-proven:dropped 5:within:within",
        );
        let mut gap = observed(&[exchange(0, 0, 1), exchange(10, 0, 1)]);
        gap[1].seq = 3;
        let found = periods(&gap, &TOLERANCE, UnixTime::from_nanos(0), UnixTime::from_nanos(15 * S), DRIFT);
        assert_eq!(row(&found), "10:not-proven:dropped 5:within:within");
    }

    #[test]
    fn exchanges_that_contradict_the_drift() {
        check(&[exchange(0, 0, 1), exchange(10, 40, 1)], 20, "10:not-proven:moved 10:within:within");
        check(&[exchange(0, 0, 1), exchange(10, 2, 1)], 20, "20:within:within");
    }

    #[test]
    fn the_long_view_contradicts_too() {
        // 5 ms of bound hide 3 ms a poll from each neighbour; the fifth exchange does not fit to the first, and nothing is
        // proven from the one to the other, nor for as long again.
        let runaway: Vec<_> = (0..12).map(|n| exchange(n * 10, if n < 6 { 3 * n } else { 15 }, 5)).collect();
        check(&runaway, 120, "80:not-proven:moved 40:within:within");
        let honest: Vec<_> = (0..12).map(|n| exchange(n * 10, 5 * (n % 2), 5)).collect();
        check(&honest, 120, "120:within:within");
    }

    #[test]
    fn a_wide_interval_shows_nothing_within() {
        let large = [(UnixTime::MIN, Nanos::from_secs(10))];
        for (offset, bound, expected) in [
            (0, 100, "20:within:within"),
            (0, 101, "20:not-proven:too-wide"),
            (9_000, 101, "20:not-proven:too-wide"),
            (9_950, 101, "20:not-proven:straddles"),
            (20_000, 101, "20:outside:outside"),
        ] {
            let story = observed(&[exchange(0, offset, bound)]);
            let (from, to) = (UnixTime::from_nanos(0), UnixTime::from_nanos(20 * S));
            assert_eq!(row(&periods(&story, &large, from, to, Ppb::new(0))), expected);
        }
        let story = observed(&[exchange(0, 0, 99)]);
        let found = periods(&story, &large, UnixTime::from_nanos(0), UnixTime::from_nanos(20 * S), DRIFT);
        assert_eq!(row(&found), "10:within:within 9:not-proven:aged", "it grows over the limit as well");
    }

    #[test]
    fn other_servers_show_and_spoil_nothing() {
        let other = |second, offset| What::Exchange(Sample { centre: None, ..sample(second, offset, 1) });
        check(
            &[exchange(0, 0, 1), other(5, 300), exchange(10, 0, 1), other(45, 0)],
            50,
            "30:within:within 15:not-proven:silence 5:not-proven:reference-unproven",
        );
    }

    #[test]
    fn the_centre_must_be_shown_itself() {
        for centre in [None, Some(ClockVerdict::Unproven)] {
            let unproven = What::Exchange(Sample { centre, ..sample(0, 0, 1) });
            check(&[unproven, exchange(10, 0, 1)], 20, "10:not-proven:reference-unproven 10:within:within");
        }
    }

    #[test]
    fn a_time_that_was_shown_twice() {
        check(
            &[exchange(0, 0, 1), exchange(10, 0, 1), exchange(5, 0, 1), exchange(15, 0, 1)],
            25,
            "5:within:within 5:not-proven:clock-set-back 15:within:within",
        );
    }

    #[test]
    fn drift_widens_the_interval() {
        // 45 + 4 ms: 1 ms is left, which 100 ppm use up in 10 s.
        let at = |what, expected: &str| {
            let found = periods(
                &observed(&[what]),
                &TOLERANCE,
                UnixTime::from_nanos(0),
                UnixTime::from_nanos(20 * S),
                DRIFT,
            );
            assert_eq!(row(&found), expected);
            found
        };
        let found = at(exchange(0, 45, 4), "10:within:within 9:not-proven:aged");
        assert_eq!(
            found[0].to,
            UnixTime::from_nanos(10 * S + 1),
            "at 10 s the interval still ends at the tolerance"
        );
        let found = at(exchange(0, 55, 4), "9:outside:outside 10:not-proven:aged");
        assert_eq!(
            found[0].to,
            UnixTime::from_nanos(10 * S - 9_999),
            "outside ends before the interval touches it"
        );
    }

    #[test]
    fn tolerances_change() {
        let tolerance = [
            (UnixTime::from_nanos(2 * S), Nanos::from_millis(50)),
            (UnixTime::from_nanos(5 * S), Nanos::from_millis(5)),
            (UnixTime::from_nanos(7 * S), Nanos::from_millis(8)),
        ];
        let found = periods(
            &observed(&[exchange(0, 6, 0)]),
            &tolerance,
            UnixTime::from_nanos(0),
            UnixTime::from_nanos(9 * S),
            Ppb::new(0),
        );
        assert_eq!(
            row(&found),
            "2:not-proven:no-tolerance 3:within:within 2:outside:outside 2:within:within"
        );
        let found = periods(
            &observed(&[exchange(0, 6, 0)]),
            &[],
            UnixTime::from_nanos(0),
            UnixTime::from_nanos(9 * S),
            DRIFT,
        );
        assert_eq!(row(&found), "9:not-proven:no-tolerance");
    }

    fn what() -> impl Strategy<Value = What> {
        let time = -100i64..1_000;
        let centre = prop_oneof![
            6 => Just(Some(ClockVerdict::Proven)), 2 => Just(Some(ClockVerdict::Declared)),
            1 => Just(Some(ClockVerdict::Unproven)), 1 => Just(None),
        ];
        let at = (time.clone(), prop::option::of(time.clone())).prop_map(|(system, centre)| When {
            system: UnixTime::from_nanos(system * S),
            centre: centre.map(|second| UnixTime::from_nanos(second * S)),
        });
        prop_oneof![
            6 => (time, -80i64..80, 0i64..20, 1i64..60, centre).prop_map(|(at, offset, bound, poll, centre)| What::Exchange(Sample { at: UnixTime::from_nanos(at * S), offset: Nanos::from_millis(offset), bound: Nanos::from_millis(bound), poll: Nanos::from_secs(poll), centre })),
            1 => (at.clone(), 0i64..100).prop_map(|(at, since)| What::Alarm { at, since: Nanos::from_secs(since) }),
            1 => (at.clone(), any::<bool>()).prop_map(|(at, clean)| What::Start { at, clean }),
            1 => at.clone().prop_map(|at| What::Stop { at }),
            1 => (at, 1i64..30, prop::sample::select(&PauseReason::ALL[..])).prop_map(|(at, length, reason)| What::Pause { at, length: Nanos::from_secs(length), reason }),
            1 => Just(What::Dropped),
        ]
    }

    /// In order of time as a centre's clock makes it, or in any order.
    fn story() -> impl Strategy<Value = Vec<What>> {
        (prop::collection::vec(what(), 0..40), prop::bool::weighted(0.7)).prop_map(|(mut story, in_order)| {
            if in_order {
                story.sort_by_key(|what| match what {
                    What::Exchange(sample) => sample.at,
                    What::Alarm { at, .. } | What::Start { at, .. } | What::Stop { at } => at.best(),
                    What::Pause { at, .. } => at.best(),
                    What::Correction { at, .. } => *at,
                    What::Dropped => UnixTime::from_nanos(500 * S),
                });
            }
            story
        })
    }

    proptest! {
        #[test]
        fn periods_cover_exactly_in_order_and_merged(story in story(), from in -50i64..900, length in 0i64..500, changes in prop::collection::vec((0i64..900, 1i64..80), 0..4)) {
            let (from, to) = (UnixTime::from_nanos(from * S), UnixTime::from_nanos((from + length) * S));
            let mut tolerance: Vec<_> = changes.into_iter().map(|(at, ms)| (UnixTime::from_nanos(at * S), Nanos::from_millis(ms))).collect();
            tolerance.sort();
            let found = periods(&observed(&story), &tolerance, from, to, DRIFT);
            let mut until = from;
            for period in &found {
                prop_assert_eq!(period.from, until);
                prop_assert!(period.from < period.to);
                until = period.to;
            }
            prop_assert_eq!(until, to);
            for pair in found.windows(2) {
                prop_assert!(pair[0].why != pair[1].why || pair[0].reference != pair[1].reference);
            }
            let totals = totals(&found);
            prop_assert_eq!(totals.within + totals.outside + totals.not_proven, to - from);
        }

        /// Whatever is said to be within or outside was shown to be, by an exchange that covers it.
        #[test]
        fn no_data_is_never_within(story in story()) {
            let (from, to) = (UnixTime::from_nanos(0), UnixTime::from_nanos(900 * S));
            let limit = Nanos::from_millis(50);
            for period in periods(&observed(&story), &TOLERANCE, from, to, DRIFT) {
                if period.verdict == Verdict::NotProven {
                    continue;
                }
                prop_assert!(period.reference.is_some());
                for instant in [period.from, period.from + (period.to - period.from).half(), period.to - Nanos::new(1)] {
                    let shown = story.iter().any(|what| match *what {
                        What::Exchange(Sample { at, offset, bound, poll, centre }) => {
                            let age = instant - at;
                            let bound = bound + DRIFT.over(age);
                            let decided = match period.verdict {
                                Verdict::Within => offset.abs() + bound <= limit,
                                _ => offset.abs() - bound > limit,
                            };
                            let usable = !matches!(centre, None | Some(ClockVerdict::Unproven));
                            age >= Nanos::ZERO && age < poll.times(COVERS_POLLS) && usable && decided
                        }
                        _ => false,
                    });
                    prop_assert!(shown, "{:?} is not shown", instant);
                }
            }
        }

        /// A clock that keeps to the drift, measured by exchanges that keep to their bounds, is never judged wrongly.
        #[test]
        fn honest_exchanges_are_never_judged_wrongly(
            start in -80i64..80, rates in prop::collection::vec((-100_000i64..100_000, 0i64..20, -100i64..100, any::<bool>()), 1..40),
        ) {
            let mut truth = Nanos::from_millis(start);
            let (mut story, mut truths) = (Vec::new(), Vec::new());
            for (second, (ppb, bound, error, lost)) in (0i64..).zip(rates) {
                let offset = truth + Nanos::new(bound * MS / 100 * error);
                truths.push((second * 10, truth, Ppb::new(ppb)));
                if !lost {
                    story.push(What::Exchange(Sample { offset, ..sample(second * 10, 0, bound) }));
                }
                truth = truth + Ppb::new(ppb).over(Nanos::from_secs(10));
            }
            let limit = Nanos::from_millis(50);
            for period in periods(&observed(&story), &TOLERANCE, UnixTime::from_nanos(0), UnixTime::from_nanos(500 * S), DRIFT) {
                for (second, truth, rate) in &truths {
                    for into in [0, 3, 7] {
                        let instant = UnixTime::from_nanos((second + into) * S);
                        let truth = *truth + rate.over(Nanos::from_secs(into));
                        if period.from <= instant && instant < period.to {
                            match period.verdict {
                                Verdict::Within => prop_assert!(truth.abs() <= limit + Nanos::new(100)),
                                Verdict::Outside => prop_assert!(truth.abs() + Nanos::new(100) > limit),
                                Verdict::NotProven => prop_assert!(period.why != Why::Moved, "drift was kept to"),
                            }
                        }
                    }
                }
            }
        }
    }
}
