//! What one upstream shows of the bare oscillator.
//!
//! A sample is what the upstream's clock is ahead of the clock that nobody can set. Neither steps nor slews of the wall clock
//! touch it, so that nothing has to be corrected for corrections. What disturbs it is not known beforehand: how noisy a sample is
//! that met no queue, how one-sided the queues are, how far the oscillator's rate walks. So several suppositions of each
//! stand side by side, each with a Kalman filter of its own (`belief`), and each counts by how likely it makes what was seen
//! of late (Magill, "Optimal adaptive estimation of sampled stochastic processes", 1965).

use std::collections::VecDeque;

use angbu_units::{Monotonic, Nanos, Ppb, Reading, UnixTime};

use crate::exchange::{Exchange, PHI};
use crate::packet::Leap;
use crate::periods::DRIFT;
use crate::selection::Interval;

use super::belief::{Belief, Model, Point};

/// How many samples are kept. What they say is reckoned anew with each further one, since one that met no queue shows how long
/// the others stood in queues.
const MOST: usize = 32;

/// How many delays of earlier samples are kept beside those: a longer way, once it has been the only one for so long, is
/// no queue.
const DELAYS: usize = 64;

/// Among how many of the newest samples the tightest is looked for (the clock filter of RFC 5905, section 10, has eight stages).
const STAGES: usize = 8;

/// How uncertain the frequency is before anything is known of it, ppb: 100 ppm, the drift that verdicts allow for too.
const UNKNOWN_RATE: f64 = 100_000.0;

/// How uncertain the frequency is by which a clock was kept, after a pause, ppb.
const KNOWN_RATE: f64 = 1_000.0;

/// How noisy samples can be that met no queue, ns: from a reading of the clock to a wireless network.
const NOISES: [f64; 7] = [100.0, 500.0, 2_500.0, 12_500.0, 62_500.0, 312_500.0, 1_562_500.0];

/// What queues can make the offset wrong by, as a share of what they add to the delay: anything between all and minus all, evenly, which has a
/// deviation of 1/√3, where both ways have them; less where one way has most of them.
const SPREADS: [f64; 2] = [0.577, 0.15];

/// How far the oscillator's rate can walk, ppb in the square root of a second: from a server in a cool room on.
const WALKS: [f64; 4] = [0.5, 2.5, 12.5, 62.5];

/// How much less likely (natural logarithm) each of these is than the one before it. It takes that much to tell an oscillator that
/// wanders from an upstream that does: an upstream's clock is kept by somebody and comes back, and is best not followed.
const UNLIKELIER: f64 = 8.0;

/// One sample.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Monotonic,
    /// The upstream's clock minus the monotonic one.
    ahead: i64,
    delay: Nanos,
    bound: Nanos,
    leap: Leap,
    seq: u64,
}

/// What is believed at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    /// What the upstream's clock is ahead of the wall clock.
    pub(super) offset: f64,
    /// Its deviation.
    pub(super) deviation: f64,
    /// How fast the upstream's clock runs compared with the bare oscillator, ppb.
    pub(super) rate: f64,
    /// Its deviation.
    pub(super) rate_deviation: f64,
    /// Where the upstream's clock surely is, if it keeps to what it says.
    pub(super) interval: Interval,
    /// The exchange of which that follows.
    pub(super) rests_on: u64,
    /// What the newest sample announces.
    pub(super) leap: Leap,
    /// How many samples there are.
    pub(super) samples: usize,
}

/// One supposition.
#[derive(Debug, Clone)]
struct Supposition {
    model: Model,
    /// How likely it is before anything is seen (natural logarithm).
    before: f64,
    /// The evidence for it when samples began.
    evidence: f64,
    /// What was believed after the oldest sample, unless that is the first.
    base: Option<Belief>,
    /// What is believed after the newest.
    belief: Option<Belief>,
}

/// What all suppositions say together.
#[derive(Debug, Clone, Copy, Default)]
struct Together {
    offset: f64,
    offset_variance: f64,
    rate: f64,
    rate_variance: f64,
}

