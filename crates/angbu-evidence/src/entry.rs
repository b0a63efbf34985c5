//! One record in the log, and the draft of it that waits to be given its place.

use std::str::FromStr;

use angbu_units::{ClockVerdict, CustomerId, EntryId, Nanos, ProvenInstant, UnixTime};

use crate::text::{signed, unsigned};
use crate::{Hash, Kind};

/// The longest entry.
pub const LONGEST: usize = 512;

/// What a state transaction stores of an entry: everything but its place in the log,
/// which the sequencer alone gives.
///
/// The clock state [`Draft::NO_CLOCK_STATE`] says that none exists yet. A `clock.state` entry names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The entry's id.
    pub id: EntryId,
    /// What it is about.
    pub kind: Kind,
    /// When, and what is known about that instant. The error bound is at least 0.
    pub instant: ProvenInstant,
    /// Whose it is.
    pub customer: CustomerId,
    /// The root over its salted fields.
    pub body_root: Hash,
}

/// Why bytes are no draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no draft of an entry; the table that holds them is damaged")]
pub struct NotADraft;

impl Draft {
    /// The clock state of a site's first entries, before it has recorded any.
    pub const NO_CLOCK_STATE: EntryId = EntryId::from_bytes([0; 16]);

    /// The draft's bytes: a version (1), the id, the kind behind its length, the time, the bound (eight bytes
    /// each, big end first), the verdict, the clock state's id, the customer, and the body's root.
    pub fn encode(&self) -> Vec<u8> {
        let kind = self.kind.as_str();
        let length = u8::try_from(kind.len()).expect("a kind has at most 40 bytes");
        let mut bytes = vec![1];
        bytes.extend_from_slice(&self.id.to_bytes());
        bytes.push(length);
        bytes.extend_from_slice(kind.as_bytes());
        bytes.extend_from_slice(&self.instant.time.nanos().to_be_bytes());
        bytes.extend_from_slice(&self.instant.error_bound.count().to_be_bytes());
        bytes.push(match self.instant.verdict {
            ClockVerdict::Unproven => 0,
            ClockVerdict::Declared => 1,
            ClockVerdict::Proven => 2,
        });
        bytes.extend_from_slice(&self.instant.clock_state.to_bytes());
        bytes.extend_from_slice(self.customer.as_bytes());
        bytes.extend_from_slice(self.body_root.as_bytes());
        bytes
    }

    /// Reads a draft's bytes. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`NotADraft`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NotADraft> {
        Self::read(bytes).ok_or(NotADraft)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[1])?;
        let (id, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let (kind, rest) = rest.split_at_checked(usize::from(*length))?;
        let (time, rest) = rest.split_first_chunk()?;
        let (bound, rest) = rest.split_first_chunk()?;
        let (verdict, rest) = rest.split_first()?;
        let (clock_state, rest) = rest.split_first_chunk()?;
        let (customer, rest) = rest.split_first_chunk()?;
        let error_bound = i64::from_be_bytes(*bound);
        Some(Self {
            id: EntryId::from_bytes(*id),
            kind: Kind::new(std::str::from_utf8(kind).ok()?).ok()?,
            instant: ProvenInstant {
                time: UnixTime::from_nanos(i64::from_be_bytes(*time)),
                error_bound: (error_bound >= 0).then_some(Nanos::new(error_bound))?,
                verdict: match verdict {
                    0 => ClockVerdict::Unproven,
                    1 => ClockVerdict::Declared,
                    2 => ClockVerdict::Proven,
                    _ => return None,
                },
                clock_state: EntryId::from_bytes(*clock_state),
            },
            customer: CustomerId::from_bytes(*customer),
            body_root: Hash::from_slice(rest)?,
        })
    }
}

/// One record in the log.
///
/// Its bytes in the log are a short text of five lines, each ended by a line end:
///
/// ```text
/// angbu/1 time.segment
/// id 01KAGVN8QK8Y6Q1F8N5S9T3WXR
/// instant 1763762721000000000 25000000 declared 17
/// customer cus_000102030405060708090a0b0c0d0e0f 42
/// body 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
/// ```
///
/// The third line gives the time and its error bound in nanoseconds, the clock's verdict, and the log index
/// of the clock state that shows why ("-" where none exists yet); the fourth the running number among this
/// customer's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's id.
    pub id: EntryId,
    /// What it is about.
    pub kind: Kind,
    /// What the centre's clock showed.
    pub time: UnixTime,
    /// How far true time can lie from it; at least 0.
    pub error_bound: Nanos,
    /// What the bound rests on.
    pub verdict: ClockVerdict,
    /// The log index of the `clock.state` entry in force, if there was one.
    pub clock_state: Option<u64>,
    /// Whose it is.
    pub customer: CustomerId,
    /// Its running number among this customer's entries, from 1.
    pub number: u64,
    /// The root over its salted fields.
    pub body_root: Hash,
}

