//! Checking a report offline, whatever it is about.

use angbu_evidence::report::{self, Proven, Refusal, Trust};

/// Verifies a report's file: proves the evidence in it, makes its readable part again from what was proven, and
/// compares every byte. Nothing is asked of any centre.
///
/// # Errors
/// The first [`Refusal`] found; [`Refusal::SignerNotGiven`] without the log's key, which must come from somewhere
/// else than the report.
pub fn verify_report(file: &[u8], trust: &Trust) -> Result<Proven, Refusal> {
    report::verify_file(file, trust, &render)
}

/// The renderings of every pillar.
fn render(proven: &Proven, package: &str) -> Result<String, String> {
    match proven.subject.kind.as_str() {
        angbu_time::report::KIND => {
            angbu_time::report::render(proven, package).map_err(|error| error.to_string())
        }
        kind => Err(format!("this program knows no report of the kind '{kind}'; use a newer one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_proven_before_it_is_made_again() {
        let vector = include_str!("../../../vectors/evidence/report/first.txt");
        let (header, text) = vector.split_once("\n---\n").unwrap();
        let key = header.lines().find_map(|line| line.strip_prefix("key: ")).unwrap().parse().unwrap();
        let file = report::embed("", text, "");
        let trust = Trust { log: vec![key], witnesses: Vec::new() };
        let refused = |file: &str, trust: &Trust| verify_report(file.as_bytes(), trust).unwrap_err();
        // What it says is proven, but nobody knows how such a report looks.
        assert!(matches!(refused(&file, &trust), Refusal::NotRendered(why) if why.contains("'sample'")));
        let nobody = Trust { log: Vec::new(), witnesses: Vec::new() };
        assert!(matches!(refused(&file, &nobody), Refusal::SignerNotGiven { .. }));
        assert_eq!(refused("<html></html>", &trust), Refusal::NoEvidence);
    }
}
