//! Moving in: reading the files in which other products keep or hand over their tokens.
//!
//! [`read`] takes a text and gives the tokens in it, each with where it stands, and what could not be taken, with its line
//! and the reason. It decides nothing about people or about tokens that are here already: that is the caller's.
//!
//! A reason never repeats what stands in the file, because columns that are mixed up would make it repeat a secret. Names
//! are told only of tokens whose secret was read.

mod addresses;
mod ciphers;
mod google_authenticator;
mod privacyidea;
mod pskc;
mod table;
mod users_oath;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use angbu_units::{CycleTime, Nanos, UnixTime};
use data_encoding::HEXLOWER_PERMISSIVE;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Algorithm, Digits, MOST_DRIFT, Motion, Place, otpauth, totp};

/// The longest file that is read, in bytes.
pub const LONGEST: usize = 4 * 1024 * 1024;

/// The most tokens, taken and refused together, that one file may hold.
pub const MOST: usize = 10_000;

/// The shortest secret that is taken, in bytes. RFC 4226, section 4, wants 16; many apps were given 10.
pub const SHORTEST_SECRET: usize = 10;

/// A secret of fewer bytes is taken with a remark (RFC 4226, section 4, requirement 6).
const ENOUGH_SECRET: usize = 16;

/// The longest secret that is taken, in bytes: the block of SHA-512, over which HMAC would hash it first.
pub const LONGEST_SECRET: usize = 128;

/// The longest login id or serial that is kept, in bytes.
const LONGEST_NAME: usize = 256;

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Addresses `otpauth://…`, one a line.
    OtpAuth,
    /// A key container (RFC 6030).
    Pskc,
    /// A table with commas, semicolons or tabs: with a header, or as privacyIDEA and LinOTP read and write them.
    Table,
    /// The file of `pam_oath`.
    UsersOath,
    /// The file of `pam_google_authenticator`, of one person.
    GoogleAuthenticator,
    /// What `pi-tokenjanitor export` of privacyIDEA writes, encrypted or as JSON.
    PrivacyIdea,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::OtpAuth,
        Self::Pskc,
        Self::Table,
        Self::UsersOath,
        Self::GoogleAuthenticator,
        Self::PrivacyIdea,
    ];

    /// Its name in requests and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtpAuth => "otpauth",
            Self::Pskc => "pskc",
            Self::Table => "csv",
            Self::UsersOath => "users.oath",
            Self::GoogleAuthenticator => "google-authenticator",
            Self::PrivacyIdea => "privacyidea",
        }
    }

    /// What a text is by its look; `None` where it looks like none of them.
    pub fn of(text: &str) -> Option<Self> {
        let text = without_mark(text).trim_start();
        if text.starts_with('<') {
            return Some(Self::Pskc);
        }
        if text.starts_with(['[', '{']) || text.starts_with(privacyidea::SEALED) {
            return Some(Self::PrivacyIdea);
        }
        if google_authenticator::looks_like(text) {
            return Some(Self::GoogleAuthenticator);
        }
        let (_, first) = lines(text).next()?;
        if first.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("otpauth")) {
            return Some(Self::OtpAuth);
        }
        let word = first.split_ascii_whitespace().next().unwrap_or_default();
        if word == "HOTP" || word.starts_with("HOTP/") {
            return Some(Self::UsersOath);
        }
        first.contains([',', ';', '\t']).then_some(Self::Table)
    }
}

/// The text is no format's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a file of tokens is otpauth, pskc, csv, users.oath, google-authenticator or privacyidea")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(UnknownFormat)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An object of JSON: each value by its path, as in `user.login`. Lists are left out.
pub type Object = BTreeMap<String, Zeroizing<String>>;

/// Reads a list of objects, or one object, from JSON; `None` where the text is none. A core knows no JSON, so whoever calls
/// hands this in.
pub type Objects = fn(&str) -> Option<Vec<Object>>;

/// What is read, and what it takes to read it. No `Debug`: it holds secrets.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// The text.
    pub text: &'a str,
    /// What it is; `None` where that shall be seen from the text.
    pub format: Option<Format>,
    /// The key under which an export is encrypted: hexadecimal for PSKC, base64url for privacyIDEA's own.
    pub key: Option<&'a str>,
    /// The password under which an export is encrypted.
    pub password: Option<&'a str>,
    /// Whose token it is, for a file that holds one and does not say.
    pub holder: Option<&'a str>,
    /// Reads JSON.
    pub objects: Objects,
    /// The instant: by it the last key of a token is placed where a file gives only its digits.
    pub now: UnixTime,
}

