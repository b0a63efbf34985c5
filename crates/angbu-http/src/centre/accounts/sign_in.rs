//! Sessions and passwords.

use angbu_accounts::{Grant, Password, PasswordHash, Reach, Role, RoleError, Secret, SessionTimes};
use angbu_store::StoreError;
use angbu_store::accounts::StaffRow;

use super::{name_of, unreadable};
use crate::centre::requests::check_standing;
use crate::centre::tries::Tried;
use crate::centre::{Centre, rng};
use crate::problem::Refusal;
use crate::types::accounts::{CustomerName, RoleWord, Session, SignedIn};

impl Centre {
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
        let now = self.clock.read().wall;
        // A stolen session must not become a way to guess the password.
        let tried = Tried::of_staff(&member.name);
        self.may_try(&tried).await?;
        check_standing(member, now)?;
        let new = Password::new(new)?;
        let stored = PasswordHash::from_stored(member.password_hash.clone());
        if !self.check_password(Some(stored), old).await? {
            self.try_failed(&tried).await?;
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
    pub(in crate::centre) async fn check_password(
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
