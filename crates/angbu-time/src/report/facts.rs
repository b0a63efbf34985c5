//! From proven entries to what a report is about: servers, tolerances, and the states of the centre's clock.

use std::collections::{BTreeMap, BTreeSet};

use angbu_evidence::report::{Proven, ProvenEntry};
use angbu_evidence::{Hash, Kind, Part};
use angbu_units::{AgentId, ClockVerdict, EntryId, Nanos, UnixTime};

use super::html::fill;
use super::server::{Log, Server, read_event};
use super::signed::{self, Complete};
use super::window::Window;
use super::words::Words;
use super::{CUSTOMER, RenderError};
use crate::events::{self, Enrolment};
use crate::segment;
use crate::summary::{self, Relied, Summary};

/// Everything that a report says, in the order in which it says it.
pub(super) struct Facts<'a> {
    pub(super) proven: &'a Proven,
    /// The agents' signatures over their records were checked.
    pub(super) is_signed: bool,
    pub(super) window: Window,
    /// The customer's name, as last settled.
    pub(super) customer: String,
    /// From when on which tolerance held.
    pub(super) tolerances: Vec<(UnixTime, Nanos)>,
    /// By name.
    pub(super) servers: Vec<Server>,
    /// Those on which exchanges of the period rest, in the log's order.
    pub(super) clock_states: Vec<ClockState>,
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
    pub(super) fn gather(proven: &'a Proven, version: u32, words: &Words) -> Result<Self, RenderError> {
        let window = Window { from: proven.subject.from, to: proven.subject.to };
        let settings = Settings::gather(proven, words)?;
        let mut states = States::gather(proven)?;
        let mut servers = Vec::new();
        let complete = (version >= signed::SINCE).then(|| Complete::of(proven));
        for log in logs(proven, &settings, words)?.into_values() {
            servers.push(Server::judge(log, &mut states, &settings.tolerances, window, complete)?);
        }
        servers.retain(|server| server.takes_part(window));
        servers.sort_by(|one, next| (&one.name, one.agent).cmp(&(&next.name, next.agent)));
        Ok(Self {
            proven,
            is_signed: complete.is_some(),
            window,
            customer: settings.name.unwrap_or_else(|| proven.subject.customer.to_string()),
            tolerances: settings.tolerances,
            servers,
            clock_states: states.states.into_iter().filter(|state| state.exchanges > 0).collect(),
        })
    }

    /// The tolerances that held in the period, without repetition.
    pub(super) fn tolerances_in_period(&self) -> BTreeSet<Nanos> {
        let Window { from, to } = self.window;
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
    fn gather(proven: &Proven, words: &Words) -> Result<Self, RenderError> {
        let mut settings = Self { name: None, tolerances: Vec::new(), ids: BTreeSet::new() };
        for entry in proven.of_kind(&CUSTOMER) {
            let tolerance = text(entry, "tolerance-ns")?.parse().ok().filter(|tolerance| *tolerance >= 0);
            let tolerance =
                tolerance.ok_or(RenderError::Field { index: entry.index, field: "tolerance-ns" })?;
            // The log's order is the order of settlement, even where the centre's clock was set back.
            let latest = settings.tolerances.last().map_or(UnixTime::MIN, |(since, _)| *since);
            settings.tolerances.push((entry.entry.time.max(latest), Nanos::new(tolerance)));
            let erased = erased(proven, entry, "name", words);
            settings.name = Some(erased.map_or_else(|| text(entry, "name").map(str::to_owned), Ok)?);
            settings.ids.insert(entry.entry.id);
        }
        Ok(settings)
    }
}

/// The states of the centres' clocks.
pub(super) struct States {
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
    pub(super) fn verdict(
        &mut self,
        index: u64,
        id: EntryId,
        said: Option<Nanos>,
    ) -> Result<ClockVerdict, RenderError> {
        let state = self.by_id.get(&id).and_then(|place| self.states.get_mut(*place));
        let state = state.ok_or(RenderError::Missing { index, missing: id })?;
        if let Some(said) = said {
            state.exchanges += 1;
            state.bound = state.bound.max(said);
        }
        Ok(state.verdict)
    }

    /// Counts what a summary says of the exchanges that rest on a state.
    pub(super) fn rely(&mut self, index: u64, id: EntryId, relied: &Relied) -> Result<(), RenderError> {
        let state = self.by_id.get(&id).and_then(|place| self.states.get_mut(*place));
        let state = state.ok_or(RenderError::Missing { index, missing: id })?;
        state.exchanges += relied.exchanges;
        state.bound = state.bound.max(relied.bound);
        Ok(())
    }
}

