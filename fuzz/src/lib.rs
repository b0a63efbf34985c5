//! What must hold for any bytes that a stranger sends: no panic, and what reads is written the same again.
//!
//! Each function here is one target. `cargo xtask fuzz TARGET SECONDS` feeds it what coverage leads to; the test
//! `replay` feeds it the files of `corpus/TARGET`, and each of them cut short and changed, on every run of the
//! tests. An input that once broke something becomes a file there.

use angbu_evidence::fork::ForkProof;
use angbu_evidence::note::{Ed25519Signer, Note, SignatureLine, Signer as _, VerifierKey};
use angbu_evidence::report::{self, Package, Trust};
use angbu_evidence::tile::{self, TileId};
use angbu_evidence::witness::{self, AddCheckpoint};
use angbu_evidence::{Body, Checkpoint, Disclosure, Draft, Entry, Manifest, Promise, Receipt};
use angbu_keys::import::{self, File, Format, Object};
use angbu_passkeys::{self as passkeys, Assertion, ClientData, PublicKey, RelyingParty};
use angbu_time::chain::Chain;
use angbu_time::events::{self, Enrolment};
use angbu_time::exchange::Exchange;
use angbu_time::ingest::{self, Known};
use angbu_time::nts::client::Session;
use angbu_time::nts::cookie::{EpochSecret, Keys};
use angbu_time::nts::extension::Fields;
use angbu_time::nts::{self, AeadKey, key_exchange};
use angbu_time::packet::{LENGTH, Mode, Packet};
use angbu_time::record::{Record, Upload};
use angbu_time::roughtime::message::{self, Message};
use angbu_time::roughtime::server::{Delegation, Round};
use angbu_time::roughtime::{REQUEST, client};
use angbu_time::segment::Segment;
use angbu_time::server::{self, ServerState, Unsynchronised};
use angbu_units::{AgentId, Nanos, NtpServerId, NtpTimestamp, UnixTime};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

/// What is fed; it panics when a property is broken.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("body", body),
    ("checkpoint", checkpoint),
    ("entry", entry),
    ("fork", fork),
    ("key_import", key_import),
    ("manifest", manifest),
    ("ntp_packet", ntp_packet),
    ("nts_datagram", nts_datagram),
    ("nts_key_exchange", nts_key_exchange),
    ("passkey", passkey),
    ("receipt", receipt),
    ("report", report),
    ("roughtime", roughtime),
    ("segment", segment),
    ("tile", tile),
    ("upload", upload),
    ("witness", witness),
];

/// The log key of the reports in the corpus, whose seed is 32 bytes of 5: with it, what a changed report still
/// proves is reached too.
pub const LOG_KEY: &str = "centre.example/log+8c69ede9+AW56HN0psLeP0Tr0xVmP7/TvKpcWbjym8uT7/M2AUFvx";

/// The instant at which the corpus was made.
pub const NOW: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_000);

/// An entry's salted fields, whole and partly disclosed.
///
/// # Panics
/// When a property is broken, as every target.
pub fn body(data: &[u8]) {
    if let Ok(body) = Body::decode(data) {
        assert_eq!(body.encode(), data);
        assert_eq!(body.disclose(|_| false).root(), body.root());
        assert_eq!(body.disclose(|_| true).root(), body.root());
    }
    if let Ok(disclosure) = Disclosure::decode(data) {
        assert_eq!(disclosure.encode(), data);
        let _ = disclosure.root();
    }
}

/// Signed notes, checkpoints in them, and verifier keys.
///
/// # Panics
/// When a property is broken, as every target.
pub fn checkpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(checkpoint) = Checkpoint::decode(text) {
        assert_eq!(checkpoint.encode(), text);
    }
    let _ = Checkpoint::decode_with_extensions(text);
    if let Ok(note) = Note::parse(text) {
        assert_eq!(note.encode(), text);
        let _ = Checkpoint::decode(&note.text);
    }
}

/// An entry of the log, and a draft of one.
///
/// # Panics
/// When a property is broken, as every target.
pub fn entry(data: &[u8]) {
    if let Ok(entry) = Entry::decode(data) {
        assert_eq!(entry.encode().as_bytes(), data);
    }
    if let Ok(draft) = Draft::decode(data) {
        assert_eq!(draft.encode(), data);
    }
}

/// The proof that a log has signed two histories.
///
/// # Panics
/// When a property is broken, as every target.
pub fn fork(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(proof) = ForkProof::decode(text) else { return };
    assert_eq!(proof.encode(), text);
    assert!(proof.verify(&[]).is_err());
    let log = LOG_KEY.parse().expect("the corpus's key is a key");
    if let Ok(fork) = proof.verify(&[log]) {
        assert!(fork.smaller.size <= fork.larger.size && !fork.to_string().is_empty());
    }
}

