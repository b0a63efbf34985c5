//! The conformance suite, mounted on SQLite.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]

mod conformance;
mod support;

use std::sync::Arc;

use angbu_store::{Options, Store, StoreError};
use angbu_units::Clock;
use support::Place;

struct Folder(tempfile::TempDir);

impl Place for Folder {
    fn open(&self, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        Store::open(&Options::new(self.0.path()), clock)
    }
}

fn folder() -> Folder {
    Folder(tempfile::tempdir().expect("a folder"))
}

conformance!(folder);
