//! A receipt as COSE (RFC 9942, "COSE Receipts"): for those whose tools read CBOR. It says the same as the text.
//!
//! It is a `COSE_Sign1` (RFC 9052) whose payload, the tree's root, is left out: whoever verifies it computes the root
//! from the entry and the path.
//!
//! | header | label | value |
//! |---|---|---|
//! | protected | 1, algorithm | -8, `EdDSA` with Ed25519 |
//! | | 4, key id | the four bytes of the log's key |
//! | | 15, CWT claims | 1, issuer: the log's name; 2, subject: the entry's id (RFC 9943, section 6) |
//! | | 395, verifiable data structure | 1, `RFC9162_SHA256` |
//! | unprotected | 396, verifiable data proofs | -1, inclusion proofs: one, `[size, index, [path]]` in a byte string |
//!
//! The signed bytes begin with a CBOR array and so are never those of a note, which the same key signs: no text
//! begins with that byte.

use coset::cbor::value::Value;
use coset::{CborSerializable, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable, iana};

use crate::note::{SignError, Signer};
use crate::receipt::{Receipt, ReceiptError};

/// CWT claims, a protected header (RFC 9597).
const CWT_CLAIMS: i64 = 15;
/// Who says so, among the claims (RFC 8392).
const ISSUER: i64 = 1;
/// About what.
const SUBJECT: i64 = 2;
/// How the data is structured of which something is proven (RFC 9942, section 2).
const DATA_STRUCTURE: i64 = 395;
/// The proofs (RFC 9942, section 2).
const DATA_PROOFS: i64 = 396;
/// A Merkle tree of RFC 9162 over SHA-256 (RFC 9942, section 5.1).
const RFC9162_SHA256: i64 = 1;
/// Proofs of inclusion among the proofs (RFC 9942, section 5.2).
const INCLUSION: i64 = -1;

/// Why there is no such receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// The text's receipt proves nothing under the signer's own key, so there is nothing to say again.
    #[error("the receipt does not verify: {0}")]
    Receipt(#[from] ReceiptError),
    /// The signer did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The receipt cannot be written.
    #[error("the receipt cannot be written as CBOR")]
    Encode,
}

/// The receipt as COSE, signed by one of the log's keys that have signed its checkpoint.
///
/// # Errors
/// [`CoseError`]; above all [`CoseError::Receipt`]: a root that the log has not signed before is never signed here.
pub fn receipt(receipt: &Receipt, signer: &dyn Signer) -> Result<Vec<u8>, CoseError> {
    let key = signer.verifier_key();
    let (entry, checkpoint) = receipt.verify(&key)?;
    let claims = Value::Map(vec![
        (number(ISSUER), Value::Text(checkpoint.origin)),
        (number(SUBJECT), Value::Text(entry.id.to_string())),
    ]);
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(key.key_id().to_vec())
        .value(CWT_CLAIMS, claims)
        .value(DATA_STRUCTURE, number(RFC9162_SHA256))
        .build();
    let path = receipt.path.iter().map(|hash| Value::Bytes(hash.as_bytes().to_vec()));
    let proof = Value::Array(vec![
        Value::Integer(checkpoint.size.into()),
        Value::Integer(receipt.index.into()),
        Value::Array(path.collect()),
    ]);
    let proof = Value::Bytes(proof.to_vec().map_err(|_| CoseError::Encode)?);
    let proofs = Value::Map(vec![(number(INCLUSION), Value::Array(vec![proof]))]);
    let unprotected = HeaderBuilder::new().value(DATA_PROOFS, proofs).build();
    let signed = CoseSign1Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .try_create_detached_signature(checkpoint.root.as_bytes(), &[], |bytes| {
            signer.sign(bytes).map(Vec::from)
        })?
        .build();
    signed.to_tagged_vec().map_err(|_| CoseError::Encode)
}

fn number(value: i64) -> Value {
    Value::Integer(value.into())
}

#[cfg(test)]
mod tests {
    use coset::CoseSign1;

    use super::*;
    use crate::merkle::{leaf_hash, path, root};
    use crate::note::Ed25519Signer;
    use crate::{Checkpoint, Hash};

    const ENTRY: &str = "angbu/1 time.segment\n\
        id 01KAGVN8QK8Y6Q1F8N5S9T3WXR\n\
        instant 1763762721000000000 25000000 declared 17\n\
        customer cus_000102030405060708090a0b0c0d0e0f 42\n\
        body 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    fn signer(seed: u8) -> Ed25519Signer {
        Ed25519Signer::new("centre.example/log", &[seed; 32]).unwrap()
    }

    fn sample() -> (Receipt, Hash) {
        let leaves = [leaf_hash(b"a"), leaf_hash(ENTRY.as_bytes()), leaf_hash(b"c")];
        let checkpoint = Checkpoint { origin: "centre.example/log".to_owned(), size: 3, root: root(&leaves) };
        let receipt = Receipt {
            entry: ENTRY.as_bytes().to_vec(),
            index: 1,
            path: path(&leaves, 1).unwrap(),
            checkpoint: checkpoint.sign(&signer(1)).unwrap(),
        };
        (receipt, root(&leaves))
    }

    #[test]
    fn the_root_is_signed_and_left_out() {
        let (text, root) = sample();
        let bytes = receipt(&text, &signer(1)).unwrap();
        let read = CoseSign1::from_tagged_slice(&bytes).unwrap();
        assert_eq!(read.payload, None);
        let key = signer(1).verifier_key();
        let good = |root: &Hash| {
            read.verify_detached_signature(root.as_bytes(), &[], |signature, bytes| {
                if key.verifies(bytes, signature) { Ok(()) } else { Err(()) }
            })
        };
        assert_eq!((good(&root), good(&leaf_hash(b""))), (Ok(()), Err(())));
        assert_eq!(read.protected.header.key_id, key.key_id());
        assert!(!read.unprotected.rest.is_empty());
    }

    /// Whoever asks for this form cannot have any root signed.
    #[test]
    fn only_what_the_log_has_signed_is_signed_again() {
        let (text, _) = sample();
        assert!(matches!(receipt(&text, &signer(2)), Err(CoseError::Receipt(_))));
        let mut other = text.clone();
        other.index = 0;
        assert!(matches!(receipt(&other, &signer(1)), Err(CoseError::Receipt(ReceiptError::Proof(_)))));
        let mut other = text;
        other.checkpoint = other.checkpoint.replace("\n3\n", "\n4\n");
        assert!(matches!(receipt(&other, &signer(1)), Err(CoseError::Receipt(_))));
    }
}
