//! The wish that everything ends.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A wish that can be made once, from any thread, and that whoever waits learns of at once. Clones are the same wish.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// A wish that is not made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it.
    pub fn request(&self) {
        let (requested, changed) = &*self.0;
        *requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether it was made.
    pub fn is_requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is made.
    pub fn wait(&self) {
        let (requested, changed) = &*self.0;
        let guard = requested.lock().unwrap_or_else(PoisonError::into_inner);
        let _made =
            changed.wait_while(guard, |requested| !*requested).unwrap_or_else(PoisonError::into_inner);
    }

    /// Waits until it is made, but no longer than this; returns whether it was.
    pub fn wait_for(&self, longest: Duration) -> bool {
        let (requested, changed) = &*self.0;
        let guard = requested.lock().unwrap_or_else(PoisonError::into_inner);
        let (requested, _) = changed
            .wait_timeout_while(guard, longest, |requested| !*requested)
            .unwrap_or_else(PoisonError::into_inner);
        *requested
    }
}
