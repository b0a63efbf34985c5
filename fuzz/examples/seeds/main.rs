//! Writes the first inputs of every corpus with the real encoders: `cargo run -p angbu-fuzz --example seeds`.
//! Run it again after a format changed; what coverage found stays beside them.

#![allow(clippy::disallowed_methods, reason = "the corpus is files")]

mod report;

use std::collections::BTreeMap;
use std::path::Path;

use angbu_evidence::cosign::cosign;
use angbu_evidence::fork::ForkProof;
use angbu_evidence::note::{Ed25519Signer, Signer};
use angbu_evidence::report::Trust;
use angbu_evidence::tile::{self, TileId};
use angbu_evidence::witness::AddCheckpoint;
use angbu_evidence::{Body, Checkpoint, Counter, Entry, Hash, Kind, Manifest, Promise, Receipt, merkle};
use angbu_fuzz::{NOW, NTS_KEYS, PASSKEY_SITE, ROUGHTIME};
use angbu_time::chain::Chain;
use angbu_time::exchange::{Exchange, Source};
use angbu_time::nts::client::Session;
use angbu_time::nts::cookie::{Contents, EpochSecret, Keys};
use angbu_time::nts::{AeadKey, key_exchange, server};
use angbu_time::packet::{Leap, Mode, Packet, Version};
use angbu_time::proof::Asked;
use angbu_time::record::{
    Alarm, AlarmKind, Dropped, Fact, Manner, Measured, Record, Software, Start, Stop, Upload, When,
};
use angbu_time::report::Language;
use angbu_time::roughtime::client;
use angbu_time::roughtime::server::{Delegation, Round};
use angbu_time::server::{ServerState, Unsynchronised};
use angbu_time::sync::Judgement;
use angbu_units::{
    AgentId, ClockVerdict, CustomerId, EntryId, Nanos, NtpServerId, NtpShort, NtpTimestamp, Ppb,
};
use ed25519_dalek::SigningKey;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

