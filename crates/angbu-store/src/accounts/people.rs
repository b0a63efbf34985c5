//! People of customers. Who they are stands sealed; a login id is found by a keyed hash over what it has in common with
//! its look-alikes.

use angbu_units::{CustomerId, EntryId, PersonId, UnixTime};

use super::PERSONAL;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx, texts};

const TABLE: &str = "accounts_people";
const LOGIN: &str = "accounts_people.login";
const PHONE: &str = "accounts_people.phone";

/// A person of a customer.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The person's random id, which stands in log entries.
    pub id: PersonId,
    /// Whose person it is.
    pub customer: CustomerId,
    /// Who it is; `None` once that was erased.
    pub known: Option<Known>,
    /// The password's Argon2id hash in PHC form; empty once the person was erased.
    pub password_hash: String,
    /// The newest `account.person` entry of the person.
    pub entry: EntryId,
    /// When the person was added or joined.
    pub enrolled: UnixTime,
    /// Whether the person may no longer sign in anywhere.
    pub disabled: bool,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

/// What is known of a person. No `Debug`: it is personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Known {
    /// The login id, as it is shown.
    pub login_id: String,
    /// What the login id has in common with all that count as the same one; unique among the customer's people.
    pub login_key: String,
    /// The phone number, in its one form.
    pub phone: String,
    /// The birthday, as `YYYY-MM-DD`.
    pub birthday: String,
    /// The language that the person is written to in, as its makers wrote it.
    pub language: String,
}

impl Known {
    /// The texts that are sealed together.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        texts::encode([&*self.login_id, &self.login_key, &self.phone, &self.birthday, &self.language])
    }

    /// Reads what was sealed.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let wrong = || StoreError::corrupt("what is known of a person is not five texts");
        let texts: [String; 5] = texts::decode(bytes)?.try_into().map_err(|_| wrong())?;
        let [login_id, login_key, phone, birthday, language] = texts;
        Ok(Self { login_id, login_key, phone, birthday, language })
    }
}

impl Snapshot<'_> {
    /// The person with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn person(&self, id: PersonId) -> Result<Option<PersonRow>, StoreError> {
        self.sql.first(
            "SELECT person_id, customer_id, sealed, password_hash, entry_id, enrolled, disabled, version
             FROM accounts_people WHERE person_id = ?1",
            values![id],
            |row| person(row, self),
        )
    }

    /// The customer's person with this login key.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn person_by_login(
        &self,
        customer: CustomerId,
        login_key: &str,
    ) -> Result<Option<PersonRow>, StoreError> {
        let hash = self.blind(LOGIN, &of_customer(customer, login_key))?;
        self.sql.first(
            "SELECT person_id, customer_id, sealed, password_hash, entry_id, enrolled, disabled, version
             FROM accounts_people WHERE customer_id = ?1 AND login_hash IN (?2, ?3)",
            values![customer, hash.now, hash.before],
            |row| person(row, self),
        )
    }

    /// Up to `limit` of a customer's people in the order in which they were enrolled, behind the person `after` where
    /// one is given; none behind somebody who is not the customer's.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn people_of(
        &self,
        customer: CustomerId,
        after: Option<PersonId>,
        limit: u64,
    ) -> Result<Vec<PersonRow>, StoreError> {
        let Some(after) = after else {
            return self.sql.all(
                "SELECT person_id, customer_id, sealed, password_hash, entry_id, enrolled, disabled, version
                 FROM accounts_people WHERE customer_id = ?1 ORDER BY enrolled, person_id LIMIT ?2",
                values![customer, limit],
                |row| person(row, self),
            );
        };
        self.sql.all(
            "SELECT person_id, customer_id, sealed, password_hash, entry_id, enrolled, disabled, version
             FROM accounts_people
             WHERE customer_id = ?1 AND (enrolled, person_id) >
                 (SELECT enrolled, person_id FROM accounts_people WHERE person_id = ?2 AND customer_id = ?1)
             ORDER BY enrolled, person_id LIMIT ?3",
            values![customer, after, limit],
            |row| person(row, self),
        )
    }

    /// The entries whose fields hold something of a person, in the order of their ids, at most `limit`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn entries_about(&self, person: PersonId, limit: u64) -> Result<Vec<EntryId>, StoreError> {
        self.sql.all(
            "SELECT entry_id FROM evidence_subjects WHERE person_id = ?1 ORDER BY entry_id LIMIT ?2",
            values![person, limit],
            |row| column(row, 0),
        )
    }
}

impl Snapshot<'_> {
    /// Everybody's people behind an id in the order of their ids, for going over all of them.
    pub(crate) fn people_behind(&self, after: PersonId, limit: u64) -> Result<Vec<PersonRow>, StoreError> {
        self.sql.all(
            "SELECT person_id, customer_id, sealed, password_hash, entry_id, enrolled, disabled, version
             FROM accounts_people WHERE person_id > ?1 ORDER BY person_id LIMIT ?2",
            values![after, limit],
            |row| person(row, self),
        )
    }
}

