//! Enrolment codes.

use angbu_units::{CodeId, CustomerId, UnixTime};

use super::{MOST_LISTED, PERSONAL};
use crate::sql::{Row, column, values};
use crate::{Snapshot, StoreError, Tx};

const TABLE: &str = "accounts_codes";

/// An enrolment code, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeRow {
    /// The code's id, which may be shown.
    pub id: CodeId,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// What it lets in, as `agent`.
    pub kind: String,
    /// For which customer.
    pub customer: CustomerId,
    /// The name that the joiner will have; kept sealed, because a person's is their login id.
    pub name: String,
    /// When it ends.
    pub expires: UnixTime,
    /// Whether somebody has used it.
    pub used: bool,
}

impl Snapshot<'_> {
    /// The enrolment code whose secret has this hash, whether or not it is still good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn code_by_secret(&self, secret_hash: &[u8; 32]) -> Result<Option<CodeRow>, StoreError> {
        self.sql.first(
            "SELECT code_id, secret_hash, kind, customer_id, name, expires, used
             FROM accounts_codes WHERE secret_hash = ?1",
            values![secret_hash],
            |row| code(row, self),
        )
    }

    /// The enrolment code with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn code(&self, id: CodeId) -> Result<Option<CodeRow>, StoreError> {
        self.sql.first(
            "SELECT code_id, secret_hash, kind, customer_id, name, expires, used
             FROM accounts_codes WHERE code_id = ?1",
            values![id],
            |row| code(row, self),
        )
    }

    /// The enrolment codes of the whole site that were not cleared away yet, the newest first; [`MOST_LISTED`] at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn codes(&self) -> Result<Vec<CodeRow>, StoreError> {
        self.sql.all(
            "SELECT code_id, secret_hash, kind, customer_id, name, expires, used
             FROM accounts_codes ORDER BY expires DESC, code_id LIMIT ?1",
            values![MOST_LISTED],
            |row| code(row, self),
        )
    }

    /// One customer's enrolment codes that were not cleared away yet, the newest first; [`MOST_LISTED`] at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn codes_of(&self, customer: CustomerId) -> Result<Vec<CodeRow>, StoreError> {
        self.sql.all(
            "SELECT code_id, secret_hash, kind, customer_id, name, expires, used
             FROM accounts_codes WHERE customer_id = ?1 ORDER BY expires DESC, code_id LIMIT ?2",
            values![customer, MOST_LISTED],
            |row| code(row, self),
        )
    }
}

impl Tx<'_> {
    /// Inserts an enrolment code.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id or secret is there already.
    pub fn insert_code(&mut self, code: &CodeRow) -> Result<(), StoreError> {
        let name = self.seal(PERSONAL, TABLE, code.id.as_bytes(), code.name.as_bytes())?;
        self.sql.execute(
            "INSERT INTO accounts_codes (code_id, secret_hash, kind, customer_id, name, expires, used)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![code.id, code.secret_hash, code.kind, code.customer, name, code.expires, code.used],
        )?;
        Ok(())
    }

    /// Takes an enrolment code: whoever gets it here is the only one who ever does, if the transaction commits.
    /// `None` when no unused code of this kind has this secret, or it has ended.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn take_code(
        &mut self,
        kind: &str,
        secret_hash: &[u8; 32],
        now: UnixTime,
    ) -> Result<Option<CodeRow>, StoreError> {
        self.sql.first(
            "UPDATE accounts_codes SET used = 1
             WHERE secret_hash = ?1 AND kind = ?2 AND used = 0 AND expires > ?3
             RETURNING code_id, secret_hash, kind, customer_id, name, expires, used",
            values![secret_hash, kind, now],
            |row| code(row, self),
        )
    }

    /// Takes a code away, so that nobody joins by it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such code.
    pub fn delete_code(&mut self, id: CodeId) -> Result<(), StoreError> {
        self.sql.execute_one(
            "DELETE FROM accounts_codes WHERE code_id = ?1",
            values![id],
            StoreError::NotFound { what: "enrolment code" },
        )
    }
}

fn code(row: &dyn Row, snapshot: &Snapshot<'_>) -> Result<CodeRow, StoreError> {
    let id: CodeId = column(row, 0)?;
    let name = snapshot.open_sealed(TABLE, id.as_bytes(), &column::<Vec<u8>>(row, 4)?)?;
    Ok(CodeRow {
        id,
        secret_hash: column(row, 1)?,
        kind: column(row, 2)?,
        customer: column(row, 3)?,
        name: std::str::from_utf8(&name)
            .map_err(|_| StoreError::corrupt("the name of a code is not UTF-8"))?
            .to_owned(),
        expires: column(row, 5)?,
        used: column(row, 6)?,
    })
}
