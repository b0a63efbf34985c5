//! Writes the first inputs of every corpus with the real encoders: `cargo run -p angbu-fuzz --example seeds`.
//! Run it again after a format changed; what coverage found stays beside them.

#![allow(clippy::disallowed_methods, reason = "the corpus is files")]

use std::collections::BTreeMap;
use std::path::Path;

use angbu_evidence::note::{Ed25519Signer, Signer};
use angbu_evidence::tile::{self, TileId};
use angbu_evidence::{
    Body, Checkpoint, Counter, Draft, Entry, Field, Hash, Kind, Manifest, Promise, Receipt, merkle,
};
use angbu_time::packet::{Packet, Version};
use angbu_units::{ClockVerdict, CustomerId, EntryId, Nanos, NtpTimestamp, ProvenInstant, UnixTime};

const ORIGIN: &str = "centre.example/log";
const NOW: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_000);
const ID: EntryId =
    EntryId::from_bytes([1, 0x9a, 0xa1, 0xb7, 0x2c, 0x28, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const CUSTOMER: CustomerId = CustomerId::from_bytes([7; 16]);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let body = Body::from_fields(vec![
        Field { name: "agent".into(), value: b"db-3".to_vec(), salt: [1; 32] },
        Field { name: "tolerance-ns".into(), value: b"50000000".to_vec(), salt: [2; 32] },
        Field { name: "note".into(), value: Vec::new(), salt: [3; 32] },
    ])?;
    write("body", "whole", body.encode())?;
    write("body", "partly", body.disclose(|name| name == "agent").encode())?;
    write("body", "hidden", body.disclose(|_| false).encode())?;

    let entry = entry(body.root());
    write("entry", "declared", entry.encode())?;
    let first = Entry { clock_state: None, verdict: ClockVerdict::Unproven, ..entry.clone() };
    write("entry", "without-clock-state", first.encode())?;
    write("entry", "draft", draft(body.root()).encode())?;

    let leaves = [
        merkle::leaf_hash(entry.encode().as_bytes()),
        merkle::leaf_hash(b"other"),
        Hash::from_bytes([9; 32]),
    ];
    let signer = Ed25519Signer::new(ORIGIN, &[5; 32])?;
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 3, root: merkle::root(&leaves) };
    let note = checkpoint.sign(&signer)?;
    write("checkpoint", "note", &note)?;
    write("checkpoint", "text", checkpoint.encode())?;
    write("checkpoint", "extended", format!("{}extension\n", checkpoint.encode()))?;
    write("checkpoint", "key", signer.verifier_key().to_string())?;

    let path = merkle::path(&leaves, 0).ok_or("a tree of three has a path")?;
    let receipt = Receipt { entry: entry.encode().into_bytes(), index: 0, path, checkpoint: note };
    write("receipt", "receipt", receipt.encode())?;
    let promise = Promise { origin: ORIGIN.into(), entry: ID, body_root: body.root(), by: NOW };
    write("receipt", "promise", promise.encode())?;

    let counters = BTreeMap::from([
        (CUSTOMER, Counter { count: 42, first: 3, last: 99 }),
        (CustomerId::from_bytes([8; 16]), Counter { count: 1, first: 4, last: 4 }),
    ]);
    write("manifest", "two-customers", Manifest::new(100, &counters).encode())?;
    write("manifest", "empty", Manifest::new(0, &BTreeMap::new()).encode())?;

    write("tile", "bundle", tile::encode_bundle([entry.encode().as_bytes(), b"", b"x"])?)?;
    write("tile", "hashes", tile::encode_hashes(&leaves))?;
    write("tile", "path", TileId::new(0, 1_234_067, 256).ok_or("a tile")?.path())?;
    write("tile", "partial-path", TileId::new(1, 5, 12).ok_or("a tile")?.path())?;
    write("tile", "entries-path", tile::entries_path(1_000, 3))?;

    let request = Packet::request(Version::V4, NtpTimestamp::from_unix(NOW));
    write("ntp_packet", "request-v4", request.encode())?;
    let request = Packet::request(Version::V3, NtpTimestamp::from_unix(NOW));
    write("ntp_packet", "request-v3", request.encode())?;
    write(
        "ntp_packet",
        "with-extension",
        [&request.encode()[..], &[0, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
    )?;
    Ok(())
}

fn entry(body_root: Hash) -> Entry {
    Entry {
        id: ID,
        kind: Kind::NOTE,
        time: NOW,
        error_bound: Nanos::from_millis(25),
        verdict: ClockVerdict::Declared,
        clock_state: Some(17),
        customer: CUSTOMER,
        number: 42,
        body_root,
    }
}

fn draft(body_root: Hash) -> Draft {
    let instant = ProvenInstant {
        time: NOW,
        error_bound: Nanos::from_millis(25),
        verdict: ClockVerdict::Proven,
        clock_state: Draft::NO_CLOCK_STATE,
    };
    Draft { id: ID, kind: Kind::NOTE, instant, customer: CUSTOMER, body_root }
}

fn write(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), bytes)
}