/// Why a text is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Longer than entries can be.
    #[error("an entry has at most 512 bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("an entry is UTF-8 text")]
    NotText,
    /// Not five lines, each with a line end.
    #[error("an entry has five lines, each with a line end")]
    NotFiveLines,
    /// The first line.
    #[error("the entry's first line should be 'angbu/1' and its kind")]
    BadKind,
    /// The second line.
    #[error("the entry's second line should be 'id' and a ULID")]
    BadId,
    /// The third line.
    #[error(
        "the entry's third line should be 'instant', the time, the error bound, the clock's verdict and the clock state's index"
    )]
    BadInstant,
    /// The fourth line.
    #[error("the entry's fourth line should be 'customer', the customer's id and a running number from 1")]
    BadCustomer,
    /// The fifth line.
    #[error("the entry's fifth line should be 'body' and a hash")]
    BadBody,
}

impl Entry {
    /// The entry's text, whose bytes are what the log hashes.
    pub fn encode(&self) -> String {
        let clock_state = self.clock_state.map_or("-".to_owned(), |index| index.to_string());
        format!(
            "angbu/1 {}\nid {}\ninstant {} {} {} {clock_state}\ncustomer {} {}\nbody {}\n",
            self.kind,
            self.id,
            self.time.nanos(),
            self.error_bound.count(),
            self.verdict,
            self.customer,
            self.number,
            self.body_root
        )
    }

    /// Reads an entry's bytes. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`EntryError`], naming the first wrong line.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > LONGEST {
            return Err(EntryError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| EntryError::NotText)?;
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(EntryError::NotFiveLines)?.split('\n').collect();
        let [kind, id, instant, customer, body] = lines.as_slice() else {
            return Err(EntryError::NotFiveLines);
        };
        let kind = kind.strip_prefix("angbu/1 ").and_then(|kind| Kind::new(kind).ok());
        let (time, error_bound, verdict, clock_state) =
            parse_instant(instant).ok_or(EntryError::BadInstant)?;
        let (customer, number) = parse_customer(customer).ok_or(EntryError::BadCustomer)?;
        Ok(Self {
            id: after(id, "id ").ok_or(EntryError::BadId)?,
            kind: kind.ok_or(EntryError::BadKind)?,
            time,
            error_bound,
            verdict,
            clock_state,
            customer,
            number,
            body_root: after(body, "body ").ok_or(EntryError::BadBody)?,
        })
    }
}

fn after<T: FromStr>(line: &str, word: &str) -> Option<T> {
    line.strip_prefix(word)?.parse().ok()
}

fn parse_instant(line: &str) -> Option<(UnixTime, Nanos, ClockVerdict, Option<u64>)> {
    let parts: Vec<&str> = line.strip_prefix("instant ")?.split(' ').collect();
    let [time, bound, verdict, clock_state] = parts.as_slice() else { return None };
    let bound = signed(bound).filter(|bound| *bound >= 0)?;
    let clock_state = if *clock_state == "-" { None } else { Some(unsigned(clock_state)?) };
    Some((UnixTime::from_nanos(signed(time)?), Nanos::new(bound), verdict.parse().ok()?, clock_state))
}

