//! From a package to what it proves.

use angbu_units::{ClockVerdict, CustomerId, UnixTime};

use super::{Item, Package, Proven, ProvenEntry, Refusal, Signer, Trust};
use crate::checkpoint::CheckpointError;
use crate::manifest::Summary;
use crate::note::{KeyType, Note, VerifierKey};
use crate::shared::{self, SharedError};
use crate::{Checkpoint, Entry, Kind, cosign, merkle};

/// What can be said of the entries alone comes before the proof over all of them,
/// so that a row that was taken out is named and not only missed.
pub(super) fn prove(package: &Package, trust: &Trust) -> Result<Proven, Refusal> {
    let Signed { checkpoint, signers, relied_on } = prove_checkpoint(package, trust)?;
    let subject = &package.subject;
    if subject.to <= subject.from {
        return Err(Refusal::PeriodReversed { from: subject.from, to: subject.to });
    }
    if subject.customer == CustomerId::SITE {
        return Err(Refusal::NoCustomer);
    }
    let entries = read_entries(package, checkpoint.size)?;
    let mut proven = Proven {
        subject: subject.clone(),
        checkpoint,
        signers,
        relied_on,
        entries,
        counter: package.counter,
        complete_from: 0,
        complete_until: subject.to,
        manifest: package.manifest,
    };
    proven.complete_until = prove_manifest(package, &proven)?;
    proven.complete_from = prove_completeness(&proven)?;
    prove_clock_states(&proven)?;
    prove_inclusion(package, &proven.checkpoint)?;
    Ok(proven)
}

/// Checks every signature by the key that the package names for it, and then which of these keys count.
fn prove_checkpoint(package: &Package, trust: &Trust) -> Result<Signed, Refusal> {
    let note = Note::parse(&package.checkpoint)?;
    let keys = &package.signers;
    if trust.log.is_empty() {
        let claimed = note.signatures.first().map(|line| line.name.clone()).unwrap_or_default();
        return Err(Refusal::SignerNotGiven { claimed });
    }
    if keys.len() != note.signatures.len() {
        return Err(Refusal::SignerCount { signatures: note.signatures.len(), signers: keys.len() });
    }
    for (line, key) in note.signatures.iter().zip(keys) {
        if !line.claims(key) {
            let (name, key_id, signer) = (line.name.clone(), line.key_id_text(), key.name().to_owned());
            return Err(Refusal::OtherSigner { name, key_id, signer });
        }
    }
    note.verify(keys).map_err(CheckpointError::from)?;
    let checkpoint = Checkpoint::decode(&note.text)?;
    check_order(keys, &checkpoint.origin)?;
    if !trust.log.iter().any(|key| keys.contains(key)) {
        let signers = keys.iter().map(|key| format!("'{}' ({})", key.name(), hex(key.key_id())));
        return Err(Refusal::NotSignedByGiven { signers: signers.collect::<Vec<_>>().join(", ") });
    }
    if let Some(missing) = trust.witnesses.iter().find(|witness| !keys.contains(witness)) {
        return Err(Refusal::WitnessMissing(missing.name().to_owned()));
    }
    let signers = note.signatures.iter().zip(keys).map(|(line, key)| Signer {
        key: key.clone(),
        cosigned_at: cosign::verify(&note.text, line, key).ok().map(instant),
    });
    let given = |key: &&VerifierKey| trust.log.contains(key) || trust.witnesses.contains(key);
    let relied_on = keys.iter().filter(given).cloned().collect();
    Ok(Signed { signers: signers.collect(), relied_on, checkpoint })
}

/// A checkpoint with its signatures.
struct Signed {
    checkpoint: Checkpoint,
    signers: Vec<Signer>,
    relied_on: Vec<VerifierKey>,
}

/// The log's own keys first, then the witnesses' by name and id.
fn check_order(keys: &[VerifierKey], origin: &str) -> Result<(), Refusal> {
    if let Some(other) = keys.iter().find(|key| key.kind() == KeyType::Log && key.name() != origin) {
        return Err(Refusal::OtherLog { name: other.name().to_owned(), origin: origin.to_owned() });
    }
    let place = |key: &VerifierKey| (key.kind(), key.name().to_owned(), key.key_id());
    for (before, key) in keys.iter().zip(keys.iter().skip(1)) {
        let logs = key.kind() == KeyType::Log && before.kind() == KeyType::Log;
        if !logs && place(before) >= place(key) {
            return Err(Refusal::SignatureOutOfOrder { name: key.name().to_owned() });
        }
    }
    Ok(())
}

/// A cosignature's seconds; where they leave the range of instants, its end.
fn instant(seconds: u64) -> UnixTime {
    let nanos = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000_000));
    UnixTime::from_nanos(nanos.unwrap_or(i64::MAX))
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

