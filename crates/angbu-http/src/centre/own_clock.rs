//! The state of this centre's own clock, and the stamp that every answer carries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use angbu_time::centre_clock::{CentreClock, History, SourceReading, State};
use angbu_time::record::AlarmKind;
use angbu_time::selection::Interval;
use angbu_time::watch::{Finding, Look};
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

/// The watch, and a step that it has noticed and no entry says yet.
struct Watch {
    clock: CentreClock,
    stepped: Option<Seam>,
    /// What was found and nobody was told yet.
    found: Vec<Finding>,
}

/// Where one state of the clock ends and the next begins. The two differ where the clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seam {
    /// What the clock had reached under the state before.
    pub ended: UnixTime,
    /// From when on the new state holds.
    pub from: UnixTime,
}

impl Watch {
    fn note(&mut self, findings: Vec<Finding>, now: Reading) {
        for finding in &findings {
            if let Finding::Alarm {
                kind: AlarmKind::Step | AlarmKind::MovedWhileStopped | AlarmKind::Restored,
                difference,
                since,
            }
            | Finding::PutRight { difference, since } = *finding
            {
                // By the new line of time the step came after the last look; by the old one, the clock went on until now.
                self.stepped = Some(Seam { ended: now.wall - difference, from: now.wall - since });
            }
        }
        self.found.extend(findings);
    }
}

/// The watch over this centre's clock, shared by the clock job, which feeds it, and by every call, which is stamped by it.
pub struct OwnClock {
    watch: Mutex<Watch>,
    machine: Box<dyn Fn() -> Look + Send + Sync>,
    in_force: RwLock<Arc<InForce>>,
    history: RwLock<History>,
}

impl OwnClock {
    /// Begins with a state whose entry is already written, and with what is known of earlier states. `machine` looks at the
    /// machine whose clock this is, by the same clock that every instant handed in here is read from.
    pub fn new(
        clock: CentreClock,
        in_force: InForce,
        mut history: History,
        machine: impl Fn() -> Look + Send + Sync + 'static,
    ) -> Self {
        history.push(in_force.entry, in_force.state.verdict, in_force.since, in_force.since);
        Self {
            watch: Mutex::new(Watch { clock, stepped: None, found: Vec::new() }),
            machine: Box::new(machine),
            in_force: RwLock::new(Arc::new(in_force)),
            history: RwLock::new(history),
        }
    }

    /// The stamp for an answer given at `now`. The clock is looked at for each stamp, so that a clock that was set a
    /// moment ago is unproven at once, before the next regular look writes the entry that says so.
    pub fn instant(&self, now: Reading) -> ProvenInstant {
        let state = {
            let mut watch = self.watch();
            if watch.clock.has_jumped(now) {
                self.look_at(&mut watch);
            }
            watch.clock.state(now)
        };
        state.instant(now.wall, self.in_force().entry)
    }

    /// The regular look: what was found since the one before, when, and what can be said now.
    pub fn look(&self) -> (Vec<Finding>, Reading, State) {
        let mut watch = self.watch();
        let now = self.look_at(&mut watch).reading;
        let state = watch.clock.state(now);
        (std::mem::take(&mut watch.found), now, state)
    }

    /// A source, replies naming it by this id, shows something of the clock.
    pub fn measured(&self, index: usize, reference_id: [u8; 4], shown: SourceReading) {
        let mut watch = self.watch();
        watch.clock.name_upstream(index, reference_id);
        let look = (self.machine)();
        let findings = watch.clock.on_shown(index, shown, look);
        watch.note(findings, look.reading);
    }

    fn look_at(&self, watch: &mut Watch) -> Look {
        let look = (self.machine)();
        let findings = watch.clock.on_check(look);
        watch.note(findings, look.reading);
        look
    }

    /// Within what all sources but the one of this index agree that true time is ahead of the wall clock.
    pub fn agreed_without(&self, index: usize, now: Reading) -> Option<Interval> {
        self.watch().clock.agreed_without(index, now)
    }

    /// Where the newest step was that no entry says yet; without one, the states meet at `now`.
    pub fn seam(&self, now: Reading) -> Seam {
        self.watch().stepped.unwrap_or(Seam { ended: now.wall, from: now.wall })
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state that the newest `clock.state` entry says.
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A new state is in force, its entry written; it begins at the seam with the one before.
    pub fn set(&self, new: InForce, seam: Seam) {
        self.watch().stepped.take_if(|stepped| *stepped == seam);
        let mut history = self.history.write().unwrap_or_else(PoisonError::into_inner);
        history.push(new.entry, new.state.verdict, seam.from, seam.ended);
        drop(history);
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }

    /// The clock state that was in force when this centre's clock showed an instant, as far as that is known.
    pub fn state_at(&self, at: UnixTime) -> Option<(EntryId, ClockVerdict)> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).at(at)
    }

    /// The clock states that were in force between two instants, as far as they are known, with their beginnings.
    pub fn states_between(&self, from: UnixTime, to: UnixTime) -> Vec<(EntryId, ClockVerdict, UnixTime)> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).between(from, to)
    }

    /// What can be said of this centre's clock now.
    pub fn state(&self, now: Reading) -> State {
        self.watch().clock.state(now)
    }
}
