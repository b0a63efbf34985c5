use std::time::Duration;

use angbu_evidence::tile::{TileId, decode_bundle};
use angbu_evidence::{Checkpoint, Draft, Entry, Kind, merkle};
use angbu_store::evidence::Standing;
use angbu_store::{Store, StoreError};
use angbu_units::{CustomerId, EntryId, Nanos, UnixTime};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Drafter, Place, TestClock, append, check_log, customer, head, proven, sequencer};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn settle(store: &Store) {
    assert!(block_on(store.settle(Duration::from_secs(20))).unwrap());
}

pub(crate) fn entries_are_proven(place: &dyn Place) {
    let clock = TestClock::new();
    let mut drafter = Drafter::new(1, &clock);
    let (first, ids, key);
    {
        let store = place.open(clock.clone()).unwrap();
        // Appended while nobody sequences: durable, and proven later.
        first = append(&store, drafter.clock_state());
        assert_eq!(block_on(store.standing(first)).unwrap(), Standing::Pending);
        assert_eq!(block_on(store.standing(EntryId::from_bytes([1; 16]))).unwrap(), Standing::Unknown);
        let (_sequencer, log_key) = sequencer(&store);
        key = log_key;
        let (entry, _, receipt) = proven(&store, first, &key);
        assert_eq!(
            (entry.clock_state, entry.number, receipt.index),
            (Some(0), 1, 0),
            "a clock state rests on itself"
        );
        ids = (0..600).map(|_| append(&store, drafter.any())).collect::<Vec<_>>();
        for id in &ids {
            proven(&store, *id, &key);
        }
        settle(&store);
        assert_eq!(head(&store).head.size, 601);
        assert_eq!(block_on(store.wait(EntryId::from_bytes([1; 16]), Duration::ZERO)).unwrap(), None);
    }
    // With nothing in memory, proofs come from the database, and are as good.
    let store = place.open(clock).unwrap();
    let (_sequencer, again) = sequencer(&store);
    assert_eq!(again.to_string(), key.to_string(), "the log's key stays");
    for id in ids.iter().step_by(50).chain([&first]) {
        proven(&store, *id, &key);
        assert!(matches!(block_on(store.standing(*id)).unwrap(), Standing::Proven(_)));
    }
}

pub(crate) fn entries_are_found_by_customer_and_time(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (_sequencer, _) = sequencer(&store);
    let mut drafter = Drafter::new(2, &clock);
    append(&store, drafter.clock_state());
    let start = clock.now();
    let second = |n: i64| start + Nanos::from_secs(n);
    // One customer's entries at 1, 2, ... 40 s, but the 11th to 20th while the clock is an hour back; settled here and
    // there, so that they stand in several batches.
    for n in 1..=40i64 {
        clock.advance(Nanos::from_secs(1));
        let back = Nanos::from_secs(if (11..=20).contains(&n) { -3600 } else { 0 });
        clock.advance(back);
        append(&store, drafter.note(customer(1)));
        append(&store, drafter.note(customer(2)));
        clock.advance(-back);
        if n % 7 == 0 {
            settle(&store);
        }
    }
    settle(&store);
    let since = |at| store.read_blocking(move |s| s.first_number_since(customer(1), at)).unwrap();
    for (at, number) in [
        (UnixTime::MIN, Some(1)),
        (second(1), Some(1)),
        (second(5), Some(5)),
        (second(5) + Nanos::new(1), Some(6)),
        (second(10) + Nanos::new(1), Some(21)),
        (second(15), Some(21)),
        (second(40), Some(40)),
        (second(40) + Nanos::new(1), None),
    ] {
        assert_eq!(since(at), number, "at {at}");
    }
    let some = store.read_blocking(|s| s.entries_of(customer(2), 13, 9)).unwrap();
    let numbers: Vec<u64> = some.iter().map(|item| Entry::decode(&item.entry).unwrap().number).collect();
    assert_eq!(numbers, (13..22).collect::<Vec<u64>>());
    assert!(store.read_blocking(|s| s.entries_of(customer(2), 41, 9)).unwrap().is_empty());
    assert!(store.read_blocking(|s| s.entries_of(customer(3), 1, 9)).unwrap().is_empty());
    store.read_blocking(|s| check_log(s, &[])).unwrap();
}

