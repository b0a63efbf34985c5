//! How a clock runs over days and months: its drift, its Allan deviation, and how offsets and delays are spread.
//!
//! All of it describes the clock as the exchanges showed it, corrections that a time service made included, and decides
//! nothing: verdicts are [`crate::periods`]'. Where the clock was set, stopped being watched, or set itself, a new **run**
//! begins; nothing is reckoned from one run into another, so that a step is never taken for a drift or for noise.
//!
//! * **Drift**: the median of the slopes between all pairs of points (Theil 1950, Sen 1968), pairs within a run only (Hirsch,
//!   Slack and Smith 1982), through at most [`POINTS`] medians of equal stretches, which bounds the cost. Its 95 % interval is Sen's, by
//!   Kendall's variance; since the phase of a clock wanders and its residuals follow each other, the number of points
//!   counts as n (1 − ρ) / (1 + ρ), ρ being the residuals' correlation with their neighbours (Bayley and Hammersley 1946).
//! * **Allan deviation**: the overlapping estimator of phase data, `σ²(mτ₀) = Σ (x[i+2m] − 2 x[i+m] + x[i])² / (2 n m² τ₀²)`
//!   (IEEE 1139; W. Riley, NIST SP 1065, section 5.2.4), at m = 1, 2, 4, and so on. Exchanges do not come evenly: each is moved to
//!   the nearest place of a grid of τ₀, the median distance between exchanges, along the drift, to which the estimator is blind; a
//!   place without an exchange is a gap, and a sum over three places counts only where none of them is a gap (as in the gap-resistant
//!   form of Sesia and Tavella, Metrologia 45, 2008). The error is σ/√N with N independent stretches (SP 1065, section 5.3.1).
//! * **Percentiles** are nearest ranks: values that were measured, never reckoned between two.

use angbu_units::{Nanos, UnixTime};

/// The most points that the drift is reckoned through: 512, which makes 130,816 pairs.
pub const POINTS: usize = 512;

/// The most places of the grid: 262,144. A month of exchanges every 16 s has 167,400; where there are more, τ₀ is doubled.
pub const PLACES: usize = 1 << 18;

/// The most bars of a histogram, but for two at the ends: 40.
pub const BARS: usize = 40;

/// Two-sided 95 % of the normal distribution.
const Z95: f64 = 1.96;

/// What one exchange shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When, by the centre's clock.
    pub at: UnixTime,
    /// The centre's clock minus the agent's.
    pub offset: Nanos,
    /// One-way delay.
    pub delay: Nanos,
}

/// How a clock ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// How many exchanges.
    pub exchanges: u64,
    /// The instant of the first.
    pub first: UnixTime,
    /// The instant of the last.
    pub last: UnixTime,
    /// How many runs, between which the clock was set or was not watched.
    pub runs: u64,
    /// How fast the offset changed; `None` for fewer than three points in any run.
    pub drift: Option<Drift>,
    /// The distance between the places of the grid, τ₀.
    pub tau0: Nanos,
    /// The Allan deviation at τ₀, 2 τ₀, 4 τ₀ and so on.
    pub allan: Vec<Allan>,
    /// How the offsets are spread.
    pub offsets: Spread,
    /// How the one-way delays are spread.
    pub delays: Spread,
}

/// A rate with its 95 % interval, each in parts per million: microseconds of offset in a second. Positive: the centre's clock
/// gains on the agent's, which runs slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The rate.
    pub ppm: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The Allan deviation at one averaging time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allan {
    /// The averaging time, m τ₀.
    pub tau: Nanos,
    /// The deviation, a pure number: seconds in a second.
    pub deviation: f64,
    /// Its own deviation, one sigma.
    pub error: f64,
    /// How many sums of three were taken.
    pub terms: u64,
}

/// How values are spread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// The least.
    pub least: Nanos,
    /// 5 % are no larger.
    pub p5: Nanos,
    /// Half are no larger.
    pub median: Nanos,
    /// 95 % are no larger.
    pub p95: Nanos,
    /// 99 % are no larger.
    pub p99: Nanos,
    /// The greatest.
    pub greatest: Nanos,
    /// What a histogram shows.
    pub histogram: Histogram,
}

/// How many values lie in each of many equal stretches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Where the first bar begins, a multiple of `width`.
    pub from: Nanos,
    /// How wide a bar is: 1, 2 or 5 times a power of ten nanoseconds.
    pub width: Nanos,
    /// How many values each bar holds, from its beginning (included) to its end (not included).
    pub bars: Vec<u64>,
    /// How many lie below the first bar.
    pub below: u64,
    /// How many lie above the last.
    pub above: u64,
}

