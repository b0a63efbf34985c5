//! The log as it stands in the database: outbox, sealed bodies, batches of entries, tiles, counters, proofs.

pub(crate) mod bundle;
mod cosignatures;
mod doubt;
mod erasure;
pub(crate) mod hot;
mod listing;
pub(crate) mod runs;

use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

use angbu_evidence::sequence::Head;
use angbu_evidence::tile::{TileError, TileId, TileNodes};
use angbu_evidence::{Body, Counter, Disclosure, Draft, Entry, Hash, Kind, Manifest, Receipt, merkle};
use angbu_units::{CustomerId, EntryId, UnixTime};
use tokio::sync::watch;

use crate::board::Known;
use crate::seal::{Keyring, Purpose};
use crate::sequencer::Published;
use crate::sql::{Connection, ToValue, Value, column, optional, values};
use crate::{Snapshot, Store, StoreError, Tx};

pub(crate) use bundle::Bundles;
pub use cosignatures::{CosignatureRow, WITNESSES_AT_ONCE, WitnessKind};
pub use doubt::CONFIRMED;
pub(crate) use doubt::refuse;
pub use erasure::Erasure;
pub use listing::{GROWTH_POINTS, KindCount, Listing};
pub(crate) use runs::Run;

/// The most entries that one question is answered with.
pub const ENTRIES_AT_ONCE: u64 = 65_536;

/// The most entries that one transaction appends.
pub const APPENDS_AT_ONCE: u64 = 16_384;

/// The table of sealed bodies, as sealed values name it.
pub(crate) const BODIES: &str = "evidence_bodies";

/// An entry in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogItem {
    /// Its log index.
    pub index: u64,
    /// Its bytes, as the log hashes them.
    pub entry: Vec<u8>,
}

/// How far an entry has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is no such entry.
    Unknown,
    /// It is durable and will be in the log; ask again.
    Pending,
    /// It is in the log, and here is the proof.
    Proven(Box<Receipt>),
}

impl Store {
    /// The log's signed head, and a way to wait for the next. `None` until the [`crate::Sequencer`] has started.
    pub fn head(&self) -> watch::Receiver<Option<std::sync::Arc<Published>>> {
        self.board().published()
    }

    /// Waits until an entry is in the log and gives its proof, made from memory; `None` when that takes longer than
    /// `timeout`, or there is no such entry.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn wait(&self, id: EntryId, timeout: Duration) -> Result<Option<Receipt>, StoreError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut known = self.board().look_up(id, false);
        loop {
            known = match known {
                Known::Published(place) => return place.receipt().map(Some),
                Known::Pending(waiting) => match tokio::time::timeout_at(deadline, waiting).await {
                    Ok(Ok(place)) => return place.receipt().map(Some),
                    // Something was published without being read here.
                    Ok(Err(_)) => Known::Unknown,
                    Err(_) => return Ok(None),
                },
                Known::Unknown => match self.standing(id).await? {
                    Standing::Unknown => return Ok(None),
                    Standing::Proven(receipt) => return Ok(Some(*receipt)),
                    Standing::Pending => self.board().look_up(id, true),
                },
            }
        }
    }

    /// Waits until everything that is durable now is in the log; `false` when that takes longer than `timeout`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn settle(&self, timeout: Duration) -> Result<bool, StoreError> {
        match self.read(|snapshot| snapshot.newest_draft()).await? {
            Some(newest) => Ok(self.wait(newest.id, timeout).await?.is_some()),
            None => Ok(true),
        }
    }

    /// How far an entry has come, with the proof if it is in the log, under the newest checkpoint.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn standing(&self, id: EntryId) -> Result<Standing, StoreError> {
        if let Known::Published(place) = self.board().look_up(id, false) {
            return Ok(Standing::Proven(Box::new(place.receipt()?)));
        }
        let published = self.head().borrow().clone();
        self.read(move |snapshot| {
            if !snapshot.is_entry(id)? {
                return Ok(Standing::Unknown);
            }
            let (Some(published), Some(index)) = (published, snapshot.entry_index(id)?) else {
                return Ok(Standing::Pending);
            };
            let receipt = snapshot.receipt(index, &published)?;
            Ok(receipt.map_or(Standing::Pending, |receipt| Standing::Proven(Box::new(receipt))))
        })
        .await
    }
}

