//! The main job: `angbu demo`, and the same as separate processes from the sample files.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::log::Log;
use super::process::{Process, angbu, call, demo, run, succeed, until};

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
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/samples");
    // As it stands, but for the reference: the sample's upstreams are nobody's.
    let sample = std::fs::read_to_string(samples.join("serve.toml")).unwrap();
    let mut config: toml::Table = sample.parse().unwrap();
    config.insert("clock".to_owned(), toml::toml! { reference = "declared" }.into());
    let serve = folder.path().join("serve.toml");
    std::fs::write(&serve, config.to_string()).unwrap();
    let mut centre = Process::start(
        angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
            .arg(&serve)
            .arg("--data")
            .arg(folder.path().join("data")),
    );
    centre.event("operator-made");
    let (url, token) = (centre.text("http").to_owned(), centre.text("token").to_owned());
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let ca = folder.path().join("data/site-certificate.pem");
    let customer = centre.text("customer").to_owned();
    let enrolled = succeed(
        angbu([
            "enrol",
            "agent",
            "--customer",
            &customer,
            "--name",
            "db-3",
            "--json",
            "--url",
            &url,
            "--token",
            &token,
            "--ca",
        ])
        .arg(&ca),
    );
    let code = serde_json::from_str::<Value>(&enrolled).unwrap()["code"].as_str().unwrap().to_owned();
    let sample = std::fs::read_to_string(samples.join("agent.toml")).unwrap();
    let mut agent_config: toml::Table = sample.parse().unwrap();
    for (name, value) in [
        ("centre", url.clone()),
        ("code", code),
        ("name", "db-3".to_owned()),
        ("poll_interval", "1 s".to_owned()),
        ("state", folder.path().join("agent").display().to_string()),
    ] {
        agent_config.insert(name.to_owned(), toml::Value::String(value));
    }
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, agent_config.to_string()).unwrap();
    let mut agent = Process::start(angbu(["agent", "--json", "--config"]).arg(&file));
    assert_eq!(agent.ready["event"], "joined");
    agent.event("started");
    agent.event("exchange");
    agent.event("uploaded");
    agent.interrupt();
    let report = folder.path().join("report.html");
    let to = "2200-01-01T00:00:00Z";
    succeed(
        angbu([
            "report",
            "time",
            "--customer",
            &customer,
            "--from",
            "2026-01-01T00:00:00Z",
            "--to",
            to,
            "--url",
            &url,
            "--token",
            &token,
            "--ca",
        ])
        .arg(&ca)
        .arg("-o")
        .arg(&report),
    );
    succeed(angbu(["verify", "--key", centre.text("log_key")]).arg(&report));
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
