//! Who signed a report's checkpoint, and whose word counts for whom.

use angbu_evidence::cosign::cosign;
use angbu_evidence::note::{Ed25519Signer, Note, Signer, VerifierKey, sign};
use angbu_evidence::report::{Package, Refusal, Trust};
use angbu_units::{Nanos, UnixTime};

use crate::site::{ORIGIN, Site, log_key, log_signer, trust};

/// When the witnesses looked.
const SECONDS: u64 = 1_790_856_060;

fn witness(name: &str, seed: u8) -> Ed25519Signer {
    Ed25519Signer::new(name, &[seed; 32]).unwrap()
}

fn witness_key(name: &str, seed: u8) -> VerifierKey {
    witness(name, seed).verifier_key().as_witness()
}

/// The log's key after the first.
fn next_signer() -> Ed25519Signer {
    Ed25519Signer::new(ORIGIN, &[8; 32]).unwrap()
}

/// The package with these signatures in this order, as they come: the log's by 7 or 8, witnesses by name and seed.
fn signed(package: &Package, signers: &[(&str, u8)]) -> Package {
    let mut note = Note::parse(&package.checkpoint).unwrap();
    note.signatures.clear();
    let mut keys = Vec::new();
    for (name, seed) in signers {
        let signer = witness(name, *seed);
        let (line, key) = if *name == ORIGIN {
            let line = Note::parse(&sign(&note.text, &signer).unwrap()).unwrap().signatures.remove(0);
            (line, signer.verifier_key())
        } else {
            (cosign(&note.text, SECONDS, &signer).unwrap(), signer.verifier_key().as_witness())
        };
        note.signatures.push(line);
        keys.push(key);
    }
    Package { checkpoint: note.encode(), signers: keys, ..package.clone() }
}

fn given(log: &[VerifierKey], witnesses: &[VerifierKey]) -> Trust {
    Trust { log: log.to_vec(), witnesses: witnesses.to_vec() }
}

#[test]
fn witnesses_count_where_their_keys_were_given() {
    let package = signed(&Site::after_half_a_day().honest(), &[(ORIGIN, 7), ("a", 1), ("b", 2)]);
    assert_eq!(Package::decode(&package.encode()), Ok(package.clone()));
    let (a, b) = (witness_key("a", 1), witness_key("b", 2));
    let proven = package.prove(&given(&[log_key()], &[b.clone(), a.clone()])).unwrap();
    assert_eq!(proven.relied_on, [log_key(), a.clone(), b]);
    let when = UnixTime::from_nanos(0) + Nanos::from_secs(i64::try_from(SECONDS).unwrap());
    assert_eq!(
        proven.signers.iter().map(|signer| signer.cosigned_at).collect::<Vec<_>>(),
        [None, Some(when), Some(when)]
    );
    // Whom the verifier does not know is checked all the same, and counts for nothing.
    let proven = package.prove(&trust()).unwrap();
    assert_eq!((proven.signers.len(), proven.relied_on), (3, vec![log_key()]));
    let missing = package.prove(&given(&[log_key()], &[witness_key("c", 3)]));
    assert_eq!(missing, Err(Refusal::WitnessMissing("c".to_owned())));
    // A witness of the same name with another key is another.
    let missing = package.prove(&given(&[log_key()], &[witness_key("a", 9)]));
    assert_eq!(missing, Err(Refusal::WitnessMissing("a".to_owned())));
}

#[test]
fn a_log_that_has_changed_its_key_is_known_by_either() {
    let package = signed(&Site::after_half_a_day().honest(), &[(ORIGIN, 8), (ORIGIN, 7), ("a", 1)]);
    let next = next_signer().verifier_key();
    let given_keys =
        [vec![log_key()], vec![next.clone()], vec![log_key(), next.clone()], vec![next.clone(), log_key()]];
    for keys in &given_keys {
        assert_eq!(package.prove(&given(keys, &[])).unwrap().relied_on.len(), keys.len());
    }
    // One that was given and has not signed this checkpoint is no matter, as long as another has.
    let stranger = Ed25519Signer::new(ORIGIN, &[9; 32]).unwrap().verifier_key();
    assert!(package.prove(&given(&[stranger.clone(), next], &[])).is_ok());
    let refusal = package.prove(&given(&[stranger], &[])).unwrap_err();
    assert!(matches!(refusal, Refusal::NotSignedByGiven { .. }), "{refusal}");
    assert!(refusal.to_string().contains("'centre.example/log' (1068b451)"), "{refusal}");
}

