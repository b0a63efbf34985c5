//! Signed notes (C2SP `signed-note`, version 1.0.0) with Ed25519 keys: those that sign the text itself
//! (signature type 0x01) and those that cosign checkpoints (0x04, C2SP `tlog-cosignature`).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::cosign;
use crate::text::{decode64, encode64};

/// The longest note that is read.
pub const LONGEST: usize = 64 * 1024;
/// The most signature lines that are read.
pub const MOST_SIGNATURES: usize = 100;
/// The longest name of a key.
const LONGEST_NAME: usize = 255;
/// The longest signature that is read: room for what other signature types add.
const LONGEST_SIGNATURE: usize = 8 * 1024;
/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// Why a text is no verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or has a space, a plus sign or a control character in it.
    #[error("a key's name has 1 to 255 bytes, without spaces, plus signs or control characters")]
    BadName,
    /// Not `name+id+key`.
    #[error("expected a verifier key: a name, '+', 8 hexadecimal digits, '+', and a key in base64")]
    Malformed,
    /// The id does not belong to this name and key.
    #[error("the id inside the verifier key does not belong to its name and key; was a character lost?")]
    WrongId,
    /// A key of a type that is not understood here.
    #[error(
        "the verifier key is {}; only Ed25519 signatures (0x01) and Ed25519 cosignatures (0x04) are understood",
        name_of_type(*.0)
    )]
    UnknownType(u8),
    /// The bytes are no point of the curve, or one under which anyone can sign.
    #[error("the verifier key's bytes are no Ed25519 public key that can be trusted")]
    NotAKey,
}

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyType {
    /// A note's text itself: the key of a log (0x01).
    Log,
    /// A checkpoint and when it was seen: the key of a witness (0x04).
    Witness,
}

impl KeyType {
    /// As the specifications number signature types.
    const fn number(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Witness => 0x04,
        }
    }
}

/// What other types of keys are called, for whoever has one in hand.
fn name_of_type(number: u8) -> String {
    let name = match number {
        0x02 => "an ECDSA key (0x02)",
        0x05 => "a key for RFC 6962 tree heads (0x05)",
        0x06 => "an ML-DSA-44 key for cosignatures (0x06)",
        0xff => "a key of a type outside the specification (0xff)",
        _ => return format!("of the unknown type {number:#04x}"),
    };
    name.to_owned()
}

/// Who may sign what, and with which key: a name, what the key signs, and an Ed25519 public key.
/// Its text is the specification's verifier key, `name+id+key`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyType,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The log's key with this name and these 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::BadName`] and [`KeyError::NotAKey`].
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, KeyError> {
        Self::of_type(KeyType::Log, name, public_key)
    }

    /// The witness's key with this name and these 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::BadName`] and [`KeyError::NotAKey`].
    pub fn witness(name: &str, public_key: &[u8; 32]) -> Result<Self, KeyError> {
        Self::of_type(KeyType::Witness, name, public_key)
    }

    fn of_type(kind: KeyType, name: &str, public_key: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| KeyError::NotAKey)?;
        // Under a key of small order, signatures of any text can be made up.
        if key.is_weak() {
            return Err(KeyError::NotAKey);
        }
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// The same name and bytes as the key of a witness: what its owner cosigns with.
    #[must_use]
    pub fn as_witness(&self) -> Self {
        Self { kind: KeyType::Witness, ..self.clone() }
    }

    /// What it signs.
    pub const fn kind(&self) -> KeyType {
        self.kind
    }

    /// The name that its signatures stand under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key's bytes.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The four bytes that stand before its signatures.
    pub fn key_id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', self.kind.number()])
            .chain_update(self.key.as_bytes())
            .finalize();
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
        [a, b, c, d]
    }

    /// Whether these bytes, from behind the key id of a signature line, are by this key and for this note's text:
    /// a signature of the text, or a cosignature.
    pub fn verifies_note(&self, text: &str, signature: &[u8]) -> bool {
        match self.kind {
            KeyType::Log => self.verifies(text.as_bytes(), signature),
            KeyType::Witness => cosign::time_of(text, self, signature).is_some(),
        }
    }

    /// Whether these are the bytes of this key's Ed25519 signature of the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        // Strict: one signature of a text by a key, not several spellings of it.
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.kind.number()];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.key_id()), encode64(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() > LONGEST_NAME + LONGEST_SIGNATURE {
            return Err(KeyError::Malformed);
        }
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Malformed);
        };
        let bytes = decode64(key).ok_or(KeyError::Malformed)?;
        let (kind, key) = bytes.split_first().ok_or(KeyError::Malformed)?;
        let kind = [KeyType::Log, KeyType::Witness]
            .into_iter()
            .find(|known| known.number() == *kind)
            .ok_or(KeyError::UnknownType(*kind))?;
        let key = Self::of_type(kind, name, key.try_into().map_err(|_| KeyError::Malformed)?)?;
        let expected = format!("{:08x}", u32::from_be_bytes(key.key_id()));
        if id == expected { Ok(key) } else { Err(KeyError::WrongId) }
    }
}

