//! Several centres over one database: one history, whoever holds the log; and a database that is older than what was
//! signed is not carried on.

#![allow(clippy::disallowed_methods, reason = "tests read clocks and put files back")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use angbu_evidence::{Checkpoint, Draft, Kind};
use angbu_store::evidence::CONFIRMED;
use angbu_store::{Lease, Store, StoreError};
use angbu_units::{CustomerId, EntryId};
use support::{
    Centres, Drafter, FAST, TestClock, append, centre, check_log, customer, head, proven, sequencer,
    sharing_sequencer, until,
};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn settle(store: &Store) {
    assert!(block_on(store.settle(Duration::from_secs(20))).unwrap());
}

fn epoch(store: &Store) -> u64 {
    store.read_blocking(|s| s.log_head()).unwrap().epoch
}

/// Tries to append a note, which is refused while the log is in doubt.
fn try_note(store: &Store, drafter: &mut Drafter) -> Result<EntryId, StoreError> {
    let (draft, body) = drafter.note(customer(1));
    block_on(store.append(&draft, &body)).map(|()| draft.id)
}

fn confirm(store: &Store, drafter: &mut Drafter, size: u64) -> Result<EntryId, StoreError> {
    let (draft, body) = drafter.draft(CONFIRMED, CustomerId::SITE);
    block_on(store.confirm_log(size, &draft, &body)).map(|()| draft.id)
}

fn whoever_appends_gets_the_proof_where_it_asks(centres: &Centres) {
    let clock = TestClock::new();
    let one = centres.open(1, &clock);
    let (_first, key) = sharing_sequencer(&one, 1);
    let two = centres.open(2, &clock);
    let (_second, _) = sharing_sequencer(&two, 2);
    let mut drafters = [Drafter::new(1, &clock), Drafter::new(2, &clock)];
    let (mut ids, mut served) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        for (store, drafter) in [&one, &two].into_iter().zip(&mut drafters) {
            let id = append(store, drafter.any());
            served.push(proven(store, id, &key).1);
            ids.push(id);
        }
    }
    for (id, store) in ids.iter().zip([&two, &one].into_iter().cycle()) {
        until("the other centre's proof", || {
            block_on(store.wait(*id, Duration::from_secs(1))).unwrap().is_some()
        });
    }
    assert_eq!(epoch(&one), 1, "nobody took the log from a holder that lives");
    let entries = one.read_blocking(move |s| check_log(s, &served)).unwrap();
    assert_eq!(entries.len(), ids.len());
}

fn a_centre_that_was_far_behind_catches_up(centres: &Centres) {
    let clock = TestClock::new();
    let one = centres.open(1, &clock);
    let two = centres.open(2, &clock);
    let mut drafter = Drafter::new(3, &clock);
    // Appended here before anybody sequences, so that it is waited for here, and left so far behind that it is not read.
    let early = append(&two, drafter.clock_state());
    let (first, key) = sharing_sequencer(&one, 1);
    let (_second, _) = sharing_sequencer(&two, 2);
    proven(&two, early, &key);
    for _ in 0..3 {
        let drafts: Vec<_> = (0..15_000).map(|_| drafter.note(customer(1))).collect();
        one.write_blocking(move |tx| drafts.iter().try_for_each(|(d, b)| tx.append(d, b))).unwrap();
    }
    let late = append(&two, drafter.note(customer(2)));
    proven(&two, late, &key);
    drop(first);
    proven(&two, append(&two, drafter.note(customer(2))), &key);
}

