//! Hands on a clock, and honest days without: each deed is noticed in time and told apart, and nothing else is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a simulated world is made of real numbers, and none of its figures leaves 53 bits"
)]

use angbu_testkit::simulation::{Host, Leaping, Machine, Oscillator, Path, Upstream};
use angbu_time::kernel_clock::KernelClock as _;
use angbu_time::packet::Leap;
use angbu_time::record::{AlarmKind, Fact, PauseReason};
use angbu_time::watch::Generation;
use angbu_units::{Nanos, Ppb, UnixTime};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const SECOND: Nanos = Nanos::from_secs(1);

/// A time service of the machine's own.
#[derive(Debug, Clone)]
enum Service {
    /// None: the clock runs as it will.
    None,
    /// As chrony: slews by the frequency, in one go, and steps only at its first updates.
    Frequency { base: f64, back_at: Option<Nanos>, next: Nanos, updates: u32, poll: Nanos },
    /// As systemd-timesyncd: the kernel's loop, and a step past 0.4 s.
    Loop { integral: f64, next: Nanos, poll: Nanos },
}

impl Service {
    fn chrony() -> Self {
        Self::Frequency {
            base: 0.0,
            back_at: None,
            next: SECOND.times(7),
            updates: 0,
            poll: SECOND.times(64),
        }
    }

    fn timesyncd() -> Self {
        Self::Loop { integral: 0.0, next: SECOND.times(5), poll: SECOND.times(32) }
    }

    /// What it does now; `error` is the clock's, as it measures it.
    fn act(&mut self, machine: &Machine, elapsed: Nanos, error: Nanos) {
        let declare = || machine.declare(Nanos::from_millis(1), Nanos::from_millis(20), true).unwrap();
        match self {
            Self::None => {}
            Self::Frequency { base, back_at, next, updates, poll } => {
                if back_at.is_some_and(|at| elapsed >= at) {
                    machine.set_frequency(Ppb::new(*base as i64)).unwrap();
                    *back_at = None;
                }
                if elapsed < *next {
                    return;
                }
                *next = elapsed + *poll;
                *updates += 1;
                declare();
                if *updates <= 3 && error.abs() > SECOND {
                    return machine.step(Nanos::ZERO - error).unwrap();
                }
                let error = error.count() as f64;
                // What a suspension made wrong says nothing of the crystal.
                if error.abs() < 10e6 {
                    *base = (*base - error / poll.as_secs_f64() * 0.1).clamp(-200_000.0, 200_000.0);
                }
                // Worked off in 16 s where that is slow enough, else as fast as may be.
                let rate = (-error / 16.0).clamp(-83_000_000.0, 83_000_000.0);
                let lasts = Nanos::new((error.abs() / rate.abs().max(1.0) * 1e9) as i64).max(SECOND);
                machine.set_frequency(Ppb::new((*base + rate) as i64)).unwrap();
                *back_at = Some(elapsed + lasts);
            }
            Self::Loop { integral, next, poll } => {
                if elapsed < *next {
                    return;
                }
                *next = elapsed + *poll;
                declare();
                if error.abs() > Nanos::from_millis(400) {
                    *poll = SECOND.times(32);
                    return machine.step(Nanos::ZERO - error).unwrap();
                }
                *poll = poll.times(2).min(SECOND.times(2_048));
                *integral = (*integral - error.count() as f64 / (4.0 * poll.as_secs_f64()))
                    .clamp(-100_000.0, 100_000.0);
                machine.set_frequency(Ppb::new(*integral as i64)).unwrap();
                machine.slew(Nanos::ZERO - error, Ppb::new(100_000_000)).unwrap();
            }
        }
    }
}

/// A host with a time service, and a watch that is as regular as a busy machine lets it be.
struct Site {
    host: Host,
    service: Service,
    /// How far the service's measurements are off.
    noise: Nanos,
    /// What a queue makes one in fifty of them worse by, on average.
    spike: Nanos,
    chance: StdRng,
    next_poll: Nanos,
    poll: Nanos,
}

impl Site {
    fn new(seed: u64, service: Service, path: Path) -> Self {
        Self::at(seed, service, path, UnixTime::parse_rfc3339("2026-11-21T22:05:21Z").unwrap())
    }