impl Snapshot<'_> {
    /// The log's head: size, root, and the fence of whoever sequences it.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn log_head(&self) -> Result<Head, StoreError> {
        let head = self.sql.first(
            "SELECT size, root, epoch FROM evidence_head WHERE one = 1",
            values![],
            |row| Ok(Head { size: column(row, 0)?, root: column(row, 1)?, epoch: column(row, 2)? }),
        )?;
        Ok(head.unwrap_or_else(|| Head { size: 0, root: merkle::empty_root(), epoch: 0 }))
    }

    /// The bytes of the entry at a log index.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Bundles::new(self.sql).entry(index)
    }

    /// The entries from a log index on, at most `limit` and [`ENTRIES_AT_ONCE`].
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn entries(&self, first: u64, limit: u64) -> Result<Vec<LogItem>, StoreError> {
        let mut bundles = Bundles::new(self.sql);
        let mut items = Vec::new();
        for index in first..first.saturating_add(limit.min(ENTRIES_AT_ONCE)) {
            let Some(entry) = bundles.entry(index)? else { break };
            items.push(LogItem { index, entry });
        }
        Ok(items)
    }

    /// The log index of an entry; `None` while it waits for the sequencer, and for an id that is no entry's.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn entry_index(&self, id: EntryId) -> Result<Option<u64>, StoreError> {
        if !self.is_entry(id)? {
            return Ok(None);
        }
        // No batch before the first that reaches the id can hold it, and nearly always that one does; after a clock was set
        // back several can.
        let (mut bundles, mut from) = (Bundles::new(self.sql), 0u64);
        loop {
            let candidate = self.sql.first(
                "SELECT first FROM evidence_batches
                 WHERE reach >= ?1 AND first >= ?2 AND min_id <= ?1 AND max_id >= ?1
                 ORDER BY reach, first LIMIT 1",
                values![id, from],
                |row| column::<u64>(row, 0),
            )?;
            let Some(first) = candidate else { return Ok(None) };
            if let Some(found) = bundles.find(first, id)? {
                return Ok(Some(found));
            }
            from = first + 1;
        }
    }

    /// Whether there is an entry with this id, in the log or on its way there.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn is_entry(&self, id: EntryId) -> Result<bool, StoreError> {
        let found =
            self.sql.first("SELECT 1 FROM evidence_bodies WHERE entry_id = ?1", values![id], |_| Ok(()))?;
        Ok(found.is_some())
    }

    pub(crate) fn sealed_body(&self, id: EntryId) -> Result<Option<Vec<u8>>, StoreError> {
        self.sql.first("SELECT sealed FROM evidence_bodies WHERE entry_id = ?1", values![id], |row| {
            column::<Vec<u8>>(row, 0)
        })
    }

    pub(crate) fn open_body(&self, id: EntryId, sealed: &[u8]) -> Result<Disclosure, StoreError> {
        let plain = self.open_sealed(BODIES, &id.to_bytes(), sealed)?;
        Disclosure::decode(&plain).map_err(|error| StoreError::corrupt(format!("the body of {id}: {error}")))
    }

    /// The bytes of a tile of hashes, if the log has grown to it.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut hashes) = self.stored_tile(id.level(), id.index())? else { return Ok(None) };
        let width = usize::from(id.width()) * Hash::LENGTH;
        if hashes.len() < width {
            return Ok(None);
        }
        hashes.truncate(width);
        Ok(Some(hashes))
    }

    /// The bytes of a bundle of entries (C2SP tlog-tiles), if the log has grown to it.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn bundle(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(first) = index.checked_mul(256) else { return Ok(None) };
        let items = self.entries(first, u64::from(width))?;
        if items.len() < usize::from(width) {
            return Ok(None);
        }
        let bundle = angbu_evidence::tile::encode_bundle(items.iter().map(|item| item.entry.as_slice()));
        bundle.map(Some).map_err(|error| StoreError::corrupt(error.to_string()))
    }

    /// How many entries a customer has in the log, and where the first and last stand.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn counter(&self, customer: CustomerId) -> Result<Option<Counter>, StoreError> {
        self.sql.first(
            "SELECT count, first, last FROM evidence_counters WHERE customer_id = ?1",
            values![customer],
            |row| Ok(Counter { count: column(row, 0)?, first: column(row, 1)?, last: column(row, 2)? }),
        )
    }

    /// The manifest of the log as it stands. Entries that still wait for the sequencer are not in it:
    /// [`Store::settle`] first.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn manifest_now(&self) -> Result<Manifest, StoreError> {
        let (mut size, mut counters) = (0, std::collections::BTreeMap::new());
        // One statement, so that the size and the counters are of one moment even where transactions run side by side.
        self.sql.query(
            "SELECT head.size, counters.customer_id, counters.count, counters.first, counters.last
             FROM evidence_head AS head LEFT JOIN evidence_counters AS counters ON counters.count > 0
             WHERE head.one = 1",
            values![],
            &mut |row| {
                size = column(row, 0)?;
                if let Some(customer) = optional::<CustomerId>(row, 1)? {
                    let counter =
                        Counter { count: column(row, 2)?, first: column(row, 3)?, last: column(row, 4)? };
                    counters.insert(customer, counter);
                }
                Ok(crate::sql::Next::More)
            },
        )?;
        Ok(Manifest::new(size, &counters))
    }

    /// The manifest that an `evidence.manifest` entry commits to.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn manifest(&self, id: EntryId) -> Result<Option<Manifest>, StoreError> {
        let leaves = self.sql.first(
            "SELECT leaves FROM evidence_manifests WHERE entry_id = ?1",
            values![id],
            |row| column::<Vec<u8>>(row, 0),
        )?;
        let manifest = leaves.map(|leaves| Manifest::decode(&leaves)).transpose();
        manifest.map_err(|error| StoreError::corrupt(error.to_string()))
    }

    /// Whether an hour, counted from 1970 on, has its manifest.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn has_manifest_of_hour(&self, hour: u64) -> Result<bool, StoreError> {
        let found =
            self.sql.first("SELECT 1 FROM evidence_manifests WHERE hour = ?1", values![hour], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// A customer's entries from a running number (from 1) on, in their order, at most `limit` and
    /// [`ENTRIES_AT_ONCE`].
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn entries_of(
        &self,
        customer: CustomerId,
        from_number: u64,
        limit: u64,
    ) -> Result<Vec<LogItem>, StoreError> {
        let indexes = runs::indexes(self.sql, customer, from_number, limit.min(ENTRIES_AT_ONCE))?;
        let mut bundles = Bundles::new(self.sql);
        let item = |index| {
            let entry = bundles.entry(index)?;
            let entry = entry.ok_or_else(|| StoreError::corrupt(format!("entry {index} is missing")))?;
            Ok(LogItem { index, entry })
        };
        indexes.into_iter().map(item).collect()
    }

    /// The running number of a customer's first entry that is not wholly before an instant: every entry with a smaller
    /// number is stamped earlier. `None` when all entries are.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn first_number_since(
        &self,
        customer: CustomerId,
        instant: UnixTime,
    ) -> Result<Option<u64>, StoreError> {
        let Some(run) = runs::reaching(self.sql, customer, instant)? else { return Ok(None) };
        for (item, number) in self.entries_of(customer, run.number, run.count)?.iter().zip(run.number..) {
            let entry = Entry::decode(&item.entry)
                .map_err(|error| StoreError::corrupt(format!("entry {}: {error}", item.index)))?;
            if entry.time >= instant {
                return Ok(Some(number));
            }
        }
        Err(StoreError::corrupt(format!(
            "the entries of {customer} from {} on are not as their run says",
            run.number
        )))
    }

    /// The log index of a clock state; `None` while it waits for the sequencer or is none.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn clock_state_index(&self, id: EntryId) -> Result<Option<u64>, StoreError> {
        let index = self.sql.first(
            "SELECT idx FROM evidence_clock_states WHERE entry_id = ?1",
            values![id],
            |row| optional::<u64>(row, 0),
        )?;
        Ok(index.flatten())
    }

    /// The tree's nodes, for proofs of any kind.
    pub fn nodes(&self) -> impl merkle::Nodes<Error = TileError<StoreError>> + '_ {
        TileNodes::new(|level, index| {
            let missing = || StoreError::corrupt(format!("tile {index} of level {level} is missing"));
            self.stored_tile(level, index)?.ok_or_else(missing)
        })
    }

    /// The proof of the entry at a log index under a published checkpoint; `None` for an index beyond it.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn receipt(&self, index: u64, published: &Published) -> Result<Option<Receipt>, StoreError> {
        if index >= published.head.size {
            return Ok(None);
        }
        let entry = self.entry(index)?;
        let entry = entry.ok_or_else(|| StoreError::corrupt(format!("entry {index} is missing")))?;
        let path = merkle::inclusion(&self.nodes(), index, published.head.size)
            .map_err(|error| StoreError::corrupt(error.to_string()))?;
        Ok(Some(Receipt { entry, index, path, checkpoint: published.checkpoint.clone() }))
    }

    /// The newest entry that waits for the sequencer.
    fn newest_draft(&self) -> Result<Option<Draft>, StoreError> {
        let newest = self.sql.first(
            "SELECT drafts FROM evidence_outbox ORDER BY seq DESC LIMIT 1",
            values![],
            |row| decode_drafts(&column::<Vec<u8>>(row, 0)?),
        )?;
        Ok(newest.and_then(|mut drafts| drafts.pop()))
    }

    pub(crate) fn counters(&self) -> Result<std::collections::BTreeMap<CustomerId, Counter>, StoreError> {
        let counters = self.sql.all(
            "SELECT customer_id, count, first, last FROM evidence_counters ORDER BY customer_id",
            values![],
            |row| {
                let counter =
                    Counter { count: column(row, 1)?, first: column(row, 2)?, last: column(row, 3)? };
                Ok((column(row, 0)?, counter))
            },
        )?;
        Ok(counters.into_iter().collect())
    }

    pub(crate) fn stored_tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.sql.first(
            "SELECT hashes FROM evidence_tiles WHERE level = ?1 AND idx = ?2",
            values![level, index],
            |row| column(row, 0),
        )
    }
}

