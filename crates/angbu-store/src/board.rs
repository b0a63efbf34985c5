//! Where the writer, the sequencer and those who wait for proofs meet.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use angbu_evidence::Receipt;
use angbu_units::EntryId;
use tokio::sync::{oneshot, watch};

use crate::StoreError;
use crate::evidence::hot::Nodes;
use crate::sequencer::{LogSigners, Published};

/// How many of the newest entries are proven from memory.
const RECENT: usize = 4_096;
/// How many entries can be known to wait for their place; those beyond are asked of the database. Only while the log
/// stands still are there so many.
const MOST_PENDING: usize = 65_536;

/// A batch whose checkpoint is signed and public.
pub(crate) struct Batch {
    pub(crate) first: u64,
    pub(crate) entries: Vec<(EntryId, Vec<u8>)>,
    pub(crate) nodes: Nodes,
    pub(crate) published: Arc<Published>,
}

/// An entry's place in a published batch.
#[derive(Clone)]
pub(crate) struct Place {
    batch: Arc<Batch>,
    position: usize,
}

impl Place {
    /// The entry's proof, made from memory.
    pub(crate) fn receipt(&self) -> Result<Receipt, StoreError> {
        let batch = &*self.batch;
        let (_, entry) = batch
            .entries
            .get(self.position)
            .ok_or_else(|| StoreError::corrupt("an entry lies outside its batch"))?;
        let index = batch.first + u64::try_from(self.position).unwrap_or(u64::MAX);
        let path = angbu_evidence::merkle::inclusion(&batch.nodes, index, batch.published.head.size)
            .map_err(|error| StoreError::corrupt(error.to_string()))?;
        Ok(Receipt { entry: entry.clone(), index, path, checkpoint: batch.published.checkpoint.clone() })
    }
}

pub(crate) struct Board {
    state: Mutex<State>,
    work: Condvar,
    /// Woken only by [`Board::stop`], so that a rest is not disturbed by every addition.
    rest: Condvar,
    published: watch::Sender<Option<Arc<Published>>>,
    /// The log's keys, once a sequencer has started.
    signers: Mutex<Option<LogSigners>>,
}

#[derive(Default)]
struct State {
    /// Durable entries that are not yet in a published batch, each with those who wait for it.
    pending: HashMap<EntryId, Vec<oneshot::Sender<Place>>>,
    /// The newest published entries.
    recent: HashMap<EntryId, Place>,
    batches: VecDeque<Arc<Batch>>,
    /// How often entries were added.
    additions: u64,
    /// Why the log does not go on.
    trouble: Option<StoreError>,
    /// Why nothing may be signed, until somebody has looked into it.
    doubt: Option<StoreError>,
}