const ORIGIN: &str = "centre.example/log";
const ID: EntryId =
    EntryId::from_bytes([1, 0x9a, 0xa1, 0xb7, 0x2c, 0x28, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const CUSTOMER: CustomerId = CustomerId::from_bytes([7; 16]);
const AGENT: AgentId = AgentId::from_bytes([1; 16]);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    evidence()?;
    reports()?;
    ntp()?;
    nts()?;
    roughtime()?;
    uploads()?;
    key_imports()?;
    passkeys()?;
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
    write("entry", "draft", report::draft(2, Kind::NOTE, CUSTOMER, &body).encode())?;

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
    write("checkpoint", "witness-key", signer.verifier_key().as_witness().to_string())?;
    watched(&leaves, &note)?;

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

fn ntp() -> Result<(), Failure> {
    let request = Packet::request(Version::V4, NtpTimestamp::from_unix(NOW));
    write("ntp_packet", "request-v4", request.encode())?;
    let request = Packet::request(Version::V3, NtpTimestamp::from_unix(NOW));
    write("ntp_packet", "request-v3", request.encode())?;
    let extension = [0, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    write("ntp_packet", "with-extension", [&request.encode()[..], &extension].concat())?;
    let now = NtpTimestamp::from_unix(NOW);
    let reply = Packet {
        mode: Mode::Server,
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

fn nts() -> Result<(), Failure> {
    let [to_server, to_client, epoch] = NTS_KEYS;
    let contents =
        Contents { client_to_server: AeadKey::new(to_server), server_to_client: AeadKey::new(to_client) };
    let server = NtpServerId::from_bytes([7; 16]);
    let mut keys = Keys::prepare(server, &[EpochSecret::new(5, epoch)], 5).ok_or("an epoch")?;
    let mut rng = StdRng::seed_from_u64(1);
    let mut cookie = [0; 104];
    keys.seal(&contents, &mut rng, &mut cookie);
    let mut session =
        Session::new(&contents.client_to_server, &contents.server_to_client, vec![cookie.to_vec(); 8]);
    let state = ServerState::unsynchronised(Unsynchronised::Initial, -20, NOW);
    let asked = Asked { t1: NtpTimestamp::from_unix(NOW), previous_t4: NtpTimestamp::UNKNOWN };
    for (name, asked, lost) in [("bare", None, 0), ("with-proof", Some(&asked), 0), ("after-losses", None, 3)]
    {
        for _ in 0..lost {
            let _lost = session.ask(NtpTimestamp::from_bits(42), [4; 32], None, &mut rng);
        }
        let request = session.ask(NtpTimestamp::from_bits(42), [5; 32], asked, &mut rng).ok_or("a cookie")?;
        let mut reply = vec![0; request.datagram.len()];
        let protection: Option<(&mut Keys, &mut dyn CryptoRng)> = Some((&mut keys, &mut rng));
        let made = server::answer(&request.datagram, NOW, NOW, &state, protection, &mut reply);
        reply.truncate(made.map_err(|why| why.word())?.length);
        write("nts_datagram", &format!("request-{name}"), &request.datagram)?;
        write("nts_datagram", &format!("reply-{name}"), &reply)?;
    }
    let request = key_exchange::Request { ntpv4: true, aes_siv_cmac_256: true };
    write("nts_key_exchange", "request", key_exchange::Request::encode())?;
    write("nts_key_exchange", "response", key_exchange::respond(&request, [&cookie[..]; 8], 4_123))?;
    write("nts_key_exchange", "refusal", key_exchange::refuse(key_exchange::RequestError::BadRequest))?;
    Ok(())
}

fn roughtime() -> Result<(), Failure> {
    let (seed, nonce) = ROUGHTIME;
    let key = Ed25519Signer::new("roughtime", &seed)?;
    let (from, until) = (NOW - Nanos::from_secs(60), NOW + Nanos::from_secs(60));
    let delegation = Delegation::new(&[&key], from, until, &mut StdRng::seed_from_u64(1))?;
    let request = client::request(key.verifier_key().public_key(), &nonce);
    let mut round = Round::new(3);
    for request in [&client::request(key.verifier_key().public_key(), &[7; 32]), &request] {
        round.add(request, &delegation).map_err(|why| why.word())?;
    }
    round.sign(&delegation, NOW, 1);
    write("roughtime", "request", &request)?;
    write("roughtime", "reply", round.reply(1, &delegation))?;
    Ok(())
}

fn uploads() -> Result<(), Failure> {
    let at = when();
    let facts = [
        ("start", Fact::Start(start()?)),
        ("exchange", Fact::Exchange(measured(1)?)),
        ("alarm", Fact::Alarm(alarm())),
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
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 42, root: Hash::from_bytes([9; 32]) };
    let newest_checkpoint = Some(checkpoint.sign(&signer()?)?);
    let before = Chain::begin(AGENT, &agent_key().verifying_key().to_bytes(), 1);
    let witnesses = BTreeMap::new();
    let upload = Upload { agent: AGENT, before, sent: NOW, newest_checkpoint, records, witnesses };
    write("upload", "upload", upload.encode())?;
    write("upload", "signed", [&[7; 64], &upload.encode()[..]].concat())?;
    Ok(())
}

/// What a witness is asked and answers, and a log that has signed two histories.
fn watched(leaves: &[Hash], note: &str) -> Result<(), Failure> {
    let signer = signer()?;
    let first = AddCheckpoint { old: 0, proof: Vec::new(), note: note.to_owned() };
    write("witness", "first", first.encode())?;
    let smaller = Checkpoint {
        origin: ORIGIN.into(),
        size: 2,
        root: merkle::root(leaves.get(..2).unwrap_or_default()),
    };
    let proof = leaves.get(2..).unwrap_or_default().to_vec();
    write("witness", "grown", AddCheckpoint { old: 2, proof, ..first }.encode())?;
    let line = cosign(&smaller.encode(), 1_763_762_721, &signer)?;
    write("witness", "cosignature", line.encode())?;
    let other = Checkpoint { root: Hash::from_bytes([8; 32]), ..smaller.clone() }.sign(&signer)?;
    let keys = [signer.verifier_key()];
    let one_size = ForkProof::new(&smaller.sign(&signer)?, &other, Vec::new(), &keys)?;
    write("fork", "one-size", one_size.encode())?;
    let path = [vec![smaller.root], leaves.get(2..).unwrap_or_default().to_vec()].concat();
    write("fork", "two-sizes", ForkProof::new(&other, note, path, &keys)?.encode())?;
    Ok(())
}

fn reports() -> Result<(), Failure> {
    for (kind, body) in report::bodies()?.into_iter().filter(|(kind, _)| kind.as_str().starts_with("time.")) {
        write("segment", kind.as_str(), body.disclose(|_| true).encode())?;
    }
    write("report", "text", report::package(Language::English)?.encode())?;
    let log = vec![signer()?.verifier_key()];
    let trust = Trust { log, witnesses: Vec::new() };
    for language in Language::ALL {
        let package = report::package(language)?;
        let file = angbu_time::report::render(&package.prove(&trust)?, &package.encode())?;
        write("report", &format!("file-{}", language.code()), file)?;
    }
    Ok(())
}

fn when() -> When {
    When { system: NOW + Nanos::from_secs(12), centre: Some(NOW + Nanos::from_secs(12)) }
}

fn start() -> Result<Start, Failure> {
    let at = When { system: NOW, centre: None };
    let manner = Some(Manner { nts: true, steers: false });
    Ok(Start { at, poll: Nanos::from_secs(2), clean: true, manner, software: Software::new("angbu/0.1.0")? })
}

fn alarm() -> Alarm {
    let difference = Nanos::from_secs(-3_600);
    Alarm { at: when(), kind: AlarmKind::Step, difference, since: Nanos::from_secs(1) }
}

/// An exchange that many polls after [`NOW`].
fn measured(number: i64) -> Result<Measured, Failure> {
    let source = Source {
        leap: Leap::None,
        stratum: 10,
        precision: -20,
        root_delay: NtpShort::from_bits(0),
        root_dispersion: NtpShort::from_bits(66),
        reference_id: *b"LOCL",
    };
    let poll = Nanos::from_secs(2);
    let began = NOW + poll.times(number);
    let instants = [0, 1_000_000, 1_001_000, 500_000 + number * 1_000].map(|nanos| began + Nanos::new(nanos));
    let judgement = Judgement { rate: Some(Ppb::new(17)), steady: true, in_sync: true };
    let exchange = Exchange::new(instants, source)?;
    Ok(Measured { server: NtpServerId::from_bytes([3; 16]), exchange, judgement, poll })
}

/// The key of the agent in the report.
fn agent_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn signer() -> Result<Ed25519Signer, Failure> {
    Ok(Ed25519Signer::new(ORIGIN, &[5; 32])?)
}

fn body() -> Result<Body, Failure> {
    report::body(vec![
        ("agent", b"db-3".to_vec()),
        ("tolerance-ns", b"50000000".to_vec()),
        ("note", Vec::new()),
    ])
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

/// Files as other products' own tools write them, from vectors/keys/import.
fn key_imports() -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/keys/import");
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a name that is no text")?;
        // What is like another here is left out. A thousand rounds of PBKDF2 for each of thousands of inputs would take all the
        // time; one of two rounds stands there.
        let like_another = ["privacyidea.pskc", "rfc6030-key.pskc", "google-authenticator-60", "README.md"];
        if !like_another.contains(&name.as_str()) && !name.ends_with("password.pskc") {
            let text = std::fs::read_to_string(entry.path())?;
            write("key_import", &name, text)?;
        }
    }
    Ok(())
}

/// A new passkey as a browser shows it (Web Authentication, sections 6.1 and 6.5), its public key alone, and what stands in between.
fn passkeys() -> Result<(), Failure> {
    let point = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    // COSE: {1: 1 (OKP), 3: -8 (EdDSA), -1: 6 (Ed25519), -2: the point}.
    let key = [&[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20], point.as_slice()].concat();
    let party = Sha256::digest(PASSKEY_SITE.trim_start_matches("https://"));
    // Somebody was there and was verified; a new passkey follows, of a credential id of four bytes.
    let data = [party.as_slice(), &[0b0100_0101, 0, 0, 0, 1], &[0; 16], &[0, 4], b"kept", &key].concat();
    let length = u8::try_from(data.len())?;
    let object =
        [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(), &[length], &data].concat();
    write("passkey", "attestation", object)?;
    write("passkey", "authenticator-data", data)?;
    write("passkey", "public-key", key)?;
    Ok(())
}

fn write(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), bytes)
}
