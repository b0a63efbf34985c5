//! A small site in memory: a log with two customers, and the reports that are made of it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use angbu_evidence::merkle::{self, Nodes};
use angbu_evidence::note::{Ed25519Signer, Signer, VerifierKey};
use angbu_evidence::report::{Item, Package, Proven, Subject, Trust, embed};
use angbu_evidence::sequence::Sequencer;
use angbu_evidence::{Body, Draft, Hash, Kind, Manifest};
use angbu_units::{ClockVerdict, CustomerId, EntryId, Nanos, ProvenInstant, UnixTime};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub(crate) const ORIGIN: &str = "centre.example/log";
pub(crate) const OURS: CustomerId = CustomerId::from_bytes([0xaa; 16]);
pub(crate) const THEIRS: CustomerId = CustomerId::from_bytes([0x55; 16]);

pub(crate) fn minute(minute: i64) -> UnixTime {
    UnixTime::parse_rfc3339("2026-10-01T00:00:00Z").unwrap() + Nanos::from_secs(60 * minute)
}

pub(crate) fn log_signer() -> Ed25519Signer {
    Ed25519Signer::new(ORIGIN, &[7; 32]).unwrap()
}

pub(crate) fn log_key() -> VerifierKey {
    log_signer().verifier_key()
}

pub(crate) fn trust() -> Trust {
    Trust { log: vec![log_key()], witnesses: Vec::new() }
}

pub(crate) struct Site {
    sequencer: Sequencer,
    rng: StdRng,
    clock_state: EntryId,
    pub(crate) items: Vec<Item>,
    pub(crate) manifests: BTreeMap<u64, Manifest>,
}

impl Site {
    /// Twelve hours: a clock state, two customers, a segment of ours every half hour and one of theirs beside it,
    /// another clock state at noon, an alarm.
    pub(crate) fn after_half_a_day() -> Self {
        let mut site = Self::empty();
        site.clock(minute(0), "declared");
        for customer in [OURS, THEIRS] {
            site.append(
                "account.customer",
                customer,
                minute(0),
                &[("name", "demo"), ("tolerance-ns", "50000000")],
            );
        }
        for half_hour in 1..24 {
            let at = minute(30 * half_hour);
            if half_hour == 12 {
                site.clock(at, "unproven");
            }
            let exchanges = half_hour.to_string();
            for customer in [OURS, THEIRS] {
                site.append("time.segment", customer, at, &[("agent", "agt_00"), ("exchanges", &exchanges)]);
            }
            if half_hour == 20 {
                site.append("time.alarm", OURS, at, &[("kind", "step"), ("difference-ns", "-3600000000000")]);
            }
        }
        site
    }

    pub(crate) fn empty() -> Self {
        Self {
            sequencer: Sequencer::empty(1),
            rng: StdRng::seed_from_u64(1),
            clock_state: Draft::NO_CLOCK_STATE,
            items: Vec::new(),
            manifests: BTreeMap::new(),
        }
    }

    pub(crate) fn clock(&mut self, at: UnixTime, source: &str) {
        let index = self.append("clock.state", CustomerId::SITE, at, &[("source", source)]);
        let item = &self.items[usize::try_from(index).unwrap()];
        self.clock_state = angbu_evidence::Entry::decode(item.entry.as_bytes()).unwrap().id;
    }

    pub(crate) fn append(
        &mut self,
        kind: &str,
        customer: CustomerId,
        at: UnixTime,
        fields: &[(&str, &str)],
    ) -> u64 {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
        self.append_fields(Kind::new(kind).unwrap(), customer, at, &fields)
    }

    pub(crate) fn append_fields(
        &mut self,
        kind: Kind,
        customer: CustomerId,
        at: UnixTime,
        fields: &[(&str, Vec<u8>)],
    ) -> u64 {
        let body = Body::new(&mut self.rng, fields.iter().cloned()).unwrap();
        let id = EntryId::new(at, &mut self.rng);
        let instant = ProvenInstant {
            time: at,
            error_bound: Nanos::from_millis(1),
            verdict: ClockVerdict::Declared,
            clock_state: self.clock_state,
        };
        let batch = self
            .sequencer
            .integrate(&[Draft { id, kind, instant, customer, body_root: body.root() }])
            .unwrap();
        for (_, bytes) in batch.entries {
            let entry = String::from_utf8(bytes).unwrap();
            self.items.push(Item { index: batch.first, entry, fields: body.disclose(|name| name != "name") });
        }
        batch.first
    }

