//! How every agent stands now, for pages that show thousands of them.
//!
//! Of each agent is remembered how it stands and how that will age if nothing more arrives, together with its row: only where the
//! row has changed is anything read and judged again. A look at all of them goes on by itself once it has begun; who asks waits
//! for it a little, and is then shown the look before, if that is not old.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use angbu_store::accounts::CustomerRow;
use angbu_store::time::{AgentRow, ExchangeRow};
use angbu_store::{Snapshot, StoreError};
use angbu_time::periods::Period;
use angbu_units::{AgentId, CustomerId, EntryId, Monotonic, Nanos, UnixTime};

use super::Centre;
use super::time::{Recorded, shown, tolerances};
use crate::problem::Refusal;
use crate::types::time::{Agent, Agents, VerdictWord};

/// How long who asks waits for a look.
const PATIENCE: Duration = Duration::from_millis(150);

/// How old the look before may be to be shown instead.
const OLD: Nanos = Nanos::from_secs(30);

/// How far ahead it is reckoned how a verdict ages.
const AHEAD: Nanos = Nanos::from_secs(86_400);

/// The most agents of one page.
pub(crate) const MOST_LISTED: usize = 500;

/// The tolerances of a customer over time.
type Tolerance = Arc<[(UnixTime, Nanos)]>;

/// What is remembered of the agents.
#[derive(Default)]
pub(crate) struct Board {
    remembered: Mutex<Remembered>,
    last: std::sync::Mutex<Option<Look>>,
}

#[derive(Default)]
struct Remembered {
    agents: BTreeMap<AgentId, Arc<Known>>,
    /// With the revision of the settings that they were read at.
    tolerances: BTreeMap<CustomerId, (u64, Tolerance)>,
}

/// What is known of one agent.
struct Known {
    row: AgentRow,
    customer: String,
    tolerance: Tolerance,
    /// The clock state in force when it was judged.
    clock_state: EntryId,
    newest: Option<ExchangeRow>,
    /// The verdicts from then on, if nothing more arrives.
    ahead: Vec<Period>,
}

/// How an agent stands at a look.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) customer: CustomerId,
    pub(crate) agent: Agent,
}

/// A look at all agents.
#[derive(Clone)]
struct Look {
    at: Monotonic,
    agents: Arc<Vec<Standing>>,
}

/// Which agents, in which order, and where the page begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct AgentsWish {
    pub(crate) customer: Option<CustomerId>,
    pub(crate) verdict: Option<VerdictWord>,
    /// Part of the name, in small letters.
    pub(crate) name: Option<String>,
    /// What troubles most first, instead of by customer and name.
    pub(crate) by_trouble: bool,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

impl Centre {
    /// One page of the agents, as they stand now or, where a look at all takes long, as they stood at the one before.
    pub(crate) async fn agents_page(&self, wish: &AgentsWish) -> Result<Agents, Refusal> {
        Ok(page(&self.standings(wish.customer).await?, wish))
    }

    /// The agents of a customer, or all, by customer and name.
    pub(crate) async fn agents_within(&self, customer: Option<CustomerId>) -> Result<Vec<Agent>, Refusal> {
        let standings = self.standings(customer).await?;
        let own = standings.iter().filter(|each| customer.is_none_or(|customer| each.customer == customer));
        Ok(own.map(|standing| standing.agent.clone()).collect())
    }

    /// How the agents of a customer, or all, stand, by customer and name. Others' agents may be among them.
    pub(crate) async fn standings(
        &self,
        customer: Option<CustomerId>,
    ) -> Result<Arc<Vec<Standing>>, Refusal> {
        let centre = self.me.upgrade().ok_or_else(|| Refusal::Internal("the centre is gone".into()))?;
        let asked = self.clock.read().monotonic;
        // It goes on when the caller's patience, or the caller, is gone: the next one finds it done.
        let mut look = tokio::spawn(async move { centre.look_at_agents(customer, asked).await });
        let joined = match tokio::time::timeout(PATIENCE, &mut look).await {
            Ok(joined) => joined,
            Err(_) => match self.last_look().filter(|last| asked - last.at <= OLD) {
                Some(last) => return Ok(last.agents),
                None => look.await,
            },
        };
        joined.map_err(|error| Refusal::Internal(error.to_string()))?
    }

