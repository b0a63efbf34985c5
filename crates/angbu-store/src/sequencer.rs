//! Gives entries their places in the log: drains the outbox, stores the batch, signs the head, publishes it.
//!
//! The order of these steps is what makes the log hold. A batch is durable before its head is signed, so no checkpoint
//! is ever public that a crash could take back. A head that was stored and not signed is signed at the next start, and
//! Ed25519 signs the same head with the same bytes. Whatever fails, the state in memory is thrown away and read again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use angbu_evidence::note::Signer;
use angbu_evidence::sequence::{self, Head, KEPT_CLOCK_STATES, SequenceError};
use angbu_evidence::tile::Edge;
use angbu_evidence::{Checkpoint, Draft, merkle};
use angbu_units::{CustomerId, EntryId, UnixTime};

use crate::board::{Batch, Board};
use crate::evidence::hot::Nodes;
use crate::evidence::{Bundles, Run, bundle, decode_drafts, runs};
use crate::sql::{Next, column, values};
use crate::store::unusable;
use crate::{Snapshot, Store, StoreError, Tx};

/// With how many entries a batch is full.
const BATCH: usize = 16_384;
/// How long after the beginning of a batch the next one begins: half as long again as the last one took, within these, so
/// that the writer has time for others.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);
const LONGEST_INTERVAL: Duration = Duration::from_millis(250);
/// How long the sequencer rests after an error, and at most after many in a row.
const REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// How many more batches a sequencer that is told to stop makes of what waits.
const LAST_BATCHES: u32 = 8;

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Size and root.
    pub head: Head,
    /// The checkpoint: a signed note.
    pub checkpoint: String,
    /// When it was signed.
    pub signed_at: UnixTime,
}

/// The running sequencer of a store. Dropping it stops it, after what waits in the outbox has its place.
pub struct Sequencer {
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sequencer {
    /// Takes the log over: reads where it stands, signs its head if that is not signed yet, publishes it, and goes on
    /// in a thread of its own. A sequencer that had the log before is fenced off and ends. The signer's name is the
    /// log's origin.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when head, tiles and counters do not belong together, and as every read and write.
    pub fn start(store: &Store, signer: Arc<dyn Signer>) -> Result<Self, StoreError> {
        let worker = Worker::take_over(store.clone(), signer)?;
        Self::spawn(worker)
    }

    fn spawn(mut worker: Worker) -> Result<Self, StoreError> {
        let (board, stop) = (Arc::clone(worker.store.board()), Arc::clone(&worker.stop));
        let thread = std::thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| unusable(std::path::Path::new("a thread"), &error))?;
        Ok(Self { board, stop, thread: Some(thread) })
    }
}

impl Drop for Sequencer {
    fn drop(&mut self) {
        self.board.stop(&self.stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// Where a test can make the sequencer fail or vanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Drained,
    Stored,
    Signed,
    Published,
}

/// What a test does to the sequencer at a point.
#[cfg(test)]
type Fault = Box<dyn Fn(Point) -> Result<(), StoreError> + Send>;

/// Why a round did not end well.
enum Failure {
    /// To be tried again from what the database holds.
    Passing(StoreError),
    /// Somebody else has the log now.
    Fenced,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Passing(error)
    }
}

struct Worker {
    store: Store,
    signer: Arc<dyn Signer>,
    stop: Arc<AtomicBool>,
    epoch: u64,
    state: State,
    /// Up to where entries were published by this worker, or before it took over.
    published: u64,
    #[cfg(test)]
    fault: Option<Fault>,
}

/// What is kept in memory of the log, and thrown away after an error.
struct State {
    core: sequence::Sequencer,
    nodes: Nodes,
    /// The largest entry id of all batches.
    reach: EntryId,
    /// The latest instant of each customer's entries, as far as it was needed.
    reaches: BTreeMap<CustomerId, UnixTime>,
}

/// A batch and everything that is stored with it.
struct Prepared {
    old: Head,
    batch: sequence::Batch,
    bundle: Vec<u8>,
    ids: (EntryId, EntryId, EntryId),
    runs: Vec<(CustomerId, Run)>,
    last_seq: u64,
}

impl Worker {
    fn take_over(store: Store, signer: Arc<dyn Signer>) -> Result<Self, StoreError> {
        let epoch = store.write_blocking(raise_epoch)?;
        let state = store.read_blocking(State::load)?;
        // What a sequencer before this one stored and did not publish is still waited for.
        let before = store.head().borrow().as_ref().map(|published| published.head.size);
        let published = before.unwrap_or(state.core.head().size);
        let mut worker = Self {
            store,
            signer,
            stop: Arc::default(),
            epoch,
            state,
            published,
            #[cfg(test)]
            fault: None,
        };
        worker.publish(published)?;
        Ok(worker)
    }

