//! A customer's servers by period: verdicts with their shares and reasons, the chain of traceability, and the trend of one clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use angbu_accounts::Reach;
use angbu_evidence::Disclosure;
use angbu_store::accounts::CustomerRow;
use angbu_store::time::AgentRow;
use angbu_store::{Snapshot, StoreError};
use angbu_time::calibration;
use angbu_time::centre_clock::Reason;
use angbu_time::periods::{self, DRIFT, Period};
use angbu_time::record::{Fact, PauseReason, Record};
use angbu_time::traceability::{self, Calibrated, Head, HeadKind, Step};
use angbu_time::trend::{self, Point};
use angbu_units::{AgentId, ClockVerdict, EntryId, Nanos, UnixTime, Zone};

use super::asked::Asked;
use super::retention::Kept;
use super::time::{Recorded, is_centre, show_period, tolerances, word};
use super::{Centre, OwnClock};
use crate::problem::Refusal;
use crate::types::third_parties as shown;
use crate::types::third_parties::{
    AgentPeriods, CustomerPeriods, PeriodQuery, ReasonShare, Shares, ToleranceSince, Traceability,
};
use crate::types::{instant, millis};

/// The most exchanges that one answer is reckoned from: 32 servers for a month at 64 s, or one for a year at 16 s.
const MOST_EXCHANGES: u64 = 2_000_000;
/// The most intervals of one server that are told.
const MOST_INTERVALS: usize = 2_000;
/// The most heads of a chain that are told: the newest.
const MOST_HEADS: usize = 200;

type Tolerances = Vec<(UnixTime, Nanos)>;

impl Centre {
    /// The zone in which a customer's months and days begin.
    pub(crate) fn zone_of(&self, customer: &CustomerRow) -> Zone {
        customer.zone.parse().unwrap_or(Zone::UTC)
    }

    /// Reads which period of a customer is asked for.
    pub(crate) fn asked(&self, customer: &CustomerRow, query: &PeriodQuery) -> Result<Asked, Refusal> {
        Asked::read(query, &self.zone_of(customer), self.clock.read().wall)
    }

    /// A customer's period, server by server.
    pub(crate) async fn customer_periods(
        &self,
        customer: &CustomerRow,
        asked: &Asked,
        agent: Option<&str>,
    ) -> Result<CustomerPeriods, Refusal> {
        let (rows, tolerance) = self.chosen(customer, asked, agent).await?;
        let (mut agents, mut all, mut loaded) = (Vec::new(), periods::Totals::default(), 0_usize);
        for row in rows {
            let kept = self.kept_of(&row, asked).await?;
            loaded = loaded.saturating_add(kept.recorded.exchanges.len());
            if u64::try_from(loaded).is_ok_and(|loaded| loaded > MOST_EXCHANGES) {
                return Err(too_many());
            }
            let exchanges = count_of(&kept, asked);
            let judged = self.periods_of(&kept, &tolerance, asked.from, asked.until);
            drop(kept);
            let totals = periods::totals(&judged);
            all.within = all.within + totals.within;
            all.outside = all.outside + totals.outside;
            all.not_proven = all.not_proven + totals.not_proven;
            agents.push(AgentPeriods {
                id: row.id.to_string(),
                name: row.name,
                exchanges,
                totals: shares(&totals),
                reasons: reasons(&judged),
                periods: judged.iter().take(MOST_INTERVALS).map(show_period).collect(),
                periods_left_out: u64::try_from(judged.len().saturating_sub(MOST_INTERVALS))
                    .unwrap_or(u64::MAX),
            });
        }
        Ok(CustomerPeriods {
            customer: customer.name.clone(),
            period: asked.show(),
            tolerances: tolerances_in(&tolerance, asked),
            totals: shares(&all),
            agents,
        })
    }

    /// The chain from what the centre stands on to each of a customer's servers.
    pub(crate) async fn traceability_of(
        &self,
        customer: &CustomerRow,
        asked: &Asked,
        agent: Option<&str>,
    ) -> Result<Traceability, Refusal> {
        let (rows, _) = self.chosen(customer, asked, agent).await?;
        self.refuse_too_many(&rows, asked).await?;
        let heads = self.heads(asked).await?;
        let mut agents = Vec::new();
        for row in rows {
            let recorded = self.recorded(&row, asked).await?;
            let (own_clock, heads) = (Arc::clone(&self.own_clock), heads.clone());
            let span = [asked.from, asked.until];
            let chain = apart(move || {
                let observed = recorded.observed(|at| own_clock.state_at(at).map(|(_, verdict)| verdict));
                traceability::chain(&observed, &steps(&recorded, &own_clock), &heads, span, DRIFT)
            });
            agents.push(show_chain(&row, &chain.await?));
        }
        let heads = heads.into_iter().map(show_head).collect();
        Ok(Traceability { customer: customer.name.clone(), period: asked.show(), heads, agents })
    }

