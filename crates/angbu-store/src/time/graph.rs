//! What graphs are drawn from: exchanges that the database itself has gathered into steps.

use angbu_units::{AgentId, Nanos, UnixTime};

use crate::sql::{column, values};
use crate::{Snapshot, StoreError};

/// One point of a graph: what was measured within one of its equal steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphPoint {
    /// The first exchange of the step.
    pub first_at: UnixTime,
    /// The last exchange of the step.
    pub last_at: UnixTime,
    /// The smallest offset.
    pub offset_min: Nanos,
    /// The largest offset.
    pub offset_max: Nanos,
    /// The largest one-way delay.
    pub delay: Nanos,
    /// The largest bound.
    pub bound: Nanos,
    /// How many exchanges.
    pub count: u64,
}

/// The most points of one graph.
pub const POINTS_AT_ONCE: u64 = 10_000;

impl Snapshot<'_> {
    /// An agent's exchanges from `from` to `to`, gathered into `points` equal steps; steps without an exchange
    /// are left out.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] for more than [`POINTS_AT_ONCE`] points.
    pub fn graph(
        &self,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
        points: u64,
    ) -> Result<Vec<GraphPoint>, StoreError> {
        if points > POINTS_AT_ONCE {
            return Err(StoreError::TooMuch { what: "a graph of so many points", limit: POINTS_AT_ONCE });
        }
        let points = i64::try_from(points.max(1)).unwrap_or(i64::MAX);
        let step = ((to - from).count().max(0) / points).max(1);
        self.sql.all(
            "SELECT MIN(at), MAX(at), MIN(offset_ns), MAX(offset_ns), MAX(delay_ns), MAX(bound_ns), COUNT(*)
             FROM time_exchanges WHERE agent_id = ?1 AND at >= ?2 AND at < ?3
             GROUP BY (at - ?2) / ?4 ORDER BY MIN(at)",
            values![agent, from, to, step],
            |row| {
                Ok(GraphPoint {
                    first_at: column(row, 0)?,
                    last_at: column(row, 1)?,
                    offset_min: column(row, 2)?,
                    offset_max: column(row, 3)?,
                    delay: column(row, 4)?,
                    bound: column(row, 5)?,
                    count: column(row, 6)?,
                })
            },
        )
    }
}
