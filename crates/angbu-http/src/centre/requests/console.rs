//! Signing in to the console, which is a request too: the relying party is the console itself, and an accepted one is the
//! beginning of a session.

use std::net::IpAddr;

use angbu_accounts::{Name, PasswordHash, SESSION_LIFETIME, Secret};
use angbu_requests::{Accepted, Judged, Method, Methods, Purpose, Request, Start, Verdict};
use angbu_store::accounts::{SessionRow, StaffRow};
use angbu_store::requests::{RequestRow, Said};
use angbu_store::{Snapshot, StoreError};
use angbu_units::{CustomerId, Nanos, RequestId, SessionId, SubjectId, UnixTime};

use super::answers::Browser;
use super::{CONSOLE, LIFETIME, commit, core_of, new_row};
use crate::centre::tries::{Tried, seconds_up};
use crate::centre::{Centre, rng};
use crate::problem::Refusal;
use crate::types::requests::RequestShown;

/// How many sign-ins one source may begin in a minute.
pub(in crate::centre) const BEGUN_A_MINUTE: u32 = 60;

/// How far signing in by a password came.
pub(crate) enum SigningIn {
    /// That is all: the session's secret, and whose it is.
    Session(Secret, Box<StaffRow>),
    /// The member has more than a password and has to show it: the request, and the secret for the browser.
    More(Box<RequestShown>, Secret),
}

impl Centre {
    /// Begins to sign in, before it is known who does: the request, opened in this browser.
    pub(crate) async fn begin_sign_in(&self, source: IpAddr) -> Result<(RequestShown, Secret), Refusal> {
        let now = self.clock.read();
        self.sign_ins
            .take(source, now.monotonic)
            .map_err(|wait| Refusal::Throttled { seconds: seconds_up(wait) })?;
        let browser = Secret::random(&mut rng());
        let request = begun(now.wall, &browser)?;
        let row = row_of(&request);
        let kept = row.clone();
        self.store.write(move |tx| tx.insert_request(&kept)).await?;
        Ok((self.show_to_browser(row).await?, browser))
    }

    /// Signs a member of the staff in by a password, as far as that goes.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: String,
        source: IpAddr,
    ) -> Result<SigningIn, Refusal> {
        let tried = Tried::from(source).staff(name);
        self.may_try(&tried).await?;
        let row = match name.parse::<Name>() {
            Ok(name) => self.store.read(move |snapshot| snapshot.staff_named(name.as_str())).await?,
            Err(_) => None,
        };
        let hash = row.as_ref().map(|row| PasswordHash::from_stored(row.password_hash.clone()));
        let right = self.check_password(hash, password).await?;
        let Some(member) = row.filter(|row| right && !row.disabled) else {
            self.try_failed(&tried).await?;
            return Err(Refusal::WrongPassword);
        };
        self.try_succeeded(&tried).await?;
        let stamp = self.instant();
        check_standing(&member, stamp.time)?;
        let (browser, session) = (Secret::random(&mut rng()), Secret::random(&mut rng()));
        let mut request = begun(stamp.time, &browser)?;
        let bound = Browser::keeping(&browser);
        let begins = new_session(&member, *session.hash().as_bytes(), stamp.time);
        let subject = SubjectId::Staff(member.id);
        let (row, member) = self
            .store
            .write(move |tx| {
                let row = row_of(&request);
                request.narrow(policy(tx, subject, Method::Password)?)?;
                tx.insert_request(&row)?;
                request.answer(bound.hash(), Method::Password, Judged::Right(subject), &stamp)?;
                let row = commit(tx, row, &request)?;
                if request.end.is_some() {
                    tx.take_request(row.id)?;
                    tx.insert_session(&begins)?;
                }
                Ok::<_, Refusal>((row, member))
            })
            .await?;
        if row.end.is_some() {
            return Ok(SigningIn::Session(session, Box::new(member)));
        }
        Ok(SigningIn::More(Box::new(self.show_to_browser(row).await?), browser))
    }

    /// Begins a session with an accepted request of the console's, once.
    pub(crate) async fn session_of_request(
        &self,
        id: RequestId,
        browser: Option<Browser>,
    ) -> Result<(Secret, StaffRow), Refusal> {
        let row = self.opened_by(id, browser).await?;
        let accepted = row.end.as_ref().is_some_and(|end| end.verdict == Verdict::Accepted.word());
        let (true, true, Some(SubjectId::Staff(staff))) = (row.asker == CONSOLE, accepted, row.subject)
        else {
            return Err(Refusal::unknown("sign-in that was accepted", &id.to_string()));
        };
        let now = self.clock.read().wall;
        if now >= row.expires {
            return Err(Refusal::RequestEnded(Verdict::Expired));
        }
        let by_password = core_of(&row)?.done.contains(Method::Password);
        let session = Secret::random(&mut rng());
        let secret_hash = *session.hash().as_bytes();
        let taken = self.store.write(move |tx| {
            let member = tx.staff_member(staff)?.filter(|member| !member.disabled);
            let member = member.ok_or(Refusal::NotSignedIn)?;
            // A one-time password that has ended holds up nobody who signed in without it.
            if by_password {
                check_standing(&member, now)?;
            }
            match tx.take_request(id) {
                Err(StoreError::NotFound { .. }) => {
                    return Err(Refusal::unknown("sign-in that no session was begun with", &id.to_string()));
                }
                taken => taken?,
            }
            tx.insert_session(&new_session(&member, secret_hash, now))?;
            Ok::<_, Refusal>(member)
        });
        Ok((session, taken.await?))
    }
}

