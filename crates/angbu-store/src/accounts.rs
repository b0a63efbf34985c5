//! Customers, operators, API tokens, sessions and enrolment codes as they stand in the database.
//!
//! What they mean and when they are good is decided elsewhere; here they are found, inserted and changed, every
//! change under the version that was read.

use angbu_units::{CodeId, CustomerId, EntryId, Nanos, OperatorId, SessionId, TokenId, UnixTime};

use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// An organisation that the centre serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRow {
    /// Its random id, which stands in log entries.
    pub id: CustomerId,
    /// Its name, unique in the site.
    pub name: String,
    /// How far a clock of this customer may be off.
    pub tolerance: Nanos,
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

/// Somebody who runs the site.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorRow {
    /// The operator's id.
    pub id: OperatorId,
    /// The name to sign in with, unique in the site.
    pub name: String,
    /// The password's Argon2id hash in PHC form.
    pub password_hash: String,
    /// Whether the password must be changed at the next sign-in.
    pub must_change: bool,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

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
    /// When it was made.
    pub created: UnixTime,
    /// When it ends, if it does.
    pub expires: Option<UnixTime>,
    /// Whether it was taken back.
    pub revoked: bool,
}

/// A signed-in browser, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The session's id, which may be shown.
    pub id: SessionId,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// Who signed in.
    pub operator: OperatorId,
    /// When.
    pub created: UnixTime,
    /// When it was last used, as far as that was noted.
    pub last_used: UnixTime,
    /// When it ends.
    pub expires: UnixTime,
}

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
    /// The name that the joiner will have, or nothing.
    pub name: String,
    /// When it ends.
    pub expires: UnixTime,
    /// Whether somebody has used it.
    pub used: bool,
}

