//! Passkeys (W3C Web Authentication, Level 3): what a browser shows at a registration and at a sign-in, and whether it is
//! good.
//!
//! The authenticator's maker is not asked about: attestation is `none`, since a passkey proves that somebody is who
//! registered it, not which device they bought. User verification is required every time, so that a passkey is never only
//! a thing that was found.
//!
//! Pure: challenges and what is stored of a passkey are handed in. JSON stays outside; of the browser's text this crate
//! is given its parts ([`ClientData`]) and its bytes, which are what is signed.

mod authenticator;
mod ceremony;
mod party;
mod public_key;

use thiserror::Error;

pub use ceremony::{
    Assertion, CHALLENGE_LIFETIME_S, Challenge, ClientData, Registered, judge_sign_in, register,
};
pub use party::{NoDomain, RelyingParty};
pub use public_key::{ALGORITHMS, PublicKey};

/// The longest credential id that is taken, in bytes (section 7.1, step 25).
pub const LONGEST_CREDENTIAL_ID: usize = 1_023;
/// The most bytes that any part of an answer may have. Real ones have a few hundred.
pub const LONGEST_PART: usize = 16 * 1_024;

/// Why a registration or a sign-in is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// Something cannot be read; what it is.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// A registration where a sign-in was asked for, or the other way round.
    #[error("the answer is of another kind than was asked for")]
    OtherKind,
    /// The challenge is not the one that was given.
    #[error("the answer is to another question")]
    OtherChallenge,
    /// The page that asked is not one of this site's.
    #[error("the answer was given to a page of another site")]
    OtherOrigin,
    /// The passkey is for another site.
    #[error("the passkey is for another site")]
    OtherParty,
    /// Nobody touched the authenticator.
    #[error("the authenticator saw nobody")]
    NobodyThere,
    /// The authenticator did not verify who used it, by a PIN or a finger for instance.
    #[error("the authenticator did not verify who used it")]
    NotVerified,
    /// The key is of an algorithm that was not offered.
    #[error("the passkey's algorithm is not one that was offered")]
    OtherAlgorithm,
    /// The signature is not by this passkey's key.
    #[error("the signature is not the passkey's")]
    WrongSignature,
    /// The passkey names somebody else than whom it is kept for.
    #[error("the passkey names somebody else")]
    OtherUser,
    /// The authenticator has counted back: there are two of it.
    #[error("the passkey's counter went back: it may have been copied")]
    CountedBack,
}

impl Refused {
    /// The refusal's word, in entries and in the API. It never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::OtherKind => "other-kind",
            Self::OtherChallenge => "other-challenge",
            Self::OtherOrigin => "other-origin",
            Self::OtherParty => "other-site",
            Self::NobodyThere => "nobody-there",
            Self::NotVerified => "not-verified",
            Self::OtherAlgorithm => "other-algorithm",
            Self::WrongSignature => "wrong-signature",
            Self::OtherUser => "other-user",
            Self::CountedBack => "counted-back",
        }
    }
}
