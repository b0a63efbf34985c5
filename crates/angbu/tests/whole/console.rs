//! The console in a real browser, over its real centre: signs in, changes the one-time password, opens every page at
//! desktop and phone width, in the dark and in three languages; pictures are kept in the target folder.

use std::path::Path;
use std::process::Command;

use super::process::{call, demo, succeed, until};

#[test]
fn every_page_opens_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = demo(folder.path());
    let password = centre.event("operator-made")["one_time_password"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        centre.event("exchange");
    }
    until("a verdict", || {
        let agents = call(&centre, "GET", "/api/v1/time/agents", None).json();
        (agents["agents"][0]["verdict"] == "within").then_some(())
    });
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    std::fs::create_dir_all(&pictures).unwrap();
    succeed(
        Command::new("node")
            .arg(web.join("console/scripts/screenshots.mjs"))
            .args([centre.text("http"), "operator", &password])
            .arg(&pictures)
            .arg("a longer password than before")
            .current_dir(&web),
    );
    assert!(std::fs::read_dir(&pictures).unwrap().count() > 5, "pictures are kept in {}", pictures.display());
    centre.interrupt();
}
