//! Cosignatures of checkpoints (C2SP `tlog-cosignature`, `cosignature/v1`): a witness's word that, at a certain
//! second, this was the largest tree of this log that it had seen, and that it grew from all that it had seen before.
//!
//! What is signed is the line `cosignature/v1`, the line `time SECONDS`, and the checkpoint's text. What stands on
//! the signature line behind the key id is the time in eight bytes, the big end first, and the Ed25519 signature.

use crate::note::{KeyType, SignError, SignatureLine, Signer, VerifierKey};

/// The latest time that a cosignature can say.
pub const LATEST: u64 = u64::MAX >> 1;

/// Why a line is no cosignature that can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CosignError {
    /// The key is a log's, which signs texts and no times.
    #[error("this is the key of a log, not of a witness; a witness's key has the type 0x04")]
    NotAWitness,
    /// The line is by another key.
    #[error("the cosignature is by another key than the one given")]
    OtherKey,
    /// The signature does not fit the checkpoint.
    #[error("the cosignature is wrong: the checkpoint, the time or the signature was changed")]
    Wrong,
}

/// Cosigns a checkpoint's text, to which its last line end belongs, as seen at this second since 1970. The line's
/// key is that of a witness, with the signer's name and bytes, whatever else the signer signs.
///
/// # Errors
/// [`SignError`].
pub fn cosign(checkpoint: &str, seconds: u64, signer: &dyn Signer) -> Result<SignatureLine, SignError> {
    if seconds > LATEST {
        return Err(SignError::TooLate);
    }
    if !checkpoint.ends_with('\n') {
        return Err(SignError::NotANoteText);
    }
    let key = signer.verifier_key().as_witness();
    let signed = signer.sign(message(checkpoint, seconds).as_bytes())?;
    let signature = seconds.to_be_bytes().into_iter().chain(signed).collect();
    Ok(SignatureLine { name: key.name().to_owned(), key_id: key.key_id(), signature })
}

/// Checks that a line is this witness's cosignature of the checkpoint's text, and returns its time, in seconds
/// since 1970.
///
/// # Errors
/// [`CosignError`].
pub fn verify(checkpoint: &str, line: &SignatureLine, key: &VerifierKey) -> Result<u64, CosignError> {
    if key.kind() != KeyType::Witness {
        return Err(CosignError::NotAWitness);
    }
    if !line.claims(key) {
        return Err(CosignError::OtherKey);
    }
    time_of(checkpoint, key, &line.signature).ok_or(CosignError::Wrong)
}

/// The time in these bytes, if they are this key's cosignature of the text.
pub(crate) fn time_of(checkpoint: &str, key: &VerifierKey, signature: &[u8]) -> Option<u64> {
    let (time, signature) = signature.split_first_chunk()?;
    let seconds = u64::from_be_bytes(*time);
    let good = seconds <= LATEST && key.verifies(message(checkpoint, seconds).as_bytes(), signature);
    good.then_some(seconds)
}

fn message(checkpoint: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{checkpoint}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::{Ed25519Signer, Note, VerifyError, sign};

    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn witness() -> Ed25519Signer {
        Ed25519Signer::new("witness.example.com/w1", &[4; 32]).unwrap()
    }

    #[test]
    fn a_cosignature_is_the_witnesses_and_of_its_second() {
        let key = witness().verifier_key().as_witness();
        let line = cosign(TEXT, 1_679_315_147, &witness()).unwrap();
        assert_eq!(line.signature.len(), 72);
        assert_eq!(verify(TEXT, &line, &key), Ok(1_679_315_147));
        assert_eq!(SignatureLine::parse(&line.encode()), Some(line.clone()));
        assert_eq!(verify(TEXT, &line, &witness().verifier_key()), Err(CosignError::NotAWitness));
        let other = Ed25519Signer::new("witness.example.com/w1", &[5; 32]).unwrap();
        assert_eq!(verify(TEXT, &line, &other.verifier_key().as_witness()), Err(CosignError::OtherKey));
        assert_eq!(verify(&TEXT.replace("63", "64"), &line, &key), Err(CosignError::Wrong));
        for at in 0..line.signature.len() {
            let mut changed = line.clone();
            changed.signature[at] ^= 1;
            assert_eq!(verify(TEXT, &changed, &key), Err(CosignError::Wrong), "byte {at}");
        }
        let mut short = line;
        short.signature.truncate(71);
        assert_eq!(verify(TEXT, &short, &key), Err(CosignError::Wrong));
        assert_eq!(cosign(TEXT, LATEST + 1, &witness()), Err(SignError::TooLate));
        assert_eq!(cosign(TEXT.trim_end(), 1, &witness()), Err(SignError::NotANoteText));
    }

    /// The same bytes under another type are another key: a log's signature is no cosignature.
    #[test]
    fn a_key_signs_one_kind_of_thing() {
        let (log, cosigner) = (witness().verifier_key(), witness().verifier_key().as_witness());
        assert_ne!(log.key_id(), cosigner.key_id());
        assert_eq!(cosigner.to_string().parse::<VerifierKey>(), Ok(cosigner.clone()));
        let mut note = Note::parse(&sign(TEXT, &witness()).unwrap()).unwrap();
        assert_eq!(note.verify(std::slice::from_ref(&cosigner)), Err(VerifyError::NoKnownKey));
        note.signatures.push(cosign(TEXT, 7, &witness()).unwrap());
        let keys = [log, cosigner];
        assert_eq!(note.verify(&keys), Ok(vec![&keys[0], &keys[1]]));
        note.signatures[0].key_id = keys[1].key_id();
        let wrong = Err(VerifyError::WrongSignature("witness.example.com/w1".to_owned()));
        assert_eq!(note.verify(&keys), wrong);
    }

    proptest! {
        #[test]
        fn cosignatures_agree_with_the_specification(seconds in 0..=LATEST, seed: [u8; 32]) {
            let signer = Ed25519Signer::new("w", &seed).unwrap();
            let line = cosign(TEXT, seconds, &signer).unwrap();
            let text = format!("cosignature/v1\ntime {seconds}\n{TEXT}");
            prop_assert_eq!(&line.signature[..8], &seconds.to_be_bytes());
            prop_assert!(signer.verifier_key().verifies(text.as_bytes(), &line.signature[8..]));
            prop_assert_eq!(verify(TEXT, &line, &signer.verifier_key().as_witness()), Ok(seconds));
        }
    }
}
