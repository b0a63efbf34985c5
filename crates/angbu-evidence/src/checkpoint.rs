//! The log's signed head (C2SP `tlog-checkpoint`, version 1.0.0).

use crate::Hash;
use crate::note::{self, KeyType, Note, NoteError, SignError, Signer, VerifierKey, VerifyError};
use crate::text::unsigned;

/// What a checkpoint says: this log had this root when it had this many entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is also the name of its key.
    pub origin: String,
    /// How many entries the log has.
    pub size: u64,
    /// The tree's root over them.
    pub root: Hash,
}

/// Why a text is no checkpoint that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text around it is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The signatures prove nothing.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The first line is empty.
    #[error("line 1 of the checkpoint should name the log")]
    NoOrigin,
    /// The second line is no number in its one spelling.
    #[error("line 2 of the checkpoint should be the log's size, a decimal number without leading zeros")]
    BadSize,
    /// The third line is no hash.
    #[error("line 3 of the checkpoint should be the root, 32 bytes in base64")]
    BadRoot,
    /// A line that is empty or not ended.
    #[error("the checkpoint's text should be lines that are not empty, each with a line end")]
    BadLine,
    /// Lines after the third, which this log never writes.
    #[error("the checkpoint has lines after its root; this log writes none")]
    Extension,
    /// The key that signed is not the log's own.
    #[error("the checkpoint is of the log '{origin}', but the key that signed it is '{key}'")]
    OtherOrigin {
        /// The log that the checkpoint names.
        origin: String,
        /// The key's name.
        key: String,
    },
}

impl Checkpoint {
    /// The text that is signed.
    pub fn encode(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text of one of our own checkpoints. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`CheckpointError`], [`CheckpointError::Extension`] among them.
    pub fn decode(text: &str) -> Result<Self, CheckpointError> {
        let (checkpoint, extensions) = Self::decode_with_extensions(text)?;
        if extensions.is_empty() { Ok(checkpoint) } else { Err(CheckpointError::Extension) }
    }

    /// Reads the text of anyone's checkpoint: after the root, other logs may write lines of their own,
    /// which are returned as they stand.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn decode_with_extensions(text: &str) -> Result<(Self, Vec<String>), CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::BadLine)?;
        let mut lines = lines.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::NoOrigin)?;
        let size = lines.next().and_then(unsigned).ok_or(CheckpointError::BadSize)?;
        let root = lines.next().and_then(|line| line.parse().ok()).ok_or(CheckpointError::BadRoot)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::BadLine);
        }
        Ok((Self { origin: origin.to_owned(), size, root }, extensions))
    }

    /// Signs it with the log's key; the result is the note that is served.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, signer: &dyn Signer) -> Result<String, SignError> {
        note::sign(&self.encode(), signer)
    }

    /// Reads one of our own checkpoints from a note that the log's key has signed.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn verify(note: &str, log: &VerifierKey) -> Result<Self, CheckpointError> {
        Self::verify_by(note, std::slice::from_ref(log)).map(|(checkpoint, _)| checkpoint)
    }

    /// Reads one of our own checkpoints from a note, and which of these keys, the log's and witnesses', have signed
    /// it. At least one that did is the log's.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn verify_by(note: &str, keys: &[VerifierKey]) -> Result<(Self, Vec<VerifierKey>), CheckpointError> {
        let note = Note::parse(note)?;
        let signed: Vec<VerifierKey> = note.verify(keys)?.into_iter().cloned().collect();
        let checkpoint = Self::decode(&note.text)?;
        let mut logs = signed.iter().filter(|key| key.kind() == KeyType::Log);
        let Some(first) = logs.clone().next() else { return Err(VerifyError::NoKnownKey.into()) };
        if !logs.any(|key| key.name() == checkpoint.origin) {
            let key = first.name().to_owned();
            return Err(CheckpointError::OtherOrigin { origin: checkpoint.origin, key });
        }
        Ok((checkpoint, signed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::leaf_hash;
    use crate::mutation::{edits, mutate};
    use crate::note::Ed25519Signer;

    fn sample() -> Checkpoint {
        Checkpoint { origin: "centre.example/log".to_owned(), size: 42, root: leaf_hash(b"") }
    }

    #[test]
    fn texts_that_are_none_are_refused() {
        let good = sample().encode();
        let root = sample().root.to_string();
        let table = [
            (good.replace("centre.example/log", ""), CheckpointError::NoOrigin),
            (good.replace("\n42\n", "\n042\n"), CheckpointError::BadSize),
            (good.replace("\n42\n", "\n-1\n"), CheckpointError::BadSize),
            (good.replace(&root, &root[1..]), CheckpointError::BadRoot),
            (good.replace('=', ""), CheckpointError::BadRoot),
            (good.clone() + "more\n", CheckpointError::Extension),
            (good.clone() + "\n", CheckpointError::BadLine),
            (good.trim_end().to_owned(), CheckpointError::BadLine),
            (String::new(), CheckpointError::BadLine),
            ("\n".to_owned(), CheckpointError::NoOrigin),
        ];
        for (text, expected) in table {
            assert_eq!(Checkpoint::decode(&text), Err(expected), "{text:?}");
        }
        let foreign = Checkpoint::decode_with_extensions(&(good + "more\n"));
        assert_eq!(foreign, Ok((sample(), vec!["more".to_owned()])));
    }

    #[test]
    fn a_log_signs_for_itself_only() {
        let signer = Ed25519Signer::new("centre.example/log", &[1; 32]).unwrap();
        let note = sample().sign(&signer).unwrap();
        assert_eq!(Checkpoint::verify(&note, &signer.verifier_key()), Ok(sample()));
        let other = Ed25519Signer::new("other.example/log", &[1; 32]).unwrap();
        let note = sample().sign(&other).unwrap();
        let refused = Checkpoint::verify(&note, &other.verifier_key());
        assert!(matches!(refused, Err(CheckpointError::OtherOrigin { .. })));
        let refused = Checkpoint::verify(&note, &signer.verifier_key());
        assert_eq!(refused, Err(CheckpointError::Verify(VerifyError::NoKnownKey)));
        assert_eq!(Checkpoint::verify("", &other.verifier_key()), Err(NoteError::NoSignatures.into()));
    }

    proptest! {
        #[test]
        fn what_reads_as_a_checkpoint_is_one(size: u64, edits in edits()) {
            let text = Checkpoint { size, ..sample() }.encode();
            prop_assert!(tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).is_ok_and(|theirs| theirs.size() == size));
            if let Ok(changed) = String::from_utf8(mutate(&text, &edits))
                && let Ok(read) = Checkpoint::decode(&changed)
            {
                prop_assert_eq!(read.encode(), changed);
            }
        }
    }
}
