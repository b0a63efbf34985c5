use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const S: i64 = 1_000_000_000;

/// Sums of twelve evenly spread values: normal enough, and the same on every machine.
fn normal(rng: &mut StdRng) -> f64 {
    (0..12).map(|_| rng.random_range(-0.5..0.5)).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "the phases of these tests are small")]
fn points(phases: impl IntoIterator<Item = f64>, every: i64) -> Vec<Point> {
    let point = |(index, phase): (i64, f64)| Point {
        at: UnixTime::from_nanos(index * every * S),
        offset: Nanos::new((phase * 1e9).round() as i64),
        delay: Nanos::from_micros(100),
    };
    (0..).zip(phases).map(point).collect()
}

/// The slope of log σ over log τ between the second tau and the fifth last, where there are terms enough.
fn slope(trend: &Trend) -> f64 {
    let (one, next) = (trend.allan[1], trend.allan[trend.allan.len() - 5]);
    (next.deviation / one.deviation).ln() / (next.tau.as_secs_f64() / one.tau.as_secs_f64()).ln()
}

fn walk(steps: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    steps.scan(0.0, |sum, step| {
        *sum += step;
        Some(*sum)
    })
}

/// SP 1065, section 6: white phase noise falls as τ to the -1, white frequency noise as -1/2, a walking frequency rises as +1/2.
#[test]
fn known_noises_have_their_slopes() {
    const COUNT: usize = 20_000;
    let noise = |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        std::iter::repeat_with(move || normal(&mut rng) * 1e-5).take(COUNT)
    };
    let white_phase = trend(&points(noise(1), 16), &[]).unwrap();
    let white_frequency = trend(&points(walk(noise(2)), 16), &[]).unwrap();
    let walking_frequency = trend(&points(walk(walk(noise(3))), 16), &[]).unwrap();
    for (trend, expected) in [(white_phase, -1.0), (white_frequency, -0.5), (walking_frequency, 0.5)] {
        assert!((slope(&trend) - expected).abs() < 0.1, "{} for {expected}", slope(&trend));
        assert_eq!(trend.tau0, Nanos::from_secs(16));
    }
}

#[test]
fn the_drift_lies_in_its_interval_for_most_seeds() {
    let (mut white, mut walking) = (0, 0);
    for seed in 0..100 {
        let mut rng = StdRng::seed_from_u64(seed);
        let truth = 12.5;
        let line = |index: usize| truth * 1e-6 * 16.0 * float(index);
        let noise: Vec<f64> = (0..1_500).map(|_| normal(&mut rng) * 1e-4).collect();
        let holds = |phases: Vec<f64>| {
            let drift = trend(&points(phases, 16), &[]).unwrap().drift.unwrap();
            assert!(drift.low <= drift.ppm && drift.ppm <= drift.high);
            drift.low <= truth && truth <= drift.high
        };
        white += u32::from(holds(noise.iter().enumerate().map(|(at, rest)| line(at) + rest).collect()));
        let walked = walk(noise.iter().copied()).enumerate().map(|(at, rest)| line(at) + rest / 10.0);
        walking += u32::from(holds(walked.collect()));
    }
    assert!(white >= 88, "{white} of 100 with white phase noise");
    assert!(walking >= 75, "{walking} of 100 with a walking phase");
}

#[test]
fn a_step_is_no_drift_and_no_noise() {
    let phases = |step: f64| (0..4_000).map(move |index| if index < 2_000 { 0.0 } else { step });
    let told = trend(&points(phases(1.0), 16), &[UnixTime::from_nanos(2_000 * 16 * S)]).unwrap();
    assert_eq!(told.runs, 2);
    assert!(told.drift.unwrap().ppm.abs() < 1e-9);
    assert!(told.allan.iter().all(|allan| allan.deviation == 0.0), "{:?}", told.allan);
    let untold = trend(&points(phases(1.0), 16), &[]).unwrap();
    assert!(untold.allan[0].deviation > 1e-4);
    // Nor do a few wild values make a drift.
    let wild = (0..4_000).map(|index| if index % 50 == 0 { 3.0 } else { 1e-6 * 16.0 * float(index) });
    let drift = trend(&points(wild, 16), &[]).unwrap().drift.unwrap();
    assert!((drift.ppm - 1.0).abs() < 0.001, "{drift:?}");
}

