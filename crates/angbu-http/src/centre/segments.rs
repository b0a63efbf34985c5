//! The segments by which exchanges enter the log.

use std::sync::Arc;

use angbu_store::time::{ExchangeRow, SegmentRow};
use angbu_store::{Snapshot, StoreError};
use angbu_time::chain::{Chain, Signed};
use angbu_time::record::{DecodeError, Fact, Record};
use angbu_time::segment::{self, Segment};
use angbu_units::{AgentId, CentreId, UnixTime};

use super::time::is_centre;
use super::{Centre, OwnClock, append, proofs};

impl Centre {
    /// Puts exchanges into the log as segments: those of agents with a full segment or one that is old enough, or
    /// `all` of them.
    ///
    /// # Errors
    /// Where the database does not take it; what was closed before stays closed.
    pub async fn close_segments(&self, all: bool) -> Result<(), StoreError> {
        let now = self.clock.read().wall;
        let (count, before) =
            if all { (1, UnixTime::MAX) } else { (segment::MAX_EXCHANGES as u64, now - segment::MAX_AGE) };
        let due = self.store.read(move |snapshot| snapshot.agents_due(count, before)).await?;
        for agent in due {
            let mut left = agent.open_count;
            while left > 0 {
                let closed = self.close_segment(agent.id).await?;
                if closed == 0 {
                    break;
                }
                left = left.saturating_sub(closed);
                if !all && left < segment::MAX_EXCHANGES as u64 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn close_segment(&self, id: AgentId) -> Result<u64, StoreError> {
        let stamp = self.instant();
        let own_clock = Arc::clone(&self.own_clock);
        self.store
            .write(move |tx| {
                let Some(agent) = tx.agent(id)? else { return Ok(0) };
                let Some(customer) = tx.customer(agent.customer)? else { return Ok(0) };
                let Some(Run { signed, records, arrived: (first_at, last_at) }) = Run::first(tx, id)? else {
                    return Ok(0);
                };
                let open = tx.open_exchanges(id, signed.next_seq)?;
                let centres: Vec<_> = tx.centres()?.into_iter().map(|centre| centre.id).collect();
                let kept = |row| kept(row, &own_clock, &centres);
                let exchanges = open.iter().map(kept).collect::<Result<Vec<_>, _>>()?;
                let (first_seq, last_seq) = (signed.first_seq, signed.next_seq.saturating_sub(1));
                let segment = Segment {
                    agent: id,
                    enrolment: agent.enrolment,
                    settings: customer.settings_entry,
                    exchanges,
                    signed: Some(signed),
                };
                let entry = append(tx, segment::KIND, agent.customer, stamp, segment.fields())?;
                tx.close_segment(&SegmentRow {
                    agent: id,
                    first_seq,
                    last_seq,
                    first_at: open.iter().map(|exchange| exchange.at).min().unwrap_or(first_at),
                    last_at: open.iter().map(|exchange| exchange.at).max().unwrap_or(last_at),
                    count: open.len() as u64,
                    entry,
                })?;
                Ok(records)
            })
            .await
    }
}

/// The first uploads of an agent whose records are not yet in a segment: as many whole ones as fit into it.
struct Run {
    signed: Signed,
    records: u64,
    /// When the first and the last arrived.
    arrived: (UnixTime, UnixTime),
}

impl Run {
    fn first(snapshot: &Snapshot<'_>, id: AgentId) -> Result<Option<Self>, StoreError> {
        let mut run: Option<(Self, [u8; 32])> = None;
        for row in snapshot.open_uploads(id, segment::MAX_EXCHANGES as u64)? {
            let corrupt = |error: DecodeError| StoreError::Corrupt {
                what: format!("what {id} signed up to record {}: {error}", row.next_seq),
            };
            let signed = Signed::decode(&row.signed).map_err(corrupt)?;
            run = match run {
                None => Some((
                    Self { signed, records: row.records, arrived: (row.arrived, row.arrived) },
                    row.chain,
                )),
                // A chain that begins anew begins a segment.
                Some((run, chain))
                    if run.records + row.records > segment::MAX_EXCHANGES as u64
                        || signed.before != Chain::from_bytes(chain) =>
                {
                    return Ok(Some(run));
                }
                Some((mut run, _)) => {
                    run.signed.extend(signed);
                    run.records += row.records;
                    run.arrived.1 = row.arrived;
                    Some((run, row.chain))
                }
            };
        }
        Ok(run.map(|(run, _)| run))
    }
}

/// An exchange as a segment keeps it, with the clock state that was in force when it happened.
fn kept(row: &ExchangeRow, own_clock: &OwnClock, centres: &[CentreId]) -> Result<segment::Kept, StoreError> {
    let corrupt =
        |what: String| StoreError::Corrupt { what: format!("record {} of {}: {what}", row.seq, row.agent) };
    let record = Record::decode(&row.record).map_err(|error| corrupt(error.to_string()))?;
    let Fact::Exchange(measured) = record.fact else { return Err(corrupt("it is no exchange".into())) };
    let clock_state = own_clock.state_at(row.at).map(|(entry, _)| entry);
    // Of another server's clock no clock state of ours says anything.
    let clock_state = clock_state.filter(|_| is_centre(&measured, centres));
    let proof =
        proofs::of_flags(row.flags).ok_or_else(|| corrupt("what is proven of it is unknown".into()))?;
    Ok(segment::Kept { seq: row.seq, measured, arrived: row.arrived, clock_state, proof })
}
