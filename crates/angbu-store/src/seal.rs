//! Encryption at rest: the root secret, the keys that it wraps, and sealed columns.
//!
//! The root secret only wraps random keys, one a [`Purpose`]; each stands in `site_keys` under an id that also stands
//! before whatever it sealed, so that each can be replaced alone while the others stay, and while everybody works on.

mod keyring;
mod reseal;
mod root_secret;
mod rotation;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use rand::rngs::SysRng;
use rand_core::{Rng, TryRng};
use zeroize::Zeroizing;

use crate::{Snapshot, StoreError};

pub(crate) use keyring::{Blind, Keyring};
pub use reseal::Resealed;
pub(crate) use root_secret::RootSecret;
pub use rotation::{KeyRow, NewKey};

const KEY: usize = 32;
const NONCE: usize = 12;

/// A signing key of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKey {
    /// The log's key, which signs checkpoints.
    Log,
    /// The key that signs promises.
    Promise,
    /// The long-term key of the Roughtime server, which signs short-lived ones.
    Roughtime,
}

impl SigningKey {
    const fn purpose(self) -> Purpose {
        match self {
            Self::Log => Purpose::Log,
            Self::Promise => Purpose::Promise,
            Self::Roughtime => Purpose::Roughtime,
        }
    }
}

/// What a wrapped key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Seals the salts and values of entries' fields.
    Bodies,
    /// Seals the records that agents sent.
    Records,
    /// Seals what is known of people and of how customers are reached.
    Personal,
    /// Makes the keyed hashes by which sealed columns are found.
    Index,
    /// Signs checkpoints.
    Log,
    /// Signs promises.
    Promise,
    /// Signs the Roughtime server's short-lived keys.
    Roughtime,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 7] =
        [Self::Bodies, Self::Records, Self::Personal, Self::Index, Self::Log, Self::Promise, Self::Roughtime];

    /// Its word, in the database and everywhere else. It never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Records => "records",
            Self::Personal => "personal",
            Self::Index => "index",
            Self::Log => "log",
            Self::Promise => "promise",
            Self::Roughtime => "roughtime",
        }
    }

    /// The purpose with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.word() == word)
    }

    /// Its key in words.
    const fn key(self) -> &'static str {
        match self {
            Self::Bodies => "the key that seals entries' fields",
            Self::Records => "the key that seals agents' records",
            Self::Personal => "the key that seals personal values",
            Self::Index => "the key by which sealed values are found",
            Self::Log => "the log's key",
            Self::Promise => "the key that signs promises",
            Self::Roughtime => "the Roughtime server's key",
        }
    }

    /// Whether its keys sign, and have a public half.
    pub const fn signs(self) -> bool {
        matches!(self, Self::Log | Self::Promise | Self::Roughtime)
    }
}

impl Snapshot<'_> {
    /// Seals a value that stands in one row of a table, and opens nowhere else.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        table: &'static str,
        row: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        self.keys.seal(purpose, table, row, plain)
    }

    /// Opens what was sealed for the same row, under a key that another centre made a moment ago too.
    pub(crate) fn open_sealed(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        if !self.keys.knows(sealed) {
            self.keys.learn(self.sql)?;
        }
        self.keys.open_sealed(table, row, sealed)
    }

    /// The keyed hash by which a sealed value is found. `column` is the table and the column, as in
    /// `accounts_people.login`, so that equal values of two columns have different hashes.
    pub(crate) fn blind(&self, column: &'static str, value: &[u8]) -> Result<Blind, StoreError> {
        self.keys.blind(column, value)
    }

    /// The bucket that a value falls into: so many first bits of its keyed hash, 32 at most. What is counted in buckets keeps no
    /// value, and takes so much room and no more, whatever strangers send.
    pub(crate) fn bucket(&self, column: &'static str, value: &[u8], bits: u32) -> Result<i64, StoreError> {
        let [first, second, third, fourth, ..] = self.blind(column, value)?.now;
        Ok(i64::from(u32::from_be_bytes([first, second, third, fourth]) >> u32::BITS.saturating_sub(bits)))
    }
}

fn random_key() -> Result<Zeroizing<[u8; KEY]>, StoreError> {
    let mut key = Zeroizing::new([0; KEY]);
    SysRng
        .try_fill_bytes(&mut *key)
        .map_err(|error| StoreError::unavailable(format!("the system gives no random bytes: {error}")))?;
    Ok(key)
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

#[cfg(test)]
mod tests;
