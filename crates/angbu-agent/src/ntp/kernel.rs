//! What the kernel knows of its own clock, read and never set.

#![allow(unsafe_code, reason = "adjtimex has no safe wrapper that only reads")]

use std::io;

use angbu_time::centre_clock::Kernel;
use angbu_time::packet::Leap;
use angbu_units::{Clock, Nanos};

/// How often the clock is read to learn its precision.
const READINGS: usize = 256;

/// Reads what whoever disciplines the kernel's clock last told it (`adjtimex(2)` with no mode set, which
/// needs no privilege and changes nothing). The kernel itself withdraws "synchronised" once its largest
/// error, which grows by 500 ppm, passes 16 s.
///
/// # Errors
/// Whatever the kernel says; some sandboxes forbid the call.
pub fn state() -> io::Result<Kernel> {
    // SAFETY: a plain C structure of integers, for which all zeros is a valid value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole, initialised structure that outlives the call; `modes` is zero, which
    // means that nothing is set.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Kernel {
        synchronised: state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
        estimated_error: Nanos::from_micros(timex.esterror),
        max_error: Nanos::from_micros(timex.maxerror),
        leap: match timex.status & (libc::STA_INS | libc::STA_DEL) {
            libc::STA_INS => Leap::Insert,
            libc::STA_DEL => Leap::Delete,
            _ => Leap::None,
        },
    })
}

/// The clock's precision as NTP states it (RFC 5905, section 7.3): log2 of the seconds between two readings
/// that differ, or that one reading takes, rounded up.
pub fn precision(clock: &dyn Clock) -> i8 {
    let mut last = clock.read().wall;
    let mut least = Nanos::from_secs(1);
    for _ in 0..READINGS {
        let now = clock.read().wall;
        let step = now - last;
        if step > Nanos::ZERO {
            least = least.min(step);
        }
        last = now;
    }
    let mut precision = 0;
    // 2^-30 s is less than a nanosecond: nothing here reads more finely.
    while precision > -30 && 1_000_000_000_i64 >> (1 - precision) >= least.count() {
        precision -= 1;
    }
    precision
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use angbu_units::{Monotonic, Reading, UnixTime};
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn the_kernels_state_can_be_read() {
        let state = state().unwrap();
        assert!(state.max_error >= Nanos::ZERO && state.estimated_error >= Nanos::ZERO);
        assert!(!state.synchronised || state.max_error <= Nanos::from_secs(17), "{state:?}");
    }

    #[test]
    fn precision_is_the_clocks_step_rounded_up() {
        /// Takes `.1` nanoseconds to read.
        struct Steps(AtomicI64, i64);
        impl Clock for Steps {
            fn read(&self) -> Reading {
                let now = self.0.fetch_add(self.1, Ordering::Relaxed);
                Reading { wall: UnixTime::from_nanos(now), monotonic: Monotonic::from_nanos(now) }
            }
        }
        for (nanos, expected) in [
            (1_000_000_000, 0),
            (500_000_001, 0),
            (500_000_000, -1),
            (1_000, -19),
            (954, -19),
            (953, -20),
            (0, 0),
        ] {
            assert_eq!(precision(&Steps(AtomicI64::new(0), nanos)), expected, "{nanos}");
        }
        assert!((-30..-10).contains(&precision(&SystemClock)));
    }
}
