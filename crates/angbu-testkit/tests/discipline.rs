//! Keeping a clock right, in worlds whose truth is known: each scenario is its conditions and its bounds.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]

use angbu_testkit::simulation::{Congestion, Delay, Host, Leaping, Oscillator, Path, Statistics, Upstream};
use angbu_time::correction::CorrectionKind;
use angbu_time::packet::Leap;
use angbu_time::record::Fact;
use angbu_units::{Nanos, Ppb, UnixTime};

const HOUR: Nanos = Nanos::from_secs(3_600);

const fn us(n: i64) -> Nanos {
    Nanos::from_micros(n)
}

const fn ms(n: i64) -> Nanos {
    Nanos::from_millis(n)
}

const fn s(n: i64) -> Nanos {
    Nanos::from_secs(n)
}

/// Runs a host for an hour to settle and for another one that counts, for twenty seeds.
fn check(name: &str, rms: Nanos, largest: Nanos, host: impl Fn(u64) -> Host) {
    for seed in 0..20 {
        let mut host = host(seed).steering();
        host.run(HOUR.times(2));
        let alarm = host.records.iter().find(|record| matches!(record.fact, Fact::Alarm(_)));
        assert_eq!(alarm, None, "{name}, seed {seed}: what the agent does itself is no alarm");
        let errors = host.errors_since(HOUR);
        assert!(
            errors.rms <= rms && errors.largest <= largest,
            "{name}, seed {seed}: rms {} (at most {rms}), largest {} (at most {largest})",
            errors.rms,
            errors.largest
        );
    }
}

fn steps(host: &Host) -> usize {
    host.corrections.iter().filter(|(_, made)| made.kind == CorrectionKind::Step).count()
}

#[test]
fn ordinary_networks() {
    check("lan", us(8), us(20), |seed| {
        Host::new(seed, Oscillator::ordinary(seed)).with(Upstream::honest(Path::lan()))
    });
    // 8 ms there and 5 ms back: half of the difference, 1.5 ms, no single server can know of.
    check("wan", us(1_600), us(1_700), |seed| {
        Host::new(seed, Oscillator::ordinary(seed)).with(Upstream::honest(Path::wan()))
    });
}

#[test]
fn crystals() {
    let lan = |seed, oscillator| Host::new(seed, oscillator).with(Upstream::honest(Path::lan()));
    check("drift of 200 ppm", us(8), us(20), |seed| {
        lan(seed, Oscillator { drift: Ppb::new(-200_000), ..Oscillator::ordinary(seed) })
    });
    check("a swing of 2 ppm in 20 minutes", us(20), us(100), |seed| {
        lan(seed, Oscillator { swing: Ppb::new(2_000), period: s(1_200), ..Oscillator::ordinary(seed) })
    });
    check("a wander of 10 ppb", us(12), us(60), |seed| {
        lan(seed, Oscillator { wander: 10.0, ..Oscillator::ordinary(seed) })
    });
    check("readings 20 µs apart", us(35), us(120), |seed| {
        lan(seed, Oscillator { reading_jitter: us(20), ..Oscillator::ordinary(seed) })
    });
}

#[test]
fn bad_paths() {
    let on = |seed, path| Host::new(seed, Oscillator::ordinary(seed)).with(Upstream::honest(path));
    check("half of all exchanges lost", us(12), us(40), |seed| {
        on(seed, Path { lost_per_mille: 500, reordered_per_mille: 50, ..Path::lan() })
    });
    check("queues of 1 ms both ways", us(120), us(250), |seed| {
        on(seed, Path::symmetric(Delay::of(us(100), ms(1))))
    });
    check("a queue of 20 ms one way, one minute in ten", us(10), us(30), |seed| {
        let queue = Congestion { every: s(600), lasts: s(60), there: ms(20), back: Nanos::ZERO };
        on(seed, Path { congestion: Some(queue), ..Path::lan() })
    });
}

#[test]
fn falsetickers_are_outvoted() {
    check("two of five lie", us(10), us(30), |seed| {
        let lies = |by| Upstream::lying(Path::lan(), by);
        let good = || Upstream::honest(Path::lan());
        let host = Host::new(seed, Oscillator::ordinary(seed)).with(good()).with(lies(ms(40)));
        host.with(good()).with(lies(ms(40))).with(good())
    });
    // Where nobody has a majority, nothing is done.
    let mut host = Host::new(1, Oscillator::ideal())
        .with(Upstream::honest(Path::lan()))
        .with(Upstream::lying(Path::lan(), s(3)))
        .steering();
    host.run(HOUR);
    assert_eq!(host.corrections.len(), 0);
}