fn a_clean_stop_hands_the_log_over_at_once(centres: &Centres) {
    let clock = TestClock::new();
    let one = centres.open(1, &clock);
    let patient = Lease { patience: Duration::from_secs(600), ..FAST };
    let signer = Arc::new(one.signer(angbu_store::SigningKey::Log, support::ORIGIN).unwrap());
    let first = angbu_store::Sequencer::start_with(&one, signer.clone(), centre(1), patient).unwrap();
    let two = centres.open(2, &clock);
    let _second = angbu_store::Sequencer::start_with(&two, signer, centre(2), patient).unwrap();
    let mut drafter = Drafter::new(4, &clock);
    let id = append(&two, drafter.clock_state());
    until("the first proof", || block_on(two.wait(id, Duration::from_secs(1))).unwrap().is_some());
    drop(first);
    let id = append(&two, drafter.any());
    until("the proof after the hand-over", || {
        block_on(two.wait(id, Duration::from_secs(1))).unwrap().is_some()
    });
    assert_eq!(epoch(&two), 2);
    two.read_blocking(|s| check_log(s, &[])).unwrap();
}

/// Fills the log, and closes everything.
fn grow(centres: &Centres, clock: &Arc<TestClock>, drafter: &mut Drafter, count: usize) -> String {
    let store = centres.open(1, clock);
    let (_sequencer, key) = sequencer(&store);
    drafter.clock_state = Draft::NO_CLOCK_STATE;
    for _ in 0..count {
        let id = append(&store, drafter.any());
        proven(&store, id, &key);
    }
    head(&store).checkpoint.clone()
}

fn an_older_copy_of_the_database_is_not_carried_on_until_an_operator_says_so(centres: &Centres) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(5, &clock);
    grow(centres, &clock, &mut drafter, 5);
    centres.copy("yesterday");
    let lost = grow(centres, &clock, &mut drafter, 4);
    centres.put_back("yesterday");
    drafter.clock_state = Draft::NO_CLOCK_STATE;

    let begun = Instant::now();
    let store = centres.open(1, &clock);
    let (_sequencer, key) = sequencer(&store);
    let in_doubt = StoreError::LogInDoubt { seen: 9, size: 5 };
    assert_eq!(store.trouble(), Some(in_doubt.clone()));
    assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
    assert_eq!(store.head().borrow().as_ref(), None, "nothing is published");
    let words = in_doubt.to_string();
    assert!(words.contains("9 entries") && words.contains("angbu evidence confirm --size 5"), "{words}");
    // What would be acknowledged is refused, what the centre says of itself is not.
    assert_eq!(try_note(&store, &mut drafter), Err(in_doubt.clone()));
    let (draft, body) = drafter.note(customer(1));
    assert_eq!(store.write_blocking(move |tx| tx.append(&draft, &body)), Err(in_doubt.clone()));
    let state = append(&store, drafter.clock_state());
    assert_eq!(block_on(store.wait(state, Duration::from_millis(300))).unwrap(), None);
    assert_eq!(epoch(&store), store.read_blocking(|s| s.log_head()).unwrap().epoch);

    // Whoever confirms says what it is that is confirmed.
    let other_size = confirm(&store, &mut drafter, 9);
    assert_eq!(other_size, Err(StoreError::Conflict { what: "the log's size" }));
    let confirmed = confirm(&store, &mut drafter, 5).unwrap();
    let (entry, _, _) = proven(&store, confirmed, &key);
    assert_eq!((entry.kind, store.trouble()), (CONFIRMED, None));
    proven(&store, state, &key);
    let note = try_note(&store, &mut drafter).unwrap();
    proven(&store, note, &key);
    assert_eq!(confirm(&store, &mut drafter, 8), Err(StoreError::NotFound { what: "doubt about the log" }));
    // Those who saw what is lost show it again, which surprises nobody any more.
    assert_eq!(block_on(store.seen_checkpoint(&lost)), Ok(()));
    assert_eq!(store.trouble(), None);
    let entries = store.read_blocking(|s| check_log(s, &[])).unwrap();
    assert_eq!(entries.len(), 8);
}

