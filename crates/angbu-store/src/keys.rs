//! Tokens of one-time keys, how tries have left them, recovery codes, customers' policies, and what is kept of tries without a
//! token.
//!
//! What they mean is decided elsewhere. A token is found by its person's login id; its secret stands sealed. How it stands
//! changes under the version that was read: whoever loses that race judges again.

mod strangers;
mod unjudged;

use angbu_units::{CustomerId, EntryId, KeyTokenId, Nanos, SubjectId, UnixTime};
use zeroize::Zeroizing;

use crate::seal::Purpose;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

pub use strangers::StrangerStanding;
pub use unjudged::UnjudgedRow;

/// What seals login id, phone and secret.
const PERSONAL: Purpose = Purpose::Personal;
const TABLE: &str = "keys_tokens";
/// What a person's login id is hashed as, in the table of people.
const LOGIN: &str = "accounts_people.login";

/// What stands for when a token was taken back while it was not: of one holder there is one such row.
const LIVE: UnixTime = UnixTime::from_nanos(0);

/// The most tokens, or counts, that one question lists.
pub const KEYS_AT_ONCE: u64 = 1_000;

/// A token of one-time keys. No `Debug`: it holds the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyTokenRow {
    /// Its random id.
    pub id: KeyTokenId,
    /// The customer whose policy holds; [`CustomerId::SITE`] for staff of the site.
    pub customer: CustomerId,
    /// Whose it is.
    pub subject: SubjectId,
    /// What its keys are made from.
    pub made_of: KeyMaterial,
    /// What moves its keys on: `time`, `time-event` or `counter`, as its makers wrote it.
    pub motion: String,
    /// Seconds; zero for a counter.
    pub cycle: u64,
    /// The hash, as its makers wrote it.
    pub algorithm: String,
    /// How many digits.
    pub digits: u64,
    /// How often the holder was given a new one, from 1.
    pub generation: u64,
    /// When it was made.
    pub made: UnixTime,
    /// The newest `keys.token` entry about it.
    pub entry: EntryId,
    /// When it was taken back, for good.
    pub revoked: Option<UnixTime>,
    /// What tries have made of it.
    pub standing: KeyStanding,
    /// How often a used key was shown again.
    pub replays: u64,
    /// When last.
    pub replayed: Option<UnixTime>,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

/// What a token's keys are made from; kept sealed. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyMaterial {
    /// The word for how: `derived` or `secret`, as its makers wrote it.
    pub material: String,
    /// The login id that keys are derived from, and apps show.
    pub login_id: String,
    /// The phone number's digits with the country code; empty where the token has none.
    pub phone: String,
    /// The person's random bytes, or the secret.
    pub secret: Zeroizing<Vec<u8>>,
}

/// What tries have made of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyStanding {
    /// Step and event, or counter, of the newest key that was accepted.
    pub last: Option<(u64, u64)>,
    /// When it was accepted.
    pub last_used: Option<UnixTime>,
    /// What the token's clock is ahead.
    pub drift: Nanos,
    /// Failures in a row.
    pub failures: u64,
    /// No try is judged before then.
    pub locked_until: Option<UnixTime>,
    /// No try is judged until somebody unlocks it.
    pub disabled: bool,
}

/// A customer's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicyRow {
    /// Whose.
    pub customer: CustomerId,
    /// How long ago a key may have been shown.
    pub back: Nanos,
    /// How far ahead a token's clock may be.
    pub ahead: Nanos,
    /// Whether cycles over 30 s are allowed.
    pub long_cycles: bool,
    /// Whether keys are judged while the clock is unproven, and marked.
    pub mark_unproven: bool,
    /// Failures until the first wait.
    pub lock_after: u64,
    /// The first wait.
    pub lock_first: Nanos,
    /// The longest.
    pub lock_longest: Nanos,
    /// Failures until the token is disabled.
    pub disable_at: u64,
    /// The newest `keys.policy` entry.
    pub entry: EntryId,
    /// How often the row was changed, from 1; zero before it is there.
    pub version: u64,
}

