//! The conformance suite, mounted on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]

mod conformance;
mod support;

use std::sync::Arc;

use angbu_store::{Engine, Options, Store, StoreError};
use angbu_testkit::postgres::Server;
use angbu_units::Clock;
use support::Place;

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
