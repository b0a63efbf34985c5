//! Moving in: files of tokens from other products.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A file of tokens from another product. No `Debug`: it holds secrets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyImport {
    /// Name or id of the customer whose people the tokens are.
    pub(crate) customer: String,
    /// The file's text, at most 4 MiB.
    pub(crate) text: String,
    /// Whether nothing is changed, and only said what would be. True if left out.
    pub(crate) dry_run: Option<bool>,
    /// `otpauth`, `pskc`, `csv`, `users.oath`, `google-authenticator` or `privacyidea`; seen from the text if left out.
    pub(crate) format: Option<String>,
    /// The login id of the holder, for a file that holds one token and does not say whose.
    pub(crate) login_id: Option<String>,
    /// Login ids by serial number, for tokens that have only that.
    pub(crate) people: Option<BTreeMap<String, String>>,
    /// The key under which the file is encrypted: hexadecimal for PSKC, base64url for an export of privacyIDEA.
    pub(crate) key: Option<String>,
    /// The password under which the file is encrypted.
    pub(crate) password: Option<String>,
}

/// What became of a file, or would become of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyImportReport {
    /// What the file is.
    pub(crate) format: String,
    /// Whether nothing was changed.
    pub(crate) dry_run: bool,
    /// How many tokens came, or would come.
    pub(crate) added: u64,
    /// How many clash with what is here.
    pub(crate) clashes: u64,
    /// How many could not be taken.
    pub(crate) refused: u64,
    /// Every token of the file, as they stand in it.
    pub(crate) rows: Vec<KeyImportRow>,
    /// The entry of the import, where something was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
}

/// One token of a file. Its secret is never told.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyImportRow {
    /// Its line in the file, from 1; of JSON, which object it is.
    pub(crate) line: u32,
    /// The login id, where the secret could be read and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login_id: Option<String>,
    /// The serial number, where the secret could be read and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    /// `added` (or would be), `clash` or `refused`.
    pub(crate) outcome: String,
    /// Why not, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// What of it is not taken along, or worth knowing: `pin`, `short-secret`, `counter-unknown`, `recovery-codes`, `limits`,
    /// `drift` or `realm`.
    pub(crate) remarks: Vec<String>,
    /// `time` or `counter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// Seconds; none for a counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cycle_time: Option<u64>,
    /// How many digits a key has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digits: Option<u64>,
    /// `SHA1`, `SHA256` or `SHA512`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) algorithm: Option<String>,
    /// Whether its holder is added as a person of the customer.
    pub(crate) new_person: bool,
    /// The token that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// The entry that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
}
