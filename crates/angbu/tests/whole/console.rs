//! The console in a real browser, over its real centre: signs in, changes the one-time password, opens every page at
//! desktop and phone width, in the dark and in three languages; pictures are kept in the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Process, call, demo, succeed, until};

#[test]
fn every_page_opens_in_english() {
    look_at("en");
}

#[test]
fn every_page_opens_in_korean_and_japanese() {
    look_at("ko,ja");
}

#[test]
fn log_and_accounts_are_used() {
    look_at("log,accounts");
}

#[test]
fn keys_are_enrolled_and_moved_in() {
    look_at("keys");
}

#[test]
fn periods_and_graphs_are_used() {
    look_at("parties,use");
}

#[test]
fn passkeys_sign_in_and_answer_requests() {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = demo(folder.path());
    browse("passkeys.mjs", &mut centre, &[]);
    centre.interrupt();
}

/// Looks at some of the console's parts, over a centre that has an agent with a verdict.
fn look_at(parts: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = demo(folder.path());
    for _ in 0..3 {
        centre.event("exchange");
    }
    until("a verdict", || {
        let agents = call(&centre, "GET", "/api/v1/time/agents", None).json();
        (agents["agents"][0]["verdict"] == "within").then_some(())
    });
    let pictures = browse("screenshots.mjs", &mut centre, &[parts]);
    assert!(std::fs::read_dir(&pictures).unwrap().count() > 5, "pictures are kept in {}", pictures.display());
    centre.interrupt();
}

/// Runs one of the console's scripts as the site's first operator; says where it keeps its pictures.
fn browse(script: &str, centre: &mut Process, more: &[&str]) -> PathBuf {
    let made = centre.event("operator-made");
    let password = made["one_time_password"].as_str().unwrap();
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    std::fs::create_dir_all(&pictures).unwrap();
    // No passkey is for an IP address.
    let url = centre.text("http").replace("127.0.0.1", "localhost");
    succeed(
        Command::new("node")
            .arg(web.join("console/scripts").join(script))
            .args([url.as_str(), "operator", password])
            .arg(&pictures)
            .arg("a longer password than before")
            .args(more)
            .current_dir(&web),
    );
    pictures
}
