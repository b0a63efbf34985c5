//! A small site's log, and the time report over it.

use angbu_evidence::cosign::cosign;
use angbu_evidence::note::{Ed25519Signer, Note, Signer as _};
use angbu_evidence::report::{Item, Package, Subject};
use angbu_evidence::sequence::Sequencer;
use angbu_evidence::{Body, Draft, Field, Hash, Kind, Manifest, merkle};
use angbu_fuzz::NOW;
use angbu_time::centre_clock::{CentreClock, Local, Settings};
use angbu_time::chain::{self, Chain, Other, Signed, Statement};
use angbu_time::events::{self, Enrolment};
use angbu_time::proof::Proof;
use angbu_time::record::{Fact, Record, Stop};
use angbu_time::report::{KIND, Language, rendering, shows};
use angbu_time::segment::{self, Kept, Segment};
use angbu_units::{CentreId, ClockVerdict, CustomerId, Monotonic, Nanos, ProvenInstant, Reading};

use crate::{AGENT, CUSTOMER, Failure, ORIGIN, agent_key, alarm, id, measured, signer, start, when};

type Fields = Vec<(&'static str, Vec<u8>)>;

/// The bodies of those entries.
pub(crate) fn bodies() -> Result<Vec<(Kind, Body)>, Failure> {
    Ok(entries()?.into_iter().map(|(draft, body)| (draft.kind, body)).collect())
}

/// Every kind of entry that a time report shows.
pub(crate) fn package(language: Language) -> Result<Package, Failure> {
    let mut log = Sequencer::empty(1);
    let written = entries()?;
    let drafts: Vec<Draft> = written.iter().map(|(draft, _)| draft.clone()).collect();
    let mut texts = log.integrate(&drafts)?.entries;
    let manifest = log.manifest();
    let counted = body(manifest.fields())?;
    let head = log.integrate(&[draft(40, Kind::MANIFEST, CustomerId::SITE, &counted)])?;
    texts.extend(head.entries);
    let bodies = written.iter().map(|(_, body)| body).chain([&counted]);

    let mut items = Vec::new();
    for ((index, (_, text)), body) in (0..).zip(&texts).zip(bodies) {
        let entry = String::from_utf8(text.clone())?;
        let kind = angbu_evidence::Entry::decode(text)?.kind;
        items.push(Item { index, entry, fields: body.disclose(|name| shows(&kind, name)) });
    }
    let leaves: Vec<Hash> = texts.iter().map(|(_, text)| merkle::leaf_hash(text)).collect();
    assemble(leaves, &head.head.checkpoint(ORIGIN).sign(&signer()?)?, &manifest, items, language)
}

fn assemble(
    leaves: Vec<Hash>,
    checkpoint: &str,
    manifest: &Manifest,
    items: Vec<Item>,
    language: Language,
) -> Result<Package, Failure> {
    let index = u64::try_from(leaves.len())? - 1;
    let subject = Subject {
        kind: KIND.into(),
        rendering: rendering(language),
        customer: CUSTOMER,
        from: NOW,
        to: NOW + Nanos::from_secs(30),
    };
    // A witness of the centre's own, so that every kind of line is there.
    let witness = Ed25519Signer::new("witness.example/w1", &[9; 32])?;
    let mut note = Note::parse(checkpoint)?;
    note.signatures.push(cosign(&note.text, 1_763_762_721, &witness)?);
    let keys = [signer()?.verifier_key(), witness.verifier_key().as_witness()];
    let signed = (note.encode(), keys);
    Ok(Package::assemble(&Small(leaves), (&signed.0, &signed.1), subject, (index, manifest), items)?)
}

fn entries() -> Result<Vec<(Draft, Body)>, Failure> {
    let text = |text: &str| text.as_bytes().to_vec();
    let customer = vec![("name", text("demo")), ("tolerance-ns", text("50000000")), ("revision", text("1"))];
    let public_key = agent_key().verifying_key().to_bytes();
    let enrolment = Enrolment { agent: AGENT, name: "db-3".into(), public_key };
    let kept = |number: u8| -> Result<Kept, Failure> {
        Ok(Kept {
            seq: u64::from(number) + 1,
            measured: measured(i64::from(number))?,
            arrived: NOW + Nanos::from_secs(9),
            clock_state: Some(id(1)),
            proof: Proof::NotShown,
        })
    };
    let exchanges = vec![kept(1)?, kept(2)?, kept(3)?];
    let facts = [(1, Fact::Start(start()?)), (5, Fact::Alarm(alarm())), (6, Fact::Stop(Stop { at: when() }))];
    let events = facts.map(|(seq, fact)| Record { seq, fact });
    let signed = Some(sign(&exchanges, &events));
    let segment = Segment { agent: AGENT, enrolment: id(3), settings: id(2), exchanges, signed };
    let mut written = vec![
        (1, Kind::CLOCK_STATE, CustomerId::SITE, clock_state()),
        (2, Kind::new("account.customer")?, CUSTOMER, customer),
        (3, events::ENROLMENT, CUSTOMER, enrolment.fields()),
        (10, segment::KIND, CUSTOMER, segment.fields()),
    ];
    for (number, record) in (11..).zip(&events) {
        let (kind, fields) = events::entry(AGENT, record).ok_or("an event has an entry")?;
        written.push((number, kind, CUSTOMER, fields));
    }
    written.push((35, Kind::REPORT, CUSTOMER, vec![("kind", text(KIND))]));
    let entries = written.into_iter().map(|(number, kind, customer, fields)| {
        let body = body(fields)?;
        Ok((draft(number, kind, customer, &body), body))
    });
    entries.collect()
}

/// What the agent signed of the segment's exchanges and of the events.
fn sign(exchanges: &[Kept], events: &[Record]) -> Signed {
    let mut records: Vec<Record> = exchanges.iter().map(Kept::record).chain(events.iter().cloned()).collect();
    records.sort_by_key(|record| record.seq);
    let before = Chain::begin(AGENT, &agent_key().verifying_key().to_bytes(), 1);
    let next_seq = records.last().map_or(1, Record::next_seq);
    let (chain, rest) = (before.after(&records), [9; 32]);
    let signature = Statement { agent: AGENT, next_seq, chain, rest }.sign(&agent_key());
    let other =
        |record: &Record| Other { seq: record.seq, next_seq: record.next_seq(), hash: chain::hash(record) };
    Signed { first_seq: 1, next_seq, before, others: events.iter().map(other).collect(), rest, signature }
}

/// What a centre says whose clock is declared.
fn clock_state() -> Fields {
    let mut settings = Settings::new(-20);
    settings.local = Some(Local { name: "local".into(), stratum: 10, bound: Nanos::from_millis(1) });
    let reading = Reading { wall: NOW, monotonic: Monotonic::from_nanos(0) };
    CentreClock::start(settings, reading).state(reading).fields(CentreId::from_bytes([4; 16]))
}

pub(crate) fn body(fields: Fields) -> Result<Body, Failure> {
    let salted = (1..).zip(fields).map(|(number, (name, value))| Field {
        name: name.into(),
        value,
        salt: [number; 32],
    });
    Ok(Body::from_fields(salted.collect())?)
}

/// An entry that many seconds after [`NOW`], resting on the first.
pub(crate) fn draft(number: u8, kind: Kind, customer: CustomerId, body: &Body) -> Draft {
    let instant = ProvenInstant {
        time: NOW + Nanos::from_secs(i64::from(number)),
        error_bound: Nanos::from_millis(1),
        verdict: ClockVerdict::Declared,
        clock_state: id(1),
    };
    Draft { id: id(number), kind, instant, customer, body_root: body.root() }
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
