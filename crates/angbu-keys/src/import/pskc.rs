//! Key containers (RFC 6030): keys as they are, or under a key or a password that is told apart from them.
//!
//! Elements and attributes are known by their local names in either case: the drafts that are still about had other
//! namespaces, and privacyIDEA writes everything in lower case. There are no document types, and with them no entities: the
//! parser refuses them.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use roxmltree::{Document, Node, ParsingOptions};
use zeroize::Zeroizing;

use super::{
    File, FileError, Format, Found, Parts, Remark, Why, algorithm, ciphers, hexadecimal, login_id, number,
};
use crate::Algorithm;

/// The most nodes that are read: a hundred for each token.
const MOST_NODES: u32 = 1_000_000;

/// The most rounds of PBKDF2 that are run.
const MOST_ROUNDS: u32 = 1_000_000;

pub(super) fn read(file: &File<'_>, found: &mut Found) -> Result<(), FileError> {
    let malformed = FileError::Malformed(Format::Pskc);
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(file.text, options).map_err(|_| malformed)?;
    let container = document.root_element();
    if !container.tag_name().name().eq_ignore_ascii_case("KeyContainer") {
        return Err(malformed);
    }
    let opening = Opening::of(container, file)?;
    for package in children(container, "KeyPackage") {
        for key in children(package, "Key") {
            let line = document.text_pos_at(key.range().start).row;
            found.add(line, token(package, key, opening.as_ref()), file.now)?;
        }
    }
    Ok(())
}

/// What opens a container's encrypted keys.
struct Opening {
    key: Zeroizing<Vec<u8>>,
    mac: Option<(Algorithm, Zeroizing<Vec<u8>>)>,
}

impl Opening {
    /// From the container's `EncryptionKey` and `MACMethod` (RFC 6030, sections 6.1 and 6.2).
    fn of(container: Node<'_, '_>, file: &File<'_>) -> Result<Option<Self>, FileError> {
        let Some(encryption) = child(container, "EncryptionKey") else { return Ok(None) };
        let key = match child(encryption, "DerivedKey") {
            Some(derived) => derive(derived, file.password.ok_or(FileError::NeedsPassword)?)?,
            None => {
                let given = file.key.ok_or(FileError::NeedsKey)?;
                hexadecimal(given.trim())
                    .filter(|key| [16, 24, 32].contains(&key.len()))
                    .ok_or(FileError::Key)?
            }
        };
        let mac = child(container, "MACMethod").map(|method| mac(method, &key)).transpose()?;
        Ok(Some(Self { key, mac }))
    }
}

/// The hash of the MACs and their key, which is the encryption key itself where none is given.
fn mac(method: Node<'_, '_>, key: &Zeroizing<Vec<u8>>) -> Result<(Algorithm, Zeroizing<Vec<u8>>), FileError> {
    let hash = hmac(attribute(method, "Algorithm").unwrap_or_default()).ok_or(FileError::Cipher)?;
    let Some(sealed) = child(method, "MACKey") else { return Ok((hash, key.clone())) };
    let sealed = cipher_value(sealed, key.len()).map_err(|_| FileError::Cipher)?;
    // No MAC vouches for this one (RFC 6030, section 6.1.1); what it is worth shows at the first key's own.
    let opened = ciphers::decrypt(key, &sealed).ok_or(FileError::WrongKey)?;
    Ok((hash, opened))
}

