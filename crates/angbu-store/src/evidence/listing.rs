//! What a console asks of the log: how it grew, what it holds of which kind, its entries from the newest on.

use angbu_evidence::{Entry, Kind};
use angbu_units::{CustomerId, EntryId, UnixTime};

use super::{Bundles, LogItem, runs};
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError};

/// The most points of one curve of growth.
pub const GROWTH_POINTS: u32 = 1_000;
/// How many entries one question looks at on its search for a kind; the next question goes on from there.
const LOOKED_AT: u64 = 2_048;
/// How many of a customer's entries are read together.
const TOGETHER: u64 = 128;

/// How many entries there are of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindCount {
    /// The kind.
    pub kind: Kind,
    /// How many there are.
    pub count: u64,
    /// The log index of the newest.
    pub last: u64,
    /// The instant of the newest.
    pub last_at: UnixTime,
}

/// A page of entries, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The entries.
    pub entries: Vec<LogItem>,
    /// Before which log index to ask on; `None` when there is nothing older. There can be more even where a page is empty,
    /// since one question looks at only so many entries.
    pub next: Option<u64>,
}

impl Snapshot<'_> {
    /// How large the log was at evenly stepped instants, both ends among them: at most [`GROWTH_POINTS`]. It counts by the
    /// instants in entries' ids; what a clock that was set back stamped counts at the latest instant before.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn growth(
        &self,
        from: UnixTime,
        to: UnixTime,
        points: u32,
    ) -> Result<Vec<(UnixTime, u64)>, StoreError> {
        let steps = i64::from(points.clamp(2, GROWTH_POINTS) - 1);
        let (begin, span) = (i128::from(from.nanos()), i128::from(to.nanos()) - i128::from(from.nanos()));
        let size = self.log_head()?.size;
        let mut growth = Vec::new();
        for step in 0..=steps {
            let at = begin + span.max(0) * i128::from(step) / i128::from(steps);
            let at = UnixTime::from_nanos(i64::try_from(at).unwrap_or(i64::MAX));
            growth.push((at, self.first_batch_after(at)?.unwrap_or(size)));
        }
        Ok(growth)
    }

    /// The log index at which the first batch begins that reaches beyond an instant: answered by an index alone.
    fn first_batch_after(&self, at: UnixTime) -> Result<Option<u64>, StoreError> {
        let mut id = [0; 16];
        let millis = at.millis().saturating_add(1).to_be_bytes();
        for (byte, of_millis) in id.iter_mut().zip(millis.into_iter().skip(2)) {
            *byte = of_millis;
        }
        self.sql.first(
            "SELECT first FROM evidence_batches WHERE reach >= ?1 ORDER BY reach, first LIMIT 1",
            values![EntryId::from_bytes(id)],
            |row| column(row, 0),
        )
    }

    /// How many entries a customer has of each kind, or the whole log; by kind.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn kinds(&self, customer: Option<CustomerId>) -> Result<Vec<KindCount>, StoreError> {
        match customer {
            Some(customer) => self.sql.all(
                "SELECT kind, count, last, last_at FROM evidence_kinds WHERE customer_id = ?1 ORDER BY kind",
                values![customer],
                kind_count,
            ),
            None => self.sql.all(
                "SELECT kind, CAST(SUM(count) AS BIGINT), MAX(last), MAX(last_at)
                 FROM evidence_kinds GROUP BY kind ORDER BY kind",
                values![],
                kind_count,
            ),
        }
    }

    /// Entries from the newest on: those before a log index, of one customer or all, of one kind or all; at most `limit`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn listing(
        &self,
        customer: Option<CustomerId>,
        kind: Option<&Kind>,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Listing, StoreError> {
        let mut before = before.unwrap_or(u64::MAX).min(self.log_head()?.size);
        if let Some(kind) = kind {
            let Some(last) = self.newest_of(customer, kind)? else { return Ok(Listing::default()) };
            before = before.min(last + 1);
        }
        let limit = limit.clamp(1, LOOKED_AT);
        match customer {
            None => self.listing_of_all(kind, before, limit),
            Some(customer) => self.listing_of(customer, kind, before, limit),
        }
    }

    fn listing_of_all(&self, kind: Option<&Kind>, before: u64, limit: u64) -> Result<Listing, StoreError> {
        let mut bundles = Bundles::new(self.sql);
        let mut page = Page { listing: Listing::default(), kind, limit, left: LOOKED_AT };
        for index in (0..before).rev() {
            let entry = bundles.entry(index)?;
            let entry = entry.ok_or_else(|| StoreError::corrupt(format!("entry {index} is missing")))?;
            if page.add(LogItem { index, entry })? {
                page.listing.next = (index > 0).then_some(index);
                break;
            }
        }
        Ok(page.listing)
    }

    fn listing_of(
        &self,
        customer: CustomerId,
        kind: Option<&Kind>,
        before: u64,
        limit: u64,
    ) -> Result<Listing, StoreError> {
        let mut page = Page { listing: Listing::default(), kind, limit, left: LOOKED_AT };
        let mut number = runs::last_number_before(self.sql, customer, before)?;
        while number > 0 {
            let together = if kind.is_some() { TOGETHER } else { limit }.min(number);
            let items = self.entries_of(customer, number - together + 1, together)?;
            for item in items.into_iter().rev() {
                let index = item.index;
                number -= 1;
                if page.add(item)? {
                    page.listing.next = (number > 0).then_some(index);
                    return Ok(page.listing);
                }
            }
        }
        Ok(page.listing)
    }

    fn newest_of(&self, customer: Option<CustomerId>, kind: &Kind) -> Result<Option<u64>, StoreError> {
        let newest = match customer {
            Some(customer) => self.sql.first(
                "SELECT last FROM evidence_kinds WHERE customer_id = ?1 AND kind = ?2",
                values![customer, kind.as_str()],
                |row| optional::<u64>(row, 0),
            )?,
            None => self.sql.first(
                "SELECT MAX(last) FROM evidence_kinds WHERE kind = ?1",
                values![kind.as_str()],
                |row| optional::<u64>(row, 0),
            )?,
        };
        Ok(newest.flatten())
    }
}

/// A page that is being filled.
struct Page<'a> {
    listing: Listing,
    kind: Option<&'a Kind>,
    limit: u64,
    left: u64,
}

impl Page<'_> {
    /// Takes an entry in if it is of the kind; `true` when the page is full, or enough was looked at.
    fn add(&mut self, item: LogItem) -> Result<bool, StoreError> {
        let is_wanted = match self.kind {
            None => true,
            Some(kind) => {
                let entry = Entry::decode(&item.entry);
                entry.map_err(|error| StoreError::corrupt(format!("entry {}: {error}", item.index)))?.kind
                    == *kind
            }
        };
        if is_wanted {
            self.listing.entries.push(item);
        }
        self.left -= 1;
        let count = u64::try_from(self.listing.entries.len()).unwrap_or(u64::MAX);
        Ok(count >= self.limit || self.left == 0)
    }
}

fn kind_count(row: &dyn Row) -> Result<KindCount, StoreError> {
    let kind: String = column(row, 0)?;
    let kind = Kind::new(&kind).map_err(|error| StoreError::corrupt(format!("'{kind}': {error}")))?;
    Ok(KindCount { kind, count: column(row, 1)?, last: column(row, 2)?, last_at: column(row, 3)? })
}
