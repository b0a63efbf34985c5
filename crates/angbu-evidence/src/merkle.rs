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

/// The most hashes that a path can have: one for each bit of a size, and the one that it begins at.
pub const LONGEST_PATH: usize = 65;

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
    // An old tree that is complete is itself the first node, and the path leaves it out.
    let (computed_old, computed_new) = if old.is_power_of_two() {
        climb(old, new, old_root, path).ok_or(ProofError::WrongLength(path.len()))?
    } else {
        roots(old, new, path)?
    };
    if computed_old != *old_root {
        return Err(ProofError::WrongOldRoot);
    }
    if computed_new == *new_root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// The path from which both roots follow: that of [`consistency`], and before it the root of the old tree where
/// that tree is complete, which a consistency path leaves to the verifier.
///
/// # Errors
/// As [`consistency`]; [`ProveError::OutOfRange`] also for an old tree that is empty or the whole.
pub fn whole_path<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, ProveError<N::Error>> {
    if old == 0 || old >= new {
        return Err(ProveError::OutOfRange { asked: old, size: new });
    }
    let mut path = consistency(nodes, old, new)?;
    if old.is_power_of_two() {
        path.insert(0, tree_root(nodes, old)?);
    }
    Ok(path)
}

/// The roots of the first `old` and of all `new` leaves of the one tree that a [`whole_path`] is of.
///
/// # Errors
/// [`ProofError::OutOfRange`] unless `old` lies between 0 and `new`; [`ProofError::WrongLength`].
pub fn roots(old: u64, new: u64, path: &[Hash]) -> Result<(Hash, Hash), ProofError> {
    if old == 0 || old >= new {
        return Err(ProofError::OutOfRange { asked: old, size: new });
    }
    let climbed = path.split_first().and_then(|(first, rest)| climb(old, new, first, rest));
    climbed.ok_or(ProofError::WrongLength(path.len()))
}

