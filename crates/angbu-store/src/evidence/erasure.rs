//! Erasing fields: their salts and values go, their hashes stay, and with them every proof.

use angbu_units::{EntryId, PersonId};

use super::BODIES;
use crate::seal::Purpose;
use crate::sql::{column, values};
use crate::{Snapshot, StoreError, Tx};

/// A field that was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The field's name.
    pub field: String,
    /// The `evidence.erasure` entry that says so.
    pub by: EntryId,
}

impl Snapshot<'_> {
    /// Which fields of an entry were erased, by name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn erasures_of(&self, id: EntryId) -> Result<Vec<Erasure>, StoreError> {
        self.sql.all(
            "SELECT field, erased_by FROM evidence_erasures WHERE entry_id = ?1 ORDER BY field",
            values![id],
            |row| Ok(Erasure { field: column(row, 0)?, by: column(row, 1)? }),
        )
    }
}

impl Tx<'_> {
    /// Notes that nothing of a person is left in an entry.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn forget_subject(&mut self, person: PersonId, entry: EntryId) -> Result<(), StoreError> {
        self.sql.execute(
            "DELETE FROM evidence_subjects WHERE person_id = ?1 AND entry_id = ?2",
            values![person, entry],
        )?;
        Ok(())
    }

    /// Erases those of an entry's fields that `erase` names and that are still there: only their leaves stay, so that
    /// the entry's root is still theirs. `by` is the `evidence.erasure` entry, which the caller appends in the same
    /// transaction. Returns the names of what was erased now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such entry, [`StoreError::Conflict`] when its fields were changed or
    /// sealed anew in the meantime: try again.
    pub fn erase_fields(
        &mut self,
        id: EntryId,
        erase: impl Fn(&str) -> bool,
        by: EntryId,
    ) -> Result<Vec<String>, StoreError> {
        let sealed = self.sealed_body(id)?.ok_or(StoreError::NotFound { what: "entry" })?;
        // Of what was compacted away nothing is left to be erased.
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let kept = self.open_body(id, &sealed)?;
        let gone: Vec<String> =
            kept.shown().map(|field| field.name.clone()).filter(|name| erase(name)).collect();
        if gone.is_empty() {
            return Ok(gone);
        }
        let left = kept.disclose(|name| !erase(name));
        let resealed = self.seal(Purpose::Bodies, BODIES, &id.to_bytes(), &left.encode())?;
        self.sql.execute_one(
            "UPDATE evidence_bodies SET sealed = ?3 WHERE entry_id = ?1 AND sealed = ?2",
            values![id, sealed, resealed],
            StoreError::Conflict { what: "the entry's fields" },
        )?;
        for name in &gone {
            self.sql.execute(
                "INSERT INTO evidence_erasures (entry_id, field, erased_by) VALUES (?1, ?2, ?3)
                 ON CONFLICT (entry_id, field) DO NOTHING",
                values![id, name, by],
            )?;
        }
        Ok(gone)
    }
}
