//! The fields of a `time.segment` entry: a run of one agent's exchanges, packed.
//!
//! Exchanges follow one another closely and look alike, so each is written as what differs from the one before, some 16 bytes.
//! The packing is canonical: what reads packs to the same bytes again.

use std::ops::RangeInclusive;

use angbu_evidence::{Draft, Kind};
use angbu_units::{AgentId, EntryId, Nanos, NtpServerId, NtpShort, Ppb, UnixTime};

use crate::chain::{self, Chain, NotSigned, Signed};
use crate::exchange::{Exchange, Source};
use crate::packet::Leap;
use crate::proof::Proof;
use crate::record::{DecodeError, Fact, Measured, POLL, Record, flags_of, judgement_of};
use crate::wire::{Reader, put_signed, put_varint};

/// The kind of entry.
pub const KIND: Kind = Kind::constant("time.segment");

/// The most exchanges in a segment, and the most records that it is closed with.
pub const MAX_EXCHANGES: usize = 1_024;

/// How long after its first exchange arrived a segment is closed, however few it holds.
pub const MAX_AGE: Nanos = Nanos::from_secs(15 * 60);

/// The packing that this crate writes and reads.
const FORMAT: u8 = 1;

/// Why fields are not a segment's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// A field is not there, or is hidden.
    #[error("the field '{0}' is not shown")]
    Missing(&'static str),
    /// A field that should be an id is none.
    #[error("the field '{0}' is not the id that it should be")]
    Id(&'static str),
    /// A field cannot be unpacked.
    #[error("the field '{field}' cannot be unpacked: {why}")]
    Packing {
        /// Which.
        field: &'static str,
        /// Why not.
        why: DecodeError,
    },
}

/// One exchange, kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The number of its record.
    pub seq: u64,
    /// What was measured.
    pub measured: Measured,
    /// When it reached the centre.
    pub arrived: UnixTime,
    /// The `clock.state` entry that was in force at T3, if that is known ([`crate::centre_clock::History`]).
    pub clock_state: Option<EntryId>,
    /// What is proven of it.
    pub proof: Proof,
}

/// A run of exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Whose.
    pub agent: AgentId,
    /// The `time.enrolment` entry that says who that is.
    pub enrolment: EntryId,
    /// The `account.customer` entry in force when the segment was closed.
    pub settings: EntryId,
    /// At most [`MAX_EXCHANGES`] exchanges, in the order of their numbers. None only where something else is signed.
    pub exchanges: Vec<Kept>,
    /// What the agent signed of these exchanges and of what stands by itself among them; none from before agents did.
    pub signed: Option<Signed>,
}

impl Segment {
    /// The fields of the entry.
    pub fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut fields = vec![
            ("agent", self.agent.to_string().into_bytes()),
            ("enrolment", self.enrolment.to_string().into_bytes()),
            ("settings", self.settings.to_string().into_bytes()),
            ("exchanges", pack(&self.exchanges)),
            ("arrivals", pack_arrivals(&self.exchanges)),
            ("clock-states", pack_clock_states(&self.exchanges)),
        ];
        if self.exchanges.iter().any(|kept| kept.proof != Proof::NotShown) {
            fields.push(("proofs", pack_proofs(&self.exchanges)));
        }
        if let Some(signed) = &self.signed {
            fields.push(("signed", signed.encode()));
        }
        fields
    }

    /// Reads the fields of the entry; `field` looks one up by its name.
    ///
    /// # Errors
    /// [`SegmentError`] for fields that [`Self::fields`] does not make.
    pub fn read<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, SegmentError> {
        let bytes = |name| field(name).ok_or(SegmentError::Missing(name));
        let packing = |field| move |why| SegmentError::Packing { field, why };
        let signed = field("signed").map(Signed::decode).transpose().map_err(packing("signed"))?;
        let least = usize::from(signed.is_none());
        let rows = unpack(bytes("exchanges")?, least).map_err(packing("exchanges"))?;
        let arrivals = unpack_arrivals(bytes("arrivals")?, rows.len()).map_err(packing("arrivals"))?;
        let states =
            unpack_clock_states(bytes("clock-states")?, rows.len()).map_err(packing("clock-states"))?;
        // Where nothing was shown of any exchange there is no such field; to hide it proves no more than that.
        let proofs = match field("proofs") {
            Some(packed) => unpack_proofs(packed, rows.len()).map_err(packing("proofs"))?,
            None => vec![Proof::NotShown; rows.len()],
        };
        let kept = rows.into_iter().zip(arrivals).zip(states).zip(proofs);
        let exchanges = kept.map(|((((seq, measured), arrived), clock_state), proof)| Kept {
            seq,
            measured,
            arrived,
            clock_state,
            proof,
        });
        Ok(Self {
            agent: id("agent", bytes("agent")?)?,
            enrolment: id("enrolment", bytes("enrolment")?)?,
            settings: id("settings", bytes("settings")?)?,
            exchanges: exchanges.collect(),
            signed,
        })
    }

    /// The chain before and after these records, where the agent with this key signed exactly them; none where nothing is said to be
    /// signed.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn verify(&self, public_key: &[u8; 32]) -> Result<Option<(Chain, Chain)>, NotSigned> {
        let Some(signed) = &self.signed else { return Ok(None) };
        let exchanges = self.exchanges.iter().map(|kept| (kept.seq, chain::hash(&kept.record())));
        let after = signed.verify(self.agent, public_key, exchanges)?;
        Ok(Some((signed.before, after)))
    }
}

