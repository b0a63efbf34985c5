//! Witnesses: the protocol as strangers meet it, a witness that is killed and goes on, a centre that is cosigned by one,
//! and agents that cosign.

use std::convert::Infallible;
use std::net::TcpStream;
use std::path::Path;

use angbu_evidence::note::{Ed25519Signer, Note, SignatureLine, Signer as _, VerifierKey};
use angbu_evidence::witness::AddCheckpoint;
use angbu_evidence::{Checkpoint, Hash, cosign, merkle};
use serde_json::{Value, json};

use super::log::Log;
use super::process::{Answer, Process, angbu, call, demo, http, succeed, until};

const ORIGIN: &str = "log.example/one";

/// A log in the test's memory.
struct Tree(Vec<Hash>);

impl merkle::Nodes for Tree {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let first = usize::try_from(index << level).unwrap();
        Ok(merkle::root(&self.0[first..first + (1 << level)]))
    }
}

impl Tree {
    fn of(name: &str) -> Self {
        Self((0..40).map(|n| merkle::leaf_hash(format!("{name} {n}").as_bytes())).collect())
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = merkle::tree_root(self, size).unwrap();
        Checkpoint { origin: ORIGIN.to_owned(), size, root }
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint {
            old,
            proof: merkle::consistency(self, old, size).unwrap(),
            note: self.checkpoint(size).sign(&log_signer(1)).unwrap(),
        }
    }
}

fn log_signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::new(ORIGIN, &[seed; 32]).unwrap()
}

/// Starts a witness on an address of its own, or again on the one that it had.
pub(crate) fn witness(data: &Path, address: &str, log: &str) -> Process {
    Process::start(angbu(["witness", "--json", "--listen", address, "--log", log, "--data"]).arg(data))
}

/// The address of a process, without its scheme.
pub(crate) fn address(process: &Process) -> String {
    process.text("http").trim_start_matches("http://").to_owned()
}

/// The lines of a configuration by which a centre asks a witness.
pub(crate) fn asking(witness: &Process) -> String {
    format!("[[witness]]\nurl = \"{}\"\nkey = \"{}\"\n", witness.text("http"), witness.text("key"))
}

/// Waits until a centre serves a checkpoint of a larger log than this, signed with every key: of the log and of a witness.
pub(crate) fn cosigned(centre: &Process, keys: &[VerifierKey], size: u64) -> u64 {
    until("a cosigned checkpoint", || {
        let note = http(centre.text("http"), "GET", "/checkpoint", "", b"").text();
        let note = Note::parse(&note).ok()?;
        let head = Checkpoint::decode(&note.text).ok()?;
        (note.verify(keys).unwrap().len() == keys.len() && head.size > size).then_some(head.size)
    })
}

fn add(witness: &Process, body: &[u8]) -> Answer {
    http(witness.text("http"), "POST", "/add-checkpoint", "", body)
}

fn state(witness: &Process) -> Value {
    http(witness.text("http"), "GET", "/witness", "", b"").json()["logs"][0].clone()
}

/// Checks a cosignature, and returns its time.
fn check(answer: &Answer, request: &AddCheckpoint, key: &str) -> u64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = Note::parse(&request.note).unwrap().text;
    let line = SignatureLine::parse(&answer.text()).unwrap();
    cosign::verify(&text, &line, &key.parse::<VerifierKey>().unwrap()).unwrap()
}

