//! Enrolment codes, and joining by them.

use std::net::IpAddr;

use ed25519_dalek::{Signature, VerifyingKey};

use angbu_accounts::{CODE_LIFETIME, EnrolmentCode, Joining, LoginId, Name, PasswordHash, Reach, possession};
use angbu_store::accounts::{CodeRow, CustomerRow, PersonRow};
use angbu_store::time::AgentRow;
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_time::chain::Chain;
use angbu_time::events::{ENROLMENT, Enrolment};
use angbu_units::{AgentId, CodeId, CustomerId, ProvenInstant, UnixTime};

use super::machines::{self, JoinedMachine};
use super::{name_needed, people};
use crate::centre::passkeys::LINK;
use crate::centre::tries::Tried;
use crate::centre::{Centre, append, rng};
use crate::problem::Refusal;
use crate::types::enrolments::{EnrolmentKind, OpenCode};
use crate::types::instant;

/// What an agent, a host or a relying party presents to join.
#[derive(Clone)]
pub(crate) struct JoinWish {
    pub(crate) kind: EnrolmentKind,
    pub(crate) secret: [u8; 16],
    pub(crate) name: Name,
    pub(crate) public_key: [u8; 32],
    pub(crate) proof: [u8; 64],
}

impl Centre {
    /// Makes a one-time code by which an agent of this name joins for a customer.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn enrol_agent(
        &self,
        customer: CustomerId,
        name: &Name,
    ) -> Result<(EnrolmentCode, UnixTime), StoreError> {
        let (_, code, expires) = self.enrol(EnrolmentKind::Agent, customer, name.as_str().to_owned()).await?;
        Ok((code, expires))
    }

    /// Makes a one-time code by which something of this name joins for a customer.
    pub(crate) async fn enrol(
        &self,
        kind: EnrolmentKind,
        customer: CustomerId,
        name: String,
    ) -> Result<(CodeId, EnrolmentCode, UnixTime), StoreError> {
        let now = self.clock.read().wall;
        let fingerprint = self.fingerprints().first().copied().unwrap_or_default();
        let code = EnrolmentCode::random(fingerprint, &mut rng());
        let expires = now + CODE_LIFETIME;
        let row = CodeRow {
            id: CodeId::random(&mut rng()),
            secret_hash: *code.hash().as_bytes(),
            kind: kind.word().to_owned(),
            customer,
            name,
            expires,
            used: false,
        };
        let id = row.id;
        self.store.write(move |tx| tx.insert_code(&row)).await?;
        Ok((id, code, expires))
    }

    /// The codes within a reach that have not ended, of the kinds that are `wanted`.
    pub(crate) async fn codes(
        &self,
        reach: Reach,
        wanted: impl Fn(EnrolmentKind) -> bool + Send + 'static,
    ) -> Result<Vec<OpenCode>, Refusal> {
        let now = self.clock.read().wall;
        self.store
            .read(move |snapshot| {
                let rows = match reach {
                    Reach::Site => snapshot.codes()?,
                    Reach::Customer(customer) => snapshot.codes_of(customer)?,
                };
                let mut codes = Vec::new();
                for row in rows.into_iter().filter(|row| row.expires > now && row.kind != LINK) {
                    let kind = kind_of(&row)?;
                    if wanted(kind) {
                        codes.push(show(snapshot, kind, row)?);
                    }
                }
                Ok(codes)
            })
            .await
    }

    /// Takes back a code within a reach, of a kind that is `wanted`, so that nobody joins by it.
    pub(crate) async fn delete_code(
        &self,
        reach: Reach,
        id: CodeId,
        wanted: impl Fn(EnrolmentKind) -> bool + Send + 'static,
    ) -> Result<(), Refusal> {
        self.store
            .write(move |tx| {
                let found = tx.code(id)?.filter(|row| reach.covers(row.customer) && row.kind != LINK);
                let row = found.ok_or_else(|| Refusal::unknown("enrolment code", &id.to_string()))?;
                if !wanted(kind_of(&row)?) {
                    return Err(Refusal::unknown("enrolment code", &id.to_string()));
                }
                Ok(tx.delete_code(id)?)
            })
            .await
    }

    /// Lets an agent in. An agent whose answer was lost may ask again: its own key, already enrolled under this
    /// name, gets the same answer.
    pub(crate) async fn join_as_agent(
        &self,
        wish: JoinWish,
        source: IpAddr,
    ) -> Result<(AgentRow, CustomerRow), Refusal> {
        self.join(wish, source, |tx, wish, found, instant| match found {
            Found::Fresh(customer) => admit_agent(tx, wish, customer, instant).map(Some),
            Found::Used(customer) => {
                let agent = tx.agent_named(customer.id, wish.name.as_str())?;
                let agent = agent.filter(|agent| agent.public_key == wish.public_key);
                Ok(agent.map(|agent| (agent, customer)))
            }
        })
        .await
    }

    /// Lets a host or a relying party in. One whose answer was lost may ask again with its own key.
    pub(crate) async fn join_as_machine(
        &self,
        wish: JoinWish,
        source: IpAddr,
    ) -> Result<JoinedMachine, Refusal> {
        let by = BY_ITSELF;
        let joined = self
            .join(wish, source, move |tx, wish, found, instant| match found {
                Found::Fresh(customer) => machines::admit(tx, wish, customer, by, instant).map(Some),
                Found::Used(customer) => machines::admit_again(tx, wish, customer, by, instant),
            })
            .await;
        // Where another token took its place, the one before ends at once.
        self.recent_tokens.forget();
        joined
    }

    /// Lets a person in whose joining data was read. One whose answer was lost may ask again with the same password.
    pub(crate) async fn join_as_person(
        &self,
        secret: [u8; 16],
        joining: Joining,
        source: IpAddr,
    ) -> Result<(PersonRow, CustomerRow), Refusal> {
        let tried = Tried::secret(source);
        self.may_try(&tried).await?;
        let hash = *EnrolmentCode::from_parts(secret, [0; 32]).hash().as_bytes();
        let key = joining.login_id.key().to_owned();
        let now = self.clock.read().wall;
        // Hashing a password is dear: a stranger without a code does not get that far.
        let invited = self.store.read(move |snapshot| invitation(snapshot, &hash, &key, now)).await?;
        let joined = match invited {
            None => None,
            Some(Found::Fresh(customer)) => self.join_fresh(hash, customer, joining).await?,
            Some(Found::Used(customer)) => {
                let key = joining.login_id.key().to_owned();
                let of = customer.id;
                let row = self.store.read(move |snapshot| snapshot.person_by_login(of, &key)).await?;
                let stored = row.as_ref().map(|row| PasswordHash::from_stored(row.password_hash.clone()));
                let right = self.check_password(stored, joining.password.reveal().to_owned()).await?;
                row.filter(|row| right && !row.disabled).map(|row| (row, customer))
            }
        };
        if joined.is_none() {
            self.try_failed(&tried).await?;
        }
        joined.ok_or(Refusal::CodeRefused)
    }

    async fn join_fresh(
        &self,
        code: [u8; 32],
        customer: CustomerRow,
        joining: Joining,
    ) -> Result<Option<(PersonRow, CustomerRow)>, Refusal> {
        let (known, hash) = self.make_known(&customer, joining).await?;
        let instant = self.instant();
        self.store
            .write(move |tx| {
                let Some(taken) = tx.take_code(EnrolmentKind::Person.word(), &code, instant.time)? else {
                    return Ok(None);
                };
                let row = people::new_person(taken.customer, known, &hash, instant);
                Ok(Some((people::insert(tx, row, instant, BY_ITSELF)?, customer)))
            })
            .await
    }

    /// Lets something in that proves possession of its key.
    async fn join<T: Send + 'static>(
        &self,
        wish: JoinWish,
        source: IpAddr,
        admit: impl FnOnce(&mut Tx<'_>, &JoinWish, Found, ProvenInstant) -> Result<Option<T>, StoreError>
        + Send
        + 'static,
    ) -> Result<T, Refusal> {
        let tried = Tried::secret(source);
        self.may_try(&tried).await?;
        // A code that was made before the log's newest key is bound to the one before.
        let is_proof = |fingerprint| {
            let code = EnrolmentCode::from_parts(wish.secret, fingerprint);
            let statement = possession(&code, wish.name.as_str(), &wish.public_key);
            VerifyingKey::from_bytes(&wish.public_key)
                .is_ok_and(|key| key.verify_strict(&statement, &Signature::from_bytes(&wish.proof)).is_ok())
        };
        let possessed = self.fingerprints().into_iter().any(is_proof);
        let hash = *EnrolmentCode::from_parts(wish.secret, [0; 32]).hash().as_bytes();
        let instant = self.instant();
        let joined = if possessed {
            self.store
                .write(move |tx| match take(tx, &wish, &hash, instant.time)? {
                    Some(found) => admit(tx, &wish, found, instant),
                    None => Ok(None),
                })
                .await?
        } else {
            None
        };
        if joined.is_none() {
            self.try_failed(&tried).await?;
        }
        joined.ok_or(Refusal::CodeRefused)
    }
}

