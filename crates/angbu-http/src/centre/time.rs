//! Agents: how they stand, their graphs and their uploads.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;

use angbu_accounts::Reach;
use angbu_evidence::Kind;
use angbu_store::accounts::CustomerRow;
use angbu_store::time::{AcceptedUpload, AgentRow, EventRow, ExchangeRow, UploadRow};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_time::chain::Chain;
use angbu_time::events;
use angbu_time::ingest::{self, Accepted, Known};
use angbu_time::periods::{self, COVERS_POLLS, DRIFT, LOOKS_BACK, Observed, Period, Verdict};
use angbu_time::proof::Proof;
use angbu_time::record::{Fact, Measured, Record};
use angbu_units::{AgentId, CentreId, ClockVerdict, CustomerId, EntryId, Nanos, ProvenInstant, UnixTime};

use super::board::Standing;
use super::retention::{HOURS_APART, Kept};
use super::{Centre, News, proofs};
use crate::problem::Refusal;
use crate::types::accounts::Customer;
use crate::types::time::{Agent, Exchange, Graph, Mark, MarkKind, Point, Totals, Uploaded, VerdictWord};
use crate::types::{instant, millis};

/// How often an upload is judged again when another one of the same agent was faster.
const TRIES: u32 = 4;
/// The longest period that a graph covers.
const LONGEST_GRAPH: Nanos = Nanos::from_secs(370 * 86_400);
/// How long a report may wait for the share link that it was made for.
const SHARED_SETTLED: Nanos = Nanos::from_secs(3_600);
/// Exchanges of an agent that arrive in one upload and are told to browsers one by one.
const LIVE_EXCHANGES: usize = 32;
/// The poll interval that is assumed of an agent whose start is not known.
const UNKNOWN_POLL: Nanos = Nanos::from_secs(16);

impl Centre {
    /// The customers within a reach, with how their agents stand.
    pub(crate) async fn customers(&self, reach: Reach) -> Result<Vec<Customer>, Refusal> {
        let rows = self
            .store
            .read(move |snapshot| match reach {
                Reach::Site => snapshot.customers(),
                Reach::Customer(id) => Ok(snapshot.customer(id)?.into_iter().collect()),
            })
            .await?;
        let standings = match rows.as_slice() {
            [only] => self.standings(Some(only.id)).await?,
            _ => self.standings(None).await?,
        };
        Ok(rows.into_iter().map(|row| show_customer(row, &standings)).collect())
    }

    /// One customer with how its agents stand.
    pub(crate) async fn customer_now(&self, row: CustomerRow) -> Result<Customer, Refusal> {
        let standings = self.standings(Some(row.id)).await?;
        Ok(show_customer(row, &standings))
    }

    /// One agent within a reach.
    pub(crate) async fn agent(&self, reach: Reach, id: AgentId) -> Result<Agent, Refusal> {
        let now = self.clock.read().wall;
        let view = self
            .store
            .read(move |snapshot| {
                let Some(row) = snapshot.agent(id)? else { return Ok(None) };
                View::load(snapshot, row, now).map(Some)
            })
            .await?;
        let view = view
            .filter(|view| reach.covers(view.row.customer))
            .ok_or_else(|| Refusal::unknown("agent", &id.to_string()))?;
        Ok(self.show_agent(&view, now))
    }

