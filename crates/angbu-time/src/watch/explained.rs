//! What the kernel's own state explains of a wall clock's gain on the bare oscillator.
//!
//! The kernel lengthens each of its seconds by the frequency (tick and `freq` together) and by a share of the phase
//! correction that is left, and takes that share off the correction when the second begins (`kernel/time/ntp.c`,
//! `second_overflow`).

use angbu_units::{Nanos, Ppb};

use crate::kernel_clock::{ADJTIME_SHARE, KernelState};

/// What rounding in the kernel's units may change of a frequency that nobody touched: `freq` counts in 2^-16 ppm.
const ROUNDING: Ppb = Ppb::new(1);

/// A phase correction smaller than this is none.
const NOTHING: Nanos = Nanos::new(1_000);

/// Of a longer time it does not matter what a correction that began in it may have been.
const LONG: i64 = 8_000_000_000;

/// A stretch of gains, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    least: Nanos,
    most: Nanos,
}

impl Range {
    /// With a gain that may also have been, or not.
    pub(super) fn or(self, gain: Nanos) -> Self {
        Self { least: self.least + gain.min(Nanos::ZERO), most: self.most + gain.max(Nanos::ZERO) }
    }

    /// How far a gain lies beyond what is explained, with its sign; zero within.
    pub(super) fn beyond(self, gained: Nanos) -> Nanos {
        if gained > self.most {
            gained - self.most
        } else if gained < self.least {
            gained - self.least
        } else {
            Nanos::ZERO
        }
    }
}

/// What two looks' states explain of the gain over the time between them that the machine was awake.
pub(super) fn range(was: &KernelState, is: &KernelState, awake: Nanos) -> Range {
    let rates = [was.frequency.over(awake), is.frequency.over(awake)];
    let (slow, fast) = (rates[0].min(rates[1]), rates[0].max(rates[1]));
    let seconds = awake.count().clamp(0, LONG) / 1_000_000_000 + 2;
    let begun = (0..seconds).fold(is.offset.abs(), |most, _| Nanos::new(most.count().saturating_mul(4) / 3));
    let (back, forward) = phase([was.offset, is.offset], was.offset.abs().half(), was.offset.abs() + begun);
    let (set_back, set_forward) =
        phase([was.adjtime, is.adjtime], share(was.adjtime).abs(), ADJTIME_SHARE.times(seconds));
    Range { least: slow + back + set_back, most: fast + forward + set_forward }
}

/// Whether somebody changed the state: another frequency, a phase correction or an `adjtime` that was not there.
pub(super) fn changed(was: &KernelState, is: &KernelState) -> bool {
    let frequency = Ppb::new(was.frequency.count().saturating_sub(is.frequency.count())).abs() > ROUNDING;
    frequency || !worked_off(was.offset, is.offset) || !worked_off(was.adjtime, is.adjtime)
}

/// Whether a phase correction is only what is left of the one before.
fn worked_off(was: Nanos, is: Nanos) -> bool {
    is.abs() <= NOTHING || (is.abs() <= was.abs() + NOTHING && (is < Nanos::ZERO) == (was < Nanos::ZERO))
}

/// What the second that runs may still do until it ends: at most a third of what is left of a phase correction after its share was taken
/// off, and the share of an `adjtime`.
pub(super) fn under_way(state: &KernelState) -> Nanos {
    Nanos::new(state.offset.count() / 3) + share(state.adjtime)
}

/// How much of what is left of an `adjtime` one second takes.
fn share(left: Nanos) -> Nanos {
    left.min(ADJTIME_SHARE).max(-ADJTIME_SHARE)
}

