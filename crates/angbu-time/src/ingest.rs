//! Accepting an upload: who sent it, whether it follows what is already there, and what of it is new.
//!
//! The wire form is a 64-byte Ed25519 signature (RFC 8032) followed by the upload's bytes. What is signed is the statement that
//! those bytes begin with, and a hash over the others ([`crate::chain`]).

use std::collections::BTreeMap;

use angbu_units::{AgentId, Nanos, UnixTime};
use ed25519_dalek::SigningKey;

use crate::chain::{self, Chain, Other, Signed, Statement};
use crate::proof::Witness;
use crate::record::{DecodeError, Fact, Record, Upload};
use crate::wire::Reader;

/// The longest upload on the wire, signature included.
pub const MAX_WIRE: usize = 256 * 1_024;

/// How far ahead of the centre's clock an upload may say that it is: what an agent's reckoning may be off.
pub const AHEAD: Nanos = Nanos::from_secs(60);

const SIGNATURE: usize = 64;

/// What the centre knows of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The agent.
    pub agent: AgentId,
    /// Its Ed25519 key.
    pub public_key: [u8; 32],
    /// The number of the record that is expected next.
    pub next_seq: u64,
    /// The chain before that record.
    pub chain: Chain,
}

/// What is new in an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The records that are not yet in effect; at least one.
    pub records: Vec<Record>,
    /// What is expected after them.
    pub next_seq: u64,
    /// The largest checkpoint that the agent has checked, as it sent it: a signed note of which nothing is checked yet.
    pub newest_checkpoint: Option<String>,
    /// What proves exchanges among the records, by their numbers; nothing of it is checked yet ([`crate::proof`]).
    pub witnesses: BTreeMap<u64, Witness>,
    /// What the agent signed of the records.
    pub signed: Signed,
    /// The chain after them.
    pub chain: Chain,
}

/// Why an upload is refused. Nothing of a refused upload is in effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_WIRE`].
    #[error("the upload has {0} bytes, at most {MAX_WIRE} are read; send fewer records at a time")]
    TooLarge(usize),
    /// Not the bytes of an upload.
    #[error("the upload cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// No such agent is enrolled here.
    #[error("{0} is not enrolled at this centre; enrol it with a new code")]
    UnknownAgent(AgentId),
    /// The signature is not the agent's.
    #[error("the upload is not signed by {0}")]
    BadSignature(AgentId),
    /// Records between those in effect and these are missing.
    #[error("the upload begins with record {found}, but record {expected} is expected next")]
    Gap {
        /// What is expected.
        expected: u64,
        /// What the upload begins with.
        found: u64,
    },
    /// Every record is already in effect.
    #[error("every record of the upload is already in effect, record {next_seq} is expected next")]
    Replay {
        /// What is expected.
        next_seq: u64,
    },
    /// The records follow others than those in effect.
    #[error(
        "the chain of the upload's records does not follow from those in effect before record {expected}"
    )]
    Chain {
        /// The record that is expected next.
        expected: u64,
    },
    /// The upload, or an exchange in it, is from an instant that has not come yet.
    #[error("the upload holds an instant that lies {by} ahead of this centre's clock")]
    FromTheFuture {
        /// How far ahead.
        by: Nanos,
    },
}

/// Signs an upload.
pub fn sign(upload: &Upload, key: &SigningKey) -> Vec<u8> {
    let bytes = upload.encode();
    let (statement, _) =
        Upload::read_statement(&bytes).expect("broken invariant: an upload begins with its statement");
    [&statement.sign(key)[..], &bytes].concat()
}

/// The agent that an upload says it is from. Nothing about that is checked yet.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Malformed`].
pub fn claimed_agent(wire: &[u8]) -> Result<AgentId, Refusal> {
    let (_, bytes) = split(wire)?;
    Ok(Upload::read_agent(&mut Reader::new(bytes))?)
}