impl Tx<'_> {
    /// Appends an entry: it is in the log's outbox, and its fields in the sealed side table, if and when the
    /// transaction commits; the sequencer then gives it its place.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the draft rests on a clock state that was never appended, [`StoreError::Taken`]
    /// when there is an entry with its id, [`StoreError::Unfit`] for a draft that could not enter the log, and
    /// [`StoreError::TooMuch`] after [`APPENDS_AT_ONCE`] entries in one transaction.
    pub fn append(&mut self, draft: &Draft, body: &Body) -> Result<(), StoreError> {
        if u64::try_from(self.drafts.len()).is_ok_and(|count| count >= APPENDS_AT_ONCE) {
            return Err(StoreError::TooMuch {
                what: "a transaction of so many entries",
                limit: APPENDS_AT_ONCE,
            });
        }
        self.check_doubt(draft)?;
        let mut sealed = Sealed::new(self.keys, draft, body)?;
        sealed.insert(self.sql, self.keys, self.clock_state)?;
        self.drafts.push(sealed.draft());
        Ok(())
    }

    /// Keeps the manifest that an `evidence.manifest` entry of the same transaction commits to.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the entry has one already.
    pub fn insert_manifest(&mut self, id: EntryId, manifest: &Manifest) -> Result<(), StoreError> {
        self.keep_manifest(id, manifest, None)
    }

    /// As [`Tx::insert_manifest`], for the one manifest of an hour; hours are counted from 1970 on.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the hour has one already, of whatever centre.
    pub fn insert_hourly_manifest(
        &mut self,
        id: EntryId,
        manifest: &Manifest,
        hour: u64,
    ) -> Result<(), StoreError> {
        self.keep_manifest(id, manifest, Some(hour))
    }

    fn keep_manifest(&self, id: EntryId, manifest: &Manifest, hour: Option<u64>) -> Result<(), StoreError> {
        let what = if hour.is_some() { "the hour's manifest" } else { "the entry's manifest" };
        self.sql.execute_one(
            "INSERT INTO evidence_manifests (entry_id, size, leaves, hour) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            values![id, manifest.size(), manifest.encode(), hour],
            StoreError::Taken { what },
        )
    }
}

