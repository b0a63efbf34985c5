//! The browser's side of a request: opening, looking, answering, cancelling.

use std::net::IpAddr;
use std::sync::Arc;

use angbu_accounts::{LoginId, Name, PasswordHash, Secret};
use angbu_requests::{Judged, Method, Opened, Progress};
use angbu_store::requests::RequestRow;
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{CustomerId, Phone, PhoneError, ProvenInstant, RequestId, SubjectId};

use super::{CONSOLE, Missed, console, core_of};
use crate::centre::keys::{KeyReason, KeyWhom, Typed, judge_in};
use crate::centre::tries::Tried;
use crate::centre::{Centre, rng};
use crate::problem::Refusal;
use crate::types::requests::{KeysAnswer, PasswordAnswer, RequestAnswered, RequestShown};

/// What a browser keeps of the request that it opened.
#[derive(Clone, Copy)]
pub(crate) struct Browser([u8; 32]);

impl Browser {
    /// The browser that keeps this secret.
    pub(crate) fn keeping(secret: &Secret) -> Self {
        Self(*secret.hash().as_bytes())
    }

    pub(super) const fn hash(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a method's judge says, in the request's transaction.
enum Said {
    /// The answer is right, and whose it is.
    Right(SubjectId),
    /// It is not.
    Wrong,
    /// It was not judged, and what was noted of that is kept.
    NotJudged(Refusal),
}

/// Somebody who can be asked.
pub(super) struct Asked {
    pub(super) subject: SubjectId,
    pub(super) password_hash: String,
    pub(super) disabled: bool,
}

impl Centre {
    /// Opens a request in a browser. The secret that the browser is to keep comes with it where it was not bound before.
    pub(crate) async fn open_request(
        &self,
        id: RequestId,
        secret: &str,
        kept: Option<Browser>,
        source: IpAddr,
    ) -> Result<(RequestShown, Option<Secret>), Refusal> {
        let tried = Tried::secret(source);
        self.may_try(&tried).await?;
        let hash = Secret::parse(secret).map(|secret| *secret.hash().as_bytes()).unwrap_or_default();
        let fresh = Secret::random(&mut rng());
        let bound = *fresh.hash().as_bytes();
        let opened = self.change(id, move |_, _, request, stamp| {
            Ok(request.open(&hash, kept.as_ref().map(Browser::hash), bound, stamp.time)?)
        });
        let (row, opened) = match opened.await {
            Err(refusal @ Refusal::Unknown { .. }) => {
                self.try_failed(&tried).await?;
                return Err(refusal);
            }
            // Whoever opened it sees how it ended while nobody had looked.
            Err(Refusal::RequestEnded(_)) if kept.is_some() => {
                return self.request_shown(id, kept).await.map(|shown| (shown, None));
            }
            opened => opened?,
        };
        let shown = self.show_to_browser(row).await?;
        Ok((shown, (opened == Opened::Bound).then_some(fresh)))
    }

    /// A request as the browser that opened it sees it.
    pub(crate) async fn request_shown(
        &self,
        id: RequestId,
        browser: Option<Browser>,
    ) -> Result<RequestShown, Refusal> {
        let row = self.opened_by(id, browser).await?;
        self.show_to_browser(row).await
    }

    /// Ends a request, because whoever is asked wants to.
    pub(crate) async fn cancel_request(
        &self,
        id: RequestId,
        browser: Option<Browser>,
    ) -> Result<RequestShown, Refusal> {
        let browser = browser.ok_or(Refusal::OtherBrowser)?;
        let (row, ()) = self
            .change(id, move |_, _, request, stamp| {
                request.is_opened_by(browser.hash())?;
                Ok(request.cancel(stamp)?)
            })
            .await?;
        self.show_to_browser(row).await
    }

    /// A request that this browser has opened, however it stands.
    pub(super) async fn opened_by(
        &self,
        id: RequestId,
        browser: Option<Browser>,
    ) -> Result<RequestRow, Refusal> {
        let browser = browser.ok_or(Refusal::OtherBrowser)?;
        let row = self.settled(id).await?;
        core_of(&row)?.is_opened_by(browser.hash())?;
        Ok(row)
    }

    /// A request that this browser may answer by this method now.
    pub(crate) async fn request_to_answer(
        &self,
        id: RequestId,
        browser: Option<Browser>,
        method: Method,
    ) -> Result<(RequestRow, Browser), Refusal> {
        let bound = browser.ok_or(Refusal::OtherBrowser)?;
        let row = self.settled(id).await?;
        core_of(&row)?.may_answer(bound.hash(), method, self.clock.read().wall)?;
        Ok((row, bound))
    }

    /// Answers by a one-time key.
    pub(crate) async fn answer_by_key(
        &self,
        id: RequestId,
        browser: Option<Browser>,
        answer: KeysAnswer,
        source: IpAddr,
    ) -> Result<RequestAnswered, Refusal> {
        let (row, browser) = self.request_to_answer(id, browser, Method::Keys).await?;
        let typed =
            Typed::read(&answer.ota_key).map_err(|error| Refusal::Invalid(format!("ota_key: {error}")))?;
        let phone: Option<Phone> = answer
            .phone_no
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: PhoneError| Refusal::Invalid(format!("phone_no: {error}")))?;
        let (asked, tried) = self.asked_in(&row, answer.login_id.as_deref(), source).await?;
        self.may_try(&tried).await?;
        let login = Some(row.said.login_id.as_str()).filter(|login| !login.is_empty());
        let login = login.or(answer.login_id.as_deref()).unwrap_or_default();
        let whom = match asked {
            Some(asked) => KeyWhom::Subject(row.customer, asked.subject),
            None => KeyWhom::login(row.customer, login),
        };
        let asked = self.key_try(whom, (phone, None), typed, row.id.to_string(), (source, false)).await?;
        let asked = Arc::new(asked);
        let answered = self
            .answer_with(id, browser, Method::Keys, move |tx, _, instant| {
                let judged = judge_in(tx, &asked, *instant)?;
                Ok(match (judged.reason, judged.subject) {
                    (KeyReason::Accepted, Some(subject)) => Said::Right(subject),
                    (KeyReason::Accepted | KeyReason::Wrong | KeyReason::Used, _) => Said::Wrong,
                    // Nobody looked at the key, so it is not counted as a wrong one.
                    (KeyReason::Locked, _) => {
                        Said::NotJudged(Refusal::Throttled { seconds: judged.wait_s().unwrap_or(1) })
                    }
                    (reason, _) => Said::NotJudged(Refusal::Invalid(format!("ota_key: {}", reason.word()))),
                })
            })
            .await?;
        self.forget_or_note(&tried, answered.right).await?;
        Ok(answered)
    }

    /// Has an answer judged within the request's own transaction: `judge` says whose right answer it is, or nothing of a
    /// wrong one, and what it writes is kept with the request or not at all. It can run more than once.
    pub(crate) async fn answer_request(
        &self,
        id: RequestId,
        browser: Browser,
        method: Method,
        judge: impl Fn(&mut Tx<'_>, &RequestRow) -> Result<Option<SubjectId>, Refusal> + Clone + Send + 'static,
    ) -> Result<RequestAnswered, Refusal> {
        self.answer_with(id, browser, method, move |tx, row, _| {
            Ok(judge(tx, row)?.map_or(Said::Wrong, Said::Right))
        })
        .await
    }

    async fn answer_with(
        &self,
        id: RequestId,
        browser: Browser,
        method: Method,
        judge: impl Fn(&mut Tx<'_>, &RequestRow, &ProvenInstant) -> Result<Said, Missed> + Clone + Send + 'static,
    ) -> Result<RequestAnswered, Refusal> {
        let (row, progress) = self
            .change(id, move |tx, row, request, stamp| {
                request.may_answer(browser.hash(), method, stamp.time)?;
                let found = match judge(tx, row, stamp)? {
                    Said::Right(subject) => belongs(tx, row, subject)?,
                    Said::Wrong => None,
                    Said::NotJudged(refusal) => return Ok(Err(refusal)),
                };
                if let Some(subject) = found.filter(|_| row.asker == CONSOLE) {
                    request.narrow(console::policy(tx, subject, method)?)?;
                }
                let judged = found.map_or(Judged::Wrong, Judged::Right);
                Ok(Ok(request.answer(browser.hash(), method, judged, stamp)?))
            })
            .await?;
        let progress = progress?;
        let right = matches!(progress, Progress::More | Progress::Ended(angbu_requests::Verdict::Accepted));
        Ok(RequestAnswered { right, shown: self.show_to_browser(row).await? })
    }

    /// Answers by a password.
    pub(crate) async fn answer_by_password(
        &self,
        id: RequestId,
        browser: Option<Browser>,
        answer: PasswordAnswer,
        source: IpAddr,
    ) -> Result<RequestAnswered, Refusal> {
        let (row, browser) = self.request_to_answer(id, browser, Method::Password).await?;
        let (asked, tried) = self.asked_in(&row, answer.login_id.as_deref(), source).await?;
        self.may_try(&tried).await?;
        let hash = asked.as_ref().map(|asked| PasswordHash::from_stored(asked.password_hash.clone()));
        let hash = hash.filter(|hash| !hash.as_str().is_empty());
        let right = self.check_password(hash, answer.password).await?;
        let asked = asked.filter(|asked| right && !asked.disabled);
        let (subject, hash) = asked.map(|asked| (asked.subject, asked.password_hash)).unzip();
        self.forget_or_note(&tried, subject.is_some()).await?;
        self.answer_request(id, browser, Method::Password, move |tx, _| {
            let Some((subject, hash)) = subject.zip(hash.as_ref()) else { return Ok(None) };
            // The password is compared outside of the transaction, where it may be changed meanwhile.
            let still = by_id(tx, subject)?.filter(|asked| !asked.disabled && asked.password_hash == *hash);
            Ok(still.map(|asked| asked.subject))
        })
        .await
    }

    async fn forget_or_note(&self, tried: &Tried, right: bool) -> Result<(), StoreError> {
        if right { self.try_succeeded(tried).await } else { self.try_failed(tried).await }
    }

    /// Whom a browser's answer is about: who has answered before, whom the request names, or who is named with the answer;
    /// and what the try is counted under. Nobody where there is no such person, or another than the one who is asked.
    pub(super) async fn asked_in(
        &self,
        row: &RequestRow,
        given: Option<&str>,
        source: IpAddr,
    ) -> Result<(Option<Asked>, Tried), Refusal> {
        let tried = Tried::from(source);
        let named = Some(row.said.login_id.clone()).filter(|id| !id.is_empty());
        if let Some(subject) = row.subject {
            let found = self.store.read(move |snapshot| by_id(snapshot, subject)).await?;
            let tried = match subject {
                SubjectId::Staff(_) => tried.staff(&subject.to_string()),
                SubjectId::Person(_) => tried.person(row.customer, &subject.to_string()),
            };
            return Ok((found, tried));
        }
        let login = named.as_deref().or(given).ok_or_else(|| {
            Refusal::Invalid("login_id: the request names nobody, so the answer has to".into())
        })?;
        if row.asker == CONSOLE {
            let name = login.parse::<Name>().ok();
            let found = self.store.read(move |snapshot| match name {
                Some(name) => Ok::<_, StoreError>(snapshot.staff_named(name.as_str())?.map(Into::into)),
                None => Ok(None),
            });
            return Ok((found.await?, tried.staff(login)));
        }
        let (customer, id) = (row.customer, login.parse::<LoginId>().ok());
        let tried = tried.person(customer, id.as_ref().map_or(login, LoginId::key));
        let found = self.store.read(move |snapshot| match id {
            Some(id) => Ok::<_, StoreError>(snapshot.person_by_login(customer, id.key())?.map(Into::into)),
            None => Ok(None),
        });
        Ok((found.await?, tried))
    }
}

impl From<angbu_store::accounts::StaffRow> for Asked {
    fn from(row: angbu_store::accounts::StaffRow) -> Self {
        Self { subject: SubjectId::Staff(row.id), password_hash: row.password_hash, disabled: row.disabled }
    }
}

impl From<angbu_store::accounts::PersonRow> for Asked {
    fn from(row: angbu_store::accounts::PersonRow) -> Self {
        Self { subject: SubjectId::Person(row.id), password_hash: row.password_hash, disabled: row.disabled }
    }
}

fn by_id(snapshot: &Snapshot<'_>, subject: SubjectId) -> Result<Option<Asked>, StoreError> {
    match subject {
        SubjectId::Staff(id) => Ok(snapshot.staff_member(id)?.map(Into::into)),
        SubjectId::Person(id) => Ok(snapshot.person(id)?.map(Into::into)),
    }
}

/// Somebody who may answer this request at all: one of its customer's people, and the very one whom it names; a member of
/// the staff where the console asks.
fn belongs(
    snapshot: &Snapshot<'_>,
    row: &RequestRow,
    subject: SubjectId,
) -> Result<Option<SubjectId>, StoreError> {
    let fits = match subject {
        SubjectId::Staff(id) => {
            row.asker == CONSOLE && snapshot.staff_member(id)?.is_some_and(|member| !member.disabled)
        }
        SubjectId::Person(id) => {
            let person = snapshot.person(id)?.filter(|person| {
                !person.disabled && person.customer == row.customer && row.customer != CustomerId::SITE
            });
            let named: Option<LoginId> = row.said.login_id.parse().ok();
            let key = person
                .as_ref()
                .and_then(|person| person.known.as_ref())
                .map(|known| known.login_key.as_str());
            person.is_some() && row.asker != CONSOLE && named.is_none_or(|named| key == Some(named.key()))
        }
    };
    Ok(fits.then_some(subject))
}
