//! The log as files of at most 256 hashes or entries (C2SP `tlog-tiles`, version 0.1): their names, their
//! bytes, and the growing right edge of the tree.

use std::cell::RefCell;
use std::rc::Rc;

use crate::{Hash, merkle};

/// How many hashes a full tile has, and how many entries a full bundle.
pub const FULL: u16 = 256;
/// The highest level of tiles: with 2⁸ hashes a tile, level 7 holds the top of a tree of 2⁶⁴ leaves.
pub const TOP_LEVEL: u8 = 7;
/// How many levels of the tree one tile spans.
const HEIGHT: u8 = 8;

/// Why a path names no tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this path names no tile; write it like tile/0/x001/234 or tile/0/x001/234.p/12")]
pub struct NotATilePath;

/// The name of a tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// The tile with this level (0 to 7), index, and width (1 to 256), if there can be one.
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        let in_range = level <= TOP_LEVEL && (1..=FULL).contains(&width);
        in_range.then_some(Self { level, index, width })
    }

    /// Its level: 0 holds leaf hashes, level `n` the roots of the tiles of level `n - 1`.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Its place among the tiles of its level.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes it holds.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Its path under the log's address: `tile/0/x001/234` or `tile/0/x001/234.p/12`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, place(self.index, self.width))
    }

    /// Reads a path as [`TileId::path`] writes it.
    ///
    /// # Errors
    /// [`NotATilePath`] for any other text.
    pub fn parse(path: &str) -> Result<Self, NotATilePath> {
        let rest = path.strip_prefix("tile/").ok_or(NotATilePath)?;
        let (level, rest) = rest.split_once('/').ok_or(NotATilePath)?;
        let (index, width) = parse_place(rest)?;
        let id = level.parse().ok().and_then(|level| Self::new(level, index, width)).ok_or(NotATilePath)?;
        if id.path() == path { Ok(id) } else { Err(NotATilePath) }
    }
}

/// The path of a bundle of entries: `tile/entries/x001/234` or, below 256 of them, `tile/entries/x001/234.p/12`.
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", place(index, width))
}

/// The index and the width (1 to 256) of the bundle that a path names.
///
/// # Errors
/// [`NotATilePath`] for any text that [`entries_path`] does not write.
pub fn parse_entries(path: &str) -> Result<(u64, u16), NotATilePath> {
    let (index, width) = parse_place(path.strip_prefix("tile/entries/").ok_or(NotATilePath)?)?;
    let canonical = (1..=FULL).contains(&width) && entries_path(index, width) == path;
    if canonical { Ok((index, width)) } else { Err(NotATilePath) }
}

/// Why bytes are not a bundle of entries, or entries fit none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry is longer than the 65,535 bytes that its length prefix can say.
    #[error("an entry of {0} bytes does not fit a bundle, which holds up to 65535 for each")]
    TooLong(usize),
    /// More entries than a bundle holds.
    #[error("a bundle holds at most 256 entries")]
    TooMany,
    /// The bytes end inside an entry.
    #[error("the bundle ends inside entry {0}")]
    CutShort(usize),
}

/// The bytes of a bundle: each entry behind its length in two bytes, big end first.
///
/// # Errors
/// [`BundleError`] for more than 256 entries or one longer than 65,535 bytes.
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    for (number, entry) in entries.into_iter().enumerate() {
        if number >= usize::from(FULL) {
            return Err(BundleError::TooMany);
        }
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle.
///
/// # Errors
/// [`BundleError`] for bytes that [`encode_bundle`] does not write.
pub fn decode_bundle(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, BundleError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        if entries.len() >= usize::from(FULL) {
            return Err(BundleError::TooMany);
        }
        let cut_short = BundleError::CutShort(entries.len());
        let (length, rest) = bytes.split_first_chunk().ok_or(cut_short)?;
        let (entry, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(cut_short)?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    Ok(entries)
}

/// A tile's hashes, one behind the other.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.as_bytes()).copied().collect()
}

/// The hashes of a tile; none unless there are 1 to 256 whole ones.
pub fn decode_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (chunks, rest) = bytes.as_chunks();
    let fits = rest.is_empty() && (1..=usize::from(FULL)).contains(&chunks.len());
    fits.then(|| chunks.iter().copied().map(Hash::from_bytes).collect())
}

