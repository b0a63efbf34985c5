//! The address by which an app takes a token in: `otpauth://totp/ISSUER:ACCOUNT?secret=…`.
//!
//! The format is the de-facto "Key URI Format" of authenticator apps; where an app ignores `algorithm`, `digits` or `period`
//! it shows other keys, which is why a token is proven by one key before it counts.

use std::fmt::Write as _;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::{Algorithm, Digits};

/// The longest address that is read, in bytes.
pub const LONGEST: usize = 2_048;

/// The longest secret that is read, in bytes: twice SHA-512's block is more than anything can use.
const LONGEST_SECRET: usize = 256;

/// A token as an app knows it. No `Debug`: it holds the secret.
pub struct OtpAuth {
    /// Who issues it; empty where the address does not say.
    pub issuer: String,
    /// Whose it is.
    pub account: String,
    /// Its key.
    pub secret: Zeroizing<Vec<u8>>,
    /// The hash.
    pub algorithm: Algorithm,
    /// How many digits.
    pub digits: Digits,
    /// What moves it on.
    pub kind: Kind,
}

/// What moves a token of an app on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The time, a key for so many seconds.
    Totp {
        /// Seconds, at least 1.
        period: u64,
    },
    /// A counter, and where it stands.
    Hotp {
        /// The next one.
        counter: u64,
    },
}

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtpAuthError {
    /// Longer than [`LONGEST`].
    #[error("the address is longer than {LONGEST} bytes")]
    TooLong,
    /// Not `otpauth://totp/…` or `otpauth://hotp/…`.
    #[error("the address does not begin with otpauth://totp/ or otpauth://hotp/")]
    Scheme,
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("the address has a % that stands for nothing")]
    Escape,
    /// No account.
    #[error("the address names no account")]
    NoAccount,
    /// A part is there twice.
    #[error("the address has '{0}' twice")]
    Twice(&'static str),
    /// No `secret`.
    #[error("the address has no secret")]
    NoSecret,
    /// `secret` is no base32 (RFC 4648, section 6), empty or too long.
    #[error("the secret is no base32")]
    Secret,
    /// `algorithm`, `digits`, `period` or `counter` with a value that is not offered.
    #[error("'{name}' cannot be '{value}'")]
    Value {
        /// Which.
        name: &'static str,
        /// What stands there.
        value: String,
    },
}

impl OtpAuth {
    /// The address. It holds the secret.
    pub fn address(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(256));
        let (kind, moving, value) = match self.kind {
            Kind::Totp { period } => ("totp", "period", period),
            Kind::Hotp { counter } => ("hotp", "counter", counter),
        };
        let _ = write!(out, "otpauth://{kind}/");
        if !self.issuer.is_empty() {
            escape(&self.issuer, &mut out);
            out.push(':');
        }
        escape(&self.account, &mut out);
        let secret = Zeroizing::new(BASE32_NOPAD.encode(&self.secret));
        let _ = write!(out, "?secret={}", *secret);
        if !self.issuer.is_empty() {
            out.push_str("&issuer=");
            escape(&self.issuer, &mut out);
        }
        let _ = write!(out, "&algorithm={}&digits={}&{moving}={value}", self.algorithm, self.digits.count());
        out
    }

    /// Reads an address. What is left out is as apps take it: SHA1, 6 digits, 30 s. Parts that are not known are passed over.
    ///
    /// # Errors
    /// [`OtpAuthError`].
    pub fn parse(text: &str) -> Result<Self, OtpAuthError> {
        if text.len() > LONGEST {
            return Err(OtpAuthError::TooLong);
        }
        let (head, rest) = text.split_at_checked("otpauth://totp/".len()).ok_or(OtpAuthError::Scheme)?;
        let is_totp = match head.to_ascii_lowercase().as_str() {
            "otpauth://totp/" => true,
            "otpauth://hotp/" => false,
            _ => return Err(OtpAuthError::Scheme),
        };
        let (label, query) = rest.split_once('?').ok_or(OtpAuthError::NoSecret)?;
        let label = unescape(label)?;
        let parts = Parts::read(query)?;
        let (prefix, account) = label.split_once(':').unwrap_or(("", &label));
        let account = account.trim();
        if account.is_empty() {
            return Err(OtpAuthError::NoAccount);
        }
        let kind = if is_totp {
            Kind::Totp { period: number("period", parts.period, 30)?.max(1) }
        } else {
            Kind::Hotp { counter: number("counter", parts.counter, 0)? }
        };
        let digits = number("digits", parts.digits.clone(), 6)?;
        Ok(Self {
            issuer: parts.issuer.unwrap_or_else(|| prefix.trim().to_owned()),
            account: account.to_owned(),
            secret: secret(&parts.secret.ok_or(OtpAuthError::NoSecret)?).ok_or(OtpAuthError::Secret)?,
            algorithm: algorithm(parts.algorithm)?,
            digits: Digits::new(digits).map_err(|_| value("digits", parts.digits.unwrap_or_default()))?,
            kind,
        })
    }
}