    fn at(seed: u64, service: Service, path: Path, epoch: UnixTime) -> Self {
        let host = Host::at(seed, Oscillator::ordinary(seed), epoch).with(Upstream::honest(path));
        let chance = StdRng::seed_from_u64(seed);
        let mut host = host;
        host.generation = Some(Generation { disruption: 1, restored: Some(1) });
        Self {
            host,
            service,
            noise: Nanos::from_millis(1),
            spike: Nanos::ZERO,
            chance,
            next_poll: Nanos::ZERO,
            poll: SECOND.times(64),
        }
    }

    fn part(&mut self, length: Nanos) {
        self.host.machine.advance(length);
    }

    /// A second: the service acts some time in it, and the agent looks at its end, a little late.
    fn second(&mut self) {
        let into = Nanos::new(self.chance.random_range(0..1_000_000_000));
        self.part(into);
        let error = self.host.point().error;
        let noise = Nanos::new(self.chance.random_range(-self.noise.count()..=self.noise.count()));
        let queue = if self.chance.random_ratio(1, 50) { -self.chance.random::<f64>().ln() } else { 0.0 };
        let noise = noise + Nanos::new((queue * self.spike.count() as f64) as i64);
        let elapsed = self.host.machine.elapsed();
        self.service.act(&self.host.machine, elapsed, error + noise);
        let late = Nanos::new(self.chance.random_range(0..3_000_000));
        self.part(SECOND - into + late);
        self.host.look();
        if self.host.machine.elapsed() >= self.next_poll {
            self.host.ask_all();
            self.next_poll = self.host.machine.elapsed() + self.poll;
        }
    }

    fn run(&mut self, length: Nanos) -> &mut Self {
        let until = self.host.machine.elapsed() + length;
        while self.host.machine.elapsed() < until {
            self.second();
        }
        self
    }

    /// Asks before the next look.
    fn ask(&mut self) -> &mut Self {
        self.next_poll = Nanos::ZERO;
        self
    }

    fn alarms(&self) -> Vec<(AlarmKind, Nanos)> {
        let alarms = self.host.records.iter().filter_map(|record| match record.fact {
            Fact::Alarm(alarm) => Some((alarm.kind, alarm.difference)),
            _ => None,
        });
        alarms.collect()
    }

    fn pauses(&self) -> Vec<(PauseReason, Nanos)> {
        let pauses = self.host.records.iter().filter_map(|record| match record.fact {
            Fact::Pause(pause) => Some((pause.reason, pause.length)),
            _ => None,
        });
        pauses.collect()
    }

    /// A day of an honest machine, with whatever a day may bring.
    fn honest_day(&mut self) {
        let hour = SECOND.times(3_600);
        for _ in 0..24 {
            let minutes = self.chance.random_range(5..55);
            self.run(SECOND.times(minutes * 60));
            match self.chance.random_range(0..12) {
                // A busy host, or a debugger.
                0..3 => {
                    let held = Nanos::from_millis(self.chance.random_range(500..9_000));
                    self.part(held);
                    self.host.look();
                }
                // Moved to another host while it runs, which no VMClock has to tell.
                3 => self.host.machine.stand_still(Nanos::from_millis(self.chance.random_range(5..350))),
                // Held for longer, and the hypervisor says so.
                4 => {
                    self.host.machine.stand_still(Nanos::from_millis(self.chance.random_range(350..4_000)));
                    if let Some(generation) = &mut self.host.generation {
                        generation.disruption += 1;
                    }
                }
                // Suspended.
                5 => {
                    let length = SECOND.times(self.chance.random_range(60..8 * 3_600));
                    let wrong_by = Nanos::from_millis(self.chance.random_range(-900..900));
                    self.host.machine.suspend(length, wrong_by);
                }
                _ => {}
            }
            self.run(hour - SECOND.times(minutes * 60));
        }
    }
}

