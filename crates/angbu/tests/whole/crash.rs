//! `kill -9` under load: whatever was answered is there afterwards, and the log continues every head ever served.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use angbu_evidence::note::VerifierKey;
use angbu_evidence::{Checkpoint, Promise};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::log::{Log, check_receipt, served_checkpoint};
use super::process::{Process, angbu, call, try_http};

/// Clients that append at the same time.
const CLIENTS: usize = 6;

#[test]
fn six_seeded_kills_lose_nothing() {
    for seed in 1..=6 {
        run(seed);
    }
}

#[test]
#[ignore = "50 runs take minutes: cargo xtask judge crash"]
fn judge_crash() {
    for seed in 100..150 {
        run(seed);
    }
}

/// What clients were told before the kill.
#[derive(Default)]
struct Told {
    entries: Vec<String>,
    receipts: Vec<String>,
    promises: Vec<String>,
    checkpoints: Vec<Checkpoint>,
}

fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("serve.toml");
    std::fs::write(
        &config,
        "[clock]\nreference = \"declared\"\n[[customer]]\nname = \"demo\"\ntolerance = \"50 ms\"\n",
    )
    .unwrap();
    let start = || {
        Process::start(
            angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
                .arg(&config)
                .arg("--data")
                .arg(folder.path().join("data")),
        )
    };
    let told = Mutex::new(Told::default());
    // Twice, so that a start after a kill is killed as well.
    for _ in 0..2 {
        let mut centre = start();
        load_and_kill(&mut centre, &told, Duration::from_millis(rng.random_range(20..900)));
    }
    let centre = start();
    check(&centre, &told.into_inner().unwrap(), seed);
    centre.interrupt();
}

fn load_and_kill(centre: &mut Process, told: &Mutex<Told>, after: Duration) {
    let killed = AtomicBool::new(false);
    let key: VerifierKey = centre.text("log_key").parse().unwrap();
    let (url, token, pid) = (centre.text("http").to_owned(), centre.text("token").to_owned(), centre.id());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (url, token, killed) = (&url, &token, &killed);
            scope.spawn(move || {
                let wait = if client % 2 == 0 { "Prefer: wait\r\n" } else { "" };
                let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n{wait}");
                let mut count = 0;
                while !killed.load(Ordering::SeqCst) {
                    count += 1;
                    let body = json!({"customer": "demo", "fields": {"client": client.to_string(), "count": count.to_string()}});
                    let path = "/api/v1/evidence/entries";
                    let answer = try_http(url, "POST", path, &headers, body.to_string().as_bytes());
                    let Some(answer) = answer.filter(|answer| answer.status == 201) else { continue };
                    let made = answer.json();
                    let mut told = told.lock().unwrap();
                    told.entries.push(made["entry_id"].as_str().unwrap().to_owned());
                    told.receipts.extend(made["proof"].as_str().map(str::to_owned));
                    told.promises.extend(made["promise"].as_str().map(str::to_owned));
                }
            });
        }
        let url = &url;
        scope.spawn(|| {
            while !killed.load(Ordering::SeqCst) {
                if let Some(checkpoint) = served_checkpoint(url, &key) {
                    told.lock().unwrap().checkpoints.push(checkpoint);
                }
            }
        });
        let end = Instant::now() + after;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        super::process::succeed(std::process::Command::new("kill").arg("-KILL").arg(pid.to_string()));
        killed.store(true, Ordering::SeqCst);
    });
    centre.kill();
}

fn check(centre: &Process, told: &Told, seed: u64) {
    let key: VerifierKey = centre.text("log_key").parse().unwrap();
    for id in &told.entries {
        let path = format!("/api/v1/evidence/entries/{id}/receipt");
        let answer = super::process::until("the entry's place in the log", || {
            Some(call(centre, "GET", &path, None)).filter(|answer| answer.status != 503)
        });
        assert_eq!(answer.status, 200, "seed {seed}: {id} was answered and is gone: {}", answer.text());
        let (entry, _) = check_receipt(&answer.text(), &key);
        assert_eq!(entry.id.to_string(), *id, "seed {seed}");
    }
    let log = Log::fetch(centre);
    log.is_numbered();
    for receipt in &told.receipts {
        let (_, checkpoint) = check_receipt(receipt, &key);
        log.contains(&checkpoint);
    }
    for checkpoint in &told.checkpoints {
        log.contains(checkpoint);
    }
    for promise in &told.promises {
        let promise =
            Promise::decode(promise.split("\n\n").next().map(|text| format!("{text}\n")).unwrap().as_str())
                .unwrap();
        let entry = log.entries.iter().find(|entry| entry.id == promise.entry);
        assert_eq!(
            entry.map(|entry| entry.body_root),
            Some(promise.body_root),
            "seed {seed}: a broken promise"
        );
    }
}