/// The entries of each agent whose enrolment is in the report.
fn logs<'a>(
    proven: &'a Proven,
    settings: &Settings,
    words: &Words,
) -> Result<BTreeMap<AgentId, Log<'a>>, RenderError> {
    let mut logs = BTreeMap::new();
    for entry in proven.of_kind(&events::ENROLMENT) {
        let erased = erased(proven, entry, "name", words);
        let field = |field: &str| match (&erased, field) {
            (Some(erased), "name") => Some(erased.as_bytes()),
            _ => entry.fields.get(field),
        };
        let Enrolment { agent, name, public_key } =
            Enrolment::read(field).map_err(|why| RenderError::Event { index: entry.index, why })?;
        let enrolled = entry.entry.time;
        let (segments, summaries, events) = (Vec::new(), Vec::new(), Vec::new());
        logs.insert(agent, Log { agent, name, public_key, enrolled, segments, summaries, events });
    }
    let mut compacted = BTreeSet::new();
    for entry in proven.of_kind(&segment::KIND) {
        let index = entry.index;
        // Whose exchanges it held is told by no one any more but by the summary that names it.
        if is_compacted(entry) {
            compacted.insert(entry.entry.id);
            continue;
        }
        let missing: EntryId = parsed(entry, "settings")?;
        if !settings.ids.contains(&missing) {
            return Err(RenderError::Missing { index, missing });
        }
        let agent = parsed(entry, "agent")?;
        let log = logs.get_mut(&agent).ok_or(RenderError::NotEnrolled { index, agent })?;
        log.segments.push(entry);
    }
    summaries(proven, &compacted, &mut logs)?;
    for kind in events::KINDS {
        for entry in proven.of_kind(&kind) {
            let (agent, _) = read_event(entry)?;
            let log = logs.get_mut(&agent).ok_or(RenderError::NotEnrolled { index: entry.index, agent })?;
            log.events.push(entry);
        }
    }
    Ok(logs)
}

/// Whether nothing is left of an entry's fields but the root over them.
fn is_compacted(entry: &ProvenEntry) -> bool {
    matches!(entry.fields.parts(), [Part::Hidden(_)])
}

/// The summaries of exchanges that are kept no more. Where they still are, the exchanges themselves decide.
fn summaries(
    proven: &Proven,
    compacted: &BTreeSet<EntryId>,
    logs: &mut BTreeMap<AgentId, Log<'_>>,
) -> Result<(), RenderError> {
    let roots: BTreeMap<EntryId, Hash> =
        proven.of_kind(&segment::KIND).map(|entry| (entry.entry.id, entry.entry.body_root)).collect();
    // After some years what a summary says is deleted as well.
    for entry in proven.of_kind(&summary::KIND).filter(|entry| !is_compacted(entry)) {
        let index = entry.index;
        let summary = Summary::read(|field| entry.fields.get(field))
            .map_err(|why| RenderError::Summary { index, why })?;
        let named = || summary.segments.iter().map(|id| roots.get(id).map(|root| (*id, *root)));
        // Segments from before the period are not in the report.
        if let Some(segments) = named().collect::<Option<Vec<_>>>()
            && summary::root(segments) != summary.root
        {
            return Err(RenderError::SummaryRoot { index });
        }
        if !summary.segments.is_empty() && !summary.segments.iter().any(|id| compacted.contains(id)) {
            continue;
        }
        let agent = summary.agent;
        let log = logs.get_mut(&agent).ok_or(RenderError::NotEnrolled { index, agent })?;
        log.summaries.push((index, summary));
    }
    for log in logs.values_mut() {
        log.summaries.sort_by_key(|(_, summary)| summary.from);
    }
    Ok(())
}

/// What stands in the place of a field that was erased, if the report says by which entry.
fn erased(proven: &Proven, entry: &ProvenEntry, field: &str, words: &Words) -> Option<String> {
    let hidden = entry.fields.get(field).is_none();
    let by = proven.erased_by(entry.entry.id, field).filter(|_| hidden)?;
    Some(fill(words.erased, &[("index", &by.index.to_string())]))
}

fn text<'a>(entry: &'a ProvenEntry, field: &'static str) -> Result<&'a str, RenderError> {
    entry.fields.text(field).ok_or(RenderError::Field { index: entry.index, field })
}

fn parsed<T: std::str::FromStr>(entry: &ProvenEntry, field: &'static str) -> Result<T, RenderError> {
    text(entry, field)?.parse().map_err(|_| RenderError::Field { index: entry.index, field })
}
