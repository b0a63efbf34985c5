//! What the kernel knows of its own clock, read and never set.

#![allow(unsafe_code, reason = "adjtimex has no safe wrapper that only reads")]

use std::io;

use angbu_units::Nanos;

/// Reads what whoever disciplines the kernel's clock last told it (`adjtimex(2)` with no mode set, which
/// needs no privilege and changes nothing).
///
/// # Errors
/// Whatever the kernel says; some sandboxes forbid the call.
pub fn read() -> io::Result<KernelClock> {
    // SAFETY: a plain C structure of integers, for which all zeros is a valid value; zero modes mean "read only".
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole, initialised structure that outlives the call.
    let result = unsafe { libc::adjtimex(&raw mut timex) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let set = |flag| timex.status & flag != 0;
    Ok(KernelClock {
        synchronised: result != libc::TIME_ERROR && !set(libc::STA_UNSYNC),
        estimated_error: Nanos::from_micros(timex.esterror),
        maximum_error: Nanos::from_micros(timex.maxerror),
        leap: match (set(libc::STA_INS), set(libc::STA_DEL)) {
            (true, _) => LeapPending::Insert,
            (false, true) => LeapPending::Delete,
            (false, false) => LeapPending::None,
        },
    })
}

/// The state of the kernel's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelClock {
    /// Whether something disciplines it and has said so lately: the kernel withdraws this by itself when
    /// its largest error passes 16 s.
    pub synchronised: bool,
    /// How far it is thought to be wrong.
    pub estimated_error: Nanos,
    /// How far it can be wrong; grows by 500 ppm until whoever disciplines it states it anew.
    pub maximum_error: Nanos,
    /// The leap second that is announced for the end of the day.
    pub leap: LeapPending,
}

/// A leap second that is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeapPending {
    /// None.
    None,
    /// The day's last minute has 61 seconds.
    Insert,
    /// The day's last minute has 59 seconds.
    Delete,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_state_can_be_read() {
        let state = read().unwrap();
        assert!(state.maximum_error >= Nanos::ZERO && state.estimated_error >= Nanos::ZERO);
        // The kernel itself withdraws "synchronised" at 16 s.
        assert!(!state.synchronised || state.maximum_error <= Nanos::from_secs(17), "{state:?}");
    }
}