/// What a phase correction can have moved the clock by. A second's share is taken off at its beginning, so that one `share` more
/// or less may have taken effect: of a phase correction at most a quarter of what is left is worked off in a second. One that began
/// since has moved it by `most` at most, of which what is left may already be little.
fn phase([was, is]: [Nanos; 2], share: Nanos, most: Nanos) -> (Nanos, Nanos) {
    if was.abs() <= NOTHING && is.abs() <= NOTHING {
        return (Nanos::ZERO, Nanos::ZERO);
    }
    if worked_off(was, is) {
        let most = (was.abs() - is.abs()).max(Nanos::ZERO) + share;
        return if was < Nanos::ZERO { (Nanos::ZERO - most, Nanos::ZERO) } else { (Nanos::ZERO, most) };
    }
    (Nanos::ZERO - most, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_clock::Status;
    use crate::packet::Leap;

    fn state(ppb: i64, offset_micros: i64, adjtime_micros: i64) -> KernelState {
        KernelState {
            synchronised: true,
            frequency: Ppb::new(ppb),
            offset: Nanos::from_micros(offset_micros),
            adjtime: Nanos::from_micros(adjtime_micros),
            status: Status::default(),
            estimated_error: Nanos::ZERO,
            max_error: Nanos::ZERO,
            leap: Leap::None,
            tai_offset: 37,
        }
    }

    /// What is beyond the explanation of a gain within so many seconds, in microseconds.
    #[track_caller]
    fn check(was: KernelState, is: KernelState, seconds: i64, gained: i64, expected: i64) {
        let beyond = range(&was, &is, Nanos::from_secs(seconds)).beyond(Nanos::from_micros(gained));
        assert_eq!(beyond.count() / 1_000, expected);
    }

    #[test]
    fn a_frequency_explains_its_gain_and_no_more() {
        let (still, fast) = (state(0, 0, 0), state(50_000, 0, 0));
        check(still, still, 10, 0, 0);
        check(still, still, 10, 70, 70);
        check(fast, fast, 10, 500, 0);
        check(fast, fast, 10, 430, -70);
        // Changed some time in between.
        for gained in [0, 250, 500] {
            check(still, fast, 10, gained, 0);
        }
        check(still, fast, 10, 510, 10);
        check(fast, still, 10, -10, -10);
    }

    #[test]
    fn a_correction_explains_what_it_worked_off_and_a_share_more() {
        // 1,000 µs left, 750 a second later: 250, and up to half of it that was under way.
        for gained in [0, 250, 750] {
            check(state(0, 1_000, 0), state(0, 750, 0), 1, gained, 0);
        }
        check(state(0, 1_000, 0), state(0, 750, 0), 1, 800, 50);
        check(state(0, 1_000, 0), state(0, 750, 0), 1, -1, -1);
        check(state(0, -1_000, 0), state(0, -750, 0), 1, -250, 0);
        check(state(0, -1_000, 0), state(0, -750, 0), 1, 30, 30);
    }

    #[test]
    fn a_correction_that_began_since_may_be_nearly_done() {
        // 1,000 µs set right after the first look; three seconds of the kernel's have taken 58 % of it.
        check(state(0, 0, 0), state(0, 422, 0), 2, 578, 0);
        check(state(0, 5, 0), state(0, -422, 0), 2, -578, 0);
        check(state(0, 0, 0), state(0, 422, 0), 2, 5_000, 3_666);
    }

    #[test]
    fn an_adjtime_goes_by_half_a_millisecond_a_second() {
        check(state(0, 0, 3_000), state(0, 0, 2_500), 1, 500, 0);
        check(state(0, 0, 3_000), state(0, 0, 2_500), 1, 1_200, 200);
        check(state(0, 0, 200), state(0, 0, 0), 1, 200, 0);
        check(state(0, 0, 0), state(0, 0, 60_000_000), 1, 500, 0);
        check(state(0, 0, 0), state(0, 0, 60_000_000), 1, 60_000, 58_500);
        assert_eq!(share(Nanos::from_millis(-9)), -ADJTIME_SHARE);
        let after = range(&state(0, 0, 0), &state(0, 0, 0), Nanos::from_secs(1)).or(Nanos::from_micros(-300));
        assert_eq!(after.beyond(Nanos::from_micros(-300)), Nanos::ZERO);
        assert_eq!(after.beyond(Nanos::from_micros(10)), Nanos::from_micros(10));
    }

    #[test]
    fn only_what_somebody_did_is_a_change() {
        let was = state(1_000, 800, 700);
        assert!(!changed(&was, &state(1_001, 600, 200)));
        assert!(!changed(&was, &state(1_000, 0, 0)));
        for is in [state(1_010, 600, 200), state(1_000, 900, 0), state(1_000, -600, 0), state(1_000, 0, 900)]
        {
            assert!(changed(&was, &is), "{is:?}");
        }
    }
}
