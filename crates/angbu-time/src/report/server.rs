//! One server in the period: its verdicts, what happened to it, and its exchanges gathered into the columns of a picture.
//!
//! A month of exchanges every two seconds is more than a million for each server; they are unpacked, judged and gathered for one server after
//! the other, so that a report of many costs the memory of one.

use angbu_evidence::report::ProvenEntry;
use angbu_units::{AgentId, Nanos, UnixTime};

use super::RenderError;
use super::facts::States;
use super::signed::{Complete, Trail};
use super::window::{COLUMNS, Window};
use crate::events;
use crate::periods::{self, COVERS_POLLS, DRIFT, Observed, Period, Sample, Totals, What, periods, totals};
use crate::proof::Proof;
use crate::record::{Fact, Record};
use crate::segment::Segment;
use crate::summary::{self, HOUR, Hour, Summary};

/// One server in the period.
pub(super) struct Server {
    pub(super) agent: AgentId,
    pub(super) name: String,
    pub(super) enrolled: UnixTime,
    pub(super) figures: Figures,
    /// In order of time.
    pub(super) buckets: Vec<Bucket>,
    /// In order of time.
    pub(super) events: Vec<Event>,
    pub(super) periods: Vec<Period>,
    pub(super) totals: Totals,
    pub(super) summarised: Summarised,
}

/// What of the period rests on summaries.
#[derive(Clone, Copy, Default)]
pub(super) struct Summarised {
    /// How many summaries, and the log indexes of the first and the last.
    pub(super) entries: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    /// How many segments they stand for.
    pub(super) segments: u64,
    pub(super) exchanges: u64,
    /// How much of the period.
    pub(super) length: Nanos,
}

/// Something that happened in the period.
pub(super) struct Event {
    /// When, by the centre's clock: as the agent reckoned it, else between the exchanges beside it.
    pub(super) at: UnixTime,
    pub(super) index: u64,
    pub(super) record: Record,
}

/// The exchanges of the period in figures.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) exchanges: u64,
    /// Least and most.
    pub(super) offset: (Nanos, Nanos),
    pub(super) delay: Nanos,
    pub(super) bound: Nanos,
    pub(super) proofs: Proofs,
}

/// What is proven of the exchanges of the period.
#[derive(Clone, Copy, Default)]
pub(super) struct Proofs {
    /// Those with the centre's own seal, late ones too.
    pub(super) proven: u64,
    pub(super) late: u64,
    /// Those of which something was shown that proves nothing.
    pub(super) refused: u64,
}

/// The exchanges of one column, between which nothing happened.
#[derive(Clone, Copy)]
pub(super) struct Bucket {
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
    /// How long the last one covers.
    pub(super) covers: Nanos,
    /// Least and most.
    pub(super) offset: (Nanos, Nanos),
    /// Offset minus bound and plus bound.
    pub(super) range: (Nanos, Nanos),
}

/// The entries of one agent, not yet unpacked.
pub(super) struct Log<'a> {
    pub(super) agent: AgentId,
    pub(super) name: String,
    /// What the agent signs with.
    pub(super) public_key: [u8; 32],
    pub(super) enrolled: UnixTime,
    pub(super) segments: Vec<&'a ProvenEntry>,
    /// With their log indexes, in order of time: of exchanges that are kept no more.
    pub(super) summaries: Vec<(u64, Summary)>,
    pub(super) events: Vec<&'a ProvenEntry>,
}