macro_rules! token_sql {
    ($rest:literal) => {
        concat!(
            "SELECT t.token_id, t.customer_id, t.holder_kind, t.holder_id, t.sealed, t.material, t.motion, t.cycle, \
             t.algorithm, t.digits, t.generation, t.made, t.entry_id, t.revoked, t.last_step, t.last_event, t.last_used, \
             t.drift, t.failures, t.locked_until, t.disabled, t.replays, t.replayed, t.version FROM keys_tokens AS t ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// The token with this id, whether or not it was taken back.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn key_token(&self, id: KeyTokenId) -> Result<Option<KeyTokenRow>, StoreError> {
        self.sql.first(token_sql!("WHERE t.token_id = ?1"), values![id], |row| self.key_token_row(row))
    }

    /// The token that somebody has now.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn key_token_of(&self, subject: SubjectId) -> Result<Option<KeyTokenRow>, StoreError> {
        self.sql.first(
            token_sql!("WHERE t.holder_id = ?1 AND t.revoked = 0"),
            values![subject.as_bytes()],
            |row| self.key_token_row(row),
        )
    }

    /// Whether somebody has a token that was not taken back.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn has_key_token(&self, subject: SubjectId) -> Result<bool, StoreError> {
        let found = self.sql.first(
            "SELECT 1 FROM keys_tokens WHERE holder_id = ?1 AND revoked = 0",
            values![subject.as_bytes()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// The token that a customer's person with this login key has now, unless the person is disabled.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn key_token_by_login(
        &self,
        customer: CustomerId,
        login_key: &str,
    ) -> Result<Option<KeyTokenRow>, StoreError> {
        let hash = self.blind(LOGIN, &[customer.as_bytes(), login_key.as_bytes()].concat())?;
        self.sql.first(
            token_sql!(
                "WHERE t.revoked = 0 AND t.holder_id = (
                     SELECT p.person_id FROM accounts_people AS p
                     WHERE p.customer_id = ?1 AND p.login_hash IN (?2, ?3) AND p.disabled = 0 LIMIT 1)"
            ),
            values![customer, hash.now, hash.before],
            |row| self.key_token_row(row),
        )
    }

    /// Everything that somebody had and has, the newest first; [`KEYS_AT_ONCE`] at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn key_tokens_of(&self, subject: SubjectId) -> Result<Vec<KeyTokenRow>, StoreError> {
        self.sql.all(
            token_sql!("WHERE t.holder_id = ?1 ORDER BY t.made DESC, t.token_id LIMIT ?2"),
            values![subject.as_bytes(), KEYS_AT_ONCE],
            |row| self.key_token_row(row),
        )
    }

    /// A customer's tokens behind an id, those that were taken back with them, in the order of their ids.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn key_tokens(
        &self,
        customer: CustomerId,
        after: KeyTokenId,
        limit: u64,
    ) -> Result<Vec<KeyTokenRow>, StoreError> {
        self.sql.all(
            token_sql!("WHERE t.customer_id = ?1 AND t.token_id > ?2 ORDER BY t.token_id LIMIT ?3"),
            values![customer, after, limit.min(KEYS_AT_ONCE)],
            |row| self.key_token_row(row),
        )
    }

    /// How many recovery codes of a token are not used.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn recovery_codes_left(&self, token: KeyTokenId) -> Result<u64, StoreError> {
        let left = self.sql.first(
            "SELECT COUNT(*) FROM keys_recovery_codes WHERE token_id = ?1 AND used IS NULL",
            values![token],
            |row| column(row, 0),
        )?;
        Ok(left.unwrap_or(0))
    }

    /// Whether a token has a recovery code with this hash that is not used.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn has_recovery_code(&self, token: KeyTokenId, hash: &[u8; 32]) -> Result<bool, StoreError> {
        let found = self.sql.first(
            "SELECT 1 FROM keys_recovery_codes WHERE token_id = ?1 AND code_hash = ?2 AND used IS NULL",
            values![token, hash],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// A customer's rules, where it has its own.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn key_policy(&self, customer: CustomerId) -> Result<Option<KeyPolicyRow>, StoreError> {
        self.sql.first(
            "SELECT back, ahead, long_cycles, while_unproven, lock_after, lock_first, lock_longest, disable_at, entry_id,
                    version
             FROM keys_policies WHERE customer_id = ?1",
            values![customer],
            |row| {
                Ok(KeyPolicyRow {
                    customer,
                    back: column(row, 0)?,
                    ahead: column(row, 1)?,
                    long_cycles: column(row, 2)?,
                    mark_unproven: column::<String>(row, 3)? == "mark",
                    lock_after: column(row, 4)?,
                    lock_first: column(row, 5)?,
                    lock_longest: column(row, 6)?,
                    disable_at: column(row, 7)?,
                    entry: column(row, 8)?,
                    version: column(row, 9)?,
                })
            },
        )
    }

    fn key_token_row(&self, row: &dyn Row) -> Result<KeyTokenRow, StoreError> {
        let id: KeyTokenId = column(row, 0)?;
        let kind: String = column(row, 2)?;
        let subject = SubjectId::of_kind(&kind, column(row, 3)?)
            .ok_or_else(|| StoreError::corrupt(format!("'{kind}' holds no token")))?;
        let sealed = self.open_sealed(TABLE, id.as_bytes(), &column::<Vec<u8>>(row, 4)?)?;
        let last = optional::<u64>(row, 14)?.zip(optional::<u64>(row, 15)?);
        Ok(KeyTokenRow {
            id,
            customer: column(row, 1)?,
            subject,
            made_of: KeyMaterial::decode(column(row, 5)?, &sealed)?,
            motion: column(row, 6)?,
            cycle: column(row, 7)?,
            algorithm: column(row, 8)?,
            digits: column(row, 9)?,
            generation: column(row, 10)?,
            made: column(row, 11)?,
            entry: column(row, 12)?,
            revoked: Some(column(row, 13)?).filter(|at| *at != LIVE),
            standing: KeyStanding {
                last,
                last_used: optional(row, 16)?,
                drift: column(row, 17)?,
                failures: column(row, 18)?,
                locked_until: optional(row, 19)?,
                disabled: column(row, 20)?,
            },
            replays: column(row, 21)?,
            replayed: optional(row, 22)?,
            version: column(row, 23)?,
        })
    }
}

