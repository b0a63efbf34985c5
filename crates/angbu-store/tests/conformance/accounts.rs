use angbu_store::accounts::{CodeRow, CustomerRow, SessionRow, StaffRow, TokenRow};
use angbu_store::{Store, StoreError};
use angbu_units::{CodeId, CustomerId, EntryId, Nanos, SessionId, StaffId, TokenId, UnixTime};

use crate::support::{Place, TestClock, customer};

fn customer_row(n: u8, name: &str) -> CustomerRow {
    CustomerRow {
        id: customer(n),
        name: name.to_owned(),
        tolerance: Nanos::from_millis(50),
        language: "en".to_owned(),
        contacts: vec!["ops@acme.example".to_owned(), "두번째@acme.example".to_owned()],
        zone: "Asia/Seoul".to_owned(),
        revision: 1,
        settings_entry: EntryId::from_bytes([n; 16]),
        version: 0,
    }
}

fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut angbu_store::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.write_blocking(work)
}

pub(crate) fn customers_have_versions_and_revisions(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let row = customer_row(1, "acme");
    let inserted = row.clone();
    write(&store, move |tx| tx.insert_customer(&inserted, now)).unwrap();
    let same_name = customer_row(2, "acme");
    let taken = write(&store, move |tx| tx.insert_customer(&same_name, now));
    assert_eq!(taken, Err(StoreError::Taken { what: "the customer's name" }));

    let changed = CustomerRow { tolerance: Nanos::from_millis(10), revision: 2, ..row.clone() };
    let later = now + Nanos::from_secs(5);
    let update = changed.clone();
    write(&store, move |tx| tx.update_customer(&update, later)).unwrap();
    // Whoever read the row before that change loses, and changes nothing.
    let stale = CustomerRow { name: "stale".to_owned(), revision: 3, ..row.clone() };
    let lost = write(&store, move |tx| tx.update_customer(&stale, later));
    assert_eq!(lost, Err(StoreError::Conflict { what: "the customer" }));

    let (by_id, by_name, nobody, all, settings) = store
        .read_blocking(move |s| {
            let settings = s.customer_settings(customer(1))?;
            let by_name = s.customer_named("acme")?;
            Ok::<_, StoreError>((
                s.customer(customer(1))?,
                by_name,
                s.customer(customer(9))?,
                s.customers()?,
                settings,
            ))
        })
        .unwrap();
    let expected = CustomerRow { version: 1, ..changed };
    assert_eq!(by_id.as_ref(), Some(&expected));
    assert_eq!((by_name, nobody, all), (by_id, None, vec![expected]));
    let revisions: Vec<_> = settings.iter().map(|s| (s.revision, s.since, s.tolerance)).collect();
    assert_eq!(revisions, [(1, now, Nanos::from_millis(50)), (2, later, Nanos::from_millis(10))]);
}

pub(crate) fn staff_have_versions(place: &dyn Place) {
    let store = place.open(TestClock::new()).unwrap();
    let row = StaffRow {
        id: StaffId::from_bytes([3; 16]),
        name: "admin".to_owned(),
        role: "operator".to_owned(),
        customer: CustomerId::SITE,
        password_hash: "$argon2id$one".to_owned(),
        password_expires: Some(UnixTime::from_nanos(5)),
        must_change: true,
        language: "ko".to_owned(),
        disabled: false,
        version: 0,
    };
    let first = row.clone();
    write(&store, move |tx| tx.insert_staff(&first)).unwrap();
    let changed = StaffRow { password_hash: "$argon2id$two".to_owned(), must_change: false, ..row };
    for expected in [Ok(()), Err(StoreError::Conflict { what: "the member of the staff" })] {
        let changed = changed.clone();
        assert_eq!(write(&store, move |tx| tx.update_staff(&changed)), expected);
    }
    let found = store.read_blocking(|s| s.staff_named("admin")).unwrap().unwrap();
    assert!(found == StaffRow { version: 1, ..changed });
    assert!(store.read_blocking(|s| s.staff_member(StaffId::from_bytes([3; 16]))).unwrap() == Some(found));
}

pub(crate) fn tokens_are_found_until_revoked(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let row = TokenRow {
        id: TokenId::from_bytes([4; 16]),
        secret_hash: [5; 32],
        holder: "demo".to_owned(),
        scopes: "operator".to_owned(),
        customer: CustomerId::SITE,
        machine: None,
        created: clock.now(),
        expires: None,
        revoked: false,
    };
    let inserted = row.clone();
    write(&store, move |tx| tx.insert_token(&inserted)).unwrap();
    let find = || store.read_blocking(|s| s.token_by_secret(&[5; 32])).unwrap();
    assert!(find() == Some(row.clone()));
    assert!(store.read_blocking(|s| s.token_by_secret(&[6; 32])).unwrap().is_none());
    let id = row.id;
    write(&store, move |tx| tx.revoke_token(id)).unwrap();
    assert!(find() == Some(TokenRow { revoked: true, ..row }));
    let unknown = write(&store, |tx| tx.revoke_token(TokenId::from_bytes([9; 16])));
    assert_eq!(unknown, Err(StoreError::NotFound { what: "token" }));
    assert_eq!(store.read_blocking(|s| s.tokens()).unwrap().len(), 1);
}

