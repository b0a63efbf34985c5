//! A `time.summary` entry: what one agent's exchanges showed of whole hours, kept when the exchanges themselves are not.
//!
//! It says of each hour what was measured, in figures, and of the whole stretch what was within, outside and not proven, by the same
//! code ([`crate::periods`]) and the tolerances in force then, to the nanosecond. It names the segments that it rests on, and one root
//! over their ids and body roots, all of which stay in the log. Once the exchanges are deleted nobody can judge them again: what
//! then stands is the centre's word, given while it had them, in a log in which it cannot be changed any more.

mod hour;
mod packing;

use std::collections::BTreeMap;

use angbu_evidence::{Hash, Kind, merkle};
use angbu_units::{AgentId, ClockVerdict, EntryId, Nanos, UnixTime};

pub use hour::{HOUR, Hour, MinMax};
pub use packing::SummaryError;

use crate::periods::{self, DRIFT, LOOKS_BACK, Observed, Period};
use crate::record::Record;
use crate::segment::Segment;

/// The kind of entry.
pub const KIND: Kind = Kind::constant("time.summary");

/// The kind of entry that says that the exchanges behind a summary are deleted, and what can no longer be shown since.
pub const COMPACTION: Kind = Kind::constant("time.compaction");

/// How much of the time before the first hour that is not summarised keeps its exchanges: each exchange is held against all of
/// the hour before it ([`LOOKS_BACK`]), and one more is left for clocks and polls.
pub const KEPT_BEFORE: Nanos = LOOKS_BACK.times(2);

/// How much one summary may say of its stretches and of its hours, packed: well below what a field holds.
pub const LONGEST: usize = 512 << 10;

/// What one agent's exchanges showed of a stretch of whole hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whose.
    pub agent: AgentId,
    /// The `time.enrolment` entry that says who that is.
    pub enrolment: EntryId,
    /// The `account.customer` entry in force when the summary was made.
    pub settings: EntryId,
    /// Its first instant: a whole hour, UTC.
    pub from: UnixTime,
    /// The first instant after it: a whole hour, UTC.
    pub to: UnixTime,
    /// The tolerances by which it was judged: since when, and how large; the first in force at `from` or the first ever.
    pub tolerances: Vec<(UnixTime, Nanos)>,
    /// The hours that have exchanges, in order.
    pub hours: Vec<Hour>,
    /// The verdicts: they cover `from` to `to` exactly, in order, and neighbours differ.
    pub periods: Vec<Period>,
    /// The states of the centre's clock on which exchanges rest, by the ids of their entries.
    pub clock_states: BTreeMap<EntryId, Relied>,
    /// The `time.segment` entries that hold its exchanges, in their order.
    pub segments: Vec<EntryId>,
    /// [`root`] over them.
    pub root: Hash,
}

/// How far a summary rests on one state of the centre's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relied {
    /// How many exchanges.
    pub exchanges: u64,
    /// The largest bound that the centre gave them for its own clock.
    pub bound: Nanos,
}

/// A segment of the log, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its entry.
    pub entry: EntryId,
    /// The root of the entry's body.
    pub body_root: Hash,
    /// What it holds.
    pub segment: Segment,
}

/// What a summary is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Whose.
    pub agent: AgentId,
    /// The `time.enrolment` entry that says who that is.
    pub enrolment: EntryId,
    /// The `account.customer` entry in force now.
    pub settings: EntryId,
    /// The agent's segments with an exchange from [`KEPT_BEFORE`] before the first instant on, in their order, and as far beyond the
    /// end as is known.
    pub segments: &'a [Held],
    /// The agent's other records about that time.
    pub events: &'a [Record],
    /// What the centre could say of its own clock, by the `clock.state` entry.
    pub clock_states: &'a BTreeMap<EntryId, ClockVerdict>,
    /// Since when which tolerance held, in order of time.
    pub tolerances: &'a [(UnixTime, Nanos)],
}

impl Summary {
    /// Summarises the whole hours from `from` to just before `to`.
    pub fn of(input: &Input<'_>, from: UnixTime, to: UnixTime) -> Self {
        let Input { agent, enrolment, settings, .. } = *input;
        let within = |at: UnixTime| (from..to).contains(&at);
        let exchanges = || input.segments.iter().flat_map(|held| &held.segment.exchanges);
        let inside: Vec<_> = exchanges().filter(|kept| within(kept.measured.exchange.at())).collect();
        let mut clock_states = BTreeMap::<EntryId, Relied>::new();
        for kept in &inside {
            let Some(state) = kept.clock_state else { continue };
            let relied = clock_states.entry(state).or_default();
            relied.exchanges += 1;
            relied.bound = relied.bound.max(kept.measured.exchange.source_bound());
        }
        let holds =
            |held: &&Held| held.segment.exchanges.iter().any(|kept| within(kept.measured.exchange.at()));
        let held: Vec<_> = input.segments.iter().filter(holds).collect();
        Self {
            agent,
            enrolment,
            settings,
            from,
            to,
            tolerances: in_force(input.tolerances, from, to),
            hours: Hour::all(&inside),
            periods: periods::periods(&observed(input), input.tolerances, from, to, DRIFT),
            clock_states,
            root: root(held.iter().map(|held| (held.entry, held.body_root))),
            segments: held.iter().map(|held| held.entry).collect(),
        }
    }

