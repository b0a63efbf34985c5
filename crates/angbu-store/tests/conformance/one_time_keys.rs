use std::sync::atomic::{AtomicUsize, Ordering};

use angbu_store::keys::{KeyMaterial, KeyPolicyRow, KeyStanding, KeyTokenRow, StrangerStanding, UnjudgedRow};
use angbu_store::{Store, StoreError};
use angbu_units::{EntryId, KeyTokenId, Nanos, PersonId, SubjectId, UnixTime};
use zeroize::Zeroizing;

use super::people::person;
use crate::support::{Place, TestClock, customer};

fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut angbu_store::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.write_blocking(work)
}

fn subject(n: u8) -> SubjectId {
    SubjectId::Person(PersonId::from_bytes([n; 16]))
}

fn token(n: u8, of: u8, made: UnixTime) -> KeyTokenRow {
    KeyTokenRow {
        id: KeyTokenId::from_bytes([n; 16]),
        customer: customer(1),
        subject: subject(of),
        made_of: KeyMaterial {
            material: "derived".to_owned(),
            login_id: "kim".to_owned(),
            phone: "821012345678".to_owned(),
            secret: Zeroizing::new(vec![n; 32]),
        },
        motion: "time".to_owned(),
        cycle: 30,
        algorithm: "SHA256".to_owned(),
        digits: 6,
        generation: 1,
        made,
        entry: EntryId::from_bytes([n; 16]),
        revoked: None,
        standing: KeyStanding::default(),
        replays: 0,
        replayed: None,
        version: 0,
    }
}

pub(crate) fn tokens_of_keys_are_found_by_their_holders_login(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    for row in [person(1, 1, "kim", now), person(2, 2, "kim", now)] {
        write(&store, move |tx| tx.insert_person(&row)).unwrap();
    }
    let first = token(7, 1, now);
    let row = first.clone();
    write(&store, move |tx| tx.insert_key_token(&row)).unwrap();
    let find = |of: u8, key: &'static str| {
        store.read_blocking(move |s| s.key_token_by_login(customer(of), key)).unwrap()
    };
    assert!(find(1, "kim").as_ref() == Some(&first));
    assert!(find(2, "kim").is_none() && find(1, "lee").is_none());
    let second = token(8, 1, now);
    assert_eq!(
        write(&store, move |tx| tx.insert_key_token(&second)),
        Err(StoreError::Taken { what: "the holder's one token" })
    );

    // Its place is free once it was taken back; the row stays.
    let mut revoked = first.clone();
    (revoked.revoked, revoked.generation) = (Some(now), 2);
    let row = revoked.clone();
    write(&store, move |tx| tx.update_key_token(&row)).unwrap();
    let again = write(&store, move |tx| tx.update_key_token(&first));
    assert_eq!(again, Err(StoreError::Conflict { what: "the token" }));
    revoked.version = 1;
    assert!(find(1, "kim").is_none());
    assert!(!store.read_blocking(|s| s.has_key_token(subject(1))).unwrap());
    let third = token(9, 1, now + Nanos::from_secs(1));
    let row = third.clone();
    write(&store, move |tx| tx.insert_key_token(&row)).unwrap();
    assert!(store.read_blocking(|s| s.has_key_token(subject(1))).unwrap());
    assert!(store.read_blocking(|s| s.key_token_of(subject(1))).unwrap() == Some(third.clone()));
    let all = store.read_blocking(|s| s.key_tokens_of(subject(1))).unwrap();
    assert!(all == [third.clone(), revoked.clone()]);
    let page = |after: u8| {
        let after = KeyTokenId::from_bytes([after; 16]);
        store.read_blocking(move |s| s.key_tokens(customer(1), after, 1)).unwrap()
    };
    assert!(page(0) == [revoked] && page(7) == [third] && page(9).is_empty());

    // Whoever is disabled is not found, and whoever is erased leaves nothing.
    let mut disabled = person(1, 1, "kim", now);
    disabled.disabled = true;
    write(&store, move |tx| tx.update_person(&disabled)).unwrap();
    assert!(find(1, "kim").is_none());
    write(&store, |tx| tx.delete_key_tokens_of(subject(1))).unwrap();
    assert!(store.read_blocking(|s| s.key_tokens_of(subject(1))).unwrap().is_empty());
}

pub(crate) fn of_many_tries_against_one_version_one_is_kept(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let row = token(7, 1, now);
    write(&store, move |tx| tx.insert_key_token(&row)).unwrap();
    let kept = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for step in 0..32 {
            let (store, kept) = (&store, &kept);
            scope.spawn(move || {
                let standing = KeyStanding {
                    last: Some((step, 1)),
                    last_used: Some(now),
                    drift: Nanos::new(-7),
                    ..KeyStanding::default()
                };
                let row = token(7, 1, now);
                match write(store, move |tx| tx.update_key_standing(&row, &standing)) {
                    Ok(()) => _ = kept.fetch_add(1, Ordering::SeqCst),
                    Err(error) => assert_eq!(error, StoreError::Conflict { what: "the token" }),
                }
            });
        }
    });
    assert_eq!(kept.load(Ordering::SeqCst), 1);
    let id = KeyTokenId::from_bytes([7; 16]);
    write(&store, move |tx| tx.note_key_replay(id, now)).unwrap();
    let found = store.read_blocking(move |s| s.key_token(id)).unwrap().unwrap();
    assert_eq!((found.version, found.replays, found.replayed), (1, 1, Some(now)));
    assert_eq!((found.standing.last.map(|last| last.1), found.standing.drift), (Some(1), Nanos::new(-7)));
}

