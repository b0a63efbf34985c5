//! Signing in, customers, tokens, enrolment codes and joining.

use std::net::IpAddr;

use ed25519_dalek::{Signature, VerifyingKey};

use angbu_accounts::{
    CODE_LIFETIME, EnrolmentCode, Grant, Name, Password, PasswordHash, Reach, Role, RoleError,
    SESSION_LIFETIME, Secret, SessionTimes, possession,
};
use angbu_evidence::Kind;
use angbu_store::accounts::{CodeRow, CustomerRow, SessionRow, StaffRow, TokenRow};
use angbu_store::time::AgentRow;
use angbu_store::{StoreError, Tx};
use angbu_time::events::{ENROLMENT, Enrolment};
use angbu_units::{AgentId, CodeId, CustomerId, Nanos, ProvenInstant, SessionId, StaffId, TokenId, UnixTime};

use super::{Centre, append, append_text, rng};
use crate::problem::Refusal;

const CUSTOMER: Kind = Kind::constant("account.customer");
const OPERATOR: Kind = Kind::constant("account.operator");
const TOKEN: Kind = Kind::constant("account.token");
/// What an agent's enrolment code lets in.
const AGENT: &str = "agent";

/// What an agent presents to join.
pub(crate) struct JoinWish {
    pub(crate) secret: [u8; 16],
    pub(crate) name: Name,
    pub(crate) public_key: [u8; 32],
    pub(crate) proof: [u8; 64],
}

