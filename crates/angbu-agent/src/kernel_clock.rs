//! Linux's clock behind the port: `adjtimex(2)`.
//!
//! A slew is the kernel's phase-locked loop with its frequency held: it works off a share of what is left each second,
//! to the nanosecond, and goes on by itself if this process ends, which a changed frequency would not.

#![allow(unsafe_code, reason = "adjtimex has no safe wrapper that takes every mode")]

use std::io;
use std::sync::{Mutex, PoisonError};

use angbu_time::kernel_clock::{
    KernelClock, KernelError, KernelState, MAX_FREQUENCY, MAX_SLEW, MAX_TICK_FREQUENCY, Status,
};
use angbu_time::packet::Leap;
use angbu_units::{Nanos, Ppb};

/// The length of a tick that changes nothing, µs (`USER_HZ` is 100 on every architecture that we build for).
const TICK: i64 = 10_000;

/// What one microsecond of a tick makes of the frequency.
const PPB_A_TICK: i64 = 100_000;

/// Asks what is left of an `adjtime(3)`, and changes nothing (`ADJ_OFFSET_SS_READ`).
const ADJTIME_LEFT: u32 = 0xa001;

/// Sets what is left of an `adjtime(3)` (`ADJ_OFFSET_SINGLESHOT`).
const ADJTIME: u32 = 0x8001;

/// The largest time constant that the kernel takes (`MAXTC`).
const MAX_CONSTANT: u8 = 10;

/// This machine's kernel clock. Any number of values share the one clock; its calls are serialised in one value.
#[derive(Debug, Default)]
pub struct SystemKernelClock(Mutex<()>);

impl SystemKernelClock {
    /// The clock of the machine that this runs on.
    pub const fn new() -> Self {
        Self(Mutex::new(()))
    }

    /// Reads the kernel's flags, lets them be changed, and sets them with whatever else `change` asks for.
    fn change(&self, change: impl FnOnce(&mut libc::timex)) -> Result<(), KernelError> {
        let _one_at_a_time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, _) = call(nothing())?;
        let mut timex = nothing();
        // What the kernel alone sets is ignored by it.
        timex.status = before.status;
        change(&mut timex);
        call(timex).map(drop)
    }
}

impl KernelClock for SystemKernelClock {
    fn state(&self) -> Result<KernelState, KernelError> {
        let adjtime =
            call(libc::timex { modes: ADJTIME_LEFT, ..nothing() }).map_or(0, |(timex, _)| timex.offset);
        let (timex, state) = call(nothing())?;
        let nano = timex.status & libc::STA_NANO != 0;
        let flag = |flag| timex.status & flag != 0;
        let ppb = i128::from(timex.freq) * 1_000 / (1 << 16);
        let ticks = (timex.tick - TICK).saturating_mul(PPB_A_TICK);
        Ok(KernelState {
            synchronised: state != libc::TIME_ERROR && !flag(libc::STA_UNSYNC),
            frequency: Ppb::new(i64::try_from(ppb).unwrap_or(0).saturating_add(ticks)),
            offset: if nano { Nanos::new(timex.offset) } else { Nanos::from_micros(timex.offset) },
            adjtime: Nanos::from_micros(adjtime),
            status: Status {
                pll: flag(libc::STA_PLL),
                nano,
                frequency_held: flag(libc::STA_FREQHOLD),
                pps: flag(libc::STA_PPSSIGNAL),
            },
            estimated_error: Nanos::from_micros(timex.esterror),
            max_error: Nanos::from_micros(timex.maxerror),
            leap: match timex.status & (libc::STA_INS | libc::STA_DEL) {
                libc::STA_INS => Leap::Insert,
                libc::STA_DEL => Leap::Delete,
                _ => Leap::None,
            },
            tai_offset: timex.tai,
        })
    }

    fn set_frequency(&self, frequency: Ppb) -> Result<(), KernelError> {
        let (tick, freq) = tick_and_frequency(frequency);
        self.change(|timex| {
            timex.modes = libc::ADJ_FREQUENCY | libc::ADJ_TICK;
            (timex.tick, timex.freq) = (tick, freq);
        })
    }

    fn slew(&self, offset: Nanos, at_most: Ppb) -> Result<(), KernelError> {
        let most = MAX_SLEW.count();
        let offset = offset.count().clamp(-most, most);
        self.change(|timex| {
            timex.modes = libc::ADJ_STATUS | libc::ADJ_NANO | libc::ADJ_TIMECONST | libc::ADJ_OFFSET;
            timex.status |= libc::STA_PLL | libc::STA_FREQHOLD;
            timex.status &= !(libc::STA_FLL | libc::STA_PPSTIME | libc::STA_PPSFREQ);
            timex.constant = i64::from(constant(offset, at_most));
            timex.offset = offset;
        })?;
        call(libc::timex { modes: ADJTIME, ..nothing() }).map(drop)
    }