/// Which combinations a member of the staff may use who has just answered by a method: only what they have, and not the
/// password alone where they have more.
pub(super) fn policy(
    snapshot: &Snapshot<'_>,
    subject: SubjectId,
    answered: Method,
) -> Result<impl Fn(Methods) -> bool + use<>, StoreError> {
    let has = has(snapshot, subject)?.with(Method::Password).with(answered);
    let alone = Methods::of([Method::Password]);
    Ok(move |combination: Methods| combination.are_within(has) && (has == alone || combination != alone))
}

/// What somebody has beside a password.
fn has(snapshot: &Snapshot<'_>, subject: SubjectId) -> Result<Methods, StoreError> {
    let mut methods = Methods::NONE;
    if snapshot.has_key_token(subject)? {
        methods = methods.with(Method::Keys);
    }
    if snapshot.has_passkey(subject)? {
        methods = methods.with(Method::Passkey);
    }
    Ok(methods)
}

/// A sign-in that this browser has opened.
fn begun(now: UnixTime, browser: &Secret) -> Result<Request, Refusal> {
    // A right password is a step on the way to a passkey too, so that whoever has one is led on to it.
    let combinations: [&[Method]; 4] = [
        &[Method::Passkey],
        &[Method::Password, Method::Passkey],
        &[Method::Password, Method::Keys],
        &[Method::Password],
    ];
    let accepted = Accepted::of(combinations.map(|methods| Methods::of(methods.iter().copied())));
    let secret = *Secret::random(&mut rng()).hash().as_bytes();
    let start = Start {
        purpose: Purpose::Login,
        accepted: accepted.map_err(|error| Refusal::Internal(error.to_string()))?,
        subject: None,
        secret,
        lifetime: Nanos::from_secs(i64::from(LIFETIME)),
    };
    let mut request = Request::start(start, now).map_err(|error| Refusal::Internal(error.to_string()))?;
    request.open(&secret, None, *browser.hash().as_bytes(), now)?;
    Ok(request)
}

fn row_of(request: &Request) -> RequestRow {
    let said = Said {
        title: "Sign in".to_owned(),
        text: String::new(),
        login_id: String::new(),
        return_to: String::new(),
    };
    new_row(request, CustomerId::SITE, CONSOLE.to_owned(), said)
}

fn new_session(member: &StaffRow, secret_hash: [u8; 32], now: UnixTime) -> SessionRow {
    SessionRow {
        id: SessionId::random(&mut rng()),
        secret_hash,
        staff: member.id,
        created: now,
        last_used: now,
        expires: now + SESSION_LIFETIME,
    }
}

/// A one-time password is good for a while only.
pub(in crate::centre) fn check_standing(member: &StaffRow, now: UnixTime) -> Result<(), Refusal> {
    if member.password_expires.is_some_and(|end| now >= end) { Err(Refusal::PasswordExpired) } else { Ok(()) }
}
