//! The JSON of the API: plain types with their documentation, converted from the cores' types and nothing else.
//!
//! Instants are RFC 3339 texts in UTC; what graphs draw is whole milliseconds and nanoseconds. Lengths of time
//! name their unit. Ids are texts.

pub(crate) mod accounts;
pub(crate) mod centre;
pub(crate) mod deliveries;
pub(crate) mod enrolments;
pub(crate) mod evidence;
pub(crate) mod incidents;
pub(crate) mod key_import;
pub(crate) mod keys;
pub(crate) mod operations;
pub(crate) mod passkeys;
pub(crate) mod people;
pub(crate) mod requests;
pub(crate) mod third_parties;
pub(crate) mod time;

use angbu_units::{ClockVerdict, UnixTime};
use serde::Serialize;
use utoipa::ToSchema;

/// RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Stable name of what was refused, a URI reference.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The refusal in a few words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What failed, why, and what to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// Seconds after which to try again, where that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u64>,
    /// The sequence number that an upload must begin with, where an upload was refused for its order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_seq: Option<String>,
    /// The log as it stands, where an upload was refused because that log is in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<evidence::LogGrowth>,
}

/// What can be said of a centre's clock. `proven`: shown by exchanges with a reference. `declared`: the operator
/// declares this machine's own clock to be the reference. `unproven`: not shown.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ClockVerdict)]
pub(crate) enum ClockVerdictWord {
    Proven,
    Declared,
    Unproven,
}

impl From<ClockVerdict> for ClockVerdictWord {
    fn from(verdict: ClockVerdict) -> Self {
        match verdict {
            ClockVerdict::Proven => Self::Proven,
            ClockVerdict::Declared => Self::Declared,
            ClockVerdict::Unproven => Self::Unproven,
        }
    }
}

/// RFC 3339 in UTC with nanoseconds.
pub(crate) fn instant(time: UnixTime) -> String {
    time.rfc3339(9)
}

/// Whole milliseconds since 1970, for graphs.
pub(crate) fn millis(time: UnixTime) -> i64 {
    time.nanos().div_euclid(1_000_000)
}