    fn last_look(&self) -> Option<Look> {
        self.board.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn look_at_agents(
        &self,
        customer: Option<CustomerId>,
        asked: Monotonic,
    ) -> Result<Arc<Vec<Standing>>, Refusal> {
        let mut remembered = self.board.remembered.lock().await;
        // Who waited while somebody else looked has got what was asked for.
        if let Some(last) = self.last_look().filter(|last| last.at > asked) {
            return Ok(last.agents);
        }
        let now = self.clock.read();
        let known = std::mem::take(&mut *remembered);
        let centre = self.me.upgrade().ok_or_else(|| Refusal::Internal("the centre is gone".into()))?;
        // What is remembered goes into the read and comes back; a read that fails costs it, and nothing else.
        let (standings, known) =
            self.store.read(move |snapshot| known.refresh(snapshot, &centre, customer, now.wall)).await?;
        *remembered = known;
        let agents = Arc::new(standings);
        if customer.is_none() {
            let look = Look { at: now.monotonic, agents: Arc::clone(&agents) };
            *self.board.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
        }
        Ok(agents)
    }
}

impl Remembered {
    /// How the wanted agents stand, and what is remembered afterwards.
    fn refresh(
        mut self,
        snapshot: &Snapshot<'_>,
        centre: &Centre,
        customer: Option<CustomerId>,
        now: UnixTime,
    ) -> Result<(Vec<Standing>, Self), StoreError> {
        let (rows, customers) = match customer {
            Some(id) => (snapshot.agents_of(id)?, snapshot.customer(id)?.into_iter().collect()),
            None => (snapshot.agents()?, snapshot.customers()?),
        };
        let customers: BTreeMap<_, _> = customers.into_iter().map(|row| (row.id, row)).collect();
        let centres: Arc<[_]> = snapshot.centres()?.into_iter().map(|centre| centre.id).collect();
        let in_force = centre.own_clock.in_force();
        let mut seen = Vec::with_capacity(rows.len());
        for row in rows {
            let owner = customers.get(&row.customer);
            let tolerance = self.tolerance(snapshot, owner, row.customer)?;
            let same = |known: &Known| {
                known.row == row
                    && Arc::ptr_eq(&known.tolerance, &tolerance)
                    && known.clock_state == in_force.entry
                    && known.ahead.last().is_some_and(|last| now < last.to)
            };
            let known = match self.agents.remove(&row.id) {
                Some(known) if same(&known) => known,
                _ => {
                    let recorded = Recorded::load(snapshot, Arc::clone(&centres), &row, now, UnixTime::MAX)?;
                    let ahead = centre.judge(&recorded, &tolerance, now - Nanos::new(1), now + AHEAD);
                    let customer = owner.map(|owner| owner.name.clone()).unwrap_or_default();
                    let newest = recorded.newest();
                    Arc::new(Known { row, customer, tolerance, clock_state: in_force.entry, newest, ahead })
                }
            };
            seen.push(known);
        }
        if customer.is_none() {
            // Of a look at one customer the others stay known; of a look at all, whoever is gone is forgotten.
            self.agents.clear();
        }
        self.agents.extend(seen.iter().map(|known| (known.row.id, Arc::clone(known))));
        let reference = in_force.state.verdict;
        let stand = |known: &Arc<Known>| Standing {
            customer: known.row.customer,
            agent: shown(
                &known.row,
                &known.customer,
                &known.tolerance,
                known.newest.as_ref(),
                known.at(now),
                reference,
            ),
        };
        Ok((seen.iter().map(stand).collect(), self))
    }