    fn run(&mut self) {
        let board = Arc::clone(self.store.board());
        let (mut begun, mut interval, mut seen) = (None, SHORTEST_INTERVAL, 0);
        // What waited in the outbox when this began was never announced.
        let mut more = true;
        loop {
            let go_on = (more || board.wait_for_work(&mut seen, &self.stop))
                && begun.is_none_or(|begun| board.rest_until(begun + interval, &self.stop));
            if !go_on {
                break;
            }
            let now = Instant::now();
            begun = Some(now);
            match self.round() {
                Ok(left) => more = left,
                Err(Failure::Fenced) => return tracing::error!("another sequencer has taken the log over"),
                Err(Failure::Passing(error)) => {
                    tracing::error!(%error, "the sequencer failed and begins again from the database");
                    board.set_trouble(error);
                    match self.recover(&board) {
                        Some(true) => more = true,
                        Some(false) => break,
                        None => return,
                    }
                }
            }
            interval = (now.elapsed() * 3 / 2).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        }
        for _ in 0..LAST_BATCHES {
            if !matches!(self.round(), Ok(true)) {
                break;
            }
        }
    }

    /// Reads the log again until that succeeds; `false` when the sequencer should stop, `None` when it is fenced off.
    fn recover(&mut self, board: &Board) -> Option<bool> {
        let mut rest = REST;
        loop {
            if !board.rest_until(Instant::now() + rest, &self.stop) {
                return Some(false);
            }
            rest = (rest * 2).min(LONGEST_REST);
            match self.resume() {
                Ok(()) => return Some(true),
                Err(Failure::Fenced) => {
                    tracing::error!("another sequencer has taken the log over");
                    return None;
                }
                Err(Failure::Passing(error)) => {
                    tracing::error!(%error, "the log cannot be read or signed");
                    board.set_trouble(error);
                }
            }
        }
    }

    /// Begins again from what the database holds; entries that a commit in doubt has placed are published.
    fn resume(&mut self) -> Result<(), Failure> {
        self.state = self.store.read_blocking(State::load)?;
        if self.state.core.head().epoch != self.epoch {
            return Err(Failure::Fenced);
        }
        self.publish(self.published)?;
        Ok(())
    }

    /// Makes one batch of what waits; `true` when more can be waiting.
    fn round(&mut self) -> Result<bool, Failure> {
        let (last_seq, drafts) = self.store.read_blocking(|snapshot| outbox(snapshot, BATCH))?;
        if drafts.is_empty() {
            return Ok(false);
        }
        let is_full = drafts.len() >= BATCH;
        self.reach(Point::Drained)?;
        let prepared = Arc::new(self.prepare(&drafts, last_seq)?);
        let storing = Arc::clone(&prepared);
        self.store.write_blocking(move |tx| storing.store(tx))?;
        self.reach(Point::Stored)?;
        let nodes = self.state.nodes.grown(&prepared.batch.growth)?;
        self.state.nodes = nodes.edge();
        let published = self.sign()?;
        // The batch is shared with nobody once the writer has stored it; were it still, a copy does as well.
        let entries = Arc::try_unwrap(prepared)
            .map_or_else(|shared| shared.batch.entries.clone(), |own| own.batch.entries);
        self.announce(Batch { first: self.published, entries, nodes, published });
        self.reach(Point::Published)?;
        Ok(is_full)
    }

