//! From proven entries to what a report is about: servers, their records, tolerances, and the states of the centre's clock.

use std::collections::{BTreeMap, BTreeSet};

use angbu_evidence::Kind;
use angbu_evidence::report::{Proven, ProvenEntry};
use angbu_units::{AgentId, ClockVerdict, EntryId, Nanos, UnixTime};

use super::{CUSTOMER, RenderError};
use crate::events::{self, Enrolment};
use crate::periods::{COVERS_POLLS, DRIFT, Observed, Period, Totals, What, periods, totals};
use crate::record::Record;
use crate::segment::{self, Segment};

/// Everything that a report says, in the order in which it says it.
pub(super) struct Facts<'a> {
    pub(super) proven: &'a Proven,
    /// The customer's name, as last settled.
    pub(super) customer: String,
    /// From when on which tolerance held.
    pub(super) tolerances: Vec<(UnixTime, Nanos)>,
    /// By name.
    pub(super) servers: Vec<Server>,
    pub(super) clock_states: Vec<ClockState>,
}

pub(super) struct Server {
    pub(super) agent: AgentId,
    pub(super) name: String,
    /// Within the period, by their own instant.
    pub(super) points: Vec<Point>,
    pub(super) events: Vec<Event>,
    pub(super) periods: Vec<Period>,
    pub(super) totals: Totals,
}

/// An exchange, for the picture.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) at: UnixTime,
    pub(super) offset: Nanos,
    pub(super) delay: Nanos,
    pub(super) bound: Nanos,
    pub(super) covers: Nanos,
}

/// Something that happened in the period.
pub(super) struct Event {
    /// When, by the centre's clock: as the agent reckoned it, else between the exchanges beside it.
    pub(super) at: UnixTime,
    pub(super) index: u64,
    pub(super) record: Record,
}

/// A state of the centre's clock, and how many of the period's exchanges rest on it.
pub(super) struct ClockState {
    pub(super) index: u64,
    pub(super) since: UnixTime,
    pub(super) verdict: ClockVerdict,
    /// The largest that it gave for its clock, in the entry or to an exchange.
    pub(super) bound: Nanos,
    pub(super) source: String,
    pub(super) reason: String,
    pub(super) exchanges: u64,
}

impl<'a> Facts<'a> {
    pub(super) fn gather(proven: &'a Proven) -> Result<Self, RenderError> {
        let settings = Settings::gather(proven)?;
        let mut states = States::gather(proven)?;
        let mut logs = Logs::of_enrolments(proven)?;
        for entry in proven.of_kind(&segment::KIND) {
            let segment = read_segment(entry)?;
            settings.require(entry.index, segment.settings)?;
            logs.add_segment(entry.index, &segment, &mut states, proven)?;
        }
        for kind in [events::ALARM, events::START, events::STOP, events::DROPPED] {
            for entry in proven.of_kind(&kind) {
                logs.add_event(entry, &kind)?;
            }
        }
        let (from, to) = (proven.subject.from, proven.subject.to);
        let mut servers: Vec<_> =
            logs.servers.into_values().map(|log| log.judge(&settings.tolerances, from, to)).collect();
        servers.sort_by(|one, next| (&one.name, one.agent).cmp(&(&next.name, next.agent)));
        Ok(Self {
            proven,
            customer: settings.name.unwrap_or_else(|| proven.subject.customer.to_string()),
            tolerances: settings.tolerances,
            servers,
            clock_states: states.used(),
        })
    }

    /// The tolerances that held in the period, without repetition.
    pub(super) fn tolerances_in_period(&self) -> BTreeSet<Nanos> {
        let (from, to) = (self.proven.subject.from, self.proven.subject.to);
        let before = self.tolerances.iter().rev().find(|(since, _)| *since <= from);
        let within = self.tolerances.iter().filter(|(since, _)| *since > from && *since < to);
        before.into_iter().chain(within).map(|(_, tolerance)| *tolerance).collect()
    }
}

