//! Incidents: what somebody is told of, once when it begins, now and then while it lasts, and when it has ended.
//!
//! A trouble of one agent, or of the centre's own clock, is one incident from the first sight of it until it has been gone for a
//! while. That while is longer each time the same trouble comes back within a day, so that a clock that sways about its
//! tolerance, or a line that comes and goes, is one incident that lasts and not a hundred. What cannot be seen changes nothing: a
//! clock of which nothing is proven any more is neither in order again nor in trouble anew.
//!
//! Silence is judged only of agents that could have been heard: not from before this centre watched, and not while the
//! centre's own clock is unproven, because agents then get no time and have little to tell. So a trouble of the centre is one
//! incident and not one of each agent.

use angbu_evidence::Kind;
use angbu_units::{AgentId, IncidentId, Nanos, UnixTime};

use crate::events::EventError;
use crate::periods::Verdict;
use crate::record::AlarmKind;

/// An incident was opened or closed.
pub const INCIDENT: Kind = Kind::constant("time.incident");

/// Within this time the same trouble counts as having come back.
pub const COMES_BACK: Nanos = Nanos::from_secs(86_400);
/// A centre's clock is unproven for a while at each start, until its upstreams have answered; that is not yet trouble.
const CENTRE_PATIENCE: Nanos = Nanos::from_secs(120);
/// The poll interval that is assumed of an agent which has not said it.
const UNKNOWN_POLL: Nanos = Nanos::from_secs(16);

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// An agent's clock is proven to be outside its tolerance.
    Outside,
    /// Somebody had his hands on an agent's clock.
    Alarm(AlarmKind),
    /// An agent is not heard of.
    Silent,
    /// The centre's own clock is unproven.
    Centre,
}

impl Trouble {
    /// The word for it in entries, tables and interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Silent => "silent",
            Self::Centre => "centre",
            Self::Alarm(kind) => kind.word(),
        }
    }

    /// The trouble of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Outside, Self::Silent, Self::Centre]
            .into_iter()
            .chain(AlarmKind::ALL.map(Self::Alarm))
            .find(|trouble| trouble.word() == word)
    }

    /// How long it must be gone before it has ended, the first time and at most.
    const fn hold(self) -> (Nanos, Nanos) {
        match self {
            Self::Outside => (Nanos::from_secs(600), Nanos::from_secs(4 * 3_600)),
            Self::Alarm(_) => (Nanos::from_secs(3_600), Nanos::from_secs(8 * 3_600)),
            Self::Silent => (Nanos::from_secs(120), Nanos::from_secs(4 * 3_600)),
            Self::Centre => (Nanos::from_secs(300), Nanos::from_secs(3_600)),
        }
    }

    /// How long it must have been so before it counts.
    const fn patience(self) -> Nanos {
        match self {
            Self::Centre => CENTRE_PATIENCE,
            Self::Outside | Self::Alarm(_) | Self::Silent => Nanos::ZERO,
        }
    }
}

/// What is seen of one trouble at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It is there.
    There {
        /// Since when.
        since: UnixTime,
        /// When it was last seen.
        last: UnixTime,
    },
    /// It is not there.
    Gone,
    /// Neither can be said.
    Unknown,
}

/// One trouble, from its first sight to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// What is wrong.
    pub trouble: Trouble,
    /// Since when.
    pub opened: UnixTime,
    /// When it was last seen.
    pub last: UnixTime,
    /// Since when it is gone, while that is too short to have ended.
    pub gone_since: Option<UnixTime>,
    /// When it had ended: since when it was gone for good.
    pub closed: Option<UnixTime>,
    /// How often it came back within a day of its end before.
    pub returns: u32,
}

/// What a look at an incident came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is a new one.
    Opened(Incident),
    /// The one that there was goes on, and is now so.
    Goes(Incident),
    /// It has ended.
    Closed(Incident),
}

impl Incident {
    /// How long its trouble must be gone before it has ended.
    pub fn hold(&self) -> Nanos {
        let (first, most) = self.trouble.hold();
        first.times(1_i64 << self.returns.min(16)).min(most)
    }

