//! The chain from a laboratory to the site's clocks, and how the centres ran.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ClockVerdictWord;

/// Which period, and how finely.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OperationsQuery {
    /// RFC 3339.
    pub(crate) from: String,
    /// RFC 3339.
    pub(crate) to: String,
    /// Points of each source to draw, 10 to 2,000.
    pub(crate) points: Option<u32>,
}

/// How the site's centres ran in a period, and what their clocks rested on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operations {
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) from: String,
    /// The period's end, or now where that is earlier. RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) to: String,
    pub(crate) centres: Vec<CentreOperations>,
}

/// One centre in a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CentreOperations {
    pub(crate) name: String,
    /// Whether it is the one that answers.
    pub(crate) answers: bool,
    pub(crate) totals: ClockTotals,
    /// The largest bound while the clock was proven or declared; none where it never was. In nanoseconds.
    pub(crate) bound_ns: Option<i64>,
    pub(crate) stretches: Vec<ClockStretch>,
    /// The newest states of its clock, the newest first, 500 at most.
    pub(crate) states: Vec<ClockState>,
    /// Its newest runs, the newest first, 500 at most.
    pub(crate) runs: Vec<CentreRun>,
    pub(crate) sources: Vec<SourceOverTime>,
}

/// What a period came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClockTotals {
    pub(crate) proven_ms: i64,
    pub(crate) declared_ms: i64,
    pub(crate) unproven_ms: i64,
    /// How long the centre did not run, or is not known to have.
    pub(crate) down_ms: i64,
}

/// A stretch of time in which nothing changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClockStretch {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// None where the centre did not run.
    pub(crate) verdict: Option<ClockVerdictWord>,
}

/// A state of a centre's clock, as its entry says it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClockState {
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) since: String,
    pub(crate) verdict: ClockVerdictWord,
    /// Stable word for why.
    pub(crate) reason: String,
    /// What the clock was measured against, or declared to be.
    pub(crate) source: String,
    pub(crate) reference_id: String,
    pub(crate) stratum: u16,
    /// Error bound when it was stated. In nanoseconds.
    pub(crate) bound_ns: i64,
    /// Id of its entry.
    pub(crate) entry_id: String,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunEnd {
    /// It goes on.
    Running,
    /// It ended in good order.
    Stopped,
    /// It ended without saying so.
    Crashed,
}

/// One run of a centre.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CentreRun {
    /// Its number among the centre's runs.
    pub(crate) run: u64,
    pub(crate) version: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) started_at: String,
    /// When it ended, or was last known to run. RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) seen_at: String,
    pub(crate) end: RunEnd,
}

/// What a centre saw of one source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceOverTime {
    /// As configured; empty for the centre's own clock, whose bound it then is.
    pub(crate) source: String,
    pub(crate) points: Vec<SourcePoint>,
}

/// What was seen of a source within some minutes. Without an answer there are no figures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourcePoint {
    pub(crate) at_ms: i64,
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) offset_min_ns: Option<i64>,
    pub(crate) offset_max_ns: Option<i64>,
    pub(crate) bound_ns: Option<i64>,
    pub(crate) stratum: Option<u16>,
}

/// How a calibration stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CalibrationStanding {
    Valid,
    /// Valid, and it ends within 60 days.
    Ending,
    Ended,
    /// It was recorded wrongly.
    Withdrawn,
}

/// What a laboratory found of a reference of the site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Calibration {
    /// Id of its entry.
    pub(crate) id: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) recorded_at: String,
    /// What was calibrated.
    pub(crate) subject: String,
    pub(crate) laboratory: String,
    /// The certificate's number.
    pub(crate) certificate: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) measured_at: String,
    /// What the reference was ahead of UTC. In nanoseconds.
    pub(crate) offset_ns: i64,
    /// Expanded uncertainty. In nanoseconds.
    pub(crate) uncertainty_ns: i64,
    /// The coverage factor k, `2` for instance.
    pub(crate) coverage: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) valid_until: String,
    /// SHA-256 of the certificate's file, in hexadecimal, where one is kept.
    pub(crate) file_sha256: Option<String>,
    pub(crate) standing: CalibrationStanding,
    /// Id of the entry that withdraws it.
    pub(crate) withdrawn_by: Option<String>,
}

/// Calibrations, the newest measurement first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Calibrations {
    pub(crate) calibrations: Vec<Calibration>,
}

/// A calibration to record.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCalibration {
    /// What was calibrated, 1 to 200 characters.
    pub(crate) subject: String,
    /// Who did it, 1 to 200 characters.
    pub(crate) laboratory: String,
    /// The certificate's number, 1 to 200 characters.
    pub(crate) certificate: String,
    /// When it was measured. RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) measured_at: String,
    /// What the reference was ahead of UTC. In nanoseconds.
    pub(crate) offset_ns: i64,
    /// Expanded uncertainty, k included. In nanoseconds.
    pub(crate) uncertainty_ns: i64,
    /// The coverage factor k, `2` for instance.
    pub(crate) coverage: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) valid_until: String,
    /// The certificate, a PDF of at most 10 MiB, in base64.
    pub(crate) file: Option<String>,
}

/// Why a calibration is withdrawn.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdrawal {
    /// 1 to 200 characters. It stands in the entry.
    pub(crate) reason: String,
}

/// That something stands in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalibrationMade {
    pub(crate) entry_id: String,
}
