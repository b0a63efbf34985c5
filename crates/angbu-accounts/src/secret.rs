//! Random secrets that are shown once and kept as a hash: API tokens, session cookies, share links.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why a text is not a secret of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not 52 base32 characters.
    #[error("the secret is not of the form that this centre hands out; copy it whole")]
    Malformed,
}

/// 256 random bits. No `Debug`, no `==`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new secret.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The text that its holder is shown once: 52 lower-case base32 characters.
    pub fn reveal(&self) -> String {
        BASE32_NOPAD.encode(&self.0).to_ascii_lowercase()
    }

    /// Reads what a holder presents.
    ///
    /// # Errors
    /// [`SecretError::Malformed`] for anything but 52 lower-case base32 characters.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let lower = text.len() == 52 && !text.bytes().any(|b| b.is_ascii_uppercase());
        let mut bytes = BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .ok()
            .filter(|_| lower)
            .ok_or(SecretError::Malformed)?;
        let secret = <[u8; 32]>::try_from(bytes.as_slice()).map(Self).map_err(|_| SecretError::Malformed);
        bytes.zeroize();
        secret
    }

    /// What is kept of it. The secret is random and long, so that a plain hash gives nothing away.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0).into())
    }
}

/// SHA-256 of a [`Secret`]: what a database may hold. Compares in constant time.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to look a row up by.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn secrets_survive_their_text(bytes: [u8; 32]) {
            let secret = Secret(bytes);
            prop_assert_eq!(Secret::parse(&secret.reveal()).unwrap().hash(), secret.hash());
        }

        #[test]
        fn anything_else_is_refused(text in ".{0,80}") {
            if let Ok(secret) = Secret::parse(&text) {
                prop_assert_eq!(secret.reveal(), text);
            }
        }
    }
}
