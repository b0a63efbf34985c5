//! The file of `pam_google_authenticator`: one token, whose holder is whoever owns the file.
//!
//! The first line is the secret in base32; lines that begin with `" ` are options; the others are recovery codes.

use std::collections::BTreeSet;

use super::{File, FileError, Format, Found, Parts, Remark, Why, base32, number};

/// What options begin with.
const OPTION: &str = "\" ";

pub(super) fn looks_like(text: &str) -> bool {
    let mut lines = text.lines();
    // Everything that the program writes has one of the two.
    lines.next().is_some()
        && lines.any(|line| matches!(option(line), Some(("TOTP_AUTH" | "HOTP_COUNTER", _))))
}

pub(super) fn read(file: &File<'_>, found: &mut Found) -> Result<(), FileError> {
    if !looks_like(file.text) {
        return Err(FileError::Malformed(Format::GoogleAuthenticator));
    }
    found.add(1, token(file), file.now)
}

fn option(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(OPTION)?.trim();
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

fn token(file: &File<'_>) -> Result<Parts, Why> {
    let mut lines = file.text.lines();
    let secret = base32(lines.next().unwrap_or_default().trim()).ok_or(Why::Secret)?;
    let (mut counted, mut timed, mut step, mut skew) = (None, false, 30, 0_i64);
    let mut used = None;
    let mut remarks = BTreeSet::new();
    for line in lines {
        match option(line) {
            Some(("TOTP_AUTH", _)) => timed = true,
            Some(("HOTP_COUNTER", value)) => counted = Some(number(value.trim()).ok_or(Why::Counter)?),
            Some(("STEP_SIZE", value)) => step = number(value.trim()).ok_or(Why::Cycle)?,
            Some(("TIME_SKEW", value)) => skew = value.trim().parse().map_err(|_| Why::Cycle)?,
            // The steps that were used and are not forgotten yet.
            Some(("DISALLOW_REUSE", value)) => used = value.split_ascii_whitespace().filter_map(number).max(),
            Some(("RATE_LIMIT" | "WINDOW_SIZE", _)) => _ = remarks.insert(Remark::Limits),
            Some(_) => {}
            None if line.trim().is_empty() => {}
            None => _ = remarks.insert(Remark::RecoveryCodes),
        }
    }
    let (cycle, last, drift) = match (timed, counted) {
        // The counter is the next one.
        (false, Some(counter)) => (None, counter.checked_sub(1), 0),
        (true, None) => {
            let seconds = i64::try_from(step).map_err(|_| Why::Cycle)?;
            (Some(step), used, skew.saturating_mul(seconds))
        }
        _ => return Err(Why::Kind),
    };
    let login_id = file.holder.map(str::to_owned);
    Ok(Parts { login_id, secret, cycle, last, drift, remarks, ..Parts::default() })
}
