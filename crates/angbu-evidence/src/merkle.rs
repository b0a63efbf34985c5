//! The Merkle tree of RFC 9162, section 2.1 (the same as RFC 6962, section 2.1), over SHA-256.

use sha2::{Digest, Sha256};

use crate::Hash;

/// Where the hashes of a large tree stand.
pub trait Nodes {
    /// Why a hash could not be read.
    type Error;

    /// The hash of the complete subtree over the leaves `index << level .. (index + 1) << level`.
    /// Level 0 are the leaf hashes. Asked only for subtrees that lie wholly inside the tree.
    ///
    /// # Errors
    /// Whatever keeps the hash from being read.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<N: Nodes + ?Sized> Nodes for &N {
    type Error = N::Error;
    fn node(&self, level: u8, index: u64) -> Result<Hash, N::Error> {
        (**self).node(level, index)
    }
}

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// There is no such leaf, or no such earlier tree, in a tree of this size.
    #[error("{asked} lies outside a tree of {size} entries")]
    OutOfRange {
        /// The leaf's index or the earlier size that was asked for.
        asked: u64,
        /// The tree's size.
        size: u64,
    },
    /// A hash of the tree could not be read.
    #[error("a hash of the tree could not be read: {0}")]
    Nodes(E),
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf's index or the earlier size lies outside the tree.
    #[error("{asked} lies outside a tree of {size} entries")]
    OutOfRange {
        /// The leaf's index or the earlier size.
        asked: u64,
        /// The tree's size.
        size: u64,
    },
    /// The path has too many hashes or too few for this place in a tree of this size.
    #[error("the path has {0} hashes, which does not fit this place in a tree of this size")]
    WrongLength(usize),
    /// The path leads to another root of the (later) tree.
    #[error("the path does not lead to the root of the tree")]
    WrongRoot,
    /// The path leads to another root of the earlier tree.
    #[error("the path does not lead to the root of the earlier tree")]
    WrongOldRoot,
}

/// The hash of a leaf: SHA-256 of 0x00 and the data.
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash::from_bytes(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// The hash of a node: SHA-256 of 0x01 and the hashes of its two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([1]).chain_update(left.as_bytes()).chain_update(right.as_bytes());
    Hash::from_bytes(hash.finalize().into())
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash::from_bytes(Sha256::digest([]).into())
}

/// The root over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// The inclusion path of one of these leaf hashes, from the leaf up; none where there is no such leaf.
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index, mut path) = (leaves, index, Vec::new());
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        if index < left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Some(path)
}

/// The root of the tree's first `size` leaves.
///
/// # Errors
/// [`ProveError::Nodes`] when a hash cannot be read.
pub fn tree_root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, ProveError<N::Error>> {
    if size == 0 { Ok(empty_root()) } else { range(nodes, 0, size) }
}

/// The inclusion path of the leaf `index` in the tree of `size` leaves, from the leaf up
/// (RFC 9162, section 2.1.3.1).
///
/// # Errors
/// [`ProveError::OutOfRange`] unless `index` is below `size`; [`ProveError::Nodes`] when a hash cannot be read.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, ProveError<N::Error>> {
    if index >= size {
        return Err(ProveError::OutOfRange { asked: index, size });
    }
    let (mut low, mut high, mut path) = (0, size, Vec::new());
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162, section 2.1.4.1).
/// Nothing needs to be shown from the empty tree, nor from a tree to itself: the path is empty.
///
/// # Errors
/// [`ProveError::OutOfRange`] when `old` is larger than `new`; [`ProveError::Nodes`] when a hash cannot be read.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, ProveError<N::Error>> {
    if old > new {
        return Err(ProveError::OutOfRange { asked: old, size: new });
    }
    let (mut low, mut high, mut path) = (0, new, Vec::new());
    if old == 0 {
        return Ok(path);
    }
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    // Where the walk ends on the whole old tree, its root is what the verifier already holds.
    if low > 0 {
        path.push(range(nodes, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks an inclusion path (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// The first [`ProofError`] found.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { asked: index, size });
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::WrongLength(path.len()));
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            // A right edge without a sibling on this level rises until it has one.
            let rise = if place & 1 == 1 { 0 } else { place.trailing_zeros() };
            (place, last) = (place >> rise, last >> rise);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::WrongLength(path.len()));
    }
    if hash == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Checks that the tree with `new_root` begins with the tree with `old_root` (RFC 9162, section 2.1.4.2).
///
/// # Errors
/// The first [`ProofError`] found.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange { asked: old, size: new });
    }
    if old == 0 || old == new {
        let known = if old == 0 { empty_root() } else { *new_root };
        return match path {
            [] if *old_root == known => Ok(()),
            [] => Err(ProofError::WrongOldRoot),
            _ => Err(ProofError::WrongLength(path.len())),
        };
    }
    let wrong_length = ProofError::WrongLength(path.len());
    // An old tree that is complete is itself the first node.
    let (first, rest) = if old.is_power_of_two() {
        (*old_root, path)
    } else {
        let (first, rest) = path.split_first().ok_or(wrong_length)?;
        (*first, rest)
    };
    let rise = (old - 1).trailing_ones();
    let (mut place, mut last) = ((old - 1) >> rise, (new - 1) >> rise);
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if place & 1 == 1 || place == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            let rise = if place & 1 == 1 { 0 } else { place.trailing_zeros() };
            (place, last) = (place >> rise, last >> rise);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old_hash != *old_root {
        return Err(ProofError::WrongOldRoot);
    }
    if new_hash == *new_root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// The largest power of two below `size`, which is at least 2.
pub(crate) fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over the leaves `low..high`, where `low` is where the tree itself would split.
pub(crate) fn range<N: Nodes>(nodes: &N, low: u64, high: u64) -> Result<Hash, ProveError<N::Error>> {
    let size = high - low;
    if size.is_power_of_two() {
        let level = size.ilog2();
        let level_byte = u8::try_from(level).expect("a logarithm of 64 bits fits a byte");
        return nodes.node(level_byte, low >> level).map_err(ProveError::Nodes);
    }
    let middle = low + split(size);
    Ok(node_hash(&range(nodes, low, middle)?, &range(nodes, middle, high)?))
}