/// How long after it began a lead of 50 ppm is noticed, and how wide the exchange was that showed it.
fn noticed_after(service: Service, path: Path, noise: Nanos, poll: i64) -> (i64, Nanos) {
    let mut site = Site::new(3, service, path);
    site.noise = noise;
    site.poll = SECOND.times(poll);
    site.run(SECOND.times(26 * 3_600));
    assert_eq!(site.alarms(), [], "before anything was done");
    let usual = match std::mem::replace(&mut site.service, Service::None) {
        Service::None => 0.0,
        Service::Frequency { base, .. } => base,
        Service::Loop { integral, .. } => integral,
    };
    let began = site.host.machine.elapsed();
    site.host.machine.slew(Nanos::ZERO, Ppb::new(0)).unwrap();
    site.host.machine.set_frequency(Ppb::new(usual as i64 + 50_000)).unwrap();
    while site.alarms().is_empty() {
        site.run(SECOND);
        assert!(site.host.machine.elapsed() - began < SECOND.times(3_600), "never noticed");
    }
    let bound = site.host.records.iter().rev().find_map(|record| match &record.fact {
        Fact::Exchange(measured) => Some(measured.exchange.bound()),
        _ => None,
    });
    ((site.host.machine.elapsed() - began).count() / 1_000_000_000, bound.unwrap())
}

#[test]
fn a_service_that_is_known_and_leads_the_clock_away_is_noticed_at_the_next_exchanges() {
    // Poll, what the service's own measurements are off, and within which time 50 ppm are noticed: at the next exchange where 3.2 ms,
    // which is what a minute makes of them, are beyond thrice the habit and the bound.
    for (path, noise, poll, most) in [
        (Path::lan(), 50, 16, 17),
        (Path::lan(), 50, 64, 65),
        (Path::lan(), 200, 64, 65),
        (Path::lan(), 1_000, 64, 130),
        (Path::wan(), 200, 64, 330),
        (Path::wan(), 1_000, 64, 400),
    ] {
        let (seconds, bound) = noticed_after(Service::chrony(), path, Nanos::from_micros(noise), poll);
        assert!(seconds <= most, "{seconds} s with {noise} µs, asked each {poll} s, bound {bound}");
    }
}

fn honest_days(seeds: std::ops::Range<u64>, days: u32) -> u64 {
    let mut simulated = 0;
    for seed in seeds {
        let service = [Service::chrony(), Service::timesyncd(), Service::None][(seed % 3) as usize].clone();
        let path = if seed % 2 == 0 { Path::lan() } else { Path::wan() };
        // Every fourth host lives through a leap second, at the end of 2026.
        let epoch = if seed % 4 == 0 { "2026-12-31T12:00:00Z" } else { "2026-11-21T22:05:21Z" };
        let mut site = Site::at(seed, service.clone(), path, UnixTime::parse_rfc3339(epoch).unwrap());
        if seed % 2 == 1 {
            (site.noise, site.spike) = (Nanos::from_millis(3), Nanos::from_millis(5));
        }
        // A room whose air conditioning comes and goes.
        if seed % 5 == 1 {
            let swing = Oscillator {
                swing: Ppb::new(5_000),
                period: SECOND.times(7_200),
                ..Oscillator::ordinary(seed)
            };
            site.host.machine.replace_oscillator(swing);
        }
        if let Service::Frequency { poll, .. } = &mut site.service {
            *poll = SECOND.times(if seed % 4 < 2 { 64 } else { 1_024 });
        }
        if seed % 4 == 0 {
            let at = UnixTime::parse_rfc3339("2027-01-01T00:00:00Z").unwrap();
            site.host.leaping = Some(Leaping { at, leap: Leap::Insert });
            site.host.machine.set_leap(Leap::Insert).unwrap();
        }
        for _ in 0..days {
            site.honest_day();
            simulated += 1;
            let elapsed = site.host.machine.elapsed();
            let path = if seed % 2 == 0 { "lan" } else { "wan" };
            assert_eq!(site.alarms(), [], "seed {seed}, {path}, {service:?}, after {elapsed}");
        }
    }
    simulated
}

#[test]
fn honest_days_are_silent() {
    assert_eq!(honest_days(0..12, 1), 12);
}

#[test]
#[ignore = "takes minutes: cargo xtask judge tampering"]
fn judge_tampering() {
    let days = honest_days(0..250, 4);
    assert_eq!(days, 1_000);
}

/// A site whose machine has run for an hour, and been asked for it.
fn running(service: Service) -> Site {
    let mut site = Site::new(1, service, Path::lan());
    site.noise = Nanos::from_micros(100);
    site.run(SECOND.times(3_700));
    assert_eq!((site.alarms(), site.pauses()), (vec![], vec![]));
    site
}

