use std::sync::atomic::{AtomicU32, Ordering};

use angbu_evidence::Checkpoint;
use angbu_evidence::note::{Ed25519Signer, SignError, VerifierKey};

use super::*;
use crate::support::{Drafter, ORIGIN, TestClock, append, centre, check_log, head, proven};
use crate::{Options, SigningKey};

fn store(folder: &tempfile::TempDir, clock: &Arc<TestClock>) -> (Store, Arc<Ed25519Signer>) {
    let store = Store::open(&Options::new(folder.path()), clock.clone()).unwrap();
    let signer = Arc::new(store.signer(SigningKey::Log, ORIGIN).unwrap());
    (store, signer)
}

/// Starts a sequencer that does `fault` whenever it comes to the point, up to `times` times.
fn start_with_fault(
    store: &Store,
    signer: Arc<dyn Signer>,
    point: Point,
    times: u32,
    fault: fn() -> StoreError,
) -> Sequencer {
    let mut worker =
        Worker::begin(store.clone(), LogSigners::fixed(signer), centre(1), Lease::of(store)).unwrap();
    let left = AtomicU32::new(times);
    worker.fault = Some(Box::new(move |here| {
        let strike = here == point
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if strike { Err(fault()) } else { Ok(()) }
    }));
    Sequencer::spawn(worker).unwrap()
}

const POINTS: [Point; 4] = [Point::Drained, Point::Stored, Point::Signed, Point::Published];

fn checkpoint(store: &Store, key: &VerifierKey) -> Checkpoint {
    Checkpoint::verify(&head(store).checkpoint, key).unwrap()
}

#[test]
fn after_an_error_at_any_step_the_log_goes_on() {
    for point in POINTS {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let (store, signer) = store(&folder, &clock);
        let key = signer.verifier_key();
        let _sequencer = start_with_fault(&store, signer, point, 2, || StoreError::unavailable("planted"));
        let mut drafter = Drafter::new(1, &clock);
        let mut served = Vec::new();
        for _ in 0..6 {
            let ids: Vec<_> = (0..5).map(|_| append(&store, drafter.any())).collect();
            for id in ids {
                // Whoever waited through the error gets the proof all the same.
                proven(&store, id, &key);
            }
            served.push(checkpoint(&store, &key));
        }
        let entries = store.read_blocking(move |s| check_log(s, &served)).unwrap();
        assert_eq!(entries.len(), 30, "after errors at {point:?}");
    }
}

#[test]
fn after_the_sequencer_vanished_at_any_step_another_goes_on() {
    for point in POINTS {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let mut drafter = Drafter::new(2, &clock);
        let (mut served, mut ids) = (Vec::new(), Vec::new());
        for round in 0..3 {
            let (store, signer) = store(&folder, &clock);
            let key = signer.verifier_key();
            let die = || panic!("a death of the sequencer, planted by this test");
            let dying = start_with_fault(&store, signer.clone(), point, 1, die);
            ids.extend((0..40).map(|_| append(&store, drafter.any())));
            // It dies of its first batch, or of its last one when it is stopped.
            drop(dying);
            served.push(checkpoint(&store, &key));
            let _sequencer = Sequencer::start(&store, signer, centre(1)).unwrap();
            for id in &ids {
                proven(&store, *id, &key);
            }
            served.push(checkpoint(&store, &key));
            let checkpoints = served.clone();
            let entries = store.read_blocking(move |s| check_log(s, &checkpoints)).unwrap();
            assert_eq!(entries.len(), 40 * (round + 1), "after a death at {point:?}");
        }
    }
}

/// A device that fails a few times.
struct Failing(Ed25519Signer, AtomicU32);

impl Signer for Failing {
    fn verifier_key(&self) -> VerifierKey {
        self.0.verifier_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        match self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(SignError::Device("it was pulled out".to_owned())),
            Err(_) => self.0.sign(message),
        }
    }
}

#[test]
fn a_signer_that_fails_delays_the_head_and_loses_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let (store, _) = store(&folder, &clock);
    let signer = Arc::new(Failing(store.signer(SigningKey::Log, ORIGIN).unwrap(), AtomicU32::new(0)));
    let key = signer.verifier_key();
    let _sequencer = Sequencer::start(&store, signer.clone(), centre(1)).unwrap();
    let mut drafter = Drafter::new(3, &clock);
    signer.1.store(2, Ordering::SeqCst);
    let ids: Vec<_> = (0..10).map(|_| append(&store, drafter.any())).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.trouble().is_none() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(store.trouble().is_some_and(|trouble| trouble.to_string().contains("pulled out")));
    for id in ids {
        proven(&store, id, &key);
    }
    assert_eq!(signer.1.load(Ordering::SeqCst), 0);
    assert_eq!(store.trouble(), None);
    let served = vec![checkpoint(&store, &key)];
    store.read_blocking(move |s| check_log(s, &served)).unwrap();
}

#[test]
fn proofs_from_memory_are_those_of_the_database() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let (store, signer) = store(&folder, &clock);
    let key = signer.verifier_key();
    let _sequencer = Sequencer::start(&store, signer, centre(1)).unwrap();
    let mut drafter = Drafter::new(4, &clock);
    for count in [1, 255, 1, 255, 300, 1000] {
        let drafts: Vec<_> = (0..count).map(|_| drafter.any()).collect();
        let ids: Vec<_> = drafts.iter().map(|(draft, _)| draft.id).collect();
        store.write_blocking(move |tx| drafts.iter().try_for_each(|(d, b)| tx.append(d, b))).unwrap();
        for id in ids.iter().step_by(37) {
            let (_, checkpoint, receipt) = proven(&store, *id, &key);
            let published = head(&store);
            let (index, same_head) = (receipt.index, published.head.size == checkpoint.size);
            let read = store.read_blocking(move |s| s.receipt(index, &published)).unwrap().unwrap();
            read.verify(&key).unwrap();
            assert!(!same_head || read == receipt, "entry {index} of {}", checkpoint.size);
        }
    }
}

#[test]
fn a_damaged_log_is_not_carried_on() {
    let damages: [(&str, &str); 4] = [
        ("UPDATE evidence_head SET size = size + 1", "size"),
        ("UPDATE evidence_head SET root = zeroblob(32)", "root"),
        ("UPDATE evidence_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0", "tile"),
        (
            "DELETE FROM evidence_counters WHERE customer_id = (SELECT MIN(customer_id) FROM evidence_counters)",
            "counters",
        ),
    ];
    for (damage, what) in damages {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let (store, signer) = store(&folder, &clock);
        let key = signer.verifier_key();
        let sequencer = Sequencer::start(&store, signer.clone(), centre(1)).unwrap();
        let mut drafter = Drafter::new(5, &clock);
        for _ in 0..10 {
            proven(&store, append(&store, drafter.any()), &key);
        }
        drop(sequencer);
        store.write_blocking(move |tx| tx.sql.execute(damage, &[]).map(drop)).unwrap();
        let refused = Sequencer::start(&store, signer, centre(1)).map(drop);
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{what}: {refused:?}");
    }
}
