//! The log over HTTP: appends, proofs, promises, and a clock that is set back under the centre.

use angbu_evidence::note::VerifierKey;
use angbu_evidence::{Entry, Kind};
use angbu_units::{ClockVerdict, Nanos};
use serde_json::json;

use super::log::{Log, check_receipt};
use super::process::{Process, call, demo, moved_clock, serve_command, until};

#[test]
fn an_answer_carries_its_proof() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let key: VerifierKey = centre.text("log_key").parse().unwrap();
    let statement = json!({"customer": "demo", "fields": {"what": "the vault was opened"}});
    let made = call(&centre, "POST", "/api/v1/evidence/entries", Some(&statement));
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let path = made["receipt"].as_str().unwrap().to_owned();
    let receipt = until("the receipt", || {
        Some(call(&centre, "GET", &path, None)).filter(|answer| answer.status == 200)
    });
    let (entry, _) = check_receipt(&receipt.text(), &key);
    assert_eq!(entry.id.to_string(), made["entry_id"]);
    assert_eq!(entry.kind.as_str(), "evidence.note");
    assert_eq!(entry.verdict, ClockVerdict::Declared);
    let log = Log::fetch(&centre);
    log.is_numbered();
    assert!(
        !String::from_utf8_lossy(&std::fs::read(folder.path().join("angbu.sqlite")).unwrap())
            .contains("the vault")
    );
    centre.interrupt();
}

#[test]
fn entries_need_a_scope_and_hashes_none() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let url = centre.text("http");
    let get = |path: &str| super::process::http(url, "GET", path, "", b"").status;
    assert_eq!(get("/checkpoint"), 200);
    assert_eq!(get("/tile/0/000.p/1"), 200);
    assert_eq!(get("/tile/entries/000.p/1"), 401);
    assert_eq!(get("/tile/0/999"), 404);
    assert_eq!(get("/tile/../../etc/passwd"), 404);
    let token = json!({"holder": "an auditor", "scopes": ["evidence.read", "site.read"]});
    let made = call(&centre, "POST", "/api/v1/tokens", Some(&token)).json();
    let auditor = format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
    let as_auditor = |path: &str| super::process::http(url, "GET", path, &auditor, b"").status;
    assert_eq!(as_auditor("/tile/entries/000.p/1"), 200);
    assert_eq!(as_auditor("/api/v1/customers"), 403);
    centre.interrupt();
}

#[test]
fn a_clock_set_back_under_the_centre_is_said_and_changes_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "+0\n").unwrap();
    let centre = Process::start(serve_command(folder.path()).envs(moved_clock(&offset)));
    let append = |what: &str| {
        let statement = json!({"customer": "demo", "fields": {"what": what}});
        let made = call(&centre, "POST", "/api/v1/evidence/entries", Some(&statement));
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["entry_id"].as_str().unwrap().to_owned()
    };
    let before = append("before");
    std::fs::write(&offset, "-3600\n").unwrap();
    let after = append("after");
    until("the clock's new state", || {
        let clock = call(&centre, "GET", "/api/v1/centre", None).json()["clock"].clone();
        (clock["verdict"] == "unproven" && clock["leap"] == "unsynchronised").then_some(())
    });
    let log = until("both entries, and one about the clock", || {
        let log = Log::fetch(&centre);
        let unproven =
            |entry: &Entry| entry.kind == Kind::CLOCK_STATE && entry.verdict == ClockVerdict::Unproven;
        let there = log.entries.iter().any(|entry| entry.id.to_string() == after);
        (there && log.entries.iter().any(unproven)).then_some(log)
    });
    log.is_numbered();
    let place = |id: &str| log.entries.iter().position(|entry| entry.id.to_string() == id).unwrap();
    let (first, second) = (place(&before), place(&after));
    assert!(first < second, "the log keeps the order in which entries were made");
    let (before, after) = (&log.entries[first], &log.entries[second]);
    assert_eq!((before.verdict, after.verdict), (ClockVerdict::Declared, ClockVerdict::Unproven));
    assert!(before.time - after.time > Nanos::from_secs(3_500), "{} then {}", before.time, after.time);
    centre.interrupt();
}
