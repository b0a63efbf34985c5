//! Keeping a clock right: samples of several upstreams go in, corrections of the kernel's clock come out.
//!
//! 1. Each upstream has a `filter` of its own: how far its clock is ahead of the bare oscillator, and how fast it runs.
//! 2. Those whose intervals most agree on are taken ([`crate::selection`]); the others are falsetickers.
//! 3. Their estimates are combined, each by how close it bounds true time (the clock combine algorithm of RFC 5905, section 11.2.3)
//!    and how well it knows the rate.
//! 4. The kernel's frequency becomes that rate; what the wall clock is beside it is slewed, and stepped only
//!    past a threshold.
//!
//! It is a state machine without clock or chance. Agent and simulator run the same.

mod belief;
mod filter;

use angbu_units::{Monotonic, Nanos, Ppb, Reading, UnixTime};

use crate::correction::CorrectionKind;
use crate::exchange::Exchange;
use crate::kernel_clock::{KernelClock, KernelError, MAX_FREQUENCY};
use crate::packet::Leap;
use crate::selection::agreement;
use filter::{Estimate, Filter, float, nanos};

/// From this offset on the clock is stepped, unless the operator says otherwise: STEPT of RFC 5905, figure 27.
pub const STEP_THRESHOLD: Nanos = Nanos::from_millis(128);

/// The most upstreams; more add nothing but work.
pub const MAX_UPSTREAMS: usize = 16;

/// How many samples in a row must show a clock so wrong that it is stepped, once it has been right: a server that answers
/// nonsense once moves nothing.
const SURE: usize = 3;

/// How many rounds there must be until polls can slow down.
const SETTLED: usize = 4;

/// For how many poll intervals an upstream's last sample counts.
const COUNTS_POLLS: i64 = 8;

/// How far from the leap second no exchange counts, since nobody knows on which side of it a server's stamp is.
const NEAR_LEAP: Nanos = Nanos::from_secs(2);

const DAY: i64 = 86_400;
const SECOND: Nanos = Nanos::from_secs(1);

/// How a clock is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// From this offset on the clock is stepped; below it is slewed.
    pub step_threshold: Nanos,
    /// How fast it is slewed at most.
    pub slew_at_most: Ppb,
    /// How often the upstreams are asked.
    pub poll: Nanos,
}

impl Settings {
    /// Steps from 128 ms on; slews of at most 500 ppm, which whoever reads the clock has always had to expect.
    pub const fn new(poll: Nanos) -> Self {
        Self { step_threshold: STEP_THRESHOLD, slew_at_most: MAX_FREQUENCY, poll }
    }
}

/// One correction: what is to be done to the kernel's clock, and on which exchange that rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// What is done.
    pub kind: CorrectionKind,
    /// By how much the clock is moved forward; at a leap second, what it will be moved by.
    pub amount: Nanos,
    /// The kernel's frequency after it.
    pub frequency: Ppb,
    /// The number of the record of the exchange.
    pub rests_on: u64,
    /// What the clock can be wrong by after it, as far as is known: estimated, and at most.
    pub errors: (Nanos, Nanos),
}

/// What is known of the clock's keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing has been shown yet, or not for long.
    Unknown,
    /// The upstreams that answer do not agree.
    Disagree,
    /// The clock is kept, by so many upstreams.
    Kept(usize),
}

/// The discipline of one machine's clock.
#[derive(Debug, Clone)]
pub struct Discipline {
    settings: Settings,
    upstreams: Vec<Filter>,
    frequency: Ppb,
    state: State,
    /// How many rounds of exchanges there were since the start, or since a pause.
    rounds: usize,
    /// Whether a first correction was made, after which a step needs more than one sample.
    trusted: bool,
    leap: Option<(UnixTime, Leap)>,
}

impl Discipline {
    /// Starts with nothing but the kernel's frequency, which the last run or service may have left right.
    pub fn start(settings: Settings, upstreams: usize, frequency: Ppb) -> Self {
        Self {
            settings,
            upstreams: vec![Filter::new(frequency); upstreams.min(MAX_UPSTREAMS)],
            frequency,
            state: State::Unknown,
            rounds: 0,
            trusted: false,
            leap: None,
        }
    }

