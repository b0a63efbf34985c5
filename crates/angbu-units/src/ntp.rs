//! NTP's formats of instants and lengths of time (RFC 5905, section 6).

use crate::{Nanos, UnixTime};

/// Seconds from 1900-01-01 to 1970-01-01 (RFC 5905, figure 4).
const UNIX_EPOCH_IN_NTP: i128 = 2_208_988_800;
const NANOS: i128 = 1_000_000_000;
const ERA: i128 = 1 << 32;

/// The 64-bit timestamp format (RFC 5905, section 6): 32 bits of seconds since the start of an era of
/// 2^32 s that the timestamp does not name, and 32 bits of fraction (about 0.23 ns).
/// Zero means "unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtpTimestamp(u64);

impl NtpTimestamp {
    /// Unknown or unsynchronised (RFC 5905, section 6).
    pub const UNKNOWN: Self = Self(0);

    /// The timestamp with these 64 bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its 64 bits, seconds in the upper half.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The timestamp of an instant; its era is dropped, its fraction rounded down.
    /// The one instant in each era that would read as [`Self::UNKNOWN`] becomes the next fraction.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the era is dropped on purpose"
    )]
    pub fn from_unix(time: UnixTime) -> Self {
        let nanos = i128::from(time.nanos()) + UNIX_EPOCH_IN_NTP * NANOS;
        let seconds = nanos.div_euclid(NANOS).rem_euclid(ERA);
        let fraction = (nanos.rem_euclid(NANOS) << 32) / NANOS;
        let bits = ((seconds << 32) | fraction) as u64;
        Self(if bits == 0 { 1 } else { bits })
    }

    /// The instant of this timestamp in the era that brings it nearest to `near`, rounded to the nearest
    /// nanosecond (RFC 5905, section 6: eras; era 1 begins on 2036-02-07).
    pub fn to_unix(self, near: UnixTime) -> UnixTime {
        let here = i128::from(self.0);
        let pivot = ((i128::from(near.nanos()) + UNIX_EPOCH_IN_NTP * NANOS) << 32) / NANOS;
        let era_length = ERA << 32;
        let distance = (here - pivot).rem_euclid(era_length);
        let distance = if distance >= era_length / 2 { distance - era_length } else { distance };
        let whole = pivot + distance;
        let nanos = (whole * NANOS + (1 << 31)) >> 32;
        let unix = nanos - UNIX_EPOCH_IN_NTP * NANOS;
        UnixTime::from_nanos(i64::try_from(unix).unwrap_or(if unix < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// The 32-bit short format (RFC 5905, section 6): 16 bits of seconds and 16 of fraction (about 15 µs),
/// for root delay and root dispersion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpShort(u32);

impl NtpShort {
    /// The value with these 32 bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Its 32 bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// A length rounded up, so that a bound stays a bound; below zero is zero, above 18 h the largest.
    pub fn from_nanos_rounded_up(length: Nanos) -> Self {
        let nanos = i128::from(length.count().max(0));
        let bits = ((nanos << 16) + NANOS - 1) / NANOS;
        Self(u32::try_from(bits).unwrap_or(u32::MAX))
    }

    /// The length, rounded up to the next nanosecond.
    pub fn to_nanos(self) -> Nanos {
        let nanos = (i128::from(self.0) * NANOS + 0xffff) >> 16;
        Nanos::new(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants() {
        // RFC 5905, figure 4: 1970-01-01 is second 2,208,988,800 of era 0.
        let epoch = NtpTimestamp::from_unix(UnixTime::from_nanos(0));
        assert_eq!(epoch.bits(), 2_208_988_800 << 32);
        // RFC 5905, figure 4: era 1 begins at 2036-02-07T06:28:16Z.
        let era1 = UnixTime::parse_rfc3339("2036-02-07T06:28:16Z").unwrap();
        assert_eq!(NtpTimestamp::from_unix(era1).bits(), 1);
        assert_eq!(NtpTimestamp::from_bits(1 << 32).to_unix(era1), era1 + Nanos::from_secs(1));
        let before = era1 - Nanos::from_secs(1);
        assert_eq!(NtpTimestamp::from_unix(before).to_unix(era1 + Nanos::from_secs(60)), before);
    }

    proptest! {
        #[test]
        fn timestamps_round_trip(n in -2_000_000_000_000_000_000i64..9_000_000_000_000_000_000, skew in -1_000_000_000_000_000i64..1_000_000_000_000_000) {
            let time = UnixTime::from_nanos(n);
            let back = NtpTimestamp::from_unix(time).to_unix(UnixTime::from_nanos(n + skew));
            prop_assert!((back - time).abs() <= Nanos::new(1));
        }

        #[test]
        fn short_lengths_never_shrink(n in 0i64..60_000_000_000_000) {
            let length = Nanos::new(n);
            let back = NtpShort::from_nanos_rounded_up(length).to_nanos();
            prop_assert!(back >= length && back - length < Nanos::from_micros(16));
        }
    }
}