    /// A period of one agent, to draw: points for the line, and the verdicts from every exchange.
    pub(crate) async fn graph(
        &self,
        reach: Reach,
        id: AgentId,
        from: UnixTime,
        to: UnixTime,
        points: u32,
    ) -> Result<Graph, Refusal> {
        if to <= from || to - from > LONGEST_GRAPH {
            return Err(Refusal::Invalid(
                "the period ends after it begins and is no longer than a year".into(),
            ));
        }
        let until = to.min(self.clock.read().wall);
        let (drawn, by_hour, kept, tolerance, row, proven) = self
            .store
            .read(move |snapshot| {
                let row = snapshot.agent(id)?.filter(|row| reach.covers(row.customer));
                let Some(row) = row else { return Ok(None) };
                let kept = Kept::load(snapshot, &row, from, to)?;
                let (drawn, by_hour) = kept.points(snapshot, id, [from, to], u64::from(points))?;
                let tolerance = tolerances(snapshot, row.customer)?;
                let proven = kept.proofs(snapshot, id, from, to)?;
                Ok::<_, StoreError>(Some((drawn, by_hour, kept, tolerance, row, proven)))
            })
            .await?
            .ok_or_else(|| Refusal::unknown("agent", &id.to_string()))?;
        let judged = self.periods_of(&kept, &tolerance, from, until);
        let totals = periods::totals(&judged);
        let poll = row.poll.unwrap_or(UNKNOWN_POLL);
        let step = Nanos::new((to - from).count() / i64::from(points));
        let hours = if by_hour { HOURS_APART } else { Nanos::ZERO };
        let gap = step.times(2).max(poll.times(COVERS_POLLS)).max(hours) + poll;
        Ok(Graph {
            from: instant(from),
            to: instant(to),
            tolerance_ns: tolerance.last().map_or(0, |(_, limit)| limit.count()),
            gap_ms: gap.count() / 1_000_000,
            points: drawn
                .into_iter()
                .map(|point| Point {
                    at_ms: millis(point.last_at),
                    offset_min_ns: point.offset_min.count(),
                    offset_max_ns: point.offset_max.count(),
                    delay_ns: point.delay.count(),
                    bound_ns: point.bound.count(),
                })
                .collect(),
            events: kept.events.iter().filter_map(mark).collect(),
            periods: judged.iter().map(show_period).collect(),
            totals: Totals {
                within_ms: totals.within.count() / 1_000_000,
                outside_ms: totals.outside.count() / 1_000_000,
                not_proven_ms: totals.not_proven.count() / 1_000_000,
            },
            proofs: show_proofs(&proven),
        })
    }

    /// Takes an agent's signed upload: in order, once in effect.
    pub(crate) async fn accept_upload(&self, wire: Bytes) -> Result<Uploaded, Refusal> {
        let id = ingest::claimed_agent(&wire)?;
        for _ in 0..TRIES {
            let found = self
                .store
                .read(move |snapshot| {
                    let Some(agent) = snapshot.agent(id)? else { return Ok(None) };
                    let Some(customer) = snapshot.customer(agent.customer)? else { return Ok(None) };
                    let centres: Vec<_> = snapshot.centres()?.into_iter().map(|centre| centre.id).collect();
                    Ok::<_, StoreError>(Some((agent, customer, centres)))
                })
                .await?;
            let (agent, customer, centres) = found.ok_or(ingest::Refusal::UnknownAgent(id))?;
            let stamp = self.instant();
            let known = Known {
                agent: id,
                public_key: agent.public_key,
                next_seq: agent.next_seq,
                chain: Chain::from_bytes(agent.chain),
            };
            let accepted = ingest::accept(&known, &wire, stamp.time)?;
            // Before anything takes effect: a log that may be an old copy of itself takes no records.
            let checkpoint = accepted.newest_checkpoint.clone();
            let shown = match self.shown(id, &agent.public_key, checkpoint.as_deref()).await {
                Ok(shown) => shown,
                Err(error) => return Err(self.in_doubt(error, checkpoint.as_deref()).await),
            };
            let (next_seq, tolerance) = (accepted.next_seq, customer.tolerance);
            let noticed = self.noticed(&accepted, &centres, tolerance);
            let proofs = self.check_proofs(&agent, &accepted, stamp.time).await?;
            let Put { mut upload, entries } = put(&agent, accepted, stamp);
            let told = upload.clone();
            let written = self
                .store
                .write(move |tx| {
                    for entry in entries {
                        entry.append(tx, stamp)?;
                    }
                    if let Some(cosignature) = &shown.cosignature {
                        tx.keep_cosignature(cosignature)?;
                    }
                    proofs.take(tx, &mut upload)?;
                    tx.apply_upload(&upload)?;
                    noticed.note(tx, id, stamp.time)
                })
                .await;
            match written {
                Ok(()) => {
                    self.tell(&told, customer.id).await;
                    // The records are in effect; an answer without the log is better than none.
                    let log = self.growth(shown.size).await.unwrap_or_default();
                    let (next_seq, tolerance_ns) = (next_seq.to_string(), tolerance.count());
                    return Ok(Uploaded { next_seq, tolerance_ns, log });
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(self.in_doubt(error, checkpoint.as_deref()).await),
            }
        }
        Err(Refusal::Unavailable {
            seconds: 1,
            reason: format!("uploads of {id} keep overtaking each other"),
        })
    }

    /// Clears away sessions and codes that have ended, and identifiers of exchanges that are too old to be proven.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn clear_ended(&self) -> Result<(), StoreError> {
        let now = self.clock.read().wall;
        self.store
            .write(move |tx| {
                tx.forget_identifiers(now - proofs::REMEMBERED)?;
                tx.purge_shared_reports(now, now - SHARED_SETTLED)?;
                tx.forget_deliveries(now - super::deliveries::SHOWN)?;
                super::requests::clear(tx, now)?;
                super::keys::clear_strangers(tx, now)?;
                tx.purge_expired(now)
            })
            .await
            .map(drop)
    }

