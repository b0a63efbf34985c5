//! Sample configurations stay true: each is read by a test of the program that it is for.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Finding;

/// Where they stand.
const FOLDER: &str = "packaging/samples";
/// Those that there must be.
const EXPECTED: [&str; 2] = ["agent.toml", "serve.toml"];

/// Names samples that are missing, and samples that no test of the program reads.
pub(crate) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = EXPECTED
        .iter()
        .filter(|name| !files.contains(&Path::new(FOLDER).join(name)))
        .map(|name| format!("{FOLDER}/{name} is missing"))
        .collect();
    let mut tests = String::new();
    let program = |file: &&PathBuf| file.starts_with("crates") && file.extension().is_some_and(|e| e == "rs");
    for file in files.iter().filter(program) {
        tests += &std::fs::read_to_string(root.join(file))
            .with_context(|| format!("{} cannot be read", file.display()))?;
    }
    for file in files.iter().filter(|file| file.starts_with(FOLDER)) {
        let named = file
            .file_name()
            .is_some_and(|name| tests.contains(&format!("samples/{}", name.to_string_lossy())));
        if !named {
            findings.push(format!("{}: no test reads it", file.display()));
        }
    }
    Ok(findings)
}
