//! Signing in and out, and passwords.

use std::net::IpAddr;

use angbu_accounts::{
    Grant, Name, Password, PasswordHash, Reach, Role, RoleError, SESSION_LIFETIME, Secret, SessionTimes,
};
use angbu_store::StoreError;
use angbu_store::accounts::{SessionRow, StaffRow};
use angbu_units::{SessionId, UnixTime};

use super::{name_of, seconds_up, unreadable};
use crate::centre::{Centre, rng};
use crate::problem::Refusal;
use crate::types::accounts::{CustomerName, RoleWord, Session, SignedIn};

impl Centre {
    /// Signs a member of the staff in; the secret goes into the browser's cookie.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: String,
        source: IpAddr,
    ) -> Result<(Secret, StaffRow), Refusal> {
        let reading = self.clock.read();
        let tried: String = name.chars().take(64).collect();
        let waits = [
            self.tries_by_name.wait(&tried, reading.monotonic),
            self.tries_by_source.wait(&source, reading.monotonic),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(Refusal::Throttled { seconds: seconds_up(wait) });
        }
        let row = match name.parse::<Name>() {
            Ok(name) => self.store.read(move |snapshot| snapshot.staff_named(name.as_str())).await?,
            Err(_) => None,
        };
        let hash = row.as_ref().map(|row| PasswordHash::from_stored(row.password_hash.clone()));
        let right = self.check_password(hash, password).await?;
        let Some(member) = row.filter(|row| right && !row.disabled) else {
            self.tries_by_name.failed(tried, reading.monotonic);
            self.tries_by_source.failed(source, reading.monotonic);
            return Err(Refusal::WrongPassword);
        };
        self.tries_by_name.succeeded(&tried);
        check_standing(&member, reading.wall)?;
        let secret = Secret::random(&mut rng());
        let session = SessionRow {
            id: SessionId::random(&mut rng()),
            secret_hash: *secret.hash().as_bytes(),
            staff: member.id,
            created: reading.wall,
            last_used: reading.wall,
            expires: reading.wall + SESSION_LIFETIME,
        };
        self.store.write(move |tx| tx.insert_session(&session)).await?;
        Ok((secret, member))
    }

    /// Who is signed in by a live session, whose last use is noted now and then, and what they may do. It ends at once
    /// for whoever is disabled.
    pub(crate) async fn session_member(&self, secret: &Secret) -> Result<(StaffRow, Grant), Refusal> {
        let hash = *secret.hash().as_bytes();
        let now = self.clock.read().wall;
        let found = self
            .store
            .read(move |snapshot| {
                let Some(session) = snapshot.session_by_secret(&hash)? else { return Ok(None) };
                Ok::<_, StoreError>(snapshot.staff_member(session.staff)?.map(|member| (session, member)))
            })
            .await?;
        let (session, member) = found.filter(|(_, member)| !member.disabled).ok_or(Refusal::NotSignedIn)?;
        let times = SessionTimes { created: session.created, last_used: session.last_used };
        if !times.live(now) {
            return Err(Refusal::NotSignedIn);
        }
        if times.worth_touching(now) {
            let touched =
                self.store.write(move |tx| tx.touch_session(session.id, now, session.expires)).await;
            match touched {
                // Signed out in another window meanwhile.
                Err(StoreError::NotFound { .. }) => return Err(Refusal::NotSignedIn),
                touched => touched?,
            }
        }
        let grant = grant_of(&member)?;
        Ok((member, grant))
    }

    /// A session as it is shown to whom it belongs.
    pub(crate) async fn show_session(&self, member: &StaffRow) -> Result<Session, Refusal> {
        let id = member.customer;
        let name = self.store.read(move |snapshot| name_of(snapshot, id)).await?;
        let grant = grant_of(member)?;
        Ok(Session {
            staff: SignedIn {
                id: member.id.to_string(),
                name: member.name.clone(),
                role: role_word(member)?,
                customer: name.map(|name| CustomerName { id: id.to_string(), name }),
                language: member.language.clone(),
            },
            must_change_password: member.must_change,
            scopes: grant.scopes.iter().map(|scope| scope.word().to_owned()).collect(),
        })
    }

    /// Ends a session; one that is not there has ended already.
    pub(crate) async fn sign_out(&self, secret: &Secret) -> Result<(), Refusal> {
        let hash = *secret.hash().as_bytes();
        self.store
            .write(move |tx| match tx.session_by_secret(&hash)? {
                Some(session) => tx.delete_session(session.id),
                None => Ok(()),
            })
            .await?;
        Ok(())
    }

    /// Changes a member's own password and ends every other session of theirs.
    pub(crate) async fn change_password(
        &self,
        member: &StaffRow,
        old: String,
        new: String,
        session: &Secret,
    ) -> Result<(), Refusal> {
        let reading = self.clock.read();
        // A stolen session must not become a way to guess the password.
        if let Some(wait) = self.tries_by_name.wait(&member.name, reading.monotonic) {
            return Err(Refusal::Throttled { seconds: seconds_up(wait) });
        }
        check_standing(member, reading.wall)?;
        let new = Password::new(new)?;
        let stored = PasswordHash::from_stored(member.password_hash.clone());
        if !self.check_password(Some(stored), old).await? {
            self.tries_by_name.failed(member.name.clone(), reading.monotonic);
            return Err(Refusal::WrongPassword);
        }
        let hash = self.hash_password(new).await?;
        let kept = *session.hash().as_bytes();
        let changed = StaffRow {
            password_hash: hash.as_str().to_owned(),
            password_expires: None,
            must_change: false,
            ..member.clone()
        };
        self.store
            .write(move |tx| {
                tx.update_staff(&changed)?;
                let kept = tx.session_by_secret(&kept)?.map(|session| session.id);
                tx.delete_other_sessions(changed.id, kept)?;
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(())
    }

    /// Compares a password without blocking the other calls; an unknown name takes as long as a known one.
    pub(super) async fn check_password(
        &self,
        hash: Option<PasswordHash>,
        attempt: String,
    ) -> Result<bool, Refusal> {
        let _place = self.password_places.acquire().await.map_err(|e| Refusal::Internal(e.to_string()))?;
        let checked = tokio::task::spawn_blocking(move || match hash {
            Some(hash) => hash.matches(&attempt),
            None => {
                PasswordHash::waste_as_much_time(&attempt);
                Ok(false)
            }
        });
        Ok(checked.await.map_err(|error| Refusal::Internal(error.to_string()))??)
    }

    /// Hashes a new password without blocking the other calls.
    pub(super) async fn hash_password(&self, password: Password) -> Result<PasswordHash, Refusal> {
        let _place = self.password_places.acquire().await.map_err(|e| Refusal::Internal(e.to_string()))?;
        let hashed = tokio::task::spawn_blocking(move || password.hash(&mut rng()));
        Ok(hashed.await.map_err(|error| Refusal::Internal(error.to_string()))??)
    }
}

/// What a member of the staff may do.
pub(super) fn grant_of(member: &StaffRow) -> Result<Grant, Refusal> {
    Ok(Grant::of(role_of(member)?, Reach::of(member.customer)))
}

/// A member's role.
pub(super) fn role_of(member: &StaffRow) -> Result<Role, Refusal> {
    member.role.parse().map_err(|error: RoleError| unreadable(&format!("staff {}", member.id), &error))
}

/// A member's role as the API says it.
pub(super) fn role_word(member: &StaffRow) -> Result<RoleWord, Refusal> {
    RoleWord::of(role_of(member)?).ok_or_else(|| {
        Refusal::Internal(format!("staff {} has a role that is none of the staff's", member.id))
    })
}

/// A one-time password is good for a while only.
fn check_standing(member: &StaffRow, now: UnixTime) -> Result<(), Refusal> {
    if member.password_expires.is_some_and(|end| now >= end) { Err(Refusal::PasswordExpired) } else { Ok(()) }
}
