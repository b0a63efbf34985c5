//! Addresses that the centre may write to.

use std::fmt;
use std::str::FromStr;

/// The longest address that mail goes to (RFC 5321, 4.5.3.1.3, without its angle brackets).
const LONGEST: usize = 254;
/// The longest part before the `@` (RFC 5321, 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;

/// Why a text is no address to write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Not one `@` with something on both of its sides.
    #[error("a mail address is written like name@example.org, with one @")]
    Form,
    /// A character that would end the address, or begin another line or header.
    #[error("'{shown}' cannot stand in a mail address; leave it away", shown = .0.escape_default())]
    Character(char),
    /// More than 254 bytes, or more than 64 before the `@`.
    #[error("the mail address is too long; it has 254 bytes at most, 64 of them before the @")]
    TooLong,
    /// A part after the `@` that no host's name can be.
    #[error("what stands after the @ is no host's name; check it")]
    Host,
}

/// A mail address as most are: one `@`, no quotes, no comments, nothing that a header could be made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        if text.len() > LONGEST {
            return Err(EmailError::TooLong);
        }
        let unfit = |c: &char| c.is_control() || c.is_whitespace() || !is_plain(*c);
        if let Some(wrong) = text.chars().find(unfit) {
            return Err(EmailError::Character(wrong));
        }
        let (local, host) = text.split_once('@').ok_or(EmailError::Form)?;
        let dots = |part: &str| part.split('.').any(str::is_empty);
        if local.is_empty() || host.contains('@') || dots(local) {
            return Err(EmailError::Form);
        }
        if local.len() > LONGEST_LOCAL {
            return Err(EmailError::TooLong);
        }
        let label = |label: &str| {
            !label.starts_with('-')
                && !label.ends_with('-')
                && label.len() <= 63
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        if dots(host) || !host.split('.').all(label) {
            return Err(EmailError::Host);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The characters of RFC 5322's `dot-atom`, letters and digits of every script (RFC 6531), and the `@`. Invisible
/// characters are neither letters nor digits.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c)
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_refusal_says_why() {
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}org", "example.".repeat(32));
        for (text, why) in [
            ("ops@example.org", None),
            ("o'neil+night_shift@mail.example.co.kr", None),
            ("운영@예시.한국", None),
            ("root@localhost", None),
            ("", Some(EmailError::Form)),
            ("ops", Some(EmailError::Form)),
            ("@example.org", Some(EmailError::Form)),
            ("a@b@example.org", Some(EmailError::Form)),
            ("a..b@example.org", Some(EmailError::Form)),
            ("ops@", Some(EmailError::Host)),
            ("ops@example..org", Some(EmailError::Host)),
            ("ops@-example.org", Some(EmailError::Host)),
            ("ops@exam_ple.org", Some(EmailError::Host)),
            ("ops@example.org\r\nBcc: all@example.org", Some(EmailError::Character('\r'))),
            ("ops@example.org\n", Some(EmailError::Character('\n'))),
            ("ops@example.org\0", Some(EmailError::Character('\0'))),
            ("ops@example.org,all@example.org", Some(EmailError::Character(','))),
            ("Ops <ops@example.org>", Some(EmailError::Character(' '))),
            ("\"ops\"@example.org", Some(EmailError::Character('"'))),
            ("ops@example.org\u{202e}", Some(EmailError::Character('\u{202e}'))),
            ("o\u{200b}ps@example.org", Some(EmailError::Character('\u{200b}'))),
            (&long, Some(EmailError::TooLong)),
            (&longer, Some(EmailError::TooLong)),
        ] {
            assert_eq!(text.parse::<EmailAddress>().err(), why, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_address_begins_another_line(text in "(\\PC|[\r\n\t\0,;<>]){0,30}@(\\PC|[\r\n.]){0,30}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert_eq!(address.as_str(), &text);
                prop_assert_eq!(text.matches('@').count(), 1);
                prop_assert!(!text.contains(|c: char| c.is_control() || c.is_whitespace() || ",;<>\"()[]\\:".contains(c)));
            }
        }
    }
}
