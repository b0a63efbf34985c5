//! What an agent writes down, and how it sends it: records, numbered from 1 without a gap, and signed uploads of them.
//!
//! A record holds the NTP server's id, the flags, the rate and T1 to T4; offset and delay follow from those ([`Exchange`])
//! and are not written a second time, so that they can never differ from them. The agent's id stands once, in the upload.

mod upload;

pub use upload::Upload;

use angbu_units::{Nanos, NtpServerId, NtpShort, Ppb, UnixTime};

pub use crate::alarm::{AlarmKind, PauseReason};
use crate::correction::Corrections;
use crate::exchange::{self, Exchange, Source};
use crate::packet::Leap;
use crate::proof::Witness;
use crate::sync::Judgement;
use crate::wire::Reader;

/// The most records in one upload.
pub const MAX_RECORDS: usize = 1_024;

/// The shortest and the longest poll interval.
pub const POLL: std::ops::RangeInclusive<Nanos> = Nanos::from_millis(1)..=Nanos::from_secs(1 << 17);

/// The longest checkpoint that an upload shows, a signed note: room for the signatures of a log that changes its key
/// and for the agent's own.
pub const LONGEST_CHECKPOINT: usize = 2 * 1_024;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes follow the end.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// Another format.
    #[error("format {0} is not known to this version")]
    Format(u8),
    /// No such kind of record.
    #[error("no record is of kind {0}")]
    Kind(u8),
    /// Flags that no record has.
    #[error("no record has the flags {0:#04x}")]
    Flags(u8),
    /// A number in a longer form than it needs, or out of its range.
    #[error("a number is not in its shortest form or out of its range")]
    NotCanonical,
    /// An exchange from which nothing follows.
    #[error(transparent)]
    Exchange(#[from] exchange::Refusal),
    /// A poll interval out of [`POLL`].
    #[error("a poll interval of {0} is out of range")]
    Poll(Nanos),
    /// A software version that is not 1 to 32 visible ASCII characters.
    #[error("a software version has 1 to 32 visible ASCII characters")]
    Software,
    /// Records that are not numbered one after the other.
    #[error("record {found} stands where {expected} should")]
    Number {
        /// What should stand here.
        expected: u64,
        /// What does.
        found: u64,
    },
    /// A checkpoint that is longer than [`LONGEST_CHECKPOINT`] or no text.
    #[error("the checkpoint that an upload shows is a text of at most {LONGEST_CHECKPOINT} bytes")]
    Checkpoint,
    /// The chain after an upload's records is another than it says.
    #[error("the chain does not follow from the records of the upload")]
    Chain,
    /// A witness of no exchange in the upload, or out of order.
    #[error("a witness stands for record {0}, which is no exchange of this upload, or out of order")]
    Witness(u64),
    /// Not 1 to [`MAX_RECORDS`] records.
    #[error("an upload holds 1 to {MAX_RECORDS} records, not {0}")]
    Count(usize),
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number among the agent's records, from 1. Of dropped records it is the first.
    pub seq: u64,
    /// What it says.
    pub fact: Fact,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An exchange and its judgement.
    Exchange(Measured),
    /// The clock was moved.
    Alarm(Alarm),
    /// The agent started.
    Start(Start),
    /// The agent stopped in good order.
    Stop(Stop),
    /// Records were lost, because the spool was full or damaged.
    Dropped(Dropped),
    /// Nobody looked at the clock for a while.
    Pause(Pause),
    /// The agent corrected the clock, in steer mode.
    Corrections(Corrections),
}

/// An exchange as the agent judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// With whom.
    pub server: NtpServerId,
    /// The four instants and what the server said of itself.
    pub exchange: Exchange,
    /// Rate, steady, in sync.
    pub judgement: Judgement,
    /// How often the agent then asked.
    pub poll: Nanos,
}

/// An instant by the agent's own clock and, as far as an exchange has shown it, by the centre's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// What the agent's clock showed.
    pub system: UnixTime,
    /// What the centre's clock showed, as the agent reckons from its last exchange and its monotonic clock.
    pub centre: Option<UnixTime>,
}

/// The clock was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// When it was noticed.
    pub at: When,
    /// How it was moved.
    pub kind: AlarmKind,
    /// By how much.
    pub difference: Nanos,
    /// How long before `at` the clock was last known to be untouched.
    pub since: Nanos,
}

/// Nobody looked at the clock for longer than the interval of the checks allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// When it was over.
    pub at: When,
    /// How long it was: since the last look before it, by the clock that nobody can set; where the machine itself stood still,
    /// what the centre's clock went on meanwhile. More than zero.
    pub length: Nanos,
    /// Why.
    pub reason: PauseReason,
}