fn read_entries(package: &Package, size: u64) -> Result<Vec<ProvenEntry>, Refusal> {
    let mut entries: Vec<ProvenEntry> = Vec::with_capacity(package.items.len());
    for item in &package.items {
        let entry = read_entry(item, package.subject.customer)?;
        if let Some(before) = entries.last()
            && before.index >= entry.index
        {
            return Err(Refusal::OutOfOrder { index: entry.index, before: before.index });
        }
        if entry.index >= size {
            return Err(Refusal::OutsideLog { index: entry.index, size });
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn read_entry(item: &Item, customer: CustomerId) -> Result<ProvenEntry, Refusal> {
    let index = item.index;
    let entry = Entry::decode(item.entry.as_bytes()).map_err(|why| Refusal::BadEntry { index, why })?;
    if entry.customer != customer && entry.customer != CustomerId::SITE {
        return Err(Refusal::OtherCustomer { index, found: entry.customer, expected: customer });
    }
    if item.fields.root() != entry.body_root {
        return Err(Refusal::FieldChanged { index, kind: entry.kind.to_string() });
    }
    Ok(ProvenEntry { index, entry, fields: item.fields.clone() })
}

/// Checks that the manifest counts the customer as the package says, and the log far enough: at least one entry
/// that it counts is not older than the period's end. Returns the latest instant of those.
///
/// A manifest says what the log held some time before the manifest itself became an entry. Entries that took
/// their places in between are not counted, whatever the manifest's own instant is.
fn prove_manifest(package: &Package, proven: &Proven) -> Result<UnixTime, Refusal> {
    let index = package.manifest;
    let customer = package.subject.customer;
    let found = proven.at(index).ok_or(Refusal::ManifestMissing { index })?;
    let is_manifest = found.entry.kind == Kind::MANIFEST && found.entry.customer == CustomerId::SITE;
    let summary = Summary::read(&found.fields).filter(|summary| is_manifest && summary.size <= index);
    let summary = summary.ok_or(Refusal::NotAManifest { index })?;
    if found.entry.time < package.subject.to {
        return Err(Refusal::ManifestTooEarly { made: found.entry.time, to: package.subject.to });
    }
    if package.map.customers != summary.customers {
        let (claimed, counted) = (package.map.customers, summary.customers);
        return Err(Refusal::ManifestCustomers { claimed, counted });
    }
    let leaf = package.map.verify(&customer, &package.counter, &summary.root);
    leaf.map_err(|why| Refusal::ManifestLeaf { customer, why })?;
    let counted = proven.entries.iter().filter(|entry| entry.index < summary.size);
    let latest = counted.map(|entry| entry.entry.time).max().unwrap_or(UnixTime::MIN);
    let (size, to) = (summary.size, package.subject.to);
    if latest < to { Err(Refusal::ManifestTooShort { size, latest, to }) } else { Ok(latest) }
}

/// Checks that from some running number on, whose entry is older than the period or the very first, no entry
/// of the customer is left out up to the manifest's count, and returns that number. Entries with lower numbers may
/// stand alone.
fn prove_completeness(proven: &Proven) -> Result<u64, Refusal> {
    let (customer, counter) = (proven.subject.customer, proven.counter);
    let own = || proven.entries.iter().filter(|entry| entry.entry.customer == customer);
    let mut before = 0;
    for ProvenEntry { index, entry, .. } in own() {
        let (index, number) = (*index, entry.number);
        if number <= before {
            return Err(Refusal::NumberOutOfOrder { index, number, before });
        }
        if number > counter.count {
            return Err(Refusal::BeyondManifest { index, number, count: counter.count });
        }
        for (end, counted) in [(1, counter.first), (counter.count, counter.last)] {
            if number == end && index != counted {
                return Err(Refusal::OtherPlace { number, index, counted });
            }
        }
        before = number;
    }
    let own: Vec<&Entry> = own().map(|own| &own.entry).collect();
    // Downwards from the last, as far as no number is left out.
    let run = own.iter().rev().zip((1..=counter.count).rev()).take_while(|(entry, at)| entry.number == *at);
    let run = run.count();
    let (below, run) = own.split_at(own.len() - run);
    let below = below.last();
    let from = proven.subject.from;
    let Some(first) = run.first() else {
        let (first, after) = (below.map_or(1, |below| below.number + 1), below.map(|below| below.time));
        return Err(Refusal::TailMissing { first, last: counter.count, customer, after });
    };
    if first.time < from || first.number == 1 {
        return Ok(first.number);
    }
    let (last, after) = (first.number - 1, first.time);
    match below {
        // An older entry that stands alone does not say which of the numbers after it belong to the period.
        Some(below) if below.time >= from || below.number + 1 == last => {
            let (first, before) = (below.number + 1, below.time);
            Err(Refusal::EntriesMissing { first, last, customer, before, after })
        }
        _ => Err(Refusal::BeginningMissing { number: last, customer, from, after }),
    }
}

fn prove_clock_states(proven: &Proven) -> Result<(), Refusal> {
    for ProvenEntry { index, entry, .. } in &proven.entries {
        let index = *index;
        let Some(clock_state) = entry.clock_state else {
            if entry.verdict != ClockVerdict::Unproven {
                return Err(Refusal::ClockUnfounded { index, verdict: entry.verdict.word() });
            }
            continue;
        };
        let found = proven.at(clock_state).ok_or(Refusal::ClockStateMissing { index, clock_state })?;
        let is_clock_state =
            found.entry.kind == Kind::CLOCK_STATE && found.entry.customer == CustomerId::SITE;
        let rests_on_itself = entry.kind != Kind::CLOCK_STATE || clock_state == index;
        if !is_clock_state || !rests_on_itself || clock_state > index {
            return Err(Refusal::NotAClockState { index, clock_state });
        }
    }
    Ok(())
}

fn prove_inclusion(package: &Package, checkpoint: &Checkpoint) -> Result<(), Refusal> {
    let leaves: Vec<_> =
        package.items.iter().map(|item| (item.index, merkle::leaf_hash(item.entry.as_bytes()))).collect();
    shared::verify(&leaves, checkpoint.size, &package.nodes, &checkpoint.root).map_err(|why| match why {
        SharedError::Empty => Refusal::ManifestMissing { index: package.manifest },
        SharedError::OutOfOrder(index) => Refusal::OutOfOrder { index, before: index },
        SharedError::OutOfRange { index, size } => Refusal::OutsideLog { index, size },
        SharedError::Leaf(index) => Refusal::NotInLog { index },
        SharedError::Fork { first, last } => Refusal::WrongNodes { first, last },
        SharedError::TooShort => Refusal::MissingNodes,
        SharedError::TooLong(extra) => Refusal::ExtraNodes(extra),
    })
}