    /// How one server's clock ran.
    pub(crate) async fn trend_of(
        &self,
        reach: Reach,
        id: AgentId,
        query: &PeriodQuery,
    ) -> Result<shown::Trend, Refusal> {
        let unknown = || Refusal::unknown("agent", &id.to_string());
        let found = self
            .store
            .read(move |snapshot| {
                let Some(row) = snapshot.agent(id)?.filter(|row| reach.covers(row.customer)) else {
                    return Ok(None);
                };
                Ok::<_, StoreError>(snapshot.customer(row.customer)?.map(|customer| (row, customer)))
            })
            .await?;
        let (row, customer) = found.ok_or_else(unknown)?;
        let asked = self.asked(&customer, query)?;
        self.refuse_too_many(std::slice::from_ref(&row), &asked).await?;
        let recorded = self.recorded(&row, &asked).await?;
        let trend = apart(move || {
            let (points, breaks) = points_and_breaks(&recorded, asked.from);
            (trend::trend(&points, &breaks), asked)
        });
        let (trend, asked) = trend.await?;
        Ok(show_trend(row, customer.name, &asked, trend))
    }

    /// The servers that an answer is about, and the tolerances that they are held to.
    async fn chosen(
        &self,
        customer: &CustomerRow,
        asked: &Asked,
        agent: Option<&str>,
    ) -> Result<(Vec<AgentRow>, Tolerances), Refusal> {
        let id = customer.id;
        let (mut rows, tolerance) = self
            .store
            .read(move |snapshot| Ok::<_, StoreError>((snapshot.agents_of(id)?, tolerances(snapshot, id)?)))
            .await?;
        if let Some(wanted) = agent {
            rows.retain(|row| row.name == wanted || row.id.to_string() == wanted);
            if rows.is_empty() {
                return Err(Refusal::unknown("agent", wanted));
            }
        }
        // One that was enrolled after the period has no part in it.
        rows.retain(|row| row.enrolled < asked.to);
        Ok((rows, tolerance))
    }

    async fn refuse_too_many(&self, rows: &[AgentRow], asked: &Asked) -> Result<(), Refusal> {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let (from, until) = (asked.from, asked.until);
        let counted = self.store.read(move |snapshot| {
            let mut sum = 0;
            for id in ids {
                sum += snapshot.count_exchanges(id, from, until, MOST_EXCHANGES + 1 - sum)?;
                if sum > MOST_EXCHANGES {
                    break;
                }
            }
            Ok::<_, StoreError>(sum)
        });
        if counted.await? > MOST_EXCHANGES {
            return Err(too_many());
        }
        Ok(())
    }

    async fn recorded(&self, row: &AgentRow, asked: &Asked) -> Result<Recorded, Refusal> {
        let (row, from, until) = (row.clone(), asked.from, asked.until);
        let recorded = self.store.read(move |snapshot| {
            let centres = snapshot.centres()?.into_iter().map(|centre| centre.id).collect();
            Recorded::load(snapshot, centres, &row, from, until)
        });
        Ok(recorded.await?)
    }

    /// What is left of a server's exchanges: summaries, and the exchanges behind the last of them.
    async fn kept_of(&self, row: &AgentRow, asked: &Asked) -> Result<Kept, Refusal> {
        let (row, from, until) = (row.clone(), asked.from, asked.until);
        Ok(self.store.read(move |snapshot| Kept::load(snapshot, &row, from, until)).await?)
    }

