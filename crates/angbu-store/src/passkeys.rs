//! Passkeys, and the questions that wait for an answer by one. What browsers and authenticators said stands sealed; a
//! passkey is found by a keyed hash of its credential id.

use angbu_units::{CustomerId, EntryId, PasskeyId, SubjectId, UnixTime};

use crate::seal::Purpose;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

const TABLE: &str = "passkeys";
const CREDENTIAL: &str = "passkeys.credential";

/// The most passkeys of one holder that are listed. Nobody is let to register as many.
pub const MOST_OF_ONE: u64 = 100;

/// A passkey.
#[derive(Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The passkey's random id, which stands in log entries.
    pub id: PasskeyId,
    /// Whose it is.
    pub holder: SubjectId,
    /// Of which customer the holder is; [`CustomerId::SITE`] for the site's own staff.
    pub customer: CustomerId,
    /// By which authenticators find it.
    pub credential_id: Vec<u8>,
    /// The COSE key that its signatures are checked with.
    pub public_key: Vec<u8>,
    /// What its holder calls it.
    pub label: String,
    /// What its authenticator last counted.
    pub counter: u32,
    /// Whether it may be kept in several places.
    pub synced: bool,
    /// When it was registered.
    pub created: UnixTime,
    /// When somebody last signed in with it.
    pub last_used: Option<UnixTime>,
    /// When its counter last went back, as where there are two of it.
    pub doubted: Option<UnixTime>,
    /// When it was taken back, if it was.
    pub revoked: Option<UnixTime>,
    /// The newest entry about it.
    pub entry: EntryId,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

/// What an open question is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// That somebody registers a passkey; whoever it is.
    Registration([u8; 16]),
    /// That somebody signs in, for the request with these bytes.
    SignIn([u8; 16]),
}

impl Asked {
    const fn stored(&self) -> (u64, &[u8; 16]) {
        match self {
            Self::Registration(holder) => (0, holder),
            Self::SignIn(request) => (1, request),
        }
    }
}

impl Snapshot<'_> {
    /// The passkey with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn passkey(&self, id: PasskeyId) -> Result<Option<PasskeyRow>, StoreError> {
        self.sql.first(
            "SELECT passkey_id, holder_kind, holder_id, customer_id, sealed, counter, synced, created, last_used, doubted,
                    revoked, entry_id, version
             FROM passkeys WHERE passkey_id = ?1",
            values![id],
            |row| passkey(row, self),
        )
    }

    /// The passkey with this credential id, whether or not it is still good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn passkey_by_credential(&self, credential_id: &[u8]) -> Result<Option<PasskeyRow>, StoreError> {
        let hash = self.blind(CREDENTIAL, credential_id)?;
        self.sql.first(
            "SELECT passkey_id, holder_kind, holder_id, customer_id, sealed, counter, synced, created, last_used, doubted,
                    revoked, entry_id, version
             FROM passkeys WHERE credential_hash IN (?1, ?2)",
            values![hash.now, hash.before],
            |row| passkey(row, self),
        )
    }

    /// A holder's passkeys in the order in which they were registered, those that were taken back too,
    /// [`MOST_OF_ONE`] of them at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn passkeys_of(&self, holder: SubjectId) -> Result<Vec<PasskeyRow>, StoreError> {
        self.sql.all(
            "SELECT passkey_id, holder_kind, holder_id, customer_id, sealed, counter, synced, created, last_used, doubted,
                    revoked, entry_id, version
             FROM passkeys WHERE holder_kind = ?1 AND holder_id = ?2 ORDER BY created, passkey_id LIMIT ?3",
            values![holder.kind(), holder.as_bytes(), MOST_OF_ONE],
            |row| passkey(row, self),
        )
    }

    /// Whether a holder has a passkey that is good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn has_passkey(&self, holder: SubjectId) -> Result<bool, StoreError> {
        let found = self.sql.first(
            "SELECT 1 FROM passkeys WHERE holder_kind = ?1 AND holder_id = ?2 AND revoked IS NULL LIMIT 1",
            values![holder.kind(), holder.as_bytes()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Everybody's passkeys behind an id in the order of their ids, for going over all of them.
    pub(crate) fn passkeys_behind(
        &self,
        after: PasskeyId,
        limit: u64,
    ) -> Result<Vec<PasskeyRow>, StoreError> {
        self.sql.all(
            "SELECT passkey_id, holder_kind, holder_id, customer_id, sealed, counter, synced, created, last_used, doubted,
                    revoked, entry_id, version
             FROM passkeys WHERE passkey_id > ?1 ORDER BY passkey_id LIMIT ?2",
            values![after, limit],
            |row| passkey(row, self),
        )
    }
}

impl Tx<'_> {
    /// Inserts a passkey.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when there is one with this credential id, whosoever it is.
    pub fn insert_passkey(&mut self, passkey: &PasskeyRow) -> Result<(), StoreError> {
        // While the key of the hashes is replaced, the column's own uniqueness holds among new rows only.
        if self.passkey_by_credential(&passkey.credential_id)?.is_some() {
            return Err(StoreError::Taken { what: "the passkey" });
        }
        self.sql.execute(
            "INSERT INTO passkeys (passkey_id, holder_kind, holder_id, customer_id, credential_hash, sealed, counter,
                                   synced, created, last_used, doubted, revoked, entry_id, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            values![
                passkey.id,
                passkey.holder.kind(),
                passkey.holder.as_bytes(),
                passkey.customer,
                self.blind(CREDENTIAL, &passkey.credential_id)?.now,
                self.seal(Purpose::Personal, TABLE, passkey.id.as_bytes(), &sealed(passkey)?)?,
                u64::from(passkey.counter),
                passkey.synced,
                passkey.created,
                passkey.last_used,
                passkey.doubted,
                passkey.revoked,
                passkey.entry,
                passkey.version
            ],
        )?;
        Ok(())
    }

    /// Notes what changes of a passkey (counter, last use, doubt, end, newest entry) if the row still has `passkey.version`,
    /// which then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile.
    pub fn update_passkey(&mut self, passkey: &PasskeyRow) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE passkeys SET counter = ?2, last_used = ?3, doubted = ?4, revoked = ?5, entry_id = ?6, version = version + 1
             WHERE passkey_id = ?1 AND version = ?7",
            values![
                passkey.id,
                u64::from(passkey.counter),
                passkey.last_used,
                passkey.doubted,
                passkey.revoked,
                passkey.entry,
                passkey.version
            ],
            StoreError::Conflict { what: "the passkey" },
        )
    }

    /// Deletes all passkeys of somebody who was erased.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn delete_passkeys_of(&mut self, holder: SubjectId) -> Result<u64, StoreError> {
        self.sql.execute(
            "DELETE FROM passkeys WHERE holder_kind = ?1 AND holder_id = ?2",
            values![holder.kind(), holder.as_bytes()],
        )
    }

    /// Hashes anew what a passkey is found by, unless it was deleted since it was read.
    pub(crate) fn hash_passkey_anew(&self, passkey: &PasskeyRow) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE passkeys SET credential_hash = ?2 WHERE passkey_id = ?1",
            values![passkey.id, self.blind(CREDENTIAL, &passkey.credential_id)?.now],
        )?;
        Ok(())
    }

    /// Notes a question, and forgets those that were to be answered before `now`, and the one that was asked for the same:
    /// however often somebody asks, one waits.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the challenge was given before.
    pub fn ask_for_passkey(
        &mut self,
        challenge: &[u8; 32],
        asked: Asked,
        now: UnixTime,
        expires: UnixTime,
    ) -> Result<(), StoreError> {
        let (purpose, asked_for) = asked.stored();
        self.sql.execute(
            "DELETE FROM passkeys_ceremonies WHERE expires <= ?1 OR (purpose = ?2 AND asked_for = ?3)",
            values![now, purpose, asked_for],
        )?;
        self.sql.execute(
            "INSERT INTO passkeys_ceremonies (challenge, purpose, asked_for, expires) VALUES (?1, ?2, ?3, ?4)",
            values![challenge, purpose, asked_for, expires],
        )?;
        Ok(())
    }

    /// Takes a question, which then is answered, and says whether it was open: of many who answer it, one is told so.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn take_passkey_question(
        &mut self,
        challenge: &[u8; 32],
        asked: Asked,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let (purpose, asked_for) = asked.stored();
        let taken = self.sql.execute(
            "DELETE FROM passkeys_ceremonies
             WHERE challenge = ?1 AND purpose = ?2 AND asked_for = ?3 AND expires > ?4",
            values![challenge, purpose, asked_for, now],
        )?;
        Ok(taken == 1)
    }
}

