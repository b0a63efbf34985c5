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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::merkle::tests::Tree;
    use crate::merkle::{leaf_hash, tree_root};

    fn leaves(tree: &Tree, indexes: &[u64]) -> Vec<(u64, Hash)> {
        indexes.iter().map(|index| (*index, tree.0[usize::try_from(*index).unwrap()])).collect()
    }

    #[test]
    fn what_cannot_be_proven_is_refused() {
        let tree = Tree::of(6);
        let root = tree_root(&tree, 6).unwrap();
        assert_eq!(verify(&[], 6, &[], &root), Err(SharedError::Empty));
        let proof = prove(&tree, &[2, 4], 6).unwrap();
        assert_eq!(verify(&leaves(&tree, &[4, 2]), 6, &proof, &root), Err(SharedError::OutOfOrder(2)));
        assert_eq!(verify(&leaves(&tree, &[2, 2]), 6, &proof, &root), Err(SharedError::OutOfOrder(2)));
        let outside = Err(SharedError::OutOfRange { index: 5, size: 5 });
        assert_eq!(verify(&leaves(&tree, &[2, 5]), 5, &proof, &root), outside);
        assert_eq!(prove(&tree, &[4, 2], 6), Err(ProveError::OutOfRange { asked: 2, size: 6 }));
        assert_eq!(prove(&tree, &[6], 6), Err(ProveError::OutOfRange { asked: 6, size: 6 }));
        assert_eq!(prove(&tree, &[], 6), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn chosen_leaves_are_proven_and_a_wrong_one_is_named(
            size in 1u64..300,
            chosen in prop::collection::btree_set(any::<u64>(), 1..12),
            place: prop::sample::Index,
        ) {
            let tree = Tree::of(300);
            let chosen: BTreeSet<u64> = chosen.iter().map(|index| index % size).collect();
            let indexes: Vec<u64> = chosen.into_iter().collect();
            let root = tree_root(&tree, size).unwrap();
            let mut proven = leaves(&tree, &indexes);
            let proof = prove(&tree, &indexes, size).unwrap();
            prop_assert_eq!(verify(&proven, size, &proof, &root), Ok(()));
            let levels = usize::try_from(size.next_power_of_two().ilog2()).unwrap();
            prop_assert!(proof.len() <= levels * indexes.len() + 2 * indexes.len());

            let mut longer = proof.clone();
            longer.push(root);
            prop_assert_eq!(verify(&proven, size, &longer, &root), Err(SharedError::TooLong(1)));
            if let Some((_, shorter)) = proof.split_last() {
                prop_assert_eq!(verify(&proven, size, shorter, &root), Err(SharedError::TooShort));
                let mut changed = proof.clone();
                *place.get_mut(&mut changed) = leaf_hash(b"something else");
                prop_assert!(verify(&proven, size, &changed, &root).is_err());
            }
            let slot = place.index(proven.len());
            proven[slot].1 = leaf_hash(b"something else");
            prop_assert_eq!(verify(&proven, size, &proof, &root), Err(SharedError::Leaf(proven[slot].0)));
        }

        #[test]
        fn random_hashes_prove_nothing(size: u64, indexes in prop::collection::btree_set(any::<u64>(), 0..8), count in 0usize..80) {
            let hash = leaf_hash(b"");
            let claimed: Vec<(u64, Hash)> = indexes.into_iter().map(|index| (index, hash)).collect();
            prop_assert!(verify(&claimed, size, &vec![hash; count], &leaf_hash(b"root")).is_err());
        }
    }
}
