use angbu_store::passkeys::{Asked, PasskeyRow};
use angbu_store::{Purpose, Resealed, Store, StoreError};
use angbu_units::{EntryId, Nanos, PasskeyId, PersonId, StaffId, SubjectId, UnixTime};

use crate::support::{Place, TestClock, customer};

pub(super) fn passkey(n: u8, holder: SubjectId, created: UnixTime) -> PasskeyRow {
    PasskeyRow {
        id: PasskeyId::from_bytes([n; 16]),
        holder,
        customer: customer(1),
        credential_id: vec![n; 20],
        public_key: vec![n, 1, 2, 3],
        label: "열쇠 하나".to_owned(),
        counter: 0,
        synced: n.is_multiple_of(2),
        created,
        last_used: None,
        doubted: None,
        revoked: None,
        entry: EntryId::from_bytes([n; 16]),
        version: 0,
    }
}

fn find(store: &Store, n: u8) -> Option<PasskeyRow> {
    store.read_blocking(move |s| s.passkey_by_credential(&[n; 20])).unwrap()
}

pub(crate) fn passkeys_are_found_by_their_credential_ids(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let person = SubjectId::Person(PersonId::from_bytes([1; 16]));
    // The same 16 bytes name somebody else among the staff.
    let member = SubjectId::Staff(StaffId::from_bytes([1; 16]));
    let rows =
        [passkey(1, person, now), passkey(2, person, now + Nanos::from_secs(1)), passkey(3, member, now)];
    for row in rows.clone() {
        store.write_blocking(move |tx| tx.insert_passkey(&row)).unwrap();
    }
    let again = PasskeyRow { credential_id: vec![1; 20], ..passkey(4, member, now) };
    let taken = store.write_blocking(move |tx| tx.insert_passkey(&again));
    assert_eq!(taken, Err(StoreError::Taken { what: "the passkey" }));
    assert!(find(&store, 1).as_ref() == Some(&rows[0]) && find(&store, 9).is_none());
    let of = |holder| store.read_blocking(move |s| s.passkeys_of(holder)).unwrap();
    assert!(of(person) == rows[..2] && of(member) == rows[2..]);

    let has = |holder| store.read_blocking(move |s| s.has_passkey(holder)).unwrap();
    let used = PasskeyRow {
        counter: u32::MAX,
        last_used: Some(now),
        doubted: Some(now),
        revoked: Some(now),
        ..rows[2].clone()
    };
    for expected in [Ok(()), Err(StoreError::Conflict { what: "the passkey" })] {
        let used = used.clone();
        assert_eq!(store.write_blocking(move |tx| tx.update_passkey(&used)), expected);
    }
    assert!(
        store.read_blocking(|s| s.passkey(PasskeyId::from_bytes([3; 16]))).unwrap()
            == Some(PasskeyRow { version: 1, ..used })
    );
    assert_eq!((has(person), has(member)), (true, false));
    assert_eq!(store.write_blocking(move |tx| tx.delete_passkeys_of(person)), Ok(2));
    assert!(find(&store, 1).is_none() && find(&store, 3).is_some());
}

pub(crate) fn passkeys_are_found_while_their_keys_are_replaced(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let holder = SubjectId::Person(PersonId::from_bytes([1; 16]));
    let rows: Vec<_> = (1..=25).map(|n| passkey(n, holder, clock.now())).collect();
    for row in rows.clone() {
        store.write_blocking(move |tx| tx.insert_passkey(&row)).unwrap();
    }
    let all_are_found = |store: &Store| {
        for (n, row) in (1..).zip(&rows) {
            assert!(find(store, n).as_ref() == Some(row), "{n}");
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for purpose in [Purpose::Index, Purpose::Personal] {
        store.write_blocking(move |tx| tx.rotate(purpose, UnixTime::MIN)).unwrap();
        all_are_found(&store);
        // The same credential is refused whichever key the one that is there was hashed under.
        let again = PasskeyRow { id: PasskeyId::from_bytes([99; 16]), ..rows[24].clone() };
        let taken = store.write_blocking(move |tx| tx.insert_passkey(&again));
        assert_eq!(taken, Err(StoreError::Taken { what: "the passkey" }));
        let is_last =
            |_: &usize| !matches!(runtime.block_on(store.reseal(purpose, 10)).unwrap(), Resealed::More(_));
        (1..100).find(is_last).expect("an end");
        all_are_found(&store);
    }
    drop(store);
    all_are_found(&place.open(clock).unwrap());
}

pub(crate) fn a_passkey_question_is_answered_once(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (now, end) = (clock.now(), clock.now() + Nanos::from_secs(300));
    let asked = Asked::SignIn([5; 16]);
    let ask = |n: u8, asked, now, end| {
        store.write_blocking(move |tx| tx.ask_for_passkey(&[n; 32], asked, now, end))
    };
    ask(1, asked, now, end).unwrap();
    ask(2, Asked::SignIn([7; 16]), now, end).unwrap();
    let take = |n: u8, asked, at| {
        store.write_blocking(move |tx| tx.take_passkey_question(&[n; 32], asked, at)).unwrap()
    };
    let wrong = [
        take(1, Asked::Registration([5; 16]), now),
        take(1, Asked::SignIn([6; 16]), now),
        take(1, asked, end),
    ];
    assert_eq!(wrong, [false; 3], "for something else, for another request, too late");
    let taken = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| take(1, asked, now))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|taken| *taken).count()
    });
    assert_eq!(taken, 1, "of eight who answer at once, one does");
    // Whatever has ended is gone when the next is asked.
    ask(3, asked, end, end + Nanos::from_secs(300)).unwrap();
    assert!(!take(2, Asked::SignIn([7; 16]), now));
    // However often somebody asks, one question waits.
    ask(4, asked, end, end + Nanos::from_secs(300)).unwrap();
    assert_eq!((take(3, asked, end), take(4, asked, end)), (false, true));
}
