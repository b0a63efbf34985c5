//! The centre's own state.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::ClockVerdictWord;
use super::evidence::Head;

/// The leap indicator of RFC 5905, figure 9.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Leap)]
pub(crate) enum LeapWord {
    None,
    Add,
    Delete,
    Unsynchronised,
}

/// What the centre can say of its own clock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CentreClock {
    pub(crate) verdict: ClockVerdictWord,
    /// Error bound now. In nanoseconds.
    pub(crate) error_bound_ns: i64,
    /// Where it comes from: local, kernel, upstream or none.
    pub(crate) source: String,
    /// Stable word for why the verdict is what it is.
    pub(crate) reason: String,
    /// Since when it stands.
    #[schema(format = DateTime)]
    pub(crate) since: String,
    pub(crate) stratum: u8,
    pub(crate) leap: LeapWord,
    /// Root delay. In nanoseconds.
    pub(crate) root_delay_ns: i64,
    /// Root dispersion. In nanoseconds.
    pub(crate) root_dispersion_ns: i64,
    pub(crate) reference_id: String,
    /// Log index of the entry that shows it.
    pub(crate) entry: Option<u64>,
}

/// The time server since its start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ntp {
    pub(crate) address: Option<String>,
    /// Replies since the start.
    pub(crate) answered: u64,
    /// Datagrams left unanswered since the start, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// A server that this centre measures its clock against.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upstream {
    pub(crate) address: String,
    pub(crate) reachable: bool,
    pub(crate) stratum: Option<u8>,
    pub(crate) offset_ns: Option<i64>,
    pub(crate) delay_ns: Option<i64>,
    pub(crate) bound_ns: Option<i64>,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) last_at: Option<String>,
}

/// The web interface.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HttpFace {
    pub(crate) address: String,
}

/// The database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreFace {
    pub(crate) kind: String,
}

/// The running centre.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Centre {
    pub(crate) name: String,
    pub(crate) version: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) started_at: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) now: String,
    pub(crate) clock: CentreClock,
    pub(crate) log: Head,
    pub(crate) ntp: Ntp,
    pub(crate) http: HttpFace,
    pub(crate) store: StoreFace,
    pub(crate) upstreams: Vec<Upstream>,
}
