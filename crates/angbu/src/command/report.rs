//! `angbu report`: has the centre make a report, and writes it to a file.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use angbu_units::UnixTime;

use super::{CentreArguments, Failure, Output};

/// What the report is to be about.
pub(super) struct Wish {
    pub(super) customer: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) language: String,
}

/// Makes a time report.
pub(super) fn time(
    centre: &CentreArguments,
    wish: &Wish,
    file: &Path,
    output: Output,
) -> Result<(), Failure> {
    let instant = |option: &str, text: &str| {
        UnixTime::parse_rfc3339(text).map_err(|error| Failure::Usage(format!("{option}: {error}")))
    };
    let (from, to) = (instant("--from", &wish.from)?, instant("--to", &wish.to)?);
    if to <= from {
        return Err(Failure::Usage("--to lies before --from; give the period's begin first".into()));
    }
    let client = centre.client()?;
    let report =
        client.time_report(&wish.customer, from, to, Some(&wish.language)).map_err(anyhow::Error::from)?;
    std::fs::write(file, &report).with_context(|| format!("cannot write {}", file.display()))?;
    let key = client.log_key().map_err(anyhow::Error::from)?;
    output.result(
        &json!({ "file": file.display().to_string(), "bytes": report.len(), "log_key": key.to_string() }),
        || {
            format!(
                "{} written, {} bytes; anybody can check it:\nangbu verify {} --key '{key}'",
                file.display(),
                report.len(),
                file.display()
            )
        },
    );
    Ok(())
}
