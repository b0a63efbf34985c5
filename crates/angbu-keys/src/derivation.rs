//! From a person's own random bytes to the key of their token.

use angbu_units::{CycleTime, Phone};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The version of the derivation, in what every key is derived from.
const VERSION: &[u8] = b"v1";

/// A person's 32 random bytes, from which every key of theirs follows. No `Debug`, no `==`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

/// Whom and what a token is for. None of it is secret, and all of it together makes no key.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The site's id, so that the same person on two sites has unrelated keys.
    pub site: &'a [u8],
    /// The login id in its one normal form.
    pub login_id: &'a str,
    /// The phone number.
    pub phone: &'a Phone,
    /// How long a key stands.
    pub cycle: CycleTime,
    /// How often the person was given a new token.
    pub generation: u32,
}

/// The key of a token: 32 bytes. No `Debug`, no `==`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TokenKey([u8; 32]);

impl Seed {
    /// A new one.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The one with these bytes, as it was sealed.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to seal them.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The token's key: HKDF-SHA-256 (RFC 5869) of the seed, with the site's id as salt, and as info
    /// `v1 ‖ u16 length ‖ login id ‖ u16 length ‖ phone ‖ u16 length ‖ cycle ‖ u16 length ‖ generation`: UTF-8 and digits
    /// in text, every length in bytes and big-endian, so that no two holders are derived from the same bytes.
    pub fn token_key(&self, holder: &Holder<'_>) -> TokenKey {
        let (cycle, generation) = (holder.cycle.to_string(), holder.generation.to_string());
        let mut info = VERSION.to_vec();
        for part in [holder.login_id, holder.phone.digits(), &cycle, &generation] {
            // Login ids have at most 64 characters, numbers fewer.
            info.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            info.extend(part.as_bytes());
        }
        let mut key = TokenKey([0; 32]);
        // HKDF refuses only more than 255 blocks, and this is one.
        let expanded = Hkdf::<Sha256>::new(Some(holder.site), &self.0).expand(&info, &mut key.0);
        debug_assert!(expanded.is_ok(), "one block of HKDF");
        key
    }
}

impl TokenKey {
    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for an app that shows keys (`otpauth`), and for whoever computes them.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn whatever_differs_gives_another_key() {
        let phones: Vec<Phone> = ["01012345678", "01012345679"].map(|text| text.parse().unwrap()).into();
        let cycles = [3, 30].map(|seconds| CycleTime::new(seconds).unwrap());
        let mut keys = BTreeSet::new();
        let mut count = 0;
        for seed in [1, 2] {
            for site in [[1_u8; 16], [2; 16]] {
                for login_id in ["kim", "ki", "kim2"] {
                    for phone in &phones {
                        for cycle in cycles {
                            for generation in [1, 2] {
                                let holder = Holder { site: &site, login_id, phone, cycle, generation };
                                keys.insert(*Seed::from_bytes([seed; 32]).token_key(&holder).expose());
                                count += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(keys.len(), count);
    }

    /// The same by Python: `hmac`, RFC 5869 by hand.
    #[test]
    fn the_derivation_is_hkdf() {
        let phone: Phone = "01012345678".parse().unwrap();
        let holder = Holder {
            site: &[9; 16],
            login_id: "kim",
            phone: &phone,
            cycle: CycleTime::new(30).unwrap(),
            generation: 1,
        };
        let key = Seed::from_bytes([7; 32]).token_key(&holder);
        let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "c10e540f59241b02b26b7fb952370dafe59a0268efd7335918f309ee46fac847");
    }
}
