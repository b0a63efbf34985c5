//! Writes down record by record what is known of which stretch.

use angbu_units::{ClockVerdict, Nanos, Ppb, UnixTime};

use super::knowledge::{Feasible, Knowledge};
use super::{COVERS_POLLS, Period, Sample, WIDEST, What, Why};
use crate::record::PauseReason;

/// Collects what is known of which stretch.
pub(super) struct Painter<'a> {
    from: UnixTime,
    to: UnixTime,
    drift: Ppb,
    tolerance: &'a [(UnixTime, Nanos)],
    pub(super) pieces: Vec<Period>,
    feasible: Option<Feasible>,
    /// The agent's own slews, in order of time.
    slews: Vec<(UnixTime, Nanos)>,
    /// Until when exchanges prove nothing, because they contradicted each other in the long view.
    doubted: UnixTime,
}

impl<'a> Painter<'a> {
    /// Nothing is known yet of the time from `from` to `to`. `slews` are the agent's own.
    pub(super) fn new(
        [from, to]: [UnixTime; 2],
        drift: Ppb,
        tolerance: &'a [(UnixTime, Nanos)],
        slews: Vec<(UnixTime, Nanos)>,
    ) -> Self {
        let (pieces, feasible, doubted) = (Vec::new(), None, UnixTime::MIN);
        Self { from, to, drift, tolerance, pieces, feasible, slews, doubted }
    }
}

