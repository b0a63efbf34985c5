//! What an agent in steer mode did to its clock, as records say it.

use angbu_units::{Nanos, Ppb, UnixTime};

use crate::record::{DecodeError, When};
use crate::wire::Reader;

/// The most corrections in one record.
pub const MAX_CORRECTIONS: usize = 16;

/// What the agent itself did to the clock, in order. A step and a leap second are told at once; slews are told together, so that
/// keeping a clock right does not fill the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrections {
    /// When this was written down.
    pub at: When,
    /// 1 to [`MAX_CORRECTIONS`] corrections.
    pub made: Vec<Correction>,
}

/// One correction of the clock by the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// When, by the centre's clock as far as that is known ([`When::best`]).
    pub at: UnixTime,
    /// How.
    pub kind: CorrectionKind,
    /// By how much the clock was moved forward, or at a leap second will be.
    pub amount: Nanos,
    /// How fast the clock runs after it, compared with the bare oscillator.
    pub frequency: Ppb,
    /// The number of the record of the exchange that it rests on; 0 where it rests on none, because what somebody did to
    /// the clock was undone.
    pub rests_on: u64,
}

/// How a clock was corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CorrectionKind {
    /// Set at once.
    Step,
    /// Moved in small parts, with the frequency.
    Slew,
    /// Only its frequency was changed.
    Frequency,
    /// A leap second was armed, or with an amount of zero disarmed.
    LeapArmed,
}

impl CorrectionKind {
    /// Every kind, in the order of their numbers in records.
    pub const ALL: [Self; 4] = [Self::Step, Self::Slew, Self::Frequency, Self::LeapArmed];

    /// The word for it in entries and interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Slew => "slew",
            Self::Frequency => "frequency",
            Self::LeapArmed => "leap",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    const fn number(self) -> u8 {
        match self {
            Self::Step => 0,
            Self::Slew => 1,
            Self::Frequency => 2,
            Self::LeapArmed => 3,
        }
    }
}

impl Corrections {
    /// Whether the clock was moved at once, or will be at a leap second: what a reader has to be told by itself.
    pub fn tells_of_a_step(&self) -> bool {
        self.made.iter().any(|made| matches!(made.kind, CorrectionKind::Step | CorrectionKind::LeapArmed))
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        self.at.encode_into(out);
        out.push(u8::try_from(self.made.len()).unwrap_or(u8::MAX));
        for made in &self.made {
            out.extend(made.at.nanos().to_be_bytes());
            out.push(made.kind.number());
            out.extend(made.amount.count().to_be_bytes());
            out.extend(made.frequency.count().to_be_bytes());
            out.extend(made.rests_on.to_be_bytes());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = When::read(reader)?;
        let count = usize::from(reader.u8()?);
        if !(1..=MAX_CORRECTIONS).contains(&count) {
            return Err(DecodeError::NotCanonical);
        }
        let made = (0..count).map(|_| Correction::read(reader)).collect::<Result<_, _>>()?;
        Ok(Self { at, made })
    }
}

impl Correction {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = UnixTime::from_nanos(reader.i64()?);
        let number = reader.u8()?;
        let kind = CorrectionKind::ALL.into_iter().find(|kind| kind.number() == number);
        Ok(Self {
            at,
            kind: kind.ok_or(DecodeError::NotCanonical)?,
            amount: Nanos::new(reader.i64()?),
            frequency: Ppb::new(reader.i64()?),
            rests_on: reader.u64()?,
        })
    }
}
