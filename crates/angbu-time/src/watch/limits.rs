//! What a clock is allowed before an alarm.

use angbu_units::{Nanos, Ppb};

use super::Keeper;

/// What a clock is allowed before an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tmax: how far soft clock and wall clock may lie apart.
    pub tmax: Nanos,
    /// How fast the wall clock may depart from the monotonic one between two exchanges: the crystal's error and the
    /// host's own time service together.
    pub slew: Ppb,
    /// How long after a check the next one counts as watched. After a longer pause (the process was stopped, the machine
    /// overloaded) the comparison with the soft clock allows what `slew` explains over the pause as well.
    pub watch: Nanos,
    /// What the wall clock may gain beyond what the kernel's state explains: what reading two clocks, one after the other, is
    /// worth on a busy machine. A slew of 50 ppm is more within a second.
    pub unexplained: Nanos,
    /// What else it may gain, by rate: what the kernel's own arithmetic and a rough clock source are worth.
    pub wander: Ppb,
    /// How often the clock is looked at.
    pub interval: Nanos,
    /// Who may adjust the clock.
    pub keeper: Keeper,
    /// How long after the machine's start a time service may take until the kernel says that it disciplines the clock.
    pub settled: Nanos,
}

impl Limits {
    /// Tmax as given; 500 ppm, which is the fastest that the kernel's discipline slews (RFC 5905, figure 27: MAXFREQ)
    /// and well above the error of any crystal, of which 100 ppm are rare; 10 s. Beside what the kernel explains, 40 µs and
    /// 5 ppm, looked at each second; 10 minutes for a time service to begin.
    pub const fn with_tmax(tmax: Nanos) -> Self {
        Self {
            tmax,
            slew: Ppb::new(500_000),
            watch: Nanos::from_secs(10),
            unexplained: Nanos::from_micros(40),
            wander: Ppb::new(5_000),
            interval: Nanos::from_secs(1),
            keeper: Keeper::Auto,
            settled: Nanos::from_secs(600),
        }
    }
}

impl Default for Limits {
    /// Tmax 10 ms: twenty times what 500 ppm move in a second between two checks.
    fn default() -> Self {
        Self::with_tmax(Nanos::from_millis(10))
    }
}
