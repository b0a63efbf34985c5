//! Tokens: who is given one, and what becomes of it.

use angbu_accounts::{LoginId, PasswordHash, Reach};
use angbu_keys::otpauth::{Kind as Moving, OtpAuth};
use angbu_keys::{
    Algorithm, Digits, Motion, NotNow, OneTimeKey, Place, RECOVERY_CODES, RecoveryCode, Seed, hotp,
    resynchronise, totp,
};
use angbu_store::accounts::Known;
use angbu_store::keys::{KeyMaterial, KeyStanding, KeyTokenRow};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{CustomerId, CycleTime, EntryId, KeyTokenId, Phone, ProvenInstant, SubjectId};
use rand_core::Rng as _;
use zeroize::Zeroizing;

use super::{
    DERIVED, GENERATED, Ready, SECRET, TOKEN, cycle_of, motion_of, motion_word, policy_of, standing_of,
};
use crate::centre::accounts::{insert_person, new_person};
use crate::centre::{Centre, append_text, rng};
use crate::problem::Refusal;
use crate::types::instant;
use crate::types::keys::{KeyToken, KeyTokens};

/// How far ahead of the expected counter two keys that follow one another are looked for (RFC 4226, section 7.4).
const REACH: u64 = 1_000;

/// Who is to have a token.
pub(crate) enum Enrolled {
    /// Whoever has this login id among the customer's people, who is added where there is nobody.
    Login(LoginId),
    /// Somebody who is known.
    Subject(SubjectId),
}

/// What a token is made of.
pub(crate) enum Material {
    /// Our own: 32 random bytes, from which, with login id, phone and cycle, its key follows.
    Derived {
        /// The phone number.
        phone: Phone,
        /// What moves it; a counter has no cycle.
        motion: Motion,
    },
    /// A secret as it is: of a member of the staff, who has no phone number here, or of another product.
    Secret {
        /// The secret.
        secret: Zeroizing<Vec<u8>>,
        /// The hash.
        algorithm: Algorithm,
        /// How many digits.
        digits: Digits,
        /// What moves it.
        motion: Motion,
        /// The phone number, where one is known; tries with another are wrong then.
        phone: Option<Phone>,
        /// The newest key that was used elsewhere.
        last: Option<Place>,
    },
}

impl Material {
    const fn motion(&self) -> Motion {
        match self {
            Self::Derived { motion, .. } | Self::Secret { motion, .. } => *motion,
        }
    }
}

/// A wish for a token.
pub(crate) struct Enrolment {
    pub(crate) customer: CustomerId,
    /// The language of a person who is added.
    pub(crate) language: String,
    pub(crate) whom: Enrolled,
    pub(crate) material: Material,
    /// What the entry says: `made` or `imported`.
    pub(crate) change: &'static str,
    pub(crate) by: String,
}

/// Gives somebody a token, in a transaction: the row and the entry.
///
/// # Errors
/// [`Refusal::Taken`] where the holder has one, [`Refusal::Invalid`] for a cycle that the policy or the clock does not
/// allow, and for whoever is disabled.
pub(crate) fn enrol_in(
    tx: &mut Tx<'_>,
    wish: &Enrolment,
    instant: ProvenInstant,
) -> Result<KeyTokenRow, Refusal> {
    check_cycle(tx, wish, &instant)?;
    let (subject, login_id) = holder(tx, wish, instant)?;
    if tx.has_key_token(subject)? {
        return Err(Refusal::Taken { what: "the holder's one token (renew or revoke it first)" });
    }
    let motion = wish.material.motion();
    let (algorithm, digits, last) = match &wish.material {
        Material::Derived { .. } => (Algorithm::Sha256, digits_of(motion), None),
        Material::Secret { algorithm, digits, last, .. } => (*algorithm, *digits, *last),
    };
    let mut row = KeyTokenRow {
        id: KeyTokenId::random(&mut rng()),
        customer: wish.customer,
        subject,
        made_of: material(&wish.material, login_id),
        motion: motion_word(motion).to_owned(),
        cycle: cycle_of(motion).map_or(0, |cycle| u64::from(cycle.seconds())),
        algorithm: algorithm.name().to_owned(),
        digits: u64::from(digits.count()),
        generation: 1,
        made: instant.time,
        entry: EntryId::from_bytes([0; 16]),
        revoked: None,
        standing: KeyStanding { last: last.map(|place| (place.step, place.event)), ..KeyStanding::default() },
        replays: 0,
        replayed: None,
        version: 1,
    };
    row.entry = write_down(tx, &row, wish.change, instant, &wish.by)?;
    tx.insert_key_token(&row)?;
    Ok(row)
}

