//! The files in vectors/evidence: what others' tools have made, and a report that must stay readable for ever.

use angbu_evidence::body::Field;
use angbu_evidence::note::{Note, VerifierKey};
use angbu_evidence::report::{Package, embed};
use angbu_evidence::{Body, Checkpoint, Hash, merkle};

use crate::python::verify_bytes;
use crate::site::{Site, log_key, trust};

/// A file's header, and what stands under it.
fn parts(file: &str) -> (&str, &str) {
    file.split_once("\n---\n").unwrap()
}

/// Where the report of the first format is.
fn first() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/evidence/report/first.txt")
}

fn key(header: &str) -> VerifierKey {
    header.lines().find_map(|line| line.strip_prefix("key: ")).unwrap().parse().unwrap()
}

#[test]
fn a_note_by_go() {
    let (header, text) = parts(include_str!("../../../../vectors/evidence/note/go.txt"));
    let note = Note::parse(text).unwrap();
    assert_eq!(note.verify(&[key(header)]), Ok(vec![&key(header)]));
    assert_eq!(note.encode(), text);
}

#[test]
fn a_checkpoint_by_openssl() {
    let (header, text) = parts(include_str!("../../../../vectors/evidence/checkpoint/openssl.txt"));
    let checkpoint = Checkpoint::verify(text, &key(header)).unwrap();
    let leaves: Vec<Hash> = ["a", "b", "c"].map(|leaf| merkle::leaf_hash(leaf.as_bytes())).to_vec();
    assert_eq!((checkpoint.size, checkpoint.root), (3, merkle::root(&leaves)));
}

#[test]
fn a_body_by_openssl() {
    let (_, text) = parts(include_str!("../../../../vectors/evidence/body/openssl.txt"));
    let expected: Vec<Hash> = text.lines().map(|line| line.parse().unwrap()).collect();
    let field = |name: &str, value: &str, salt| Field {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
        salt: [salt; 32],
    };
    let body =
        Body::from_fields(vec![field("tolerance-ns", "50000000", 0x11), field("name", "Kim", 0x22)]).unwrap();
    let mut found: Vec<Hash> = body.fields().iter().map(Field::leaf).collect();
    found.push(body.root());
    assert_eq!(found, expected);
}

#[test]
#[ignore = "writes the vector of a new format"]
fn write_the_report_of_the_newest_format() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/evidence/report/first.txt");
    assert!(!path.exists(), "{} was written already, and stays as it is", path.display());
    let text = Site::after_half_a_day().honest().encode();
    let header = format!(
        "what: the evidence of a report in its first format\n\
         made by: crates/angbu-evidence/tests/report/site.rs, Site::after_half_a_day().honest(); checked by docs/verify.py too\n\
         key: {}\nexpect: proven; 23 entries, number 8 to 25 of the customer without a gap\n",
        log_key()
    );
    std::fs::write(path, format!("{header}---\n{text}")).unwrap();
}

#[test]
fn a_report_of_the_first_format() {
    let vector = std::fs::read_to_string(first()).unwrap();
    let (header, text) = parts(&vector);
    assert_eq!(key(header), log_key());
    let package = Package::decode(text).unwrap();
    assert_eq!(package.encode(), text);
    let proven = package.prove(&trust()).unwrap();
    assert_eq!((proven.complete_from, proven.counter.count, proven.entries.len()), (8, 25, 23));
    let (status, output, error) = verify_bytes(embed("", text, "").as_bytes());
    assert!(
        status == 0 && output.contains("\nentries 8 to 25 of this customer, none left out"),
        "{output}{error}"
    );
}
