//! The published Rust implementation reads what we write and writes what we read: its message types and its tree, with the
//! checks of RFC 10049, section 5.4, around them.

use super::client::{self, Reply};
use super::server::{Delegation, Round};
use super::{DELEGATION_CONTEXT, RESPONSE_CONTEXT};
use angbu_evidence::note::{Ed25519Signer, Signer as _};
use angbu_units::{Nanos, UnixTime};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use roughenough_merkle::{MerkleTree, root_from_paths};
use roughenough_protocol::cursor::ParseCursor;
use roughenough_protocol::request::Request;
use roughenough_protocol::response::Response;
use roughenough_protocol::tags::{
    Certificate, Delegation as TheirDelegation, MessageType, Nonce, ProtocolVersion, PublicKey,
    SignedResponse, SrvCommitment, SupportedVersions,
};
use roughenough_protocol::{FromFrame as _, ToFrame as _, ToWire};
use std::time::Duration;

const NOW: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_000);
const SECONDS: u64 = 1_763_762_721;

fn wire(value: &impl ToWire) -> Vec<u8> {
    value.as_bytes().unwrap()
}

/// What their client checks of a reply, with their types.
fn their_check(public_key: &[u8; 32], request: &[u8], reply: &[u8]) -> (u64, u32) {
    let mut bytes = reply.to_vec();
    let response = Response::from_frame(&mut ParseCursor::new(&mut bytes)).unwrap();
    assert_eq!(response.msg_type(), MessageType::Response);
    let verify = |key: &[u8], context: &[u8], value: Vec<u8>, signature: &[u8]| {
        let key = VerifyingKey::from_bytes(key.try_into().unwrap()).unwrap();
        let signature = Signature::from_slice(signature).unwrap();
        key.verify_strict(&[context, &value].concat(), &signature).unwrap();
    };
    let version = *response.srep().ver();
    assert_eq!(version, ProtocolVersion::RFC);
    assert!(response.srep().vers().is_supported(version));
    let (certificate, delegation) = (response.cert(), response.cert().dele());
    let value = delegation.as_bytes().unwrap();
    verify(public_key, version.dele_prefix(), value, &wire(certificate.sig()));
    let value = response.srep().as_bytes().unwrap();
    verify(&wire(delegation.pubk()), version.srep_prefix(), value, &wire(response.sig()));
    let index = response.indx().try_into().unwrap();
    let root = root_from_paths(index, request, response.path()).unwrap();
    assert_eq!(root.as_slice(), wire(response.srep().root()));
    let midpoint = response.srep().midp();
    assert!((delegation.mint()..=delegation.maxt()).contains(&midpoint));
    (midpoint, response.srep().radi())
}

#[test]
fn their_requests_get_replies_that_they_accept() {
    let key = Ed25519Signer::new("roughtime", &[1; 32]).unwrap();
    let public_key = *key.verifier_key().public_key();
    let (from, until) = (NOW - Nanos::from_secs(60), NOW + Nanos::from_secs(60));
    let delegation = Delegation::new(&[&key], from, until, &mut StdRng::seed_from_u64(1)).unwrap();
    let mut round = Round::new(64);
    let srv = SrvCommitment::from(super::server_id(&public_key));
    let versions = [ProtocolVersion::RFC, ProtocolVersion::DRAFT];
    let requests: Vec<Vec<u8>> = (0..21_u8)
        .map(|n| {
            let nonce = Nonce::from([n; 32]);
            let request = match n % 3 {
                0 => Request::new(&nonce),
                1 => Request::new_with_server(&nonce, &srv),
                _ => Request::new_with_server_and_versions(&nonce, &srv, &versions),
            };
            request.as_frame_bytes().unwrap()
        })
        .collect();
    for request in &requests {
        round.add(request, &delegation).unwrap();
    }
    round.sign(&delegation, NOW, 2);
    for (number, request) in requests.iter().enumerate() {
        assert_eq!(their_check(&public_key, request, round.reply(number, &delegation)), (SECONDS, 2));
    }
}

#[test]
fn our_requests_are_theirs_and_we_accept_their_replies() {
    let (long_term, online) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let public_key = long_term.verifying_key().to_bytes();
    let requests: Vec<_> = (0..5_u8).map(|n| client::request(&public_key, &[n; 32])).collect();
    let mut tree = MerkleTree::new();
    for (request, n) in requests.iter().zip(0_u8..) {
        let mut bytes = request.clone();
        let theirs = Request::from_frame(&mut ParseCursor::new(&mut bytes)).unwrap();
        assert_eq!(wire(theirs.nonc()), [n; 32]);
        assert_eq!(wire(theirs.srv().unwrap()), super::server_id(&public_key));
        assert_eq!(theirs.as_frame_bytes().unwrap(), *request);
        tree.push_leaf(request);
    }
    let root = tree.compute_root();
    let valid = Duration::from_secs(60);
    let delegation = TheirDelegation::new(PublicKey::from(online.verifying_key().to_bytes()), SECONDS, valid);
    let sign = |key: &SigningKey, context: &[u8], value: Vec<u8>| {
        key.sign(&[context, &value].concat()).to_bytes().into()
    };
    let signature = sign(&long_term, DELEGATION_CONTEXT, delegation.as_bytes().unwrap());
    let mut signed = SignedResponse::default();
    signed.set_ver(ProtocolVersion::RFC);
    signed.set_radi(5);
    signed.set_midp(SECONDS);
    signed.set_vers(&SupportedVersions::new(&[ProtocolVersion::RFC]));
    signed.set_root(&root.into());
    let mut response = Response::default();
    response.set_sig(sign(&online, RESPONSE_CONTEXT, signed.as_bytes().unwrap()));
    response.set_srep(signed);
    response.set_cert(Certificate::new(signature, delegation));
    for (request, n) in requests.iter().zip(0_u8..) {
        response.set_nonc([n; 32].into());
        response.set_path(tree.get_paths(n.into()));
        response.set_indx(n.into());
        let reply = response.as_frame_bytes().unwrap();
        let told = client::verify(&public_key, request, &reply).unwrap();
        assert_eq!(told, Reply { midpoint: SECONDS, radius: 5 });
    }
}