fn a_start_after_a_confirmation_goes_on_and_the_copy_before_it_does_not(centres: &Centres) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(6, &clock);
    grow(centres, &clock, &mut drafter, 5);
    centres.copy("yesterday");
    grow(centres, &clock, &mut drafter, 1);
    centres.put_back("yesterday");
    {
        let store = centres.open(1, &clock);
        let (_sequencer, key) = sequencer(&store);
        drafter.clock_state = Draft::NO_CLOCK_STATE;
        let id = confirm(&store, &mut drafter, 5).unwrap();
        proven(&store, id, &key);
    }
    {
        let store = centres.open(1, &clock);
        let (_sequencer, _) = sequencer(&store);
        assert_eq!(store.trouble(), None);
    }
    // The log before the confirmation is as large as the one after it, and still another one.
    centres.put_back("yesterday");
    let store = centres.open(1, &clock);
    let (_sequencer, _) = sequencer(&store);
    assert_eq!(store.trouble(), Some(StoreError::LogInDoubt { seen: 6, size: 5 }));
}

fn another_history_of_the_same_size_is_noticed(centres: &Centres) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(7, &clock);
    grow(centres, &clock, &mut drafter, 3);
    centres.copy("yesterday");
    grow(centres, &clock, &mut drafter, 2);
    // Somebody goes on with the copy where the guard does not see it, further than the log was.
    let guard = centres.folder(1).join("evidence.guard");
    let kept = std::fs::read(&guard).unwrap();
    centres.put_back("yesterday");
    {
        let store = centres.open(1, &clock);
        let (_sequencer, _) = sequencer(&store);
        drafter.clock_state = Draft::NO_CLOCK_STATE;
        confirm(&store, &mut drafter, 3).unwrap();
        settle(&store);
    }
    centres.meddle("UPDATE evidence_head SET era = 0");
    std::fs::write(&guard, kept).unwrap();
    let store = centres.open(1, &clock);
    let (_sequencer, _) = sequencer(&store);
    assert!(matches!(store.trouble(), Some(StoreError::LogInDoubt { seen: 5, .. })), "{:?}", store.trouble());
}

fn without_its_guard_a_log_waits_for_an_operator(centres: &Centres) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(8, &clock);
    grow(centres, &clock, &mut drafter, 5);
    std::fs::remove_file(centres.folder(1).join("evidence.guard")).unwrap();
    let store = centres.open(1, &clock);
    let (_sequencer, key) = sequencer(&store);
    let unguarded = StoreError::LogUnguarded { size: 5 };
    assert_eq!(store.trouble(), Some(unguarded.clone()));
    assert_eq!(try_note(&store, &mut drafter), Err(unguarded));
    drafter.clock_state = Draft::NO_CLOCK_STATE;
    let id = confirm(&store, &mut drafter, 5).unwrap();
    proven(&store, id, &key);
    let note = try_note(&store, &mut drafter).unwrap();
    proven(&store, note, &key);
}

fn a_new_centre_learns_the_log_from_one_that_lives(centres: &Centres) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(9, &clock);
    grow(centres, &clock, &mut drafter, 5);
    let one = centres.open(1, &clock);
    let (first, key) = sharing_sequencer(&one, 1);
    let two = centres.open(2, &clock);
    let (_second, _) = sharing_sequencer(&two, 2);
    let guard = centres.folder(2).join("evidence.guard");
    until("the guard of the second centre", || guard.exists());
    drop(first);
    drafter.clock_state = Draft::NO_CLOCK_STATE;
    proven(&two, append(&two, drafter.any()), &key);
    // A third one finds nobody who lives, once the second is gone as after a crash.
    drop(_second);
    let three = centres.open(3, &clock);
    let (_third, _) = sharing_sequencer(&three, 3);
    until("the third one's doubt", || three.trouble() == Some(StoreError::LogUnguarded { size: 6 }));
}

