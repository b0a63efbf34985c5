//! The append-only log: entries, Merkle tree, checkpoints, proofs, reports and the offline verifier.
//!
//! Everything here is a function of its arguments: where bytes are stored, which device signs and what
//! time it is are the caller's to know.

pub mod body;
pub mod checkpoint;
pub mod cose;
pub mod cosign;
pub mod entry;
pub mod erasure;
pub mod fork;
mod hash;
mod kind;
pub mod manifest;
pub mod merkle;
#[cfg(test)]
mod mutation;
pub mod note;
pub mod receipt;
pub mod report;
pub mod sequence;
pub mod shared;
mod text;
pub mod tile;
pub mod witness;

pub use body::{Body, Disclosure, Field, Part};
pub use checkpoint::Checkpoint;
pub use entry::{Draft, Entry};
pub use hash::{Hash, NotAHash};
pub use kind::{Kind, NotAKind};
pub use manifest::{Counter, Manifest};
pub use receipt::{Promise, Receipt};