/// Judges an upload by what is known of the agent that it names.
///
/// `latest` is the latest instant that the centre's clock has ever shown: where that clock was set back, honest records from before
/// are not from the future.
///
/// # Errors
/// [`Refusal`]; [`Refusal::UnknownAgent`] is the caller's where it knows no such agent, and here when `known` is another.
pub fn accept(known: &Known, wire: &[u8], latest: UnixTime) -> Result<Accepted, Refusal> {
    let (signature, bytes) = split(wire)?;
    let (statement, _) = Upload::read_statement(bytes)?;
    let agent = statement.agent;
    if agent != known.agent {
        return Err(Refusal::UnknownAgent(agent));
    }
    if !statement.is_signed(&known.public_key, signature) {
        return Err(Refusal::BadSignature(agent));
    }
    let upload = Upload::decode(bytes)?;
    let newest = upload.records.iter().filter_map(exchanged_at).fold(upload.sent, UnixTime::max);
    if newest > latest + AHEAD {
        return Err(Refusal::FromTheFuture { by: newest - latest });
    }
    let expected = known.next_seq;
    let first = upload.first_seq();
    if first > expected {
        return Err(Refusal::Gap { expected, found: first });
    }
    let Statement { next_seq, chain, rest, .. } = statement;
    if next_seq <= expected {
        return Err(Refusal::Replay { next_seq: expected });
    }
    let before = chain_at(known, &upload).ok_or(Refusal::Chain { expected })?;
    let Upload { newest_checkpoint, witnesses, mut records, .. } = upload;
    records.retain(|record| record.seq >= expected);
    let others =
        records.iter().filter(|record| !matches!(record.fact, Fact::Exchange(_))).map(other).collect();
    let signed = Signed { first_seq: expected, next_seq, before, others, rest, signature: *signature };
    Ok(Accepted { records, next_seq, newest_checkpoint, witnesses, signed, chain })
}

/// The chain before the first record that is not in effect yet, where it is the one that follows those in effect, or one that begins
/// there. A run of dropped records of which some are in effect is none that follows.
fn chain_at(known: &Known, upload: &Upload) -> Option<Chain> {
    let Known { agent, public_key, next_seq: expected, chain } = known;
    let told = upload.records.iter().take_while(|record| record.next_seq() <= *expected).count();
    let (in_effect, new) = upload.records.split_at_checked(told)?;
    let before = upload.before.after(in_effect);
    let begins = in_effect.is_empty() && before == Chain::begin(*agent, public_key, *expected);
    let follows = new.first().is_some_and(|first| first.seq == *expected);
    (follows && (begins || before == *chain)).then_some(before)
}

fn other(record: &Record) -> Other {
    Other { seq: record.seq, next_seq: record.next_seq(), hash: chain::hash(record) }
}

fn split(wire: &[u8]) -> Result<(&[u8; SIGNATURE], &[u8]), Refusal> {
    if wire.len() > MAX_WIRE {
        return Err(Refusal::TooLarge(wire.len()));
    }
    Ok(wire.split_first_chunk::<SIGNATURE>().ok_or(DecodeError::Truncated)?)
}