#[test]
fn every_signature_has_its_place_and_its_signer() {
    let package = Site::after_half_a_day().honest();
    let refused = |signers: &[(&str, u8)]| signed(&package, signers).prove(&trust()).unwrap_err();
    let out_of_order = |name: &str| Refusal::SignatureOutOfOrder { name: name.to_owned() };
    assert_eq!(refused(&[(ORIGIN, 7), ("b", 2), ("a", 1)]), out_of_order("a"));
    assert_eq!(refused(&[("a", 1), (ORIGIN, 7)]), out_of_order(ORIGIN));
    assert!(refused(&[(ORIGIN, 7), ("a", 1), ("a", 1)]).to_string().contains("stands under the note twice"));
    assert!(refused(&[(ORIGIN, 7), (ORIGIN, 7)]).to_string().contains("stands under the note twice"));
    // A signature too many, a signer too many, and one in another's place.
    let honest = signed(&package, &[(ORIGIN, 7), ("a", 1)]);
    let changed = |change: fn(&mut Package)| {
        let mut package = honest.clone();
        change(&mut package);
        package.prove(&trust()).unwrap_err()
    };
    let refusal = changed(|package| drop(package.signers.pop()));
    assert_eq!(refusal, Refusal::SignerCount { signatures: 2, signers: 1 });
    let refusal = changed(|package| package.signers.push(witness_key("b", 2)));
    assert_eq!(refusal, Refusal::SignerCount { signatures: 2, signers: 3 });
    let refusal = changed(|package| package.signers.reverse());
    assert!(matches!(refusal, Refusal::OtherSigner { .. }), "{refusal}");
    let refusal = changed(|package| package.signers[1] = witness_key("a", 2));
    assert!(matches!(&refusal, Refusal::OtherSigner { name, .. } if name == "a"), "{refusal}");
    // Another log's signature is no witness's.
    let mut stranger = honest.clone();
    let other = Ed25519Signer::new("other.example/log", &[3; 32]).unwrap();
    let mut note = Note::parse(&stranger.checkpoint).unwrap();
    note.signatures[1] = Note::parse(&sign(&note.text, &other).unwrap()).unwrap().signatures.remove(0);
    (stranger.checkpoint, stranger.signers[1]) = (note.encode(), other.verifier_key());
    assert!(matches!(stranger.prove(&trust()), Err(Refusal::OtherLog { .. })));
    // A cosignature that was changed, though nobody asked for that witness.
    let mut wrong = honest;
    let mut note = Note::parse(&wrong.checkpoint).unwrap();
    note.signatures[1].signature[7] ^= 1;
    wrong.checkpoint = note.encode();
    assert!(wrong.prove(&trust()).unwrap_err().to_string().contains("the signature of 'a' is wrong"));
}

/// Whoever puts a package together hands over what is at hand.
#[test]
fn the_assembler_keeps_what_a_report_can_hold() {
    let mut site = Site::after_half_a_day();
    let manifest = site.manifest(crate::site::minute(720));
    let mut note = Note::parse(&site.checkpoint()).unwrap();
    let mut keys = vec![log_key()];
    for (name, seed) in [("b", 2), ("a", 1), ("<b>", 3), ("unknown", 4)] {
        note.signatures.push(cosign(&note.text, SECONDS, &witness(name, seed)).unwrap());
        if name != "unknown" {
            keys.push(witness_key(name, seed));
        }
    }
    note.signatures.rotate_left(1);
    let package = site.package_signed((&note.encode(), &keys), manifest);
    assert_eq!(package.signers.iter().map(VerifierKey::name).collect::<Vec<_>>(), [ORIGIN, "a", "b"]);
    assert!(package.prove(&trust()).is_ok());
}

#[test]
fn without_the_logs_key_nothing_is_proven() {
    let package = Site::after_half_a_day().honest();
    let nobody = Trust::default();
    assert_eq!(package.prove(&nobody), Err(Refusal::SignerNotGiven { claimed: ORIGIN.to_owned() }));
    let only_a_witness = given(&[], &[log_signer().verifier_key().as_witness()]);
    assert!(matches!(package.prove(&only_a_witness), Err(Refusal::SignerNotGiven { .. })));
    // The report brings a key of its own, under the log's name.
    let forged = signed(&package, &[(ORIGIN, 8)]);
    assert!(matches!(forged.prove(&trust()), Err(Refusal::NotSignedByGiven { .. })));
    let text = package.encode().replacen("checkpoint 5\ncentre", "checkpoint 5\nCentre", 1);
    assert!(matches!(Package::decode(&text).unwrap().prove(&trust()), Err(Refusal::Checkpoint(_))));
}