/// The site that the passkeys in the corpus are for.
pub const PASSKEY_SITE: &str = "https://trust.example.com";
/// The challenge that they answer.
pub const PASSKEY_CHALLENGE: [u8; 32] = [7; 32];

/// What a browser sends of a passkey: the attestation object of a new one, the authenticator's data of a sign-in, a public key.
///
/// # Panics
/// When a property is broken, as every target.
pub fn passkey(data: &[u8]) {
    let Ok(party) = RelyingParty::of(PASSKEY_SITE) else { return };
    let client = |kind| ClientData {
        bytes: b"{}",
        kind,
        challenge: &PASSKEY_CHALLENGE,
        origin: PASSKEY_SITE,
        cross_origin: false,
    };
    if let Ok(made) = passkeys::register(&party, &PASSKEY_CHALLENGE, &client("webauthn.create"), data) {
        assert!((1..=passkeys::LONGEST_CREDENTIAL_ID).contains(&made.credential_id.len()));
        assert!(PublicKey::read(made.public_key.as_bytes()).is_ok_and(|key| key == made.public_key));
        // Nobody has signed this.
        let answer = Assertion {
            client: client("webauthn.get"),
            authenticator_data: data,
            signature: data,
            user_handle: None,
        };
        let kept = (&made.public_key, made.counter, b"somebody".as_slice());
        assert!(passkeys::judge_sign_in(&party, &PASSKEY_CHALLENGE, &answer, kept).is_err());
    }
    if let Ok(key) = PublicKey::read(data) {
        assert_eq!(key.as_bytes(), data);
        for (authenticator_data, signature) in [data.split_at(data.len() / 2), (data, &[])] {
            let client = client("webauthn.get");
            let answer = Assertion { client, authenticator_data, signature, user_handle: Some(b"somebody") };
            let kept = (&key, 0, b"somebody".as_slice());
            assert!(passkeys::judge_sign_in(&party, &PASSKEY_CHALLENGE, &answer, kept).is_err());
        }
    }
}

/// The key, the password and the key of privacyIDEA's own export, under which the files in the corpus are encrypted.
pub const IMPORT_KEYS: [&str; 3] =
    ["12345678901234567890123456789012", "qwerty", "Vl6hxNGH7KBsxppt-eXV36PiphVC6njEecqlcqhVeBA="];

/// A file of tokens from another product, as what it looks like and as one of the formats.
///
/// # Panics
/// When a property is broken, as every target.
pub fn key_import(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let [key, password, sealed] = IMPORT_KEYS;
    let said = Format::ALL.get(data.len() % Format::ALL.len()).copied();
    for format in [None, said] {
        let key = Some(if text.starts_with("gAAAA") { sealed } else { key });
        // Rounds of PBKDF2 are what they are; a thousand for each input would leave time for nothing else.
        let password = (!text.contains("00</")).then_some(password);
        let file = File { text, format, key, password, holder: Some("kim"), objects, now: NOW };
        let Ok(reading) = import::read(&file) else { continue };
        assert!(reading.tokens.len() + reading.refused.len() <= import::MOST);
        for token in &reading.tokens {
            assert!((import::SHORTEST_SECRET..=import::LONGEST_SECRET).contains(&token.secret.len()));
            assert!(token.login_id.is_some() || token.serial.is_some());
            assert!((6..=10).contains(&token.digits.count()) && token.line > 0);
        }
    }
}

/// Enough of JSON for this: pairs of names and values between quotation marks, an object a line.
fn objects(text: &str) -> Option<Vec<Object>> {
    let object = |line: &str| {
        let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let pairs = words.chunks_exact(2).filter_map(|pair| match pair {
            [name, value] => Some(((*name).to_owned(), Zeroizing::new((*value).to_owned()))),
            _ => None,
        });
        pairs.collect::<Object>()
    };
    text.starts_with('[').then(|| text.lines().map(object).collect())
}

/// The manifest of who has how many entries.
///
/// # Panics
/// When a property is broken, as every target.
pub fn manifest(data: &[u8]) {
    let Ok(manifest) = Manifest::decode(data) else { return };
    assert_eq!(manifest.encode(), data);
    let root = manifest.root();
    for (customer, counter) in manifest.leaves() {
        let proof = manifest.prove(customer).expect("every customer of a manifest has a proof");
        proof.verify(customer, counter, &root).expect("a manifest proves its own leaves");
    }
}

