//! Requests: what relying parties ask of people. Load the row, let the core decide, commit what it became with the entry of
//! its end. Nothing of a request is in memory, so that it goes on at whichever centre its browser reaches.

mod answers;
mod by_passkey;
mod console;
mod show;

use std::time::Duration;

use angbu_accounts::{LoginId, Reach, Scope, Secret};
use angbu_evidence::Kind;
use angbu_requests::{
    Accepted, End, LIFETIMES, Methods, Origins, Purpose, Refused, Request, ReturnTo, Start, Verdict,
};
use angbu_store::requests::{RequestEnd, RequestRow, Said};
use angbu_store::{StoreError, Tx};
use angbu_units::{CustomerId, MachineId, Nanos, ProvenInstant, RequestId, UnixTime};

use super::{Centre, News, append_text, rng};
use crate::caller::{Caller, Who};
use crate::problem::Refusal;
use crate::types::requests::{NewRequest, RequestList, RequestMade, RequestState};

pub(crate) use answers::Browser;
pub(crate) use console::SigningIn;
pub(super) use console::{BEGUN_A_MINUTE, check_standing};

/// The end of a request.
pub(super) const ENDED: Kind = Kind::constant("request.ended");
/// Who asks where the centre's own console does.
const CONSOLE: &str = "console";
/// For how many seconds a request lives if nothing is said.
const LIFETIME: u16 = 300;
/// How often a change is tried again that another centre was faster with.
const TRIES: u32 = 16;
/// How many overdue requests one turn ends.
const AT_ONCE: u64 = 256;
/// For how long a request can be read after its end.
const SHOWN: Nanos = Nanos::from_secs(90 * 86_400);
/// How long the last of a request's events waits for its proof.
const PROOF: Duration = Duration::from_secs(5);
/// The longest title and the longest text, in characters.
const LONGEST: (usize, usize) = (120, 4_000);

/// Why a change was not made.
enum Missed {
    /// Somebody else changed the row: load it again and decide again.
    Again,
    Refused(Refusal),
}

impl From<StoreError> for Missed {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Conflict { .. }) { Self::Again } else { Self::Refused(error.into()) }
    }
}

impl From<Refusal> for Missed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Refused> for Missed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.into())
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Ended(verdict) => Self::RequestEnded(verdict),
            Refused::Overdue => Self::RequestEnded(Verdict::Expired),
            Refused::WrongSecret => Self::unknown("request that opens with this secret:", "…"),
            Refused::NotOpened | Refused::OtherBrowser => Self::OtherBrowser,
            Refused::NotAsked(_) | Refused::Done(_) => Self::Invalid(refused.to_string()),
            Refused::NothingLeft => Self::Internal(refused.to_string()),
        }
    }
}

/// A wish for a request, read.
pub(crate) struct RequestWish {
    purpose: Purpose,
    accepted: Accepted,
    lifetime: Nanos,
    login_id: Option<LoginId>,
    return_to: Option<ReturnTo>,
    title: String,
    text: String,
}

impl RequestWish {
    /// Reads what was sent.
    pub(crate) fn read(wish: NewRequest) -> Result<Self, Refusal> {
        let invalid = |what: &str, why: String| Refusal::Invalid(format!("{what}: {why}"));
        let combinations = wish.methods.iter().take(angbu_requests::MOST_COMBINATIONS + 1);
        let combinations = combinations.map(|methods| Methods::of(methods.iter().map(|word| (*word).into())));
        let seconds = wish.seconds.unwrap_or(LIFETIME);
        if !LIFETIMES.contains(&i64::from(seconds)) {
            return Err(invalid("seconds", "a request lives between 30 and 3600 seconds".into()));
        }
        let (title, text) = (wish.show.title, wish.show.text);
        let is_line = |text: &str| !text.chars().any(char::is_control);
        if title.trim().is_empty() || title.chars().count() > LONGEST.0 || !is_line(&title) {
            return Err(invalid("show.title", format!("it is one line of 1 to {} characters", LONGEST.0)));
        }
        if text.chars().count() > LONGEST.1 || !text.split('\n').all(is_line) {
            return Err(invalid(
                "show.text",
                format!("it is plain text of {} characters at most", LONGEST.1),
            ));
        }
        let return_to: Result<Option<ReturnTo>, _> = wish.return_to.as_deref().map(str::parse).transpose();
        Ok(Self {
            purpose: wish.purpose.into(),
            accepted: Accepted::of(combinations).map_err(|error| invalid("methods", error.to_string()))?,
            lifetime: Nanos::from_secs(i64::from(seconds)),
            login_id: wish
                .login_id
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|error: angbu_accounts::LoginIdError| invalid("login_id", error.to_string()))?,
            return_to: return_to
                .map_err(|error: angbu_requests::ReturnError| invalid("return_to", error.to_string()))?,
            title,
            text,
        })
    }
}