impl Painter<'_> {
    /// The next record: what was known until then is written down, and what is known from then on returned.
    pub(super) fn advance(
        &mut self,
        known: Knowledge,
        what: &What,
        next_exchange: Option<UnixTime>,
    ) -> Knowledge {
        // An agent's reckoning cannot put an event before what came before it, nor after what came after. An event
        // that it could not reckon may have been at any time since.
        let place = |at: UnixTime| next_exchange.map_or(at, |next| at.min(next)).max(known.since());
        match *what {
            // An exchange with some other server says nothing of the centre's clock; it takes nothing away either.
            What::Exchange(sample) if sample.centre.is_none() && known.covers(sample.at) => known,
            What::Exchange(sample) => {
                self.until_exchange(known, &sample);
                Knowledge::Exchange { sample, from: sample.at }
            }
            What::Pause { at, length, reason } => self.pause(known, at.centre.map(place), length, reason),
            What::Alarm { at, since } => {
                // The agent's reckoning of the centre's clock is as wrong as the exchange that it rests on.
                let reckoned = |centre: UnixTime| place(centre - since - known.doubt_at(centre, self.drift));
                let untouched = at.centre.map_or(known.since(), reckoned);
                self.until(known, untouched);
                Knowledge::Nothing { since: untouched, why: Why::Alarm }
            }
            What::Stop { at } => {
                let reckoned = |centre: UnixTime| place(centre - known.doubt_at(centre, self.drift));
                let stopped = at.centre.map_or(known.since(), reckoned);
                self.until(known, stopped);
                Knowledge::Nothing { since: stopped, why: Why::Stopped }
            }
            What::Start { at, clean } => {
                let started = place(at.best());
                // A run that ended without a stop ended nobody knows when.
                let known = if clean { known } else { known.lost(Why::Unwatched) };
                self.until(known, started);
                Knowledge::Nothing { since: started, why: Why::Starting }
            }
            What::Dropped => known.lost(Why::Dropped),
            What::Correction { step: false, .. } => known,
            What::Correction { at, .. } => {
                let stepped = place(at - known.doubt_at(at, self.drift));
                self.until(known, stepped);
                Knowledge::Nothing { since: stepped, why: Why::Corrected }
            }
        }
    }

    /// Nobody watched for `length` until `end`, if the agent could reckon that. Where the machine ran on, the clock is afterwards
    /// what its last exchange and the clock that nobody can set make it, or the agent would have raised an alarm.
    fn pause(
        &mut self,
        known: Knowledge,
        end: Option<UnixTime>,
        length: Nanos,
        reason: PauseReason,
    ) -> Knowledge {
        let Some(end) = end else { return known.lost(Why::Paused) };
        let began = (end - length).max(known.since());
        self.until(known, began);
        match known {
            // The next exchange shows whether the machine stood still, or the centre's clock leapt: either contradicts the last.
            Knowledge::Exchange { sample, .. } if reason == PauseReason::Migrated => {
                Knowledge::Doubted { sample, since: began }
            }
            Knowledge::Doubted { sample, .. } if reason != PauseReason::Suspended => {
                Knowledge::Doubted { sample, since: began }
            }
            _ if reason != PauseReason::Stopped => Knowledge::Nothing { since: began, why: Why::Paused },
            Knowledge::Nothing { .. } | Knowledge::Doubted { .. } => {
                let why = if let Knowledge::Nothing { why, .. } = known { why } else { Why::Paused };
                self.paint(began, end, Why::Paused, None);
                Knowledge::Nothing { since: end, why }
            }
            Knowledge::Exchange { sample, .. } => {
                self.paint(began, end, Why::Paused, None);
                Knowledge::Exchange { sample, from: end }
            }
        }
    }

    fn until_exchange(&mut self, known: Knowledge, next: &Sample) {
        let before = match known {
            Knowledge::Exchange { sample, .. } | Knowledge::Doubted { sample, .. } if sample.is_usable() => {
                sample
            }
            _ => {
                self.feasible = None;
                self.until(known, next.at);
                return self.begin(next);
            }
        };
        match self.feasible.map_or(Ok(Feasible::of(next)), |feasible| feasible.with(next, self.drift)) {
            _ if !next.is_usable() => self.until(known, next.at),
            Ok(feasible) => {
                self.until(known, next.at);
                self.feasible = Some(feasible);
            }
            Err(contradicts) => {
                let from = contradicts.min(before.at);
                self.forget(from);
                self.paint(from, next.at, Why::Moved, before.centre);
                if from < before.at {
                    self.doubted = self.doubted.max(next.at + (next.at - from));
                }
                self.begin(next);
            }
        }
    }

    /// What exchanges leave possible begins with this one.
    fn begin(&mut self, sample: &Sample) {
        self.feasible = sample.is_usable().then(|| Feasible::of(sample));
    }

    /// Takes back what was written down about the time from `from` on.
    fn forget(&mut self, from: UnixTime) {
        for piece in &mut self.pieces {
            piece.to = piece.to.min(from);
        }
        self.pieces.retain(|piece| piece.from < piece.to);
    }

    /// Writes down what is known until `end`.
    fn until(&mut self, known: Knowledge, end: UnixTime) {
        match known {
            Knowledge::Nothing { since, why } => self.paint(since, end, why, None),
            Knowledge::Doubted { since, .. } => self.paint(since, end, Why::Paused, None),
            Knowledge::Exchange { sample, from } => {
                let covered = (sample.at + sample.poll.times(COVERS_POLLS)).min(end).max(from);
                if !sample.is_usable() {
                    self.paint(from, covered, Why::Centre, sample.centre);
                } else if sample.at < self.doubted {
                    self.paint(from, covered, Why::Moved, sample.centre);
                } else {
                    let bound = sample.bound + self.slewed(&sample, covered);
                    self.judge(&Sample { bound, ..sample }, from, covered);
                }
                self.paint(covered, end, Why::Silent, None);
            }
        }
    }

    pub(super) fn finish(&mut self, known: Knowledge) {
        self.until(known, self.to);
    }

    /// How far the agent's own slews can have moved the clock in the time that an exchange covers: what was begun in it, and
    /// before it what may still have been under way.
    fn slewed(&self, sample: &Sample, end: UnixTime) -> Nanos {
        let first = self.slews.partition_point(|(at, _)| *at < sample.at - sample.bound).saturating_sub(1);
        let slews = self.slews.get(first..).unwrap_or_default().iter();
        let begun = slews.take_while(|(at, _)| *at <= end + sample.bound);
        begun.fold(Nanos::ZERO, |sum, (_, amount)| sum + amount.abs())
    }

    /// Judges the time that an exchange covers by each tolerance that held in it.
    fn judge(&mut self, sample: &Sample, at: UnixTime, end: UnixTime) {
        let tolerance = self.tolerance;
        let first = tolerance.first().map_or(UnixTime::MAX, |(since, _)| *since);
        self.paint(at, end.min(first), Why::NoTolerance, sample.centre);
        // The tolerance in force at `at`, and those settled while the exchange covers.
        let index = tolerance.partition_point(|(since, _)| *since <= at).saturating_sub(1);
        let mut rest = tolerance.get(index..).unwrap_or_default();
        while let [(since, limit), later @ ..] = rest {
            if *since >= end {
                break;
            }
            let until = later.first().map_or(UnixTime::MAX, |(next, _)| *next).min(end);
            self.judge_by(sample, at.max(*since), until, *limit);
            rest = later;
        }
    }

    /// Judges the time from `start` to `end`, which an exchange covers, by one tolerance.
    fn judge_by(&mut self, sample: &Sample, start: UnixTime, end: UnixTime, limit: Nanos) {
        let Sample { at, bound, centre, .. } = *sample;
        let offset = sample.offset.abs();
        let (why, room) = if offset + bound <= limit && bound > WIDEST {
            return self.paint(start, end, Why::Wide, centre);
        } else if offset + bound <= limit {
            (Why::Within, (limit - offset - bound).min(WIDEST - bound))
        } else if offset - bound > limit {
            // One nanosecond less: at the edge itself the clock is within.
            (Why::Outside, offset - bound - limit - Nanos::new(1))
        } else {
            return self.paint(start, end, Why::Undecided, centre);
        };
        let changes = at + age_until(room, self.drift) + Nanos::new(1);
        self.paint(start, end.min(changes), why, centre);
        self.paint(start.max(changes), end, Why::Aged, centre);
    }

    fn paint(&mut self, from: UnixTime, to: UnixTime, why: Why, reference: Option<ClockVerdict>) {
        let (from, to) = (from.max(self.from), to.min(self.to));
        if from < to {
            self.pieces.push(Period { from, to, verdict: why.verdict(), why, reference });
        }
    }
}

/// The greatest age at which the drift has added no more than `room`.
fn age_until(room: Nanos, drift: Ppb) -> Nanos {
    if drift.count() <= 0 {
        return Nanos::MAX;
    }
    let age = i128::from(room.count()) * 1_000_000_000 / i128::from(drift.count());
    Nanos::new(i64::try_from(age).unwrap_or(i64::MAX))
}