/// What the customer settled.
struct Settings {
    name: Option<String>,
    tolerances: Vec<(UnixTime, Nanos)>,
    ids: BTreeSet<EntryId>,
}

impl Settings {
    fn gather(proven: &Proven) -> Result<Self, RenderError> {
        let mut settings = Self { name: None, tolerances: Vec::new(), ids: BTreeSet::new() };
        for entry in proven.of_kind(&CUSTOMER) {
            let tolerance = text(entry, "tolerance-ns")?.parse().ok().filter(|tolerance| *tolerance >= 0);
            let tolerance =
                tolerance.ok_or(RenderError::Field { index: entry.index, field: "tolerance-ns" })?;
            // The log's order is the order of settlement, even where the centre's clock was set back.
            let latest = settings.tolerances.last().map_or(UnixTime::MIN, |(since, _)| *since);
            settings.tolerances.push((entry.entry.time.max(latest), Nanos::new(tolerance)));
            settings.name = Some(text(entry, "name")?.to_owned());
            settings.ids.insert(entry.entry.id);
        }
        Ok(settings)
    }

    fn require(&self, index: u64, id: EntryId) -> Result<(), RenderError> {
        if self.ids.contains(&id) { Ok(()) } else { Err(RenderError::Missing { index, missing: id }) }
    }
}

/// The states of the centres' clocks.
struct States {
    states: Vec<ClockState>,
    by_id: BTreeMap<EntryId, usize>,
}

impl States {
    fn gather(proven: &Proven) -> Result<Self, RenderError> {
        let mut states = Self { states: Vec::new(), by_id: BTreeMap::new() };
        for entry in proven.of_kind(&Kind::CLOCK_STATE) {
            states.by_id.insert(entry.entry.id, states.states.len());
            states.states.push(ClockState {
                index: entry.index,
                since: entry.entry.time,
                verdict: entry.entry.verdict,
                bound: entry.entry.error_bound,
                source: text(entry, "source")?.to_owned(),
                reason: text(entry, "reason")?.to_owned(),
                exchanges: 0,
            });
        }
        Ok(states)
    }

    /// What the centre could say of its clock, by the entry that says it. `said` is the bound that an exchange in the
    /// period was given.
    fn verdict(&mut self, index: u64, id: EntryId, said: Option<Nanos>) -> Result<ClockVerdict, RenderError> {
        let state = self.by_id.get(&id).and_then(|place| self.states.get_mut(*place));
        let state = state.ok_or(RenderError::Missing { index, missing: id })?;
        if let Some(said) = said {
            state.exchanges += 1;
            state.bound = state.bound.max(said);
        }
        Ok(state.verdict)
    }

    fn used(self) -> Vec<ClockState> {
        self.states.into_iter().filter(|state| state.exchanges > 0).collect()
    }
}

/// One agent's records.
struct Log {
    agent: AgentId,
    name: String,
    observed: Vec<Observed>,
    points: Vec<Point>,
    events: Vec<Event>,
    numbers: BTreeSet<u64>,
}

struct Logs {
    servers: BTreeMap<AgentId, Log>,
}

impl Logs {
    fn of_enrolments(proven: &Proven) -> Result<Self, RenderError> {
        let mut servers = BTreeMap::new();
        for entry in proven.of_kind(&events::ENROLMENT) {
            let Enrolment { agent, name, .. } = Enrolment::read(|field| entry.fields.get(field))
                .map_err(|why| RenderError::Event { index: entry.index, why })?;
            let log = Log {
                agent,
                name,
                observed: Vec::new(),
                points: Vec::new(),
                events: Vec::new(),
                numbers: BTreeSet::new(),
            };
            servers.insert(agent, log);
        }
        Ok(Self { servers })
    }

