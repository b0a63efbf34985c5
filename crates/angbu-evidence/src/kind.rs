//! What an entry is about.

use std::borrow::Cow;
use std::fmt;

/// The kind of an entry: two or more words of lower-case letters, joined by dots, a word's parts by hyphens;
/// at most 40 bytes. The first word is the pillar's noun, as in `time.segment`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Cow<'static, str>);

/// The text is no kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind of entry is written like time.segment: lower-case words joined by dots, at most 40 bytes")]
pub struct NotAKind;

impl Kind {
    /// A centre's clock state, which other entries' instants rest on.
    pub const CLOCK_STATE: Self = Self::constant("clock.state");
    /// How many entries each customer has.
    pub const MANIFEST: Self = Self::constant("evidence.manifest");
    /// That a report about a customer was made.
    pub const REPORT: Self = Self::constant("evidence.report");
    /// Fields that were erased.
    pub const ERASURE: Self = Self::constant("evidence.erasure");
    /// A key of the site that was replaced.
    pub const KEY: Self = Self::constant("evidence.key");
    /// Whatever somebody wanted kept.
    pub const NOTE: Self = Self::constant("evidence.note");

    /// The kind with this text.
    ///
    /// # Errors
    /// [`NotAKind`] unless the text has the form of one.
    pub fn new(text: &str) -> Result<Self, NotAKind> {
        if is_kind(text) { Ok(Self(Cow::Owned(text.to_owned()))) } else { Err(NotAKind) }
    }

    /// The kind with this text, for constants.
    ///
    /// # Panics
    /// When the text has not the form of a kind; in a constant that is a compile error.
    pub const fn constant(text: &'static str) -> Self {
        assert!(is_kind(text), "a constant kind is written like time.segment");
        Self(Cow::Borrowed(text))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `^[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)+$`, at most 40 bytes.
const fn is_kind(text: &str) -> bool {
    let mut rest = text.as_bytes();
    let (mut dots, mut after_letter) = (0, false);
    while let [first, others @ ..] = rest {
        match first {
            b'a'..=b'z' => after_letter = true,
            b'-' | b'.' if after_letter => {
                after_letter = false;
                dots += if *first == b'.' { 1 } else { 0 };
            }
            _ => return false,
        }
        rest = others;
    }
    after_letter && dots > 0 && text.len() <= 40
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_a_form() {
        for text in
            ["time.segment", "clock.state", "time.agent-key.lost", "a.b", &format!("a.{}", "b".repeat(38))]
        {
            assert_eq!(Kind::new(text).map(|kind| kind.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", ".", "time", "time.", ".time", "time..x", "Time.x", "time.x-", "time.-x", "t1.x", "t ime.x"]
        {
            assert_eq!(Kind::new(text), Err(NotAKind), "{text}");
        }
        assert_eq!(Kind::new(&format!("a.{}", "b".repeat(39))), Err(NotAKind));
    }
}