impl Centre {
    /// Starts a request of a relying party's.
    pub(crate) async fn make_request(
        &self,
        customer: CustomerId,
        caller: &Caller,
        wish: RequestWish,
    ) -> Result<RequestMade, Refusal> {
        let secret = Secret::random(&mut rng());
        let now = self.clock.read().wall;
        let request = Request::start(
            Start {
                purpose: wish.purpose,
                accepted: wish.accepted,
                subject: None,
                secret: *secret.hash().as_bytes(),
                lifetime: wish.lifetime,
            },
            now,
        )
        .map_err(|error| Refusal::Invalid(error.to_string()))?;
        let said = Said {
            title: wish.title,
            text: wish.text,
            login_id: wish.login_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            return_to: wish.return_to.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        let mut row = new_row(&request, customer, caller.by(), said);
        let (id, expires) = (row.id, request.expires);
        let token = caller.token();
        self.store
            .write(move |tx| {
                let machine = token.map(|token| tx.token(token)).transpose()?.flatten();
                row.machine = machine.and_then(|token| token.machine);
                if let Some(address) = &wish.return_to {
                    check_origin(tx, row.machine, address)?;
                }
                Ok::<_, Refusal>(tx.insert_request(&row)?)
            })
            .await?;
        let path = format!("/login/{id}#{}", secret.reveal());
        Ok(RequestMade {
            id: id.to_string(),
            url: format!("{}{path}", self.site.public_url),
            path,
            expires_at: crate::types::instant(expires),
        })
    }

    /// Whether a caller may read a request: who may read requests within their reach, and who asked it.
    pub(crate) async fn readable_request(
        &self,
        caller: &Caller,
        id: RequestId,
    ) -> Result<RequestRow, Refusal> {
        let reads = caller.require(Scope::RequestsRead);
        let token = caller.token();
        let by = caller.by();
        let found = self
            .store
            .read(move |snapshot| {
                let Some(row) = snapshot.request(id)? else { return Ok::<_, StoreError>(None) };
                let token = token.map(|token| snapshot.token(token)).transpose()?.flatten();
                let same_machine =
                    row.machine.is_some() && token.is_some_and(|token| token.machine == row.machine);
                let own = row.asker == by || same_machine;
                Ok(Some((own, row.customer)))
            })
            .await?;
        let own = matches!(found, Some((true, _))) && caller.require(Scope::RequestsMake).is_ok();
        match (own, reads) {
            (false, Err(refusal)) => return Err(refusal),
            (false, Ok(reach)) if !found.is_some_and(|(_, customer)| reach.covers(customer)) => {
                return Err(Refusal::unknown("request", &id.to_string()));
            }
            _ => {}
        }
        self.settled(id).await
    }

    /// A request as whoever asked sees it.
    pub(crate) async fn request_state(&self, id: RequestId) -> Result<RequestState, Refusal> {
        let row = self.settled(id).await?;
        self.show_state(row).await
    }

    /// A request as it stands and its version, an ended one with its proof, which is waited for; `None` where the database
    /// gives nothing now.
    pub(crate) async fn request_news(&self, id: RequestId) -> Option<(RequestState, u64)> {
        let row = self.settled(id).await.ok()?;
        let version = row.version;
        if let Some(end) = &row.end {
            self.store.wait(end.entry, PROOF).await.ok()?;
        }
        Some((self.show_state(row).await.ok()?, version))
    }

    /// Requests within a reach, the newest first.
    pub(crate) async fn requests(
        &self,
        reach: Reach,
        before: Option<RequestId>,
        limit: u64,
    ) -> Result<RequestList, Refusal> {
        // One more than is shown tells whether there is another page.
        let found = self.store.read(move |snapshot| snapshot.requests(reach.customer(), before, limit + 1));
        let mut rows = found.await?;
        let more = u64::try_from(rows.len()).is_ok_and(|count| count > limit);
        if more {
            rows.pop();
        }
        let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
        let shown = self.store.read(move |snapshot| {
            rows.into_iter().map(|row| show::state(snapshot, row)).collect::<Result<Vec<_>, Refusal>>()
        });
        Ok(RequestList { requests: shown.await?, next })
    }

    /// Ends the requests whose time is over. Of several centres the one that holds the log does so.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn end_overdue_requests(&self) -> Result<(), StoreError> {
        let now = self.clock.read().wall;
        if !self.keeps_log().await? {
            return Ok(());
        }
        for id in self.store.read(move |snapshot| snapshot.overdue_requests(now, AT_ONCE)).await? {
            match self.change(id, |_, _, _, _| Ok(())).await {
                Ok(_) | Err(Refusal::RequestEnded(_) | Refusal::Unknown { .. }) => {}
                Err(error) => {
                    tracing::warn!(request = %id, %error, "a request's end could not be written down")
                }
            }
        }
        Ok(())
    }

