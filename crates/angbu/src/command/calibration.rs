//! `angbu calibration`: what laboratories found of the site's references.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use angbu_client::calibration::{Calibration, NewCalibration};
use angbu_units::{EntryId, Nanos, UnixTime};

use super::{CentreArguments, Failure, Output};

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(super) enum CalibrationCommand {
    /// Record what a certificate says; the entry says it for good
    Record(Box<RecordArguments>),
    /// List what was recorded
    List {
        /// Print one JSON object a calibration
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        centre: CentreArguments,
    },
    /// Withdraw one that was recorded wrongly; it stays in the log
    Withdraw {
        /// Its id
        id: String,
        /// Why; it stands in the log for good
        #[arg(long)]
        reason: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        centre: CentreArguments,
    },
}

#[derive(Debug, Args)]
pub(super) struct RecordArguments {
    /// What was calibrated, "GNSS receiver 4711" for instance
    #[arg(long)]
    subject: String,
    /// Who did it
    #[arg(long)]
    laboratory: String,
    /// The certificate's number
    #[arg(long)]
    certificate: String,
    /// The day or instant of the measurement, 2026-10-01 or RFC 3339
    #[arg(long, value_name = "TIME")]
    measured: String,
    /// What the reference was ahead of UTC, "37 ns" or "-37 ns"
    #[arg(long, value_name = "LENGTH", allow_hyphen_values = true, value_parser = offset)]
    offset: Nanos,
    /// The expanded uncertainty of that, "50 ns" for instance
    #[arg(long, value_name = "LENGTH")]
    uncertainty: Nanos,
    /// The coverage factor k
    #[arg(long, value_name = "K", default_value = "2")]
    coverage: String,
    /// The day or instant until which it is valid
    #[arg(long, value_name = "TIME")]
    valid_until: String,
    /// The certificate, a PDF of at most 10 MiB
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    centre: CentreArguments,
}

/// Does what was asked.
pub(super) fn run(command: CalibrationCommand) -> Result<(), Failure> {
    match command {
        CalibrationCommand::Record(arguments) => record(*arguments),
        CalibrationCommand::List { json, centre } => {
            let listed = centre.client()?.calibrations().map_err(anyhow::Error::from)?;
            let output = Output::new(json);
            for calibration in &listed {
                output.result(calibration, || words(calibration));
            }
            if listed.is_empty() {
                output.words("no calibration is recorded");
            }
            Ok(())
        }
        CalibrationCommand::Withdraw { id, reason, json, centre } => {
            let id: EntryId = id.parse().map_err(|error| Failure::Usage(format!("{id}: {error}")))?;
            let entry = centre.client()?.withdraw_calibration(id, &reason).map_err(anyhow::Error::from)?;
            Output::new(json).result(&json!({ "entry_id": entry.to_string() }), || {
                format!("withdrawn; the entry {entry} says so, and the calibration stays in the log")
            });
            Ok(())
        }
    }
}

fn record(arguments: RecordArguments) -> Result<(), Failure> {
    let file = arguments
        .file
        .as_ref()
        .map(|path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display())))
        .transpose()?;
    let new = NewCalibration {
        subject: arguments.subject,
        laboratory: arguments.laboratory,
        certificate: arguments.certificate,
        measured: instant("--measured", &arguments.measured)?,
        offset: arguments.offset,
        uncertainty: arguments.uncertainty,
        coverage: arguments.coverage,
        valid_until: instant("--valid-until", &arguments.valid_until)?,
        file,
    };
    let entry = arguments.centre.client()?.record_calibration(&new).map_err(anyhow::Error::from)?;
    Output::new(arguments.json).result(&json!({ "entry_id": entry.to_string() }), || {
        format!("recorded; the entry {entry} says it for good")
    });
    Ok(())
}

fn words(calibration: &Calibration) -> String {
    let Calibration { id, subject, laboratory, certificate, coverage, standing, .. } = calibration;
    let day = |text: &str| text.get(..10).unwrap_or_default().to_owned();
    format!(
        "{id}  {standing}: {subject} was {} ahead of UTC, give or take {} (k = {coverage}), on {}; {laboratory}, \
         certificate {certificate}, valid until {}",
        Nanos::new(calibration.offset_ns),
        Nanos::new(calibration.uncertainty_ns),
        day(&calibration.measured_at),
        day(&calibration.valid_until),
    )
}

/// A length that can be negative or zero.
fn offset(text: &str) -> Result<Nanos, String> {
    let text = text.trim();
    let (sign, length) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if matches!(length.trim(), "0" | "0 ns" | "0 s") {
        return Ok(Nanos::ZERO);
    }
    length.parse::<Nanos>().map(|length| length.times(sign)).map_err(|error| error.to_string())
}

/// An instant, or a day's first.
fn instant(option: &str, text: &str) -> Result<UnixTime, Failure> {
    let day = format!("{text}T00:00:00Z");
    let whole = if text.len() == 10 { &day } else { text };
    UnixTime::parse_rfc3339(whole).map_err(|error| Failure::Usage(format!("{option}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_a_sign() {
        for (text, nanos) in
            [("37 ns", 37), ("-37 ns", -37), ("- 2 us", -2_000), ("0", 0), ("0 ns", 0), ("1 ms", 1_000_000)]
        {
            assert_eq!(offset(text), Ok(Nanos::new(nanos)), "{text}");
        }
        assert!(offset("--1 ns").is_err() && offset("1").is_err());
    }

    #[test]
    fn days_are_instants() {
        let read = |text| instant("--measured", text).ok();
        assert_eq!(read("2026-10-01"), read("2026-10-01T00:00:00Z"));
        assert!(read("2026-10-01").is_some() && read("2026-13-01").is_none() && read("soon").is_none());
    }
}