impl Kept {
    /// The record as the agent sent it.
    pub const fn record(&self) -> Record {
        Record { seq: self.seq, fact: Fact::Exchange(self.measured) }
    }
}

fn id<T: std::str::FromStr>(name: &'static str, bytes: &[u8]) -> Result<T, SegmentError> {
    let text = std::str::from_utf8(bytes).ok();
    text.and_then(|text| text.parse().ok()).ok_or(SegmentError::Id(name))
}

/// What changes seldom between exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Profile {
    server: NtpServerId,
    leap: Leap,
    stratum: u8,
    precision: i8,
    root_delay: NtpShort,
    reference_id: [u8; 4],
    poll: Nanos,
}

impl Profile {
    const fn of(measured: &Measured) -> Self {
        let source = measured.exchange.source();
        Self {
            server: measured.server,
            leap: source.leap,
            stratum: source.stratum,
            precision: source.precision,
            root_delay: source.root_delay,
            reference_id: source.reference_id,
            poll: measured.poll,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.server.as_bytes());
        out.extend([self.leap.bits(), self.stratum, self.precision.cast_unsigned()]);
        out.extend(self.root_delay.bits().to_be_bytes());
        out.extend(self.reference_id);
        out.extend(self.poll.count().to_be_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let server = NtpServerId::from_bytes(reader.array()?);
        let [leap, stratum, precision] = reader.array()?;
        let profile = Self {
            server,
            leap: if leap <= 3 { Leap::from_bits(leap) } else { return Err(DecodeError::NotCanonical) },
            stratum,
            precision: precision.cast_signed(),
            root_delay: NtpShort::from_bits(reader.u32()?),
            reference_id: reader.array()?,
            poll: Nanos::new(reader.i64()?),
        };
        if POLL.contains(&profile.poll) { Ok(profile) } else { Err(DecodeError::Poll(profile.poll)) }
    }
}

/// The first byte of an exchange: its flags (three bits), and which of these parts follow because they are not as expected.
const NEW_PROFILE: u8 = 0x08;
const GAP: u8 = 0x10;
const RATE: u8 = 0x20;

/// What the next exchange is expected to resemble.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    seq: u64,
    t1: i64,
    /// T1 to T1, T1 to T2, T3 to T4.
    steps: [i64; 3],
    dispersion: i64,
    /// Offset and T3, for the rate.
    shown: Option<(UnixTime, Nanos)>,
}

impl Before {
    /// The rate that follows from this exchange and the one before in the segment, as [`crate::sync::Sync`] reckons it.
    fn expected_rate(&self, exchange: &Exchange) -> Ppb {
        self.shown
            .map_or(Ppb::default(), |(at, offset)| Ppb::of(exchange.offset() - offset, exchange.at() - at))
    }

    fn after(&self, seq: u64, exchange: &Exchange) -> Self {
        let [t1, t2, t3, t4] = exchange.instants().map(UnixTime::nanos);
        Self {
            seq,
            t1,
            steps: [t1.wrapping_sub(self.t1), t2.wrapping_sub(t1), t4.wrapping_sub(t3)],
            dispersion: i64::from(exchange.source().root_dispersion.bits()),
            shown: Some((exchange.at(), exchange.offset())),
        }
    }
}

