//! Nothing in the repository knows whose machine it was written on.

use std::path::{Path, PathBuf};

use super::Finding;

/// Folders that exist on somebody's machine only; written apart, so that this file does not name them either.
const SPOTS: [[&str; 2]; 5] =
    [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"], ["C:\\Us", "ers"]];

/// Names every line that holds a path of a machine.
pub(crate) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let spots = SPOTS.map(|parts| parts.concat());
    let mut findings = Vec::new();
    for file in files {
        // What is not text, a picture for one, cannot be read as text and is left alone.
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(spot) = spots.iter().find(|spot| line.contains(spot.as_str())) {
                findings.push(format!("{}:{number}: names {spot}", file.display()));
            }
        }
    }
    Ok(findings)
}
