//! Reports of every rendering there ever was: each must still be proven, byte for byte.

use std::path::{Path, PathBuf};
use std::process::Command;

use angbu_evidence::note::Signer as _;
use angbu_evidence::report::{Proven, verify_file};
use angbu_time::report::{self, Language};
use angbu_units::Nanos;

use crate::samples::demonstration;
use crate::site::{Site, file};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/time/reports")
}

fn render(proven: &Proven, text: &str) -> Result<String, String> {
    report::render(proven, text).map_err(|why| why.to_string())
}

#[test]
fn every_report_ever_rendered_is_still_proven() {
    let mut proven = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let refused = verify_file(&std::fs::read(&path).unwrap(), &Site::trust(), &render).err();
        assert_eq!(refused, None, "{}", path.display());
        proven += 1;
    }
    assert!(proven >= 3, "the reports are gone");
}

#[test]
fn a_script_of_nobody_of_ours_proves_them_too() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify.py");
    let report = folder().join(format!("{}-en.html", report::VERSION));
    let key = Site::signer().verifier_key().to_string();
    let output =
        Command::new("python3").arg(script).arg(report).arg(key).output().expect("Python 3 is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("284 exchanges"), "{said}");
}

/// Ten minutes of the demonstration in each language, as the newest rendering makes it.
#[test]
#[ignore = "writes the vectors of a new version of the rendering"]
fn write_the_reports_of_the_newest_rendering() {
    for language in Language::ALL {
        let (mut site, from, _) = demonstration(Nanos::from_secs(600));
        let html = file(&site.package(from, from + Nanos::from_secs(600), language));
        let path = folder().join(format!("{}-{}.html", report::VERSION, language.code()));
        assert!(!path.exists(), "{} was rendered already, and stays as it is", path.display());
        std::fs::write(path, html).unwrap();
    }
}
