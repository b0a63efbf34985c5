//! The rule for machines whose kernel says nothing: a soft clock, which shows the machine's clock would show if nobody had touched it.
//!
//! The monotonic clock, which nobody can set, carries the wall clock's last checked reading forward. When the wall clock
//! shows something else, it was set: a **step**. After a check that passed, the soft clock takes the wall clock's time, so that
//! the small corrections of an honest time service never add up to a false alarm (JP 4190181 B2, figure 10).
//!
//! That alone would let a patient hand move the clock as far as it likes, a little less than Tmax at each check. So a
//! second sum is kept, wall minus monotonic since the start, which no passed check re-bases. What it gained since the last
//! exchange with a server (which *shows* what the wall clock was) has to be explained by Tmax and by the rate at which an
//! honest clock may depart from the monotonic one. More is a **slew**.

use angbu_units::{Monotonic, Nanos, Reading, UnixTime};

use super::Limits;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The wall clock shows what it should.
    Passed,
    /// The wall clock was set.
    Stepped {
        /// What it shows more than the soft clock.
        difference: Nanos,
        /// How long ago, by the monotonic clock, it last passed.
        since: Nanos,
    },
    /// The wall clock was moved in small parts, or runs at a rate that nothing explains.
    Slewed {
        /// What it gained on the monotonic clock.
        difference: Nanos,
        /// How long ago, by the monotonic clock, an exchange last showed it.
        since: Nanos,
    },
}

/// The soft clock of one run.
#[derive(Debug, Clone)]
pub(super) struct SoftClock {
    limits: Limits,
    /// The wall clock's last checked reading: the soft clock goes on from here.
    base: Reading,
    /// The first reading: the second sum counts from here, and is never re-based.
    start: Reading,
    /// What of the second sum is explained, and since when.
    explained: (Nanos, Monotonic),
}

impl SoftClock {
    /// A soft clock that begins with this reading.
    pub(super) const fn start(limits: Limits, reading: Reading) -> Self {
        Self { limits, base: reading, start: reading, explained: (Nanos::ZERO, reading.monotonic) }
    }

    /// What the soft clock shows.
    pub(super) fn time_at(&self, monotonic: Monotonic) -> UnixTime {
        self.base.wall + (monotonic - self.base.monotonic)
    }

    /// The second sum: what the wall clock gained on the monotonic one since the start, steps and all.
    pub(super) fn gained(&self, reading: Reading) -> Nanos {
        (reading.wall - self.start.wall) - (reading.monotonic - self.start.monotonic)
    }

    /// Compares the wall clock with the soft clock, and the second sum with what explains it. After an alarm,
    /// as after a passed check, the soft clock takes the wall clock's time, so that one deed is one alarm.
    pub(super) fn check(&mut self, reading: Reading) -> Check {
        let difference = reading.wall - self.time_at(reading.monotonic);
        let since = reading.monotonic - self.base.monotonic;
        self.base = reading;
        let (explained, shown_at) = self.explained;
        if difference.abs() > self.limits.tmax + self.explained_by_pause(since) {
            // The step is told; the second sum goes on counting what is not.
            self.explained.0 = explained + difference;
            return Check::Stepped { difference, since };
        }
        let gained = self.gained(reading);
        let unexplained = gained - explained;
        let since = reading.monotonic - shown_at;
        if unexplained.abs() > self.limits.tmax + self.limits.slew.over(since) {
            self.explained = (gained, reading.monotonic);
            return Check::Slewed { difference: unexplained, since };
        }
        Check::Passed
    }

    /// An exchange has just shown what the wall clock is: whatever the second sum gained until now is known from it.
    pub(super) fn shown(&mut self, reading: Reading) {
        self.explained = (self.gained(reading), reading.monotonic);
    }