    /// A request as it stands, its end written down where its time is over.
    async fn settled(&self, id: RequestId) -> Result<RequestRow, Refusal> {
        let row = self.store.read(move |snapshot| snapshot.request(id)).await?;
        let row = row.ok_or_else(|| Refusal::unknown("request", &id.to_string()))?;
        if !core_of(&row)?.expire(&self.instant()) {
            return Ok(row);
        }
        match self.change(id, |_, _, _, _| Ok(())).await {
            Ok(_) | Err(Refusal::RequestEnded(_)) => {}
            Err(refusal) => return Err(refusal),
        }
        let row = self.store.read(move |snapshot| snapshot.request(id)).await?;
        row.ok_or_else(|| Refusal::unknown("request", &id.to_string()))
    }

    /// Loads a request, lets `decide` change it, and commits what it became, with its entry where it ended. It is decided
    /// anew where somebody else was faster.
    async fn change<T: Send + 'static>(
        &self,
        id: RequestId,
        decide: impl Fn(&mut Tx<'_>, &RequestRow, &mut Request, &ProvenInstant) -> Result<T, Missed>
        + Clone
        + Send
        + 'static,
    ) -> Result<(RequestRow, T), Refusal> {
        for _ in 0..TRIES {
            let (stamp, decide) = (self.instant(), decide.clone());
            let done = self.store.write(move |tx| {
                let row = tx.request(id)?.ok_or_else(|| Refusal::unknown("request", &id.to_string()))?;
                let mut request = core_of(&row)?;
                if request.expire(&stamp) {
                    return Ok((commit(tx, row, &request)?, None));
                }
                let value = decide(tx, &row, &mut request, &stamp)?;
                Ok::<_, Missed>((commit(tx, row, &request)?, Some(value)))
            });
            match done.await {
                Err(Missed::Again) => {}
                Err(Missed::Refused(refusal)) => return Err(refusal),
                Ok((row, value)) => {
                    let _ = self.news.send(News::Request(id));
                    return value.map(|value| (row, value)).ok_or(Refusal::RequestEnded(Verdict::Expired));
                }
            }
        }
        Err(Refusal::Unavailable {
            seconds: 1,
            reason: format!("{id} was changed again and again meanwhile"),
        })
    }
}

/// Deletes requests that ended long ago, and failures that nobody waits for any more.
pub(super) fn clear(tx: &mut Tx<'_>, now: UnixTime) -> Result<(), StoreError> {
    tx.purge_requests(now - SHOWN)?;
    tx.purge_failures(now - angbu_requests::Tries::REMEMBERED)?;
    Ok(())
}

fn check_origin(tx: &Tx<'_>, machine: Option<MachineId>, address: &ReturnTo) -> Result<(), Refusal> {
    let machine = machine.map(|machine| tx.machine(machine)).transpose()?.flatten();
    let origins = machine.map(|machine| origins_of(&machine.origins)).transpose()?.unwrap_or_default();
    if origins.allow(address) {
        return Ok(());
    }
    Err(Refusal::Invalid(format!(
        "return_to: the origin {} is not registered for this relying party; have it registered (PATCH \
         /api/v1/machines/ID {{\"origins\": […]}})",
        address.origin().as_str()
    )))
}

/// The origins of a machine's row.
pub(super) fn origins_of(stored: &str) -> Result<Origins, Refusal> {
    Origins::read(stored.split_ascii_whitespace())
        .map_err(|error| Refusal::Internal(format!("origins of a machine: {error}")))
}

