//! Customers and the revisions of their settings.

use angbu_units::{CustomerId, EntryId, Nanos, UnixTime};

use super::{MOST_LISTED, PERSONAL};
use crate::sql::{Row, column, values};
use crate::{Snapshot, StoreError, Tx, texts};

const TABLE: &str = "accounts_customers";

/// An organisation that the centre serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRow {
    /// Its random id, which stands in log entries.
    pub id: CustomerId,
    /// Its name, unique in the site.
    pub name: String,
    /// How far a clock of this customer may be off.
    pub tolerance: Nanos,
    /// The language that it is written to in, as its makers wrote it.
    pub language: String,
    /// Whom to write to: addresses, kept sealed.
    pub contacts: Vec<String>,
    /// The time zone in which it is told instants beside UTC, by its IANA name.
    pub zone: String,
    /// How often its settings were changed, from 1.
    pub revision: u64,
    /// The `account.customer` entry that shows the settings in force.
    pub settings_entry: EntryId,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

/// One revision of a customer's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsRow {
    /// Which revision, from 1.
    pub revision: u64,
    /// From when on it held.
    pub since: UnixTime,
    /// The tolerance from then on.
    pub tolerance: Nanos,
    /// The `account.customer` entry that shows it.
    pub settings_entry: EntryId,
}

impl Snapshot<'_> {
    /// The customer with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customer(&self, id: CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        self.sql.first(
            "SELECT customer_id, name, tolerance_ns, language, contacts, revision, settings_entry, version, zone
             FROM accounts_customers WHERE customer_id = ?1",
            values![id],
            |row| customer(row, self),
        )
    }

    /// The customer with this name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customer_named(&self, name: &str) -> Result<Option<CustomerRow>, StoreError> {
        self.sql.first(
            "SELECT customer_id, name, tolerance_ns, language, contacts, revision, settings_entry, version, zone
             FROM accounts_customers WHERE name = ?1",
            values![name],
            |row| customer(row, self),
        )
    }

    /// The name of the customer with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customer_name(&self, id: CustomerId) -> Result<Option<String>, StoreError> {
        self.sql.first("SELECT name FROM accounts_customers WHERE customer_id = ?1", values![id], |row| {
            column(row, 0)
        })
    }

    /// The customers, by name, [`MOST_LISTED`] of them at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customers(&self) -> Result<Vec<CustomerRow>, StoreError> {
        self.sql.all(
            "SELECT customer_id, name, tolerance_ns, language, contacts, revision, settings_entry, version, zone
             FROM accounts_customers ORDER BY name LIMIT ?1",
            values![MOST_LISTED],
            |row| customer(row, self),
        )
    }

    /// Every revision of a customer's settings, oldest first.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customer_settings(&self, id: CustomerId) -> Result<Vec<SettingsRow>, StoreError> {
        self.sql.all(
            "SELECT revision, since, tolerance_ns, settings_entry
             FROM accounts_settings WHERE customer_id = ?1 ORDER BY revision",
            values![id],
            |row| {
                Ok(SettingsRow {
                    revision: column(row, 0)?,
                    since: column(row, 1)?,
                    tolerance: column(row, 2)?,
                    settings_entry: column(row, 3)?,
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Inserts a customer and the first revision of its settings, in force from `since` on.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the name or the id is another customer's.
    pub fn insert_customer(&mut self, customer: &CustomerRow, since: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_customers
                 (customer_id, name, tolerance_ns, language, contacts, revision, settings_entry, version, zone)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            values![
                customer.id,
                customer.name,
                customer.tolerance,
                customer.language,
                sealed_contacts(self, customer)?,
                customer.revision,
                customer.settings_entry,
                customer.version,
                customer.zone
            ],
        )?;
        self.insert_settings(customer, since)
    }

    /// Replaces a customer's name and settings if its row still has `customer.version`; a new revision is kept
    /// beside the older ones, in force from `since` on. The row's version then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile, [`StoreError::Taken`] when the name is
    /// another customer's or the revision has been there before.
    pub fn update_customer(&mut self, customer: &CustomerRow, since: UnixTime) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE accounts_customers
             SET name = ?2, tolerance_ns = ?3, language = ?4, contacts = ?5, revision = ?6, settings_entry = ?7,
                 zone = ?9, version = version + 1
             WHERE customer_id = ?1 AND version = ?8",
            values![
                customer.id,
                customer.name,
                customer.tolerance,
                customer.language,
                sealed_contacts(self, customer)?,
                customer.revision,
                customer.settings_entry,
                customer.version,
                customer.zone
            ],
            StoreError::Conflict { what: "the customer" },
        )?;
        self.insert_settings(customer, since)
    }

    fn insert_settings(&mut self, customer: &CustomerRow, since: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_settings (customer_id, revision, since, tolerance_ns, settings_entry)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            values![customer.id, customer.revision, since, customer.tolerance, customer.settings_entry],
        )?;
        Ok(())
    }
}

fn sealed_contacts(snapshot: &Snapshot<'_>, customer: &CustomerRow) -> Result<Vec<u8>, StoreError> {
    let contacts = texts::encode(customer.contacts.iter().map(String::as_str))?;
    snapshot.seal(PERSONAL, TABLE, customer.id.as_bytes(), &contacts)
}

fn customer(row: &dyn Row, snapshot: &Snapshot<'_>) -> Result<CustomerRow, StoreError> {
    let id: CustomerId = column(row, 0)?;
    let contacts = snapshot.open_sealed(TABLE, id.as_bytes(), &column::<Vec<u8>>(row, 4)?)?;
    Ok(CustomerRow {
        id,
        name: column(row, 1)?,
        tolerance: column(row, 2)?,
        language: column(row, 3)?,
        contacts: texts::decode(&contacts)?,
        revision: column(row, 5)?,
        settings_entry: column(row, 6)?,
        version: column(row, 7)?,
        zone: column(row, 8)?,
    })
}