pub(crate) fn sessions_come_and_go(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let hour = Nanos::from_secs(3600);
    let operator = StaffId::from_bytes([1; 16]);
    for n in 1..=4 {
        let row = SessionRow {
            id: SessionId::from_bytes([n; 16]),
            secret_hash: [n; 32],
            staff: operator,
            created: now,
            last_used: now,
            expires: now + hour.times(i64::from(n)),
        };
        write(&store, move |tx| tx.insert_session(&row)).unwrap();
    }
    let find = |n: u8| store.read_blocking(move |s| s.session_by_secret(&[n; 32])).unwrap();
    write(&store, move |tx| {
        tx.touch_session(SessionId::from_bytes([1; 16]), now + hour, now + hour.times(9))
    })
    .unwrap();
    let touched = find(1).unwrap();
    assert_eq!((touched.last_used, touched.expires), (now + hour, now + hour.times(9)));
    let purged = write(&store, move |tx| tx.purge_expired(now + hour.times(3))).unwrap();
    assert_eq!((purged, find(2).is_none(), find(3).is_some()), (1, true, true));
    write(&store, |tx| tx.delete_session(SessionId::from_bytes([3; 16]))).unwrap();
    assert!(find(3).is_none());
    let gone = write(&store, move |tx| tx.touch_session(SessionId::from_bytes([3; 16]), now, now));
    assert_eq!(gone, Err(StoreError::NotFound { what: "session" }));
    let kept = Some(SessionId::from_bytes([4; 16]));
    assert_eq!(write(&store, move |tx| tx.delete_other_sessions(operator, kept)), Ok(1));
    assert!(find(1).is_none() && find(4).is_some());
}

pub(crate) fn codes_are_taken_once(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    for n in 1..=2 {
        let row = CodeRow {
            id: CodeId::from_bytes([n; 16]),
            secret_hash: [n; 32],
            kind: "agent".to_owned(),
            customer: customer(1),
            name: "db-3".to_owned(),
            expires: now + Nanos::from_secs(i64::from(n)),
            used: false,
        };
        write(&store, move |tx| tx.insert_code(&row)).unwrap();
    }
    // The first code has ended, and the second is of another kind than is asked for.
    let later = now + Nanos::from_secs(1);
    assert!(write(&store, move |tx| tx.take_code("agent", &[1; 32], later)).unwrap().is_none());
    assert!(write(&store, move |tx| tx.take_code("host", &[2; 32], later)).unwrap().is_none());
    // A transaction that fails after taking it has not taken it.
    let undone = write(&store, move |tx| {
        assert!(tx.take_code("agent", &[2; 32], later)?.is_some());
        Err::<(), _>(StoreError::NotFound { what: "reason to go on" })
    });
    assert!(undone.is_err());
    let taken: Vec<_> = std::thread::scope(|scope| {
        let take = || write(&store, move |tx| tx.take_code("agent", &[2; 32], later)).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(taken.len(), 1, "of eight who try at once, one gets it");
    assert!(store.read_blocking(|s| s.code_by_secret(&[2; 32])).unwrap().unwrap().used);
}

pub(crate) fn the_site_is_made_once(place: &dyn Place) {
    let clock = TestClock::new();
    let mut found = Vec::new();
    for expected_starts in 1..=3 {
        let store = place.open(clock.clone()).unwrap();
        let now = clock.now();
        let (site, centre) = write(&store, move |tx| {
            let mut rng = rand::rng();
            Ok((tx.found_site("log.one", now, &mut rng)?, tx.start_centre("centre", now, &mut rng)?))
        })
        .unwrap();
        assert_eq!((site.origin.as_str(), centre.starts), ("log.one", expected_starts));
        assert_eq!(store.read_blocking(|s| s.centres()).unwrap(), std::slice::from_ref(&centre));
        assert_eq!(store.read_blocking(|s| s.site()).unwrap(), Some(site.clone()));
        found.push((site, centre.id));
        clock.advance(Nanos::from_secs(1));
    }
    found.dedup();
    assert_eq!(found.len(), 1, "site and centre stay the same from start to start");
}
