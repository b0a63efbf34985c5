//! A report: one file with everything that a stranger needs to check what it says.
//!
//! The file is readable HTML with the evidence inside: entries, the disclosed fields of their bodies, one shared
//! proof, the customer's leaf of a manifest, and a checkpoint. Nothing in it is taken on trust: the evidence
//! is proven up to the log's signature, and the readable part is rendered again from what was proven and
//! compared byte by byte. What a pillar makes of the evidence is the pillar's; what proves it is here.

mod codec;
mod file;
mod prove;
mod refusal;

use angbu_units::{CustomerId, EntryId, UnixTime};

use crate::checkpoint::CheckpointError;
use crate::erasure::Erased;
use crate::manifest::{Counter, Manifest, MapProof};
use crate::merkle::{Nodes, ProveError};
use crate::note::{KeyType, Note, NoteError, VerifierKey};
use crate::{Checkpoint, Disclosure, Entry, Hash, Kind, shared};

pub use file::{LARGEST, embed, extract, verify_file};
pub use refusal::Refusal;

/// What a report is about: which pillar renders it and how, whose it is, and from when until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The pillar's word for the kind of report, as in `time`: lower-case letters and hyphens.
    pub kind: String,
    /// The version of the rendering of the readable part.
    pub rendering: u32,
    /// Whose report it is; never the site itself.
    pub customer: CustomerId,
    /// The period's first instant.
    pub from: UnixTime,
    /// The first instant after the period.
    pub to: UnixTime,
}

/// An entry in a report, with what is shown of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The entry's log index.
    pub index: u64,
    /// The entry's text.
    pub entry: String,
    /// Its body's fields, shown or hidden.
    pub fields: Disclosure,
}

/// The evidence inside a report, nothing of it proven yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What the report is about.
    pub subject: Subject,
    /// The customer's counter in the manifest.
    pub counter: Counter,
    /// The log index of the manifest's entry, which is one of the items.
    pub manifest: u64,
    /// The proof that the manifest counts so.
    pub map: MapProof,
    /// The checkpoint: a signed note.
    pub checkpoint: String,
    /// The key of each of its signatures, in their order: so that every byte of them can be checked even by whoever
    /// was not given that key, for whom it counts for nothing.
    pub signers: Vec<VerifierKey>,
    /// The entries, in ascending order of their log indexes.
    pub items: Vec<Item>,
    /// The shared proof of all items, as [`crate::shared`] orders it.
    pub nodes: Vec<Hash>,
}

/// Why a package cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError<E> {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The customer is not counted in the manifest.
    #[error("the manifest counts no entries of {0}; a report needs at least one")]
    NotCounted(CustomerId),
    /// The tree gave no proof.
    #[error(transparent)]
    Prove(#[from] ProveError<E>),
}

impl Package {
    /// Puts a package together: the checkpoint with whatever signatures are at hand and the keys that made them,
    /// of which those stay that are the log's or a witness's; the items in any order, repeated ones once; the
    /// manifest at the log index at which its entry stands (that entry is among the items); nodes of a tree at
    /// least as large as the checkpoint.
    ///
    /// An honest report has in it: the customer's entries from the one before the first whose instant is not
    /// before the period, up to the manifest's count; earlier ones as far as the rendering needs them; one entry
    /// that the manifest counts and that is not older than the period's end; the manifest's entry with its fields
    /// shown; and every clock state that one of all these names.
    ///
    /// # Errors
    /// [`AssembleError`].
    pub fn assemble<N: Nodes>(
        nodes: &N,
        (checkpoint, keys): (&str, &[VerifierKey]),
        subject: Subject,
        manifest: (u64, &Manifest),
        mut items: Vec<Item>,
    ) -> Result<Self, AssembleError<N::Error>> {
        items.sort_by_key(|item| item.index);
        items.dedup_by_key(|item| item.index);
        let mut note = Note::parse(checkpoint).map_err(CheckpointError::from)?;
        let Checkpoint { origin, size, .. } = Checkpoint::decode(&note.text)?;
        let signers = sort_signers(&mut note, &origin, keys);
        note.verify(&signers).map_err(CheckpointError::from)?;
        let checkpoint = note.encode();
        let indexes: Vec<u64> = items.iter().map(|item| item.index).collect();
        let (manifest, counts) = manifest;
        let not_counted = AssembleError::NotCounted(subject.customer);
        let (Some(counter), Some(map)) = (counts.counter(&subject.customer), counts.prove(&subject.customer))
        else {
            return Err(not_counted);
        };
        let nodes = shared::prove(nodes, &indexes, size)?;
        Ok(Self { subject, counter, manifest, map, checkpoint, signers, items, nodes })
    }