impl Tx<'_> {
    /// Hashes anew what a person is found by, unless the row was changed since it was read: then it was hashed anew.
    pub(crate) fn hash_person_anew(&self, person: &PersonRow) -> Result<(), StoreError> {
        let sealed = Sealed::of(self, person)?;
        self.sql.execute(
            "UPDATE accounts_people SET login_hash = ?2, phone_hash = ?3 WHERE person_id = ?1 AND version = ?4",
            values![person.id, sealed.login_hash, sealed.phone_hash, person.version],
        )?;
        Ok(())
    }

    /// Inserts a person, and notes that the entry `person.entry` holds what is known of them.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the customer has a person with this login key.
    pub fn insert_person(&mut self, person: &PersonRow) -> Result<(), StoreError> {
        let sealed = Sealed::of(self, person)?;
        // While the key of the hashes is replaced, the column's own uniqueness holds among new rows only.
        if let Some(known) = &person.known
            && self.person_by_login(person.customer, &known.login_key)?.is_some()
        {
            return Err(StoreError::Taken { what: "the login id" });
        }
        self.sql.execute(
            "INSERT INTO accounts_people (person_id, customer_id, login_hash, phone_hash, sealed, password_hash,
                                          entry_id, enrolled, disabled, erased, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            values![
                person.id,
                person.customer,
                sealed.login_hash,
                sealed.phone_hash,
                sealed.known,
                person.password_hash,
                person.entry,
                person.enrolled,
                person.disabled,
                person.known.is_none(),
                person.version
            ],
        )?;
        self.note_subject(person.id, person.entry)
    }

    /// Replaces everything about a person but id, customer and the instant of enrolment if the row still has
    /// `person.version`, which then is one more. Nothing is left of what a row without [`PersonRow::known`] held.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile, [`StoreError::Taken`] when the customer has another
    /// person with this login key.
    pub fn update_person(&mut self, person: &PersonRow) -> Result<(), StoreError> {
        let sealed = Sealed::of(self, person)?;
        self.sql.execute_one(
            "UPDATE accounts_people
             SET login_hash = ?2, phone_hash = ?3, sealed = ?4, password_hash = ?5, entry_id = ?6, disabled = ?7,
                 erased = ?8, version = version + 1
             WHERE person_id = ?1 AND version = ?9",
            values![
                person.id,
                sealed.login_hash,
                sealed.phone_hash,
                sealed.known,
                person.password_hash,
                person.entry,
                person.disabled,
                person.known.is_none(),
                person.version
            ],
            StoreError::Conflict { what: "the person" },
        )
    }

    /// Notes that an entry's fields hold something of a person, so that it is found when they are erased.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn note_subject(&mut self, person: PersonId, entry: EntryId) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO evidence_subjects (person_id, entry_id) VALUES (?1, ?2)
             ON CONFLICT (person_id, entry_id) DO NOTHING",
            values![person, entry],
        )?;
        Ok(())
    }
}

/// What a row holds of a person, as it stands in the database.
struct Sealed {
    login_hash: Option<[u8; 32]>,
    phone_hash: Option<[u8; 32]>,
    known: Option<Vec<u8>>,
}

impl Sealed {
    fn of(snapshot: &Snapshot<'_>, person: &PersonRow) -> Result<Self, StoreError> {
        let Some(known) = &person.known else {
            return Ok(Self { login_hash: None, phone_hash: None, known: None });
        };
        let (login_hash, phone_hash) = hashes(snapshot, person.customer, known)?;
        Ok(Self {
            login_hash: Some(login_hash),
            phone_hash: Some(phone_hash),
            known: Some(snapshot.seal(PERSONAL, TABLE, person.id.as_bytes(), &known.encode()?)?),
        })
    }
}

/// The keyed hashes of login id and phone under the newest key.
pub(crate) fn hashes(
    snapshot: &Snapshot<'_>,
    customer: CustomerId,
    known: &Known,
) -> Result<([u8; 32], [u8; 32]), StoreError> {
    let hash =
        |column, value: &str| Ok::<_, StoreError>(snapshot.blind(column, &of_customer(customer, value))?.now);
    Ok((hash(LOGIN, &known.login_key)?, hash(PHONE, &known.phone)?))
}

/// What is hashed, so that the same login id has other hashes with other customers.
fn of_customer(customer: CustomerId, value: &str) -> Vec<u8> {
    [customer.as_bytes(), value.as_bytes()].concat()
}

fn person(row: &dyn Row, snapshot: &Snapshot<'_>) -> Result<PersonRow, StoreError> {
    let id: PersonId = column(row, 0)?;
    let known = match optional::<Vec<u8>>(row, 2)? {
        None => None,
        Some(sealed) => Some(Known::decode(&snapshot.open_sealed(TABLE, id.as_bytes(), &sealed)?)?),
    };
    Ok(PersonRow {
        id,
        customer: column(row, 1)?,
        known,
        password_hash: column(row, 3)?,
        entry: column(row, 4)?,
        enrolled: column(row, 5)?,
        disabled: column(row, 6)?,
        version: column(row, 7)?,
    })
}
