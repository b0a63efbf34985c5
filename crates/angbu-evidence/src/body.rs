//! What an entry says, as salted fields under one root, so that a reader can be shown some and not others,
//! and so that erasing a salt and its value erases what was said and breaks no proof.

use std::fmt;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use crate::{Hash, merkle};

/// The most fields of a body.
pub const MOST_FIELDS: usize = 64;
/// The longest name of a field.
pub const LONGEST_NAME: usize = 32;
/// The longest value of a field: 1 MiB.
pub const LONGEST_VALUE: usize = 1 << 20;

/// One field: a name, a value, and the salt that keeps the value from being guessed from its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name: a lower-case letter, then lower-case letters, digits and hyphens; at most 32 bytes.
    pub name: String,
    /// Its value, at most 1 MiB.
    pub value: Vec<u8>,
    /// 32 random bytes.
    pub salt: [u8; 32],
}

impl Field {
    /// The field's leaf: `SHA-256(0x00 || salt || u16 len(name) || name || u32 len(value) || value)`,
    /// lengths with the big end first.
    pub fn leaf(&self) -> Hash {
        let name = u16::try_from(self.name.len()).expect("a field's name has at most 32 bytes");
        let value = u32::try_from(self.value.len()).expect("a field's value has at most 1 MiB");
        let hash = Sha256::new()
            .chain_update([0])
            .chain_update(self.salt)
            .chain_update(name.to_be_bytes())
            .chain_update(&self.name)
            .chain_update(value.to_be_bytes())
            .chain_update(&self.value);
        Hash::from_bytes(hash.finalize().into())
    }
}

impl fmt::Debug for Field {
    /// Without the value, which can be personal, and the salt, which protects it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.value.len())
    }
}

/// Why fields make no body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// No fields, or more than a body holds.
    #[error("a body has 1 to 64 fields, not {0}")]
    WrongCount(usize),
    /// A name that no field can have.
    #[error(
        "'{0}' cannot name a field: a lower-case letter, then up to 31 lower-case letters, digits and hyphens"
    )]
    BadName(String),
    /// Two fields with one name.
    #[error("the field '{0}' stands in the body twice")]
    NameTwice(String),
    /// A value longer than a field holds.
    #[error("the field '{name}' has {length} bytes; the most is 1048576")]
    ValueTooLong {
        /// The field's name.
        name: String,
        /// The value's length.
        length: usize,
    },
    /// Bytes that no body or disclosure encodes to.
    #[error("these bytes are no body: {0}")]
    Malformed(&'static str),
}

/// An entry's fields, with everything that is secret about them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body(Vec<Field>);

impl Body {
    /// A body with these fields, in this order, each with a fresh salt.
    ///
    /// # Errors
    /// [`BodyError`] for names, values or counts that a body cannot have.
    pub fn new<'a>(
        rng: &mut dyn CryptoRng,
        fields: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) -> Result<Self, BodyError> {
        let salted = fields.into_iter().map(|(name, value)| {
            let mut salt = [0; 32];
            rng.fill_bytes(&mut salt);
            Field { name: name.to_owned(), value, salt }
        });
        // One more than fits, so that an endless iterator is refused rather than followed.
        Self::from_fields(salted.take(MOST_FIELDS + 1).collect())
    }

    /// A body with these fields and their salts.
    ///
    /// # Errors
    /// [`BodyError`] for names, values or counts that a body cannot have.
    pub fn from_fields(fields: Vec<Field>) -> Result<Self, BodyError> {
        check(fields.len(), fields.iter())?;
        Ok(Self(fields))
    }

    /// The fields, in their order.
    pub fn fields(&self) -> &[Field] {
        &self.0
    }

    /// The value of the field with this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|field| field.name == name).map(|field| field.value.as_slice())
    }

    /// The root over the fields' leaves, as it stands in the entry.
    pub fn root(&self) -> Hash {
        merkle::root(&self.0.iter().map(Field::leaf).collect::<Vec<_>>())
    }

    /// The body with only the chosen fields shown and hashes in place of the others.
    pub fn disclose(&self, shown: impl Fn(&str) -> bool) -> Disclosure {
        let part = |field: &Field| {
            if shown(&field.name) { Part::Shown(field.clone()) } else { Part::Hidden(field.leaf()) }
        };
        Disclosure(self.0.iter().map(part).collect())
    }

    /// The body's bytes for the sealed side table.
    pub fn encode(&self) -> Vec<u8> {
        self.disclose(|_| true).encode()
    }

    /// Reads a body's bytes. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let parts = Disclosure::decode(bytes)?.0.into_iter();
        let fields = parts.map(|part| match part {
            Part::Shown(field) => Ok(field),
            Part::Hidden(_) => Err(BodyError::Malformed("a field of it is hidden")),
        });
        Ok(Self(fields.collect::<Result<_, _>>()?))
    }
}

/// One field of a disclosure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// A field that is shown.
    Shown(Field),
    /// The leaf of a field that is not.
    Hidden(Hash),
}

