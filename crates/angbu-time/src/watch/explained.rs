//! What the kernel's own state explains of a wall clock's gain on the bare oscillator.
//!
//! The kernel lengthens each of its seconds by the frequency (tick and `freq` together) and by a share of the phase
//! correction that is left, and takes that share off the correction when the second begins (`kernel/time/ntp.c`,
//! `second_overflow`).

use angbu_units::{Nanos, Ppb};

use crate::kernel_clock::KernelState;

/// What rounding in the kernel's units may change of a frequency that nobody touched: `freq` counts in 2^-16 ppm.
const ROUNDING: Ppb = Ppb::new(1);

/// A phase correction smaller than this is none.
const NOTHING: Nanos = Nanos::new(1_000);

/// A stretch of gains, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    least: Nanos,
    most: Nanos,
}

impl Range {
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
    let (back, forward) = phase(was.offset, is.offset);
    Range { least: slow + back, most: fast + forward }
}

/// Whether somebody changed the state: another frequency, or a phase correction that was not there.
pub(super) fn changed(was: &KernelState, is: &KernelState) -> bool {
    let frequency = Ppb::new(was.frequency.count().saturating_sub(is.frequency.count())).abs() > ROUNDING;
    frequency || !worked_off(was.offset, is.offset)
}

/// Whether a phase correction is only what is left of the one before.
fn worked_off(was: Nanos, is: Nanos) -> bool {
    is.abs() <= NOTHING || (is.abs() <= was.abs() + NOTHING && (is < Nanos::ZERO) == (was < Nanos::ZERO))
}

/// What a phase correction can have moved the clock by. At most a quarter of what is left is worked off in a second, and a
/// second's share is taken off at its beginning, so that one share more or less may have taken effect.
fn phase(was: Nanos, is: Nanos) -> (Nanos, Nanos) {
    if was.abs() <= NOTHING && is.abs() <= NOTHING {
        return (Nanos::ZERO, Nanos::ZERO);
    }
    if worked_off(was, is) {
        let most = (was.abs() - is.abs()).max(Nanos::ZERO) + was.abs().half();
        return if was < Nanos::ZERO { (Nanos::ZERO - most, Nanos::ZERO) } else { (Nanos::ZERO, most) };
    }
    let most = was.abs() + is.abs();
    (Nanos::ZERO - most, most)
}