    /// An exchange with the upstream of this place, recorded under `seq`; `now` was read after it.
    pub fn on_exchange(&mut self, place: usize, exchange: &Exchange, seq: u64, now: Reading) {
        let near = |at: &(UnixTime, Leap)| (exchange.at() - at.0).abs() < NEAR_LEAP;
        if self.leap.as_ref().is_some_and(near) {
            return;
        }
        if let Some(filter) = self.upstreams.get_mut(place) {
            filter.push(exchange, seq, now);
        }
    }

    /// The clock that nobody can set stood still or jumped: the machine was suspended, moved, or put back.
    pub fn on_pause(&mut self) {
        self.upstreams.iter_mut().for_each(Filter::forget);
        (self.trusted, self.rounds) = (false, 0);
        self.state = State::Unknown;
    }

    /// The regular look, about once a second: whether a leap second has passed.
    pub fn on_check(&mut self, now: Reading) {
        let Some((at, leap)) = self.leap else { return };
        let newest = self.upstreams.iter().max_by_key(|filter| filter.newest());
        let time = newest.and_then(|filter| filter.time(now.monotonic)).unwrap_or(now.wall);
        let (passes, by) = match leap {
            Leap::Delete => (at - SECOND, SECOND),
            _ => (at, -SECOND),
        };
        if time >= passes {
            self.upstreams.iter_mut().for_each(|filter| filter.leapt(by));
            self.leap = None;
        }
    }

    /// What is to be done now, after a round of exchanges. It is taken as done: whoever cannot do it starts anew.
    pub fn correct(&mut self, now: Reading) -> Option<Correction> {
        if self.leap.is_some_and(|(at, _)| (now.wall - at).abs() < NEAR_LEAP) {
            return None;
        }
        let estimates = self.estimates(now);
        if estimates.is_empty() {
            self.state = State::Unknown;
            return None;
        }
        let intervals: Vec<_> = estimates.iter().map(|estimate| estimate.interval).collect();
        let Some(agreed) = agreement(&intervals) else {
            self.state = State::Disagree;
            return None;
        };
        let chosen: Vec<_> =
            agreed.members.iter().filter_map(|place| estimates.get(*place)).copied().collect();
        self.state = State::Kept(chosen.len());
        self.rounds = self.rounds.saturating_add(1);
        if let Some(armed) = self.leap_to_arm(&chosen, now) {
            return Some(armed);
        }
        let (low, high) = (agreed.common.low, agreed.common.high);
        let combined = combine(&chosen)?;
        let offset = nanos(combined.offset).max(low).min(high);
        let most = (high - offset).max(offset - low);
        self.correction(offset, most, &combined, chosen.iter().map(|estimate| estimate.samples).max()?)
    }

    /// What is known of the clock's keeping.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The leap second that is armed, and the first instant of the day after it.
    pub const fn leap(&self) -> Option<(UnixTime, Leap)> {
        self.leap
    }

    /// Whether the next round of exchanges should come soon.
    pub fn is_eager(&self) -> bool {
        // Not whenever a filter begins anew: an upstream that answers nonsense for a while would be asked the more often.
        self.rounds < SETTLED
    }

    fn estimates(&self, now: Reading) -> Vec<Estimate> {
        let patience = self.settings.poll.times(COUNTS_POLLS);
        let fresh = |newest: Monotonic| now.monotonic - newest <= patience;
        let fresh = self.upstreams.iter().filter(|filter| filter.newest().is_some_and(fresh));
        fresh.filter_map(|filter| filter.estimate(now)).collect()
    }

    fn correction(
        &mut self,
        offset: Nanos,
        most: Nanos,
        combined: &Estimate,
        samples: usize,
    ) -> Option<Correction> {
        let limit = MAX_FREQUENCY.count();
        let frequency = Ppb::new(nanos(combined.rate).count().clamp(-limit, limit));
        let errors = (nanos(combined.deviation), most);
        let rests_on = combined.rests_on;
        // What could as well be the upstreams' own uncertainty is no reason to jump.
        let far = offset.abs() > self.settings.step_threshold && offset.abs() > most;
        if far && self.trusted && samples < SURE {
            return None;
        }
        self.trusted = true;
        let changed = frequency != self.frequency;
        self.frequency = frequency;
        let kind = match (far, offset == Nanos::ZERO) {
            (true, _) => CorrectionKind::Step,
            (false, false) => CorrectionKind::Slew,
            (false, true) if changed => CorrectionKind::Frequency,
            (false, true) => return None,
        };
        Some(Correction { kind, amount: offset, frequency, rests_on, errors })
    }

