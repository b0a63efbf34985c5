//! How an agent sends records: in order, with what it has seen of the log and what proves its exchanges.

use std::collections::BTreeMap;

use angbu_units::{AgentId, UnixTime};
use sha2::{Digest as _, Sha256};

use super::{DecodeError, Fact, LONGEST_CHECKPOINT, MAX_RECORDS, Record};
use crate::chain::{Chain, Statement};
use crate::proof::Witness;
use crate::wire::Reader;

/// The format of uploads that this crate writes and reads. Format 1 showed only a size of the log, not the signed
/// checkpoint; format 2 knew two kinds of alarms, no pauses and no corrections; format 3 had no chain.
const FORMAT: u8 = 4;

/// What an agent sends: records in order, with what it has seen of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Who sends.
    pub agent: AgentId,
    /// The chain before the first record.
    pub before: Chain,
    /// When, by the centre's clock as the agent reckons it ([`crate::agent::Agent::centre_time`]).
    pub sent: UnixTime,
    /// The largest checkpoint of the log that the agent has checked, a signed note of at most [`LONGEST_CHECKPOINT`]
    /// bytes: the log's signatures and the agent's own cosignature. Whoever reads it checks them.
    pub newest_checkpoint: Option<String>,
    /// 1 to [`MAX_RECORDS`] records, each beginning where the one before ends.
    pub records: Vec<Record>,
    /// What proves exchanges among the records, by their numbers.
    pub witnesses: BTreeMap<u64, Witness>,
}

impl Upload {
    /// The number of the first record.
    pub fn first_seq(&self) -> u64 {
        self.records.first().map_or(0, |record| record.seq)
    }

    /// The chain after the last record.
    pub fn chain(&self) -> Chain {
        self.before.after(&self.records)
    }

    /// The upload's bytes, without signature: format, agent, what the agent states of the chain, and the rest.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.records.len() * 96);
        out.push(FORMAT);
        out.extend(self.agent.as_bytes());
        out.extend(self.records.last().map_or(0, Record::next_seq).to_be_bytes());
        out.extend(self.chain().as_bytes());
        out.extend(self.before.as_bytes());
        out.extend(self.sent.nanos().to_be_bytes());
        let checkpoint = self.newest_checkpoint.as_deref().unwrap_or_default();
        out.extend(u16::try_from(checkpoint.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(checkpoint.as_bytes());
        out.extend(u16::try_from(self.records.len()).unwrap_or(u16::MAX).to_be_bytes());
        for record in &self.records {
            record.encode_into(&mut out);
        }
        out.extend(u16::try_from(self.witnesses.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (seq, witness) in &self.witnesses {
            out.extend(seq.to_be_bytes());
            out.extend(witness.encode());
        }
        out
    }

    /// Reads an upload.
    ///
    /// # Errors
    /// [`DecodeError`] for any byte string that is not the encoding of an upload with 1 to [`MAX_RECORDS`]
    /// records, each beginning where the one before ends, of the chain after them, and of witnesses of exchanges among them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (Statement { agent, next_seq, chain, .. }, mut reader) = Self::read_statement(bytes)?;
        let before = Chain::from_bytes(reader.array()?);
        let sent = UnixTime::from_nanos(reader.i64()?);
        let newest_checkpoint = read_checkpoint(&mut reader)?;
        let count = usize::from(reader.u16()?);
        if !(1..=MAX_RECORDS).contains(&count) {
            return Err(DecodeError::Count(count));
        }
        let mut records = Vec::<Record>::with_capacity(count);
        for _ in 0..count {
            let record = Record::read(&mut reader)?;
            if let Some(expected) = records.last().map(Record::next_seq).filter(|next| *next != record.seq) {
                return Err(DecodeError::Number { expected, found: record.seq });
            }
            records.push(record);
        }
        let witnesses = read_witnesses(&mut reader, &records)?;
        reader.end()?;
        let found = records.last().map_or(0, Record::next_seq);
        if found != next_seq {
            return Err(DecodeError::Number { expected: next_seq, found });
        }
        let upload = Self { agent, before, sent, newest_checkpoint, records, witnesses };
        if upload.chain() == chain { Ok(upload) } else { Err(DecodeError::Chain) }
    }

    /// What the agent states with an upload, before anything else about it is read, and what follows.
    pub(crate) fn read_statement(bytes: &[u8]) -> Result<(Statement, Reader<'_>), DecodeError> {
        let mut reader = Reader::new(bytes);
        let agent = Self::read_agent(&mut reader)?;
        let (next_seq, chain) = (reader.u64()?, Chain::from_bytes(reader.array()?));
        let mut rest = Sha256::new_with_prefix([FORMAT]);
        rest.update(reader.rest());
        Ok((Statement { agent, next_seq, chain, rest: rest.finalize().into() }, reader))
    }

    /// The agent that an upload names, before anything else about it is read.
    pub(crate) fn read_agent(reader: &mut Reader<'_>) -> Result<AgentId, DecodeError> {
        match reader.u8()? {
            FORMAT => reader.array().map(AgentId::from_bytes),
            other => Err(DecodeError::Format(other)),
        }
    }
}

/// Witnesses in the order of their numbers, each of an exchange that is there.
fn read_witnesses(
    reader: &mut Reader<'_>,
    records: &[Record],
) -> Result<BTreeMap<u64, Witness>, DecodeError> {
    let mut witnesses = BTreeMap::new();
    for _ in 0..reader.u16()? {
        let seq = reader.u64()?;
        let place = records.binary_search_by_key(&seq, |record| record.seq);
        let record = place.ok().and_then(|at| records.get(at));
        let is_exchange = record.is_some_and(|record| matches!(record.fact, Fact::Exchange(_)));
        let follows = witnesses.last_key_value().is_none_or(|(last, _)| *last < seq);
        if !is_exchange || !follows {
            return Err(DecodeError::Witness(seq));
        }
        witnesses.insert(seq, Witness::read(reader)?);
    }
    Ok(witnesses)
}

/// A text behind its length; none where that is zero.
fn read_checkpoint(reader: &mut Reader<'_>) -> Result<Option<String>, DecodeError> {
    let length = usize::from(reader.u16()?);
    if length > LONGEST_CHECKPOINT {
        return Err(DecodeError::Checkpoint);
    }
    let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| DecodeError::Checkpoint)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
