//! The main job: `angbu demo`, and the same as separate processes from the sample files.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::log::Log;
use super::process::{Process, angbu, call, demo, moved_clock, run, succeed, until};

#[test]
fn the_demo_watches_this_machine_and_carries_on_after_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = demo(folder.path());
    let made = first.event("operator-made");
    assert_eq!(made["name"], "operator");
    let exchange = first.event("exchange");
    assert!(exchange["offset_ns"].as_i64().unwrap().abs() < 50_000_000, "{exchange}");
    let agent = until("a verdict", || {
        let agents = call(&first, "GET", "/api/v1/time/agents?customer=demo", None).json();
        let agent = agents["agents"][0].clone();
        (agent["verdict"] == "within").then_some(agent)
    });
    assert_eq!(agent["reference"], "declared", "the verdict says what it rests on: {agent}");
    let (key, size) = (first.text("log_key").to_owned(), Log::fetch(&first).checkpoint.size);
    first.interrupt();

    let mut second = demo(folder.path());
    assert_eq!(second.text("log_key"), key);
    let started = second.event("started");
    assert_eq!(started["clean"], true, "the first run's stop is on record: {started}");
    assert_eq!(started["agent"], agent["id"]);
    second.event("exchange");
    let log = Log::fetch(&second);
    log.is_numbered();
    assert!(log.checkpoint.size > size);
    let kinds: Vec<&str> = log.entries.iter().map(|entry| entry.kind.as_str()).collect();
    for kind in [
        "site.start",
        "site.stop",
        "clock.state",
        "account.customer",
        "time.enrolment",
        "time.start",
        "time.stop",
    ] {
        assert!(kinds.contains(&kind), "{kind} is missing from {kinds:?}");
    }
    second.interrupt();
}

#[test]
fn serve_and_agent_do_the_same_from_the_sample_files_over_https() {
    let folder = tempfile::tempdir().unwrap();
    let serve = folder.path().join("serve.toml");
    // As it stands, but for the reference, since the sample's upstreams are nobody's, and for a port that may be in use.
    let reference = toml::toml! { reference = "declared" };
    let nts = toml::toml! { listen = "127.0.0.1:0" };
    let own = [("clock", reference.into()), ("nts", nts.into())];
    std::fs::write(&serve, sample("serve.toml", own)).unwrap();
    let data = folder.path().join("data");
    let mut centre = Process::start(
        angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
            .arg(&serve)
            .arg("--data")
            .arg(&data),
    );
    centre.event("operator-made");
    let (url, customer) = (centre.text("http").to_owned(), centre.text("customer").to_owned());
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let ask = |arguments: &[&str]| {
        let mut command = angbu(arguments);
        command
            .args(["--customer", &customer])
            .env("ANGBU_URL", &url)
            .env("ANGBU_TOKEN", centre.text("token"));
        command.env("ANGBU_CA", data.join("site-certificate.pem"));
        succeed(&mut command)
    };

    for (kind, name) in [("person", "김민수"), ("host", "licences"), ("relying-party", "shop")] {
        let made: Value = serde_json::from_str(&ask(&["enrol", kind, "--name", name, "--json"])).unwrap();
        assert_eq!((made["kind"].as_str(), made["name"].as_str()), (Some(kind), Some(name)));
        assert!(angbu_accounts::EnrolmentCode::parse(made["code"].as_str().unwrap()).is_ok());
        let words = ask(&["enrol", kind, "--name", name]);
        assert!(words.contains("good once") && words.contains(name), "{words}");
    }
    let enrolled = ask(&["enrol", "agent", "--name", "db-3", "--json"]);
    let code = serde_json::from_str::<Value>(&enrolled).unwrap()["code"].as_str().unwrap().to_owned();
    let state = folder.path().join("agent").display().to_string();
    let own =
        [("centre", url.clone()), ("code", code), ("poll_interval", "1 s".to_owned()), ("state", state)];
    let agent_file = folder.path().join("agent.toml");
    std::fs::write(&agent_file, sample("agent.toml", own.map(|(name, value)| (name, value.into())))).unwrap();
    let mut agent = Process::start(angbu(["agent", "--json", "--config"]).arg(&agent_file));
    assert_eq!(agent.ready["event"], "joined");
    for event in ["started", "exchange", "uploaded"] {
        agent.event(event);
    }
    agent.interrupt();

    let report = folder.path().join("report.html").display().to_string();
    let period = ["--from", "2026-01-01T00:00:00Z", "--to", "2200-01-01T00:00:00Z"];
    ask(&[&["report", "time", "-o", &report], &period[..]].concat());
    succeed(&mut angbu(["verify", "--key", centre.text("log_key"), &report]));
    centre.interrupt();
}

