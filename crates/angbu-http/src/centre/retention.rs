//! Retention: summaries of whole hours while their exchanges are there, and deleting the exchanges when their time is over.
//!
//! A summary is made a few hours after its day, when the agent has told of a later one. It stands beside the exchanges until
//! their time is over; then an entry says that they go, and they go, in steps. Only the centre that sequences the log does any of it, and
//! each step is a transaction that names what it rests on: a centre that is killed anywhere, or two that both believe to hold
//! the log, delete nothing whose summary is not in the log.

use std::collections::BTreeMap;

use angbu_evidence::Entry;
use angbu_store::time::{AgentRow, DROPPED_AT_ONCE, EventRow, GraphPoint, SummaryRow};
use angbu_store::{Snapshot, StoreError};
use angbu_time::periods::{self, DRIFT, Period};
use angbu_time::proof::{Proof, Refused};
use angbu_time::record::Record;
use angbu_time::segment::Segment;
use angbu_time::summary::{self, DAY, HOUR, Held, Input, KEPT_BEFORE, Summary};
use angbu_units::{AgentId, ClockVerdict, EntryId, Nanos, UnixTime};

use super::time::{Recorded, centres, tolerances};
use super::{Centre, append, append_text};

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long every single exchange, from the end of its day on.
    pub exchanges: Nanos,
    /// How long the summaries of hours.
    pub summaries: Nanos,
}

/// How many summaries one turn takes up, so that a turn ends.
const AT_ONCE: u64 = 256;

/// Up to this length a picture is drawn from exchanges, as long as they are there; beyond it hours are fine enough.
const SHORT: Nanos = DAY.times(2);

/// What is gone of a segment whose exchanges were deleted, by the names of its fields.
const GONE: &str = "agent enrolment settings exchanges arrivals clock-states proofs signed";

impl Centre {
    /// Makes the summaries that are due, deletes what is kept long enough, and returns whether there may be more to do at once. Does
    /// nothing on a centre that does not sequence the log.
    ///
    /// # Errors
    /// Where the database does not take it; what was done before stays done.
    pub async fn retain(&self, retention: Retention) -> Result<bool, StoreError> {
        if !self.keeps_log().await? {
            return Ok(false);
        }
        let mut more = false;
        for agent in self.store.read(|snapshot| snapshot.agents()).await? {
            let mut made = 0;
            while made < AT_ONCE && self.summarise(&agent).await? {
                made += 1;
            }
            more |= made == AT_ONCE;
        }
        more |= self.compact(retention.exchanges).await?;
        more |= self.forget_summaries(retention.summaries).await?;
        Ok(more)
    }

    pub(super) async fn keeps_log(&self) -> Result<bool, StoreError> {
        let centre = self.site.centre;
        self.store.read(move |snapshot| snapshot.keeps_log(centre)).await
    }

