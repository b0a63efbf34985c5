//! Incidents as they stand, how agents stand for them, and who was told when.

use angbu_units::{AgentId, CustomerId, EntryId, IncidentId, Nanos, UnixTime};

use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// The most incidents that one question lists.
pub const INCIDENTS_AT_ONCE: u64 = 1_000;
/// The most agents that one look takes a closer look at.
const AGENTS_AT_ONCE: u64 = 65_536;
/// What stands for the agent in an incident of the centre's own.
const NO_AGENT: AgentId = AgentId::from_bytes([0; 16]);

/// How an agent stands, as far as its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingRow {
    /// The agent.
    pub agent: AgentId,
    /// Whose it is.
    pub customer: CustomerId,
    /// When its last upload arrived.
    pub last_seen: Option<UnixTime>,
    /// How often it polls, as it last said.
    pub poll: Option<Nanos>,
    /// What its newest exchange with a centre showed.
    pub shown: Shown,
    /// Since when.
    pub shown_since: Option<UnixTime>,
}

/// What an agent's newest exchange with a centre shows, held against the tolerance of that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shown {
    /// Nothing.
    #[default]
    Nothing,
    /// A clock within the tolerance.
    Within,
    /// A clock outside it.
    Outside,
}

impl Shown {
    const fn number(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Within => 1,
            Self::Outside => 2,
        }
    }

    fn read(number: u64) -> Result<Self, StoreError> {
        match number {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Within),
            2 => Ok(Self::Outside),
            other => Err(StoreError::corrupt(format!("an agent's clock is shown as {other}"))),
        }
    }
}

/// Alarms of one kind that no incident says yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnjudgedRow {
    /// Whose.
    pub agent: AgentId,
    /// The word of the kind.
    pub kind: String,
    /// When the first arrived.
    pub since: UnixTime,
    /// When the last arrived.
    pub last: UnixTime,
}

/// One trouble from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    /// Its random id.
    pub id: IncidentId,
    /// Whose; [`CustomerId::SITE`] for the centre's own.
    pub customer: CustomerId,
    /// Which agent's; none for the centre's own.
    pub agent: Option<AgentId>,
    /// The word of its trouble.
    pub kind: String,
    /// Since when.
    pub opened: UnixTime,
    /// When it was last seen.
    pub last: UnixTime,
    /// Since when it is gone, while it has not ended.
    pub gone_since: Option<UnixTime>,
    /// When it had ended.
    pub closed: Option<UnixTime>,
    /// How often it came back.
    pub returns: u64,
    /// What the customer was told; of the centre's own, all customers.
    pub told: Told,
    /// What the operators were told.
    pub told_site: Told,
    /// The `time.incident` entry that opened it.
    pub opened_entry: EntryId,
    /// The one that closed it.
    pub closed_entry: Option<EntryId>,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

/// What somebody was told of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Told {
    /// Nothing yet.
    #[default]
    Nothing,
    /// That it began.
    Beginning,
    /// That it ended.
    End,
}

impl Told {
    const fn number(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Beginning => 1,
            Self::End => 2,
        }
    }

    fn read(number: u64) -> Result<Self, StoreError> {
        match number {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Beginning),
            2 => Ok(Self::End),
            other => Err(StoreError::corrupt(format!("of an incident was told {other}"))),
        }
    }
}

impl IncidentRow {
    /// Whether it has ended and everybody was told.
    const fn is_settled(&self) -> bool {
        self.closed.is_some() && matches!((self.told, self.told_site), (Told::End, Told::End))
    }
}

macro_rules! standing_sql {
    ($rest:literal) => {
        concat!(
            "SELECT agent_id, customer_id, last_seen, poll_ns, shown, shown_since FROM time_agents ",
            $rest
        )
    };
}

