//! A log of any length: what an entry takes on disk, how long the proof of any of them takes, and how long a start.
//!
//! The ordinary run grows a short log and checks only that what it reads back is right; `cargo xtask judge tenmillion` grows
//! one of ten million entries and reports what it measured.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a trial reads clocks and reports")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use angbu_evidence::note::VerifierKey;
use angbu_store::evidence::Standing;
use angbu_store::{Options, Store};
use angbu_units::{EntryId, Nanos};
use rand::{RngExt as _, SeedableRng as _};
use support::{Drafter, TestClock, append, customer, head, sequencer};

/// How many entries a transaction appends while the log grows.
const TOGETHER: u64 = 8_192;
/// How many entries may wait for their places: a log that outgrows its sequencer would measure the outbox.
const AHEAD: u64 = 8 * TOGETHER;
/// How many proofs are asked for.
const PROOFS: usize = 10_000;

#[test]
fn a_log_is_opened_and_proves_any_entry() {
    let log = tempfile::tempdir().unwrap();
    let grown = grow(log.path(), 3 * TOGETHER / 2);
    let opened = open(log.path(), &grown);
    prove(&opened, &grown, 300);
}

/// Ten million entries on SQLite.
#[test]
#[ignore = "ten minutes and eight gigabytes; cargo xtask judge tenmillion"]
fn judge_ten_million() {
    let log = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let grown = grow(log.path(), 10_000_000);
    let took = began.elapsed();
    println!("grown to {} entries in {took:.0?}", grown.size);
    println!(
        "on disk: {:.0} bytes an entry",
        bytes_in(log.path()) / f64::from(u32::try_from(grown.size).unwrap())
    );
    let opened = open(log.path(), &grown);
    println!("opened in {:.1?}, head published {:.1?} after", opened.open, opened.head);
    for (what, mut times) in prove(&opened, &grown, PROOFS) {
        times.sort_unstable();
        let at = |permille: usize| times[(times.len() - 1) * permille / 1_000];
        println!(
            "{what}: p50 {:.2?}, p99 {:.2?}, p99.9 {:.2?}, longest {:.2?}",
            at(500),
            at(990),
            at(999),
            at(1_000)
        );
        assert!(at(990) < Duration::from_millis(5), "a proof takes less than 5 ms");
    }
    assert!(opened.open + opened.head < Duration::from_secs(1), "a start takes less than a second");
}

/// A log that has grown: how far, and ids to ask for.
struct Grown {
    size: u64,
    ids: Vec<EntryId>,
    clock: std::sync::Arc<TestClock>,
}

fn grow(folder: &Path, entries: u64) -> Grown {
    let clock = TestClock::new();
    let store = Store::open(&Options::new(folder), clock.clone()).unwrap();
    let (running, _) = sequencer(&store);
    let mut drafter = Drafter::new(7, &clock);
    let first = drafter.clock_state();
    append(&store, first);
    let (mut size, mut ids) = (1, Vec::new());
    while size < entries {
        let group = TOGETHER.min(entries - size);
        let drafts: Vec<_> = (0..group)
            .map(|_| {
                clock.advance(Nanos::from_millis(3));
                let n = drafter.rng.random_range(1..100);
                drafter.note(customer(n))
            })
            .collect();
        ids.push(drafts[0].0.id);
        store
            .write_blocking(move |tx| drafts.iter().try_for_each(|(draft, body)| tx.append(draft, body)))
            .unwrap();
        size += group;
        support::until("the log has caught up", || head(&store).head.size + AHEAD >= size);
    }
    support::until("the log has caught up", || head(&store).head.size == size);
    drop(running);
    Grown { size, ids, clock }
}

/// A log that was opened: how long that took, and how long until its head was there.
struct Opened {
    store: Store,
    key: VerifierKey,
    open: Duration,
    head: Duration,
    _running: angbu_store::Sequencer,
}

fn open(folder: &Path, grown: &Grown) -> Opened {
    let began = Instant::now();
    let store = Store::open(&Options::new(folder), grown.clock.clone()).unwrap();
    let open = began.elapsed();
    let (running, key) = sequencer(&store);
    while store.head().borrow().is_none() {
        std::thread::yield_now();
    }
    let head_after = began.elapsed() - open;
    assert_eq!(head(&store).head.size, grown.size, "a start finds the whole log");
    Opened { store, key, open, head: head_after, _running: running }
}

/// Asks for proofs of random entries, by their index and by their id, and checks each.
fn prove(opened: &Opened, grown: &Grown, proofs: usize) -> [(&'static str, Vec<Duration>); 2] {
    let mut random = rand::rngs::StdRng::seed_from_u64(11);
    let published = head(&opened.store);
    let by_index = (0..proofs).map(|_| {
        let (index, published) = (random.random_range(0..grown.size), published.clone());
        let began = Instant::now();
        let receipt =
            opened.store.read_blocking(move |snapshot| snapshot.receipt(index, &published)).unwrap().unwrap();
        let took = began.elapsed();
        assert_eq!(receipt.index, index);
        receipt.verify(&opened.key).unwrap();
        took
    });
    let by_index = by_index.collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let by_id = (0..proofs).map(|_| {
        let id = grown.ids[random.random_range(0..grown.ids.len())];
        let began = Instant::now();
        let standing = runtime.block_on(opened.store.standing(id)).unwrap();
        let took = began.elapsed();
        let Standing::Proven(receipt) = standing else { panic!("{id} has a proof, not {standing:?}") };
        assert_eq!(receipt.verify(&opened.key).unwrap().0.id, id);
        took
    });
    [("proof by index", by_index), ("proof by id", by_id.collect())]
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn bytes_in(folder: &Path) -> f64 {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len() as f64).sum()
}