impl Snapshot<'_> {
    /// The customer with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customer(&self, id: CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        self.sql.first(
            "SELECT customer_id, name, tolerance_ns, revision, settings_entry, version
             FROM accounts_customers WHERE customer_id = ?1",
            values![id],
            customer,
        )
    }

    /// The customer with this name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customer_named(&self, name: &str) -> Result<Option<CustomerRow>, StoreError> {
        self.sql.first(
            "SELECT customer_id, name, tolerance_ns, revision, settings_entry, version
             FROM accounts_customers WHERE name = ?1",
            values![name],
            customer,
        )
    }

    /// All customers, by name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn customers(&self) -> Result<Vec<CustomerRow>, StoreError> {
        self.sql.all(
            "SELECT customer_id, name, tolerance_ns, revision, settings_entry, version
             FROM accounts_customers ORDER BY name",
            values![],
            customer,
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

    /// The operator with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn operator(&self, id: OperatorId) -> Result<Option<OperatorRow>, StoreError> {
        self.sql.first(
            "SELECT operator_id, name, password_hash, must_change, version
             FROM accounts_operators WHERE operator_id = ?1",
            values![id],
            operator,
        )
    }

    /// The operator with this name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn operator_named(&self, name: &str) -> Result<Option<OperatorRow>, StoreError> {
        self.sql.first(
            "SELECT operator_id, name, password_hash, must_change, version
             FROM accounts_operators WHERE name = ?1",
            values![name],
            operator,
        )
    }

    /// All operators, by name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn operators(&self) -> Result<Vec<OperatorRow>, StoreError> {
        self.sql.all(
            "SELECT operator_id, name, password_hash, must_change, version
             FROM accounts_operators ORDER BY name",
            values![],
            operator,
        )
    }

    /// The token whose secret has this hash, whether or not it is still good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn token_by_secret(&self, secret_hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        self.sql.first(
            "SELECT token_id, secret_hash, holder, scopes, created, expires, revoked
             FROM accounts_tokens WHERE secret_hash = ?1",
            values![secret_hash],
            token,
        )
    }

    /// All tokens, oldest first, the revoked and expired ones with them.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.sql.all(
            "SELECT token_id, secret_hash, holder, scopes, created, expires, revoked
             FROM accounts_tokens ORDER BY created, token_id",
            values![],
            token,
        )
    }

    /// The session whose secret has this hash, whether or not it is still good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn session_by_secret(&self, secret_hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        self.sql.first(
            "SELECT session_id, secret_hash, operator_id, created, last_used, expires
             FROM accounts_sessions WHERE secret_hash = ?1",
            values![secret_hash],
            session,
        )
    }

    /// The enrolment code whose secret has this hash, whether or not it is still good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn code_by_secret(&self, secret_hash: &[u8; 32]) -> Result<Option<CodeRow>, StoreError> {
        self.sql.first(
            "SELECT code_id, secret_hash, kind, customer_id, name, expires, used
             FROM accounts_codes WHERE secret_hash = ?1",
            values![secret_hash],
            code,
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
            "INSERT INTO accounts_customers (customer_id, name, tolerance_ns, revision, settings_entry, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![
                customer.id,
                customer.name,
                customer.tolerance,
                customer.revision,
                customer.settings_entry,
                customer.version
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
             SET name = ?2, tolerance_ns = ?3, revision = ?4, settings_entry = ?5, version = version + 1
             WHERE customer_id = ?1 AND version = ?6",
            values![
                customer.id,
                customer.name,
                customer.tolerance,
                customer.revision,
                customer.settings_entry,
                customer.version
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

    /// Inserts an operator.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the name or the id is another operator's.
    pub fn insert_operator(&mut self, operator: &OperatorRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_operators (operator_id, name, password_hash, must_change, version)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            values![
                operator.id,
                operator.name,
                operator.password_hash,
                operator.must_change,
                operator.version
            ],
        )?;
        Ok(())
    }

    /// Replaces an operator's name and password if the row still has `operator.version`, which then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile, [`StoreError::Taken`] when the name is
    /// another operator's.
    pub fn update_operator(&mut self, operator: &OperatorRow) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE accounts_operators
             SET name = ?2, password_hash = ?3, must_change = ?4, version = version + 1
             WHERE operator_id = ?1 AND version = ?5",
            values![
                operator.id,
                operator.name,
                operator.password_hash,
                operator.must_change,
                operator.version
            ],
            StoreError::Conflict { what: "the operator" },
        )
    }

    /// Inserts a token.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id or secret is there already.
    pub fn insert_token(&mut self, token: &TokenRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_tokens (token_id, secret_hash, holder, scopes, created, expires, revoked)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![
                token.id,
                token.secret_hash,
                token.holder,
                token.scopes,
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

    /// Inserts a session.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id or secret is there already.
    pub fn insert_session(&mut self, session: &SessionRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_sessions (session_id, secret_hash, operator_id, created, last_used, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![
                session.id,
                session.secret_hash,
                session.operator,
                session.created,
                session.last_used,
                session.expires
            ],
        )?;
        Ok(())
    }

    /// Notes that a session was used, and until when it now lives.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the session has ended meanwhile.
    pub fn touch_session(
        &mut self,
        id: SessionId,
        used: UnixTime,
        expires: UnixTime,
    ) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE accounts_sessions SET last_used = ?2, expires = ?3 WHERE session_id = ?1",
            values![id, used, expires],
            StoreError::NotFound { what: "session" },
        )
    }

    /// Ends a session; one that has ended already is no error.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn delete_session(&mut self, id: SessionId) -> Result<(), StoreError> {
        self.sql.execute("DELETE FROM accounts_sessions WHERE session_id = ?1", values![id])?;
        Ok(())
    }

    /// Ends all of an operator's sessions but one, as after a change of password, and says how many ended.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn delete_other_sessions(
        &mut self,
        operator: OperatorId,
        kept: Option<SessionId>,
    ) -> Result<u64, StoreError> {
        let none = SessionId::from_bytes([0; 16]);
        self.sql.execute(
            "DELETE FROM accounts_sessions WHERE operator_id = ?1 AND session_id <> ?2",
            values![operator, kept.unwrap_or(none)],
        )
    }

    /// Deletes sessions and codes that ended before `now`, and says how many there were.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn purge_expired(&mut self, now: UnixTime) -> Result<u64, StoreError> {
        let sessions = self.sql.execute("DELETE FROM accounts_sessions WHERE expires < ?1", values![now])?;
        let codes = self.sql.execute("DELETE FROM accounts_codes WHERE expires < ?1", values![now])?;
        Ok(sessions + codes)
    }

    /// Inserts an enrolment code.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id or secret is there already.
    pub fn insert_code(&mut self, code: &CodeRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_codes (code_id, secret_hash, kind, customer_id, name, expires, used)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![code.id, code.secret_hash, code.kind, code.customer, code.name, code.expires, code.used],
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
            code,
        )
    }
}

fn customer(row: &dyn Row) -> Result<CustomerRow, StoreError> {
    Ok(CustomerRow {
        id: column(row, 0)?,
        name: column(row, 1)?,
        tolerance: column(row, 2)?,
        revision: column(row, 3)?,
        settings_entry: column(row, 4)?,
        version: column(row, 5)?,
    })
}

fn operator(row: &dyn Row) -> Result<OperatorRow, StoreError> {
    Ok(OperatorRow {
        id: column(row, 0)?,
        name: column(row, 1)?,
        password_hash: column(row, 2)?,
        must_change: column(row, 3)?,
        version: column(row, 4)?,
    })
}

fn token(row: &dyn Row) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: column(row, 0)?,
        secret_hash: column(row, 1)?,
        holder: column(row, 2)?,
        scopes: column(row, 3)?,
        created: column(row, 4)?,
        expires: optional(row, 5)?,
        revoked: column(row, 6)?,
    })
}

fn session(row: &dyn Row) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: column(row, 0)?,
        secret_hash: column(row, 1)?,
        operator: column(row, 2)?,
        created: column(row, 3)?,
        last_used: column(row, 4)?,
        expires: column(row, 5)?,
    })
}

fn code(row: &dyn Row) -> Result<CodeRow, StoreError> {
    Ok(CodeRow {
        id: column(row, 0)?,
        secret_hash: column(row, 1)?,
        kind: column(row, 2)?,
        customer: column(row, 3)?,
        name: column(row, 4)?,
        expires: column(row, 5)?,
        used: column(row, 6)?,
    })
}
