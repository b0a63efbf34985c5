//! Gives entries their places in the log: drains the outbox, stores the batch, signs the head, publishes it.

use std::sync::Arc;

use angbu_evidence::note::Signer;
use angbu_evidence::sequence::Head;
use angbu_units::UnixTime;

use crate::{Store, StoreError};

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Size and root.
    pub head: Head,
    /// The checkpoint: a signed note.
    pub checkpoint: String,
    /// When it was signed.
    pub signed_at: UnixTime,
}

/// The running sequencer of a store; dropping it ends it, after the batch that it is at.
pub struct Sequencer {
    _todo: (),
}

impl Sequencer {
    /// Takes the log over: reads where it stands, signs its head if that is not signed yet, publishes it, and goes on
    /// in a thread of its own. The signer's name is the log's origin.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when head, tiles and counters do not belong together, and as every read and write.
    pub fn start(_store: &Store, _signer: Arc<dyn Signer>) -> Result<Self, StoreError> {
        Ok(Self { _todo: () })
    }
}