pub(crate) fn entries_are_listed_from_the_newest_on(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (_sequencer, _) = sequencer(&store);
    assert_eq!(
        store.read_blocking(|s| s.listing(None, None, None, 10)).unwrap(),
        angbu_store::evidence::Listing::default()
    );
    let mut drafter = Drafter::new(8, &clock);
    let rare = Kind::constant("evidence.rare");
    append(&store, drafter.draft(rare.clone(), customer(4)));
    for n in 0..300 {
        append(&store, drafter.any());
        if n % 40 == 0 {
            settle(&store);
        }
    }
    settle(&store);
    let entries = store.read_blocking(|s| check_log(s, &[])).unwrap();
    let entries: Vec<_> = entries.into_iter().zip(0u64..).collect();
    for of in [None, Some(customer(1)), Some(customer(4)), Some(CustomerId::SITE), Some(customer(9))] {
        for kind in [None, Some(Kind::NOTE), Some(rare.clone()), Some(Kind::constant("evidence.none"))] {
            for (before, limit) in [(None, 7), (Some(150), 30), (Some(0), 3), (Some(1), 3), (None, 9_999)] {
                let expected: Vec<u64> = entries
                    .iter()
                    .filter(|(entry, index)| {
                        of.is_none_or(|of| entry.customer == of)
                            && kind.as_ref().is_none_or(|kind| entry.kind == *kind)
                            && before.is_none_or(|before| *index < before)
                    })
                    .map(|(_, index)| *index)
                    .rev()
                    .collect();
                let (mut listed, mut next) = (Vec::new(), before);
                for _ in 0..400 {
                    let (kind, at) = (kind.clone(), next);
                    let page = store.read_blocking(move |s| s.listing(of, kind.as_ref(), at, limit)).unwrap();
                    assert!(page.entries.len() <= usize::try_from(limit).unwrap());
                    listed.extend(page.entries.iter().map(|item| item.index));
                    next = page.next;
                    if next.is_none() {
                        break;
                    }
                }
                assert_eq!(listed, expected, "{of:?} {kind:?} {before:?} {limit}");
            }
        }
    }
}

pub(crate) fn the_log_grows_as_its_curve_says(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (_sequencer, _) = sequencer(&store);
    let mut drafter = Drafter::new(9, &clock);
    let start = clock.now();
    for _ in 0..10 {
        clock.advance(Nanos::from_secs(1));
        for _ in 0..3 {
            append(&store, drafter.note(customer(1)));
        }
        settle(&store);
    }
    let end = clock.now();
    let curve = move |from, to, points| store.read_blocking(move |s| s.growth(from, to, points)).unwrap();
    let grown = curve(start, end, 11);
    let expected: Vec<_> =
        (0i64..=10).map(|n| (start + Nanos::from_secs(n), u64::try_from(3 * n).unwrap())).collect();
    assert_eq!(grown, expected);
    let later = end + Nanos::from_secs(100);
    assert_eq!(curve(end, later, 0), [(end, 30), (later, 30)]);
    assert_eq!(curve(UnixTime::MIN, start, 2).last(), Some(&(start, 0)));
    assert_eq!(curve(later, start, 3).len(), 3, "the wrong way round it stands still");
    assert_eq!(curve(start, end, u32::MAX).len(), 1_000);
}