/// PBKDF2 (RFC 8018, section 5.2), as RFC 6030, section 6.2, writes it.
fn derive(derived: Node<'_, '_>, password: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let method = child(derived, "KeyDerivationMethod").ok_or(FileError::Cipher)?;
    if !attribute(method, "Algorithm").is_some_and(|name| name.ends_with("#pbkdf2")) {
        return Err(FileError::Cipher);
    }
    let parameters = child(method, "PBKDF2-params").ok_or(FileError::Cipher)?;
    let specified = child(parameters, "Salt").and_then(|salt| child(salt, "Specified"));
    let salt = specified.and_then(base64).ok_or(FileError::Cipher)?;
    let read = |name| {
        child(parameters, name).and_then(|node| number(text(node))).and_then(|n| u32::try_from(n).ok())
    };
    let rounds = read("IterationCount").filter(|rounds| *rounds > 0).ok_or(FileError::Cipher)?;
    if rounds > MOST_ROUNDS {
        return Err(FileError::Rounds);
    }
    let length = match read("KeyLength").unwrap_or(16) {
        16 => 16,
        24 => 24,
        32 => 32,
        _ => return Err(FileError::Cipher),
    };
    let prf = child(parameters, "PRF").and_then(|prf| attribute(prf, "Algorithm"));
    let hash = prf.map_or(Some(Algorithm::Sha1), hmac).ok_or(FileError::Cipher)?;
    let mut key = Zeroizing::new(vec![0; length]);
    let password = password.as_bytes();
    match hash {
        Algorithm::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, &salt, rounds, &mut key),
        Algorithm::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, &salt, rounds, &mut key),
        Algorithm::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password, &salt, rounds, &mut key),
    }
    Ok(key)
}

/// The hash of `…#hmac-sha256`.
fn hmac(name: &str) -> Option<Algorithm> {
    let (_, name) = name.rsplit_once('#').unwrap_or(("", name));
    name.to_ascii_lowercase().strip_prefix("hmac-").and_then(|hash| algorithm(hash).ok())
}

fn token(package: Node<'_, '_>, key: Node<'_, '_>, opening: Option<&Opening>) -> Result<Parts, Why> {
    let kind = attribute(key, "Algorithm").unwrap_or_default().to_ascii_lowercase();
    let timed = match kind.rsplit([':', '#', '/']).next() {
        Some("totp") => true,
        Some("hotp") => false,
        _ => return Err(Why::Kind),
    };
    let data = child(key, "Data").ok_or(Why::Shape)?;
    let mut parts = Parts { secret: secret(data, opening)?, ..Parts::default() };
    let parameters = child(key, "AlgorithmParameters");
    if let Some(format) = parameters.and_then(|node| child(node, "ResponseFormat")) {
        let decimal = attribute(format, "Encoding").is_none_or(|name| name.eq_ignore_ascii_case("DECIMAL"));
        if !decimal || matches!(attribute(format, "CheckDigits"), Some("true" | "1")) {
            return Err(Why::Encoding);
        }
        parts.digits = attribute(format, "Length").map(|text| number(text).ok_or(Why::Digits)).transpose()?;
    }
    // Some write the hash as the suite's text, some as its attribute.
    if let Some(suite) = parameters.and_then(|node| child(node, "Suite")) {
        let name = attribute(suite, "hashalgo").unwrap_or_else(|| text(suite));
        parts.algorithm = (!name.is_empty()).then(|| algorithm(name)).transpose()?;
    }
    moving(data, timed, &mut parts)?;
    named(package, key, &mut parts);
    Ok(parts)
}

/// Where the key stands: its counter, its cycle and its drift (RFC 6030, section 4.2).
fn moving(data: Node<'_, '_>, timed: bool, parts: &mut Parts) -> Result<(), Why> {
    let plain = |name| child(data, name).map(|node| child(node, "PlainValue").map_or("", text));
    let counter = plain("Counter").map(|text| number(text).ok_or(Why::Counter)).transpose()?;
    if timed {
        let cycle = plain("TimeInterval").map(|text| number(text).ok_or(Why::Cycle)).transpose()?;
        let cycle = cycle.unwrap_or(30);
        parts.cycle = Some(cycle);
        // The drift is told in intervals, though privacyIDEA writes seconds there, which is then with a fraction.
        let drift = plain("TimeDrift").unwrap_or_default();
        parts.drift = match drift.split_once('.') {
            Some((seconds, _)) => seconds.parse().unwrap_or(0),
            None => {
                drift.parse::<i64>().unwrap_or(0).saturating_mul(i64::try_from(cycle).unwrap_or(i64::MAX))
            }
        };
        // privacyIDEA writes the newest step that was used, and zero before there was one.
        parts.last = counter.filter(|step| *step > 0);
    } else {
        if counter.is_none() {
            parts.remarks.insert(Remark::CounterUnknown);
        }
        parts.last = counter.and_then(|next| next.checked_sub(1));
    }
    Ok(())
}

