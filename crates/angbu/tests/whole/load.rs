//! Clients that append to one or more centres while something happens to these, what they were told meanwhile, and the
//! check that all of it is kept.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use angbu_evidence::note::VerifierKey;
use angbu_evidence::{Checkpoint, Promise};
use angbu_units::EntryId;
use serde_json::json;

use super::log::{Log, check_receipt, served_checkpoint};
use super::process::{Answer, Process, call, try_http, until};

/// Clients that append at the same time.
const CLIENTS: usize = 6;
/// For how many entries a check asks the centre for the receipt; all of them are looked for in the log itself.
const RECEIPTS: usize = 500;

/// What clients were told.
#[derive(Default)]
pub(crate) struct Told {
    entries: Vec<String>,
    receipts: Vec<String>,
    promises: Vec<String>,
    checkpoints: Vec<Checkpoint>,
    refusals: Vec<Answer>,
}

/// Where clients call, and with what.
struct Door {
    url: String,
    token: String,
    key: VerifierKey,
}

impl Told {
    /// How many appends were answered.
    pub(crate) fn answered(&self) -> usize {
        self.entries.len()
    }

    /// How many appends were refused. Each refusal says when to come back.
    pub(crate) fn refused(&self) -> usize {
        for refusal in &self.refusals {
            let text = refusal.text();
            assert_eq!(refusal.status, 503, "{text}");
            assert!(refusal.head.to_ascii_lowercase().contains("retry-after: "), "{}", refusal.head);
            assert!(refusal.json()["retry_after_s"].as_u64().is_some_and(|seconds| seconds >= 1), "{text}");
        }
        self.refusals.len()
    }

    /// Adds what was told on another occasion.
    pub(crate) fn add(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.receipts.extend(other.receipts);
        self.promises.extend(other.promises);
        self.checkpoints.extend(other.checkpoints);
        self.refusals.extend(other.refusals);
    }
}

/// Has clients append to these centres, in turns, from before `during` begins until it has ended.
pub(crate) fn under_load(centres: &[&Process], during: impl FnOnce(&AtLoad<'_>)) -> Told {
    let told = Mutex::new(Told::default());
    let ended = AtomicBool::new(false);
    let doors: Vec<Door> = centres
        .iter()
        .map(|centre| Door {
            url: centre.text("http").to_owned(),
            token: centre.text("token").to_owned(),
            key: centre.text("log_key").parse().unwrap(),
        })
        .collect();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (doors, told, ended) = (&doors, &told, &ended);
            scope.spawn(move || append(client, &doors[client % doors.len()], told, ended));
        }
        for door in &doors {
            let (told, ended) = (&told, &ended);
            scope.spawn(move || {
                let mut last = None;
                while !ended.load(Ordering::SeqCst) {
                    let served = served_checkpoint(&door.url, &door.key);
                    if served.is_some() && served != last {
                        told.lock().unwrap().checkpoints.extend(served.clone());
                        last = served;
                    }
                }
            });
        }
        // However it goes, the clients are told to end, or the scope would never.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| during(&AtLoad(&told))));
        ended.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    told.into_inner().unwrap()
}

/// The load while it goes on.
pub(crate) struct AtLoad<'a>(&'a Mutex<Told>);

impl AtLoad<'_> {
    /// Waits until so many more appends were answered.
    pub(crate) fn until_answered(&self, more: usize) {
        let wanted = self.0.lock().unwrap().entries.len() + more;
        until("more answers", || (self.0.lock().unwrap().entries.len() >= wanted).then_some(()));
    }

    /// Waits until so many more appends were refused.
    pub(crate) fn until_refused(&self, more: usize) {
        let wanted = self.0.lock().unwrap().refusals.len() + more;
        until("more refusals", || (self.0.lock().unwrap().refusals.len() >= wanted).then_some(()));
    }
}

fn append(client: usize, door: &Door, told: &Mutex<Told>, ended: &AtomicBool) {
    let wait = if client.is_multiple_of(2) { "Prefer: wait\r\n" } else { "" };
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n{wait}", door.token);
    let mut count = 0;
    while !ended.load(Ordering::SeqCst) {
        count += 1;
        let fields =
            json!({"client": client.to_string(), "count": count.to_string(), "more": "x".repeat(500)});
        let body = json!({"customer": "demo", "fields": fields}).to_string();
        let answer = try_http(&door.url, "POST", "/api/v1/evidence/entries", &headers, body.as_bytes());
        let Some(answer) = answer else { continue };
        let mut told = told.lock().unwrap();
        if answer.status != 201 {
            told.refusals.push(answer);
            continue;
        }
        let made = answer.json();
        told.entries.push(made["entry_id"].as_str().unwrap().to_owned());
        told.receipts.extend(made["proof"].as_str().map(str::to_owned));
        told.promises.extend(made["promise"].as_str().map(str::to_owned));
    }
}

/// Checks that a centre has everything that clients were told, once, in one history.
pub(crate) fn check(centre: &Process, told: &Told) {
    let key: VerifierKey = centre.text("log_key").parse().unwrap();
    let step = told.entries.len().div_ceil(RECEIPTS).max(1);
    for id in told.entries.iter().rev().step_by(step) {
        let path = format!("/api/v1/evidence/entries/{id}/receipt");
        let answer = until("the entry's place in the log", || {
            Some(call(centre, "GET", &path, None)).filter(|answer| answer.status != 503)
        });
        assert_eq!(answer.status, 200, "{id} was answered and is gone: {}", answer.text());
        let (entry, _) = check_receipt(&answer.text(), &key);
        assert_eq!(entry.id.to_string(), *id);
    }
    let answered: Vec<EntryId> = told.entries.iter().map(|id| id.parse().unwrap()).collect();
    let (log, by_id) = until("the place in the log of every entry that was answered", || {
        let log = Log::fetch(centre);
        let by_id: BTreeMap<_, _> = log.entries.iter().map(|entry| (entry.id, entry.body_root)).collect();
        answered.iter().all(|id| by_id.contains_key(id)).then_some((log, by_id))
    });
    log.is_numbered();
    assert_eq!(by_id.len(), log.entries.len(), "an entry stands in the log twice");
    for receipt in &told.receipts {
        let (_, checkpoint) = check_receipt(receipt, &key);
        log.contains(&checkpoint);
    }
    for checkpoint in &told.checkpoints {
        log.contains(checkpoint);
    }
    for promise in &told.promises {
        let text = promise.split("\n\n").next().map(|text| format!("{text}\n")).unwrap();
        let promise = Promise::decode(&text).unwrap();
        assert_eq!(by_id.get(&promise.entry), Some(&promise.body_root), "a broken promise");
    }
}