/// Why the hashes of stored tiles cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError<E> {
    /// The tile could not be read.
    #[error("tile {index} of level {level} could not be read: {why}")]
    Read {
        /// The tile's level.
        level: u8,
        /// The tile's index.
        index: u64,
        /// What kept it from being read.
        why: E,
    },
    /// The tile does not hold as many hashes as the tree's size asks for.
    #[error("tile {index} of level {level} holds {found} bytes where {expected} hashes belong")]
    WrongWidth {
        /// The tile's level.
        level: u8,
        /// The tile's index.
        index: u64,
        /// How many hashes it should hold (at least).
        expected: usize,
        /// How many bytes it holds.
        found: usize,
    },
}

/// The tree's nodes, computed from stored tiles. `read(level, index)` gives a tile's hashes as they now are,
/// full or not. The last tile read of each level is kept, which suits the order in which proofs ask.
pub struct TileNodes<F> {
    read: F,
    latest: RefCell<[Option<KeptTile>; TOP_LEVEL as usize + 1]>,
}

type KeptTile = (u64, Rc<Vec<Hash>>);

impl<F> TileNodes<F> {
    /// Nodes from tiles that `read` reads.
    pub fn new(read: F) -> Self {
        Self { read, latest: RefCell::default() }
    }
}

impl<E, F: Fn(u8, u64) -> Result<Vec<u8>, E>> TileNodes<F> {
    fn tile(&self, level: u8, index: u64, expected: usize) -> Result<Rc<Vec<Hash>>, TileError<E>> {
        let slot = usize::from(level);
        if let Some(Some((kept, hashes))) = self.latest.borrow().get(slot)
            && *kept == index
            && hashes.len() >= expected
        {
            return Ok(Rc::clone(hashes));
        }
        let bytes = (self.read)(level, index).map_err(|why| TileError::Read { level, index, why })?;
        let hashes = decode_hashes(&bytes).filter(|hashes| hashes.len() >= expected);
        let wrong_width = TileError::WrongWidth { level, index, expected, found: bytes.len() };
        let hashes = Rc::new(hashes.ok_or(wrong_width)?);
        if let Some(kept) = self.latest.borrow_mut().get_mut(slot) {
            *kept = Some((index, Rc::clone(&hashes)));
        }
        Ok(hashes)
    }
}

impl<E, F: Fn(u8, u64) -> Result<Vec<u8>, E>> merkle::Nodes for TileNodes<F> {
    type Error = TileError<E>;

    fn node(&self, level: u8, index: u64) -> Result<Hash, TileError<E>> {
        let (tile_level, inside) = (level / HEIGHT, level % HEIGHT);
        let first = index << inside;
        // The subtree spans at most 128 hashes at a multiple of its width, so it never leaves its tile.
        let offset = usize::try_from(first % u64::from(FULL)).expect("a remainder of 256 fits a usize");
        let end = offset + (1 << inside);
        let tile = self.tile(tile_level, first / u64::from(FULL), end)?;
        Ok(merkle::root(tile.get(offset..end).expect("the tile's width was checked when it was read")))
    }
}

/// A tile that an append has changed, with its hashes as they now are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrownTile {
    /// The tile's level.
    pub level: u8,
    /// Its index.
    pub index: u64,
    /// Its hashes, one behind the other.
    pub hashes: Vec<u8>,
}

/// What an append has made of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The tree's size now.
    pub size: u64,
    /// The tree's root now.
    pub root: Hash,
    /// Every tile that changed.
    pub tiles: Vec<GrownTile>,
}