/// Format, number of exchanges, then each: first byte, profile if new, gap in the numbers if there is one, T1, T1 to T2,
/// T2 to T3, T3 to T4, root dispersion, rate if it does not follow. All as differences from what the exchange
/// before lets expect; they wrap around, so that each has exactly one form.
fn pack(exchanges: &[Kept]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + exchanges.len() * 20);
    out.push(FORMAT);
    put_varint(&mut out, u64::try_from(exchanges.len()).unwrap_or(u64::MAX));
    let mut before = Before::default();
    let mut profile = None;
    for kept in exchanges {
        let (exchange, judgement) = (&kept.measured.exchange, &kept.measured.judgement);
        let now = Profile::of(&kept.measured);
        let gap = kept.seq.wrapping_sub(before.seq).wrapping_sub(1);
        let rate = judgement.rate.filter(|rate| *rate != before.expected_rate(exchange));
        let head = flags_of(judgement)
            | if profile == Some(now) { 0 } else { NEW_PROFILE }
            | if gap == 0 { 0 } else { GAP }
            | if rate.is_none() { 0 } else { RATE };
        out.push(head);
        if profile.replace(now) != Some(now) {
            now.write(&mut out);
        }
        if gap != 0 {
            put_varint(&mut out, gap);
        }
        let [t1, t2, t3, t4] = exchange.instants().map(UnixTime::nanos);
        let [to_t1, to_t2, to_t4] = before.steps;
        put_signed(&mut out, t1.wrapping_sub(before.t1).wrapping_sub(to_t1));
        put_signed(&mut out, t2.wrapping_sub(t1).wrapping_sub(to_t2));
        put_signed(&mut out, t3.wrapping_sub(t2));
        put_signed(&mut out, t4.wrapping_sub(t3).wrapping_sub(to_t4));
        let dispersion = i64::from(exchange.source().root_dispersion.bits());
        put_signed(&mut out, dispersion.wrapping_sub(before.dispersion));
        if let Some(rate) = rate {
            put_signed(&mut out, rate.count());
        }
        before = before.after(kept.seq, exchange);
    }
    out
}

fn unpack(bytes: &[u8], least: usize) -> Result<Vec<(u64, Measured)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        FORMAT => {}
        other => return Err(DecodeError::Format(other)),
    }
    let count = length(reader.varint()?, least..=MAX_EXCHANGES)?;
    let mut rows = Vec::with_capacity(count);
    let mut before = Before::default();
    let mut profile = None;
    for _ in 0..count {
        let (seq, measured) = unpack_one(&mut reader, &before, &mut profile)?;
        before = before.after(seq, &measured.exchange);
        rows.push((seq, measured));
    }
    reader.end()?;
    Ok(rows)
}

fn unpack_one(
    reader: &mut Reader<'_>,
    before: &Before,
    profile: &mut Option<Profile>,
) -> Result<(u64, Measured), DecodeError> {
    let head = reader.u8()?;
    if head > 0x3f {
        return Err(DecodeError::Flags(head));
    }
    if head & NEW_PROFILE != 0 {
        let new = Profile::read(reader)?;
        if profile.replace(new) == Some(new) {
            return Err(DecodeError::NotCanonical);
        }
    }
    let now = profile.ok_or(DecodeError::Flags(head))?;
    let gap = if head & GAP != 0 { reader.varint()? } else { 0 };
    let seq = before.seq.checked_add(1).and_then(|next| next.checked_add(gap));
    let seq = seq.filter(|seq| *seq < u64::MAX).ok_or(DecodeError::NotCanonical)?;
    if head & GAP != 0 && gap == 0 {
        return Err(DecodeError::NotCanonical);
    }
    let [to_t1, to_t2, to_t4] = before.steps;
    let t1 = reader.signed()?.wrapping_add(to_t1).wrapping_add(before.t1);
    let t2 = reader.signed()?.wrapping_add(to_t2).wrapping_add(t1);
    let t3 = reader.signed()?.wrapping_add(t2);
    let t4 = reader.signed()?.wrapping_add(to_t4).wrapping_add(t3);
    let dispersion = reader.signed()?.wrapping_add(before.dispersion);
    let source = Source {
        leap: now.leap,
        stratum: now.stratum,
        precision: now.precision,
        root_delay: now.root_delay,
        root_dispersion: u32::try_from(dispersion)
            .map(NtpShort::from_bits)
            .map_err(|_| DecodeError::NotCanonical)?,
        reference_id: now.reference_id,
    };
    let exchange = Exchange::new([t1, t2, t3, t4].map(UnixTime::from_nanos), source)?;
    let expected = before.expected_rate(&exchange);
    let flags = head & 0b111;
    let rate = match (head & RATE != 0, flags & 0b100 != 0) {
        (false, true) => expected,
        (false, false) => Ppb::default(),
        (true, true) => Some(Ppb::new(reader.signed()?))
            .filter(|rate| *rate != expected)
            .ok_or(DecodeError::NotCanonical)?,
        (true, false) => return Err(DecodeError::Flags(head)),
    };
    let judgement = judgement_of(flags, rate)?;
    Ok((seq, Measured { server: now.server, exchange, judgement, poll: now.poll }))
}

