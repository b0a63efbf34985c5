//! Proof that a log has shown two histories: two checkpoints under its own signature that cannot both be true.
//! Whoever has the log's key can check it, and nobody without the log's secret key can make one.
//!
//! Either both have one size and other roots; or the larger tree, by a path through it, begins with another tree
//! than the smaller checkpoint says. The file is a text:
//!
//! ```text
//! angbu/1 fork
//! checkpoint LINES         and that many lines: the signed note of the smaller log
//! checkpoint LINES         and that many lines: the signed note of the larger
//! node HASH                each hash of the path through the larger tree, from which both roots follow
//! end
//! ```
//!
//! The path is the consistency path of RFC 9162, section 2.1.4, and before it, where the smaller size is a power of
//! two, the root of the larger tree's first entries: just there a consistency path leaves that root to the verifier.

use std::fmt;

use crate::checkpoint::CheckpointError;
use crate::merkle::{self, LONGEST_PATH, Nodes, ProofError, ProveError};
use crate::note::{self, KeyType, Note, NoteError, VerifierKey, VerifyError};
use crate::text::unsigned;
use crate::{Checkpoint, Hash};

/// The first line, with its line end.
pub const HEADER: &str = "angbu/1 fork\n";
/// The longest file that is read: two notes, the path, and the words around them.
pub const LONGEST: usize = 2 * note::LONGEST + LONGEST_PATH * 50 + 100;

/// Two signed checkpoints of one log, and the path that shows that they exclude each other. Nothing of it is
/// proven until [`ForkProof::verify`] has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    smaller: String,
    larger: String,
    path: Vec<Hash>,
}

/// What a fork proof has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// What the log has signed for the smaller size.
    pub smaller: Checkpoint,
    /// What the log has signed for the larger size, or the same.
    pub larger: Checkpoint,
    /// The root at the smaller size in the history of the larger checkpoint.
    pub instead: Hash,
}

impl fmt::Display for Fork {
    /// In words, for whoever opens the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { smaller: Checkpoint { origin, size, root }, larger, instead } = self;
        write!(
            f,
            "{origin} has signed two histories: one in which its first {size} entries have the root {root}, \
             and one of {} entries in which they have the root {instead}",
            larger.size
        )
    }
}

