//! What is known about an instant: the stamp that every entry carries.

use std::fmt;
use std::str::FromStr;

use crate::{EntryId, Nanos, UnixTime};

/// What the centre can say of its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClockVerdict {
    /// Shown by exchanges with a reference, within the error bound.
    Proven,
    /// The operator declares this machine's own clock to be the reference: the bound holds against that clock only.
    Declared,
    /// Not shown: no reference, a reference lost, or a clock that was moved.
    Unproven,
}

impl ClockVerdict {
    /// The word for it in entries, files and interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Declared => "declared",
            Self::Unproven => "unproven",
        }
    }
}

impl fmt::Display for ClockVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The text is none of the three words for a clock's verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a clock's verdict is proven, declared or unproven")]
pub struct NotAClockVerdict;

impl FromStr for ClockVerdict {
    type Err = NotAClockVerdict;
    fn from_str(text: &str) -> Result<Self, NotAClockVerdict> {
        match text {
            "proven" => Ok(Self::Proven),
            "declared" => Ok(Self::Declared),
            "unproven" => Ok(Self::Unproven),
            _ => Err(NotAClockVerdict),
        }
    }
}

/// An instant with what is known about it: the centre's clock showed `time`, true time lies within
/// `error_bound` of it as far as `verdict` says, and `clock_state` is the entry that shows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenInstant {
    /// What the centre's clock showed.
    pub time: UnixTime,
    /// How far true time can lie from it; meaningless while the verdict is [`ClockVerdict::Unproven`].
    pub error_bound: Nanos,
    /// What the bound rests on.
    pub verdict: ClockVerdict,
    /// The `clock.state` entry in force.
    pub clock_state: EntryId,
}
