use angbu_store::accounts::{CodeRow, Known, MachineRow, PersonRow, StaffRow, TokenRow};
use angbu_store::{Store, StoreError};
use angbu_units::{CodeId, CustomerId, EntryId, MachineId, Nanos, PersonId, StaffId, TokenId, UnixTime};

use crate::support::{Place, TestClock, customer};

fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut angbu_store::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.write_blocking(work)
}

pub(super) fn person(n: u8, of: u8, login: &str, enrolled: UnixTime) -> PersonRow {
    PersonRow {
        id: PersonId::from_bytes([n; 16]),
        customer: customer(of),
        known: Some(Known {
            login_id: login.to_owned(),
            login_key: login.to_lowercase(),
            phone: "821012345678".to_owned(),
            birthday: "1990-04-30".to_owned(),
            language: "ko".to_owned(),
        }),
        password_hash: "$argon2id$one".to_owned(),
        entry: EntryId::from_bytes([n; 16]),
        enrolled,
        disabled: false,
        version: 0,
    }
}

pub(crate) fn people_are_found_by_login_among_their_customers(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    for row in [person(1, 1, "kim", now), person(2, 2, "kim", now), person(3, 1, "김민수", now)] {
        write(&store, move |tx| tx.insert_person(&row)).unwrap();
    }
    let same = person(4, 1, "KIM", now);
    assert_eq!(
        write(&store, move |tx| tx.insert_person(&same)),
        Err(StoreError::Taken { what: "the login id" })
    );
    let find = |of: u8, key: &'static str| {
        store.read_blocking(move |s| s.person_by_login(customer(of), key)).unwrap()
    };
    assert!(find(1, "kim") == Some(person(1, 1, "kim", now)));
    assert!(find(2, "kim") == Some(person(2, 2, "kim", now)));
    assert!(find(2, "김민수").is_none());
    assert_eq!(
        store.read_blocking(|s| s.entries_about(PersonId::from_bytes([3; 16]), 10)).unwrap(),
        [EntryId::from_bytes([3; 16])]
    );

    let mut changed = person(3, 1, "김민수", now);
    changed.known.as_mut().unwrap().phone = "821099998888".to_owned();
    changed.disabled = true;
    for expected in [Ok(()), Err(StoreError::Conflict { what: "the person" })] {
        let changed = changed.clone();
        assert_eq!(write(&store, move |tx| tx.update_person(&changed)), expected);
    }
    changed.version = 1;
    assert!(find(1, "김민수") == Some(changed.clone()));
    // Nobody takes another's login id by a change.
    let mut thief = changed.clone();
    thief.known.as_mut().unwrap().login_key = "kim".to_owned();
    assert_eq!(
        write(&store, move |tx| tx.update_person(&thief)),
        Err(StoreError::Taken { what: "the login id" })
    );

    // Nothing is left of whom was erased, and the login id is free again.
    let erased = PersonRow { known: None, password_hash: String::new(), ..changed };
    let update = erased.clone();
    write(&store, move |tx| tx.update_person(&update)).unwrap();
    assert!(find(1, "김민수").is_none());
    let kept = store.read_blocking(|s| s.person(PersonId::from_bytes([3; 16]))).unwrap();
    assert!(kept == Some(PersonRow { version: 2, ..erased }));
    let again = person(5, 1, "김민수", now);
    write(&store, move |tx| tx.insert_person(&again)).unwrap();
}

pub(crate) fn people_are_listed_page_by_page(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    // Later ids were enrolled earlier, and some at the same instant.
    let enrolled = |n: u8| clock.now() + Nanos::from_secs(i64::from((20 - n) / 3));
    for n in 1..=20 {
        let row = person(n, if n == 7 { 2 } else { 1 }, &format!("p{n}"), enrolled(n));
        write(&store, move |tx| tx.insert_person(&row)).unwrap();
    }
    let page = |after, limit| store.read_blocking(move |s| s.people_of(customer(1), after, limit)).unwrap();
    let all: Vec<_> = page(None, 100).iter().map(|row| row.id).collect();
    assert_eq!(all.len(), 19);
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let rows = page(after, 4);
        assert!(rows.len() <= 4);
        assert!(rows.is_sorted_by_key(|row| (row.enrolled, row.id)));
        seen.extend(rows.iter().map(|row| row.id));
        match rows.last() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert!(page(Some(PersonId::from_bytes([7; 16])), 4).is_empty(), "behind another customer's person");
    assert!(page(Some(PersonId::from_bytes([99; 16])), 4).is_empty(), "behind nobody");
}

fn machine(clock: &TestClock) -> MachineRow {
    MachineRow {
        origins: String::new(),
        id: MachineId::from_bytes([1; 16]),
        customer: customer(1),
        kind: "relying-party".to_owned(),
        name: "shop".to_owned(),
        public_key: [7; 32],
        entry: EntryId::from_bytes([1; 16]),
        enrolled: clock.now(),
        disabled: false,
        version: 0,
    }
}