impl Centre {
    /// Signs an operator in; the secret goes into the browser's cookie.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: String,
        source: IpAddr,
    ) -> Result<(Secret, StaffRow), Refusal> {
        let reading = self.clock.read();
        let name: String = name.chars().take(64).collect();
        let waits = [
            self.tries_by_name.wait(&name, reading.monotonic),
            self.tries_by_source.wait(&source, reading.monotonic),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(Refusal::Throttled { seconds: seconds_up(wait) });
        }
        let asked = name.clone();
        let row = self.store.read(move |snapshot| snapshot.staff_named(&asked)).await?;
        let hash = row.as_ref().map(|row| PasswordHash::from_stored(row.password_hash.clone()));
        let right = self.check_password(hash, password).await?;
        let Some(operator) = row.filter(|_| right) else {
            self.tries_by_name.failed(name, reading.monotonic);
            self.tries_by_source.failed(source, reading.monotonic);
            return Err(Refusal::WrongPassword);
        };
        self.tries_by_name.succeeded(&name);
        let secret = Secret::random(&mut rng());
        let session = SessionRow {
            id: SessionId::random(&mut rng()),
            secret_hash: *secret.hash().as_bytes(),
            staff: operator.id,
            created: reading.wall,
            last_used: reading.wall,
            expires: reading.wall + SESSION_LIFETIME,
        };
        self.store.write(move |tx| tx.insert_session(&session)).await?;
        Ok((secret, operator))
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
        let role: Role =
            member.role.parse().map_err(|error: RoleError| Refusal::Internal(error.to_string()))?;
        let grant = Grant::of(role, Reach::of(member.customer));
        Ok((member, grant))
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

    /// Changes an operator's own password and ends every other session of theirs.
    pub(crate) async fn change_password(
        &self,
        operator: &StaffRow,
        old: String,
        new: String,
        session: &Secret,
    ) -> Result<(), Refusal> {
        let new = Password::new(new)?;
        let stored = PasswordHash::from_stored(operator.password_hash.clone());
        if !self.check_password(Some(stored), old).await? {
            return Err(Refusal::WrongPassword);
        }
        let hash = tokio::task::spawn_blocking(move || new.hash(&mut rng()))
            .await
            .map_err(|error| Refusal::Internal(error.to_string()))??;
        let kept = *session.hash().as_bytes();
        let changed = StaffRow {
            password_hash: hash.as_str().to_owned(),
            password_expires: None,
            must_change: false,
            ..operator.clone()
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

    /// What a live token allows.
    pub(crate) async fn token_grant(&self, secret: &Secret) -> Result<Grant, Refusal> {
        let hash = *secret.hash().as_bytes();
        let now = self.clock.read();
        let token = match self.recent_tokens.get(&hash, now.monotonic) {
            Some(token) => Some(token),
            None => {
                let token = self.store.read(move |snapshot| snapshot.token_by_secret(&hash)).await?;
                if let Some(token) = &token {
                    self.recent_tokens.put(hash, token.clone(), now.monotonic);
                }
                token
            }
        };
        let live = token.filter(|token| !token.revoked && token.expires.is_none_or(|end| now.wall < end));
        let token = live.ok_or(Refusal::NotSignedIn)?;
        let scopes = token
            .scopes
            .parse()
            .map_err(|error| Refusal::Internal(format!("token {}: {error}", token.id)))?;
        Ok(Grant { scopes, reach: Reach::of(token.customer) })
    }

    /// Makes a token; its secret is shown once.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn make_token(
        &self,
        holder: &str,
        grant: Grant,
        expires: Option<UnixTime>,
    ) -> Result<(TokenId, Secret), StoreError> {
        let instant = self.instant();
        let secret = Secret::random(&mut rng());
        let row = TokenRow {
            id: TokenId::random(&mut rng()),
            secret_hash: *secret.hash().as_bytes(),
            holder: holder.chars().filter(|c| !c.is_control()).take(120).collect(),
            scopes: grant.scopes.to_string(),
            customer: grant.reach.stored(),
            machine: None,
            created: instant.time,
            expires,
            revoked: false,
        };
        let id = row.id;
        self.store
            .write(move |tx| {
                tx.insert_token(&row)?;
                let fields = [
                    ("token", row.id.to_string()),
                    ("holder", row.holder.clone()),
                    ("scopes", row.scopes.clone()),
                ];
                append_text(tx, TOKEN, row.customer, instant, fields)?;
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok((id, secret))
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown one, or where the database does not take it.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), StoreError> {
        self.store.write(move |tx| tx.revoke_token(id)).await?;
        self.recent_tokens.forget();
        Ok(())
    }

    /// Makes the first operator if there is none yet, and returns the one-time password then.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn first_operator(&self, name: &Name) -> Result<Option<Password>, StoreError> {
        if !self.store.read(|snapshot| snapshot.staff()).await?.is_empty() {
            return Ok(None);
        }
        let instant = self.instant();
        let password = Password::random(&mut rng());
        let hash = password
            .hash(&mut rng())
            .map_err(|error| StoreError::Corrupt { what: format!("the new operator's password: {error}") })?;
        let operator = StaffRow {
            id: StaffId::random(&mut rng()),
            name: name.as_str().to_owned(),
            password_hash: hash.as_str().to_owned(),
            role: "operator".to_owned(),
            customer: CustomerId::SITE,
            password_expires: None,
            must_change: true,
            language: "en".to_owned(),
            disabled: false,
            version: 1,
        };
        self.store
            .write(move |tx| {
                tx.insert_staff(&operator)?;
                append_text(tx, OPERATOR, CustomerId::SITE, instant, [("name", operator.name.clone())])?;
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(Some(password))
    }

    /// Makes a customer.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when there is one of this name.
    pub async fn make_customer(&self, name: &Name, tolerance: Nanos) -> Result<CustomerRow, StoreError> {
        let instant = self.instant();
        let id = CustomerId::random(&mut rng());
        let name = name.as_str().to_owned();
        self.store
            .write(move |tx| {
                let fields = [
                    ("name", name.clone()),
                    ("tolerance-ns", tolerance.count().to_string()),
                    ("revision", "1".to_owned()),
                ];
                let settings_entry = append_text(tx, CUSTOMER, id, instant, fields)?;
                let row = CustomerRow {
                    id,
                    name: name.clone(),
                    tolerance,
                    language: "en".to_owned(),
                    contacts: Vec::new(),
                    revision: 1,
                    settings_entry,
                    version: 1,
                };
                tx.insert_customer(&row, instant.time)?;
                Ok(row)
            })
            .await
    }

    /// The customer with this name or id.
    pub(crate) async fn customer(&self, name_or_id: &str) -> Result<CustomerRow, Refusal> {
        let wanted: String = name_or_id.chars().take(64).collect();
        let now = self.clock.read().monotonic;
        if let Some(customer) = self.recent_customers.get(&wanted, now) {
            return Ok(customer);
        }
        // What can be neither is not looked up: no database is asked about texts that it could not hold.
        let found = match (wanted.parse::<CustomerId>(), wanted.parse::<Name>()) {
            (Ok(id), _) => self.store.read(move |snapshot| snapshot.customer(id)).await?,
            (_, Ok(name)) => self.store.read(move |snapshot| snapshot.customer_named(name.as_str())).await?,
            _ => None,
        };
        let customer = found.ok_or_else(|| Refusal::unknown("customer", &wanted))?;
        self.recent_customers.put(wanted, customer.clone(), now);
        Ok(customer)
    }

    /// The customer with this name or id, if it lies within a caller's reach.
    pub(crate) async fn customer_within(
        &self,
        reach: Reach,
        name_or_id: &str,
    ) -> Result<CustomerRow, Refusal> {
        let customer = self.customer(name_or_id).await?;
        if reach.covers(customer.id) { Ok(customer) } else { Err(Refusal::unknown("customer", name_or_id)) }
    }

    /// A caller's reach narrowed to the customer with this name or id, where one is asked for.
    pub(crate) async fn narrow(&self, reach: Reach, name_or_id: Option<&str>) -> Result<Reach, Refusal> {
        match name_or_id {
            None => Ok(reach),
            Some(name) => Ok(Reach::Customer(self.customer_within(reach, name).await?.id)),
        }
    }

    /// Makes a one-time code by which an agent of this name joins for a customer.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn enrol_agent(
        &self,
        customer: CustomerId,
        name: &Name,
    ) -> Result<(EnrolmentCode, UnixTime), StoreError> {
        let now = self.clock.read().wall;
        let code = EnrolmentCode::random(self.site.fingerprint, &mut rng());
        let expires = now + CODE_LIFETIME;
        let row = CodeRow {
            id: CodeId::random(&mut rng()),
            secret_hash: *code.hash().as_bytes(),
            kind: AGENT.to_owned(),
            customer,
            name: name.as_str().to_owned(),
            expires,
            used: false,
        };
        self.store.write(move |tx| tx.insert_code(&row)).await?;
        Ok((code, expires))
    }

    /// Lets an agent in. An agent whose answer was lost may ask again: its own key, already enrolled under this
    /// name, gets the same answer.
    pub(crate) async fn join(
        &self,
        wish: JoinWish,
        source: IpAddr,
    ) -> Result<(AgentRow, CustomerRow), Refusal> {
        let reading = self.clock.read();
        if let Some(wait) = self.tries_by_source.wait(&source, reading.monotonic) {
            return Err(Refusal::Throttled { seconds: seconds_up(wait) });
        }
        let code = EnrolmentCode::from_parts(wish.secret, self.site.fingerprint);
        let statement = possession(&code, wish.name.as_str(), &wish.public_key);
        let possessed = VerifyingKey::from_bytes(&wish.public_key)
            .is_ok_and(|key| key.verify_strict(&statement, &Signature::from_bytes(&wish.proof)).is_ok());
        let hash = *code.hash().as_bytes();
        let instant = self.instant();
        let joined = if possessed {
            self.store.write(move |tx| admit(tx, &wish, &hash, instant)).await?
        } else {
            None
        };
        joined.ok_or_else(|| {
            self.tries_by_source.failed(source, reading.monotonic);
            Refusal::CodeRefused
        })
    }

    /// Compares a password without blocking the other calls; an unknown name takes as long as a known one.
    async fn check_password(&self, hash: Option<PasswordHash>, attempt: String) -> Result<bool, Refusal> {
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
}

fn admit(
    tx: &mut Tx<'_>,
    wish: &JoinWish,
    code: &[u8; 32],
    instant: ProvenInstant,
) -> Result<Option<(AgentRow, CustomerRow)>, StoreError> {
    let Some(taken) = tx.take_code(AGENT, code, instant.time)? else {
        return joined_before(tx, wish, code);
    };
    let code = taken;
    if code.name != wish.name.as_str() {
        // The code was made for another name: giving it back would make it guessable, so it is spent.
        return Ok(None);
    }
    let Some(customer) = tx.customer(code.customer)? else { return Ok(None) };
    let id = AgentId::random(&mut rng());
    let enrolment = Enrolment { agent: id, name: code.name.clone(), public_key: wish.public_key };
    let enrolment = append(tx, ENROLMENT, customer.id, instant, enrolment.fields())?;
    let agent = AgentRow {
        id,
        customer: customer.id,
        name: code.name,
        public_key: wish.public_key,
        enrolment,
        enrolled: instant.time,
        next_seq: 1,
        last_seen: None,
        poll: None,
        closed_seq: 1,
        open_count: 0,
        open_since: None,
        version: 1,
    };
    tx.insert_agent(&agent)?;
    Ok(Some((agent, customer)))
}

/// An agent whose answer was lost asks again with the same code and the same key.
fn joined_before(
    tx: &Tx<'_>,
    wish: &JoinWish,
    code: &[u8; 32],
) -> Result<Option<(AgentRow, CustomerRow)>, StoreError> {
    let Some(code) = tx.code_by_secret(code)?.filter(|code| code.used) else { return Ok(None) };
    let agent = tx.agent_named(code.customer, wish.name.as_str())?;
    let Some(agent) = agent.filter(|agent| agent.public_key == wish.public_key) else { return Ok(None) };
    Ok(tx.customer(agent.customer)?.map(|customer| (agent, customer)))
}

fn seconds_up(wait: Nanos) -> u64 {
    u64::try_from(wait.count() / 1_000_000_000).unwrap_or(0) + 1
}
