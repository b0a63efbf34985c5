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
