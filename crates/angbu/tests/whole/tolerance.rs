//! A tolerance that changes in the middle of a period: each instant is judged by what held then, on pages and in reports.

use angbu_units::{Nanos, UnixTime};
use serde_json::{Value, json};

use super::mail::agent;
use super::process::{angbu, call, serve, succeed, until};
use super::refusals::now;

#[test]
fn each_instant_is_judged_by_the_tolerance_that_was_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let centre = serve(folder.path());
    let offset = folder.path().join("offset");
    // 20 ms off: within 50 ms, and outside 10 ms.
    std::fs::write(&offset, "+0.02\n").unwrap();
    let mut agent = agent(folder.path(), &centre, "db-3", &offset);
    let verdict = |wanted: &str| {
        until(wanted, || {
            let agents = call(&centre, "GET", "/api/v1/time/agents", None).json();
            (agents["agents"][0]["verdict"] == wanted)
                .then(|| agents["agents"][0]["id"].as_str().unwrap().to_owned())
        })
    };
    verdict("within");
    let changed =
        call(&centre, "PATCH", "/api/v1/customers/demo", Some(&json!({"tolerance_ns": 10_000_000})));
    assert_eq!(changed.json()["revision"], 2, "{}", changed.text());
    let id = verdict("outside");
    agent.event("exchange");

    // The change is an entry, and its instant is where the verdict changes.
    let entry: Value = until("the change's place in the log", || {
        let path = "/api/v1/evidence/entries?customer=demo&kind=account.customer";
        let found = call(&centre, "GET", path, None).json()["entries"].as_array().unwrap().clone();
        (found.len() == 2).then(|| found[0].clone())
    });
    let since = UnixTime::parse_rfc3339(entry["at"].as_str().unwrap()).unwrap();
    let (from, to) = (since - Nanos::from_secs(60), since + Nanos::from_secs(60));
    let graph =
        call(&centre, "GET", &format!("/api/v1/time/agents/{id}/graph?from={from}&to={to}"), None).json();
    let periods = graph["periods"].as_array().unwrap();
    let ends = periods.iter().find(|period| period["verdict"] == "within").unwrap();
    let begins = periods.iter().find(|period| period["verdict"] == "outside").unwrap();
    assert_eq!(ends["to_ms"], begins["from_ms"], "{periods:?}");
    assert_eq!(begins["from_ms"].as_i64(), Some(since.nanos() / 1_000_000), "{periods:?}");

    // A report ends at the second in which it is made.
    until("some seconds after the change", || (now(&centre) > since + Nanos::from_secs(3)).then_some(()));
    let file = folder.path().join("report.html");
    succeed(
        angbu([
            "report",
            "time",
            "--customer",
            "demo",
            "--from",
            &from.to_string(),
            "--to",
            &to.to_string(),
            "-o",
        ])
        .arg(&file)
        .env("ANGBU_URL", centre.text("http"))
        .env("ANGBU_TOKEN", centre.text("token")),
    );
    succeed(angbu(["verify", "--key", centre.text("log_key")]).arg(&file));
    let html = std::fs::read_to_string(&file).unwrap();
    let readable = html.split("<script").next().unwrap();
    for needed in ["50 ms", "10 ms", "outside"] {
        assert!(readable.contains(needed), "{needed} is missing");
    }
    // A row of the report changes at that instant too.
    let second = since.rfc3339(3).trim_end_matches('Z').replace('T', " ");
    assert!(readable.contains(&second[11..19]), "{second} is missing");
    agent.kill();
    centre.interrupt();
}