fn digits_of(motion: Motion) -> Digits {
    cycle_of(motion).map_or(Digits::SIX, totp::digits)
}

fn material(wish: &Material, login_id: String) -> KeyMaterial {
    match wish {
        Material::Derived { phone, .. } => KeyMaterial {
            material: DERIVED.to_owned(),
            login_id,
            phone: phone.digits().to_owned(),
            secret: Zeroizing::new(Seed::random(&mut rng()).expose().to_vec()),
        },
        Material::Secret { secret, phone, .. } => KeyMaterial {
            material: SECRET.to_owned(),
            login_id,
            phone: phone.as_ref().map_or_else(String::new, |phone| phone.digits().to_owned()),
            secret: secret.clone(),
        },
    }
}

/// A token that could never be used is not given.
fn check_cycle(tx: &Tx<'_>, wish: &Enrolment, instant: &ProvenInstant) -> Result<(), Refusal> {
    let Some(cycle) = cycle_of(wish.material.motion()) else { return Ok(()) };
    let policy = policy_of(tx.key_policy(wish.customer)?.as_ref());
    match policy.admits(cycle, instant) {
        // That passes, and the token stays.
        Ok(_) | Err(NotNow::ClockUnproven) => Ok(()),
        Err(refused @ (NotNow::CycleTooLong(_) | NotNow::ClockTooWide(_))) => {
            Err(Refusal::Invalid(format!("cycle_time: {refused}")))
        }
    }
}

/// Whose the token is to be, and the login id that apps show.
fn holder(tx: &mut Tx<'_>, wish: &Enrolment, instant: ProvenInstant) -> Result<(SubjectId, String), Refusal> {
    let disabled = || Refusal::Invalid("this person is disabled; enable them first".to_owned());
    match &wish.whom {
        Enrolled::Subject(subject @ SubjectId::Staff(id)) => {
            let member = tx.staff_member(*id)?.ok_or_else(|| Refusal::unknown("staff", &id.to_string()))?;
            if member.disabled { Err(disabled()) } else { Ok((*subject, member.name)) }
        }
        Enrolled::Subject(subject @ SubjectId::Person(id)) => {
            let person = tx.person(*id)?.ok_or_else(|| Refusal::unknown("person", &id.to_string()))?;
            let known = person.known.ok_or(Refusal::Erased)?;
            if person.disabled { Err(disabled()) } else { Ok((*subject, known.login_id)) }
        }
        Enrolled::Login(login) => {
            if let Some(person) = tx.person_by_login(wish.customer, login.key())? {
                let known = person.known.ok_or(Refusal::Erased)?;
                return if person.disabled {
                    Err(disabled())
                } else {
                    Ok((SubjectId::Person(person.id), known.login_id))
                };
            }
            let known = Known {
                login_id: login.as_str().to_owned(),
                login_key: login.key().to_owned(),
                phone: match &wish.material {
                    Material::Derived { phone, .. } | Material::Secret { phone: Some(phone), .. } => {
                        phone.to_string()
                    }
                    Material::Secret { phone: None, .. } => String::new(),
                },
                // Relying parties know their people's birthdays, and need not tell them.
                birthday: String::new(),
                language: wish.language.clone(),
            };
            let nothing = PasswordHash::from_stored(String::new());
            let person = new_person(wish.customer, known, &nothing, instant);
            let person = insert_person(tx, person, instant, &wish.by)?;
            Ok((SubjectId::Person(person.id), login.as_str().to_owned()))
        }
    }
}

/// The `keys.token` entry of a change. It names nobody: ids alone, and what no key follows from.
fn write_down(
    tx: &mut Tx<'_>,
    row: &KeyTokenRow,
    change: &str,
    instant: ProvenInstant,
    by: &str,
) -> Result<EntryId, StoreError> {
    let fields = [
        ("token", row.id.to_string()),
        ("subject", row.subject.to_string()),
        ("change", change.to_owned()),
        ("kind", row.motion.clone()),
        ("cycle-s", row.cycle.to_string()),
        ("algorithm", row.algorithm.clone()),
        ("digits", row.digits.to_string()),
        ("material", row.made_of.material.clone()),
        ("generation", row.generation.to_string()),
        ("by", by.to_owned()),
    ];
    append_text(tx, TOKEN, row.customer, instant, fields)
}

