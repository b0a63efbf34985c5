//! The fields of the entries that stand alone: `time.enrolment`, and `time.alarm`, `time.start`, `time.stop`,
//! `time.dropped`, `time.pause` and `time.correction`, each made of one record of an agent.

use angbu_evidence::Kind;
use angbu_units::{AgentId, Nanos, Ppb, UnixTime};

use crate::correction::{Correction, CorrectionKind, Corrections, MAX_CORRECTIONS};
use crate::record::{
    Alarm, AlarmKind, Dropped, Fact, Manner, POLL, Pause, PauseReason, Record, Software, Start, Stop, When,
};

/// An agent was enrolled.
pub const ENROLMENT: Kind = Kind::constant("time.enrolment");
/// An agent's clock was moved.
pub const ALARM: Kind = Kind::constant("time.alarm");
/// An agent started.
pub const START: Kind = Kind::constant("time.start");
/// An agent stopped.
pub const STOP: Kind = Kind::constant("time.stop");
/// An agent lost records.
pub const DROPPED: Kind = Kind::constant("time.dropped");
/// Nobody looked at an agent's clock for a while.
pub const PAUSE: Kind = Kind::constant("time.pause");

/// An agent corrected its clock.
pub const CORRECTION: Kind = Kind::constant("time.correction");

/// Every kind of entry that one record of an agent becomes.
pub const KINDS: [Kind; 6] = [ALARM, START, STOP, DROPPED, PAUSE, CORRECTION];

/// The longest name of an agent, in bytes.
pub const LONGEST_NAME: usize = 255;

/// Whether a field of these entries, or of a segment, can say who somebody is, so that it can be erased: what a server is
/// called. Its id, its key and everything that happened to its clock stay, since verdicts rest on them.
pub fn is_personal(kind: &Kind, field: &str) -> bool {
    *kind == ENROLMENT && field == "name"
}

type Fields = Vec<(&'static str, Vec<u8>)>;

/// Why fields are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The entry is none of these.
    #[error("an entry of kind {0} is not an agent's event")]
    Kind(Kind),
    /// A field is not there, is hidden, or does not read.
    #[error("the field '{0}' is not shown, or cannot be read")]
    Field(&'static str),
}

/// An agent's enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The agent.
    pub agent: AgentId,
    /// What its operator calls it; 1 to [`LONGEST_NAME`] bytes, whatever they are.
    pub name: String,
    /// The Ed25519 key that signs its uploads.
    pub public_key: [u8; 32],
}

impl Enrolment {
    /// The fields of the `time.enrolment` entry.
    pub fn fields(&self) -> Fields {
        let key: String = self.public_key.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![
            ("agent", self.agent.to_string().into_bytes()),
            ("name", self.name.clone().into_bytes()),
            ("public-key", key.into_bytes()),
        ]
    }

    /// Reads the fields; `field` looks one up by its name.
    ///
    /// # Errors
    /// [`EventError::Field`].
    pub fn read<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, EventError> {
        let reader = FieldReader(&field);
        let name = reader.text("name")?;
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(EventError::Field("name"));
        }
        Ok(Self {
            agent: reader.parsed("agent")?,
            name: name.to_owned(),
            public_key: reader.key("public-key")?,
        })
    }
}