fn a_larger_checkpoint_from_outside_stops_every_centre(centres: &Centres) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(10, &clock);
    grow(centres, &clock, &mut drafter, 5);
    centres.copy("yesterday");
    let guard = centres.folder(1).join("evidence.guard");
    let kept = std::fs::read(&guard).unwrap();
    let shown = grow(centres, &clock, &mut drafter, 6);
    centres.put_back("yesterday");
    // This time the guard was put back as well.
    std::fs::write(&guard, kept).unwrap();
    let one = centres.open(1, &clock);
    let (_first, key) = sharing_sequencer(&one, 1);
    let two = centres.open(2, &clock);
    let (_second, _) = sharing_sequencer(&two, 2);
    drafter.clock_state = Draft::NO_CLOCK_STATE;
    let before = append(&two, drafter.clock_state());
    proven(&two, before, &key);
    let good = head(&two).checkpoint.clone();
    assert_eq!(block_on(two.seen_checkpoint(&good)), Ok(()));
    assert!(matches!(block_on(two.seen_checkpoint("no note")), Err(StoreError::Unfit { .. })));
    let strange = good.replace(support::ORIGIN, "log.other.example/1");
    assert!(matches!(block_on(two.seen_checkpoint(&strange)), Err(StoreError::Unfit { .. })));
    assert_eq!(one.trouble(), None);

    let in_doubt = StoreError::LogInDoubt { seen: 11, size: 6 };
    assert_eq!(block_on(two.seen_checkpoint(&shown)), Err(in_doubt.clone()));
    for store in [&one, &two] {
        let took = until("the doubt", || store.trouble() == Some(in_doubt.clone()));
        assert!(took < Duration::from_secs(2), "it took {took:?}");
        assert_eq!(try_note(store, &mut drafter), Err(in_doubt.clone()));
    }
    assert_eq!(head(&one).head.size, 6);
    let id = confirm(&one, &mut drafter, 6).unwrap();
    proven(&one, id, &key);
    until("the end of the doubt", || one.trouble().is_none() && two.trouble().is_none());
    let note = try_note(&two, &mut drafter).unwrap();
    let served: Vec<Checkpoint> = vec![proven(&two, note, &key).1];
    assert_eq!(block_on(two.seen_checkpoint(&shown)), Ok(()));
    two.read_blocking(move |s| check_log(s, &served)).unwrap();
}

fn an_hour_has_one_manifest(centres: &Centres) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(11, &clock);
    let one = centres.open(1, &clock);
    let two = centres.open(2, &clock);
    let mut make = |store: &Store, hour| {
        let (draft, body) = drafter.draft(Kind::MANIFEST, CustomerId::SITE);
        store.write_blocking(move |tx| {
            let manifest = tx.manifest_now()?;
            tx.append(&draft, &body)?;
            tx.insert_hourly_manifest(draft.id, &manifest, hour)
        })
    };
    assert_eq!(make(&one, 7), Ok(()));
    assert_eq!(make(&two, 7), Err(StoreError::Taken { what: "the hour's manifest" }));
    assert_eq!(make(&two, 8), Ok(()));
    for (hour, is_there) in [(6, false), (7, true), (8, true), (9, false)] {
        assert_eq!(one.read_blocking(move |s| s.has_manifest_of_hour(hour)), Ok(is_there));
    }
}

/// Mounts every test on every database.
macro_rules! on_every_database {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[test]
                fn $test() {
                    super::$test(&super::Centres::on_sqlite());
                }
            )*
        }

        mod postgres {
            $(
                #[test]
                fn $test() {
                    super::$test(&super::Centres::on_postgres());
                }
            )*
        }
    };
}

on_every_database!(
    whoever_appends_gets_the_proof_where_it_asks,
    a_centre_that_was_far_behind_catches_up,
    a_clean_stop_hands_the_log_over_at_once,
    an_older_copy_of_the_database_is_not_carried_on_until_an_operator_says_so,
    a_start_after_a_confirmation_goes_on_and_the_copy_before_it_does_not,
    another_history_of_the_same_size_is_noticed,
    without_its_guard_a_log_waits_for_an_operator,
    a_new_centre_learns_the_log_from_one_that_lives,
    a_larger_checkpoint_from_outside_stops_every_centre,
    an_hour_has_one_manifest,
);