impl Server {
    /// `complete` where the agent's signature of everything is checked.
    pub(super) fn judge(
        log: Log<'_>,
        states: &mut States,
        tolerances: &[(UnixTime, Nanos)],
        window: Window,
        complete: Option<Complete>,
    ) -> Result<Self, RenderError> {
        let mut figures = Figures::default();
        let mut observed = Vec::new();
        let (summarised, summaries) = read_summaries(&log, states, window, &mut figures)?;
        let raw = |at| window.contains(at) && !is_summarised(&summaries, at);
        let mut trail = complete.map(|complete| Trail::new(log.agent, log.public_key, complete));
        // What was signed of records before this one is deleted with the segments that summaries stand for.
        let mut signed_from = if summaries.is_empty() { 0 } else { u64::MAX };
        for entry in &log.segments {
            let segment = read_segment(entry)?;
            if let Some(trail) = &mut trail {
                trail.segment(entry.index, &segment)?;
            }
            let first = segment.signed.as_ref().map(|signed| signed.first_seq);
            signed_from = signed_from.min(first.unwrap_or(u64::MAX));
            take_segment((entry.index, &segment), states, raw, &mut figures, &mut observed)?;
        }
        let mut events = Vec::new();
        for entry in &log.events {
            let (_, record) = read_event(entry)?;
            if let Some(trail) = trail.as_mut().filter(|_| record.seq >= signed_from)
                && !trail.event(entry, &record)?
            {
                continue;
            }
            observed.extend(periods::observed(&record, None));
            // That a clock is kept right is nothing that happens; that it was set is.
            if matches!(&record.fact, Fact::Corrections(corrections) if !corrections.tells_of_a_step()) {
                continue;
            }
            events.push(Event { at: record.at(), index: entry.index, record });
        }
        trail.map_or(Ok(()), Trail::end)?;
        observed.sort_by_key(|observed| observed.seq);
        if let Some(seq) = twice(&observed) {
            return Err(RenderError::Twice { agent: log.agent, seq });
        }
        let judge = |from, to| Ok(periods(&observed, tolerances, from, to, DRIFT));
        let periods = summary::periods_of(&summaries, window.from, window.to, judge)?;
        let mut samples: Vec<(u64, Sample)> = observed.iter().filter_map(exchanged).collect();
        drop(observed);
        place(&mut events, &samples);
        events.retain(|event| window.contains(event.at));
        events.sort_by_key(|event| (event.at, event.record.seq));
        samples.retain(|(_, sample)| raw(sample.at));
        samples.sort_by_key(|(_, sample)| sample.at);
        let mut buckets = gather(&samples, &events, window);
        buckets.extend(gather_hours(&summaries, &events, window));
        buckets.sort_by_key(|bucket| bucket.first);
        let totals = totals(&periods);
        let Log { agent, name, enrolled, .. } = log;
        Ok(Self { agent, name, enrolled, figures, buckets, events, periods, totals, summarised })
    }
}

impl Server {
    /// Whether the report is about this server: one that was enrolled after the period has no part in it.
    pub(super) fn takes_part(&self, window: Window) -> bool {
        self.enrolled < window.to || self.figures.exchanges > 0 || !self.events.is_empty()
    }
}

/// The agent and the record of an event's entry.
pub(super) fn read_event(entry: &ProvenEntry) -> Result<(AgentId, Record), RenderError> {
    events::read(&entry.entry.kind, |field| entry.fields.get(field))
        .map_err(|why| RenderError::Event { index: entry.index, why })
}

/// Whether anything happened between two instants. `events` are in order of time.
pub(super) fn parted(events: &[Event], one: UnixTime, next: UnixTime) -> bool {
    let happened = events.partition_point(|event| event.at < one);
    events.get(happened).is_some_and(|event| event.at <= next)
}

impl Figures {
    fn add(&mut self, offset: Nanos, delay: Nanos, bound: Nanos) {
        let (least, most) = if self.exchanges == 0 { (offset, offset) } else { self.offset };
        self.exchanges += 1;
        self.offset = (least.min(offset), most.max(offset));
        self.delay = self.delay.max(delay);
        self.bound = self.bound.max(bound);
    }

    fn add_hour(&mut self, hour: &Hour) {
        self.add(hour.offset.min, hour.delay.max, hour.bound);
        self.add(hour.offset.max, hour.delay.max, hour.bound);
        self.exchanges = (self.exchanges + hour.exchanges).saturating_sub(2);
        self.proofs.proven += hour.proven;
        self.proofs.late += hour.late;
        self.proofs.refused += hour.refused;
    }
}

impl Proofs {
    fn add(&mut self, proof: Proof) {
        self.proven += u64::from(proof.is_proven());
        self.late += u64::from(proof == Proof::Late);
        self.refused += u64::from(matches!(proof, Proof::Refused(_)));
    }

    /// Whether anything was shown of any exchange.
    pub(super) const fn any(self) -> bool {
        self.proven > 0 || self.refused > 0
    }
}

fn read_segment(entry: &ProvenEntry) -> Result<Segment, RenderError> {
    Segment::read(|field| entry.fields.get(field))
        .map_err(|why| RenderError::Segment { index: entry.index, why })
}

fn take_segment(
    (index, segment): (u64, &Segment),
    states: &mut States,
    counts: impl Fn(UnixTime) -> bool,
    figures: &mut Figures,
    observed: &mut Vec<Observed>,
) -> Result<(), RenderError> {
    for kept in &segment.exchanges {
        let exchange = &kept.measured.exchange;
        let inside = counts(exchange.at());
        let said = inside.then(|| exchange.source_bound());
        let centre = kept.clock_state.map(|id| states.verdict(index, id, said)).transpose()?;
        observed.push(Observed::new(&kept.record(), centre));
        if inside {
            figures.add(exchange.offset(), exchange.delay(), exchange.bound());
            figures.proofs.add(kept.proof);
        }
    }
    Ok(())
}

