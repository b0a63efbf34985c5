//! What third parties are shown: a customer's period, the trend of a clock, the chain of its traceability, share links, and reports
//! that are kept.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::time::{Period, VerdictWord};

/// Which period: a month, or from and to. Without either it is the present month.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeriodQuery {
    /// A month, like `2026-10`: from the first instant of its first day to that of the next month's.
    pub(crate) month: Option<String>,
    /// RFC 3339, or a date like `2026-10-01`, which stands for its first instant.
    pub(crate) from: Option<String>,
    /// As `from`: the first instant that does not belong to the period. At most 3,660 days after `from`.
    pub(crate) to: Option<String>,
    /// The time zone of months and dates, a name of the IANA database; the customer's without it.
    pub(crate) zone: Option<String>,
    /// One server of the customer, by name or id; all without it.
    pub(crate) agent: Option<String>,
}

/// A period as it was asked for and read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AskedPeriod {
    /// The month, where one was asked for.
    pub(crate) month: Option<String>,
    /// RFC 3339 in UTC.
    #[schema(format = DateTime)]
    pub(crate) from: String,
    /// RFC 3339 in UTC.
    #[schema(format = DateTime)]
    pub(crate) to: String,
    /// Up to when there can be data: `to`, or the instant of the answer where that is earlier. What is judged ends here.
    #[schema(format = DateTime)]
    pub(crate) until: String,
    /// A name of the IANA database.
    pub(crate) zone: String,
    /// `from` as clocks in the zone show it, with their offset from UTC.
    pub(crate) from_local: String,
    /// `to` as clocks in the zone show it.
    pub(crate) to_local: String,
    /// How long the period is. In milliseconds: clocks that are set forward or back make months of 743 and 745 hours.
    pub(crate) length_ms: i64,
}

/// How long each verdict held, and what share that is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = PeriodShares)]
pub(crate) struct Shares {
    pub(crate) within_ms: i64,
    pub(crate) outside_ms: i64,
    pub(crate) not_proven_ms: i64,
    /// Per cent with three decimals, rounded down: 100 is all of it.
    pub(crate) within_percent: f64,
    /// Rounded up.
    pub(crate) outside_percent: f64,
    /// What is left.
    pub(crate) not_proven_percent: f64,
}

/// How long one reason held.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ReasonShare {
    /// Stable word for the reason.
    pub(crate) why: String,
    pub(crate) verdict: VerdictWord,
    pub(crate) ms: i64,
}

/// One server in a period.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AgentPeriods {
    pub(crate) id: String,
    pub(crate) name: String,
    /// How many exchanges the period has.
    pub(crate) exchanges: u64,
    pub(crate) totals: Shares,
    /// The longest first.
    pub(crate) reasons: Vec<ReasonShare>,
    /// Every interval, in order of time; 2,000 at most.
    pub(crate) periods: Vec<Period>,
    /// How many intervals after those are left out.
    pub(crate) periods_left_out: u64,
}

/// From when on a tolerance held.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ToleranceSince {
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// In nanoseconds.
    pub(crate) tolerance_ns: i64,
}

/// A customer's period.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CustomerPeriods {
    pub(crate) customer: String,
    pub(crate) period: AskedPeriod,
    /// The tolerances that held in the period.
    pub(crate) tolerances: Vec<ToleranceSince>,
    /// Of all servers together.
    pub(crate) totals: Shares,
    /// By name.
    pub(crate) agents: Vec<AgentPeriods>,
}

/// A rate with its 95 % interval, in parts per million of the offset's change. Positive: the centre's clock gains on the server's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Drift {
    pub(crate) ppm: f64,
    pub(crate) low_ppm: f64,
    pub(crate) high_ppm: f64,
}

/// The overlapping Allan deviation at one averaging time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllanPoint {
    /// In nanoseconds.
    pub(crate) tau_ns: i64,
    /// Seconds in a second.
    pub(crate) deviation: f64,
    /// One sigma.
    pub(crate) error: f64,
    /// How many sums of three it rests on.
    pub(crate) terms: u64,
}

/// How values are spread. In nanoseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Spread {
    pub(crate) least_ns: i64,
    pub(crate) p5_ns: i64,
    pub(crate) median_ns: i64,
    pub(crate) p95_ns: i64,
    pub(crate) p99_ns: i64,
    pub(crate) greatest_ns: i64,
    /// Where the first bar begins.
    pub(crate) bars_from_ns: i64,
    /// How wide each bar is.
    pub(crate) bar_ns: i64,
    /// How many values each bar holds.
    pub(crate) bars: Vec<u64>,
    /// How many lie below the first bar, and how many above the last.
    pub(crate) below: u64,
    pub(crate) above: u64,
}

/// How a clock ran in a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trend {
    pub(crate) agent: String,
    pub(crate) name: String,
    pub(crate) customer: String,
    pub(crate) period: AskedPeriod,
    /// How many exchanges with a centre of the site there are.
    pub(crate) exchanges: u64,
    /// How many runs they make: between two of them the clock was set or not watched, and nothing is reckoned across.
    pub(crate) runs: u64,
    pub(crate) drift: Option<Drift>,
    /// The averaging time of the first Allan deviation. In nanoseconds.
    pub(crate) tau0_ns: i64,
    pub(crate) allan: Vec<AllanPoint>,
    pub(crate) offset: Option<Spread>,
    pub(crate) delay: Option<Spread>,
}

