//! What the store's tests share: a clock that they set, a log that they fill, and the check that a log holds.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses its part of this module")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks to give up waiting")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use angbu_evidence::note::{Signer, VerifierKey};
use angbu_evidence::{Body, Checkpoint, Draft, Entry, Kind, Receipt, merkle};
use angbu_store::{Engine, Lease, Options, Published, Sequencer, SigningKey, Snapshot, Store, StoreError};
use angbu_testkit::postgres::Server;
use angbu_units::{
    CentreId, Clock, ClockVerdict, CustomerId, EntryId, Monotonic, Nanos, ProvenInstant, Reading, UnixTime,
};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

pub const ORIGIN: &str = "log.test.example/1";

/// Where a store can be opened again and again.
pub trait Place {
    fn open(&self, clock: Arc<dyn Clock>) -> Result<Store, StoreError>;
}

/// A clock that goes on only when it is told to.
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_800_000_000_000_000_000)))
    }

    pub fn now(&self) -> UnixTime {
        UnixTime::from_nanos(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, by: Nanos) {
        self.0.fetch_add(by.count(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn read(&self) -> Reading {
        Reading { wall: self.now(), monotonic: Monotonic::from_nanos(self.now().nanos()) }
    }
}

/// Several centres over one database: a folder each, and on SQLite, in all but the first one, a link to the first one's
/// database.
pub struct Centres {
    folder: tempfile::TempDir,
    postgres: Option<Arc<Server>>,
}

/// The name of the database that centres on PostgreSQL share: each test has a server of its own process.
const DATABASE: &str = "centres";

impl Centres {
    pub fn on_sqlite() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), postgres: None }
    }

    pub fn on_postgres() -> Self {
        let server = Server::shared();
        server.ask("postgres", &format!("CREATE DATABASE {DATABASE}"));
        Self { postgres: Some(server), ..Self::on_sqlite() }
    }

    pub fn folder(&self, n: u8) -> PathBuf {
        self.folder.path().join(n.to_string())
    }

    fn database(&self) -> PathBuf {
        self.folder(1).join("angbu.sqlite")
    }

    pub fn engine(&self) -> Engine {
        let address = self.postgres.as_ref().map(|server| server.address(DATABASE));
        address.map_or(Engine::Sqlite, |address| address.parse().unwrap())
    }

    pub fn options(&self, n: u8) -> Options {
        let folder = self.folder(n);
        if n > 1 && self.postgres.is_none() && !folder.exists() {
            std::fs::create_dir(&folder).unwrap();
            std::os::unix::fs::symlink(self.database(), folder.join("angbu.sqlite")).unwrap();
        }
        let root_secret = self.folder(1).join("root.secret");
        Options { root_secret, engine: self.engine(), ..Options::new(folder) }
    }

    pub fn open(&self, n: u8, clock: &Arc<TestClock>) -> Store {
        Store::open(&self.options(n), clock.clone()).unwrap()
    }

    /// Copies the database while nobody has it open.
    pub fn copy(&self, to: &str) {
        match &self.postgres {
            Some(server) => copy_database(server, DATABASE, to),
            None => drop(std::fs::copy(self.database(), self.folder.path().join(to)).unwrap()),
        }
    }

    /// Puts a copy in the database's place.
    pub fn put_back(&self, from: &str) {
        if let Some(server) = &self.postgres {
            return copy_database(server, from, DATABASE);
        }
        for beside in ["angbu.sqlite-wal", "angbu.sqlite-shm"] {
            let _ = std::fs::remove_file(self.folder(1).join(beside));
        }
        std::fs::copy(self.folder.path().join(from), self.database()).unwrap();
    }

    /// Does something to the database behind everybody's back.
    pub fn meddle(&self, sql: &str) {
        match &self.postgres {
            Some(server) => drop(server.ask(DATABASE, sql)),
            None => drop(rusqlite::Connection::open(self.database()).unwrap().execute(sql, []).unwrap()),
        }
    }
}