/// A month at 16 s, at uneven instants, with what is asked of it in bounded time: no more work than some passes.
#[test]
fn uneven_instants_and_much_data_are_taken() {
    let mut rng = StdRng::seed_from_u64(7);
    let many: Vec<Point> = (0..162_000)
        .map(|index| {
            let at = index * 16 * S + rng.random_range(0..3 * S);
            let offset = Nanos::new(at / 20_000 + rng.random_range(-20_000..20_000));
            Point {
                at: UnixTime::from_nanos(at),
                offset,
                delay: Nanos::new(rng.random_range(100_000..900_000)),
            }
        })
        .collect();
    let trend = trend(&many, &[]).unwrap();
    assert_eq!(trend.exchanges, 162_000);
    let drift = trend.drift.unwrap();
    assert!((drift.ppm - 50.0).abs() < 1e-4 && drift.high - drift.low < 1e-4, "{drift:?}");
    // The instants' jitter of seconds at 50 ppm would be 100 µs; what is left is the offset's own noise of 11.5 µs.
    let expected = 3_f64.sqrt() * 11.547e-6 / trend.tau0.as_secs_f64();
    assert!((trend.allan[0].deviation / expected - 1.0).abs() < 0.05, "{:?} for {expected}", trend.allan[0]);
    assert!(trend.delays.p5 < trend.delays.median && trend.delays.p99 <= trend.delays.greatest);
}

#[test]
fn the_grid_is_bounded() {
    let far = [0, 1, 2, 3, 4, 9_000_000_000].map(|second| Point {
        at: UnixTime::from_nanos(second * S),
        offset: Nanos::ZERO,
        delay: Nanos::ZERO,
    });
    let found = trend(&far, &[]).unwrap();
    assert!(found.tau0.count() / S > 30_000 && found.allan.iter().all(|allan| allan.deviation == 0.0));
    let same = [0, 0, 0].map(|second| Point { at: UnixTime::from_nanos(second), ..far[0] });
    let found = trend(&same, &[]).unwrap();
    assert_eq!((found.drift, found.allan.len()), (None, 0));
    assert_eq!(trend(&[], &[]), None);
}

#[test]
fn percentiles_are_nearest_ranks_and_bars_hold_everything() {
    let hundred = (1..=100).map(Nanos::from_millis).collect();
    let spread = spread(hundred).unwrap();
    let millis = |length: Nanos| length.count() / 1_000_000;
    let found = [spread.least, spread.p5, spread.median, spread.p95, spread.p99, spread.greatest].map(millis);
    assert_eq!(found, [1, 5, 50, 95, 99, 100]);
    let Histogram { width, bars, from, .. } = &spread.histogram;
    assert_eq!((width.count(), from.count()), (5_000_000, 0));
    assert_eq!(bars[..3], [4, 5, 5]);
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_panics(
        raw in prop::collection::vec((any::<i64>(), any::<i64>(), any::<i64>()), 1..60),
        breaks in prop::collection::vec(any::<i64>(), 0..8),
    ) {
        let points: Vec<Point> = raw
            .into_iter()
            .map(|(at, offset, delay)| Point { at: UnixTime::from_nanos(at), offset: Nanos::new(offset), delay: Nanos::new(delay) })
            .collect();
        let breaks: Vec<UnixTime> = breaks.into_iter().map(UnixTime::from_nanos).collect();
        let trend = trend(&points, &breaks).unwrap();
        for spread in [&trend.offsets, &trend.delays] {
            let bars = &spread.histogram;
            prop_assert!(bars.bars.len() <= BARS + 1);
            prop_assert_eq!(bars.bars.iter().sum::<u64>() + bars.below + bars.above, trend.exchanges);
        }
    }
}