/// A secret in base32 as people copy it: in either case, with or without spaces, hyphens and padding.
pub(crate) fn secret(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bare: Zeroizing<String> = Zeroizing::new(
        text.trim_end_matches('=')
            .chars()
            .filter(|character| !matches!(character, ' ' | '-'))
            .map(|character| character.to_ascii_uppercase())
            .collect(),
    );
    let bytes = BASE32_NOPAD.decode(bare.as_bytes()).ok().map(Zeroizing::new)?;
    (!bytes.is_empty() && bytes.len() <= LONGEST_SECRET).then_some(bytes)
}

/// The parts of an address behind its question mark.
#[derive(Default)]
struct Parts {
    secret: Option<Zeroizing<String>>,
    issuer: Option<String>,
    algorithm: Option<String>,
    digits: Option<String>,
    period: Option<String>,
    counter: Option<String>,
}

impl Parts {
    fn read(query: &str) -> Result<Self, OtpAuthError> {
        let mut parts = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, place) = match name {
                "secret" => {
                    if parts.secret.replace(Zeroizing::new(unescape(text)?)).is_some() {
                        return Err(OtpAuthError::Twice("secret"));
                    }
                    continue;
                }
                "issuer" => ("issuer", &mut parts.issuer),
                "algorithm" => ("algorithm", &mut parts.algorithm),
                "digits" => ("digits", &mut parts.digits),
                "period" => ("period", &mut parts.period),
                "counter" => ("counter", &mut parts.counter),
                _ => continue,
            };
            if place.replace(unescape(text)?).is_some() {
                return Err(OtpAuthError::Twice(name));
            }
        }
        Ok(parts)
    }
}

fn value(name: &'static str, value: String) -> OtpAuthError {
    OtpAuthError::Value { name, value }
}

fn number(name: &'static str, text: Option<String>, default: u64) -> Result<u64, OtpAuthError> {
    match text {
        None => Ok(default),
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| value(name, text))
        }
        Some(text) => Err(value(name, text)),
    }
}

fn algorithm(text: Option<String>) -> Result<Algorithm, OtpAuthError> {
    match text {
        None => Ok(Algorithm::Sha1),
        // Some write it as `HmacSHA256` or `SHA-256`.
        Some(text) => {
            let bare = text.to_ascii_uppercase().replace("HMAC", "").replace('-', "");
            bare.parse().map_err(|_| value("algorithm", text))
        }
    }
}

/// All but RFC 3986's unreserved characters as `%XX`.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

