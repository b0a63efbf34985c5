//! A log that is shown twice, or set back: an agent and a witness catch it, and the centre itself stands still.

use std::path::Path;

use angbu_evidence::note::{Note, VerifierKey};
use serde_json::{Value, json};

use super::log::{Log, served_checkpoint};
use super::process::{Process, angbu, call, http, run, succeed, until};
use super::witness::{asking, serve, witness};

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    succeed(std::process::Command::new("cp").arg("-a").arg(from).arg(to));
}

/// Appends so many statements.
fn grow(centre: &Process, name: &str, count: u64) {
    for n in 0..count {
        let statement = json!({"customer": "demo", "fields": {"who": name, "n": n.to_string()}});
        assert_eq!(call(centre, "POST", "/api/v1/evidence/entries", Some(&statement)).status, 201);
    }
}

fn size(centre: &Process) -> u64 {
    let key: VerifierKey = centre.text("log_key").parse().unwrap();
    served_checkpoint(centre.text("http"), &key).map_or(0, |checkpoint| checkpoint.size)
}

/// Grows the log beyond a size, to one that is no power of two: there, a witness that was asked as others ask it has a
/// path from which both roots follow.
fn grow_beyond(centre: &Process, name: &str, least: u64) -> u64 {
    until("a larger log", || {
        let now = size(centre);
        if now > least && !now.is_power_of_two() {
            return Some(now);
        }
        grow(centre, name, 1);
        None
    })
}

/// Starts an agent that belongs to a centre; the same folder goes on with another.
fn agent(folder: &Path, centre: &Process, code: Option<&str>) -> Process {
    let file = folder.join("agent.toml");
    let code = code.map(|code| format!("code = \"{code}\"\n")).unwrap_or_default();
    let text = format!(
        "centre = \"{}\"\nname = \"db-3\"\nstate = \"{}\"\npoll_interval = \"200 ms\"\nretry_interval = \"50 ms\"\n\
         centre_ntp = \"{}\"\ncentre_nts = \"{}\"\n{code}",
        centre.text("http"),
        folder.join("agent").display(),
        centre.text("ntp"),
        centre.text("nts"),
    );
    std::fs::write(&file, text).unwrap();
    Process::start(angbu(["agent", "--json", "--config"]).arg(&file))
}

/// The code by which an agent comes in.
fn enrolment(centre: &Process) -> String {
    let wish = json!({"kind": "agent", "customer": "demo", "name": "db-3"});
    call(centre, "POST", "/api/v1/enrolments", Some(&wish)).json()["code"].as_str().unwrap().to_owned()
}

fn witnessed(centre: &Process, kind: &str) -> u64 {
    let shown = call(centre, "GET", "/api/v1/evidence/witnesses", None).json();
    let rows = shown["witnesses"].as_array().unwrap().clone();
    rows.iter().filter(|row| row["kind"] == kind).filter_map(|row| row["size"].as_u64()).max().unwrap_or(0)
}

#[test]
fn a_second_history_is_caught_by_an_agent_and_by_a_witness() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copied) = (folder.path().join("data"), folder.path().join("copied"));
    let one = serve(folder.path(), &data, "");
    let log_key = one.text("log_key").to_owned();
    let mut watching = agent(folder.path(), &one, Some(&enrolment(&one)));
    watching.event("log-checked");
    watching.interrupt();
    one.interrupt();
    copy(&data, &copied);

    // The first history: the agent and the witness cosign it.
    let mut cosigning = witness(&folder.path().join("witness"), "127.0.0.1:0", &log_key);
    let one = serve(folder.path(), &data, &asking(&cosigning));
    let watching = agent(folder.path(), &one, None);
    let first = grow_beyond(&one, "one", 30);
    until("their cosignatures", || {
        let now = size(&one);
        if now.is_power_of_two() {
            grow(&one, "one", 1);
        }
        let all = witnessed(&one, "agent").min(witnessed(&one, "configured"));
        (all >= first && all == now && !now.is_power_of_two()).then_some(())
    });
    watching.interrupt();
    let first = size(&one);
    one.interrupt();

    // The second, from the copy: it grows beyond the first before anybody looks at it.
    let two = serve(folder.path(), &copied, "");
    grow_beyond(&two, "two", first + 20);
    two.interrupt();
    let two = serve(folder.path(), &copied, &asking(&cosigning));
    let caught = cosigning.event("fork");
    let file = caught["file"].as_str().unwrap().to_owned();
    succeed(&mut angbu(["verify", &file, "--key", &log_key]));
    let stands = until("a log that stands still", || {
        let ready = http(two.text("http"), "GET", "/readyz", "", b"");
        (ready.status == 503).then(|| ready.json())
    });
    assert!(stands["detail"].as_str().unwrap().contains("angbu evidence confirm"), "{stands}");

    let mut watching = agent(folder.path(), &two, None);
    let caught = watching.event("fork");
    assert_eq!(caught["proven"], true, "{caught}");
    let file = caught["file"].as_str().unwrap().to_owned();
    let shown = succeed(&mut angbu(["verify", &file, "--key", &log_key, "--json"]));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((shown["proven"].as_bool(), shown["kind"].as_str()), (Some(true), Some("fork")));
    // Nothing is lost meanwhile: it records on, and keeps what it has.
    watching.event("not-uploaded");
    watching.event("exchange");
    watching.interrupt();
    let files = std::fs::read_dir(folder.path().join("agent")).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(files.filter(|name| name.to_string_lossy().contains("fork")).count(), 1);

    // Without the log's key it proves nothing, and a changed byte is found.
    assert_eq!(run(&mut angbu(["verify", &file])).status.code(), Some(1));
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = folder.path().join("changed.txt");
    let place = text.find("\nnode ").unwrap() + 8;
    let other = if &text[place..=place] == "A" { "B" } else { "A" };
    std::fs::write(&changed, format!("{}{other}{}", &text[..place], &text[place + 1..])).unwrap();
    let refused = run(angbu(["verify", "--key", &log_key]).arg(&changed));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    two.interrupt();
    cosigning.interrupt();
}

