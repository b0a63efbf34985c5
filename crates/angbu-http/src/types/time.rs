//! Agents, graphs, reports, uploads.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ClockVerdictWord;
use super::evidence::LogGrowth;

/// Whether a clock was right: proven within tolerance, proven outside, or not proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Verdict)]
pub(crate) enum VerdictWord {
    Within,
    Outside,
    NotProven,
}

/// An agent and how its server's clock stands now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The customer's name.
    pub(crate) customer: String,
    /// How far its clock may be off now. In nanoseconds.
    pub(crate) tolerance_ns: i64,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) enrolled_at: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) last_seen: Option<String>,
    /// Poll interval. In nanoseconds.
    pub(crate) poll_ns: Option<i64>,
    pub(crate) verdict: VerdictWord,
    /// Stable word for the reason.
    pub(crate) why: String,
    pub(crate) steady: bool,
    pub(crate) in_sync: bool,
    /// Newest offset from the centre. In nanoseconds.
    pub(crate) offset_ns: Option<i64>,
    /// Error bound of that offset. In nanoseconds.
    pub(crate) bound_ns: Option<i64>,
    /// One-way delay. In nanoseconds.
    pub(crate) delay_ns: Option<i64>,
    /// Rate of change of the offset, in parts per billion.
    pub(crate) rate_ppb: Option<i64>,
    pub(crate) reference: ClockVerdictWord,
}

/// A page of agents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Agents {
    pub(crate) agents: Vec<Agent>,
    /// How many agents there are of the wanted kind, on all pages.
    pub(crate) total: u64,
    /// How many of those with this name are within their tolerance, whatever verdict was asked for.
    pub(crate) within: u64,
    pub(crate) outside: u64,
    pub(crate) not_proven: u64,
    /// Where the next page begins, where there is one.
    pub(crate) next: Option<u64>,
}

/// In which order agents are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AgentOrder {
    /// By customer and name.
    #[default]
    Name,
    /// What troubles most first: outside, alarms, silence, whatever else is not proven, within.
    Trouble,
}

/// Which agents, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentListQuery {
    /// The customer's name or id; all customers without it.
    pub(crate) customer: Option<String>,
    /// Only those with this verdict.
    pub(crate) verdict: Option<VerdictWord>,
    /// Only those in whose name, or whose customer's, this stands.
    pub(crate) name: Option<String>,
    /// By name unless it says otherwise.
    pub(crate) order: Option<AgentOrder>,
    /// Where the page begins, 0 without it.
    pub(crate) offset: Option<u64>,
    /// How many a page has, 1 to 500; all of them without it.
    pub(crate) limit: Option<u64>,
}

/// Which agents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentsQuery {
    /// The customer's name or id; all customers without it.
    pub(crate) customer: Option<String>,
}

/// Which period, and how finely.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GraphQuery {
    /// RFC 3339.
    pub(crate) from: String,
    /// RFC 3339.
    pub(crate) to: String,
    /// Points to draw, 10 to 2,000.
    pub(crate) points: Option<u32>,
}

/// What to export, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `exchanges`, `periods` (the verdicts) or `summaries` (by the hour).
    pub(crate) what: String,
    /// `csv` or `parquet`.
    pub(crate) format: String,
    /// RFC 3339.
    pub(crate) from: String,
    /// RFC 3339.
    pub(crate) to: String,
}

/// One exchange with the centre, as it arrives.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Exchange {
    pub(crate) agent: String,
    pub(crate) at_ms: i64,
    pub(crate) offset_ns: i64,
    pub(crate) delay_ns: i64,
    pub(crate) bound_ns: i64,
}

/// What the exchanges of one stretch of the graph showed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Point {
    pub(crate) at_ms: i64,
    pub(crate) offset_min_ns: i64,
    pub(crate) offset_max_ns: i64,
    pub(crate) delay_ns: i64,
    pub(crate) bound_ns: i64,
}

/// What happened to an agent or its clock.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MarkKind {
    Start,
    Stop,
    Alarm,
    Dropped,
    Pause,
}

/// A mark on the graph.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Mark {
    pub(crate) at_ms: i64,
    pub(crate) kind: MarkKind,
    /// How far an alarm's clocks were apart, or how long a pause was.
    pub(crate) difference_ns: Option<i64>,
    /// Id of its entry.
    pub(crate) entry: Option<String>,
}

/// A stretch of time under one verdict.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Period {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) verdict: VerdictWord,
    pub(crate) why: String,
}

/// How long each verdict held.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Totals {
    pub(crate) within_ms: i64,
    pub(crate) outside_ms: i64,
    pub(crate) not_proven_ms: i64,
}

/// A period of one agent, to draw.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Graph {
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) from: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) to: String,
    /// Tolerance. In nanoseconds.
    pub(crate) tolerance_ns: i64,
    /// Points further apart than this are not joined.
    pub(crate) gap_ms: i64,
    pub(crate) points: Vec<Point>,
    pub(crate) events: Vec<Mark>,
    pub(crate) periods: Vec<Period>,
    pub(crate) totals: Totals,
    pub(crate) proofs: Proofs,
}

/// What is proven of the exchanges of a graph's period.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Proofs {
    /// All of them.
    pub(crate) exchanges: u64,
    /// Those with the centre's own seal on request and reply, late ones too.
    pub(crate) proven: u64,
    /// Proven ones that were told later than the poll interval explains.
    pub(crate) late: u64,
    /// Those of which something was shown that proves nothing.
    pub(crate) refused: u64,
}

/// A wish for a report.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportRequest {
    /// The customer's name or id.
    pub(crate) customer: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) from: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) to: String,
    /// The report's language: `en`, `ko` or `ja`.
    pub(crate) language: Option<String>,
}

/// What is in effect after an upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Uploaded {
    /// The sequence number that the next upload must begin with.
    pub(crate) next_seq: String,
    /// Tolerance. In nanoseconds.
    pub(crate) tolerance_ns: i64,
    /// The log, and that it grew from the checkpoint that the upload shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<LogGrowth>,
}
