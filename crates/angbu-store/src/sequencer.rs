//! Gives entries their places in the log: drains the outbox, stores the batch, signs the head, publishes it.
//!
//! The order of these steps is what makes the log hold. A batch is durable before its head is signed, so no checkpoint
//! is ever public that a crash could take back. A head that was stored and not signed is signed at the next start, and
//! Ed25519 signs the same head with the same bytes. Whatever fails, the state in memory is thrown away and read again.
//!
//! Of the centres that share a database one holds the log at a time; the others follow it and publish what it signs.
//! Which one, and how that passes on, is in `lease`.

mod batch;
mod follow;
pub(crate) mod lease;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use angbu_evidence::note::{Note, Signer, VerifierKey};
use angbu_evidence::sequence::Head;
use angbu_evidence::{Checkpoint, note};
use angbu_units::{CentreId, UnixTime};

use crate::board::{Batch, Board};
use crate::guard::Mark;
use crate::store::unusable;
use crate::{Store, StoreError};

use batch::{State, entries_between, load_nodes, outbox};
pub use lease::Lease;
use lease::{HeadRow, Trust, Watch};

/// With how many entries a batch is full.
const BATCH: usize = 16_384;
/// How long after the beginning of a batch the next one begins: half as long again as the last one took, within these, so
/// that the writer has time for others.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);
const LONGEST_INTERVAL: Duration = Duration::from_millis(250);
/// How often a holder looks for what other centres have left in the outbox.
const LOOKING: Duration = Duration::from_millis(50);
/// How long the sequencer rests after an error, and at most after many in a row.
const REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// How many more batches a sequencer that is told to stop makes of what waits.
const LAST_BATCHES: u32 = 8;
/// How often a start tries to take over a log that somebody else in this process still moves.
const TAKING_TRIES: u32 = 100;
/// How many entries are published from the database at once.
const UNPUBLISHED: u64 = 65_536;

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

type Provide<T> = Arc<dyn Fn() -> Result<Vec<T>, StoreError> + Send + Sync>;

/// The keys that sign the log's checkpoints. They are asked for before every signature, so that a key that was replaced
/// is replaced at once, in every centre. Their name is the log's origin.
#[derive(Clone)]
pub struct LogSigners {
    signers: Provide<Arc<dyn Signer>>,
    older: Provide<VerifierKey>,
}

impl LogSigners {
    /// The signers that this gives: the newest key's first, then those that are not retired yet.
    pub fn new(
        signers: impl Fn() -> Result<Vec<Arc<dyn Signer>>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self { signers: Arc::new(signers), older: Arc::new(|| Ok(Vec::new())) }
    }

    /// With the keys that have signed this log once and do so no more.
    #[must_use]
    pub fn with_older(
        self,
        older: impl Fn() -> Result<Vec<VerifierKey>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self { older: Arc::new(older), ..self }
    }

    /// One key that is never replaced.
    pub fn fixed(signer: Arc<dyn Signer>) -> Self {
        Self::new(move || Ok(vec![Arc::clone(&signer)]))
    }

    /// The signers of now, at least one.
    pub(crate) fn now(&self) -> Result<Vec<Arc<dyn Signer>>, StoreError> {
        let signers = (self.signers)()?;
        if signers.is_empty() { Err(StoreError::corrupt("the log has no key")) } else { Ok(signers) }
    }

    /// Every key that has ever signed this log.
    pub(crate) fn verifier_keys(&self) -> Result<Vec<VerifierKey>, StoreError> {
        let mut keys: Vec<_> = self.now()?.iter().map(|signer| signer.verifier_key()).collect();
        keys.extend((self.older)()?);
        Ok(keys)
    }

    /// The log's name.
    pub(crate) fn origin(&self) -> Result<String, StoreError> {
        let signers = self.now()?;
        let first = signers.first().map(|signer| signer.verifier_key().name().to_owned());
        first.ok_or_else(|| StoreError::corrupt("the log has no key"))
    }
}

impl<S: Signer + 'static> From<Arc<S>> for LogSigners {
    fn from(signer: Arc<S>) -> Self {
        Self::fixed(signer)
    }
}