fn copy_database(server: &Server, from: &str, to: &str) {
    // Whoever has just closed it may still be on the way out, and no database is copied that somebody has open.
    let left = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{from}'");
    until("the end of the last connection", || server.ask("postgres", &left) == "0");
    server.ask("postgres", &format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"));
    server.ask("postgres", &format!("CREATE DATABASE {to} TEMPLATE {from}"));
}

/// As centres over one database share a log, only faster.
pub const FAST: Lease =
    Lease { is_shared: true, beat: Duration::from_millis(100), patience: Duration::from_millis(600) };

pub fn sharing_sequencer(store: &Store, n: u8) -> (Sequencer, VerifierKey) {
    let signer = Arc::new(store.signer(SigningKey::Log, ORIGIN).unwrap());
    let key = signer.verifier_key();
    (Sequencer::start_with(store, signer, centre(n), FAST).unwrap(), key)
}

/// Polls until a condition holds, and says how long that took.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} did not come");
        std::thread::park_timeout(Duration::from_millis(2));
    }
    begun.elapsed()
}

pub fn centre(n: u8) -> CentreId {
    CentreId::from_bytes([n; 16])
}

pub fn customer(n: u8) -> CustomerId {
    CustomerId::from_bytes([n; 16])
}

/// Makes drafts with bodies, resting on the newest clock state that it made.
pub struct Drafter {
    pub rng: StdRng,
    pub clock: Arc<TestClock>,
    pub clock_state: EntryId,
}

impl Drafter {
    pub fn new(seed: u64, clock: &Arc<TestClock>) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            clock: Arc::clone(clock),
            clock_state: Draft::NO_CLOCK_STATE,
        }
    }

    pub fn draft(&mut self, kind: Kind, customer: CustomerId) -> (Draft, Body) {
        let text = format!("value {}", self.rng.next_u64());
        let body = Body::new(&mut self.rng, [("text", text.into_bytes()), ("more", vec![7; 40])]).unwrap();
        let time = self.clock.now();
        let draft = Draft {
            id: EntryId::new(time, &mut self.rng),
            kind,
            instant: ProvenInstant {
                time,
                error_bound: Nanos::from_millis(25),
                verdict: ClockVerdict::Declared,
                clock_state: self.clock_state,
            },
            customer,
            body_root: body.root(),
        };
        (draft, body)
    }

    pub fn clock_state(&mut self) -> (Draft, Body) {
        let (draft, body) = self.draft(Kind::CLOCK_STATE, CustomerId::SITE);
        self.clock_state = draft.id;
        (draft, body)
    }

    pub fn note(&mut self, customer: CustomerId) -> (Draft, Body) {
        self.draft(Kind::NOTE, customer)
    }

    /// Now and then another clock state, else a note of one of a few customers; the clock goes on, and sometimes back.
    pub fn any(&mut self) -> (Draft, Body) {
        let step = if self.rng.random_ratio(1, 50) { -3_600_000_000_000 } else { 1_000_000 };
        self.clock.advance(Nanos::new(step));
        if self.clock_state == Draft::NO_CLOCK_STATE || self.rng.random_ratio(1, 20) {
            self.clock_state()
        } else {
            let n = self.rng.random_range(1..6);
            self.note(customer(n))
        }
    }
}

pub fn append(store: &Store, (draft, body): (Draft, Body)) -> EntryId {
    let id = draft.id;
    store.write_blocking(move |tx| tx.append(&draft, &body)).unwrap();
    id
}

pub fn sequencer(store: &Store) -> (Sequencer, VerifierKey) {
    let signer = Arc::new(store.signer(SigningKey::Log, ORIGIN).unwrap());
    let key = signer.verifier_key();
    (Sequencer::start(store, signer, centre(1)).unwrap(), key)
}

/// Waits for the proof of an entry, and checks it.
pub fn proven(store: &Store, id: EntryId, key: &VerifierKey) -> (Entry, Checkpoint, Receipt) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let receipt =
        runtime.block_on(store.wait(id, Duration::from_secs(20))).unwrap().expect("a receipt in time");
    let (entry, checkpoint) = receipt.verify(key).unwrap();
    assert_eq!(entry.id, id);
    (entry, checkpoint, receipt)
}