impl Centre {
    /// Gives somebody a token; the second is the address by which an app takes it in, which is shown this once.
    pub(crate) async fn enrol_key(&self, wish: Enrolment) -> Result<(KeyToken, Zeroizing<String>), Refusal> {
        let (instant, site) = (self.instant(), self.site.origin.clone());
        self.store
            .write(move |tx| {
                let row = enrol_in(tx, &wish, instant)?;
                Ok((show(tx, &row, instant)?, address(tx, &row, &site)?))
            })
            .await
    }

    /// A member of the staff as the holder of a token: who it is, and whose customer's rules hold.
    pub(crate) async fn staff_holder(
        &self,
        id: angbu_units::StaffId,
    ) -> Result<(SubjectId, CustomerId, Material), Refusal> {
        let found = self.store.read(move |snapshot| snapshot.staff_member(id)).await?;
        let member = found.ok_or_else(|| Refusal::unknown("staff", &id.to_string()))?;
        let mut secret = Zeroizing::new(vec![0; 32]);
        rng().fill_bytes(&mut secret);
        let cycle = CycleTime::new(30).map_err(|error| Refusal::Internal(error.to_string()))?;
        let material = Material::Secret {
            secret,
            algorithm: Algorithm::Sha256,
            digits: Digits::SIX,
            motion: Motion::Time(cycle),
            phone: None,
            last: None,
        };
        Ok((SubjectId::Staff(id), member.customer, material))
    }

    /// A page of a customer's tokens, or all of one login id.
    pub(crate) async fn key_tokens(
        &self,
        customer: CustomerId,
        login: Option<LoginId>,
        after: Option<KeyTokenId>,
        limit: u64,
    ) -> Result<KeyTokens, Refusal> {
        let instant = self.instant();
        self.store
            .read(move |snapshot| {
                let (rows, more) = match login {
                    Some(login) => {
                        let person = snapshot.person_by_login(customer, login.key())?;
                        let rows = person.map(|person| snapshot.key_tokens_of(SubjectId::Person(person.id)));
                        (rows.transpose()?.unwrap_or_default(), false)
                    }
                    None => {
                        let after = after.unwrap_or(KeyTokenId::from_bytes([0; 16]));
                        let mut rows = snapshot.key_tokens(customer, after, limit + 1)?;
                        let more = rows.len() as u64 > limit;
                        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                        (rows, more)
                    }
                };
                let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
                let tokens = rows.iter().map(|row| show(snapshot, row, instant));
                Ok::<_, StoreError>(KeyTokens { tokens: tokens.collect::<Result<_, _>>()?, next })
            })
            .await
            .map_err(Refusal::from)
    }

    /// One token within a reach.
    pub(crate) async fn key_token(&self, reach: Reach, id: KeyTokenId) -> Result<KeyToken, Refusal> {
        let instant = self.instant();
        self.store
            .read(move |snapshot| {
                let row = within(snapshot, reach, id)?;
                Ok(show(snapshot, &row, instant)?)
            })
            .await
    }

    /// Takes a token back, for good.
    pub(crate) async fn revoke_key(
        &self,
        reach: Reach,
        id: KeyTokenId,
        by: String,
    ) -> Result<KeyToken, Refusal> {
        let (token, ()) = self
            .change_key(reach, id, "revoked", by, |tx, row, instant| {
                row.revoked = Some(instant.time);
                Ok(tx.replace_recovery_codes(row.id, &[])?)
            })
            .await?;
        Ok(token)
    }

    /// Lets a token be tried again that waits or is disabled.
    pub(crate) async fn unlock_key(
        &self,
        reach: Reach,
        id: KeyTokenId,
        by: String,
    ) -> Result<KeyToken, Refusal> {
        let (token, ()) = self
            .change_key(reach, id, "unlocked", by, |_, row, _| {
                let standing = &mut row.standing;
                (standing.failures, standing.locked_until, standing.disabled) = (0, None, false);
                Ok(())
            })
            .await?;
        Ok(token)
    }

