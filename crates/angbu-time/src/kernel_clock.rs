//! The kernel's clock as a port: what it says of itself, and what can be done to it (`adjtimex(2)`).
//!
//! The agent implements it by the system call, the simulator by a model of the kernel. What decides about corrections
//! (discipline, `on_tamper`) knows only this.

use angbu_units::{Nanos, Ppb};

use crate::packet::Leap;

/// The fastest that the kernel's frequency goes without changing the length of a tick: `MAXFREQ`, 500 ppm
/// (RFC 5905, figure 27).
pub const MAX_FREQUENCY: Ppb = Ppb::new(500_000);

/// The fastest that the frequency goes with a changed tick: the kernel takes ticks from 9,000 to 11,000 µs.
pub const MAX_TICK_FREQUENCY: Ppb = Ppb::new(100_000_000);

/// The largest phase correction that one slew takes: the kernel clamps more (`MAXPHASE`, 0.5 s).
pub const MAX_SLEW: Nanos = Nanos::from_millis(500);

/// How much of an `adjtime(3)` one second works off: `MAX_TICKADJ`, 500 µs (`kernel/time/ntp.c`).
pub const ADJTIME_SHARE: Nanos = Nanos::from_micros(500);

/// Flags of the kernel's discipline (`STA_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Status {
    /// `STA_PLL`: phase corrections are worked off by the phase-locked loop.
    pub pll: bool,
    /// `STA_NANO`: offsets are in nanoseconds.
    pub nano: bool,
    /// `STA_FREQHOLD`: phase corrections leave the frequency alone.
    pub frequency_held: bool,
    /// `STA_PPSSIGNAL`: a pulse per second is seen.
    pub pps: bool,
}

/// What the kernel says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelState {
    /// Whether some time service says that it disciplines the clock (`STA_UNSYNC` is not set). The kernel withdraws
    /// that itself once [`Self::max_error`] passes 16 s.
    pub synchronised: bool,
    /// How fast it runs compared with its bare oscillator: tick and frequency together.
    pub frequency: Ppb,
    /// What is left of a phase correction: positive while the clock is still to be advanced.
    pub offset: Nanos,
    /// What is left of an `adjtime(3)`, of which the kernel works off [`ADJTIME_SHARE`] at most in each of its seconds.
    pub adjtime: Nanos,
    /// Its flags.
    pub status: Status,
    /// The estimated error, as a time service declared it.
    pub estimated_error: Nanos,
    /// The largest error, as a time service declared it, growing by 500 ppm.
    pub max_error: Nanos,
    /// The leap second that it will insert or delete at the end of the UTC day.
    pub leap: Leap,
    /// TAI minus UTC, whole seconds; 0 where nobody told it.
    pub tai_offset: i32,
}

/// Why the kernel did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// The process must not set the clock.
    #[error(
        "the kernel does not let this process set the clock; it needs CAP_SYS_TIME, for instance `AmbientCapabilities=CAP_SYS_TIME` in its systemd unit"
    )]
    NotPermitted,
    /// This system has no such call, or a sandbox forbids it.
    #[error("this system has no adjustable kernel clock")]
    Unsupported,
    /// Anything else, by its `errno`.
    #[error("the kernel refused to change its clock, errno {0}")]
    Other(i32),
}

/// The kernel's clock. Every call is short and never blocks; calls of several threads take effect one after the other.
pub trait KernelClock: Send + Sync {
    /// What the kernel says now. Needs no privilege and changes nothing.
    ///
    /// # Errors
    /// [`KernelError::Unsupported`] where a sandbox forbids the call.
    fn state(&self) -> Result<KernelState, KernelError>;

    /// Sets how fast the clock runs compared with its bare oscillator, at most [`MAX_TICK_FREQUENCY`] (more is clamped).
    ///
    /// # Errors
    /// [`KernelError`].
    fn set_frequency(&self, frequency: Ppb) -> Result<(), KernelError>;

    /// Moves the clock by `offset` (positive: forward) without a jump, at most [`MAX_SLEW`] (more is clamped), no faster than
    /// `at_most`. It replaces what was left of an earlier slew, an `adjtime(3)` included, works on its own even if this process ends, leaves
    /// the frequency alone, and slows down towards its end. Zero cancels.
    ///
    /// # Errors
    /// [`KernelError`].
    fn slew(&self, offset: Nanos, at_most: Ppb) -> Result<(), KernelError>;

    /// Sets the clock forward by `offset`, at once. What was left of a slew is forgotten.
    ///
    /// # Errors
    /// [`KernelError`].
    fn step(&self, offset: Nanos) -> Result<(), KernelError>;

    /// Arms the leap second at the end of the UTC day, or with [`Leap::None`] disarms it. [`Leap::Unknown`] disarms.
    ///
    /// # Errors
    /// [`KernelError`].
    fn set_leap(&self, leap: Leap) -> Result<(), KernelError>;

    /// Tells whoever asks the kernel how good its clock is.
    ///
    /// # Errors
    /// [`KernelError`].
    fn declare(
        &self,
        estimated_error: Nanos,
        max_error: Nanos,
        synchronised: bool,
    ) -> Result<(), KernelError>;
}

impl<K: KernelClock + ?Sized> KernelClock for std::sync::Arc<K> {
    fn state(&self) -> Result<KernelState, KernelError> {
        (**self).state()
    }

    fn set_frequency(&self, frequency: Ppb) -> Result<(), KernelError> {
        (**self).set_frequency(frequency)
    }

    fn slew(&self, offset: Nanos, at_most: Ppb) -> Result<(), KernelError> {
        (**self).slew(offset, at_most)
    }

    fn step(&self, offset: Nanos) -> Result<(), KernelError> {
        (**self).step(offset)
    }

    fn set_leap(&self, leap: Leap) -> Result<(), KernelError> {
        (**self).set_leap(leap)
    }

    fn declare(
        &self,
        estimated_error: Nanos,
        max_error: Nanos,
        synchronised: bool,
    ) -> Result<(), KernelError> {
        (**self).declare(estimated_error, max_error, synchronised)
    }
}