/// A datagram at the NTP port.
///
/// # Panics
/// When a property is broken, as every target.
pub fn ntp_packet(data: &[u8]) {
    let packet = Packet::decode(data);
    if let Ok(packet) = packet {
        assert!(data.starts_with(&packet.encode()));
    }
    let state = ServerState::unsynchronised(Unsynchronised::Initial, -20, NOW);
    let mut reply = [0; LENGTH];
    let answered = server::answer(data, NOW, NOW, &state, &mut reply).is_ok();
    assert_eq!(answered, packet.is_ok_and(|packet| packet.mode == Mode::Client));
    if let (true, Ok(request), Ok(reply)) = (answered, packet, Packet::decode(&reply)) {
        assert_eq!((reply.mode, reply.version), (Mode::Server, request.version));
        assert_eq!(reply.origin, request.transmit);
    }
    // What an agent makes of the same bytes as an answer to its own request.
    if let Ok(reply) = packet {
        let request = Packet { mode: Mode::Client, transmit: reply.origin, ..reply }.encode();
        if let Ok(exchange) = Exchange::read(&request, data, NOW, NOW) {
            assert!(exchange.bound() >= exchange.delay().abs());
        }
    }
}

/// The keys of the clients in the corpus, and the epoch of their cookies.
pub const NTS_KEYS: [[u8; 32]; 3] = [[1; 32], [2; 32], [3; 32]];

/// A datagram at the NTP port of a server with NTS, and at the port of a client that waits for a reply.
///
/// # Panics
/// When a property is broken, as every target.
pub fn nts_datagram(data: &[u8]) {
    let [to_server, to_client, epoch] = NTS_KEYS;
    let server = NtpServerId::from_bytes([7; 16]);
    let Some(mut keys) = Keys::prepare(server, &[EpochSecret::new(5, epoch)], 5) else { return };
    let mut rng = StdRng::seed_from_u64(1);
    let state = ServerState::unsynchronised(Unsynchronised::Initial, -20, NOW);
    let mut out = vec![0; data.len()];
    let answered = nts::server::answer(data, NOW, NOW, &state, Some((&mut keys, &mut rng)), &mut out);
    if let Ok(reply) = answered {
        assert!((LENGTH..=data.len()).contains(&reply.length), "a reply is never longer than its request");
    }
    let fields = Fields::of_packet(data).flatten().map(|field| 4 + field.body.len()).sum::<usize>();
    assert!(LENGTH.saturating_add(fields) <= data.len().max(LENGTH));
    let cookies = vec![vec![9; 104]; 2];
    let mut session = Session::new(&AeadKey::new(to_server), &AeadKey::new(to_client), cookies);
    if let Some(request) = session.ask(NtpTimestamp::from_bits(42), [5; 32], None, &mut rng) {
        assert!(session.read(&request, &request.datagram).is_err());
        // Whatever counts as a reply counts once.
        if session.read(&request, data).is_ok() {
            assert!(session.read(&request, data).is_err());
        }
    }
}

/// The seed of the long-term key of the Roughtime server in the corpus, and the nonce of its client.
pub const ROUGHTIME: ([u8; 32], [u8; 32]) = ([5; 32], [6; 32]);

/// A datagram at the port of a Roughtime server, and at that of its client.
///
/// # Panics
/// When a property is broken, as every target.
pub fn roughtime(data: &[u8]) {
    if let Ok(message) = message::unframe(data).and_then(Message::read) {
        let fields: Vec<_> = message.fields().collect();
        assert_eq!(message::frame(&message::write(&fields)), data, "a packet has one form");
    }
    let (seed, nonce) = ROUGHTIME;
    let Ok(key) = Ed25519Signer::new("roughtime", &seed) else { return };
    let public_key = *key.verifier_key().public_key();
    let request = client::request(&public_key, &nonce);
    if let Ok(reply) = client::verify(&public_key, &request, data) {
        assert!(reply.earliest() <= reply.midpoint && reply.midpoint <= reply.latest());
    }
    // Only what is long enough to be answered needs a server, which is dear to make.
    if data.len() < REQUEST || !data.starts_with(b"ROUGHTIM") {
        return;
    }
    let (from, until) = (NOW - Nanos::from_secs(60), NOW + Nanos::from_secs(60));
    let mut rng = StdRng::seed_from_u64(1);
    let Ok(delegation) = Delegation::new(&[&key], from, until, &mut rng) else { return };
    let mut round = Round::new(2);
    if round.add(data, &delegation).is_ok() {
        round.sign(&delegation, NOW, 1);
        let reply = round.reply(0, &delegation);
        assert!(!reply.is_empty() && reply.len() < data.len(), "a reply is never longer than its request");
    }
}

/// The records of a key exchange, at either end.
///
/// # Panics
/// When a property is broken, as every target.
pub fn nts_key_exchange(data: &[u8]) {
    if let Ok(Some(request)) = key_exchange::Request::read(data) {
        let response = key_exchange::respond(&request, [&[1; 104][..]], 123);
        let read = key_exchange::Response::read(&response);
        assert_eq!(request.can_be_served(), read.is_ok_and(|read| read.is_some()));
    }
    if let Ok(Some(response)) = key_exchange::Response::read(data) {
        assert!((1..=8).contains(&response.cookies.len()));
        assert!(response.cookies.iter().all(|cookie| cookie.len() <= key_exchange::LONGEST_COOKIE));
    }
}