fn parse_customer(line: &str) -> Option<(CustomerId, u64)> {
    let (customer, number) = line.strip_prefix("customer ")?.split_once(' ')?;
    Some((customer.parse().ok()?, unsigned(number).filter(|number| *number > 0)?))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::leaf_hash;
    use crate::mutation::{edits, mutate};

    const SAMPLE: &str = "angbu/1 time.segment\n\
        id 01KAGVN8QK8Y6Q1F8N5S9T3WXR\n\
        instant 1763762721000000000 25000000 declared 17\n\
        customer cus_000102030405060708090a0b0c0d0e0f 42\n\
        body 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    pub(crate) fn verdicts() -> impl Strategy<Value = ClockVerdict> {
        prop::sample::select(vec![ClockVerdict::Proven, ClockVerdict::Declared, ClockVerdict::Unproven])
    }

    prop_compose! {
        fn entries()(
            id: [u8; 16], kind in "[a-z]{1,8}(-[a-z]{1,4})?\\.[a-z]{1,8}(\\.[a-z]{1,8})?", time: i64,
            bound in 0..=i64::MAX, verdict in verdicts(), clock_state: Option<u64>, customer: [u8; 16],
            number in 1..=u64::MAX, body: [u8; 32],
        ) -> Entry {
            Entry {
                id: EntryId::from_bytes(id),
                kind: Kind::new(&kind).unwrap(),
                time: UnixTime::from_nanos(time),
                error_bound: Nanos::new(bound),
                verdict,
                clock_state,
                customer: CustomerId::from_bytes(customer),
                number,
                body_root: Hash::from_bytes(body),
            }
        }
    }

    #[test]
    fn the_sample_reads() {
        let entry = Entry::decode(SAMPLE.as_bytes()).unwrap();
        assert_eq!(entry.encode(), SAMPLE);
        assert_eq!((entry.kind.as_str(), entry.number, entry.clock_state), ("time.segment", 42, Some(17)));
        assert_eq!(entry.error_bound, Nanos::from_millis(25));
    }

    #[test]
    fn the_first_wrong_line_is_named() {
        let table = [
            ("angbu/1 time", "angbu/2 time", EntryError::BadKind),
            ("time.segment", "Time.segment", EntryError::BadKind),
            ("time.segment", "time.segment ", EntryError::BadKind),
            ("id 01KAGVN8QK8Y6Q1F8N5S9T3WXR", "id 01kagvn8qk8y6q1f8n5s9t3wxr", EntryError::BadId),
            ("id 01", "ID 01", EntryError::BadId),
            ("25000000", "025000000", EntryError::BadInstant),
            ("25000000", "-25000000", EntryError::BadInstant),
            ("25000000", "+25000000", EntryError::BadInstant),
            ("declared", "Declared", EntryError::BadInstant),
            (" 17", " 017", EntryError::BadInstant),
            (" 17", "", EntryError::BadInstant),
            (" 17", " 17 18", EntryError::BadInstant),
            (" 17", " --", EntryError::BadInstant),
            ("1763762721000000000", "9223372036854775808", EntryError::BadInstant),
            (" 42", " 0", EntryError::BadCustomer),
            (" 42", "", EntryError::BadCustomer),
            ("cus_0", "agt_0", EntryError::BadCustomer),
            ("uFU=", "uFV=", EntryError::BadBody),
            ("uFU=", "uFU", EntryError::BadBody),
            ("uFU=\n", "uFU=", EntryError::NotFiveLines),
            ("uFU=\n", "uFU=\n\n", EntryError::NotFiveLines),
            ("\n", "\r\n", EntryError::BadInstant),
        ];
        for (from, to, expected) in table {
            assert_eq!(Entry::decode(SAMPLE.replace(from, to).as_bytes()), Err(expected), "{from} → {to}");
        }
        assert_eq!(Entry::decode(&[0xff; 40]), Err(EntryError::NotText));
        assert_eq!(Entry::decode(&[b'a'; 513]), Err(EntryError::TooLong));
        assert_eq!(Entry::decode(b""), Err(EntryError::NotFiveLines));
    }

    proptest! {
        #[test]
        fn entries_round_trip(entry in entries(), edits in edits()) {
            let text = entry.encode();
            prop_assert!(text.len() <= LONGEST);
            prop_assert_eq!(&Entry::decode(text.as_bytes()).unwrap(), &entry);
            let changed = mutate(&text, &edits);
            if let Ok(read) = Entry::decode(&changed) {
                prop_assert_eq!(read.encode().into_bytes(), changed);
            }
        }

        #[test]
        fn drafts_round_trip(entry in entries(), clock_state: [u8; 16], edits in edits()) {
            let draft = Draft {
                id: entry.id,
                kind: entry.kind,
                instant: ProvenInstant {
                    time: entry.time,
                    error_bound: entry.error_bound,
                    verdict: entry.verdict,
                    clock_state: EntryId::from_bytes(clock_state),
                },
                customer: entry.customer,
                body_root: leaf_hash(b"body"),
            };
            let bytes = draft.encode();
            prop_assert_eq!(&Draft::decode(&bytes).unwrap(), &draft);
            let changed = mutate(&bytes, &edits);
            if let Ok(read) = Draft::decode(&changed) {
                prop_assert_eq!(read.encode(), changed);
            }
        }
    }
}
