//! One hour of one agent, in figures. Integers only, so that every machine reckons the same.

use angbu_units::{Nanos, Ppb, UnixTime};

use crate::proof::Proof;
use crate::segment::Kept;

/// An hour.
pub const HOUR: Nanos = Nanos::from_secs(3_600);

/// What was measured in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// When the hour begins, UTC, by the centre's clock.
    pub begins: UnixTime,
    /// How many exchanges: at least 1.
    pub exchanges: u64,
    /// How many of them the centre's own seal proves, late ones too.
    pub proven: u64,
    /// How many of these were told late.
    pub late: u64,
    /// Of how many something was shown that proves nothing.
    pub refused: u64,
    /// When the first exchange was.
    pub first: UnixTime,
    /// When the last one was.
    pub last: UnixTime,
    /// How often the agent then asked.
    pub poll: Nanos,
    /// The least and the largest offset.
    pub offset: MinMax,
    /// Their mean, towards zero.
    pub offset_mean: Nanos,
    /// Their standard deviation, rounded down.
    pub spread: Nanos,
    /// The least and the largest one-way delay.
    pub delay: MinMax,
    /// The median delay: of an even number the lower of the two in the middle.
    pub delay_median: Nanos,
    /// The largest bound.
    pub bound: Nanos,
    /// How fast the offset changed: the slope of the straight line nearest to all offsets; none of fewer than three exchanges.
    pub drift: Option<Ppb>,
}

/// The least and the largest of some lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinMax {
    /// The least.
    pub min: Nanos,
    /// The largest.
    pub max: Nanos,
}

impl Hour {
    /// The hours that have exchanges, in order of time; exchanges in any order.
    pub(super) fn all(exchanges: &[&Kept]) -> Vec<Self> {
        let mut sorted = exchanges.to_vec();
        sorted.sort_by_key(|kept| (kept.measured.exchange.at(), kept.seq));
        let begins = |kept: &Kept| super::floor(kept.measured.exchange.at(), HOUR);
        let hours = sorted.chunk_by(|one, next| begins(one) == begins(next));
        hours.filter_map(|hour| Some(Self::of(begins(hour.first()?), hour))).collect()
    }

    /// One hour of at least one exchange, in order of time.
    fn of(begins: UnixTime, exchanges: &[&Kept]) -> Self {
        let at = |kept: Option<&&Kept>| kept.map_or(begins, |kept| kept.measured.exchange.at());
        let offsets: Vec<i64> =
            exchanges.iter().map(|kept| kept.measured.exchange.offset().count()).collect();
        let mut delays: Vec<i64> =
            exchanges.iter().map(|kept| kept.measured.exchange.delay().count()).collect();
        delays.sort_unstable();
        let (mean, spread) = mean_and_spread(&offsets);
        let counted = |is: fn(Proof) -> bool| {
            u64::try_from(exchanges.iter().filter(|kept| is(kept.proof)).count()).unwrap_or(u64::MAX)
        };
        let middle = delays.len().saturating_sub(1) / 2;
        Self {
            begins,
            exchanges: u64::try_from(exchanges.len()).unwrap_or(u64::MAX),
            proven: counted(Proof::is_proven),
            late: counted(|proof| proof == Proof::Late),
            refused: counted(|proof| matches!(proof, Proof::Refused(_))),
            first: at(exchanges.first()),
            last: at(exchanges.last()),
            poll: exchanges.last().map_or(Nanos::ZERO, |kept| kept.measured.poll),
            offset: MinMax::of(&offsets),
            offset_mean: Nanos::new(mean),
            spread: Nanos::new(spread),
            delay: MinMax::of(&delays),
            delay_median: Nanos::new(delays.get(middle).copied().unwrap_or(0)),
            bound: exchanges.iter().map(|kept| kept.measured.exchange.bound()).max().unwrap_or(Nanos::ZERO),
            drift: slope(exchanges),
        }
    }
}

impl MinMax {
    fn of(values: &[i64]) -> Self {
        let (min, max) = (values.iter().min(), values.iter().max());
        Self { min: Nanos::new(min.copied().unwrap_or(0)), max: Nanos::new(max.copied().unwrap_or(0)) }
    }
}

/// The mean, towards zero, and the standard deviation, rounded down. Of at most some 60,000 numbers of 64 bits.
fn mean_and_spread(values: &[i64]) -> (i64, i64) {
    let count = i128::try_from(values.len()).unwrap_or(i128::MAX).max(1);
    let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
    let mean = sum / count;
    // About the mean as it was rounded: off by less than a nanosecond, and small enough to be squared.
    let squares = values.iter().map(|value| (i128::from(*value) - mean).unsigned_abs());
    let squares = squares.fold(0_u128, |all, apart| all.saturating_add(apart.saturating_mul(apart)));
    let variance = squares / count.unsigned_abs();
    (i64::try_from(mean).unwrap_or(0), i64::try_from(variance.isqrt()).unwrap_or(i64::MAX))
}

/// The slope of the least-squares line through the offsets; `None` of fewer than three, of one instant, and of numbers too large.
fn slope(exchanges: &[&Kept]) -> Option<Ppb> {
    let first = exchanges.first()?.measured.exchange.at();
    if exchanges.len() < 3 {
        return None;
    }
    let count = i128::try_from(exchanges.len()).ok()?;
    let (mut sum_x, mut sum_y, mut sum_xx, mut sum_xy) = (0_i128, 0_i128, 0_i128, 0_i128);
    for kept in exchanges {
        let exchange = &kept.measured.exchange;
        // In microseconds, so that the squares of an hour fit.
        let x = i128::from((exchange.at() - first).count() / 1_000);
        let y = i128::from(exchange.offset().count());
        (sum_x, sum_y) = (sum_x.checked_add(x)?, sum_y.checked_add(y)?);
        sum_xx = sum_xx.checked_add(x.checked_mul(x)?)?;
        sum_xy = sum_xy.checked_add(x.checked_mul(y)?)?;
    }
    let over = count.checked_mul(sum_xy)?.checked_sub(sum_x.checked_mul(sum_y)?)?;
    let under = count.checked_mul(sum_xx)?.checked_sub(sum_x.checked_mul(sum_x)?)?;
    // Nanoseconds per microsecond, a million times as many per second.
    let slope = over.checked_mul(1_000_000)?.checked_div(under)?;
    i64::try_from(slope).ok().map(Ppb::new)
}