/// Credential id and public key with their lengths (2 bytes each, big-endian) before them, then the label.
fn sealed(passkey: &PasskeyRow) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for part in [&passkey.credential_id, &passkey.public_key] {
        let length = u16::try_from(part.len()).map_err(|_| StoreError::Unfit {
            what: "a part of a passkey is longer than 64 KiB".to_owned(),
        })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes.extend_from_slice(passkey.label.as_bytes());
    Ok(bytes)
}

/// Reads what [`sealed`] wrote.
fn opened(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>, String), StoreError> {
    let wrong = || StoreError::corrupt("what is kept of a passkey cannot be read");
    let part = |bytes: &[u8]| {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (part, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(wrong)?;
        Ok::<_, StoreError>((part.to_vec(), rest.to_vec()))
    };
    let (credential_id, rest) = part(bytes)?;
    let (public_key, label) = part(&rest)?;
    Ok((credential_id, public_key, String::from_utf8(label).map_err(|_| wrong())?))
}

fn passkey(row: &dyn Row, snapshot: &Snapshot<'_>) -> Result<PasskeyRow, StoreError> {
    let id: PasskeyId = column(row, 0)?;
    let kind: String = column(row, 1)?;
    let holder = SubjectId::of_kind(&kind, column(row, 2)?)
        .ok_or_else(|| StoreError::corrupt("a passkey is held by nothing that holds one"))?;
    let (credential_id, public_key, label) =
        opened(&snapshot.open_sealed(TABLE, id.as_bytes(), &column::<Vec<u8>>(row, 4)?)?)?;
    Ok(PasskeyRow {
        id,
        holder,
        customer: column(row, 3)?,
        credential_id,
        public_key,
        label,
        counter: u32::try_from(column::<u64>(row, 5)?)
            .map_err(|_| StoreError::corrupt("a passkey's counter has more than 32 bits"))?,
        synced: column(row, 6)?,
        created: column(row, 7)?,
        last_used: optional(row, 8)?,
        doubted: optional(row, 9)?,
        revoked: optional(row, 10)?,
        entry: column(row, 11)?,
        version: column(row, 12)?,
    })
}
