//! The log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The log's newest signed head.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Head {
    pub(crate) origin: String,
    pub(crate) size: u64,
    /// Base64 of 32 bytes.
    pub(crate) root: String,
    /// When it was signed.
    #[schema(format = DateTime)]
    pub(crate) signed_at: Option<String>,
    /// The signed note.
    pub(crate) checkpoint: String,
    /// The verifier key.
    pub(crate) key: String,
}

/// A statement to append.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStatement {
    /// The customer's name or id.
    pub(crate) customer: String,
    /// Field names (`a-z`, digits, hyphens) and their texts, 1 to 64 of them. They are kept sealed; the entry
    /// holds their salted root only.
    pub(crate) fields: BTreeMap<String, String>,
}

/// A statement that is durable and will stand in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementMade {
    pub(crate) entry_id: String,
    /// Where its receipt is, as soon as it is in the log.
    pub(crate) receipt: String,
    /// With `Prefer: wait`: the receipt itself, a C2SP tlog-proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<String>,
    /// With `Prefer: wait`, where 250 ms were not enough: the centre's signed promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) promise: Option<String>,
}

/// Fields of an entry that are to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseFields {
    /// Their names.
    pub(crate) fields: Vec<String>,
    /// Why, in 1 to 500 characters; it stands sealed in the entry that says so.
    pub(crate) reason: String,
}

/// Why a person is erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erasure {
    /// Why, in 1 to 500 characters; it stands sealed in the entry that says so.
    pub(crate) reason: String,
}

/// Something was erased.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erased {
    /// The `evidence.erasure` entry.
    pub(crate) entry_id: String,
}

/// The site's keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Keys {
    /// The oldest first.
    pub(crate) keys: Vec<Key>,
}

/// A key of the site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    /// Its number, which stands before whatever it sealed.
    pub(crate) id: u32,
    /// bodies, records, personal, index, log or promise.
    pub(crate) purpose: String,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// Since when nothing new is sealed or signed with it.
    #[schema(format = DateTime)]
    pub(crate) retired_at: Option<String>,
    /// Of a retired key: how many values were looked at and, where it sealed them, sealed anew.
    pub(crate) resealed: Option<u64>,
    /// Of a key that signs: what verifies it.
    pub(crate) verifier_key: Option<String>,
}

/// A key that was made or retired.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyChanged {
    /// Its number.
    pub(crate) id: u32,
    /// The `evidence.key` entry.
    pub(crate) entry_id: String,
    /// Of a key that signs: what verifies it.
    pub(crate) verifier_key: Option<String>,
}
