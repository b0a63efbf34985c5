//! What a reference clock beside the machine says: readings, the line through them, and which second a pulse begins.
//!
//! A receiver shows the time once a second, each time a little wrong. What the reference is ahead of the bare oscillator, which
//! no correction touches, lies on a line for as long as the oscillator keeps its rate; the line of least squares through the
//! newest readings is the measurement, and the farthest of them from it is the jitter. How far the receiver itself can be off
//! no reading shows: that is its accuracy, which the operator states.

use std::collections::VecDeque;

use angbu_units::{Monotonic, Nanos, Reading, UnixTime};

/// How many readings the line goes through.
pub const READINGS: usize = 16;

/// How many it needs at least.
pub const LEAST_READINGS: usize = 4;

/// Readings older than this are left out.
const OLDEST: Nanos = Nanos::from_secs(64);

/// How much of a second the number of a pulse may be in doubt, to either side.
const HALF: Nanos = Nanos::from_millis(400);

/// One reading: what the reference showed when the bare oscillator showed `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// By the machine's monotonic clock.
    pub at: Monotonic,
    /// What the reference showed.
    pub time: UnixTime,
}

/// What the readings come to at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// What the reference is ahead of the wall clock.
    pub offset: Nanos,
    /// How far the farthest reading lies from the line.
    pub jitter: Nanos,
}

/// The newest readings of one reference.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    shown: VecDeque<Shown>,
}

impl Readings {
    /// A new reading. One that is no later than the one before begins anew.
    pub fn push(&mut self, shown: Shown) {
        if self.shown.back().is_some_and(|last| shown.at <= last.at) {
            self.shown.clear();
        }
        if self.shown.len() == READINGS {
            self.shown.pop_front();
        }
        self.shown.push_back(shown);
    }

    /// Forgets every reading.
    pub fn clear(&mut self) {
        self.shown.clear();
    }

    /// The reference at `now`, from the line through the readings of the last minute; none where they are too few.
    pub fn estimate(&mut self, now: Reading) -> Option<Estimate> {
        while self.shown.front().is_some_and(|first| now.monotonic - first.at > OLDEST) {
            self.shown.pop_front();
        }
        let last = *self.shown.back()?;
        if self.shown.len() < LEAST_READINGS {
            return None;
        }
        // Beside the last reading, so that the squares stay small: x is the oscillator's time, y what the reference gained on it.
        let points: Vec<(i128, i128)> = self
            .shown
            .iter()
            .map(|shown| {
                let x = i128::from((shown.at - last.at).count());
                (x, i128::from((shown.time - last.time).count()) - x)
            })
            .collect();
        let line = Line::through(&points)?;
        let jitter = points.iter().map(|(x, y)| (y - line.at(*x)).abs()).max()?;
        let since = now.monotonic - last.at;
        let gained = length(line.at(i128::from(since.count())))?;
        let reference = last.time + since + gained;
        Some(Estimate { offset: reference - now.wall, jitter: length(jitter)? })
    }
}

/// A line of least squares in whole numbers.
struct Line {
    mean_x: i128,
    mean_y: i128,
    sum_xx: i128,
    sum_xy: i128,
}

impl Line {
    fn through(points: &[(i128, i128)]) -> Option<Self> {
        let count = i128::try_from(points.len()).ok().filter(|count| *count > 1)?;
        let mean_x = points.iter().map(|(x, _)| x).sum::<i128>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<i128>() / count;
        let sum_xx = points.iter().map(|(x, _)| (x - mean_x) * (x - mean_x)).sum();
        let sum_xy = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        (sum_xx > 0).then_some(Self { mean_x, mean_y, sum_xx, sum_xy })
    }

    fn at(&self, x: i128) -> i128 {
        self.mean_y + self.sum_xy.saturating_mul(x - self.mean_x) / self.sum_xx
    }
}

fn length(nanos: i128) -> Option<Nanos> {
    i64::try_from(nanos).ok().map(Nanos::new)
}

