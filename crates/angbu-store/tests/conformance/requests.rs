use angbu_store::requests::{RequestEnd, RequestRow, Said};
use angbu_store::{NewKey, Purpose, Store, StoreError};
use angbu_units::{
    ClockVerdict, CustomerId, EntryId, MachineId, Nanos, PersonId, ProvenInstant, RequestId, SubjectId,
    UnixTime,
};

use crate::support::{Place, TestClock, customer};

fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut angbu_store::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.write_blocking(work)
}

fn request(n: u8, of: CustomerId, started: UnixTime) -> RequestRow {
    RequestRow {
        id: RequestId::from_bytes([n; 16]),
        customer: of,
        asker: "tok_1".to_owned(),
        machine: (n == 1).then_some(MachineId::from_bytes([7; 16])),
        purpose: "login".to_owned(),
        accepted: "passkey password+keys".to_owned(),
        secret_hash: [n; 32],
        said: Said {
            title: "로그인".to_owned(),
            text: "상점에 로그인합니다\n예?".to_owned(),
            login_id: "김민수".to_owned(),
            return_to: "https://shop.example/back".to_owned(),
        },
        subject: None,
        browser_hash: None,
        done: String::new(),
        wrong: 0,
        started,
        expires: started + Nanos::from_secs(300),
        end: None,
        taken: false,
        version: 1,
    }
}

/// The same request after somebody has answered it.
fn ended(row: &RequestRow, time: UnixTime) -> RequestRow {
    let at = ProvenInstant {
        time,
        error_bound: Nanos::from_millis(1),
        verdict: ClockVerdict::Proven,
        clock_state: EntryId::from_bytes([5; 16]),
    };
    RequestRow {
        accepted: "password+keys".to_owned(),
        subject: Some(SubjectId::Person(PersonId::from_bytes([4; 16]))),
        browser_hash: Some([8; 32]),
        done: "password+keys".to_owned(),
        wrong: 2,
        end: Some(RequestEnd { verdict: "accepted".to_owned(), at, entry: EntryId::from_bytes([6; 16]) }),
        ..row.clone()
    }
}

pub(crate) fn requests_have_versions_and_end_once(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let rows =
        [(1, 1), (2, 1), (3, 2)].map(|(n, of)| request(n, customer(of), now + Nanos::new(i64::from(n))));
    for row in rows.clone() {
        write(&store, move |tx| tx.insert_request(&row)).unwrap();
    }
    let again = rows[0].clone();
    assert_eq!(write(&store, move |tx| tx.insert_request(&again)), Err(StoreError::Taken { what: "the id" }));
    let find = |n: u8| store.read_blocking(move |s| s.request(RequestId::from_bytes([n; 16]))).unwrap();
    assert!(find(1).as_ref() == Some(&rows[0]) && find(9).is_none());

    let list = |of: Option<u8>, before: Option<u8>, limit| {
        let (of, before) = (of.map(customer), before.map(|n| RequestId::from_bytes([n; 16])));
        let found = store.read_blocking(move |s| s.requests(of, before, limit)).unwrap();
        found.iter().map(|row| row.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(
        (list(None, None, 10), list(None, None, 2), list(None, Some(2), 10)),
        (vec![3, 2, 1], vec![3, 2], vec![1])
    );
    assert_eq!(
        (list(Some(1), None, 10), list(Some(1), Some(2), 10), list(Some(2), None, 10)),
        (vec![2, 1], vec![1], vec![3])
    );
    assert_eq!((list(None, Some(9), 10), list(Some(9), None, 10)), (vec![], vec![]));

    let overdue = |at: UnixTime| store.read_blocking(move |s| s.overdue_requests(at, 10)).unwrap().len();
    assert_eq!(
        (overdue(rows[0].expires - Nanos::new(1)), overdue(rows[0].expires), overdue(rows[2].expires)),
        (0, 1, 3)
    );

    let answered = now + Nanos::from_secs(2);
    let ended = ended(&rows[0], answered);
    let update = |row: &RequestRow| {
        let row = row.clone();
        write(&store, move |tx| tx.update_request(&row))
    };
    assert_eq!(update(&ended), Ok(()));
    assert_eq!(update(&ended), Err(StoreError::Conflict { what: "the request" }), "somebody else was faster");
    assert!(find(1) == Some(RequestRow { version: 2, ..ended.clone() }));
    assert_eq!(overdue(rows[2].expires), 2);

    let id = ended.id;
    assert_eq!(write(&store, move |tx| tx.take_request(id)), Ok(()));
    assert!(matches!(write(&store, move |tx| tx.take_request(id)), Err(StoreError::NotFound { .. })), "once");
    assert!(find(1) == Some(RequestRow { version: 3, taken: true, ..ended.clone() }));
    let second = rows[1].id;
    let delete = |version| write(&store, move |tx| tx.delete_request(second, version));
    assert_eq!((delete(7), delete(1)), (Err(StoreError::Conflict { what: "the request" }), Ok(())));

    // What it says is sealed, and is sealed anew.
    let NewKey { .. } = write(&store, |tx| tx.rotate(Purpose::Personal, UnixTime::MIN)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    while !matches!(
        runtime.block_on(store.reseal(Purpose::Personal, 10)).unwrap(),
        angbu_store::Resealed::Done | angbu_store::Resealed::Nothing
    ) {}
    drop(store);
    let store = place.open(clock.clone()).unwrap();
    let find = |n: u8| store.read_blocking(move |s| s.request(RequestId::from_bytes([n; 16]))).unwrap();
    assert!(find(1).is_some_and(|row| row.said == ended.said) && find(3).as_ref() == Some(&rows[2]));

    // What goes on stays, however old it is.
    let purge = |before: UnixTime| write(&store, move |tx| tx.purge_requests(before)).unwrap();
    assert_eq!((purge(answered), purge(answered + Nanos::from_secs(1_000))), (0, 1));
    assert!(find(1).is_none() && find(3).is_some());
}

const HOUR: Nanos = Nanos::from_secs(3_600);

pub(crate) fn failures_are_counted_in_buckets(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let failures = |tried: &'static str| store.read_blocking(move |s| s.failures(tried)).unwrap();
    assert_eq!(failures("staff kim"), None);
    for second in 0..3 {
        write(&store, move |tx| tx.note_failure("staff kim", HOUR, now + Nanos::from_secs(second))).unwrap();
    }
    write(&store, move |tx| tx.note_failure("source 192.0.2.1", HOUR, now)).unwrap();
    assert_eq!(failures("staff kim"), Some((3, now + Nanos::from_secs(2))));
    assert_eq!(failures("source 192.0.2.1"), Some((1, now)));
    write(&store, move |tx| tx.purge_failures(now + Nanos::from_secs(1))).unwrap();
    assert_eq!(
        (failures("staff kim").map(|(count, _)| count), failures("source 192.0.2.1")),
        (Some(3), None)
    );
    write(&store, |tx| tx.forget_failures("staff kim")).unwrap();
    assert_eq!(failures("staff kim"), None);

    // What trickles in is counted anew after a while, however short the times between.
    for quarter in 0..6 {
        let at = now + Nanos::from_secs(900).times(quarter);
        write(&store, move |tx| tx.note_failure("source 192.0.2.2", HOUR, at)).unwrap();
    }
    assert_eq!(failures("source 192.0.2.2"), Some((2, now + Nanos::from_secs(4_500))));
}