/// Who let in whoever joined by a code.
const BY_ITSELF: &str = "enrolment code";

/// A code that lets somebody in, by whose customer it is.
enum Found {
    /// Nobody has used it.
    Fresh(CustomerRow),
    /// Somebody has; whoever it was may ask again.
    Used(CustomerRow),
}

/// Takes the code that was made for this kind and name.
fn take(
    tx: &mut Tx<'_>,
    wish: &JoinWish,
    secret_hash: &[u8; 32],
    now: UnixTime,
) -> Result<Option<Found>, StoreError> {
    let kind = wish.kind.word();
    if let Some(code) = tx.take_code(kind, secret_hash, now)? {
        // A code that was made for another name is spent: giving it back would make the name guessable.
        let meant = code.name == wish.name.as_str();
        return Ok(if meant { tx.customer(code.customer)?.map(Found::Fresh) } else { None });
    }
    let used = tx.code_by_secret(secret_hash)?.filter(|code| code.used && code.kind == kind);
    match used {
        Some(code) => Ok(tx.customer(code.customer)?.map(Found::Used)),
        None => Ok(None),
    }
}

/// The code that was made for a person with this login id, if it can still let them in. A login id that is typed wrong
/// spends nothing: the code itself cannot be guessed.
fn invitation(
    snapshot: &Snapshot<'_>,
    secret_hash: &[u8; 32],
    login_key: &str,
    now: UnixTime,
) -> Result<Option<Found>, StoreError> {
    let kind = EnrolmentKind::Person.word();
    let found = snapshot.code_by_secret(secret_hash)?.filter(|code| code.kind == kind && code.expires > now);
    let meant = found.filter(|code| code.name.parse::<LoginId>().is_ok_and(|id| id.key() == login_key));
    let Some(code) = meant else { return Ok(None) };
    let customer = snapshot.customer(code.customer)?;
    Ok(customer.map(if code.used { Found::Used } else { Found::Fresh }))
}

