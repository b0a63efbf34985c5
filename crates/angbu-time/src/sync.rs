//! Steady and in sync: what one exchange after another shows of a clock.

use angbu_units::{Nanos, Ppb, UnixTime};

use crate::exchange::Exchange;

/// What counts as steady and as in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Ta: the rate of change of the offset that is no longer steady.
    pub ta: Ppb,
    /// Tb: the one-way delay that is no longer steady.
    pub tb: Nanos,
    /// How far the clock may be off, as the customer settled it.
    pub tolerance: Nanos,
}

impl Policy {
    /// Ta 500 ppm, the fastest that the kernel's discipline slews a clock (RFC 5905, figure 27: MAXFREQ);
    /// Tb 100 ms.
    pub const fn with_tolerance(tolerance: Nanos) -> Self {
        Self { ta: Ppb::new(500_000), tb: Nanos::from_millis(100), tolerance }
    }
}

/// What an exchange showed, together with the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// How fast the offset changed since the exchange before; none for the first after a start or a tamper alarm.
    pub rate: Option<Ppb>,
    /// |rate| < Ta and delay < Tb.
    pub steady: bool,
    /// Steady, and |offset| + bound ≤ tolerance.
    pub in_sync: bool,
}

impl Judgement {
    /// Nothing is shown yet.
    pub const NONE: Self = Self { rate: None, steady: false, in_sync: false };
}

/// The memory that a judgement needs: the exchange before.
#[derive(Debug, Clone, Default)]
pub struct Sync {
    before: Option<(UnixTime, Nanos)>,
}

impl Sync {
    /// Nothing is shown: after a start, after a tamper alarm, or with another server.
    pub const fn new() -> Self {
        Self { before: None }
    }

    /// Judges the next exchange. A rate needs two, so that the first is neither steady nor in sync.
    pub fn judge(&mut self, exchange: &Exchange, policy: &Policy) -> Judgement {
        let (at, offset) = (exchange.at(), exchange.offset());
        let before = self.before.replace((at, offset));
        let rate = before.map(|(then, was)| Ppb::of(offset - was, at - then));
        let steady = rate.is_some_and(|rate| rate.abs() < policy.ta) && exchange.delay() < policy.tb;
        let in_sync = steady && offset.abs() + exchange.bound() <= policy.tolerance;
        Judgement { rate, steady, in_sync }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Source;
    use crate::packet::Leap;
    use angbu_units::NtpShort;

    const SECOND: i64 = 1_000_000_000;

    /// An exchange `at` seconds, with this offset and one-way delay and no dispersion to speak of.
    fn exchange(at: i64, offset: i64, delay: i64) -> Exchange {
        let source = Source {
            leap: Leap::None,
            stratum: 1,
            precision: -30,
            root_delay: NtpShort::from_bits(0),
            root_dispersion: NtpShort::from_bits(0),
            reference_id: *b"GPS\0",
        };
        let t3 = at * SECOND;
        let [t1, t4] = [t3 - offset - delay, t3 - offset + delay];
        Exchange::new([t1, t3, t3, t4].map(UnixTime::from_nanos), source).unwrap()
    }

    fn policy() -> Policy {
        Policy { ta: Ppb::new(1_000), tb: Nanos::new(10_000), tolerance: Nanos::new(100_000) }
    }

    #[track_caller]
    fn check(exchanges: &[(i64, i64, i64)], rate: Option<i64>, steady: bool, in_sync: bool) {
        let mut sync = Sync::new();
        let mut last = Judgement::NONE;
        for (at, offset, delay) in exchanges {
            last = sync.judge(&exchange(*at, *offset, *delay), &policy());
        }
        assert_eq!(last, Judgement { rate: rate.map(Ppb::new), steady, in_sync });
    }

    #[test]
    fn steady_and_in_sync_exactly() {
        // Nothing is shown by the first.
        check(&[(0, 0, 0)], None, false, false);
        check(&[(0, 0, 0), (10, 0, 0)], Some(0), true, true);
        // The rate at Ta is not steady, below it is, in both directions.
        check(&[(0, 0, 0), (10, 10_000, 0)], Some(1_000), false, false);
        check(&[(0, 0, 0), (10, 9_990, 0)], Some(999), true, true);
        check(&[(0, 10_000, 0), (10, 0, 0)], Some(-1_000), false, false);
        // The delay at Tb is not steady, below it is.
        check(&[(0, 0, 0), (10, 0, 10_000)], Some(0), false, false);
        check(&[(0, 0, 0), (10, 0, 9_999)], Some(0), true, true);
        // A steady clock that is off is not in sync; the bound counts: delay, rounding, precision, PHI.
        check(&[(0, 100_001, 0), (10, 100_001, 0)], Some(0), true, false);
        check(&[(0, 99_000, 0), (10, 99_000, 2_000)], Some(0), true, false);
        check(&[(0, 99_000, 0), (10, 99_000, 500)], Some(0), true, true);
        // The server's clock went back: nothing about a rate is shown.
        check(&[(10, 0, 0), (0, 0, 0)], Some(i64::MAX), false, false);
    }
}