/// A sample configuration with some keys set.
fn sample<const N: usize>(name: &str, keys: [(&str, toml::Value); N]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/samples").join(name);
    let mut table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    table.extend(keys.map(|(key, value)| (key.to_owned(), value)));
    table.to_string()
}

#[test]
fn an_agent_whose_clock_is_moved_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(&folder.path().join("data"));
    let wish = json!({"kind": "agent", "customer": "demo", "name": "db-3"});
    let code =
        call(&centre, "POST", "/api/v1/enrolments", Some(&wish)).json()["code"].as_str().unwrap().to_owned();
    let own = [
        ("centre", centre.text("http").to_owned()),
        ("code", code),
        ("poll_interval", "1 s".to_owned()),
        ("check_interval", "100 ms".to_owned()),
        ("state", folder.path().join("agent").display().to_string()),
    ];
    let (file, offset) = (folder.path().join("agent.toml"), folder.path().join("offset"));
    std::fs::write(&file, sample("agent.toml", own.map(|(name, value)| (name, value.into())))).unwrap();
    std::fs::write(&offset, "+0\n").unwrap();
    let mut agent =
        Process::start(angbu(["agent", "--json", "--config"]).arg(&file).envs(moved_clock(&offset)));
    let verdict = |wanted: &str| {
        let agents = call(&centre, "GET", "/api/v1/time/agents?customer=demo", None).json();
        let agents = agents["agents"].as_array().unwrap().clone();
        agents.into_iter().find(|agent| agent["name"] == "db-3" && agent["verdict"] == wanted)
    };
    until("a right clock", || verdict("within"));
    std::fs::write(&offset, "+2\n").unwrap();
    let alarm = agent.event("alarm");
    assert_eq!(alarm["kind"], "step");
    let difference = alarm["difference_ns"].as_i64().unwrap();
    assert!((1_900_000_000..2_100_000_000).contains(&difference), "{alarm}");
    let outside = until("a wrong clock", || verdict("outside"));
    assert!(outside["offset_ns"].as_i64().unwrap().abs() > 1_900_000_000, "{outside}");
    std::fs::write(&offset, "+0\n").unwrap();
    until("a right clock again", || verdict("within"));
    agent.interrupt();
    let kinds: Vec<String> = Log::fetch(&centre).entries.iter().map(|entry| entry.kind.to_string()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "time.alarm").count(), 2, "{kinds:?}");
    centre.interrupt();
}

#[test]
fn what_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let running = demo(folder.path());
    let second =
        run(angbu(["demo", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--data"]).arg(folder.path()));
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"), "{second:?}");
    let taken = running.text("http").trim_start_matches("http://").to_owned();
    let other = tempfile::tempdir().unwrap();
    let third = run(angbu(["demo", "--http", &taken, "--ntp", "127.0.0.1:0", "--data"]).arg(other.path()));
    assert_eq!(third.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&third.stderr).contains(&taken), "{third:?}");
    let open = run(angbu(["demo", "--http", "0.0.0.0:0", "--data"]).arg(other.path()));
    assert_eq!(open.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&open.stderr).contains("plain HTTP is allowed on loopback only"),
        "{open:?}"
    );
    let usage: &mut Command = &mut angbu(["serve", "--colour"]);
    assert_eq!(run(usage).status.code(), Some(2));
    running.interrupt();
}