/// An entry that is ready to be inserted: checked, and its fields sealed.
pub(crate) struct Sealed {
    draft: Draft,
    body: Vec<u8>,
}

impl Sealed {
    pub(crate) fn new(keys: &Keyring, draft: &Draft, body: &Body) -> Result<Self, StoreError> {
        let unfit = |what: &str| StoreError::Unfit { what: format!("entry {}: {what}", draft.id) };
        if draft.instant.error_bound.count() < 0 {
            return Err(unfit("its error bound is below zero"));
        }
        if draft.body_root != body.root() {
            return Err(unfit("its fields are not those that its body root commits to"));
        }
        let body = keys.seal(Purpose::Bodies, BODIES, &draft.id.to_bytes(), &body.encode())?;
        Ok(Self { draft: draft.clone(), body })
    }

    /// Its id and its bytes for the outbox.
    pub(crate) fn draft(&self) -> (EntryId, Vec<u8>) {
        (self.draft.id, self.draft.encode())
    }

    /// Looks whether what it rests on is there, and seals it again if it was sealed, on its caller's thread, under a key
    /// that was replaced before its turn came.
    pub(crate) fn prepare(
        &mut self,
        sql: &dyn Connection,
        keys: &Keyring,
        known: &KnownClockState,
    ) -> Result<(), StoreError> {
        let Draft { id, kind, instant, .. } = &self.draft;
        if let Cow::Owned(body) = keys.resealed(Purpose::Bodies, BODIES, &id.to_bytes(), &self.body)? {
            self.body = body;
        }
        if *kind == Kind::CLOCK_STATE || instant.clock_state == Draft::NO_CLOCK_STATE {
            return Ok(());
        }
        known.check(sql, instant.clock_state)
    }