/// The right edge of the tree: the incomplete tile of each level, which is all that an append needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    // By level, each with fewer than 256 hashes.
    rows: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree without leaves.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The edge of a tree of `size` leaves, from the incomplete tiles that `read(level, index)` reads.
    ///
    /// # Errors
    /// [`TileError`] when a tile cannot be read or does not hold exactly what the size asks for.
    pub fn load<E>(
        size: u64,
        mut read: impl FnMut(u8, u64) -> Result<Vec<u8>, E>,
    ) -> Result<Self, TileError<E>> {
        let (mut rows, mut count) = (Vec::new(), size);
        for level in 0..=TOP_LEVEL {
            if count == 0 {
                break;
            }
            let index = count / u64::from(FULL);
            let width = usize::try_from(count % u64::from(FULL)).expect("a remainder of 256 fits a usize");
            let mut row = Vec::new();
            if width > 0 {
                let bytes = read(level, index).map_err(|why| TileError::Read { level, index, why })?;
                let wrong_width = TileError::WrongWidth { level, index, expected: width, found: bytes.len() };
                row = decode_hashes(&bytes).filter(|row| row.len() == width).ok_or(wrong_width)?;
            }
            rows.push(row);
            count = index;
        }
        Ok(Self { size, rows })
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root.
    pub fn root(&self) -> Hash {
        let mut rest = None;
        for row in &self.rows {
            // What is left over on a level is the last and incomplete subtree of the level above,
            // where RFC 9162's split leaves it in just this place.
            let hashes: Vec<Hash> = row.iter().copied().chain(rest).collect();
            rest = (!hashes.is_empty()).then(|| merkle::root(&hashes));
        }
        rest.unwrap_or_else(merkle::empty_root)
    }

    /// Appends leaf hashes.
    pub fn append(&mut self, leaves: &[Hash]) -> Growth {
        let (mut tiles, mut arriving, mut before) = (Vec::new(), leaves.to_vec(), self.size);
        for level in 0..=TOP_LEVEL {
            if arriving.is_empty() {
                break;
            }
            let slot = usize::from(level);
            if self.rows.len() <= slot {
                self.rows.push(Vec::new());
            }
            let row = self.rows.get_mut(slot).expect("the row was just made");
            row.append(&mut arriving);
            let mut index = before / u64::from(FULL);
            before = index;
            let full = row.len() - row.len() % usize::from(FULL);
            for tile in row.drain(..full).as_slice().chunks(usize::from(FULL)) {
                tiles.push(GrownTile { level, index, hashes: encode_hashes(tile) });
                arriving.push(merkle::root(tile));
                index += 1;
            }
            if !row.is_empty() {
                tiles.push(GrownTile { level, index, hashes: encode_hashes(row) });
            }
        }
        let grown = u64::try_from(leaves.len()).expect("lengths fit 64 bits");
        self.size = self.size.checked_add(grown).expect("a log ends before 2^64 entries");
        Growth { size: self.size, root: self.root(), tiles }
    }
}

/// `x001/234` or `x001/234.p/12`: the index in groups of three digits, all but the last marked with an x.
fn place(index: u64, width: u16) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < FULL { format!("{text}.p/{width}") } else { text }
}

