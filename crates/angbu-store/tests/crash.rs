//! Whatever was answered is there after the process was killed at any instant, or its disk had no more room.
//!
//! The tests run this very binary again as a child, which appends until it dies, and says on its standard output what it
//! was answered.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use angbu_evidence::Checkpoint;
use angbu_evidence::note::VerifierKey;
use angbu_store::{Engine, Options, Sequencer, Store, StoreError};
use angbu_testkit::postgres::Server;
use angbu_units::EntryId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Drafter, TestClock, check_log, sequencer, sharing_sequencer, until};

const FOLDER: &str = "ANGBU_STORE_CRASH_FOLDER";
const ENGINE: &str = "ANGBU_STORE_CRASH_ENGINE";
const SEED: &str = "ANGBU_STORE_CRASH_SEED";

/// What the children were answered.
#[derive(Default)]
struct Answered {
    entries: Vec<EntryId>,
    checkpoints: Vec<String>,
    errors: Vec<String>,
}

impl Answered {
    /// Reads a line of a child's; `false` for one that is no answer.
    fn read(&mut self, line: &str) -> bool {
        match line.split_once(' ') {
            Some(("entry", id)) => self.entries.push(id.parse().unwrap()),
            Some(("checkpoint", text)) => self.checkpoints.push(text.replace('|', "\n")),
            Some(("error", text)) => self.errors.push(text.to_owned()),
            _ => return false,
        }
        true
    }
}

/// The store of the children.
struct Place {
    folder: tempfile::TempDir,
    /// As an address says it.
    engine: String,
}

impl Place {
    fn new(engine: String) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), engine }
    }
}

fn open(folder: &Path, engine: &str, clock: Arc<TestClock>) -> Store {
    let engine: Engine = engine.parse().unwrap();
    Store::open(&Options { engine, ..Options::new(folder) }, clock).unwrap()
}

fn spawn(place: &Place, seed: u64, before: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    let run = format!("{before} exec {} --exact --ignored --nocapture child", program.display());
    Command::new("sh")
        .args(["-c", &run])
        .env(FOLDER, place.folder.path())
        .env(ENGINE, &place.engine)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Opens what the children left, and checks all of it.
fn check(place: &Place, answered: &Answered) {
    let store = open(place.folder.path(), &place.engine, TestClock::new());
    let (running, key) = start(&store);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(store.settle(Duration::from_secs(20))).unwrap());
    let read = |text: &String| Checkpoint::verify(text, &key).unwrap();
    let checkpoints: Vec<Checkpoint> = answered.checkpoints.iter().map(read).collect();
    let entries = store.read_blocking(move |snapshot| check_log(snapshot, &checkpoints)).unwrap();
    let logged: std::collections::BTreeSet<EntryId> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(logged.len(), entries.len(), "no entry stands in the log twice");
    for id in &answered.entries {
        assert!(logged.contains(id), "{id} was answered and is not there");
    }
    drop(running);
}

#[test]
fn after_kill_at_any_instant_everything_answered_is_there() {
    for seed in 0..2 {
        killed(seed, &Place::new("sqlite".to_owned()));
    }
}

#[test]
fn after_kill_at_any_instant_postgresql_has_everything_answered() {
    let server = Server::shared();
    for seed in 0..2 {
        killed(seed, &Place::new(server.database()));
    }
}

fn killed(seed: u64, place: &Place) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut answered = Answered::default();
    for round in 0..5 {
        let mut child = spawn(place, seed * 100 + round, "");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left: u32 = rng.random_range(1..400);
        let mut lines = lines.map_while(Result::ok);
        for line in lines.by_ref() {
            left -= u32::from(answered.read(&line));
            if left == 0 {
                break;
            }
        }
        // SIGKILL. What it said before that was answered, even if it is read only now.
        child.kill().unwrap();
        for line in lines {
            answered.read(&line);
        }
        child.wait().unwrap();
    }
    assert!(answered.entries.len() > 5 && !answered.checkpoints.is_empty());
    assert_eq!(answered.errors, Vec::<String>::new());
    check(place, &answered);
}

#[test]
fn when_the_disk_takes_no_more_nothing_is_answered_that_is_not_there() {
    let place = Place::new("sqlite".to_owned());
    let mut answered = Answered::default();
    // The system lets no file grow beyond 2,000 blocks of 512 bytes, and says so with an error instead of a signal.
    let mut child = spawn(&place, 7, "trap '' XFSZ; ulimit -f 2000;");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        answered.read(&line);
        if answered.errors.len() >= 20 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !answered.entries.is_empty() && answered.errors.len() >= 20,
        "it began, and then the disk was full"
    );
    for error in &answered.errors {
        assert!(error.contains("not available") && error.contains("retry"), "{error}");
    }
    check(&place, &answered);
}

/// A centre on PostgreSQL shares the log, if only with the one that was killed before it.
fn start(store: &Store) -> (Sequencer, VerifierKey) {
    if store.kind() == "sqlite" { sequencer(store) } else { sharing_sequencer(store, 1) }
}

/// Appends from several threads and says what it was answered, until somebody kills it.
#[test]
#[ignore = "a part of the other tests, which run it as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "this is how its parent tells it what to do")]
fn child() {
    let [Ok(folder), Ok(engine), Ok(seed)] = [FOLDER, ENGINE, SEED].map(std::env::var) else { return };
    let seed: u64 = seed.parse().unwrap();
    let clock = TestClock::new();
    let store = open(Path::new(&folder), &engine, clock.clone());
    let (_sequencer, key) = start(&store);
    until("a head", || store.head().borrow().is_some());
    say(format!("checkpoint {}", support::head(&store).checkpoint.replace('\n', "|")));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, clock, key) = (&store, &clock, &key);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let mut drafter = Drafter::new(seed * 10 + thread, clock);
                loop {
                    let before = drafter.clock_state;
                    let (draft, body) = drafter.any();
                    let id = draft.id;
                    let appended: Result<(), StoreError> = runtime.block_on(store.append(&draft, &body));
                    match appended {
                        Ok(()) => say(format!("entry {id}")),
                        Err(error) => {
                            drafter.clock_state = before;
                            say(format!("error {error}"));
                            continue;
                        }
                    }
                    let receipt = runtime.block_on(store.wait(id, Duration::from_millis(250))).unwrap();
                    if let Some(receipt) = receipt {
                        receipt.verify(key).unwrap();
                        say(format!("checkpoint {}", receipt.checkpoint.replace('\n', "|")));
                    }
                }
            });
        }
    });
}

/// One line in one write, so that a death in the middle leaves no half of it that reads like a whole one.
fn say(line: String) {
    let line = line + "\n";
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}
