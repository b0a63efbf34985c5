//! How far a machine's time service lets the clock swing, as one server's exchanges have shown it, and how fast the service
//! usually runs the clock.
//!
//! A service that asks once a minute over a local network keeps a clock within fractions of a millisecond, one that asks every
//! half an hour over the internet within tens. What a service never did for hours it does not suddenly do by itself. What the
//! clock was led away by counts as the service's habit only once it has come back: a hand does not come back.

use angbu_units::{Monotonic, Nanos, Ppb};

/// How long the service must have been seen until its habit says anything.
const SEEN: Nanos = Nanos::from_secs(6 * 3_600);

/// A habit is that of the present half of a day and of the one before.
const HALF: Nanos = Nanos::from_secs(12 * 3_600);

/// How many times its habit a service may be wrong by itself.
const TIMES: i64 = 3;

/// And by this: what two clocks' readings and a good crystal are worth between two exchanges.
const LEAST: Nanos = Nanos::from_micros(200);

/// What was seen in half a day.
#[derive(Debug, Clone, Copy)]
struct Half {
    began: Monotonic,
    /// The wall clock minus the monotonic one, and the time spent suspended, when it began.
    ahead: Nanos,
    suspended: Nanos,
    /// The smallest bound of its exchanges.
    bound: Nanos,
    /// How far off the clock was, beyond what made exchanges worse than the best.
    far: Nanos,
}

/// What an exchange showed of the clock, and the machine at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// By the monotonic clock.
    pub(super) at: Monotonic,
    /// The wall clock minus the monotonic one.
    pub(super) ahead: Nanos,
    /// How much of the monotonic clock was spent suspended.
    pub(super) suspended: Nanos,
    /// How far off the clock was shown to be, without its sign.
    pub(super) off: Nanos,
    /// How far that can be wrong.
    pub(super) bound: Nanos,
}

/// A service's habit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habit {
    first: Monotonic,
    halves: [Half; 2],
    /// How far the clock is led away just now, which is not known to be the service's work.
    led: Nanos,
}

impl Habit {
    /// Nothing is known but this.
    pub(super) const fn start(seen: &Seen) -> Self {
        let half = Half {
            began: seen.at,
            ahead: seen.ahead,
            suspended: seen.suspended,
            bound: seen.bound,
            far: seen.off,
        };
        Self { first: seen.at, halves: [half; 2], led: Nanos::ZERO }
    }

    /// One more exchange. `led`: whether the clock was led to where it is, by whom is not known yet. Returns whether it is where the
    /// service usually keeps it.
    pub(super) fn see(&mut self, seen: &Seen, led: bool) -> bool {
        if seen.at - self.halves[0].began >= HALF {
            self.halves = [Self::start(seen).halves[0], self.halves[0]];
            self.halves[0].far = Nanos::ZERO;
        }
        let [now, before] = &mut self.halves;
        now.bound = now.bound.min(seen.bound);
        // What an exchange is worse than the best one can be all that makes it look far off.
        let off = (seen.off - (seen.bound - now.bound.min(before.bound))).max(Nanos::ZERO);
        let calm = off <= self.far();
        if led && !calm {
            self.led = self.led.max(off);
        } else {
            let far = off.max(std::mem::take(&mut self.led));
            self.halves[0].far = self.halves[0].far.max(far);
        }
        calm || !led
    }

    /// How far from right the service never let the clock come by itself, once that can be said.
    pub(super) fn limit(&self, now: Monotonic) -> Option<Nanos> {
        (now - self.first >= SEEN).then(|| self.far().times(TIMES) + LEAST)
    }

    /// How fast the service ran the clock against the bare oscillator on average, until `at`, when the clock was ahead of it by
    /// this.
    pub(super) fn rate(&self, at: Monotonic, ahead: Nanos, suspended: Nanos) -> Option<Ppb> {
        let [_, since] = self.halves;
        let awake = (at - since.began) - (suspended - since.suspended);
        if awake < SEEN {
            return None;
        }
        let ppb = i128::from((ahead - since.ahead).count()) * 1_000_000_000 / i128::from(awake.count());
        i64::try_from(ppb).ok().map(Ppb::new)
    }

    fn far(&self) -> Nanos {
        let [now, before] = self.halves;
        now.far.max(before.far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn seen(minute: i64, off_micros: i64, bound_micros: i64) -> Seen {
        Seen {
            at: Monotonic::from_nanos(minute * MINUTE),
            ahead: Nanos::from_micros(minute * 600),
            suspended: Nanos::ZERO,
            off: Nanos::from_micros(off_micros),
            bound: Nanos::from_micros(bound_micros),
        }
    }

    fn habit(minutes: i64) -> Habit {
        let mut habit = Habit::start(&seen(0, 100, 150));
        for minute in 1..=minutes {
            habit.see(&seen(minute, 100, 150), false);
        }
        habit
    }

    fn limit(habit: &Habit, minute: i64) -> Option<i64> {
        habit.limit(Monotonic::from_nanos(minute * MINUTE)).map(|limit| limit.count() / 1_000)
    }

    #[test]
    fn a_habit_takes_hours_to_be_one() {
        assert_eq!(limit(&habit(359), 359), None);
        assert_eq!(limit(&habit(360), 360), Some(500));
    }

    #[test]
    fn a_bad_exchange_is_no_habit() {
        let mut habit = habit(400);
        habit.see(&seen(401, 9_000, 9_100), false);
        assert_eq!(limit(&habit, 401), Some(500));
        habit.see(&seen(402, 400, 150), false);
        assert_eq!(limit(&habit, 402), Some(1_400));
    }

    #[test]
    fn what_leads_away_is_a_habit_only_once_it_came_back() {
        let mut habit = habit(400);
        for minute in 401..410 {
            habit.see(&seen(minute, (minute - 400) * 300, 150), true);
            assert_eq!(limit(&habit, minute), Some(500));
        }
        habit.see(&seen(410, 90, 150), true);
        assert_eq!(limit(&habit, 410), Some(2_700 * 3 + 200));
    }

    #[test]
    fn a_habit_of_the_day_before_yesterday_is_none() {
        let mut habit = habit(400);
        habit.see(&seen(401, 4_000, 150), false);
        for minute in 402..3_000 {
            habit.see(&seen(minute, 100, 150), false);
        }
        assert_eq!(limit(&habit, 3_000), Some(500));
    }

    #[test]
    fn the_usual_rate_is_the_mean_of_hours() {
        let at = |minute: i64| (Monotonic::from_nanos(minute * MINUTE), Nanos::from_micros(minute * 600));
        let (early, late) = (at(300), at(400));
        assert_eq!(habit(300).rate(early.0, early.1, Nanos::ZERO), None);
        assert_eq!(habit(400).rate(late.0, late.1, Nanos::ZERO), Some(Ppb::new(10_000)));
    }
}
