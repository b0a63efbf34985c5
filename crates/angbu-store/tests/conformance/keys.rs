use angbu_evidence::note::{Signer as _, VerifierKey};
use angbu_evidence::{Body, Draft};
use angbu_store::{NewKey, Purpose, Resealed, SigningKey, Snapshot, Store, StoreError};
use angbu_units::UnixTime;

use super::people::person;
use super::time::{AGENT, agent, apply, epoch, exchange, upload};
use crate::support::{Drafter, Place, TestClock, append, customer};

/// What the keys of a purpose are: their ids, and which of them are retired.
fn keys_for(store: &Store, purpose: Purpose) -> Vec<(u32, bool)> {
    let keys = store.read_blocking(|snapshot| snapshot.site_keys()).unwrap();
    let of_purpose = keys.into_iter().filter(|key| key.purpose == purpose);
    of_purpose.map(|key| (key.id, key.retired.is_some())).collect()
}

fn rotate(store: &Store, purpose: Purpose) -> Result<NewKey, StoreError> {
    store.write_blocking(move |tx| tx.rotate(purpose, UnixTime::MIN))
}

fn step(store: &Store, purpose: Purpose) -> Resealed {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.reseal(purpose, 10)).unwrap()
}

/// Seals everything anew and says in how many steps.
fn reseal(store: &Store, purpose: Purpose) -> usize {
    let is_last = |_: &usize| !matches!(step(store, purpose), Resealed::More(_));
    (1..1_000).find(is_last).expect("an end")
}

pub(crate) fn keys_are_replaced_while_everybody_writes(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let mut drafter = Drafter::new(1, &clock);
    append(&store, drafter.clock_state());
    let before: Vec<_> = (0..95).map(|_| drafter.note(customer(1))).collect();
    let append_all = |drafts: &[(Draft, Body)]| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (draft, body) in drafts {
            runtime.block_on(store.append(draft, body)).unwrap();
        }
    };
    append_all(&before);
    let old = keys_for(&store, Purpose::Bodies);
    // The rest is written while the key is replaced and what it sealed is sealed anew.
    let later: Vec<_> = (0..300).map(|_| drafter.note(customer(2))).collect();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| append_all(&later));
        let new = rotate(&store, Purpose::Bodies).unwrap();
        assert_eq!(keys_for(&store, Purpose::Bodies), [(old[0].0, true), (new.id, false)]);
        assert!(matches!(rotate(&store, Purpose::Bodies), Err(StoreError::UnderWay { .. })));
        assert!(reseal(&store, Purpose::Bodies) >= 10, "in small steps");
        assert_eq!(keys_for(&store, Purpose::Bodies), [(new.id, false)], "the old key is gone");
        writer.join().unwrap();
    });
    assert_eq!(step(&store, Purpose::Bodies), Resealed::Nothing);
    let check = |store: &Store| {
        for (draft, body) in before.iter().chain(&later) {
            let id = draft.id;
            let found = store.read_blocking(move |snapshot| snapshot.body(id)).unwrap();
            assert_eq!(found, Some(body.disclose(|_| true)));
        }
    };
    check(&store);
    // And after a restart, when nothing but the database says which keys there are.
    drop(store);
    check(&place.open(clock).unwrap());
}

pub(crate) fn records_are_sealed_anew_from_where_a_stop_left_them(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    agent(&store, &clock);
    let sent: Vec<_> = (0..35).map(|seq| exchange(seq, clock.now(), 7)).collect();
    apply(&store, upload(0, clock.now(), sent.clone())).unwrap();
    epoch(&store, 1, clock.now()).unwrap();
    rotate(&store, Purpose::Records).unwrap();
    assert_eq!(step(&store, Purpose::Records), Resealed::More(10));
    drop(store);
    let store = place.open(clock).unwrap();
    let keys = store.read_blocking(|snapshot| snapshot.site_keys()).unwrap();
    assert_eq!(keys.iter().find(|key| key.retired.is_some()).map(|key| key.resealed), Some(10));
    assert_eq!(reseal(&store, Purpose::Records), 6, "25 exchanges, no event, no part of a report, an epoch");
    assert_eq!(keys_for(&store, Purpose::Records).len(), 1);
    let secret = store.read_blocking(|snapshot| snapshot.epoch(1)).unwrap().unwrap().secret;
    assert_eq!(*secret, [1; 32]);
    let read = |snapshot: &Snapshot<'_>| snapshot.exchanges(AGENT, UnixTime::MIN, UnixTime::MAX, 100);
    assert_eq!(store.read_blocking(read).unwrap(), sent);
}

