//! The parts of the API's JSON that this client reads. Members that are not named here are passed over, so that
//! a newer centre is understood too.

use serde::{Deserialize, Serialize};

/// A customer as the centre lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Within how many nanoseconds its clocks must be.
    pub tolerance_ns: i64,
    /// How many agents it has.
    pub agents: u64,
}

/// An enrolment code as the centre gives it out, once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrolment {
    /// The code's text.
    pub code: String,
    /// Until when it can be used, RFC 3339.
    pub expires_at: String,
}

/// What became of a file of tokens, or would become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyImportReport {
    /// What the file is.
    pub format: String,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How many tokens came, or would come.
    pub added: u64,
    /// How many clash with what is there.
    pub clashes: u64,
    /// How many could not be taken.
    pub refused: u64,
    /// Every token of the file, as they stand in it.
    pub rows: Vec<KeyImportRow>,
    /// The entry of the import, where something was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

/// One token of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyImportRow {
    /// Its line in the file, from 1; of JSON, which object it is.
    pub line: u32,
    /// The login id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_id: Option<String>,
    /// The serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// `added` (or would be), `clash` or `refused`.
    pub outcome: String,
    /// Why not, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What of it is not taken along, or worth knowing.
    pub remarks: Vec<String>,
    /// The token that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What the centre says to an upload that is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The number of the record that it wants next.
    pub next_seq: u64,
    /// Within how many nanoseconds the customer's clocks must be, now.
    pub tolerance_ns: i64,
    /// The log's newest checkpoint, if the centre showed it.
    pub log: Option<LogGrowth>,
}

/// The log's newest checkpoint, and how it grew from the one that the upload showed. Nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGrowth {
    /// The signed note.
    pub checkpoint: String,
    /// The path between both through the larger tree, from which both roots follow: hashes in base64. Empty where the
    /// upload showed none, or the same size.
    pub path: Vec<String>,
    /// The verifier keys of the log, the newest first.
    pub keys: Vec<String>,
}

/// What the centre says to a statement that will stand in its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// The entry's id.
    pub entry_id: String,
    /// Where its receipt is.
    pub receipt: String,
    /// The receipt, if it was waited for and was made in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The centre's signed promise, if it was waited for and was not made in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Confirmed {
    pub(crate) entry_id: String,
}

#[derive(Deserialize)]
pub(crate) struct Customers {
    pub(crate) customers: Vec<Customer>,
}

#[derive(Deserialize)]
pub(crate) struct UploadAnswer {
    pub(crate) next_seq: String,
    pub(crate) tolerance_ns: i64,
    #[serde(default)]
    pub(crate) log: Option<LogGrowth>,
}

#[derive(Deserialize)]
pub(crate) struct JoinAnswer {
    pub(crate) agent_id: String,
    pub(crate) customer: String,
    pub(crate) customer_id: String,
    pub(crate) centre_id: String,
    pub(crate) log_key: String,
    pub(crate) tolerance_ns: i64,
    pub(crate) ntp: String,
    #[serde(default)]
    pub(crate) nts: Option<String>,
    #[serde(default)]
    pub(crate) nts_key: Option<String>,
}
