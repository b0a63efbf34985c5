//! Staff: who signs in to the console, and as what.

use angbu_accounts::{Grant, Name, Password, Reach, Role};
use angbu_store::accounts::StaffRow;
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{CustomerId, Language, Nanos, ProvenInstant, StaffId, SubjectId, UnixTime};

use super::sign_in::{grant_of, role_word};
use super::{BY_THE_CENTRE, STAFF, name_of, yes_or_no};
use crate::caller::Caller;
use crate::centre::passkeys::revoke_all;
use crate::centre::{Centre, append_text, rng};
use crate::problem::Refusal;
use crate::types::accounts::StaffMember;

/// How long a one-time password is good.
const ONE_TIME: Nanos = Nanos::from_secs(72 * 3_600);

/// What is wanted of a member of the staff; what is `None` stays as it is.
pub(crate) struct StaffWish {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
    pub(crate) language: Option<Language>,
}

impl Centre {
    /// Makes the first operator if there is no staff yet, and returns the one-time password then.
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
        // The first password does not end: nobody could give another.
        let member = StaffRow {
            password_expires: None,
            ..new_member(name, Role::Operator, Reach::Site, Language::English, hash.as_str(), instant.time)
        };
        let made = self.store.write(move |tx| insert(tx, &member, instant, BY_THE_CENTRE)).await;
        match made {
            Ok(()) => Ok(Some(password)),
            // Another centre of the site was faster.
            Err(StoreError::Taken { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The staff within a reach.
    pub(crate) async fn staff(&self, reach: Reach) -> Result<Vec<StaffMember>, Refusal> {
        self.store
            .read(move |snapshot| {
                let rows = match reach {
                    Reach::Site => snapshot.staff()?,
                    Reach::Customer(customer) => snapshot.staff_of(customer)?,
                };
                rows.iter().map(|row| show(snapshot, row)).collect()
            })
            .await
    }

    /// Makes a member of the staff, with a one-time password.
    pub(crate) async fn make_staff(
        &self,
        name: &Name,
        role: Role,
        reach: Reach,
        language: Language,
        by: String,
    ) -> Result<(StaffMember, Password), Refusal> {
        let instant = self.instant();
        let (password, hash) = self.one_time_password().await?;
        let member = new_member(name, role, reach, language, &hash, instant.time);
        let made = self
            .store
            .write(move |tx| {
                insert(tx, &member, instant, &by)?;
                show(tx, &member)
            })
            .await?;
        Ok((made, password))
    }

    /// Changes a member of the staff within the caller's reach. Sessions of whoever is disabled end with it.
    pub(crate) async fn change_staff(
        &self,
        caller: &Caller,
        reach: Reach,
        id: StaffId,
        wish: StaffWish,
    ) -> Result<StaffMember, Refusal> {
        let member = self.member_to_manage(caller, reach, id).await?;
        let role = match wish.role {
            Some(role) => role,
            None => super::sign_in::role_of(&member)?,
        };
        let own = Reach::of(member.customer);
        role.check(own)?;
        caller.may_give(&Grant::of(role, own))?;
        let changed = StaffRow {
            role: role.word().to_owned(),
            disabled: wish.disabled.unwrap_or(member.disabled),
            language: wish.language.map_or_else(|| member.language.clone(), |language| language.to_string()),
            ..member.clone()
        };
        let (instant, by) = (self.instant(), caller.by());
        self.store
            .write(move |tx| {
                let operator = Role::Operator.word();
                let was_operator = member.role == operator && !member.disabled;
                if was_operator
                    && (changed.role != operator || changed.disabled)
                    && tx.count_others_for_good(operator, id)? == 0
                {
                    return Err(Refusal::LastOperator);
                }
                tx.update_staff(&changed)?;
                if changed.disabled {
                    tx.delete_other_sessions(id, None)?;
                }
                if (&changed.role, changed.disabled) != (&member.role, member.disabled) {
                    write_down(tx, &changed, "changed", instant, &by)?;
                }
                show(tx, &changed)
            })
            .await
    }

    /// Gives a member of the staff within the caller's reach a one-time password; their sessions and passkeys end, since
    /// whoever asks for one may have lost the device that a passkey was in.
    pub(crate) async fn new_password(
        &self,
        caller: &Caller,
        reach: Reach,
        id: StaffId,
    ) -> Result<Password, Refusal> {
        let member = self.member_to_manage(caller, reach, id).await?;
        let (password, hash) = self.one_time_password().await?;
        let (instant, by) = (self.instant(), caller.by());
        let changed = StaffRow {
            password_hash: hash,
            password_expires: Some(instant.time + ONE_TIME),
            must_change: true,
            ..member
        };
        self.store
            .write(move |tx| {
                tx.update_staff(&changed)?;
                tx.delete_other_sessions(id, None)?;
                revoke_all(tx, SubjectId::Staff(id), instant, &by)?;
                write_down(tx, &changed, "password", instant, &by)
            })
            .await?;
        Ok(password)
    }

    /// A member of the staff whom this caller may manage: within the reach, and with nothing that the caller has not,
    /// since whoever sets another's password can do what that one may.
    async fn member_to_manage(
        &self,
        caller: &Caller,
        reach: Reach,
        id: StaffId,
    ) -> Result<StaffRow, Refusal> {
        let found = self.store.read(move |snapshot| snapshot.staff_member(id)).await?;
        let member = found
            .filter(|member| reach.covers(member.customer))
            .ok_or_else(|| Refusal::unknown("member of the staff", &id.to_string()))?;
        caller.may_give(&grant_of(&member)?)?;
        Ok(member)
    }

    async fn one_time_password(&self) -> Result<(Password, String), Refusal> {
        let password = Password::random(&mut rng());
        let copy = Password::new(password.reveal().to_owned())?;
        let hash = self.hash_password(copy).await?;
        Ok((password, hash.as_str().to_owned()))
    }
}

fn new_member(
    name: &Name,
    role: Role,
    reach: Reach,
    language: Language,
    password_hash: &str,
    now: UnixTime,
) -> StaffRow {
    StaffRow {
        id: StaffId::random(&mut rng()),
        name: name.as_str().to_owned(),
        role: role.word().to_owned(),
        customer: reach.stored(),
        password_hash: password_hash.to_owned(),
        password_expires: Some(now + ONE_TIME),
        must_change: true,
        language: language.to_string(),
        disabled: false,
        version: 1,
    }
}

fn insert(tx: &mut Tx<'_>, member: &StaffRow, instant: ProvenInstant, by: &str) -> Result<(), StoreError> {
    tx.insert_staff(member)?;
    write_down(tx, member, "made", instant, by)
}

/// The `account.staff` entry of a change.
fn write_down(
    tx: &mut Tx<'_>,
    member: &StaffRow,
    change: &str,
    instant: ProvenInstant,
    by: &str,
) -> Result<(), StoreError> {
    let customer =
        if member.customer == CustomerId::SITE { String::new() } else { member.customer.to_string() };
    let fields = [
        ("staff", member.id.to_string()),
        ("name", member.name.clone()),
        ("role", member.role.clone()),
        ("customer", customer),
        ("disabled", yes_or_no(member.disabled)),
        ("change", change.to_owned()),
        ("by", by.to_owned()),
    ];
    append_text(tx, STAFF, member.customer, instant, fields).map(drop)
}

fn show(snapshot: &Snapshot<'_>, member: &StaffRow) -> Result<StaffMember, Refusal> {
    Ok(StaffMember {
        id: member.id.to_string(),
        name: member.name.clone(),
        role: role_word(member)?,
        customer: name_of(snapshot, member.customer)?,
        language: member.language.clone(),
        disabled: member.disabled,
        must_change: member.must_change,
    })
}
