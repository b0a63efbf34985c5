//! How login ids without a token are answered: as everybody else's, so that no answer tells that there is nobody. Where they
//! stand is in the database like everybody's, so that neither another centre nor a restart tells either.

use angbu_keys::{
    Algorithm, Digits, Holder, Motion, Refused, Seed, Standing, Token, judge, judge_code, totp,
};
use angbu_store::keys::StrangerStanding;
use angbu_store::{StoreError, Tx};
use angbu_units::{CycleTime, Nanos, ProvenInstant, UnixTime};

use super::cycle_of;
use super::tries::{KeyTry, Typed};

/// For how long nobody may have tried until a stranger begins anew.
const REMEMBERED: Nanos = Nanos::from_secs(30 * 86_400);

/// Judges a try of a stranger with a token that nobody has, by the work of a token that somebody has.
///
/// # Errors
/// [`StoreError::Conflict`] when another try came in between.
pub(super) fn judge_stranger(
    tx: &mut Tx<'_>,
    asked: &KeyTry,
    instant: &ProvenInstant,
) -> Result<Refused, StoreError> {
    let name = asked.whom.name();
    let whom = (asked.whom.customer(), name.as_str());
    let row = tx.key_stranger(whom.0, whom.1)?;
    let stands = row.unwrap_or_default();
    let before = Standing {
        failures: u32::try_from(stands.failures).unwrap_or(u32::MAX),
        locked_until: stands.locked_until,
        disabled: stands.disabled,
        ..Standing::default()
    };
    let (refused, after) = refuse(asked, &before, instant);
    let after = StrangerStanding {
        failures: u64::from(after.failures),
        locked_until: after.locked_until,
        disabled: after.disabled,
    };
    if after != stands {
        tx.update_key_stranger(whom, row.as_ref(), &after, instant.time)?;
    }
    Ok(refused)
}

/// What the core says of a token that nobody has.
fn refuse(asked: &KeyTry, before: &Standing, instant: &ProvenInstant) -> (Refused, Standing) {
    let motion = Motion::Time(asked.cycle.unwrap_or_else(thirty));
    let digits = match motion {
        Motion::Time(cycle) => totp::digits(cycle),
        Motion::TimeAndEvent(_) | Motion::Counter => Digits::SIX,
    };
    // The work of a derivation, of whatever bytes.
    let secret = asked.phone.as_ref().map_or([0; 32], |phone| {
        let holder = Holder {
            site: asked.site.as_bytes(),
            login_id: "nobody",
            phone,
            cycle: cycle_of(motion).unwrap_or_else(thirty),
            generation: 1,
        };
        *Seed::from_bytes([0; 32]).token_key(&holder).expose()
    });
    let token = Token { secret: &secret, algorithm: Algorithm::Sha256, digits, motion };
    // Nobody has this token, so a key of it is as wrong as any other.
    let wrong = || {
        let (said, after) = judge_code(false, before, &asked.policy, instant);
        (said.err().unwrap_or(Refused::Wrong), after)
    };
    match &asked.typed {
        Typed::Key(shown) => match judge(&token, before, &asked.policy, shown, instant) {
            (Err(refused), after) => (refused, after),
            (Ok(_), _) => wrong(),
        },
        Typed::Code(_) => wrong(),
    }
}

/// The cycle that a stranger is judged by who names none.
fn thirty() -> CycleTime {
    // 30 lies between 3 and 60.
    CycleTime::new(30).unwrap_or_else(|_| unreachable!("a cycle of 30 s"))
}

/// Forgets strangers whom nobody has tried for long.
pub(in crate::centre) fn clear(tx: &mut Tx<'_>, now: UnixTime) -> Result<(), StoreError> {
    tx.forget_key_strangers(now - REMEMBERED)?;
    Ok(())
}
