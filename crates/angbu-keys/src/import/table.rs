//! Tables: a line a token, its parts between commas, semicolons or tabs.
//!
//! With a header, the columns are known by their names. Without one it is a table as privacyIDEA and LinOTP read it
//! (`serial, secret, kind, digits, cycle or counter`), the same with `user, resolver, realm` before it (`# version: 2`),
//! or as privacyIDEA writes it (`owner@realm, serial, secret, kind, digits, cycle`). Those know the hash by the secret's length.
//!
//! The crates that read such tables keep their buffers as they are; here every cell is wiped.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::{
    File, FileError, Format, Found, Parts, Remark, Why, algorithm, base32, hexadecimal, lines, login_id,
    number,
};
use crate::Algorithm;

/// The most cells of a line that are looked at.
const MOST_CELLS: usize = 64;

type Cells = Vec<Zeroizing<String>>;

pub(super) fn read(file: &File<'_>, found: &mut Found) -> Result<(), FileError> {
    let mut rows = lines(file.text);
    let (_, first) = rows.next().ok_or(FileError::Malformed(Format::Table))?;
    let separator = [',', ';', '\t'].into_iter().find(|separator| first.contains(*separator));
    let separator = separator.ok_or(FileError::Malformed(Format::Table))?;
    let header = Header::of(&cells(first, separator));
    let rows: Vec<(u32, Cells)> = lines(file.text)
        .skip(usize::from(header.is_some()))
        .map(|(line, text)| (line, cells(text, separator)))
        .collect();
    let place = |row: &Cells| match &header {
        Some(header) => header.secret,
        None => Layout::of(row).map_or(usize::MAX, |layout| layout.secret),
    };
    let written = match header.as_ref().and_then(|header| header.written) {
        Some(written) => written,
        None => Written::of(rows.iter().filter_map(|(_, row)| row.get(place(row))))
            .or(
                // The two that have no header want hexadecimal.
                if header.is_none() { Some(Written::Hexadecimal) } else { None },
            )
            .ok_or(FileError::SecretsEitherWay)?,
    };
    for (line, row) in &rows {
        let parts = match &header {
            Some(header) => header.parts(row, written),
            None => Layout::of(row).ok_or(Why::Shape).and_then(|layout| layout.parts(row, written)),
        };
        found.add(*line, parts, file.now)?;
    }
    Ok(())
}

/// The cells of a line (RFC 4180, but for cells of several lines, which no part of a token needs).
fn cells(line: &str, separator: char) -> Cells {
    let mut cells: Cells = vec![Zeroizing::new(String::with_capacity(line.len()))];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => quoted = true,
            _ if character == separator && !quoted => {
                if cells.len() == MOST_CELLS {
                    break;
                }
                let rest = Zeroizing::new(String::with_capacity(64));
                cells.push(rest);
            }
            _ => cell.push(character),
        }
    }
    cells.into_iter().map(|cell| Zeroizing::new(cell.trim().to_owned())).collect()
}

/// How a table's secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Hexadecimal,
    Base32,
}

impl Written {
    /// What all of a table's secrets can be; `None` where they can be both, or neither.
    fn of<'a>(secrets: impl Iterator<Item = &'a Zeroizing<String>>) -> Option<Self> {
        let (mut hexadecimal, mut base32) = (0_u64, 0_u64);
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            // One hash of zeros and ones is enough: 0, 1, 8 and 9 are not in base32, and G to Z not in hexadecimal.
            let only_hex = secret.bytes().all(|byte| byte.is_ascii_hexdigit());
            let only_base32 = secret
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'2'..=b'7' | b'=' | b' ' | b'-'));
            hexadecimal += u64::from(only_hex && !only_base32);
            base32 += u64::from(only_base32 && !only_hex);
        }
        match (hexadecimal, base32) {
            (0, 0) => None,
            (_, 0) => Some(Self::Hexadecimal),
            (0, _) => Some(Self::Base32),
            _ => None,
        }
    }

    fn read(self, text: &str) -> Result<Zeroizing<Vec<u8>>, Why> {
        match self {
            Self::Hexadecimal => hexadecimal(text),
            Self::Base32 => base32(text),
        }
        .ok_or(Why::Secret)
    }
}

/// Which column is what.
struct Header {
    secret: usize,
    written: Option<Written>,
    login_id: Option<usize>,
    serial: Option<usize>,
    kind: Option<usize>,
    digits: Option<usize>,
    cycle: Option<usize>,
    counter: Option<usize>,
    algorithm: Option<usize>,
}

impl Header {
    fn of(cells: &Cells) -> Option<Self> {
        let names: Vec<String> =
            cells.iter().map(|cell| cell.to_ascii_lowercase().replace([' ', '-'], "_")).collect();
        let at = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        let hexadecimal = at(&["secret_hex", "seed_hex", "key_hex"]);
        let base32 = at(&["secret_base32", "seed_base32", "key_base32", "secret_b32", "base32"]);
        let written = match (hexadecimal, base32) {
            (Some(_), _) => Some(Written::Hexadecimal),
            (None, Some(_)) => Some(Written::Base32),
            _ => None,
        };
        Some(Self {
            secret: hexadecimal.or(base32).or_else(|| at(&["secret", "seed", "otpkey", "key"]))?,
            written,
            login_id: at(&["login_id", "login", "user", "username", "owner", "account", "upn"]),
            serial: at(&["serial", "serial_number", "serialno", "token"]),
            kind: at(&["type", "kind", "tokentype", "token_type"]),
            digits: at(&["digits", "otplen", "length"]),
            cycle: at(&[
                "cycle",
                "cycle_time",
                "period",
                "timestep",
                "time_step",
                "interval",
                "time_interval",
            ]),
            counter: at(&["counter", "count", "moving_factor"]),
            algorithm: at(&["algorithm", "hash", "hashlib"]),
        })
    }