    fn explained_by_pause(&self, since: Nanos) -> Nanos {
        if since > self.limits.watch { self.limits.slew.over(since) } else { Nanos::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_units::Ppb;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;

    fn reading(wall: i64, monotonic: i64) -> Reading {
        Reading { wall: UnixTime::from_nanos(wall), monotonic: Monotonic::from_nanos(monotonic) }
    }

    fn clock() -> SoftClock {
        SoftClock::start(Limits::default(), reading(0, 0))
    }

    #[track_caller]
    fn check(wall: i64, monotonic: i64, expected: Check) {
        assert_eq!(clock().check(reading(wall, monotonic)), expected);
    }

    #[test]
    fn a_step_is_more_than_tmax_exactly() {
        let stepped = |ms: i64, extra: i64| Check::Stepped {
            difference: Nanos::new(ms * MS + extra),
            since: Nanos::new(S),
        };
        check(S, S, Check::Passed);
        check(S + 10 * MS, S, Check::Passed);
        check(S + 10 * MS + 1, S, stepped(10, 1));
        check(S - 10 * MS, S, Check::Passed);
        check(S - 10 * MS - 1, S, stepped(-10, -1));
        check(S + 3_600 * S, S, stepped(3_600_000, 0));
    }

    #[test]
    fn one_deed_is_one_alarm() {
        let mut clock = clock();
        assert!(matches!(clock.check(reading(61 * S, S)), Check::Stepped { .. }));
        for second in 2..100 {
            assert_eq!(clock.check(reading((60 + second) * S, second * S)), Check::Passed);
        }
        // Set back, it is another.
        let back = Check::Stepped { difference: Nanos::from_secs(-60), since: Nanos::from_secs(1) };
        assert_eq!(clock.check(reading(100 * S, 100 * S)), back);
    }

    #[test]
    fn small_steps_add_up() {
        // 5 ms a second, half of Tmax: no single check sees it, the sum does within three.
        let mut clock = clock();
        let found: Vec<_> = (1..=3).map(|n| clock.check(reading(n * (S + 5 * MS), n * S))).collect();
        let slewed = Check::Slewed { difference: Nanos::from_millis(15), since: Nanos::from_secs(3) };
        assert_eq!(found, [Check::Passed, Check::Passed, slewed]);
        assert_eq!(clock.gained(reading(4 * (S + 5 * MS), 4 * S)), Nanos::from_millis(20), "never re-based");
    }

    #[test]
    fn a_pause_allows_what_a_slew_explains() {
        // 60 s at 400 ppm are 24 ms: more than Tmax, and honest.
        check(60 * S + 24 * MS, 60 * S, Check::Passed);
        check(
            60 * S + 41 * MS,
            60 * S,
            Check::Stepped { difference: Nanos::from_millis(41), since: Nanos::from_secs(60) },
        );
    }

    #[test]
    fn an_exchange_explains_the_sum() {
        // 400 ppm for ten days, with an exchange every 64 s: honest, and silent.
        let mut clock = clock();
        let at = |second: i64| reading(second * S + second * 400_000, second * S);
        for second in 1..=14_000 {
            assert_eq!(clock.check(at(second)), Check::Passed);
            if second % 64 == 0 {
                clock.shown(at(second));
            }
        }
    }

    proptest! {
        /// No honest clock raises an alarm: any rate up to 500 ppm, however irregular the checks and exchanges.
        #[test]
        fn honest_clocks_are_silent(steps in prop::collection::vec((1i64..30 * S, -500_000i64..500_000, any::<bool>()), 1..200)) {
            let mut clock = clock();
            let (mut wall, mut monotonic) = (0, 0);
            for (length, ppb, exchange) in steps {
                monotonic += length;
                wall += length + Ppb::new(ppb).over(Nanos::new(length)).count();
                prop_assert_eq!(clock.check(reading(wall, monotonic)), Check::Passed);
                if exchange {
                    clock.shown(reading(wall, monotonic));
                }
            }
        }

        /// Whatever was done to the clock in secret, between two checks or over many, is at most Tmax and the allowed slew.
        #[test]
        fn what_stays_silent_is_bounded(steps in prop::collection::vec(-20 * MS..20 * MS, 1..100)) {
            let mut clock = clock();
            let (mut wall, mut alarms) = (0, 0);
            for (second, step) in (1i64..).zip(steps) {
                wall += S + step;
                if clock.check(reading(wall, second * S)) != Check::Passed {
                    alarms += 1;
                }
                if alarms == 0 {
                    let allowed = Nanos::from_millis(10) + Ppb::new(500_000).over(Nanos::from_secs(second));
                    prop_assert!(clock.gained(reading(wall, second * S)).abs() <= allowed);
                }
            }
        }
    }
}
