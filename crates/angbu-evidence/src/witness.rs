//! What a witness is asked and what it decides (C2SP `tlog-witness`): a log's newest checkpoint, shown to have grown
//! from the one that the witness knows, is cosigned; anything else is refused. Where the refused checkpoint bears the
//! log's own signature and contradicts what the witness knows, the refusal carries the proof.
//!
//! A request to `add-checkpoint` is a text:
//!
//! ```text
//! old SIZE                 of the checkpoint that the witness knows; 0 for none
//! HASH                     each hash of the consistency path from there, a line each, at most 63
//!
//! the checkpoint, a signed note
//! ```

use crate::checkpoint::CheckpointError;
use crate::fork::{ForkProof, keys_of};
use crate::merkle::{self, ProofError};
use crate::note::{Note, NoteError, SignatureLine, VerifierKey, VerifyError};
use crate::text::unsigned;
use crate::{Checkpoint, Hash};

/// The longest request that is read: 64 KiB.
pub const LONGEST: usize = 64 * 1024;
/// The most lines of a consistency path.
pub const LONGEST_PATH: usize = 63;
/// The most cosignatures of an answer that are read.
pub const MOST_COSIGNATURES: usize = 16;
/// The type of the body that says the size of the checkpoint that a witness knows.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// A request to cosign a checkpoint, nothing of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size from which on the path shows that the log has only grown.
    pub old: u64,
    /// The consistency path.
    pub proof: Vec<Hash>,
    /// The checkpoint: a signed note.
    pub note: String,
}

/// Why bytes are no request to a witness; the answer to all of these is 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than requests can be.
    #[error("a request to add a checkpoint has at most 65536 bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("a request to add a checkpoint is UTF-8 text")]
    NotText,
    /// The first line.
    #[error("the request's first line should be 'old' and a size, a decimal number without leading zeros")]
    BadOld,
    /// A line of the path that is no hash.
    #[error("line {0} of the request should be a hash in base64, or the blank line before the checkpoint")]
    BadPath(usize),
    /// More hashes than a path can have.
    #[error("a consistency path has at most 63 hashes")]
    PathTooLong,
    /// The note.
    #[error("the request's checkpoint is refused: {0}")]
    Note(#[from] NoteError),
    /// The checkpoint inside the note.
    #[error("the request's checkpoint is refused: {0}")]
    Checkpoint(#[from] CheckpointError),
}

impl AddCheckpoint {
    /// The request's text.
    pub fn encode(&self) -> String {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            text.push_str(&format!("{hash}\n"));
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// Reads a request. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// The first [`Malformed`] thing.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        if body.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let text = std::str::from_utf8(body).map_err(|_| Malformed::NotText)?;
        let rest = text.strip_prefix("old ").ok_or(Malformed::BadOld)?;
        let (old, mut rest) = rest.split_once('\n').ok_or(Malformed::BadOld)?;
        let old = unsigned(old).ok_or(Malformed::BadOld)?;
        let mut proof = Vec::new();
        let note = loop {
            let bad = Malformed::BadPath(proof.len() + 2);
            let (line, after) = rest.split_once('\n').ok_or(bad.clone())?;
            rest = after;
            if line.is_empty() {
                break rest.to_owned();
            }
            if proof.len() >= LONGEST_PATH {
                return Err(Malformed::PathTooLong);
            }
            proof.push(line.parse().map_err(|_| bad)?);
        };
        let parsed = Note::parse(&note)?;
        Checkpoint::decode_with_extensions(&parsed.text)?;
        Ok(Self { old, proof, note })
    }
}

/// The checkpoint of a log that a witness has cosigned last. It is kept before the cosignature is handed out, and it
/// is replaced only where it is still the one that the decision was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The log's name.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The checkpoint with the log's own signatures: evidence, should the log ever contradict it.
    pub note: String,
}

impl Seen {
    /// What a note says that was kept, signed by the log with one of these keys.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn read(note: &str, log: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let mut parsed = Note::parse(note)?;
        let (Checkpoint { origin, size, root }, _) = Checkpoint::decode_with_extensions(&parsed.text)?;
        let own = keys_of(&origin, log);
        parsed.verify(&own)?;
        parsed.signatures.retain(|line| own.iter().any(|key| line.claims(key)));
        Ok(Self { origin, size, root, note: parsed.encode() })
    }
}