    fn prepare(&mut self, drafts: &[Draft], last_seq: u64) -> Result<Prepared, StoreError> {
        let old = self.state.core.head();
        self.learn_reaches(drafts)?;
        let batch = self.integrate(drafts)?;
        let bundle = bundle::encode(batch.entries.iter().map(|(_, entry)| entry.as_slice()))?;
        let ids = || batch.entries.iter().map(|(id, _)| *id);
        let (min, max) = (ids().min().unwrap_or(self.state.reach), ids().max().unwrap_or(self.state.reach));
        self.state.reach = self.state.reach.max(max);
        let runs = self.state.runs(drafts, &batch);
        Ok(Prepared { old, bundle, ids: (min, max, self.state.reach), runs, last_seq, batch })
    }

    fn integrate(&mut self, drafts: &[Draft]) -> Result<sequence::Batch, StoreError> {
        // Each turn but the last teaches it one clock state more, as many as it keeps. Entries that wait together were
        // stamped within moments of one another and never rest on so many.
        for _ in 0..=KEPT_CLOCK_STATES {
            match self.state.core.integrate(drafts) {
                Ok(batch) => return Ok(batch),
                Err(SequenceError::UnknownClockState { clock_state, .. }) => {
                    let index =
                        self.store.read_blocking(move |snapshot| snapshot.clock_state_index(clock_state))?;
                    let unknown =
                        || StoreError::corrupt(format!("the clock state {clock_state} is not in the log"));
                    self.state.core.learn(clock_state, index.ok_or_else(unknown)?);
                }
                Err(error @ SequenceError::NegativeBound(_)) => {
                    return Err(StoreError::corrupt(error.to_string()));
                }
            }
        }
        Err(StoreError::corrupt(
            "the entries of one batch rest on more clock states than the sequencer keeps",
        ))
    }

    /// Reads the latest instants of customers who were not met since the last resume.
    fn learn_reaches(&mut self, drafts: &[Draft]) -> Result<(), StoreError> {
        let mut unknown: Vec<CustomerId> = drafts
            .iter()
            .map(|draft| draft.customer)
            .filter(|customer| {
                self.state.core.counter(customer).is_some() && !self.state.reaches.contains_key(customer)
            })
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let reaches = self.store.read_blocking(move |snapshot| {
            let mut reaches = Vec::new();
            for customer in unknown {
                let run = runs::at_or_before(snapshot.sql, customer, u64::MAX)?;
                reaches.extend(run.map(|run| (customer, run.reach)));
            }
            Ok::<_, StoreError>(reaches)
        })?;
        self.state.reaches.extend(reaches);
        Ok(())
    }

    fn sign(&self) -> Result<Arc<Published>, StoreError> {
        let head = self.state.core.head();
        let checkpoint = head
            .checkpoint(self.signer.verifier_key().name())
            .sign(&*self.signer)
            .map_err(|error| StoreError::unavailable(error.to_string()))?;
        self.reach(Point::Signed)?;
        Ok(Arc::new(Published { head, checkpoint, signed_at: self.store.clock().read().wall }))
    }

    /// Publishes the head with the entries from `first` on, read from the database; signs it if its note is missing.
    fn publish(&mut self, first: u64) -> Result<(), StoreError> {
        let head = self.state.core.head();
        let (entries, nodes, stored) = self.store.read_blocking(move |snapshot| {
            let stored = stored_checkpoint(snapshot)?;
            Ok::<_, StoreError>((
                entries_from(snapshot, first)?,
                load_nodes(snapshot, first, head.size)?,
                stored,
            ))
        })?;
        let is_of = |(checkpoint, _): &(String, UnixTime)| {
            let read = Checkpoint::verify(checkpoint, &self.signer.verifier_key());
            read.is_ok_and(|read| read.size == head.size && read.root == head.root)
        };
        let published = match stored.filter(is_of) {
            Some((checkpoint, signed_at)) => Arc::new(Published { head, checkpoint, signed_at }),
            None => self.sign()?,
        };
        self.announce(Batch { first, entries, nodes, published });
        Ok(())
    }

    fn announce(&mut self, batch: Batch) {
        self.published = batch.published.head.size;
        let published = Arc::clone(&batch.published);
        self.store.board().publish(Arc::new(batch));
        // Nobody waits for this: a note that a crash loses is signed again at the next start.
        self.store.post(move |tx| keep_checkpoint(tx, &published));
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "only tests plant faults")]
    fn reach(&self, _point: Point) -> Result<(), StoreError> {
        Ok(())
    }

