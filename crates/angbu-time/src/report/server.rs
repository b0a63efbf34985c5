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

/// One server in the period.
pub(super) struct Server {
    pub(super) agent: AgentId,
    pub(super) name: String,
    pub(super) enrolled: UnixTime,
    pub(super) summary: Summary,
    /// In order of time.
    pub(super) buckets: Vec<Bucket>,
    /// In order of time.
    pub(super) events: Vec<Event>,
    pub(super) periods: Vec<Period>,
    pub(super) totals: Totals,
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
pub(super) struct Summary {
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
        let mut summary = Summary::default();
        let mut observed = Vec::new();
        let mut trail = complete.map(|complete| Trail::new(log.agent, log.public_key, complete));
        for entry in &log.segments {
            let segment = read_segment(entry)?;
            if let Some(trail) = &mut trail {
                trail.segment(entry.index, &segment)?;
            }
            take_segment((entry.index, &segment), states, window, &mut summary, &mut observed)?;
        }
        let mut events = Vec::new();
        for entry in &log.events {
            let (_, record) = read_event(entry)?;
            if let Some(trail) = &mut trail
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
        let periods = periods(&observed, tolerances, window.from, window.to, DRIFT);
        let mut samples: Vec<(u64, Sample)> = observed.iter().filter_map(exchanged).collect();
        drop(observed);
        place(&mut events, &samples);
        events.retain(|event| window.contains(event.at));
        events.sort_by_key(|event| (event.at, event.record.seq));
        samples.retain(|(_, sample)| window.contains(sample.at));
        samples.sort_by_key(|(_, sample)| sample.at);
        let buckets = gather(&samples, &events, window);
        let totals = totals(&periods);
        let Log { agent, name, enrolled, .. } = log;
        Ok(Self { agent, name, enrolled, summary, buckets, events, periods, totals })
    }
}

impl Server {
    /// Whether the report is about this server: one that was enrolled after the period has no part in it.
    pub(super) fn takes_part(&self, window: Window) -> bool {
        self.enrolled < window.to || self.summary.exchanges > 0 || !self.events.is_empty()
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

impl Summary {
    fn add(&mut self, offset: Nanos, delay: Nanos, bound: Nanos) {
        let (least, most) = if self.exchanges == 0 { (offset, offset) } else { self.offset };
        self.exchanges += 1;
        self.offset = (least.min(offset), most.max(offset));
        self.delay = self.delay.max(delay);
        self.bound = self.bound.max(bound);
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
    window: Window,
    summary: &mut Summary,
    observed: &mut Vec<Observed>,
) -> Result<(), RenderError> {
    for kept in &segment.exchanges {
        let exchange = &kept.measured.exchange;
        let inside = window.contains(exchange.at());
        let said = inside.then(|| exchange.source_bound());
        let centre = kept.clock_state.map(|id| states.verdict(index, id, said)).transpose()?;
        observed.push(Observed::new(&kept.record(), centre));
        if inside {
            summary.add(exchange.offset(), exchange.delay(), exchange.bound());
            summary.proofs.add(kept.proof);
        }
    }
    Ok(())
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