/// A checkpoint that may be cosigned, once it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the witness knows of this log from now on.
    pub new: Seen,
    /// The checkpoint's text, which is what [`crate::cosign::cosign`] signs.
    pub text: String,
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No key of this log is known.
    #[error("the log '{0}' is not known here; its key must be given to this witness first")]
    UnknownOrigin(String),
    /// No good signature by a known key of this log.
    #[error("the checkpoint is not signed by this log: {0}")]
    BadSignature(VerifyError),
    /// The checkpoint is smaller than what it says it grew from.
    #[error("the request says that the log had {old} entries before, more than the {size} of the checkpoint")]
    OldSizeTooLarge {
        /// The request's old size.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The request starts from another checkpoint than the newest that this witness has cosigned.
    #[error(
        "the newest checkpoint that this witness has cosigned has {size} entries; show the growth from there"
    )]
    Conflict {
        /// The size to start from.
        size: u64,
    },
    /// The path does not show that the log has only grown.
    #[error("the consistency path from {old} to {size} entries is refused: {why}")]
    BadProof {
        /// The old size.
        old: u64,
        /// The checkpoint's size.
        size: u64,
        /// What is wrong with the path.
        why: ProofError,
    },
    /// The log has signed two histories.
    #[error("the log has signed what contradicts its own earlier checkpoint of {size} entries")]
    Fork {
        /// The size of the checkpoint that this witness knows.
        size: u64,
        /// The proof, for anyone.
        proof: Box<ForkProof>,
        /// Whether the two have one size, which the protocol answers otherwise.
        same_size: bool,
    },
}

impl Refused {
    /// The answer's HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::UnknownOrigin(_) => 404,
            Self::BadSignature(_) => 403,
            Self::OldSizeTooLarge { .. } => 400,
            Self::Conflict { .. } | Self::Fork { same_size: true, .. } => 409,
            Self::BadProof { .. } | Self::Fork { same_size: false, .. } => 422,
        }
    }

    /// The body of an answer with the status 409, of the type [`SIZE_TYPE`]: the size that the witness knows.
    pub fn size_body(&self) -> Option<String> {
        match self {
            Self::Conflict { size } | Self::Fork { size, same_size: true, .. } => Some(format!("{size}\n")),
            _ => None,
        }
    }
}

/// Reads the size from an answer with the status 409.
pub fn read_size(body: &str) -> Option<u64> {
    unsigned(body.strip_suffix('\n')?)
}

/// The body of an answer that cosigns: a line for each cosignature.
pub fn encode_cosignatures(lines: &[SignatureLine]) -> String {
    lines.iter().map(SignatureLine::encode).collect()
}

/// Reads the body of an answer that cosigns. Nothing of it is verified.
pub fn parse_cosignatures(body: &str) -> Option<Vec<SignatureLine>> {
    let mut lines = Vec::new();
    for line in body.split_inclusive('\n') {
        if lines.len() >= MOST_COSIGNATURES {
            return None;
        }
        lines.push(SignatureLine::parse(line)?);
    }
    (!lines.is_empty()).then_some(lines)
}

/// Decides on a request, from what the witness knows of the checkpoint's log (nothing, if it never cosigned one) and
/// the keys of all logs that it serves. A log's keys bear its name.
///
/// # Errors
/// [`Refused`].
pub fn decide(
    known: Option<&Seen>,
    log_keys: &[VerifierKey],
    request: &AddCheckpoint,
) -> Result<Accepted, Refused> {
    // Neither fails for a request that was read by [`AddCheckpoint::parse`].
    let unsigned = Refused::BadSignature(VerifyError::NoKnownKey);
    let note = Note::parse(&request.note).map_err(|_| unsigned.clone())?;
    let read = Checkpoint::decode_with_extensions(&note.text);
    let (checkpoint, _) = read.map_err(|_| unsigned.clone())?;
    let own = keys_of(&checkpoint.origin, log_keys);
    if own.is_empty() {
        return Err(Refused::UnknownOrigin(checkpoint.origin));
    }
    note.verify(&own).map_err(Refused::BadSignature)?;
    let new = Seen::read(&request.note, &own).map_err(|_| unsigned)?;
    // Knowledge of another log would be the caller's mistake, and is none of this one.
    let known = known.filter(|known| known.origin == new.origin);
    let (size, root) = known.map_or((0, merkle::empty_root()), |known| (known.size, known.root));
    // Before anything that the request says of itself: the log's own word against its own word.
    if let Some(known) = known
        && let Some(refused) = contradiction(known, &new, request, &own)
    {
        return Err(refused);
    }
    if request.old > new.size {
        return Err(Refused::OldSizeTooLarge { old: request.old, size: new.size });
    }
    if request.old != size {
        return Err(Refused::Conflict { size });
    }
    merkle::verify_consistency(size, &root, new.size, &new.root, &request.proof)
        .map_err(|why| Refused::BadProof { old: size, size: new.size, why })?;
    Ok(Accepted { new, text: note.text })
}

