//! What whoever asked for an entry takes home: a receipt, which proves that the entry is in the log
//! (C2SP `tlog-proof`, version 1), or a promise that it will be.

use angbu_units::{EntryId, UnixTime};

use crate::checkpoint::CheckpointError;
use crate::entry::EntryError;
use crate::merkle::{self, ProofError};
use crate::note::{self, Note, NoteError, SignError, Signer, VerifierKey, VerifyError};
use crate::text::{decode64, encode64, signed, unsigned};
use crate::{Checkpoint, Entry, Hash, entry};

/// The first line of a receipt.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The first line of a promise.
const PROMISE: &str = "angbu/1 promise";

/// An entry, its inclusion path, and the checkpoint that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Its log index.
    pub index: u64,
    /// The path from it up, at most 64 hashes.
    pub path: Vec<Hash>,
    /// The checkpoint: a signed note.
    pub checkpoint: String,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Longer than receipts can be.
    #[error("a receipt is not this long")]
    TooLong,
    /// The first line.
    #[error("a receipt begins with the line 'c2sp.org/tlog-proof@v1'")]
    BadHeader,
    /// The second line.
    #[error("the receipt's second line should be 'extra' and the entry in base64")]
    BadExtra,
    /// The third line.
    #[error("the receipt's third line should be 'index' and a decimal number")]
    BadIndex,
    /// A line of the path that is no hash, or more of them than a path can have.
    #[error("line {0} of the receipt should be a hash of the path, or the blank line after it")]
    BadPath(usize),
    /// The entry's own text.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The checkpoint, or its signature.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead from the entry to the checkpoint.
    #[error("the entry is not proven: {0}")]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// The receipt's text.
    pub fn encode(&self) -> String {
        let mut text = format!("{HEADER}\nextra {}\nindex {}\n", encode64(&self.entry), self.index);
        for hash in &self.path {
            text.push_str(&format!("{hash}\n"));
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a receipt's text. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`ReceiptError`], naming the first wrong line.
    pub fn decode(text: &str) -> Result<Self, ReceiptError> {
        if text.len() > note::LONGEST + 2 * entry::LONGEST + 64 * 45 + 100 {
            return Err(ReceiptError::TooLong);
        }
        let rest = text.strip_prefix(HEADER).ok_or(ReceiptError::BadHeader)?;
        let rest = rest.strip_prefix("\nextra ").ok_or(ReceiptError::BadExtra)?;
        let (extra, rest) = rest.split_once('\n').ok_or(ReceiptError::BadExtra)?;
        let entry = decode64(extra).ok_or(ReceiptError::BadExtra)?;
        let rest = rest.strip_prefix("index ").ok_or(ReceiptError::BadIndex)?;
        let (index, mut rest) = rest.split_once('\n').ok_or(ReceiptError::BadIndex)?;
        let index = unsigned(index).ok_or(ReceiptError::BadIndex)?;
        let mut path = Vec::new();
        let checkpoint = loop {
            let bad = ReceiptError::BadPath(path.len() + 4);
            let (line, after) = rest.split_once('\n').ok_or(bad.clone())?;
            rest = after;
            if line.is_empty() {
                break rest.to_owned();
            }
            if path.len() >= 64 {
                return Err(bad);
            }
            path.push(line.parse().map_err(|_| bad)?);
        };
        Note::parse(&checkpoint).map_err(CheckpointError::Note)?;
        Ok(Self { entry, index, path, checkpoint })
    }

    /// Checks that the log with this key holds the entry, and returns the entry and the checkpoint.
    ///
    /// # Errors
    /// [`ReceiptError`], the first wrong thing.
    pub fn verify(&self, log: &VerifierKey) -> Result<(Entry, Checkpoint), ReceiptError> {
        self.verify_by(std::slice::from_ref(log)).map(|(entry, checkpoint, _)| (entry, checkpoint))
    }

    /// Checks that the log with one of these keys holds the entry, and returns the entry, the checkpoint, and which
    /// of the keys, the log's and witnesses', have signed that.
    ///
    /// # Errors
    /// [`ReceiptError`], the first wrong thing.
    pub fn verify_by(
        &self,
        keys: &[VerifierKey],
    ) -> Result<(Entry, Checkpoint, Vec<VerifierKey>), ReceiptError> {
        let entry = Entry::decode(&self.entry)?;
        let (checkpoint, signed) = Checkpoint::verify_by(&self.checkpoint, keys)?;
        let leaf = merkle::leaf_hash(&self.entry);
        merkle::verify_inclusion(&leaf, self.index, checkpoint.size, &self.path, &checkpoint.root)?;
        Ok((entry, checkpoint, signed))
    }
}

/// The log's word that a durable entry will be in it by a certain time: given where the proof takes longer
/// than the caller waits. A broken promise is proof against the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The log's name.
    pub origin: String,
    /// The entry's id.
    pub entry: EntryId,
    /// The root over its salted fields.
    pub body_root: Hash,
    /// When it will be in the log.
    pub by: UnixTime,
}

