//! The log as its pages show it: growth, kinds, entries in lists, and one entry with its fields and its proof.

use angbu_accounts::Reach;
use angbu_evidence::body::Part;
use angbu_evidence::{Disclosure, Entry, Kind, Receipt};
use angbu_store::evidence::{Erasure, LogItem};
use angbu_store::{Snapshot, StoreError};
use angbu_units::{EntryId, UnixTime};

use super::Centre;
use super::erasure::may_be_erased;
use super::log::Names;
use crate::problem::Refusal;
use crate::types::evidence::{EntryField, EntryPage, EntryRow, Growth, GrowthPoint, KindCount, Kinds};
use crate::types::{instant, millis};

/// Which entries a list shows.
pub(crate) struct EntriesWish {
    pub(crate) reach: Reach,
    pub(crate) kind: Option<Kind>,
    pub(crate) before: Option<u64>,
    pub(crate) limit: u64,
}

impl Centre {
    /// How the log grew in a period.
    pub(crate) async fn log_growth(
        &self,
        from: UnixTime,
        to: UnixTime,
        points: u32,
    ) -> Result<Growth, Refusal> {
        if to <= from {
            return Err(Refusal::Invalid("the period ends before it begins".into()));
        }
        let grown = self.store.read(move |snapshot| snapshot.growth(from, to, points)).await?;
        let points = grown.into_iter().map(|(at, size)| GrowthPoint { at_ms: millis(at), size });
        Ok(Growth { points: points.collect() })
    }

    /// The kinds of entries within a reach.
    pub(crate) async fn kinds(&self, reach: Reach) -> Result<Kinds, Refusal> {
        let kinds = self.store.read(move |snapshot| snapshot.kinds(reach.customer())).await?;
        let kinds = kinds.into_iter().map(|row| KindCount {
            kind: row.kind.to_string(),
            count: row.count,
            newest_at: instant(row.last_at),
        });
        Ok(Kinds { kinds: kinds.collect() })
    }

    /// Entries within a reach, the newest first, and where the next page begins.
    pub(crate) async fn entries(&self, wish: EntriesWish) -> Result<(Vec<EntryRow>, Option<u64>), Refusal> {
        let EntriesWish { reach, kind, before, limit } = wish;
        let found = self
            .store
            .read(move |snapshot| {
                let listing = snapshot.listing(reach.customer(), kind.as_ref(), before, limit)?;
                let mut names = Names::default();
                let rows = listing.entries.iter().map(|item| names.row(snapshot, item));
                Ok::<_, StoreError>((rows.collect::<Result<Vec<_>, StoreError>>()?, listing.next))
            })
            .await?;
        Ok(found)
    }

    /// One entry within a reach, with its fields and its proof. What people gave of themselves is shown to those who
    /// may read people.
    pub(crate) async fn entry_page(
        &self,
        reach: Reach,
        reads_people: bool,
        id: EntryId,
    ) -> Result<EntryPage, Refusal> {
        let receipt = self.receipt_within(reach, id).await?;
        self.store
            .read(move |snapshot| page(snapshot, id, &receipt, reads_people).map_err(Refusal::from))
            .await
    }
}

impl Names {
    fn row(&mut self, snapshot: &Snapshot<'_>, item: &LogItem) -> Result<EntryRow, StoreError> {
        let entry = decode(&item.entry, item.index)?;
        Ok(EntryRow {
            index: item.index,
            id: entry.id.to_string(),
            kind: entry.kind.to_string(),
            at: instant(entry.time),
            error_bound_ns: entry.error_bound.count(),
            verdict: entry.verdict.into(),
            customer: self.of(snapshot, entry.customer)?,
            number: entry.number,
        })
    }
}

fn decode(entry: &[u8], index: u64) -> Result<Entry, StoreError> {
    Entry::decode(entry).map_err(|error| StoreError::Corrupt { what: format!("entry {index}: {error}") })
}

fn page(
    snapshot: &Snapshot<'_>,
    id: EntryId,
    receipt: &Receipt,
    reads_people: bool,
) -> Result<EntryPage, StoreError> {
    let item = LogItem { index: receipt.index, entry: receipt.entry.clone() };
    let entry = decode(&item.entry, item.index)?;
    let body = snapshot.body(id)?.ok_or(StoreError::NotFound { what: "entry's fields" })?;
    let is_personal = entry.kind.as_str() == "account.person" && !reads_people;
    let may_read = |field: &str| !is_personal || field == "person";
    Ok(EntryPage {
        row: Names::default().row(snapshot, &item)?,
        clock_state: entry.clock_state,
        text: String::from_utf8_lossy(&item.entry).into_owned(),
        fields: fields(&entry.kind, &body, snapshot.erasures_of(id)?, may_read),
        path: receipt.path.iter().map(ToString::to_string).collect(),
        checkpoint: receipt.checkpoint.clone(),
    })
}

fn fields(
    kind: &Kind,
    body: &Disclosure,
    erased: Vec<Erasure>,
    may_read: impl Fn(&str) -> bool,
) -> Vec<EntryField> {
    let nothing = |name: String| EntryField {
        name,
        value: None,
        bytes: None,
        hidden: false,
        erasable: false,
        erased: false,
        erased_by: None,
    };
    let there = body.parts().iter().filter_map(|part| match part {
        Part::Shown(field) => Some(field),
        Part::Hidden(_) => None,
    });
    let there = there.map(|field| {
        let erasable = may_be_erased(kind, &field.name);
        let shown = EntryField { erasable, ..nothing(field.name.clone()) };
        if !may_read(&field.name) {
            return EntryField { hidden: true, ..shown };
        }
        let is_plain = |text: &&str| !text.chars().any(|c| c.is_control() && c != '\n');
        match std::str::from_utf8(&field.value).ok().filter(is_plain) {
            Some(text) => EntryField { value: Some(text.to_owned()), ..shown },
            None => EntryField { bytes: u64::try_from(field.value.len()).ok(), ..shown },
        }
    });
    let erased = erased.into_iter().map(|erasure| EntryField {
        erased: true,
        erased_by: Some(erasure.by.to_string()),
        ..nothing(erasure.field)
    });
    there.chain(erased).collect()
}