    /// What the chain began with, one after the other: the states of the centre's clock that made it proven or declared, as their
    /// entries show them, under the calibrations of what the site calls its own.
    async fn heads(&self, asked: &Asked) -> Result<Vec<Head>, Refusal> {
        let mut states = self.own_clock.states_between(asked.from, asked.until);
        let beyond = states.len().saturating_sub(MOST_HEADS);
        states.drain(..beyond);
        let heads = self.store.read(move |snapshot| {
            let heads =
                states.into_iter().map(|(entry, verdict, since)| head(snapshot, entry, verdict, since));
            let heads = heads.collect::<Result<Vec<_>, StoreError>>()?;
            Ok::<_, StoreError>((heads, calibrated(snapshot)?))
        });
        let (mut heads, calibrations): (Vec<Head>, _) = heads.await?;
        heads.dedup_by(|next, one| {
            let same = (one.kind, &one.name) == (next.kind, &next.name);
            if same {
                one.entries.append(&mut next.entries);
            }
            same
        });
        Ok(traceability::under_calibrations(heads, &calibrations))
    }
}

fn too_many() -> Refusal {
    Refusal::Invalid(format!(
        "the period has more than {MOST_EXCHANGES} exchanges; choose one server, or a shorter period"
    ))
}

/// How many exchanges a period has: those of whole hours that begin in it, and those that no summary stands for.
fn count_of(kept: &Kept, asked: &Asked) -> u64 {
    let seam = kept.summaries.last().map_or(asked.from, |last| last.to.max(asked.from));
    let hours = kept.summaries.iter().flat_map(|summary| &summary.hours);
    let hours = hours.filter(|hour| (asked.from..asked.until).contains(&hour.begins));
    let after = kept.recorded.exchanges.iter().filter(|exchange| exchange.at >= seam).count();
    hours.map(|hour| hour.exchanges).sum::<u64>().saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
}

/// Reckons something that takes long where it keeps nobody from being answered.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refusal::Internal(format!("a reckoning ended early: {error}")))
}

fn head(
    snapshot: &Snapshot<'_>,
    entry: EntryId,
    verdict: ClockVerdict,
    since: UnixTime,
) -> Result<Head, StoreError> {
    let body = snapshot.body(entry)?;
    let text =
        |name| body.as_ref().and_then(|body: &Disclosure| body.text(name)).unwrap_or_default().to_owned();
    let (kind, name) = match verdict {
        ClockVerdict::Proven if is_receiver(&text("reason")) => (HeadKind::ReferenceClock, text("source")),
        ClockVerdict::Proven => (HeadKind::Upstreams, text("source")),
        ClockVerdict::Declared => (HeadKind::Declared, text("source")),
        ClockVerdict::Unproven => (HeadKind::Unknown, text("reason")),
    };
    let entries = snapshot.entry_index(entry)?.into_iter().collect();
    Ok(Head { since, kind, name, bound: Nanos::ZERO, calibrated_by: Vec::new(), entries })
}

/// Whether a reference clock beside the machine is what made a clock proven.
fn is_receiver(reason: &str) -> bool {
    [Reason::Receiver, Reason::Holdover].into_iter().any(|receiver| receiver.code() == reason)
}

/// The calibrations that stand, as far as the log has them.
fn calibrated(snapshot: &Snapshot<'_>) -> Result<Vec<Calibrated>, StoreError> {
    let mut calibrations = Vec::new();
    for row in snapshot.calibrations()? {
        if row.withdrawn.is_some() {
            continue;
        }
        if let Some(entry) = snapshot.entry_index(row.entry)? {
            calibrations.push(Calibrated {
                subject: row.subject,
                measured: row.measured,
                valid_until: row.valid_until,
                bound: calibration::bound(row.offset, row.uncertainty),
                by: format!("{}, {}", row.laboratory, row.certificate),
                entry,
            });
        }
    }
    Ok(calibrations)
}

/// The exchanges with centres whose clock was shown, as links of a chain.
fn steps(recorded: &Recorded, own_clock: &OwnClock) -> Vec<Step> {
    let mut steps = Vec::with_capacity(recorded.exchanges.len());
    for row in &recorded.exchanges {
        let Ok(Record { fact: Fact::Exchange(measured), .. }) = Record::decode(&row.record) else { continue };
        let state = own_clock.state_at(row.at).map(|(_, verdict)| verdict);
        let is_shown = !matches!(state, None | Some(ClockVerdict::Unproven));
        if is_shown && is_centre(&measured, &recorded.centres) {
            steps.push(Step::of(&measured.exchange, measured.poll));
        }
    }
    steps
}