fn admit_agent(
    tx: &mut Tx<'_>,
    wish: &JoinWish,
    customer: CustomerRow,
    instant: ProvenInstant,
) -> Result<(AgentRow, CustomerRow), StoreError> {
    let id = AgentId::random(&mut rng());
    let name = wish.name.as_str().to_owned();
    let enrolment = Enrolment { agent: id, name: name.clone(), public_key: wish.public_key };
    let enrolment = append(tx, ENROLMENT, customer.id, instant, enrolment.fields())?;
    let agent = AgentRow {
        id,
        customer: customer.id,
        name,
        public_key: wish.public_key,
        enrolment,
        enrolled: instant.time,
        next_seq: 1,
        chain: *Chain::begin(id, &wish.public_key, 1).as_bytes(),
        last_seen: None,
        poll: None,
        closed_seq: 1,
        open_count: 0,
        open_since: None,
        version: 1,
    };
    tx.insert_agent(&agent)?;
    Ok((agent, customer))
}

fn kind_of(row: &CodeRow) -> Result<EnrolmentKind, Refusal> {
    EnrolmentKind::from_word(&row.kind).ok_or_else(|| {
        Refusal::Internal(format!("code {} lets in a '{}', which nothing is", row.id, row.kind))
    })
}

fn show(snapshot: &Snapshot<'_>, kind: EnrolmentKind, row: CodeRow) -> Result<OpenCode, StoreError> {
    Ok(OpenCode {
        id: row.id.to_string(),
        kind,
        customer: name_needed(snapshot, row.customer)?,
        name: row.name,
        expires_at: instant(row.expires),
        used: row.used,
    })
}
