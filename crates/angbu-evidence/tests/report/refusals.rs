//! Everything that a dishonest centre or a stranger in between could try, and the name that it is refused by.

use angbu_evidence::report::{self, Item, Package, Proven, Refusal, extract};
use angbu_evidence::{Body, Entry, Kind, merkle};
use angbu_units::CustomerId;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::site::{OURS, Site, THEIRS, honest, log_key, minute, trust};

fn honest_package() -> Package {
    Site::after_half_a_day().honest()
}

fn prove(package: &Package) -> Result<Proven, Refusal> {
    package.prove(&trust())
}

/// The package after a change to its text.
fn edited(package: &Package, from: &str, to: &str) -> Result<Proven, Refusal> {
    let text = package.encode();
    assert!(text.contains(from), "{from} is in the text");
    prove(&Package::decode(&text.replacen(from, to, 1))?)
}

pub(crate) fn numbered(item: &Item) -> (CustomerId, u64) {
    let entry = Entry::decode(item.entry.as_bytes()).unwrap();
    (entry.customer, entry.number)
}

#[test]
fn an_honest_report_is_proven() {
    let proven = prove(&honest_package()).unwrap();
    assert_eq!((proven.counter.count, proven.complete_from), (25, 8));
    assert_eq!(proven.signers, [report::Signer { key: log_key(), cosigned_at: None }]);
    assert_eq!((&proven.relied_on, proven.complete_until), (&vec![log_key()], minute(720)));
    let manifest = proven.at(proven.manifest).unwrap();
    assert_eq!(manifest.entry.kind.as_str(), "evidence.manifest");
    assert_eq!(proven.of_kind(&Kind::new("time.alarm").unwrap()).count(), 1);
    assert!(proven.entries.iter().all(|entry| entry.entry.customer != THEIRS));
}

/// With the proof as it was, as somebody would who only has the file.
#[test]
fn a_row_that_was_cut_out_of_the_file_is_named() {
    let package = honest_package();
    for place in 0..package.items.len() {
        let mut cut = package.clone();
        let (customer, number) = numbered(&cut.items.remove(place));
        let refusal = prove(&cut).unwrap_err();
        match customer {
            OURS if number > 1 => {
                let named = format!("entry number {number} of {customer} is missing");
                assert!(refusal.to_string().starts_with(&named), "{refusal}");
            }
            OURS => {
                assert!(matches!(refusal, Refusal::WrongNodes { .. } | Refusal::NotInLog { .. }), "{refusal}")
            }
            _ => assert!(
                matches!(
                    refusal,
                    Refusal::ManifestMissing { .. }
                        | Refusal::ManifestTooShort { .. }
                        | Refusal::ClockStateMissing { .. }
                ),
                "{refusal}"
            ),
        }
    }
}

#[test]
fn a_changed_manifest_leaf_is_named() {
    let package = honest_package();
    let mut fewer = package.clone();
    fewer.counter.count = 24;
    assert!(matches!(prove(&fewer), Err(Refusal::ManifestLeaf { customer: OURS, .. })));
    let mut elsewhere = package.clone();
    elsewhere.map.index = 0;
    assert!(matches!(prove(&elsewhere), Err(Refusal::ManifestLeaf { .. })));
    let mut more = package.clone();
    more.map.customers += 1;
    assert_eq!(prove(&more), Err(Refusal::ManifestCustomers { claimed: 4, counted: 3 }));
    let mut none = package.clone();
    none.manifest = 1;
    assert_eq!(prove(&none), Err(Refusal::NotAManifest { index: 1 }));
    none.manifest = 2;
    assert_eq!(prove(&none), Err(Refusal::ManifestMissing { index: 2 }));
}

#[test]
fn hashes_too_many_or_too_few_are_named() {
    let package = honest_package();
    let mut extra = package.clone();
    extra.nodes.push(merkle::empty_root());
    assert_eq!(prove(&extra), Err(Refusal::ExtraNodes(1)));
    let mut fewer = package.clone();
    fewer.nodes.pop();
    assert_eq!(prove(&fewer), Err(Refusal::MissingNodes));
    let mut changed = package.clone();
    changed.nodes[0] = merkle::empty_root();
    assert!(matches!(prove(&changed), Err(Refusal::WrongNodes { first: 0, .. })));
}

#[test]
fn numbers_and_hashes_have_one_spelling() {
    let package = honest_package();
    let number = |line, found: &str| Err(Refusal::BadNumber { line, found: found.to_owned() });
    assert_eq!(edited(&package, "sample 1\n", "sample 01\n"), number(1, "01"));
    assert_eq!(edited(&package, "sample 1\n", "sample 4294967296\n"), number(1, "4294967296"));
    assert_eq!(edited(&package, "period 1", "period +1"), number(3, &format!("+{}", minute(240).nanos())));
    assert_eq!(edited(&package, "counter 25", "counter 025"), number(4, "025"));
    let item = package.encode().lines().position(|line| line == "item 0").unwrap() + 1;
    assert_eq!(edited(&package, "item 0\n", "item 00\n"), number(item, "00"));
    let text = package.encode();
    let last = text.lines().count() - 1;
    assert_eq!(edited(&package, "=\nend", "\nend"), Err(Refusal::BadHash { line: last }));
    let after = text.lines().count() + 1;
    let ended = Err(Refusal::BadLine { line: after, expected: "nothing: the evidence has ended" });
    assert_eq!(edited(&package, "\nend\n", "\nend\nmore\n"), ended);
    assert_eq!(
        edited(&package, "angbu/1 report", "<b>"),
        Err(Refusal::ForbiddenCharacter { line: 1, character: '<' })
    );
}

