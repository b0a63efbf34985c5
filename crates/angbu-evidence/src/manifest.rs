//! How many entries each customer has: a sorted Merkle map that an `evidence.manifest` entry commits to,
//! so that a report that leaves a row out is found out.

use std::collections::BTreeMap;

use angbu_units::CustomerId;

use crate::merkle::{self, ProofError};
use crate::text::unsigned;
use crate::{Disclosure, Hash};

/// One customer's entries so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// How many there are, at least 1: the running number of the last.
    pub count: u64,
    /// The log index of the first.
    pub first: u64,
    /// The log index of the last.
    pub last: u64,
}

impl Counter {
    /// The counter after one more entry, at this log index.
    #[must_use]
    pub fn counted(before: Option<Self>, index: u64) -> Self {
        match before {
            Some(before) => Self { count: before.count + 1, last: index, ..before },
            None => Self { count: 1, first: index, last: index },
        }
    }
}

/// Why bytes are no manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no manifest; the table that holds them is damaged")]
pub struct NotAManifest;

/// Every customer's counter when the log had a certain size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    size: u64,
    leaves: Vec<(CustomerId, Counter)>,
}

/// One customer's leaf: `SHA-256(0x00 || customer || count || first || last)`, numbers as eight bytes each,
/// the big end first.
pub fn leaf(customer: &CustomerId, counter: &Counter) -> Hash {
    merkle::leaf_hash(&leaf_bytes(customer, counter))
}

/// The place of one customer's leaf in a manifest, and the way from it to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapProof {
    /// The leaf's place among the customers in order of their ids.
    pub index: u64,
    /// How many customers the manifest counts.
    pub customers: u64,
    /// The path from the leaf up.
    pub path: Vec<Hash>,
}

impl MapProof {
    /// Checks that a manifest with this root counts the customer so.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, customer: &CustomerId, counter: &Counter, root: &Hash) -> Result<(), ProofError> {
        merkle::verify_inclusion(&leaf(customer, counter), self.index, self.customers, &self.path, root)
    }
}

impl Manifest {
    /// The manifest of these counters, as they stood when the log had `size` entries.
    pub fn new(size: u64, counters: &BTreeMap<CustomerId, Counter>) -> Self {
        let leaves = counters.iter().map(|(customer, counter)| (*customer, *counter)).collect();
        Self { size, leaves }
    }

    /// How many entries the log had.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The customers and their counters, in order of the customers' ids.
    pub fn leaves(&self) -> &[(CustomerId, Counter)] {
        &self.leaves
    }

    /// One customer's counter.
    pub fn counter(&self, customer: &CustomerId) -> Option<Counter> {
        let place = self.place(customer)?;
        self.leaves.get(place).map(|(_, counter)| *counter)
    }

    /// The root over the customers' leaves.
    pub fn root(&self) -> Hash {
        merkle::root(&self.hashes())
    }

    /// The proof of one customer's counter; none where the customer has no entries.
    pub fn prove(&self, customer: &CustomerId) -> Option<MapProof> {
        let index = self.place(customer)?;
        let path = merkle::path(&self.hashes(), index)?;
        let index = u64::try_from(index).ok()?;
        Some(MapProof { index, customers: u64::try_from(self.leaves.len()).ok()?, path })
    }

    /// The fields of the `evidence.manifest` entry: `size` and `customers` in decimal, and the `root` in base64.
    pub fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("size", self.size.to_string().into_bytes()),
            ("customers", self.leaves.len().to_string().into_bytes()),
            ("root", self.root().to_string().into_bytes()),
        ]
    }

    /// The manifest's bytes for the store: a version (1), the size, and each customer's id, count, first and last.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for (customer, counter) in &self.leaves {
            bytes.extend_from_slice(&leaf_bytes(customer, counter));
        }
        bytes
    }

    /// Reads a manifest's bytes. What reads encodes to the same bytes again.
    ///
    /// # Errors
    /// [`NotAManifest`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NotAManifest> {
        let rest = bytes.strip_prefix(&[1]).ok_or(NotAManifest)?;
        let (size, rest) = rest.split_first_chunk().ok_or(NotAManifest)?;
        let (chunks, []) = rest.as_chunks::<40>() else { return Err(NotAManifest) };
        let leaves: Option<Vec<_>> = chunks.iter().map(|chunk| parse_leaf(chunk)).collect();
        let leaves = leaves.ok_or(NotAManifest)?;
        if !leaves.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(NotAManifest);
        }
        Ok(Self { size: u64::from_be_bytes(*size), leaves })
    }

    fn place(&self, customer: &CustomerId) -> Option<usize> {
        self.leaves.binary_search_by_key(customer, |(id, _)| *id).ok()
    }

    fn hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|(customer, counter)| leaf(customer, counter)).collect()
    }
}

