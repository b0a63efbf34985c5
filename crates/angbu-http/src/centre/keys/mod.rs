//! One-time keys as the centre keeps them: who has a token, whether a key is good, and by which rules.

mod import;
mod listing;
mod notice;
mod old_face;
mod policy;
mod strangers;
mod tokens;
mod tries;
mod unjudged;

use angbu_evidence::Kind;
use angbu_keys::{
    Algorithm, Digits, Holder, Motion, Place, Policy, Seed, Standing, Token, TokenKey, WhileUnproven,
};
use angbu_store::StoreError;
use angbu_store::keys::{KeyPolicyRow, KeyStanding, KeyTokenRow};
use angbu_units::CycleTime;
use zeroize::Zeroizing;

pub(crate) use import::KeyFile;
pub use old_face::OldFace;
pub(crate) use policy::PolicyWish;
pub(super) use strangers::clear as clear_strangers;
pub(crate) use tokens::{Enrolled, Enrolment, Material};
pub(super) use tries::judge_in;
pub(crate) use tries::{KeyJudged, KeyReason, KeyWhom, TriesWish, Typed};
pub(super) use unjudged::Apart;

const TOKEN: Kind = Kind::constant("keys.token");
const TRY: Kind = Kind::constant("keys.try");
const UNJUDGED: Kind = Kind::constant("keys.unjudged");
const POLICY: Kind = Kind::constant("keys.policy");
const GENERATED: Kind = Kind::constant("keys.generated");

/// The word for a secret that is the token's key as it is.
const SECRET: &str = "secret";
/// The word for random bytes from which the token's key is derived.
const DERIVED: &str = "derived";

/// A token's key with the rest of what makes its keys, as the core judges them.
struct Ready {
    secret: Zeroizing<Vec<u8>>,
    algorithm: Algorithm,
    digits: Digits,
    motion: Motion,
}

impl Ready {
    /// Reads a row.
    fn of(row: &KeyTokenRow, site: &str) -> Result<Self, StoreError> {
        let corrupt =
            |why: &dyn std::fmt::Display| StoreError::Corrupt { what: format!("token {}: {why}", row.id) };
        let motion = motion_of(row)?;
        let made_of = &row.made_of;
        let secret = if made_of.material == DERIVED {
            let seed: [u8; 32] =
                made_of.secret.as_slice().try_into().map_err(|_| corrupt(&"its seed has not 32 bytes"))?;
            let phone = made_of.phone.parse().map_err(|error| corrupt(&error))?;
            // A counter's key is derived as if its cycle were the shortest.
            let cycle = cycle_of(motion).unwrap_or(shortest()?);
            let generation =
                u32::try_from(row.generation).map_err(|_| corrupt(&"its generation is too large"))?;
            let holder = Holder {
                site: site.as_bytes(),
                login_id: &made_of.login_id,
                phone: &phone,
                cycle,
                generation,
            };
            let key: TokenKey = Seed::from_bytes(seed).token_key(&holder);
            Zeroizing::new(key.expose().to_vec())
        } else {
            made_of.secret.clone()
        };
        Ok(Self {
            secret,
            algorithm: row.algorithm.parse().map_err(|error| corrupt(&error))?,
            digits: Digits::new(row.digits).map_err(|error| corrupt(&error))?,
            motion,
        })
    }

    fn token(&self) -> Token<'_> {
        Token { secret: &self.secret, algorithm: self.algorithm, digits: self.digits, motion: self.motion }
    }
}

fn shortest() -> Result<CycleTime, StoreError> {
    CycleTime::new(3).map_err(|error| StoreError::Corrupt { what: error.to_string() })
}

fn motion_of(row: &KeyTokenRow) -> Result<Motion, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt { what: format!("token {}: {why}", row.id) };
    let cycle = || CycleTime::new(row.cycle).map_err(|error| corrupt(error.to_string()));
    match row.motion.as_str() {
        "time" => Ok(Motion::Time(cycle()?)),
        "time-event" => Ok(Motion::TimeAndEvent(cycle()?)),
        "counter" => Ok(Motion::Counter),
        other => Err(corrupt(format!("'{other}' moves no token"))),
    }
}

/// The word for what moves a token.
const fn motion_word(motion: Motion) -> &'static str {
    match motion {
        Motion::Time(_) => "time",
        Motion::TimeAndEvent(_) => "time-event",
        Motion::Counter => "counter",
    }
}

const fn cycle_of(motion: Motion) -> Option<CycleTime> {
    match motion {
        Motion::Time(cycle) | Motion::TimeAndEvent(cycle) => Some(cycle),
        Motion::Counter => None,
    }
}

/// How a token stands, for the core.
fn standing_of(row: &KeyStanding) -> Standing {
    Standing {
        last: row.last.map(|(step, event)| Place { step, event }),
        drift: row.drift,
        failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
        locked_until: row.locked_until,
        disabled: row.disabled,
    }
}

/// How a token stands, for the database; what the core does not know stays as it was.
fn standing_row(standing: &Standing, before: &KeyStanding) -> KeyStanding {
    KeyStanding {
        last: standing.last.map(|place| (place.step, place.event)),
        last_used: before.last_used,
        drift: standing.drift,
        failures: u64::from(standing.failures),
        locked_until: standing.locked_until,
        disabled: standing.disabled,
    }
}

/// A customer's rules, for the core.
fn policy_of(row: Option<&KeyPolicyRow>) -> Policy {
    let Some(row) = row else { return Policy::default() };
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Policy {
        back: row.back,
        ahead: row.ahead,
        long_cycles: row.long_cycles,
        while_unproven: if row.mark_unproven { WhileUnproven::Mark } else { WhileUnproven::Refuse },
        lockout: angbu_keys::Lockout {
            after: count(row.lock_after),
            first: row.lock_first,
            longest: row.lock_longest,
            disable_at: count(row.disable_at),
        },
    }
}
