//! What one agent signed, held against its entries: that nobody else made, changed, exchanged or left out a record among them.

use std::collections::BTreeMap;

use angbu_evidence::report::{Proven, ProvenEntry};
use angbu_units::{AgentId, UnixTime};

use super::RenderError;
use crate::chain::{self, Chain};
use crate::record::Record;
use crate::segment::Segment;

/// The first version of the rendering whose reports rest on the agents' signatures.
pub(super) const SINCE: u32 = 2;

/// From where on a report leaves out no entry: what an agent signed of before need not have its entry there.
#[derive(Clone, Copy)]
pub(super) struct Complete {
    /// When the first of the entries was made of which none is left out; none where that is the customer's very first.
    since: Option<UnixTime>,
    /// When the period ends: an event that arrived later may not be signed yet, and is not told.
    until: UnixTime,
}

impl Complete {
    pub(super) fn of(proven: &Proven) -> Self {
        let own = proven.entries.iter().filter(|entry| entry.entry.customer == proven.subject.customer);
        let first =
            own.filter(|entry| entry.entry.number >= proven.complete_from).map(|entry| entry.entry.time);
        let since = first.min().filter(|_| proven.complete_from > 1);
        Self { since, until: proven.subject.to }
    }
}

/// A record that the agent signed and that stands in an entry of its own.
struct Expected {
    /// The log index of the segment that has its signature.
    by: u64,
    hash: [u8; 32],
    /// Its entry is surely among those of which none is left out.
    due: bool,
}

/// The records of one agent.
pub(super) struct Trail {
    agent: AgentId,
    public_key: [u8; 32],
    complete: Complete,
    /// The number after the last record that is signed, and the chain there.
    end: Option<(u64, Chain)>,
    expected: BTreeMap<u64, Expected>,
    /// The number of the first event that is told: none behind it may be missing.
    first_told: Option<u64>,
}

impl Trail {
    pub(super) const fn new(agent: AgentId, public_key: [u8; 32], complete: Complete) -> Self {
        Self { agent, public_key, complete, end: None, expected: BTreeMap::new(), first_told: None }
    }

    /// Takes a segment, in the order of the log.
    pub(super) fn segment(&mut self, index: u64, segment: &Segment) -> Result<(), RenderError> {
        let chains = segment.verify(&self.public_key).map_err(|why| RenderError::NotSigned { index, why })?;
        let (Some((before, after)), Some(signed)) = (chains, &segment.signed) else {
            return Err(RenderError::Unsigned { index });
        };
        let begins = before == Chain::begin(self.agent, &self.public_key, signed.first_seq);
        if let Some((next_seq, chain)) = self.end
            && (signed.first_seq != next_seq || (before != chain && !begins))
        {
            return Err(RenderError::Unlinked { index });
        }
        self.end = Some((signed.next_seq, after));
        for other in &signed.others {
            let before = segment.exchanges.partition_point(|kept| kept.seq < other.seq);
            let before = before.checked_sub(1).and_then(|place| segment.exchanges.get(place));
            // An event arrived no earlier than the exchange before it, and its entry was made when it arrived.
            let due =
                self.complete.since.is_none_or(|since| before.is_some_and(|kept| kept.arrived >= since));
            self.expected.insert(other.seq, Expected { by: index, hash: other.hash, due });
        }
        Ok(())
    }

    /// Takes an event, after all segments; whether it counts in this report.
    pub(super) fn event(&mut self, entry: &ProvenEntry, record: &Record) -> Result<bool, RenderError> {
        let unsigned = self.end.is_none_or(|(next_seq, _)| record.seq >= next_seq);
        if unsigned && entry.entry.time >= self.complete.until {
            return Ok(false);
        }
        let expected = self.expected.remove(&record.seq).filter(|found| found.hash == chain::hash(record));
        self.first_told = Some(self.first_told.map_or(record.seq, |first| first.min(record.seq)));
        if expected.is_some() { Ok(true) } else { Err(RenderError::Invented { index: entry.index }) }
    }

    /// That no event is missing which the agent signed.
    pub(super) fn end(self) -> Result<(), RenderError> {
        let first = self.first_told;
        let missing = self
            .expected
            .into_iter()
            .find(|(seq, expected)| expected.due || first.is_some_and(|first| *seq > first));
        match missing {
            Some((seq, Expected { by, .. })) => {
                Err(RenderError::LeftOut { index: by, agent: self.agent, seq })
            }
            None => Ok(()),
        }
    }
}
