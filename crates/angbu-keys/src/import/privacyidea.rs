//! What `pi-tokenjanitor find export` of privacyIDEA writes: a list of tokens in JSON, as it is or sealed as Fernet.
//!
//! Fernet: `0x80 ‖ u64 time ‖ initialisation vector ‖ AES-128-CBC ‖ HMAC-SHA-256 over all before it`, in base64url, under
//! 16 bytes for the MAC and 16 for the cipher.

use std::collections::BTreeSet;

use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use zeroize::Zeroizing;

use super::{
    File, FileError, Format, Found, Object, Parts, Remark, Why, algorithm, ciphers, hexadecimal, login_id,
    number,
};
use crate::Algorithm;

/// What every sealed export begins with: the version and the first bytes of a time of this age.
pub(super) const SEALED: &str = "gAAAA";

/// Version and time, which stand before the initialisation vector.
const HEAD: usize = 9;
const MAC: usize = 32;

pub(super) fn read(file: &File<'_>, found: &mut Found) -> Result<(), FileError> {
    let text = file.text.trim();
    let opened = text.starts_with(SEALED).then(|| open(text, file.key)).transpose()?;
    let text = opened.as_ref().map_or(text, |text| text.as_str());
    let objects = (file.objects)(text).ok_or(FileError::Malformed(Format::PrivacyIdea))?;
    for (line, object) in (1..).zip(&objects) {
        found.add(line, token(object), file.now)?;
    }
    Ok(())
}

fn open(text: &str, key: Option<&str>) -> Result<Zeroizing<String>, FileError> {
    let key = key.ok_or(FileError::NeedsKey)?.trim();
    let key = BASE64URL.decode(key.as_bytes()).map(Zeroizing::new).map_err(|_| FileError::Key)?;
    let (signing, encrypting) = key.split_at_checked(16).filter(|_| key.len() == 32).ok_or(FileError::Key)?;
    let malformed = FileError::Malformed(Format::PrivacyIdea);
    let sealed = BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).map_err(|_| malformed)?;
    let (signed, mac) =
        sealed.len().checked_sub(MAC).and_then(|at| sealed.split_at_checked(at)).ok_or(malformed)?;
    if !ciphers::fits(Algorithm::Sha256, signing, &[signed], mac) {
        return Err(FileError::WrongKey);
    }
    let plain = ciphers::decrypt(encrypting, signed.get(HEAD..).ok_or(malformed)?).ok_or(malformed)?;
    std::str::from_utf8(&plain).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| malformed)
}

fn token(object: &Object) -> Result<Parts, Why> {
    let value = |name: &str| -> Option<&str> {
        object.get(name).map(|text| text.as_str()).filter(|text| !text.is_empty())
    };
    let timed = match value("type").unwrap_or_default().to_ascii_lowercase().as_str() {
        "totp" => true,
        "hotp" => false,
        _ => return Err(Why::Kind),
    };
    if value("active") == Some("false") || [value("revoked"), value("locked")].contains(&Some("true")) {
        return Err(Why::Disabled);
    }
    let mut remarks = BTreeSet::new();
    if value("_hashed_pin").is_some() {
        remarks.insert(Remark::Pin);
    }
    let cycle = value("info_list.timeStep").map(|text| number(text).ok_or(Why::Cycle)).transpose()?;
    let count = value("count").or_else(|| value("counter"));
    let count = count.map(|text| number(text).ok_or(Why::Counter)).transpose()?;
    if !timed && count.is_none() {
        remarks.insert(Remark::CounterUnknown);
    }
    // A counter is the next one; a step is the newest that was used, and zero before there was one.
    let last =
        if timed { count.filter(|step| *step > 0) } else { count.and_then(|next| next.checked_sub(1)) };
    // Seconds, which are written with a fraction.
    let drift = value("info_list.timeShift").and_then(|text| text.split('.').next()?.parse().ok());
    Ok(Parts {
        login_id: value("user.login").and_then(|text| login_id(text, &mut remarks)),
        serial: value("serial").map(str::to_owned),
        secret: value("otpkey").and_then(hexadecimal).ok_or(Why::Secret)?,
        algorithm: value("info_list.hashlib").map(algorithm).transpose()?,
        digits: value("otplen").map(|text| number(text).ok_or(Why::Digits)).transpose()?,
        cycle: timed.then(|| cycle.unwrap_or(30)),
        last,
        drift: drift.filter(|_| timed).unwrap_or(0),
        remarks,
    })
}
