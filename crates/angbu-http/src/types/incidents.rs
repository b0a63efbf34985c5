//! Incidents.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One trouble of an agent, or of the centre's own clock, from its beginning to its end.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub(crate) struct IncidentShown {
    pub(crate) id: String,
    /// The customer's name; none for the centre's own.
    pub(crate) customer: Option<String>,
    /// The agent's id; none for the centre's own.
    pub(crate) agent: Option<String>,
    /// What its server is called.
    pub(crate) server: Option<String>,
    /// `outside`, `silent`, `centre`, or the kind of an alarm.
    pub(crate) kind: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// When it was last seen. RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) last: String,
    /// When it ended; none while it lasts. RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) until: Option<String>,
    /// How often it came back within a day each.
    pub(crate) returns: u64,
    /// The entry of its beginning.
    pub(crate) opened_entry: String,
    /// The entry of its end.
    pub(crate) closed_entry: Option<String>,
}

/// Incidents, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Incidents {
    pub(crate) incidents: Vec<IncidentShown>,
    /// What to send as `before` for the next ones.
    pub(crate) next: Option<String>,
}

/// Which incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentsQuery {
    /// The customer's name or id; all that the caller may see without it.
    pub(crate) customer: Option<String>,
    /// The agent's id.
    pub(crate) agent: Option<String>,
    /// Those that began before this instant, RFC 3339.
    pub(crate) before: Option<String>,
    /// How many, 1 to 500; 100 without it.
    pub(crate) limit: Option<u64>,
}
