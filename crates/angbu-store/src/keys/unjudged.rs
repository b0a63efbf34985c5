//! Tries that were not judged: counts by the minute, until an entry tells them.

use angbu_units::CustomerId;

use super::KEYS_AT_ONCE;
use crate::sql::{Row, column, values};
use crate::{Snapshot, StoreError, Tx};

/// Tries of a minute that were not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnjudgedRow {
    /// The minute, counted from 1970.
    pub minute: u64,
    /// Whose.
    pub customer: CustomerId,
    /// A token's id, or the prefix of a source.
    pub about: String,
    /// Why they were not judged.
    pub reason: String,
    /// How many.
    pub count: u64,
}

impl Snapshot<'_> {
    /// Whether tries were counted in a minute before this one and are not told.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn has_unjudged(&self, minute: u64) -> Result<bool, StoreError> {
        let found = self.sql.first(
            "SELECT 1 FROM keys_unjudged WHERE minute < ?1 LIMIT 1",
            values![minute],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    /// Counts a try that was not judged.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn count_unjudged(&mut self, row: &UnjudgedRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO keys_unjudged (minute, customer_id, about, reason, count) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (minute, customer_id, about, reason)
             DO UPDATE SET count = keys_unjudged.count + ?5",
            values![row.minute, row.customer, row.about, row.reason, row.count],
        )?;
        Ok(())
    }

    /// Takes away the counts of one minute, the oldest that is before `minute`, and says what they were: whoever takes them
    /// tells them in the same transaction. [`KEYS_AT_ONCE`] at most.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn take_unjudged(&mut self, minute: u64) -> Result<Vec<UnjudgedRow>, StoreError> {
        let read = |row: &dyn Row| {
            Ok(UnjudgedRow {
                minute: column(row, 0)?,
                customer: column(row, 1)?,
                about: column(row, 2)?,
                reason: column(row, 3)?,
                count: column(row, 4)?,
            })
        };
        let rows = self.sql.all(
            "SELECT minute, customer_id, about, reason, count FROM keys_unjudged
             WHERE minute = (SELECT MIN(minute) FROM keys_unjudged) AND minute < ?1
             ORDER BY customer_id, about, reason LIMIT ?2",
            values![minute, KEYS_AT_ONCE],
            read,
        )?;
        let mut taken = Vec::with_capacity(rows.len());
        for row in rows {
            // Another centre may be telling the same minute.
            let gone = self.sql.execute(
                "DELETE FROM keys_unjudged WHERE minute = ?1 AND customer_id = ?2 AND about = ?3 AND reason = ?4",
                values![row.minute, row.customer, row.about, row.reason],
            )?;
            if gone == 1 {
                taken.push(row);
            }
        }
        Ok(taken)
    }
}
