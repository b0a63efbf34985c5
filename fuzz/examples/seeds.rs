//! Writes the first inputs of every corpus with the real encoders: `cargo run -p angbu-fuzz --example seeds`.
//! Run it again after a format changed; what coverage found stays beside them.

#![allow(clippy::disallowed_methods, reason = "the corpus is files")]

use std::collections::BTreeMap;
use std::path::Path;

use angbu_evidence::note::{Ed25519Signer, Signer};
use angbu_evidence::report::{self, Item, Package, Subject};
use angbu_evidence::sequence::Sequencer;
use angbu_evidence::tile::{self, TileId};
use angbu_evidence::{
    Body, Checkpoint, Counter, Draft, Entry, Field, Hash, Kind, Manifest, Promise, Receipt, merkle,
};
use angbu_fuzz::NOW;
use angbu_time::exchange::{Exchange, Source};
use angbu_time::packet::{Leap, Packet, Version};
use angbu_time::record::{
    Alarm, AlarmKind, Dropped, Fact, Measured, Record, Software, Start, Stop, Upload, When,
};
use angbu_time::sync::Judgement;
use angbu_units::{
    AgentId, ClockVerdict, CustomerId, EntryId, Nanos, NtpServerId, NtpShort, NtpTimestamp, Ppb,
    ProvenInstant,
};

const ORIGIN: &str = "centre.example/log";
const ID: EntryId =
    EntryId::from_bytes([1, 0x9a, 0xa1, 0xb7, 0x2c, 0x28, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const CUSTOMER: CustomerId = CustomerId::from_bytes([7; 16]);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    evidence()?;
    write("report", "text", package()?.encode())?;
    write("report", "file", report::embed("<!doctype html>\n", &package()?.encode(), "<p>end</p>\n"))?;
    ntp()?;
    uploads()?;
    Ok(())
}

fn evidence() -> Result<(), Failure> {
    let body = body()?;
    write("body", "whole", body.encode())?;
    write("body", "partly", body.disclose(|name| name == "agent").encode())?;
    write("body", "hidden", body.disclose(|_| false).encode())?;

    let entry = entry(body.root());
    write("entry", "declared", entry.encode())?;
    let first = Entry { clock_state: None, verdict: ClockVerdict::Unproven, ..entry.clone() };
    write("entry", "without-clock-state", first.encode())?;
    let clock_state = (Draft::NO_CLOCK_STATE, ClockVerdict::Unproven);
    write("entry", "draft", draft(1, Kind::NOTE, CUSTOMER, clock_state, &body).encode())?;

    let leaves = [
        merkle::leaf_hash(entry.encode().as_bytes()),
        merkle::leaf_hash(b"other"),
        Hash::from_bytes([9; 32]),
    ];
    let signer = signer()?;
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
    Ok(())
}

/// A log of five entries, and the report over them.
fn package() -> Result<Package, Failure> {
    let mut log = Sequencer::empty(1);
    let body = body()?;
    let state = draft(1, Kind::CLOCK_STATE, CustomerId::SITE, (id(1), ClockVerdict::Declared), &body);
    let shown = (state.id, ClockVerdict::Declared);
    let drafts =
        [state, draft(2, Kind::NOTE, CUSTOMER, shown, &body), draft(3, Kind::NOTE, CUSTOMER, shown, &body)];
    let mut entries = log.integrate(&drafts)?.entries;
    let manifest = log.manifest();
    let fields = manifest.fields().into_iter().enumerate().map(|(number, (name, value))| {
        let salt = [u8::try_from(number).unwrap_or(0); 32];
        Field { name: name.into(), value, salt }
    });
    let counted = Body::from_fields(fields.collect())?;
    let drafts = [
        draft(4, Kind::MANIFEST, CustomerId::SITE, shown, &counted),
        draft(5, Kind::NOTE, CUSTOMER, shown, &body),
    ];
    let batch = log.integrate(&drafts)?;
    entries.extend(batch.entries);
    let checkpoint = batch.head.checkpoint(ORIGIN).sign(&signer()?)?;
    let leaves: Vec<Hash> = entries.iter().map(|(_, entry)| merkle::leaf_hash(entry)).collect();
    let mut items = Vec::new();
    for ((index, (_, entry)), body) in (0..4).zip(&entries).zip([&body, &body, &body, &counted]) {
        let fields = body.disclose(|name| name != "note");
        items.push(Item { index, entry: String::from_utf8(entry.clone())?, fields });
    }
    let subject = Subject {
        kind: "time".into(),
        rendering: 1,
        customer: CUSTOMER,
        from: NOW,
        to: NOW + Nanos::from_millis(4),
    };
    Ok(Package::assemble(&Small(leaves), checkpoint, subject, (3, &manifest), items)?)
}

/// A tree small enough to be held.
struct Small(Vec<Hash>);

impl merkle::Nodes for Small {
    type Error = std::num::TryFromIntError;
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let width = 1_usize << level;
        let first = usize::try_from(index)? * width;
        Ok(merkle::root(self.0.get(first..first + width).unwrap_or_default()))
    }
}

