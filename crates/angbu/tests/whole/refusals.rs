//! Bad input: every refusal is clear and changes nothing.

use angbu_accounts::EnrolmentCode;
use angbu_time::chain::Chain;
use angbu_time::ingest::{MAX_WIRE, sign};
use angbu_time::record::{Fact, Record, Software, Start, Stop, Upload, When};
use angbu_units::{AgentId, Nanos, UnixTime};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::log::Log;
use super::process::{Answer, Process, call, demo, http};

/// An agent of the test's own, joined to the centre.
pub(crate) struct Agent {
    id: AgentId,
    pub(crate) key: SigningKey,
}

impl Agent {
    pub(crate) fn join(centre: &Process, name: &str, seed: u8) -> Self {
        let wish = json!({"kind": "agent", "customer": "demo", "name": name});
        let code = call(centre, "POST", "/api/v1/enrolments", Some(&wish)).json();
        let code = EnrolmentCode::parse(code["code"].as_str().unwrap()).unwrap();
        let key = SigningKey::from_bytes(&[seed; 32]);
        let joined = angbu_client::join(centre.text("http"), &code, name, &key).unwrap();
        // The same again: a lost answer must not burn the code.
        let again = angbu_client::join(centre.text("http"), &code, name, &key).unwrap();
        assert_eq!(joined.agent, again.agent);
        // Another key gets nothing for the same code.
        let thief = SigningKey::from_bytes(&[seed + 100; 32]);
        assert!(angbu_client::join(centre.text("http"), &code, name, &thief).is_err());
        Self { id: joined.agent, key }
    }

    fn upload(&self, now: UnixTime, first: u64, records: usize) -> Upload {
        self.upload_of(now, first, records, "test/1")
    }

    /// An upload of records of which the first names the agent's software.
    pub(crate) fn upload_of(&self, now: UnixTime, first: u64, records: usize, software: &str) -> Upload {
        let at = When { system: now, centre: Some(now) };
        let start = Start {
            at,
            poll: Nanos::from_secs(2),
            clean: true,
            manner: None,
            software: Software::new(software).unwrap(),
        };
        let fact =
            |place: usize| if place == 0 { Fact::Start(start.clone()) } else { Fact::Stop(Stop { at }) };
        let records =
            (0..records).map(|place| Record { seq: first + place as u64, fact: fact(place) }).collect();
        Upload {
            agent: self.id,
            before: Chain::begin(self.id, &self.key.verifying_key().to_bytes(), first),
            sent: now,
            newest_checkpoint: None,
            records,
            witnesses: Default::default(),
        }
    }
}

pub(crate) fn now(centre: &Process) -> UnixTime {
    let state = call(centre, "GET", "/api/v1/centre", None).json();
    UnixTime::parse_rfc3339(state["now"].as_str().unwrap()).unwrap()
}

pub(crate) fn send(centre: &Process, wire: &[u8]) -> Answer {
    http(
        centre.text("http"),
        "POST",
        "/api/v1/time/uploads",
        "Content-Type: application/octet-stream\r\n",
        wire,
    )
}

fn problem(answer: &Answer) -> (u16, String) {
    assert!(
        answer.head.to_ascii_lowercase().contains("application/problem+json"),
        "{}\n{}",
        answer.head,
        answer.text()
    );
    let problem: Value = answer.json();
    assert_eq!(problem["status"], answer.status);
    assert!(!problem["detail"].as_str().unwrap().is_empty());
    (answer.status, problem["type"].as_str().unwrap().trim_start_matches("urn:angbu:problem:").to_owned())
}

#[test]
fn uploads_are_taken_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let agent = Agent::join(&centre, "db-1", 1);
    let other = Agent::join(&centre, "db-2", 2);
    let now = now(&centre);
    let good = sign(&agent.upload(now, 1, 2), &agent.key);
    let refused = |wire: &[u8], status: u16, name: &str| {
        assert_eq!(problem(&send(&centre, wire)), (status, name.to_owned()), "{} bytes", wire.len());
    };

    refused(b"", 422, "upload-malformed");
    refused(&good[..good.len() - 1], 403, "upload-not-signed");
    refused(&[0x5a; 300], 422, "upload-malformed");
    refused(&vec![0; MAX_WIRE + 1], 413, "too-large");
    refused(&vec![0; 8 << 20], 413, "too-large");
    let mut unsigned = good.clone();
    unsigned[..64].fill(0);
    refused(&unsigned, 403, "upload-not-signed");
    refused(&sign(&agent.upload(now, 1, 2), &other.key), 403, "upload-not-signed");
    let stranger = Agent { id: AgentId::from_bytes([9; 16]), key: agent.key.clone() };
    refused(&sign(&stranger.upload(now, 1, 2), &stranger.key), 404, "agent-unknown");
    refused(
        &sign(&agent.upload(now + Nanos::from_secs(3_600), 1, 2), &agent.key),
        422,
        "upload-from-the-future",
    );
    refused(&sign(&agent.upload(now, 5, 1), &agent.key), 409, "upload-gap");
    for place in 0..good.len() {
        let mut damaged = good.clone();
        damaged[place] ^= 1;
        assert!(send(&centre, &damaged).status >= 400, "byte {place}");
    }

    let taken = send(&centre, &good);
    assert_eq!((taken.status, taken.json()["next_seq"].as_str()), (200, Some("3")), "{}", taken.text());
    refused(&good, 409, "upload-replayed");
    assert_eq!(send(&centre, &good).json()["next_seq"], "3");
    // What overlaps takes effect once.
    let longer = send(&centre, &sign(&agent.upload(now, 1, 3), &agent.key));
    assert_eq!((longer.status, longer.json()["next_seq"].as_str()), (200, Some("4")));
    let log = super::process::until("the entries in the log", || {
        let log = Log::fetch(&centre);
        let count = |kind: &str| log.entries.iter().filter(|entry| entry.kind.as_str() == kind).count();
        // One start is the demo's own agent's.
        (count("time.start") == 2 && count("time.stop") == 2).then_some(log)
    });
    log.is_numbered();
    centre.interrupt();
}

