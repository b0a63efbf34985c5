//! Who sequences: the head's row as lease, fence and heartbeat, without comparing the clocks of two machines.
//!
//! The row names its holder and counts the holder's beats. Whoever takes the log over raises the epoch of exactly the row
//! that it saw; the head moves only under its own epoch, so that a holder that slept through its loss moves nothing.

use std::time::{Duration, Instant};

use angbu_evidence::sequence::Head;
use angbu_evidence::{Hash, merkle};
use angbu_units::{CentreId, UnixTime};

use super::Published;
use crate::guard::Mark;
use crate::sql::{column, optional, values};
use crate::{Snapshot, Store, StoreError, Tx};

/// How a sequencer shares the log with those of other centres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Whether other processes can have the same database. If not, the log is taken over at once, and an idle log is
    /// left alone.
    pub is_shared: bool,
    /// How often a holder shows that it lives, at least.
    pub beat: Duration,
    /// How long the others wait for a sign of life, by their own clocks, before one of them takes over.
    pub patience: Duration,
}

impl Lease {
    /// How a store's sequencer shares its log unless it is told otherwise.
    pub fn of(store: &Store) -> Self {
        Self { is_shared: store.is_shared(), beat: Duration::from_secs(1), patience: Duration::from_secs(4) }
    }
}

/// The log's head with everything that stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) head: Head,
    pub(crate) holder: Option<CentreId>,
    pub(crate) beat: u64,
    pub(crate) era: u64,
    /// The size of a checkpoint that was signed once and that the log does not lead to.
    pub(crate) doubt: Option<u64>,
    /// The newest checkpoint that was kept, and of how many entries it is.
    pub(crate) note: String,
    pub(crate) noted: u64,
    pub(crate) signed_at: UnixTime,
}

impl HeadRow {
    /// The row, unless no sequencer was ever here.
    pub(crate) fn read(snapshot: &Snapshot<'_>) -> Result<Option<Self>, StoreError> {
        snapshot.sql.first(
            "SELECT size, root, epoch, holder, beat, era, doubt, note, noted, signed_at
             FROM evidence_head WHERE one = 1",
            values![],
            |row| {
                Ok(Self {
                    head: Head { size: column(row, 0)?, root: column(row, 1)?, epoch: column(row, 2)? },
                    holder: optional(row, 3)?,
                    beat: column(row, 4)?,
                    era: column(row, 5)?,
                    doubt: optional(row, 6)?,
                    note: column(row, 7)?,
                    noted: column(row, 8)?,
                    signed_at: column(row, 9)?,
                })
            },
        )
    }

    /// As [`HeadRow::read`]; the row of an empty log is made where there is none.
    pub(super) fn read_or_make(store: &Store) -> Result<Self, StoreError> {
        if let Some(row) = store.read_blocking(Self::read)? {
            return Ok(row);
        }
        store.write_blocking(|tx| {
            tx.sql.execute(
                "INSERT INTO evidence_head (one, size, root, epoch, signed_at, note, noted, beat, era, doubted)
                 VALUES (1, 0, ?1, 0, 0, '', 0, 0, 0, '') ON CONFLICT (one) DO NOTHING",
                values![merkle::empty_root()],
            )?;
            Ok::<_, StoreError>(())
        })?;
        store.read_blocking(Self::read)?.ok_or_else(|| StoreError::corrupt("the log has no head"))
    }

    /// Why nothing may be signed while there is a doubt.
    pub(crate) fn in_doubt(&self) -> Option<StoreError> {
        self.doubt.map(|seen| StoreError::LogInDoubt { seen, size: self.head.size })
    }
}

impl Snapshot<'_> {
    /// The centre that holds the log, and so does what only one centre of a site may do; `None` before any held it.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn log_holder(&self) -> Result<Option<CentreId>, StoreError> {
        Ok(HeadRow::read(self)?.and_then(|row| row.holder))
    }
}

/// What a centre's guard says of the log as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The log leads on from what the guard saw, or from what an operator has confirmed since.
    Whole,
    /// A signed head was seen that the log does not lead to.
    Doubt(Mark),
    /// The log has entries and there is no guard.
    Unguarded,
}

