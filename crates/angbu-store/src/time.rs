//! Agents, their exchanges and events, and the segments by which exchanges enter the log.
//!
//! What an agent sent stands in its row sealed. Beside it stand the few numbers that graphs are drawn from (offset, delay,
//! bound, rate), readable, because the database itself gathers a year of them into the points of a graph; they tell how a
//! clock went and name nobody.

mod epochs;
mod graph;
mod incidents;
mod summaries;
mod uploads;

pub use epochs::{EpochRow, Taken};
pub use graph::{GraphPoint, POINTS_AT_ONCE};
pub use incidents::{INCIDENTS_AT_ONCE, IncidentRow, Shown, StandingRow, Told, UnjudgedRow};
pub use summaries::{DROPPED_AT_ONCE, SummaryRow};

use angbu_units::{AgentId, CustomerId, EntryId, Nanos, Ppb, UnixTime};

use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// An agent on a customer's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// Its random id.
    pub id: AgentId,
    /// Whose server it stands on.
    pub customer: CustomerId,
    /// Its name, unique for the customer.
    pub name: String,
    /// The Ed25519 key that signs its uploads.
    pub public_key: [u8; 32],
    /// The `time.enrolment` entry.
    pub enrolment: EntryId,
    /// When it was enrolled.
    pub enrolled: UnixTime,
    /// The number of the next record that takes effect.
    pub next_seq: u64,
    /// The chain of its records before that one.
    pub chain: [u8; 32],
    /// When its last upload arrived.
    pub last_seen: Option<UnixTime>,
    /// How often it polls, as it last said.
    pub poll: Option<Nanos>,
    /// Every record with a number below this one stands in a segment of the log.
    pub closed_seq: u64,
    /// How many records are not yet in a segment.
    pub open_count: u64,
    /// When the first of those arrived.
    pub open_since: Option<UnixTime>,
    /// How often the row was changed otherwise than by uploads and segments.
    pub version: u64,
}

/// One exchange of an agent with an NTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRow {
    /// Which agent's.
    pub agent: AgentId,
    /// When, on the server's line of time.
    pub at: UnixTime,
    /// The record's number.
    pub seq: u64,
    /// The agent's clock was off by this.
    pub offset: Nanos,
    /// One-way delay.
    pub delay: Nanos,
    /// How far the truth can lie from the offset.
    pub bound: Nanos,
    /// How fast the offset changed.
    pub rate: Ppb,
    /// The record's flags.
    pub flags: u16,
    /// When it arrived at the centre.
    pub arrived: UnixTime,
    /// The whole record as the agent sent it.
    pub record: Vec<u8>,
}

/// A start, a stop, an alarm or a loss of an agent: what stands alone in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Which agent's.
    pub agent: AgentId,
    /// When.
    pub at: UnixTime,
    /// The record's number.
    pub seq: u64,
    /// Which kind, as `alarm`.
    pub kind: String,
    /// The whole record as the agent sent it.
    pub detail: Vec<u8>,
    /// The entry that holds it.
    pub entry: EntryId,
}

/// What an agent signed with an upload, until its records stand in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    /// Which agent's.
    pub agent: AgentId,
    /// The number of the first of its records that took effect with it.
    pub first_seq: u64,
    /// The number of the record after its last.
    pub next_seq: u64,
    /// How many records those are; dropped ones are one.
    pub records: u64,
    /// When it arrived.
    pub arrived: UnixTime,
    /// The chain after its last record.
    pub chain: [u8; 32],
    /// What was signed, as a segment keeps it.
    pub signed: Vec<u8>,
}

/// A run of records that stands in the log as one entry, but for what stands there by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// Which agent's.
    pub agent: AgentId,
    /// The number of its first record.
    pub first_seq: u64,
    /// The number of its last record.
    pub last_seq: u64,
    /// How many exchanges it holds; events between them are not counted.
    pub count: u64,
    /// The earliest instant of its exchanges.
    pub first_at: UnixTime,
    /// The latest instant of its exchanges.
    pub last_at: UnixTime,
    /// The `time.segment` entry.
    pub entry: EntryId,
}

/// What an accepted upload changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedUpload {
    /// Whose upload.
    pub agent: AgentId,
    /// The agent's next number as it was when the upload was judged.
    pub expected_seq: u64,
    /// The agent's next number with the upload in effect.
    pub next_seq: u64,
    /// When the upload arrived.
    pub arrived: UnixTime,
    /// How often the agent polls, if the upload says so.
    pub poll: Option<Nanos>,
    /// What the agent signed of what is new in it.
    pub signed: UploadRow,
    /// Its exchanges, all of this agent.
    pub exchanges: Vec<ExchangeRow>,
    /// Its events, all of this agent; each one's entry is appended in the same transaction by the caller.
    pub events: Vec<EventRow>,
}