    async fn tell(&self, upload: &AcceptedUpload, customer: CustomerId) {
        if self.news.receiver_count() == 0 {
            return;
        }
        let agent = upload.agent.to_string();
        for row in upload.exchanges.iter().rev().take(LIVE_EXCHANGES).rev() {
            let exchange = Exchange {
                agent: agent.clone(),
                at_ms: millis(row.at),
                offset_ns: row.offset.count(),
                delay_ns: row.delay.count(),
                bound_ns: row.bound.count(),
            };
            let _ = self.news.send(News::Exchange { customer, exchange });
        }
        for mark in upload.events.iter().filter_map(mark) {
            let _ = self.news.send(News::Mark { customer, agent: agent.clone(), mark });
        }
        if let Ok(agent) = self.agent(Reach::Site, upload.agent).await {
            let _ = self.news.send(News::Agent { customer, agent });
        }
    }

    fn show_agent(&self, view: &View, now: UnixTime) -> Agent {
        let judged = self.judge(&view.recorded, &view.tolerance, now - Nanos::new(1), now);
        let reference = self.own_clock.in_force().state.verdict;
        let newest = view.recorded.newest();
        shown(&view.row, &view.customer, &view.tolerance, newest.as_ref(), judged.last(), reference)
    }

    pub(super) fn judge(
        &self,
        recorded: &Recorded,
        tolerance: &[(UnixTime, Nanos)],
        from: UnixTime,
        to: UnixTime,
    ) -> Vec<Period> {
        if to <= from {
            return Vec::new();
        }
        let observed = recorded.observed(|at| self.own_clock.state_at(at).map(|(_, verdict)| verdict));
        periods::periods(&observed, tolerance, from, to, DRIFT)
    }
}

fn show_customer(row: CustomerRow, standings: &[Standing]) -> Customer {
    let own: Vec<_> = standings.iter().filter(|standing| standing.customer == row.id).collect();
    let count = |verdict| own.iter().filter(|standing| standing.agent.verdict == verdict).count() as u64;
    Customer {
        id: row.id.to_string(),
        name: row.name,
        tolerance_ns: row.tolerance.count(),
        contacts: row.contacts,
        language: row.language,
        zone: row.zone,
        revision: row.revision,
        agents: own.len() as u64,
        within: count(VerdictWord::Within),
        outside: count(VerdictWord::Outside),
        not_proven: count(VerdictWord::NotProven),
    }
}

/// An agent with the verdict on a period, and the figures of its newest exchange.
pub(super) fn shown(
    row: &AgentRow,
    customer: &str,
    tolerance: &[(UnixTime, Nanos)],
    newest: Option<&ExchangeRow>,
    period: Option<&Period>,
    reference: ClockVerdict,
) -> Agent {
    let (verdict, why) =
        period.map_or((Verdict::NotProven, "no-data"), |period| (period.verdict, period.why.code()));
    let flags = newest.map(|exchange| (exchange.flags & STEADY != 0, exchange.flags & IN_SYNC != 0));
    let (steady, in_sync) = flags.filter(|_| verdict != Verdict::NotProven).unwrap_or((false, false));
    Agent {
        id: row.id.to_string(),
        name: row.name.clone(),
        customer: customer.to_owned(),
        tolerance_ns: tolerance.last().map_or(0, |(_, limit)| limit.count()),
        enrolled_at: instant(row.enrolled),
        last_seen: row.last_seen.map(instant),
        poll_ns: row.poll.map(Nanos::count),
        verdict: word(verdict),
        why: why.to_owned(),
        steady,
        in_sync,
        offset_ns: newest.map(|exchange| exchange.offset.count()),
        bound_ns: newest.map(|exchange| exchange.bound.count()),
        delay_ns: newest.map(|exchange| exchange.delay.count()),
        rate_ppb: newest.map(|exchange| exchange.rate.count()),
        reference: reference.into(),
    }
}

