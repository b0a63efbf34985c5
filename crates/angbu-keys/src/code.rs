//! The digits that a person types.

use std::fmt;
use std::str::FromStr;

use subtle::{Choice, ConstantTimeEq};

/// How many digits a key has: 4 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digits(u8);

/// A number of digits that is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has 4 to 10 digits, not {0}")]
pub struct WrongDigits(pub u64);

impl Digits {
    /// What most keys have.
    pub const SIX: Self = Self(6);
    /// What keys of short cycles have.
    pub const EIGHT: Self = Self(8);

    /// So many digits.
    ///
    /// # Errors
    /// [`WrongDigits`] below 4 and above 10.
    pub fn new(digits: u64) -> Result<Self, WrongDigits> {
        match u8::try_from(digits) {
            Ok(digits @ 4..=10) => Ok(Self(digits)),
            _ => Err(WrongDigits(digits)),
        }
    }

    /// The number.
    pub const fn count(self) -> u8 {
        self.0
    }

    /// A key of so many digits from 31 bits (RFC 4226, section 5.3, step 3).
    pub(crate) fn of(self, bits: u32) -> OneTimeKey {
        let modulus = 10_u64.pow(u32::from(self.0));
        OneTimeKey { value: u64::from(bits) % modulus, digits: self }
    }
}

/// Why a text is no one-time key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OneTimeKeyError {
    /// Something other than the digits 0 to 9.
    #[error("a one-time key consists of the digits 0 to 9 alone")]
    NotDigits,
    /// Fewer than 4 or more than 10 digits.
    #[error("a one-time key has 4 to 10 digits")]
    Length,
}

/// A one-time key. No `==`: two are compared in constant time. Not shown by `Debug`.
#[derive(Clone, Copy)]
pub struct OneTimeKey {
    value: u64,
    digits: Digits,
}

impl OneTimeKey {
    /// How many digits it has.
    pub const fn digits(&self) -> Digits {
        self.digits
    }

    /// The digits as a person reads them, leading zeros included.
    pub fn reveal(&self) -> String {
        format!("{:0width$}", self.value, width = usize::from(self.digits.0))
    }
}

impl ConstantTimeEq for OneTimeKey {
    /// How many digits there are is no secret.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.value.ct_eq(&other.value) & self.digits.0.ct_eq(&other.digits.0)
    }
}

impl FromStr for OneTimeKey {
    type Err = OneTimeKeyError;

    fn from_str(text: &str) -> Result<Self, OneTimeKeyError> {
        // Other scripts have digits too; these are ten.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(OneTimeKeyError::NotDigits);
        }
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let digits = Digits::new(length).map_err(|_| OneTimeKeyError::Length)?;
        let value = text.parse().map_err(|_| OneTimeKeyError::Length)?;
        Ok(Self { value, digits })
    }
}

impl fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneTimeKey({} digits)", self.digits.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_ten_digits_are_digits() {
        for (text, why) in [
            ("", OneTimeKeyError::Length),
            ("123", OneTimeKeyError::Length),
            ("12345678901", OneTimeKeyError::Length),
            ("12345a", OneTimeKeyError::NotDigits),
            ("12345\0", OneTimeKeyError::NotDigits),
            ("+12345", OneTimeKeyError::NotDigits),
            ("123 456", OneTimeKeyError::NotDigits),
            ("\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}", OneTimeKeyError::NotDigits),
            ("\u{0661}\u{0662}\u{0663}\u{0664}", OneTimeKeyError::NotDigits),
        ] {
            assert_eq!(text.parse::<OneTimeKey>().err(), Some(why), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_survive_their_text(text in "[0-9]{4,10}") {
            let key: OneTimeKey = text.parse().unwrap();
            prop_assert_eq!(key.reveal(), text.clone());
            let shown = format!("{key:?}");
            prop_assert!(!shown.contains(&text));
        }

        #[test]
        fn equal_is_equal_digit_by_digit(a in "[0-9]{4,6}", b in "[0-9]{4,6}") {
            let (left, right): (OneTimeKey, OneTimeKey) = (a.parse().unwrap(), b.parse().unwrap());
            prop_assert_eq!(bool::from(left.ct_eq(&right)), a == b);
        }
    }
}
