//! Whether a key is good: asked by relying parties, by requests, and by callers of the old interface.
//!
//! A try is judged inside the transaction that writes down how the token stands then, against the version that was read.
//! Where several centres share a database two such transactions can meet; one of them is kept, and the other judges again,
//! with what the first has left: so of many tries with one key exactly one is accepted.

use std::net::IpAddr;
use std::sync::Arc;

use angbu_accounts::LoginId;
use angbu_keys::{
    NotNow, OneTimeKey, OneTimeKeyError, Policy, RecoveryCode, Refused, Standing, judge, judge_code,
};
use angbu_store::keys::{KeyTokenRow, UnjudgedRow};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{
    CustomerId, CycleTime, EntryId, KeyTokenId, Nanos, Phone, ProvenInstant, SubjectId, UnixTime,
};

use super::unjudged::Apart;
use super::{Ready, TRY, cycle_of, notice, standing_of, standing_row, strangers};
use crate::centre::tries::{Counted, network, seconds_up};
use crate::centre::{Centre, append_text};
use crate::problem::Refusal;

/// How often a try that lost a race is judged anew.
const TURNS: u32 = 32;

/// Whose key it should be.
#[derive(Debug, Clone)]
pub(crate) enum KeyWhom {
    /// Somebody who is known already.
    Subject(CustomerId, SubjectId),
    /// Whoever has this login id among a customer's people; the text as it was sent where it can be no login id.
    Login(CustomerId, Result<LoginKey, String>),
}

/// What a login id has in common with all that count as the same one.
pub(crate) type LoginKey = String;

impl KeyWhom {
    /// Whoever has a login id.
    pub(crate) fn login(customer: CustomerId, text: &str) -> Self {
        let read = text.parse::<LoginId>().map(|id| id.key().to_owned());
        Self::Login(customer, read.map_err(|_| text.chars().take(64).collect()))
    }

    pub(super) const fn customer(&self) -> CustomerId {
        match self {
            Self::Subject(customer, _) | Self::Login(customer, _) => *customer,
        }
    }

    /// What a stranger's failures are remembered by.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Subject(_, subject) => subject.to_string(),
            Self::Login(_, Ok(key) | Err(key)) => key.clone(),
        }
    }
}

/// What was typed.
pub(crate) enum Typed {
    /// A one-time key.
    Key(OneTimeKey),
    /// A recovery code.
    Code(RecoveryCode),
}

impl Typed {
    /// Reads a key, or a recovery code: no text is both.
    ///
    /// # Errors
    /// Why it is no key, where it is neither.
    pub(crate) fn read(text: &str) -> Result<Self, OneTimeKeyError> {
        if let Ok(code) = RecoveryCode::parse(text) {
            return Ok(Self::Code(code));
        }
        text.parse().map(Self::Key)
    }
}

/// A try, as it is judged.
pub(crate) struct KeyTry {
    pub(super) whom: KeyWhom,
    pub(super) phone: Option<Phone>,
    pub(super) cycle: Option<CycleTime>,
    pub(super) typed: Typed,
    by: String,
    /// The network that it comes from, and what failures from there are counted under.
    network: String,
    source: Counted,
    pub(super) policy: Policy,
    pub(super) site: String,
    sends_mail: bool,
    apart: Arc<Apart>,
}

/// What came of a try.
#[derive(Debug, Clone)]
pub(crate) struct KeyJudged {
    /// What was decided.
    pub(crate) reason: KeyReason,
    /// The `keys.try` entry, of a try that was judged.
    pub(crate) entry: Option<EntryId>,
    /// Whose key it is.
    pub(crate) subject: Option<SubjectId>,
    /// Until when nothing is judged.
    pub(crate) locked_until: Option<UnixTime>,
    /// When a used key of theirs was shown again since the one before this good one.
    pub(crate) used_again: Option<UnixTime>,
    /// The instant that it was judged at.
    pub(crate) instant: ProvenInstant,
}