/// What the trend is reckoned from: exchanges with centres from an instant on, and where the clock was set or not watched.
fn points_and_breaks(recorded: &Recorded, from: UnixTime) -> (Vec<Point>, Vec<UnixTime>) {
    let mut points = Vec::with_capacity(recorded.exchanges.len());
    for row in recorded.exchanges.iter().filter(|row| row.at >= from) {
        let Ok(Record { fact: Fact::Exchange(measured), .. }) = Record::decode(&row.record) else { continue };
        if is_centre(&measured, &recorded.centres) {
            points.push(Point { at: row.at, offset: row.offset, delay: row.delay });
        }
    }
    let breaks = recorded.events.iter().filter(|event| {
        Record::decode(&event.detail).is_ok_and(|record| match &record.fact {
            Fact::Exchange(_) => false,
            // While the process alone was held, the clock ran on.
            Fact::Pause(pause) => pause.reason != PauseReason::Stopped,
            Fact::Corrections(corrections) => corrections.tells_of_a_step(),
            Fact::Alarm(_) | Fact::Start(_) | Fact::Stop(_) | Fact::Dropped(_) => true,
        })
    });
    (points, breaks.map(|event| event.at).collect())
}

fn tolerances_in(tolerance: &Tolerances, asked: &Asked) -> Vec<ToleranceSince> {
    let before = tolerance.partition_point(|(since, _)| *since <= asked.from).saturating_sub(1);
    let held = tolerance.get(before..).unwrap_or_default().iter().filter(|(since, _)| *since < asked.to);
    held.map(|(since, limit)| ToleranceSince { since: instant(*since), tolerance_ns: limit.count() })
        .collect()
}

fn reasons(judged: &[Period]) -> Vec<ReasonShare> {
    let mut held: BTreeMap<_, Nanos> = BTreeMap::new();
    for period in judged {
        let sum = held.entry(period.why).or_default();
        *sum = *sum + (period.to - period.from);
    }
    let mut held: Vec<_> = held.into_iter().collect();
    held.sort_by_key(|(why, sum)| (std::cmp::Reverse(*sum), *why));
    let show = |(why, sum): (periods::Why, Nanos)| ReasonShare {
        why: why.code().to_owned(),
        verdict: word(why.verdict()),
        ms: sum.count() / 1_000_000,
    };
    held.into_iter().map(show).collect()
}

fn shares(totals: &periods::Totals) -> Shares {
    let all = totals.within + totals.outside + totals.not_proven;
    let (within, outside) = (thousandths(totals.within, all, false), thousandths(totals.outside, all, true));
    let not_proven = if all > Nanos::ZERO { 100_000 - within - outside } else { 0 };
    Shares {
        within_ms: totals.within.count() / 1_000_000,
        outside_ms: totals.outside.count() / 1_000_000,
        not_proven_ms: totals.not_proven.count() / 1_000_000,
        within_percent: percent(within),
        outside_percent: percent(outside),
        not_proven_percent: percent(not_proven.max(0)),
    }
}

/// Thousandths of a per cent, rounded down, or up.
fn thousandths(part: Nanos, all: Nanos, up: bool) -> i32 {
    if all <= Nanos::ZERO {
        return 0;
    }
    let (part, all) = (i128::from(part.count()) * 100_000, i128::from(all.count()));
    let rounded = if up { (part + all - 1) / all } else { part / all };
    i32::try_from(rounded).unwrap_or(0)
}

fn percent(thousandths: i32) -> f64 {
    f64::from(thousandths) / 1_000.0
}

fn show_head(head: Head) -> shown::ChainHead {
    shown::ChainHead {
        since: instant(head.since),
        kind: head.kind.word().to_owned(),
        name: head.name,
        bound_ns: head.bound.count(),
        calibrated_by: head.calibrated_by,
        entries: head.entries,
    }
}