/// What was done, and the alarms of the time after it.
#[track_caller]
fn check(service: Service, deed: impl FnOnce(&mut Site), expected: &[(AlarmKind, i64)]) {
    let mut site = running(service);
    deed(&mut site);
    let found = site.alarms();
    let kinds: Vec<_> = found.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, expected.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), "{found:?}");
    for ((_, difference), (_, micros)) in found.iter().zip(expected) {
        let off = (*difference - Nanos::from_micros(*micros)).abs();
        assert!(off <= Nanos::from_micros(60), "{difference} instead of {micros} µs");
    }
}

fn services() -> [Service; 3] {
    [Service::chrony(), Service::timesyncd(), Service::None]
}

#[test]
fn a_clock_that_is_set_by_hand_is_noticed_at_the_next_look() {
    for service in services() {
        for micros in [-3_600_000_000, -20_000, 1_000, 50_000_000] {
            check(
                service.clone(),
                |site| {
                    site.host.machine.move_by_hand(Nanos::from_micros(micros));
                    site.second();
                },
                &[(AlarmKind::Step, micros)],
            );
        }
    }
}

#[test]
fn a_patient_hand_is_noticed_within_a_second_and_beside_a_busy_service_in_five() {
    // 50 µs more in each second, which the kernel knows nothing of.
    for (service, seconds) in services().into_iter().zip([5, 5, 1]) {
        let mut site = running(service.clone());
        for _ in 0..seconds {
            site.host.machine.move_by_hand(Nanos::from_micros(50));
            site.second();
        }
        assert!(matches!(site.alarms()[..], [(AlarmKind::Slew, _), ..]), "{service:?}");
    }
}

#[test]
fn another_program_is_noticed_at_once_where_none_may_adjust_the_clock() {
    check(
        Service::None,
        |site| {
            site.host.machine.set_frequency(Ppb::new(50_000)).unwrap();
            site.second();
        },
        &[(AlarmKind::ByAnother, 50)],
    );
    check(
        Service::None,
        |site| {
            site.host.machine.slew(Nanos::from_millis(20), Ppb::new(500_000)).unwrap();
            site.second();
        },
        &[(AlarmKind::ByAnother, 150)],
    );
}

#[test]
fn a_service_that_leads_the_clock_away_is_noticed_at_an_exchange() {
    // It says that it disciplines the clock, and does so by 50 ppm too much: the 50 ms that a service is allowed take it 1,000 s.
    let mut site = running(Service::chrony());
    site.service = Service::None;
    let before = site.host.machine.state().unwrap().frequency;
    site.host.machine.set_frequency(Ppb::new(before.count() + 50_000)).unwrap();
    site.run(SECOND.times(900));
    assert_eq!(site.alarms(), []);
    site.run(SECOND.times(200));
    let found = site.alarms();
    assert!(
        matches!(found[..], [(AlarmKind::ByAnother, difference)] if difference > Nanos::from_millis(50)),
        "{found:?}"
    );
}

#[test]
fn a_pause_is_told_and_what_was_done_in_it_is_an_alarm() {
    let held = SECOND.times(3) + Nanos::from_millis(200);
    for service in services() {
        let mut site = running(service.clone());
        site.part(held);
        site.host.look();
        assert_eq!(site.alarms(), []);
        assert!(matches!(site.pauses()[..], [(PauseReason::Stopped, length)] if length >= SECOND.times(3)));
        check(
            service.clone(),
            |site| {
                site.part(held.half());
                site.host.machine.move_by_hand(Nanos::from_secs(-5));
                site.part(held.half());
                site.host.look();
            },
            &[(AlarmKind::MovedWhileStopped, -5_000_000)],
        );
        let mut site = running(service.clone());
        site.host.machine.suspend(SECOND.times(3_600), Nanos::from_millis(300));
        site.second();
        assert_eq!(site.alarms(), []);
        assert!(
            matches!(site.pauses()[..], [(PauseReason::Suspended, length)] if length > SECOND.times(3_600))
        );
        check(
            service,
            |site| {
                site.host.machine.suspend(SECOND.times(3_600), Nanos::ZERO);
                site.host.machine.move_by_hand(Nanos::from_secs(7));
                site.part(SECOND);
                site.host.look();
            },
            &[(AlarmKind::MovedWhileStopped, 7_000_000)],
        );
    }
}