    /// Gives a token a new key: whoever had the old one is out.
    pub(crate) async fn renew_key(
        &self,
        reach: Reach,
        id: KeyTokenId,
        by: String,
    ) -> Result<(KeyToken, Zeroizing<String>), Refusal> {
        let site = self.site.origin.clone();
        self.change_key(reach, id, "renewed", by, move |tx, row, _| {
            row.generation = row.generation.saturating_add(1);
            // A foreign secret becomes one of ours; what is derived gets a new beginning too.
            rng().fill_bytes(&mut row.made_of.secret);
            if row.made_of.material == SECRET {
                row.made_of.secret.resize(32, 0);
                rng().fill_bytes(&mut row.made_of.secret);
                let motion = motion_of(row)?;
                row.algorithm = Algorithm::Sha256.name().to_owned();
                row.digits = u64::from(digits_of(motion).count());
            }
            row.standing = KeyStanding::default();
            tx.replace_recovery_codes(row.id, &[])?;
            address(tx, row, &site).map_err(Refusal::from)
        })
        .await
    }

    /// Gives a token new recovery codes in place of all that it had; they are shown this once.
    pub(crate) async fn new_recovery_codes(
        &self,
        reach: Reach,
        id: KeyTokenId,
        by: String,
    ) -> Result<Vec<Zeroizing<String>>, Refusal> {
        let codes: Vec<RecoveryCode> =
            (0..RECOVERY_CODES).map(|_| RecoveryCode::random(&mut rng())).collect();
        let shown = codes.iter().map(RecoveryCode::reveal).collect();
        self.change_key(reach, id, "recovery-codes", by, move |tx, row, _| {
            let hashes: Vec<[u8; 32]> = codes.iter().map(|code| code.hash(row.id.as_bytes())).collect();
            Ok(tx.replace_recovery_codes(row.id, &hashes)?)
        })
        .await?;
        Ok(shown)
    }

    /// Finds a token of a counter again that ran ahead, by two keys that follow one another.
    pub(crate) async fn resynchronise_key(
        &self,
        reach: Reach,
        id: KeyTokenId,
        keys: (OneTimeKey, OneTimeKey),
        by: String,
    ) -> Result<KeyToken, Refusal> {
        let site = self.site.origin.clone();
        let (token, ()) = self
            .change_key(reach, id, "resynchronised", by, move |_, row, _| {
                let ready = Ready::of(row, &site)?;
                if ready.motion != Motion::Counter {
                    return Err(Refusal::Invalid(
                        "only a token of a counter runs ahead; one that follows the time is led along by itself".into(),
                    ));
                }
                let found =
                    resynchronise(&ready.token(), &standing_of(&row.standing), (&keys.0, &keys.1), REACH);
                let found = found.ok_or_else(|| {
                    Refusal::Invalid(format!(
                        "these are no two keys that follow one another within the next {REACH} of this token"
                    ))
                })?;
                row.standing.last = Some((found.step, found.event));
                Ok(())
            })
            .await?;
        Ok(token)
    }

    /// The key that somebody's token shows now, and for how many seconds yet. The entry says that the centre made it.
    pub(crate) async fn generate_key(
        &self,
        customer: CustomerId,
        login: LoginId,
        (phone, cycle): (Phone, Option<CycleTime>),
        by: String,
    ) -> Result<(String, Option<u64>), Refusal> {
        let (instant, site) = (self.instant(), self.site.origin.clone());
        self.store
            .write(move |tx| {
                let row = tx.key_token_by_login(customer, login.key())?;
                let row =
                    row.filter(|row| row.made_of.phone.is_empty() || row.made_of.phone == phone.digits());
                let row = row.ok_or_else(|| Refusal::unknown("token of", login.as_str()))?;
                let ready = Ready::of(&row, &site)?;
                if cycle.zip(cycle_of(ready.motion)).is_some_and(|(named, enrolled)| named != enrolled) {
                    return Err(Refusal::unknown("token of", login.as_str()));
                }
                let fields =
                    [("token", row.id.to_string()), ("subject", row.subject.to_string()), ("by", by)];
                append_text(tx, GENERATED, row.customer, instant, fields)?;
                Ok(now_shown(&ready, &row, &instant))
            })
            .await
    }

    /// Changes a token that was not taken back, and writes it down.
    async fn change_key<T: Send + 'static>(
        &self,
        reach: Reach,
        id: KeyTokenId,
        change: &'static str,
        by: String,
        work: impl FnOnce(&mut Tx<'_>, &mut KeyTokenRow, &ProvenInstant) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(KeyToken, T), Refusal> {
        let instant = self.instant();
        self.store
            .write(move |tx| {
                let mut row = within(tx, reach, id)?;
                if row.revoked.is_some() {
                    return Err(Refusal::Invalid("this token was revoked; give its holder a new one".into()));
                }
                let done = work(tx, &mut row, &instant)?;
                row.entry = write_down(tx, &row, change, instant, &by)?;
                tx.update_key_token(&row)?;
                Ok((show(tx, &row, instant)?, done))
            })
            .await
    }
}