/// Whose it is: the key's user before the device's, and the device's serial number before the key's id.
fn named(package: Node<'_, '_>, key: Node<'_, '_>, parts: &mut Parts) {
    let device = child(package, "DeviceInfo");
    let user = child(key, "UserId").or_else(|| device.and_then(|device| child(device, "UserId")));
    let serial =
        device.and_then(|device| child(device, "SerialNo")).map(text).or_else(|| attribute(key, "Id"));
    let mut remarks = BTreeSet::new();
    parts.login_id = user.and_then(|user| login_id(text(user), &mut remarks));
    parts.remarks.append(&mut remarks);
    parts.serial = serial.map(str::trim).filter(|serial| !serial.is_empty()).map(str::to_owned);
    if let Some(policy) = child(key, "Policy") {
        parts.remarks.insert(Remark::Limits);
        if child(policy, "PINPolicy").is_some() {
            parts.remarks.insert(Remark::Pin);
        }
    }
}

fn secret(data: Node<'_, '_>, opening: Option<&Opening>) -> Result<Zeroizing<Vec<u8>>, Why> {
    let secret = child(data, "Secret").ok_or(Why::Shape)?;
    if let Some(plain) = child(secret, "PlainValue") {
        return base64(plain).ok_or(Why::Secret);
    }
    let encrypted = child(secret, "EncryptedValue").ok_or(Why::Shape)?;
    let Opening { key, mac } = opening.ok_or(Why::Cipher)?;
    let sealed = cipher_value(encrypted, key.len())?;
    let (hash, mac_key) = mac.as_ref().ok_or(Why::NoMac)?;
    let value = child(secret, "ValueMAC").and_then(base64).ok_or(Why::NoMac)?;
    if !ciphers::fits(*hash, mac_key, &[&sealed], &value) {
        return Err(Why::Mac);
    }
    ciphers::decrypt(key, &sealed).ok_or(Why::Cipher)
}

/// What an element of XML Encryption holds, if it is AES-CBC under a key of this length.
fn cipher_value(node: Node<'_, '_>, key_length: usize) -> Result<Zeroizing<Vec<u8>>, Why> {
    let method =
        child(node, "EncryptionMethod").and_then(|method| attribute(method, "Algorithm")).unwrap_or_default();
    let (_, name) = method.rsplit_once('#').ok_or(Why::Cipher)?;
    if name.to_ascii_lowercase() != format!("aes{}-cbc", key_length * 8) {
        return Err(Why::Cipher);
    }
    let value = child(node, "CipherData").and_then(|data| child(data, "CipherValue"));
    value.and_then(base64).ok_or(Why::Shape)
}

fn children<'a, 'input>(node: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children()
        .filter(move |child| child.is_element() && child.tag_name().name().eq_ignore_ascii_case(name))
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    children(node, name).next()
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let found = node.attributes().find(|attribute| attribute.name().eq_ignore_ascii_case(name));
    found.map(|attribute| attribute.value())
}

fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default().trim()
}

/// Base64 with whatever space XML puts between.
fn base64(node: Node<'_, '_>) -> Option<Zeroizing<Vec<u8>>> {
    let bare: Zeroizing<Vec<u8>> =
        Zeroizing::new(text(node).bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    BASE64.decode(&bare).ok().map(Zeroizing::new)
}
