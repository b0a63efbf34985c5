//! The conformance suite, mounted on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]

mod conformance;
mod support;

use std::sync::Arc;

use angbu_evidence::{Body, Draft};
use angbu_store::{Engine, Options, Purpose, Resealed, Store, StoreError};
use angbu_testkit::postgres::Server;
use angbu_units::{Clock, UnixTime};
use support::{Drafter, Place, TestClock, append, customer};

/// A database of one test's own, and the folder of a centre.
struct Database {
    _server: Arc<Server>,
    address: String,
    folder: tempfile::TempDir,
}

impl Place for Database {
    fn open(&self, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        let engine: Engine = self.address.parse().expect("an address");
        Store::open(&Options { engine, ..Options::new(self.folder.path()) }, clock)
    }
}

fn database() -> Database {
    let server = Server::shared();
    Database { address: server.database(), _server: server, folder: tempfile::tempdir().expect("a folder") }
}

conformance!(database);

/// Two centres with one root secret write into one database while every key that seals is replaced, once by the one and
/// once by the other. A value under a key that was deleted would be lost, so every value is opened at the end.
#[test]
fn keys_are_replaced_under_two_centres() {
    let database = database();
    let clock = TestClock::new();
    let one = database.open(clock.clone()).unwrap();
    let other_folder = tempfile::tempdir().unwrap();
    let engine: Engine = database.address.parse().unwrap();
    let root_secret = database.folder.path().join("root.secret");
    let options = Options { engine, root_secret, ..Options::new(other_folder.path()) };
    let other = Store::open(&options, clock.clone()).unwrap();
    let mut drafter = Drafter::new(1, &clock);
    append(&one, drafter.clock_state());
    let written: Vec<Vec<_>> =
        (1..=2).map(|n| (0..400).map(|_| drafter.note(customer(n))).collect()).collect();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let append_all = |store: &Store, drafts: &[(Draft, Body)]| {
        for (draft, body) in drafts {
            runtime().block_on(store.append(draft, body)).unwrap();
        }
    };
    let replace = |store: &Store, purpose: Purpose| {
        let rotate = || store.write_blocking(move |tx| tx.rotate(purpose, UnixTime::MIN));
        // A transaction that outlasts the patience of the one that waits for it is tried again, as any caller does.
        let new = (0..20).find_map(|_| rotate().ok()).expect("a new key");
        while matches!(runtime().block_on(store.reseal(purpose, 50)).unwrap(), Resealed::More(_)) {}
        new
    };
    let newest = std::thread::scope(|scope| {
        let writers = [(&one, &written[0]), (&other, &written[1])]
            .map(|(store, drafts)| scope.spawn(move || append_all(store, drafts)));
        let sealing = [Purpose::Bodies, Purpose::Records, Purpose::Personal, Purpose::Index];
        let turns = sealing.into_iter().flat_map(|purpose| [(&one, purpose), (&other, purpose)]);
        let made: Vec<_> = turns.map(|(store, purpose)| (purpose, replace(store, purpose).id)).collect();
        for writer in writers {
            writer.join().unwrap();
        }
        made
    });
    for store in [&one, &other] {
        for (draft, body) in written.iter().flatten() {
            let id = draft.id;
            let found = store.read_blocking(move |snapshot| snapshot.body(id)).unwrap();
            assert_eq!(found, Some(body.disclose(|_| true)));
        }
        // Each purpose has one key, the second that was made.
        let keys = store.read_blocking(|snapshot| snapshot.site_keys()).unwrap();
        for (purpose, id) in newest.iter().skip(1).step_by(2) {
            let ids: Vec<_> = keys.iter().filter(|key| key.purpose == *purpose).map(|key| key.id).collect();
            assert_eq!(ids, [*id], "{purpose:?}");
        }
    }
}
