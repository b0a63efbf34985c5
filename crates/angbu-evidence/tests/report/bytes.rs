//! No single byte of a report can be changed unnoticed, and the refusal says where to look.

use angbu_evidence::report::{Package, Refusal, extract, verify_file};
use proptest::prelude::*;

use crate::site::{Site, file, honest, minute, render, trust};

/// A report with everything that reports can have in them, and little of it.
fn small() -> (Package, String) {
    let mut site = Site::after_half_a_day();
    let manifest = site.manifest(minute(720));
    site.append("evidence.note", crate::site::THEIRS, minute(721), &[("text", "later")]);
    let from = minute(690);
    let package = site.package(manifest, from, minute(720), |item| honest(item, manifest, from));
    let file = file(&package);
    (package, file)
}

/// Whether a refusal names what a changed byte in a line of the evidence belongs to.
fn names(line: &str, refusal: &Refusal) -> bool {
    use Refusal as R;
    let word = line.split(' ').next().unwrap_or_default();
    let named = match word {
        "angbu/1" if line.contains(" report ") => matches!(refusal, R::NotRendered(_)),
        // The report's own customer; an entry's has a number after it.
        "customer" if line.split(' ').count() == 2 => matches!(refusal, R::OtherCustomer { .. }),
        "period" => {
            let order =
                matches!(refusal, R::PeriodReversed { .. } | R::ManifestTooEarly { .. } | R::Differs { .. });
            order || names_a_gap(refusal) || matches!(refusal, R::ManifestTooShort { .. })
        }
        "counter" | "manifest" | "map" => names_a_count(refusal),
        "item" => names_an_entry(refusal) || names_a_count(refusal) || names_nodes(refusal),
        "angbu/1" | "id" | "instant" | "customer" | "body" => {
            names_an_entry(refusal) || names_a_count(refusal)
        }
        "shown" | "hidden" => matches!(refusal, R::FieldChanged { .. } | R::BadFields { .. }),
        "node" => names_nodes(refusal),
        // The checkpoint's own lines.
        "signer" => matches!(refusal, R::BadSigner { .. } | R::OtherSigner { .. }),
        _ => matches!(refusal, R::Checkpoint(_) | R::OtherSigner { .. }),
    };
    let syntax = matches!(
        refusal,
        R::BadLine { .. }
            | R::BadNumber { .. }
            | R::BadHash { .. }
            | R::ForbiddenCharacter { .. }
            | R::NotText { .. }
    );
    named || syntax
}

fn names_an_entry(refusal: &Refusal) -> bool {
    use Refusal as R;
    let itself = matches!(refusal, R::BadEntry { .. } | R::FieldChanged { .. } | R::NotInLog { .. });
    let place = matches!(refusal, R::OutOfOrder { .. } | R::OutsideLog { .. } | R::NumberOutOfOrder { .. });
    let clock = matches!(refusal, R::ClockStateMissing { .. } | R::NotAClockState { .. });
    let manifest = matches!(refusal, R::ManifestTooEarly { .. } | R::ManifestTooShort { .. });
    itself || place || clock || manifest || matches!(refusal, R::OtherCustomer { .. })
}

fn names_a_count(refusal: &Refusal) -> bool {
    use Refusal as R;
    let leaf = matches!(refusal, R::ManifestLeaf { .. } | R::ManifestCustomers { .. });
    let manifest = matches!(refusal, R::ManifestMissing { .. } | R::NotAManifest { .. });
    let count = matches!(refusal, R::BeyondManifest { .. } | R::OtherPlace { .. });
    leaf || manifest || count || names_a_gap(refusal)
}

fn names_a_gap(refusal: &Refusal) -> bool {
    use Refusal as R;
    matches!(refusal, R::EntriesMissing { .. } | R::BeginningMissing { .. } | R::TailMissing { .. })
}

fn names_nodes(refusal: &Refusal) -> bool {
    use Refusal as R;
    matches!(refusal, R::NotInLog { .. } | R::WrongNodes { .. } | R::MissingNodes | R::ExtraNodes(_))
}

#[test]
fn every_changed_byte_is_refused_and_named() {
    let (package, file) = small();
    verify_file(file.as_bytes(), &trust(), &render).unwrap();
    let text = package.encode();
    let begin = file.find(&text).unwrap();
    let end = begin + text.len();
    let marker = begin - "<template id=\"angbu-evidence\">\n".len();
    let after = end + "</template>".len();
    for place in 0..file.len() {
        // A small change, one of case or sign, and one that is no UTF-8.
        for bits in [0x01, 0x10, 0x20, 0x80] {
            let mut changed = file.clone().into_bytes();
            changed[place] ^= bits;
            let refusal = verify_file(&changed, &trust(), &render).expect_err("a changed byte is refused");
            let context = format!("byte {place} ^ {bits:#04x}: {refusal}");
            if (begin..end).contains(&place) {
                let lines = file.as_bytes()[..place].iter().filter(|byte| **byte == b'\n').count();
                let line = file.split('\n').nth(lines).unwrap();
                assert!(names(line, &refusal), "{context}\nin the line {line}");
            } else if (marker..begin).contains(&place) {
                assert_eq!(refusal, Refusal::NoEvidence, "{context}");
            } else if (end..after).contains(&place) {
                assert_eq!(refusal, Refusal::EvidenceNotEnded, "{context}");
            } else {
                let line = file.as_bytes()[..place].iter().filter(|byte| **byte == b'\n').count() + 1;
                let found = matches!(&refusal, Refusal::Differs { offset, line: named, .. } if *offset == place && *named == line);
                assert!(found, "{context}");
            }
            assert!(!refusal.to_string().is_empty());
        }
    }
}

#[test]
fn a_file_that_is_cut_or_longer_is_refused() {
    let (_, file) = small();
    for length in 0..file.len() {
        assert!(verify_file(&file.as_bytes()[..length], &trust(), &render).is_err(), "cut to {length} bytes");
    }
    let longer = format!("{file}\n");
    let refusal = verify_file(longer.as_bytes(), &trust(), &render);
    let end = file.len();
    assert!(matches!(refusal, Err(Refusal::Differs { offset, .. }) if offset == end));
    let twice = format!("{file}{file}");
    assert_eq!(verify_file(twice.as_bytes(), &trust(), &render), Err(Refusal::EvidenceTwice));
}

#[test]
fn evidence_has_one_spelling() {
    let (package, file) = small();
    assert_eq!(Package::decode(&package.encode()), Ok(package.clone()));
    assert_eq!(extract(file.as_bytes()).unwrap(), (package.clone(), package.encode().as_str()));
}

proptest! {
    #[test]
    fn what_reads_as_evidence_encodes_to_the_same(place: prop::sample::Index, byte: u8, cut: prop::sample::Index, again: prop::sample::Index) {
        let (package, _) = small();
        let text = package.encode();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        // A line fewer, a line twice, a byte changed: three ways of being nearly right.
        let mut fewer = lines.clone();
        fewer.remove(cut.index(lines.len()));
        let mut more = lines.clone();
        more.insert(again.index(lines.len()), lines[cut.index(lines.len())]);
        let mut bytes = text.clone().into_bytes();
        bytes[place.index(text.len())] = byte;
        for changed in [fewer.concat(), more.concat(), String::from_utf8_lossy(&bytes).into_owned()] {
            if let Ok(read) = Package::decode(&changed) {
                prop_assert_eq!(read.encode(), changed.clone());
                prop_assert!(changed == text || read.prove(&trust()).is_err() || read.subject != package.subject);
            }
        }
    }
}
