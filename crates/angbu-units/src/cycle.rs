//! How long a one-time key is good for.

use std::fmt;
use std::str::FromStr;

use crate::Nanos;

/// The shortest cycle in seconds.
const SHORTEST: u8 = 3;
/// The longest cycle in seconds.
const LONGEST: u8 = 60;

/// Why something is no cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CycleTimeError {
    /// Not one or two of the digits 0 to 9, the first not 0.
    #[error("a cycle is a whole number of seconds, written with the digits 0 to 9 alone, as in 30")]
    NotANumber,
    /// Below 3 s or above 60 s.
    #[error("a cycle of {0} s is not offered; it lies between 3 and 60 s")]
    OutOfRange(u64),
}

/// The seconds for which a one-time key stands: 3 to 60.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CycleTime(u8);

impl CycleTime {
    /// A cycle of so many seconds.
    ///
    /// # Errors
    /// [`CycleTimeError::OutOfRange`] below 3 and above 60.
    pub fn new(seconds: u64) -> Result<Self, CycleTimeError> {
        match u8::try_from(seconds) {
            Ok(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Ok(Self(seconds)),
            _ => Err(CycleTimeError::OutOfRange(seconds)),
        }
    }

    /// In seconds.
    pub const fn seconds(self) -> u8 {
        self.0
    }

    /// As a length of time.
    pub fn length(self) -> Nanos {
        Nanos::from_secs(i64::from(self.0))
    }
}

impl FromStr for CycleTime {
    type Err = CycleTimeError;

    /// One spelling each: no sign, no space, no leading zero, no digits of other scripts.
    fn from_str(text: &str) -> Result<Self, CycleTimeError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || text.starts_with('0') {
            return Err(CycleTimeError::NotANumber);
        }
        // What does not fit is out of range all the same.
        Self::new(text.parse().unwrap_or(u64::MAX))
    }
}

impl fmt::Display for CycleTime {
    /// The seconds in digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_3_to_60_in_one_spelling() {
        for seconds in 3..=60 {
            let cycle: CycleTime = seconds.to_string().parse().unwrap();
            assert_eq!((u64::from(cycle.seconds()), cycle.to_string()), (seconds, seconds.to_string()));
        }
        for (text, why) in [
            ("", CycleTimeError::NotANumber),
            ("thirty", CycleTimeError::NotANumber),
            ("+30", CycleTimeError::NotANumber),
            ("-30", CycleTimeError::NotANumber),
            (" 30", CycleTimeError::NotANumber),
            ("30\0", CycleTimeError::NotANumber),
            ("30.0", CycleTimeError::NotANumber),
            ("030", CycleTimeError::NotANumber),
            ("0", CycleTimeError::NotANumber),
            ("\u{ff13}\u{ff10}", CycleTimeError::NotANumber),
            ("2", CycleTimeError::OutOfRange(2)),
            ("61", CycleTimeError::OutOfRange(61)),
            ("99999999999999999999999", CycleTimeError::OutOfRange(u64::MAX)),
        ] {
            assert_eq!(text.parse::<CycleTime>(), Err(why), "{text:?}");
        }
    }
}
