//! An authenticator of our own, which can be told to do everything wrong.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use coset::cbor::Value;
use proptest::prelude::*;

use super::*;

const CHALLENGE: Challenge = [7; 32];
const ORIGIN: &str = "https://trust.example.com";
const USER: &[u8] = b"somebody";
const GOOD: u8 = 0b101;

fn party() -> RelyingParty {
    RelyingParty::of(ORIGIN).unwrap()
}

enum Key {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Key {
    fn all() -> [Self; 3] {
        let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        [
            Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            Self::Rs256(rsa),
        ]
    }

    fn cose(&self) -> Vec<u8> {
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        let number = |number: i64| Value::Integer(number.into());
        let pairs = match self {
            Self::Es256(key) => {
                let point = key.public_key().as_ref();
                vec![
                    (1, number(2)),
                    (3, number(-7)),
                    (-1, number(1)),
                    (-2, bytes(&point[1..33])),
                    (-3, bytes(&point[33..])),
                ]
            }
            Self::Ed25519(key) => {
                vec![(1, number(1)), (3, number(-8)), (-1, number(6)), (-2, bytes(key.public_key().as_ref()))]
            }
            Self::Rs256(key) => {
                // RSAPublicKey (RFC 8017, A.1.1) of 2,048 bits: 256 bytes behind nine, and an exponent of three at the end.
                let public = key.public_key().as_ref();
                vec![
                    (1, number(3)),
                    (3, number(-257)),
                    (-1, bytes(&public[9..265])),
                    (-2, bytes(&public[267..])),
                ]
            }
        };
        cbor(&Value::Map(pairs.into_iter().map(|(label, value)| (number(label), value)).collect()))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    coset::cbor::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn data(id: &str, flags: u8, counter: u32, credential: &[u8]) -> Vec<u8> {
    [Sha256::digest(id).as_slice(), &[flags], &counter.to_be_bytes(), credential].concat()
}

fn credential(id: &[u8], cose: &[u8]) -> Vec<u8> {
    [&[0; 16], u16::try_from(id.len()).unwrap().to_be_bytes().as_slice(), id, cose].concat()
}

fn attestation(data: Vec<u8>) -> Vec<u8> {
    let text = |text: &str| Value::Text(text.to_owned());
    cbor(&Value::Map(vec![
        (text("fmt"), text("none")),
        (text("attStmt"), Value::Map(vec![])),
        (text("authData"), Value::Bytes(data)),
    ]))
}

fn client(kind: &str) -> ClientData<'_> {
    ClientData {
        bytes: b"what the browser wrote",
        kind,
        challenge: &CHALLENGE,
        origin: ORIGIN,
        cross_origin: false,
    }
}

fn registered(key: &Key) -> Registered {
    let data = data("trust.example.com", GOOD | 1 << 6, 0, &credential(&[9; 20], &key.cose()));
    register(&party(), &CHALLENGE, &client("webauthn.create"), &attestation(data)).ok().unwrap()
}

#[test]
fn what_was_registered_signs_in_with_every_algorithm() {
    for key in Key::all() {
        let kept = registered(&key);
        assert_eq!(
            (kept.credential_id.as_slice(), kept.counter, kept.synced),
            ([9; 20].as_slice(), 0, false)
        );
        let read = PublicKey::read(kept.public_key.as_bytes()).ok().unwrap();
        assert!(read == kept.public_key);
        let signed = data("trust.example.com", GOOD, 1, &[]);
        let client = client("webauthn.get");
        let message = [signed.as_slice(), &Sha256::digest(client.bytes)].concat();
        let mut signature = key.sign(&message);
        let sign_in = |signature: &[u8], counter| {
            let answer =
                Assertion { client, authenticator_data: &signed, signature, user_handle: Some(USER) };
            judge_sign_in(&party(), &CHALLENGE, &answer, (&read, counter, USER))
        };
        assert_eq!(sign_in(&signature, 0), Ok(1));
        assert_eq!(sign_in(&signature, 1), Err(Refused::CountedBack), "the same count twice");
        assert_eq!(sign_in(&signature, 2), Err(Refused::CountedBack));
        *signature.last_mut().unwrap() ^= 1;
        assert_eq!(sign_in(&signature, 0), Err(Refused::WrongSignature));
        assert_eq!(sign_in(&[], 0), Err(Refused::WrongSignature));
    }
}

#[test]
fn whatever_is_not_as_it_was_asked_for_is_refused() {
    let [key, other, _] = Key::all();
    let kept = registered(&key);
    let check = |client: ClientData<'_>, signed: Vec<u8>, user: Option<&[u8]>, by: &Key, expected| {
        let signature = by.sign(&[signed.as_slice(), &Sha256::digest(client.bytes)].concat());
        let answer =
            Assertion { client, authenticator_data: &signed, signature: &signature, user_handle: user };
        let judged = judge_sign_in(&party(), &CHALLENGE, &answer, (&kept.public_key, 0, USER));
        assert_eq!(judged, expected);
    };
    let (get, own) = (client("webauthn.get"), "trust.example.com");
    let good = || data(own, GOOD, 0, &[]);
    check(get, good(), None, &key, Ok(0));
    check(client("webauthn.create"), good(), None, &key, Err(Refused::OtherKind));
    check(ClientData { challenge: &[8; 32], ..get }, good(), None, &key, Err(Refused::OtherChallenge));
    check(ClientData { challenge: &[], ..get }, good(), None, &key, Err(Refused::OtherChallenge));
    for origin in [
        "https://trust.example.com.evil.example",
        "http://trust.example.com",
        "https://trust.example.com:8443",
    ] {
        check(ClientData { origin, ..get }, good(), None, &key, Err(Refused::OtherOrigin));
    }
    check(ClientData { cross_origin: true, ..get }, good(), None, &key, Err(Refused::OtherOrigin));
    check(get, data("evil.example", GOOD, 0, &[]), None, &key, Err(Refused::OtherParty));
    check(get, data(own, 0b100, 0, &[]), None, &key, Err(Refused::NobodyThere));
    check(get, data(own, 0b001, 0, &[]), None, &key, Err(Refused::NotVerified));
    check(get, good(), Some(b"somebody else"), &key, Err(Refused::OtherUser));
    check(get, good(), None, &other, Err(Refused::WrongSignature));
    let malformed = Err(Refused::Malformed("the authenticator's data"));
    check(get, good()[..36].to_vec(), None, &key, malformed);
    check(get, data(own, GOOD, 0, &[0]), None, &key, malformed);
    check(get, data(own, GOOD | 1 << 4, 0, &[]), None, &key, malformed);
    check(get, data(own, GOOD | 1 << 7, 0, &[0x80]), None, &key, malformed);
    check(get, data(own, GOOD | 1 << 7, 0, &[0xa0]), None, &key, Ok(0));
}

#[test]
fn what_cannot_be_kept_is_not_registered() {
    let [key, ..] = Key::all();
    let create = client("webauthn.create");
    let check = |flags, credential: &[u8], expected| {
        let object = attestation(data("trust.example.com", flags, 0, credential));
        assert_eq!(register(&party(), &CHALLENGE, &create, &object).err(), expected);
    };
    let whole = credential(&[9; 20], &key.cose());
    check(GOOD | 1 << 6 | 1 << 3, &whole, None);
    check(0b001 | 1 << 6, &whole, Some(Refused::NotVerified));
    check(GOOD, &[], Some(Refused::Malformed("the new passkey")));
    let malformed = Some(Refused::Malformed("the authenticator's data"));
    check(GOOD | 1 << 6, &credential(&[], &key.cose()), malformed);
    check(GOOD | 1 << 6, &credential(&[9; 1_024], &key.cose()), malformed);
    check(GOOD | 1 << 6, &whole[..whole.len() - 1], Some(Refused::Malformed("the passkey's public key")));
    // An algorithm that nobody offered: ES384.
    let number = |number: i64| Value::Integer(number.into());
    let other = cbor(&Value::Map(vec![(number(1), number(2)), (number(3), number(-35))]));
    check(GOOD | 1 << 6, &credential(&[9; 20], &other), Some(Refused::OtherAlgorithm));
    let object = Some(Refused::Malformed("the attestation object"));
    for bytes in [&[] as &[u8], &[0x80], &[0xa0], &[0xff; 100], &[0; LONGEST_PART + 1]] {
        assert_eq!(register(&party(), &CHALLENGE, &create, bytes).err(), object);
    }
}

proptest! {
    #[test]
    fn a_strangers_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = register(&party(), &CHALLENGE, &client("webauthn.create"), &bytes);
        let _ = AuthenticatorData::read(&bytes);
        if let Ok(key) = PublicKey::read(&bytes) {
            prop_assert_eq!(key.as_bytes(), bytes.as_slice());
        }
    }
}
