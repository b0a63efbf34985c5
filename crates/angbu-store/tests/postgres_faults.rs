//! What a store on PostgreSQL does while the database is shared, away, restarted, or cut off in the middle of a commit.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]
#![allow(clippy::disallowed_methods, reason = "tests with deadlines, and a folder as an operator makes it")]

mod proxy;
mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use angbu_store::time::{AcceptedUpload, AgentRow, ExchangeRow, UploadRow};
use angbu_store::{Engine, Options, Store, StoreError};
use angbu_testkit::postgres::Server;
use angbu_units::{AgentId, EntryId, Nanos, Ppb, UnixTime};
use proxy::{Cut, Proxy};
use support::{Drafter, TestClock, append, check_log, customer, sequencer};

const PATIENCE: Duration = Duration::from_secs(60);

fn open(folder: &Path, address: &str, clock: &Arc<TestClock>) -> Result<Store, StoreError> {
    let engine: Engine = address.parse().unwrap();
    Store::open(&Options { engine, ..Options::new(folder) }, clock.clone())
}

/// All that was acknowledged is in the log, and nothing is there twice.
fn check(store: &Store, acknowledged: &[EntryId]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(store.settle(PATIENCE)).unwrap());
    let entries = store.read_blocking(|snapshot| check_log(snapshot, &[])).unwrap();
    let logged: std::collections::BTreeSet<EntryId> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(logged.len(), entries.len(), "no entry stands in the log twice");
    for id in acknowledged {
        assert!(logged.contains(id), "{id} was acknowledged and is not there");
    }
}

#[test]
fn a_connection_that_was_lost_in_its_sleep_is_replaced_unnoticed() {
    let (server, folder, clock) = (Server::shared(), tempfile::tempdir().unwrap(), TestClock::new());
    let address = server.database();
    let store = open(folder.path(), &address, &clock).unwrap();
    let mut drafter = Drafter::new(1, &clock);
    for _ in 0..3 {
        let (draft, body) = drafter.note(customer(1));
        let id = draft.id;
        assert_eq!(store.write_blocking(move |tx| tx.append(&draft, &body)), Ok(()));
        for _ in 0..8 {
            assert_eq!(store.read_blocking(move |snapshot| snapshot.is_entry(id)), Ok(true));
        }
        server.ask(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'angbu'",
        );
    }
}

#[test]
fn a_server_that_is_killed_under_load_loses_nothing_that_was_acknowledged() {
    let (server, folder, clock) = (Server::with(&[]), tempfile::tempdir().unwrap(), TestClock::new());
    let store = open(folder.path(), &server.database(), &clock).unwrap();
    let (running, _) = sequencer(&store);
    let (stop, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let refused = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, clock, stop) = (&store, &clock, &stop);
            let (acknowledged, refused) = (&acknowledged, &refused);
            scope.spawn(move || {
                let mut drafter = Drafter::new(thread, clock);
                while !stop.load(Ordering::SeqCst) {
                    let (draft, body) = drafter.note(customer(1));
                    let id = draft.id;
                    match store.write_blocking(move |tx| tx.append(&draft, &body)) {
                        Ok(()) => acknowledged.lock().unwrap().push(id),
                        Err(error) => {
                            refused.lock().unwrap().push(error);
                            // As a caller does that was told when to ask again.
                            std::thread::park_timeout(Duration::from_millis(5));
                        }
                    }
                }
            });
        }
        stop_at_end(&stop, || {
            for _ in 0..2 {
                grows(&acknowledged, 100);
                server.kill();
                grows(&refused, 10);
                server.start_again();
                grows(&acknowledged, 50);
            }
        });
    });
    for error in refused.lock().unwrap().iter() {
        assert!(
            matches!(error, StoreError::Unavailable { retry, .. } if !retry.is_zero()),
            "while the database is away: {error}"
        );
    }
    check(&store, &acknowledged.lock().unwrap());
    drop(running);
}

/// Runs something, and tells the threads beside it to end even if it panics.
fn stop_at_end(stop: &AtomicBool, work: impl FnOnce()) {
    struct Guard<'a>(&'a AtomicBool);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let _guard = Guard(stop);
    work();
}

