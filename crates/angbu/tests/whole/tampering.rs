//! Hands on the clock of a real agent's process: while it is stopped by a signal, and between two of its runs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::{Process, angbu, call, demo, moved_clock, pass};

/// An agent's configuration, and the command that runs it with a clock that can be moved.
fn command(file: &Path, offset: &Path) -> Command {
    let mut command = angbu(["agent", "--json", "--config"]);
    command.arg(file).envs(moved_clock(offset));
    command
}

fn alarm(agent: &mut Process, kind: &str, seconds: i64) {
    let alarm: Value = agent.event("alarm");
    assert_eq!(alarm["kind"], kind, "{alarm}");
    let difference = alarm["difference_ns"].as_i64().unwrap();
    assert!((difference - seconds * 1_000_000_000).abs() < 100_000_000, "{alarm}");
}

#[test]
fn a_clock_that_is_moved_while_nobody_can_look_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(&folder.path().join("data"));
    let wish = json!({"kind": "agent", "customer": "demo", "name": "db-3"});
    let code =
        call(&centre, "POST", "/api/v1/enrolments", Some(&wish)).json()["code"].as_str().unwrap().to_owned();
    let (file, offset) = (folder.path().join("agent.toml"), folder.path().join("offset"));
    let config = format!(
        "centre = \"{}\"\nname = \"db-3\"\ncode = \"{code}\"\nstate = \"{}\"\npoll_interval = \"1 s\"\n\
         check_interval = \"500 ms\"\nkeeper = \"nobody\"\n",
        centre.text("http"),
        folder.path().join("agent").display()
    );
    std::fs::write(&file, config).unwrap();
    std::fs::write(&offset, "+0\n").unwrap();

    let mut agent = Process::start(&mut command(&file, &offset));
    agent.event("exchange");
    agent.signal("STOP");
    pass(Duration::from_secs(3));
    agent.signal("CONT");
    let pause = agent.event("pause");
    assert_eq!(pause["reason"], "stopped", "{pause}");
    assert!(pause["length_ns"].as_i64().unwrap() >= 2_900_000_000, "{pause}");
    agent.event("exchange");
    assert!(!agent.has_told("alarm"), "a process that is stopped is no tampering");

    agent.signal("STOP");
    std::fs::write(&offset, "+5\n").unwrap();
    pass(Duration::from_secs(2));
    agent.signal("CONT");
    alarm(&mut agent, "moved-while-stopped", 5);
    // With the second the first is remembered for the next run.
    agent.event("exchange");
    agent.event("exchange");

    agent.kill();
    std::fs::write(&offset, "-25\n").unwrap();
    let mut agent = Process::start(&mut command(&file, &offset));
    alarm(&mut agent, "moved-while-down", -30);
    agent.interrupt();
    centre.interrupt();
}