fn ntp() -> Result<(), Failure> {
    let request = Packet::request(Version::V4, NtpTimestamp::from_unix(NOW));
    write("ntp_packet", "request-v4", request.encode())?;
    let request = Packet::request(Version::V3, NtpTimestamp::from_unix(NOW));
    write("ntp_packet", "request-v3", request.encode())?;
    let extension = [0, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    write("ntp_packet", "with-extension", [&request.encode()[..], &extension].concat())?;
    let now = NtpTimestamp::from_unix(NOW);
    let reply = Packet {
        mode: angbu_time::packet::Mode::Server,
        stratum: 2,
        root_delay: NtpShort::from_bits(1_000),
        root_dispersion: NtpShort::from_bits(2_000),
        reference: now,
        origin: now,
        receive: now,
        ..Packet::request(Version::V4, now)
    };
    write("ntp_packet", "reply", reply.encode())?;
    Ok(())
}

fn uploads() -> Result<(), Failure> {
    let at = When { system: NOW, centre: Some(NOW) };
    let start = Start { at, poll: Nanos::from_secs(2), clean: true, software: Software::new("angbu/0.1.0")? };
    let difference = Nanos::from_secs(-3_600);
    let alarm = Alarm { at, kind: AlarmKind::Step, difference, since: Nanos::from_secs(1) };
    let facts = [
        ("start", Fact::Start(start)),
        ("exchange", Fact::Exchange(measured()?)),
        ("alarm", Fact::Alarm(alarm)),
        ("dropped", Fact::Dropped(Dropped { at, last: 9 })),
        ("stop", Fact::Stop(Stop { at: When { system: NOW, centre: None } })),
    ];
    let mut records = Vec::new();
    let mut seq = 1;
    for (name, fact) in facts {
        let record = Record { seq, fact };
        write("upload", name, record.encode())?;
        seq = record.next_seq();
        records.push(record);
    }
    let upload =
        Upload { agent: AgentId::from_bytes([1; 16]), sent: NOW, newest_checkpoint: Some(42), records };
    write("upload", "upload", upload.encode())?;
    write("upload", "signed", [&[7; 64], &upload.encode()[..]].concat())?;
    Ok(())
}

fn measured() -> Result<Measured, Failure> {
    let source = Source {
        leap: Leap::None,
        stratum: 10,
        precision: -20,
        root_delay: NtpShort::from_bits(0),
        root_dispersion: NtpShort::from_bits(66),
        reference_id: *b"LOCL",
    };
    let instants = [0, 1_000_000, 1_001_000, 500_000].map(|nanos| NOW + Nanos::new(nanos));
    let judgement = Judgement { rate: Some(Ppb::new(17)), steady: true, in_sync: true };
    Ok(Measured {
        server: NtpServerId::from_bytes([3; 16]),
        exchange: Exchange::new(instants, source)?,
        judgement,
    })
}

fn signer() -> Result<Ed25519Signer, Failure> {
    Ok(Ed25519Signer::new(ORIGIN, &[5; 32])?)
}

fn body() -> Result<Body, Failure> {
    Ok(Body::from_fields(vec![
        Field { name: "agent".into(), value: b"db-3".to_vec(), salt: [1; 32] },
        Field { name: "tolerance-ns".into(), value: b"50000000".to_vec(), salt: [2; 32] },
        Field { name: "note".into(), value: Vec::new(), salt: [3; 32] },
    ])?)
}

fn id(number: u8) -> EntryId {
    let mut bytes = ID.to_bytes();
    if let Some(last) = bytes.last_mut() {
        *last = number;
    }
    EntryId::from_bytes(bytes)
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

fn draft(number: u8, kind: Kind, customer: CustomerId, clock: (EntryId, ClockVerdict), body: &Body) -> Draft {
    let (clock_state, verdict) = clock;
    let time = NOW + Nanos::from_millis(i64::from(number));
    let instant = ProvenInstant { time, error_bound: Nanos::from_millis(25), verdict, clock_state };
    Draft { id: id(number), kind, instant, customer, body_root: body.root() }
}

fn write(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), bytes)
}
