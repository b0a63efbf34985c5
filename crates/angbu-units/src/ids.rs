//! Ids, one type a noun, so that none can stand where another belongs.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;

use crate::UnixTime;

/// Why a text is not the id that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not the prefix of this kind of id followed by 32 lower-case hexadecimal digits.
    #[error("expected an id that begins with '{prefix}_' and 32 lower-case hexadecimal digits after it")]
    NotOfThisKind {
        /// The prefix of the kind that was expected.
        prefix: &'static str,
    },
    /// Not the one spelling of a ULID: 26 upper-case characters.
    #[error("expected an entry id: 26 upper-case letters and digits (a ULID)")]
    NotAUlid,
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new random id.
            pub fn random(rng: &mut dyn CryptoRng) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// The id with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{:032x}"), u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let refused = IdError::NotOfThisKind { prefix: $prefix };
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or(refused.clone())?;
                let canonical = digits.len() == 32
                    && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                match u128::from_str_radix(digits, 16) {
                    Ok(number) if canonical => Ok(Self(number.to_be_bytes())),
                    _ => Err(refused),
                }
            }
        }
    };
}

random_id!(
    /// An organisation that the centre serves. All zeros is the site itself, whose own entries
    /// (clock states, starts, manifests) are counted like a customer's.
    CustomerId,
    "cus"
);
random_id!(
    /// An agent on a customer's server.
    AgentId,
    "agt"
);
random_id!(
    /// A running centre of a site.
    CentreId,
    "ctr"
);
random_id!(
    /// Somebody who signs in to the console: who runs the site, or works for a customer.
    StaffId,
    "sta"
);
random_id!(
    /// A person of a customer, who signs in to what relying parties offer.
    PersonId,
    "per"
);
random_id!(
    /// A machine that joined for a customer: a relying party's, or the host of a product.
    MachineId,
    "mac"
);
random_id!(
    /// A passkey (its name here, not the credential id by which authenticators know it).
    PasskeyId,
    "psk"
);
random_id!(
    /// An API token (its name, not its secret).
    TokenId,
    "tok"
);
random_id!(
    /// A token that makes one-time keys.
    KeyTokenId,
    "key"
);
random_id!(
    /// A signed-in browser (its name, not its secret).
    SessionId,
    "ses"
);
random_id!(
    /// An enrolment code (its name, not its secret).
    CodeId,
    "cod"
);
random_id!(
    /// A share link (its name, not its secret).
    ShareId,
    "shr"
);
random_id!(
    /// A report that is kept.
    ReportId,
    "rep"
);
random_id!(
    /// An incident: one trouble of an agent or of the centre, from its beginning to its end.
    IncidentId,
    "inc"
);
random_id!(
    /// A message that is written once, to however many.
    MessageId,
    "msg"
);
random_id!(
    /// A message on its way to one address.
    DeliveryId,
    "dlv"
);
random_id!(
    /// A customer's address for webhooks.
    WebhookId,
    "whk"
);
random_id!(
    /// What a relying party asks of a person (its name, not its secret).
    RequestId,
    "req"
);
random_id!(
    /// An NTP server as agents name it in their records: a centre's id for a centre,
    /// the first 16 bytes of SHA-256 of `host:port` for any other.
    NtpServerId,
    "ntp"
);

impl CustomerId {
    /// The site itself.
    pub const SITE: Self = Self([0; 16]);
}

/// Whom something belongs to that proves who somebody is, as a token of one-time keys or a passkey.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SubjectId {
    /// A person of a customer.
    Person(PersonId),
    /// A member of the staff.
    Staff(StaffId),
}

impl SubjectId {
    /// The word for its kind: `person` or `staff`.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Staff(_) => "staff",
        }
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Person(id) => id.as_bytes(),
            Self::Staff(id) => id.as_bytes(),
        }
    }

    /// The one of this kind with these 16 bytes; `None` where `kind` is neither word.
    pub fn of_kind(kind: &str, bytes: [u8; 16]) -> Option<Self> {
        match kind {
            "person" => Some(Self::Person(PersonId::from_bytes(bytes))),
            "staff" => Some(Self::Staff(StaffId::from_bytes(bytes))),
            _ => None,
        }
    }

    /// The person, where it is one.
    pub const fn person(self) -> Option<PersonId> {
        match self {
            Self::Person(id) => Some(id),
            Self::Staff(_) => None,
        }
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => fmt::Display::fmt(id, f),
            Self::Staff(id) => fmt::Display::fmt(id, f),
        }
    }
}

impl FromStr for SubjectId {
    type Err = IdError;

    /// By the prefix of either kind.
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.starts_with("sta_") { text.parse().map(Self::Staff) } else { text.parse().map(Self::Person) }
    }
}

/// The id of an entry in the log: a ULID, 48 bits of milliseconds and 80 of randomness. It sorts by the
/// clock of the centre that made it; the log's order is the entry's index and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(ulid::Ulid);

impl EntryId {
    /// A new id at an instant.
    pub fn new(at: UnixTime, rng: &mut dyn CryptoRng) -> Self {
        let random = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
        Self(ulid::Ulid::from_parts(at.millis(), random))
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(ulid::Ulid(u128::from_be_bytes(bytes)))
    }

    /// Its 16 bytes, in sorting order.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.0.to_be_bytes()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for EntryId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let id = ulid::Ulid::from_string(text).map(Self).map_err(|_| IdError::NotAUlid)?;
        // A ULID can be spelt in lower case and with look-alike letters; an entry's bytes know one spelling.
        if id.to_string() == text { Ok(id) } else { Err(IdError::NotAUlid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = CustomerId::from_bytes([0xab; 16]);
        let text = id.to_string();
        assert_eq!(text, format!("cus_{}", "ab".repeat(16)));
        assert_eq!(text.parse(), Ok(id));
        for wrong in [
            format!("agt_{}", "ab".repeat(16)),
            format!("cus_{}", "AB".repeat(16)),
            format!("cus_+{}", "a".repeat(31)),
            "cus_".to_owned(),
            String::new(),
        ] {
            assert!(wrong.parse::<CustomerId>().is_err(), "{wrong}");
        }
        assert!("01arz3ndektsv4rrffq69g5fav".parse::<EntryId>().is_err());
        assert!("81ARZ3NDEKTSV4RRFFQ69G5FAV".parse::<EntryId>().is_err());
    }

    #[test]
    fn subjects_are_of_either_kind() {
        for subject in
            [SubjectId::Person(PersonId::from_bytes([1; 16])), SubjectId::Staff(StaffId::from_bytes([2; 16]))]
        {
            assert_eq!(subject.to_string().parse(), Ok(subject));
            assert_eq!(SubjectId::of_kind(subject.kind(), *subject.as_bytes()), Some(subject));
        }
        assert!("cus_00".parse::<SubjectId>().is_err());
        assert_eq!(SubjectId::of_kind("agent", [0; 16]), None);
    }

    proptest! {
        #[test]
        fn entry_ids_round_trip(bytes: [u8; 16]) {
            let id = EntryId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(EntryId::from_bytes(id.to_bytes()), id);
        }
    }
}
