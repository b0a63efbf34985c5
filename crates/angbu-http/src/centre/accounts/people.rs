//! People of customers.

use angbu_accounts::{Birthday, Joining, PasswordHash, Reach};
use angbu_store::accounts::{CustomerRow, Known, PersonRow};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{Language, PersonId, Phone, ProvenInstant};

use super::{PERSON, name_needed, yes_or_no};
use crate::centre::{Centre, append_text, rng};
use crate::problem::Refusal;
use crate::types::instant;
use crate::types::people::{People, Person};

/// What is wanted of a person; what is `None` stays as it is.
pub(crate) struct PersonWish {
    pub(crate) phone: Option<Phone>,
    pub(crate) birthday: Option<Birthday>,
    pub(crate) disabled: Option<bool>,
    pub(crate) language: Option<Language>,
}

impl Centre {
    /// A page of a customer's people.
    pub(crate) async fn people(
        &self,
        customer: &CustomerRow,
        after: Option<PersonId>,
        limit: u64,
    ) -> Result<People, Refusal> {
        let id = customer.id;
        // One more than is shown tells whether there is another page.
        let mut rows = self.store.read(move |snapshot| snapshot.people_of(id, after, limit + 1)).await?;
        let more = rows.len() as u64 > limit;
        if more {
            rows.pop();
        }
        let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
        let people = rows.into_iter().map(|row| show(customer.name.clone(), row)).collect();
        Ok(People { people, next })
    }

    /// One person within a reach.
    pub(crate) async fn person(&self, reach: Reach, id: PersonId) -> Result<Person, Refusal> {
        self.store
            .read(move |snapshot| {
                let row = within(snapshot, reach, id)?;
                Ok::<_, Refusal>(show(name_needed(snapshot, row.customer)?, row))
            })
            .await
    }

    /// Adds a person to a customer.
    pub(crate) async fn add_person(
        &self,
        customer: &CustomerRow,
        joining: Joining,
        by: String,
    ) -> Result<Person, Refusal> {
        let (known, hash) = self.make_known(customer, joining).await?;
        let instant = self.instant();
        let id = customer.id;
        let row = self
            .store
            .write(move |tx| {
                let row = new_person(id, known, &hash, instant);
                insert(tx, row, instant, &by)
            })
            .await?;
        Ok(show(customer.name.clone(), row))
    }

    /// Changes a person within a reach.
    pub(crate) async fn change_person(
        &self,
        reach: Reach,
        id: PersonId,
        wish: PersonWish,
        by: String,
    ) -> Result<Person, Refusal> {
        let instant = self.instant();
        self.store
            .write(move |tx| {
                let before = within(tx, reach, id)?;
                let mut row = before.clone();
                let known = row.known.as_mut().ok_or(Refusal::Erased)?;
                if let Some(phone) = wish.phone {
                    known.phone = phone.to_string();
                }
                if let Some(birthday) = wish.birthday {
                    known.birthday = birthday.to_string();
                }
                if let Some(language) = wish.language {
                    known.language = language.to_string();
                }
                row.disabled = wish.disabled.unwrap_or(row.disabled);
                if row != before {
                    row.entry = write_down(tx, &row, "changed", instant, &by)?;
                    tx.update_person(&row)?;
                    tx.note_subject(row.id, row.entry)?;
                }
                Ok(show(name_needed(tx, row.customer)?, row))
            })
            .await
    }

    /// Joining data as it is stored: the password hashed, the language the customer's where none was chosen.
    pub(super) async fn make_known(
        &self,
        customer: &CustomerRow,
        joining: Joining,
    ) -> Result<(Known, PasswordHash), Refusal> {
        let known = Known {
            login_id: joining.login_id.as_str().to_owned(),
            login_key: joining.login_id.key().to_owned(),
            phone: joining.phone.to_string(),
            birthday: joining.birthday.to_string(),
            language: joining.language.map_or_else(|| customer.language.clone(), |l| l.to_string()),
        };
        Ok((known, self.hash_password(joining.password).await?))
    }
}

/// A new person, whose entry is not made yet.
pub(in crate::centre) fn new_person(
    customer: angbu_units::CustomerId,
    known: Known,
    hash: &PasswordHash,
    instant: ProvenInstant,
) -> PersonRow {
    PersonRow {
        id: PersonId::random(&mut rng()),
        customer,
        known: Some(known),
        password_hash: hash.as_str().to_owned(),
        entry: angbu_units::EntryId::from_bytes([0; 16]),
        enrolled: instant.time,
        disabled: false,
        version: 1,
    }
}

/// Stores a new person and writes them down.
pub(in crate::centre) fn insert(
    tx: &mut Tx<'_>,
    mut row: PersonRow,
    instant: ProvenInstant,
    by: &str,
) -> Result<PersonRow, Refusal> {
    row.entry = write_down(tx, &row, "made", instant, by)?;
    tx.insert_person(&row)?;
    Ok(row)
}

fn within(snapshot: &Snapshot<'_>, reach: Reach, id: PersonId) -> Result<PersonRow, Refusal> {
    let found = snapshot.person(id)?.filter(|row| reach.covers(row.customer));
    found.ok_or_else(|| Refusal::unknown("person", &id.to_string()))
}

/// The `account.person` entry of a change. Who it is stands in the sealed fields only.
fn write_down(
    tx: &mut Tx<'_>,
    row: &PersonRow,
    change: &str,
    instant: ProvenInstant,
    by: &str,
) -> Result<angbu_units::EntryId, StoreError> {
    let known = |field: fn(&Known) -> &str| row.known.as_ref().map(field).unwrap_or_default().to_owned();
    let fields = [
        ("person", row.id.to_string()),
        ("login-id", known(|known| &known.login_id)),
        ("phone", known(|known| &known.phone)),
        ("birthday", known(|known| &known.birthday)),
        ("language", known(|known| &known.language)),
        ("disabled", yes_or_no(row.disabled)),
        ("change", change.to_owned()),
        ("by", by.to_owned()),
    ];
    append_text(tx, PERSON, row.customer, instant, fields)
}

pub(crate) fn show(customer: String, row: PersonRow) -> Person {
    let erased = row.known.is_none();
    let (login_id, phone_no, birthday, language) = match row.known {
        Some(known) => (known.login_id, known.phone, known.birthday, Some(known.language)),
        None => Default::default(),
    };
    Person {
        id: row.id.to_string(),
        customer,
        login_id,
        phone_no,
        birthday,
        language,
        enrolled_at: instant(row.enrolled),
        disabled: row.disabled,
        erased,
        entry: row.entry.to_string(),
    }
}
