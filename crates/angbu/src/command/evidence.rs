//! `angbu evidence`: what an operator says about the log.

use serde_json::json;

use super::{CentreArguments, Failure, Output};

/// Goes on with a log that stands still.
pub(super) fn confirm(
    centre: &CentreArguments,
    size: u64,
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let entry = centre.client()?.confirm_log(size, reason).map_err(anyhow::Error::from)?.to_string();
    output.result(&json!({ "entry_id": entry, "size": size }), || {
        format!(
            "the log goes on from {size} entries; the entry {entry} says why\n\
             checkpoints beyond it that were signed before are given up: tell those who hold them"
        )
    });
    Ok(())
}