impl KeyJudged {
    /// Whether the key is good.
    pub(crate) fn ok(&self) -> bool {
        self.reason == KeyReason::Accepted
    }

    /// How long the person still waits, in whole seconds, rounded up.
    pub(crate) fn wait_s(&self) -> Option<u64> {
        let left = self.locked_until? - self.instant.time;
        u64::try_from(left.count().div_euclid(1_000_000_000) + 1).ok()
    }
}

/// What was decided of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyReason {
    /// The key is good, and was not used before.
    Accepted,
    /// It is not, or nobody of that name has a token.
    Wrong,
    /// It was used before.
    Used,
    /// After too many failures nothing is judged for a while.
    Locked,
    /// The token is disabled.
    Disabled,
    /// The centre's clock is not shown to be right.
    ClockUnproven,
    /// The clock is not known to a second, and the cycle is that short.
    ClockTooWide,
    /// The cycle is longer than the policy allows.
    CycleTooLong,
}

impl KeyReason {
    /// Its word, in entries and answers.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Wrong => "wrong",
            Self::Used => "used",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
            Self::ClockUnproven => "clock-unproven",
            Self::ClockTooWide => "clock-too-wide",
            Self::CycleTooLong => "cycle-too-long",
        }
    }

    /// Whether somebody without a token is never answered so.
    pub(crate) const fn tells_who_is_there(self) -> bool {
        matches!(self, Self::Accepted | Self::Used)
    }

    const fn of(refused: Refused) -> Self {
        match refused {
            Refused::Wrong => Self::Wrong,
            Refused::Replayed => Self::Used,
            Refused::Locked { .. } => Self::Locked,
            Refused::Disabled => Self::Disabled,
            Refused::NotNow(NotNow::ClockUnproven) => Self::ClockUnproven,
            Refused::NotNow(NotNow::ClockTooWide(_)) => Self::ClockTooWide,
            Refused::NotNow(NotNow::CycleTooLong(_)) => Self::CycleTooLong,
        }
    }
}

/// Which tries a list shows.
pub(crate) struct TriesWish {
    pub(crate) customer: CustomerId,
    pub(crate) token: Option<KeyTokenId>,
    pub(crate) before: Option<u64>,
    pub(crate) limit: u64,
}

impl Centre {
    /// A try, ready to be judged. `address` is where it comes from, `named` whether a relying party says so of somebody.
    pub(crate) async fn key_try(
        &self,
        whom: KeyWhom,
        (phone, cycle): (Option<Phone>, Option<CycleTime>),
        typed: Typed,
        by: String,
        (address, is_named): (IpAddr, bool),
    ) -> Result<KeyTry, Refusal> {
        let customer = whom.customer();
        let policy = self.policy_now(customer).await?;
        Ok(KeyTry {
            source: Counted::keys(customer, &network(address), is_named),
            network: network(address),
            whom,
            phone,
            cycle,
            typed,
            by,
            policy,
            site: self.site.origin.clone(),
            sends_mail: self.notices.mail,
            apart: Arc::clone(&self.apart),
        })
    }

    /// Judges a try, durably.
    ///
    /// # Errors
    /// [`Refusal::Throttled`] for a source that must wait, [`Refusal::Unavailable`] where the database does not answer or
    /// others always came first.
    pub(crate) async fn judge_key(&self, asked: KeyTry) -> Result<KeyJudged, Refusal> {
        let mut asked = asked;
        for _ in 0..TURNS {
            let instant = self.instant();
            let answer = self
                .store
                .write(move |tx| match judge_from(tx, &asked, instant) {
                    // It is judged anew, so it comes back.
                    Err(StoreError::Conflict { .. }) => Err(Lost::Race(Box::new(asked))),
                    Err(error) => Err(Lost::Store(error)),
                    Ok(judged) => Ok(judged),
                })
                .await;
            match answer {
                Ok(Ok(judged)) => return Ok(judged),
                Ok(Err(wait)) => return Err(Refusal::Throttled { seconds: seconds_up(wait) }),
                Err(Lost::Race(lost)) => {
                    asked = *lost;
                }
                Err(Lost::Store(error)) => return Err(error.into()),
            }
        }
        Err(Refusal::Unavailable { seconds: 1, reason: "a try lost every race for its token".to_owned() })
    }
}