macro_rules! incident_sql {
    ($rest:literal) => {
        concat!(
            "SELECT incident_id, customer_id, agent_id, kind, opened, last, gone_since, closed, came_back, told, \
             told_site, opened_entry, closed_entry, version FROM time_incidents ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// The agents that may be in trouble: shown outside, or not heard of since `seen_before`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn agents_in_question(&self, seen_before: UnixTime) -> Result<Vec<StandingRow>, StoreError> {
        self.sql.all(
            standing_sql!("WHERE shown = 2 OR last_seen < ?1 LIMIT ?2"),
            values![seen_before, AGENTS_AT_ONCE],
            standing,
        )
    }

    /// How one agent stands.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn agent_standing(&self, agent: AgentId) -> Result<Option<StandingRow>, StoreError> {
        self.sql.first(standing_sql!("WHERE agent_id = ?1"), values![agent], standing)
    }

    /// Alarms that no incident says yet.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn unjudged_alarms(&self) -> Result<Vec<UnjudgedRow>, StoreError> {
        self.sql.all(
            "SELECT agent_id, kind, since, last FROM time_unjudged ORDER BY agent_id, kind LIMIT ?1",
            values![AGENTS_AT_ONCE],
            |row| {
                Ok(UnjudgedRow {
                    agent: column(row, 0)?,
                    kind: column(row, 1)?,
                    since: column(row, 2)?,
                    last: column(row, 3)?,
                })
            },
        )
    }

    /// The incidents that last, and those that have ended and that somebody was not told of yet.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn unsettled_incidents(&self) -> Result<Vec<IncidentRow>, StoreError> {
        self.sql.all(incident_sql!("WHERE settled = 0 ORDER BY opened, incident_id"), values![], incident)
    }

    /// The incident with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn incident(&self, id: IncidentId) -> Result<Option<IncidentRow>, StoreError> {
        self.sql.first(incident_sql!("WHERE incident_id = ?1"), values![id], incident)
    }

    /// The last incident of this kind, of an agent or the centre's own, that has ended.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn incident_before(
        &self,
        agent: Option<AgentId>,
        kind: &str,
    ) -> Result<Option<IncidentRow>, StoreError> {
        self.sql.first(
            incident_sql!(
                "WHERE agent_id = ?1 AND kind = ?2 AND closed IS NOT NULL ORDER BY opened DESC LIMIT 1"
            ),
            values![agent.unwrap_or(NO_AGENT), kind],
            incident,
        )
    }

    /// Incidents, the newest first, that began before `before`: of a customer and of the centre itself, or all; of one agent
    /// where one is named. At most [`INCIDENTS_AT_ONCE`] and `limit`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn incidents(
        &self,
        customer: Option<CustomerId>,
        agent: Option<AgentId>,
        before: UnixTime,
        limit: u64,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        let limit = limit.min(INCIDENTS_AT_ONCE);
        match (customer, agent) {
            (None, None) => self.sql.all(
                incident_sql!("WHERE opened < ?1 ORDER BY opened DESC, incident_id LIMIT ?2"),
                values![before, limit],
                incident,
            ),
            (Some(customer), None) => self.sql.all(
                incident_sql!(
                    "WHERE customer_id IN (?1, ?2) AND opened < ?3 ORDER BY opened DESC, incident_id LIMIT ?4"
                ),
                values![customer, CustomerId::SITE, before, limit],
                incident,
            ),
            (_, Some(agent)) => self.sql.all(
                incident_sql!(
                    "WHERE agent_id = ?1 AND opened < ?2 ORDER BY opened DESC, incident_id LIMIT ?3"
                ),
                values![agent, before, limit],
                incident,
            ),
        }
    }

    /// When a customer, or for [`CustomerId::SITE`] the operators, were last written to of incidents.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn told_at(&self, customer: CustomerId) -> Result<Option<UnixTime>, StoreError> {
        self.sql.first("SELECT told FROM time_notices WHERE customer_id = ?1", values![customer], |row| {
            column(row, 0)
        })
    }
}