pub(crate) fn tiles_and_bundles_are_those_of_the_log(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (_sequencer, _) = sequencer(&store);
    let mut drafter = Drafter::new(3, &clock);
    let drafts: Vec<_> = (0..700).map(|_| drafter.any()).collect();
    store
        .write_blocking(move |tx| drafts.iter().try_for_each(|(draft, body)| tx.append(draft, body)))
        .unwrap();
    settle(&store);
    store
        .read_blocking(|s| {
            let items = s.entries(0, 1000)?;
            assert_eq!(items.len(), 700);
            let leaf = |index: usize| *merkle::leaf_hash(&items[index].entry).as_bytes();
            for (level, index, width, there) in [
                (0, 0, 256, true),
                (0, 1, 256, true),
                (0, 2, 188, true),
                (0, 2, 7, true),
                (0, 2, 189, false),
                (0, 3, 1, false),
                (1, 0, 2, true),
                (1, 0, 3, false),
                (2, 0, 1, false),
                (7, u64::MAX, 1, false),
            ] {
                let tile = s.tile(TileId::new(level, index, width).unwrap())?;
                assert_eq!(tile.is_some(), there, "{level} {index} {width}");
                assert!(tile.is_none_or(|tile| tile.len() == usize::from(width) * 32));
            }
            assert_eq!(s.tile(TileId::new(0, 2, 188).unwrap())?.unwrap()[..32], leaf(512));
            let bundle = s.bundle(2, 188)?.unwrap();
            let entries: Vec<_> = items[512..].iter().map(|item| item.entry.clone()).collect();
            assert_eq!(decode_bundle(&bundle).unwrap(), entries);
            assert_eq!((s.bundle(2, 189)?, s.bundle(u64::MAX, 1)?, s.entry(700)?), (None, None, None));
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

pub(crate) fn manifests_prove_counts(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (_sequencer, key) = sequencer(&store);
    let mut drafter = Drafter::new(4, &clock);
    append(&store, drafter.clock_state());
    for n in 0..20 {
        append(&store, drafter.note(customer(n % 3 + 1)));
    }
    settle(&store);
    let (draft, body) = drafter.draft(Kind::MANIFEST, CustomerId::SITE);
    let id = draft.id;
    let made = store
        .write_blocking(move |tx| {
            let manifest = tx.manifest_now()?;
            tx.append(&draft, &body)?;
            tx.insert_manifest(draft.id, &manifest)?;
            Ok::<_, StoreError>(manifest)
        })
        .unwrap();
    let (_, _, receipt) = proven(&store, id, &key);
    assert_eq!((made.size(), receipt.index), (21, 21));
    let kept = store.read_blocking(move |s| s.manifest(id)).unwrap().unwrap();
    assert_eq!(kept, made);
    let counter = kept.counter(&customer(2)).unwrap();
    assert_eq!((counter.count, counter.first, counter.last), (7, 2, 20));
    kept.prove(&customer(2)).unwrap().verify(&customer(2), &counter, &made.root()).unwrap();
    assert_eq!(store.read_blocking(|s| s.counter(customer(2))).unwrap(), Some(counter));
}

pub(crate) fn what_cannot_enter_the_log_is_refused(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (_sequencer, key) = sequencer(&store);
    let mut drafter = Drafter::new(5, &clock);
    let try_append = |draft: Draft, body| store.write_blocking(move |tx| tx.append(&draft, &body));
    drafter.clock_state = EntryId::from_bytes([9; 16]);
    let (draft, body) = drafter.note(customer(1));
    assert_eq!(try_append(draft, body), Err(StoreError::NotFound { what: "clock state" }));
    drafter.clock_state = Draft::NO_CLOCK_STATE;
    let (mut draft, body) = drafter.note(customer(1));
    draft.instant.error_bound = Nanos::new(-1);
    assert!(matches!(try_append(draft, body), Err(StoreError::Unfit { .. })));
    let ((draft, _), (_, other_body)) = (drafter.note(customer(1)), drafter.note(customer(1)));
    assert!(matches!(try_append(draft, other_body), Err(StoreError::Unfit { .. })));
    // A note can name its clock state in the very transaction that appends the state.
    let (state, note) = (drafter.clock_state(), drafter.note(customer(1)));
    let id = note.0.id;
    let (draft, body) = note.clone();
    store
        .write_blocking(move |tx| {
            tx.append(&state.0, &state.1)?;
            tx.append(&note.0, &note.1)
        })
        .unwrap();
    assert_eq!(try_append(draft, body), Err(StoreError::Taken { what: "the id" }));
    assert_eq!(proven(&store, id, &key).0.clock_state, Some(0));
    settle(&store);
    assert_eq!(
        store.read_blocking(|s| check_log(s, &[])).unwrap().len(),
        2,
        "nothing that was refused is in it"
    );
}

pub(crate) fn bodies_are_sealed(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let mut drafter = Drafter::new(6, &clock);
    let (draft, body) = drafter.note(customer(1));
    let id = append(&store, (draft, body.clone()));
    assert_eq!(store.read_blocking(move |s| s.body(id)).unwrap(), Some(body.disclose(|_| true)));
    assert_eq!(store.read_blocking(|s| s.body(EntryId::from_bytes([1; 16]))).unwrap(), None);
}

pub(crate) fn a_second_sequencer_fences_the_first(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let mut drafter = Drafter::new(7, &clock);
    let (_first, key) = sequencer(&store);
    proven(&store, append(&store, drafter.clock_state()), &key);
    let (_second, _) = sequencer(&store);
    for _ in 0..20 {
        proven(&store, append(&store, drafter.any()), &key);
    }
    settle(&store);
    assert_eq!(store.read_blocking(|s| check_log(s, &[])).unwrap().len(), 21);
    assert_eq!(head(&store).head.epoch, 2);
}

#[derive(Debug, Clone)]
enum Step {
    /// Appends so many entries in one transaction.
    Append(usize),
    /// Waits until all is in the log, and keeps the checkpoint.
    Settle,
    /// Ends the sequencer, closes the store and opens it again.
    Reopen,
    /// A transaction that appends and fails.
    Fail,
}

pub(crate) fn a_log_holds_whatever_is_appended_and_however_often_it_is_reopened(place: &dyn Place) {
    let step = prop_oneof![
        4 => (1usize..40).prop_map(Step::Append),
        1 => (250usize..600).prop_map(Step::Append),
        2 => Just(Step::Settle),
        2 => Just(Step::Reopen),
        1 => Just(Step::Fail),
    ];
    let config = Config { cases: 6, failure_persistence: None, ..Config::default() };
    let clock = TestClock::new();
    // All cases go on in one log, which only grows richer by that.
    let (mut served, mut acknowledged) = (Vec::<Checkpoint>::new(), Vec::new());
    let cases = std::cell::RefCell::new((&mut served, &mut acknowledged));
    TestRunner::new(config)
        .run(&(prop::collection::vec(step, 1..12), any::<u64>()), |(steps, seed)| {
            let mut kept = cases.borrow_mut();
            let (served, acknowledged) = &mut *kept;
            let mut drafter = Drafter::new(seed, &clock);
            let mut store = place.open(clock.clone()).unwrap();
            let (mut running, key) = sequencer(&store);
            for step in steps {
                match step {
                    Step::Append(count) => {
                        let drafts: Vec<_> = (0..count).map(|_| drafter.any()).collect();
                        acknowledged.extend(drafts.iter().map(|(draft, _)| draft.id));
                        store
                            .write_blocking(move |tx| drafts.iter().try_for_each(|(d, b)| tx.append(d, b)))
                            .unwrap();
                    }
                    Step::Settle => {
                        settle(&store);
                        served.push(Checkpoint::verify(&head(&store).checkpoint, &key).unwrap());
                    }
                    Step::Reopen => {
                        drop(running);
                        drop(store);
                        store = place.open(clock.clone()).unwrap();
                        running = sequencer(&store).0;
                        served.push(Checkpoint::verify(&head(&store).checkpoint, &key).unwrap());
                        let checkpoints = served.clone();
                        store.read_blocking(move |s| check_log(s, &checkpoints)).unwrap();
                    }
                    Step::Fail => {
                        let (draft, body) = drafter.draft(Kind::NOTE, customer(1));
                        let failed = store.write_blocking(move |tx| {
                            tx.append(&draft, &body)?;
                            Err::<(), _>(StoreError::NotFound { what: "reason" })
                        });
                        assert!(failed.is_err());
                    }
                }
            }
            settle(&store);
            let checkpoints = served.clone();
            let entries = store.read_blocking(move |s| check_log(s, &checkpoints)).unwrap();
            let logged: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry.id).collect();
            prop_assert_eq!(
                logged.len(),
                acknowledged.len(),
                "what was acknowledged is there once, and nothing else"
            );
            prop_assert!(acknowledged.iter().all(|id| logged.contains(id)));
            drop(running);
            Ok(())
        })
        .unwrap();
}
