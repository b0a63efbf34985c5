//! Keeping this machine's clock: what the discipline decides is done to the kernel's clock, and recorded.

use angbu_time::discipline::{Discipline, Settings};
use angbu_time::kernel_clock::{KernelClock, KernelError};
use angbu_time::record::{Fact, PauseReason, Record};
use angbu_units::Reading;

use crate::Event;
use crate::run::{Core, Shared};

/// What keeps the clock.
pub(crate) struct Steer {
    pub(crate) discipline: Discipline,
    settings: Settings,
}

impl Steer {
    /// Begins with the frequency that the kernel has. It is set once as it is, so that a missing privilege shows at the start and not
    /// when the clock is already wrong.
    pub(crate) fn start(
        settings: Settings,
        upstreams: usize,
        kernel: Option<&dyn KernelClock>,
    ) -> Result<Self, KernelError> {
        let kernel = kernel.ok_or(KernelError::Unsupported)?;
        let frequency = kernel.state()?.frequency;
        kernel.set_frequency(frequency)?;
        Ok(Self { discipline: Discipline::start(settings, upstreams, frequency), settings })
    }

    /// What a record that was just kept means for the discipline.
    pub(crate) fn on_record(
        &mut self,
        place: Option<usize>,
        record: &Record,
        seq: Option<u64>,
        now: Reading,
    ) {
        match &record.fact {
            Fact::Exchange(measured) => {
                if let (Some(place), Some(seq)) = (place, seq) {
                    self.discipline.on_exchange(place, &measured.exchange, seq, now);
                }
            }
            Fact::Pause(pause) if pause.reason != PauseReason::Stopped => self.discipline.on_pause(),
            _ => {}
        }
    }
}

/// Corrects the clock if the exchanges so far ask for it.
pub(crate) fn correct(shared: &Shared) {
    let mut guard = shared.core();
    let core = &mut *guard;
    if core.closing || core.steer.is_none() {
        return;
    }
    // Whatever somebody else did must be seen before it drowns in what is done here.
    let before = shared.look(core).reading;
    let Core { steer: Some(steer), agent, .. } = core else { return };
    let Some(correction) = steer.discipline.correct(before) else { return };
    let done = match shared.clock.kernel() {
        Some(kernel) => correction.apply(kernel, steer.settings.slew_at_most),
        None => Err(KernelError::Unsupported),
    };
    let after = shared.clock.look();
    agent.on_corrected(after);
    let event = match done {
        Ok(()) => Event::Corrected {
            kind: correction.kind.word(),
            amount_ns: correction.amount.count(),
            frequency_ppb: correction.frequency.count(),
            rests_on: correction.rests_on,
        },
        Err(error) => {
            // What the discipline takes as done was not: it begins anew.
            steer.discipline.on_pause();
            (shared.events)(&Event::NotCorrected { reason: error.to_string() });
            return;
        }
    };
    // The record names the centre's time as it was reckoned before the clock was moved.
    let record = agent.on_correction(&correction, before);
    (shared.events)(&event);
    if let Some(record) = record {
        shared.keep(core, record, "", after.reading);
    }
}