impl Part {
    /// The field's leaf.
    pub fn leaf(&self) -> Hash {
        match self {
            Self::Shown(field) => field.leaf(),
            Self::Hidden(leaf) => *leaf,
        }
    }
}

/// A body of which some fields are shown and the others are only hashes: it has the same root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disclosure(Vec<Part>);

impl Disclosure {
    /// A disclosure of these parts.
    ///
    /// # Errors
    /// [`BodyError`] for names, values or counts that a body cannot have.
    pub fn from_parts(parts: Vec<Part>) -> Result<Self, BodyError> {
        let shown = parts.iter().filter_map(|part| match part {
            Part::Shown(field) => Some(field),
            Part::Hidden(_) => None,
        });
        check(parts.len(), shown)?;
        Ok(Self(parts))
    }

    /// The same with still fewer fields shown: to disclose less of it, or to erase from what is kept.
    #[must_use]
    pub fn disclose(&self, shown: impl Fn(&str) -> bool) -> Self {
        let part = |part: &Part| match part {
            Part::Shown(field) if !shown(&field.name) => Part::Hidden(field.leaf()),
            Part::Shown(_) | Part::Hidden(_) => part.clone(),
        };
        Self(self.0.iter().map(part).collect())
    }

    /// The parts, in the body's order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The shown fields, in the body's order.
    pub fn shown(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter_map(|part| match part {
            Part::Shown(field) => Some(field),
            Part::Hidden(_) => None,
        })
    }

    /// The value of the shown field with this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.shown().find(|field| field.name == name).map(|field| field.value.as_slice())
    }

    /// The value of the shown field with this name, if it is UTF-8 text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The root over all fields' leaves, shown or not.
    pub fn root(&self) -> Hash {
        merkle::root(&self.0.iter().map(Part::leaf).collect::<Vec<_>>())
    }

    /// The disclosure's bytes: a version (1), the number of fields, and for each 1, the salt, the name behind
    /// its length in one byte and the value behind its length in four, or 0 and the leaf.
    pub fn encode(&self) -> Vec<u8> {
        let count = u8::try_from(self.0.len()).expect("a body has at most 64 fields");
        let mut bytes = vec![1, count];
        for part in &self.0 {
            match part {
                Part::Hidden(leaf) => {
                    bytes.push(0);
                    bytes.extend_from_slice(leaf.as_bytes());
                }
                Part::Shown(field) => {
                    let name = u8::try_from(field.name.len()).expect("a field's name has at most 32 bytes");
                    let value = u32::try_from(field.value.len()).expect("a field's value has at most 1 MiB");
                    bytes.push(1);
                    bytes.extend_from_slice(&field.salt);
                    bytes.push(name);
                    bytes.extend_from_slice(field.name.as_bytes());
                    bytes.extend_from_slice(&value.to_be_bytes());
                    bytes.extend_from_slice(&field.value);
                }
            }
        }
        bytes
    }

    /// Reads a disclosure's bytes. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let cut_short = BodyError::Malformed("they end too early");
        let Some((&[version, count], mut rest)) = bytes.split_first_chunk() else { return Err(cut_short) };
        if version != 1 {
            return Err(BodyError::Malformed("their version is not 1"));
        }
        let mut parts = Vec::new();
        for _ in 0..count.min(u8::try_from(MOST_FIELDS).unwrap_or(u8::MAX)) {
            let (part, after) = match rest.split_first().ok_or(cut_short.clone())? {
                (0, after) => {
                    let (leaf, after) = after.split_first_chunk().ok_or(cut_short.clone())?;
                    (Part::Hidden(Hash::from_bytes(*leaf)), after)
                }
                (1, after) => read_field(after).ok_or(cut_short.clone())?,
                _ => return Err(BodyError::Malformed("a field is neither shown nor hidden")),
            };
            parts.push(part);
            rest = after;
        }
        if usize::from(count) > MOST_FIELDS {
            return Err(BodyError::WrongCount(usize::from(count)));
        }
        if !rest.is_empty() {
            return Err(BodyError::Malformed("they go on after the last field"));
        }
        Self::from_parts(parts)
    }
}

/// Whether a text can name a field.
pub fn is_field_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    begins && name.len() <= LONGEST_NAME && name.bytes().all(allowed)
}

