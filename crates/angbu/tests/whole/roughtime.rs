//! The Roughtime server and the agent that holds NTP's time against it, with one server that lies.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use angbu_agent::clock::SystemClock;
use angbu_agent::roughtime::{RoughtimeServer, ask};
use angbu_time::roughtime::chain::Chain;
use angbu_units::Clock as _;
use serde_json::Value;

use super::process::{Process, angbu, call, http, moved_clock, run, serve_command_with, succeed, until};

const HEAD: &str = "[roughtime]\nlisten = \"127.0.0.1:0\"\n";

fn server(centre: &Process) -> String {
    format!("{} {}", centre.text("roughtime"), centre.text("roughtime_key"))
}

fn metric(centre: &Process, line: &str) -> Option<u64> {
    let text = http(centre.text("http"), "GET", "/metrics", "", b"").text();
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

#[test]
fn a_chain_of_replies_holds_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), HEAD));
    let asked = RoughtimeServer::try_from(server(&centre)).unwrap();
    let mut chain = Chain::new();
    for _ in 0..3 {
        let answered = ask(&asked, &mut chain, &SystemClock, &|| false).unwrap();
        assert!(!answered.reply.excludes(answered.sent.wall, answered.received.wall), "{answered:?}");
        // Nothing announces a leap second to a declared clock.
        assert_eq!(answered.reply.radius, 3);
    }
    assert_eq!(chain.contradiction(), None);
    assert_eq!(Chain::check(chain.links().to_vec()).unwrap(), chain);
    // Noise, and a request that is too short to be answered with more than it is long.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(centre.text("roughtime")).unwrap();
    socket.send(&[0; 1_024]).unwrap();
    socket.send(&chain.links()[0].request[..1_000]).unwrap();
    until("both to be counted", || {
        let malformed = metric(&centre, "angbu_roughtime_dropped_total{reason=\"malformed\"}")?;
        let short = metric(&centre, "angbu_roughtime_dropped_total{reason=\"short\"}")?;
        (malformed == 1 && short == 1).then_some(())
    });
    assert_eq!(metric(&centre, "angbu_roughtime_answered_total"), Some(3));
    centre.interrupt();
}

#[test]
fn a_clock_that_nothing_vouches_for_gives_no_reply() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("serve.toml");
    std::fs::write(&config, HEAD).unwrap();
    let mut command = angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0"]);
    command.arg("--config").arg(&config).arg("--data").arg(folder.path().join("data"));
    let centre = Process::start(&mut command);
    let asked = RoughtimeServer::try_from(server(&centre)).unwrap();
    let sent = SystemClock.read().monotonic;
    let waited = || (SystemClock.read().monotonic - sent).to_duration() > Duration::from_millis(300);
    ask(&asked, &mut Chain::new(), &SystemClock, &waited).unwrap_err();
    until("the request to be counted", || {
        (metric(&centre, "angbu_roughtime_dropped_total{reason=\"unproven\"}")? == 1).then_some(())
    });
    centre.interrupt();
}

#[test]
fn a_rotated_key_ends_at_once_and_the_next_one_answers() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), HEAD));
    let never = || false;
    let old = RoughtimeServer::try_from(server(&centre)).unwrap();
    let mut chain = Chain::new();
    ask(&old, &mut chain, &SystemClock, &never).unwrap();
    let answer = call(&centre, "POST", "/api/v1/evidence/keys/roughtime/rotate", None);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let next = answer.json()["verifier_key"].as_str().unwrap().to_owned();
    assert!(next.contains("/roughtime+"), "{next}");
    let new = RoughtimeServer::try_from(format!("{} {next}", old.name)).unwrap();
    assert_ne!(new.public_key, old.public_key);
    // The server looks for another key every ten seconds.
    let answered = until("a reply with the next key", || {
        let sent = SystemClock.read().monotonic;
        let waited = || (SystemClock.read().monotonic - sent).to_duration() > Duration::from_millis(300);
        ask(&new, &mut chain, &SystemClock, &waited).ok()
    });
    assert!(!answered.reply.excludes(answered.sent.wall, answered.received.wall));
    // Whoever knows only the old one gets nothing, and no reply under either key is worth less for it.
    let sent = SystemClock.read().monotonic;
    let waited = || (SystemClock.read().monotonic - sent).to_duration() > Duration::from_millis(300);
    ask(&old, &mut Chain::new(), &SystemClock, &waited).unwrap_err();
    assert!(metric(&centre, "angbu_roughtime_dropped_total{reason=\"server\"}").unwrap() > 0);
    assert_eq!((chain.links().len(), chain.contradiction()), (2, None));
    assert_eq!(Chain::check(chain.links().to_vec()).unwrap(), chain);
    // An agent that is told the new one holds its time against it.
    let mut agent = agent(folder.path(), &centre, &[format!("{} {next}", old.name)]);
    agent.event("roughtime");
    agent.interrupt();
    centre.interrupt();
}