/// The trend of a clock, or `None` without a point. `breaks` are the instants at which the clock was set, or from which on it was
/// not watched; points and breaks may come in any order. Cost: a sort of the points, and some 20 passes over at most
/// [`PLACES`] places.
pub fn trend(points: &[Point], breaks: &[UnixTime]) -> Option<Trend> {
    let mut points = points.to_vec();
    points.sort_unstable_by_key(|point| (point.at, point.offset));
    let mut breaks = breaks.to_vec();
    breaks.sort_unstable();
    let (first, last) = (points.first()?.at, points.last()?.at);
    let placed: Vec<Placed> = points
        .iter()
        .map(|point| Placed {
            at: point.at,
            phase: point.offset.as_secs_f64(),
            run: breaks.partition_point(|at| *at <= point.at),
        })
        .collect();
    let drift = drift(&placed, first, last);
    let rate = drift.map_or(0.0, |drift| drift.ppm / 1e6);
    let tau0 = spacing(&placed, last - first);
    let grid = grid(&placed, first, tau0, last - first, rate);
    Some(Trend {
        exchanges: u64::try_from(points.len()).unwrap_or(u64::MAX),
        first,
        last,
        runs: count(placed.chunk_by(|one, next| one.run == next.run).count()),
        drift,
        tau0,
        allan: allan(&grid, tau0),
        offsets: spread(points.iter().map(|point| point.offset).collect())?,
        delays: spread(points.iter().map(|point| point.delay).collect())?,
    })
}

/// A point with its run and its phase in seconds.
#[derive(Debug, Clone, Copy)]
struct Placed {
    at: UnixTime,
    phase: f64,
    run: usize,
}

/// A median point, its time in seconds since the first.
#[derive(Debug, Clone, Copy)]
struct Middle {
    time: f64,
    phase: f64,
}

