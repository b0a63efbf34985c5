//! Others' verifiers, which share no line with ours, on what our code wrote: Go's `sumdb` packages on checkpoints,
//! tiles and paths, and a Python package of the COSE Receipts' world on receipts. Each also refuses what was changed.
//! (docs/verify.py has tests of its own, in `tests/report`.)

#![allow(clippy::disallowed_methods, reason = "the foreign verifiers are programs that read files")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

mod go;
mod scitt;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::process::Command;

use angbu_evidence::note::{Ed25519Signer, Signer as _};
use angbu_evidence::tile::{Edge, FULL, TileId, TileNodes};
use angbu_evidence::{Checkpoint, Entry, Kind, merkle};
use angbu_units::{ClockVerdict, CustomerId, EntryId, Nanos, UnixTime};

const ORIGIN: &str = "centre.example/log";

fn signer() -> Ed25519Signer {
    Ed25519Signer::new(ORIGIN, &[7; 32]).unwrap()
}

/// An entry's bytes.
fn entry(index: u64) -> Vec<u8> {
    let mut id = [1; 16];
    id[8..].copy_from_slice(&index.to_be_bytes());
    let entry = Entry {
        id: EntryId::from_bytes(id),
        kind: Kind::NOTE,
        time: UnixTime::from_nanos(1_763_762_721_000_000_000),
        error_bound: Nanos::from_millis(1),
        verdict: ClockVerdict::Declared,
        clock_state: Some(0),
        customer: CustomerId::from_bytes([0xaa; 16]),
        number: index + 1,
        body_root: merkle::leaf_hash(&index.to_be_bytes()),
    };
    entry.encode().into_bytes()
}

/// A log as a centre keeps it: grown in batches, with every tile that was ever written.
#[derive(Default)]
struct Log {
    edge: Edge,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
}

impl Log {
    fn grow(&mut self, to: u64) {
        while self.edge.size() < to {
            // Batches of changing sizes, some across several tiles.
            let batch = (self.edge.size() % 7) * 211 + 1;
            let first = self.edge.size();
            let leaves: Vec<_> =
                (first..to.min(first + batch)).map(|index| merkle::leaf_hash(&entry(index))).collect();
            for tile in self.edge.append(&leaves).tiles {
                self.tiles.insert((tile.level, tile.index), tile.hashes);
            }
        }
    }

    fn checkpoint(&self) -> String {
        let checkpoint =
            Checkpoint { origin: ORIGIN.to_owned(), size: self.edge.size(), root: self.edge.root() };
        checkpoint.sign(&signer()).unwrap()
    }

    fn nodes(&self) -> TileNodes<impl Fn(u8, u64) -> Result<Vec<u8>, Infallible>> {
        TileNodes::new(|level, index| Ok(self.tiles[&(level, index)].clone()))
    }

    /// The path under which a tile is served, and its bytes.
    fn files(&self) -> impl Iterator<Item = (String, &Vec<u8>)> {
        self.tiles.iter().map(|((level, index), hashes)| {
            let width = u16::try_from(hashes.len() / 32).unwrap();
            assert!(width <= FULL);
            (TileId::new(*level, *index, width).unwrap().path(), hashes)
        })
    }
}

/// Exit status, and everything that was said.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{shown}: {error}; `cargo xtask test` installs what the tests need"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn public_key() -> String {
    signer().verifier_key().public_key().iter().map(|byte| format!("{byte:02x}")).collect()
}
