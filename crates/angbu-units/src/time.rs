//! Instants and lengths of time, in nanoseconds.

use std::fmt;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

/// Why a text or a number is not an instant or a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is not an RFC 3339 date and time with an offset.
    #[error("'{0}' is not an RFC 3339 time; write it like 2026-10-01T00:00:00Z")]
    NotRfc3339(String),
    /// The text is not a whole number and a unit.
    #[error(
        "'{0}' is no length of time; write a whole number and a unit, like 50 ms (ns, us, ms, s, min, h)"
    )]
    NotALength(String),
    /// The instant lies outside what 64 bits of nanoseconds hold (years 1677 to 2262).
    #[error("the time lies outside the years 1677 to 2262")]
    OutOfRange,
}

/// A signed length of time in nanoseconds, ±292 years.
///
/// Sums saturate: a length at the end of the range stands for "longer than can be said",
/// which every comparison with a bound then refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(i64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest length that can be said.
    pub const MAX: Self = Self(i64::MAX);

    /// A length of `n` nanoseconds.
    pub const fn new(n: i64) -> Self {
        Self(n)
    }

    /// A length of `n` microseconds, saturating.
    pub const fn from_micros(n: i64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// A length of `n` milliseconds, saturating.
    pub const fn from_millis(n: i64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }

    /// A length of `n` seconds, saturating.
    pub const fn from_secs(n: i64) -> Self {
        Self(n.saturating_mul(1_000_000_000))
    }

    /// The number of nanoseconds.
    pub const fn count(self) -> i64 {
        self.0
    }

    /// The length without its sign, saturating.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// Half of it, towards zero.
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    /// The same length as a [`std::time::Duration`]; a negative length is zero.
    pub fn to_duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// A [`std::time::Duration`] as a length, saturating.
    pub fn from_duration(duration: std::time::Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// In seconds, for display and plotting only.
    #[expect(clippy::cast_precision_loss, reason = "a picture needs no more than 53 bits")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This length taken `n` times, saturating.
    pub const fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl FromStr for Nanos {
    type Err = TimeError;

    /// Reads a whole number and a unit (`ns us µs ms s min h`), from 1 ns to 1 day: how people write lengths of time in
    /// configurations.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let refused = || TimeError::NotALength(text.chars().take(64).collect());
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
        let (number, unit) = trimmed.split_at(digits);
        let unit = match unit.trim() {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(refused()),
        };
        let nanos = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit));
        let in_range = nanos.filter(|nanos| (1..=24 * 3_600_000_000_000).contains(nanos));
        in_range.map(Self).ok_or_else(refused)
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Nanos {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Display for Nanos {
    /// In the largest unit that keeps three digits before the point: `1.250 ms`, `-3.000 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let n = self.0.unsigned_abs();
        match n {
            0..1_000 => write!(f, "{sign}{n} ns"),
            1_000..1_000_000 => write!(f, "{sign}{}.{:03} µs", n / 1_000, n % 1_000),
            1_000_000..1_000_000_000 => {
                write!(f, "{sign}{}.{:03} ms", n / 1_000_000, n / 1_000 % 1_000)
            }
            _ => write!(f, "{sign}{}.{:03} s", n / 1_000_000_000, n / 1_000_000 % 1_000),
        }
    }
}

/// An instant: nanoseconds since 1970-01-01T00:00:00Z as POSIX counts them (leap seconds are not counted),
/// years 1677 to 2262. Sums saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The first instant that can be said.
    pub const MIN: Self = Self(i64::MIN);
    /// The last instant that can be said.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `n` nanoseconds after the epoch.
    pub const fn from_nanos(n: i64) -> Self {
        Self(n)
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, at least 0: what a ULID holds.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000_000)).unwrap_or(0)
    }

    /// Reads an RFC 3339 time, with any offset.
    ///
    /// # Errors
    /// [`TimeError::NotRfc3339`] for other text, [`TimeError::OutOfRange`] beyond the years 1677 to 2262.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let time: jiff::Timestamp =
            text.parse().map_err(|_| TimeError::NotRfc3339(text.chars().take(64).collect()))?;
        i64::try_from(time.as_nanosecond()).map(Self).map_err(|_| TimeError::OutOfRange)
    }

    /// The instant in UTC as RFC 3339 with `digits` (0 to 9) decimals, truncated.
    pub fn rfc3339(self, digits: u8) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .map(|time| format!("{time:.precision$}", precision = usize::from(digits.min(9))))
            .unwrap_or_else(|_| format!("@{}", self.0))
    }
}

