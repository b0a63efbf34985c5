//! How a clock was moved, and why nobody looked at it: the numbers and the words.

use crate::record::DecodeError;

/// Which alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlarmKind {
    /// The clock was set while the agent watched it.
    Step,
    /// The clock was moved in small parts, or runs at a rate that the kernel's own state does not explain.
    Slew,
    /// Another program adjusts the kernel's clock: where none may, or away from the centre's time.
    ByAnother,
    /// The clock was moved between two runs of the agent.
    MovedWhileDown,
    /// The machine was put back to an earlier state, as a virtual machine is from a snapshot.
    Restored,
    /// The clock was moved while the process was stopped or the machine suspended.
    MovedWhileStopped,
}

/// Why nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PauseReason {
    /// The machine was suspended: its clock that counts suspension says so.
    Suspended,
    /// The process did not run: it was stopped, or the machine had no time for it.
    Stopped,
    /// The machine stood still and knows nothing of it, as a virtual machine does that is moved to another host or held.
    Migrated,
}

impl AlarmKind {
    /// Every kind, in the order of their numbers in records.
    pub const ALL: [Self; 6] = [
        Self::Step,
        Self::Slew,
        Self::ByAnother,
        Self::MovedWhileDown,
        Self::Restored,
        Self::MovedWhileStopped,
    ];

    /// The word for it in entries and interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Slew => "slew",
            Self::ByAnother => "by-another",
            Self::MovedWhileDown => "moved-while-down",
            Self::Restored => "restored",
            Self::MovedWhileStopped => "moved-while-stopped",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Step => 0,
            Self::Slew => 1,
            Self::ByAnother => 2,
            Self::MovedWhileDown => 3,
            Self::Restored => 4,
            Self::MovedWhileStopped => 5,
        }
    }

    pub(crate) fn from_number(number: u8) -> Result<Self, DecodeError> {
        Self::ALL.into_iter().find(|kind| kind.number() == number).ok_or(DecodeError::NotCanonical)
    }
}

impl PauseReason {
    /// Every reason, in the order of their numbers in records.
    pub const ALL: [Self; 3] = [Self::Suspended, Self::Stopped, Self::Migrated];

    /// The word for it in entries and interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Stopped => "stopped",
            Self::Migrated => "migrated",
        }
    }

    /// The reason of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Suspended => 0,
            Self::Stopped => 1,
            Self::Migrated => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Result<Self, DecodeError> {
        Self::ALL.into_iter().find(|reason| reason.number() == number).ok_or(DecodeError::NotCanonical)
    }
}