/// Reads what [`place`] writes, and more: the caller compares with the one spelling.
fn parse_place(text: &str) -> Result<(u64, u16), NotATilePath> {
    let (index, width) = match text.split_once(".p/") {
        Some((index, width)) => (index, width.parse().map_err(|_| NotATilePath)?),
        None => (text, FULL),
    };
    let mut number = 0u64;
    for group in index.split('/') {
        let digits: u16 = group.strip_prefix('x').unwrap_or(group).parse().map_err(|_| NotATilePath)?;
        number = number
            .checked_mul(1000)
            .and_then(|number| number.checked_add(u64::from(digits)))
            .ok_or(NotATilePath)?;
    }
    Ok((number, width))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::merkle::tests::Tree;
    use crate::merkle::{Nodes, leaf_hash};
    use crate::mutation::{edits, mutate};

    type Stored = BTreeMap<(u8, u64), Vec<u8>>;

    fn reader(stored: &Stored) -> impl Fn(u8, u64) -> Result<Vec<u8>, Infallible> {
        |level, index| Ok(stored.get(&(level, index)).cloned().unwrap_or_default())
    }

    fn store(stored: &mut Stored, growth: Growth) {
        for tile in growth.tiles {
            stored.insert((tile.level, tile.index), tile.hashes);
        }
    }

    #[test]
    fn paths_have_one_spelling() {
        let table = [
            (TileId::new(0, 0, 256), "tile/0/000"),
            (TileId::new(0, 1_234, 12), "tile/0/x001/234.p/12"),
            (TileId::new(7, 1_234_067, 256), "tile/7/x001/x234/067"),
            (TileId::new(1, u64::MAX, 255), "tile/1/x018/x446/x744/x073/x709/x551/615.p/255"),
        ];
        for (id, path) in table {
            assert_eq!(id.unwrap().path(), path);
            assert_eq!(TileId::parse(path), Ok(id.unwrap()));
        }
        for path in [
            "tile/8/000",
            "tile/0/0",
            "tile/0/1000",
            "tile/0/x000/001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/012",
            "tile/00/001",
            "tile/+1/001",
            "tile/0/+01",
            "/tile/0/001",
            "tile/0/001/",
            "tile/0/",
            "tile/0/x001/x234",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/entries/000",
            "tile/0/001.p/",
            "",
        ] {
            assert_eq!(TileId::parse(path), Err(NotATilePath), "{path}");
        }
        assert_eq!(entries_path(1_234, 12), "tile/entries/x001/234.p/12");
        assert_eq!(parse_entries("tile/entries/x001/234"), Ok((1_234, 256)));
        assert_eq!(parse_entries("tile/entries/001.p/0"), Err(NotATilePath));
        assert!(
            TileId::new(8, 0, 1).is_none()
                && TileId::new(0, 0, 0).is_none()
                && TileId::new(0, 0, 257).is_none()
        );
    }

    #[test]
    fn bundles_are_bounded() {
        let long = vec![0; 65_536];
        assert_eq!(encode_bundle([long.as_slice()]), Err(BundleError::TooLong(65_536)));
        assert_eq!(encode_bundle(std::iter::repeat_n(b"".as_slice(), 257)), Err(BundleError::TooMany));
        assert_eq!(decode_bundle(&[0; 2 * 257]), Err(BundleError::TooMany));
        assert_eq!(decode_bundle(&[0, 1, 7, 0]), Err(BundleError::CutShort(1)));
        assert_eq!(decode_bundle(&[0, 2, 7]), Err(BundleError::CutShort(0)));
    }

    #[test]
    fn a_tile_of_the_wrong_width_is_refused() {
        let mut edge = Edge::empty();
        let mut stored = Stored::new();
        store(&mut stored, edge.append(&Tree::of(300).0));
        let wrong = |size| Edge::load(size, reader(&stored));
        assert!(wrong(300).is_ok());
        assert!(matches!(wrong(299), Err(TileError::WrongWidth { level: 0, index: 1, expected: 43, .. })));
        assert!(matches!(wrong(301), Err(TileError::WrongWidth { expected: 45, .. })));
        let nodes = TileNodes::new(reader(&stored));
        assert!(matches!(nodes.node(0, 300), Err(TileError::WrongWidth { expected: 45, .. })));
        let broken: Result<Edge, _> = Edge::load(1, |_, _| Err("gone"));
        assert_eq!(broken, Err(TileError::Read { level: 0, index: 0, why: "gone" }));
    }

    #[test]
    fn a_third_level_of_tiles_grows() {
        let (mut edge, mut stored) = (Edge::empty(), Stored::new());
        let tree = Tree::of(65_536 + 257);
        for leaves in tree.0.chunks(10_000) {
            store(&mut stored, edge.append(leaves));
        }
        assert_eq!(edge.root(), merkle::root(&tree.0));
        assert_eq!(stored.get(&(2, 0)).map(Vec::len), Some(32));
        assert_eq!(Edge::load(edge.size(), reader(&stored)), Ok(edge));
        let nodes = TileNodes::new(reader(&stored));
        assert_eq!(merkle::tree_root(&nodes, 65_793), Ok(merkle::root(&tree.0)));
    }

    /// Names and bytes that no log has: refused, and nothing is set aside for them.
    #[test]
    fn absurd_sizes_are_refused() {
        let most = u64::MAX;
        for path in [
            &format!("tile/0/{most}"),
            "tile/0/x18/x446/x744/x073/x709/x551/616",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/8/000",
            "tile/99999999999999999999/000",
            "tile/0/000.p/0",
            "tile/0/000.p/257",
            "tile/0/000.p/18446744073709551615",
            "tile/entries/000.p/65536",
        ] {
            assert_eq!(TileId::parse(path), Err(NotATilePath), "{path}");
            assert_eq!(parse_entries(path), Err(NotATilePath), "{path}");
        }
        let long = format!("tile/0/{}000", "x999/".repeat(1_000_000));
        assert_eq!(TileId::parse(&long), Err(NotATilePath));
        let largest = TileId::new(TOP_LEVEL, most, FULL).unwrap();
        assert_eq!(TileId::parse(&largest.path()), Ok(largest));
        assert_eq!(decode_hashes(&vec![0; 32 * 1_000_000]), None);
        assert_eq!(decode_bundle(&[0xff; 3]), Err(BundleError::CutShort(0)));
        assert_eq!(decode_bundle(&vec![0; 2 * 257]), Err(BundleError::TooMany));
        let nothing = |_, _| Ok::<_, Infallible>(Vec::new());
        assert!(matches!(
            Edge::load(most, nothing),
            Err(TileError::WrongWidth { expected: 255, found: 0, .. })
        ));
        let nodes = TileNodes::new(nothing);
        assert!(merkle::inclusion(&nodes, most - 1, most).is_err());
        assert!(merkle::consistency(&nodes, most - 1, most).is_err());
        assert!(merkle::whole_path(&nodes, 1 << 63, most).is_err());
    }

    proptest! {
        #[test]
        fn paths_agree_with_another_implementation(level in 0u8..=7, index: u64, width in 1u16..=256) {
            let id = TileId::new(level, index >> (level * 8), width).unwrap();
            let theirs = tlog_tiles::Tile::new(8, level, id.index(), width.into(), false).path();
            prop_assert_eq!(id.path(), theirs.replacen("tile/8/", "tile/", 1));
            prop_assert_eq!(TileId::parse(&id.path()), Ok(id));
        }

        #[test]
        fn what_reads_as_a_path_is_one(level in 0u8..=7, index: u64, width in 1u16..=256, edits in edits()) {
            let path = mutate(TileId::new(level, index, width).unwrap().path(), &edits);
            let path = String::from_utf8_lossy(&path);
            if let Ok(id) = TileId::parse(&path) {
                prop_assert_eq!(id.path(), path.clone());
            }
            if let Ok((index, width)) = parse_entries(&path) {
                prop_assert_eq!(entries_path(index, width), path);
            }
        }

        #[test]
        fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..=256), edits in edits()) {
            let bytes = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(&decode_bundle(&bytes).unwrap(), &entries);
            let changed = mutate(&bytes, &edits);
            if let Ok(entries) = decode_bundle(&changed) {
                prop_assert_eq!(encode_bundle(entries.iter().map(Vec::as_slice)).unwrap(), changed);
            }
        }

        #[test]
        fn the_edge_grows_as_the_tree_does(batches in prop::collection::vec(0usize..400, 1..8)) {
            let (mut edge, mut stored) = (Edge::empty(), Stored::new());
            let mut leaves: Vec<Hash> = Vec::new();
            for batch in batches {
                let before = edge.size();
                let new: Vec<Hash> = (0..batch).map(|leaf| leaf_hash(&(leaves.len() + leaf).to_be_bytes())).collect();
                leaves.extend(&new);
                let growth = edge.append(&new);
                prop_assert_eq!(growth.size, u64::try_from(leaves.len()).unwrap());
                prop_assert_eq!(growth.root, merkle::root(&leaves));
                let mut ours: Vec<_> =
                    growth.tiles.iter().map(|tile| (tile.level, tile.index, tile.hashes.len() / 32)).collect();
                let mut theirs: Vec<_> = tlog_tiles::Tile::new_tiles(8, before, growth.size)
                    .iter()
                    .map(|tile| (tile.level(), tile.level_index(), usize::try_from(tile.width()).unwrap()))
                    .collect();
                ours.sort_unstable();
                theirs.sort_unstable();
                prop_assert_eq!(ours, theirs);
                store(&mut stored, growth);
                prop_assert_eq!(&Edge::load(edge.size(), reader(&stored)).unwrap(), &edge);
                let nodes = TileNodes::new(reader(&stored));
                prop_assert_eq!(merkle::tree_root(&nodes, edge.size()), Ok(merkle::root(&leaves)));
            }
            let (tree, size) = (Tree(leaves), edge.size());
            let nodes = TileNodes::new(reader(&stored));
            for index in (0..size).step_by(97) {
                prop_assert_eq!(
                    merkle::inclusion(&nodes, index, size).unwrap(),
                    merkle::inclusion(&tree, index, size).unwrap()
                );
            }
        }
    }
}