/// Both roots above the last complete subtree of the old tree; none where the path is of another length.
fn climb(old: u64, new: u64, first: &Hash, path: &[Hash]) -> Option<(Hash, Hash)> {
    let rise = (old - 1).trailing_ones();
    let (mut place, mut last) = ((old - 1) >> rise, (new - 1) >> rise);
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return None;
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
    (last == 0).then_some((old_hash, new_hash))
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

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use tlog_tiles::{HashReader, check_record, check_tree, prove_record, prove_tree};

    use super::*;

    /// A tree in memory, from its leaf hashes.
    pub(crate) struct Tree(pub(crate) Vec<Hash>);

    impl Tree {
        pub(crate) fn of(size: usize) -> Self {
            Self((0..size).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect())
        }
    }

    impl Nodes for Tree {
        type Error = Infallible;
        fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
            let first = usize::try_from(index << level).unwrap();
            Ok(root(&self.0[first..first + (1 << level)]))
        }
    }

    impl HashReader for Tree {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            let node = |index: &u64| {
                let (level, place) = tlog_tiles::split_stored_hash_index(*index);
                foreign(&self.node(level, place).unwrap())
            };
            Ok(indexes.iter().map(node).collect())
        }
    }

    fn foreign(hash: &Hash) -> tlog_tiles::Hash {
        tlog_tiles::Hash(*hash.as_bytes())
    }

    fn foreign_path(path: &[Hash]) -> Vec<tlog_tiles::Hash> {
        path.iter().map(foreign).collect()
    }

    /// The trees of the certificate-transparency project's own tests, which every implementation knows.
    #[test]
    fn the_known_trees() {
        let leaves: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (size, expected) in roots.iter().enumerate() {
            let hashes: Vec<Hash> = leaves[..size].iter().map(|leaf| leaf_hash(leaf)).collect();
            let hex: String = root(&hashes).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(&hex, expected, "{size} leaves");
        }
    }

    #[test]
    fn every_proof_of_small_trees_agrees_with_another_implementation() {
        let tree = Tree::of(40);
        for size in 1..=40u64 {
            let whole = tree_root(&tree, size).unwrap();
            assert_eq!(foreign(&whole), tlog_tiles::tree_hash(size, &tree).unwrap());
            for index in 0..size {
                let leaf = tree.0[usize::try_from(index).unwrap()];
                let path = inclusion(&tree, index, size).unwrap();
                assert_eq!(foreign_path(&path), prove_record(size, index, &tree).unwrap());
                check_record(&foreign_path(&path), size, foreign(&whole), index, foreign(&leaf)).unwrap();
                verify_inclusion(&leaf, index, size, &path, &whole).unwrap();
                let in_memory = &tree.0[..usize::try_from(size).unwrap()];
                assert_eq!(super::path(in_memory, usize::try_from(index).unwrap()), Some(path));
            }
            for old in 1..=size {
                let old_root = tree_root(&tree, old).unwrap();
                let path = consistency(&tree, old, size).unwrap();
                assert_eq!(foreign_path(&path), prove_tree(size, old, &tree).unwrap());
                check_tree(&foreign_path(&path), size, foreign(&whole), old, foreign(&old_root)).unwrap();
                verify_consistency(old, &old_root, size, &whole, &path).unwrap();
            }
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let (tree, hash) = (Tree::of(5), leaf_hash(b""));
        let outside = Err(ProveError::OutOfRange { asked: 5, size: 5 });
        assert_eq!(inclusion(&tree, 5, 5), outside);
        assert_eq!(consistency(&tree, 6, 5), Err(ProveError::OutOfRange { asked: 6, size: 5 }));
        assert_eq!(path(&tree.0, 5), None);
        let outside = Err(ProofError::OutOfRange { asked: 0, size: 0 });
        assert_eq!(verify_inclusion(&hash, 0, 0, &[], &hash), outside);
        assert_eq!(consistency(&tree, 0, 5), Ok(Vec::new()));
        assert_eq!(verify_consistency(0, &empty_root(), 5, &hash, &[]), Ok(()));
        assert_eq!(verify_consistency(0, &hash, 5, &hash, &[]), Err(ProofError::WrongOldRoot));
        assert_eq!(verify_consistency(3, &hash, 5, &hash, &[]), Err(ProofError::WrongLength(0)));
        assert_eq!(verify_consistency(5, &hash, 5, &hash, &[hash]), Err(ProofError::WrongLength(1)));
        assert_eq!(
            verify_consistency(u64::MAX - 1, &hash, u64::MAX, &hash, &[hash; 70]),
            Err(ProofError::WrongLength(70))
        );
        assert_eq!(
            verify_inclusion(&hash, u64::MAX - 1, u64::MAX, &[hash; 70], &hash),
            Err(ProofError::WrongLength(70))
        );
    }

    /// Paths of a million hashes and sizes that no log has cost no more than their first 65 hashes.
    #[test]
    fn absurd_paths_are_refused() {
        let (hash, million) = (leaf_hash(b""), vec![leaf_hash(b""); 1_000_000]);
        let wrong = |length| ProofError::WrongLength(length);
        for (old, new) in [(1, 2), (3, 5), (1 << 63, u64::MAX), (u64::MAX - 1, u64::MAX), (1, u64::MAX)] {
            assert_eq!(verify_consistency(old, &hash, new, &hash, &million), Err(wrong(1_000_000)));
            assert_eq!(roots(old, new, &million), Err(wrong(1_000_000)));
            assert_eq!(verify_inclusion(&hash, old, new, &million, &hash), Err(wrong(1_000_000)));
            assert!(roots(old, new, &[]).is_err());
        }
        assert_eq!(roots(5, 5, &million), Err(ProofError::OutOfRange { asked: 5, size: 5 }));
        assert_eq!(roots(0, 5, &million), Err(ProofError::OutOfRange { asked: 0, size: 5 }));
        assert!(verify_consistency(u64::MAX, &hash, 1, &hash, &million).is_err());
    }

    proptest! {
        #[test]
        fn large_trees_agree_with_another_implementation(size in 1u64..3000, a: u64, b: u64) {
            let tree = Tree::of(3000);
            let (index, old) = (a % size, b % size + 1);
            let whole = tree_root(&tree, size).unwrap();
            prop_assert_eq!(foreign_path(&inclusion(&tree, index, size).unwrap()), prove_record(size, index, &tree).unwrap());
            let path = consistency(&tree, old, size).unwrap();
            prop_assert_eq!(foreign_path(&path), prove_tree(size, old, &tree).unwrap());
            verify_consistency(old, &tree_root(&tree, old).unwrap(), size, &whole, &path).unwrap();
        }

        #[test]
        fn no_changed_proof_passes(size in 2u64..200, a: u64, b: u64, place: prop::sample::Index, bit in 0u8..8, kind in 0u8..5) {
            let tree = Tree::of(200);
            let whole = tree_root(&tree, size).unwrap();
            let (index, old) = (a % size, b % size + 1);
            let leaf = tree.0[usize::try_from(index).unwrap()];
            let old_root = tree_root(&tree, old).unwrap();
            let change = |path: &mut Vec<Hash>| match kind {
                0 if !path.is_empty() => {
                    let slot = place.index(path.len());
                    let mut bytes = *path[slot].as_bytes();
                    bytes[place.index(32)] ^= 1 << bit;
                    path[slot] = Hash::from_bytes(bytes);
                    true
                }
                1 => {
                    path.push(leaf);
                    true
                }
                2 => path.pop().is_some(),
                3 => {
                    path.insert(0, leaf);
                    true
                }
                _ => {
                    let before = path.clone();
                    path.reverse();
                    *path != before
                }
            };
            let mut path = inclusion(&tree, index, size).unwrap();
            if change(&mut path) {
                prop_assert!(verify_inclusion(&leaf, index, size, &path, &whole).is_err());
            }
            let mut path = consistency(&tree, old, size).unwrap();
            if change(&mut path) {
                prop_assert!(verify_consistency(old, &old_root, size, &whole, &path).is_err());
            }
        }
    }
}
