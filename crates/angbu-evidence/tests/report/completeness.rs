//! Nothing of a customer can be left out of a report, by nobody who has everything but the log's own key: whoever
//! tampers here has the real log with all its entries, manifests and checkpoints, and makes every proof anew.

use std::collections::BTreeMap;

use angbu_evidence::manifest::Counter;
use angbu_evidence::report::{Item, Package, Proven, Refusal};
use angbu_evidence::{Checkpoint, Manifest};
use angbu_units::CustomerId;

use crate::refusals::numbered;
use crate::site::{OURS, Site, THEIRS, honest, log_key, log_signer, minute, trust};

fn prove(package: &Package) -> Result<Proven, Refusal> {
    package.prove(&trust())
}

/// The words of a refusal.
fn refused(package: &Package) -> String {
    prove(package).expect_err("a tampered report is refused").to_string()
}

/// Twelve hours and the report's manifest; the log goes on after it.
fn site() -> (Site, u64) {
    let mut site = Site::after_half_a_day();
    let manifest = site.manifest(minute(720));
    site.append("time.segment", THEIRS, minute(721), &[("exchanges", "1")]);
    (site, manifest)
}

/// The report from 4:00 to 12:00, of the honest items that are chosen.
fn without(chosen: impl Fn(&Item) -> bool) -> Package {
    let (site, manifest) = site();
    site.package(manifest, minute(240), minute(720), |item| {
        honest(item, manifest, minute(240)) && chosen(item)
    })
}

fn ours(item: &Item, numbers: std::ops::RangeInclusive<u64>) -> bool {
    let (customer, number) = numbered(item);
    customer == OURS && numbers.contains(&number)
}

#[test]
fn a_removed_row_is_named() {
    assert!(prove(&without(|_| true)).is_ok());
    for missing in 8..=25 {
        let words = refused(&without(|item| !ours(item, missing..=missing)));
        assert!(words.starts_with(&format!("entry number {missing} of {OURS} is missing")), "{words}");
    }
    // With the instants around it.
    assert_eq!(
        refused(&without(|item| !ours(item, 13..=13))),
        format!(
            "entry number 13 of {OURS} is missing: the report has none between {} and {}",
            minute(330),
            minute(390)
        )
    );
    // What came before the period may stand alone, or not at all.
    assert!(prove(&without(|item| !ours(item, 1..=1))).is_ok());
}

#[test]
fn a_removed_hour_is_named_as_a_range_with_the_instants_around_it() {
    assert_eq!(
        refused(&without(|item| !ours(item, 13..=14))),
        format!(
            "the entries number 13 to 14 of {OURS} are missing: the report has none between {} and {}",
            minute(330),
            minute(420)
        )
    );
    // Every run inside the period.
    for (first, last) in (10..=23).flat_map(|first| (first..=24).map(move |last| (first, last))) {
        let package = without(|item| !ours(item, first..=last));
        let refusal = prove(&package).unwrap_err();
        let found =
            matches!(refusal, Refusal::EntriesMissing { first: f, last: l, .. } if (f, l) == (first, last));
        assert!(found, "{first} to {last}: {refusal}");
    }
    // The period's first hour, and with it what shows where the period begins.
    let expected = format!(
        "entry number 11 of {OURS} is missing, and with it whatever leads back to the period's beginning at {}: the \
         report has nothing from there to {}",
        minute(240),
        minute(330)
    );
    assert_eq!(refused(&without(|item| !ours(item, 8..=11))), expected);
    assert_eq!(refused(&without(|item| !ours(item, 1..=11))), expected);
}