/// The kind and the fields of the entry that an agent's record becomes; an exchange becomes none of its own.
pub fn entry(agent: AgentId, record: &Record) -> Option<(Kind, Fields)> {
    let mut fields = vec![("agent", agent.to_string()), ("seq", record.seq.to_string())];
    let (kind, at) = match &record.fact {
        Fact::Exchange(_) => return None,
        Fact::Alarm(alarm) => {
            fields.push(("kind", alarm.kind.word().to_owned()));
            fields.push(("difference-ns", alarm.difference.count().to_string()));
            fields.push(("since-ns", alarm.since.count().to_string()));
            (ALARM, alarm.at)
        }
        Fact::Start(start) => {
            fields.push(("poll-ns", start.poll.count().to_string()));
            fields.push(("clean", if start.clean { "yes" } else { "no" }.to_owned()));
            if let Some(Manner { nts, steers }) = start.manner {
                fields.push(("nts", if nts { "yes" } else { "no" }.to_owned()));
                fields.push(("mode", if steers { "steer" } else { "observe" }.to_owned()));
            }
            fields.push(("version", start.software.as_str().to_owned()));
            (START, start.at)
        }
        Fact::Stop(stop) => (STOP, stop.at),
        Fact::Dropped(dropped) => {
            fields.push(("last", dropped.last.to_string()));
            fields.push(("count", (dropped.last - record.seq + 1).to_string()));
            (DROPPED, dropped.at)
        }
        Fact::Pause(pause) => {
            fields.push(("reason", pause.reason.word().to_owned()));
            fields.push(("length-ns", pause.length.count().to_string()));
            (PAUSE, pause.at)
        }
        Fact::Corrections(corrections) => {
            fields.push(("corrections", corrections.made.iter().map(line).collect::<Vec<_>>().join("\n")));
            (CORRECTION, corrections.at)
        }
    };
    fields.push(("at", at.system.nanos().to_string()));
    fields.push(("centre-at", at.centre.map_or("-".to_owned(), |at| at.nanos().to_string())));
    Some((kind, fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()))
}

/// Reads the record back from the entry.
///
/// # Errors
/// [`EventError`].
pub fn read<'a>(
    kind: &Kind,
    field: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<(AgentId, Record), EventError> {
    let reader = FieldReader(&field);
    let fact = match kind {
        kind if *kind == ALARM => Fact::Alarm(reader.alarm()?),
        kind if *kind == START => Fact::Start(reader.start()?),
        kind if *kind == STOP => Fact::Stop(Stop { at: reader.when()? }),
        kind if *kind == DROPPED => {
            Fact::Dropped(Dropped { at: reader.when()?, last: reader.parsed("last")? })
        }
        kind if *kind == PAUSE => Fact::Pause(reader.pause()?),
        kind if *kind == CORRECTION => Fact::Corrections(reader.corrections()?),
        other => return Err(EventError::Kind(other.clone())),
    };
    let record = Record { seq: reader.parsed("seq")?, fact };
    if record.next_seq() <= record.seq {
        return Err(EventError::Field("last"));
    }
    Ok((reader.parsed("agent")?, record))
}

/// A correction as one line: when, how, the amount, the frequency after it, and the record that it rests on.
fn line(made: &Correction) -> String {
    let Correction { at, kind, amount, frequency, rests_on } = made;
    format!("{} {} {} {} {rests_on}", at.nanos(), kind.word(), amount.count(), frequency.count())
}

fn read_line(line: &str) -> Option<Correction> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [at, kind, amount, frequency, rests_on] = parts.as_slice() else { return None };
    Some(Correction {
        at: UnixTime::from_nanos(at.parse().ok()?),
        kind: CorrectionKind::from_word(kind)?,
        amount: Nanos::new(amount.parse().ok()?),
        frequency: Ppb::new(frequency.parse().ok()?),
        rests_on: rests_on.parse().ok()?,
    })
}

struct FieldReader<'f, F>(&'f F);

