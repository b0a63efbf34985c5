//! The state of this centre's own clock, and the stamp that every answer carries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use angbu_time::centre_clock::{CentreClock, History, State};
use angbu_units::{ClockVerdict, EntryId, ProvenInstant, Reading, UnixTime};

/// A clock state with the entry that shows it.
#[derive(Debug, Clone)]
pub struct InForce {
    /// What the entry says.
    pub state: State,
    /// The `clock.state` entry.
    pub entry: EntryId,
    /// Since when.
    pub since: UnixTime,
}

/// The watch over this centre's clock, shared by the clock job, which feeds it, and by every call, which is stamped by it.
pub struct OwnClock {
    watch: Mutex<CentreClock>,
    in_force: RwLock<Arc<InForce>>,
    history: RwLock<History>,
}

impl OwnClock {
    /// Begins with a state whose entry is already written, and with what is known of earlier states.
    pub fn new(watch: CentreClock, in_force: InForce, mut history: History) -> Self {
        history.push(in_force.entry, in_force.state.verdict, in_force.since, in_force.since);
        Self {
            watch: Mutex::new(watch),
            in_force: RwLock::new(Arc::new(in_force)),
            history: RwLock::new(history),
        }
    }

    /// The stamp for an answer given at `now`. The clock is looked at for each stamp, so that a clock that was moved a
    /// moment ago is unproven at once, before the next regular look writes the entry that says so.
    pub fn instant(&self, now: Reading) -> ProvenInstant {
        let state = {
            let mut watch = self.watch();
            watch.on_check(now);
            watch.state(now)
        };
        state.instant(now.wall, self.in_force().entry)
    }

    /// The watch itself, for the clock job.
    pub fn watch(&self) -> MutexGuard<'_, CentreClock> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state that the newest `clock.state` entry says.
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A new state is in force, its entry written. The one before ended at `ended`.
    pub fn set(&self, new: InForce, ended: UnixTime) {
        self.history.write().unwrap_or_else(PoisonError::into_inner).push(
            new.entry,
            new.state.verdict,
            new.since,
            ended,
        );
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }

    /// The clock state that was in force when this centre's clock showed an instant, as far as that is known.
    pub fn state_at(&self, at: UnixTime) -> Option<(EntryId, ClockVerdict)> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).at(at)
    }

    /// What can be said of this centre's clock now.
    pub fn state(&self, now: Reading) -> State {
        self.watch().state(now)
    }
}