pub(crate) fn machines_have_versions_and_end_their_tokens(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let row = machine(&clock);
    let inserted = row.clone();
    write(&store, move |tx| tx.insert_machine(&inserted)).unwrap();
    let same = MachineRow { id: MachineId::from_bytes([2; 16]), ..row.clone() };
    assert_eq!(
        write(&store, move |tx| tx.insert_machine(&same)),
        Err(StoreError::Taken { what: "the machine's name" })
    );
    // The same name of another kind, and of another customer, is another machine.
    for (n, of, kind) in [(3, 1, "host"), (4, 2, "relying-party")] {
        let other = MachineRow {
            id: MachineId::from_bytes([n; 16]),
            customer: customer(of),
            kind: kind.to_owned(),
            ..row.clone()
        };
        write(&store, move |tx| tx.insert_machine(&other)).unwrap();
    }
    let token = TokenRow {
        id: TokenId::from_bytes([1; 16]),
        secret_hash: [5; 32],
        holder: "shop".to_owned(),
        scopes: "evidence.append".to_owned(),
        customer: customer(1),
        machine: Some(row.id),
        created: clock.now(),
        expires: None,
        revoked: false,
    };
    let inserted = token.clone();
    write(&store, move |tx| tx.insert_token(&inserted)).unwrap();
    let find = || store.read_blocking(|s| s.token_by_secret(&[5; 32])).unwrap();
    assert!(find() == Some(token.clone()));

    let shut = MachineRow {
        disabled: true,
        origins: "https://shop.example".to_owned(),
        entry: EntryId::from_bytes([8; 16]),
        ..row.clone()
    };
    for expected in [Ok(()), Err(StoreError::Conflict { what: "the machine" })] {
        let shut = shut.clone();
        assert_eq!(write(&store, move |tx| tx.update_machine(&shut)), expected);
    }
    assert!(find().is_none(), "a machine that is shut out has no token");
    let id = row.id;
    let found = store.read_blocking(move |s| s.machine(id)).unwrap();
    assert_eq!(found, Some(MachineRow { version: 1, ..shut.clone() }));
    let open = MachineRow { disabled: false, version: 1, ..shut };
    write(&store, move |tx| tx.update_machine(&open)).unwrap();
    assert!(find() == Some(token));
    assert_eq!(write(&store, move |tx| tx.revoke_tokens_of(id)), Ok(1));
    assert!(find().unwrap().revoked);

    let names = store.read_blocking(|s| s.machines_of(customer(1))).unwrap();
    let names: Vec<_> = names.into_iter().map(|row| (row.kind, row.name)).collect();
    assert_eq!(
        names,
        [("host", "shop"), ("relying-party", "shop")].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert_eq!(store.read_blocking(|s| s.machines()).unwrap().len(), 3);
    assert_eq!(store.read_blocking(|s| s.tokens_of(customer(1))).unwrap().len(), 1);
    assert!(store.read_blocking(|s| s.tokens_of(customer(2))).unwrap().is_empty());
}

pub(crate) fn the_last_operators_are_counted_under_a_lock(place: &dyn Place) {
    let store = place.open(TestClock::new()).unwrap();
    let row = |n: u8, role: &str| StaffRow {
        id: StaffId::from_bytes([n; 16]),
        name: format!("staff-{n}"),
        role: role.to_owned(),
        customer: CustomerId::SITE,
        password_hash: String::new(),
        password_expires: None,
        must_change: false,
        language: "en".to_owned(),
        disabled: false,
        version: 0,
    };
    // Who never chose a password of their own does not count.
    let never = StaffRow { must_change: true, ..row(4, "operator") };
    for row in [row(1, "operator"), row(2, "operator"), row(3, "auditor"), never] {
        write(&store, move |tx| tx.insert_staff(&row)).unwrap();
    }
    // Each wants to take the other away, if one is left then: one of them must not succeed.
    let disable = |n: u8| {
        write(&store, move |tx| {
            let id = StaffId::from_bytes([n; 16]);
            if tx.count_others_for_good("operator", id)? == 0 {
                return Ok(false);
            }
            let row = tx.staff_member(id)?.expect("a row");
            tx.update_staff(&StaffRow { disabled: true, ..row })?;
            Ok(true)
        })
    };
    let done = std::thread::scope(|scope| {
        [scope.spawn(|| disable(1)), scope.spawn(|| disable(2))].map(|thread| thread.join().unwrap())
    });
    assert_eq!(done.iter().filter(|done| **done == Ok(true)).count(), 1, "{done:?}");
    let left = store.read_blocking(|s| s.staff()).unwrap();
    assert_eq!(left.iter().filter(|row| row.role == "operator" && !row.disabled).count(), 2);
    assert_eq!(store.read_blocking(|s| s.staff_of(customer(1))).unwrap().len(), 0);
}

pub(crate) fn codes_are_listed_and_taken_away(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    for n in 1..=3 {
        let row = CodeRow {
            id: CodeId::from_bytes([n; 16]),
            secret_hash: [n; 32],
            kind: "person".to_owned(),
            customer: customer(1 + n % 2),
            name: format!("김{n}"),
            expires: now + Nanos::from_secs(i64::from(n)),
            used: false,
        };
        write(&store, move |tx| tx.insert_code(&row)).unwrap();
    }
    let names = |rows: Vec<CodeRow>| rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
    assert_eq!(names(store.read_blocking(|s| s.codes()).unwrap()), ["김3", "김2", "김1"]);
    assert_eq!(names(store.read_blocking(|s| s.codes_of(customer(2))).unwrap()), ["김3", "김1"]);
    let id = CodeId::from_bytes([3; 16]);
    write(&store, move |tx| tx.delete_code(id)).unwrap();
    assert!(store.read_blocking(move |s| s.code(id)).unwrap().is_none());
    assert!(write(&store, move |tx| tx.take_code("person", &[3; 32], now)).unwrap().is_none());
    assert_eq!(
        write(&store, move |tx| tx.delete_code(id)),
        Err(StoreError::NotFound { what: "enrolment code" })
    );
}