    /// What a look at a trouble changes. `open` is its open incident, `before` the last one that has ended.
    pub fn look(
        trouble: Trouble,
        open: Option<&Self>,
        before: Option<&Self>,
        sight: Sight,
        now: UnixTime,
    ) -> Option<Change> {
        let Some(open) = open else {
            let Sight::There { since, last } = sight else { return None };
            if now - since < trouble.patience() {
                return None;
            }
            let came_back = before.filter(|before| {
                before.trouble == trouble && before.closed.is_some_and(|closed| last - closed < COMES_BACK)
            });
            let returns = came_back.map_or(0, |before| before.returns.saturating_add(1));
            let incident = Self { trouble, opened: since, last, gone_since: None, closed: None, returns };
            return Some(Change::Opened(incident));
        };
        let next = match sight {
            Sight::Unknown => return None,
            Sight::There { last, .. } => Self { last: open.last.max(last), gone_since: None, ..*open },
            Sight::Gone => Self { gone_since: Some(open.gone_since.unwrap_or(now)), ..*open },
        };
        if let Some(gone) = next.gone_since
            && now - gone >= open.hold()
        {
            return Some(Change::Closed(Self { closed: Some(gone), ..next }));
        }
        // When exactly something that lasts was last seen is not worth a write at every look.
        let is_old = next.last - open.last >= Nanos::from_secs(600);
        (next.gone_since != open.gone_since || is_old).then_some(Change::Goes(next))
    }
}

/// When silence is trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After how many poll intervals.
    pub polls: i64,
    /// But not before this.
    pub least: Nanos,
}

impl Default for Patience {
    fn default() -> Self {
        Self { polls: 4, least: Nanos::from_secs(300) }
    }
}

impl Patience {
    /// How long an agent that polls so often may be silent.
    pub fn limit(&self, poll: Option<Nanos>) -> Nanos {
        poll.unwrap_or(UNKNOWN_POLL).times(self.polls).max(self.least)
    }
}

/// How the centre stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CentreSituation {
    /// Since when it watches: before that nobody could be heard.
    pub watching: UnixTime,
    /// Whether its own clock is proven or declared.
    pub proven: bool,
    /// Since when that is so.
    pub since: UnixTime,
}

impl CentreSituation {
    /// What is seen of the centre's own clock.
    pub fn sight(&self, now: UnixTime) -> Sight {
        if self.proven { Sight::Gone } else { Sight::There { since: self.since, last: now } }
    }

    /// Since when whoever is silent could have been heard; `None` while nobody can be.
    fn listening(&self) -> Option<UnixTime> {
        self.proven.then(|| self.watching.max(self.since))
    }
}

/// How an agent stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSituation {
    /// When it was last heard of; `None` if never, and then nothing of it can be missed.
    pub last_seen: Option<UnixTime>,
    /// How often it polls.
    pub poll: Option<Nanos>,
    /// What is proven of its clock now; `None` where that was not looked at.
    pub verdict: Option<Verdict>,
    /// Since when that is so.
    pub verdict_since: UnixTime,
    /// Alarms that came in since the look before: which, and when.
    pub alarms: Vec<(AlarmKind, UnixTime)>,
}

impl AgentSituation {
    /// What is seen of a trouble of this agent.
    pub fn sight(
        &self,
        trouble: Trouble,
        centre: &CentreSituation,
        patience: &Patience,
        now: UnixTime,
    ) -> Sight {
        match trouble {
            Trouble::Outside => match self.verdict {
                Some(Verdict::Outside) => Sight::There { since: self.verdict_since, last: now },
                Some(Verdict::Within) => Sight::Gone,
                Some(Verdict::NotProven) | None => Sight::Unknown,
            },
            Trouble::Alarm(kind) => {
                let times = || self.alarms.iter().filter(|(found, _)| *found == kind).map(|(_, at)| *at);
                match (times().min(), times().max()) {
                    (Some(since), Some(last)) => Sight::There { since, last },
                    _ => Sight::Gone,
                }
            }
            Trouble::Silent => self.silence(centre, patience, now),
            Trouble::Centre => Sight::Unknown,
        }
    }

    fn silence(&self, centre: &CentreSituation, patience: &Patience, now: UnixTime) -> Sight {
        let (Some(seen), Some(listening)) = (self.last_seen, centre.listening()) else {
            return Sight::Unknown;
        };
        let limit = patience.limit(self.poll);
        if now - seen <= limit {
            return Sight::Gone;
        }
        if now - listening <= limit { Sight::Unknown } else { Sight::There { since: seen, last: now } }
    }
}