/// The agent started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub at: When,
    /// How often it asks the server.
    pub poll: Nanos,
    /// Whether the run before ended with its [`Stop`] on record (or there was none).
    pub clean: bool,
    /// How it takes its time; none from before that was told.
    pub manner: Option<Manner>,
    /// What runs.
    pub software: Software,
}

/// How an agent takes the centre's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Only under Network Time Security.
    pub nts: bool,
    /// It keeps the clock by it (`mode = "steer"`), and not only watches.
    pub steers: bool,
}

/// The agent stopped in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// When.
    pub at: When,
}

/// Records that were lost before they reached the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// When that was noticed.
    pub at: When,
    /// The number of the last; the first is the record's own.
    pub last: u64,
}

/// A program's name and version: 1 to 32 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Software(String);

impl Record {
    /// The number of the record after this.
    pub const fn next_seq(&self) -> u64 {
        match &self.fact {
            Fact::Dropped(dropped) => dropped.last.saturating_add(1),
            _ => self.seq.saturating_add(1),
        }
    }

    /// When it was, by the centre's clock as far as that is known, else by the agent's.
    pub fn at(&self) -> UnixTime {
        match &self.fact {
            Fact::Exchange(measured) => measured.exchange.at(),
            Fact::Alarm(alarm) => alarm.at.best(),
            Fact::Start(start) => start.at.best(),
            Fact::Stop(stop) => stop.at.best(),
            Fact::Dropped(dropped) => dropped.at.best(),
            Fact::Pause(pause) => pause.at.best(),
            Fact::Corrections(corrections) => corrections.at.best(),
        }
    }

    /// The record's bytes: kind, number, then the fields in the order in which they are declared.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        self.encode_into(&mut out);
        out
    }

    /// Reads one record and nothing after it.
    ///
    /// # Errors
    /// [`DecodeError`] for any byte string that [`Self::encode`] does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let record = Self::read(&mut reader)?;
        reader.end()?;
        Ok(record)
    }

    /// Reads a record and the witness behind it, if there is one: how an agent keeps them together.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_with_witness(bytes: &[u8]) -> Result<(Self, Option<Witness>), DecodeError> {
        let mut reader = Reader::new(bytes);
        let record = Self::read(&mut reader)?;
        let witness = if reader.is_empty() { None } else { Some(Witness::read(&mut reader)?) };
        reader.end()?;
        Ok((record, witness))
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        let (kind, software) = match &self.fact {
            Fact::Exchange(_) => (1, None),
            Fact::Alarm(_) => (2, None),
            Fact::Start(start) => (3, Some(&start.software)),
            Fact::Stop(_) => (4, None),
            Fact::Dropped(_) => (5, None),
            Fact::Pause(_) => (6, None),
            Fact::Corrections(_) => (7, None),
        };
        out.push(kind);
        out.extend(self.seq.to_be_bytes());
        match &self.fact {
            Fact::Exchange(measured) => measured.encode_into(out),
            Fact::Alarm(alarm) => {
                alarm.at.encode_into(out);
                out.push(alarm.kind.number());
                out.extend(alarm.difference.count().to_be_bytes());
                out.extend(alarm.since.count().to_be_bytes());
            }
            Fact::Start(start) => {
                start.at.encode_into(out);
                out.extend(start.poll.count().to_be_bytes());
                out.push(u8::from(start.clean));
                out.push(Manner::code(start.manner));
            }
            Fact::Stop(stop) => stop.at.encode_into(out),
            Fact::Dropped(dropped) => {
                dropped.at.encode_into(out);
                out.extend(dropped.last.to_be_bytes());
            }
            Fact::Pause(pause) => {
                pause.at.encode_into(out);
                out.extend(pause.length.count().to_be_bytes());
                out.push(pause.reason.number());
            }
            Fact::Corrections(corrections) => corrections.encode_into(out),
        }
        if let Some(Software(text)) = software {
            out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            out.extend(text.as_bytes());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        let seq = reader.u64()?;
        if seq == 0 || seq == u64::MAX {
            return Err(DecodeError::NotCanonical);
        }
        let fact = match kind {
            1 => Fact::Exchange(Measured::read(reader)?),
            2 => Fact::Alarm(Alarm::read(reader)?),
            3 => Fact::Start(Start::read(reader)?),
            4 => Fact::Stop(Stop { at: When::read(reader)? }),
            5 => {
                let dropped = Dropped { at: When::read(reader)?, last: reader.u64()? };
                if dropped.last < seq || dropped.last == u64::MAX {
                    return Err(DecodeError::NotCanonical);
                }
                Fact::Dropped(dropped)
            }
            6 => Fact::Pause(Pause::read(reader)?),
            7 => Fact::Corrections(Corrections::read(reader)?),
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Self { seq, fact })
    }
}