/// The flags of an exchange's record.
pub(super) const STEADY: u16 = 1;
pub(super) const IN_SYNC: u16 = 2;

/// An agent with what its present verdict rests on.
struct View {
    row: AgentRow,
    customer: String,
    tolerance: Arc<[(UnixTime, Nanos)]>,
    recorded: Recorded,
}

impl View {
    fn load(snapshot: &Snapshot<'_>, row: AgentRow, now: UnixTime) -> Result<Self, StoreError> {
        let customer = snapshot.customer(row.customer)?.map(|customer| customer.name).unwrap_or_default();
        let tolerance = tolerances(snapshot, row.customer)?.into();
        let recorded = Recorded::load(snapshot, centres(snapshot)?, &row, now, UnixTime::MAX)?;
        Ok(Self { row, customer, tolerance, recorded })
    }
}

/// The site's centres.
pub(super) fn centres(snapshot: &Snapshot<'_>) -> Result<Arc<[CentreId]>, StoreError> {
    Ok(snapshot.centres()?.into_iter().map(|centre| centre.id).collect())
}

/// What an agent has recorded about a period, and a little before it.
pub(super) struct Recorded {
    pub(super) exchanges: Vec<ExchangeRow>,
    pub(super) events: Vec<EventRow>,
    pub(super) centres: Arc<[CentreId]>,
}

