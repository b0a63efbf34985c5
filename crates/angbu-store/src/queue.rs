//! A bounded queue between callers that await and threads that block.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::StoreError;

/// Work on its way to one or several threads, first come, first served.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    // As many permits as there is room, so that callers await instead of filling the memory.
    room: Semaphore,
}

struct State<T> {
    waiting: VecDeque<T>,
    // How many threads sleep: waking one costs a system call, which nobody who is awake needs.
    sleepers: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(room: usize) -> Self {
        let state = State { waiting: VecDeque::new(), sleepers: 0, closed: false };
        Self { state: Mutex::new(state), ready: Condvar::new(), room: Semaphore::new(room) }
    }

    /// Adds work, when there is room.
    pub(crate) async fn push(&self, work: T) -> Result<(), StoreError> {
        self.room.acquire().await.map_err(|_| StoreError::stopping())?.forget();
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::stopping());
        }
        state.waiting.push_back(work);
        let wake = state.sleepers > 0;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Takes the next work, as soon as there is some; `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                self.room.add_permits(1);
                return Some(work);
            }
            if state.closed {
                return None;
            }
            state.sleepers += 1;
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleepers -= 1;
        }
    }

    /// Takes all work that waits, at most `most`.
    pub(crate) fn take(&self, most: usize) -> Vec<T> {
        let mut state = self.lock();
        let count = state.waiting.len().min(most);
        self.room.add_permits(count);
        state.waiting.drain(..count).collect()
    }

    /// How much work waits.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes no more work; what is there is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
