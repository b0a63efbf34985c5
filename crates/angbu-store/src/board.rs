//! Where the writer, the sequencer and those who wait for proofs meet.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use angbu_evidence::Receipt;
use angbu_units::EntryId;
use tokio::sync::{oneshot, watch};

use crate::StoreError;
use crate::evidence::hot::Nodes;
use crate::sequencer::Published;

/// How many of the newest entries are proven from memory.
const RECENT: usize = 32_768;

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
        }
    }

    /// Entries are durable and wait for the sequencer.
    pub(crate) fn add(&self, appended: impl ExactSizeIterator<Item = EntryId>) {
        if appended.len() == 0 {
            return;
        }
        let mut state = self.lock();
        for id in appended {
            state.pending.entry(id).or_default();
        }
        state.additions += 1;
        drop(state);
        self.work.notify_all();
    }

    /// A batch is public: those who wait for its entries are told.
    pub(crate) fn publish(&self, batch: Arc<Batch>) {
        self.published.send_replace(Some(Arc::clone(&batch.published)));
        let mut waiting = Vec::new();
        let mut state = self.lock();
        state.trouble = None;
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

    /// What is known of an entry; a pending one can be waited for.
    pub(crate) fn look_up(&self, id: EntryId, pending_anyway: bool) -> Known {
        let mut state = self.lock();
        if let Some(place) = state.recent.get(&id) {
            return Known::Published(place.clone());
        }
        if pending_anyway || state.pending.contains_key(&id) {
            let (waiter, waiting) = oneshot::channel();
            state.pending.entry(id).or_default().push(waiter);
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
        self.lock().trouble.clone()
    }

    /// Sleeps until entries were added since `seen`, which then is now; `false` when the sequencer should stop.
    pub(crate) fn wait_for_work(&self, seen: &mut u64, stop: &AtomicBool) -> bool {
        let mut state = self.lock();
        while !stop.load(Ordering::SeqCst) {
            if state.additions != *seen {
                *seen = state.additions;
                return true;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
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
