//! Enrolment codes: one short text by which a joiner proves that it was invited and learns which centre
//! it may trust, so that both sides are authenticated before anything is exchanged.

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use angbu_evidence::note::VerifierKey;
use angbu_units::Nanos;

use crate::SecretHash;

/// A code that nobody used for this long is void.
pub const CODE_LIFETIME: Nanos = Nanos::from_secs(24 * 3_600);

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 16 + 32;
const GROUP: usize = 8;

/// Why a text is not an enrolment code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not base32, or not 49 bytes of it.
    #[error("this is not an enrolment code; copy it whole, from the first group to the last")]
    Malformed,
    /// Made by a newer centre.
    #[error("this enrolment code has version {0}, which this program does not know; update it")]
    Version(u8),
}

/// 128 random bits and the fingerprint of the centre that made them. No `Debug`, no `==`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EnrolmentCode {
    secret: [u8; 16],
    fingerprint: [u8; 32],
}

impl EnrolmentCode {
    /// A new code for joining the centre with this [`fingerprint`].
    pub fn random(fingerprint: [u8; 32], rng: &mut dyn CryptoRng) -> Self {
        let mut secret = [0; 16];
        rng.fill_bytes(&mut secret);
        Self { secret, fingerprint }
    }

    /// Reads a code; hyphens, spaces and case do not matter.
    ///
    /// # Errors
    /// [`CodeError::Malformed`] or [`CodeError::Version`].
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let compact: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_uppercase())
            .take(2 * LENGTH)
            .collect();
        let mut bytes = BASE32_NOPAD.decode(compact.as_bytes()).map_err(|_| CodeError::Malformed)?;
        let code = match bytes.split_first() {
            Some((&VERSION, rest)) if rest.len() == LENGTH - 1 => {
                let (secret, fingerprint) = rest.split_at(16);
                match (secret.try_into(), fingerprint.try_into()) {
                    (Ok(secret), Ok(fingerprint)) => Ok(Self { secret, fingerprint }),
                    _ => Err(CodeError::Malformed),
                }
            }
            Some((&version, rest)) if version != VERSION && rest.len() >= 16 => {
                Err(CodeError::Version(version))
            }
            _ => Err(CodeError::Malformed),
        };
        bytes.zeroize();
        code
    }

    /// The text to hand over: groups of eight base32 characters.
    pub fn reveal(&self) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&self.fingerprint);
        let text = BASE32_NOPAD.encode(&bytes);
        bytes.zeroize();
        let groups: Vec<&str> = (0..text.len())
            .step_by(GROUP)
            .filter_map(|start| text.get(start..(start + GROUP).min(text.len())))
            .collect();
        groups.join("-")
    }

    /// What a joiner sends to show that it holds the code.
    pub fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// What the centre that a joiner reached must show.
    pub fn centre_fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// What the centre keeps of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::from_bytes(Sha256::digest(self.secret).into())
    }

    /// The code that a joiner must hold who presents this secret to the centre with this fingerprint.
    pub const fn from_parts(secret: [u8; 16], fingerprint: [u8; 32]) -> Self {
        Self { secret, fingerprint }
    }
}

/// SHA-256 over a centre's TLS public key (its DER SubjectPublicKeyInfo; empty where the centre speaks plain
/// HTTP on loopback) and its log's verifier key: length (4 bytes, big-endian) and bytes of each.
pub fn fingerprint(tls_public_key: &[u8], log_key: &VerifierKey) -> [u8; 32] {
    let log_key = log_key.to_string();
    let mut hash = Sha256::new();
    for part in [tls_public_key, log_key.as_bytes()] {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What a joiner signs with its new key (Ed25519), so that the centre knows it holds the private half:
/// `angbu/1 join` and a line feed, the code's secret (16 bytes), the centre's fingerprint (32), the public
/// key (32) and the name.
pub fn possession(code: &EnrolmentCode, name: &str, public_key: &[u8; 32]) -> Vec<u8> {
    let mut statement = b"angbu/1 join\n".to_vec();
    statement.extend_from_slice(&code.secret);
    statement.extend_from_slice(&code.fingerprint);
    statement.extend_from_slice(public_key);
    statement.extend_from_slice(name.as_bytes());
    statement
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn codes_survive_being_typed() {
        let code = EnrolmentCode::random([7; 32], &mut StdRng::seed_from_u64(3));
        let text = code.reveal();
        for typed in [text.clone(), text.to_lowercase(), text.replace('-', " "), format!(" {text}\n")] {
            let read = EnrolmentCode::parse(&typed).unwrap();
            assert_eq!(read.hash(), code.hash());
            assert_eq!(read.centre_fingerprint(), [7; 32]);
        }
    }

    #[test]
    fn other_text_is_refused() {
        let code = EnrolmentCode::random([7; 32], &mut StdRng::seed_from_u64(3)).reveal();
        for wrong in ["", "A", &code[1..], &format!("{code}AAAAAAAA"), "가나다", &"A".repeat(100_000)] {
            assert!(EnrolmentCode::parse(wrong).is_err(), "{wrong:.40}");
        }
        let newer = BASE32_NOPAD.encode(&[2; LENGTH]);
        assert_eq!(EnrolmentCode::parse(&newer).err(), Some(CodeError::Version(2)));
    }
}