/// An upstream's samples.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    samples: VecDeque<Sample>,
    /// The delays of the samples before those.
    delays: VecDeque<Nanos>,
    /// What offsets are counted from.
    origin: i64,
    /// What the rate was when it was last known, and how uncertain that is by now.
    known: (f64, f64),
    suppositions: Vec<Supposition>,
}

impl Filter {
    pub(super) fn new(frequency: Ppb) -> Self {
        let mut suppositions = Vec::with_capacity(NOISES.len() * SPREADS.len() * WALKS.len());
        for noise in NOISES {
            for spread in SPREADS {
                let mut before = 0.0;
                for walk in WALKS {
                    let model = Model { noise, spread, walk };
                    suppositions.push(Supposition { model, before, evidence: 0.0, base: None, belief: None });
                    before -= UNLIKELIER;
                }
            }
        }
        Self {
            samples: VecDeque::new(),
            delays: VecDeque::new(),
            origin: 0,
            known: (float(frequency.count()), UNKNOWN_RATE),
            suppositions,
        }
    }

    /// One more exchange.
    pub(super) fn push(&mut self, exchange: &Exchange, seq: u64, now: Reading) {
        let shown = now.wall + exchange.offset();
        let sample = Sample {
            at: now.monotonic,
            ahead: shown.nanos().wrapping_sub(now.monotonic.nanos()),
            delay: exchange.delay().abs(),
            bound: exchange.bound(),
            leap: exchange.source().leap,
            seq,
        };
        if self.contradicts(&sample) {
            self.forget();
        }
        if self.samples.is_empty() {
            self.origin = sample.ahead;
        }
        self.samples.push_back(sample);
        self.believe();
    }

    /// What follows from the samples that are kept, for each supposition.
    fn believe(&mut self) {
        let (points, known) = (self.points(), self.known);
        let Some((first, later)) = points.split_first() else { return };
        for supposed in &mut self.suppositions {
            let Supposition { model, evidence, base, .. } = supposed;
            let begun = base.unwrap_or_else(|| Belief::first(first, model, known, *evidence));
            let mut beliefs = later.iter().scan(begun, |belief, point| {
                *belief = belief.after(model, point);
                Some(*belief)
            });
            if points.len() > MOST {
                // The oldest sample goes; what it says stays.
                *base = beliefs.next();
            }
            supposed.belief = beliefs.last().or(supposed.base).or(Some(begun));
        }
        if points.len() > MOST
            && let Some(oldest) = self.samples.pop_front()
        {
            self.delays.push_back(oldest.delay);
            if self.delays.len() > DELAYS {
                self.delays.pop_front();
            }
        }
    }

    /// The samples as the suppositions' filters need them.
    fn points(&self) -> Vec<Point> {
        let delays = self.samples.iter().map(|sample| sample.delay);
        let least = delays.chain(self.delays.iter().copied()).min().unwrap_or_default();
        let mut before = self.samples.front().map(|sample| sample.at);
        let point = |sample: &Sample| Point {
            after: seconds(sample.at - before.replace(sample.at).unwrap_or(sample.at)),
            ahead: float(sample.ahead.wrapping_sub(self.origin)),
            queued: float((sample.delay - least).count()),
        };
        self.samples.iter().map(point).collect()
    }

    /// What all suppositions together say so many seconds after the newest sample, each by how likely it is.
    fn together(&self, after: f64) -> Option<Together> {
        let believed = self.suppositions.iter().filter_map(|supposed| {
            let belief = supposed.belief?;
            Some((supposed.before + belief.evidence, belief.later(&supposed.model, after)))
        });
        let mut believed: Vec<(f64, Belief)> = believed.collect();
        let most = believed.iter().map(|(likely, _)| *likely).max_by(f64::total_cmp)?;
        believed.iter_mut().for_each(|(likely, _)| *likely = (*likely - most).exp());
        let sum: f64 = believed.iter().map(|(weight, _)| weight).sum();
        let mean = |value: &dyn Fn(&Belief) -> f64| {
            believed.iter().map(|(weight, belief)| weight / sum * value(belief)).sum::<f64>()
        };
        let (offset, rate) = (mean(&|belief| belief.offset), mean(&|belief| belief.rate));
        Some(Together {
            offset,
            offset_variance: mean(&|belief| belief.variances().0 + (belief.offset - offset).powi(2)),
            rate,
            rate_variance: mean(&|belief| belief.variances().1 + (belief.rate - rate).powi(2)),
        })
    }

