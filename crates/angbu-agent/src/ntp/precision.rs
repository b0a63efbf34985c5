//! How finely a clock can be read.

use angbu_units::{Clock, Nanos};

/// How often the clock is read to learn its precision.
const READINGS: usize = 256;

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