    /// A customer's tolerances over time, read again where the settings were revised.
    fn tolerance(
        &mut self,
        snapshot: &Snapshot<'_>,
        owner: Option<&CustomerRow>,
        customer: CustomerId,
    ) -> Result<Tolerance, StoreError> {
        let revision = owner.map_or(0, |owner| owner.revision);
        if let Some((known, tolerance)) = self.tolerances.get(&customer)
            && *known == revision
        {
            return Ok(Arc::clone(tolerance));
        }
        let tolerance: Tolerance = tolerances(snapshot, customer)?.into();
        self.tolerances.insert(customer, (revision, Arc::clone(&tolerance)));
        Ok(tolerance)
    }
}

impl Known {
    /// The verdict just before an instant.
    fn at(&self, now: UnixTime) -> Option<&Period> {
        self.ahead.iter().find(|period| period.from < now && now <= period.to)
    }
}

/// How much an agent troubles: outside first, then what is not proven, alarms before silence.
fn trouble(agent: &Agent) -> u8 {
    match (agent.verdict, agent.why.as_str()) {
        (VerdictWord::Outside, _) => 0,
        (VerdictWord::NotProven, "alarm" | "moved" | "dropped") => 1,
        (VerdictWord::NotProven, "silence" | "unwatched" | "stopped") => 2,
        (VerdictWord::NotProven, "no-data" | "started") => 4,
        (VerdictWord::NotProven, _) => 3,
        (VerdictWord::Within, _) => 5,
    }
}

fn page(agents: &[Standing], wish: &AgentsWish) -> Agents {
    let named = |agent: &&Agent| {
        wish.name.as_ref().is_none_or(|part| agent.name.contains(part) || agent.customer.contains(part))
    };
    let of = |standing: &&Standing| wish.customer.is_none_or(|customer| standing.customer == customer);
    let candidates: Vec<_> = agents.iter().filter(of).map(|standing| &standing.agent).filter(named).collect();
    let count = |verdict| candidates.iter().filter(|agent| agent.verdict == verdict).count() as u64;
    let (within, outside, not_proven) =
        (count(VerdictWord::Within), count(VerdictWord::Outside), count(VerdictWord::NotProven));
    let mut wanted: Vec<_> = candidates
        .into_iter()
        .filter(|agent| wish.verdict.is_none_or(|verdict| agent.verdict == verdict))
        .collect();
    if wish.by_trouble {
        // The sort keeps the order of names among equals.
        wanted.sort_by_key(|agent| trouble(agent));
    }
    let total = wanted.len();
    let end = wish.offset.saturating_add(wish.limit);
    Agents {
        agents: wanted.into_iter().skip(wish.offset).take(wish.limit).cloned().collect(),
        total: total as u64,
        within,
        outside,
        not_proven,
        next: (end < total).then_some(end as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ClockVerdictWord;

    fn agent(customer: &str, name: &str, verdict: VerdictWord, why: &str) -> Standing {
        let id = CustomerId::from_bytes([u8::try_from(customer.len()).unwrap(); 16]);
        let agent = Agent {
            id: format!("{customer}-{name}"),
            name: name.to_owned(),
            customer: customer.to_owned(),
            tolerance_ns: 50_000_000,
            enrolled_at: String::new(),
            last_seen: None,
            poll_ns: None,
            verdict,
            why: why.to_owned(),
            steady: false,
            in_sync: false,
            offset_ns: None,
            bound_ns: None,
            delay_ns: None,
            rate_ppb: None,
            reference: ClockVerdictWord::Proven,
        };
        Standing { customer: id, agent }
    }

    #[test]
    fn trouble_comes_first_and_pages_follow_one_another() {
        let agents = [
            agent("alpha", "db-1", VerdictWord::Within, "within"),
            agent("alpha", "db-2", VerdictWord::NotProven, "silence"),
            agent("alpha", "web-1", VerdictWord::NotProven, "alarm"),
            agent("beta", "db-1", VerdictWord::Outside, "outside"),
            agent("beta", "db-2", VerdictWord::NotProven, "no-data"),
        ];
        let names = |wish: &AgentsWish| {
            let page = page(&agents, wish);
            let names: Vec<_> = page.agents.into_iter().map(|agent| agent.id).collect();
            (names.join(" "), page.total, page.next)
        };
        let all = AgentsWish { by_trouble: true, limit: 2, ..AgentsWish::default() };
        assert_eq!(names(&all), ("beta-db-1 alpha-web-1".to_owned(), 5, Some(2)));
        assert_eq!(
            names(&AgentsWish { offset: 2, ..all.clone() }),
            ("alpha-db-2 beta-db-2".to_owned(), 5, Some(4))
        );
        assert_eq!(names(&AgentsWish { offset: 4, ..all.clone() }), ("alpha-db-1".to_owned(), 5, None));
        assert_eq!(names(&AgentsWish { offset: usize::MAX, ..all.clone() }), (String::new(), 5, None));
        let not_proven =
            AgentsWish { verdict: Some(VerdictWord::NotProven), limit: 9, ..AgentsWish::default() };
        assert_eq!(names(&not_proven), ("alpha-db-2 alpha-web-1 beta-db-2".to_owned(), 3, None));
        let named = AgentsWish { name: Some("web".to_owned()), limit: 9, ..AgentsWish::default() };
        assert_eq!(names(&named), ("alpha-web-1".to_owned(), 1, None));
        let beta =
            AgentsWish { customer: Some(CustomerId::from_bytes([4; 16])), limit: 9, ..AgentsWish::default() };
        assert_eq!(names(&beta), ("beta-db-1 beta-db-2".to_owned(), 2, None));
        let counted = page(
            &agents,
            &AgentsWish { verdict: Some(VerdictWord::Outside), limit: 9, ..AgentsWish::default() },
        );
        assert_eq!((counted.within, counted.outside, counted.not_proven), (1, 1, 3));
    }
}
