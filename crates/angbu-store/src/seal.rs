//! Encryption at rest: the root secret, the keys that it wraps, and sealed columns.
//!
//! The root secret only wraps random keys, one a purpose; each stands in `site_keys` under an id that also stands
//! before whatever it sealed, so that each can be replaced alone.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use angbu_units::UnixTime;
use rand::rngs::SysRng;
use rand_core::{Rng, TryRng};
use zeroize::Zeroizing;

use crate::sql::{Connection, column, values};
use crate::store::{sync_folder, unusable};
use crate::{StoreError, sqlite};

const KEY: usize = 32;
const NONCE: usize = 12;

/// A signing key of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKey {
    /// The log's key, which signs checkpoints.
    Log,
    /// The key that signs promises.
    Promise,
}

/// What a wrapped key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Seals the salts and values of entries' fields.
    Bodies,
    Log,
    Promise,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Bodies, Self::Log, Self::Promise];

    /// Its word in the database, which never changes.
    const fn word(self) -> &'static str {
        match self {
            Self::Bodies => "evidence-bodies",
            Self::Log => "sign-checkpoints",
            Self::Promise => "sign-promises",
        }
    }
}

/// The site's root secret. It is read once and erased when the keys are unwrapped.
pub(crate) struct RootSecret(Zeroizing<[u8; KEY]>);

impl RootSecret {
    /// Reads the secret from its file, or makes one there for a new site.
    pub(crate) fn open(path: &Path, is_new_site: bool) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::RootSecret { path: path.to_owned(), why: why.to_owned() };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_new_site => {
                return Self::create(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(
                    "the file is missing, and without it the database stays sealed; restore it",
                ));
            }
            Err(error) => return Err(refused(&error.to_string())),
        };
        check_owner_only(&file, path)?;
        let mut secret = Zeroizing::new([0; KEY]);
        let mut rest = [0; 1];
        let whole = file.read_exact(&mut *secret).is_ok() && matches!(file.read(&mut rest), Ok(0));
        if whole { Ok(Self(secret)) } else { Err(refused("it should hold exactly 32 bytes; restore it")) }
    }

    fn create(path: &Path) -> Result<Self, StoreError> {
        let secret = random_key()?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // Whole under its own name or not there at all, and on the disk before the first key is wrapped with it: a
        // database must never outlive its secret.
        let unfinished = path.with_extension("unfinished");
        let written = options.open(&unfinished).and_then(|mut file| {
            file.write_all(&*secret)?;
            file.sync_all()?;
            std::fs::rename(&unfinished, path)
        });
        written.map_err(|error| unusable(path, &error))?;
        sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(Self(secret))
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new((&*self.0).into())
    }
}

/// The site's keys, unwrapped.
pub(crate) struct Keyring {
    // By key id, so that what an older key sealed still opens.
    sealing: BTreeMap<u32, Aes256GcmSiv>,
    current: BTreeMap<Purpose, u32>,
    seeds: BTreeMap<Purpose, Zeroizing<[u8; KEY]>>,
}

