//! A passkey's public key, as a COSE key (RFC 9052 section 7, RFC 9053, RFC 8230).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use coset::cbor::Value;

use crate::{LONGEST_PART, Refused};

/// The algorithms that are offered, best first, by their COSE numbers: ES256, EdDSA, RS256 (which some TPMs know alone).
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];

/// A public key that signatures of a passkey are checked with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    cose: Vec<u8>,
    form: Form,
}

#[derive(Clone, PartialEq, Eq)]
enum Form {
    /// An uncompressed point of P-256.
    Es256([u8; 65]),
    Ed25519([u8; 32]),
    Rs256 {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl PublicKey {
    /// Reads a COSE key that takes up all of `bytes`.
    ///
    /// # Errors
    /// [`Refused::Malformed`], and [`Refused::OtherAlgorithm`] for one that is none of [`ALGORITHMS`].
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let (key, rest) = Self::read_first(bytes)?;
        if rest.is_empty() { Ok(key) } else { Err(WRONG) }
    }

    /// Reads the COSE key at the head of `bytes`, and says what stands after it.
    pub(crate) fn read_first(bytes: &[u8]) -> Result<(Self, &[u8]), Refused> {
        let mut rest = bytes;
        let value: Value = coset::cbor::from_reader(&mut rest).map_err(|_| WRONG)?;
        let read = bytes.len() - rest.len();
        let cose = bytes.get(..read).filter(|cose| cose.len() <= LONGEST_PART).ok_or(WRONG)?.to_vec();
        Ok((Self { form: form(&value)?, cose }, rest))
    }

    /// The COSE key as it was read.
    pub fn as_bytes(&self) -> &[u8] {
        &self.cose
    }

    /// Checks a signature over a message (section 6.5.5).
    pub(crate) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let checked =
            match &self.form {
                Form::Es256(point) => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
                }
                Form::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
                Form::Rs256 { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            };
        checked.map_err(|_| Refused::WrongSignature)
    }
}

const WRONG: Refused = Refused::Malformed("the passkey's public key");

/// Key type 2 on curve 1 with -7, key type 1 on curve 6 with -8, key type 3 with -257.
fn form(value: &Value) -> Result<Form, Refused> {
    let map = value.as_map().ok_or(WRONG)?;
    let find = |label: i64| {
        map.iter().find(|(key, _)| key.as_integer() == Some(label.into())).map(|(_, value)| value)
    };
    let number = |label| {
        find(label).and_then(|value| i64::try_from(i128::from(value.as_integer()?)).ok()).ok_or(WRONG)
    };
    let bytes = |label| find(label).and_then(Value::as_bytes).ok_or(WRONG);
    match (number(1)?, number(3)?) {
        (2, -7) if number(-1)? == 1 => {
            let point = [&[4], bytes(-2)?.as_slice(), bytes(-3)?.as_slice()].concat();
            Ok(Form::Es256(point.try_into().map_err(|_| WRONG)?))
        }
        (1, -8) if number(-1)? == 6 => Ok(Form::Ed25519(bytes(-2)?.clone().try_into().map_err(|_| WRONG)?)),
        (3, -257) => Ok(Form::Rs256 { modulus: bytes(-1)?.clone(), exponent: bytes(-2)?.clone() }),
        _ => Err(Refused::OtherAlgorithm),
    }
}