impl<'a, F: Fn(&str) -> Option<&'a [u8]>> FieldReader<'_, F> {
    fn text(&self, name: &'static str) -> Result<&'a str, EventError> {
        let bytes = self.0(name).ok_or(EventError::Field(name))?;
        std::str::from_utf8(bytes).map_err(|_| EventError::Field(name))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, EventError> {
        self.text(name)?.parse().map_err(|_| EventError::Field(name))
    }

    fn nanos(&self, name: &'static str) -> Result<Nanos, EventError> {
        self.parsed(name).map(Nanos::new)
    }

    fn when(&self) -> Result<When, EventError> {
        let centre = match self.text("centre-at")? {
            "-" => None,
            _ => Some(UnixTime::from_nanos(self.parsed("centre-at")?)),
        };
        Ok(When { system: UnixTime::from_nanos(self.parsed("at")?), centre })
    }

    fn alarm(&self) -> Result<Alarm, EventError> {
        let kind = AlarmKind::from_word(self.text("kind")?).ok_or(EventError::Field("kind"))?;
        let since = self.nanos("since-ns")?;
        if since < Nanos::ZERO {
            return Err(EventError::Field("since-ns"));
        }
        Ok(Alarm { at: self.when()?, kind, difference: self.nanos("difference-ns")?, since })
    }

    fn pause(&self) -> Result<Pause, EventError> {
        let reason = PauseReason::from_word(self.text("reason")?).ok_or(EventError::Field("reason"))?;
        let length = self.nanos("length-ns")?;
        if length <= Nanos::ZERO {
            return Err(EventError::Field("length-ns"));
        }
        Ok(Pause { at: self.when()?, length, reason })
    }

    fn corrections(&self) -> Result<Corrections, EventError> {
        let lines = self.text("corrections")?.split('\n').take(MAX_CORRECTIONS + 1);
        let made: Option<Vec<_>> = lines.map(read_line).collect();
        let made = made.filter(|made| made.len() <= MAX_CORRECTIONS);
        Ok(Corrections { at: self.when()?, made: made.ok_or(EventError::Field("corrections"))? })
    }

    fn start(&self) -> Result<Start, EventError> {
        let poll = self.nanos("poll-ns")?;
        let clean = match self.text("clean")? {
            "yes" => true,
            "no" => false,
            _ => return Err(EventError::Field("clean")),
        };
        if !POLL.contains(&poll) {
            return Err(EventError::Field("poll-ns"));
        }
        let software = Software::new(self.text("version")?).map_err(|_| EventError::Field("version"))?;
        Ok(Start { at: self.when()?, poll, clean, manner: self.manner()?, software })
    }

    /// How an agent takes the time; entries from before that was told have neither field.
    fn manner(&self) -> Result<Option<Manner>, EventError> {
        if self.0("nts").is_none() && self.0("mode").is_none() {
            return Ok(None);
        }
        let nts = match self.text("nts")? {
            "yes" => true,
            "no" => false,
            _ => return Err(EventError::Field("nts")),
        };
        let steers = match self.text("mode")? {
            "steer" => true,
            "observe" => false,
            _ => return Err(EventError::Field("mode")),
        };
        Ok(Some(Manner { nts, steers }))
    }

    fn key(&self, name: &'static str) -> Result<[u8; 32], EventError> {
        let digits = self.text(name)?.as_bytes();
        let mut key = [0; 32];
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != key.len() || !rest.is_empty() {
            return Err(EventError::Field(name));
        }
        for (byte, pair) in key.iter_mut().zip(pairs) {
            let lower = pair.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            let text = std::str::from_utf8(pair).ok().filter(|_| lower).ok_or(EventError::Field(name))?;
            *byte = u8::from_str_radix(text, 16).map_err(|_| EventError::Field(name))?;
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary::upload;
    use proptest::prelude::*;

    fn get<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
        fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_slice())
    }

    #[test]
    fn enrolments_read_back() {
        let enrolment = Enrolment {
            agent: AgentId::from_bytes([9; 16]),
            name: "db-3 <&\"> 서버".to_owned(),
            public_key: [0xa5; 32],
        };
        let fields = enrolment.fields();
        assert_eq!(Enrolment::read(|name| get(&fields, name)), Ok(enrolment));
        for (name, wrong) in [
            ("name", String::new()),
            ("name", "x".repeat(256)),
            ("public-key", "A5".repeat(32)),
            ("agent", "x".to_owned()),
        ] {
            let mut fields = fields.clone();
            fields.iter_mut().find(|(key, _)| *key == name).unwrap().1 = wrong.into_bytes();
            assert_eq!(Enrolment::read(|name| get(&fields, name)), Err(EventError::Field(name)));
        }
    }

    proptest! {
        #[test]
        fn events_read_back(upload in upload(), at: prop::sample::Index) {
            for record in &upload.records {
                let Some((kind, mut fields)) = entry(upload.agent, record) else {
                    prop_assert!(matches!(record.fact, Fact::Exchange(_)));
                    continue;
                };
                prop_assert_eq!(read(&kind, |name| get(&fields, name)), Ok((upload.agent, record.clone())));
                let (gone, _) = fields.remove(at.index(fields.len()));
                // The count is for readers; it follows from the numbers.
                if gone != "count" {
                    prop_assert_eq!(read(&kind, |name| get(&fields, name)), Err(EventError::Field(gone)));
                }
            }
        }
    }
}