/// Waits until so many more stand in a list.
fn grows<T>(list: &Mutex<Vec<T>>, by: usize) {
    let (begun, wanted) = (Instant::now(), list.lock().unwrap().len() + by);
    while list.lock().unwrap().len() < wanted {
        assert!(begun.elapsed() < PATIENCE, "nothing came any more");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_in_doubt_and_never_doubled() {
    let (server, folder, clock) = (Server::shared(), tempfile::tempdir().unwrap(), TestClock::new());
    let direct = server.database();
    let proxy = Proxy::start(&server.socket());
    let name = direct.rsplit('/').next().unwrap();
    let address = format!("postgres://angbu@127.0.0.1:{}/{name}", proxy.port());
    let store = open(folder.path(), &address, &clock).unwrap();
    let (running, _) = sequencer(&store);
    let mut drafter = Drafter::new(1, &clock);
    let mut acknowledged = vec![append(&store, drafter.clock_state())];
    for (cut, is_kept) in [(Cut::AfterCommit, true), (Cut::BeforeCommit, false)] {
        // Until it is this append that is hit, and not a batch of the sequencer.
        let hit = (0..50).find_map(|_| {
            proxy.arm(cut);
            let (draft, body) = drafter.note(customer(1));
            let id = draft.id;
            match store.write_blocking(move |tx| tx.append(&draft, &body)) {
                Ok(()) => {
                    acknowledged.push(id);
                    None
                }
                Err(StoreError::Unavailable { why, retry }) => {
                    assert!(!retry.is_zero());
                    why.contains("in doubt").then_some(id)
                }
                Err(other) => panic!("{other}"),
            }
        });
        let id = hit.expect("one of the commits was cut off");
        proxy.disarm();
        let found = (0..100).find_map(|_| store.read_blocking(move |s| s.is_entry(id)).ok());
        assert_eq!(found, Some(is_kept), "{cut:?}");
    }
    let begun = Instant::now();
    while store.trouble().is_some() {
        assert!(begun.elapsed() < PATIENCE, "the sequencer goes on");
        acknowledged.extend(try_append(&store, &mut drafter));
    }
    check(&store, &acknowledged);
    drop(running);
}

fn try_append(store: &Store, drafter: &mut Drafter) -> Option<EntryId> {
    let (draft, body) = drafter.note(customer(1));
    let id = draft.id;
    store.write_blocking(move |tx| tx.append(&draft, &body)).ok().map(|()| id)
}

#[test]
fn a_database_that_forgets_what_it_acknowledges_is_refused() {
    let (server, folder, clock) = (Server::shared(), tempfile::tempdir().unwrap(), TestClock::new());
    let address = server.database();
    let name = address.rsplit('/').next().unwrap();
    server.ask("postgres", &format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let refused = open(folder.path(), &address, &clock).map(drop);
    assert_eq!(refused, Err(StoreError::NotDurable { setting: "synchronous_commit" }));
    server.ask("postgres", &format!("ALTER DATABASE {name} SET synchronous_commit = on"));
    assert_eq!(open(folder.path(), &address, &clock).map(|store| store.kind()), Ok("postgres"));
}

#[test]
fn centres_that_start_at_once_make_one_site() {
    let (server, clock) = (Server::shared(), TestClock::new());
    let address = server.database();
    // Four with the same root secret, and three with none: whoever of these comes first would make one of its own.
    let folders: Vec<_> = (0..7).map(|_| tempfile::tempdir().unwrap()).collect();
    for folder in &folders[..4] {
        let path = folder.path().join("root.secret");
        std::fs::write(&path, [7; 32]).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let stores: Vec<_> = std::thread::scope(|scope| {
        let opening: Vec<_> =
            folders.iter().map(|folder| scope.spawn(|| open(folder.path(), &address, &clock))).collect();
        opening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let opened = stores.iter().filter(|store| store.is_ok()).count();
    let with_secret = stores[..4].iter().filter(|store| store.is_ok()).count();
    assert!((with_secret, opened) == (4, 4) || (with_secret, opened) == (0, 1), "{with_secret} of {opened}");
    for (store, folder) in stores.iter().zip(&folders) {
        match store {
            Ok(_) | Err(StoreError::NotOurs { .. }) => {}
            Err(StoreError::RootSecret { why, .. }) => {
                assert!(why.contains("copy it from another centre"), "{why}");
                assert!(!folder.path().join("root.secret").exists(), "and none is made up");
            }
            Err(other) => panic!("{other}"),
        }
    }
    // What one of them writes, all of them see.
    let mut stores = stores.into_iter().flatten();
    let first = stores.next().unwrap();
    let id = append(&first, Drafter::new(1, &clock).note(customer(1)));
    for store in stores {
        assert_eq!(
            store.read_blocking(move |snapshot| snapshot.body(id).map(|body| body.is_some())),
            Ok(true)
        );
    }
}

#[test]
fn names_race_and_rows_wait_between_centres() {
    let (server, clock) = (Server::shared(), TestClock::new());
    let address = server.database();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = open(folders[0].path(), &address, &clock).unwrap();
    std::fs::copy(folders[0].path().join("root.secret"), folders[1].path().join("root.secret")).unwrap();
    let second = open(folders[1].path(), &address, &clock).unwrap();
    let agent = agent(1);
    first.write_blocking(move |tx| tx.insert_agent(&agent)).unwrap();
    // Both judge the same upload; one takes effect.
    let now = clock.now();
    let results: Vec<_> = std::thread::scope(|scope| {
        let each = [&first, &second].map(|store| {
            scope.spawn(move || store.write_blocking(move |tx| tx.apply_upload(&upload(now, 1))))
        });
        each.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(results.contains(&Err(StoreError::Conflict { what: "the agent" })), "{results:?}");
}

fn agent(n: u8) -> AgentRow {
    AgentRow {
        id: AgentId::from_bytes([n; 16]),
        customer: customer(1),
        name: format!("agent-{n}"),
        public_key: [n; 32],
        enrolment: EntryId::from_bytes([1; 16]),
        enrolled: UnixTime::MIN,
        next_seq: 1,
        chain: [0; 32],
        last_seen: None,
        poll: None,
        closed_seq: 1,
        open_count: 0,
        open_since: None,
        version: 1,
    }
}

fn upload(at: UnixTime, seq: u64) -> AcceptedUpload {
    let exchange = ExchangeRow {
        agent: AgentId::from_bytes([1; 16]),
        at,
        seq,
        offset: Nanos::new(1),
        delay: Nanos::new(1),
        bound: Nanos::new(1),
        rate: Ppb::new(0),
        flags: 0,
        arrived: at,
        record: vec![1],
    };
    AcceptedUpload {
        agent: exchange.agent,
        expected_seq: seq,
        next_seq: seq + 1,
        arrived: at,
        poll: None,
        signed: UploadRow {
            agent: exchange.agent,
            first_seq: seq,
            next_seq: seq + 1,
            records: 1,
            arrived: at,
            chain: [1; 32],
            signed: vec![1],
        },
        exchanges: vec![exchange],
        events: Vec::new(),
    }
}

#[test]
fn every_month_has_its_part() {
    let (server, folder, clock) = (Server::shared(), tempfile::tempdir().unwrap(), TestClock::new());
    let address = server.database();
    let name = address.rsplit('/').next().unwrap();
    // 2027-01-15, by the tests' clock.
    let store = open(folder.path(), &address, &clock).unwrap();
    let agent = agent(1);
    store.write_blocking(move |tx| tx.insert_agent(&agent)).unwrap();
    let day = |n: i64| clock.now() + Nanos::from_secs(n * 86_400);
    let instants = [day(-400), day(0), day(60), day(150), day(151)];
    for (at, seq) in instants.into_iter().zip(1..) {
        store.write_blocking(move |tx| tx.apply_upload(&upload(at, seq))).unwrap();
    }
    let count = |table: &str| server.ask(name, &format!("SELECT COUNT(*) FROM {table}"));
    assert_eq!(count("time_exchanges_2027_01"), "1");
    assert_eq!(count("time_exchanges_2027_03"), "1");
    assert_eq!(count("time_exchanges_other"), "3", "what lies far back or far ahead has a place too");
    clock.advance(Nanos::from_secs(150 * 86_400));
    store.maintain().unwrap();
    store.maintain().unwrap();
    assert_eq!((count("time_exchanges_2027_06"), count("time_exchanges_other")), ("2".into(), "1".into()));
    let found = store
        .read_blocking(|s| {
            s.exchanges(AgentId::from_bytes([1; 16]), UnixTime::MIN, UnixTime::from_nanos(i64::MAX), 9)
        })
        .unwrap();
    assert_eq!(found.iter().map(|exchange| exchange.at).collect::<Vec<_>>(), instants);

    // A month that is past and whose exchanges are all deleted loses its part; the next one, which has some, does not.
    server.ask(name, "DELETE FROM time_exchanges_2027_01");
    store.maintain().unwrap();
    let is_there = |table: &str| server.ask(name, &format!("SELECT to_regclass('{table}') IS NOT NULL"));
    assert_eq!(
        (is_there("time_exchanges_2027_01"), is_there("time_exchanges_2027_03")),
        ("f".into(), "t".into())
    );
    let back = day(-150);
    store.write_blocking(move |tx| tx.apply_upload(&upload(back, 6))).unwrap();
    assert_eq!(count("time_exchanges_other"), "2", "what is told of it later has a place");
}