impl Recorded {
    pub(super) fn load(
        snapshot: &Snapshot<'_>,
        centres: Arc<[CentreId]>,
        row: &AgentRow,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Self, StoreError> {
        // What was known when the period began: the exchange before it, all that an exchange is held against, and whatever
        // happened since.
        let before = snapshot.latest_exchange(row.id, from)?.map_or(from, |exchange| exchange.at);
        let before = before.min(from - LOOKS_BACK);
        let event = snapshot.latest_event(row.id, from)?.map_or(before, |event| event.at);
        let exchanges = snapshot.exchanges(row.id, before, to, u64::MAX)?;
        let events = snapshot.events(row.id, before.min(event), to, u64::MAX)?;
        Ok(Self { exchanges, events, centres })
    }

    /// The exchange that shows most of now.
    pub(super) fn newest(&self) -> Option<ExchangeRow> {
        self.exchanges.last().cloned()
    }

    pub(super) fn observed(&self, centre: impl Fn(UnixTime) -> Option<ClockVerdict>) -> Vec<Observed> {
        let mut by_seq: BTreeMap<u64, Vec<Observed>> = BTreeMap::new();
        let records = self.events.iter().map(|event| &event.detail);
        for bytes in records.chain(self.exchanges.iter().map(|exchange| &exchange.record)) {
            // A record that cannot be read leaves a gap in the numbers, and a gap is not proven.
            let Ok(record) = Record::decode(bytes) else { continue };
            let with_centre = match &record.fact {
                Fact::Exchange(measured) => is_centre(measured, &self.centres),
                _ => true,
            };
            let centre = if with_centre { centre(record.at()) } else { None };
            by_seq.insert(record.seq, periods::observed(&record, centre));
        }
        by_seq.into_values().flatten().collect()
    }
}

/// An upload as rows, and the entries that its events become.
struct Put {
    upload: AcceptedUpload,
    entries: Vec<NewEntry>,
}

struct NewEntry {
    id: EntryId,
    kind: Kind,
    customer: CustomerId,
    fields: Vec<(&'static str, Vec<u8>)>,
}

impl NewEntry {
    fn append(self, tx: &mut Tx<'_>, stamp: ProvenInstant) -> Result<(), StoreError> {
        super::append_with_id(tx, self.id, self.kind, self.customer, stamp, self.fields)
    }
}

fn put(agent: &AgentRow, accepted: Accepted, stamp: ProvenInstant) -> Put {
    let mut upload = AcceptedUpload {
        agent: agent.id,
        expected_seq: agent.next_seq,
        next_seq: accepted.next_seq,
        arrived: stamp.time,
        poll: None,
        signed: UploadRow {
            agent: agent.id,
            first_seq: accepted.signed.first_seq,
            next_seq: accepted.next_seq,
            records: accepted.records.len() as u64,
            arrived: stamp.time,
            chain: *accepted.chain.as_bytes(),
            signed: accepted.signed.encode(),
        },
        exchanges: Vec::new(),
        events: Vec::new(),
    };
    let mut entries = Vec::new();
    for record in accepted.records {
        if let Fact::Exchange(measured) = &record.fact {
            let exchange = &measured.exchange;
            upload.exchanges.push(ExchangeRow {
                agent: agent.id,
                at: exchange.at(),
                seq: record.seq,
                offset: exchange.offset(),
                delay: exchange.delay(),
                bound: exchange.bound(),
                rate: measured.judgement.rate.unwrap_or_default(),
                flags: u16::from(measured.judgement.steady) * STEADY
                    + u16::from(measured.judgement.in_sync) * IN_SYNC,
                arrived: stamp.time,
                record: record.encode(),
            });
            continue;
        }
        if let Fact::Start(start) = &record.fact {
            upload.poll = Some(start.poll);
        }
        let Some((kind, fields)) = events::entry(agent.id, &record) else { continue };
        let id = EntryId::new(stamp.time, &mut super::rng());
        entries.push(NewEntry { id, kind: kind.clone(), customer: agent.customer, fields });
        upload.events.push(EventRow {
            agent: agent.id,
            at: record.at(),
            seq: record.seq,
            kind: kind.as_str().to_owned(),
            detail: record.encode(),
            entry: id,
        });
    }
    Put { upload, entries }
}

/// Whether an exchange was with a centre of this site.
pub(super) fn is_centre(measured: &Measured, centres: &[CentreId]) -> bool {
    centres.iter().any(|centre| centre.as_bytes() == measured.server.as_bytes())
}

pub(super) fn tolerances(
    snapshot: &Snapshot<'_>,
    customer: CustomerId,
) -> Result<Vec<(UnixTime, Nanos)>, StoreError> {
    let settings = snapshot.customer_settings(customer)?;
    Ok(settings.into_iter().map(|settings| (settings.since, settings.tolerance)).collect())
}

fn mark(event: &EventRow) -> Option<Mark> {
    let record = Record::decode(&event.detail).ok()?;
    let (kind, difference) = match &record.fact {
        Fact::Start(_) => (MarkKind::Start, None),
        Fact::Stop(_) => (MarkKind::Stop, None),
        Fact::Alarm(alarm) => (MarkKind::Alarm, Some(alarm.difference.count())),
        Fact::Dropped(_) => (MarkKind::Dropped, None),
        Fact::Pause(pause) => (MarkKind::Pause, Some(pause.length.count())),
        Fact::Exchange(_) | Fact::Corrections(_) => return None,
    };
    Some(Mark {
        at_ms: millis(event.at),
        kind,
        difference_ns: difference,
        entry: Some(event.entry.to_string()),
    })
}

/// How many exchanges are proven, from how many have each number.
fn show_proofs(counts: &[(u64, u64)]) -> crate::types::time::Proofs {
    let mut shown = crate::types::time::Proofs::default();
    for (code, count) in counts {
        let proof = u8::try_from(*code).ok().and_then(Proof::from_code).unwrap_or_default();
        shown.exchanges += count;
        shown.proven += if proof.is_proven() { *count } else { 0 };
        shown.late += if proof == Proof::Late { *count } else { 0 };
        shown.refused += if matches!(proof, Proof::Refused(_)) { *count } else { 0 };
    }
    shown
}

pub(super) fn show_period(period: &Period) -> crate::types::time::Period {
    crate::types::time::Period {
        from_ms: millis(period.from),
        to_ms: millis(period.to),
        verdict: word(period.verdict),
        why: period.why.code().to_owned(),
    }
}

pub(super) fn word(verdict: Verdict) -> VerdictWord {
    match verdict {
        Verdict::Within => VerdictWord::Within,
        Verdict::Outside => VerdictWord::Outside,
        Verdict::NotProven => VerdictWord::NotProven,
    }
}