impl Keyring {
    /// Unwraps the keys that stand in the database, and makes those that are missing.
    pub(crate) fn open(
        connection: &rusqlite::Connection,
        root: &RootSecret,
        now: UnixTime,
    ) -> Result<Self, StoreError> {
        sqlite::control(connection, "BEGIN IMMEDIATE")?;
        let keys = Self::load(connection, root, now);
        sqlite::control(connection, if keys.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        keys
    }

    fn load(sql: &dyn Connection, root: &RootSecret, now: UnixTime) -> Result<Self, StoreError> {
        let mut keys = Self { sealing: BTreeMap::new(), current: BTreeMap::new(), seeds: BTreeMap::new() };
        let rows = sql.all(
            "SELECT key_id, purpose, wrapped, retired FROM site_keys ORDER BY key_id",
            values![],
            |row| {
                let retired = crate::sql::optional::<UnixTime>(row, 3)?;
                Ok((column::<i64>(row, 0)?, column::<String>(row, 1)?, column::<Vec<u8>>(row, 2)?, retired))
            },
        )?;
        for (id, word, wrapped, retired) in rows {
            let Some(purpose) = Purpose::ALL.into_iter().find(|purpose| purpose.word() == word) else {
                return Err(StoreError::corrupt(format!("key {id} is for '{word}', which nothing here is")));
            };
            let id = u32::try_from(id).map_err(|_| StoreError::corrupt(format!("there is no key {id}")))?;
            let key = unwrap(root, id, purpose, &wrapped)?;
            keys.insert(id, purpose, key, retired.is_none());
        }
        for purpose in Purpose::ALL {
            if !keys.current.contains_key(&purpose) {
                let id = keys.next_id();
                let key = random_key()?;
                let wrapped = seal(&root.cipher(), &key_name(id, purpose), &*key)?;
                sql.execute(
                    "INSERT INTO site_keys (key_id, purpose, wrapped, created, retired) VALUES (?1, ?2, ?3, ?4, NULL)",
                    values![i64::from(id), purpose.word(), wrapped, now],
                )?;
                keys.insert(id, purpose, key, true);
            }
        }
        Ok(keys)
    }

    fn insert(&mut self, id: u32, purpose: Purpose, key: Zeroizing<[u8; KEY]>, is_current: bool) {
        self.sealing.insert(id, Aes256GcmSiv::new((&*key).into()));
        if is_current {
            self.current.insert(purpose, id);
            self.seeds.insert(purpose, key);
        }
    }

    fn next_id(&self) -> u32 {
        self.sealing.last_key_value().map_or(1, |(id, _)| id.saturating_add(1))
    }

    /// The secret bytes of a signing key.
    pub(crate) fn seed(&self, key: SigningKey) -> Result<&[u8; KEY], StoreError> {
        let purpose = match key {
            SigningKey::Log => Purpose::Log,
            SigningKey::Promise => Purpose::Promise,
        };
        self.seeds.get(&purpose).map(|seed| &**seed).ok_or_else(|| missing(purpose))
    }

    /// Seals a value that stands in one row of a table, and opens nowhere else.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        table: &'static str,
        row: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let id = self.current.get(&purpose).ok_or_else(|| missing(purpose))?;
        let cipher = self.sealing.get(id).ok_or_else(|| missing(purpose))?;
        let mut sealed = id.to_be_bytes().to_vec();
        sealed.extend_from_slice(&seal(cipher, &row_name(table, row), plain)?);
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] sealed for the same row.
    pub(crate) fn open_sealed(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let not_ours = StoreError::NotOurs { table };
        let (id, sealed) = sealed.split_first_chunk().ok_or(not_ours.clone())?;
        let cipher = self.sealing.get(&u32::from_be_bytes(*id)).ok_or(not_ours.clone())?;
        open(cipher, &row_name(table, row), sealed).ok_or(not_ours)
    }
}

fn missing(purpose: Purpose) -> StoreError {
    StoreError::corrupt(format!("there is no key for '{}'", purpose.word()))
}

fn random_key() -> Result<Zeroizing<[u8; KEY]>, StoreError> {
    let mut key = Zeroizing::new([0; KEY]);
    SysRng
        .try_fill_bytes(&mut *key)
        .map_err(|error| StoreError::unavailable(format!("the system gives no random bytes: {error}")))?;
    Ok(key)
}

fn key_name(id: u32, purpose: Purpose) -> Vec<u8> {
    format!("site_keys {id} {}", purpose.word()).into_bytes()
}

fn row_name(table: &str, row: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], row].concat()
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

/// AES-256-GCM-SIV (RFC 8452) under a random nonce, which stands before the result.
fn seal(cipher: &Aes256GcmSiv, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut nonce = [0; NONCE];
    rand::rng().fill_bytes(&mut nonce);
    let payload = Payload { msg: plain, aad: name };
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| StoreError::Unfit { what: "a value is too long to be sealed".to_owned() })?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn open(cipher: &Aes256GcmSiv, name: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: name };
    cipher.decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

#[cfg(unix)]
fn check_owner_only(file: &File, path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(|error| unusable(path, &error))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let why = format!("others may read it (mode {:o}); chmod 600 it", mode & 0o777);
    Err(StoreError::RootSecret { path: path.to_owned(), why })
}

#[cfg(not(unix))]
fn check_owner_only(_: &File, _: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
mod tests;