    fn of(&mut self, index: u64, agent: AgentId) -> Result<&mut Log, RenderError> {
        self.servers.get_mut(&agent).ok_or(RenderError::NotEnrolled { index, agent })
    }

    fn add_segment(
        &mut self,
        index: u64,
        segment: &Segment,
        states: &mut States,
        proven: &Proven,
    ) -> Result<(), RenderError> {
        let (from, to) = (proven.subject.from, proven.subject.to);
        let log = self.of(index, segment.agent)?;
        for kept in &segment.exchanges {
            let at = kept.measured.exchange.at();
            let inside = from <= at && at < to;
            let said = inside.then(|| kept.measured.exchange.source_bound());
            let centre = kept.clock_state.map(|id| states.verdict(index, id, said)).transpose()?;
            let observed = Observed::new(&kept.record(), centre);
            log.add(index, observed)?;
            if let (What::Exchange(sample), true) = (observed.what, inside) {
                let delay = kept.measured.exchange.delay();
                let covers = sample.poll.times(COVERS_POLLS);
                log.points.push(Point { at, offset: sample.offset, delay, bound: sample.bound, covers });
            }
        }
        Ok(())
    }

    fn add_event(&mut self, entry: &ProvenEntry, kind: &Kind) -> Result<(), RenderError> {
        let index = entry.index;
        let (agent, record) = events::read(kind, |field| entry.fields.get(field))
            .map_err(|why| RenderError::Event { index, why })?;
        let log = self.of(index, agent)?;
        log.add(index, Observed::new(&record, None))?;
        log.events.push(Event { at: record.at(), index, record });
        Ok(())
    }
}

impl Log {
    fn add(&mut self, index: u64, observed: Observed) -> Result<(), RenderError> {
        let (agent, seq) = (self.agent, observed.seq);
        if !self.numbers.insert(seq) {
            return Err(RenderError::Twice { index, agent, seq });
        }
        self.observed.push(observed);
        Ok(())
    }

    /// Puts each event between the exchanges before and after it by number: a clock that was set may say anything.
    fn place_events(&mut self) {
        self.events.sort_by_key(|event| event.record.seq);
        let exchanges: Vec<(u64, UnixTime)> = self.observed.iter().filter_map(exchanged_at).collect();
        for event in &mut self.events {
            let next = exchanges.partition_point(|(seq, _)| *seq < event.record.seq);
            let before = next.checked_sub(1).and_then(|before| exchanges.get(before));
            let (low, high) = (before.map(|(_, at)| *at), exchanges.get(next).map(|(_, at)| *at));
            event.at = event.at.min(high.unwrap_or(UnixTime::MAX)).max(low.unwrap_or(UnixTime::MIN));
        }
    }

    fn judge(mut self, tolerances: &[(UnixTime, Nanos)], from: UnixTime, to: UnixTime) -> Server {
        self.observed.sort_by_key(|observed| observed.seq);
        self.points.sort_by_key(|point| point.at);
        self.place_events();
        self.events.retain(|event| (from..to).contains(&event.at));
        self.events.sort_by_key(|event| (event.at, event.record.seq));
        let periods = periods(&self.observed, tolerances, from, to, DRIFT);
        let totals = totals(&periods);
        Server {
            agent: self.agent,
            name: self.name,
            points: self.points,
            events: self.events,
            periods,
            totals,
        }
    }
}

fn exchanged_at(observed: &Observed) -> Option<(u64, UnixTime)> {
    match observed.what {
        What::Exchange(sample) => Some((observed.seq, sample.at)),
        _ => None,
    }
}

fn read_segment(entry: &ProvenEntry) -> Result<Segment, RenderError> {
    Segment::read(|field| entry.fields.get(field))
        .map_err(|why| RenderError::Segment { index: entry.index, why })
}

fn text<'a>(entry: &'a ProvenEntry, field: &'static str) -> Result<&'a str, RenderError> {
    entry.fields.text(field).ok_or(RenderError::Field { index: entry.index, field })
}