/// A row that stands for a new request.
fn new_row(request: &Request, customer: CustomerId, asker: String, said: Said) -> RequestRow {
    RequestRow {
        id: RequestId::random(&mut rng()),
        customer,
        asker,
        machine: None,
        purpose: request.purpose.word().to_owned(),
        accepted: request.accepted.to_string(),
        secret_hash: request.secret,
        said,
        subject: request.subject,
        browser_hash: request.browser,
        done: request.done.to_string(),
        wrong: request.wrong,
        started: request.started,
        expires: request.expires,
        end: None,
        taken: false,
        version: 1,
    }
}

/// The machine that a row stands for.
fn core_of(row: &RequestRow) -> Result<Request, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| Refusal::Internal(format!("{}: {error}", row.id));
    let end = row.end.as_ref().map(|end| {
        let verdict = end.verdict.parse().map_err(|error: angbu_requests::UnknownWord| unreadable(&error))?;
        Ok::<_, Refusal>(End { verdict, at: end.at })
    });
    Ok(Request {
        purpose: row.purpose.parse().map_err(|error: angbu_requests::UnknownWord| unreadable(&error))?,
        accepted: row.accepted.parse().map_err(|error: angbu_requests::AcceptedError| unreadable(&error))?,
        started: row.started,
        expires: row.expires,
        secret: row.secret_hash,
        browser: row.browser_hash,
        subject: row.subject,
        done: row.done.parse().map_err(|error: angbu_requests::UnknownMethod| unreadable(&error))?,
        wrong: row.wrong,
        end: end.transpose()?,
    })
}

/// Writes what a request became, with its entry where it has ended now.
fn commit(tx: &mut Tx<'_>, mut row: RequestRow, request: &Request) -> Result<RequestRow, StoreError> {
    let before = row.clone();
    row.accepted = request.accepted.to_string();
    row.subject = request.subject;
    row.browser_hash = request.browser;
    row.done = request.done.to_string();
    row.wrong = request.wrong;
    if let (None, Some(end)) = (&row.end, request.end) {
        let entry = angbu_units::EntryId::from_bytes([0; 16]);
        row.end = Some(RequestEnd { verdict: end.verdict.word().to_owned(), at: end.at, entry });
        // Anybody can begin to sign in to the console. Where nothing was answered there is nothing to tell, and strangers do
        // not fill the log.
        if row.asker == CONSOLE && request.done.is_empty() && request.wrong == 0 {
            tx.delete_request(row.id, row.version)?;
            return Ok(row);
        }
        let entry = write_down(tx, &row, request, &end)?;
        row.end = Some(RequestEnd { verdict: end.verdict.word().to_owned(), at: end.at, entry });
    }
    if row != before {
        tx.update_request(&row)?;
        row.version += 1;
    }
    Ok(row)
}

/// The `request.ended` entry. What was shown stands in its sealed fields, and whom it asked by id alone.
fn write_down(
    tx: &mut Tx<'_>,
    row: &RequestRow,
    request: &Request,
    end: &End,
) -> Result<angbu_units::EntryId, StoreError> {
    let party = row.machine.map_or_else(|| row.asker.clone(), |machine| machine.to_string());
    let fields = [
        ("request", row.id.to_string()),
        ("purpose", row.purpose.clone()),
        ("relying-party", party),
        ("verdict", end.verdict.word().to_owned()),
        ("accepted", row.accepted.clone()),
        ("methods", row.done.clone()),
        ("subject", request.subject.map(|subject| subject.to_string()).unwrap_or_default()),
        ("wrong", row.wrong.to_string()),
        ("started", row.started.nanos().to_string()),
        ("title", row.said.title.clone()),
        ("text", row.said.text.clone()),
    ];
    let entry = append_text(tx, ENDED, row.customer, end.at, fields)?;
    if let Some(person) = request.subject.and_then(angbu_units::SubjectId::person) {
        tx.note_subject(person, entry)?;
    }
    Ok(entry)
}

/// Whether a field of the entry can be erased: what was shown can name somebody.
pub(super) fn is_personal(kind: &Kind, field: &str) -> bool {
    *kind == ENDED && matches!(field, "title" | "text")
}

impl Caller {
    fn token(&self) -> Option<angbu_units::TokenId> {
        match self.who {
            Who::Token(id) => Some(id),
            Who::Browser { .. } => None,
        }
    }
}
