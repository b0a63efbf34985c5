//! The right edge of the tree in memory, from which the newest entries are proven.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use angbu_evidence::tile::{Growth, decode_hashes};
use angbu_evidence::{Hash, merkle};

use crate::StoreError;

/// A tile with all nodes inside it, which are hashed once for all the proofs that ask for them.
pub(crate) struct Tile {
    hashes: Vec<Hash>,
    /// `above[n]` are the complete subtrees of 2^(n+1) hashes.
    above: OnceLock<Vec<Vec<Hash>>>,
}

impl Tile {
    fn new(bytes: &[u8]) -> Result<Self, StoreError> {
        let hashes =
            decode_hashes(bytes).ok_or_else(|| StoreError::corrupt("a tile is not 1 to 256 hashes"))?;
        Ok(Self { hashes, above: OnceLock::new() })
    }

    fn node(&self, height: u8, position: usize) -> Option<Hash> {
        let Some(above) = height.checked_sub(1) else { return self.hashes.get(position).copied() };
        let levels = self.above.get_or_init(|| {
            let mut levels: Vec<Vec<Hash>> = Vec::new();
            for _ in 0..7 {
                let below = levels.last().unwrap_or(&self.hashes);
                let pairs = below.as_chunks::<2>().0.iter();
                levels.push(pairs.map(|[left, right]| merkle::node_hash(left, right)).collect());
            }
            levels
        });
        levels.get(usize::from(above))?.get(position).copied()
    }
}

/// The tiles in which the newest entries and everything that proves them stand.
#[derive(Clone, Default)]
pub(crate) struct Nodes {
    tiles: BTreeMap<(u8, u64), Arc<Tile>>,
}

impl Nodes {
    /// Adds a tile as it now is.
    pub(crate) fn insert(&mut self, level: u8, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.tiles.insert((level, index), Arc::new(Tile::new(bytes)?));
        Ok(())
    }

    /// The tiles that prove the entries of an append to the log of which these are the edge: the edge and what grew.
    pub(crate) fn grown(&self, growth: &Growth) -> Result<Self, StoreError> {
        let mut grown = self.clone();
        for tile in &growth.tiles {
            grown.insert(tile.level, tile.index, &tile.hashes)?;
        }
        Ok(grown)
    }

    /// Only the last tile of each level, which the next append needs.
    pub(crate) fn edge(&self) -> Self {
        let last = |level: u8| self.tiles.range((level, 0)..=(level, u64::MAX)).next_back();
        let kept = (0..=angbu_evidence::tile::TOP_LEVEL).filter_map(last);
        Self { tiles: kept.map(|(key, tile)| (*key, Arc::clone(tile))).collect() }
    }
}

/// A node that the edge does not hold: proofs of older entries come from the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node {index} of level {level} is not in memory")]
pub(crate) struct NotHere {
    level: u8,
    index: u64,
}

impl merkle::Nodes for Nodes {
    type Error = NotHere;

    fn node(&self, level: u8, index: u64) -> Result<Hash, NotHere> {
        let (tile_level, height) = (level / 8, level % 8);
        // A tile spans 256 hashes of its level: 256 >> height nodes of this height.
        let tile_index = index >> (8 - height);
        let position = usize::try_from(index - (tile_index << (8 - height))).ok();
        let tile = self.tiles.get(&(tile_level, tile_index));
        tile.zip(position)
            .and_then(|(tile, position)| tile.node(height, position))
            .ok_or(NotHere { level, index })
    }
}
