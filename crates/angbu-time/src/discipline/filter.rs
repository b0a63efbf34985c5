//! What one upstream shows of the bare oscillator: a line through its recent samples.
//!
//! A sample is what the upstream's clock is ahead of the clock that nobody can set. Neither steps nor slews of the wall clock
//! touch it, so that nothing has to be corrected for corrections. Through the samples goes the line of least squares,
//! each sample weighing as much as its delay allows: what queues add to the delay is at most what they make the offset
//! wrong by, and evenly spread between, which has a deviation of 1/√3 of it. As long as the signs of the residuals
//! come in too few runs, a line does not describe the oscillator any more, and the oldest sample goes (the runs
//! test of Wald and Wolfowitz, one-sided at 5 %).

use std::collections::VecDeque;

use angbu_units::{Monotonic, Nanos, Ppb, Reading, UnixTime};

use crate::exchange::{Exchange, PHI};
use crate::packet::Leap;
use crate::periods::DRIFT;
use crate::selection::Interval;

/// How many samples a line goes through at most.
const MOST: usize = 64;

/// From how many on the runs test says something.
const ENOUGH_FOR_RUNS: usize = 8;

/// Among how many of the newest samples the tightest is looked for (the clock filter of RFC 5905, section 10, has eight stages).
const STAGES: usize = 8;

/// What no clock is read more finely than, ns.
const FINEST: f64 = 50.0;

/// 1/√3: the deviation of what is evenly spread between -1 and 1.
const EVENLY_SPREAD: f64 = 0.577;

/// How uncertain the frequency is before anything is known of it, ppb: 100 ppm, the drift that verdicts allow for too.
const UNKNOWN_RATE: f64 = 100_000.0;

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

/// The line at one instant.
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

#[derive(Debug, Clone, Copy)]
struct Line {
    /// Seconds after the oldest sample, and ns ahead of it.
    mean: (f64, f64),
    rate: f64,
    rate_variance: f64,
    mean_variance: f64,
}

/// An upstream's samples.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    samples: VecDeque<Sample>,
    /// What the rate was when it was last well known, and how uncertain that is by now.
    known: (f64, f64),
    noise: f64,
    line: Option<Line>,
}