/// A token as the file has it. No `Debug`: it holds the secret.
pub struct Taken {
    /// Its line in the file, from 1; of JSON, which object it is.
    pub line: u32,
    /// The login id of its holder, where the file has one.
    pub login_id: Option<String>,
    /// Its serial number, where the file has one.
    pub serial: Option<String>,
    /// Its key.
    pub secret: Zeroizing<Vec<u8>>,
    /// The hash.
    pub algorithm: Algorithm,
    /// How many digits.
    pub digits: Digits,
    /// What moves it on: the time or a counter.
    pub motion: Motion,
    /// The newest place that was used there, so that no key up to it is good here.
    pub last: Option<Place>,
    /// How far its clock was seen to be ahead.
    pub drift: Nanos,
    /// What of it is not taken along, or is worth knowing.
    pub remarks: BTreeSet<Remark>,
}

/// What of a token is not taken along, or is worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remark {
    /// It had a PIN beside it.
    Pin,
    /// Its secret has fewer than 128 bits.
    ShortSecret,
    /// The file does not say where the counter stands, so it begins at 0.
    CounterUnknown,
    /// It had recovery codes.
    RecoveryCodes,
    /// It had limits or a validity of its own; what counts here is the policy.
    Limits,
    /// Its clock was seen to be more than a minute off, which is not believed.
    Drift,
    /// The login id stood with a realm or in a directory's name, which is left out.
    Realm,
}

impl Remark {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::ShortSecret => "short-secret",
            Self::CounterUnknown => "counter-unknown",
            Self::RecoveryCodes => "recovery-codes",
            Self::Limits => "limits",
            Self::Drift => "drift",
            Self::Realm => "realm",
        }
    }
}

/// What could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its line in the file, from 1; of JSON, which object it is.
    pub line: u32,
    /// Whose it is, or its serial, where its secret was read.
    pub name: Option<String>,
    /// Why.
    pub why: Why,
}

/// Why a token could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The line has too few parts, or a part too many.
    #[error("the line does not have the parts that it needs")]
    Shape,
    /// It is no address, or part of it stands there twice.
    #[error("this is no otpauth:// address that can be read")]
    Address,
    /// `otpauth-migration://`, which packs many tokens in one.
    #[error("a packed export (otpauth-migration://) is not read; export the tokens one by one")]
    Packed,
    /// Neither counted nor timed.
    #[error("only counted (HOTP) and timed (TOTP) tokens are taken")]
    Kind,
    /// Not hexadecimal, base32 or base64 as its format wants.
    #[error("the secret is not written as the format wants it")]
    Secret,
    /// Under [`SHORTEST_SECRET`].
    #[error("the secret has fewer than {SHORTEST_SECRET} bytes; enrol this person anew")]
    SecretTooShort,
    /// Over [`LONGEST_SECRET`].
    #[error("the secret has more than {LONGEST_SECRET} bytes")]
    SecretTooLong,
    /// No number, or not 6 to 10.
    #[error("a key has 6 to 10 digits")]
    Digits,
    /// Letters, or a check digit.
    #[error("only keys of decimal digits without a check digit are taken")]
    Encoding,
    /// No number of seconds, or not 3 to 60.
    #[error("a cycle is 3 to 60 s")]
    Cycle,
    /// Not one of the three hashes.
    #[error("the hash is SHA1, SHA256 or SHA512")]
    Algorithm,
    /// No number.
    #[error("the counter is no number that a token can reach")]
    Counter,
    /// Neither a login id nor a serial number.
    #[error("it names neither a person nor a serial number")]
    NoName,
    /// A name of more than 256 bytes or with characters that are not shown.
    #[error("its login id or serial number is too long or holds what is not shown")]
    Name,
    /// The same token stands in the file before.
    #[error("the same token stands in this file already")]
    Twice,
    /// It was disabled, locked or revoked where it comes from.
    #[error("it is disabled or revoked where it comes from")]
    Disabled,
    /// Encrypted in a way that is not read.
    #[error("it is encrypted in a way that is not read; AES-CBC with a MAC is")]
    Cipher,
    /// Encrypted without a MAC, so that nobody could tell whether it was changed.
    #[error("it is encrypted without a MAC, so nothing shows whether it was changed")]
    NoMac,
    /// Its MAC does not fit.
    #[error("its MAC does not fit: it was changed, or this is not its key")]
    Mac,
}