pub(crate) fn keys_that_sign_are_replaced(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let verifiers = |store: &Store, key| -> Vec<VerifierKey> {
        store.write_blocking(|_| Ok::<_, StoreError>(())).unwrap();
        store.signers(key, "name").unwrap().iter().map(|signer| signer.verifier_key()).collect()
    };
    let promise = verifiers(&store, SigningKey::Promise);
    let new = rotate(&store, Purpose::Promise).unwrap();
    let now = verifiers(&store, SigningKey::Promise);
    assert_eq!((now.len(), Some(*now[0].public_key())), (1, new.public_key));
    assert_ne!(now, promise);

    let log = verifiers(&store, SigningKey::Log);
    let new = rotate(&store, Purpose::Log).unwrap();
    let both = verifiers(&store, SigningKey::Log);
    assert_eq!((Some(*both[0].public_key()), &both[1..]), (new.public_key, &log[..]), "both sign");
    assert!(matches!(rotate(&store, Purpose::Log), Err(StoreError::UnderWay { .. })));
    store.write_blocking(|tx| tx.retire_log_key(UnixTime::MIN)).unwrap();
    assert_eq!(verifiers(&store, SigningKey::Log), both[..1]);
    let again = store.write_blocking(|tx| tx.retire_log_key(UnixTime::MIN));
    assert!(matches!(again, Err(StoreError::NotFound { .. })));
    // Whoever has an old receipt still finds the key that it was signed with; its secret is nowhere.
    let keys = store.read_blocking(|snapshot| snapshot.site_keys()).unwrap();
    let old = keys.iter().find(|key| key.public_key == Some(*log[0].public_key())).unwrap();
    assert!(old.retired.is_some());
    drop(store);
    assert_eq!(verifiers(&place.open(clock).unwrap(), SigningKey::Log), both[..1]);
}

pub(crate) fn erased_fields_leave_their_hashes(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let mut drafter = Drafter::new(1, &clock);
    append(&store, drafter.clock_state());
    let (draft, body) = drafter.note(customer(1));
    let (id, root) = (draft.id, draft.body_root);
    append(&store, (draft, body.clone()));
    let (erasure, fields) = drafter.note(customer(1));
    let by = erasure.id;
    let erase =
        |name: &'static str| store.write_blocking(move |tx| tx.erase_fields(id, |field| field == name, by));
    assert_eq!(erase("other"), Ok(vec![]));
    assert_eq!(erase("text"), Ok(vec!["text".to_owned()]));
    assert_eq!(erase("text"), Ok(vec![]), "it is gone already");
    append(&store, (erasure, fields));
    drop(store);
    let store = place.open(clock).unwrap();
    let (left, erased) = store
        .read_blocking(move |snapshot| Ok::<_, StoreError>((snapshot.body(id)?, snapshot.erasures_of(id)?)))
        .unwrap();
    let left = left.unwrap();
    assert_eq!((left.root(), left.get("text")), (root, None));
    assert_eq!(left.get("more"), body.get("more"));
    assert_eq!(
        erased.iter().map(|erasure| (erasure.field.as_str(), erasure.by)).collect::<Vec<_>>(),
        [("text", by)]
    );
    let unknown = store
        .write_blocking(move |tx| tx.erase_fields(angbu_units::EntryId::from_bytes([1; 16]), |_| true, by));
    assert_eq!(unknown, Err(StoreError::NotFound { what: "entry" }));
}

pub(crate) fn people_are_found_while_their_keys_are_replaced(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let logins: Vec<String> = (1..=25).map(|n| format!("person{n}")).collect();
    for (n, login) in (1..).zip(&logins) {
        let row = person(n, 1, login, clock.now());
        store.write_blocking(move |tx| tx.insert_person(&row)).unwrap();
    }
    let all_are_found = |store: &Store| {
        for (n, login) in (1..).zip(&logins) {
            let key = login.clone();
            let found = store.read_blocking(move |snapshot| snapshot.person_by_login(customer(1), &key));
            assert!(found.unwrap() == Some(person(n, 1, login, clock.now())), "{login}");
        }
    };
    for purpose in [Purpose::Index, Purpose::Personal] {
        let new = rotate(&store, purpose).unwrap();
        all_are_found(&store);
        assert!(matches!(step(&store, purpose), Resealed::More(_)));
        all_are_found(&store);
        // The same login id is refused whichever key the one that is there was hashed under.
        for login in ["person1", "person25"] {
            let again = person(99, 1, login, clock.now());
            let refused = store.write_blocking(move |tx| tx.insert_person(&again));
            assert_eq!(refused, Err(StoreError::Taken { what: "the login id" }), "{login}");
        }
        reseal(&store, purpose);
        assert_eq!(keys_for(&store, purpose), [(new.id, false)]);
        all_are_found(&store);
    }
    drop(store);
    all_are_found(&place.open(clock.clone()).unwrap());
}
