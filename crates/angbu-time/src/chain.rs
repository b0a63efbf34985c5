//! The chain of an agent's records: what makes sure that nobody but the agent puts a record among its own.
//!
//! Over its records the agent keeps one hash: `chain = SHA-256(chain before ‖ SHA-256(record's bytes))`. With each upload it signs
//! a short statement of it, [`Statement`], which the centre can show to anybody long after the upload itself is gone: from the hash
//! before a run of records and the records themselves follows the hash after them, and that stands under the agent's key.
//!
//! A chain begins at a record's number, the first one or a later one where the agent does not know any more what went before
//! (its machine was put back to an earlier state, or its disk lost what it was). What it signed before stays signed.

use angbu_units::AgentId;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::record::{DecodeError, MAX_RECORDS, Record};
use crate::wire::{Reader, put_varint};

/// What stands before a chain's beginning.
const BEGINNING: &[u8] = b"angbu/1 chain\n";
/// What stands before a statement, so that no signature made for one purpose serves another.
const PURPOSE: &[u8] = b"angbu/1 upload\n";
/// The form of a [`Signed`] that this crate writes and reads.
const FORMAT: u8 = 1;

/// The chain's value before or after a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain([u8; 32]);

impl Chain {
    /// The value from which a chain begins with record `seq` of an agent with this Ed25519 key.
    pub fn begin(agent: AgentId, public_key: &[u8; 32], seq: u64) -> Self {
        let hash = Sha256::new()
            .chain_update(BEGINNING)
            .chain_update(agent.as_bytes())
            .chain_update(public_key)
            .chain_update(seq.to_be_bytes());
        Self(hash.finalize().into())
    }

    /// The value with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The value after a record with this hash.
    #[must_use]
    pub fn then(&self, record: &[u8; 32]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(record).finalize().into())
    }

    /// The value after these records.
    #[must_use]
    pub fn after<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Self {
        records.into_iter().fold(*self, |chain, record| chain.then(&hash(record)))
    }
}

/// SHA-256 over a record's bytes, without what proves its exchange.
pub fn hash(record: &Record) -> [u8; 32] {
    Sha256::digest(record.encode()).into()
}

/// What an agent signs with an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Who.
    pub agent: AgentId,
    /// The number of the record after the upload's last.
    pub next_seq: u64,
    /// The chain after the upload's last record.
    pub chain: Chain,
    /// SHA-256 over everything else of the upload.
    pub rest: [u8; 32],
}

impl Statement {
    fn encode(&self) -> Vec<u8> {
        let next = self.next_seq.to_be_bytes();
        [PURPOSE, self.agent.as_bytes(), &next, self.chain.as_bytes(), &self.rest].concat()
    }

    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> [u8; 64] {
        key.sign(&self.encode()).to_bytes()
    }

    /// Whether this signature of it is of the Ed25519 key.
    pub fn is_signed(&self, public_key: &[u8; 32], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(public_key)
            .and_then(|key| key.verify_strict(&self.encode(), &Signature::from_bytes(signature)))
            .is_ok()
    }
}

/// A record that stands by itself in the log, as the chain has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// Its number; of dropped records that of the first.
    pub seq: u64,
    /// The number of the record after it.
    pub next_seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A run of records under one signature of their agent: all that has to be kept beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The number of the first record.
    pub first_seq: u64,
    /// The number of the record after the last.
    pub next_seq: u64,
    /// The chain before the first record.
    pub before: Chain,
    /// The records that are no exchanges, by their numbers; the exchanges are kept elsewhere.
    pub others: Vec<Other>,
    /// What else the statement names: SHA-256 over the rest of the upload that the last record came with.
    pub rest: [u8; 32],
    /// The agent's signature of the statement.
    pub signature: [u8; 64],
}

/// Why records are not shown to be an agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// A record is missing, or stands where none is signed.
    #[error("record {0} is missing among those that the agent signed, or is none of them")]
    Record(u64),
    /// The signature is not the agent's, or of other records.
    #[error("the agent did not sign exactly these records")]
    Signature,
}

