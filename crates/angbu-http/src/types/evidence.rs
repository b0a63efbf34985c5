//! The log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ClockVerdictWord;

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
    /// What keeps the log from going on, and how to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// The log's newest checkpoint, and how it grew from the one that the caller has seen.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LogGrowth {
    /// The signed note.
    pub(crate) checkpoint: String,
    /// The path between both through the larger tree, from which both roots follow: the consistency path of RFC 9162,
    /// and before it, where the smaller size is a power of two, that tree's root. Base64. Empty from nothing, or from
    /// the same size.
    pub(crate) path: Vec<String>,
    /// The log's verifier keys, the newest first.
    pub(crate) keys: Vec<String>,
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
/// A period to draw.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GrowthQuery {
    /// Begin, RFC 3339.
    pub(crate) from: String,
    /// End, RFC 3339.
    pub(crate) to: String,
    /// Points at most, 2 to 2000; 200 if left out.
    pub(crate) points: Option<u32>,
}

/// How the log grew.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Growth {
    pub(crate) points: Vec<GrowthPoint>,
}

/// The log's size at an instant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrowthPoint {
    /// Milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) size: u64,
}

/// Whose entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KindsQuery {
    /// The customer's name or id; all within reach if left out.
    pub(crate) customer: Option<String>,
}

/// The kinds of entries that there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Kinds {
    pub(crate) kinds: Vec<KindCount>,
}

/// How many entries there are of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KindCount {
    pub(crate) kind: String,
    pub(crate) count: u64,
    /// The instant of the newest.
    #[schema(format = DateTime)]
    pub(crate) newest_at: String,
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntriesQuery {
    /// The customer's name or id; all within reach if left out.
    pub(crate) customer: Option<String>,
    /// Only this kind.
    pub(crate) kind: Option<String>,
    /// Only entries before this log index.
    pub(crate) before: Option<u64>,
    /// How many, 1 to 200; 50 if left out.
    pub(crate) limit: Option<u64>,
}

/// Entries, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entries {
    pub(crate) entries: Vec<EntryRow>,
    /// Where the next page begins (`before`), if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
}

/// An entry in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryRow {
    /// Its log index.
    pub(crate) index: u64,
    pub(crate) id: String,
    pub(crate) kind: String,
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// Error bound. In nanoseconds.
    pub(crate) error_bound_ns: i64,
    pub(crate) verdict: ClockVerdictWord,
    /// The customer's name; `-` for the site itself.
    pub(crate) customer: String,
    /// Its number among the customer's entries.
    pub(crate) number: u64,
}

/// One entry with its fields and its proof.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryPage {
    #[serde(flatten)]
    pub(crate) row: EntryRow,
    /// The log index of the clock state that it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clock_state: Option<u64>,
    /// The entry's bytes, as the log hashes them.
    pub(crate) text: String,
    /// Its fields. Hidden and erased ones without their value.
    pub(crate) fields: Vec<EntryField>,
    /// The inclusion path from the entry up: hashes in base64.
    pub(crate) path: Vec<String>,
    /// The checkpoint that the path leads to, a signed note.
    pub(crate) checkpoint: String,
}

/// A field of an entry.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryField {
    pub(crate) name: String,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// How many bytes it has, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// It is there, and the caller may not read it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hidden: bool,
    /// It can be erased: no proof and no verdict rests on it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) erasable: bool,
    /// It was erased; only its hash is left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) erased: bool,
    /// The entry that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) erased_by: Option<String>,
}

/// Who watches the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Witnesses {
    pub(crate) witnesses: Vec<Witness>,
}

/// A witness and what it cosigned last.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Witness {
    /// Its key's name.
    pub(crate) name: String,
    /// Its verifier key.
    pub(crate) key: String,
    /// `agent`: one of a customer's, which this centre enrolled itself. `configured`: given to this centre by its operator.
    pub(crate) kind: String,
    /// The agent's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    /// The name of the agent's customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<String>,
    /// The size of the checkpoint that it cosigned; 0 before the first.
    pub(crate) size: u64,
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cosigned_at: Option<String>,
    /// How many entries the log has grown since.
    pub(crate) behind: u64,
    /// Why the newest try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// An operator's word that the log goes on as the database has it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirm {
    /// How many entries the log has, as the trouble says it.
    pub(crate) size: u64,
    /// Why, in a few words; it stands in the log for good.
    pub(crate) reason: String,
}

/// The log goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Confirmed {
    /// The entry that says so.
    pub(crate) entry_id: String,
}
