//! This machine's clocks, behind the port through which every core receives time.

use std::sync::atomic::{AtomicI64, Ordering};

use angbu_units::{Clock, Monotonic, Nanos, Reading, UnixTime};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// How far apart the two readings of the monotonic clock around one of the wall clock may lie before it is
/// tried again: longer means that this thread was interrupted in between.
const CLOSE_ENOUGH: Nanos = Nanos::from_micros(20);

/// How often it is tried again.
const TRIES: u8 = 4;

/// The kernel's clocks: `CLOCK_REALTIME`, and `CLOCK_BOOTTIME`, which nobody can set and which goes on while
/// the machine is suspended. For waiting and stamping; what watches a clock for tampering needs [`UnslewedClock`].
///
/// Both come through the C library's `clock_gettime`, so that whatever a tester puts in front of that
/// function is seen as what it imitates: a wall clock that was moved.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        closest(|| nanos(ClockId::CLOCK_BOOTTIME), || nanos(ClockId::CLOCK_REALTIME)).1
    }
}

/// The kernel's clocks, the monotonic one being the bare oscillator: `CLOCK_MONOTONIC_RAW`, and what the machine
/// was suspended since this value was made.
///
/// A time service that slews the wall clock slews `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` with it, so that beside
/// those a slewed wall clock looks untouched. Readings of different values must not be mixed.
#[derive(Debug)]
pub struct UnslewedClock {
    /// How far `CLOCK_BOOTTIME` was ahead of `CLOCK_MONOTONIC` when that was last seen to grow: the time that
    /// was spent suspended, in nanoseconds.
    suspended: AtomicI64,
}

impl UnslewedClock {
    /// A clock of its own.
    pub fn new() -> Self {
        let (least, most) = suspended_between();
        Self { suspended: AtomicI64::new(least.midpoint(most)) }
    }
}

impl Default for UnslewedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl UnslewedClock {
    /// Both clocks, how far apart they were read at most, and how long the machine was suspended since its start.
    pub fn read_closely(&self) -> (Reading, Nanos, Nanos) {
        // Only what is certain counts, or the monotonic clock would jump by what passes between two readings.
        let (least, _) = suspended_between();
        let suspended = Nanos::new(self.suspended.fetch_max(least, Ordering::Relaxed).max(least));
        let (apart, raw) = closest(|| nanos(ClockId::CLOCK_MONOTONIC_RAW), || nanos(ClockId::CLOCK_REALTIME));
        let reading = Reading { monotonic: raw.monotonic + suspended, ..raw };
        (reading, apart.half() + Nanos::new(1), suspended)
    }
}

impl Clock for UnslewedClock {
    fn read(&self) -> Reading {
        self.read_closely().0
    }
}

/// The least and the most that the machine can have been suspended since it was started.
fn suspended_between() -> (i64, i64) {
    let before = nanos(ClockId::CLOCK_MONOTONIC);
    let with_suspension = nanos(ClockId::CLOCK_BOOTTIME);
    let after = nanos(ClockId::CLOCK_MONOTONIC);
    (with_suspension.saturating_sub(after), with_suspension.saturating_sub(before))
}

/// Reads a wall clock between two readings of a monotonic one, as close together as a few tries bring them, and says how far
/// apart those were.
fn closest(monotonic: impl Fn() -> i64, wall: impl Fn() -> i64) -> (Nanos, Reading) {
    let mut best: Option<(Nanos, Reading)> = None;
    for _ in 0..TRIES {
        let before = Monotonic::from_nanos(monotonic());
        let wall = UnixTime::from_nanos(wall());
        let apart = Monotonic::from_nanos(monotonic()) - before;
        if best.as_ref().is_none_or(|(least, _)| apart < *least) {
            best = Some((apart, Reading { wall, monotonic: before + apart.half() }));
        }
        if apart <= CLOSE_ENOUGH {
            break;
        }
    }
    best.expect("broken invariant: the clocks are read at least once")
}

fn nanos(id: ClockId) -> i64 {
    from_timespec(clock_gettime(id).expect("broken invariant: Linux has this clock"))
}

/// A kernel's timestamp as nanoseconds, saturating.
pub(crate) fn from_timespec(time: TimeSpec) -> i64 {
    time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clocks_never_go_back_and_all_run_alike() {
        for clock in [&SystemClock as &dyn Clock, &UnslewedClock::new()] {
            let first = clock.read();
            let mut last = first;
            for _ in 0..1_000 {
                let next = clock.read();
                assert!(next.monotonic >= last.monotonic);
                last = next;
            }
            let apart = (last.wall - first.wall) - (last.monotonic - first.monotonic);
            assert!(apart.abs() < Nanos::from_millis(100), "{apart}");
        }
    }
}