impl Measured {
    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend(self.server.as_bytes());
        out.push(flags_of(&self.judgement));
        for instant in self.exchange.instants() {
            out.extend(instant.nanos().to_be_bytes());
        }
        out.extend(self.judgement.rate.unwrap_or_default().count().to_be_bytes());
        let source = self.exchange.source();
        out.push(source.leap.bits());
        out.push(source.stratum);
        out.push(source.precision.cast_unsigned());
        out.extend(source.root_delay.bits().to_be_bytes());
        out.extend(source.root_dispersion.bits().to_be_bytes());
        out.extend(source.reference_id);
        out.extend(self.poll.count().to_be_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let server = NtpServerId::from_bytes(reader.array()?);
        let flags = reader.u8()?;
        let mut instants = [UnixTime::default(); 4];
        for instant in &mut instants {
            *instant = UnixTime::from_nanos(reader.i64()?);
        }
        let judgement = judgement_of(flags, Ppb::new(reader.i64()?))?;
        let leap = reader.u8()?;
        if leap > 3 {
            return Err(DecodeError::NotCanonical);
        }
        let source = Source {
            leap: Leap::from_bits(leap),
            stratum: reader.u8()?,
            precision: reader.u8()?.cast_signed(),
            root_delay: NtpShort::from_bits(reader.u32()?),
            root_dispersion: NtpShort::from_bits(reader.u32()?),
            reference_id: reader.array()?,
        };
        let poll = read_poll(reader)?;
        Ok(Self { server, exchange: Exchange::new(instants, source)?, judgement, poll })
    }
}

fn read_poll(reader: &mut Reader<'_>) -> Result<Nanos, DecodeError> {
    let poll = Nanos::new(reader.i64()?);
    if POLL.contains(&poll) { Ok(poll) } else { Err(DecodeError::Poll(poll)) }
}

/// Bit 0: steady, bit 1: in sync, bit 2: there is a rate.
pub(crate) fn flags_of(judgement: &Judgement) -> u8 {
    u8::from(judgement.steady) | u8::from(judgement.in_sync) << 1 | u8::from(judgement.rate.is_some()) << 2
}

/// The judgement of flags and rate: in sync only what is steady, steady only what has a rate.
pub(crate) fn judgement_of(flags: u8, rate: Ppb) -> Result<Judgement, DecodeError> {
    let rate = match (flags, rate) {
        (0, rate) if rate == Ppb::default() => None,
        (0b100 | 0b101 | 0b111, rate) => Some(rate),
        _ => return Err(DecodeError::Flags(flags)),
    };
    Ok(Judgement { rate, steady: flags & 1 != 0, in_sync: flags & 2 != 0 })
}

impl When {
    /// By the centre's clock where that is known, else by the agent's.
    pub fn best(&self) -> UnixTime {
        self.centre.unwrap_or(self.system)
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend(self.system.nanos().to_be_bytes());
        out.push(u8::from(self.centre.is_some()));
        if let Some(centre) = self.centre {
            out.extend(centre.nanos().to_be_bytes());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let system = UnixTime::from_nanos(reader.i64()?);
        let centre = if reader.flag()? { Some(UnixTime::from_nanos(reader.i64()?)) } else { None };
        Ok(Self { system, centre })
    }
}

impl Pause {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (at, length) = (When::read(reader)?, Nanos::new(reader.i64()?));
        if length <= Nanos::ZERO {
            return Err(DecodeError::NotCanonical);
        }
        Ok(Self { at, length, reason: PauseReason::from_number(reader.u8()?)? })
    }
}

impl Alarm {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = When::read(reader)?;
        let kind = AlarmKind::from_number(reader.u8()?)?;
        let difference = Nanos::new(reader.i64()?);
        let since = Nanos::new(reader.i64()?);
        if since < Nanos::ZERO {
            return Err(DecodeError::NotCanonical);
        }
        Ok(Self { at, kind, difference, since })
    }
}

impl Start {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = When::read(reader)?;
        let poll = read_poll(reader)?;
        let clean = reader.flag()?;
        let manner = Manner::from_code(reader.u8()?)?;
        let length = usize::from(reader.u8()?);
        let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| DecodeError::Software)?;
        Ok(Self { at, poll, clean, manner, software: Software::new(text)? })
    }
}