impl Signed {
    /// The chain after the last record, shown to be signed by the agent. `exchanges` are the numbers and the hashes of the exchanges
    /// among the records, in order.
    ///
    /// # Errors
    /// [`NotSigned`] where they and [`Self::others`] are not exactly the run of records that was signed.
    pub fn verify(
        &self,
        agent: AgentId,
        public_key: &[u8; 32],
        exchanges: impl IntoIterator<Item = (u64, [u8; 32])>,
    ) -> Result<Chain, NotSigned> {
        let mut exchanges = exchanges.into_iter().peekable();
        let mut others = self.others.iter().peekable();
        let (mut chain, mut seq) = (self.before, self.first_seq);
        while seq < self.next_seq {
            let (hash, next) = if let Some((_, hash)) = exchanges.next_if(|(at, _)| *at == seq) {
                (hash, seq.saturating_add(1))
            } else if let Some(other) = others.next_if(|other| other.seq == seq) {
                (other.hash, other.next_seq)
            } else {
                return Err(NotSigned::Record(seq));
            };
            chain = chain.then(&hash);
            seq = next;
        }
        let beyond = exchanges.next().map(|(seq, _)| seq).or_else(|| others.next().map(|other| other.seq));
        if let Some(seq) = beyond.or_else(|| Some(seq).filter(|seq| *seq != self.next_seq)) {
            return Err(NotSigned::Record(seq));
        }
        let statement = Statement { agent, next_seq: self.next_seq, chain, rest: self.rest };
        let signed = statement.is_signed(public_key, &self.signature);
        if signed { Ok(chain) } else { Err(NotSigned::Signature) }
    }

    /// This run and the one right behind it as one, under the signature of the later one. The caller has seen to it that `later`
    /// begins with the chain after this.
    pub fn extend(&mut self, later: Self) {
        self.next_seq = later.next_seq;
        self.others.extend(later.others);
        (self.rest, self.signature) = (later.rest, later.signature);
    }

    /// Its bytes: format, first number, how many follow, the chain before, the others (how many; each how far it is from the one
    /// before, how many numbers it takes, its hash), the rest of the statement, the signature.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_varint(&mut out, self.first_seq);
        put_varint(&mut out, self.next_seq.wrapping_sub(self.first_seq));
        out.extend(self.before.as_bytes());
        put_varint(&mut out, u64::try_from(self.others.len()).unwrap_or(u64::MAX));
        let mut at = self.first_seq;
        for other in &self.others {
            put_varint(&mut out, other.seq.wrapping_sub(at));
            put_varint(&mut out, other.next_seq.wrapping_sub(other.seq));
            out.extend(other.hash);
            at = other.next_seq;
        }
        out.extend(self.rest);
        out.extend(self.signature);
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`DecodeError`] for what [`Self::encode`] does not make of a run of records.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            FORMAT => {}
            other => return Err(DecodeError::Format(other)),
        }
        let first_seq = reader.varint()?;
        let next_seq = further(first_seq, reader.varint()?)?;
        let before = Chain(reader.array()?);
        let count = usize::try_from(reader.varint()?).map_err(|_| DecodeError::NotCanonical)?;
        if first_seq == 0 || next_seq <= first_seq || count > MAX_RECORDS {
            return Err(DecodeError::Count(count));
        }
        let mut others = Vec::with_capacity(count);
        let mut at = first_seq;
        for _ in 0..count {
            let seq = further(at, reader.varint()?)?;
            let next = further(seq, reader.varint()?)?;
            if next <= seq || next > next_seq {
                return Err(DecodeError::Number { expected: next_seq, found: next });
            }
            others.push(Other { seq, next_seq: next, hash: reader.array()? });
            at = next;
        }
        let (rest, signature) = (reader.array()?, reader.array()?);
        reader.end()?;
        Ok(Self { first_seq, next_seq, before, others, rest, signature })
    }
}

