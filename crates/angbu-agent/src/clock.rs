//! This machine's clocks, behind the port through which every core receives time.

use angbu_units::{Clock, Monotonic, Nanos, Reading, UnixTime};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// How far apart the two readings of the monotonic clock around one of the wall clock may lie before it is
/// tried again: longer means that this thread was interrupted in between.
const CLOSE_ENOUGH: Nanos = Nanos::from_micros(20);

/// How often it is tried again.
const TRIES: u8 = 4;

/// The kernel's clocks: `CLOCK_REALTIME`, and `CLOCK_BOOTTIME`, which nobody can set and which goes on while
/// the machine is suspended.
///
/// Both come through the C library's `clock_gettime`, so that whatever a tester puts in front of that
/// function is seen as what it imitates: a wall clock that was moved.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        let mut best: Option<(Nanos, Reading)> = None;
        for _ in 0..TRIES {
            let before = monotonic();
            let wall = UnixTime::from_nanos(nanos(ClockId::CLOCK_REALTIME));
            let apart = monotonic() - before;
            let reading = Reading { wall, monotonic: before + apart.half() };
            if best.as_ref().is_none_or(|(least, _)| apart < *least) {
                best = Some((apart, reading));
            }
            if apart <= CLOSE_ENOUGH {
                break;
            }
        }
        best.expect("broken invariant: the clocks are read at least once").1
    }
}

fn monotonic() -> Monotonic {
    Monotonic::from_nanos(nanos(ClockId::CLOCK_BOOTTIME))
}

fn nanos(id: ClockId) -> i64 {
    let time = clock_gettime(id).expect("broken invariant: Linux has this clock");
    from_timespec(time)
}

/// A kernel's timestamp as nanoseconds, saturating.
pub(crate) fn from_timespec(time: TimeSpec) -> i64 {
    time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back_and_both_run_alike() {
        let first = SystemClock.read();
        let mut last = first;
        for _ in 0..1_000 {
            let next = SystemClock.read();
            assert!(next.monotonic >= last.monotonic);
            last = next;
        }
        let apart = (last.wall - first.wall) - (last.monotonic - first.monotonic);
        assert!(apart.abs() < Nanos::from_millis(100), "{apart}");
    }
}
