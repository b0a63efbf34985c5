//! Verdicts by interval against a truth that only the simulation knows: never wrong, no bound ever violated, and "not proven" where
//! what they assume does not hold.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]

use std::sync::{Arc, Mutex};

use angbu_testkit::simulation::{Host, Oscillator, Path, Point, ServerClock, Upstream};
use angbu_time::centre_clock::{self, CentreClock, Settings};
use angbu_time::exchange::Exchange;
use angbu_time::periods::{DRIFT, Observed, Period, Totals, Verdict, Why, observed, periods, totals};
use angbu_time::record::Fact;
use angbu_units::{Clock as _, ClockVerdict, Nanos, Ppb, UnixTime};

/// A simulated agent's verdicts, and what they are held against.
struct Trial {
    periods: Vec<Period>,
    truth: Vec<Point>,
    tolerance: Nanos,
    polls: usize,
    bounds_violated: usize,
    /// How wrong the server's clock was, at most.
    server_wrong_by: Nanos,
}

/// A small generator of the test's own, so that the scenario does not follow from the simulation's.
fn of(seed: u64, purpose: u64, low: i64, high: i64) -> i64 {
    let mut x = seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3 {
        x ^= x >> 31;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    low + i64::try_from((x >> 11) % u64::try_from(high - low + 1).unwrap()).unwrap()
}

/// A crystal within the stated drift: at most 90 ppm with a swing of 5 ppm.
fn crystal(seed: u64, most: i64) -> Oscillator {
    Oscillator {
        drift: Ppb::new(of(seed, 1, -most, most)),
        swing: Ppb::new(of(seed, 2, 0, 5_000)),
        period: Nanos::from_secs(of(seed, 3, 600, 86_400)),
        wander: 1.0,
        ..Oscillator::ordinary(seed)
    }
}

fn host(seed: u64, oscillator: Oscillator, upstream: Upstream) -> Host {
    let mut host = Host::new(seed, oscillator).with(upstream);
    host.poll = Nanos::from_secs(of(seed, 4, 4, 64));
    host
}

/// Runs a host for so many polls, with a hand on its clock now and then, and judges what it recorded.
fn trial(mut host: Host, seed: u64, polls: i64, hands: bool, steers: bool) -> Trial {
    let tolerance = Nanos::from_micros(of(seed, 5, 300, 100_000));
    let violated = Arc::new(Mutex::new((0, 0, Nanos::ZERO)));
    let counted = Arc::clone(&violated);
    host.witness = Some(Box::new(move |asked, record, point| {
        let Fact::Exchange(measured) = &record.fact else { return };
        let mut counted = counted.lock().unwrap();
        counted.0 += 1;
        // The offset is what the reference is ahead; the wall clock's error is its negative.
        let wrong = (measured.exchange.offset() + point.error).abs();
        counted.1 += usize::from(wrong > measured.exchange.bound());
        counted.2 = counted.2.max(asked.server_wrong_by.abs());
    }));
    host.machine.move_by_hand(Nanos::from_micros(of(seed, 6, -200_000, 200_000)));
    if steers {
        host = host.steering();
    }
    let length = host.poll.times(polls);
    let stretch = length.half();
    host.run(stretch);
    if hands {
        host.machine.move_by_hand(Nanos::from_micros(of(seed, 7, -300_000, 300_000)));
    }
    host.run(stretch);
    let told: Vec<_> =
        host.records.iter().flat_map(|record| observed(record, Some(ClockVerdict::Proven))).collect();
    let (from, to) = (host.truth[0].at, host.point().at);
    let (polls, bounds_violated, server_wrong_by) = *violated.lock().unwrap();
    Trial {
        periods: periods(&told, &[(UnixTime::MIN, tolerance)], from, to, DRIFT),
        truth: host.truth,
        tolerance,
        polls,
        bounds_violated,
        server_wrong_by,
    }
}

impl Trial {
    /// The first instant at which the verdict is not the truth.
    fn wrong(&self) -> Option<(Point, Period)> {
        let mut periods = self.periods.iter().peekable();
        for point in &self.truth {
            while periods.next_if(|period| period.to <= point.at).is_some() {}
            let Some(period) = periods.peek() else { break };
            // An instant is the server's, which may lie a little beside the truth's: its verdict may then be the neighbour's.
            let beside = self.server_wrong_by;
            if point.at - period.from <= beside || period.to - point.at <= beside {
                continue;
            }
            let within = point.error.abs() <= self.tolerance;
            match period.verdict {
                Verdict::Within if !within => return Some((*point, **period)),
                Verdict::Outside if within => return Some((*point, **period)),
                _ => {}
            }
        }
        None
    }

    fn totals(&self) -> Totals {
        totals(&self.periods)
    }
}

/// So many seeds with so many polls each; what share of the time was decided, per mille.
fn never_wrong(seeds: std::ops::Range<u64>, polls: i64, steers: bool) -> (usize, i64) {
    let (mut exchanges, mut decided, mut all) = (0, 0, 0);
    for seed in seeds {
        let upstream = Upstream {
            clock: ServerClock {
                error: Nanos::from_micros(of(seed, 8, -40, 40)),
                ..Upstream::honest(Path::lan()).clock
            },
            ..Upstream::honest(Path::any(seed))
        };
        let trial = trial(host(seed, crystal(seed, 90_000), upstream), seed, polls, true, steers);
        assert_eq!(trial.bounds_violated, 0, "seed {seed}");
        assert_eq!(trial.wrong(), None, "seed {seed}, tolerance {}", trial.tolerance);
        let totals = trial.totals();
        exchanges += trial.polls;
        decided += (totals.within + totals.outside).count() / 1_000_000;
        all += (totals.within + totals.outside + totals.not_proven).count() / 1_000_000;
    }
    (exchanges, decided * 1_000 / all)
}

#[test]
fn no_verdict_is_wrong_and_no_bound_violated() {
    let (exchanges, decided) = never_wrong(0..200, 60, false);
    assert!(exchanges > 8_000, "{exchanges} exchanges");
    assert!(decided > 300, "{decided} of a thousand decided: whoever says nothing is never wrong");
}

/// While the agent itself moves the clock, what it does is no more than its records say.
#[test]
fn no_verdict_is_wrong_while_the_agent_keeps_the_clock() {
    let (exchanges, decided) = never_wrong(0..200, 120, true);
    assert!(exchanges > 16_000, "{exchanges} exchanges");
    assert!(decided > 300, "{decided} of a thousand decided");
}

#[test]
fn a_crystal_beyond_the_stated_drift_proves_nothing() {
    for seed in 0..200 {
        let sign = if seed % 2 == 0 { 1 } else { -1 };
        let drift = Ppb::new(sign * of(seed, 9, 160_000, 2_000_000));
        let oscillator = Oscillator { drift, ..crystal(seed, 0) };
        let trial = trial(host(seed, oscillator, Upstream::honest(Path::wan())), seed, 200, false, false);
        assert_eq!(trial.bounds_violated, 0, "seed {seed}");
        assert_eq!(trial.wrong(), None, "seed {seed}, {} ppb", drift.count());
        let totals = trial.totals();
        let decided = totals.within + totals.outside;
        assert!(
            decided.times(10) < totals.not_proven,
            "seed {seed}: {decided} decided at {} ppb",
            drift.count()
        );
    }
}

#[test]
fn a_server_that_steps_or_wanders_off_proves_nothing_about_that_time() {
    for seed in 0..200 {
        let step = Nanos::from_millis(of(seed, 10, 60, 5_000)).times(if seed % 2 == 0 { 1 } else { -1 });
        let upstream = Upstream {
            clock: ServerClock {
                steps: vec![(Nanos::from_secs(900), step)],
                ..Upstream::honest(Path::wan()).clock
            },
            ..Upstream::honest(Path::wan())
        };
        let mut host = Host::new(seed, crystal(seed, 90_000)).with(upstream);
        host.run(Nanos::from_secs(1_800));
        let observed: Vec<_> =
            host.records.iter().map(|record| Observed::new(record, Some(ClockVerdict::Proven))).collect();
        let (from, to) = (host.truth[0].at, host.point().at);
        let found = periods(&observed, &[(UnixTime::MIN, Nanos::from_millis(50))], from, to, DRIFT);
        assert!(found.iter().any(|period| period.why == Why::Moved), "seed {seed}: {step}");
    }
}

/// A centre that measures upstreams of which some lie: what it calls proven is true, and where the liars leave no majority
/// nothing is.
#[test]
fn a_lying_upstream_proves_nothing() {
    for seed in 0..200 {
        let (count, lies) =
            [(2, 1), (3, 1), (5, 2), (4, 2), (1, 0), (3, 0)][usize::try_from(seed % 6).unwrap()];
        let mut world = Host::new(seed, crystal(seed, 90_000));
        for place in 0..count {
            let path = if place % 2 == 0 { Path::lan() } else { Path::wan() };
            let by = Nanos::from_millis(of(seed, 20, 40, 90_000)).times(if seed % 2 == 0 { 1 } else { -1 });
            let upstream = if place < lies { Upstream::lying(path, by) } else { Upstream::honest(path) };
            world = world.with(upstream);
        }
        let named = |place: usize| centre_clock::Upstream {
            name: place.to_string(),
            reference_id: [0; 4],
            kind: centre_clock::SourceKind::Server,
        };
        let settings = Settings { upstreams: (0..count).map(named).collect(), ..Settings::new(-20) };
        let mut clock = CentreClock::start(settings, world.machine.read());
        for round in 0..50 {
            for place in 0..count {
                let Some(asked) = world.ask(place) else { continue };
                let read = Exchange::read(&asked.request, &asked.reply, asked.sent, asked.received);
                if let Ok(exchange) = read {
                    clock.on_upstream(place, exchange, asked.now);
                }
            }
            for _ in 0..16 {
                world.machine.advance(Nanos::from_secs(1));
                clock.on_check(world.machine.read());
                let state = clock.state(world.machine.read());
                let true_error = world.point().error.abs();
                if state.verdict == ClockVerdict::Proven {
                    assert!(true_error <= state.error_bound, "seed {seed}: {true_error}");
                }
                if round > 10 && lies * 2 >= count {
                    assert_eq!(state.verdict, ClockVerdict::Unproven, "seed {seed}: {lies} of {count}");
                } else if round > 10 {
                    assert_eq!(state.verdict, ClockVerdict::Proven, "seed {seed}: {lies} of {count}");
                }
            }
        }
    }
}

/// `cargo xtask judge verdicts`: 10,000 seeds, 1,000,000 polls.
#[test]
#[ignore = "takes minutes; `cargo xtask judge verdicts` runs it"]
fn judge_verdicts() {
    let threads: Vec<_> = [0..5_000, 5_000..10_000]
        .into_iter()
        .map(|seeds| std::thread::spawn(move || never_wrong(seeds, 130, false)))
        .collect();
    let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let exchanges: usize = results.iter().map(|(exchanges, _)| exchanges).sum();
    assert!(exchanges >= 1_000_000, "{exchanges} exchanges");
    for (exchanges, decided) in results {
        println!(
            "{exchanges} exchanges, 0 verdicts wrong, 0 bounds violated, {decided} of a thousand decided"
        );
    }
}