/// Why a signer could not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The text is empty, does not end with a line end, or has a control character in it.
    #[error("a note's text is not empty, ends with a line end, and has no other control characters")]
    NotANoteText,
    /// A time of cosigning that no cosignature can say.
    #[error("a cosignature's time has at most 63 bits")]
    TooLate,
    /// The note would be longer than notes that are read.
    #[error("a note of {0} bytes is longer than the 65536 that are read")]
    TooLong(usize),
    /// The device behind the signer failed.
    #[error("the key's device did not sign: {0}")]
    Device(String),
}

/// Whatever can sign with one key: a file, or a device that gives its key to nobody.
///
/// A signer is used from several threads at once and may block while its device works.
/// It signs what it is given and keeps nothing of it.
pub trait Signer: Send + Sync {
    /// The key that verifies its signatures.
    fn verifier_key(&self) -> VerifierKey;

    /// The Ed25519 signature of the message.
    ///
    /// # Errors
    /// [`SignError::Device`] when the device fails.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

impl<S: Signer + ?Sized> Signer for std::sync::Arc<S> {
    fn verifier_key(&self) -> VerifierKey {
        (**self).verifier_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        (**self).sign(message)
    }
}

/// A signer whose key is in memory. The key is erased from there when it is dropped.
pub struct Ed25519Signer {
    key: SigningKey,
    verifier: VerifierKey,
}

impl Ed25519Signer {
    /// The signer with this name and the 32 secret bytes of RFC 8032, section 5.1.5.
    ///
    /// # Errors
    /// [`KeyError::BadName`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }
}

impl Signer for Ed25519Signer {
    fn verifier_key(&self) -> VerifierKey {
        self.verifier.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(ed25519_dalek::Signer::sign(&self.key, message).to_bytes())
    }
}

/// Why a text is no signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than notes that are read.
    #[error("a signed note has at most 65536 bytes")]
    TooLong,
    /// A control character other than the line end.
    #[error("a signed note has no control characters but line ends")]
    ControlCharacter,
    /// No blank line between the text and the signatures.
    #[error("a signed note has a text, a blank line and signature lines; the blank line is missing")]
    NoSignatures,
    /// A line under the blank line that is no signature line.
    #[error("line {0} of the signed note is no signature: it should be '— name base64'")]
    BadSignatureLine(usize),
    /// More signatures than are read.
    #[error("a signed note has at most 100 signatures")]
    TooManySignatures,
}

/// One signature line of a note, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The name of the key that it claims.
    pub name: String,
    /// The id of that key.
    pub key_id: [u8; 4],
    /// The bytes after the id; their form depends on the key's type.
    pub signature: Vec<u8>,
}

impl SignatureLine {
    /// Reads a line, its line end included: `— name base64`, the base64 of a key id and at least one byte.
    /// What reads encodes to the same bytes again.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(DASH)?.strip_suffix('\n')?.split_once(' ')?;
        check_name(name).ok()?;
        if base64.len() > LONGEST_SIGNATURE {
            return None;
        }
        let bytes = decode64(base64)?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        if signature.is_empty() {
            return None;
        }
        Some(Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
    }

    /// The line, with its line end.
    pub fn encode(&self) -> String {
        let bytes: Vec<u8> = self.key_id.iter().chain(&self.signature).copied().collect();
        format!("{DASH}{} {}\n", self.name, encode64(bytes))
    }

    /// The id of the key in hexadecimal, as it stands in a verifier key.
    pub fn key_id_text(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.key_id))
    }

    /// Whether the line claims to be by this key.
    pub fn claims(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.key_id == key.key_id()
    }
}

/// Why no signature of a note can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A line claims to be by a known key and is not.
    #[error("the signature of '{0}' is wrong: the text or the signature was changed")]
    WrongSignature(String),
    /// A known key stands under the note twice.
    #[error("'{0}' stands under the note twice")]
    SignedTwice(String),
    /// None of the signatures is by a known key.
    #[error("none of the signatures is by a key that was given")]
    NoKnownKey,
}