    #[cfg(test)]
    fn reach(&self, point: Point) -> Result<(), StoreError> {
        self.fault.as_ref().map_or(Ok(()), |fault| fault(point))
    }
}

impl State {
    fn load(snapshot: &Snapshot<'_>) -> Result<Self, StoreError> {
        let head = snapshot.log_head()?;
        let damaged = |why: String| StoreError::Corrupt { what: why };
        let edge = Edge::load(head.size, |level, index| {
            let missing = || StoreError::corrupt("it is missing");
            snapshot.stored_tile(level, index)?.ok_or_else(missing)
        })
        .map_err(|error| damaged(error.to_string()))?;
        let mut clock_states = snapshot.sql.all(
            "SELECT entry_id, idx FROM evidence_clock_states WHERE idx IS NOT NULL ORDER BY idx DESC LIMIT ?1",
            values![u64::try_from(KEPT_CLOCK_STATES).unwrap_or(u64::MAX)],
            |row| Ok((column::<EntryId>(row, 0)?, column::<u64>(row, 1)?)),
        )?;
        clock_states.reverse();
        let core = sequence::Sequencer::resume(head, edge, snapshot.counters()?, clock_states)
            .map_err(|error| damaged(error.to_string()))?;
        let reach = snapshot.sql.first(
            "SELECT reach FROM evidence_batches ORDER BY first DESC LIMIT 1",
            values![],
            |row| column::<EntryId>(row, 0),
        )?;
        Ok(Self {
            core,
            nodes: load_nodes(snapshot, head.size, head.size)?,
            reach: reach.unwrap_or(EntryId::from_bytes([0; 16])),
            reaches: BTreeMap::new(),
        })
    }

    /// What a batch brings of each customer.
    fn runs(&mut self, drafts: &[Draft], batch: &sequence::Batch) -> Vec<(CustomerId, Run)> {
        let mut indexes: BTreeMap<CustomerId, Vec<u64>> = BTreeMap::new();
        for (draft, index) in drafts.iter().zip(batch.first..) {
            indexes.entry(draft.customer).or_default().push(index);
            let reach = self.reaches.entry(draft.customer).or_insert(UnixTime::MIN);
            *reach = draft.instant.time.max(*reach);
        }
        let counts: BTreeMap<_, _> =
            batch.counters.iter().map(|(customer, counter)| (*customer, counter.count)).collect();
        let run = |(customer, indexes): (CustomerId, Vec<u64>)| {
            let count = counts.get(&customer).copied().unwrap_or_default();
            let number = count + 1 - u64::try_from(indexes.len()).unwrap_or(u64::MAX);
            let reach = self.reaches.get(&customer).copied().unwrap_or(UnixTime::MIN);
            (customer, Run::new(number, &indexes, reach))
        };
        indexes.into_iter().map(run).collect()
    }
}

impl Prepared {
    fn store(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let Self { old, batch, .. } = self;
        let moved = tx.sql.execute(
            "UPDATE evidence_head SET size = ?1, root = ?2 WHERE one = 1 AND size = ?3 AND epoch = ?4",
            values![batch.head.size, batch.head.root, old.size, old.epoch],
        )?;
        if moved == 0 {
            let is_mine = tx.log_head()?.epoch == old.epoch;
            return Err(if is_mine {
                StoreError::Conflict { what: "the log's head" }.into()
            } else {
                Failure::Fenced
            });
        }
        let count = batch.head.size - old.size;
        let (min, max, reach) = self.ids;
        tx.sql.execute(
            "INSERT INTO evidence_batches (first, count, min_id, max_id, reach, bundle) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![batch.first, count, min, max, reach, self.bundle],
        )?;
        for tile in &batch.growth.tiles {
            tx.sql.execute(
                "INSERT INTO evidence_tiles (level, idx, hashes) VALUES (?1, ?2, ?3)
                 ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes",
                values![tile.level, tile.index, tile.hashes],
            )?;
        }
        for (customer, counter) in &batch.counters {
            tx.sql.execute(
                "INSERT INTO evidence_counters (customer_id, count, first, last) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (customer_id) DO UPDATE SET count = excluded.count, last = excluded.last",
                values![customer, counter.count, counter.first, counter.last],
            )?;
        }
        for (customer, run) in &self.runs {
            tx.sql.execute(
                "INSERT INTO evidence_runs (customer_id, number, count, first, reach, stretches)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                values![customer, run.number, run.count, run.first, run.reach, run.stretches],
            )?;
        }
        for (id, index) in &batch.clock_states {
            let missed = StoreError::corrupt(format!("the clock state {id} was never noted"));
            tx.sql.execute_one(
                "UPDATE evidence_clock_states SET idx = ?2 WHERE entry_id = ?1",
                values![id, index],
                missed,
            )?;
        }
        tx.sql.execute("DELETE FROM evidence_outbox WHERE seq <= ?1", values![self.last_seq])?;
        Ok(())
    }
}