#[test]
fn a_witness_speaks_the_protocol_and_strangers_cannot_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let witness = witness(folder.path(), "127.0.0.1:0", &log_signer(1).verifier_key().to_string());
    let printed = succeed(angbu(["witness", "key", "--data"]).arg(folder.path()));
    assert_eq!(printed.trim(), witness.text("key"));
    let tree = Tree::of("one");
    let good = tree.request(0, 5);
    let is = |body: &[u8], status: u16, why: &str| {
        let answer = add(&witness, body);
        assert_eq!(answer.status, status, "{why}: {}", answer.text());
        answer
    };
    // Nothing yet is known of the log, and none of these changes that.
    let ours = log_signer(1);
    let foreign = Checkpoint { origin: "other.example/log".to_owned(), ..tree.checkpoint(5) };
    let note = foreign.sign(&Ed25519Signer::new("other.example/log", &[1; 32]).unwrap()).unwrap();
    is(AddCheckpoint { note, ..good.clone() }.encode().as_bytes(), 404, "a log that is not watched");
    let note = tree.checkpoint(5).sign(&log_signer(2)).unwrap();
    is(AddCheckpoint { note, ..good.clone() }.encode().as_bytes(), 403, "another key");
    let unsigned = good.encode().replace("\n\n— ", "\n\n") + "\n";
    is(unsigned.as_bytes(), 400, "no signature at all");
    is(b"", 400, "nothing");
    is(&[0xff; 300], 400, "no text");
    is(&vec![b'x'; 65_537], 413, "more than a request has");
    is(&vec![b'x'; 32 << 20], 413, "far more");
    is(good.encode().replace("old 0", "old 00").as_bytes(), 400, "another spelling");
    let endless = format!("old 0\n{}", format!("{}\n", merkle::leaf_hash(b"")).repeat(500));
    is(endless.as_bytes(), 400, "an endless path");
    let lines: String = (0..1_000).map(|n| format!("— somebody-{n} AAAAAAA=\n")).collect();
    is(format!("{}{lines}", good.encode()).as_bytes(), 400, "a thousand signatures");
    is(tree.request(7, 12).encode().as_bytes(), 409, "a size that it does not know");
    is(AddCheckpoint { old: 9, ..good.clone() }.encode().as_bytes(), 400, "a larger old size");
    is(
        AddCheckpoint { proof: vec![merkle::leaf_hash(b"")], ..good.clone() }.encode().as_bytes(),
        422,
        "a path from nothing",
    );
    assert_eq!(http(witness.text("http"), "GET", "/add-checkpoint", "", b"").status, 405);
    assert_eq!(state(&witness)["size"], 0);

    // Strangers that say nothing hold no place that the log needs.
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(address(&witness)).unwrap()).collect();
    let cosigned = check(&is(good.encode().as_bytes(), 200, "the log itself"), &good, witness.text("key"));
    assert!(cosigned > 1_700_000_000);
    drop(silent);
    is(tree.request(5, 5).encode().as_bytes(), 200, "the same again");
    let conflict = is(tree.request(3, 12).encode().as_bytes(), 409, "a size before the newest");
    assert_eq!(conflict.text(), "5\n");
    assert!(
        conflict.head.to_ascii_lowercase().contains("content-type: text/x.tlog.size"),
        "{}",
        conflict.head
    );
    let wrong = AddCheckpoint { proof: tree.request(6, 12).proof, ..tree.request(5, 12) };
    is(wrong.encode().as_bytes(), 422, "a path from elsewhere");
    let bare = AddCheckpoint { proof: Vec::new(), ..tree.request(5, 12) };
    is(bare.encode().as_bytes(), 422, "no path");
    let many = ours.verifier_key();
    let mut padded = Note::parse(&tree.request(5, 12).note).unwrap();
    while padded.signatures.len() < 100 {
        padded.signatures.push(SignatureLine { signature: vec![1], ..padded.signatures[0].clone() });
    }
    is(
        AddCheckpoint { note: padded.encode(), ..tree.request(5, 12) }.encode().as_bytes(),
        403,
        "signed over and over",
    );
    assert!(padded.verify(&[many]).is_err());
    is(tree.request(5, 12).encode().as_bytes(), 200, "growth");
    witness.interrupt();
}