/// Why a text is no promise that anyone is bound by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromiseError {
    /// The text around it is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The signatures prove nothing.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Not the lines of a promise.
    #[error("line {0} of the promise is not what a promise says there")]
    BadLine(usize),
    /// The key that signed is not the one with which this log promises.
    #[error("the promise is of the log '{origin}', but the key that signed it is '{key}'")]
    OtherOrigin {
        /// The log that the promise names.
        origin: String,
        /// The key's name.
        key: String,
    },
}

impl Promise {
    /// The name of the key with which a log signs its promises.
    pub fn key_name(origin: &str) -> String {
        format!("{origin}/promise")
    }

    /// The text that is signed.
    pub fn encode(&self) -> String {
        let Self { origin, entry, body_root, by } = self;
        format!("{PROMISE}\n{origin}\nentry {entry}\nbody {body_root}\nby {}\n", by.nanos())
    }

    /// Reads a promise's text. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`PromiseError::BadLine`].
    pub fn decode(text: &str) -> Result<Self, PromiseError> {
        let lines: Vec<&str> =
            text.strip_suffix('\n').ok_or(PromiseError::BadLine(5))?.splitn(6, '\n').collect();
        let [header, origin, entry, body_root, by] = lines.as_slice() else {
            return Err(PromiseError::BadLine(lines.len().min(6)));
        };
        if *header != PROMISE {
            return Err(PromiseError::BadLine(1));
        }
        if origin.is_empty() {
            return Err(PromiseError::BadLine(2));
        }
        let entry = entry.strip_prefix("entry ").and_then(|id| id.parse().ok());
        let body_root = body_root.strip_prefix("body ").and_then(|root| root.parse().ok());
        let by = by.strip_prefix("by ").and_then(signed).map(UnixTime::from_nanos);
        Ok(Self {
            origin: (*origin).to_owned(),
            entry: entry.ok_or(PromiseError::BadLine(3))?,
            body_root: body_root.ok_or(PromiseError::BadLine(4))?,
            by: by.ok_or(PromiseError::BadLine(5))?,
        })
    }

