//! What is left of an agent's exchanges when they are deleted: which hours are summarised by which entry, and the deleting itself.
//!
//! What is deleted here is deleted in steps, each a transaction of its own, and each only while the summary that stands for it is
//! there. A centre that is killed between two of them, or another one, goes on with the next.

use angbu_evidence::{Disclosure, Entry, Hash, Part};
use angbu_units::{AgentId, CentreId, EntryId, UnixTime};

use crate::sequencer::lease::HeadRow;
use crate::sql::{Row, ToValue, Value, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// Which hours of an agent a `time.summary` entry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// Which agent's.
    pub agent: AgentId,
    /// Its first instant.
    pub from: UnixTime,
    /// The first instant after it.
    pub to: UnixTime,
    /// The `time.summary` entry.
    pub entry: EntryId,
    /// How many exchanges it stands for.
    pub exchanges: u64,
    /// The `time.compaction` entry, once the exchanges may be deleted.
    pub compacted: Option<EntryId>,
    /// Whether all of them are.
    pub done: bool,
}

/// The most exchanges, or segments, that one step deletes.
pub const DROPPED_AT_ONCE: u64 = 4_096;

macro_rules! summary_sql {
    ($rest:literal) => {
        concat!(
            "SELECT agent_id, from_at, to_at, entry_id, exchanges, compacted, done FROM time_summaries ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// An agent's summaries that say something of the time from `from` to `to`, in order of time.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn summaries(
        &self,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Vec<SummaryRow>, StoreError> {
        // They follow one another without overlap: all but one begin within the period.
        let before = self.sql.first(
            summary_sql!("WHERE agent_id = ?1 AND from_at < ?2 ORDER BY from_at DESC LIMIT 1"),
            values![agent, from],
            summary,
        )?;
        let within = self.sql.all(
            summary_sql!("WHERE agent_id = ?1 AND from_at >= ?2 AND from_at < ?3 ORDER BY from_at"),
            values![agent, from, to],
            summary,
        )?;
        Ok(before.into_iter().filter(|row| row.to > from).chain(within).collect())
    }

    /// An agent's newest summary.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn latest_summary(&self, agent: AgentId) -> Result<Option<SummaryRow>, StoreError> {
        self.sql.first(
            summary_sql!("WHERE agent_id = ?1 ORDER BY from_at DESC LIMIT 1"),
            values![agent],
            summary,
        )
    }

    /// Summaries that end before an instant and whose exchanges are not all deleted, the oldest first.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn summaries_to_compact(&self, before: UnixTime, limit: u64) -> Result<Vec<SummaryRow>, StoreError> {
        self.sql.all(
            summary_sql!("WHERE done = 0 AND to_at < ?1 ORDER BY to_at, agent_id LIMIT ?2"),
            values![before, limit],
            summary,
        )
    }

    /// The first summaries of an agent that end before an instant, at most `limit`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn summaries_ended(
        &self,
        agent: AgentId,
        before: UnixTime,
        limit: u64,
    ) -> Result<Vec<SummaryRow>, StoreError> {
        self.sql.all(
            summary_sql!("WHERE agent_id = ?1 AND to_at < ?2 ORDER BY from_at LIMIT ?3"),
            values![agent, before, limit],
            summary,
        )
    }

    /// The instant of an agent's first exchange at or after `from` that stands in a segment.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn first_closed_exchange(
        &self,
        agent: AgentId,
        from: UnixTime,
    ) -> Result<Option<UnixTime>, StoreError> {
        self.sql.first(
            "SELECT at FROM time_exchanges WHERE agent_id = ?1 AND at >= ?2
             AND seq < (SELECT closed_seq FROM time_agents WHERE agent_id = ?1) ORDER BY at LIMIT 1",
            values![agent, from],
            |row| column(row, 0),
        )
    }

    /// The latest instant of an agent's newest segment.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn newest_closed(&self, agent: AgentId) -> Result<Option<UnixTime>, StoreError> {
        self.sql.first(
            "SELECT last_at FROM time_segments WHERE agent_id = ?1 ORDER BY first_seq DESC LIMIT 1",
            values![agent],
            |row| column(row, 0),
        )
    }

    /// Whether a centre is the one that sequences the log now.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn keeps_log(&self, centre: CentreId) -> Result<bool, StoreError> {
        Ok(HeadRow::read(self)?.and_then(|row| row.holder) == Some(centre))
    }

    /// The first hourly manifest of an hour that begins after an instant, that counts the entry at a log index.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn manifest_behind(&self, index: u64, instant: UnixTime) -> Result<Option<EntryId>, StoreError> {
        let hour = instant.nanos().div_euclid(3_600_000_000_000).saturating_add(1);
        self.sql.first(
            "SELECT entry_id FROM evidence_manifests WHERE hour >= ?1 AND size > ?2 ORDER BY hour LIMIT 1",
            values![hour, index],
            |row| column(row, 0),
        )
    }

    /// The fields of an entry with their salts, unsealed; those that were erased are hidden. Of an entry whose fields were
    /// compacted away, which is in the log for long, the root over them is shown as one hidden field.
    ///
    /// # Errors
    /// [`StoreError::NotOurs`] when the sealed bytes do not open, and as every read.
    pub fn body(&self, id: EntryId) -> Result<Option<Disclosure>, StoreError> {
        let Some(sealed) = self.sealed_body(id)? else { return Ok(None) };
        if !sealed.is_empty() {
            return self.open_body(id, &sealed).map(Some);
        }
        let entry = self.entry_index(id)?.map(|index| self.entry(index)).transpose()?.flatten();
        let missing =
            || StoreError::corrupt(format!("the fields of {id} are gone, and it is not in the log"));
        let entry = Entry::decode(&entry.ok_or_else(missing)?);
        let entry = entry.map_err(|error| StoreError::corrupt(error.to_string()))?;
        self.body_or_root(id, entry.body_root)
    }

    /// The fields of an entry with their salts, as [`Snapshot::body`]; of one whose fields were compacted away only what stands in the
    /// entry itself, the root over them. `None` where there is no such entry.
    ///
    /// # Errors
    /// [`StoreError::NotOurs`] when the sealed bytes do not open, and as every read.
    pub fn body_or_root(&self, id: EntryId, root: Hash) -> Result<Option<Disclosure>, StoreError> {
        match self.sealed_body(id)? {
            // A tree of one leaf has that leaf as its root.
            Some(sealed) if sealed.is_empty() => Disclosure::from_parts(vec![Part::Hidden(root)])
                .map(Some)
                .map_err(|error| StoreError::corrupt(error.to_string())),
            Some(sealed) => self.open_body(id, &sealed).map(Some),
            None => Ok(None),
        }
    }
}