pub(crate) fn recovery_codes_are_used_once(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let id = KeyTokenId::from_bytes([7; 16]);
    write(&store, move |tx| tx.replace_recovery_codes(id, &[[1; 32], [2; 32]])).unwrap();
    let has = |hash: u8| store.read_blocking(move |s| s.has_recovery_code(id, &[hash; 32])).unwrap();
    let spend = |hash: u8| write(&store, move |tx| tx.use_recovery_code(id, &[hash; 32], now));
    assert!(has(1) && !has(3));
    let gone = Err(StoreError::Conflict { what: "the recovery code" });
    assert_eq!([spend(1), spend(1), spend(3)], [Ok(()), gone.clone(), gone]);
    assert!(!has(1) && has(2));
    assert_eq!(store.read_blocking(move |s| s.recovery_codes_left(id)), Ok(1));
    write(&store, move |tx| tx.replace_recovery_codes(id, &[[4; 32]])).unwrap();
    assert!(!has(2) && has(4));
}

pub(crate) fn policies_of_keys_have_versions(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock).unwrap();
    let read = || store.read_blocking(|s| s.key_policy(customer(1))).unwrap();
    assert_eq!(read(), None);
    let mut policy = KeyPolicyRow {
        customer: customer(1),
        back: Nanos::from_secs(30),
        ahead: Nanos::from_secs(3),
        long_cycles: true,
        mark_unproven: true,
        lock_after: 5,
        lock_first: Nanos::from_secs(300),
        lock_longest: Nanos::from_secs(86_400),
        disable_at: 100,
        entry: EntryId::from_bytes([1; 16]),
        version: 0,
    };
    for expected in [Ok(()), Err(StoreError::Conflict { what: "the policy" })] {
        assert_eq!(write(&store, move |tx| tx.put_key_policy(&policy)), expected);
    }
    policy.version = 1;
    assert_eq!(read(), Some(policy));
    (policy.mark_unproven, policy.lock_after) = (false, 3);
    write(&store, move |tx| tx.put_key_policy(&policy)).unwrap();
    policy.version = 2;
    assert_eq!(read(), Some(policy));
}

pub(crate) fn tries_that_were_not_judged_are_told_once(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock).unwrap();
    let row = |minute, about: &str, count| UnjudgedRow {
        minute,
        customer: customer(1),
        about: about.to_owned(),
        reason: "unknown".to_owned(),
        count,
    };
    for (minute, about) in [(5, "192.0.2.0/24"), (5, "192.0.2.0/24"), (5, "other"), (6, "192.0.2.0/24")] {
        let row = row(minute, about, 1);
        write(&store, move |tx| tx.count_unjudged(&row)).unwrap();
    }
    let take = |minute| write(&store, move |tx| tx.take_unjudged(minute)).unwrap();
    assert_eq!(take(5), []);
    assert_eq!(take(7), [row(5, "192.0.2.0/24", 2), row(5, "other", 1)]);
    assert_eq!(take(7), [row(6, "192.0.2.0/24", 1)]);
    assert_eq!(take(7), []);
}

pub(crate) fn strangers_stand_where_tries_left_them(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let find = |name: &'static str| store.read_blocking(move |s| s.key_stranger(customer(1), name)).unwrap();
    let update = |name: &'static str, before: Option<StrangerStanding>, after: StrangerStanding| {
        write(&store, move |tx| tx.update_key_stranger((customer(1), name), before.as_ref(), &after, now))
    };
    let stands = |failures| StrangerStanding { failures, ..StrangerStanding::default() };
    assert_eq!(find("nobody"), None);
    update("nobody", None, stands(1)).unwrap();
    // Whoever has read what another has changed judges again.
    let lost = Err(StoreError::Conflict { what: "the stranger's standing" });
    assert_eq!(update("nobody", None, stands(1)), lost);
    let locked = StrangerStanding { failures: 2, locked_until: Some(now), disabled: true };
    update("nobody", Some(stands(1)), locked).unwrap();
    assert_eq!(update("nobody", Some(stands(1)), stands(2)), lost);
    assert_eq!((find("nobody"), find("somebody else")), (Some(locked), None));

    let forget = |before| write(&store, move |tx| tx.forget_key_strangers(before)).unwrap();
    assert_eq!((forget(now), forget(now + Nanos::from_secs(1))), (0, 1));
    assert_eq!(find("nobody"), None);
}