impl Manner {
    /// 0 where it is not told; else 1, and 1 more under NTS, and 2 more where the clock is kept.
    fn code(manner: Option<Self>) -> u8 {
        manner.map_or(0, |Self { nts, steers }| 1 + u8::from(nts) + 2 * u8::from(steers))
    }

    fn from_code(code: u8) -> Result<Option<Self>, DecodeError> {
        match code {
            0 => Ok(None),
            1..=4 => Ok(Some(Self { nts: code.is_multiple_of(2), steers: code > 2 })),
            other => Err(DecodeError::Flags(other)),
        }
    }
}

impl Software {
    /// A program's name and version.
    ///
    /// # Errors
    /// [`DecodeError::Software`] for anything but 1 to 32 visible ASCII characters.
    pub fn new(text: &str) -> Result<Self, DecodeError> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(DecodeError::Software) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary::upload;
    use crate::chain::Chain;
    use angbu_units::AgentId;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn uploads_survive_their_bytes(upload in upload()) {
            let bytes = upload.encode();
            prop_assert_eq!(Upload::decode(&bytes), Ok(upload.clone()));
            for record in &upload.records {
                prop_assert_eq!(Record::decode(&record.encode()), Ok(record.clone()));
            }
        }

        /// Whatever is accepted has no second spelling.
        #[test]
        fn spoilt_bytes_are_refused_or_mean_something_else(upload in upload(), at: prop::sample::Index, flip in 1u8.., cut: prop::sample::Index) {
            let bytes = upload.encode();
            let mut spoilt = bytes.clone();
            spoilt[at.index(bytes.len())] ^= flip;
            if let Ok(read) = Upload::decode(&spoilt) {
                prop_assert_eq!(read.encode(), spoilt);
            }
            prop_assert!(Upload::decode(&bytes[..cut.index(bytes.len())]).is_err());
            let longer = [&bytes[..], &[0]].concat();
            prop_assert_eq!(Upload::decode(&longer), Err(DecodeError::Trailing(1)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..7) {
            let with_kind = [&[kind, 0, 0, 0, 0, 0, 0, 0, 9][..], &bytes].concat();
            for bytes in [&bytes, &with_kind] {
                if let Ok(record) = Record::decode(bytes) {
                    prop_assert_eq!(&record.encode(), bytes);
                }
            }
            let _ = Upload::decode(&bytes);
        }
    }

    #[test]
    fn a_checkpoint_is_a_short_text() {
        let at = When { system: UnixTime::from_nanos(0), centre: None };
        let of = |checkpoint: &str| Upload {
            witnesses: BTreeMap::new(),
            agent: AgentId::from_bytes([1; 16]),
            before: Chain::from_bytes([3; 32]),
            sent: UnixTime::from_nanos(0),
            newest_checkpoint: Some(checkpoint.to_owned()),
            records: vec![Record { seq: 1, fact: Fact::Stop(Stop { at }) }],
        };
        assert!(Upload::decode(&of(&"x".repeat(LONGEST_CHECKPOINT)).encode()).is_ok());
        let long = of(&"x".repeat(LONGEST_CHECKPOINT + 1)).encode();
        assert_eq!(Upload::decode(&long), Err(DecodeError::Checkpoint));
        let mut no_text = of("x").encode();
        let place = no_text.iter().position(|byte| *byte == b'x').unwrap();
        no_text[place] = 0xff;
        assert_eq!(Upload::decode(&no_text), Err(DecodeError::Checkpoint));
    }

    #[test]
    fn flags_say_nothing_impossible() {
        for (flags, rate, good) in [
            (0b000, 0, true),
            (0b000, 1, false),
            (0b001, 0, false),
            (0b010, 0, false),
            (0b100, 5, true),
            (0b101, 5, true),
            (0b110, 5, false),
            (0b111, 0, true),
            (0b1000, 0, false),
        ] {
            let read = judgement_of(flags, Ppb::new(rate));
            assert_eq!(read.is_ok(), good, "{flags:#b}");
            if let Ok(judgement) = read {
                assert_eq!(flags_of(&judgement), flags);
            }
        }
    }

    #[test]
    fn software_is_short_and_visible() {
        for (text, good) in
            [("angbu/0.1.0", true), ("", false), ("a b", false), ("é", false), (&"a".repeat(33), false)]
        {
            assert_eq!(Software::new(text).is_ok(), good, "{text}");
        }
    }
}
