//! A site in memory: a log, its checkpoints and manifests, and the reports that are made of it.

use std::convert::Infallible;

use angbu_evidence::cosign::cosign;
use angbu_evidence::merkle::{self, Nodes};
use angbu_evidence::note::{Ed25519Signer, Note, Signer as _};
use angbu_evidence::report::{Item, Package, Subject, Trust};
use angbu_evidence::sequence::Sequencer;
use angbu_evidence::{Body, Disclosure, Draft, Entry, Hash, Kind, Part};
use angbu_time::report::{self, Language};
use angbu_units::{ClockVerdict, CustomerId, EntryId, Nanos, ProvenInstant, UnixTime};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub(crate) const OURS: CustomerId = CustomerId::from_bytes([0xaa; 16]);

/// A body's fields before they are salted.
pub(crate) type Fields = Vec<(&'static str, Vec<u8>)>;

pub(crate) struct Site {
    sequencer: Sequencer,
    rng: StdRng,
    clock: (EntryId, ClockVerdict),
    pub(crate) items: Vec<Item>,
    leaves: Vec<Hash>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            sequencer: Sequencer::empty(1),
            rng: StdRng::seed_from_u64(1),
            clock: (Draft::NO_CLOCK_STATE, ClockVerdict::Unproven),
            items: Vec::new(),
            leaves: Vec::new(),
        }
    }

    pub(crate) fn signer() -> Ed25519Signer {
        Ed25519Signer::new("centre.example/log", &[7; 32]).unwrap()
    }

    pub(crate) fn trust() -> Trust {
        Trust { log: vec![Self::signer().verifier_key()], witnesses: Vec::new() }
    }

    /// The clock's state from now on.
    pub(crate) fn clock(
        &mut self,
        at: UnixTime,
        verdict: ClockVerdict,
        bound: Nanos,
        source: &str,
        reason: &str,
    ) -> EntryId {
        let fields = vec![("source", source.as_bytes().to_vec()), ("reason", reason.as_bytes().to_vec())];
        let id = EntryId::new(at, &mut self.rng);
        self.clock = (id, verdict);
        self.put(id, Kind::CLOCK_STATE, CustomerId::SITE, at, bound, &fields);
        id
    }

    pub(crate) fn append(
        &mut self,
        kind: Kind,
        customer: CustomerId,
        at: UnixTime,
        fields: &Fields,
    ) -> EntryId {
        let id = EntryId::new(at, &mut self.rng);
        self.put(id, kind, customer, at, Nanos::from_millis(1), fields);
        id
    }

    fn put(
        &mut self,
        id: EntryId,
        kind: Kind,
        customer: CustomerId,
        at: UnixTime,
        bound: Nanos,
        fields: &Fields,
    ) -> u64 {
        let body = Body::new(&mut self.rng, fields.iter().cloned()).unwrap();
        let (clock_state, verdict) = self.clock;
        let instant = ProvenInstant { time: at, error_bound: bound, verdict, clock_state };
        let draft = Draft { id, kind: kind.clone(), instant, customer, body_root: body.root() };
        let batch = self.sequencer.integrate(&[draft]).unwrap();
        let (_, bytes) = &batch.entries[0];
        self.leaves.push(merkle::leaf_hash(bytes));
        let fields = body.disclose(|field| report::shows(&kind, field));
        self.items.push(Item {
            index: batch.first,
            entry: String::from_utf8(bytes.clone()).unwrap(),
            fields,
        });
        batch.first
    }

    /// Makes the log again, with other fields in the last entry of a kind.
    pub(crate) fn replace_last(&mut self, kind: &Kind, fields: &Fields) {
        let old = std::mem::replace(self, Self::new());
        let entries: Vec<_> = old
            .items
            .iter()
            .map(|item| (Entry::decode(item.entry.as_bytes()).unwrap(), &item.fields))
            .collect();
        let last = entries.iter().rposition(|(entry, _)| entry.kind == *kind).unwrap();
        for (place, (entry, shown)) in entries.iter().enumerate() {
            let fields = match owned(shown) {
                _ if place == last => fields.clone(),
                // Of a report's mark nothing is shown, and no entry is without fields.
                hidden if hidden.is_empty() => vec![("kind", report::KIND.into())],
                shown => shown,
            };
            if entry.kind == Kind::CLOCK_STATE {
                self.clock = (entry.id, entry.verdict);
            }
            self.put(entry.id, entry.kind.clone(), entry.customer, entry.time, entry.error_bound, &fields);
        }
    }

    /// Hides a field of an entry, as when it was erased.
    pub(crate) fn hide(&mut self, entry: EntryId, field: &str) {
        let text = format!("\nid {entry}\n");
        let item = self.items.iter_mut().find(|item| item.entry.contains(&text)).unwrap();
        let part = |part: &Part| match part {
            Part::Shown(shown) if shown.name == field => Part::Hidden(shown.leaf()),
            other => other.clone(),
        };
        item.fields = Disclosure::from_parts(item.fields.parts().iter().map(part).collect()).unwrap();
    }

    /// The report of everything that the log holds, its mark and its manifest appended at `to`.
    pub(crate) fn package(&mut self, from: UnixTime, to: UnixTime, language: Language) -> Package {
        self.append(Kind::REPORT, OURS, to, &vec![("kind", report::KIND.into())]);
        let manifest = self.sequencer.manifest();
        let id = EntryId::new(to, &mut self.rng);
        let index =
            self.put(id, Kind::MANIFEST, CustomerId::SITE, to, Nanos::from_millis(1), &manifest.fields());
        let checkpoint =
            self.sequencer.head().checkpoint("centre.example/log").sign(&Self::signer()).unwrap();
        let subject = Subject {
            kind: report::KIND.to_owned(),
            rendering: report::rendering(language),
            customer: OURS,
            from,
            to,
        };
        let wanted = |item: &&Item| {
            let entry = Entry::decode(item.entry.as_bytes()).unwrap();
            item.index == index
                || entry.kind == Kind::CLOCK_STATE
                || (entry.customer == OURS && item.index < index)
        };
        let items = self.items.iter().filter(wanted).cloned().collect();
        let mut note = Note::parse(&checkpoint).unwrap();
        let mut keys = vec![Self::signer().verifier_key()];
        // Two witnesses, a minute after the head was signed, the later one by name first.
        for (seconds, name) in (60u64..).zip(["witness.example/w2", "witness.example/w1"]) {
            let witness = Ed25519Signer::new(name, &[9; 32]).unwrap();
            let seconds = u64::try_from(to.nanos()).unwrap() / 1_000_000_000 + seconds;
            note.signatures.push(cosign(&note.text, seconds, &witness).unwrap());
            keys.push(witness.verifier_key().as_witness());
        }
        Package::assemble(self, (&note.encode(), &keys), subject, (index, &manifest), items).unwrap()
    }
}

/// What is shown, as it was put in.
fn owned(shown: &Disclosure) -> Fields {
    let parts = shown.parts().iter().filter_map(|part| match part {
        Part::Shown(field) => Some((&*field.name.clone().leak(), field.value.clone())),
        Part::Hidden(_) => None,
    });
    parts.collect()
}

impl Nodes for Site {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let first = usize::try_from(index << level).unwrap();
        Ok(merkle::root(&self.leaves[first..first + (1 << level)]))
    }
}

/// The file of a package that is what it should be.
pub(crate) fn file(package: &Package) -> String {
    let proven = package.prove(&Site::trust()).unwrap();
    report::render(&proven, &package.encode()).unwrap()
}

/// The file's text as a reader sees it: figures without the marks that keep them with their units.
pub(crate) fn read(html: &str) -> String {
    html.replace("<span class=\"fixed\">", "").replace("</span>", "")
}