fn raise_epoch(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    tx.sql.execute(
        "INSERT INTO evidence_head (one, size, root, epoch, signed_at, note, noted, beat, era, doubted)
         VALUES (1, 0, ?1, 0, 0, '', 0, 0, 0, '')
         ON CONFLICT (one) DO NOTHING",
        values![merkle::empty_root()],
    )?;
    let epoch = tx.sql.first(
        "UPDATE evidence_head SET epoch = epoch + 1 WHERE one = 1 RETURNING epoch",
        values![],
        |row| column(row, 0),
    )?;
    epoch.ok_or_else(|| StoreError::corrupt("the log has no head"))
}

/// Keeps the newest checkpoint, unless the head has moved on or somebody else has the log.
fn keep_checkpoint(tx: &mut Tx<'_>, published: &Published) -> Result<(), StoreError> {
    tx.sql.execute(
        "UPDATE evidence_head SET note = ?1, signed_at = ?2 WHERE one = 1 AND size = ?3 AND epoch = ?4",
        values![published.checkpoint, published.signed_at, published.head.size, published.head.epoch],
    )?;
    Ok(())
}

fn stored_checkpoint(snapshot: &Snapshot<'_>) -> Result<Option<(String, UnixTime)>, StoreError> {
    snapshot.sql.first("SELECT note, signed_at FROM evidence_head WHERE one = 1", values![], |row| {
        Ok((column(row, 0)?, column(row, 1)?))
    })
}

/// What waits: the number of the last row read, and its entries and those before it. The row that reaches the limit is
/// still read whole, so a batch can have as many entries more as one commit brings.
fn outbox(snapshot: &Snapshot<'_>, limit: usize) -> Result<(u64, Vec<Draft>), StoreError> {
    let (mut last_seq, mut drafts) = (0, Vec::new());
    snapshot.sql.scan("SELECT seq, drafts FROM evidence_outbox ORDER BY seq", values![], &mut |row| {
        last_seq = column(row, 0)?;
        drafts.append(&mut decode_drafts(&column::<Vec<u8>>(row, 1)?)?);
        Ok(if drafts.len() >= limit { Next::Enough } else { Next::More })
    })?;
    Ok((last_seq, drafts))
}

/// The entries from a log index on; only ever those of the batches that one failure left unpublished.
fn entries_from(snapshot: &Snapshot<'_>, first: u64) -> Result<Vec<(EntryId, Vec<u8>)>, StoreError> {
    let (mut bundles, mut entries, mut next) = (Bundles::new(snapshot.sql), Vec::new(), first);
    while let Some(entry) = bundles.entry(next)? {
        entries.push((bundle::id_of(&entry)?, entry));
        next += 1;
    }
    Ok(entries)
}

/// The tiles that prove the entries `first..size`, and the tree's right edge.
fn load_nodes(snapshot: &Snapshot<'_>, first: u64, size: u64) -> Result<Nodes, StoreError> {
    let mut nodes = Nodes::default();
    for level in 0..=angbu_evidence::tile::TOP_LEVEL {
        let spanned = 8 * u32::from(level);
        let (begin, count) = (first >> spanned, size >> spanned);
        for index in begin / 256..count.div_ceil(256) {
            let missing = || StoreError::corrupt(format!("tile {index} of level {level} is missing"));
            nodes.insert(level, index, &snapshot.stored_tile(level, index)?.ok_or_else(missing)?)?;
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests;