#[test]
fn a_server_that_lies_is_told_of_and_proven_to_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    for folder in [&here, &there] {
        std::fs::create_dir(folder).unwrap();
    }
    let centre = Process::start(&mut serve_command_with(&here, HEAD));
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "+600").unwrap();
    let liar = Process::start(serve_command_with(&there, HEAD).envs(moved_clock(&offset)));
    let mut agent = agent(folder.path(), &centre, &[server(&centre), server(&liar)]);
    let disagrees = agent.event("roughtime-disagrees");
    assert_eq!(disagrees["server"], liar.text("roughtime"));
    let lie = agent.event("roughtime-lie");
    assert_eq!((&lie["earlier"], &lie["later"]), (&liar.ready["roughtime"], &centre.ready["roughtime"]));
    let file = lie["file"].as_str().unwrap();
    let proven: Value = serde_json::from_str(&succeed(&mut angbu(["verify", "--json", file]))).unwrap();
    assert_eq!((&proven["proven"], &proven["kind"]), (&Value::Bool(true), &"malfeasance".into()));
    assert_eq!(proven["earlier"]["public_key"], liar.ready["roughtime_key"]);
    // One changed character anywhere in what is signed, and it proves nothing.
    let text = std::fs::read_to_string(file).unwrap();
    let at = text.find("\"response\": \"").unwrap() + 200;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    let changed = folder.path().join("changed.json");
    std::fs::write(&changed, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    let refused = run(angbu(["verify", "--json"]).arg(&changed));
    assert_eq!(refused.status.code(), Some(1));
    agent.interrupt();
    liar.interrupt();
    centre.interrupt();
}

/// An agent of the centre's customer that holds NTP against these servers ten times a second.
fn agent(folder: &Path, centre: &Process, servers: &[String]) -> Process {
    let (url, token) = (centre.text("http"), centre.text("token"));
    let code = succeed(&mut angbu([
        "enrol",
        "agent",
        "--customer",
        "demo",
        "--name",
        "db-3",
        "--json",
        "--url",
        url,
        "--token",
        token,
    ]));
    let code: Value = serde_json::from_str(&code).unwrap();
    let config = folder.join("agent.toml");
    let text = format!(
        "centre = \"{url}\"\nname = \"db-3\"\ncode = \"{}\"\nstate = {:?}\npoll_interval = \"100 ms\"\n\
         roughtime = {servers:?}\nroughtime_interval = \"100 ms\"\n",
        code["code"].as_str().unwrap(),
        folder.join("agent"),
    );
    std::fs::write(&config, text).unwrap();
    Process::start(angbu(["agent", "--json", "--config"]).arg(&config))
}

/// Another implementation's process, ended with the test.
struct Other(std::process::Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The published Rust implementation's server, with a key that everybody knows, some seconds ahead.
fn their_server(tools: &Path, ahead: i16) -> (Other, RoughtimeServer) {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(tools.join("roughenough_server"))
        .args(["--interface", "127.0.0.1", "--insecure-zero-seed", "--num-threads", "1"])
        .args(["--port", &port.to_string(), &format!("--fixed-offset={ahead}")])
        .spawn()
        .unwrap();
    let public_key = ed25519_dalek::SigningKey::from_bytes(&[0; 32]).verifying_key().to_bytes();
    (Other(child), RoughtimeServer { name: format!("127.0.0.1:{port}"), public_key })
}

#[test]
#[ignore = "it needs another implementation's programs: cargo xtask judge roughtime"]
fn judge_roughtime() {
    let tools =
        std::env::var_os("ANGBU_ROUGHENOUGH").expect("cargo xtask judge roughtime says where they are");
    let tools = Path::new(&tools);
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), HEAD));
    // Their client asks our server, many times and with its key.
    let (host, port) = centre.text("roughtime").rsplit_once(':').unwrap();
    let said = succeed(Command::new(tools.join("roughenough_client")).args([
        "--pub-key",
        centre.text("roughtime_key"),
        "--num-requests",
        "20",
        "--epoch",
        host,
        port,
    ]));
    let now = SystemClock.read().wall.nanos() / 1_000_000_000;
    let times: Vec<i64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(times.iter().any(|time| (now - time).abs() <= 5), "{said}");
    assert_eq!(metric(&centre, "angbu_roughtime_answered_total"), Some(20), "{said}");
    // Our client asks theirs, in one chain with ours.
    let ours = RoughtimeServer::try_from(server(&centre)).unwrap();
    for (ahead, lies) in [(0, false), (600, true)] {
        let (_running, theirs) = their_server(tools, ahead);
        let mut chain = Chain::new();
        until("their first reply", || ask(&theirs, &mut chain, &SystemClock, &|| false).ok());
        for server in [&ours, &theirs, &ours] {
            ask(server, &mut chain, &SystemClock, &|| false).unwrap();
        }
        assert_eq!(chain.contradiction().is_some(), lies);
        assert_eq!(Chain::check(chain.links().to_vec()).unwrap(), chain);
    }
    centre.interrupt();
}
