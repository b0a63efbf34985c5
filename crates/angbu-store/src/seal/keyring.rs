//! The site's keys, unwrapped, and how a centre learns that they changed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use aes_gcm_siv::Aes256GcmSiv;
use aes_gcm_siv::aead::KeyInit;
use angbu_evidence::note::{Ed25519Signer, Signer as _};
use angbu_units::UnixTime;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KEY, Purpose, RootSecret, SigningKey, open, random_key, seal};
use crate::StoreError;
use crate::sql::{Connection, column, optional, values};

/// The site's keys. All threads of a store share one ring, and whoever notices that the database has other keys
/// puts the new ones in everybody's hands.
pub(crate) struct Keyring {
    root: RootSecret,
    keys: RwLock<Arc<Keys>>,
}

/// The keys as they stood in the database.
struct Keys {
    version: Version,
    // By key id, so that what an older key sealed still opens.
    by_id: BTreeMap<u32, Key>,
    // The oldest first; those that sign no more as well.
    public: Vec<Public>,
}

struct Public {
    purpose: Purpose,
    is_retired: bool,
    key: [u8; 32],
}

struct Key {
    purpose: Purpose,
    is_retired: bool,
    cipher: Aes256GcmSiv,
    secret: Zeroizing<[u8; KEY]>,
}

/// Which keys there are. Making a key raises the largest id, retiring one and deleting one change the counts.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Version {
    largest: i64,
    count: i64,
    retired: i64,
}

/// The keyed hashes of one value. They differ only while the index key is being replaced: what is written bears `now`,
/// what is looked up can still bear `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blind {
    pub(crate) now: [u8; 32],
    pub(crate) before: [u8; 32],
}

impl Keyring {
    /// Unwraps the keys that stand in the database, and makes those that are missing. The caller begins the
    /// transaction, and commits it.
    pub(crate) fn open(sql: &dyn Connection, root: RootSecret, now: UnixTime) -> Result<Self, StoreError> {
        let mut keys = Keys::load(sql, &root)?;
        for purpose in Purpose::ALL {
            while keys.current(purpose).is_none() {
                let id = keys.version.next_id()?;
                insert(sql, &root, id, purpose, now)?;
                // Another centre that starts at the same time may have been first; then its keys are there now.
                keys = Keys::load(sql, &root)?;
            }
        }
        Ok(Self { root, keys: RwLock::new(Arc::new(keys)) })
    }

    /// Looks whether the database has other keys. Every transaction begins with this, so that none of them seals
    /// anything under a key that was retired before it began.
    ///
    /// A rotation relies on it: in a database of several centres it waits for the transactions that have read
    /// `site_keys` and not ended yet, and whatever begins later sees the new key here.
    pub(crate) fn refresh(&self, sql: &dyn Connection) -> Result<(), StoreError> {
        if Version::read(sql)? != self.keys().version {
            self.put(Keys::load(sql, &self.root)?);
        }
        Ok(())
    }

    /// Makes a purpose's next key in the database. It comes into use with the first transaction that begins after this one
    /// was committed.
    pub(super) fn make(
        &self,
        sql: &dyn Connection,
        purpose: Purpose,
        now: UnixTime,
    ) -> Result<(u32, Option<[u8; 32]>), StoreError> {
        let id = Version::read(sql)?.next_id()?;
        Ok((id, insert(sql, &self.root, id, purpose, now)?))
    }

    /// Looks for keys that are newer than all that are known. A snapshot can be older than what is known already.
    pub(crate) fn learn(&self, sql: &dyn Connection) -> Result<(), StoreError> {
        let keys = Keys::load(sql, &self.root)?;
        if keys.version.largest > self.keys().version.largest {
            self.put(keys);
        }
        Ok(())
    }

    /// Whether there is a key with the id that stands before something sealed.
    pub(crate) fn knows(&self, sealed: &[u8]) -> bool {
        key_id(sealed).is_some_and(|id| self.keys().by_id.contains_key(&id))
    }