/// What is known of an entry without asking the database.
pub(crate) enum Known {
    Published(Place),
    Pending(oneshot::Receiver<Place>),
    Unknown,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            rest: Condvar::new(),
            published: watch::Sender::new(None),
            signers: Mutex::default(),
        }
    }

    /// Entries are durable and wait for the sequencer.
    pub(crate) fn add(&self, appended: impl ExactSizeIterator<Item = EntryId>) {
        if appended.len() == 0 {
            return;
        }
        let mut state = self.lock();
        for id in appended {
            if state.pending.len() < MOST_PENDING {
                state.pending.entry(id).or_default();
            }
        }
        state.additions += 1;
        drop(state);
        self.work.notify_all();
    }

    /// A batch is public: those who wait for its entries are told. A head that is not as large as one before it changes
    /// nothing.
    pub(crate) fn publish(&self, batch: Arc<Batch>) {
        let mut waiting = Vec::new();
        let mut state = self.lock();
        let size = batch.published.head.size;
        let known = self.published.borrow().as_ref().map(|published| published.head.size);
        if known.is_some_and(|known| known > size) {
            return;
        }
        self.published.send_replace(Some(Arc::clone(&batch.published)));
        state.trouble = None;
        if known == Some(size) {
            return;
        }
        for (position, (id, _)) in batch.entries.iter().enumerate() {
            let place = Place { batch: Arc::clone(&batch), position };
            if let Some(waiters) = state.pending.remove(id) {
                waiting.extend(waiters.into_iter().map(|waiter| (waiter, place.clone())));
            }
            state.recent.insert(*id, place);
        }
        state.batches.push_back(batch);
        while state.recent.len() > RECENT && state.batches.len() > 1 {
            for (id, _) in state.batches.pop_front().iter().flat_map(|batch| &batch.entries) {
                state.recent.remove(id);
            }
        }
        drop(state);
        for (waiter, place) in waiting {
            // Whoever waited may have gone.
            let _ = waiter.send(place);
        }
    }

    /// Entries were published without being read here: whoever waits asks the database.
    pub(crate) fn forget_waiting(&self) {
        let waiting = std::mem::take(&mut self.lock().pending);
        drop(waiting);
    }

    /// What was published is no longer the log's.
    pub(crate) fn forget_published(&self) {
        let mut state = self.lock();
        state.recent.clear();
        state.batches.clear();
        self.published.send_replace(None);
    }

    /// What is known of an entry; a pending one can be waited for.
    pub(crate) fn look_up(&self, id: EntryId, pending_anyway: bool) -> Known {
        let mut state = self.lock();
        if let Some(place) = state.recent.get(&id) {
            return Known::Published(place.clone());
        }
        if pending_anyway || state.pending.contains_key(&id) {
            let (waiter, waiting) = oneshot::channel();
            let waiters = state.pending.entry(id).or_default();
            waiters.retain(|waiter| !waiter.is_closed());
            waiters.push(waiter);
            return Known::Pending(waiting);
        }
        Known::Unknown
    }

    pub(crate) fn published(&self) -> watch::Receiver<Option<Arc<Published>>> {
        self.published.subscribe()
    }

    /// Something keeps the log from going on, until the next batch is published.
    pub(crate) fn set_trouble(&self, trouble: StoreError) {
        self.lock().trouble = Some(trouble);
    }

    pub(crate) fn trouble(&self) -> Option<StoreError> {
        let state = self.lock();
        state.doubt.clone().or_else(|| state.trouble.clone())
    }

    /// Nothing may be signed, until [`Board::go_on`].
    pub(crate) fn stand_still(&self, doubt: StoreError) {
        let mut state = self.lock();
        if state.doubt.as_ref() != Some(&doubt) {
            tracing::error!(error = %doubt, "nothing is signed");
            state.doubt = Some(doubt);
            state.additions += 1;
        }
        drop(state);
        self.work.notify_all();
    }

    /// There is no doubt about the log, or none any more.
    pub(crate) fn go_on(&self) {
        let mut state = self.lock();
        state.doubt = None;
        state.trouble = None;
    }

    pub(crate) fn doubt(&self) -> Option<StoreError> {
        self.lock().doubt.clone()
    }

    pub(crate) fn set_signers(&self, signers: LogSigners) {
        *self.signers.lock().unwrap_or_else(PoisonError::into_inner) = Some(signers);
    }

    pub(crate) fn signers(&self) -> Option<LogSigners> {
        self.signers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an entry of this centre's waits for its place.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.lock().pending.is_empty()
    }

    /// Sleeps until entries were added since `seen`, which then is now, or until the instant; `false` when the sequencer
    /// should stop.
    pub(crate) fn wait_for_work_until(
        &self,
        seen: &mut u64,
        until: Option<Instant>,
        stop: &AtomicBool,
    ) -> bool {
        let mut state = self.lock();
        while !stop.load(Ordering::SeqCst) {
            if state.additions != *seen {
                *seen = state.additions;
                return true;
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return true,
                Some(left) => self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        false
    }

    /// Sleeps until the instant; `false`, and earlier, when the sequencer should stop.
    pub(crate) fn rest_until(&self, instant: Instant, stop: &AtomicBool) -> bool {
        let mut state = self.lock();
        while !stop.load(Ordering::SeqCst) {
            let left = instant.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.rest.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Tells a sequencer to stop.
    pub(crate) fn stop(&self, stop: &AtomicBool) {
        // Under the lock, so that a sequencer that is just going to sleep does not miss it.
        let _state = self.lock();
        stop.store(true, Ordering::SeqCst);
        self.work.notify_all();
        self.rest.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