impl Why {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::Address => "address",
            Self::Packed => "packed",
            Self::Kind => "kind",
            Self::Secret => "secret",
            Self::SecretTooShort => "secret-too-short",
            Self::SecretTooLong => "secret-too-long",
            Self::Digits => "digits",
            Self::Encoding => "encoding",
            Self::Cycle => "cycle",
            Self::Algorithm => "algorithm",
            Self::Counter => "counter",
            Self::NoName => "no-name",
            Self::Name => "name",
            Self::Twice => "twice",
            Self::Disabled => "disabled",
            Self::Cipher => "cipher",
            Self::NoMac => "no-mac",
            Self::Mac => "mac",
        }
    }
}

/// Why a file is not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Over [`LONGEST`].
    #[error("the file is longer than {LONGEST} bytes; divide it")]
    TooLong,
    /// Over [`MOST`].
    #[error("the file holds more than {MOST} tokens; divide it")]
    TooMany,
    /// It looks like none of the formats.
    #[error(
        "the file looks like none of otpauth, pskc, csv, users.oath, google-authenticator and privacyidea; \
         say which it is, or write a table with a header"
    )]
    Unrecognised,
    /// It is not what it was said to be.
    #[error("the file is no {0} file that can be read")]
    Malformed(Format),
    /// A table whose secrets could be read in two ways, or in neither.
    #[error(
        "nothing shows whether the secrets are hexadecimal or base32; name the column secret_hex or secret_base32"
    )]
    SecretsEitherWay,
    /// Encrypted under a key that was not given.
    #[error("the file is encrypted under a key; give that key")]
    NeedsKey,
    /// Encrypted under a password that was not given.
    #[error("the file is encrypted under a password; give that password")]
    NeedsPassword,
    /// The key has another length, or is not written as the format wants it.
    #[error("the key is not one that this file can be encrypted under")]
    Key,
    /// The key or the password does not open it.
    #[error("the key or password does not open this file, or the file was changed")]
    WrongKey,
    /// Encrypted in a way that is not read.
    #[error("the file is encrypted in a way that is not read; AES-CBC under a key or PBKDF2 password is")]
    Cipher,
    /// PBKDF2 with more rounds than anybody uses.
    #[error("the file asks for more rounds of PBKDF2 than are run")]
    Rounds,
}

/// What a file held. No `Debug`: it holds secrets.
pub struct Reading {
    /// What kind of file it is.
    pub format: Format,
    /// The tokens that could be taken, as they stand in the file.
    pub tokens: Vec<Taken>,
    /// What could not be taken, as it stands in the file.
    pub refused: Vec<Refused>,
}

/// Reads a file.
///
/// # Errors
/// [`FileError`] where nothing of it can be read; what is wrong with one token is in [`Reading::refused`].
pub fn read(file: &File<'_>) -> Result<Reading, FileError> {
    if file.text.len() > LONGEST {
        return Err(FileError::TooLong);
    }
    let file = File { text: without_mark(file.text), ..*file };
    let format = file.format.or_else(|| Format::of(file.text)).ok_or(FileError::Unrecognised)?;
    let mut found =
        Found { seen: BTreeSet::new(), reading: Reading { format, tokens: Vec::new(), refused: Vec::new() } };
    match format {
        Format::OtpAuth => addresses::read(&file, &mut found)?,
        Format::Pskc => pskc::read(&file, &mut found)?,
        Format::Table => table::read(&file, &mut found)?,
        Format::UsersOath => users_oath::read(&file, &mut found)?,
        Format::GoogleAuthenticator => google_authenticator::read(&file, &mut found)?,
        Format::PrivacyIdea => privacyidea::read(&file, &mut found)?,
    }
    Ok(found.reading)
}

/// What a reader hands on: one token's parts as the file has them, before they are known to be good.
#[derive(Default)]
struct Parts {
    login_id: Option<String>,
    serial: Option<String>,
    secret: Zeroizing<Vec<u8>>,
    algorithm: Option<Algorithm>,
    digits: Option<u64>,
    /// Seconds; `None` for a counted token.
    cycle: Option<u64>,
    last: Option<u64>,
    /// Seconds ahead.
    drift: i64,
    remarks: BTreeSet<Remark>,
}

/// What has been read so far.
struct Found {
    seen: BTreeSet<[u8; 32]>,
    reading: Reading,
}