    /// The package's text. It has no `<`, no `&` and no control character but the line end.
    pub fn encode(&self) -> String {
        codec::encode(self)
    }

    /// Reads a package's text. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// The first [`Refusal`] found, naming the line.
    pub fn decode(text: &str) -> Result<Self, Refusal> {
        codec::decode(text)
    }

    /// Proves everything in the package up to the log's signature.
    ///
    /// # Errors
    /// The first [`Refusal`] found.
    pub fn prove(&self, trust: &Trust) -> Result<Proven, Refusal> {
        prove::prove(self, trust)
    }
}

/// Keeps the signatures of the log's keys, in their order, and behind them those of witnesses, by name; returns the
/// key of each. Names that the package's text cannot hold are left out.
fn sort_signers(note: &mut Note, origin: &str, keys: &[VerifierKey]) -> Vec<VerifierKey> {
    let lines = std::mem::take(&mut note.signatures).into_iter();
    let mut signed: Vec<_> = lines
        .filter_map(|line| Some((keys.iter().find(|key| line.claims(key))?.clone(), line)))
        .filter(|(key, _)| key.kind() == KeyType::Witness || key.name() == origin)
        .filter(|(key, _)| !key.name().contains(['<', '&']))
        .collect();
    // Stable, and so the log's keys stay as they were, the newest first.
    signed.sort_by_key(|(key, line)| match key.kind() {
        KeyType::Log => None,
        KeyType::Witness => Some((line.name.clone(), line.key_id)),
    });
    signed.dedup_by(|(one, _), (before, _)| one == before);
    let (signers, lines) = signed.into_iter().unzip();
    note.signatures = lines;
    signers
}

/// Whose signatures a verifier relies on. The keys come to it by another way than the report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// The log's key, or several where it has changed: at least one of them must have signed the checkpoint.
    pub log: Vec<VerifierKey>,
    /// The witnesses, each of which must have cosigned it too.
    pub witnesses: Vec<VerifierKey>,
}

/// A key that signed the checkpoint, as the report itself says and its bytes bear out. Whose key it is, nobody but
/// the verifier knows: see [`Proven::relied_on`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key.
    pub key: VerifierKey,
    /// When a witness cosigned, by its own clock.
    pub cosigned_at: Option<UnixTime>,
}

/// An entry that the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// Its log index.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
    /// What is shown of its body.
    pub fields: Disclosure,
}

/// What a package has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// What the report is about.
    pub subject: Subject,
    /// The checkpoint that everything leads to.
    pub checkpoint: Checkpoint,
    /// Who signed it: the log's keys, then the witnesses' by name.
    pub signers: Vec<Signer>,
    /// Those of these keys that the verifier was given, and so the ones that prove anything.
    pub relied_on: Vec<VerifierKey>,
    /// The entries, in ascending order of their log indexes.
    pub entries: Vec<ProvenEntry>,
    /// The customer's counter in the manifest.
    pub counter: Counter,
    /// The running number from which on no entry of the customer is left out, up to the counter's count.
    pub complete_from: u64,
    /// Up to when: the latest instant of an entry that the manifest counts.
    pub complete_until: UnixTime,
    /// The log index of the manifest's entry.
    pub manifest: u64,
}

impl Proven {
    /// The entry at this log index.
    pub fn at(&self, index: u64) -> Option<&ProvenEntry> {
        let place = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        self.entries.get(place)
    }

    /// The entry that erased this field of that entry, if one in the report says so.
    pub fn erased_by(&self, entry: EntryId, field: &str) -> Option<&ProvenEntry> {
        self.erasures().find(|(_, erased)| erased.entry == entry && erased.names(field)).map(|(by, _)| by)
    }

    /// The entries by which fields of others were erased, and what of.
    pub fn erasures(&self) -> impl Iterator<Item = (&ProvenEntry, Erased)> {
        let of_kind = self.entries.iter().filter(|entry| entry.entry.kind == Erased::KIND);
        of_kind.filter_map(|entry| Some((entry, Erased::read(&entry.fields)?)))
    }

    /// The entries of this kind, in the log's order.
    pub fn of_kind(&self, kind: &Kind) -> impl Iterator<Item = &ProvenEntry> {
        self.entries.iter().filter(move |entry| entry.entry.kind == *kind)
    }
}

impl From<NoteError> for Refusal {
    fn from(why: NoteError) -> Self {
        Self::Checkpoint(why.into())
    }
}