/// The running sequencer of a store. Dropping it stops it, after what waits in the outbox has its place, and leaves the
/// log to another centre.
pub struct Sequencer {
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sequencer {
    /// Takes the log over, or follows the centre that holds it, in a thread of its own.
    ///
    /// Whoever takes over reads where the log stands, signs its head if that is not signed yet, and publishes it; a
    /// sequencer that had the log before is fenced off and follows. The log's rollback guard is looked at first: while
    /// the log is in doubt nothing is signed, and [`Store::trouble`] says why.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when head, tiles and counters do not belong together, and as every read and write.
    pub fn start(
        store: &Store,
        signers: impl Into<LogSigners>,
        centre: CentreId,
    ) -> Result<Self, StoreError> {
        Self::start_with(store, signers, centre, Lease::of(store))
    }

    /// As [`Sequencer::start`], sharing the log otherwise than a store's sequencer does by itself.
    ///
    /// # Errors
    /// As [`Sequencer::start`].
    pub fn start_with(
        store: &Store,
        signers: impl Into<LogSigners>,
        centre: CentreId,
        lease: Lease,
    ) -> Result<Self, StoreError> {
        Self::spawn(Worker::begin(store.clone(), signers.into(), centre, lease)?)
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
pub(crate) enum Failure {
    /// To be tried again from what the database holds.
    Passing(StoreError),
    /// Somebody else has the log now.
    Fenced,
    /// The log is in doubt.
    Halted(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LogInDoubt { .. } | StoreError::LogUnguarded { .. } => Self::Halted(error),
            error => Self::Passing(error),
        }
    }
}

/// How holding or following ended.
enum Flow {
    /// The sequencer should stop.
    Stop,
    /// A holder follows now, or a follower holds.
    Turn,
}

enum Role {
    Holding(Box<State>),
    Following(Watch),
}

struct Worker {
    store: Store,
    signers: LogSigners,
    origin: String,
    centre: CentreId,
    lease: Lease,
    stop: Arc<AtomicBool>,
    role: Role,
    /// The last epoch that this sequencer raised.
    raised: Option<u64>,
    era: u64,
    /// What was found to be whole: the guard's mark, the head and the era.
    judged: Option<(Option<Mark>, Head, u64)>,
    /// Up to where entries were published here.
    published: Option<u64>,
    /// The note of somebody else that was published last.
    followed: Option<String>,
    beaten: Instant,
    #[cfg(test)]
    fault: Option<Fault>,
}

impl Worker {
    fn begin(store: Store, signers: LogSigners, centre: CentreId, lease: Lease) -> Result<Self, StoreError> {
        let origin = signers.origin()?;
        store.board().set_signers(signers.clone());
        let row = HeadRow::read_or_make(&store)?;
        // What a sequencer before this one stored and did not publish is still waited for.
        let published = store.head().borrow().as_ref().map(|published| published.head.size);
        let mut worker = Self {
            store,
            signers,
            origin,
            centre,
            lease,
            stop: Arc::default(),
            role: Role::Following(Watch::begin(&row)),
            raised: None,
            era: row.era,
            judged: None,
            published,
            followed: None,
            beaten: Instant::now(),
            #[cfg(test)]
            fault: None,
        };
        for _ in 0..TAKING_TRIES {
            if worker.begin_to_hold()? {
                return Ok(worker);
            }
        }
        Err(StoreError::Conflict { what: "the log's head" })
    }

    /// `true` when it holds the log or should follow.
    fn begin_to_hold(&mut self) -> Result<bool, StoreError> {
        let (mark, row) = self.marked_row()?;
        let board = Arc::clone(self.store.board());
        if let Some(doubt) = row.in_doubt() {
            board.stand_still(doubt);
            return Ok(true);
        }
        // A centre of this one's id that held it is this one's last run, which has ended.
        let is_free = row.holder.is_none_or(|holder| holder == self.centre);
        match self.trust(&row, mark)? {
            Trust::Doubt(mark) => {
                // What is damaged is no older copy, and another cure helps.
                self.store.read_blocking(|snapshot| State::load(snapshot).map(drop))?;
                board.stand_still(self.raise_doubt(&row, mark)?);
            }
            Trust::Unguarded if is_free || !self.lease.is_shared => {
                board.stand_still(StoreError::LogUnguarded { size: row.head.size });
            }
            Trust::Whole if is_free || !self.lease.is_shared => return self.take_over(&row),
            Trust::Whole | Trust::Unguarded => {}
        }
        Ok(true)
    }

    /// Takes the log over from the row that was seen; `false` when somebody else has moved it since.
    fn take_over(&mut self, row: &HeadRow) -> Result<bool, StoreError> {
        let (seen, centre) = (row.clone(), self.centre);
        let Some(epoch) = self.store.write_blocking(move |tx| lease::take(tx, &seen, centre))? else {
            return Ok(false);
        };
        self.raised = Some(epoch);
        let state = self.store.read_blocking(State::load)?;
        if state.core.head().epoch != epoch {
            return Ok(false);
        }
        self.enter_era(row.era);
        self.beaten = Instant::now();
        self.publish(&state)?;
        self.role = Role::Holding(Box::new(state));
        Ok(true)
    }

    fn run(&mut self) {
        let board = Arc::clone(self.store.board());
        loop {
            let flow = match self.role {
                Role::Holding(_) => self.hold(&board),
                Role::Following(_) => self.follow(&board),
            };
            if matches!(flow, Flow::Stop) {
                break;
            }
        }
        self.end();
    }

    /// Sequences until somebody else has the log, or nobody should.
    fn hold(&mut self, board: &Board) -> Flow {
        let (mut begun, mut interval, mut seen) = (None, SHORTEST_INTERVAL, 0);
        // What waited in the outbox when this began was never announced.
        let mut more = true;
        loop {
            // What other centres leave in the outbox is announced to nobody here.
            let looking = self.lease.is_shared.then(|| Instant::now() + LOOKING);
            let go_on = (more || board.wait_for_work_until(&mut seen, looking, &self.stop))
                && begun.is_none_or(|begun| board.rest_until(begun + interval, &self.stop));
            if !go_on {
                return Flow::Stop;
            }
            let now = Instant::now();
            begun = Some(now);
            more = match self.round() {
                Ok(left) => left,
                Err(failure) => match self.after(failure, board) {
                    Some(Flow::Stop) => return Flow::Stop,
                    Some(Flow::Turn) => return self.turn(board),
                    None => true,
                },
            };
            interval = (now.elapsed() * 3 / 2).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        }
    }

    /// After a failed round: reads the log again until that succeeds. `None` when it goes on holding.
    fn after(&mut self, failure: Failure, board: &Board) -> Option<Flow> {
        let (mut failure, mut rest) = (failure, REST);
        loop {
            match failure {
                Failure::Fenced => {
                    tracing::warn!("another centre has taken the log over; this one follows");
                    return Some(Flow::Turn);
                }
                Failure::Halted(error) => {
                    tracing::error!(%error, "nothing is signed any more");
                    board.stand_still(error);
                    return Some(Flow::Turn);
                }
                Failure::Passing(error) => {
                    tracing::error!(%error, "the sequencer failed and begins again from the database");
                    board.set_trouble(error);
                }
            }
            if !board.rest_until(Instant::now() + rest, &self.stop) {
                return Some(Flow::Stop);
            }
            rest = (rest * 2).min(LONGEST_REST);
            match self.resume() {
                Ok(()) => return None,
                Err(again) => failure = again,
            }
        }
    }

    /// From holding to following.
    fn turn(&mut self, board: &Board) -> Flow {
        let mut rest = REST;
        self.release();
        loop {
            match self.step_down() {
                Ok(()) => return Flow::Turn,
                Err(error) => board.set_trouble(error),
            }
            if !board.rest_until(Instant::now() + rest, &self.stop) {
                return Flow::Stop;
            }
            rest = (rest * 2).min(LONGEST_REST);
        }
    }

    /// Begins again from what the database holds; entries that a commit in doubt has placed are published.
    fn resume(&mut self) -> Result<(), Failure> {
        let (mark, row) = self.marked_row()?;
        if Some(row.head.epoch) != self.raised {
            return Err(Failure::Fenced);
        }
        if let Some(doubt) = row.in_doubt() {
            return Err(Failure::Halted(doubt));
        }
        match self.trust(&row, mark)? {
            Trust::Whole => {}
            Trust::Doubt(mark) => return Err(Failure::Halted(self.raise_doubt(&row, mark)?)),
            Trust::Unguarded => {
                return Err(Failure::Halted(StoreError::LogUnguarded { size: row.head.size }));
            }
        }
        let state = self.store.read_blocking(State::load)?;
        if Some(state.core.head().epoch) != self.raised {
            return Err(Failure::Fenced);
        }
        self.publish(&state)?;
        self.role = Role::Holding(Box::new(state));
        Ok(())
    }

    /// Makes one batch of what waits; `true` when more can be waiting.
    fn round(&mut self) -> Result<bool, Failure> {
        if let Some(doubt) = self.store.board().doubt() {
            return Err(Failure::Halted(doubt));
        }
        let waiting = self.store.read_blocking(|snapshot| outbox(snapshot, BATCH))?;
        if waiting.drafts.is_empty() {
            self.beat()?;
            return Ok(false);
        }
        let is_full = waiting.drafts.len() >= BATCH;
        self.reach(Point::Drained)?;
        let Role::Holding(state) = &mut self.role else { return Err(Failure::Fenced) };
        let prepared = Arc::new(state.prepare(&self.store, waiting)?);
        let storing = Arc::clone(&prepared);
        self.store.write_blocking(move |tx| storing.store(tx))?;
        self.beaten = Instant::now();
        let nodes = state.nodes.grown(&prepared.batch.growth)?;
        state.nodes = nodes.edge();
        let head = state.core.head();
        self.reach(Point::Stored)?;
        let published = self.sign(head)?;
        // The batch is shared with nobody once the writer has stored it; were it still, a copy does as well.
        let first = prepared.batch.first;
        let entries = Arc::try_unwrap(prepared)
            .map_or_else(|shared| shared.batch.entries.clone(), |own| own.batch.entries);
        self.announce_own(Batch { first, entries, nodes, published })?;
        self.reach(Point::Published)?;
        Ok(is_full)
    }

    /// Shows the other centres that this one lives, when that is due.
    fn beat(&mut self) -> Result<(), Failure> {
        let Some(epoch) = self.raised.filter(|_| self.lease.is_shared) else { return Ok(()) };
        if self.beaten.elapsed() < self.lease.beat {
            return Ok(());
        }
        if self.store.write_blocking(move |tx| lease::beat(tx, epoch))? {
            self.beaten = Instant::now();
            return Ok(());
        }
        // Which of both it is, the row says.
        self.resume()
    }

    /// Signs a head with every live key of the log.
    fn sign(&self, head: Head) -> Result<Arc<Published>, StoreError> {
        let text = head.checkpoint(&self.origin).encode();
        let mut signed: Option<Note> = None;
        for signer in self.signers.now()? {
            let failed = |why: String| StoreError::unavailable(why);
            let one = note::sign(&text, &*signer).map_err(|error| failed(error.to_string()))?;
            let one = Note::parse(&one).map_err(|error| failed(error.to_string()))?;
            match &mut signed {
                Some(signed) => signed.signatures.extend(one.signatures),
                None => signed = Some(one),
            }
        }
        self.reach(Point::Signed)?;
        let checkpoint = signed.map(|signed| signed.encode()).unwrap_or_default();
        Ok(Arc::new(Published { head, checkpoint, signed_at: self.store.clock().read().wall }))
    }

    /// Whether a note is the checkpoint of a head with the signatures of all live keys.
    fn is_signed(&self, text: &str, head: &Head) -> Result<bool, StoreError> {
        let Ok(note) = Note::parse(text) else { return Ok(false) };
        let keys: Vec<_> = self.signers.now()?.iter().map(|signer| signer.verifier_key()).collect();
        let is_of = Checkpoint::decode(&note.text) == Ok(head.checkpoint(&self.origin));
        Ok(is_of && note.verify(&keys).is_ok_and(|signed| signed.len() == keys.len()))
    }

    /// Publishes the head with the entries that were not yet, read from the database; signs it if its note is missing.
    fn publish(&mut self, state: &State) -> Result<(), StoreError> {
        let head = state.core.head();
        let first = self.published.unwrap_or(head.size).min(head.size);
        let is_far_behind = self.published.is_none() || head.size - first > UNPUBLISHED;
        let first = if is_far_behind { head.size } else { first };
        let (entries, nodes, row) = self.store.read_blocking(move |snapshot| {
            Ok::<_, StoreError>((
                entries_between(snapshot, first, head.size)?,
                load_nodes(snapshot, first, head.size)?,
                HeadRow::read(snapshot)?,
            ))
        })?;
        let published = match row {
            Some(row) if self.is_signed(&row.note, &head)? => {
                Arc::new(Published { head, checkpoint: row.note, signed_at: row.signed_at })
            }
            _ => self.sign(head)?,
        };
        self.announce_own(Batch { first, entries, nodes, published })?;
        if is_far_behind {
            self.store.board().forget_waiting();
        }
        Ok(())
    }

    /// Publishes what was signed here, and keeps it for the other centres.
    fn announce_own(&mut self, batch: Batch) -> Result<(), StoreError> {
        let published = Arc::clone(&batch.published);
        self.announce(batch)?;
        self.followed = Some(published.checkpoint.clone());
        // Nobody here waits for this: a note that a crash loses is signed again at the next start.
        self.store.post(move |tx| lease::keep_checkpoint(tx, &published));
        Ok(())
    }

    /// Writes the head into the guard, then publishes it.
    fn announce(&mut self, batch: Batch) -> Result<(), StoreError> {
        let head = batch.published.head;
        let mark = Mark { origin: self.origin.clone(), era: self.era, size: head.size, root: head.root };
        self.store.guard().set(&mark)?;
        self.published = Some(head.size);
        self.store.board().publish(Arc::new(batch));
        Ok(())
    }

    /// Makes the last batches, and leaves the log to others.
    fn end(&mut self) {
        if matches!(self.role, Role::Holding(_)) {
            for _ in 0..LAST_BATCHES {
                if !matches!(self.round(), Ok(true)) {
                    break;
                }
            }
            self.release();
        }
        if let Err(error) = self.store.guard().sync() {
            tracing::warn!(%error, "the rollback guard is not on the disk");
        }
    }

    fn release(&self) {
        let Some(epoch) = self.raised else { return };
        if let Err(error) = self.store.write_blocking(move |tx| lease::release(tx, epoch)) {
            tracing::warn!(%error, "the log could not be handed over; the others wait until it counts as left");
        }
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

#[cfg(test)]
mod tests;
