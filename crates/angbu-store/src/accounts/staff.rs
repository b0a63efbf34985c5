//! Staff, and the browsers that they are signed in with.

use angbu_units::{CustomerId, SessionId, StaffId, UnixTime};

use super::MOST_LISTED;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// Somebody who signs in to the console.
#[derive(Clone, PartialEq, Eq)]
pub struct StaffRow {
    /// The member's id.
    pub id: StaffId,
    /// The name to sign in with, unique in the site.
    pub name: String,
    /// What the member may do, as its makers wrote it.
    pub role: String,
    /// For which customer; [`CustomerId::SITE`] for the whole site.
    pub customer: CustomerId,
    /// The password's Argon2id hash in PHC form.
    pub password_hash: String,
    /// When the password ends, if it does: a one-time password does.
    pub password_expires: Option<UnixTime>,
    /// Whether the password must be changed at the next sign-in.
    pub must_change: bool,
    /// The language that the member is written to in, as its makers wrote it.
    pub language: String,
    /// Whether the member may no longer sign in.
    pub disabled: bool,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

/// A signed-in browser, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The session's id, which may be shown.
    pub id: SessionId,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// Who signed in.
    pub staff: StaffId,
    /// When.
    pub created: UnixTime,
    /// When it was last used, as far as that was noted.
    pub last_used: UnixTime,
    /// When it ends.
    pub expires: UnixTime,
}

impl Snapshot<'_> {
    /// The member of the staff with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn staff_member(&self, id: StaffId) -> Result<Option<StaffRow>, StoreError> {
        self.sql.first(
            "SELECT staff_id, name, role, customer_id, password_hash, password_expires, must_change, language,
                    disabled, version
             FROM accounts_staff WHERE staff_id = ?1",
            values![id],
            member,
        )
    }

    /// The member of the staff with this name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn staff_named(&self, name: &str) -> Result<Option<StaffRow>, StoreError> {
        self.sql.first(
            "SELECT staff_id, name, role, customer_id, password_hash, password_expires, must_change, language,
                    disabled, version
             FROM accounts_staff WHERE name = ?1",
            values![name],
            member,
        )
    }

    /// The staff of the whole site, by name, [`MOST_LISTED`] of them at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn staff(&self) -> Result<Vec<StaffRow>, StoreError> {
        self.sql.all(
            "SELECT staff_id, name, role, customer_id, password_hash, password_expires, must_change, language,
                    disabled, version
             FROM accounts_staff ORDER BY name LIMIT ?1",
            values![MOST_LISTED],
            member,
        )
    }

    /// The staff of one customer, by name, [`MOST_LISTED`] of them at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn staff_of(&self, customer: CustomerId) -> Result<Vec<StaffRow>, StoreError> {
        self.sql.all(
            "SELECT staff_id, name, role, customer_id, password_hash, password_expires, must_change, language,
                    disabled, version
             FROM accounts_staff WHERE customer_id = ?1 ORDER BY name LIMIT ?2",
            values![customer, MOST_LISTED],
            member,
        )
    }

    /// The session whose secret has this hash, whether or not it is still good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn session_by_secret(&self, secret_hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        self.sql.first(
            "SELECT session_id, secret_hash, staff_id, created, last_used, expires
             FROM accounts_sessions WHERE secret_hash = ?1",
            values![secret_hash],
            session,
        )
    }
}

impl Tx<'_> {
    /// How many members of the staff beside `but` have a role and can sign in with a password of their own. Until this
    /// transaction ends no other one changes that number: their rows are locked, so that of two who each want to take
    /// the other away, one sees what the other did.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn count_others_for_good(&mut self, role: &str, but: StaffId) -> Result<u64, StoreError> {
        self.sql.execute("UPDATE accounts_staff SET role = role WHERE role = ?1", values![role])?;
        let count = self.sql.first(
            "SELECT COUNT(*) FROM accounts_staff
             WHERE role = ?1 AND disabled = 0 AND must_change = 0 AND staff_id <> ?2",
            values![role, but],
            |row| column(row, 0),
        )?;
        Ok(count.unwrap_or(0))
    }

    /// Inserts a member of the staff.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the name or the id is another member's.
    pub fn insert_staff(&mut self, member: &StaffRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_staff (staff_id, name, role, customer_id, password_hash, password_expires,
                                         must_change, language, disabled, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            values![
                member.id,
                member.name,
                member.role,
                member.customer,
                member.password_hash,
                member.password_expires,
                member.must_change,
                member.language,
                member.disabled,
                member.version
            ],
        )?;
        Ok(())
    }

    /// Replaces everything about a member of the staff but id and name if the row still has `member.version`, which
    /// then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile.
    pub fn update_staff(&mut self, member: &StaffRow) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE accounts_staff
             SET role = ?2, customer_id = ?3, password_hash = ?4, password_expires = ?5, must_change = ?6,
                 language = ?7, disabled = ?8, version = version + 1
             WHERE staff_id = ?1 AND version = ?9",
            values![
                member.id,
                member.role,
                member.customer,
                member.password_hash,
                member.password_expires,
                member.must_change,
                member.language,
                member.disabled,
                member.version
            ],
            StoreError::Conflict { what: "the member of the staff" },
        )
    }

    /// Inserts a session.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id or secret is there already.
    pub fn insert_session(&mut self, session: &SessionRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO accounts_sessions (session_id, secret_hash, staff_id, created, last_used, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![
                session.id,
                session.secret_hash,
                session.staff,
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

    /// Ends all sessions of a member of the staff but one, as after a change of password, and says how many ended.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn delete_other_sessions(
        &mut self,
        staff: StaffId,
        kept: Option<SessionId>,
    ) -> Result<u64, StoreError> {
        let none = SessionId::from_bytes([0; 16]);
        self.sql.execute(
            "DELETE FROM accounts_sessions WHERE staff_id = ?1 AND session_id <> ?2",
            values![staff, kept.unwrap_or(none)],
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
}

fn member(row: &dyn Row) -> Result<StaffRow, StoreError> {
    Ok(StaffRow {
        id: column(row, 0)?,
        name: column(row, 1)?,
        role: column(row, 2)?,
        customer: column(row, 3)?,
        password_hash: column(row, 4)?,
        password_expires: optional(row, 5)?,
        must_change: column(row, 6)?,
        language: column(row, 7)?,
        disabled: column(row, 8)?,
        version: column(row, 9)?,
    })
}

fn session(row: &dyn Row) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: column(row, 0)?,
        secret_hash: column(row, 1)?,
        staff: column(row, 2)?,
        created: column(row, 3)?,
        last_used: column(row, 4)?,
        expires: column(row, 5)?,
    })
}