/// A receipt and a promise.
///
/// # Panics
/// When a property is broken, as every target.
pub fn receipt(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(receipt) = Receipt::decode(text) {
        assert_eq!(receipt.encode(), text);
        let _ = Entry::decode(&receipt.entry);
    }
    if let Ok(promise) = Promise::decode(text) {
        assert_eq!(promise.encode(), text);
    }
}

/// A report: the file, and the evidence inside it.
///
/// # Panics
/// When a property is broken, as every target.
pub fn report(data: &[u8]) {
    let in_file = report::extract(data).ok();
    let alone = std::str::from_utf8(data).ok().and_then(|text| Some((Package::decode(text).ok()?, text)));
    for (package, text) in in_file.into_iter().chain(alone) {
        assert_eq!(package.encode(), text);
        let log = LOG_KEY.parse().expect("the corpus's key is a key");
        if let Ok(proven) = package.prove(&Trust { log: vec![log], witnesses: Vec::new() })
            && let Ok(file) = angbu_time::report::render(&proven, text)
        {
            assert!(report::extract(file.as_bytes()).is_ok_and(|(again, _)| again == package));
        }
        assert!(package.prove(&Trust::default()).is_err());
    }
}

/// The fields of the entries that agents cause, whichever they are.
///
/// # Panics
/// When a property is broken, as every target.
pub fn segment(data: &[u8]) {
    let Ok(fields) = Disclosure::decode(data) else { return };
    let field = |name: &str| fields.get(name);
    let written = |name: &str, value: &[u8]| assert_eq!(fields.get(name), Some(value), "{name}");
    if let Ok(segment) = Segment::read(field) {
        // Whatever is said to be signed, by an agent without a key nothing is.
        assert!(!matches!(segment.verify(&[2; 32]), Ok(Some(_))));
        segment.fields().iter().for_each(|(name, value)| written(name, value));
    }
    if let Ok(enrolment) = Enrolment::read(field) {
        enrolment.fields().iter().for_each(|(name, value)| written(name, value));
    }
    for kind in events::KINDS {
        if let Ok((agent, record)) = events::read(&kind, field) {
            assert!(events::entry(agent, &record).is_some_and(|(again, _)| again == kind));
        }
    }
}

/// Tiles: their paths, their hashes, and bundles of entries.
///
/// # Panics
/// When a property is broken, as every target.
pub fn tile(data: &[u8]) {
    if let Ok(entries) = tile::decode_bundle(data) {
        let again = tile::encode_bundle(entries.iter().map(Vec::as_slice));
        assert_eq!(again.expect("what was a bundle is one again"), data);
    }
    if let Some(hashes) = tile::decode_hashes(data) {
        assert_eq!(tile::encode_hashes(&hashes), data);
    }
    let Ok(path) = std::str::from_utf8(data) else { return };
    if let Ok(id) = TileId::parse(path) {
        assert_eq!(id.path(), path);
    }
    if let Ok((index, width)) = tile::parse_entries(path) {
        assert_eq!(tile::entries_path(index, width), path);
    }
}

/// An agent's upload, with its signature and without.
///
/// # Panics
/// When a property is broken, as every target.
pub fn upload(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode(), data);
    }
    if let Ok(upload) = Upload::decode(data) {
        assert_eq!(upload.encode(), data);
    }
    let (agent, public_key) = (AgentId::from_bytes([1; 16]), [2; 32]);
    let known = Known { agent, public_key, next_seq: 1, chain: Chain::begin(agent, &public_key, 1) };
    assert!(ingest::accept(&known, data, NOW).is_err(), "nobody can sign for this key");
}

/// A request to a witness that already knows the corpus's log, and the lines of its answer.
///
/// # Panics
/// When a property is broken, as every target.
pub fn witness(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Some(line) = SignatureLine::parse(text) {
            assert_eq!(line.encode(), text);
        }
        if let Some(lines) = witness::parse_cosignatures(text) {
            assert_eq!(witness::encode_cosignatures(&lines), text);
        }
    }
    let Ok(request) = AddCheckpoint::parse(data) else { return };
    assert_eq!(request.encode().as_bytes(), data);
    let keys = [LOG_KEY.parse().expect("the corpus's key is a key")];
    let mut known = None;
    for _ in 0..2 {
        match witness::decide(known.as_ref(), &keys, &request) {
            Ok(accepted) => {
                assert!(known.is_none() || request.old == accepted.new.size);
                known = Some(accepted.new);
            }
            Err(refused) => assert_eq!(refused.size_body().is_some(), refused.status() == 409),
        }
    }
}
