//! The hash beneath a key.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use zeroize::Zeroizing;

/// The hash that HMAC (RFC 2104) runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-1: what RFC 4226 fixes, and what most apps assume. Its weakness does not touch HMAC.
    Sha1,
    /// SHA-256: what every key of ours uses.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The text is none of the three names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's algorithm is SHA1, SHA256 or SHA512")]
pub struct UnknownAlgorithm;

impl Algorithm {
    /// Its name, as in `otpauth` addresses and OCRA suites.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// How many bytes its hash has.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// HMAC under `key` over `parts`, one after the other.
    pub(crate) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha1 => mac::<Hmac<sha1::Sha1>>(key, parts),
            Self::Sha256 => mac::<Hmac<sha2::Sha256>>(key, parts),
            Self::Sha512 => mac::<Hmac<sha2::Sha512>>(key, parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        match text {
            "SHA1" => Ok(Self::Sha1),
            "SHA256" => Ok(Self::Sha256),
            "SHA512" => Ok(Self::Sha512),
            _ => Err(UnknownAlgorithm),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    // HMAC takes keys of every length (RFC 2104, section 2), so there is always one.
    let Ok(mut mac) = M::new_from_slice(key) else { return Zeroizing::default() };
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}
