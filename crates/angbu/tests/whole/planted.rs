//! What is personal or secret is nowhere to be read but in the answers of those who may ask: recognisable values are planted
//! by every call that takes one, and looked for in every byte that the centre leaves behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use angbu_accounts::EnrolmentCode;
use serde_json::{Value, json};

use super::process::{Process, angbu, call, http, succeed, until};
use super::refusals::{Agent, now, send};

/// A value that was planted, by a name for the test's own report.
struct Planted(&'static str, Vec<u8>);

fn made(centre: &Process, method: &str, path: &str, body: &Value) -> Value {
    let answer = call(centre, method, path, Some(body));
    assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    answer.json()
}

/// Plants a value by every call that takes a personal or secret one.
fn plant(centre: &Process) -> Vec<Planted> {
    let mut planted = Vec::new();
    let mut keep = |name, value: &str| {
        planted.push(Planted(name, value.as_bytes().to_vec()));
        value.to_owned()
    };
    let contact = keep("contact", "planted.contact@mail.example");
    made(centre, "PATCH", "/api/v1/customers/demo", &json!({"contacts": [contact]}));
    let person = json!({
        "customer": "demo",
        "login_id": keep("login id", "planted.login7q"),
        "password": keep("password", "planted-Zebra-password-42"),
        "birthday": keep("birthday", "1961-08-23"),
        "phone_no": keep("phone", "821098761234"),
    });
    keep("phone at home", "1098761234");
    let person = made(centre, "POST", "/api/v1/people", &person)["id"].as_str().unwrap().to_owned();
    // What is refused is not kept either, in no log line.
    let refused = json!({
        "customer": "demo", "login_id": keep("refused login", "planted refused"), "password": "short",
        "birthday": keep("refused birthday", "1861-08-24"), "phone_no": keep("refused phone", "82planted"),
    });
    assert_eq!(call(centre, "POST", "/api/v1/people", Some(&refused)).status, 422);
    let note = json!({"customer": "demo", "fields": {"what": keep("note", "a planted quokka was here")}});
    let entry =
        made(centre, "POST", "/api/v1/evidence/entries", &note)["entry_id"].as_str().unwrap().to_owned();
    let token = json!({"holder": "planted", "scopes": ["evidence.append"], "customer": "demo"});
    keep("token", made(centre, "POST", "/api/v1/tokens", &token)["token"].as_str().unwrap());
    keep("the start's token", centre.text("token"));
    let staff = json!({"name": "auditor-1", "role": "auditor"});
    keep("password", made(centre, "POST", "/api/v1/staff", &staff)["one_time_password"].as_str().unwrap());
    let code = json!({"kind": "person", "customer": "demo", "name": keep("invited", "planted.invited9z")});
    let code = made(centre, "POST", "/api/v1/enrolments", &code)["code"].as_str().unwrap().to_owned();
    keep("code", &code);
    let secret = EnrolmentCode::parse(&code).unwrap().secret();
    // An agent's record: its software's name stands in it.
    let agent = Agent::join(centre, "db-planted", 41);
    let software = keep("record", "planted-agent/7.7");
    let upload = agent.upload_of(now(centre), 1, 1, &software);
    let sent = send(centre, &angbu_time::ingest::sign(&upload, &agent.key));
    assert_eq!(sent.status, 200, "{}", sent.text());
    let hook = json!({"url": format!("https://hooks.example.org/{}", keep("hook", "planted-hook-path"))});
    let hook = made(centre, "POST", "/api/v1/customers/demo/webhooks", &hook);
    keep("hook's secret", hook["secret"].as_str().unwrap().trim_start_matches("whsec_"));
    let reason = keep("reason", "because a planted wombat asked");
    until("the note's place in the log", || {
        let body = json!({"fields": ["what"], "reason": reason});
        let path = format!("/api/v1/evidence/entries/{entry}/erase");
        (call(centre, "POST", &path, Some(&body)).status == 200).then_some(())
    });
    let other = json!({
        "customer": "demo", "login_id": keep("erased login", "planted.erased3x"),
        "password": "another-planted-password", "birthday": keep("erased birthday", "1962-09-25"),
        "phone_no": keep("erased phone", "821022334455"),
    });
    let other = made(centre, "POST", "/api/v1/people", &other)["id"].as_str().unwrap().to_owned();
    made(centre, "POST", &format!("/api/v1/people/{other}/erase"), &json!({"reason": reason}));
    // Whoever may ask is shown what was planted; what was erased, nobody.
    let shown = call(centre, "GET", "/api/v1/people?customer=demo", None).text();
    assert!(shown.contains("planted.login7q") && shown.contains(&person), "{shown}");
    assert!(!shown.contains("planted.erased3x"), "{shown}");
    planted.push(Planted("code's secret", secret.to_vec()));
    planted
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map_while(Result::ok).map(|file| file.path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// Whether a value stands in the bytes. Horspool's search: a database server's folder is too large to look at byte by byte.
fn holds(bytes: &[u8], value: &[u8]) -> bool {
    let length = value.len();
    let mut skips = [length; 256];
    for (place, byte) in value[..length - 1].iter().enumerate() {
        skips[usize::from(*byte)] = length - 1 - place;
    }
    let mut at = 0;
    while let Some(window) = bytes.get(at..at + length) {
        if window == value {
            return true;
        }
        at += skips[usize::from(window[length - 1])];
    }
    false
}

/// Which planted values stand in which file.
fn found(folder: &Path, planted: &[Planted]) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for path in files(folder) {
        // A server that runs takes files away while it is looked at.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let here = planted.iter().filter(|planted| holds(&bytes, &planted.1));
        found.extend(here.map(|planted| (planted.0.to_owned(), path.clone())));
    }
    found
}

/// Starts a centre that tells everything, plants values, and looks for them while it runs and when it has ended.
/// Returns them for whoever has more places to look at.
fn search(folder: &Path, store: Option<&str>) -> Vec<Planted> {
    let mut command = angbu(["demo", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--data"]);
    command.arg(folder).env("RUST_LOG", "trace");
    if let Some(store) = store {
        command.arg("--store").arg(store);
    }
    let centre = Process::start(&mut command);
    let planted = plant(&centre);
    let metrics = http(centre.text("http"), "GET", "/metrics", "", b"");
    let none: Vec<(String, PathBuf)> = Vec::new();
    assert_eq!(found(folder, &planted), none, "while it runs, with its write-ahead log and its spool");
    let log = centre.said();
    centre.interrupt();
    assert_eq!(found(folder, &planted), none, "and when it has ended");
    for Planted(name, value) in &planted {
        assert!(!holds(&metrics.body, value), "{name} in the metrics");
        assert!(!holds(log.as_bytes(), value), "{name} in the log: {}", line_with(&log, value));
    }
    assert!(log.lines().count() > 100, "the log tells everything");
    planted
}

#[test]
fn planted_values_stand_in_no_file_and_no_log_line() {
    let folder = tempfile::tempdir().unwrap();
    search(folder.path(), None);
    // That the search finds what is there.
    assert!(!found(folder.path(), &[Planted("the agent's name", b"db-planted".to_vec())]).is_empty());
}

#[test]
fn planted_values_stand_in_no_file_of_postgresql_and_in_no_dump() {
    let folder = tempfile::tempdir().unwrap();
    // A server of its own: everything in its folder is this test's.
    let server = angbu_testkit::postgres::Server::start();
    let address = server.database();
    let planted = search(folder.path(), Some(&address));
    server.ask("postgres", "CHECKPOINT");
    let all = server.socket().parent().unwrap().to_owned();
    assert_eq!(found(&all, &planted), Vec::new(), "in data files, write-ahead log and the server's own log");
    let name = address.rsplit('/').next().unwrap();
    let dump = succeed(Command::new("pg_dump").args(["-U", "angbu", "-d", name, "-h"]).arg(&all));
    assert!(dump.contains("db-planted"), "the dump holds the rows");
    for Planted(name, value) in &planted {
        assert!(!holds(dump.as_bytes(), value), "{name} in a dump");
        // Binary columns are dumped as hexadecimal digits.
        let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(&digits), "{name} in a binary column of a dump");
    }
}

fn line_with(log: &str, value: &[u8]) -> String {
    log.lines().find(|line| holds(line.as_bytes(), value)).unwrap_or_default().to_owned()
}

#[test]
fn keys_are_replaced_and_erased_people_leave_their_login_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = super::process::demo(folder.path());
    let person = json!({
        "customer": "demo", "login_id": "kim", "password": "a password of hers", "birthday": "1990-04-30",
        "phone_no": "821012345678",
    });
    let id = made(&centre, "POST", "/api/v1/people", &person)["id"].as_str().unwrap().to_owned();
    let receipt = |centre: &Process, entry: &str| {
        until("a receipt", || {
            let path = format!("/api/v1/evidence/entries/{entry}/receipt");
            Some(call(centre, "GET", &path, None)).filter(|answer| answer.status == 200)
        })
    };
    // What proofs rest on stays.
    let log = super::log::Log::fetch(&centre);
    let state = log.entries.iter().find(|entry| entry.kind.as_str() == "clock.state").unwrap();
    let path = format!("/api/v1/evidence/entries/{}/erase", state.id);
    let refused = call(&centre, "POST", &path, Some(&json!({"fields": ["source"], "reason": "no"})));
    assert_eq!(refused.status, 422, "{}", refused.text());
    for purpose in ["bodies", "records", "personal", "index", "promise", "log"] {
        let rotated = made(&centre, "POST", &format!("/api/v1/evidence/keys/{purpose}/rotate"), &json!({}));
        receipt(&centre, rotated["entry_id"].as_str().unwrap());
    }
    let keys =
        || made(&centre, "GET", "/api/v1/evidence/keys", &json!({}))["keys"].as_array().unwrap().clone();
    until("the old keys' end", || {
        let sealing = ["bodies", "records", "personal", "index"].map(Value::from);
        let left = keys().iter().filter(|key| sealing.contains(&key["purpose"])).count();
        (left == sealing.len()).then_some(())
    });
    // The log's two keys both sign, and whoever trusts the old one reads on.
    let old: angbu_evidence::note::VerifierKey = centre.text("log_key").parse().unwrap();
    let text = http(centre.text("http"), "GET", "/api/v1/evidence/key", "", b"").text();
    let both: Vec<angbu_evidence::note::VerifierKey> =
        text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(both.get(1), Some(&old), "{text}");
    let checkpoint = until("a checkpoint with both signatures", || {
        let note = http(centre.text("http"), "GET", "/checkpoint", "", b"").text();
        both.iter().all(|key| angbu_evidence::Checkpoint::verify(&note, key).is_ok()).then_some(note)
    });
    assert!(checkpoint.starts_with(old.name()));
    let retired = made(&centre, "POST", "/api/v1/evidence/keys/log/retire", &json!({}));
    receipt(&centre, retired["entry_id"].as_str().unwrap());
    assert_eq!(http(centre.text("http"), "GET", "/api/v1/evidence/key", "", b"").text().lines().count(), 1);
    assert_eq!(call(&centre, "POST", "/api/v1/evidence/keys/log/retire", Some(&json!({}))).status, 409);

    // Erased, twice with the same answer; then somebody else may be called so.
    let path = format!("/api/v1/people/{id}/erase");
    let erased = made(&centre, "POST", &path, &json!({"reason": "she asked"}));
    assert_eq!(made(&centre, "POST", &path, &json!({"reason": "she asked"})), erased);
    made(&centre, "POST", "/api/v1/people", &person);
    centre.kill();
    super::process::demo(folder.path()).interrupt();
}