impl Tx<'_> {
    /// Notes what an agent's newest exchange shows, and since when that is so.
    ///
    /// # Errors
    /// As every change.
    pub fn show_agent(&mut self, agent: AgentId, shown: Shown, at: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE time_agents SET shown = ?2, shown_since = ?3 WHERE agent_id = ?1 AND shown <> ?2",
            values![agent, shown.number(), at],
        )?;
        Ok(())
    }

    /// Notes an alarm, so that an incident comes of it.
    ///
    /// # Errors
    /// As every change.
    pub fn note_alarm(&mut self, agent: AgentId, kind: &str, arrived: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_unjudged (agent_id, kind, since, last) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (agent_id, kind) DO UPDATE SET last = excluded.last",
            values![agent, kind, arrived],
        )?;
        Ok(())
    }

    /// Takes away alarms that an incident says now; those that came meanwhile stay.
    ///
    /// # Errors
    /// As every change.
    pub fn forget_alarms(&mut self, judged: &UnjudgedRow) -> Result<(), StoreError> {
        self.sql.execute(
            "DELETE FROM time_unjudged WHERE agent_id = ?1 AND kind = ?2 AND last = ?3",
            values![judged.agent, judged.kind, judged.last],
        )?;
        Ok(())
    }

    /// Inserts an incident.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where the agent has an open one of this kind.
    pub fn insert_incident(&mut self, row: &IncidentRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_incidents (incident_id, customer_id, agent_id, kind, opened, last, gone_since, closed,
                 came_back, told, told_site, settled, opened_entry, closed_entry, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            values![
                row.id,
                row.customer,
                row.agent.unwrap_or(NO_AGENT),
                row.kind,
                row.opened,
                row.last,
                row.gone_since,
                row.closed,
                row.returns,
                row.told.number(),
                row.told_site.number(),
                row.is_settled(),
                row.opened_entry,
                row.closed_entry,
                row.version
            ],
        )?;
        Ok(())
    }

    /// Replaces what can change of an incident if its row still has `row.version`; the version then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it was changed meanwhile.
    pub fn update_incident(&mut self, row: &IncidentRow) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE time_incidents
             SET last = ?2, gone_since = ?3, closed = ?4, told = ?5, told_site = ?6, settled = ?7, closed_entry = ?8,
                 version = version + 1
             WHERE incident_id = ?1 AND version = ?9",
            values![
                row.id,
                row.last,
                row.gone_since,
                row.closed,
                row.told.number(),
                row.told_site.number(),
                row.is_settled(),
                row.closed_entry,
                row.version
            ],
            StoreError::Conflict { what: "the incident" },
        )
    }

    /// Notes that a customer, or for [`CustomerId::SITE`] the operators, are written to of incidents now.
    ///
    /// # Errors
    /// As every change.
    pub fn note_told(&mut self, customer: CustomerId, at: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_notices (customer_id, told) VALUES (?1, ?2)
             ON CONFLICT (customer_id) DO UPDATE SET told = excluded.told",
            values![customer, at],
        )?;
        Ok(())
    }
}

fn standing(row: &dyn Row) -> Result<StandingRow, StoreError> {
    Ok(StandingRow {
        agent: column(row, 0)?,
        customer: column(row, 1)?,
        last_seen: optional(row, 2)?,
        poll: optional(row, 3)?,
        shown: Shown::read(column(row, 4)?)?,
        shown_since: optional(row, 5)?,
    })
}

fn incident(row: &dyn Row) -> Result<IncidentRow, StoreError> {
    let agent: AgentId = column(row, 2)?;
    Ok(IncidentRow {
        id: column(row, 0)?,
        customer: column(row, 1)?,
        agent: (agent != NO_AGENT).then_some(agent),
        kind: column(row, 3)?,
        opened: column(row, 4)?,
        last: column(row, 5)?,
        gone_since: optional(row, 6)?,
        closed: optional(row, 7)?,
        returns: column(row, 8)?,
        told: Told::read(column(row, 9)?)?,
        told_site: Told::read(column(row, 10)?)?,
        opened_entry: column(row, 11)?,
        closed_entry: optional(row, 12)?,
        version: column(row, 13)?,
    })
}