/// Which instant a pulse marked that the wall clock stamped `pulse`, where true time is ahead of the wall clock by something
/// from `low` to `high`: the whole second that is the only one in reach. None where two seconds are, or neither.
pub fn second_of(pulse: UnixTime, low: Nanos, high: Nanos) -> Option<UnixTime> {
    let middle = low + (high - low).half();
    if (high - low).half() > HALF {
        return None;
    }
    let true_time = (pulse + middle).nanos();
    let second = 1_000_000_000;
    let nearest = true_time.checked_add(second / 2)?.div_euclid(second).checked_mul(second)?;
    let apart = Nanos::new(nearest) - Nanos::new(true_time);
    let half_width = (high - low).half();
    // What lies beyond this could as well be the next second.
    (apart.abs() <= half_width + Nanos::from_millis(500) - HALF).then(|| UnixTime::from_nanos(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    fn now(monotonic: i64, wall: i64) -> Reading {
        Reading { wall: UnixTime::from_nanos(wall), monotonic: Monotonic::from_nanos(monotonic) }
    }

    fn shown(at: i64, time: i64) -> Shown {
        Shown { at: Monotonic::from_nanos(at), time: UnixTime::from_nanos(time) }
    }

    #[test]
    fn a_crystal_that_runs_wrong_is_no_jitter() {
        let mut readings = Readings::default();
        // 80 ppm fast, 7 ms ahead at the beginning.
        for second in 0..20 {
            assert_eq!(readings.estimate(now(second * S, second * S)).is_some(), second >= 4);
            readings.push(shown(second * S, second * (S + 80_000) + 7_000_000));
        }
        let found = readings.estimate(now(20 * S, 20 * S)).unwrap();
        assert_eq!(found.jitter, Nanos::ZERO);
        assert_eq!(found.offset, Nanos::new(7_000_000 + 20 * 80_000));
        // Whatever the wall clock did meanwhile, the line is the oscillator's.
        let stepped = readings.estimate(now(20 * S, 15 * S)).unwrap();
        assert_eq!(stepped.offset, found.offset + Nanos::from_secs(5));
        assert_eq!(readings.estimate(now(100 * S, 100 * S)), None, "too long ago");
    }

    #[test]
    fn readings_that_scatter_say_so() {
        let mut readings = Readings::default();
        for second in 0..16 {
            let wrong = if second % 2 == 0 { 40_000 } else { -40_000 };
            readings.push(shown(second * S, second * S + wrong));
        }
        let found = readings.estimate(now(16 * S, 16 * S)).unwrap();
        assert!(found.jitter >= Nanos::from_micros(40) && found.jitter < Nanos::from_micros(60), "{found:?}");
        assert!(found.offset.abs() < Nanos::from_micros(40), "{found:?}");
        readings.push(shown(3 * S, 3 * S));
        assert_eq!(readings.estimate(now(16 * S, 16 * S)), None, "a clock that went back begins anew");
    }

    #[test]
    fn a_pulse_has_one_second() {
        let second = |pulse, low_ms, high_ms| {
            let found = second_of(
                UnixTime::from_nanos(pulse),
                Nanos::from_millis(low_ms),
                Nanos::from_millis(high_ms),
            );
            found.map(|found| found.nanos())
        };
        for (pulse, low, high, expected) in [
            (10 * S + 3_000, -5, 5, Some(10 * S)),
            (10 * S - 3_000, -5, 5, Some(10 * S)),
            // The wall clock is 3.2 s behind, give or take 100 ms.
            (10 * S - 200_000_000, 3_100, 3_300, Some(13 * S)),
            // Half a second: either of two.
            (10 * S + 500_000_000, -5, 5, None),
            // Nobody knows the second well enough.
            (10 * S, -450, 450, None),
            // No whole second lies where true time does.
            (10 * S + 300_000_000, -10, 10, None),
        ] {
            assert_eq!(second(pulse, low, high), expected, "{pulse} {low} {high}");
        }
    }

    proptest! {
        /// Whatever each reading is wrong by, the line is wrong by no more than a few times that at its end.
        #[test]
        fn the_line_stays_by_the_truth(ppb in -200_000i64..200_000, wrong in prop::collection::vec(-1_000i64..1_000, LEAST_READINGS..40), ahead in -5 * S..5 * S) {
            let mut readings = Readings::default();
            let mut at = 0;
            for (place, wrong) in wrong.iter().enumerate() {
                at = i64::try_from(place).unwrap() * S;
                readings.push(shown(at, at + at / S * ppb + ahead + wrong));
            }
            let found = readings.estimate(now(at, at)).unwrap();
            let truth = Nanos::new(at / S * ppb + ahead);
            prop_assert!((found.offset - truth).abs() <= Nanos::new(3_000));
            prop_assert!(found.jitter <= Nanos::new(4_000));
        }

        /// The second that is found is the true one, wherever the truth lies within what is known.
        #[test]
        fn the_second_is_the_true_one(true_second in 0i64..1_000, behind in -3 * S..3 * S, half in 0i64..399, place in -100i64..=100) {
            let low = Nanos::new(behind) - Nanos::from_millis(half) - Nanos::from_millis(half * place / 100);
            let high = low + Nanos::from_millis(half * 2);
            let pulse = UnixTime::from_nanos(true_second * S - behind);
            if let Some(found) = second_of(pulse, low, high) {
                prop_assert_eq!(found.nanos(), true_second * S);
            }
        }
    }
}
