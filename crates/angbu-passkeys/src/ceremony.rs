//! The two ceremonies: registering a passkey (section 7.1) and signing in with one (section 7.2).

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::authenticator::{AuthenticatorData, of_attestation};
use crate::party::RelyingParty;
use crate::public_key::PublicKey;
use crate::{LONGEST_PART, Refused};

/// How long a challenge waits for its answer, in seconds.
pub const CHALLENGE_LIFETIME_S: i64 = 300;

/// A challenge: 32 random bytes, good for one answer.
pub type Challenge = [u8; 32];

/// What the browser says of a ceremony (section 5.8.1), read from its text by whoever knows JSON.
#[derive(Debug, Clone, Copy)]
pub struct ClientData<'a> {
    /// The text itself, whose hash is signed.
    pub bytes: &'a [u8],
    /// Its `type`.
    pub kind: &'a str,
    /// Its `challenge`, decoded.
    pub challenge: &'a [u8],
    /// Its `origin`.
    pub origin: &'a str,
    /// Its `crossOrigin`: the page stood in a frame of another site's.
    pub cross_origin: bool,
}

/// A passkey that was registered.
#[derive(Clone, PartialEq, Eq)]
pub struct Registered {
    /// By which the passkey is found, 1 to 1,023 bytes.
    pub credential_id: Vec<u8>,
    /// By which its signatures are checked.
    pub public_key: PublicKey,
    /// How often it says that it was used; 0 for ever where it does not count.
    pub counter: u32,
    /// Whether it may be kept in several places, as those that a platform synchronises.
    pub synced: bool,
}

/// What a browser answers to the question of a sign-in.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// What the browser says.
    pub client: ClientData<'a>,
    /// What the authenticator says.
    pub authenticator_data: &'a [u8],
    /// Its signature over both.
    pub signature: &'a [u8],
    /// Whom it keeps the passkey for, where it says so.
    pub user_handle: Option<&'a [u8]>,
}

/// Judges the answer to the question of a registration.
///
/// # Errors
/// [`Refused`]; the passkey is then not to be kept.
pub fn register(
    party: &RelyingParty,
    challenge: &Challenge,
    client: &ClientData<'_>,
    attestation_object: &[u8],
) -> Result<Registered, Refused> {
    check_client(party, "webauthn.create", challenge, client)?;
    let data = of_attestation(attestation_object)?;
    check_authenticator(party, &data)?;
    let (counter, synced) = (data.counter, data.is_synced());
    let credential = data.credential.ok_or(Refused::Malformed("the new passkey"))?;
    Ok(Registered { credential_id: credential.id, public_key: credential.key, counter, synced })
}

/// Judges the answer to the question of a sign-in with the passkey whose credential id it names: `key` and `counter` as
/// they are kept, `user` the handle that the passkey was registered under. Gives the counter that is to be kept.
///
/// # Errors
/// [`Refused`]; nothing is then to be changed.
pub fn judge_sign_in(
    party: &RelyingParty,
    challenge: &Challenge,
    answer: &Assertion<'_>,
    (key, counter, user): (&PublicKey, u32, &[u8]),
) -> Result<u32, Refused> {
    check_client(party, "webauthn.get", challenge, &answer.client)?;
    let data = AuthenticatorData::read(answer.authenticator_data)?;
    check_authenticator(party, &data)?;
    if answer.user_handle.is_some_and(|handle| handle != user) {
        return Err(Refused::OtherUser);
    }
    let client_hash = Sha256::digest(answer.client.bytes);
    key.check(&[answer.authenticator_data, client_hash.as_slice()].concat(), answer.signature)?;
    // Step 22: one that counts must count on.
    if (data.counter != 0 || counter != 0) && data.counter <= counter {
        return Err(Refused::CountedBack);
    }
    Ok(data.counter)
}

fn check_client(
    party: &RelyingParty,
    kind: &str,
    challenge: &Challenge,
    client: &ClientData<'_>,
) -> Result<(), Refused> {
    if client.bytes.len() > LONGEST_PART {
        return Err(Refused::Malformed("the browser's text"));
    }
    if client.kind != kind {
        return Err(Refused::OtherKind);
    }
    if !bool::from(challenge.as_slice().ct_eq(client.challenge)) {
        return Err(Refused::OtherChallenge);
    }
    if client.origin != party.origin() || client.cross_origin {
        return Err(Refused::OtherOrigin);
    }
    Ok(())
}

fn check_authenticator(party: &RelyingParty, data: &AuthenticatorData) -> Result<(), Refused> {
    if data.party != <[u8; 32]>::from(Sha256::digest(party.id())) {
        return Err(Refused::OtherParty);
    }
    data.check_user()
}

#[cfg(test)]
mod tests;