#[test]
fn a_truncated_tail_is_named() {
    let words = refused(&without(|item| !ours(item, 24..=25)));
    let expected = format!(
        "the entries number 24 to 25 of {OURS} are missing: the manifest counts them, but the customer's last entry in \
         the report is of {}",
        minute(630)
    );
    assert_eq!(words, expected);
    let words = refused(&without(|item| !ours(item, 1..=25)));
    assert!(words.ends_with("but the report has no entry of this customer"), "{words}");
    // With the counter made to fit, the manifest says otherwise.
    let mut package = without(|item| !ours(item, 24..=25));
    package.counter =
        Counter { count: 23, last: package.items[package.items.len() - 3].index, ..package.counter };
    assert!(
        refused(&package)
            .starts_with(&format!("the manifest does not count {OURS}'s entries as the report says"))
    );
}

/// The log's beginning with the checkpoint that was signed then, under a report that reaches further.
#[test]
fn an_older_log_under_a_newer_period_is_named() {
    let mut site = Site::after_half_a_day();
    let early = site.manifest(minute(700));
    let package = site.package(early, minute(240), minute(720), |item| honest(item, early, minute(240)));
    assert_eq!(
        refused(&package),
        format!(
            "the manifest was made at {}, before the period's end at {}; entries could be missing after it",
            minute(700),
            minute(720)
        )
    );
    // The newest entries lie beyond an old checkpoint.
    let package = Package { checkpoint: Site::after_half_a_day().checkpoint(), ..without(|_| true) };
    let words = refused(&package);
    assert!(words.contains("lies outside the log"), "{words}");
}

/// A manifest that was made late over an early count: its own instant says nothing about what it counts.
#[test]
fn a_manifest_that_does_not_reach_the_end_is_named() {
    let mut site = Site::after_half_a_day();
    let counted = site.manifest(minute(690));
    let earlier = site.manifests[&counted].clone();
    site.append("time.alarm", OURS, minute(700), &[("kind", "step")]);
    let late = site.append_manifest(earlier, minute(725));
    let package = site.package(late, minute(240), minute(720), |item| {
        honest(item, late, minute(240)) && !ours(item, 26..=26)
    });
    let words = refused(&package);
    let expected = format!(
        "the manifest counts the log's first 52 entries, and none of them in this report is as late as the period's end \
         at {}; entries could be missing after {}",
        minute(720),
        minute(690)
    );
    assert_eq!(words, expected);
    // Nor does an entry that comes after what it counts help.
    let package = site.package(late, minute(240), minute(720), |item| honest(item, late, minute(240)));
    let refusal = prove(&package);
    assert!(matches!(refusal, Err(Refusal::ManifestTooShort { .. })), "{refusal:?}");
}

/// An older manifest would hide what came after it.
#[test]
fn a_manifest_of_an_earlier_instant_is_named() {
    let mut site = Site::after_half_a_day();
    let old = site.manifest(minute(700));
    site.append("time.alarm", OURS, minute(710), &[("kind", "step")]);
    site.manifest(minute(720));
    let package = site.package(old, minute(240), minute(720), |item| honest(item, old, minute(240)));
    assert_eq!(prove(&package), Err(Refusal::ManifestTooEarly { made: minute(700), to: minute(720) }));
    let package = site.package(old, minute(240), minute(700), |item| {
        honest(item, old, minute(240)) || numbered(item) == (OURS, 26)
    });
    assert_eq!(prove(&package), Err(Refusal::BeyondManifest { index: 53, number: 26, count: 25 }));
    assert_eq!(refused(&package), "entry 53 has the running number 26, but the manifest counts only 25");
}