/// A signed note as read: a text, and signatures that are not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text, with the line end at its end: the bytes that are signed.
    pub text: String,
    /// The signatures, in the note's order.
    pub signatures: Vec<SignatureLine>,
}

impl Note {
    /// Reads a note. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// The first [`NoteError`] found.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > LONGEST {
            return Err(NoteError::TooLong);
        }
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::ControlCharacter);
        }
        // The text may hold blank lines itself; the signatures follow the last.
        let split = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, lines) = note.split_at_checked(split + 1).ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_prefix('\n').ok_or(NoteError::NoSignatures)?;
        if lines.is_empty() || text.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        let first_line = text.matches('\n').count() + 2;
        let mut signatures = Vec::new();
        for (number, line) in lines.split_inclusive('\n').enumerate() {
            if number >= MOST_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let bad = NoteError::BadSignatureLine(first_line + number);
            signatures.push(SignatureLine::parse(line).ok_or(bad)?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The note's text form.
    pub fn encode(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for line in &self.signatures {
            note.push_str(&line.encode());
        }
        note
    }

    /// Verifies every signature that claims to be by one of these keys and returns the keys that signed.
    /// Signatures by other keys are left alone, as the specification asks.
    ///
    /// # Errors
    /// [`VerifyError`]: a known key's signature is wrong or stands there twice, or no known key signed.
    pub fn verify<'a>(&self, keys: &'a [VerifierKey]) -> Result<Vec<&'a VerifierKey>, VerifyError> {
        let mut signed = Vec::new();
        for line in &self.signatures {
            let Some(key) = keys.iter().find(|key| line.claims(key)) else { continue };
            if !key.verifies_note(&self.text, &line.signature) {
                return Err(VerifyError::WrongSignature(line.name.clone()));
            }
            if signed.contains(&key) {
                return Err(VerifyError::SignedTwice(line.name.clone()));
            }
            signed.push(key);
        }
        if signed.is_empty() { Err(VerifyError::NoKnownKey) } else { Ok(signed) }
    }
}

/// Signs a text, which ends with a line end, and returns the note.
///
/// # Errors
/// [`SignError`].
pub fn sign(text: &str, signer: &dyn Signer) -> Result<String, SignError> {
    let is_note_text = text.len() > 1 && text.ends_with('\n');
    if !is_note_text || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(SignError::NotANoteText);
    }
    let key = signer.verifier_key();
    let signature = signer.sign(text.as_bytes())?;
    let line = SignatureLine { name: key.name.clone(), key_id: key.key_id(), signature: signature.to_vec() };
    let note = Note { text: text.to_owned(), signatures: vec![line] }.encode();
    if note.len() > LONGEST { Err(SignError::TooLong(note.len())) } else { Ok(note) }
}