fn show_chain(row: &AgentRow, chain: &traceability::Chain) -> shown::AgentChain {
    let ms = |length: Nanos| length.count() / 1_000_000;
    let all = chain.proven + chain.declared + chain.broken;
    let link = |link: &traceability::Link| shown::ChainLink {
        place: link.place.word().to_owned(),
        typical_ns: link.typical.map(Nanos::count),
        greatest_ns: link.greatest.map(Nanos::count),
        broken_ms: ms(link.broken),
    };
    let gap = |gap: &traceability::Gap| shown::ChainGap {
        from_ms: millis(gap.from),
        to_ms: millis(gap.to),
        place: gap.place.word().to_owned(),
        why: gap.why.code().to_owned(),
    };
    let rung = |rung: &traceability::Rung| shown::Rts25 {
        limit_ns: rung.limit.count(),
        within_ms: ms(rung.within),
        outside_ms: ms(rung.outside),
        within_percent: percent(thousandths(rung.within, all, false)),
    };
    shown::AgentChain {
        id: row.id.to_string(),
        name: row.name.clone(),
        links: chain.links.iter().map(link).collect(),
        typical_ns: chain.typical.map(Nanos::count),
        greatest_ns: chain.greatest.map(Nanos::count),
        proven_ms: ms(chain.proven),
        declared_ms: ms(chain.declared),
        broken_ms: ms(chain.broken),
        proven_percent: percent(thousandths(chain.proven, all, false)),
        declared_percent: percent(thousandths(chain.declared, all, false)),
        gaps: chain.gaps.iter().map(gap).collect(),
        gaps_left_out: chain.gaps_left_out,
        rts25: chain.rungs.iter().map(rung).collect(),
    }
}

fn show_trend(row: AgentRow, customer: String, asked: &Asked, trend: Option<trend::Trend>) -> shown::Trend {
    let allan = |point: &trend::Allan| shown::AllanPoint {
        tau_ns: point.tau.count(),
        deviation: point.deviation,
        error: point.error,
        terms: point.terms,
    };
    let drift =
        |drift: trend::Drift| shown::Drift { ppm: drift.ppm, low_ppm: drift.low, high_ppm: drift.high };
    let of = trend.as_ref();
    shown::Trend {
        agent: row.id.to_string(),
        name: row.name,
        customer,
        period: asked.show(),
        exchanges: of.map_or(0, |trend| trend.exchanges),
        runs: of.map_or(0, |trend| trend.runs),
        drift: of.and_then(|trend| trend.drift).map(drift),
        tau0_ns: of.map_or(0, |trend| trend.tau0.count()),
        allan: of.map(|trend| trend.allan.iter().map(allan).collect()).unwrap_or_default(),
        offset: of.map(|trend| show_spread(&trend.offsets)),
        delay: of.map(|trend| show_spread(&trend.delays)),
    }
}

fn show_spread(spread: &trend::Spread) -> shown::Spread {
    let histogram = &spread.histogram;
    shown::Spread {
        least_ns: spread.least.count(),
        p5_ns: spread.p5.count(),
        median_ns: spread.median.count(),
        p95_ns: spread.p95.count(),
        p99_ns: spread.p99.count(),
        greatest_ns: spread.greatest.count(),
        bars_from_ns: histogram.from.count(),
        bar_ns: histogram.width.count(),
        bars: histogram.bars.clone(),
        below: histogram.below,
        above: histogram.above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_promise_no_more_than_there_is() {
        let of = |within, outside, not_proven| {
            let length = Nanos::new;
            let totals = periods::Totals {
                within: length(within),
                outside: length(outside),
                not_proven: length(not_proven),
            };
            let shares = shares(&totals);
            (shares.within_percent, shares.outside_percent, shares.not_proven_percent)
        };
        assert_eq!(of(1_000, 0, 0), (100.0, 0.0, 0.0));
        assert_eq!(of(0, 0, 0), (0.0, 0.0, 0.0));
        assert_eq!(of(9_920, 0, 80), (99.2, 0.0, 0.8));
        // A moment outside is never rounded away, and never makes room for more within.
        assert_eq!(of(i64::MAX / 4, 1, 0), (99.999, 0.001, 0.0));
        assert_eq!(of(i64::MAX / 4, 0, 1), (99.999, 0.0, 0.001));
        assert_eq!(of(1, 1, 1), (33.333, 33.334, 33.333));
    }

    #[test]
    fn reasons_are_told_from_the_longest_on() {
        let period = |from: i64, to: i64, why: periods::Why| Period {
            from: UnixTime::from_nanos(from * 1_000_000),
            to: UnixTime::from_nanos(to * 1_000_000),
            verdict: why.verdict(),
            why,
            reference: None,
        };
        use periods::Why;
        let judged = [period(0, 10, Why::Silent), period(10, 40, Why::Within), period(40, 70, Why::Silent)];
        let told: Vec<_> = reasons(&judged).into_iter().map(|reason| (reason.why, reason.ms)).collect();
        assert_eq!(told, [("silence".to_owned(), 40), ("within".to_owned(), 30)]);
        assert!(matches!(reasons(&judged)[0].verdict, crate::types::time::VerdictWord::NotProven));
    }
}