/// How many arrived together, and how long after those before.
fn pack_arrivals(exchanges: &[Kept]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before = 0;
    for run in exchanges.chunk_by(|one, next| one.arrived == next.arrived) {
        let arrived = run.first().map_or(0, |kept| kept.arrived.nanos());
        put_varint(&mut out, u64::try_from(run.len()).unwrap_or(u64::MAX));
        put_signed(&mut out, arrived.wrapping_sub(before));
        before = arrived;
    }
    out
}

fn unpack_arrivals(bytes: &[u8], count: usize) -> Result<Vec<UnixTime>, DecodeError> {
    let mut before = 0_i64;
    unpack_runs(bytes, count, |reader| {
        before = reader.signed()?.wrapping_add(before);
        Ok(UnixTime::from_nanos(before))
    })
}

/// How many exchanges one clock state was in force for, and its id; all zeros where none is known.
fn pack_clock_states(exchanges: &[Kept]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in exchanges.chunk_by(|one, next| one.clock_state == next.clock_state) {
        let state = run.first().and_then(|kept| kept.clock_state);
        put_varint(&mut out, u64::try_from(run.len()).unwrap_or(u64::MAX));
        out.extend(state.unwrap_or(Draft::NO_CLOCK_STATE).to_bytes());
    }
    out
}

/// How many exchanges in a row the same is proven of, and its number.
fn pack_proofs(exchanges: &[Kept]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in exchanges.chunk_by(|one, next| one.proof == next.proof) {
        put_varint(&mut out, u64::try_from(run.len()).unwrap_or(u64::MAX));
        out.push(run.first().map_or(0, |kept| kept.proof.code()));
    }
    out
}

fn unpack_proofs(bytes: &[u8], count: usize) -> Result<Vec<Proof>, DecodeError> {
    let proofs =
        unpack_runs(bytes, count, |reader| Proof::from_code(reader.u8()?).ok_or(DecodeError::NotCanonical))?;
    let says_something = proofs.iter().any(|proof| *proof != Proof::NotShown);
    if says_something { Ok(proofs) } else { Err(DecodeError::NotCanonical) }
}

fn unpack_clock_states(bytes: &[u8], count: usize) -> Result<Vec<Option<EntryId>>, DecodeError> {
    unpack_runs(bytes, count, |reader| {
        let state = EntryId::from_bytes(reader.array()?);
        Ok((state != Draft::NO_CLOCK_STATE).then_some(state))
    })
}

/// Runs of equal values, `count` values in all; two runs beside each other never have the same.
fn unpack_runs<T: Copy + PartialEq>(
    bytes: &[u8],
    count: usize,
    mut value: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let run = length(reader.varint()?, 1..=count - values.len())?;
        let value = value(&mut reader)?;
        if values.last() == Some(&value) {
            return Err(DecodeError::NotCanonical);
        }
        values.extend(std::iter::repeat_n(value, run));
    }
    reader.end()?;
    Ok(values)
}

