//! Batches of entries as blobs: each entry behind its length in two bytes, big end first, as in C2SP's entry bundles.

use std::ops::Range;

use angbu_evidence::Entry;
use angbu_units::EntryId;

use crate::StoreError;
use crate::sql::{Connection, column, values};

/// Reads entries by log index; keeps the batch that it read last, since neighbours are asked for together.
pub(crate) struct Bundles<'a> {
    sql: &'a dyn Connection,
    kept: Option<Kept>,
}

struct Kept {
    first: u64,
    bundle: Vec<u8>,
    // Where each entry's bytes stand in the bundle.
    places: Vec<Range<usize>>,
}

impl<'a> Bundles<'a> {
    pub(crate) fn new(sql: &'a dyn Connection) -> Self {
        Self { sql, kept: None }
    }

    /// The bytes of the entry at an index.
    pub(crate) fn entry(&mut self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        if self.kept.as_ref().is_none_or(|kept| kept.entry(index).is_none()) {
            self.kept = self.sql.first(
                "SELECT first, bundle FROM evidence_batches WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
                values![index],
                |row| Kept::new(column(row, 0)?, column(row, 1)?),
            )?;
        }
        Ok(self.kept.as_ref().and_then(|kept| kept.entry(index)).map(<[u8]>::to_vec))
    }

    /// The index of the entry with an id in the batch that begins at an index.
    pub(crate) fn find(&mut self, first: u64, id: EntryId) -> Result<Option<u64>, StoreError> {
        let line = format!("id {id}");
        // An entry's second line is its id.
        let holds = |entry: &[u8]| entry.split(|byte| *byte == b'\n').nth(1) == Some(line.as_bytes());
        self.entry(first)?;
        let Some(kept) = &self.kept else { return Ok(None) };
        Ok(kept.entries().zip(kept.first..).find(|(entry, _)| holds(entry)).map(|(_, index)| index))
    }
}

/// The bytes of a batch.
pub(crate) fn encode<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, StoreError> {
    let mut bundle = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len())
            .map_err(|_| StoreError::Unfit { what: format!("an entry of {} bytes", entry.len()) })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a batch; `None` in place of the one that its bytes end inside.
pub(crate) fn split(bundle: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = bundle;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = rest
            .split_first_chunk()
            .and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        rest = entry.map_or(&[], |(_, after)| after);
        Some(entry.map(|(entry, _)| entry))
    })
}

/// The id of an entry, from its bytes.
pub(crate) fn id_of(entry: &[u8]) -> Result<EntryId, StoreError> {
    Entry::decode(entry).map(|entry| entry.id).map_err(|error| StoreError::corrupt(error.to_string()))
}

impl Kept {
    fn new(first: u64, bundle: Vec<u8>) -> Result<Self, StoreError> {
        let damaged = || StoreError::corrupt(format!("the batch at {first} ends inside an entry"));
        let (mut places, mut at) = (Vec::new(), 0usize);
        for entry in split(&bundle) {
            let begin = at + 2;
            at = begin + entry.ok_or_else(damaged)?.len();
            places.push(begin..at);
        }
        Ok(Self { first, bundle, places })
    }

    fn entry(&self, index: u64) -> Option<&[u8]> {
        let position = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.bundle.get(self.places.get(position)?.clone())
    }

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().filter_map(|place| self.bundle.get(place.clone()))
    }
}