fn unescape(text: &str) -> Result<String, OtpAuthError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit(), digit());
                let pair = high.zip(low).map(|(high, low)| high << 4 | low);
                pair.and_then(|pair| u8::try_from(pair).ok()).ok_or(OtpAuthError::Escape)?
            }
            other => other,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| OtpAuthError::Escape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_other_apps_write_is_read() {
        let read = |text| OtpAuth::parse(text).ok().unwrap();
        let plain = read("otpauth://totp/kim?secret=JBSWY3DPEHPK3PXP");
        assert_eq!((plain.issuer.as_str(), plain.account.as_str()), ("", "kim"));
        assert_eq!(
            (plain.algorithm, plain.digits, plain.kind),
            (Algorithm::Sha1, Digits::SIX, Kind::Totp { period: 30 })
        );
        assert_eq!(plain.secret.len(), 10);

        let full = read(
            "otpauth://totp/ACME%20Co:%20john@example.com?secret=jbsw%20y3dp-ehpk3pxp====&issuer=ACME%20Co\
             &algorithm=HmacSHA512&digits=8&period=60&image=x",
        );
        assert_eq!((full.issuer.as_str(), full.account.as_str()), ("ACME Co", "john@example.com"));
        assert_eq!(
            (full.algorithm, full.digits, full.kind),
            (Algorithm::Sha512, Digits::EIGHT, Kind::Totp { period: 60 })
        );

        let counted = read("OTPAUTH://HOTP/A:b?secret=JBSWY3DPEHPK3PXP&counter=7");
        assert_eq!(counted.kind, Kind::Hotp { counter: 7 });
    }

    #[test]
    fn each_refusal_says_why() {
        let value = |name, text: &str| OtpAuthError::Value { name, value: text.to_owned() };
        for (text, why) in [
            ("", OtpAuthError::Scheme),
            ("https://example.com/", OtpAuthError::Scheme),
            ("otpauth://steam/a?secret=JBSWY3DP", OtpAuthError::Scheme),
            ("otpauth://totp/a", OtpAuthError::NoSecret),
            ("otpauth://totp/a?issuer=b", OtpAuthError::NoSecret),
            ("otpauth://totp/?secret=JBSWY3DP", OtpAuthError::NoAccount),
            ("otpauth://totp/b:?secret=JBSWY3DP", OtpAuthError::NoAccount),
            ("otpauth://totp/a?secret=", OtpAuthError::Secret),
            ("otpauth://totp/a?secret=1189", OtpAuthError::Secret),
            ("otpauth://totp/a%2?secret=JBSWY3DP", OtpAuthError::Escape),
            ("otpauth://totp/a%ff?secret=JBSWY3DP", OtpAuthError::Escape),
            ("otpauth://totp/a?secret=JBSWY3DP&secret=JBSWY3DP", OtpAuthError::Twice("secret")),
            ("otpauth://totp/a?secret=JBSWY3DP&digits=6&digits=6", OtpAuthError::Twice("digits")),
            ("otpauth://totp/a?secret=JBSWY3DP&digits=11", value("digits", "11")),
            ("otpauth://totp/a?secret=JBSWY3DP&digits=six", value("digits", "six")),
            ("otpauth://totp/a?secret=JBSWY3DP&period=-1", value("period", "-1")),
            ("otpauth://totp/a?secret=JBSWY3DP&algorithm=MD5", value("algorithm", "MD5")),
            (
                "otpauth://hotp/a?secret=JBSWY3DP&counter=99999999999999999999",
                value("counter", "99999999999999999999"),
            ),
        ] {
            assert_eq!(OtpAuth::parse(text).err(), Some(why), "{text}");
        }
        assert_eq!(OtpAuth::parse(&"x".repeat(LONGEST + 1)).err(), Some(OtpAuthError::TooLong));
    }

    proptest! {
        #[test]
        fn tokens_survive_their_address(
            issuer in "\\PC{0,20}", account in "[^:\\s]\\PC{0,20}[^:\\s]", secret in prop::collection::vec(any::<u8>(), 1..64),
            digits in 4_u64..=10, moving in 1_u64.., totp: bool,
        ) {
            prop_assume!(!account.contains(':') && !issuer.contains(':') && account.trim() == account);
            let kind = if totp { Kind::Totp { period: moving } } else { Kind::Hotp { counter: moving } };
            let (algorithm, digits) = (Algorithm::Sha256, Digits::new(digits).unwrap());
            let token = OtpAuth { issuer, account, secret: Zeroizing::new(secret), algorithm, digits, kind };
            let read = OtpAuth::parse(&token.address()).ok().unwrap();
            prop_assert_eq!((&read.issuer, &read.account), (&token.issuer, &token.account));
            prop_assert_eq!((&*read.secret, read.algorithm, read.digits, read.kind), (&*token.secret, algorithm, digits, kind));
        }

        #[test]
        fn no_text_panics(text in "(otpauth://totp/)?\\PC{0,60}") {
            let _ = OtpAuth::parse(&text);
        }
    }
}