#[test]
fn a_swapped_customer_is_named() {
    // Another customer's row among ours, or in the place of one, proof and all.
    let (site, manifest) = site();
    let also = site.package(manifest, minute(240), minute(720), |item| {
        honest(item, manifest, minute(240)) || item.index == 20
    });
    let expected = format!("entry 20 belongs to {THEIRS}, not to {OURS}, whose report this is");
    assert_eq!(refused(&also), expected);
    let place = site.items.iter().position(|item| numbered(item) == (OURS, 10)).unwrap();
    let instead = site.package(manifest, minute(240), minute(720), |item| {
        (honest(item, manifest, minute(240)) && numbered(item) != (OURS, 10)) || item.index == 20
    });
    assert!(site.items[place].index < 20 && refused(&instead) == expected);
    // The other's leaf of the same manifest, with its own path.
    let manifested = &site.manifests[&manifest];
    let mut package = without(|_| true);
    package.counter = manifested.counter(&THEIRS).unwrap();
    package.map = manifested.prove(&THEIRS).unwrap();
    let leaf = format!("the manifest does not count {OURS}'s entries as the report says: ");
    assert!(refused(&package).starts_with(&leaf), "{}", refused(&package));
    // The whole report under the other's name: their leaf and our entries, or our leaf and their entries.
    package.subject.customer = THEIRS;
    let first = package.items[1].index;
    assert_eq!(
        refused(&package),
        format!("entry {first} belongs to {OURS}, not to {THEIRS}, whose report this is")
    );
    let theirs = site.package(manifest, minute(240), minute(720), |item| {
        let (customer, _) = numbered(item);
        customer == THEIRS && item.index < manifest || customer == CustomerId::SITE
    });
    let belongs = format!("belongs to {THEIRS}, not to {OURS}, whose report this is");
    assert!(refused(&theirs).ends_with(&belongs), "{}", refused(&theirs));
    let renamed = Package {
        subject: angbu_evidence::report::Subject { customer: THEIRS, ..theirs.subject.clone() },
        ..theirs
    };
    let leaf = format!("the manifest does not count {THEIRS}'s entries as the report says: ");
    assert!(refused(&renamed).starts_with(&leaf), "{}", refused(&renamed));
    let nobody = Package {
        subject: angbu_evidence::report::Subject { customer: CustomerId::SITE, ..package.subject.clone() },
        ..package
    };
    assert_eq!(prove(&nobody), Err(Refusal::NoCustomer));
}

/// A manifest of the forger's own, with everything proven up to a checkpoint that only lacks the log's signature.
#[test]
fn a_forged_manifest_needs_the_logs_key() {
    let (mut site, _) = site();
    let mut counters: BTreeMap<_, _> =
        site.manifests.values().next().unwrap().leaves().iter().copied().collect();
    counters.insert(OURS, Counter { count: 23, first: 1, last: 45 });
    let forged = site.append_manifest(Manifest::new(54, &counters), minute(722));
    let package = site.package(forged, minute(240), minute(720), |item| {
        (honest(item, forged, minute(240)) || item.index == forged - 2) && !ours(item, 24..=25)
    });
    // The log that holds it has another root than the one that was signed.
    let real = Checkpoint::verify(&self::site().0.checkpoint(), &log_key()).unwrap();
    let sized = Checkpoint { size: 55, ..real.clone() };
    assert_ne!(Checkpoint::verify(&package.checkpoint, &log_key()).unwrap(), sized);
    let unsigned = package.checkpoint.replace(
        &Checkpoint::verify(&package.checkpoint, &log_key()).unwrap().root.to_string(),
        &real.root.to_string(),
    );
    let words = refused(&Package { checkpoint: unsigned, ..package.clone() });
    assert!(words.contains("the signature of 'centre.example/log' is wrong"), "{words}");
    let signed = sized.sign(&log_signer()).unwrap();
    let words = refused(&Package { checkpoint: signed, ..package });
    assert!(
        words.contains("do not lead to the log's root") || words.contains("is not what the log holds"),
        "{words}"
    );
}

/// However many rows of whichever numbers are left out of the period, it is noticed.
#[test]
fn no_choice_of_rows_passes() {
    for removed in 1..(1u32 << 9) {
        let gone = |item: &Item| (0..9).any(|bit| removed & (1 << bit) != 0 && ours(item, 9 + bit..=9 + bit));
        assert!(prove(&without(|item| !gone(item))).is_err(), "{removed:b}");
    }
}
