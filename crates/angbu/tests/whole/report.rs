//! A report, from the centre to somebody who trusts nobody.

use std::path::{Path, PathBuf};
use std::process::Command;

use angbu_client::verify_report;
use angbu_evidence::report::Trust;
use angbu_units::{Nanos, UnixTime};
use serde_json::{Value, json};

use super::process::{Process, angbu, call, demo, run, succeed, until};

struct Made {
    folder: tempfile::TempDir,
    centre: Process,
    file: PathBuf,
}

/// A demo with some exchanges, and a report of the hour around them.
fn made() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = demo(&folder.path().join("data"));
    for _ in 0..3 {
        centre.event("exchange");
    }
    until("an upload", || {
        let agents = call(&centre, "GET", "/api/v1/time/agents", None).json();
        (agents["agents"][0]["verdict"] == "within").then_some(())
    });
    let file = folder.path().join("report.html");
    report(&centre, &file);
    Made { folder, centre, file }
}

/// Makes a report of the hour around now.
fn report(centre: &Process, file: &Path) {
    let now = until("the centre's time", || {
        let now = call(centre, "GET", "/api/v1/centre", None).json()["now"].as_str()?.to_owned();
        UnixTime::parse_rfc3339(&now).ok()
    });
    let (from, to) =
        ((now - Nanos::from_secs(1_800)).to_string(), (now + Nanos::from_secs(1_800)).to_string());
    succeed(
        angbu(["report", "time", "--customer", "demo", "--from", &from, "--to", &to, "-o"])
            .arg(file)
            .env("ANGBU_URL", centre.text("http"))
            .env("ANGBU_TOKEN", centre.text("token")),
    );
}

#[test]
fn what_is_erased_breaks_no_report_and_is_said_in_the_next() {
    let Made { folder, centre, file } = made();
    let key = centre.text("log_key").to_owned();
    let log = super::log::Log::fetch(&centre);
    let enrolment = log.entries.iter().find(|entry| entry.kind.as_str() == "time.enrolment").unwrap();
    let erase = |fields: Value| {
        let path = format!("/api/v1/evidence/entries/{}/erase", enrolment.id);
        call(
            &centre,
            "POST",
            &path,
            Some(&json!({"fields": fields, "reason": "a server called like its owner"})),
        )
    };
    assert_eq!(erase(json!(["public-key"])).status, 422);
    assert_eq!(erase(json!(["no-such-field"])).status, 404);
    assert_eq!(erase(json!([])).status, 422);
    let erased = erase(json!(["name"]));
    assert_eq!(erased.status, 200, "{}", erased.text());
    assert_eq!(erase(json!(["name"])).json(), erased.json(), "the same again says the same");
    // The report from before holds as it did.
    succeed(angbu(["verify", "--key", &key]).arg(&file));
    // The next one says what is missing, and holds too.
    let next = folder.path().join("next.html");
    report(&centre, &next);
    succeed(angbu(["verify", "--key", &key]).arg(&next));
    let html = std::fs::read_to_string(&next).unwrap();
    let erasure = super::log::Log::fetch(&centre);
    let id = erased.json()["entry_id"].as_str().unwrap().to_owned();
    let index = erasure.entries.iter().position(|entry| entry.id.to_string() == id).unwrap();
    assert!(html.contains(&format!("erased (entry {index})")), "the server's name is told to be erased");
    assert!(!html.contains("this-machine"));
    centre.interrupt();
}

#[test]
fn a_stranger_can_check_it() {
    let Made { folder: _folder, centre, file } = made();
    let key = centre.text("log_key").to_owned();
    let summary: Value =
        serde_json::from_str(&succeed(angbu(["verify", "--json", "--key", &key]).arg(&file))).unwrap();
    assert_eq!((summary["proven"].as_bool(), summary["kind"].as_str()), (Some(true), Some("time")));
    let html = std::fs::read_to_string(&file).unwrap();
    assert!(html.contains("this-machine") && !html.contains("<script"), "the report reads without script");

    let nobody = run(angbu(["verify"]).arg(&file));
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("not given"), "{nobody:?}");
    let other = "angbu.local/log+c71d1a3c+AQ2Qb2fLGUMHjPmcB/2Bsws7hQvSfBSaZfpeFmc8jjAJ";
    let stranger = run(angbu(["verify", "--key", other]).arg(&file));
    assert_ne!(stranger.status.code(), Some(0), "{stranger:?}");
    assert_eq!(run(angbu(["verify", "--key", "nonsense"]).arg(&file)).status.code(), Some(2));
    assert_eq!(run(&mut angbu(["verify", "/nowhere/report.html", "--key", &key])).status.code(), Some(2));

    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify.py");
    let words = succeed(Command::new("python3").arg(&python).arg(&file).arg(&key));
    assert!(words.contains("demo") || words.contains("cus_"), "{words}");
    let mut damaged = html.into_bytes();
    let place = damaged.windows(9).position(|window| window == b"\nangbu/1 ").unwrap();
    damaged[place + 40] ^= 1;
    let copy = file.with_extension("damaged.html");
    std::fs::write(&copy, &damaged).unwrap();
    assert_eq!(run(Command::new("python3").arg(&python).arg(&copy).arg(&key)).status.code(), Some(1));
    centre.interrupt();
}

#[test]
fn any_changed_byte_is_refused_and_named() {
    let Made { folder: _folder, centre, file } = made();
    let trust = Trust { log: vec![centre.text("log_key").parse().unwrap()], witnesses: Vec::new() };
    let original = std::fs::read(&file).unwrap();
    verify_report(&original, &trust).unwrap();
    // Every seventh byte, another bit each time; the report crate's own test flips every byte of a small report.
    for place in (0..original.len()).step_by(7) {
        let mut changed = original.clone();
        changed[place] ^= 1 << (place % 8);
        let Err(refusal) = verify_report(&changed, &trust) else {
            let around = &original[place.saturating_sub(60)..place + 20];
            panic!("byte {place} can be changed: {}", String::from_utf8_lossy(around));
        };
        assert!(!refusal.to_string().is_empty(), "byte {place}");
    }
    for shorter in [0, 1, original.len() / 2, original.len() - 1] {
        assert!(verify_report(&original[..shorter], &trust).is_err());
    }
    centre.interrupt();
}

#[test]
fn reports_that_cannot_be_made_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let ask = |customer: &str, from: &str, to: &str| {
        let answer = call(
            &centre,
            "POST",
            "/api/v1/time/reports",
            Some(&json!({"customer": customer, "from": from, "to": to})),
        );
        (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let (then, now) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    assert_eq!(ask("nobody", then, now).0, 404);
    assert_eq!(ask("demo", now, then).0, 422);
    assert_eq!(ask("demo", then, then).0, 422);
    assert_eq!(ask("demo", "yesterday", now).0, 422);
    assert_eq!(ask("demo", "2199-01-01T00:00:00Z", "2200-01-01T00:00:00Z").0, 422);
    centre.interrupt();
}
