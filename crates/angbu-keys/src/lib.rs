//! One-time keys: what a key is made of, and the rules by which it is good once.
//!
//! A key is never made from what others know. Each person has 32 random bytes of their own ([`Seed`]); from them and from
//! the login id, the phone number and the cycle follows the token's key ([`TokenKey`]), and from that and the time the
//! digits ([`hotp`], [`totp`], [`ocra`]). So it is also a standard TOTP, and any app that knows the standard shows the
//! same digits.
//!
//! Pure: instants and randomness are handed in, and nothing here knows where a row is kept.

mod algorithm;
mod code;
mod derivation;
pub mod hotp;
pub mod import;
pub mod ocra;
pub mod otpauth;
mod policy;
mod recovery;
pub mod totp;
mod verification;

pub use algorithm::Algorithm;
pub use code::{Digits, OneTimeKey, OneTimeKeyError, WrongDigits};
pub use derivation::{Holder, Seed, TokenKey};
pub use policy::{FARTHEST_BACK, Lockout, MOST_DRIFT, NotNow, Policy, WhileUnproven};
pub use recovery::{NotARecoveryCode, RECOVERY_CODES, RecoveryCode};
pub use verification::{
    LOOK_AHEAD, MOST_EVENTS, Motion, Place, Refused, Standing, Token, judge, judge_code, resynchronise,
};
