//! Names that scripts type: customers, agents, staff, machines.

use std::fmt;
use std::str::FromStr;

/// Why a text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("the name is empty; give 1 to 63 characters")]
    Empty,
    /// More than 63 characters.
    #[error("the name is longer than 63 characters; shorten it")]
    TooLong,
    /// Not a lower-case letter, digit, dot, hyphen or underscore.
    #[error("'{0}' cannot stand in a name; use a-z, 0-9, '.', '-' and '_'")]
    Character(char),
    /// The first character is a dot, hyphen or underscore.
    #[error("a name begins with a letter or a digit")]
    Start,
}

/// The name of a customer, an agent, a machine or a member of the staff: 1 to 63 characters of `a-z 0-9 . - _`, the first a letter
/// or a digit. One spelling and no look-alikes, because people compare names by eye.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if let Some(wrong) =
            text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(*c)))
        {
            return Err(NameError::Character(wrong));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Start);
        }
        if text.len() > 63 {
            return Err(NameError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_why() {
        for (text, expected) in [
            ("db-3", None),
            ("3.example_net", None),
            ("", Some(NameError::Empty)),
            ("-db", Some(NameError::Start)),
            ("DB", Some(NameError::Character('D'))),
            ("d\u{0431}", Some(NameError::Character('\u{0431}'))),
            ("a b", Some(NameError::Character(' '))),
            (&"a".repeat(64), Some(NameError::TooLong)),
        ] {
            assert_eq!(text.parse::<Name>().err(), expected, "{text}");
        }
    }
}