/// A value that was changed with everything above it that a forger can reach: the entry is named.
#[test]
fn a_forged_entry_is_named() {
    let mut package = honest_package();
    let item = package.items.iter_mut().find(|item| item.entry.contains("time.alarm")).unwrap();
    let index = item.index;
    let mut entry = Entry::decode(item.entry.as_bytes()).unwrap();
    let fields = [("kind", b"slew".to_vec()), ("difference-ns", b"1".to_vec())];
    let body = Body::new(&mut StdRng::seed_from_u64(5), fields).unwrap();
    item.fields = body.disclose(|_| true);
    let changed = prove(&package);
    assert_eq!(changed, Err(Refusal::FieldChanged { index, kind: "time.alarm".to_owned() }));
    entry.body_root = body.root();
    let item = package.items.iter_mut().find(|item| item.index == index).unwrap();
    item.entry = entry.encode();
    assert_eq!(prove(&package), Err(Refusal::NotInLog { index }));
}

#[test]
fn entries_in_the_wrong_place_are_named() {
    let package = honest_package();
    let mut swapped = package.clone();
    swapped.items.swap(3, 4);
    let (before, index) = (package.items[4].index, package.items[3].index);
    assert_eq!(prove(&swapped), Err(Refusal::OutOfOrder { index, before }));
    let mut twice = package.clone();
    twice.items.insert(3, package.items[3].clone());
    assert_eq!(prove(&twice), Err(Refusal::OutOfOrder { index, before: index }));
    let mut outside = package.clone();
    outside.items.last_mut().unwrap().index = 1_000;
    assert_eq!(prove(&outside), Err(Refusal::OutsideLog { index: 1_000, size: 54 }));
    let mut renumbered = package.clone();
    let last = renumbered.items.len() - 3;
    renumbered.items[last].entry = renumbered.items[last].entry.replace(" 25\n", " 24\n");
    assert!(matches!(prove(&renumbered), Err(Refusal::NumberOutOfOrder { number: 24, before: 24, .. })));
    let mut moved = package.clone();
    moved.items[last].index += 1;
    assert!(matches!(
        prove(&moved),
        Err(Refusal::OutOfOrder { .. } | Refusal::OtherPlace { number: 25, .. })
    ));
    assert_eq!(
        edited(&package, "period ", &format!("period {0} {0}\nperiod ", minute(1).nanos())),
        Err(Refusal::BadLine { line: 4, expected: "'counter', the count, the first and the last" })
    );
    let mut reversed = package;
    reversed.subject.to = reversed.subject.from;
    assert!(matches!(prove(&reversed), Err(Refusal::PeriodReversed { .. })));
}

#[test]
fn a_clock_that_nothing_shows_is_named() {
    let mut site = Site::after_half_a_day();
    let manifest = site.manifest(minute(720));
    let clock = site.items.iter().rfind(|item| item.entry.contains("clock.state")).unwrap().index;
    let package = site.package(manifest, minute(240), minute(720), |item| {
        honest(item, manifest, minute(240)) && item.index != clock
    });
    let refusal = prove(&package);
    assert!(matches!(refusal, Err(Refusal::ClockStateMissing { clock_state, .. }) if clock_state == clock));
    let mut other = Site::empty();
    other.append("account.customer", OURS, minute(0), &[("tolerance-ns", "1")]);
    let manifest = other.manifest(minute(720));
    let package = other.package(manifest, minute(240), minute(720), |_| true);
    assert_eq!(prove(&package), Err(Refusal::ClockUnfounded { index: 0, verdict: "declared" }));
    let package = honest_package();
    let pointing = package.encode().replace(" declared 0\n", " declared 1\n");
    let refusal = prove(&Package::decode(&pointing).unwrap());
    assert!(matches!(refusal, Err(Refusal::NotAClockState { .. })), "{refusal:?}");
}

#[test]
fn files_without_evidence_are_named() {
    assert_eq!(extract(b"<!doctype html>").err(), Some(Refusal::NoEvidence));
    assert_eq!(extract(b"").err(), Some(Refusal::NoEvidence));
    let cut = b"<template id=\"angbu-evidence\">\nangbu/1 report";
    assert_eq!(extract(cut).err(), Some(Refusal::EvidenceNotEnded));
    let empty = b"<template id=\"angbu-evidence\">\n</template>";
    assert!(matches!(extract(empty).err(), Some(Refusal::BadLine { line: 1, .. })));
    let binary = b"<template id=\"angbu-evidence\">\n\xff</template>";
    assert_eq!(extract(binary).err(), Some(Refusal::NotText { line: 1 }));
}