#[test]
fn what_a_suspension_is_forgiven_is_not_held_against_the_look_after_it() {
    for service in services() {
        check(
            service,
            |site| {
                // Some kernels' clocks come back a little apart.
                site.host.machine.suspend(SECOND.times(600), Nanos::ZERO);
                site.host.machine.move_by_hand(Nanos::from_micros(300));
                site.run(SECOND.times(30));
            },
            &[],
        );
    }
}

#[test]
fn a_machine_that_stood_still_is_noticed_at_the_next_exchange() {
    let mut site = running(Service::None);
    site.host.machine.stand_still(SECOND.times(90));
    site.part(SECOND);
    site.host.look();
    assert_eq!((site.alarms(), site.pauses()), (vec![], vec![]), "from inside it cannot be seen");
    site.ask().second();
    assert_eq!(site.alarms(), []);
    let off = |length: Nanos| (length - SECOND.times(90)).abs();
    assert!(matches!(site.pauses()[..], [(PauseReason::Migrated, length)] if off(length) < SECOND));
}

#[test]
fn a_machine_that_was_put_back_to_a_snapshot_is_an_alarm_and_a_moved_one_is_not() {
    check(
        Service::None,
        |site| {
            site.host.machine.stand_still(SECOND.times(86_400));
            site.host.generation = Some(Generation { disruption: 2, restored: Some(2) });
            site.second();
        },
        &[(AlarmKind::Restored, 0)],
    );
    check(
        Service::None,
        |site| {
            site.host.machine.stand_still(SECOND);
            site.host.generation = Some(Generation { disruption: 2, restored: Some(1) });
            site.second();
            assert!(matches!(site.pauses()[..], [(PauseReason::Migrated, _), ..]));
        },
        &[],
    );
}

#[test]
fn a_run_tells_what_happened_while_none_was() {
    const BOOT: [u8; 16] = [1; 16];
    for (boot, by, expected) in [
        (BOOT, 0, None),
        (BOOT, 30_000, Some(30_000)),
        (BOOT, -3_600_000, Some(-3_600_000)),
        ([2; 16], 0, None),
        ([2; 16], 1_500, None),
        ([2; 16], 40_000, Some(40_000)),
        ([2; 16], -40_000, Some(-40_000)),
    ] {
        let mut site = running(Service::None);
        let memory = site.host.agent.memory(BOOT);
        let memory = angbu_time::watch::Memory::decode(&memory.encode()).unwrap();
        site.part(SECOND.times(20));
        site.host.machine.move_by_hand(Nanos::from_millis(by));
        let found = site.host.restart(&memory, boot);
        let at_once = boot == BOOT || by < -20_000;
        assert_eq!(found > 0, at_once && expected.is_some(), "{by} ms");
        site.ask().second();
        let alarms = site.alarms();
        match expected {
            None => assert_eq!(alarms, []),
            Some(millis) => {
                let [(AlarmKind::MovedWhileDown, difference)] = alarms[..] else { panic!("{alarms:?}") };
                // A clock that was set back over a restart of the machine was set back by this at least.
                let most = if boot == BOOT { 10 } else { 21_000 };
                assert!(
                    (difference - Nanos::from_millis(millis)).abs() < Nanos::from_millis(most),
                    "{difference}"
                );
            }
        }
    }
}

#[test]
fn what_was_done_can_be_undone() {
    let mut site = running(Service::None);
    site.host.machine.move_by_hand(Nanos::from_secs(60));
    site.host.machine.set_frequency(Ppb::new(80_000)).unwrap();
    site.second();
    let undo = site.host.agent.take_undo().unwrap();
    let before = site.host.point().error;
    assert!((undo.step + before).abs() < Nanos::from_millis(120), "{undo:?}");
    site.host.machine.step(undo.step).unwrap();
    site.host.corrected();
    site.second();
    assert_eq!(site.host.agent.take_undo(), None, "what the agent itself does is no one else's deed");
    assert_eq!(site.alarms().len(), 1);
}