    /// Signs it; the result is the note that is handed out.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, signer: &dyn Signer) -> Result<String, SignError> {
        note::sign(&self.encode(), signer)
    }

    /// Reads a promise from a note that the log's key for promises has signed.
    ///
    /// # Errors
    /// [`PromiseError`].
    pub fn verify(note: &str, key: &VerifierKey) -> Result<Self, PromiseError> {
        let note = Note::parse(note)?;
        note.verify(std::slice::from_ref(key))?;
        let promise = Self::decode(&note.text)?;
        if Self::key_name(&promise.origin) != key.name() {
            return Err(PromiseError::OtherOrigin { origin: promise.origin, key: key.name().to_owned() });
        }
        Ok(promise)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::leaf_hash;
    use crate::mutation::{edits, mutate};
    use crate::note::Ed25519Signer;

    const ENTRY: &str = "angbu/1 time.segment\n\
        id 01KAGVN8QK8Y6Q1F8N5S9T3WXR\n\
        instant 1763762721000000000 25000000 declared 17\n\
        customer cus_000102030405060708090a0b0c0d0e0f 42\n\
        body 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    fn signer() -> Ed25519Signer {
        Ed25519Signer::new("centre.example/log", &[1; 32]).unwrap()
    }

    fn receipt() -> Receipt {
        let mut leaves: Vec<Hash> = (0u8..20).map(|leaf| leaf_hash(&[leaf])).collect();
        leaves[13] = leaf_hash(ENTRY.as_bytes());
        let (root, path) = (merkle::root(&leaves), merkle::path(&leaves, 13).unwrap());
        let checkpoint = Checkpoint { origin: "centre.example/log".to_owned(), size: 20, root };
        let checkpoint = checkpoint.sign(&signer()).unwrap();
        Receipt { entry: ENTRY.as_bytes().to_vec(), index: 13, path, checkpoint }
    }

    fn promise() -> Promise {
        Promise {
            origin: "centre.example/log".to_owned(),
            entry: "01KAGVN8QK8Y6Q1F8N5S9T3WXR".parse().unwrap(),
            body_root: leaf_hash(b"body"),
            by: UnixTime::from_nanos(1_763_762_721_000_000_000),
        }
    }

    #[test]
    fn a_receipt_proves_its_entry() {
        let (entry, checkpoint) = receipt().verify(&signer().verifier_key()).unwrap();
        assert_eq!((entry.number, checkpoint.size), (42, 20));
        let other = Ed25519Signer::new("centre.example/log", &[2; 32]).unwrap();
        let unknown = CheckpointError::Verify(VerifyError::NoKnownKey);
        assert_eq!(receipt().verify(&other.verifier_key()), Err(unknown.into()));
        let elsewhere = Receipt { index: 12, ..receipt() };
        assert_eq!(elsewhere.verify(&signer().verifier_key()), Err(ProofError::WrongRoot.into()));
    }

    #[test]
    fn the_first_wrong_line_of_a_receipt_is_named() {
        let good = receipt().encode();
        let table = [
            ("@v1", "@v2", ReceiptError::BadHeader),
            ("c2sp", "C2SP", ReceiptError::BadHeader),
            ("extra ", "extra  ", ReceiptError::BadExtra),
            ("index 13", "index 013", ReceiptError::BadIndex),
            ("index 13\n", "index 13\nx\n", ReceiptError::BadPath(4)),
            ("\n\ncentre", "\ncentre", ReceiptError::BadPath(9)),
            ("— centre", "- centre", CheckpointError::Note(NoteError::BadSignatureLine(5)).into()),
        ];
        for (from, to, expected) in table {
            assert_eq!(Receipt::decode(&good.replace(from, to)), Err(expected), "{from} → {to}");
        }
        let endless =
            format!("{HEADER}\nextra AA==\nindex 1\n{}", format!("{}\n", leaf_hash(b"")).repeat(65));
        assert_eq!(Receipt::decode(&endless), Err(ReceiptError::BadPath(68)));
        assert_eq!(Receipt::decode(&"x".repeat(100_000)), Err(ReceiptError::TooLong));
    }

    #[test]
    fn a_promise_binds_its_log() {
        let signer = Ed25519Signer::new(&Promise::key_name("centre.example/log"), &[3; 32]).unwrap();
        let note = promise().sign(&signer).unwrap();
        assert_eq!(Promise::verify(&note, &signer.verifier_key()), Ok(promise()));
        let log = Ed25519Signer::new("centre.example/log", &[3; 32]).unwrap();
        let note = promise().sign(&log).unwrap();
        let refused = Promise::verify(&note, &log.verifier_key());
        assert!(matches!(refused, Err(PromiseError::OtherOrigin { .. })));
        let good = promise().encode();
        let table = [
            ("angbu/1", "angbu/2", 1),
            ("centre.example/log", "", 2),
            ("entry 01", "entry 1", 3),
            ("body ", "body", 4),
            ("by 1", "by +1", 5),
            ("000\n", "000", 5),
            ("000\n", "000\nmore\n", 6),
        ];
        for (from, to, line) in table {
            let refused = Promise::decode(&good.replace(from, to));
            assert_eq!(refused, Err(PromiseError::BadLine(line)), "{from} → {to}");
        }
    }

    proptest! {
        #[test]
        fn receipts_and_promises_round_trip(edits in edits()) {
            let (receipt, promise) = (receipt().encode(), promise().encode());
            prop_assert_eq!(Receipt::decode(&receipt).unwrap().encode(), receipt.clone());
            prop_assert_eq!(Promise::decode(&promise).unwrap().encode(), promise.clone());
            if let Ok(changed) = String::from_utf8(mutate(&receipt, &edits))
                && let Ok(read) = Receipt::decode(&changed)
            {
                prop_assert_eq!(read.encode(), changed.clone());
                prop_assert!(changed == receipt || read.verify(&signer().verifier_key()).is_err());
            }
            if let Ok(changed) = String::from_utf8(mutate(&promise, &edits))
                && let Ok(read) = Promise::decode(&changed)
            {
                prop_assert_eq!(read.encode(), changed);
            }
        }
    }
}
