//! From a package to what it proves.

use angbu_units::{ClockVerdict, CustomerId};

use super::{Item, Package, Proven, ProvenEntry, Refusal, Trust};
use crate::checkpoint::CheckpointError;
use crate::manifest::Summary;
use crate::note::{Note, VerifierKey};
use crate::shared::{self, SharedError};
use crate::{Checkpoint, Entry, Kind, merkle};

/// What can be said of the entries alone comes before the proof over all of them,
/// so that a row that was taken out is named and not only missed.
pub(super) fn prove(package: &Package, trust: &Trust) -> Result<Proven, Refusal> {
    let (checkpoint, signers) = prove_checkpoint(&package.checkpoint, trust)?;
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
        entries,
        counter: package.counter,
        complete_from: 0,
        manifest: package.manifest,
    };
    prove_manifest(package, &proven)?;
    proven.complete_from = prove_completeness(&proven)?;
    prove_clock_states(&proven)?;
    prove_inclusion(package, &proven.checkpoint)?;
    Ok(proven)
}

fn prove_checkpoint(note: &str, trust: &Trust) -> Result<(Checkpoint, Vec<VerifierKey>), Refusal> {
    let parsed = Note::parse(note)?;
    let Some(log) = &trust.log else {
        let claimed = parsed.signatures.first().map(|line| line.name.clone()).unwrap_or_default();
        return Err(Refusal::SignerNotGiven { claimed });
    };
    let keys: Vec<VerifierKey> = std::iter::once(log).chain(&trust.witnesses).cloned().collect();
    let mut before = None;
    for (place, line) in parsed.signatures.iter().enumerate() {
        let name = line.name.clone();
        if !keys.iter().any(|key| line.claims(key)) {
            let key_id = format!("{:08x}", u32::from_be_bytes(line.key_id));
            return Err(Refusal::UnknownSignature { name, key_id });
        }
        let here = (&line.name, line.key_id);
        let in_order = if place == 0 { line.claims(log) } else { place == 1 || before < Some(here) };
        if !in_order || (place > 0 && line.claims(log)) {
            return Err(Refusal::SignatureOutOfOrder { name });
        }
        before = Some(here);
    }
    let signers: Vec<VerifierKey> =
        parsed.verify(&keys).map_err(CheckpointError::from)?.into_iter().cloned().collect();
    if let Some(missing) = trust.witnesses.iter().find(|witness| !signers.contains(witness)) {
        return Err(Refusal::WitnessMissing(missing.name().to_owned()));
    }
    Ok((Checkpoint::verify(note, log)?, signers))
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

fn prove_manifest(package: &Package, proven: &Proven) -> Result<(), Refusal> {
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
    leaf.map_err(|why| Refusal::ManifestLeaf { customer, why })
}

/// Checks that from some running number on, whose entry is older than the period or the very first, no entry
/// of the customer is left out up to the manifest's count. Entries with lower numbers may stand alone.
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
    // Downwards from the last, the first number that is not there.
    let mut missing = counter.count;
    let mut reaches_back = false;
    for entry in own().map(|own| &own.entry).collect::<Vec<_>>().into_iter().rev() {
        if entry.number != missing {
            break;
        }
        reaches_back = entry.time < proven.subject.from || entry.number == 1;
        missing = entry.number - 1;
    }
    if reaches_back { Ok(missing + 1) } else { Err(Refusal::EntryMissing { number: missing, customer }) }
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