impl Add<Nanos> for UnixTime {
    type Output = Self;
    fn add(self, length: Nanos) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl Sub<Nanos> for UnixTime {
    type Output = Self;
    fn sub(self, length: Nanos) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
}

impl Sub for UnixTime {
    type Output = Nanos;
    fn sub(self, other: Self) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339(9))
    }
}

/// A reading of a clock that nobody can set, in nanoseconds since some instant of its own.
/// Readings of one process can be subtracted; nothing else about them means anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(i64);

impl Monotonic {
    /// A reading of `n` nanoseconds.
    pub const fn from_nanos(n: i64) -> Self {
        Self(n)
    }

    /// The nanoseconds since this clock's own start.
    pub const fn nanos(self) -> i64 {
        self.0
    }
}

impl Add<Nanos> for Monotonic {
    type Output = Self;
    fn add(self, length: Nanos) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl Sub for Monotonic {
    type Output = Nanos;
    fn sub(self, other: Self) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

/// A rate in parts per billion: nanoseconds of change in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ppb(i64);

impl Ppb {
    /// A rate of `n` parts per billion.
    pub const fn new(n: i64) -> Self {
        Self(n)
    }

    /// The number of parts per billion.
    pub const fn count(self) -> i64 {
        self.0
    }

    /// The rate without its sign, saturating.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// How much `change` is over `time`, saturating; over no or negative time it is the largest rate.
    pub fn of(change: Nanos, time: Nanos) -> Self {
        if time.0 <= 0 {
            return Self(i64::MAX);
        }
        let rate = i128::from(change.0) * 1_000_000_000 / i128::from(time.0);
        Self(i64::try_from(rate).unwrap_or(if rate < 0 { i64::MIN } else { i64::MAX }))
    }

    /// What this rate adds up to over `time`, rounded away from zero and saturating.
    pub fn over(self, time: Nanos) -> Nanos {
        let product = i128::from(self.0) * i128::from(time.0);
        let whole = product / 1_000_000_000;
        let rest = product % 1_000_000_000;
        let rounded = whole + rest.signum();
        Nanos(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_read_well() {
        for (nanos, text) in [
            (0, "0 ns"),
            (-999, "-999 ns"),
            (1_250, "1.250 µs"),
            (50_000_000, "50.000 ms"),
            (-3_000_000_000, "-3.000 s"),
        ] {
            assert_eq!(Nanos::new(nanos).to_string(), text);
        }
    }

    #[test]
    fn lengths_have_units() {
        for (text, nanos) in [
            ("50 ms", Some(50_000_000)),
            ("2s", Some(2_000_000_000)),
            (" 15 min ", Some(900_000_000_000)),
            ("24 h", Some(86_400_000_000_000)),
            ("0 s", None),
            ("-1 s", None),
            ("25 h", None),
            ("99999999999999999999 s", None),
            ("1.5 s", None),
            ("s", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Nanos>().ok().map(Nanos::count), nanos, "{text}");
        }
    }

    #[test]
    fn rates_round_away_from_zero_and_saturate() {
        assert_eq!(Ppb::new(100_000).over(Nanos::from_secs(2)), Nanos::from_micros(200));
        assert_eq!(Ppb::new(1).over(Nanos::new(1)), Nanos::new(1));
        assert_eq!(Ppb::of(Nanos::new(5), Nanos::ZERO), Ppb::new(i64::MAX));
        assert_eq!(Ppb::of(Nanos::from_micros(-50), Nanos::from_secs(1)), Ppb::new(-50_000));
    }

    #[test]
    fn text_that_is_no_time_is_refused() {
        for text in ["", "yesterday", "2026-10-01", "2026-10-01T00:00:00", "9999-01-01T00:00:00Z"] {
            assert!(UnixTime::parse_rfc3339(text).is_err(), "{text}");
        }
        let time = UnixTime::parse_rfc3339("2026-10-01T09:00:00+09:00").unwrap();
        assert_eq!(time.rfc3339(0), "2026-10-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn instants_survive_their_text(n in -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            let time = UnixTime::from_nanos(n);
            prop_assert_eq!(UnixTime::parse_rfc3339(&time.to_string()).unwrap(), time);
        }
    }
}