    /// Nothing but the rate is known any more: the monotonic clock or the upstream's jumped.
    pub(super) fn forget(&mut self) {
        if let Some(together) = self.together(0.0) {
            let deviation = together.rate_variance.sqrt();
            self.known = (together.rate, deviation.clamp(KNOWN_RATE, UNKNOWN_RATE));
        }
        for supposed in &mut self.suppositions {
            // What disturbs the machine and its network does so still.
            let evidence = supposed.belief.take().map(|belief| belief.evidence);
            (supposed.evidence, supposed.base) = (evidence.unwrap_or(supposed.evidence), None);
        }
        self.samples.clear();
        self.delays.clear();
    }

    /// A leap second has passed: the upstream's clock went on by `by` against the monotonic one.
    pub(super) fn leapt(&mut self, by: Nanos) {
        for sample in &mut self.samples {
            sample.ahead = sample.ahead.wrapping_add(by.count());
        }
        self.origin = self.origin.wrapping_add(by.count());
    }

    pub(super) fn newest(&self) -> Option<Monotonic> {
        self.samples.back().map(|sample| sample.at)
    }

    /// What the upstream's clock shows now, by the newest sample alone.
    pub(super) fn time(&self, now: Monotonic) -> Option<UnixTime> {
        let newest = self.samples.back()?;
        Some(UnixTime::from_nanos(newest.ahead.wrapping_add(now.nanos())))
    }

    /// What follows for now.
    pub(super) fn estimate(&self, now: Reading) -> Option<Estimate> {
        let newest = self.samples.back()?;
        let together = self.together(seconds(now.monotonic - newest.at))?;
        let wall_ahead = now.wall.nanos().wrapping_sub(now.monotonic.nanos());
        let offset = together.offset + float(self.origin.wrapping_sub(wall_ahead));
        let recent = self.samples.iter().rev().take(STAGES);
        let loosened = |sample: &Sample| sample.bound + PHI.over(now.monotonic - sample.at);
        let best = recent.min_by_key(|sample| loosened(sample))?;
        let since = float((now.monotonic - best.at).count()) * 1e-9;
        let shown = float(best.ahead.wrapping_sub(wall_ahead)) + together.rate * since;
        let interval = Interval::around(nanos(shown), loosened(best));
        Some(Estimate {
            offset: offset.clamp(float(interval.low.count()), float(interval.high.count())),
            deviation: together.offset_variance.sqrt(),
            rate: together.rate,
            rate_deviation: together.rate_variance.sqrt(),
            interval,
            rests_on: best.seq,
            leap: newest.leap,
            samples: self.samples.len(),
        })
    }

    /// Whether a sample cannot be of the same two clocks as the newest, whatever the network did.
    fn contradicts(&self, sample: &Sample) -> bool {
        self.samples.back().is_some_and(|newest| {
            let apart = Nanos::new(sample.ahead.wrapping_sub(newest.ahead)).abs();
            let explained = sample.bound + newest.bound + DRIFT.over(sample.at - newest.at).times(5);
            apart > explained || sample.at < newest.at
        })
    }
}

fn seconds(length: Nanos) -> f64 {
    length.as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 ns, a hundred days, a nanosecond more or less is nothing"
)]
pub(super) fn float(nanos: i64) -> f64 {
    nanos as f64
}

/// Rounded to the nanosecond, saturating.
#[expect(clippy::cast_possible_truncation, reason = "a float becomes an integer by saturating")]
pub(super) fn nanos(value: f64) -> Nanos {
    Nanos::new(value.round() as i64)
}