impl Found {
    /// Takes one token in, or the reason why it cannot be taken.
    fn add(&mut self, line: u32, parts: Result<Parts, Why>, now: UnixTime) -> Result<(), FileError> {
        if self.reading.tokens.len() + self.reading.refused.len() >= MOST {
            return Err(FileError::TooMany);
        }
        let (name, taken) = match parts {
            Err(why) => (None, Err(why)),
            Ok(parts) => {
                let name = parts.login_id.clone().or_else(|| parts.serial.clone());
                (name.filter(|name| can_be_shown(name)), self.checked(line, parts, now))
            }
        };
        match taken {
            Ok(taken) => self.reading.tokens.push(taken),
            Err(why) => self.reading.refused.push(Refused { line, name, why }),
        }
        Ok(())
    }

    fn checked(&mut self, line: u32, parts: Parts, now: UnixTime) -> Result<Taken, Why> {
        let Parts { login_id, serial, secret, algorithm, digits, cycle, last, drift, mut remarks } = parts;
        match secret.len() {
            0..SHORTEST_SECRET => return Err(Why::SecretTooShort),
            SHORTEST_SECRET..ENOUGH_SECRET => _ = remarks.insert(Remark::ShortSecret),
            ENOUGH_SECRET..=LONGEST_SECRET => {}
            _ => return Err(Why::SecretTooLong),
        }
        if login_id.is_none() && serial.is_none() {
            return Err(Why::NoName);
        }
        if ![&login_id, &serial].into_iter().flatten().all(|name| can_be_shown(name)) {
            return Err(Why::Name);
        }
        let digits = digits.unwrap_or(6);
        let digits = Digits::new(digits).ok().filter(|_| digits >= 6).ok_or(Why::Digits)?;
        let motion = match cycle {
            Some(seconds) => Motion::Time(CycleTime::new(seconds).map_err(|_| Why::Cycle)?),
            None => Motion::Counter,
        };
        let drift = match drift.checked_mul(1_000_000_000).map(Nanos::new) {
            Some(drift) if (-MOST_DRIFT..=MOST_DRIFT).contains(&drift) => drift,
            _ => {
                remarks.insert(Remark::Drift);
                Nanos::default()
            }
        };
        let last = match motion {
            // A step that lies more than a minute ahead was never used; believing it would shut the token out till then.
            Motion::Time(cycle) => last.filter(|step| *step <= totp::step_at(now + MOST_DRIFT, cycle)),
            // The places after the last one must be countable.
            _ if last.is_some_and(|last| last > u64::MAX >> 1) => return Err(Why::Counter),
            _ => last,
        };
        if !self.seen.insert(fingerprint(login_id.as_deref(), serial.as_deref(), &secret)) {
            return Err(Why::Twice);
        }
        Ok(Taken {
            line,
            login_id,
            serial,
            secret,
            algorithm: algorithm.unwrap_or(Algorithm::Sha1),
            digits,
            motion,
            last: last.map(|step| Place { step, event: 0 }),
            drift,
            remarks,
        })
    }
}

/// Tells two tokens of a file apart.
fn fingerprint(login_id: Option<&str>, serial: Option<&str>, secret: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [login_id.unwrap_or_default(), serial.unwrap_or_default()] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(secret);
    hash.finalize().into()
}

fn can_be_shown(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
}

/// Without the mark that some editors put before UTF-8.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The lines that say something, each with its number and without the space around it; `#` begins a comment.
fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// A number without sign or spaces.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A secret in hexadecimal, in either case.
fn hexadecimal(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().map(Zeroizing::new)
}

/// A secret in base32.
fn base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    otpauth::secret(text)
}

/// A hash as others name it: `sha256`, `SHA-256`, `HmacSHA256`, `HMAC-SHA256`.
fn algorithm(text: &str) -> Result<Algorithm, Why> {
    let bare = text.trim().to_ascii_uppercase().replace("HMAC", "").replace(['-', '_'], "");
    bare.parse().map_err(|_| Why::Algorithm)
}

/// The login id in a directory's `CN=kim,OU=…` (RFC 4514); others as they are.
fn login_id(text: &str, remarks: &mut BTreeSet<Remark>) -> Option<String> {
    let text = text.trim();
    let first = text.split(',').next().unwrap_or_default();
    let named = first.split_once('=').filter(|(name, _)| {
        let name = name.trim();
        name.eq_ignore_ascii_case("cn") || name.eq_ignore_ascii_case("uid")
    });
    let bare = match named {
        Some((_, bare)) => {
            remarks.insert(Remark::Realm);
            bare.trim()
        }
        None => text,
    };
    (!bare.is_empty()).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests;
