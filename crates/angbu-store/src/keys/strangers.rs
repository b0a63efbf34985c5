//! How login ids without a token stand, by a bucket of a keyed hash: no name is kept, and there are so many rows and no more,
//! whatever strangers try.

use angbu_units::{CustomerId, UnixTime};

use crate::sql::{column, optional, values};
use crate::{Snapshot, StoreError, Tx};

const COLUMN: &str = "keys_strangers.bucket";
/// How many bits of a keyed hash are a bucket: some four million of them.
const BUCKET_BITS: u32 = 22;

/// What tries have made of somebody who has no token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StrangerStanding {
    /// Failures.
    pub failures: u64,
    /// No try is judged before then.
    pub locked_until: Option<UnixTime>,
    /// No try is judged any more.
    pub disabled: bool,
}

impl Snapshot<'_> {
    /// How a login id without a token stands.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn key_stranger(
        &self,
        customer: CustomerId,
        login: &str,
    ) -> Result<Option<StrangerStanding>, StoreError> {
        let bucket = self.stranger_bucket(customer, login)?;
        self.sql.first(
            "SELECT failures, locked_until, disabled FROM keys_strangers WHERE bucket = ?1",
            values![bucket],
            |row| {
                Ok(StrangerStanding {
                    failures: column(row, 0)?,
                    locked_until: optional(row, 1)?,
                    disabled: column(row, 2)?,
                })
            },
        )
    }

    fn stranger_bucket(&self, customer: CustomerId, login: &str) -> Result<i64, StoreError> {
        let name = [customer.as_bytes(), login.as_bytes()].concat();
        self.bucket(COLUMN, &name, BUCKET_BITS)
    }
}

impl Tx<'_> {
    /// Writes down how a login id without a token stands, where it still stood as it was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where another try came in between.
    pub fn update_key_stranger(
        &mut self,
        (customer, login): (CustomerId, &str),
        before: Option<&StrangerStanding>,
        after: &StrangerStanding,
        at: UnixTime,
    ) -> Result<(), StoreError> {
        let bucket = self.stranger_bucket(customer, login)?;
        let conflict = StoreError::Conflict { what: "the stranger's standing" };
        match before {
            None => self.sql.execute_one(
                "INSERT INTO keys_strangers (bucket, failures, locked_until, disabled, last)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (bucket) DO NOTHING",
                values![bucket, after.failures, after.locked_until, after.disabled, at],
                conflict,
            ),
            Some(before) => self.sql.execute_one(
                "UPDATE keys_strangers SET failures = ?3, locked_until = ?4, disabled = ?5, last = ?6
                 WHERE bucket = ?1 AND failures = ?2",
                values![bucket, before.failures, after.failures, after.locked_until, after.disabled, at],
                conflict,
            ),
        }
    }

    /// Forgets login ids without a token that nobody has tried since an instant.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn forget_key_strangers(&mut self, before: UnixTime) -> Result<u64, StoreError> {
        self.sql.execute("DELETE FROM keys_strangers WHERE last < ?1", values![before])
    }
}