    /// Whether something was sealed under the key that seals now.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        let keys = self.keys();
        let key = key_id(sealed).and_then(|id| keys.by_id.get_key_value(&id));
        key.is_some_and(|(id, key)| keys.current(key.purpose).is_some_and(|(current, _)| current == *id))
    }

    /// The secret bytes of a purpose's signing keys that sign now, the newest first.
    pub(crate) fn seeds(&self, key: SigningKey) -> Vec<Zeroizing<[u8; KEY]>> {
        let keys = self.keys();
        let signing = keys.by_id.values().rev().filter(|found| found.purpose == key.purpose());
        signing.filter(|key| !key.is_retired).map(|key| key.secret.clone()).collect()
    }

    /// The public halves of a purpose's signing keys that sign now, or that do so no more; the newest first.
    pub(crate) fn public_keys(&self, key: SigningKey, retired: bool) -> Vec<[u8; 32]> {
        let keys = self.keys();
        let of_purpose = keys.public.iter().rev().filter(|found| found.purpose == key.purpose());
        of_purpose.filter(|found| found.is_retired == retired).map(|found| found.key).collect()
    }

    /// Seals a value that stands in one row of a table, and opens nowhere else.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        table: &'static str,
        row: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let keys = self.keys();
        let (id, key) = keys.current(purpose).ok_or_else(|| missing(purpose))?;
        let mut sealed = id.to_be_bytes().to_vec();
        sealed.extend_from_slice(&seal(&key.cipher, &row_name(table, row), plain)?);
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] sealed for the same row.
    pub(crate) fn open_sealed(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let keys = self.keys();
        let key = key_id(sealed).and_then(|id| keys.by_id.get(&id));
        let opened = key
            .zip(sealed.get(4..))
            .and_then(|(key, sealed)| open(&key.cipher, &row_name(table, row), sealed));
        opened.ok_or(StoreError::NotOurs { table })
    }

    /// Something sealed, under the key that seals now.
    pub(crate) fn resealed<'a>(
        &self,
        purpose: Purpose,
        table: &'static str,
        row: &[u8],
        sealed: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, StoreError> {
        if self.is_current(sealed) {
            return Ok(Cow::Borrowed(sealed));
        }
        if !self.knows(sealed) {
            // It waited for its turn for longer than it took to seal everything anew.
            return Err(StoreError::unavailable("the key that this was sealed under was replaced meanwhile"));
        }
        let plain = self.open_sealed(table, row, sealed)?;
        Ok(Cow::Owned(self.seal(purpose, table, row, &plain)?))
    }

    /// The keyed hashes by which a value of a column is found: HMAC-SHA-256 over the column's name, a zero and the value.
    pub(crate) fn blind(&self, column: &'static str, value: &[u8]) -> Result<Blind, StoreError> {
        let keys = self.keys();
        let mut newest_first = keys
            .by_id
            .values()
            .rev()
            .filter(|key| key.purpose == Purpose::Index)
            .map(|key| key.blind(column, value));
        let now = newest_first.next().ok_or_else(|| missing(Purpose::Index))?;
        Ok(Blind { now, before: newest_first.next().unwrap_or(now) })
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}

impl Keys {
    fn load(sql: &dyn Connection, root: &RootSecret) -> Result<Self, StoreError> {
        let rows = sql.all(
            "SELECT key_id, purpose, wrapped, retired, public_key FROM site_keys ORDER BY key_id",
            values![],
            |row| {
                let is_retired = optional::<UnixTime>(row, 3)?.is_some();
                Ok((
                    column::<i64>(row, 0)?,
                    column::<String>(row, 1)?,
                    column::<Vec<u8>>(row, 2)?,
                    is_retired,
                    optional::<[u8; 32]>(row, 4)?,
                ))
            },
        )?;
        let mut keys = Self { version: Version::default(), by_id: BTreeMap::new(), public: Vec::new() };
        for (id, word, wrapped, is_retired, public) in rows {
            keys.version.largest = id;
            keys.version.count += 1;
            keys.version.retired += i64::from(is_retired);
            let Some(purpose) = Purpose::from_word(&word) else {
                return Err(StoreError::corrupt(format!("key {id} is for '{word}', which nothing here is")));
            };
            let id = u32::try_from(id).map_err(|_| StoreError::corrupt(format!("there is no key {id}")))?;
            keys.public.extend(public.map(|key| Public { purpose, is_retired, key }));
            // Of a signing key that was retired, only the public half is kept.
            if wrapped.is_empty() && is_retired {
                continue;
            }
            let secret = unwrap(root, id, purpose, &wrapped)?;
            let cipher = Aes256GcmSiv::new((&*secret).into());
            keys.by_id.insert(id, Key { purpose, is_retired, cipher, secret });
        }
        Ok(keys)
    }

