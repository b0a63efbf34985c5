//! What an authenticator says of itself and of a use (section 6.1).

use coset::cbor::Value;

use crate::public_key::PublicKey;
use crate::{LONGEST_CREDENTIAL_ID, LONGEST_PART, Refused};

/// Somebody touched it.
const USER_PRESENT: u8 = 1;
/// It verified who that was.
const USER_VERIFIED: u8 = 1 << 2;
/// The passkey may be kept in several places.
const MAY_BE_BACKED_UP: u8 = 1 << 3;
/// It is.
const BACKED_UP: u8 = 1 << 4;
/// A new passkey follows.
const HAS_CREDENTIAL: u8 = 1 << 6;
/// Extensions follow.
const HAS_EXTENSIONS: u8 = 1 << 7;

const WRONG: Refused = Refused::Malformed("the authenticator's data");

/// The authenticator's data, read.
pub(crate) struct AuthenticatorData {
    /// SHA-256 of the relying party id.
    pub(crate) party: [u8; 32],
    flags: u8,
    /// How often it was used, or always 0.
    pub(crate) counter: u32,
    /// The new passkey, at a registration.
    pub(crate) credential: Option<Credential>,
}

/// A new passkey.
pub(crate) struct Credential {
    pub(crate) id: Vec<u8>,
    pub(crate) key: PublicKey,
}

impl AuthenticatorData {
    /// Reads what was signed. Nothing may follow what the flags announce.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > LONGEST_PART {
            return Err(WRONG);
        }
        let (party, rest) = bytes.split_first_chunk::<32>().ok_or(WRONG)?;
        let (flags, rest) = rest.split_first().ok_or(WRONG)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(WRONG)?;
        let credential = if flags & HAS_CREDENTIAL == 0 {
            None
        } else {
            let (credential, after) = Credential::read(rest)?;
            rest = after;
            Some(credential)
        };
        if flags & HAS_EXTENSIONS != 0 {
            let extensions: Value = coset::cbor::from_reader(&mut rest).map_err(|_| WRONG)?;
            extensions.as_map().ok_or(WRONG)?;
        }
        let may_not = flags & BACKED_UP != 0 && flags & MAY_BE_BACKED_UP == 0;
        if !rest.is_empty() || may_not {
            return Err(WRONG);
        }
        Ok(Self { party: *party, flags: *flags, counter: u32::from_be_bytes(*counter), credential })
    }

    /// Whether the passkey may be kept in several places.
    pub(crate) const fn is_synced(&self) -> bool {
        self.flags & MAY_BE_BACKED_UP != 0
    }

    /// Somebody must have been there, and have been verified (section 7.1, steps 15 and 16; section 7.2, 16 and 17).
    pub(crate) const fn check_user(&self) -> Result<(), Refused> {
        if self.flags & USER_PRESENT == 0 {
            return Err(Refused::NobodyThere);
        }
        if self.flags & USER_VERIFIED == 0 {
            return Err(Refused::NotVerified);
        }
        Ok(())
    }
}

impl Credential {
    /// Section 6.5.1: an AAGUID, a length, the id, the key.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Refused> {
        let (_, rest) = bytes.split_first_chunk::<16>().ok_or(WRONG)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(WRONG)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let id = rest.get(..length).filter(|_| (1..=LONGEST_CREDENTIAL_ID).contains(&length)).ok_or(WRONG)?;
        let (key, rest) = PublicKey::read_first(rest.get(length..).unwrap_or_default())?;
        Ok((Self { id: id.to_vec(), key }, rest))
    }
}

/// The authenticator's data inside an attestation object (section 6.5.4), whose statement nobody asked for.
pub(crate) fn of_attestation(object: &[u8]) -> Result<AuthenticatorData, Refused> {
    const WRONG: Refused = Refused::Malformed("the attestation object");
    if object.len() > LONGEST_PART {
        return Err(WRONG);
    }
    let mut rest = object;
    let value: Value = coset::cbor::from_reader(&mut rest).map_err(|_| WRONG)?;
    let map = value.as_map().filter(|_| rest.is_empty()).ok_or(WRONG)?;
    let data = map.iter().find(|(key, _)| key.as_text() == Some("authData"));
    AuthenticatorData::read(data.and_then(|(_, value)| value.as_bytes()).ok_or(WRONG)?)
}