/// Why a fork proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// Longer than such files can be.
    #[error("a fork file has at most {LONGEST} bytes")]
    TooLong,
    /// A line that is not what belongs there.
    #[error("line {line} of the fork file should be {expected}")]
    BadLine {
        /// The line, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// One of the notes is no checkpoint.
    #[error("a checkpoint of the fork file is refused: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoints are of two logs.
    #[error("the checkpoints are of two logs, '{0}' and '{1}'; only one log's own word can contradict it")]
    OtherLog(String, String),
    /// No key of this log was given.
    #[error("no key of the log '{0}' was given: pass it, received by another way than this file")]
    SignerNotGiven(String),
    /// The smaller checkpoint comes second.
    #[error("the checkpoint of the smaller log comes first")]
    OutOfOrder,
    /// The path is none of these sizes.
    #[error("the path through the larger log is refused: {0}")]
    Path(#[from] ProofError),
    /// The path leads elsewhere.
    #[error("the path does not lead to the larger checkpoint's root, so it shows nothing about that log")]
    WrongPath,
    /// Both can be true.
    #[error("the two checkpoints do not contradict each other: this is no fork")]
    NoFork,
}

impl From<NoteError> for ForkError {
    fn from(why: NoteError) -> Self {
        Self::Checkpoint(why.into())
    }
}

impl From<VerifyError> for ForkError {
    fn from(why: VerifyError) -> Self {
        Self::Checkpoint(why.into())
    }
}

/// A signed note with the checkpoint that it says.
struct Signed {
    checkpoint: Checkpoint,
    note: String,
}

impl Signed {
    /// Reads a note and keeps of its signatures those that claim to be by these keys: what others have added to it
    /// is no part of the proof.
    fn read(note: &str, log: &[VerifierKey]) -> Result<Self, ForkError> {
        let mut note = Note::parse(note)?;
        let (checkpoint, _) = Checkpoint::decode_with_extensions(&note.text)?;
        let own: Vec<VerifierKey> = keys_of(&checkpoint.origin, log);
        if own.is_empty() {
            return Err(ForkError::SignerNotGiven(checkpoint.origin));
        }
        note.signatures.retain(|line| own.iter().any(|key| line.claims(key)));
        note.verify(&own)?;
        Ok(Self { checkpoint, note: note.encode() })
    }
}

/// Those of the keys with which a log of this name signs.
pub(crate) fn keys_of(origin: &str, keys: &[VerifierKey]) -> Vec<VerifierKey> {
    keys.iter().filter(|key| key.kind() == KeyType::Log && key.name() == origin).cloned().collect()
}

impl ForkProof {
    /// The proof that two notes exclude each other, if they do: in any order, and with the [`merkle::whole_path`]
    /// of the larger tree at the smaller size, which is empty where both have one size.
    ///
    /// # Errors
    /// [`ForkError`], above all [`ForkError::NoFork`]: then both can be true.
    pub fn new(one: &str, other: &str, path: Vec<Hash>, log: &[VerifierKey]) -> Result<Self, ForkError> {
        let (one, other) = (Signed::read(one, log)?, Signed::read(other, log)?);
        let in_order =
            (one.checkpoint.size, one.checkpoint.root) <= (other.checkpoint.size, other.checkpoint.root);
        let (smaller, larger) = if in_order { (one, other) } else { (other, one) };
        let proof = Self { smaller: smaller.note, larger: larger.note, path };
        proof.verify(log)?;
        Ok(proof)
    }

    /// Looks for a fork between two notes, with the nodes of the larger one's tree.
    ///
    /// # Errors
    /// Why there is none, or why the nodes could not be read.
    pub fn find<N: Nodes>(
        one: &str,
        other: &str,
        nodes: &N,
        log: &[VerifierKey],
    ) -> Result<Self, FindError<N::Error>> {
        let sizes = [one, other].map(|note| Signed::read(note, log).map(|signed| signed.checkpoint.size));
        let [one_size, other_size] = sizes;
        let (one_size, other_size) = (one_size?, other_size?);
        let (small, large) = (one_size.min(other_size), one_size.max(other_size));
        let path =
            if small == 0 || small == large { Vec::new() } else { merkle::whole_path(nodes, small, large)? };
        Ok(Self::new(one, other, path, log)?)
    }

    /// Checks the proof with the log's key, or several where it has changed.
    ///
    /// # Errors
    /// [`ForkError`], the first wrong thing.
    pub fn verify(&self, log: &[VerifierKey]) -> Result<Fork, ForkError> {
        let smaller = Signed::read(&self.smaller, log)?.checkpoint;
        let larger = Signed::read(&self.larger, log)?.checkpoint;
        if smaller.origin != larger.origin {
            return Err(ForkError::OtherLog(smaller.origin, larger.origin));
        }
        if (smaller.size, smaller.root) > (larger.size, larger.root) {
            return Err(ForkError::OutOfOrder);
        }
        let instead = if smaller.size == 0 || smaller.size == larger.size {
            if !self.path.is_empty() {
                return Err(ProofError::WrongLength(self.path.len()).into());
            }
            // Nothing has one root only.
            if smaller.size == 0 { merkle::empty_root() } else { larger.root }
        } else {
            let (instead, root) = merkle::roots(smaller.size, larger.size, &self.path)?;
            if root != larger.root {
                return Err(ForkError::WrongPath);
            }
            instead
        };
        // Of two roots of nothing, the larger checkpoint's can be the wrong one.
        let nothing = larger.size == 0 && larger.root != merkle::empty_root();
        if instead == smaller.root && !nothing {
            return Err(ForkError::NoFork);
        }
        Ok(Fork { smaller, larger, instead })
    }

    /// The file's text.
    pub fn encode(&self) -> String {
        let mut text = HEADER.to_owned();
        for note in [&self.smaller, &self.larger] {
            text.push_str(&format!("checkpoint {}\n{note}", note.matches('\n').count()));
        }
        for hash in &self.path {
            text.push_str(&format!("node {hash}\n"));
        }
        text.push_str("end\n");
        text
    }

    /// Reads a file's text. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`ForkError`], naming the first wrong line.
    pub fn decode(text: &str) -> Result<Self, ForkError> {
        if text.len() > LONGEST {
            return Err(ForkError::TooLong);
        }
        let rest =
            text.strip_prefix(HEADER).ok_or(ForkError::BadLine { line: 1, expected: "'angbu/1 fork'" })?;
        let mut lines = Lines { rest, line: 1 };
        let smaller = lines.note()?;
        let larger = lines.note()?;
        let mut path = Vec::new();
        loop {
            let line = lines.next("'node' and a hash, or 'end'")?;
            if line == "end" {
                break;
            }
            let bad = lines.bad("'node' and a hash, or 'end'");
            let hash = line.strip_prefix("node ").ok_or(bad.clone())?.parse().map_err(|_| bad)?;
            if path.len() >= LONGEST_PATH {
                return Err(lines.bad("'end': no path has more than 65 hashes"));
            }
            path.push(hash);
        }
        if !lines.rest.is_empty() {
            return Err(ForkError::BadLine { line: lines.line + 1, expected: "nothing: the file has ended" });
        }
        Ok(Self { smaller, larger, path })
    }
}

/// Why no fork was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError<E> {
    /// There is none, or what was given shows nothing.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The path through the larger tree could not be read.
    #[error(transparent)]
    Nodes(#[from] ProveError<E>),
}

/// The text's lines, and the number of the one read last.
struct Lines<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self, expected: &'static str) -> Result<&'a str, ForkError> {
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or(self.bad(expected))?;
        self.rest = rest;
        Ok(line)
    }

    /// `checkpoint LINES` and that many lines, which are a signed note.
    fn note(&mut self) -> Result<String, ForkError> {
        const EXPECTED: &str = "'checkpoint' and the number of its lines";
        let line = self.next(EXPECTED)?;
        let count = line.strip_prefix("checkpoint ").and_then(unsigned).ok_or(self.bad(EXPECTED))?;
        let mut note = String::new();
        // The text ends long before a count that no note has.
        for _ in 0..count {
            note.push_str(self.next("a line of the checkpoint")?);
            note.push('\n');
        }
        Note::parse(&note)?;
        Ok(note)
    }

    const fn bad(&self, expected: &'static str) -> ForkError {
        ForkError::BadLine { line: self.line, expected }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cosign::cosign;
    use crate::merkle::tests::Tree;
    use crate::merkle::{leaf_hash, tree_root};
    use crate::mutation::{edits, mutate};
    use crate::note::{Ed25519Signer, Signer};

    const ORIGIN: &str = "centre.example/log";

    fn signer(seed: u8) -> Ed25519Signer {
        Ed25519Signer::new(ORIGIN, &[seed; 32]).unwrap()
    }

    fn keys() -> Vec<VerifierKey> {
        vec![signer(1).verifier_key()]
    }

    /// The checkpoint of a tree's beginning.
    fn note(tree: &Tree, size: u64) -> String {
        let root = tree_root(tree, size).unwrap();
        Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&signer(1)).unwrap()
    }

    /// The same log, but for one entry that was there and another that is there instead.
    fn second_history(at: usize) -> Tree {
        let mut tree = Tree::of(70);
        tree.0[at] = leaf_hash(b"planted");
        tree
    }

    #[test]
    fn a_second_history_is_proven_from_every_two_sizes_that_tell() {
        let honest = Tree::of(70);
        for at in [0, 6, 13] {
            let planted = second_history(at);
            for small in 1..=17 {
                for large in small..=20 {
                    let differ = usize::try_from(small).unwrap() > at;
                    for (one, other) in [
                        (note(&honest, small), note(&planted, large)),
                        (note(&planted, large), note(&honest, small)),
                    ] {
                        let found = ForkProof::find(&one, &other, &planted, &keys());
                        if !differ {
                            assert_eq!(found, Err(ForkError::NoFork.into()), "{at} {small} {large}");
                            continue;
                        }
                        let proof = found.unwrap();
                        assert_eq!(ForkProof::decode(&proof.encode()), Ok(proof.clone()));
                        let fork = proof.verify(&keys()).unwrap();
                        assert_eq!((fork.smaller.size, fork.larger.size), (small, large));
                        let (here, there) = (tree_root(&honest, small), tree_root(&planted, small));
                        let mut roots = [fork.smaller.root, fork.instead];
                        // Of two checkpoints of one size, neither is the true one.
                        if small == large && fork.smaller.root == there.clone().unwrap() {
                            roots.reverse();
                        }
                        assert_eq!(roots, [here.unwrap(), there.unwrap()]);
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_has_one_root() {
        let wrong = Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: leaf_hash(b"") };
        let (right, wrong) = (note(&Tree::of(0), 0), wrong.sign(&signer(1)).unwrap());
        let later = note(&Tree::of(70), 5);
        for other in [&right, &later] {
            assert!(ForkProof::new(&wrong, other, Vec::new(), &keys()).is_ok());
        }
        assert_eq!(ForkProof::new(&right, &later, Vec::new(), &keys()), Err(ForkError::NoFork));
        assert_eq!(ForkProof::new(&right, &right, Vec::new(), &keys()), Err(ForkError::NoFork));
    }

    #[test]
    fn what_proves_nothing_is_named() {
        let (honest, planted) = (Tree::of(70), second_history(3));
        let proof = ForkProof::find(&note(&honest, 12), &note(&planted, 50), &planted, &keys()).unwrap();
        let other = signer(2).verifier_key();
        let refused = Err(VerifyError::NoKnownKey.into());
        assert_eq!(proof.verify(&[other]), refused);
        assert_eq!(proof.verify(&[]), Err(ForkError::SignerNotGiven(ORIGIN.to_owned())));
        // A witness of that name is not the log.
        assert!(matches!(
            proof.verify(&[signer(1).verifier_key().as_witness()]),
            Err(ForkError::SignerNotGiven(_))
        ));
        let change = |change: &dyn Fn(&mut ForkProof)| {
            let mut changed = proof.clone();
            change(&mut changed);
            changed.verify(&keys())
        };
        assert_eq!(
            change(&|proof| std::mem::swap(&mut proof.smaller, &mut proof.larger)),
            Err(ForkError::OutOfOrder)
        );
        assert_eq!(change(&|proof| proof.path[1] = leaf_hash(b"")), Err(ForkError::WrongPath));
        let length = proof.path.len();
        let wrong_length = |length| Err(ProofError::WrongLength(length).into());
        assert_eq!(change(&|proof| proof.path.truncate(1)), wrong_length(1));
        assert_eq!(change(&|proof| proof.path.push(leaf_hash(b""))), wrong_length(length + 1));
        assert_eq!(change(&|proof| proof.path = vec![leaf_hash(b""); 64]), wrong_length(64));
        let twice = ForkProof::new(&note(&honest, 9), &note(&planted, 9), vec![leaf_hash(b"")], &keys());
        assert_eq!(twice.err(), wrong_length(1).err());
        let elsewhere = Ed25519Signer::new("other.example/log", &[1; 32]).unwrap();
        let other = Checkpoint { origin: "other.example/log".to_owned(), size: 50, root: leaf_hash(b"") };
        let both = [keys(), vec![elsewhere.verifier_key()]].concat();
        let two = ForkProof::new(&note(&honest, 12), &other.sign(&elsewhere).unwrap(), Vec::new(), &both);
        assert!(matches!(two, Err(ForkError::OtherLog(..))));
        // Sizes that no tree has are no more than numbers.
        let huge = Checkpoint { origin: ORIGIN.to_owned(), size: u64::MAX, root: leaf_hash(b"") };
        let huge = huge.sign(&signer(1)).unwrap();
        let path = vec![leaf_hash(b""); 64];
        assert!(ForkProof::new(&note(&honest, 12), &huge, path, &keys()).is_err());
    }

    /// Others' lines are no part of the proof, and the log's second key is the log too.
    #[test]
    fn only_the_logs_own_signatures_are_kept() {
        let (honest, planted) = (Tree::of(70), second_history(3));
        let mut cosigned = Note::parse(&note(&honest, 9)).unwrap();
        let witness = Ed25519Signer::new("witness.example/w1", &[9; 32]).unwrap();
        cosigned.signatures.push(cosign(&cosigned.text, 7, &witness).unwrap());
        let root = tree_root(&planted, 9).unwrap();
        let rotated = Checkpoint { origin: ORIGIN.to_owned(), size: 9, root }.sign(&signer(2)).unwrap();
        let both = [keys(), vec![signer(2).verifier_key()]].concat();
        let proof = ForkProof::new(&cosigned.encode(), &rotated, Vec::new(), &both).unwrap();
        assert!(!proof.encode().contains("witness.example"));
        assert!(proof.verify(&both).is_ok());
    }

    #[test]
    fn the_first_wrong_line_is_named() {
        let (honest, planted) = (Tree::of(70), second_history(3));
        let good =
            ForkProof::find(&note(&honest, 12), &note(&planted, 50), &planted, &keys()).unwrap().encode();
        let table: [(&str, &str, usize); 6] = [
            ("angbu/1 fork", "angbu/1 Fork", 1),
            ("checkpoint 5", "checkpoint 05", 2),
            ("checkpoint 5", "checkpoint", 2),
            ("\nnode ", "\nNode ", 14),
            ("=\nend", "\nend", 13 + good.matches("\nnode ").count()),
            ("end\n", "end\nmore\n", 15 + good.matches("\nnode ").count()),
        ];
        for (from, to, expected) in table {
            let refused = ForkProof::decode(&good.replacen(from, to, 1));
            assert!(
                matches!(refused, Err(ForkError::BadLine { line, .. }) if line == expected),
                "{from} {refused:?}"
            );
        }
        let endless = good.replacen("checkpoint 5", "checkpoint 18446744073709551615", 1);
        assert!(matches!(ForkProof::decode(&endless), Err(ForkError::BadLine { .. })));
        let node = good.lines().find(|line| line.starts_with("node ")).unwrap();
        let million = good.replacen("end\n", &format!("{node}\n").repeat(1_000_000), 1);
        assert_eq!(ForkProof::decode(&million), Err(ForkError::TooLong));
        let many = good.replacen("end\n", &format!("{node}\n").repeat(100), 1);
        assert!(
            matches!(ForkProof::decode(&many), Err(ForkError::BadLine { expected, .. }) if expected.contains("65"))
        );
    }

    proptest! {
        /// Whatever an honest log has signed, in whatever order it is held, and whatever path is held with it.
        #[test]
        fn no_honest_log_is_accused(
            small in 0u64..200, large in 0u64..200, path_of in 0u64..200, random in prop::collection::vec(any::<[u8; 32]>(), 0..9),
        ) {
            let tree = Tree::of(200);
            let (one, other) = (note(&tree, small), note(&tree, large));
            prop_assert!(ForkProof::find(&one, &other, &tree, &keys()).is_err());
            let paths = [
                Vec::new(),
                random.into_iter().map(Hash::from_bytes).collect(),
                merkle::whole_path(&tree, path_of, small.max(large)).unwrap_or_default(),
                merkle::consistency(&tree, path_of, small.max(large)).unwrap_or_default(),
                merkle::consistency(&tree, small.min(large), small.max(large)).unwrap(),
            ];
            for path in paths {
                prop_assert!(ForkProof::new(&one, &other, path, &keys()).is_err());
            }
        }

        /// What is changed in a proof makes it no proof, or proves the same.
        #[test]
        fn a_changed_proof_proves_nothing_else(small in 4u64..70, large in 4u64..70, edits in edits()) {
            let (honest, planted) = (Tree::of(70), second_history(3));
            let (small, large) = (small.min(large), small.max(large));
            let proof = ForkProof::find(&note(&honest, small), &note(&planted, large), &planted, &keys()).unwrap();
            let changed = mutate(proof.encode(), &edits);
            if let Ok(text) = String::from_utf8(changed)
                && let Ok(read) = ForkProof::decode(&text)
            {
                prop_assert_eq!(read.encode(), text);
                if let Ok(fork) = read.verify(&keys()) {
                    prop_assert_eq!(fork, proof.verify(&keys()).unwrap());
                }
            }
        }
    }
}