/// The most exchanges that one question is answered with.
pub const EXCHANGES_AT_ONCE: u64 = 1 << 20;

/// The tables of sealed records, as sealed values name them.
const EXCHANGES: &str = "time_exchanges";
const EVENTS: &str = "time_events";

macro_rules! agent_sql {
    ($rest:literal) => {
        concat!(
            "SELECT agent_id, customer_id, name, public_key, enrolment_entry, enrolled, next_seq, last_seen, poll_ns, \
             closed_seq, open_count, open_since, version, chain FROM time_agents ",
            $rest
        )
    };
}

macro_rules! exchange_sql {
    ($rest:literal) => {
        concat!(
            "SELECT agent_id, at, seq, offset_ns, delay_ns, bound_ns, rate_ppb, flags, arrived, record \
             FROM time_exchanges ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// The agent with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn agent(&self, id: AgentId) -> Result<Option<AgentRow>, StoreError> {
        self.sql.first(agent_sql!("WHERE agent_id = ?1"), values![id], agent)
    }

    /// The agent of a customer with this name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn agent_named(&self, customer: CustomerId, name: &str) -> Result<Option<AgentRow>, StoreError> {
        self.sql.first(agent_sql!("WHERE customer_id = ?1 AND name = ?2"), values![customer, name], agent)
    }

    /// A customer's agents, by name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn agents_of(&self, customer: CustomerId) -> Result<Vec<AgentRow>, StoreError> {
        self.sql.all(agent_sql!("WHERE customer_id = ?1 ORDER BY name"), values![customer], agent)
    }

    /// All agents, by customer and name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        self.sql.all(agent_sql!("ORDER BY customer_id, name"), values![], agent)
    }

    /// An agent's exchanges from `from` (included) to `to` (not included) in the order of their instants, at most
    /// [`EXCHANGES_AT_ONCE`] and `limit`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn exchanges(
        &self,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
        limit: u64,
    ) -> Result<Vec<ExchangeRow>, StoreError> {
        self.sql.all(
            exchange_sql!("WHERE agent_id = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, seq LIMIT ?4"),
            values![agent, from, to, limit.min(EXCHANGES_AT_ONCE)],
            |row| self.exchange(row),
        )
    }

    /// The exchange of an agent with the latest instant before `before`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn latest_exchange(
        &self,
        agent: AgentId,
        before: UnixTime,
    ) -> Result<Option<ExchangeRow>, StoreError> {
        self.sql.first(
            exchange_sql!("WHERE agent_id = ?1 AND at < ?2 ORDER BY at DESC, seq DESC LIMIT 1"),
            values![agent, before],
            |row| self.exchange(row),
        )
    }

    /// How many exchanges an agent has from `from` (included) to `to` (not included); no more than `limit` are counted.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn count_exchanges(
        &self,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let counted = self.sql.first(
            "SELECT COUNT(*) FROM (SELECT at FROM time_exchanges
                                   WHERE agent_id = ?1 AND at >= ?2 AND at < ?3 LIMIT ?4) AS some",
            values![agent, from, to, limit],
            |row| column(row, 0),
        )?;
        Ok(counted.unwrap_or(0))
    }

    /// An agent's events from `from` (included) to `to` (not included) in the order of their instants, at most `limit`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn events(
        &self,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
        limit: u64,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.sql.all(
            "SELECT agent_id, at, seq, kind, detail, entry_id FROM time_events
             WHERE agent_id = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, seq LIMIT ?4",
            values![agent, from, to, limit],
            |row| self.event(row),
        )
    }

    /// The latest event of an agent before `before`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn latest_event(&self, agent: AgentId, before: UnixTime) -> Result<Option<EventRow>, StoreError> {
        self.sql.first(
            "SELECT agent_id, at, seq, kind, detail, entry_id FROM time_events
             WHERE agent_id = ?1 AND at < ?2 ORDER BY at DESC, seq DESC LIMIT 1",
            values![agent, before],
            |row| self.event(row),
        )
    }

    /// The agents whose open exchanges are due for a segment: at least `count` of them, or the first arrived
    /// before `arrived_before`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn agents_due(&self, count: u64, arrived_before: UnixTime) -> Result<Vec<AgentRow>, StoreError> {
        self.sql.all(
            agent_sql!("WHERE open_count > 0 AND (open_count >= ?1 OR open_since < ?2) ORDER BY agent_id"),
            values![count, arrived_before],
            agent,
        )
    }

    /// The exchanges of an agent that are not yet in a segment and are numbered below `before`, in the order of their numbers.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn open_exchanges(&self, agent: AgentId, before: u64) -> Result<Vec<ExchangeRow>, StoreError> {
        let Some((closed_seq, Some(first_at))) = self.open_from(agent)? else { return Ok(Vec::new()) };
        self.sql.all(
            exchange_sql!(
                "WHERE agent_id = ?1 AND at >= ?2 AND seq >= ?3 AND seq < ?4 ORDER BY seq LIMIT ?5"
            ),
            values![agent, first_at, closed_seq, before, EXCHANGES_AT_ONCE],
            |row| self.exchange(row),
        )
    }

    /// What an agent signed of its first records that are not yet in a segment, at most `limit` uploads in the order of their
    /// numbers.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn open_uploads(&self, agent: AgentId, limit: u64) -> Result<Vec<UploadRow>, StoreError> {
        self.sql.all(
            "SELECT agent_id, first_seq, next_seq, records, arrived, chain, signed FROM time_uploads
             WHERE agent_id = ?1 ORDER BY first_seq LIMIT ?2",
            values![agent, limit],
            |row| {
                Ok(UploadRow {
                    agent: column(row, 0)?,
                    first_seq: column(row, 1)?,
                    next_seq: column(row, 2)?,
                    records: column(row, 3)?,
                    arrived: column(row, 4)?,
                    chain: column(row, 5)?,
                    signed: column(row, 6)?,
                })
            },
        )
    }

    /// What is proven of an agent's exchanges from `from` (included) to `to` (not included): how many have each number.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn proofs(
        &self,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        self.sql.all(
            "SELECT flags / 256, COUNT(*) FROM time_exchanges WHERE agent_id = ?1 AND at >= ?2 AND at < ?3
             GROUP BY flags / 256",
            values![agent, from, to],
            |row| Ok((column(row, 0)?, column(row, 1)?)),
        )
    }

    /// The segments of an agent that hold an exchange from `from` (included) to `to` (not included).
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn segments(
        &self,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Vec<SegmentRow>, StoreError> {
        self.sql.all(
            "SELECT agent_id, first_seq, last_seq, count, first_at, last_at, entry_id FROM time_segments
             WHERE agent_id = ?1 AND last_at >= ?2 AND first_at < ?3 ORDER BY first_seq",
            values![agent, from, to],
            |row| {
                Ok(SegmentRow {
                    agent: column(row, 0)?,
                    first_seq: column(row, 1)?,
                    last_seq: column(row, 2)?,
                    count: column(row, 3)?,
                    first_at: column(row, 4)?,
                    last_at: column(row, 5)?,
                    entry: column(row, 6)?,
                })
            },
        )
    }

    fn exchange(&self, row: &dyn Row) -> Result<ExchangeRow, StoreError> {
        let mut exchange = ExchangeRow {
            agent: column(row, 0)?,
            at: column(row, 1)?,
            seq: column(row, 2)?,
            offset: column(row, 3)?,
            delay: column(row, 4)?,
            bound: column(row, 5)?,
            rate: column(row, 6)?,
            flags: column(row, 7)?,
            arrived: column(row, 8)?,
            record: column(row, 9)?,
        };
        let place = place(exchange.agent, exchange.at, exchange.seq);
        exchange.record = self.open_sealed(EXCHANGES, &place, &exchange.record)?.to_vec();
        Ok(exchange)
    }

    fn event(&self, row: &dyn Row) -> Result<EventRow, StoreError> {
        let mut event = EventRow {
            agent: column(row, 0)?,
            at: column(row, 1)?,
            seq: column(row, 2)?,
            kind: column(row, 3)?,
            detail: column(row, 4)?,
            entry: column(row, 5)?,
        };
        let place = place(event.agent, event.at, event.seq);
        event.detail = self.open_sealed(EVENTS, &place, &event.detail)?.to_vec();
        Ok(event)
    }

    fn open_from(&self, agent: AgentId) -> Result<Option<(u64, Option<UnixTime>)>, StoreError> {
        self.sql.first(
            "SELECT closed_seq, open_first_at FROM time_agents WHERE agent_id = ?1",
            values![agent],
            |row| Ok((column(row, 0)?, optional(row, 1)?)),
        )
    }
}