/// How often somebody is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// News that come within this time of the last message wait, and come together.
    pub gather: Nanos,
    /// While something lasts, it is said again this often.
    pub digest: Nanos,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { gather: Nanos::from_secs(300), digest: Nanos::from_secs(6 * 3_600) }
    }
}

/// What is to be said to somebody now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// What has begun or ended, and what lasts.
    News,
    /// What lasts.
    Digest,
}

impl Rhythm {
    /// What is to be said: `last` is when something was said last, `news` whether anything has begun or ended that was not
    /// said yet, `lasting` whether anything lasts that was.
    pub fn due(&self, last: Option<UnixTime>, news: bool, lasting: bool, now: UnixTime) -> Due {
        // A clock that was set back must not make anybody wait for the time to come round again.
        let passed = |wait: Nanos| last.is_none_or(|last| now - last >= wait || now < last);
        if news && passed(self.gather) {
            Due::News
        } else if lasting && passed(self.digest) {
            Due::Digest
        } else {
            Due::Nothing
        }
    }
}

/// What an entry says of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Which incident.
    pub id: IncidentId,
    /// Whose; `None` is the centre's own.
    pub agent: Option<AgentId>,
    /// How it stands: opened, or closed.
    pub incident: Incident,
    /// What the newest exchange showed and what held, where the trouble is of the clock.
    pub figures: Option<Figures>,
}

/// What an exchange showed, and what it was held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The centre's clock minus the agent's.
    pub offset: Nanos,
    /// How far that can be wrong.
    pub bound: Nanos,
    /// The tolerance that was in force.
    pub tolerance: Nanos,
}

impl Told {
    /// The fields of the `time.incident` entry.
    pub fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        let Self { id, agent, incident, figures } = self;
        let mut fields = vec![
            ("incident", id.to_string()),
            ("agent", agent.map_or("-".to_owned(), |agent| agent.to_string())),
            ("kind", incident.trouble.word().to_owned()),
            ("state", if incident.closed.is_some() { "closed" } else { "opened" }.to_owned()),
            ("since", incident.opened.nanos().to_string()),
            ("last", incident.last.nanos().to_string()),
            ("until", incident.closed.map_or("-".to_owned(), |closed| closed.nanos().to_string())),
            ("returns", incident.returns.to_string()),
        ];
        if let Some(figures) = figures {
            fields.push(("offset-ns", figures.offset.count().to_string()));
            fields.push(("bound-ns", figures.bound.count().to_string()));
            fields.push(("tolerance-ns", figures.tolerance.count().to_string()));
        }
        fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
    }

    /// Reads the fields; `field` looks one up by its name.
    ///
    /// # Errors
    /// [`EventError::Field`].
    pub fn read<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, EventError> {
        let text = |name: &'static str| {
            let bytes = field(name).ok_or(EventError::Field(name))?;
            std::str::from_utf8(bytes).map_err(|_| EventError::Field(name))
        };
        let number = |name: &'static str| text(name)?.parse::<i64>().map_err(|_| EventError::Field(name));
        let agent = match text("agent")? {
            "-" => None,
            id => Some(id.parse().map_err(|_| EventError::Field("agent"))?),
        };
        let closed = match (text("state")?, text("until")?) {
            ("opened", "-") => None,
            ("closed", _) => Some(UnixTime::from_nanos(number("until")?)),
            _ => return Err(EventError::Field("state")),
        };
        let figures = match field("offset-ns") {
            None => None,
            Some(_) => Some(Figures {
                offset: Nanos::new(number("offset-ns")?),
                bound: Nanos::new(number("bound-ns")?),
                tolerance: Nanos::new(number("tolerance-ns")?),
            }),
        };
        Ok(Self {
            id: text("incident")?.parse().map_err(|_| EventError::Field("incident"))?,
            agent,
            incident: Incident {
                trouble: Trouble::from_word(text("kind")?).ok_or(EventError::Field("kind"))?,
                opened: UnixTime::from_nanos(number("since")?),
                last: UnixTime::from_nanos(number("last")?),
                gone_since: closed,
                closed,
                returns: text("returns")?.parse().map_err(|_| EventError::Field("returns"))?,
            },
            figures,
        })
    }
}

#[cfg(test)]
#[path = "incidents/tests.rs"]
mod tests;
