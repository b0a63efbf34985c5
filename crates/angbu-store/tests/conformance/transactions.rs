use std::sync::mpsc::channel;

use angbu_store::{Store, StoreError};
use angbu_units::SessionId;

use crate::support::{Place, TestClock};

fn session(n: u8, clock: &TestClock) -> angbu_store::accounts::SessionRow {
    angbu_store::accounts::SessionRow {
        id: SessionId::from_bytes([n; 16]),
        secret_hash: [n; 32],
        staff: angbu_units::StaffId::from_bytes([1; 16]),
        created: clock.now(),
        last_used: clock.now(),
        expires: clock.now(),
    }
}

fn is_there(store: &Store, n: u8) -> bool {
    store.read_blocking(move |s| s.session_by_secret(&[n; 32])).unwrap().is_some()
}

pub(crate) fn a_failing_transaction_leaves_its_neighbours_alone(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..40 {
            let (store, row) = (&store, session(n, &clock));
            scope.spawn(move || {
                let result = store.write_blocking(move |tx| {
                    tx.insert_session(&row)?;
                    if n % 2 == 1 { Err(StoreError::NotFound { what: "reason" }) } else { Ok(n) }
                });
                assert_eq!(result.is_ok(), n % 2 == 0);
            });
        }
    });
    for n in 0..40 {
        assert_eq!(is_there(&store, n), n % 2 == 0, "{n}");
    }
}

pub(crate) fn a_panicking_transaction_leaves_its_neighbours_alone(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let row = session(1, &clock);
    let result = store.write_blocking(move |tx| {
        tx.insert_session(&row)?;
        assert!(!row.id.as_bytes().starts_with(&[1]), "a fault of the program, planted by this test");
        Ok::<_, StoreError>(())
    });
    assert!(matches!(result, Err(StoreError::Unavailable { .. })));
    let row = session(2, &clock);
    assert_eq!(store.write_blocking(move |tx| tx.insert_session(&row)), Ok(()));
    assert!(!is_there(&store, 1) && is_there(&store, 2));
}

pub(crate) fn snapshots_see_one_state(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (asked, may_write) = channel();
    let (written, may_ask) = channel::<()>();
    let reader = store.clone();
    let reading = std::thread::spawn(move || {
        reader.read_blocking(move |s| {
            let before = s.session_by_secret(&[1; 32])?.is_some();
            asked.send(()).unwrap();
            may_ask.recv().unwrap();
            Ok::<_, StoreError>((before, s.session_by_secret(&[1; 32])?.is_some()))
        })
    });
    may_write.recv().unwrap();
    let row = session(1, &clock);
    store.write_blocking(move |tx| tx.insert_session(&row)).unwrap();
    written.send(()).unwrap();
    assert_eq!(reading.join().unwrap(), Ok((false, false)), "an open snapshot does not move");
    assert!(is_there(&store, 1));
}