/// A number that lies so many behind another.
fn further(from: u64, count: u64) -> Result<u64, DecodeError> {
    from.checked_add(count).ok_or(DecodeError::NotCanonical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary::upload;
    use crate::ingest::{self, Known};
    use crate::record::{Fact, Upload};
    use angbu_units::UnixTime;
    use proptest::prelude::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn public_key() -> [u8; 32] {
        key().verifying_key().to_bytes()
    }

    /// What a centre keeps of an upload, and the exchanges in it.
    fn kept(upload: &Upload) -> (Signed, Vec<(u64, [u8; 32])>) {
        let known = Known {
            agent: upload.agent,
            public_key: public_key(),
            next_seq: upload.first_seq(),
            chain: upload.before,
        };
        let accepted = ingest::accept(&known, &ingest::sign(upload, &key()), UnixTime::MAX).unwrap();
        let exchanges = upload.records.iter().filter(|record| matches!(record.fact, Fact::Exchange(_)));
        (accepted.signed, exchanges.map(|record| (record.seq, hash(record))).collect())
    }

    proptest! {
        #[test]
        fn what_an_agent_signed_is_shown_and_survives_its_bytes(upload in upload()) {
            let (signed, exchanges) = kept(&upload);
            prop_assert_eq!(signed.verify(upload.agent, &public_key(), exchanges), Ok(upload.chain()));
            prop_assert_eq!(Signed::decode(&signed.encode()), Ok(signed));
        }

        /// Nothing can be left out, put in, changed, exchanged, or shown as another agent's.
        #[test]
        fn other_records_than_were_signed_are_refused(upload in upload(), at: prop::sample::Index, with: prop::sample::Index, bit in 0usize..256, deed in 0u8..5) {
            let (mut signed, mut exchanges) = kept(&upload);
            let count = exchanges.len() + signed.others.len();
            let (at, with) = (at.index(count), with.index(count));
            let hashes = |signed: &Signed, exchanges: &[(u64, [u8; 32])]| {
                let mut all: Vec<_> = exchanges.to_vec();
                all.extend(signed.others.iter().map(|other| (other.seq, other.hash)));
                all
            };
            let before = hashes(&signed, &exchanges);
            let split = exchanges.len();
            match deed {
                0 if at < split => { exchanges.remove(at); }
                0 => { signed.others.remove(at - split); }
                1 => {
                    let byte = if at < split { &mut exchanges[at].1[bit / 8] } else { &mut signed.others[at - split].hash[bit / 8] };
                    *byte ^= 1 << (bit % 8);
                }
                2 => {
                    let (one, other) = (before[at].1, before[with].1);
                    let mut put = |at: usize, hash| if at < split { exchanges[at].1 = hash } else { signed.others[at - split].hash = hash };
                    put(at, other);
                    put(with, one);
                }
                3 => { exchanges.push((signed.next_seq, [7; 32])); }
                _ => signed.next_seq += 1,
            }
            let changed = deed > 2 || hashes(&signed, &exchanges) != before;
            prop_assert_eq!(signed.verify(upload.agent, &public_key(), exchanges.clone()).is_err(), changed);
            let stranger = AgentId::from_bytes([0; 16]);
            prop_assert!(stranger == upload.agent || signed.verify(stranger, &public_key(), exchanges).is_err());
        }

        #[test]
        fn any_changed_byte_is_refused_or_shows_nothing(upload in upload(), at: prop::sample::Index, flip in 1u8..) {
            let (signed, exchanges) = kept(&upload);
            let mut bytes = signed.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(read) = Signed::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
                prop_assert!(read.verify(upload.agent, &public_key(), exchanges).is_err());
            }
        }

        #[test]
        fn uploads_join(one in upload(), two in upload()) {
            let first = one.records.last().unwrap().next_seq();
            let shift = first.wrapping_sub(two.first_seq());
            let records: Vec<_> = two.records.into_iter().map(|mut record| {
                record.seq = record.seq.wrapping_add(shift);
                if let Fact::Dropped(dropped) = &mut record.fact { dropped.last = dropped.last.wrapping_add(shift) }
                record
            }).collect();
            let two = Upload { agent: one.agent, before: one.chain(), records, witnesses: Default::default(), ..two };
            let ((mut signed, mut exchanges), (later, more)) = (kept(&one), kept(&two));
            signed.extend(later);
            exchanges.extend(more);
            prop_assert_eq!(signed.verify(one.agent, &public_key(), exchanges), Ok(two.chain()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&[FORMAT][..], &bytes].concat();
            if let Ok(read) = Signed::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