    fn parts(&self, row: &Cells, written: Written) -> Result<Parts, Why> {
        let cell = |at: Option<usize>| -> Option<&str> {
            at.and_then(|at| row.get(at)).map(|cell| cell.as_str()).filter(|cell| !cell.is_empty())
        };
        let mut remarks = BTreeSet::new();
        let counter = cell(self.counter).map(|text| number(text).ok_or(Why::Counter)).transpose()?;
        // Without a kind, a counter that is told and a cycle that is not make it counted.
        let timed = match cell(self.kind) {
            Some(kind) => is_timed(kind)?,
            None => counter.is_none() || cell(self.cycle).is_some(),
        };
        let cycle = match cell(self.cycle) {
            _ if !timed => None,
            Some(text) => Some(number(text.trim_end_matches(['s', ' '])).ok_or(Why::Cycle)?),
            None => Some(30),
        };
        if !timed && counter.is_none() {
            remarks.insert(Remark::CounterUnknown);
        }
        Ok(Parts {
            login_id: cell(self.login_id).and_then(|text| login_id(text, &mut remarks)),
            serial: cell(self.serial).map(str::to_owned),
            secret: written.read(cell(Some(self.secret)).ok_or(Why::Shape)?)?,
            algorithm: cell(self.algorithm).map(algorithm).transpose()?,
            digits: cell(self.digits).map(|text| number(text).ok_or(Why::Digits)).transpose()?,
            cycle,
            last: counter.filter(|_| !timed).and_then(|counter| counter.checked_sub(1)),
            drift: 0,
            remarks,
        })
    }
}

/// Where what stands in a table without a header, by where the kind stands.
#[derive(Clone, Copy)]
struct Layout {
    login_id: Option<usize>,
    serial: usize,
    secret: usize,
    /// Whether the cell after the digits can be a counter.
    counts: bool,
}

impl Layout {
    const SERIAL_FIRST: Self = Self { login_id: None, serial: 0, secret: 1, counts: true };
    const OWNER_FIRST: Self = Self { login_id: Some(0), serial: 1, secret: 2, counts: false };
    const USER_AND_REALM_FIRST: Self = Self { login_id: Some(0), serial: 3, secret: 4, counts: true };

    fn of(row: &Cells) -> Option<Self> {
        let kind = row.iter().position(|cell| is_kind(cell));
        match (kind, row.len()) {
            (Some(2), _) | (None, 2..=4) => Some(Self::SERIAL_FIRST),
            (Some(3), _) => Some(Self::OWNER_FIRST),
            (Some(5), _) | (None, 5) => Some(Self::USER_AND_REALM_FIRST),
            _ => None,
        }
    }

    fn parts(&self, row: &Cells, written: Written) -> Result<Parts, Why> {
        let cell = |at: usize| row.get(at).map(|cell| cell.as_str()).filter(|cell| !cell.is_empty());
        let mut remarks = BTreeSet::new();
        let secret = written.read(cell(self.secret).ok_or(Why::Shape)?)?;
        let timed = cell(self.secret + 1).map_or(Ok(false), is_timed)?;
        let moving = cell(self.secret + 3);
        let (cycle, last) = match (timed, moving) {
            (true, Some(text)) => (Some(number(text).ok_or(Why::Cycle)?), None),
            (true, None) => (Some(30), None),
            (false, Some(text)) if self.counts => (None, number(text).ok_or(Why::Counter)?.checked_sub(1)),
            (false, _) => {
                remarks.insert(Remark::CounterUnknown);
                (None, None)
            }
        };
        Ok(Parts {
            login_id: self.login_id.and_then(cell).and_then(|text| self.holder(text, &mut remarks)),
            serial: cell(self.serial).map(str::to_owned),
            algorithm: Some(match secret.len() {
                32 => Algorithm::Sha256,
                64 => Algorithm::Sha512,
                _ => Algorithm::Sha1,
            }),
            secret,
            digits: cell(self.secret + 2).map(|text| number(text).ok_or(Why::Digits)).transpose()?,
            cycle,
            last,
            drift: 0,
            remarks,
        })
    }

    /// The owner of `kim@realm`; nobody in `n/a`. A login id may have an `@` itself, so the last one counts.
    fn holder(&self, text: &str, remarks: &mut BTreeSet<Remark>) -> Option<String> {
        if self.counts {
            return login_id(text, remarks);
        }
        let (name, _) = text.rsplit_once('@')?;
        remarks.insert(Remark::Realm);
        login_id(name, remarks)
    }
}

fn is_kind(text: &str) -> bool {
    ["hotp", "totp", "ocra", "tan", "pw", "yubikey", "sms", "email", "motp", "daypassword"]
        .iter()
        .any(|kind| text.eq_ignore_ascii_case(kind))
}

fn is_timed(text: &str) -> Result<bool, Why> {
    match text.to_ascii_lowercase().as_str() {
        "totp" | "time" => Ok(true),
        "hotp" | "counter" => Ok(false),
        _ => Err(Why::Kind),
    }
}
