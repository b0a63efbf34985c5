//! Machines that joined for a customer: relying parties, and the hosts of products.

use angbu_units::{CustomerId, EntryId, MachineId, UnixTime};

use super::MOST_LISTED;
use crate::sql::{Row, column, values};
use crate::{Snapshot, StoreError, Tx};

/// A machine that joined for a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRow {
    /// The machine's id.
    pub id: MachineId,
    /// Whose it is.
    pub customer: CustomerId,
    /// What it is, as `host`.
    pub kind: String,
    /// Its name, unique among the customer's machines of this kind.
    pub name: String,
    /// The origins that browsers may return to from it, with a space between them.
    pub origins: String,
    /// The Ed25519 key that it joined with.
    pub public_key: [u8; 32],
    /// The `account.machine` entry that shows it.
    pub entry: EntryId,
    /// When it joined.
    pub enrolled: UnixTime,
    /// Whether it is shut out.
    pub disabled: bool,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

impl Snapshot<'_> {
    /// The machine with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn machine(&self, id: MachineId) -> Result<Option<MachineRow>, StoreError> {
        self.sql.first(
            "SELECT machine_id, customer_id, kind, name, origins, public_key, entry_id, enrolled, disabled, version
             FROM accounts_machines WHERE machine_id = ?1",
            values![id],
            machine,
        )
    }

    /// The customer's machine of this kind and name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn machine_named(
        &self,
        customer: CustomerId,
        kind: &str,
        name: &str,
    ) -> Result<Option<MachineRow>, StoreError> {
        self.sql.first(
            "SELECT machine_id, customer_id, kind, name, origins, public_key, entry_id, enrolled, disabled, version
             FROM accounts_machines WHERE customer_id = ?1 AND kind = ?2 AND name = ?3",
            values![customer, kind, name],
            machine,
        )
    }

    /// The machines of the whole site, by kind and name, [`MOST_LISTED`] of them at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn machines(&self) -> Result<Vec<MachineRow>, StoreError> {
        self.sql.all(
            "SELECT machine_id, customer_id, kind, name, origins, public_key, entry_id, enrolled, disabled, version
             FROM accounts_machines ORDER BY kind, name, customer_id LIMIT ?1",
            values![MOST_LISTED],
            machine,
        )
    }

    /// The machines of one customer, by kind and name, [`MOST_LISTED`] of them at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn machines_of(&self, customer: CustomerId) -> Result<Vec<MachineRow>, StoreError> {
        self.sql.all(
            "SELECT machine_id, customer_id, kind, name, origins, public_key, entry_id, enrolled, disabled, version
             FROM accounts_machines WHERE customer_id = ?1 ORDER BY kind, name LIMIT ?2",
            values![customer, MOST_LISTED],
            machine,
        )
    }
}

impl Tx<'_> {
    /// Inserts a machine.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the customer has one of this kind and name.
    pub fn insert_machine(&mut self, machine: &MachineRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_machines
                 (machine_id, customer_id, kind, name, origins, public_key, entry_id, enrolled, disabled, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            values![
                machine.id,
                machine.customer,
                machine.kind,
                machine.name,
                machine.origins,
                machine.public_key,
                machine.entry,
                machine.enrolled,
                machine.disabled,
                machine.version
            ],
        )?;
        Ok(())
    }

    /// Shuts a machine out or lets it in again, and sets its origins, if its row still has `machine.version`, which then is one more; its
    /// newest entry is `machine.entry`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile.
    pub fn update_machine(&mut self, machine: &MachineRow) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE accounts_machines SET disabled = ?2, entry_id = ?3, origins = ?5, version = version + 1
             WHERE machine_id = ?1 AND version = ?4",
            values![machine.id, machine.disabled, machine.entry, machine.version, machine.origins],
            StoreError::Conflict { what: "the machine" },
        )
    }
}

fn machine(row: &dyn Row) -> Result<MachineRow, StoreError> {
    Ok(MachineRow {
        id: column(row, 0)?,
        customer: column(row, 1)?,
        kind: column(row, 2)?,
        name: column(row, 3)?,
        origins: column(row, 4)?,
        public_key: column(row, 5)?,
        entry: column(row, 6)?,
        enrolled: column(row, 7)?,
        disabled: column(row, 8)?,
        version: column(row, 9)?,
    })
}
