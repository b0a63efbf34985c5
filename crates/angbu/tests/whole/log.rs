//! Reads a centre's log over HTTP as any auditor would, and checks it without asking the centre.

use std::convert::Infallible;

use angbu_evidence::note::VerifierKey;
use angbu_evidence::tile::{TileId, decode_bundle, entries_path};
use angbu_evidence::{Checkpoint, Entry, Hash, Receipt, merkle};

use super::process::{Process, call, http};

/// Every entry of a log, in its order.
pub(crate) struct Log {
    pub(crate) checkpoint: Checkpoint,
    /// The hashes of every complete subtree, by level: so that thousands of earlier heads can be held against the log.
    nodes: Vec<Vec<Hash>>,
    pub(crate) entries: Vec<Entry>,
}

impl merkle::Nodes for Log {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.nodes[usize::from(level)][usize::try_from(index).unwrap()])
    }
}

impl Log {
    /// Fetches the newest checkpoint, every hash tile of level 0 and every bundle of entries up to it, and checks that
    /// they belong together.
    pub(crate) fn fetch(centre: &Process) -> Self {
        let key: VerifierKey = centre.text("log_key").parse().unwrap();
        let checkpoint =
            served_checkpoint(centre.text("http"), &key).expect("the centre serves a checkpoint");
        let (mut leaves, mut entries) = (Vec::new(), Vec::new());
        let mut index = 0;
        while index * 256 < checkpoint.size {
            let width = u16::try_from((checkpoint.size - index * 256).min(256)).unwrap();
            let tile = TileId::new(0, index, width).unwrap();
            let hashes = http(centre.text("http"), "GET", &format!("/{}", tile.path()), "", b"");
            assert_eq!(hashes.status, 200, "{}: {}", tile.path(), hashes.text());
            leaves.extend(hashes.body.chunks(32).map(|hash| Hash::from_slice(hash).unwrap()));
            let path = format!("/{}", entries_path(index, width));
            let bundle = call(centre, "GET", &path, None);
            assert_eq!(bundle.status, 200, "{path}: {}", bundle.text());
            for bytes in decode_bundle(&bundle.body).unwrap() {
                assert_eq!(merkle::leaf_hash(&bytes), leaves[entries.len()], "entry {}", entries.len());
                entries.push(Entry::decode(&bytes).unwrap());
            }
            index += 1;
        }
        let mut nodes = vec![leaves];
        while let Some(below) = nodes.last().filter(|below| below.len() > 1) {
            nodes.push(
                below.as_chunks().0.iter().map(|[left, right]| merkle::node_hash(left, right)).collect(),
            );
        }
        let log = Self { checkpoint, nodes, entries };
        assert_eq!(log.entries.len() as u64, log.checkpoint.size);
        assert_eq!(log.root_at(log.checkpoint.size), log.checkpoint.root);
        log
    }

    /// The root when the log had `size` entries.
    pub(crate) fn root_at(&self, size: u64) -> Hash {
        merkle::tree_root(self, size).unwrap()
    }

    /// Asserts that a checkpoint that was once served is a head of this log.
    pub(crate) fn contains(&self, earlier: &Checkpoint) {
        assert!(
            earlier.size <= self.checkpoint.size,
            "a head of size {} was served, the log has {}",
            earlier.size,
            self.checkpoint.size
        );
        assert_eq!(
            earlier.root,
            self.root_at(earlier.size),
            "the head of size {} was served with another root",
            earlier.size
        );
    }

    /// Asserts that every customer's entries are numbered from 1 without a gap.
    pub(crate) fn is_numbered(&self) {
        let mut counts = std::collections::BTreeMap::new();
        for entry in &self.entries {
            let count = counts.entry(entry.customer).or_insert(0);
            *count += 1;
            assert_eq!(entry.number, *count, "{} of {}", entry.id, entry.customer);
        }
    }
}

/// The checkpoint that a centre serves now, its signature checked; `None` when it does not answer.
pub(crate) fn served_checkpoint(url: &str, key: &VerifierKey) -> Option<Checkpoint> {
    let answer = super::process::try_http(url, "GET", "/checkpoint", "", b"")?;
    (answer.status == 200 && !answer.body.is_empty())
        .then(|| Checkpoint::verify(&answer.text(), key).expect("a served checkpoint is signed"))
}

/// Checks a receipt by itself.
pub(crate) fn check_receipt(text: &str, key: &VerifierKey) -> (Entry, Checkpoint) {
    Receipt::decode(text).expect("a receipt reads").verify(key).expect("a receipt proves its entry")
}