pub fn head(store: &Store) -> Arc<Published> {
    store.head().borrow().clone().expect("a published head")
}

/// Rechecks everything that must hold of a log, whatever was done to it: the tree is that of the entries, running
/// numbers have no gaps, clock states resolve, every index leads back, and every checkpoint ever served is a part of it.
pub fn check_log(snapshot: &Snapshot<'_>, served: &[Checkpoint]) -> Result<Vec<Entry>, StoreError> {
    let head = snapshot.log_head()?;
    let items = snapshot.entries(0, head.size)?;
    assert_eq!(u64::try_from(items.len()).unwrap(), head.size, "as many entries as the head says");
    let leaves: Vec<_> = items.iter().map(|item| merkle::leaf_hash(&item.entry)).collect();
    assert_eq!(merkle::root(&leaves), head.root, "the head's root is that of the entries");
    assert_eq!(
        merkle::tree_root(&snapshot.nodes(), head.size).unwrap(),
        head.root,
        "the tiles lead to the root"
    );
    let entries: Vec<Entry> = items.iter().map(|item| Entry::decode(&item.entry).unwrap()).collect();
    let mut counts = BTreeMap::<CustomerId, Vec<u64>>::new();
    for (entry, index) in entries.iter().zip(0u64..) {
        let indexes = counts.entry(entry.customer).or_default();
        indexes.push(index);
        assert_eq!(entry.number, u64::try_from(indexes.len()).unwrap(), "running numbers have no gaps");
        if let Some(state) = entry.clock_state {
            let state_entry = &entries[usize::try_from(state).unwrap()];
            assert!(state <= index && state_entry.kind == Kind::CLOCK_STATE, "a clock state resolves");
        }
        if index % 17 == 0 {
            assert_eq!(snapshot.entry_index(entry.id)?, Some(index), "an id leads to its entry");
            let body = snapshot.body(entry.id)?.expect("a body");
            assert_eq!(body.root(), entry.body_root, "the body is the entry's");
        }
    }
    let manifest = snapshot.manifest_now()?;
    assert_eq!(manifest.leaves().len(), counts.len(), "every customer is counted");
    for (customer, indexes) in counts {
        let counter = manifest.counter(&customer).expect("a counter");
        let found = (counter.count, Some(counter.first), Some(counter.last));
        let expected =
            (u64::try_from(indexes.len()).unwrap(), indexes.first().copied(), indexes.last().copied());
        assert_eq!(found, expected, "the counter of {customer}");
        let listed: Vec<u64> =
            snapshot.entries_of(customer, 1, u64::MAX)?.iter().map(|item| item.index).collect();
        assert_eq!(listed, indexes, "the entries of {customer}");
    }
    let mut kinds = BTreeMap::<(Option<CustomerId>, Kind), (u64, u64)>::new();
    for (entry, index) in entries.iter().zip(0u64..) {
        for of in [None, Some(entry.customer)] {
            let tally = kinds.entry((of, entry.kind.clone())).or_default();
            *tally = (tally.0 + 1, index);
        }
    }
    let mut of_whom: Vec<_> = kinds.keys().map(|(of, _)| *of).collect();
    of_whom.dedup();
    let mut counted = BTreeMap::new();
    for of in of_whom {
        let found = snapshot.kinds(of)?;
        counted.extend(found.into_iter().map(|it| ((of, it.kind), (it.count, it.last))));
    }
    assert_eq!(counted, kinds, "every kind is counted");
    for checkpoint in served {
        assert!(checkpoint.size <= head.size, "no checkpoint was ever of more than there is");
        let path = merkle::consistency(&snapshot.nodes(), checkpoint.size, head.size).unwrap();
        merkle::verify_consistency(checkpoint.size, &checkpoint.root, head.size, &head.root, &path)
            .expect("the log goes on from every checkpoint that was served");
    }
    Ok(entries)
}