/// The summaries that say something of the period. An hour that lies in it only in part counts whole.
fn read_summaries(
    log: &Log<'_>,
    states: &mut States,
    window: Window,
    figures: &mut Figures,
) -> Result<(Summarised, Vec<Summary>), RenderError> {
    let (mut all, mut summaries) = (Summarised::default(), Vec::new());
    for (index, summary) in &log.summaries {
        if summary.to <= window.from || window.to <= summary.from {
            continue;
        }
        for (id, relied) in &summary.clock_states {
            states.rely(*index, *id, relied)?;
        }
        let (from, to) = (window.from - (HOUR - Nanos::new(1)), window.to);
        for hour in summary.hours.iter().filter(|hour| from <= hour.begins && hour.begins < to) {
            figures.add_hour(hour);
            all.exchanges += hour.exchanges;
        }
        all.first = if all.entries == 0 { *index } else { all.first.min(*index) };
        all.last = all.last.max(*index);
        all.entries += 1;
        all.segments += u64::try_from(summary.segments.len()).unwrap_or(u64::MAX);
        all.length = all.length + (summary.to.min(window.to) - summary.from.max(window.from));
        summaries.push(summary.clone());
    }
    Ok((all, summaries))
}

/// Whether an instant lies in one of these summaries, which are in order of time.
fn is_summarised(summaries: &[Summary], at: UnixTime) -> bool {
    let place = summaries.partition_point(|summary| summary.to <= at);
    summaries.get(place).is_some_and(|summary| summary.from <= at)
}

fn twice(observed: &[Observed]) -> Option<u64> {
    let pairs = observed.iter().zip(observed.iter().skip(1));
    pairs.filter(|(one, next)| next.seq < one.next_seq).map(|(_, next)| next.seq).next()
}

fn exchanged(observed: &Observed) -> Option<(u64, Sample)> {
    match observed.what {
        What::Exchange(sample) => Some((observed.seq, sample)),
        _ => None,
    }
}

/// Puts each event between the exchanges before and after it by number: a clock that was set may say anything.
fn place(events: &mut [Event], samples: &[(u64, Sample)]) {
    for event in events {
        let next = samples.partition_point(|(seq, _)| *seq < event.record.seq);
        let before = next.checked_sub(1).and_then(|before| samples.get(before));
        let low = before.map_or(UnixTime::MIN, |(_, sample)| sample.at);
        let high = samples.get(next).map_or(UnixTime::MAX, |(_, sample)| sample.at);
        event.at = event.at.min(high).max(low);
    }
}

fn gather(samples: &[(u64, Sample)], events: &[Event], window: Window) -> Vec<Bucket> {
    let column = |sample: &Sample| window.place(sample.at, COLUMNS);
    let runs = samples
        .chunk_by(|(_, one), (_, next)| column(one) == column(next) && !parted(events, one.at, next.at));
    let buckets = runs.filter_map(|run| {
        let ((_, first), (_, last)) = (run.first()?, run.last()?);
        let covers = last.poll.times(COVERS_POLLS);
        let (offset, bound) = (first.offset, first.bound);
        let start = Bucket {
            first: first.at,
            last: last.at,
            covers,
            offset: (offset, offset),
            range: (offset - bound, offset + bound),
        };
        Some(run.iter().fold(start, |bucket, (_, sample)| bucket.with(sample)))
    });
    buckets.collect()
}

/// The same of hours that are summarised.
fn gather_hours(summaries: &[Summary], events: &[Event], window: Window) -> Vec<Bucket> {
    let hours = summaries.iter().flat_map(|summary| &summary.hours);
    let hours: Vec<&Hour> = hours.filter(|hour| window.contains(hour.first)).collect();
    let column = |hour: &Hour| window.place(hour.first, COLUMNS);
    let runs =
        hours.chunk_by(|one, next| column(one) == column(next) && !parted(events, one.last, next.first));
    let buckets = runs.filter_map(|run| {
        let (first, last) = (run.first()?, run.last()?);
        let least = |of: fn(&Hour) -> Nanos| run.iter().map(|hour| of(hour)).min();
        let most = |of: fn(&Hour) -> Nanos| run.iter().map(|hour| of(hour)).max();
        Some(Bucket {
            first: first.first,
            last: last.last.min(window.to - Nanos::new(1)),
            covers: last.poll.times(COVERS_POLLS),
            offset: (least(|hour| hour.offset.min)?, most(|hour| hour.offset.max)?),
            range: (least(|hour| hour.offset.min - hour.bound)?, most(|hour| hour.offset.max + hour.bound)?),
        })
    });
    buckets.collect()
}

impl Bucket {
    fn with(self, sample: &Sample) -> Self {
        let (low, high) = (sample.offset - sample.bound, sample.offset + sample.bound);
        Self {
            offset: (self.offset.0.min(sample.offset), self.offset.1.max(sample.offset)),
            range: (self.range.0.min(low), self.range.1.max(high)),
            ..self
        }
    }

    /// How far from zero it reaches, bound and all.
    pub(super) fn reach(&self) -> Nanos {
        self.range.0.abs().max(self.range.1.abs())
    }
}
