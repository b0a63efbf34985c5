//! API tokens.

use angbu_units::{CustomerId, MachineId, TokenId, UnixTime};

use super::MOST_LISTED;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// An API token, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The token's id, which may be shown.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// Whom it was given to.
    pub holder: String,
    /// What it allows, as its makers wrote it.
    pub scopes: String,
    /// For which customer; [`CustomerId::SITE`] for the whole site.
    pub customer: CustomerId,
    /// The machine that was given it when it joined, if one was: it ends while that machine is disabled.
    pub machine: Option<MachineId>,
    /// When it was made.
    pub created: UnixTime,
    /// When it ends, if it does.
    pub expires: Option<UnixTime>,
    /// Whether it was taken back.
    pub revoked: bool,
}

impl Snapshot<'_> {
    /// The token whose secret has this hash, whether or not it is still good; but none of a machine that is disabled.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn token_by_secret(&self, secret_hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        self.sql.first(
            "SELECT token_id, secret_hash, holder, scopes, customer_id, machine_id, created, expires, revoked
             FROM accounts_tokens WHERE secret_hash = ?1
             AND NOT EXISTS (SELECT 1 FROM accounts_machines
                             WHERE accounts_machines.machine_id = accounts_tokens.machine_id AND disabled <> 0)",
            values![secret_hash],
            token,
        )
    }

    /// The token with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn token(&self, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
        self.sql.first(
            "SELECT token_id, secret_hash, holder, scopes, customer_id, machine_id, created, expires, revoked
             FROM accounts_tokens WHERE token_id = ?1",
            values![id],
            token,
        )
    }

    /// The tokens of the whole site, newest first, the revoked and expired ones with them; [`MOST_LISTED`] at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.sql.all(
            "SELECT token_id, secret_hash, holder, scopes, customer_id, machine_id, created, expires, revoked
             FROM accounts_tokens ORDER BY created DESC, token_id LIMIT ?1",
            values![MOST_LISTED],
            token,
        )
    }

    /// The tokens of one customer, newest first, the revoked and expired ones with them; [`MOST_LISTED`] at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn tokens_of(&self, customer: CustomerId) -> Result<Vec<TokenRow>, StoreError> {
        self.sql.all(
            "SELECT token_id, secret_hash, holder, scopes, customer_id, machine_id, created, expires, revoked
             FROM accounts_tokens WHERE customer_id = ?1 ORDER BY created DESC, token_id LIMIT ?2",
            values![customer, MOST_LISTED],
            token,
        )
    }
}

impl Tx<'_> {
    /// Inserts a token.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id or secret is there already.
    pub fn insert_token(&mut self, token: &TokenRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_tokens
                 (token_id, secret_hash, holder, scopes, customer_id, machine_id, created, expires, revoked)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            values![
                token.id,
                token.secret_hash,
                token.holder,
                token.scopes,
                token.customer,
                token.machine,
                token.created,
                token.expires,
                token.revoked
            ],
        )?;
        Ok(())
    }

    /// Takes a token back, for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such token.
    pub fn revoke_token(&mut self, id: TokenId) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE accounts_tokens SET revoked = 1 WHERE token_id = ?1",
            values![id],
            StoreError::NotFound { what: "token" },
        )
    }

    /// Takes back every token of the whole site that was given to this holder, and says how many there were.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn revoke_tokens_held_by(&mut self, holder: &str) -> Result<u64, StoreError> {
        self.sql.execute(
            "UPDATE accounts_tokens SET revoked = 1 WHERE holder = ?1 AND customer_id = ?2 AND revoked = 0",
            values![holder, CustomerId::SITE],
        )
    }

    /// Takes back every token that a machine was given, and says how many there were.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn revoke_tokens_of(&mut self, machine: MachineId) -> Result<u64, StoreError> {
        self.sql.execute(
            "UPDATE accounts_tokens SET revoked = 1 WHERE machine_id = ?1 AND revoked = 0",
            values![machine],
        )
    }
}

fn token(row: &dyn Row) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: column(row, 0)?,
        secret_hash: column(row, 1)?,
        holder: column(row, 2)?,
        scopes: column(row, 3)?,
        customer: column(row, 4)?,
        machine: optional(row, 5)?,
        created: column(row, 6)?,
        expires: optional(row, 7)?,
        revoked: column(row, 8)?,
    })
}