/// What a JSON call says of its body.
const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn strangers_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    for (method, path, headers, body, status, name) in [
        ("GET", "/api/v1/centre", "", "", 401, "not-signed-in"),
        ("GET", "/api/v1/centre", "Authorization: Bearer nonsense\r\n", "", 401, "not-signed-in"),
        ("GET", "/api/v1/centre", "Cookie: angbu_session=nonsense\r\n", "", 401, "not-signed-in"),
        ("GET", "/api/v1/nothing", "", "", 404, "unknown"),
        (
            "POST",
            "/api/v1/session",
            JSON,
            "{\"name\":\"operator\",\"password\":\"wrong\"}",
            401,
            "wrong-password",
        ),
        (
            "POST",
            "/api/v1/session",
            JSON,
            "{\"name\":\"nobody\",\"password\":\"wrong\"}",
            401,
            "wrong-password",
        ),
        ("POST", "/api/v1/session", JSON, "{", 422, "invalid"),
        ("POST", "/api/v1/session", JSON, "{\"name\":1,\"password\":\"x\"}", 422, "invalid"),
        (
            "POST",
            "/api/v1/session",
            "Sec-Fetch-Site: cross-site\r\nContent-Type: application/json\r\n",
            "{\"name\":\"a\",\"password\":\"b\"}",
            403,
            "cross-site",
        ),
    ] {
        let answer = http(centre.text("http"), method, path, headers, body.as_bytes());
        assert_eq!(problem(&answer), (status, name.to_owned()), "{method} {path} {body}: {}", answer.text());
    }
    centre.interrupt();
}

#[test]
fn wrong_calls_of_an_operator_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let headers = format!("Authorization: Bearer {}\r\n{JSON}", centre.text("token"));
    let ask = |method, path, body: &str| http(centre.text("http"), method, path, &headers, body.as_bytes());
    for (method, path, body, status, name) in [
        (
            "POST",
            "/api/v1/enrolments",
            "{\"kind\":\"agent\",\"customer\":\"nobody\",\"name\":\"a\"}",
            404,
            "unknown",
        ),
        (
            "POST",
            "/api/v1/enrolments",
            "{\"kind\":\"agent\",\"customer\":\"demo\",\"name\":\"A b\"}",
            422,
            "invalid",
        ),
        (
            "POST",
            "/api/v1/enrolments",
            "{\"kind\":\"ghost\",\"customer\":\"demo\",\"name\":\"a\"}",
            422,
            "invalid",
        ),
        ("POST", "/api/v1/customers", "{\"name\":\"demo\",\"tolerance_ns\":1000000}", 409, "taken"),
        ("POST", "/api/v1/customers", "{\"name\":\"next\",\"tolerance_ns\":-1}", 422, "invalid"),
        ("POST", "/api/v1/customers", "{\"name\":\"' OR 1=1 --\",\"tolerance_ns\":1000000}", 422, "invalid"),
        ("POST", "/api/v1/tokens", "{\"holder\":\"x\",\"scopes\":[\"root\"]}", 422, "invalid"),
        ("POST", "/api/v1/evidence/entries", "{\"customer\":\"demo\",\"fields\":{}}", 422, "invalid"),
        (
            "POST",
            "/api/v1/evidence/entries",
            "{\"customer\":\"demo\",\"fields\":{\"Bad Name\":\"x\"}}",
            422,
            "invalid",
        ),
        ("GET", "/api/v1/evidence/entries/nonsense/receipt", "", 422, "invalid"),
        ("GET", "/api/v1/evidence/entries/01ARZ3NDEKTSV4RRFFQ69G5FAV/receipt", "", 404, "unknown"),
        ("GET", "/api/v1/time/agents/agt_00000000000000000000000000000000", "", 404, "unknown"),
        ("GET", "/api/v1/time/agents?colour=red", "", 422, "invalid"),
    ] {
        let answer = ask(method, path, body);
        assert_eq!(problem(&answer), (status, name.to_owned()), "{method} {path} {body}: {}", answer.text());
    }
    let huge = format!("{{\"customer\":\"demo\",\"fields\":{{\"a\":\"{}\"}}}}", "x".repeat(10 << 20));
    assert_eq!(problem(&ask("POST", "/api/v1/evidence/entries", &huge)).0, 413);
    centre.interrupt();
}

#[test]
fn guessing_a_password_becomes_slow() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let guess = || {
        http(
            centre.text("http"),
            "POST",
            "/api/v1/session",
            "Content-Type: application/json\r\n",
            b"{\"name\":\"operator\",\"password\":\"a guess\"}",
        )
    };
    let refusals: Vec<u16> = (0..8).map(|_| guess().status).collect();
    assert_eq!(refusals[..5], [401; 5]);
    assert_eq!(refusals[5..], [429; 3]);
    assert!(guess().json()["retry_after_s"].as_u64().unwrap() >= 1);
    centre.interrupt();
}
