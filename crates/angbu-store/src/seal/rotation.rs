//! Replacing a key while everybody works on.
//!
//! A new key is made beside the old one, which from then on is retired: it still opens what it sealed, and seals nothing new.
//! What it sealed is sealed anew in the background (see [`super::reseal`]), and then it is deleted. Keys that sign have
//! no such remains: the old promise key and the old Roughtime key end at once; the old log key signs beside the new one until it is retired, so
//! that whoever trusts the one learns the other.

use std::sync::Arc;

use angbu_evidence::note::{Ed25519Signer, KeyError, Signer, VerifierKey};
use angbu_units::UnixTime;
use zeroize::Zeroizing;

use super::{Keyring, Purpose, SigningKey};
use crate::sequencer::LogSigners;
use crate::sql::{column, optional, values};
use crate::{Snapshot, Store, StoreError, Tx};

/// Waits for every transaction that has read which keys there are, as each does first of all (see
/// [`super::Keyring::refresh`]), and lets none begin until the keys are replaced.
const ALONE: &str = "LOCK TABLE site_keys IN ACCESS EXCLUSIVE MODE";

/// A key of the site, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its number.
    pub id: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was made.
    pub created: UnixTime,
    /// Since when nothing new is sealed or signed with it.
    pub retired: Option<UnixTime>,
    /// How many of the values that it sealed are sealed anew.
    pub resealed: u64,
    /// The public half of a key that signs.
    pub public_key: Option<[u8; 32]>,
}

/// A key that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewKey {
    /// Its number.
    pub id: u32,
    /// The public half of a key that signs.
    pub public_key: Option<[u8; 32]>,
}