impl Tx<'_> {
    /// Inserts a token, whatever it is made of.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its holder has one that was not taken back.
    pub fn insert_key_token(&mut self, token: &KeyTokenRow) -> Result<(), StoreError> {
        let sealed = self.seal(PERSONAL, TABLE, token.id.as_bytes(), &token.made_of.encode()?)?;
        let standing = &token.standing;
        self.sql.execute(
            "INSERT INTO keys_tokens (token_id, customer_id, holder_kind, holder_id, sealed, material, motion, cycle,
                 algorithm, digits, generation, made, entry_id, revoked, last_step, last_event, last_used, drift, failures,
                 locked_until, disabled, replays, replayed, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
                 ?23, ?24)",
            values![
                token.id,
                token.customer,
                token.subject.kind(),
                token.subject.as_bytes(),
                sealed,
                token.made_of.material,
                token.motion,
                token.cycle,
                token.algorithm,
                token.digits,
                token.generation,
                token.made,
                token.entry,
                token.revoked.unwrap_or(LIVE),
                standing.last.map(|(step, _)| step),
                standing.last.map(|(_, event)| event),
                standing.last_used,
                standing.drift,
                standing.failures,
                standing.locked_until,
                standing.disabled,
                token.replays,
                token.replayed,
                token.version
            ],
        )?;
        Ok(())
    }

    /// Replaces how a token that is not taken back stands if the row still has the version of `token`, which then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else's try came in between, or the token was changed.
    pub fn update_key_standing(
        &mut self,
        token: &KeyTokenRow,
        standing: &KeyStanding,
    ) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE keys_tokens
             SET last_step = ?4, last_event = ?5, last_used = ?6, drift = ?7, failures = ?8, locked_until = ?9,
                 disabled = ?10, version = version + 1
             WHERE holder_id = ?1 AND revoked = 0 AND token_id = ?2 AND version = ?3",
            values![
                token.subject.as_bytes(),
                token.id,
                token.version,
                standing.last.map(|(step, _)| step),
                standing.last.map(|(_, event)| event),
                standing.last_used,
                standing.drift,
                standing.failures,
                standing.locked_until,
                standing.disabled
            ],
            StoreError::Conflict { what: "the token" },
        )
    }

    /// Replaces what a token is made of, its generation, its entry, how it stands and whether it was taken back, if the row
    /// still has `token.version`, which then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile.
    pub fn update_key_token(&mut self, token: &KeyTokenRow) -> Result<(), StoreError> {
        let sealed = self.seal(PERSONAL, TABLE, token.id.as_bytes(), &token.made_of.encode()?)?;
        self.update_key_standing(token, &token.standing)?;
        self.sql.execute(
            "UPDATE keys_tokens
             SET sealed = ?2, material = ?3, algorithm = ?4, digits = ?5, generation = ?6, entry_id = ?7, revoked = ?8
             WHERE token_id = ?1",
            values![
                token.id,
                sealed,
                token.made_of.material,
                token.algorithm,
                token.digits,
                token.generation,
                token.entry,
                token.revoked.unwrap_or(LIVE)
            ],
        )?;
        Ok(())
    }

    /// Notes that a used key was shown again. It takes no part in the race for the version: how the token stands stays.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn note_key_replay(&mut self, token: KeyTokenId, at: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE keys_tokens SET replays = replays + 1, replayed = ?2 WHERE token_id = ?1",
            values![token, at],
        )?;
        Ok(())
    }

    /// Takes every token of somebody away with its recovery codes, as when they are erased.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn delete_key_tokens_of(&mut self, subject: SubjectId) -> Result<(), StoreError> {
        self.sql.execute(
            "DELETE FROM keys_recovery_codes
             WHERE token_id IN (SELECT token_id FROM keys_tokens WHERE holder_id = ?1)",
            values![subject.as_bytes()],
        )?;
        self.sql.execute("DELETE FROM keys_tokens WHERE holder_id = ?1", values![subject.as_bytes()])?;
        Ok(())
    }

    /// Gives a token these recovery codes, of which only hashes are kept, in place of all that it had.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn replace_recovery_codes(
        &mut self,
        token: KeyTokenId,
        hashes: &[[u8; 32]],
    ) -> Result<(), StoreError> {
        self.sql.execute("DELETE FROM keys_recovery_codes WHERE token_id = ?1", values![token])?;
        for hash in hashes {
            self.sql.execute(
                "INSERT INTO keys_recovery_codes (token_id, code_hash, used) VALUES (?1, ?2, NULL)",
                values![token, hash],
            )?;
        }
        Ok(())
    }

    /// Uses a recovery code.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not there, or was used.
    pub fn use_recovery_code(
        &mut self,
        token: KeyTokenId,
        hash: &[u8; 32],
        at: UnixTime,
    ) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE keys_recovery_codes SET used = ?3 WHERE token_id = ?1 AND code_hash = ?2 AND used IS NULL",
            values![token, hash, at],
            StoreError::Conflict { what: "the recovery code" },
        )
    }

    /// Sets a customer's rules if they still have the version that was read, which then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when they were changed meanwhile.
    pub fn put_key_policy(&mut self, policy: &KeyPolicyRow) -> Result<(), StoreError> {
        self.sql.execute_one(
            "INSERT INTO keys_policies (customer_id, back, ahead, long_cycles, while_unproven, lock_after, lock_first,
                 lock_longest, disable_at, entry_id, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?12)
             ON CONFLICT (customer_id) DO UPDATE
             SET back = ?2, ahead = ?3, long_cycles = ?4, while_unproven = ?5, lock_after = ?6, lock_first = ?7,
                 lock_longest = ?8, disable_at = ?9, entry_id = ?10, version = keys_policies.version + 1
             WHERE keys_policies.version = ?11",
            values![
                policy.customer,
                policy.back,
                policy.ahead,
                policy.long_cycles,
                if policy.mark_unproven { "mark" } else { "refuse" },
                policy.lock_after,
                policy.lock_first,
                policy.lock_longest,
                policy.disable_at,
                policy.entry,
                policy.version,
                policy.version.saturating_add(1)
            ],
            StoreError::Conflict { what: "the policy" },
        )
    }
}

impl KeyMaterial {
    /// Login id and phone, each with its length before it (2 bytes, big-endian), and then the secret.
    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(128 + self.secret.len()));
        for text in [&self.login_id, &self.phone] {
            let length = u16::try_from(text.len())
                .map_err(|_| StoreError::Unfit { what: "a login id is longer than 64 KiB".to_owned() })?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.secret);
        Ok(bytes)
    }

    fn decode(material: String, bytes: &[u8]) -> Result<Self, StoreError> {
        let (login_id, rest) = text(bytes)?;
        let (phone, secret) = text(rest)?;
        Ok(Self { material, login_id, phone, secret: Zeroizing::new(secret.to_vec()) })
    }
}

fn text(bytes: &[u8]) -> Result<(String, &[u8]), StoreError> {
    let wrong = || StoreError::corrupt("what a token is made of cannot be read");
    let (length, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(wrong)?;
    Ok((std::str::from_utf8(text).map_err(|_| wrong())?.to_owned(), rest))
}
