//! Addresses of apps, one a line: what many products export, and what a QR code holds.

use std::collections::BTreeSet;

use super::{File, FileError, Found, Parts, Why, lines};
use crate::otpauth::{Kind, OtpAuth, OtpAuthError};

/// What Google's app puts several tokens into.
const PACKED: &str = "otpauth-migration://";

pub(super) fn read(file: &File<'_>, found: &mut Found) -> Result<(), FileError> {
    for (line, text) in lines(file.text) {
        found.add(line, address(text), file.now)?;
    }
    Ok(())
}

fn address(text: &str) -> Result<Parts, Why> {
    if text.get(..PACKED.len()).is_some_and(|head| head.eq_ignore_ascii_case(PACKED)) {
        return Err(Why::Packed);
    }
    let token = OtpAuth::parse(text).map_err(|error| match error {
        OtpAuthError::NoSecret | OtpAuthError::Secret => Why::Secret,
        OtpAuthError::NoAccount => Why::NoName,
        OtpAuthError::Value { name: "algorithm", .. } => Why::Algorithm,
        OtpAuthError::Value { name: "digits", .. } => Why::Digits,
        OtpAuthError::Value { name: "period", .. } => Why::Cycle,
        OtpAuthError::Value { .. } => Why::Counter,
        OtpAuthError::TooLong | OtpAuthError::Scheme | OtpAuthError::Escape | OtpAuthError::Twice(_) => {
            Why::Address
        }
    })?;
    let (cycle, last) = match token.kind {
        Kind::Totp { period } => (Some(period), None),
        // The address tells the next counter.
        Kind::Hotp { counter } => (None, counter.checked_sub(1)),
    };
    Ok(Parts {
        login_id: Some(token.account),
        serial: None,
        secret: token.secret,
        algorithm: Some(token.algorithm),
        digits: Some(u64::from(token.digits.count())),
        cycle,
        last,
        drift: 0,
        remarks: BTreeSet::new(),
    })
}
