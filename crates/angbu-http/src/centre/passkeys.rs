//! Passkeys: registering, listing and revoking them.

mod sign_in;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::Rng as _;
use serde::Deserialize;

use angbu_accounts::{CODE_LIFETIME, Reach, Secret};
use angbu_evidence::Kind;
use angbu_passkeys::{
    ALGORITHMS, CHALLENGE_LIFETIME_S, Challenge, ClientData, Refused, RelyingParty, register,
};
use angbu_store::accounts::{CodeRow, StaffRow};
use angbu_store::passkeys::{Asked, MOST_OF_ONE, PasskeyRow};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{CodeId, CustomerId, EntryId, Nanos, PasskeyId, PersonId, ProvenInstant, SubjectId};

use super::{Centre, append_text, rng};
use crate::problem::Refusal;
use crate::types::instant;
use crate::types::passkeys::{
    Passkey, PasskeyLink, Passkeys, QuestionAlgorithm, QuestionCredential, QuestionSelection, QuestionSite,
    QuestionUser, RegistrationAnswer, RegistrationQuestion,
};

const CHANGE: Kind = Kind::constant("passkey.change");
/// The kind of an enrolment code by which a person registers a passkey; its name is the person's id.
pub(super) const LINK: &str = "passkey";
/// The most passkeys that somebody may have, those that were taken back among them.
const MOST: usize = 50;
/// The longest name of a passkey, in characters.
const LONGEST_LABEL: usize = 60;

const LIFETIME: Nanos = Nanos::from_secs(CHALLENGE_LIFETIME_S);
/// The same for browsers, in milliseconds.
const TIMEOUT: u64 = CHALLENGE_LIFETIME_S.unsigned_abs() * 1_000;

/// Who registers a passkey.
pub(crate) struct Holder {
    subject: SubjectId,
    customer: CustomerId,
    /// What authenticators call them.
    name: String,
    /// The code that is used up with it.
    code: Option<[u8; 32]>,
}

impl Holder {
    /// A member of the staff, for themself.
    pub(crate) fn member(member: &StaffRow) -> Self {
        let (subject, customer) = (SubjectId::Staff(member.id), member.customer);
        Self { subject, customer, name: member.name.clone(), code: None }
    }

    /// The holder, for entries.
    fn by(&self) -> String {
        self.subject.to_string()
    }
}

impl Centre {
    /// The site as WebAuthn knows it.
    fn party(&self) -> Result<RelyingParty, Refusal> {
        Ok(RelyingParty::of(&self.site.public_url)?)
    }

    /// Asks for a new passkey of somebody.
    pub(crate) async fn begin_registration(&self, holder: Holder) -> Result<RegistrationQuestion, Refusal> {
        let party = self.party()?;
        let challenge = new_challenge();
        let (subject, now) = (holder.subject, self.clock.read().wall);
        let kept = self
            .store
            .write(move |tx| {
                tx.ask_for_passkey(
                    &challenge,
                    Asked::Registration(*subject.as_bytes()),
                    now,
                    now + LIFETIME,
                )?;
                tx.passkeys_of(subject)
            })
            .await?;
        Ok(RegistrationQuestion {
            rp: QuestionSite { id: party.id().to_owned(), name: self.site.origin.clone() },
            user: QuestionUser {
                id: text(&user_handle(subject)),
                name: holder.name.clone(),
                display_name: holder.name,
            },
            challenge: text(&challenge),
            pub_key_cred_params: ALGORITHMS.map(|alg| QuestionAlgorithm { kind: KIND, alg }).into(),
            timeout: TIMEOUT,
            exclude_credentials: credentials(&kept),
            authenticator_selection: QuestionSelection {
                resident_key: "preferred",
                user_verification: "required",
            },
            attestation: "none",
        })
    }

    /// Keeps the passkey that somebody's browser answered with.
    pub(crate) async fn finish_registration(
        &self,
        holder: Holder,
        label: &str,
        answer: &RegistrationAnswer,
    ) -> Result<Passkey, Refusal> {
        let (party, label) = (self.party()?, read_label(label)?);
        let response = &answer.response;
        let client = Client::read(&response.client_data_json)?;
        let challenge = client.challenge()?;
        let object = bytes("attestationObject", &response.attestation_object)?;
        let new = register(&party, &challenge, &client.data(&challenge), &object)?;
        let instant = self.instant();
        let row = PasskeyRow {
            id: PasskeyId::random(&mut rng()),
            holder: holder.subject,
            customer: holder.customer,
            credential_id: new.credential_id,
            public_key: new.public_key.as_bytes().to_vec(),
            label,
            counter: new.counter,
            synced: new.synced,
            created: instant.time,
            last_used: None,
            doubted: None,
            revoked: None,
            entry: EntryId::from_bytes([0; 16]),
            version: 1,
        };
        self.store.write(move |tx| keep(tx, &holder, &challenge, row, instant)).await
    }