/// Grows the log, and waits until the agent has cosigned what came.
fn grow_cosigned(centre: &Process) {
    let before = witnessed(centre, "agent");
    grow(centre, "more", 3);
    until("the agent's cosignature of more", || (witnessed(centre, "agent") >= before + 3).then_some(()));
}

#[test]
fn a_log_whose_key_is_replaced_is_no_second_history() {
    let folder = tempfile::tempdir().unwrap();
    let centre = serve(folder.path(), &folder.path().join("data"), "");
    let mut watching = agent(folder.path(), &centre, Some(&enrolment(&centre)));
    watching.event("log-checked");
    grow_cosigned(&centre);
    let change = |what: &str| {
        let path = format!("/api/v1/evidence/keys/log/{what}");
        let changed = call(&centre, "POST", &path, Some(&json!({})));
        assert!(changed.status < 300, "{what}: {}", changed.text());
    };
    change("rotate");
    let told = watching.event("log-key");
    let keys = told["keys"].as_array().unwrap();
    assert_eq!((keys.len(), keys[1].as_str()), (2, Some(centre.text("log_key"))), "{told}");
    let new: VerifierKey = keys[0].as_str().unwrap().parse().unwrap();
    grow_cosigned(&centre);
    // From here on, only the new key signs.
    change("retire");
    until("a head that the old key has not signed", || {
        let note = http(centre.text("http"), "GET", "/checkpoint", "", b"").text();
        let note = Note::parse(&note).unwrap();
        let old: VerifierKey = centre.text("log_key").parse().unwrap();
        (note.verify(&[old]).is_err() && note.verify(std::slice::from_ref(&new)).is_ok()).then_some(())
    });
    grow_cosigned(&centre);
    for name in ["fork", "log-not-checked"] {
        assert!(!watching.has_told(name), "{name}");
    }
    watching.interrupt();
    // Its next run knows what it has learnt.
    let mut watching = agent(folder.path(), &centre, None);
    grow_cosigned(&centre);
    for name in ["fork", "log-not-checked"] {
        assert!(!watching.has_told(name), "{name}");
    }
    watching.interrupt();
    assert!(!folder.path().join("agent").join("fork.txt").exists());
    centre.interrupt();
}

#[test]
fn yesterdays_database_is_not_signed_on() {
    let folder = tempfile::tempdir().unwrap();
    let (data, kept) = (folder.path().join("data"), folder.path().join("kept.sqlite"));
    let today = serve(folder.path(), &data, "");
    grow(&today, "before", 3);
    today.interrupt();
    std::fs::copy(data.join("angbu.sqlite"), &kept).unwrap();
    let today = serve(folder.path(), &data, "");
    grow(&today, "after", 20);
    let newest = until("everything in the log", || Some(size(&today)).filter(|size| *size > 20));
    today.interrupt();
    for file in ["angbu.sqlite-wal", "angbu.sqlite-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    std::fs::copy(&kept, data.join("angbu.sqlite")).unwrap();

    let restored = serve(folder.path(), &data, "");
    let ready = http(restored.text("http"), "GET", "/readyz", "", b"");
    assert_eq!(ready.status, 503, "at once: {}", ready.text());
    let problem = ready.json();
    assert_eq!(problem["type"], "urn:angbu:problem:log-in-doubt");
    let words = problem["detail"].as_str().unwrap().to_owned();
    assert!(words.contains("angbu evidence confirm --size "), "{words}");
    assert!(size(&restored) < newest, "nothing new is signed");
    let state = call(&restored, "GET", "/api/v1/centre", None).json();
    assert_eq!(state["log"]["trouble"].as_str(), Some(words.as_str()));
    let statement = json!({"customer": "demo", "fields": {"a": "b"}});
    assert_eq!(call(&restored, "POST", "/api/v1/evidence/entries", Some(&statement)).status, 503);

    let told: String =
        words.rsplit("--size ").next().unwrap().chars().take_while(char::is_ascii_digit).collect();
    let confirm = |size: &str| {
        run(angbu(["evidence", "confirm", "--json", "--size", size, "--reason", "the disk of db-1 is lost"])
            .env("ANGBU_URL", restored.text("http"))
            .env("ANGBU_TOKEN", restored.text("token")))
    };
    assert_eq!(confirm("999999").status.code(), Some(1), "another size than the operator was told");
    let confirmed = confirm(&told);
    assert!(confirmed.status.success(), "{confirmed:?}");
    until("a log that goes on", || {
        (http(restored.text("http"), "GET", "/readyz", "", b"").status == 200).then_some(())
    });
    assert_eq!(call(&restored, "POST", "/api/v1/evidence/entries", Some(&statement)).status, 201);
    let log = until("the confirmation in the log", || {
        // Until then there was nothing to publish.
        served_checkpoint(restored.text("http"), &restored.text("log_key").parse().unwrap())?;
        let log = Log::fetch(&restored);
        log.entries.iter().any(|entry| entry.kind.as_str() == "evidence.confirmed").then_some(log)
    });
    log.is_numbered();
    assert_eq!(confirm(&told).status.code(), Some(1), "there is nothing more to confirm");
    restored.interrupt();
    // The next start finds guard and database in agreement.
    let next = serve(folder.path(), &data, "");
    assert_eq!(http(next.text("http"), "GET", "/readyz", "", b"").status, 200);
    next.interrupt();
}