fn read_field(bytes: &[u8]) -> Option<(Part, &[u8])> {
    let (salt, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some((Part::Shown(Field { name, value: value.to_vec(), salt: *salt }), rest))
}

fn check<'a>(count: usize, fields: impl Iterator<Item = &'a Field>) -> Result<(), BodyError> {
    if !(1..=MOST_FIELDS).contains(&count) {
        return Err(BodyError::WrongCount(count));
    }
    let mut names = std::collections::BTreeSet::new();
    for field in fields {
        if !is_field_name(&field.name) {
            return Err(BodyError::BadName(field.name.chars().take(64).collect()));
        }
        if field.value.len() > LONGEST_VALUE {
            return Err(BodyError::ValueTooLong { name: field.name.clone(), length: field.value.len() });
        }
        if !names.insert(field.name.as_str()) {
            return Err(BodyError::NameTwice(field.name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::mutation::{edits, mutate};

    fn body(fields: &[(&str, &[u8])]) -> Result<Body, BodyError> {
        let fields = fields.iter().map(|(name, value)| (*name, value.to_vec()));
        Body::new(&mut StdRng::seed_from_u64(1), fields)
    }

    #[test]
    fn fields_that_make_no_body_are_refused() {
        assert_eq!(body(&[]), Err(BodyError::WrongCount(0)));
        assert_eq!(body(&[("a", b""), ("b", b""), ("a", b"")]), Err(BodyError::NameTwice("a".to_owned())));
        for name in ["", "A", "1", "-a", "a b", "a_b", "ä", &"a".repeat(33)] {
            assert_eq!(body(&[(name, b"")]), Err(BodyError::BadName(name.to_owned())));
        }
        let long = vec![0; LONGEST_VALUE + 1];
        assert!(matches!(body(&[("a", &long)]), Err(BodyError::ValueTooLong { length: 1_048_577, .. })));
        assert!(body(&[("a", &long[1..]), (&"b".repeat(32), b"")]).is_ok());
        let endless = (0..).map(|number: u64| (if number == 0 { "a" } else { "b" }, Vec::new()));
        assert_eq!(Body::new(&mut StdRng::seed_from_u64(1), endless), Err(BodyError::WrongCount(65)));
    }

    #[test]
    fn a_disclosure_hides_and_keeps_the_root() {
        let body = body(&[("name", b"Kim"), ("tolerance-ns", b"50000000"), ("revision", b"1")]).unwrap();
        let shown = body.disclose(|name| name != "name");
        assert_eq!(shown.root(), body.root());
        assert_eq!((shown.get("name"), shown.text("revision")), (None, Some("1")));
        assert_eq!(shown.shown().count(), 2);
        assert!(!shown.encode().windows(3).any(|bytes| bytes == b"Kim"));
        assert_eq!(Body::decode(&shown.encode()), Err(BodyError::Malformed("a field of it is hidden")));
        assert_eq!(format!("{body:?}"), "Body([name (3 bytes), tolerance-ns (8 bytes), revision (1 bytes)])");
    }

    #[test]
    fn a_few_digits_are_not_guessed_without_their_salt() {
        let body = body(&[("login-id", b"kim"), ("birthday", b"1987-06-05")]).unwrap();
        let Some(known) = body.fields().get(1) else { panic!("two fields") };
        let erased = body.disclose(|_| true).disclose(|name| name != "birthday");
        assert_eq!((erased.root(), erased.get("login-id")), (body.root(), Some(b"kim".as_slice())));
        let Some(Part::Hidden(leaf)) = erased.parts().get(1) else { panic!("it was erased") };
        // Every birthday of 28 years, with the name that it must have, under salts that one would try.
        let mut rng = StdRng::seed_from_u64(2);
        let mut tried = 0;
        for year in 1972..2000 {
            for day in 0..372 {
                let value = format!("{year}-{:02}-{:02}", day / 31 + 1, day % 31 + 1).into_bytes();
                let mut salt = [0; 32];
                if tried % 2 == 1 {
                    rand::Rng::fill_bytes(&mut rng, &mut salt);
                }
                let guess = Field { name: "birthday".to_owned(), value, salt };
                assert_ne!(guess.leaf(), *leaf);
                tried += 1;
            }
        }
        assert!(tried > 10_000, "{tried}");
        let right = Field { name: "birthday".to_owned(), value: b"1987-06-05".to_vec(), salt: known.salt };
        assert_eq!(right.leaf(), *leaf);
    }

    #[test]
    fn salts_differ() {
        let body = body(&[("a", b"same"), ("b", b"same")]).unwrap();
        let [one, other] = body.fields() else { panic!("two fields") };
        assert_ne!(one.salt, other.salt);
    }

    #[test]
    fn too_many_fields_cost_no_reading() {
        assert_eq!(
            Disclosure::decode(&[&[1, 255][..], &[0; 33 * 255]].concat()),
            Err(BodyError::WrongCount(255))
        );
    }

    proptest! {
        #[test]
        fn bodies_round_trip(
            fields in prop::collection::btree_map("[a-z][a-z0-9-]{0,31}", prop::collection::vec(any::<u8>(), 0..50), 1..=64),
            hidden: u64,
            edits in edits(),
        ) {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            let body = Body::new(&mut StdRng::seed_from_u64(hidden), fields).unwrap();
            prop_assert_eq!(&Body::decode(&body.encode()).unwrap(), &body);
            let shown = body.disclose(|name| hidden >> (name.len() % 64) & 1 == 1);
            prop_assert_eq!(shown.root(), body.root());
            let bytes = shown.encode();
            prop_assert_eq!(&Disclosure::decode(&bytes).unwrap(), &shown);
            let changed = mutate(&bytes, &edits);
            if let Ok(read) = Disclosure::decode(&changed) {
                prop_assert_eq!(read.encode(), changed.clone());
                prop_assert!(changed == bytes || read.root() != shown.root());
            }
        }
    }
}