    /// The key that a purpose's new values are sealed, hashed or signed with.
    fn current(&self, purpose: Purpose) -> Option<(u32, &Key)> {
        let newest = self.by_id.iter().rev().find(|(_, key)| key.purpose == purpose && !key.is_retired);
        newest.map(|(id, key)| (*id, key))
    }
}

impl Key {
    fn blind(&self, column: &str, value: &[u8]) -> [u8; 32] {
        let mut hash = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&*self.secret)
            .expect("HMAC takes keys of any length");
        for part in [column.as_bytes(), &[0], value] {
            hash.update(part);
        }
        hash.finalize().into_bytes().into()
    }
}

impl Version {
    fn read(sql: &dyn Connection) -> Result<Self, StoreError> {
        let version = sql.first(
            "SELECT COALESCE(MAX(key_id), 0), COUNT(*), COUNT(retired) FROM site_keys",
            values![],
            |row| Ok(Self { largest: column(row, 0)?, count: column(row, 1)?, retired: column(row, 2)? }),
        )?;
        Ok(version.unwrap_or_default())
    }

    fn next_id(self) -> Result<u32, StoreError> {
        let next = u32::try_from(self.largest).ok().and_then(|largest| largest.checked_add(1));
        next.ok_or_else(|| StoreError::corrupt("there are no key ids left"))
    }
}

/// Makes a key, unless there is one with this id already. Returns the public half of one that signs.
fn insert(
    sql: &dyn Connection,
    root: &RootSecret,
    id: u32,
    purpose: Purpose,
    now: UnixTime,
) -> Result<Option<[u8; 32]>, StoreError> {
    let secret = random_key()?;
    let wrapped = seal(&root.cipher(), &key_name(id, purpose), &*secret)?;
    let public_key = purpose.signs().then(|| public_key(&secret)).transpose()?;
    sql.execute(
        "INSERT INTO site_keys (key_id, purpose, wrapped, public_key, created, retired, resealed, reached)
         VALUES (?1, ?2, ?3, ?4, ?5, NULL, 0, NULL) ON CONFLICT (key_id) DO NOTHING",
        values![i64::from(id), purpose.word(), wrapped, public_key, now],
    )?;
    Ok(public_key)
}

fn public_key(secret: &[u8; KEY]) -> Result<[u8; 32], StoreError> {
    // The name plays no part in the key.
    let signer =
        Ed25519Signer::new("site", secret).map_err(|why| StoreError::Unfit { what: why.to_string() })?;
    Ok(*signer.verifier_key().public_key())
}

fn unwrap(
    root: &RootSecret,
    id: u32,
    purpose: Purpose,
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; KEY]>, StoreError> {
    let not_ours = StoreError::NotOurs { table: "site_keys" };
    let plain = open(&root.cipher(), &key_name(id, purpose), wrapped).ok_or(not_ours.clone())?;
    let key = plain.as_slice().try_into().map_err(|_| not_ours)?;
    Ok(Zeroizing::new(key))
}

fn key_id(sealed: &[u8]) -> Option<u32> {
    sealed.first_chunk().map(|id| u32::from_be_bytes(*id))
}

fn key_name(id: u32, purpose: Purpose) -> Vec<u8> {
    format!("site_keys {id} {}", purpose.word()).into_bytes()
}

fn row_name(table: &str, row: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], row].concat()
}

fn missing(purpose: Purpose) -> StoreError {
    StoreError::corrupt(format!("there is no key for '{}'", purpose.word()))
}