#[test]
fn a_killed_witness_goes_on_and_proves_a_second_history() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_signer(1).verifier_key().to_string();
    let mut first = witness(folder.path(), "127.0.0.1:0", &log);
    let (tree, other) = (Tree::of("one"), Tree::of("other"));
    check(&add(&first, tree.request(0, 5).encode().as_bytes()), &tree.request(0, 5), first.text("key"));
    let key = first.text("key").to_owned();
    first.kill();
    let mut second = witness(folder.path(), "127.0.0.1:0", &log);
    assert_eq!(second.text("key"), key);
    assert_eq!(state(&second)["size"], 5);
    assert_eq!(add(&second, tree.request(0, 9).encode().as_bytes()).text(), "5\n");
    check(&add(&second, tree.request(5, 9).encode().as_bytes()), &tree.request(5, 9), &key);

    // Another history, signed by the same key: of the same size, and of a larger one.
    assert_eq!(add(&second, other.request(9, 9).encode().as_bytes()).status, 409);
    let told = second.event("fork");
    assert_eq!(add(&second, other.request(9, 20).encode().as_bytes()).status, 422);
    let file = told["file"].as_str().unwrap().to_owned();
    let shown = succeed(&mut angbu(["verify", &file, "--key", &log, "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["kind"], "fork");
    let stranger = log_signer(2).verifier_key().to_string();
    let stranger = super::process::run(&mut angbu(["verify", &file, "--key", &stranger]));
    assert_eq!(stranger.status.code(), Some(1), "nothing is proven without the log's key");
    let forks = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(forks.filter(|name| name.to_string_lossy().starts_with("fork-")).count(), 1);
    // What it saw first, it goes on with.
    check(&add(&second, tree.request(9, 20).encode().as_bytes()), &tree.request(9, 20), &key);
    second.interrupt();
}

#[test]
fn agents_cosign_and_the_centre_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = demo(folder.path());
    centre.event("log-checked");
    let shown = until("an agent's cosignature", || {
        let shown = call(&centre, "GET", "/api/v1/evidence/witnesses", None).json();
        let first = shown["witnesses"][0].clone();
        (first["size"].as_u64()? > 0).then_some(first)
    });
    assert_eq!(
        (shown["kind"].as_str(), shown["customer"].as_str()),
        (Some("agent"), Some("demo")),
        "{shown}"
    );
    let origin = Log::fetch(&centre).checkpoint.origin;
    assert!(shown["name"].as_str().unwrap().starts_with(&format!("{origin}/agent/agt_")), "{shown}");
    assert!(shown["cosigned_at"].is_string() && shown["trouble"].is_null(), "{shown}");
    // The log goes on growing, and the cosignatures with it.
    let before = shown["size"].as_u64().unwrap();
    let statement = json!({"customer": "demo", "fields": {"a": "b"}});
    assert_eq!(call(&centre, "POST", "/api/v1/evidence/entries", Some(&statement)).status, 201);
    until("a newer cosignature", || {
        let shown = call(&centre, "GET", "/api/v1/evidence/witnesses", None).json();
        (shown["witnesses"][0]["size"].as_u64()? > before).then_some(())
    });
    centre.interrupt();
}

#[test]
fn a_centre_is_cosigned_by_its_witness() {
    let folder = tempfile::tempdir().unwrap();
    let (data, seen) = (folder.path().join("data"), folder.path().join("witness"));
    // The log's key is known once the log is.
    let first = serve(folder.path(), &data, "");
    let log_key = first.text("log_key").to_owned();
    first.interrupt();
    let mut watching = witness(&seen, "127.0.0.1:0", &log_key);
    let key = watching.text("key").to_owned();
    let asks = format!("require_witnesses = true\n{}", asking(&watching));
    let centre = serve(folder.path(), &data, &asks);
    let keys: [VerifierKey; 2] = [log_key.parse().unwrap(), key.parse().unwrap()];
    let cosigned = |size: u64| cosigned(&centre, &keys, size);
    let size = cosigned(0);
    // The witness is away: reports wait for it in vain, and the centre goes on.
    let at = address(&watching);
    watching.kill();
    let statement = json!({"customer": "demo", "fields": {"a": "b"}});
    assert_eq!(call(&centre, "POST", "/api/v1/evidence/entries", Some(&statement)).status, 201);
    let troubled = until("the trouble", || {
        let shown = call(&centre, "GET", "/api/v1/evidence/witnesses", None).json();
        shown["witnesses"][0]["trouble"].is_string().then(|| shown["witnesses"][0].clone())
    });
    assert_eq!(troubled["kind"], "configured", "{troubled}");
    let wish = json!({"customer": "demo", "from": "2026-01-01T00:00:00Z", "to": "2200-01-01T00:00:00Z"});
    let refused = call(&centre, "POST", "/api/v1/time/reports", Some(&wish));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("not-witnessed"), "{}", refused.text());
    let again = witness(&seen, &at, &log_key);
    cosigned(size);
    let report = folder.path().join("report.html");
    let made = until("a witnessed report", || {
        Some(call(&centre, "POST", "/api/v1/time/reports", Some(&wish))).filter(|made| made.status == 200)
    });
    std::fs::write(&report, &made.body).unwrap();
    let verify = |witness: &[&str]| {
        let mut command = angbu(["verify", "--json", "--key", &log_key]);
        let shown = succeed(command.args(witness).arg(&report));
        serde_json::from_str::<Value>(&shown).unwrap()
    };
    let signers = verify(&["--witness", &key])["signers"].as_array().unwrap().clone();
    assert!(
        signers.iter().any(|signer| signer["key"] == json!(key) && signer["given"] == json!(true)),
        "{signers:?}"
    );
    again.interrupt();
    centre.interrupt();
}

/// A centre on a folder, with more in its configuration.
pub(crate) fn serve(folder: &Path, data: &Path, more: &str) -> Process {
    let config = folder.join("serve.toml");
    let text = format!(
        "{}\n[clock]\nreference = \"declared\"\n[[customer]]\nname = \"demo\"\ntolerance = \"50 ms\"\n{}",
        more.split_once("[[").map_or(more, |(before, _)| before),
        more.split_once("[[").map_or(String::new(), |(_, after)| format!("[[{after}"))
    );
    std::fs::write(&config, text).unwrap();
    Process::start(
        angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(data),
    )
}