fn length(value: u64, range: RangeInclusive<usize>) -> Result<usize, DecodeError> {
    let value = usize::try_from(value).map_err(|_| DecodeError::NotCanonical)?;
    if range.contains(&value) { Ok(value) } else { Err(DecodeError::Count(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary::{measured, ordinary};
    use proptest::prelude::*;

    type Fields = Vec<(&'static str, Vec<u8>)>;

    fn read(fields: &Fields) -> Result<Segment, SegmentError> {
        Segment::read(|name| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_slice()))
    }

    #[test]
    fn an_ordinary_segment_is_small() {
        let signed = Some(crate::arbitrary::signed(2, 2 + MAX_EXCHANGES as u64));
        let segment = Segment { signed, ..ordinary(MAX_EXCHANGES) };
        let fields = segment.fields();
        assert_eq!(read(&fields), Ok(segment));
        let size: usize = fields.iter().map(|(_, value)| value.len()).sum();
        assert!(size < 18 * MAX_EXCHANGES, "{} bytes an exchange", size / MAX_EXCHANGES);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let fields = ordinary(3).fields();
        for name in ["agent", "enrolment", "settings", "exchanges", "arrivals", "clock-states"] {
            let less = fields.iter().filter(|(key, _)| *key != name).cloned().collect();
            assert_eq!(read(&less), Err(SegmentError::Missing(name)));
            let mut wrong = fields.clone();
            wrong.iter_mut().find(|(key, _)| *key == name).unwrap().1.push(b'0');
            assert!(
                matches!(read(&wrong), Err(SegmentError::Id(field) | SegmentError::Packing { field, .. }) if field == name)
            );
        }
        let empty = Segment { exchanges: vec![], ..ordinary(1) };
        assert!(read(&empty.fields()).is_err());
        let events = Segment { signed: Some(crate::arbitrary::signed(4, 6)), ..empty };
        assert_eq!(read(&events.fields()), Ok(events));
        assert!(read(&ordinary(MAX_EXCHANGES + 1).fields()).is_err());
    }

    fn segment() -> impl Strategy<Value = Segment> {
        let kept = (measured(), 0u64..3, any::<i64>(), 0u8..3, 0u8..3, any::<bool>(), any::<bool>());
        (prop::collection::vec(kept, 1..40), any::<bool>()).prop_map(|(rows, signed)| {
            let mut exchanges = Vec::<Kept>::new();
            for (mut measured, gap, arrived, state, proof, like_before, follows) in rows {
                let last = exchanges.last().copied();
                if let Some(last) = last.filter(|_| like_before) {
                    measured.server = last.measured.server;
                    measured.poll = last.measured.poll;
                    let source = Source {
                        root_dispersion: measured.exchange.source().root_dispersion,
                        ..*last.measured.exchange.source()
                    };
                    measured.exchange =
                        Exchange::new(measured.exchange.instants(), source).unwrap_or(last.measured.exchange);
                    if follows && measured.judgement.rate.is_some() {
                        let before = last.measured.exchange;
                        let change = measured.exchange.offset() - before.offset();
                        measured.judgement.rate = Some(Ppb::of(change, measured.exchange.at() - before.at()));
                    }
                }
                exchanges.push(Kept {
                    seq: last.map_or(0, |last| last.seq) + 1 + gap,
                    measured,
                    arrived: last
                        .filter(|_| follows)
                        .map_or(UnixTime::from_nanos(arrived), |last| last.arrived),
                    clock_state: (state > 0).then_some(EntryId::from_bytes([state; 16])),
                    proof: Proof::from_code(proof).unwrap(),
                });
            }
            let signed = signed.then(|| crate::arbitrary::signed(1, 9));
            Segment { exchanges, signed, ..ordinary(1) }
        })
    }

    proptest! {
        #[test]
        fn segments_survive_their_fields(segment in segment()) {
            prop_assert_eq!(read(&segment.fields()), Ok(segment));
        }

        #[test]
        fn whatever_reads_packs_to_the_same_bytes(segment in segment(), field in 0usize..7, at: prop::sample::Index, flip in 1u8..) {
            let mut fields = segment.fields();
            let field = field % fields.len();
            let value = &mut fields[field].1;
            let at = at.index(value.len());
            value[at] ^= flip;
            if let Ok(read) = read(&fields) {
                prop_assert_eq!(read.fields(), fields);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), good in any::<bool>()) {
            let bytes = if good { [&[1, 2, 0x0c][..], &bytes].concat() } else { bytes };
            if let Ok(rows) = unpack(&bytes, 0) {
                let kept: Vec<_> = rows.into_iter().map(|(seq, measured)| Kept { seq, measured, arrived: UnixTime::MIN, clock_state: None, proof: Proof::NotShown }).collect();
                prop_assert_eq!(pack(&kept), bytes);
            }
        }
    }
}