    /// Somebody's passkeys.
    pub(crate) async fn passkeys(&self, holder: SubjectId) -> Result<Passkeys, Refusal> {
        let rows = self.store.read(move |snapshot| snapshot.passkeys_of(holder)).await?;
        Ok(Passkeys { passkeys: rows.iter().map(show).collect() })
    }

    /// The passkeys of a person within a reach.
    pub(crate) async fn passkeys_of_person(&self, reach: Reach, id: PersonId) -> Result<Passkeys, Refusal> {
        self.store.read(move |snapshot| person_within(snapshot, reach, id).map(drop)).await?;
        self.passkeys(SubjectId::Person(id)).await
    }

    /// Takes a holder's passkey back for good. One that was taken back before is no error.
    pub(crate) async fn revoke_passkey(
        &self,
        holder: SubjectId,
        id: PasskeyId,
        by: String,
    ) -> Result<(), Refusal> {
        let instant = self.instant();
        self.store
            .write(move |tx| {
                let found = tx.passkey(id)?.filter(|row| row.holder == holder);
                let row = found.ok_or_else(|| Refusal::unknown("passkey", &id.to_string()))?;
                Ok(revoke(tx, row, instant, &by)?)
            })
            .await
    }

    /// Takes a passkey of a person within a reach back.
    pub(crate) async fn revoke_passkey_of_person(
        &self,
        reach: Reach,
        person: PersonId,
        id: PasskeyId,
        by: String,
    ) -> Result<(), Refusal> {
        self.store.read(move |snapshot| person_within(snapshot, reach, person).map(drop)).await?;
        self.revoke_passkey(SubjectId::Person(person), id, by).await
    }

    /// Makes a link by which a person within a reach registers a passkey.
    pub(crate) async fn passkey_link(&self, reach: Reach, id: PersonId) -> Result<PasskeyLink, Refusal> {
        self.party()?;
        let now = self.clock.read().wall;
        let (secret, expires) = (Secret::random(&mut rng()), now + CODE_LIFETIME);
        let secret_hash = *secret.hash().as_bytes();
        self.store
            .write(move |tx| {
                let (customer, _) = person_within(tx, reach, id)?;
                let row = CodeRow {
                    id: CodeId::random(&mut rng()),
                    secret_hash,
                    kind: LINK.to_owned(),
                    customer,
                    name: id.to_string(),
                    expires,
                    used: false,
                };
                Ok::<_, Refusal>(tx.insert_code(&row)?)
            })
            .await?;
        let url = format!("{}/passkeys#{}", self.site.public_url, secret.reveal());
        Ok(PasskeyLink { url, expires_at: instant(expires) })
    }

    /// The person whom a link was made for.
    pub(crate) async fn holder_of_link(&self, secret: &str) -> Result<Holder, Refusal> {
        let hash = *Secret::parse(secret).map_err(|_| Refusal::CodeRefused)?.hash().as_bytes();
        let now = self.clock.read().wall;
        self.store
            .read(move |snapshot| {
                let code = snapshot.code_by_secret(&hash)?;
                let code = code.filter(|code| code.kind == LINK && !code.used && code.expires > now);
                let id = code.and_then(|code| code.name.parse().ok()).ok_or(Refusal::CodeRefused)?;
                let (customer, name) =
                    person_within(snapshot, Reach::Site, id).map_err(|_| Refusal::CodeRefused)?;
                Ok(Holder { subject: SubjectId::Person(id), customer, name, code: Some(hash) })
            })
            .await
    }
}

const KIND: &str = "public-key";

/// What a browser says of a ceremony, and the text that says it.
struct Client {
    text: Vec<u8>,
    said: ClientSaid,
}

/// Section 5.8.1; members that are not named here may come in time.
#[derive(Deserialize)]
struct ClientSaid {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

impl Client {
    fn read(encoded: &str) -> Result<Self, Refusal> {
        let text = bytes("clientDataJSON", encoded)?;
        let said = serde_json::from_slice(&text).map_err(|_| Refused::Malformed("the browser's text"))?;
        Ok(Self { text, said })
    }

    fn challenge(&self) -> Result<Challenge, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.said.challenge).ok();
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Refused::OtherChallenge)?)
    }

    fn data<'a>(&'a self, challenge: &'a Challenge) -> ClientData<'a> {
        ClientData {
            bytes: &self.text,
            kind: &self.said.kind,
            challenge,
            origin: &self.said.origin,
            cross_origin: self.said.cross_origin,
        }
    }
}

