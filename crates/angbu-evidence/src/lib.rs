//! The append-only log: entries, Merkle tree, checkpoints, proofs, reports and the offline verifier.