fn check_name(name: &str) -> Result<(), KeyError> {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    let fits = (1..=LONGEST_NAME).contains(&name.len());
    if fits && name.chars().all(allowed) { Ok(()) } else { Err(KeyError::BadName) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutation::{edits, mutate};

    fn signer(name: &str, seed: u8) -> Ed25519Signer {
        Ed25519Signer::new(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn verifier_keys_have_one_spelling() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
        let table = [
            ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::WrongId),
            ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::WrongId),
            ("peterneumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::WrongId),
            ("PeterNeumann+c74f20a3+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::WrongId),
            ("PeterNeumann+c74f20a3+Bhpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::UnknownType(6)),
            ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10", KeyError::Malformed),
            ("PeterNeumann+c74f20a3", KeyError::Malformed),
            ("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::BadName),
            ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::BadName),
            ("", KeyError::Malformed),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<VerifierKey>(), Err(expected), "{text}");
        }
        // The neutral element: under it, one signature fits every text.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(VerifierKey::new("x", &neutral), Err(KeyError::NotAKey));
    }

    #[test]
    fn notes_that_are_none_are_refused() {
        let good = sign("one\n\ntwo\n", &signer("a.example/log", 1)).unwrap();
        assert_eq!(Note::parse(&good).unwrap().text, "one\n\ntwo\n");
        let many = format!("x\n\n{}", "— a AAAAAAA=\n".repeat(101));
        let table: [(&str, NoteError); 9] = [
            ("", NoteError::NoSignatures),
            ("text\n", NoteError::NoSignatures),
            ("text\n\n", NoteError::NoSignatures),
            (&good.replace("one", "o\tne"), NoteError::ControlCharacter),
            (&good.replace('—', "-"), NoteError::BadSignatureLine(5)),
            (&good.replace("— a", "— +a"), NoteError::BadSignatureLine(5)),
            (good.trim_end(), NoteError::BadSignatureLine(5)),
            ("text\n\n— a AAAAAA==\n", NoteError::BadSignatureLine(3)),
            (&many, NoteError::TooManySignatures),
        ];
        for (note, expected) in table {
            assert_eq!(Note::parse(note), Err(expected), "{note:?}");
        }
        assert_eq!(Note::parse(&"x".repeat(LONGEST + 1)), Err(NoteError::TooLong));
        // A thousand signatures, short ones and whole ones.
        let thousand = format!("x\n\n{}", "— a AAAAAAA=\n".repeat(1_000));
        assert_eq!(Note::parse(&thousand), Err(NoteError::TooManySignatures));
        let line = good.lines().last().unwrap();
        assert_eq!(
            Note::parse(&format!("x\n\n{}", format!("{line}\n").repeat(1_000))),
            Err(NoteError::TooLong)
        );
        for text in ["", "\n", "no end", "a\rb\n"] {
            assert_eq!(sign(text, &signer("a", 1)), Err(SignError::NotANoteText));
        }
        let long = format!("{}\n", "x".repeat(LONGEST));
        assert!(matches!(sign(&long, &signer("a", 1)), Err(SignError::TooLong(_))));
    }

    #[test]
    fn only_known_keys_count() {
        let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
        let [a_key, b_key, c_key] = [&a, &b, &c].map(Signer::verifier_key);
        let mut note = Note::parse(&sign("text\n", &a).unwrap()).unwrap();
        note.signatures.extend(Note::parse(&sign("text\n", &b).unwrap()).unwrap().signatures);
        let keys = [a_key.clone(), b_key, c_key.clone()];
        assert_eq!(note.verify(&keys).unwrap().len(), 2);
        assert_eq!(note.verify(std::slice::from_ref(&a_key)), Ok(vec![&a_key]));
        assert_eq!(note.verify(&[c_key]), Err(VerifyError::NoKnownKey));
        let mut twice = note.clone();
        twice.signatures.push(note.signatures[0].clone());
        assert_eq!(twice.verify(&keys), Err(VerifyError::SignedTwice("a".to_owned())));
        let mut wrong = note;
        wrong.text = "Text\n".to_owned();
        assert_eq!(wrong.verify(&keys), Err(VerifyError::WrongSignature("a".to_owned())));
    }

    /// Adding the group's order to a signature's second half gives another that lax verifiers accept too.
    #[test]
    fn a_signature_has_one_spelling() {
        let a = signer("a", 1);
        let mut signature = a.sign(b"text\n").unwrap();
        let key = a.verifier_key();
        assert!(key.verifies(b"text\n", &signature));
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert!(!key.verifies(b"text\n", &signature));
        assert!(!key.verifies(b"text\n", &signature[..63]));
    }

    proptest! {
        #[test]
        fn notes_agree_with_another_implementation(name in "[a-z./]{1,20}", seed: [u8; 32], text in "(\\PC{0,20}\n){1,4}") {
            prop_assume!(text != "\n");
            let signer = Ed25519Signer::new(&name, &seed).unwrap();
            let key = signer.verifier_key();
            let note = sign(&text, &signer).unwrap();
            let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
            let verifier = signed_note::StandardVerifier::new(&key.to_string()).unwrap();
            let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
            prop_assert_eq!(theirs.verify(&known).unwrap().0.len(), 1);
            prop_assert_eq!(theirs.text(), text.as_bytes());
            prop_assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key.clone());
            let ours = Note::parse(&note).unwrap();
            prop_assert_eq!(&ours.text, &text);
            prop_assert_eq!(ours.verify(std::slice::from_ref(&key)), Ok(vec![&key]));
            prop_assert_eq!(ours.encode(), note);
        }

        #[test]
        fn what_reads_as_a_note_is_one(edits in edits()) {
            let good = sign("one\n\ntwo\n", &signer("a.example/log", 1)).unwrap();
            let changed = mutate(&good, &edits);
            if let Ok(text) = String::from_utf8(changed) {
                let theirs = signed_note::Note::from_bytes(text.as_bytes());
                if let Ok(note) = Note::parse(&text) {
                    prop_assert_eq!(note.encode(), text.clone());
                    prop_assert!(theirs.is_ok(), "{:?}", text);
                    let key = signer("a.example/log", 1).verifier_key();
                    if note.verify(std::slice::from_ref(&key)).is_ok() {
                        prop_assert_eq!(note.text, "one\n\ntwo\n");
                    }
                }
            }
        }
    }
}