fn drift(placed: &[Placed], first: UnixTime, last: UnixTime) -> Option<Drift> {
    let runs: Vec<Vec<Middle>> = placed
        .chunk_by(|one, next| one.run == next.run)
        .map(|run| middles(run, first, last))
        .filter(|run| run.len() >= 2)
        .collect();
    if !runs.iter().any(|run| run.len() >= 3) {
        return None;
    }
    let mut slopes = Vec::new();
    for run in &runs {
        for (place, one) in run.iter().enumerate() {
            let later = run.iter().skip(place + 1).filter(|next| next.time > one.time);
            slopes.extend(later.map(|next| (next.phase - one.phase) / (next.time - one.time)));
        }
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let slope = median(&slopes)?;
    let half = Z95 * (kendall(&runs) * inflation(&runs, slope)).sqrt() / 2.0;
    // The ranks of the interval's ends, as shares of all slopes.
    let share = (half / float(slopes.len())).min(0.5);
    let at_share = |share: f64| slopes.get(rank(slopes.len(), share)).copied();
    Some(Drift { ppm: slope * 1e6, low: at_share(0.5 - share)? * 1e6, high: at_share(0.5 + share)? * 1e6 })
}

/// The medians of a run in equal stretches of the whole time.
fn middles(run: &[Placed], first: UnixTime, last: UnixTime) -> Vec<Middle> {
    let span = i128::from((last - first).count()) + 1;
    let stretch = |at: UnixTime| i128::from((at - first).count()) * POINTS as i128 / span;
    run.chunk_by(|one, next| stretch(one.at) == stretch(next.at))
        .filter_map(|part| {
            let middle = part.get(part.len() / 2)?;
            let mut phases: Vec<f64> = part.iter().map(|placed| placed.phase).collect();
            phases.sort_unstable_by(f64::total_cmp);
            let phase = *phases.get(phases.len() / 2)?;
            Some(Middle { time: (middle.at - first).as_secs_f64(), phase })
        })
        .collect()
}

/// Kendall's variance of the sum of signs, summed over runs: n (n − 1) (2 n + 5) / 18.
fn kendall(runs: &[Vec<Middle>]) -> f64 {
    let of = |run: &Vec<Middle>| float(run.len()) * (float(run.len()) - 1.0) * (2.0 * float(run.len()) + 5.0);
    runs.iter().map(of).sum::<f64>() / 18.0
}

/// How much wider the interval's square becomes because residuals follow each other.
fn inflation(runs: &[Vec<Middle>], slope: f64) -> f64 {
    let (mut neighbours, mut squares) = (0.0, 0.0);
    for run in runs {
        let mut rests: Vec<f64> = run.iter().map(|middle| middle.phase - slope * middle.time).collect();
        let mut sorted = rests.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let level = median(&sorted).unwrap_or(0.0);
        rests.iter_mut().for_each(|rest| *rest -= level);
        squares += rests.iter().map(|rest| rest * rest).sum::<f64>();
        neighbours += rests.iter().zip(rests.iter().skip(1)).map(|(one, next)| one * next).sum::<f64>();
    }
    let points = runs.iter().map(Vec::len).sum::<usize>().max(1);
    let rho = if squares > 0.0 { neighbours / squares } else { 0.0 };
    // Around a line that was fitted to them residuals look less alike than they are (Kendall 1954).
    let rho = if rho > 0.0 { (rho + (1.0 + 4.0 * rho) / float(points)).clamp(0.0, 0.999) } else { 0.0 };
    (1.0 + rho) / (1.0 - rho)
}

/// The median distance between exchanges of one run, doubled until the whole time has at most [`PLACES`] places.
fn spacing(placed: &[Placed], span: Nanos) -> Nanos {
    let pairs = placed.iter().zip(placed.iter().skip(1)).filter(|(one, next)| one.run == next.run);
    let mut steps: Vec<Nanos> =
        pairs.map(|(one, next)| next.at - one.at).filter(|step| *step > Nanos::ZERO).collect();
    steps.sort_unstable();
    let mut tau0 = steps.get(steps.len() / 2).copied().unwrap_or(Nanos::from_secs(1));
    while span.count() / tau0.count() >= i64::try_from(PLACES).unwrap_or(i64::MAX) {
        tau0 = tau0.times(2);
    }
    tau0
}

/// The phase at each place, with its run; `None` in a gap.
type Grid = Vec<Option<(f64, usize)>>;

fn grid(placed: &[Placed], first: UnixTime, tau0: Nanos, span: Nanos, rate: f64) -> Grid {
    let size = usize::try_from(span.count() / tau0.count()).unwrap_or(0).saturating_add(2).min(PLACES + 2);
    let mut grid: Vec<Option<(Nanos, f64, usize)>> = vec![None; size];
    for point in placed {
        let place = ((point.at - first) + tau0.half()).count() / tau0.count();
        let away = point.at - (first + tau0.times(place));
        let Some(here) = usize::try_from(place).ok().and_then(|place| grid.get_mut(place)) else { continue };
        if here.is_none_or(|(nearest, ..)| away.abs() < nearest) {
            *here = Some((away.abs(), point.phase - rate * away.as_secs_f64(), point.run));
        }
    }
    grid.into_iter().map(|place| place.map(|(_, phase, run)| (phase, run))).collect()
}

fn allan(grid: &Grid, tau0: Nanos) -> Vec<Allan> {
    let mut found = Vec::new();
    let mut m = 1_usize;
    // From a quarter of the whole time on there is hardly anything to average over.
    while m.saturating_mul(4) <= grid.len() {
        let (sum, terms) = squares(grid, m);
        let tau = tau0.times(i64::try_from(m).unwrap_or(i64::MAX));
        if terms > 0 {
            let variance = sum / (2.0 * float(terms) * tau.as_secs_f64() * tau.as_secs_f64());
            let deviation = variance.sqrt();
            let independent = (float(terms) / float(m)).max(1.0);
            found.push(Allan { tau, deviation, error: deviation / independent.sqrt(), terms: count(terms) });
        }
        m = m.saturating_mul(2);
    }
    found
}

/// The sum of the squares of second differences over `m` places, and how many there are.
fn squares(grid: &Grid, m: usize) -> (f64, usize) {
    let (mut sum, mut terms) = (0.0, 0);
    for ((one, middle), last) in grid.iter().zip(grid.iter().skip(m)).zip(grid.iter().skip(2 * m)) {
        let (Some((x0, run)), Some((x1, _)), Some((x2, end))) = (one, middle, last) else { continue };
        // Runs only ever grow: equal ends mean an equal middle.
        if run == end {
            let second = x2 - 2.0 * x1 + x0;
            sum += second * second;
            terms += 1;
        }
    }
    (sum, terms)
}

fn spread(mut values: Vec<Nanos>) -> Option<Spread> {
    values.sort_unstable();
    let at =
        |per_mille: usize| values.get((values.len() * per_mille).div_ceil(1_000).saturating_sub(1)).copied();
    Some(Spread {
        least: *values.first()?,
        p5: at(50)?,
        median: at(500)?,
        p95: at(950)?,
        p99: at(990)?,
        greatest: *values.last()?,
        histogram: histogram(&values, at(5)?, at(995)?),
    })
}

/// Bars from `low` to `high`, so that a few wild values do not press all others into one bar.
fn histogram(sorted: &[Nanos], low: Nanos, high: Nanos) -> Histogram {
    let least = i128::from((high - low).count()) / BARS as i128 + 1;
    let width = [1, 2, 5].map(|n| (0..19).map(move |power| n * 10_i128.pow(power)));
    let width = width.into_iter().flatten().filter(|width| *width >= least).min().unwrap_or(least);
    let width = i64::try_from(width).unwrap_or(i64::MAX);
    let bar = |value: Nanos| value.count().div_euclid(width);
    let (from, to) = (bar(low), bar(high));
    let bars = usize::try_from(to - from).unwrap_or(0).min(BARS) + 1;
    let mut histogram = Histogram {
        from: Nanos::new(width).times(from),
        width: Nanos::new(width),
        bars: vec![0; bars],
        below: 0,
        above: 0,
    };
    for value in sorted {
        let place = bar(*value) - from;
        match usize::try_from(place).map(|place| histogram.bars.get_mut(place)) {
            Ok(Some(bar)) => *bar += 1,
            Ok(None) => histogram.above += 1,
            Err(_) => histogram.below += 1,
        }
    }
    histogram
}

/// The middle of sorted values.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The place of a share among `length` sorted values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a length lies in 0..=length"
)]
fn rank(length: usize, share: f64) -> usize {
    ((share * float(length)) as usize).min(length.saturating_sub(1))
}

#[expect(clippy::cast_precision_loss, reason = "counts here stay far below 2^53")]
fn float(number: usize) -> f64 {
    number as f64
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
