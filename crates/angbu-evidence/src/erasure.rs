//! That fields of an entry were erased, which is an entry itself (`evidence.erasure`).

use angbu_units::EntryId;

use crate::{Disclosure, Kind};

/// Which fields of which entry were erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The entry.
    pub entry: EntryId,
    /// The names of its fields that were erased.
    pub fields: Vec<String>,
}

impl Erased {
    /// The kind of entry that says so.
    pub const KIND: Kind = Kind::constant("evidence.erasure");

    /// Whether this field is among them.
    pub fn names(&self, field: &str) -> bool {
        self.fields.iter().any(|name| name == field)
    }

    /// The fields of the `evidence.erasure` entry that say what was erased: `entry`, and in `fields` the names with
    /// a space between them. Who did it and why stands beside them.
    pub fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![("entry", self.entry.to_string().into_bytes()), ("fields", self.fields.join(" ").into_bytes())]
    }

    /// Reads these two fields, if they are shown.
    pub fn read(fields: &Disclosure) -> Option<Self> {
        let names = fields.text("fields")?.split(' ').map(str::to_owned).collect();
        Some(Self { entry: fields.text("entry")?.parse().ok()?, fields: names })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::Body;

    #[test]
    fn what_was_erased_is_read_again() {
        let erased = Erased {
            entry: EntryId::from_bytes([7; 16]),
            fields: vec!["name".to_owned(), "phone".to_owned()],
        };
        let body = Body::new(&mut StdRng::seed_from_u64(1), erased.fields()).unwrap();
        assert_eq!(Erased::read(&body.disclose(|_| true)), Some(erased.clone()));
        assert_eq!(Erased::read(&body.disclose(|name| name == "entry")), None);
        assert!(erased.names("phone") && !erased.names("birthday"));
    }
}
