//! Incidents: looking for troubles among the agents that may have some, and writing their beginnings and ends down.
//!
//! The centre that holds the log does this for its site. It looks at few: the database names the agents that are shown
//! outside their tolerance or were not heard of, alarms wait in a table of their own, and beside those only what has an
//! open incident is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use angbu_accounts::Reach;
use angbu_store::time::{IncidentRow, Shown, StandingRow, Told, UnjudgedRow};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_time::incidents::{
    AgentSituation, CentreSituation, Change, Figures, INCIDENT, Incident, Patience, Sight, Trouble,
};
use angbu_time::ingest::Accepted;
use angbu_time::periods::{self, Verdict};
use angbu_time::record::Fact;
use angbu_units::{
    AgentId, CentreId, ClockVerdict, CustomerId, EntryId, IncidentId, Nanos, ProvenInstant, UnixTime,
};

use super::time::is_centre;
use super::{Centre, append, rng};
use crate::problem::Refusal;
use crate::types::incidents::{IncidentShown, Incidents};
use crate::types::instant;
use crate::types::time::VerdictWord;

/// How many changes one transaction writes down: others wait for it.
const CHANGES_AT_ONCE: usize = 256;
/// How many agents a look asks the whole verdict of; the others have their turn at the next one.
const VERDICTS_AT_ONCE: usize = 64;

/// What this centre remembers from look to look, for as long as it is the one that looks.
#[derive(Default)]
pub(super) struct Lookout(Mutex<Option<CentreSituation>>);