    fn step(&self, offset: Nanos) -> Result<(), KernelError> {
        self.change(|timex| {
            timex.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
            timex.time.tv_sec = offset.count().div_euclid(1_000_000_000);
            // With ADJ_NANO the field holds nanoseconds, from zero up.
            timex.time.tv_usec = offset.count().rem_euclid(1_000_000_000);
        })?;
        self.slew(Nanos::ZERO, Ppb::new(0))
    }

    fn set_leap(&self, leap: Leap) -> Result<(), KernelError> {
        self.change(|timex| {
            timex.modes = libc::ADJ_STATUS;
            timex.status &= !(libc::STA_INS | libc::STA_DEL);
            timex.status |= match leap {
                Leap::Insert => libc::STA_INS,
                Leap::Delete => libc::STA_DEL,
                Leap::None | Leap::Unknown => 0,
            };
        })
    }

    fn declare(
        &self,
        estimated_error: Nanos,
        max_error: Nanos,
        synchronised: bool,
    ) -> Result<(), KernelError> {
        let micros = |length: Nanos| length.count().max(0) / 1_000 + 1;
        self.change(|timex| {
            timex.modes = libc::ADJ_STATUS | libc::ADJ_ESTERROR | libc::ADJ_MAXERROR;
            (timex.esterror, timex.maxerror) = (micros(estimated_error), micros(max_error));
            timex.status &= !libc::STA_UNSYNC;
            timex.status |= if synchronised { 0 } else { libc::STA_UNSYNC };
        })
    }
}

/// A frequency as ticks and the rest in 2^-16 ppm; ticks only where the rest alone does not reach.
fn tick_and_frequency(frequency: Ppb) -> (i64, i64) {
    let most = MAX_TICK_FREQUENCY.count();
    let ppb = frequency.count().clamp(-most, most);
    let ticks = if ppb.abs() <= MAX_FREQUENCY.count() {
        0
    } else {
        (ppb + ppb.signum() * PPB_A_TICK / 2) / PPB_A_TICK
    };
    (TICK + ticks, (ppb - ticks * PPB_A_TICK) * (1 << 16) / 1_000)
}

/// The time constant with which the first second of a slew is no faster than `at_most`: 1 / 2^(2 + constant) of the offset.
fn constant(offset: i64, at_most: Ppb) -> u8 {
    let slow_enough = |constant: &u8| offset.abs() >> (2 + constant) <= at_most.count().max(0);
    (0..=MAX_CONSTANT).find(slow_enough).unwrap_or(MAX_CONSTANT)
}

fn nothing() -> libc::timex {
    // SAFETY: a plain C structure of integers, for which all zeros is a valid value.
    unsafe { std::mem::zeroed() }
}

/// The call; what the kernel filled in, and the state that it returned.
fn call(mut timex: libc::timex) -> Result<(libc::timex, i32), KernelError> {
    // SAFETY: the pointer is to a whole, initialised structure that outlives the call.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state >= 0 {
        return Ok((timex, state));
    }
    Err(match io::Error::last_os_error().raw_os_error() {
        Some(libc::EPERM) => KernelError::NotPermitted,
        Some(libc::ENOSYS) | None => KernelError::Unsupported,
        Some(other) => KernelError::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_without_a_privilege() {
        let state = SystemKernelClock::new().state().unwrap();
        assert!(state.max_error >= Nanos::ZERO);
        assert!(state.frequency.abs() <= MAX_TICK_FREQUENCY, "{state:?}");
    }

    #[test]
    fn frequencies_are_ticks_and_a_rest() {
        for (ppb, ticks, freq) in [
            (0, 0, 0),
            (1_000, 0, 65_536),
            (-500_000, 0, -32_768_000),
            (500_001, 5, 65),
            (-1_234_567, -12, -2_265_382),
            (900_000_000, 1_000, 0),
        ] {
            let (tick, rest) = tick_and_frequency(Ppb::new(ppb));
            assert_eq!((tick - TICK, rest), (ticks, freq), "{ppb}");
            assert!(rest.abs() <= 32_768_000, "{ppb}");
        }
    }

    #[test]
    fn slews_begin_no_faster_than_they_may() {
        for (offset, at_most, expected) in
            [(0, 0, 0), (1_000_000, 500_000, 0), (-40_000_000, 500_000, 5), (500_000_000, 1_000, 10)]
        {
            assert_eq!(constant(offset, Ppb::new(at_most)), expected, "{offset}");
        }
    }
}