impl Filter {
    pub(super) const fn new(frequency: Ppb) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a frequency is far below 2^53 ppb")]
        let rate = frequency.count() as f64;
        Self { samples: VecDeque::new(), known: (rate, UNKNOWN_RATE), noise: 1e6, line: None }
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
        self.samples.push_back(sample);
        if self.samples.len() > MOST {
            self.samples.pop_front();
        }
        self.line = self.fit();
        while self.samples.len() >= ENOUGH_FOR_RUNS && self.bends() {
            self.samples.pop_front();
            self.line = self.fit();
        }
        if let Some(line) = self.line.filter(|_| self.samples.len() >= ENOUGH_FOR_RUNS) {
            self.known = (line.rate, 4.0 * line.rate_variance.sqrt() + 50.0);
        }
    }

    /// Nothing but the rate is known any more: the monotonic clock or the upstream's jumped.
    pub(super) fn forget(&mut self) {
        self.samples.clear();
        self.line = None;
    }

    /// A leap second has passed: the upstream's clock went on by `by` against the monotonic one.
    pub(super) fn leapt(&mut self, by: Nanos) {
        for sample in &mut self.samples {
            sample.ahead = sample.ahead.wrapping_add(by.count());
        }
    }

    pub(super) fn newest(&self) -> Option<Monotonic> {
        self.samples.back().map(|sample| sample.at)
    }

    /// What the upstream's clock shows now, by the newest sample alone.
    pub(super) fn time(&self, now: Monotonic) -> Option<UnixTime> {
        let newest = self.samples.back()?;
        Some(UnixTime::from_nanos(newest.ahead.wrapping_add(now.nanos())))
    }

    /// What the line says now.
    pub(super) fn estimate(&self, now: Reading) -> Option<Estimate> {
        let (line, oldest, newest) = (self.line?, self.samples.front()?, self.samples.back()?);
        let age = seconds(now.monotonic - oldest.at);
        let ahead = line.mean.1 + line.rate * (age - line.mean.0);
        let wall_ahead = now.wall.nanos().wrapping_sub(now.monotonic.nanos());
        let offset = ahead + float(oldest.ahead.wrapping_sub(wall_ahead));
        let deviation = (line.mean_variance + line.rate_variance * (age - line.mean.0).powi(2)).sqrt();
        let recent = self.samples.iter().rev().take(STAGES);
        let loosened = |sample: &Sample| sample.bound + PHI.over(now.monotonic - sample.at);
        let best = recent.min_by_key(|sample| loosened(sample))?;
        let since = float((now.monotonic - best.at).count()) * 1e-9;
        let shown = float(best.ahead.wrapping_sub(wall_ahead)) + line.rate * since;
        let interval = Interval::around(nanos(shown), loosened(best));
        Some(Estimate {
            offset: offset.clamp(float(interval.low.count()), float(interval.high.count())),
            deviation,
            rate: line.rate,
            rate_deviation: line.rate_variance.sqrt(),
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

    /// The points of the line: seconds and ns after the oldest, and the variance of each.
    fn points(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let oldest = self.samples.front().copied();
        let least = self.samples.iter().map(|sample| sample.delay).min().unwrap_or_default();
        self.samples.iter().filter_map(move |sample| {
            let oldest = oldest?;
            let queued = EVENLY_SPREAD * float((sample.delay - least).count());
            let variance = self.noise.powi(2) + queued.powi(2);
            let ahead = float(sample.ahead.wrapping_sub(oldest.ahead));
            Some((seconds(sample.at - oldest.at), ahead, variance))
        })
    }

    /// The line through the samples, drawn towards the rate that was known.
    fn fit(&mut self) -> Option<Line> {
        let mut line = self.fit_once()?;
        // The noise beside the queues is what the residuals leave; two rounds settle it.
        for _ in 0..2 {
            let (mut squares, mut weights) = (0.0, 0.0);
            for (at, ahead, variance) in self.points() {
                let residual = ahead - line.mean.1 - line.rate * (at - line.mean.0);
                squares += residual.powi(2) / variance;
                weights += 1.0 / variance;
            }
            if self.samples.len() > 3 {
                #[expect(clippy::cast_precision_loss, reason = "at most 64 samples")]
                let count = self.samples.len() as f64;
                self.noise = (squares / weights * count / (count - 2.0)).sqrt().max(FINEST);
            } else {
                let newest = self.samples.back()?;
                self.noise = (float(newest.delay.count()) * 0.2).max(FINEST);
            }
            line = self.fit_once()?;
        }
        Some(line)
    }

    fn fit_once(&self) -> Option<Line> {
        let (mut weights, mut at_mean, mut ahead_mean) = (0.0, 0.0, 0.0);
        for (at, ahead, variance) in self.points() {
            weights += 1.0 / variance;
            at_mean += at / variance;
            ahead_mean += ahead / variance;
        }
        if weights <= 0.0 {
            return None;
        }
        let mean = (at_mean / weights, ahead_mean / weights);
        let (known, uncertainty) = self.known;
        let prior = 1.0 / uncertainty.powi(2);
        let (mut xx, mut xy) = (prior, known * prior);
        for (at, ahead, variance) in self.points() {
            xx += (at - mean.0).powi(2) / variance;
            xy += (at - mean.0) * (ahead - mean.1) / variance;
        }
        Some(Line { mean, rate: xy / xx, rate_variance: 1.0 / xx, mean_variance: 1.0 / weights })
    }

    /// Whether the signs of the residuals come in too few runs for a straight line.
    fn bends(&self) -> bool {
        let Some(line) = self.line else { return false };
        let (mut above, mut below, mut runs, mut last) = (0.0, 0.0, 0.0, None);
        for (at, ahead, _) in self.points() {
            let is_above = ahead > line.mean.1 + line.rate * (at - line.mean.0);
            *if is_above { &mut above } else { &mut below } += 1.0;
            if last.replace(is_above) != Some(is_above) {
                runs += 1.0;
            }
        }
        let count: f64 = above + below;
        let expected = 2.0 * above * below / count + 1.0;
        let variance = (expected - 1.0) * (expected - 2.0) / (count - 1.0);
        runs < expected - 1.645 * variance.max(0.0).sqrt()
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
