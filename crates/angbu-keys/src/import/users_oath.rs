//! The file of `pam_oath`: a token a line.
//!
//! `KIND LOGIN PIN SECRET [COUNTER [LAST [WHEN]]]`, with spaces between, the secret in hexadecimal. The kind is `HOTP` (or
//! `HOTP/E`) for counted tokens and `HOTP/T30` or `HOTP/T60` for timed ones, with `/6`, `/7` or `/8` behind it for other than
//! six digits. The counter is the last one used where the digits of a last key stand behind it, else the next one.

use std::collections::BTreeSet;

use angbu_units::{CycleTime, Nanos};
use subtle::ConstantTimeEq as _;

use super::{File, FileError, Found, Parts, Remark, Why, hexadecimal, lines, number};
use crate::{Algorithm, Digits, OneTimeKey, totp};

/// How far from now the last key of a timed token is looked for: what lies farther back is good nowhere any more.
const AROUND: Nanos = Nanos::from_secs(150);

pub(super) fn read(file: &File<'_>, found: &mut Found) -> Result<(), FileError> {
    for (line, text) in lines(file.text) {
        found.add(line, token(text, file), file.now)?;
    }
    Ok(())
}

fn token(text: &str, file: &File<'_>) -> Result<Parts, Why> {
    let mut words = text.split_ascii_whitespace();
    let mut word = || words.next();
    let (Some(kind), Some(login_id), Some(pin), Some(secret)) = (word(), word(), word(), word()) else {
        return Err(Why::Shape);
    };
    let (counter, shown) = (word(), word());
    let (cycle, digits) = self::kind(kind)?;
    let mut parts = Parts {
        login_id: Some(login_id.to_owned()),
        secret: hexadecimal(secret).ok_or(Why::Secret)?,
        digits: Some(digits),
        cycle,
        remarks: BTreeSet::new(),
        ..Parts::default()
    };
    // `-` is no PIN, and `+` one that another module asks for.
    if !matches!(pin, "-" | "+") {
        parts.remarks.insert(Remark::Pin);
    }
    parts.last = match (cycle, counter, shown) {
        (Some(_), _, Some(shown)) => last_step(&parts, shown, file),
        (Some(_), _, None) => None,
        (None, None, _) => {
            parts.remarks.insert(Remark::CounterUnknown);
            None
        }
        (None, Some(counter), shown) => {
            let counter = number(counter).ok_or(Why::Counter)?;
            if shown.is_some() { Some(counter) } else { counter.checked_sub(1) }
        }
    };
    Ok(parts)
}

/// The cycle and the digits of a kind.
fn kind(text: &str) -> Result<(Option<u64>, u64), Why> {
    let mut parts = text.split('/');
    if parts.next() != Some("HOTP") {
        return Err(Why::Kind);
    }
    let cycle = match parts.next() {
        None | Some("E") => None,
        Some(time) => {
            let seconds = time.strip_prefix('T').ok_or(Why::Kind)?;
            Some(if seconds.is_empty() { 30 } else { number(seconds).ok_or(Why::Cycle)? })
        }
    };
    let digits = match parts.next() {
        None => 6,
        Some(digits) => number(digits).ok_or(Why::Digits)?,
    };
    match parts.next() {
        None => Ok((cycle, digits)),
        Some(_) => Err(Why::Kind),
    }
}

/// Which step the last key was of: the file says the hour of the machine that wrote it, and not in which zone that stands.
fn last_step(parts: &Parts, shown: &str, file: &File<'_>) -> Option<u64> {
    let shown: OneTimeKey = shown.parse().ok()?;
    let digits = Digits::new(parts.digits?).ok()?;
    let cycle = CycleTime::new(parts.cycle?).ok()?;
    let fits = |step: &u64| totp::key(Algorithm::Sha1, &parts.secret, *step, digits).ct_eq(&shown).into();
    (totp::step_at(file.now - AROUND, cycle)..=totp::step_at(file.now + AROUND, cycle)).rfind(fits)
}
