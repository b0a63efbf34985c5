//! Recovery codes: for whoever has lost the token. Each is good once, and shown once.

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How many codes a person is given at a time.
pub const RECOVERY_CODES: usize = 10;

/// 120 random bits: at least the 112 from which on a plain hash is enough (OWASP ASVS 5.0, 6.5.2), and 24 characters of base32.
const LENGTH: usize = 15;
/// Characters between two hyphens.
const GROUP: usize = 6;
/// More than any spelling of a code needs, in bytes.
const LONGEST: usize = 64;

/// What is hashed before a code, so that the hash of nothing else is one of a code.
const CONTEXT: &[u8] = b"angbu recovery code v1\0";

/// The text is no recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recovery code has 24 letters and digits, as it was shown; copy it whole")]
pub struct NotARecoveryCode;

/// A recovery code. No `Debug`, no `==`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode([u8; LENGTH]);

impl RecoveryCode {
    /// A new one.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; LENGTH];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Reads a code; hyphens, spaces and case do not matter.
    ///
    /// # Errors
    /// [`NotARecoveryCode`].
    pub fn parse(text: &str) -> Result<Self, NotARecoveryCode> {
        if text.len() > LONGEST {
            return Err(NotARecoveryCode);
        }
        let bare: Zeroizing<String> = Zeroizing::new(
            text.chars()
                .filter(|character| !matches!(character, ' ' | '-'))
                .map(|character| character.to_ascii_uppercase())
                .collect(),
        );
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(bare.as_bytes()).map_err(|_| NotARecoveryCode)?);
        bytes.as_slice().try_into().map(Self).map_err(|_| NotARecoveryCode)
    }

    /// The text to show once: four groups of six characters.
    pub fn reveal(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(BASE32_NOPAD.encode(&self.0));
        let mut shown = Zeroizing::new(String::with_capacity(LONGEST));
        for (place, character) in text.chars().enumerate() {
            if place > 0 && place % GROUP == 0 {
                shown.push('-');
            }
            shown.push(character);
        }
        shown
    }

    /// What is kept of it: SHA-256, bound to the token (16 bytes) that it belongs to.
    pub fn hash(&self, token: &[u8; 16]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(CONTEXT);
        hash.update(token);
        hash.update(self.0);
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_told_from_what_is_none() {
        for text in ["", "123456", "AAAAAA-AAAAAA-AAAAAA-AAAAA", "AAAAAA-AAAAAA-AAAAAA-AAAAA1", "\0", "ä"] {
            assert!(RecoveryCode::parse(text).is_err(), "{text:?}");
        }
        assert!(RecoveryCode::parse(&"A".repeat(1_000)).is_err());
        let code = RecoveryCode([0; LENGTH]);
        assert_eq!(*code.reveal(), "AAAAAA-AAAAAA-AAAAAA-AAAAAA");
        assert_ne!(code.hash(&[1; 16]), code.hash(&[2; 16]), "another token's");
    }

    proptest! {
        #[test]
        fn codes_survive_their_text(bytes: [u8; LENGTH], lower: bool) {
            let code = RecoveryCode(bytes);
            let shown = code.reveal();
            let typed = if lower { shown.to_lowercase().replace('-', " ") } else { shown.to_string() };
            prop_assert_eq!(RecoveryCode::parse(&typed).ok().unwrap().0, bytes);
        }
    }
}