/// Why a transaction gave no answer.
enum Lost {
    /// Somebody else's try came first.
    Race(Box<KeyTry>),
    /// The database.
    Store(StoreError),
}

impl From<StoreError> for Lost {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Judges a try inside a transaction unless its source has to wait, and counts a wrong one under that source.
fn judge_from(
    tx: &mut Tx<'_>,
    asked: &KeyTry,
    instant: ProvenInstant,
) -> Result<Result<KeyJudged, Nanos>, StoreError> {
    let at = instant.time;
    if let Some(wait) = asked.source.wait(tx, at)? {
        let row = asked.apart.row(asked.whom.customer(), &asked.network, "throttled", at);
        tx.count_unjudged(&row)?;
        return Ok(Err(wait));
    }
    let judged = judge_in(tx, asked, instant)?;
    if judged.reason == KeyReason::Wrong {
        asked.source.failed(tx, at)?;
    }
    Ok(Ok(judged))
}

/// Judges a try inside a transaction, which then holds how the token stands and the entry that says so.
///
/// # Errors
/// [`StoreError::Conflict`] when another try came in between: run the whole transaction again.
pub(crate) fn judge_in(
    tx: &mut Tx<'_>,
    asked: &KeyTry,
    instant: ProvenInstant,
) -> Result<KeyJudged, StoreError> {
    match load(tx, &asked.whom)? {
        Some(row) => judge_token(tx, asked, instant, &row),
        None => {
            let refused = strangers::judge_stranger(tx, asked, &instant)?;
            let row = counted(asked, &asked.network, KeyReason::of(refused), "unknown", instant.time);
            tx.count_unjudged(&row)?;
            Ok(judged(instant, refused, None))
        }
    }
}

fn load(snapshot: &Snapshot<'_>, whom: &KeyWhom) -> Result<Option<KeyTokenRow>, StoreError> {
    match whom {
        KeyWhom::Login(_, Err(_)) => Ok(None),
        KeyWhom::Login(customer, Ok(key)) => snapshot.key_token_by_login(*customer, key),
        KeyWhom::Subject(_, subject) => {
            let is_there = match subject {
                SubjectId::Person(id) => snapshot.person(*id)?.is_some_and(|person| !person.disabled),
                SubjectId::Staff(id) => snapshot.staff_member(*id)?.is_some_and(|member| !member.disabled),
            };
            if is_there { snapshot.key_token_of(*subject) } else { Ok(None) }
        }
    }
}

fn judged(instant: ProvenInstant, refused: Refused, subject: Option<SubjectId>) -> KeyJudged {
    let locked_until = match refused {
        Refused::Locked { until } => Some(until),
        Refused::Wrong | Refused::Replayed | Refused::Disabled | Refused::NotNow(_) => None,
    };
    KeyJudged {
        reason: KeyReason::of(refused),
        entry: None,
        subject,
        locked_until,
        used_again: None,
        instant,
    }
}

/// A count of one, of a try that was not judged.
fn counted(asked: &KeyTry, about: &str, reason: KeyReason, wrong: &'static str, at: UnixTime) -> UnjudgedRow {
    let word = if reason == KeyReason::Wrong { wrong } else { reason.word() };
    asked.apart.row(asked.whom.customer(), about, word, at)
}

/// What a try came to in the core.
struct Said {
    /// Step and event of what was accepted; none for a recovery code.
    place: Option<(u64, u64)>,
    refused: Option<Refused>,
    after: Standing,
    /// Why it is wrong whatever its digits are.
    why: Option<&'static str>,
    code: Option<[u8; 32]>,
}

fn judge_token(
    tx: &mut Tx<'_>,
    asked: &KeyTry,
    instant: ProvenInstant,
    row: &KeyTokenRow,
) -> Result<KeyJudged, StoreError> {
    let said = say(tx, asked, &instant, row)?;
    let (reason, at) = (said.refused.map_or(KeyReason::Accepted, KeyReason::of), instant.time);
    if let Some(refused) = said.refused.filter(|refused| !refused.is_judged()) {
        tx.count_unjudged(&counted(asked, &row.id.to_string(), reason, "wrong", at))?;
        return Ok(judged(instant, refused, Some(row.subject)));
    }
    if reason == KeyReason::Used {
        notice::used_again(tx, row, at, asked.sends_mail)?;
    } else {
        let mut after = standing_row(&said.after, &row.standing);
        if reason == KeyReason::Accepted {
            after.last_used = Some(at);
        }
        tx.update_key_standing(row, &after)?;
        if let Some(hash) = said.code.filter(|_| reason == KeyReason::Accepted) {
            tx.use_recovery_code(row.id, &hash, at)?;
        }
    }
    let method = if said.code.is_some() { "recovery-code" } else { "key" };
    let fields = [
        ("subject", row.subject.to_string()),
        ("token", row.id.to_string()),
        ("verdict", reason.word().to_owned()),
        ("method", method.to_owned()),
        ("place", said.place.map_or_else(String::new, |(step, event)| format!("{step} {event}"))),
        ("why", said.why.unwrap_or_default().to_owned()),
        ("failures", said.after.failures.to_string()),
        ("by", asked.by.clone()),
    ];
    let entry = append_text(tx, TRY, row.customer, instant, fields)?;
    let refused = said.refused.unwrap_or(Refused::Wrong);
    let before = row.standing.last_used;
    let used_again = row.replayed.filter(|again| before.is_none_or(|before| *again > before));
    let used_again = used_again.filter(|_| reason == KeyReason::Accepted);
    Ok(KeyJudged { reason, entry: Some(entry), used_again, ..judged(instant, refused, Some(row.subject)) })
}

/// What the core says, the same work whether or not phone and cycle are the token's own.
fn say(
    snapshot: &Snapshot<'_>,
    asked: &KeyTry,
    instant: &ProvenInstant,
    row: &KeyTokenRow,
) -> Result<Said, StoreError> {
    let (ready, before) = (Ready::of(row, &asked.site)?, standing_of(&row.standing));
    let other_phone = asked
        .phone
        .as_ref()
        .is_some_and(|phone| !row.made_of.phone.is_empty() && phone.digits() != row.made_of.phone);
    let other_cycle =
        asked.cycle.zip(cycle_of(ready.motion)).is_some_and(|(named, enrolled)| named != enrolled);
    let why = other_phone.then_some("phone").or(other_cycle.then_some("cycle"));
    let by_code = |is_right: bool, code| {
        let (said, after) = judge_code(is_right, &before, &asked.policy, instant);
        Said { place: None, refused: said.err(), after, why, code }
    };
    match &asked.typed {
        Typed::Code(code) => {
            let hash = code.hash(row.id.as_bytes());
            let is_there = snapshot.has_recovery_code(row.id, &hash)?;
            Ok(by_code(is_there && why.is_none(), Some(hash)))
        }
        Typed::Key(shown) => {
            let (said, after) = judge(&ready.token(), &before, &asked.policy, shown, instant);
            let is_judged = said.as_ref().err().is_none_or(Refused::is_judged);
            if why.is_some() && is_judged {
                return Ok(by_code(false, None));
            }
            let place = said.ok().map(|place| (place.step, place.event));
            Ok(Said { place, refused: said.err(), after, why: None, code: None })
        }
    }
}