fn now_shown(ready: &Ready, row: &KeyTokenRow, instant: &ProvenInstant) -> (String, Option<u64>) {
    let token = ready.token();
    match ready.motion {
        Motion::Time(cycle) | Motion::TimeAndEvent(cycle) => {
            let step = totp::step_at(instant.time, cycle);
            let event = match (ready.motion, row.standing.last) {
                (Motion::TimeAndEvent(_), Some((last, event))) if last == step => event.saturating_add(1),
                _ => 0,
            };
            let key = totp::event_key(token.algorithm, token.secret, step, event, token.digits);
            let left = totp::begin_of(step.saturating_add(1), cycle) - instant.time;
            (key.reveal(), u64::try_from(left.count() / 1_000_000_000).ok())
        }
        Motion::Counter => {
            let next = row.standing.last.map_or(0, |(last, _)| last.saturating_add(1));
            (hotp::key(token.algorithm, token.secret, next, token.digits).reveal(), None)
        }
    }
}

fn within(snapshot: &Snapshot<'_>, reach: Reach, id: KeyTokenId) -> Result<KeyTokenRow, Refusal> {
    let found = snapshot.key_token(id)?.filter(|row| reach.covers(row.customer));
    found.ok_or_else(|| Refusal::unknown("token", &id.to_string()))
}

/// The address by which an app takes a token in. It holds the secret.
fn address(snapshot: &Snapshot<'_>, row: &KeyTokenRow, site: &str) -> Result<Zeroizing<String>, StoreError> {
    let ready = Ready::of(row, site)?;
    let issuer = snapshot.customer_name(row.customer)?.unwrap_or_else(|| site.to_owned());
    let kind = match cycle_of(ready.motion) {
        Some(cycle) => Moving::Totp { period: u64::from(cycle.seconds()) },
        None => Moving::Hotp { counter: row.standing.last.map_or(0, |(last, _)| last.saturating_add(1)) },
    };
    let token = OtpAuth {
        issuer,
        account: row.made_of.login_id.clone(),
        secret: ready.secret.clone(),
        algorithm: ready.algorithm,
        digits: ready.digits,
        kind,
    };
    Ok(token.address())
}

/// A token as the API shows it.
fn show(snapshot: &Snapshot<'_>, row: &KeyTokenRow, now: ProvenInstant) -> Result<KeyToken, StoreError> {
    let standing = &row.standing;
    let is_locked = standing.locked_until.is_some_and(|until| now.time < until);
    let state = match (row.revoked, standing.disabled, is_locked) {
        (Some(_), _, _) => "revoked",
        (None, true, _) => "disabled",
        (None, false, true) => "locked",
        (None, false, false) => "good",
    };
    let phone = &row.made_of.phone;
    Ok(KeyToken {
        id: row.id.to_string(),
        customer: match row.customer {
            CustomerId::SITE => None,
            customer => snapshot.customer_name(customer)?,
        },
        holder: row.subject.kind().to_owned(),
        holder_id: row.subject.to_string(),
        login_id: row.made_of.login_id.clone(),
        phone_no: (!phone.is_empty()).then(|| format!("+{phone}")),
        kind: row.motion.clone(),
        cycle_time: (row.cycle > 0).then_some(row.cycle),
        digits: row.digits,
        algorithm: row.algorithm.clone(),
        origin: if row.made_of.material == DERIVED || row.subject.person().is_none() {
            "enrolled"
        } else {
            "imported"
        }
        .to_owned(),
        state: state.to_owned(),
        generation: row.generation,
        failures: standing.failures,
        locked_until: standing.locked_until.filter(|_| is_locked).map(instant),
        drift_ms: standing.drift.count() / 1_000_000,
        used_again: row.replays,
        used_again_at: row.replayed.map(instant),
        recovery_codes_left: snapshot.recovery_codes_left(row.id)?,
        enrolled_at: instant(row.made),
        revoked_at: row.revoked.map(instant),
        last_used_at: standing.last_used.map(instant),
        entry: row.entry.to_string(),
    })
}