    /// A manifest, and before it an entry of that instant, which it counts.
    pub(crate) fn manifest(&mut self, at: UnixTime) -> u64 {
        self.append("evidence.note", CustomerId::SITE, at, &[("text", "up to here")]);
        self.append_manifest(self.sequencer.manifest(), at)
    }

    pub(crate) fn append_manifest(&mut self, manifest: Manifest, at: UnixTime) -> u64 {
        let index = self.append_fields(Kind::MANIFEST, CustomerId::SITE, at, &manifest.fields());
        self.manifests.insert(index, manifest);
        index
    }

    pub(crate) fn checkpoint(&self) -> String {
        self.sequencer.head().checkpoint(ORIGIN).sign(&log_signer()).unwrap()
    }

    /// A package of the chosen items, whatever their choice.
    pub(crate) fn package(
        &self,
        manifest: u64,
        from: UnixTime,
        to: UnixTime,
        choose: impl Fn(&Item) -> bool,
    ) -> Package {
        self.assemble((&self.checkpoint(), &[log_key()]), manifest, from, to, choose)
    }

    /// The honest package under another checkpoint note and what is at hand of keys.
    pub(crate) fn package_signed(&self, signed: (&str, &[VerifierKey]), manifest: u64) -> Package {
        self.assemble(signed, manifest, minute(240), minute(720), move |item| {
            honest(item, manifest, minute(240))
        })
    }

    fn assemble(
        &self,
        signed: (&str, &[VerifierKey]),
        manifest: u64,
        from: UnixTime,
        to: UnixTime,
        choose: impl Fn(&Item) -> bool,
    ) -> Package {
        let items = self.items.iter().filter(|item| choose(item)).cloned().collect();
        let subject = Subject { kind: "sample".to_owned(), rendering: 1, customer: OURS, from, to };
        let manifest = (manifest, &self.manifests[&manifest]);
        Package::assemble(self, signed, subject, manifest, items).unwrap()
    }

    /// The honest package of the hours from 4 to 12, with the customer's own entry as context.
    pub(crate) fn honest(&mut self) -> Package {
        let manifest = self.manifest(minute(720));
        self.append("time.segment", THEIRS, minute(721), &[("exchanges", "1")]);
        self.package(manifest, minute(240), minute(720), move |item| honest(item, manifest, minute(240)))
    }
}

/// Our entries from the half hour before `from` on, our first, the clock states, the manifest and what it counts last.
pub(crate) fn honest(item: &Item, manifest: u64, from: UnixTime) -> bool {
    let entry = angbu_evidence::Entry::decode(item.entry.as_bytes()).unwrap();
    let counted = entry.kind == Kind::NOTE && item.index + 1 == manifest;
    let site = item.index == manifest || counted || entry.kind == Kind::CLOCK_STATE;
    let ours = entry.customer == OURS
        && (entry.time >= from - Nanos::from_secs(30 * 60) || entry.kind.as_str() == "account.customer");
    site || (ours && item.index < manifest)
}

impl Nodes for Site {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let first = usize::try_from(index << level).unwrap();
        let items = &self.items[first..first + (1 << level)];
        let leaves: Vec<Hash> = items.iter().map(|item| merkle::leaf_hash(item.entry.as_bytes())).collect();
        Ok(merkle::root(&leaves))
    }
}

/// A rendering that says everything that was proven, and no more.
pub(crate) fn render(proven: &Proven, package: &str) -> Result<String, String> {
    let subject = &proven.subject;
    if (subject.kind.as_str(), subject.rendering) != ("sample", 1) {
        return Err(format!("there is no rendering {} of {} reports", subject.rendering, subject.kind));
    }
    let mut rows = String::new();
    for entry in &proven.entries {
        let fields: Vec<String> = entry
            .fields
            .shown()
            .map(|field| format!("{} {}", field.name, field.value.escape_ascii()))
            .collect();
        let (index, kind, time) = (entry.index, &entry.entry.kind, entry.entry.time);
        rows.push_str(&format!("<tr><td>{index}<td>{kind}<td>{time}<td>{}\n", fields.join("<br>")));
    }
    let head = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Report</title>\n<h1>{} from {} to {}</h1>\n\
         <p>{} entries, complete from number {} to {}; log {} with {} entries.</p>\n<table>\n{rows}</table>\n",
        subject.customer,
        subject.from,
        subject.to,
        proven.entries.len(),
        proven.complete_from,
        proven.counter.count,
        proven.checkpoint.origin,
        proven.checkpoint.size,
    );
    Ok(embed(&head, package, "\n<p>The end.</p>\n"))
}

/// The report's file.
pub(crate) fn file(package: &Package) -> String {
    render(&package.prove(&trust()).unwrap(), &package.encode()).unwrap()
}