impl Snapshot<'_> {
    /// The site's keys, the oldest first: those in use, those that are being replaced, and the public halves of those
    /// that once signed.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn site_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.sql.all(
            "SELECT key_id, purpose, created, retired, resealed, public_key FROM site_keys ORDER BY key_id",
            values![],
            |row| {
                let (id, word) = (column::<i64>(row, 0)?, column::<String>(row, 1)?);
                let id = u32::try_from(id).ok().zip(Purpose::from_word(&word));
                let (id, purpose) =
                    id.ok_or_else(|| StoreError::corrupt(format!("there is no key for '{word}'")))?;
                Ok(KeyRow {
                    id,
                    purpose,
                    created: column(row, 2)?,
                    retired: optional(row, 3)?,
                    resealed: column(row, 4)?,
                    public_key: optional(row, 5)?,
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Makes a purpose's next key. The caller appends the `evidence.key` entry in the same transaction.
    ///
    /// Every transaction that begins after this one's commit seals under the new key, in every centre; a transaction that
    /// began before has ended before.
    ///
    /// # Errors
    /// [`StoreError::UnderWay`] while the key before is not gone yet.
    pub fn rotate(&mut self, purpose: Purpose, now: UnixTime) -> Result<NewKey, StoreError> {
        self.sql.exclude_others(ALONE)?;
        let of_purpose: Vec<KeyRow> =
            self.site_keys()?.into_iter().filter(|key| key.purpose == purpose).collect();
        let is_under_way = match purpose {
            Purpose::Log => of_purpose.iter().filter(|key| key.retired.is_none()).count() > 1,
            Purpose::Promise | Purpose::Roughtime => false,
            _ => of_purpose.len() > 1,
        };
        if is_under_way {
            return Err(StoreError::UnderWay { what: purpose.key() });
        }
        match purpose {
            Purpose::Log => {}
            Purpose::Promise | Purpose::Roughtime => self.end_signing(purpose, i64::MAX, now)?,
            _ => {
                self.sql.execute(
                    "UPDATE site_keys SET retired = ?2 WHERE purpose = ?1 AND retired IS NULL",
                    values![purpose.word(), now],
                )?;
            }
        }
        let (id, public_key) = self.keys.make(self.sql, purpose, now)?;
        Ok(NewKey { id, public_key })
    }

    /// Ends the older of two keys that sign checkpoints side by side: its secret is wiped, its public half kept. The caller
    /// appends the `evidence.key` entry in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the log has one key only.
    pub fn retire_log_key(&mut self, now: UnixTime) -> Result<KeyRow, StoreError> {
        self.sql.exclude_others(ALONE)?;
        let mut signing = self.site_keys()?;
        signing.retain(|key| key.purpose == Purpose::Log && key.retired.is_none());
        let [older, newer, ..] = signing.as_slice() else {
            return Err(StoreError::NotFound { what: "older key of the log that still signs" });
        };
        self.end_signing(Purpose::Log, i64::from(newer.id), now)?;
        Ok(KeyRow { retired: Some(now), ..older.clone() })
    }

    /// Wipes the secrets of a purpose's signing keys below an id.
    fn end_signing(&mut self, purpose: Purpose, below: i64, now: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE site_keys SET retired = ?3, wrapped = ?4 WHERE purpose = ?1 AND key_id < ?2 AND retired IS NULL",
            values![purpose.word(), below, now, Vec::<u8>::new()],
        )?;
        Ok(())
    }
}

impl Store {
    /// The signers of one of the site's keys, the newest first, under the name that their signatures carry: the log's
    /// origin for [`SigningKey::Log`], [`angbu_evidence::Promise::key_name`] of it for [`SigningKey::Promise`], any name for
    /// [`SigningKey::Roughtime`], whose signatures carry none. There are
    /// two while the log's key is being replaced: both sign every checkpoint.
    ///
    /// They are those of the newest transaction that this store has begun.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] for a name that no key can have.
    pub fn signers(&self, key: SigningKey, name: &str) -> Result<Vec<Ed25519Signer>, StoreError> {
        signers(self.keys(), key, name)
    }

    /// The log's signers, for [`crate::Sequencer::start`]: a key that is replaced is replaced there at once.
    pub fn log_signers(&self, origin: &str) -> LogSigners {
        let (now, before) = (self.shared_keys(), self.shared_keys());
        let (origin, name) = (origin.to_owned(), origin.to_owned());
        let signers = move || {
            let signers = signers(&now, SigningKey::Log, &origin)?;
            Ok(signers.into_iter().map(|signer| Arc::new(signer) as Arc<dyn Signer>).collect())
        };
        LogSigners::new(signers).with_older(move || verifier_keys(&before, &name, true))
    }

    /// The keys that verify the log's newest checkpoints, the newest first; their name is its origin.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] for a name that no key can have.
    pub fn log_keys(&self, origin: &str) -> Result<Vec<VerifierKey>, StoreError> {
        verifier_keys(self.keys(), origin, false)
    }

    /// The newest of [`Store::signers`].
    ///
    /// # Errors
    /// [`StoreError::Unfit`] for a name that no key can have.
    pub fn signer(&self, key: SigningKey, name: &str) -> Result<Ed25519Signer, StoreError> {
        let newest = self.signers(key, name)?.into_iter().next();
        newest.ok_or_else(|| StoreError::corrupt("there is no key that signs"))
    }
}

fn signers(keys: &Keyring, key: SigningKey, name: &str) -> Result<Vec<Ed25519Signer>, StoreError> {
    let signer = |seed: &Zeroizing<[u8; 32]>| Ed25519Signer::new(name, seed).map_err(unfit);
    keys.seeds(key).iter().map(signer).collect()
}

fn verifier_keys(keys: &Keyring, name: &str, retired: bool) -> Result<Vec<VerifierKey>, StoreError> {
    let keys = keys.public_keys(SigningKey::Log, retired);
    keys.iter().map(|key| VerifierKey::new(name, key).map_err(unfit)).collect()
}

fn unfit(why: KeyError) -> StoreError {
    StoreError::Unfit { what: why.to_string() }
}