/// Keeps a passkey for whoever was asked for it.
fn keep(
    tx: &mut Tx<'_>,
    holder: &Holder,
    challenge: &Challenge,
    mut row: PasskeyRow,
    instant: ProvenInstant,
) -> Result<Passkey, Refusal> {
    let asked = Asked::Registration(*holder.subject.as_bytes());
    if !tx.take_passkey_question(challenge, asked, instant.time)? {
        return Err(Refused::OtherChallenge.into());
    }
    if let Some(code) = holder.code
        && tx.take_code(LINK, &code, instant.time)?.is_none()
    {
        return Err(Refusal::CodeRefused);
    }
    if tx.passkeys_of(holder.subject)?.len() >= MOST.min(usize::try_from(MOST_OF_ONE).unwrap_or(MOST)) {
        return Err(Refusal::Invalid(format!(
            "there are {MOST} passkeys already, which is as many as are kept"
        )));
    }
    row.entry = write_down(tx, &row, "registered", instant, &holder.by())?;
    tx.insert_passkey(&row)?;
    Ok(show(&row))
}

/// Takes every passkey of a holder back.
pub(super) fn revoke_all(
    tx: &mut Tx<'_>,
    holder: SubjectId,
    instant: ProvenInstant,
    by: &str,
) -> Result<(), StoreError> {
    tx.passkeys_of(holder)?.into_iter().try_for_each(|row| revoke(tx, row, instant, by))
}

fn revoke(tx: &mut Tx<'_>, mut row: PasskeyRow, instant: ProvenInstant, by: &str) -> Result<(), StoreError> {
    if row.revoked.is_none() {
        row.revoked = Some(instant.time);
        row.entry = write_down(tx, &row, "revoked", instant, by)?;
        tx.update_passkey(&row)?;
    }
    Ok(())
}

/// The `passkey.change` entry of a change.
fn write_down(
    tx: &mut Tx<'_>,
    row: &PasskeyRow,
    change: &str,
    instant: ProvenInstant,
    by: &str,
) -> Result<EntryId, StoreError> {
    let fields = [
        ("passkey", row.id.to_string()),
        ("holder", row.holder.to_string()),
        ("change", change.to_owned()),
        ("by", by.to_owned()),
    ];
    append_text(tx, CHANGE, row.customer, instant, fields)
}

/// The customer and the login id of a person within a reach who may sign in.
fn person_within(
    snapshot: &Snapshot<'_>,
    reach: Reach,
    id: PersonId,
) -> Result<(CustomerId, String), Refusal> {
    let found = snapshot.person(id)?.filter(|row| reach.covers(row.customer));
    let row = found.ok_or_else(|| Refusal::unknown("person", &id.to_string()))?;
    let known = row.known.filter(|_| !row.disabled).ok_or(Refusal::Erased)?;
    Ok((row.customer, known.login_id))
}

/// What authenticators keep of a holder: bytes that name nobody to whoever has only them.
fn user_handle(holder: SubjectId) -> Vec<u8> {
    let kind = match holder {
        SubjectId::Person(_) => b'p',
        SubjectId::Staff(_) => b's',
    };
    [&[kind], holder.as_bytes().as_slice()].concat()
}

fn new_challenge() -> Challenge {
    let mut challenge = [0; 32];
    rng().fill_bytes(&mut challenge);
    challenge
}

/// Those that are good, as authenticators know them.
fn credentials(rows: &[PasskeyRow]) -> Vec<QuestionCredential> {
    let good = rows.iter().filter(|row| row.revoked.is_none());
    good.map(|row| QuestionCredential { kind: KIND, id: text(&row.credential_id) }).collect()
}

fn read_label(label: &str) -> Result<String, Refusal> {
    let label = label.trim();
    let length = label.chars().count();
    if (1..=LONGEST_LABEL).contains(&length) && !label.chars().any(char::is_control) {
        Ok(label.to_owned())
    } else {
        Err(Refusal::Invalid(format!(
            "label is 1 to {LONGEST_LABEL} characters, none of them a control character"
        )))
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| Refusal::Invalid(format!("{name} is base64url without padding")))
}

fn show(row: &PasskeyRow) -> Passkey {
    Passkey {
        id: row.id.to_string(),
        label: row.label.clone(),
        synced: row.synced,
        created_at: instant(row.created),
        last_used_at: row.last_used.map(instant),
        doubted_at: row.doubted.map(instant),
        revoked_at: row.revoked.map(instant),
        entry: row.entry.to_string(),
    }
}
