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

use angbu_units::{CustomerId, UnixTime};

use crate::checkpoint::CheckpointError;
use crate::manifest::{Counter, Manifest, MapProof};
use crate::merkle::{Nodes, ProveError};
use crate::note::{Note, NoteError, VerifierKey};
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
    /// Puts a package together: the items in any order, repeated ones once; the manifest at the log index at
    /// which its entry stands (that entry is among the items); nodes of a tree at least as large as the checkpoint.
    ///
    /// An honest report has in it: the customer's entries from the one before the first whose instant is not
    /// before the period, up to the manifest's count; earlier ones as far as the rendering needs them; the
    /// manifest's entry with its fields shown; and every clock state that one of all these names.
    ///
    /// # Errors
    /// [`AssembleError`].
    pub fn assemble<N: Nodes>(
        nodes: &N,
        checkpoint: String,
        subject: Subject,
        manifest: (u64, &Manifest),
        mut items: Vec<Item>,
    ) -> Result<Self, AssembleError<N::Error>> {
        items.sort_by_key(|item| item.index);
        items.dedup_by_key(|item| item.index);
        let note = Note::parse(&checkpoint).map_err(CheckpointError::from)?;
        let size = Checkpoint::decode(&note.text)?.size;
        let indexes: Vec<u64> = items.iter().map(|item| item.index).collect();
        let (manifest, counts) = manifest;
        let not_counted = AssembleError::NotCounted(subject.customer);
        let (Some(counter), Some(map)) = (counts.counter(&subject.customer), counts.prove(&subject.customer))
        else {
            return Err(not_counted);
        };
        let nodes = shared::prove(nodes, &indexes, size)?;
        Ok(Self { subject, counter, manifest, map, checkpoint, items, nodes })
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

/// Whose signatures a verifier relies on. The keys come to it by another way than the report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// The log's key.
    pub log: Option<VerifierKey>,
    /// The witnesses that must have signed the checkpoint too.
    pub witnesses: Vec<VerifierKey>,
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
    /// The keys that signed it: the log's, then the witnesses'.
    pub signers: Vec<VerifierKey>,
    /// The entries, in ascending order of their log indexes.
    pub entries: Vec<ProvenEntry>,
    /// The customer's counter in the manifest.
    pub counter: Counter,
    /// The running number from which on no entry of the customer is left out, up to the counter's count.
    pub complete_from: u64,
    /// The log index of the manifest's entry, whose instant is when the report's data ends.
    pub manifest: u64,
}

impl Proven {
    /// The entry at this log index.
    pub fn at(&self, index: u64) -> Option<&ProvenEntry> {
        let place = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        self.entries.get(place)
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