    /// The leap second that most of the chosen announce, on the last day of a UTC month and once.
    fn leap_to_arm(&mut self, chosen: &[Estimate], now: Reading) -> Option<Correction> {
        let announces =
            |leap| chosen.iter().filter(|estimate| estimate.leap == leap).count() * 2 > chosen.len();
        let leap = [Leap::Insert, Leap::Delete].into_iter().find(|leap| announces(*leap));
        let first = chosen.first()?;
        let time = now.wall + nanos(first.offset);
        let midnight = next_midnight(time);
        let due = leap.filter(|_| begins_a_month(midnight) && midnight - time > NEAR_LEAP);
        let armed = due.map(|leap| (midnight, leap));
        let disarmed = self.leap.is_some_and(|(at, _)| at - time > NEAR_LEAP);
        if armed == self.leap || (armed.is_none() && !disarmed) {
            return None;
        }
        self.leap = armed;
        let amount = match due {
            Some(Leap::Insert) => -SECOND,
            Some(_) => SECOND,
            None => Nanos::ZERO,
        };
        let errors = (nanos(first.deviation), first.interval.high - first.interval.low);
        let (frequency, rests_on) = (self.frequency, first.rests_on);
        Some(Correction { kind: CorrectionKind::LeapArmed, amount, frequency, rests_on, errors })
    }
}

impl Correction {
    /// Does it. A slew that is under way is replaced: this one is reckoned from what the clock shows now.
    ///
    /// # Errors
    /// [`KernelError`] of the first call that failed; what came before it is done.
    pub fn apply(&self, kernel: &dyn KernelClock, slew_at_most: Ppb) -> Result<(), KernelError> {
        match self.kind {
            CorrectionKind::Step => {
                kernel.set_frequency(self.frequency)?;
                kernel.step(self.amount)?;
            }
            CorrectionKind::Slew | CorrectionKind::Frequency => {
                kernel.set_frequency(self.frequency)?;
                kernel.slew(self.amount, slew_at_most)?;
            }
            CorrectionKind::LeapArmed => {
                return kernel.set_leap(match self.amount.count() {
                    0 => Leap::None,
                    ..0 => Leap::Insert,
                    _ => Leap::Delete,
                });
            }
        }
        let (estimated, most) = self.errors;
        kernel.declare(estimated, most + self.amount.abs(), true)
    }
}

/// One estimate of those of all that were chosen.
fn combine(chosen: &[Estimate]) -> Option<Estimate> {
    let best = *chosen.iter().min_by_key(|estimate| estimate.interval.high - estimate.interval.low)?;
    let (mut weights, mut offset, mut variance) = (0.0, 0.0, 0.0);
    let (mut rate_weights, mut rate) = (0.0, 0.0);
    for estimate in chosen {
        let width = float((estimate.interval.high - estimate.interval.low).count()).max(1.0);
        let weight = 1.0 / (width.powi(2) + estimate.deviation.powi(2));
        weights += weight;
        offset += estimate.offset * weight;
        variance += (estimate.deviation * weight).powi(2);
        let rate_weight = 1.0 / estimate.rate_deviation.powi(2).max(1e-6);
        rate_weights += rate_weight;
        rate += estimate.rate * rate_weight;
    }
    Some(Estimate {
        offset: offset / weights,
        deviation: variance.sqrt() / weights,
        rate: rate / rate_weights,
        rate_deviation: rate_weights.sqrt().recip(),
        ..best
    })
}

/// The first instant of the next UTC day.
fn next_midnight(time: UnixTime) -> UnixTime {
    let day = DAY * 1_000_000_000;
    UnixTime::from_nanos(time.nanos().div_euclid(day).saturating_add(1).saturating_mul(day))
}

/// Whether a midnight begins a month: leap seconds come at the ends of months only (ITU-R TF.460-6, annex 1, section 2.1).
fn begins_a_month(midnight: UnixTime) -> bool {
    midnight.rfc3339(0).get(8..10) == Some("01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnights_and_months() {
        let at = |text| UnixTime::parse_rfc3339(text).unwrap();
        assert_eq!(next_midnight(at("2026-12-31T00:00:00Z")), at("2027-01-01T00:00:00Z"));
        for (text, expected) in
            [("2026-12-31T23:59:59Z", true), ("2026-12-30T12:00:00Z", false), ("2026-06-30T01:00:00Z", true)]
        {
            assert_eq!(begins_a_month(next_midnight(at(text))), expected, "{text}");
        }
    }
}