    /// Its body, for [`INSERT_BODY`].
    pub(crate) fn row(&self) -> [Value<'_>; 2] {
        [self.draft.id.to_value(), self.body.to_value()]
    }

    /// Inserts its body: one row, but for clock states, which are noted as well.
    pub(crate) fn insert(
        &mut self,
        sql: &dyn Connection,
        keys: &Keyring,
        known: &KnownClockState,
    ) -> Result<(), StoreError> {
        self.prepare(sql, keys, known)?;
        sql.execute_one(INSERT_BODY, &self.row(), taken())?;
        if self.draft.kind == Kind::CLOCK_STATE {
            let insert = "INSERT INTO evidence_clock_states (entry_id, idx) VALUES (?1, NULL)";
            sql.execute(insert, values![self.draft.id])?;
        }
        Ok(())
    }
}

/// Inserts a sealed body, unless there is an entry with its id: then it changes no row.
pub(crate) const INSERT_BODY: &str =
    "INSERT INTO evidence_bodies (entry_id, sealed) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// What an entry is told whose id is there already.
pub(crate) const fn taken() -> StoreError {
    StoreError::Taken { what: "the id" }
}

/// The clock state that was last found to be there: most entries rest on the same one for a long time.
#[derive(Default)]
pub(crate) struct KnownClockState(Cell<Option<EntryId>>);

impl KnownClockState {
    /// Whatever was found may have been undone.
    pub(crate) fn forget(&self) {
        self.0.set(None);
    }

    /// An entry that rests on a clock state which never comes would stop the log, so it is refused.
    fn check(&self, sql: &dyn Connection, id: EntryId) -> Result<(), StoreError> {
        if self.0.get() == Some(id) {
            return Ok(());
        }
        let found =
            sql.first("SELECT 1 FROM evidence_clock_states WHERE entry_id = ?1", values![id], |_| Ok(()))?;
        found.ok_or(StoreError::NotFound { what: "clock state" })?;
        self.0.set(Some(id));
        Ok(())
    }
}

/// Leaves the entries of one commit to the sequencer.
pub(crate) const FILL_OUTBOX: &str = "INSERT INTO evidence_outbox (drafts) VALUES (?1)";

/// The entries of one commit as one row of the outbox, for [`FILL_OUTBOX`]; `None` when there are none.
pub(crate) fn outbox_row(drafts: &[(EntryId, Vec<u8>)]) -> Result<Option<Vec<u8>>, StoreError> {
    if drafts.is_empty() {
        return Ok(None);
    }
    bundle::encode(drafts.iter().map(|(_, draft)| draft.as_slice())).map(Some)
}

/// The entries of one row of the outbox.
pub(crate) fn decode_drafts(bytes: &[u8]) -> Result<Vec<Draft>, StoreError> {
    let damaged = || StoreError::corrupt("a row of the outbox ends inside an entry");
    bundle::split(bytes)
        .map(|draft| {
            Draft::decode(draft.ok_or_else(damaged)?).map_err(|error| StoreError::corrupt(error.to_string()))
        })
        .collect()
}
