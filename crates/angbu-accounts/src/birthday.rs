//! Birthdays.

use std::fmt;

use angbu_units::UnixTime;
use jiff::civil::Date;

/// The first year that a birthday can lie in.
const FIRST_YEAR: i16 = 1900;

/// Why a text is no birthday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BirthdayError {
    /// Not ten characters of the form `YYYY-MM-DD`.
    #[error("write the birthday as YYYY-MM-DD, as in 1990-04-30")]
    Form,
    /// A day that the calendar does not have.
    #[error("the calendar has no such day; check month and day of the birthday")]
    NoSuchDay,
    /// Before 1900.
    #[error("the birthday lies before 1900; check its year")]
    TooEarly,
    /// After today.
    #[error("the birthday lies in the future; check its year")]
    InTheFuture,
}

/// The day that a person was born on: one that exists, from 1900 to today.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Birthday(Date);

impl Birthday {
    /// Reads a birthday. `now` says which day is today, in UTC; where that day has begun already it may be named.
    ///
    /// # Errors
    /// [`BirthdayError`], each with what is wrong.
    pub fn parse(text: &str, now: UnixTime) -> Result<Self, BirthdayError> {
        let (year, month, day) = parts(text).ok_or(BirthdayError::Form)?;
        let date = Date::new(year, month, day).map_err(|_| BirthdayError::NoSuchDay)?;
        if date.year() < FIRST_YEAR {
            return Err(BirthdayError::TooEarly);
        }
        // Days of four-digit years sort as their text does.
        let today = now.rfc3339(0);
        if today.get(..10).is_none_or(|today| text > today) {
            return Err(BirthdayError::InTheFuture);
        }
        Ok(Self(date))
    }
}

fn parts(text: &str) -> Option<(i16, i8, i8)> {
    let form = text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !form {
        return None;
    }
    Some((text.get(..4)?.parse().ok()?, text.get(5..7)?.parse().ok()?, text.get(8..)?.parse().ok()?))
}

impl fmt::Display for Birthday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Debug for Birthday {
    /// Nothing of the day, which is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Birthday(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> UnixTime {
        UnixTime::parse_rfc3339("2026-11-22T00:30:00Z").unwrap()
    }

    #[test]
    fn each_refusal_says_why() {
        for (text, why) in [
            ("1990-04-30", None),
            ("1900-01-01", None),
            ("2026-11-22", None),
            ("2000-02-29", None),
            ("2026-11-23", Some(BirthdayError::InTheFuture)),
            ("9999-12-31", Some(BirthdayError::InTheFuture)),
            ("1899-12-31", Some(BirthdayError::TooEarly)),
            ("0000-01-01", Some(BirthdayError::TooEarly)),
            ("2023-02-29", Some(BirthdayError::NoSuchDay)),
            ("1900-02-29", Some(BirthdayError::NoSuchDay)),
            ("1990-13-01", Some(BirthdayError::NoSuchDay)),
            ("1990-00-10", Some(BirthdayError::NoSuchDay)),
            ("1990-04-31", Some(BirthdayError::NoSuchDay)),
            ("1990-4-30", Some(BirthdayError::Form)),
            ("19900430", Some(BirthdayError::Form)),
            ("30.04.1990", Some(BirthdayError::Form)),
            ("1990-04-30T00:00:00Z", Some(BirthdayError::Form)),
            (" 1990-04-3", Some(BirthdayError::Form)),
            ("199\u{0660}-04-3", Some(BirthdayError::Form)),
            ("\u{ff11}990-04-30", Some(BirthdayError::Form)),
            ("-999-01-01", Some(BirthdayError::Form)),
            ("", Some(BirthdayError::Form)),
        ] {
            assert_eq!(Birthday::parse(text, now()).err(), why, "{text}");
        }
        assert_eq!(format!("{:?}", Birthday::parse("1990-04-30", now()).unwrap()), "Birthday(…)");
    }

    proptest! {
        #[test]
        fn birthdays_survive_their_text(text in "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]") {
            if let Ok(day) = Birthday::parse(&text, now()) {
                prop_assert_eq!(day.to_string(), text);
            }
        }

        #[test]
        fn whatever_else_is_refused_in_peace(text in "\\PC{0,12}") {
            if let Ok(day) = Birthday::parse(&text, now()) {
                prop_assert_eq!(day.to_string(), text);
            }
        }
    }
}