/// The fork between what is known and what is shown, as far as the request's own path shows it.
fn contradiction(known: &Seen, new: &Seen, request: &AddCheckpoint, own: &[VerifierKey]) -> Option<Refused> {
    let same_size = new.size == known.size;
    let path = if same_size { Vec::new() } else { request.proof.clone() };
    let proof = ForkProof::new(&known.note, &new.note, path, own).ok()?;
    Some(Refused::Fork { size: known.size, proof: Box::new(proof), same_size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cosign::{self, cosign};
    use crate::merkle::tests::Tree;
    use crate::merkle::{consistency, leaf_hash, tree_root};
    use crate::mutation::{edits, mutate};
    use crate::note::{Ed25519Signer, Signer};

    const ORIGIN: &str = "centre.example/log";

    fn signer(seed: u8) -> Ed25519Signer {
        Ed25519Signer::new(ORIGIN, &[seed; 32]).unwrap()
    }

    fn keys() -> Vec<VerifierKey> {
        let other = Ed25519Signer::new("other.example/log", &[7; 32]).unwrap();
        vec![other.verifier_key(), signer(1).verifier_key()]
    }

    fn note(tree: &Tree, size: u64) -> String {
        let root = tree_root(tree, size).unwrap();
        Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&signer(1)).unwrap()
    }

    fn request(tree: &Tree, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint { old, proof: consistency(tree, old, size).unwrap(), note: note(tree, size) }
    }

    /// A witness, as a process keeps it.
    #[derive(Default)]
    struct Witness(Option<Seen>);

    impl Witness {
        fn add(&mut self, request: &AddCheckpoint) -> Result<SignatureLine, Refused> {
            let accepted = decide(self.0.as_ref(), &keys(), request)?;
            self.0 = Some(accepted.new);
            let signer = Ed25519Signer::new("witness.example/w1", &[9; 32]).unwrap();
            Ok(cosign(&accepted.text, 1_763_762_721, &signer).unwrap())
        }
    }

    fn planted(at: usize) -> Tree {
        let mut tree = Tree::of(70);
        tree.0[at] = leaf_hash(b"planted");
        tree
    }

    #[test]
    fn a_log_that_only_grows_is_cosigned() {
        let (tree, mut witness) = (Tree::of(70), Witness::default());
        let key = Ed25519Signer::new("witness.example/w1", &[9; 32]).unwrap().verifier_key().as_witness();
        for (old, size) in [(0, 0), (0, 3), (3, 3), (3, 4), (4, 64), (64, 70)] {
            let asked = request(&tree, old, size);
            let line = witness.add(&asked).unwrap();
            let text = Note::parse(&asked.note).unwrap().text;
            assert_eq!(cosign::verify(&text, &line, &key), Ok(1_763_762_721));
            let body = encode_cosignatures(&[line.clone(), line.clone()]);
            assert_eq!(parse_cosignatures(&body), Some(vec![line.clone(), line]));
            assert_eq!(witness.0.as_ref().unwrap().size, size);
        }
        let kept = witness.0.unwrap();
        assert_eq!(Seen::read(&kept.note, &keys()), Ok(kept));
    }

    #[test]
    fn every_refusal_has_the_protocols_status() {
        let (tree, mut witness) = (Tree::of(70), Witness::default());
        witness.add(&request(&tree, 0, 10)).unwrap();
        let before = witness.0.clone();
        let mut refused = |request: &AddCheckpoint| {
            let refused = witness.add(request).unwrap_err();
            assert_eq!(witness.0, before, "a refused request changes nothing");
            (refused.status(), refused.size_body(), refused)
        };
        let conflict = || (409, Some("10\n".to_owned()), Refused::Conflict { size: 10 });
        // Wrong old sizes, with paths that are right for them.
        for (old, size) in [(0, 20), (9, 20), (11, 20), (0, 5), (5, 5), (3, 10)] {
            assert_eq!(refused(&request(&tree, old, size)), conflict(), "{old} to {size}");
        }
        let mut larger = request(&tree, 10, 20);
        larger.old = 21;
        assert_eq!(refused(&larger).2, Refused::OldSizeTooLarge { old: 21, size: 20 });
        assert_eq!(refused(&larger).0, 400);
        let mut bad = request(&tree, 10, 20);
        bad.proof[0] = leaf_hash(b"");
        assert_eq!(refused(&bad).0, 422);
        bad.proof.clear();
        let why = ProofError::WrongLength(0);
        assert_eq!(refused(&bad).2, Refused::BadProof { old: 10, size: 20, why });
        let mut long = request(&tree, 10, 20);
        long.proof = vec![leaf_hash(b""); 63];
        assert_eq!(refused(&long).0, 422);
        let mut unknown = request(&tree, 10, 20);
        unknown.note = unknown.note.replace(ORIGIN, "nobody.example/log");
        assert_eq!(refused(&unknown).2, Refused::UnknownOrigin("nobody.example/log".to_owned()));
        assert_eq!(refused(&unknown).0, 404);
        let mut forged = request(&tree, 10, 20);
        forged.note = Checkpoint { origin: ORIGIN.to_owned(), size: 20, root: leaf_hash(b"") }
            .sign(&signer(2))
            .unwrap();
        assert_eq!(refused(&forged).2, Refused::BadSignature(VerifyError::NoKnownKey));
        assert_eq!(refused(&forged).0, 403);
        let mut changed = request(&tree, 10, 20);
        changed.note = changed.note.replace("\n20\n", "\n21\n");
        assert_eq!(
            refused(&changed).2,
            Refused::BadSignature(VerifyError::WrongSignature(ORIGIN.to_owned()))
        );
    }

    #[test]
    fn a_second_history_is_refused_with_its_proof() {
        let (tree, mut witness) = (Tree::of(70), Witness::default());
        witness.add(&request(&tree, 0, 10)).unwrap();
        let second = planted(4);
        let mut fork = |request: &AddCheckpoint| match witness.add(request) {
            Err(refused @ Refused::Fork { .. }) => {
                let (status, body) = (refused.status(), refused.size_body());
                let Refused::Fork { proof, .. } = refused else { unreachable!() };
                assert!(proof.verify(&keys()).is_ok());
                (status, body)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(fork(&request(&second, 10, 10)), (409, Some("10\n".to_owned())));
        assert_eq!(fork(&request(&second, 0, 10)), (409, Some("10\n".to_owned())));
        assert_eq!(fork(&request(&second, 10, 30)), (422, None));
        // The log shows a smaller tree, and the way from there to what the witness knows: it contradicts itself too.
        let mut back = request(&second, 7, 7);
        back.proof = consistency(&tree, 7, 10).unwrap();
        assert_eq!(fork(&back), (422, None));
        // Where the known size is a power of two, the path alone shows no root; then it is a bad path.
        let mut witness = Witness::default();
        witness.add(&request(&tree, 0, 8)).unwrap();
        let refused = witness.add(&request(&second, 8, 30)).unwrap_err();
        assert_eq!((refused.status(), matches!(refused, Refused::BadProof { .. })), (422, true));
    }

    #[test]
    fn requests_that_are_none_are_named() {
        let tree = Tree::of(70);
        let good = request(&tree, 10, 20).encode();
        let hash = leaf_hash(b"").to_string();
        let (first, rest) = good.split_once('\n').unwrap();
        let table: [(String, Malformed); 13] = [
            (String::new(), Malformed::BadOld),
            ("old 10".to_owned(), Malformed::BadOld),
            (good.replacen("old 10", "old 010", 1), Malformed::BadOld),
            (good.replacen("old 10", "old -1", 1), Malformed::BadOld),
            (good.replacen("old 10", "old 18446744073709551616", 1), Malformed::BadOld),
            (good.replacen("old", "Old", 1), Malformed::BadOld),
            (good.replacen("old 10", "old 10 ", 1), Malformed::BadOld),
            (good.replacen("old 10\n", "old 10\n=\n", 1), Malformed::BadPath(2)),
            (good.replacen("old 10\n", "old 10\n\n", 1).replacen("\n\n", "\n \n", 1), Malformed::BadPath(2)),
            (format!("{first}\n{}{rest}", format!("{hash}\n").repeat(64)), Malformed::PathTooLong),
            (format!("{first}\n\n"), Malformed::Note(NoteError::NoSignatures)),
            (
                format!("old 0\n\ntext\n\n{}", "— a AAAAAAA=\n".repeat(1_000)),
                Malformed::Note(NoteError::TooManySignatures),
            ),
            (
                format!("old 0\n\ntext\n\n{}", "— a AAAAAAA=\n".repeat(100)),
                Malformed::Checkpoint(CheckpointError::BadSize),
            ),
        ];
        for (body, expected) in table {
            assert_eq!(AddCheckpoint::parse(body.as_bytes()), Err(expected), "{body:.80}");
        }
        assert_eq!(AddCheckpoint::parse(&[0xff; 9]), Err(Malformed::NotText));
        assert_eq!(AddCheckpoint::parse(&[b'a'; LONGEST + 1]), Err(Malformed::TooLong));
        let most = AddCheckpoint { old: 10, proof: vec![leaf_hash(b""); 63], note: note(&tree, 20) };
        assert_eq!(AddCheckpoint::parse(most.encode().as_bytes()), Ok(most));
        assert_eq!(
            (read_size("10\n"), read_size("10"), read_size("010\n"), read_size("")),
            (Some(10), None, None, None)
        );
        for body in ["", "\n", "no", &"— a AAAAAAA=\n".repeat(17)] {
            assert_eq!(parse_cosignatures(body), None);
        }
    }

    /// Lines of others under the checkpoint are neither looked at nor kept.
    #[test]
    fn others_signatures_are_left_alone() {
        let tree = Tree::of(70);
        let mut asked = request(&tree, 0, 10);
        asked.note.push_str(&"— other.example/log AAAAAAA=\n".repeat(99));
        let accepted = decide(None, &keys(), &asked).unwrap();
        assert_eq!(accepted.new.note, note(&tree, 10));
    }

    proptest! {
        #[test]
        fn what_reads_as_a_request_is_one(old in 0u64..70, size in 0u64..70, edits in edits()) {
            let tree = Tree::of(70);
            let (old, size) = (old.min(size), old.max(size));
            let asked = request(&tree, old, size);
            prop_assert_eq!(&AddCheckpoint::parse(asked.encode().as_bytes()).unwrap(), &asked);
            let changed = mutate(asked.encode(), &edits);
            if let Ok(read) = AddCheckpoint::parse(&changed) {
                prop_assert_eq!(read.encode().into_bytes(), changed);
            }
        }

        /// A witness never cosigns two checkpoints that are not of one history, whatever it is asked.
        #[test]
        fn a_witness_cosigns_one_history(
            asked in prop::collection::vec((any::<bool>(), 0u64..70, 0u64..70, 0u64..70), 1..30),
        ) {
            let trees = [Tree::of(70), planted(5)];
            let mut witness = Witness::default();
            let mut cosigned: Vec<(u64, Hash)> = Vec::new();
            for (second, old, path_from, size) in asked {
                let tree = &trees[usize::from(second)];
                let old = if old % 3 == 0 { old } else { witness.0.as_ref().map_or(0, |seen| seen.size) };
                let from = if path_from % 4 == 0 { path_from } else { old };
                let proof = consistency(tree, from, size).unwrap_or_default();
                let asked = AddCheckpoint { old, proof, note: note(tree, size) };
                if witness.add(&asked).is_ok() {
                    cosigned.push((size, tree_root(tree, size).unwrap()));
                }
            }
            prop_assert!(cosigned.is_sorted_by_key(|(size, _)| *size));
            let of = |tree: &Tree| cosigned.iter().all(|(size, root)| tree_root(tree, *size).unwrap() == *root);
            prop_assert!(trees.iter().any(of));
        }
    }
}