/// What a chain begins with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ChainHead {
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// `unknown`, `declared`, `upstreams` or `reference-clock`.
    pub(crate) kind: String,
    /// As the centre wrote it down.
    pub(crate) name: String,
    /// What the head itself adds. In nanoseconds.
    pub(crate) bound_ns: i64,
    /// Who calibrated it, with the certificate's number.
    pub(crate) calibrated_by: Vec<String>,
    /// Log indexes of the entries that show it: the clock states, then the calibrations.
    pub(crate) entries: Vec<u64>,
}

/// One link of a chain.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ChainLink {
    /// `head`, `centre` (from the reference to the centre), `exchange` (from the centre to the agent) or `between` (from one
    /// exchange to the next).
    pub(crate) place: String,
    /// The median of its bounds. In nanoseconds.
    pub(crate) typical_ns: Option<i64>,
    /// The greatest of its bounds. In nanoseconds.
    pub(crate) greatest_ns: Option<i64>,
    /// For how long it was broken.
    pub(crate) broken_ms: i64,
}

/// A stretch in which a chain was broken.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ChainGap {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// Which link.
    pub(crate) place: String,
    pub(crate) why: String,
}

/// For how long a divergence that RTS 25 allows was kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Rts25 {
    /// The divergence from UTC. In nanoseconds.
    pub(crate) limit_ns: i64,
    pub(crate) within_ms: i64,
    pub(crate) outside_ms: i64,
    /// Per cent of the period, rounded down to three decimals.
    pub(crate) within_percent: f64,
}

/// The chain from the reference to one server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AgentChain {
    pub(crate) id: String,
    pub(crate) name: String,
    /// From the head down.
    pub(crate) links: Vec<ChainLink>,
    /// The median of the sums of the bounds. In nanoseconds.
    pub(crate) typical_ns: Option<i64>,
    /// The greatest of the sums. In nanoseconds.
    pub(crate) greatest_ns: Option<i64>,
    /// For how long the whole chain was shown, down from a reference.
    pub(crate) proven_ms: i64,
    /// For how long it was shown, down from a clock that the operator declared to be right.
    pub(crate) declared_ms: i64,
    pub(crate) broken_ms: i64,
    /// Per cent of the period, rounded down to three decimals.
    pub(crate) proven_percent: f64,
    pub(crate) declared_percent: f64,
    /// In order of time; where there are more than 1,000, the longest.
    pub(crate) gaps: Vec<ChainGap>,
    pub(crate) gaps_left_out: u64,
    pub(crate) rts25: Vec<Rts25>,
}

/// From what the centre stands on to each of a customer's servers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Traceability {
    pub(crate) customer: String,
    pub(crate) period: AskedPeriod,
    /// One after the other.
    pub(crate) heads: Vec<ChainHead>,
    /// By name.
    pub(crate) agents: Vec<AgentChain>,
}

/// A wish for a share link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewShare {
    /// The customer's name or id.
    pub(crate) customer: String,
    /// For whom, 1 to 120 characters; whoever opens the link is not told.
    pub(crate) holder: String,
    /// A month, like `2026-10`; or `from` and `to`.
    pub(crate) month: Option<String>,
    /// RFC 3339, or a date.
    pub(crate) from: Option<String>,
    /// RFC 3339, or a date.
    pub(crate) to: Option<String>,
    /// The time zone of months and dates; the customer's without it.
    pub(crate) zone: Option<String>,
    /// The language of the report: `en`, `ko` or `ja`; the customer's without it.
    pub(crate) language: Option<String>,
    /// For how many days the link is good, 1 to 366; 30 without it.
    pub(crate) days: Option<u16>,
}

/// A share link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Share {
    pub(crate) id: String,
    pub(crate) holder: String,
    #[schema(format = DateTime)]
    pub(crate) from: String,
    #[schema(format = DateTime)]
    pub(crate) to: String,
    pub(crate) zone: String,
    /// `from` as clocks in the zone show it, with their offset from UTC.
    pub(crate) from_local: String,
    /// `to` as clocks in the zone show it.
    pub(crate) to_local: String,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
    /// Whether it was taken back.
    pub(crate) revoked: bool,
    /// Whether it shows something now.
    pub(crate) good: bool,
    pub(crate) views: u64,
    #[schema(format = DateTime)]
    pub(crate) last_view_at: Option<String>,
}

/// A share link with its secret, which is shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShareMade {
    pub(crate) share: Share,
    /// The path of the link's page. Whoever has it sees the period.
    pub(crate) path: String,
}

/// Share links, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShareLinks {
    pub(crate) shares: Vec<Share>,
}

/// Whose share links.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SharesQuery {
    /// The customer's name or id.
    pub(crate) customer: String,
}

/// The secret of a share link, as it stands at the end of its address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareToken {
    pub(crate) token: String,
}

/// What a share link shows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Shared {
    pub(crate) periods: CustomerPeriods,
    /// When the link ends.
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
    /// The report that can be saved; it was made with the link, and says what was known then.
    pub(crate) report: Option<KeptReport>,
    /// The log's verifier keys, to check the report with.
    pub(crate) log_keys: Vec<String>,
}

/// A report that is kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct KeptReport {
    pub(crate) id: String,
    /// The month, of a report that was made by itself.
    pub(crate) month: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) from: String,
    #[schema(format = DateTime)]
    pub(crate) to: String,
    pub(crate) zone: String,
    pub(crate) language: String,
    #[schema(format = DateTime)]
    pub(crate) made_at: String,
    /// In bytes; zero where there is no file.
    pub(crate) size: u64,
    /// Why there is no file.
    pub(crate) why: Option<String>,
    pub(crate) file_name: String,
}

/// Reports that are kept, the latest period first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptReports {
    pub(crate) reports: Vec<KeptReport>,
}

/// A wish for a month's report.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonthWish {
    /// Like `2026-10`; a month that is over.
    pub(crate) month: String,
}
