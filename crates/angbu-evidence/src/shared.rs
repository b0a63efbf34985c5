//! The inclusion of several leaves in one proof.
//!
//! The proof is a list of hashes in one defined order. Walk down from the root over the leaves `low..high`,
//! which RFC 9162, section 2.1 splits at the largest power of two below their number. While only one half
//! holds leaves to be proven, give the hash of the other half and go on in the half that does. Where both do,
//! give the hashes of the left and of the right half, then prove the left half and then the right.
//! Where one leaf is left, there is nothing to give.
//!
//! Giving both halves at a fork costs up to two hashes more a leaf than the least that would do; for that,
//! every leaf is checked against a hash that is itself checked, and a wrong leaf is named.

use crate::Hash;
use crate::merkle::{Nodes, ProveError, node_hash, range, split};

/// Why a shared proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// Nothing is to be proven.
    #[error("there is nothing to prove")]
    Empty,
    /// The leaves are not in strictly ascending order.
    #[error("entry {0} does not come after the one before it")]
    OutOfOrder(u64),
    /// A leaf lies outside the tree.
    #[error("entry {index} lies outside a log of {size} entries")]
    OutOfRange {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// A leaf and the hashes beside it do not lead to the hash that stands above them.
    #[error("entry {0} is not what the log holds at that place")]
    Leaf(u64),
    /// The two hashes over these leaves do not lead to the hash that stands above them.
    #[error("the hashes over the entries {first} to {last} do not lead to the root")]
    Fork {
        /// The first leaf below.
        first: u64,
        /// The last leaf below.
        last: u64,
    },
    /// The proof has fewer hashes than its leaves need.
    #[error("the proof ends too early: hashes are missing")]
    TooShort,
    /// The proof has hashes that its leaves do not need.
    #[error("the proof has {0} hashes too many")]
    TooLong(usize),
}

/// The proof of the leaves with these indexes, in strictly ascending order, in a tree of `size` leaves.
///
/// # Errors
/// [`ProveError::OutOfRange`] for an index outside the tree or out of order;
/// [`ProveError::Nodes`] when a hash cannot be read.
pub fn prove<N: Nodes>(nodes: &N, indexes: &[u64], size: u64) -> Result<Vec<Hash>, ProveError<N::Error>> {
    let in_order = indexes.is_sorted_by(|one, next| one < next);
    match indexes.last() {
        Some(last) if !in_order || *last >= size => Err(ProveError::OutOfRange { asked: *last, size }),
        Some(_) => {
            let mut hashes = Vec::new();
            prove_range(nodes, indexes, 0, size, &mut hashes)?;
            Ok(hashes)
        }
        None => Ok(Vec::new()),
    }
}

/// Checks that a tree of `size` leaves with this root has these leaf hashes at these indexes.
///
/// # Errors
/// The first [`SharedError`] found.
pub fn verify(leaves: &[(u64, Hash)], size: u64, proof: &[Hash], root: &Hash) -> Result<(), SharedError> {
    let (Some((_, nexts)), Some((last, _))) = (leaves.split_first(), leaves.last()) else {
        return Err(SharedError::Empty);
    };
    for ((before, _), (index, _)) in leaves.iter().zip(nexts) {
        if before >= index {
            return Err(SharedError::OutOfOrder(*index));
        }
    }
    if *last >= size {
        return Err(SharedError::OutOfRange { index: *last, size });
    }
    let mut rest = proof.iter();
    verify_range(leaves, 0, size, &mut rest, root)?;
    if rest.len() == 0 { Ok(()) } else { Err(SharedError::TooLong(rest.len())) }
}

fn prove_range<N: Nodes>(
    nodes: &N,
    indexes: &[u64],
    mut low: u64,
    mut high: u64,
    hashes: &mut Vec<Hash>,
) -> Result<(), ProveError<N::Error>> {
    while high - low > 1 {
        let middle = low + split(high - low);
        let (left, right) = indexes.split_at(indexes.partition_point(|index| *index < middle));
        match (left, right) {
            (_, []) => {
                hashes.push(range(nodes, middle, high)?);
                high = middle;
            }
            ([], _) => {
                hashes.push(range(nodes, low, middle)?);
                low = middle;
            }
            _ => {
                hashes.push(range(nodes, low, middle)?);
                hashes.push(range(nodes, middle, high)?);
                prove_range(nodes, left, low, middle, hashes)?;
                return prove_range(nodes, right, middle, high, hashes);
            }
        }
    }
    Ok(())
}

fn verify_range(
    leaves: &[(u64, Hash)],
    mut low: u64,
    mut high: u64,
    proof: &mut std::slice::Iter<'_, Hash>,
    expected: &Hash,
) -> Result<(), SharedError> {
    // The hashes beside the way down, and whether each stands on the left.
    let mut beside = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
        let mut next = || proof.next().ok_or(SharedError::TooShort);
        match (left, right) {
            (_, []) => {
                beside.push((false, next()?));
                high = middle;
            }
            ([], _) => {
                beside.push((true, next()?));
                low = middle;
            }
            ([(first, _), ..], [.., (last, _)]) => {
                let (left_hash, right_hash) = (next()?, next()?);
                if climb(node_hash(left_hash, right_hash), &beside) != *expected {
                    return Err(SharedError::Fork { first: *first, last: *last });
                }
                verify_range(left, low, middle, proof, left_hash)?;
                return verify_range(right, middle, high, proof, right_hash);
            }
        }
    }
    match leaves {
        [(_, leaf)] if climb(*leaf, &beside) == *expected => Ok(()),
        _ => Err(SharedError::Leaf(low)),
    }
}

fn climb(from: Hash, beside: &[(bool, &Hash)]) -> Hash {
    beside.iter().rev().fold(from, |hash, (on_the_left, sibling)| {
        if *on_the_left { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
    })
}
