//! Phone numbers, one spelling each.

use std::fmt;
use std::str::FromStr;

/// Korea's country code, which a number that begins with its trunk prefix belongs to.
const KOREA: &str = "82";
/// The fewest digits of a number with its country code.
const SHORTEST: usize = 9;
/// The most digits of a number with its country code (E.164, 6.2.1).
const LONGEST: usize = 15;

/// Why a text is no phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// No characters at all.
    #[error("the phone number is empty; give its digits")]
    Empty,
    /// Something other than a digit, or a `+` that is not the first character.
    #[error("'{shown}' cannot stand in a phone number; give digits only, with or without +82 before them", shown = .0.escape_default())]
    Character(char),
    /// Begins with `00` or `+0`, which says neither which country nor which number.
    #[error("no country's number begins so; write the country code after a +, as in +82")]
    NoCountry,
    /// Fewer than 9 digits with the country code.
    #[error("the phone number has {0} digits with its country code; it needs 9 at least")]
    TooShort(usize),
    /// More than 15 digits with the country code.
    #[error("the phone number has more than 15 digits with its country code; a number has no more")]
    TooLong,
}

/// A phone number as E.164 has it: country code and number, 9 to 15 digits.
///
/// `010…` is a number in Korea, and the same as `+8210…`, `8210…` and `+82010…`. Any other country's is written with
/// its country code, with or without the `+`. There are no spaces and no hyphens: other systems compare the digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

impl Phone {
    /// The digits, country code first.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Self, PhoneError> {
        let (international, digits) = match text.strip_prefix('+') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if digits.is_empty() {
            return Err(PhoneError::Empty);
        }
        // Other scripts have digits too; ours are ten.
        if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_digit()) {
            return Err(PhoneError::Character(wrong));
        }
        let (country, number) = match digits.strip_prefix('0') {
            Some(_) if international => return Err(PhoneError::NoCountry),
            Some(domestic) => (KOREA, domestic),
            // A trunk prefix after the country code is a common slip, and Korea's numbers never begin with it.
            None => match digits.strip_prefix(KOREA) {
                Some(number) => (KOREA, number.strip_prefix('0').unwrap_or(number)),
                None => ("", digits),
            },
        };
        if number.starts_with('0') {
            return Err(PhoneError::NoCountry);
        }
        match country.len() + number.len() {
            length if length < SHORTEST => Err(PhoneError::TooShort(length)),
            length if length > LONGEST => Err(PhoneError::TooLong),
            _ => Ok(Self(format!("{country}{number}"))),
        }
    }
}

impl fmt::Display for Phone {
    /// With the `+` before the country code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for Phone {
    /// How many digits, and not which: a number is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({} digits)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_number_has_many_spellings_and_one_form() {
        for text in ["01012345678", "+821012345678", "821012345678", "+8201012345678", "8201012345678"] {
            assert_eq!(text.parse::<Phone>().unwrap().to_string(), "+821012345678", "{text}");
        }
        for (text, digits) in
            [("+14155550123", "14155550123"), ("819012345678", "819012345678"), ("0212345678", "82212345678")]
        {
            assert_eq!(text.parse::<Phone>().unwrap().digits(), digits, "{text}");
        }
    }

    #[test]
    fn each_refusal_says_why() {
        for (text, why) in [
            ("", PhoneError::Empty),
            ("+", PhoneError::Empty),
            ("010-1234-5678", PhoneError::Character('-')),
            ("010 1234 5678", PhoneError::Character(' ')),
            ("++821012345678", PhoneError::Character('+')),
            ("82+1012345678", PhoneError::Character('+')),
            ("\u{ff10}1012345678", PhoneError::Character('\u{ff10}')),
            ("0101234567\u{0668}", PhoneError::Character('\u{0668}')),
            ("0101234567\u{200b}", PhoneError::Character('\u{200b}')),
            ("0101234567\0", PhoneError::Character('\0')),
            ("' OR 1=1 --", PhoneError::Character('\'')),
            ("0082101234567", PhoneError::NoCountry),
            ("+01012345678", PhoneError::NoCountry),
            ("82001012345678", PhoneError::NoCountry),
            ("12345678", PhoneError::TooShort(8)),
            ("010", PhoneError::TooShort(4)),
            ("1234567890123456", PhoneError::TooLong),
            ("01012345678901234", PhoneError::TooLong),
        ] {
            assert_eq!(text.parse::<Phone>().err(), Some(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_survive_their_text(text in "[+]?[0-9]{0,18}") {
            if let Ok(phone) = text.parse::<Phone>() {
                prop_assert_eq!(phone.to_string().parse(), Ok(phone.clone()));
                prop_assert_eq!(phone.digits().parse(), Ok(phone.clone()));
                prop_assert!((9..=15).contains(&phone.digits().len()));
            }
        }

        #[test]
        fn whatever_else_is_refused(text in "\\PC{0,40}") {
            if let Ok(phone) = text.parse::<Phone>() {
                prop_assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'+'));
                let shown = format!("{phone:?}");
                prop_assert!(!shown.contains(phone.digits()));
            }
        }
    }
}