/// What the fields of an `evidence.manifest` entry say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many entries of the log it counts.
    pub size: u64,
    /// How many customers it counts.
    pub customers: u64,
    /// The root over their leaves.
    pub root: Hash,
}

impl Summary {
    /// Reads the three fields, if they are shown and in their one spelling.
    pub fn read(fields: &Disclosure) -> Option<Self> {
        Some(Self {
            size: unsigned(fields.text("size")?)?,
            customers: unsigned(fields.text("customers")?)?,
            root: fields.text("root")?.parse().ok()?,
        })
    }
}

fn leaf_bytes(customer: &CustomerId, counter: &Counter) -> [u8; 40] {
    let mut bytes = [0; 40];
    let parts = customer.as_bytes().iter().copied();
    let parts = parts.chain(counter.count.to_be_bytes()).chain(counter.first.to_be_bytes());
    for (slot, byte) in bytes.iter_mut().zip(parts.chain(counter.last.to_be_bytes())) {
        *slot = byte;
    }
    bytes
}

fn parse_leaf(bytes: &[u8]) -> Option<(CustomerId, Counter)> {
    let (customer, rest) = bytes.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let last = rest.try_into().ok()?;
    let counter = Counter {
        count: u64::from_be_bytes(*count),
        first: u64::from_be_bytes(*first),
        last: u64::from_be_bytes(last),
    };
    Some((CustomerId::from_bytes(*customer), counter))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::Body;
    use crate::mutation::{edits, mutate};

    prop_compose! {
        fn manifests()(size: u64, counters in prop::collection::btree_map(any::<[u8; 16]>(), any::<[u64; 3]>(), 0..20)) -> Manifest {
            let counters = counters.into_iter().map(|(customer, [count, first, last])| {
                (CustomerId::from_bytes(customer), Counter { count, first, last })
            });
            Manifest::new(size, &counters.collect())
        }
    }

    #[test]
    fn counters_count() {
        let one = Counter::counted(None, 7);
        assert_eq!(one, Counter { count: 1, first: 7, last: 7 });
        assert_eq!(Counter::counted(Some(one), 9), Counter { count: 2, first: 7, last: 9 });
    }

    proptest! {
        #[test]
        fn every_customer_is_proven_as_counted(manifest in manifests(), other: [u8; 16], edits in edits()) {
            let root = manifest.root();
            for (customer, counter) in manifest.leaves() {
                prop_assert_eq!(manifest.counter(customer), Some(*counter));
                let proof = manifest.prove(customer).unwrap();
                prop_assert_eq!(proof.verify(customer, counter, &root), Ok(()));
                let wrong = Counter { count: counter.count.wrapping_sub(1), ..*counter };
                prop_assert!(proof.verify(customer, &wrong, &root).is_err());
                let elsewhere = MapProof { index: proof.index + 1, ..proof };
                prop_assert!(elsewhere.verify(customer, counter, &root).is_err());
            }
            let other = CustomerId::from_bytes(other);
            prop_assert_eq!(manifest.prove(&other).is_some(), manifest.counter(&other).is_some());
            let bytes = manifest.encode();
            prop_assert_eq!(&Manifest::decode(&bytes).unwrap(), &manifest);
            let changed = mutate(&bytes, &edits);
            if let Ok(read) = Manifest::decode(&changed) {
                prop_assert_eq!(read.encode(), changed);
            }
        }

        #[test]
        fn the_fields_say_what_they_commit_to(manifest in manifests()) {
            let body = Body::new(&mut StdRng::seed_from_u64(1), manifest.fields()).unwrap();
            let customers = u64::try_from(manifest.leaves().len()).unwrap();
            let expected = Summary { size: manifest.size(), customers, root: manifest.root() };
            prop_assert_eq!(Summary::read(&body.disclose(|_| true)), Some(expected));
            prop_assert_eq!(Summary::read(&body.disclose(|name| name != "root")), None);
        }
    }
}