impl Trust {
    pub(crate) fn judge(
        snapshot: &Snapshot<'_>,
        row: &HeadRow,
        origin: &str,
        mark: Option<Mark>,
    ) -> Result<Self, StoreError> {
        let Some(mark) = mark.filter(|mark| mark.origin == origin) else {
            return Ok(if row.head.size == 0 { Self::Whole } else { Self::Unguarded });
        };
        let leads_on = match mark.era.cmp(&row.era) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => leads_on(snapshot, &row.head, mark.size, &mark.root)?,
        };
        Ok(if leads_on { Self::Whole } else { Self::Doubt(mark) })
    }
}

/// Whether the log of this head had this root when it had so many entries.
pub(crate) fn leads_on(
    snapshot: &Snapshot<'_>,
    head: &Head,
    size: u64,
    root: &Hash,
) -> Result<bool, StoreError> {
    match size.cmp(&head.size) {
        std::cmp::Ordering::Greater => Ok(false),
        std::cmp::Ordering::Equal => Ok(*root == head.root),
        std::cmp::Ordering::Less => {
            let found = merkle::tree_root(&snapshot.nodes(), size)
                .map_err(|error| StoreError::corrupt(error.to_string()))?;
            Ok(found == *root)
        }
    }
}

/// Takes the log over from the row that was seen; `None` when it is no longer so.
pub(super) fn take(tx: &Tx<'_>, seen: &HeadRow, centre: CentreId) -> Result<Option<u64>, StoreError> {
    tx.sql.first(
        "UPDATE evidence_head SET epoch = epoch + 1, beat = beat + 1, holder = ?1
         WHERE one = 1 AND epoch = ?2 AND beat = ?3 AND era = ?4 AND doubt IS NULL RETURNING epoch",
        values![centre, seen.head.epoch, seen.beat, seen.era],
        |row| column(row, 0),
    )
}

/// Shows that the holder lives; `false` when it is the holder no more, or the log is in doubt.
pub(super) fn beat(tx: &Tx<'_>, epoch: u64) -> Result<bool, StoreError> {
    let beaten = tx.sql.execute(
        "UPDATE evidence_head SET beat = beat + 1 WHERE one = 1 AND epoch = ?1 AND doubt IS NULL",
        values![epoch],
    )?;
    Ok(beaten == 1)
}

/// Leaves the log to whoever wants it.
pub(super) fn release(tx: &Tx<'_>, epoch: u64) -> Result<(), StoreError> {
    tx.sql.execute(
        "UPDATE evidence_head SET holder = NULL, beat = beat + 1 WHERE one = 1 AND epoch = ?1",
        values![epoch],
    )?;
    Ok(())
}

/// Keeps the newest checkpoint, unless somebody else has the log.
pub(super) fn keep_checkpoint(tx: &Tx<'_>, published: &Published) -> Result<(), StoreError> {
    tx.sql.execute(
        "UPDATE evidence_head SET note = ?1, signed_at = ?2, noted = ?3
         WHERE one = 1 AND epoch = ?4 AND size >= ?3 AND noted <= ?3",
        values![published.checkpoint, published.signed_at, published.head.size, published.head.epoch],
    )?;
    Ok(())
}

/// Notes that a signed head was seen which the log does not lead to; from then on nobody moves the head.
pub(crate) fn doubt(tx: &Tx<'_>, era: u64, seen: u64, what: &str) -> Result<(), StoreError> {
    tx.sql.execute(
        "UPDATE evidence_head SET doubt = ?1, doubted = ?2
         WHERE one = 1 AND era = ?3 AND (doubt IS NULL OR doubt < ?1)",
        values![seen, what, era],
    )?;
    Ok(())
}

/// What a follower has seen of the holder, by its own clock.
pub(super) struct Watch {
    seen: (u64, u64),
    since: Instant,
    /// Whether the holder gave a sign of life since this began.
    pub(super) is_alive: bool,
}

impl Watch {
    pub(super) fn begin(row: &HeadRow) -> Self {
        Self { seen: (row.head.epoch, row.beat), since: Instant::now(), is_alive: false }
    }

    pub(super) fn begin_again(&mut self) {
        self.since = Instant::now();
    }

    /// Takes the row in; `true` when the holder has been silent for longer than the patience.
    pub(super) fn look(&mut self, row: &HeadRow, patience: Duration) -> bool {
        let now = (row.head.epoch, row.beat);
        if now != self.seen {
            *self = Self { seen: now, since: Instant::now(), is_alive: row.holder.is_some() };
        } else if self.since.elapsed() > patience {
            self.is_alive = false;
            return true;
        }
        false
    }
}