impl Tx<'_> {
    /// Notes which hours an entry of the same transaction stands for.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when those hours are summarised already: read the newest again.
    pub fn insert_summary(&mut self, row: &SummaryRow) -> Result<(), StoreError> {
        let latest = self.latest_summary(row.agent)?;
        if latest.is_some_and(|latest| latest.to > row.from) {
            return Err(StoreError::Conflict { what: "the agent's summaries" });
        }
        self.sql.execute_one(
            "INSERT INTO time_summaries (agent_id, from_at, to_at, entry_id, exchanges, compacted, done)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            values![row.agent, row.from, row.to, row.entry, row.exchanges, row.compacted, row.done],
            StoreError::Conflict { what: "the agent's summaries" },
        )
    }

    /// Notes that what a summary stands for may be deleted, and the entry of the same transaction that says so.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when that is noted already.
    pub fn begin_compaction(&mut self, row: &SummaryRow, by: EntryId) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE time_summaries SET compacted = ?3
             WHERE agent_id = ?1 AND from_at = ?2 AND compacted IS NULL",
            values![row.agent, row.from, by],
            StoreError::Conflict { what: "the compaction" },
        )
    }

    /// Notes that everything that a summary stands for is deleted.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn end_compaction(&mut self, row: &SummaryRow) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE time_summaries SET done = 1 WHERE agent_id = ?1 AND from_at = ?2 AND compacted IS NOT NULL",
            values![row.agent, row.from],
        )?;
        Ok(())
    }

    /// Deletes exchanges of an agent from before an instant that stand in segments, the oldest first, about
    /// [`DROPPED_AT_ONCE`] of them. Returns how many; 0 once there are none.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn drop_exchanges(&mut self, agent: AgentId, before: UnixTime) -> Result<u64, StoreError> {
        let until: Option<UnixTime> = self.sql.first(
            "SELECT at FROM time_exchanges WHERE agent_id = ?1 AND at < ?2 ORDER BY at, seq LIMIT 1 OFFSET ?3",
            values![agent, before, DROPPED_AT_ONCE],
            |row| column(row, 0),
        )?;
        let delete = |until: UnixTime| {
            self.sql.execute(
                "DELETE FROM time_exchanges WHERE agent_id = ?1 AND at < ?2
                 AND seq < (SELECT closed_seq FROM time_agents WHERE agent_id = ?1)",
                values![agent, until],
            )
        };
        match delete(until.unwrap_or(before))? {
            // What is left so far back is not in a segment yet.
            0 if until.is_some() => delete(before),
            deleted => Ok(deleted),
        }
    }

    /// Deletes the fields of segments of an agent all of whose exchanges are from before an instant, the oldest first, at most
    /// [`DROPPED_AT_ONCE`] segments: their entries stay in the log, with the roots over what is gone. Returns how many.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn drop_segments(&mut self, agent: AgentId, before: UnixTime) -> Result<u64, StoreError> {
        let rows: Vec<(u64, EntryId)> = self.sql.all(
            "SELECT first_seq, entry_id FROM time_segments WHERE agent_id = ?1 AND last_at < ?2
             ORDER BY first_seq LIMIT ?3",
            values![agent, before, DROPPED_AT_ONCE],
            |row| Ok((column(row, 0)?, column(row, 1)?)),
        )?;
        let entries: Vec<EntryId> = rows.iter().map(|(_, entry)| *entry).collect();
        self.empty_bodies(&entries)?;
        let segments: Vec<[Value<'_>; 2]> =
            rows.iter().map(|(first, _)| [agent.to_value(), first.to_value()]).collect();
        let segments: Vec<&[Value<'_>]> = segments.iter().map(<[_; 2]>::as_slice).collect();
        self.sql
            .execute_many("DELETE FROM time_segments WHERE agent_id = ?1 AND first_seq = ?2", &segments)?;
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }

    /// Deletes the fields of an entry, of which the root over them stays. Its caller knows that something else stands for them.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn drop_body(&mut self, entry: EntryId) -> Result<(), StoreError> {
        self.empty_bodies(&[entry])
    }

    /// Deletes entries' salts and values, and their leaves: the root over them stands in the entry. An empty row stays for each.
    ///
    /// Rows are deleted and made anew, not changed: only where rows are deleted does SQLite join pages that have become nearly
    /// empty, and a body that was is a hundred times what stays of it.
    fn empty_bodies(&mut self, entries: &[EntryId]) -> Result<(), StoreError> {
        let whole: Vec<[Value<'_>; 1]> = entries.iter().map(|entry| [entry.to_value()]).collect();
        let whole: Vec<&[Value<'_>]> = whole.iter().map(<[_; 1]>::as_slice).collect();
        self.sql.execute_many("DELETE FROM evidence_bodies WHERE entry_id = ?1", &whole)?;
        let empty: Vec<[Value<'_>; 2]> =
            entries.iter().map(|entry| [entry.to_value(), Value::Blob(&[])]).collect();
        let empty: Vec<&[Value<'_>]> = empty.iter().map(<[_; 2]>::as_slice).collect();
        self.sql.execute_many("INSERT INTO evidence_bodies (entry_id, sealed) VALUES (?1, ?2)", &empty)?;
        Ok(())
    }

    /// Deletes a summary whose time is over: the fields of its entry, and the note of which hours it stood for.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn drop_summary(&mut self, row: &SummaryRow) -> Result<(), StoreError> {
        self.drop_body(row.entry)?;
        self.sql.execute(
            "DELETE FROM time_summaries WHERE agent_id = ?1 AND from_at = ?2 AND done = 1",
            values![row.agent, row.from],
        )?;
        Ok(())
    }
}

fn summary(row: &dyn Row) -> Result<SummaryRow, StoreError> {
    Ok(SummaryRow {
        agent: column(row, 0)?,
        from: column(row, 1)?,
        to: column(row, 2)?,
        entry: column(row, 3)?,
        exchanges: column(row, 4)?,
        compacted: optional(row, 5)?,
        done: column(row, 6)?,
    })
}