fn exchanged_at(record: &Record) -> Option<UnixTime> {
    match &record.fact {
        Fact::Exchange(measured) => Some(measured.exchange.at()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Dropped, MAX_RECORDS, Stop, When};
    use proptest::prelude::*;

    const NOW: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_000);

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn known(next_seq: u64) -> Known {
        let (agent, public_key) = (AgentId::from_bytes([1; 16]), key(1).verifying_key().to_bytes());
        // What the chain is where the records before are those of `stops`.
        let chain = before().after(&stops(5, next_seq.saturating_sub(5)));
        Known { agent, public_key, next_seq, chain }
    }

    /// The chain before record 5.
    fn before() -> Chain {
        Chain::from_bytes([5; 32])
    }

    fn stops(first: u64, count: u64) -> Vec<Record> {
        let at = When { system: NOW, centre: None };
        (first..first + count).map(|seq| Record { seq, fact: Fact::Stop(Stop { at }) }).collect()
    }

    fn upload(records: Vec<Record>) -> Upload {
        Upload {
            agent: AgentId::from_bytes([1; 16]),
            before: match records.first().map_or(0, |first| first.seq) {
                1 => Chain::begin(AgentId::from_bytes([1; 16]), &key(1).verifying_key().to_bytes(), 1),
                _ => before(),
            },
            sent: NOW,
            newest_checkpoint: Some("a checkpoint\n".to_owned()),
            records,
            witnesses: BTreeMap::new(),
        }
    }

    #[track_caller]
    fn check(next_seq: u64, wire: &[u8], expected: Result<(u64, u64), Refusal>) {
        check_with(&known(next_seq), wire, expected);
    }

    #[track_caller]
    fn check_with(known: &Known, wire: &[u8], expected: Result<(u64, u64), Refusal>) {
        let accepted = accept(known, wire, NOW);
        assert_eq!(accepted.map(|accepted| (accepted.records[0].seq, accepted.next_seq)), expected);
    }

    #[test]
    fn in_order_once_in_effect() {
        let wire = sign(&upload(stops(5, 3)), &key(1));
        check(5, &wire, Ok((5, 8)));
        check(6, &wire, Ok((6, 8)));
        check(7, &wire, Ok((7, 8)));
        check(8, &wire, Err(Refusal::Replay { next_seq: 8 }));
        check(900, &wire, Err(Refusal::Replay { next_seq: 900 }));
        check(4, &wire, Err(Refusal::Gap { expected: 4, found: 5 }));
    }

    #[test]
    fn dropped_records_count_once() {
        let at = When { system: NOW, centre: Some(NOW) };
        let dropped = Record { seq: 5, fact: Fact::Dropped(Dropped { at, last: 9 }) };
        let wire = sign(&upload([vec![dropped.clone()], stops(10, 1)].concat()), &key(1));
        check(5, &wire, Ok((5, 11)));
        check(8, &wire, Err(Refusal::Chain { expected: 8 }));
        let known = Known { chain: before().after([&dropped]), ..known(10) };
        check_with(&known, &wire, Ok((10, 11)));
        check(10, &wire, Err(Refusal::Chain { expected: 10 }));
        check(11, &wire, Err(Refusal::Replay { next_seq: 11 }));
    }

    #[test]
    fn records_follow_those_in_effect_or_begin_anew() {
        let good = upload(stops(5, 3));
        let Known { agent, public_key, .. } = known(5);
        let with = |before| sign(&Upload { before, ..good.clone() }, &key(1));
        let other = with(Chain::from_bytes([6; 32]));
        for next_seq in 5..8 {
            check(next_seq, &other, Err(Refusal::Chain { expected: next_seq }));
        }
        // An agent that does not know what went before begins at its next record, and at no other.
        let anew = with(Chain::begin(agent, &public_key, 5));
        check(5, &anew, Ok((5, 8)));
        check(6, &anew, Err(Refusal::Chain { expected: 6 }));
        check(5, &with(Chain::begin(agent, &public_key, 6)), Err(Refusal::Chain { expected: 5 }));
        check(5, &with(Chain::begin(agent, &[9; 32], 5)), Err(Refusal::Chain { expected: 5 }));
    }

    #[test]
    fn what_is_stated_follows_from_the_records() {
        let mut bytes = upload(stops(5, 3)).encode();
        for (place, why) in [(24, DecodeError::Number { expected: 9, found: 8 }), (25, DecodeError::Chain)] {
            bytes[place] ^= 1;
            let (statement, _) = Upload::read_statement(&bytes).unwrap();
            let wire = [&statement.sign(&key(1))[..], &bytes].concat();
            check(5, &wire, Err(Refusal::Malformed(why)));
            bytes[place] ^= 1;
        }
    }

    #[test]
    fn what_is_not_the_agents_is_refused() {
        let agent = AgentId::from_bytes([1; 16]);
        let good = upload(stops(1, 1));
        check(1, &sign(&good, &key(2)), Err(Refusal::BadSignature(agent)));
        let mut unsigned = sign(&good, &key(1));
        unsigned[..64].fill(0);
        check(1, &unsigned, Err(Refusal::BadSignature(agent)));
        let stranger = AgentId::from_bytes([9; 16]);
        let other = Upload { agent: stranger, ..good };
        check(1, &sign(&other, &key(1)), Err(Refusal::UnknownAgent(stranger)));
        assert_eq!(claimed_agent(&sign(&other, &key(1))), Ok(stranger));
    }

    #[test]
    fn sizes_are_bounded() {
        check(1, &vec![0; MAX_WIRE + 1], Err(Refusal::TooLarge(MAX_WIRE + 1)));
        check(1, &[0; 63], Err(Refusal::Malformed(DecodeError::Truncated)));
        check(1, &[0; 70], Err(Refusal::Malformed(DecodeError::Format(0))));
        for count in [0, MAX_RECORDS + 1] {
            let records = stops(1, u64::try_from(count).unwrap());
            check(1, &sign(&upload(records), &key(1)), Err(Refusal::Malformed(DecodeError::Count(count))));
        }
        assert!(sign(&upload(stops(1, 1_024)), &key(1)).len() < MAX_WIRE);
    }

    #[test]
    fn the_future_is_refused() {
        let late = Upload { sent: NOW + AHEAD, ..upload(stops(1, 1)) };
        check(1, &sign(&late, &key(1)), Ok((1, 2)));
        let early = Upload { sent: NOW + AHEAD + Nanos::new(1), ..late };
        check(1, &sign(&early, &key(1)), Err(Refusal::FromTheFuture { by: AHEAD + Nanos::new(1) }));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_refused(upload in crate::arbitrary::upload(), at: prop::sample::Index, flip in 1u8..) {
            let known = Known { agent: upload.agent, next_seq: upload.first_seq(), chain: upload.before, ..known(1) };
            let mut wire = sign(&upload, &key(1));
            prop_assert!(accept(&known, &wire, UnixTime::MAX).is_ok());
            let at = at.index(wire.len());
            wire[at] ^= flip;
            prop_assert!(accept(&known, &wire, UnixTime::MAX).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            prop_assert!(accept(&known(1), &bytes, NOW).is_err());
        }
    }
}