#[test]
fn a_far_clock_is_stepped_once_and_a_near_one_slewed() {
    for seed in 0..20 {
        for (off, expected) in [(s(86_400 * 365), 1), (-s(40), 1), (ms(129), 1), (ms(100), 0), (-ms(3), 0)] {
            let mut host = Host::new(seed, Oscillator::ordinary(seed)).with(Upstream::honest(Path::lan()));
            host.machine.move_by_hand(off);
            host = host.steering();
            host.run(HOUR);
            assert_eq!(steps(&host), expected, "{off}");
            assert!(host.errors_since(s(3_000)).largest < us(80), "{off}: {:?}", host.errors_since(s(3_000)));
        }
    }
}

#[test]
fn a_hand_on_the_clock_is_undone() {
    let mut host = Host::new(3, Oscillator::ordinary(3)).with(Upstream::honest(Path::lan())).steering();
    host.run(HOUR);
    host.machine.move_by_hand(s(10));
    host.run(s(120));
    assert_eq!(steps(&host), 1);
    host.run(HOUR);
    assert!(host.errors_since(HOUR + s(200)).largest < us(80));
}

#[test]
fn one_nonsense_answer_moves_nothing() {
    let mut host = Host::new(4, Oscillator::ordinary(4)).with(Upstream::honest(Path::lan())).steering();
    host.run(HOUR);
    host.upstreams[0].clock.steps = vec![(HOUR, s(100)), (HOUR + s(16), -s(100))];
    host.run(HOUR);
    assert!(host.errors_since(HOUR).largest < us(100), "{:?}", host.errors_since(HOUR));
    assert_eq!(steps(&host), 0);
}

#[test]
fn a_suspended_machine_finds_its_time_again() {
    for seed in 0..20 {
        let mut host =
            Host::new(seed, Oscillator::ordinary(seed)).with(Upstream::honest(Path::lan())).steering();
        host.run(HOUR);
        host.machine.suspend(HOUR.times(8), ms(700));
        if let Some(discipline) = &mut host.discipline {
            discipline.on_pause();
        }
        host.run(s(60));
        let soon = host.machine.elapsed();
        host.run(HOUR);
        let Statistics { largest, .. } = host.errors_since(soon + s(300));
        assert!(largest < us(80), "seed {seed}: {largest}");
    }
}

#[test]
fn a_leap_second_is_armed_announced_and_passed() {
    let before = UnixTime::parse_rfc3339("2026-12-31T22:00:00Z").unwrap();
    let at = UnixTime::parse_rfc3339("2027-01-01T00:00:00Z").unwrap();
    for leap in [Leap::Insert, Leap::Delete] {
        for seed in 0..10 {
            let mut host = Host::at(seed, Oscillator::ordinary(seed), before);
            host.leaping = Some(Leaping { at, leap });
            let mut host = host
                .with(Upstream::honest(Path::lan()))
                .with(Upstream::honest(Path::lan()))
                .with(Upstream { announces: false, ..Upstream::honest(Path::lan()) })
                .steering();
            host.run(HOUR.times(4));
            assert_eq!(steps(&host), 0, "the kernel makes the leap, the agent makes no step");
            assert_eq!(host.alarms(), 0, "and it is no alarm");
            let armed =
                host.corrections.iter().filter(|(_, made)| made.kind == CorrectionKind::LeapArmed).count();
            assert_eq!(armed, 1);
            // Around the leap itself, which side of it a server or the kernel is on is a matter of microseconds.
            let errors: Vec<_> = host.truth.iter().filter(|point| (point.at - at).abs() > s(2)).collect();
            let worst =
                errors.iter().filter(|point| point.elapsed > HOUR).map(|point| point.error.abs()).max();
            assert!(worst.unwrap() < us(80), "seed {seed}: {worst:?}");
        }
    }
}

#[test]
fn the_era_rolls_over_in_2036() {
    let before = UnixTime::parse_rfc3339("2036-02-07T05:00:00Z").unwrap();
    for seed in 0..10 {
        let mut host =
            Host::at(seed, Oscillator::ordinary(seed), before).with(Upstream::honest(Path::wan())).steering();
        host.run(HOUR.times(4));
        assert_eq!(steps(&host), 0);
        assert!(host.errors_since(HOUR).largest < ms(3));
    }
}
