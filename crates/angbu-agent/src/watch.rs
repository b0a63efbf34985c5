//! The threads that look at the clock, and what follows from what they find.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use angbu_time::correction::CorrectionKind;
use angbu_time::discipline::Correction;
use angbu_time::kernel_clock::{KernelClock, KernelError};
use angbu_time::record::Record;
use angbu_time::watch::{Look, Undo};
use angbu_units::{Nanos, Ppb};

use crate::run::{Core, Shared};
use crate::steps::Steps;
use crate::{Event, OnTamper};

/// How often what the next run should know is written down, beside at each exchange.
const REMEMBER: Nanos = Nanos::from_secs(60);

/// How soon the thread that waits for steps notices that the run is over.
const PATIENCE_MS: u16 = 1_000;

/// Looks at the clock again and again.
pub(crate) fn watch(shared: &Shared, interval: Duration) {
    let mut remembered = shared.clock.read().monotonic;
    while !shared.stop.wait_for(interval) {
        let mut core = shared.core();
        if core.closing {
            return;
        }
        let look = shared.look(&mut core);
        if look.reading.monotonic - remembered >= REMEMBER {
            remembered = look.reading.monotonic;
            shared.remember(&core);
        }
    }
}

/// Looks at the clock in the instant that somebody sets it, where the system tells. Nobody waits for this thread: it holds no
/// file, and ends a second after the run at the latest.
pub(crate) fn watch_for_steps(shared: &Arc<Shared>) {
    let Ok(steps) = Steps::new() else { return };
    let shared = Arc::clone(shared);
    let work = move || {
        while let Ok(stepped) = steps.wait(PATIENCE_MS) {
            if shared.stop.is_requested() {
                return;
            }
            if stepped {
                let mut core = shared.core();
                if core.closing {
                    return;
                }
                shared.look(&mut core);
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("angbu-steps".to_owned()).spawn(work) {
        tracing::warn!(%error, "steps of the clock are noticed at the next check only");
    }
}

impl Shared {
    /// Looks at the clock, under the lock, so that the core sees looks in their order; keeps what was found, and puts
    /// the clock back if that is wanted.
    pub(crate) fn look(&self, core: &mut Core) -> Look {
        let look = self.clock.look();
        if let Some(steer) = &mut core.steer {
            steer.discipline.on_check(look.reading);
        }
        let records = core.agent.on_check(look);
        self.keep_and_put_back(core, records, &look);
        look
    }

    /// What the run before remembered of the clock, against what it shows now.
    pub(crate) fn recall(&self) {
        let mut core = self.core();
        if let Some(memory) = self.state.memory() {
            let look = self.clock.look();
            let records = core.agent.recall(&memory, self.clock.boot());
            self.keep_and_put_back(&mut core, records, &look);
        }
        self.remember(&core);
    }

    /// Writes down what the next run should know.
    pub(crate) fn remember(&self, core: &Core) {
        if let Err(error) = self.state.remember(&core.agent.memory(self.clock.boot())) {
            (self.events)(&Event::NotKept { reason: error.to_string() });
        }
    }

    /// What was done to the clock is undone first, since each moment counts, and told afterwards.
    fn keep_and_put_back(&self, core: &mut Core, records: Vec<Record>, look: &Look) {
        let put_back = self.put_back(core);
        let found = !records.is_empty();
        for record in records {
            self.keep(core, record, "", look.reading);
        }
        // What was told once is not told by the next run again.
        if found {
            self.remember(core);
        }
        if let Some(put_back) = put_back {
            self.tell_put_back(core, put_back);
        }
    }

    /// Puts the clock back, if something is to undo and that is wanted; what came of it is told by [`Self::tell_put_back`].
    pub(crate) fn put_back(&self, core: &mut Core) -> Option<PutBack> {
        let undo = core.agent.take_undo()?;
        if self.on_tamper == OnTamper::Report {
            return None;
        }
        let done = match self.clock.kernel() {
            Some(kernel) => undo_by(kernel, &undo),
            None => Err(KernelError::Unsupported),
        };
        let look = self.clock.look();
        core.agent.on_corrected(look);
        Some(PutBack { done: done.map(|()| undo), look })
    }

    /// Tells that the clock was put back, on record too, or why it could not be.
    pub(crate) fn tell_put_back(&self, core: &mut Core, put_back: PutBack) {
        let PutBack { done, look } = put_back;
        let event = match done {
            Ok(undo) => {
                let kind =
                    if undo.step == Nanos::ZERO { CorrectionKind::Frequency } else { CorrectionKind::Step };
                let correction = Correction {
                    kind,
                    amount: undo.step,
                    frequency: look.kernel.map(|state| state.frequency).unwrap_or_default(),
                    rests_on: 0,
                    errors: (Nanos::ZERO, Nanos::ZERO),
                };
                if let Some(record) = core.agent.on_correction(&correction, look.reading) {
                    self.keep(core, record, "", look.reading);
                }
                Event::Restored { step_ns: undo.step.count(), frequency_ppb: undo.frequency.map(Ppb::count) }
            }
            Err(error) => Event::NotRestored { reason: error.to_string() },
        };
        (self.events)(&event);
    }
}

/// What came of putting the clock back.
pub(crate) struct PutBack {
    done: Result<Undo, KernelError>,
    /// The machine right after it.
    look: Look,
}

fn undo_by(kernel: &dyn KernelClock, undo: &Undo) -> Result<(), KernelError> {
    if let Some(frequency) = undo.frequency {
        kernel.set_frequency(frequency)?;
        kernel.slew(Nanos::ZERO, Ppb::default())?;
    }
    if undo.step == Nanos::ZERO { Ok(()) } else { kernel.step(undo.step) }
}
