//! Passwords: Argon2id (RFC 9106), in the PHC string format.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why a text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than 12 characters.
    #[error("the password is shorter than 12 characters; take a longer one, a sentence for example")]
    TooShort,
    /// More than 256 bytes.
    #[error("the password is longer than 256 bytes; take a shorter one")]
    TooLong,
    /// The stored text is not a PHC string of Argon2id, or the hash could not be computed.
    #[error("the stored password hash cannot be used; set the password anew")]
    Stored,
}

/// A password as somebody typed it, 12 characters to 256 bytes. No `Debug`, no `==`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes a new password.
    ///
    /// # Errors
    /// [`PasswordError::TooShort`] under 12 characters, [`PasswordError::TooLong`] over 256 bytes.
    pub fn new(text: String) -> Result<Self, PasswordError> {
        let password = Self(text);
        if password.0.len() > 256 {
            return Err(PasswordError::TooLong);
        }
        if password.0.chars().count() < 12 {
            return Err(PasswordError::TooShort);
        }
        Ok(password)
    }

    /// A one-time password of 100 random bits, in five groups of four characters.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 13];
        rng.fill_bytes(&mut bytes);
        let mut text = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        bytes.zeroize();
        text.truncate(20);
        let groups: Vec<&str> =
            [0..4, 4..8, 8..12, 12..16, 16..20].into_iter().filter_map(|range| text.get(range)).collect();
        let password = Self(groups.join("-"));
        text.zeroize();
        password
    }

    /// The text, to print it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Hashes it with Argon2id at RustCrypto's default cost (19 MiB, two passes), which is OWASP's minimum.
    /// Takes some 20 ms of one core.
    ///
    /// # Errors
    /// [`PasswordError::Stored`] where the hash cannot be computed.
    pub fn hash(&self, rng: &mut dyn CryptoRng) -> Result<PasswordHash, PasswordError> {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let phc: Phc = Argon2::default()
            .hash_password_with_salt(self.0.as_bytes(), &salt)
            .map_err(|_| PasswordError::Stored)?;
        Ok(PasswordHash(phc.to_string()))
    }
}

/// A PHC string: what a database may hold of a password.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash in its stored form.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The form to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `attempt` is the password. An attempt of any length is taken; over 256 bytes it is wrong.
    ///
    /// # Errors
    /// [`PasswordError::Stored`] where the stored hash cannot be read.
    pub fn matches(&self, attempt: &str) -> Result<bool, PasswordError> {
        let phc = Phc::new(&self.0).map_err(|_| PasswordError::Stored)?;
        if attempt.len() > 256 {
            return Ok(false);
        }
        Ok(Argon2::default().verify_password(attempt.as_bytes(), &phc).is_ok())
    }

    /// Does the work of [`Self::matches`] for nobody, so that an unknown name takes as long as a known one.
    pub fn waste_as_much_time(attempt: &str) {
        const NOBODY: &[u8; 16] = b"nobody's salt 16";
        let result: Result<Phc, _> = Argon2::default()
            .hash_password_with_salt(attempt.as_bytes().get(..256).unwrap_or(attempt.as_bytes()), NOBODY);
        drop(result);
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_password_matches_itself_and_nothing_else() {
        let mut rng = StdRng::seed_from_u64(1);
        let password = Password::random(&mut rng);
        assert_eq!(password.reveal().len(), 24);
        let hash = password.hash(&mut rng).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_eq!(hash.matches(password.reveal()), Ok(true));
        assert_eq!(hash.matches("something else"), Ok(false));
        assert_eq!(hash.matches(&"x".repeat(10_000_000)), Ok(false));
        assert_eq!(PasswordHash::from_stored("plain".into()).matches("plain"), Err(PasswordError::Stored));
    }

    #[test]
    fn lengths_are_checked() {
        assert_eq!(Password::new("short".into()).err(), Some(PasswordError::TooShort));
        assert_eq!(Password::new("가".repeat(100)).err(), Some(PasswordError::TooLong));
        assert!(Password::new("열두 글자가 넘는 비밀번호".into()).is_ok());
    }
}