impl Lookout {
    fn look(&self, proven: bool, now: UnixTime) -> CentreSituation {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.unwrap_or(CentreSituation { watching: now, proven, since: now });
        let since = if before.proven == proven { before.since } else { now };
        *kept.insert(CentreSituation { proven, since, ..before })
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a look sees in the database.
struct Seen {
    standing: BTreeMap<AgentId, StandingRow>,
    unjudged: BTreeMap<AgentId, Vec<UnjudgedRow>>,
    open: BTreeMap<(Option<AgentId>, &'static str), IncidentRow>,
}

impl Seen {
    /// Nothing where another centre is to look.
    fn read(
        snapshot: &Snapshot<'_>,
        centre: CentreId,
        seen_before: UnixTime,
    ) -> Result<Option<Self>, StoreError> {
        if snapshot.log_holder()? != Some(centre) {
            return Ok(None);
        }
        let mut standing: BTreeMap<_, _> = snapshot
            .agents_in_question(seen_before)?
            .into_iter()
            .map(|standing| (standing.agent, standing))
            .collect();
        let mut unjudged: BTreeMap<AgentId, Vec<UnjudgedRow>> = BTreeMap::new();
        for row in snapshot.unjudged_alarms()? {
            unjudged.entry(row.agent).or_default().push(row);
        }
        let open = snapshot.unsettled_incidents()?.into_iter().filter(|row| row.closed.is_none());
        let open: BTreeMap<_, _> = open
            .filter_map(|row| Trouble::from_word(&row.kind).map(|trouble| ((row.agent, trouble.word()), row)))
            .collect();
        let named = unjudged.keys().copied();
        let named: BTreeSet<_> = named.chain(open.keys().filter_map(|(agent, _)| *agent)).collect();
        for agent in named {
            if !standing.contains_key(&agent)
                && let Some(found) = snapshot.agent_standing(agent)?
            {
                standing.insert(agent, found);
            }
        }
        Ok(Some(Self { standing, unjudged, open }))
    }

    fn alarms(&self, agent: AgentId) -> &[UnjudgedRow] {
        self.unjudged.get(&agent).map_or(&[], Vec::as_slice)
    }

    /// The troubles that an agent may have.
    fn troubles(&self, agent: AgentId) -> Vec<Trouble> {
        let alarms = self.alarms(agent).iter().filter_map(|row| Trouble::from_word(&row.kind));
        let open = self.open.range((Some(agent), "")..).take_while(|((of, _), _)| *of == Some(agent));
        let open = open.filter_map(|((_, word), _)| Trouble::from_word(word));
        let mut troubles = vec![Trouble::Outside, Trouble::Silent];
        for trouble in alarms.chain(open) {
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
        }
        troubles
    }

    fn situation(&self, standing: &StandingRow, patience: &Patience, now: UnixTime) -> AgentSituation {
        let alarms =
            self.alarms(standing.agent).iter().filter_map(|row| match Trouble::from_word(&row.kind)? {
                Trouble::Alarm(kind) => Some([(kind, row.since), (kind, row.last)]),
                _ => None,
            });
        // What was shown long ago shows nothing now.
        let heard = standing.last_seen.is_some_and(|seen| now - seen <= patience.limit(standing.poll));
        AgentSituation {
            last_seen: standing.last_seen,
            poll: standing.poll,
            verdict: heard.then_some(match standing.shown {
                Shown::Nothing => Verdict::NotProven,
                Shown::Within => Verdict::Within,
                Shown::Outside => Verdict::Outside,
            }),
            verdict_since: standing.shown_since.unwrap_or(now),
            alarms: alarms.flatten().collect(),
        }
    }

    fn judged(&self, agent: Option<AgentId>, trouble: Trouble) -> Option<UnjudgedRow> {
        self.alarms(agent?).iter().find(|row| row.kind == trouble.word()).cloned()
    }
}

/// A change that is to be written down.
#[derive(Clone)]
struct Planned {
    customer: CustomerId,
    agent: Option<AgentId>,
    change: Change,
    /// The row that it changes.
    row: Option<IncidentRow>,
    figures: Option<Figures>,
    judged: Option<UnjudgedRow>,
}

impl Centre {
    /// Looks for troubles that have begun or ended, and writes them down. Only the centre that holds the log does.
    ///
    /// # Errors
    /// Where the database does not take it; what was written down before stays.
    pub async fn judge_incidents(&self) -> Result<(), StoreError> {
        let now = self.clock.read().wall;
        let (centre, patience) = (self.site.centre, self.notices.patience);
        let seen =
            self.store.read(move |snapshot| Seen::read(snapshot, centre, now - patience.least)).await?;
        let Some(seen) = seen else {
            self.lookout.forget();
            return Ok(());
        };
        let proven = self.instant().verdict != ClockVerdict::Unproven;
        let own = self.lookout.look(proven, now);
        let planned = self.plan(&seen, &own, now).await?;
        for chunk in planned.chunks(CHANGES_AT_ONCE) {
            let (chunk, stamp) = (chunk.to_vec(), self.instant());
            self.store.write(move |tx| write_down(tx, chunk, stamp)).await?;
        }
        Ok(())
    }

    async fn plan(
        &self,
        seen: &Seen,
        own: &CentreSituation,
        now: UnixTime,
    ) -> Result<Vec<Planned>, StoreError> {
        let patience = &self.notices.patience;
        let mut planned = Vec::new();
        let mut looks = vec![(CustomerId::SITE, None, Trouble::Centre, own.sight(now))];
        for standing in seen.standing.values() {
            let situation = seen.situation(standing, patience, now);
            for trouble in seen.troubles(standing.agent) {
                let sight = situation.sight(trouble, own, patience, now);
                looks.push((standing.customer, Some(standing.agent), trouble, sight));
            }
        }
        let mut verdicts = 0;
        for (customer, agent, trouble, sight) in looks {
            let row = seen.open.get(&(agent, trouble.word()));
            let open = row.map(|row| incident(row, trouble));
            let judged = seen.judged(agent, trouble);
            let Some(change) = Incident::look(trouble, open.as_ref(), None, sight, now) else {
                // An alarm that goes on where one is open needs no more than to be taken off the table.
                if let (Some(judged), Some(open)) = (judged, open) {
                    let change = Change::Goes(open);
                    let row = row.cloned();
                    planned.push(Planned {
                        customer,
                        agent,
                        change,
                        row,
                        figures: None,
                        judged: Some(judged),
                    });
                }
                continue;
            };
            let mut plan = Planned { customer, agent, change, row: row.cloned(), figures: None, judged };
            if !matches!(plan.change, Change::Goes(_))
                && trouble != Trouble::Centre
                && trouble != Trouble::Silent
            {
                if verdicts == VERDICTS_AT_ONCE {
                    continue;
                }
                verdicts += 1;
                let Some(figures) = self.confirm(&plan, trouble).await? else { continue };
                plan.figures = figures;
            }
            if matches!(plan.change, Change::Opened(_)) {
                plan.change = self.again(agent, trouble, sight, now).await?.unwrap_or(plan.change);
            }
            planned.push(plan);
        }
        Ok(planned)
    }

    /// The figures of a change, or nothing where the whole verdict does not say what the newest exchange alone did.
    async fn confirm(&self, plan: &Planned, trouble: Trouble) -> Result<Option<Option<Figures>>, StoreError> {
        let Some(id) = plan.agent else { return Ok(Some(None)) };
        let Ok(agent) = self.agent(Reach::Site, id).await else { return Ok(None) };
        let opens = matches!(plan.change, Change::Opened(_));
        if opens && trouble == Trouble::Outside && agent.verdict != VerdictWord::Outside {
            return Ok(None);
        }
        let customer = plan.customer;
        let customer = self.store.read(move |snapshot| snapshot.customer(customer)).await?;
        let tolerance = customer.map_or(Nanos::ZERO, |customer| customer.tolerance);
        let figures = agent.offset_ns.zip(agent.bound_ns);
        let figures = figures.map(|(offset, bound)| Figures {
            offset: Nanos::new(offset),
            bound: Nanos::new(bound),
            tolerance,
        });
        Ok(Some(figures))
    }

    /// An opening, held against the incident of the same kind before it.
    async fn again(
        &self,
        agent: Option<AgentId>,
        trouble: Trouble,
        sight: Sight,
        now: UnixTime,
    ) -> Result<Option<Change>, StoreError> {
        let word = trouble.word();
        let before = self.store.read(move |snapshot| snapshot.incident_before(agent, word)).await?;
        let before = before.map(|row| incident(&row, trouble));
        Ok(Incident::look(trouble, None, before.as_ref(), sight, now))
    }

    /// What of an upload may be, or may end, an incident.
    pub(super) fn noticed(&self, accepted: &Accepted, centres: &[CentreId], tolerance: Nanos) -> Noticed {
        let mut noticed = Noticed { shown: None, alarms: Vec::new() };
        for record in &accepted.records {
            match &record.fact {
                Fact::Exchange(measured) if is_centre(measured, centres) => {
                    let centre = self.own_clock.state_at(record.at()).map(|(_, verdict)| verdict);
                    let sample = periods::Observed::new(record, centre).what;
                    if let periods::What::Exchange(sample) = sample {
                        noticed.shown = Some((shown(sample.verdict(tolerance)), sample.at));
                    }
                }
                Fact::Alarm(alarm) => noticed.alarms.push(alarm.kind.word()),
                _ => {}
            }
        }
        noticed
    }

    /// How many incidents last within a reach, of each kind.
    pub(crate) async fn incidents_open(&self, reach: Reach) -> Result<BTreeMap<String, u64>, Refusal> {
        let rows = self.store.read(|snapshot| snapshot.unsettled_incidents()).await?;
        let mut open = BTreeMap::new();
        for row in rows.into_iter().filter(|row| row.closed.is_none() && reach.covers(row.customer)) {
            let count: &mut u64 = open.entry(row.kind).or_default();
            *count = count.saturating_add(1);
        }
        Ok(open)
    }

    /// Incidents within a reach, the newest first, and where the next page begins.
    pub(crate) async fn incidents(
        &self,
        reach: Reach,
        agent: Option<AgentId>,
        before: UnixTime,
        limit: u64,
    ) -> Result<Incidents, Refusal> {
        self.store
            .read(move |snapshot| {
                let of = agent.map(|agent| snapshot.agent(agent)).transpose()?.flatten();
                if agent.is_some() && !of.is_some_and(|row| reach.covers(row.customer)) {
                    return Ok(Incidents { incidents: Vec::new(), next: None });
                }
                let rows = snapshot.incidents(reach.customer(), agent, before, limit)?;
                let is_full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= limit;
                let next = rows.last().filter(|_| is_full).map(|row| instant(row.opened));
                let shown = rows.iter().map(|row| show(snapshot, row)).collect::<Result<_, StoreError>>()?;
                Ok::<_, StoreError>(Incidents { incidents: shown, next })
            })
            .await
            .map_err(Refusal::from)
    }
}

/// What of an upload may be, or may end, an incident.
pub(super) struct Noticed {
    shown: Option<(Shown, UnixTime)>,
    alarms: Vec<&'static str>,
}

impl Noticed {
    /// Leaves it in the transaction that takes the upload in, for the next look.
    pub(super) fn note(&self, tx: &mut Tx<'_>, agent: AgentId, arrived: UnixTime) -> Result<(), StoreError> {
        if let Some((shown, at)) = self.shown {
            tx.show_agent(agent, shown, at)?;
        }
        self.alarms.iter().try_for_each(|kind| tx.note_alarm(agent, kind, arrived))
    }
}

fn shown(verdict: Verdict) -> Shown {
    match verdict {
        Verdict::Within => Shown::Within,
        Verdict::Outside => Shown::Outside,
        Verdict::NotProven => Shown::Nothing,
    }
}

/// An incident as its core knows it.
pub(super) fn incident(row: &IncidentRow, trouble: Trouble) -> Incident {
    Incident {
        trouble,
        opened: row.opened,
        last: row.last,
        gone_since: row.gone_since,
        closed: row.closed,
        returns: u32::try_from(row.returns).unwrap_or(u32::MAX),
    }
}

fn show(snapshot: &Snapshot<'_>, row: &IncidentRow) -> Result<IncidentShown, StoreError> {
    let agent = row.agent.map(|agent| snapshot.agent(agent)).transpose()?.flatten();
    Ok(IncidentShown {
        id: row.id.to_string(),
        customer: snapshot.customer_name(row.customer)?,
        agent: row.agent.map(|agent| agent.to_string()),
        server: agent.map(|agent| agent.name),
        kind: row.kind.clone(),
        since: instant(row.opened),
        last: instant(row.last),
        until: row.closed.map(instant),
        returns: row.returns,
        opened_entry: row.opened_entry.to_string(),
        closed_entry: row.closed_entry.map(|entry| entry.to_string()),
    })
}

/// Writes changes down, each that is a beginning or an end with its entry, and hands them to the customers' programs.
fn write_down(tx: &mut Tx<'_>, planned: Vec<Planned>, stamp: ProvenInstant) -> Result<(), StoreError> {
    let mut told: BTreeMap<CustomerId, Vec<super::webhooks::Event>> = BTreeMap::new();
    for plan in planned {
        if let Some(judged) = &plan.judged {
            tx.forget_alarms(judged)?;
        }
        let (incident, row) = match (plan.change, plan.row) {
            (Change::Opened(incident), _) => (incident, None),
            (Change::Closed(incident), Some(row)) => (incident, Some(row)),
            (Change::Goes(incident), Some(row)) => {
                let changed =
                    IncidentRow { last: incident.last, gone_since: incident.gone_since, ..row.clone() };
                if changed != row {
                    tx.update_incident(&changed)?;
                }
                continue;
            }
            (Change::Goes(_) | Change::Closed(_), None) => continue,
        };
        let id = row.as_ref().map_or_else(|| IncidentId::random(&mut rng()), |row| row.id);
        let said = angbu_time::incidents::Told { id, agent: plan.agent, incident, figures: plan.figures };
        let entry = append(tx, INCIDENT, plan.customer, stamp, said.fields())?;
        let row = match row {
            None => {
                let row = opened_row(&plan.customer, &said, entry);
                tx.insert_incident(&row)?;
                row
            }
            Some(row) => {
                let row = IncidentRow {
                    last: incident.last,
                    gone_since: incident.gone_since,
                    closed: incident.closed,
                    closed_entry: Some(entry),
                    ..row
                };
                tx.update_incident(&row)?;
                row
            }
        };
        told.entry(plan.customer).or_default().push(super::webhooks::Event { row, figures: plan.figures });
    }
    super::webhooks::queue(tx, &told, stamp.time)
}

fn opened_row(customer: &CustomerId, said: &angbu_time::incidents::Told, entry: EntryId) -> IncidentRow {
    let incident = &said.incident;
    IncidentRow {
        id: said.id,
        customer: *customer,
        agent: said.agent,
        kind: incident.trouble.word().to_owned(),
        opened: incident.opened,
        last: incident.last,
        gone_since: incident.gone_since,
        closed: incident.closed,
        returns: u64::from(incident.returns),
        told: Told::Nothing,
        told_site: Told::Nothing,
        opened_entry: entry,
        closed_entry: None,
        version: 1,
    }
}