    /// As [`Self::of`], for the most of these hours that one entry holds: at least one, though it be too long.
    pub fn fitting(input: &Input<'_>, from: UnixTime, to: UnixTime) -> Self {
        let summary = Self::of(input, from, to);
        let hours = (to - from).count() / HOUR.count();
        if hours <= 1 || summary.is_short() {
            return summary;
        }
        Self::fitting(input, from, from + HOUR.times(hours / 2))
    }

    /// How many exchanges it stands for.
    pub fn exchanges(&self) -> u64 {
        self.hours.iter().map(|hour| hour.exchanges).sum()
    }

    /// The verdicts on the part of it that lies between two instants.
    pub fn clipped(&self, from: UnixTime, to: UnixTime) -> impl Iterator<Item = Period> + '_ {
        let clip =
            move |period: &Period| Period { from: period.from.max(from), to: period.to.min(to), ..*period };
        self.periods.iter().map(clip).filter(|period| period.from < period.to)
    }
}

/// The root over segments: an RFC 6962 tree whose leaves are `SHA-256(0x00 || the entry's id, 16 bytes || its body's root)`.
pub fn root(segments: impl IntoIterator<Item = (EntryId, Hash)>) -> Hash {
    let leaf = |(id, root): (EntryId, Hash)| {
        merkle::leaf_hash(&[id.to_bytes().as_slice(), root.as_bytes().as_slice()].concat())
    };
    merkle::root(&segments.into_iter().map(leaf).collect::<Vec<_>>())
}

/// The verdicts on a stretch of which parts are summarised: `summaries` in order of time and not overlapping, and for what lies
/// between, before and after them what `judge` makes of the exchanges from one instant to another.
pub fn periods_of<E>(
    summaries: &[Summary],
    from: UnixTime,
    to: UnixTime,
    mut judge: impl FnMut(UnixTime, UnixTime) -> Result<Vec<Period>, E>,
) -> Result<Vec<Period>, E> {
    let mut row = Vec::new();
    let mut until = from;
    for summary in summaries.iter().filter(|summary| from < summary.to && summary.from < to) {
        if until < summary.from {
            row.extend(judge(until, summary.from)?);
        }
        row.extend(summary.clipped(from.max(until), to));
        until = until.max(summary.to.min(to));
    }
    if until < to {
        row.extend(judge(until, to)?);
    }
    Ok(periods::merged(row))
}

/// The next stretch to summarise: whole hours from where the last summary ended (or the agent's first hour) to the end of the UTC
/// day of the first exchange behind it. `None` while that day may still get exchanges: until the agent has told of a later one, or
/// until what it could still tell would prove nothing any more.
pub fn next_stretch(
    since: UnixTime,
    first_exchange: UnixTime,
    newest_closed: UnixTime,
    now: UnixTime,
) -> Option<(UnixTime, UnixTime)> {
    let from = floor(since, HOUR);
    let to = floor(first_exchange.max(from), DAY) + DAY;
    let is_complete = newest_closed >= to + KEPT_BEFORE || now - to > TOLD_LATE;
    (is_complete && to + KEPT_BEFORE < now && from < to).then_some((from, to))
}

/// A day, UTC.
pub const DAY: Nanos = Nanos::from_secs(86_400);

/// How long after an hour it can still be told of: an older exchange proves nothing ([`crate::proof`]).
const TOLD_LATE: Nanos = Nanos::from_secs(35 * 86_400);

/// The last whole step at or before an instant.
fn floor(at: UnixTime, step: Nanos) -> UnixTime {
    at - Nanos::new(at.nanos().rem_euclid(step.count().max(1)))
}

/// The tolerance in force at an instant and those settled before another.
fn in_force(tolerances: &[(UnixTime, Nanos)], from: UnixTime, to: UnixTime) -> Vec<(UnixTime, Nanos)> {
    let first = tolerances.partition_point(|(since, _)| *since <= from).saturating_sub(1);
    let rest = tolerances.get(first..).unwrap_or_default().iter();
    rest.take_while(|(since, _)| *since < to).copied().collect()
}

/// All records in the order of their numbers; each number once.
fn observed(input: &Input<'_>) -> Vec<Observed> {
    let exchanges = input.segments.iter().flat_map(|held| &held.segment.exchanges);
    let mut observed: Vec<Observed> = exchanges
        .map(|kept| {
            let centre = kept.clock_state.and_then(|state| input.clock_states.get(&state).copied());
            Observed::new(&kept.record(), centre)
        })
        .collect();
    observed.extend(input.events.iter().flat_map(|record| periods::observed(record, None)));
    observed.sort_by_key(|observed| observed.seq);
    observed
}

#[cfg(test)]
mod tests;