impl Tx<'_> {
    /// Inserts an agent; it has sent nothing yet.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the customer has an agent of this name, or the id is there already.
    pub fn insert_agent(&mut self, agent: &AgentRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_agents (agent_id, customer_id, name, public_key, enrolment_entry, enrolled, next_seq,
                 last_seen, poll_ns, closed_seq, open_count, open_since, open_first_at, version, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, NULL, NULL, ?11, ?12)",
            values![
                agent.id,
                agent.customer,
                agent.name,
                agent.public_key,
                agent.enrolment,
                agent.enrolled,
                agent.next_seq,
                agent.last_seen,
                agent.poll,
                agent.closed_seq,
                agent.version,
                agent.chain
            ],
        )?;
        Ok(())
    }

    /// Notes that an agent's first open records stand in a segment, whose entry the caller appends in the same
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when those are not the agent's first open records, or not those of whole uploads: read them again.
    pub fn close_segment(&mut self, segment: &SegmentRow) -> Result<(), StoreError> {
        let conflict = StoreError::Conflict { what: "the run of open records" };
        let next_seq = segment.last_seq.saturating_add(1);
        let Some((closed_seq, first_at)) = self.open_from(segment.agent)? else { return Err(conflict) };
        // Without open exchanges nothing is looked for.
        let first_at = first_at.unwrap_or(UnixTime::MAX);
        let covered = self.sql.first(
            "SELECT COUNT(*) FROM time_exchanges WHERE agent_id = ?1 AND at >= ?2 AND seq >= ?3 AND seq < ?4",
            values![segment.agent, first_at, closed_seq, next_seq],
            |row| column::<u64>(row, 0),
        )?;
        let signed = self.sql.first(
            "SELECT MIN(first_seq), MAX(next_seq) FROM time_uploads WHERE agent_id = ?1 AND next_seq <= ?2",
            values![segment.agent, next_seq],
            |row| Ok((optional::<u64>(row, 0)?, optional::<u64>(row, 1)?)),
        )?;
        let first = segment.first_seq;
        if covered != Some(segment.count)
            || signed != Some((Some(first), Some(next_seq)))
            || first < closed_seq
        {
            return Err(conflict);
        }
        self.sql.execute(
            "INSERT INTO time_segments (agent_id, first_seq, last_seq, count, first_at, last_at, entry_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![
                segment.agent,
                segment.first_seq,
                segment.last_seq,
                segment.count,
                segment.first_at,
                segment.last_at,
                segment.entry
            ],
        )?;
        self.sql.execute(
            "DELETE FROM time_uploads WHERE agent_id = ?1 AND next_seq <= ?2",
            values![segment.agent, next_seq],
        )?;
        let rest = self.sql.first(
            "SELECT CAST(COALESCE(SUM(records), 0) AS BIGINT), MIN(arrived) FROM time_uploads WHERE agent_id = ?1",
            values![segment.agent],
            |row| Ok((column::<u64>(row, 0)?, optional::<UnixTime>(row, 1)?)),
        )?;
        let (open_count, open_since) = rest.unwrap_or((0, None));
        let open_first_at = self.sql.first(
            "SELECT MIN(at) FROM time_exchanges WHERE agent_id = ?1 AND at >= ?2 AND seq >= ?3",
            values![segment.agent, first_at, next_seq],
            |row| optional::<UnixTime>(row, 0),
        )?;
        self.sql.execute_one(
            "UPDATE time_agents SET closed_seq = ?3, open_count = ?4, open_since = ?5, open_first_at = ?6
             WHERE agent_id = ?1 AND closed_seq = ?2",
            values![segment.agent, closed_seq, next_seq, open_count, open_since, open_first_at.flatten()],
            conflict,
        )
    }
}

/// The identity of an exchange's or an event's row, which its sealed column is bound to.
pub(crate) fn place(agent: AgentId, at: UnixTime, seq: u64) -> Vec<u8> {
    [agent.as_bytes().as_slice(), &at.nanos().to_be_bytes(), &seq.to_be_bytes()].concat()
}

fn agent(row: &dyn Row) -> Result<AgentRow, StoreError> {
    Ok(AgentRow {
        id: column(row, 0)?,
        customer: column(row, 1)?,
        name: column(row, 2)?,
        public_key: column(row, 3)?,
        enrolment: column(row, 4)?,
        enrolled: column(row, 5)?,
        next_seq: column(row, 6)?,
        last_seen: optional(row, 7)?,
        poll: optional(row, 8)?,
        closed_seq: column(row, 9)?,
        open_count: column(row, 10)?,
        open_since: optional(row, 11)?,
        version: column(row, 12)?,
        chain: column(row, 13)?,
    })
}