    /// Makes the next summary of an agent, if one is due.
    async fn summarise(&self, agent: &AgentRow) -> Result<bool, StoreError> {
        let (row, now) = (agent.clone(), self.clock.read().wall);
        let due = self.store.read(move |snapshot| due(snapshot, &row, now)).await?;
        let Some(summary) = due else { return Ok(false) };
        let (stamp, customer) = (self.instant(), agent.customer);
        let written = self.store.write(move |tx| {
            let entry = append(tx, summary::KIND, customer, stamp, summary.fields())?;
            tx.insert_summary(&SummaryRow {
                agent: summary.agent,
                from: summary.from,
                to: summary.to,
                entry,
                exchanges: summary.exchanges(),
                compacted: None,
                done: false,
            })
        });
        match written.await {
            Ok(()) => Ok(true),
            // Another centre that holds the log by now was faster.
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes exchanges whose time is over and whose summary is in the log; returns whether there may be more.
    async fn compact(&self, keep: Nanos) -> Result<bool, StoreError> {
        let before = self.clock.read().wall - keep;
        let rows = self.store.read(move |snapshot| snapshot.summaries_to_compact(before, AT_ONCE)).await?;
        let more = u64::try_from(rows.len()) == Ok(AT_ONCE);
        for row in rows {
            if !self.keeps_log().await? || !self.compact_one(row).await? {
                return Ok(false);
            }
        }
        Ok(more)
    }

    /// Deletes what one summary stands for; `false` while its entry has no place in the log.
    async fn compact_one(&self, row: SummaryRow) -> Result<bool, StoreError> {
        let wanted = row.clone();
        let found = self.store.read(move |snapshot| {
            let is_durable = snapshot.entry_index(wanted.entry)?.is_some();
            let agent = snapshot.agent(wanted.agent)?;
            // What the time after the summary is judged by stays: its last hours, and at least one exchange.
            let last = snapshot.latest_exchange(wanted.agent, wanted.to)?.map_or(wanted.to, |last| last.at);
            Ok::<_, StoreError>((is_durable, agent, last.min(wanted.to - KEPT_BEFORE)))
        });
        let (is_durable, agent, before) = found.await?;
        let (true, Some(agent)) = (is_durable, agent) else { return Ok(false) };
        if row.compacted.is_none() {
            self.announce_compaction(&agent, row.clone()).await?;
        }
        let id = agent.id;
        while self.store.write(move |tx| tx.drop_exchanges(id, before)).await? > 0 {}
        while self.store.write(move |tx| tx.drop_segments(id, before)).await? == DROPPED_AT_ONCE {}
        self.store.write(move |tx| tx.end_compaction(&row)).await?;
        Ok(true)
    }

    /// Puts on record that the exchanges behind a summary go, before the first of them does.
    async fn announce_compaction(&self, agent: &AgentRow, row: SummaryRow) -> Result<(), StoreError> {
        let (stamp, customer) = (self.instant(), agent.customer);
        let written = self.store.write(move |tx| {
            let fields = [
                ("agent", row.agent.to_string()),
                ("summary", row.entry.to_string()),
                ("from", row.from.nanos().to_string()),
                ("to", row.to.nanos().to_string()),
                ("exchanges", row.exchanges.to_string()),
                ("gone", GONE.to_owned()),
            ];
            let entry = append_text(tx, summary::COMPACTION, customer, stamp, fields)?;
            tx.begin_compaction(&row, entry)
        });
        match written.await {
            // Another centre, or a turn that was cut short, has said it.
            Err(StoreError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }

    /// Deletes summaries whose own time is over.
    async fn forget_summaries(&self, keep: Nanos) -> Result<bool, StoreError> {
        let before = self.clock.read().wall - keep;
        let mut more = false;
        for agent in self.store.read(|snapshot| snapshot.agents()).await? {
            let id = agent.id;
            let ended = move |snapshot: &Snapshot<'_>| snapshot.summaries_ended(id, before, AT_ONCE);
            let ended = self.store.read(ended).await?;
            more |= u64::try_from(ended.len()) == Ok(AT_ONCE);
            let ended: Vec<_> = ended.into_iter().filter(|row| row.done).collect();
            if ended.is_empty() {
                continue;
            }
            self.store.write(move |tx| ended.iter().try_for_each(|row| tx.drop_summary(row))).await?;
        }
        Ok(more)
    }

    /// The verdicts on an agent's time, whatever is left of its exchanges: the one way to read a period.
    pub(crate) fn periods_of(
        &self,
        kept: &Kept,
        tolerance: &[(UnixTime, Nanos)],
        from: UnixTime,
        to: UnixTime,
    ) -> Vec<Period> {
        if to <= from {
            return Vec::new();
        }
        let observed = kept.recorded.observed(|at| self.own_clock.state_at(at).map(|(_, verdict)| verdict));
        let judge = |from, to| {
            Ok::<_, std::convert::Infallible>(periods::periods(&observed, tolerance, from, to, DRIFT))
        };
        match summary::periods_of(&kept.summaries, from, to, judge) {
            Ok(periods) => periods,
            Err(never) => match never {},
        }
    }
}

/// What is left of an agent's records about a period, and a little before it: summaries where there are any, and the exchanges
/// and events behind the last of them.
pub(crate) struct Kept {
    pub(crate) summaries: Vec<Summary>,
    /// Which of them stand for exchanges that are deleted, or about to be: their number from the first on.
    compacted: usize,
    pub(super) recorded: Recorded,
    /// All events of the period.
    pub(crate) events: Vec<EventRow>,
}

impl Kept {
    pub(crate) fn load(
        snapshot: &Snapshot<'_>,
        row: &AgentRow,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Self, StoreError> {
        let rows = snapshot.summaries(row.id, from, to)?;
        let compacted = rows.iter().take_while(|row| row.compacted.is_some()).count();
        let summaries = rows.iter().map(|row| read(snapshot, row.entry)).collect::<Result<Vec<_>, _>>()?;
        let seam = rows.last().map_or(from, |row| row.to.max(from));
        Ok(Self {
            recorded: Recorded::load(snapshot, centres(snapshot)?, row, seam.min(to), to)?,
            events: snapshot.events(row.id, from, to, u64::MAX)?,
            summaries,
            compacted,
        })
    }

    /// The points of a graph, and whether some of them are whole hours.
    pub(crate) fn points(
        &self,
        snapshot: &Snapshot<'_>,
        agent: AgentId,
        [from, to]: [UnixTime; 2],
        points: u64,
    ) -> Result<(Vec<GraphPoint>, bool), StoreError> {
        let by_hour = if to - from > SHORT { self.summaries.len() } else { self.compacted };
        let summaries = self.summaries.get(..by_hour).unwrap_or_default();
        let seam = summaries.last().map_or(from, |last| last.to.max(from));
        let step = ((to - from).count() / i64::try_from(points.max(1)).unwrap_or(i64::MAX)).max(1);
        let mut all = hour_points(summaries, [from, to], step);
        if seam < to {
            let share =
                i128::from((to - seam).count()) * i128::from(points) / i128::from((to - from).count().max(1));
            let share = u64::try_from(share).unwrap_or(points).max(1);
            all.extend(snapshot.graph(agent, seam, to, share)?);
        }
        Ok((all, !summaries.is_empty()))
    }
}

impl Kept {
    /// What is proven of the exchanges of a period: how many have each number ([`Proof`]). What was refused, of summarised hours, has the
    /// first of those numbers; an hour that lies in the period only in part counts where it begins there.
    pub(crate) fn proofs(
        &self,
        snapshot: &Snapshot<'_>,
        agent: AgentId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let gone = self.summaries.get(..self.compacted).unwrap_or_default();
        let seam = gone.last().map_or(from, |last| last.to.max(from));
        let mut counts = snapshot.proofs(agent, seam.min(to), to)?;
        for hour in gone.iter().flat_map(|summary| &summary.hours) {
            if (from..to).contains(&hour.begins) {
                let unshown = hour.exchanges.saturating_sub(hour.proven + hour.refused);
                let codes =
                    [Proof::NotShown, Proof::Witnessed, Proof::Late, Proof::Refused(Refused::Request)];
                let of = [unshown, hour.proven.saturating_sub(hour.late), hour.late, hour.refused];
                counts.extend(codes.map(|proof| u64::from(proof.code())).into_iter().zip(of));
            }
        }
        Ok(counts)
    }
}

/// The points that the hours of summaries make, gathered into equal steps.
fn hour_points(summaries: &[Summary], [from, to]: [UnixTime; 2], step: i64) -> Vec<GraphPoint> {
    let hours: Vec<_> = summaries
        .iter()
        .flat_map(|summary| &summary.hours)
        .filter(|hour| from <= hour.first && hour.last < to)
        .collect();
    let of = |first: UnixTime| (first - from).count() / step;
    let runs = hours.chunk_by(|one, next| of(one.first) == of(next.first));
    let points = runs.filter_map(|run| {
        Some(GraphPoint {
            first_at: run.first()?.first,
            last_at: run.last()?.last,
            offset_min: run.iter().map(|hour| hour.offset.min).min()?,
            offset_max: run.iter().map(|hour| hour.offset.max).max()?,
            delay: run.iter().map(|hour| hour.delay.max).max()?,
            bound: run.iter().map(|hour| hour.bound).max()?,
            count: run.iter().map(|hour| hour.exchanges).sum(),
        })
    });
    points.collect()
}

/// How far apart points may be that are joined, where some are whole hours.
pub(crate) const HOURS_APART: Nanos = HOUR.times(2);

/// What a summary's entry says.
pub(crate) fn read(snapshot: &Snapshot<'_>, entry: EntryId) -> Result<Summary, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt { what: format!("the summary {entry}: {what}") };
    let body = snapshot.body(entry)?.ok_or_else(|| corrupt("it has no fields".into()))?;
    Summary::read(|name| body.get(name)).map_err(|error| corrupt(error.to_string()))
}

/// The next summary of an agent, made of its segments, if it is due.
fn due(snapshot: &Snapshot<'_>, row: &AgentRow, now: UnixTime) -> Result<Option<Summary>, StoreError> {
    let latest = snapshot.latest_summary(row.id)?;
    let searched = latest.as_ref().map_or(UnixTime::MIN, |latest| latest.to);
    let first = snapshot.first_closed_exchange(row.id, searched)?;
    let (Some(first), Some(newest)) = (first, snapshot.newest_closed(row.id)?) else { return Ok(None) };
    let since = latest.map_or(first.min(row.enrolled), |latest| latest.to);
    let Some((from, to)) = summary::next_stretch(since, first, newest, now) else { return Ok(None) };
    // What was known when it began: the exchange before it, and whatever happened since that.
    let before = snapshot.latest_exchange(row.id, from)?.map_or(from, |exchange| exchange.at);
    let before = before.min(from - KEPT_BEFORE);
    let event = snapshot.latest_event(row.id, before)?.map_or(before, |event| event.at);
    let segments = held(snapshot, row.id, before, to + KEPT_BEFORE)?;
    let events = snapshot.events(row.id, before.min(event), to + KEPT_BEFORE, u64::MAX)?;
    // A record that cannot be read leaves a gap in the numbers, and a gap is not proven.
    let events: Vec<Record> = events.iter().filter_map(|event| Record::decode(&event.detail).ok()).collect();
    let customer = snapshot.customer(row.customer)?.ok_or(StoreError::NotFound { what: "customer" })?;
    let input = Input {
        agent: row.id,
        enrolment: row.enrolment,
        settings: customer.settings_entry,
        segments: &segments,
        events: &events,
        clock_states: &clock_states(snapshot, &segments)?,
        tolerances: &tolerances(snapshot, row.customer)?,
    };
    Ok(Some(Summary::fitting(&input, from, to)))
}

/// An agent's segments with an exchange from one instant to another.
fn held(
    snapshot: &Snapshot<'_>,
    agent: AgentId,
    from: UnixTime,
    to: UnixTime,
) -> Result<Vec<Held>, StoreError> {
    let held = snapshot.segments(agent, from, to)?.into_iter().map(|row| {
        let corrupt =
            |what: String| StoreError::Corrupt { what: format!("the segment {}: {what}", row.entry) };
        let body = snapshot.body(row.entry)?.ok_or_else(|| corrupt("it has no fields".into()))?;
        let segment = Segment::read(|name| body.get(name)).map_err(|error| corrupt(error.to_string()))?;
        Ok(Held { entry: row.entry, body_root: body.root(), segment })
    });
    held.collect()
}

/// What the centre could say of its own clock, by the states that segments name: as their entries say, and as a report will read them.
fn clock_states(
    snapshot: &Snapshot<'_>,
    segments: &[Held],
) -> Result<BTreeMap<EntryId, ClockVerdict>, StoreError> {
    let mut states = BTreeMap::new();
    let exchanges = segments.iter().flat_map(|held| &held.segment.exchanges);
    let mut latest = None;
    for id in exchanges.filter_map(|kept| kept.clock_state) {
        if latest.replace(id) == Some(id) || states.contains_key(&id) {
            continue;
        }
        let Some(index) = snapshot.entry_index(id)? else { continue };
        let Some(bytes) = snapshot.entry(index)? else { continue };
        let entry = Entry::decode(&bytes)
            .map_err(|error| StoreError::Corrupt { what: format!("entry {index}: {error}") })?;
        states.insert(id, entry.verdict);
    }
    Ok(states)
}
