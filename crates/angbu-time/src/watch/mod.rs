//! The watch over a clock: what a look at the machine shows that its own state does not explain.
//!
//! Each [`Look`] holds the wall clock, a clock that nobody can set and that nothing slews, and what the kernel says that it
//! does with the wall clock. Between two looks the wall clock must have gained on the other what the kernel's frequency and
//! phase correction explain (`explained`). What is more was done by somebody: at once, a **step**; or in parts, a **slew**.
//!
//! What the kernel's state explains may still be somebody's deed: whoever may adjust the kernel's clock at all is the machine's
//! [`Keeper`]. Where there is none, every change of the kernel's state is **by another**. Where a time service keeps the clock,
//! its changes must not lead away from the centre's time, which the next exchanges show (`reference`).
//!
//! When a look comes late, the process or the machine was held: a **pause**, and an alarm only if the clock was moved meanwhile.

mod blind;
mod explained;
mod habit;
mod limits;
mod memory;
mod quiet;
mod reference;

pub use limits::Limits;
pub use memory::Memory;

use angbu_units::{Monotonic, Nanos, Ppb, Reading, UnixTime};

use crate::kernel_clock::KernelState;
use crate::packet::Leap;
use crate::record::{AlarmKind, PauseReason};
use blind::{Check, SoftClock};
use quiet::Quiet;
use reference::References;

pub use reference::Shown;

/// How much longer than its interval allows a look may be late before that is a pause: what a busy machine does.
const LATE: Nanos = Nanos::from_millis(500);

/// How far a suspension can be wrong by: clocks that run on meanwhile are often kept in whole seconds.
const SUSPENSION: Nanos = Nanos::from_secs(2);

/// What a time service may put right after the hypervisor said that the clock was disrupted: how long a machine usually stands
/// still while it is moved.
const STANDSTILL: Nanos = Nanos::from_secs(5);

/// How long after its announced end of a day a leap second may be carried out: by the kernel at once, by a time service that
/// does it itself a little later.
const LEAP_LATE: Nanos = Nanos::from_secs(10);

const SECOND: Nanos = Nanos::from_secs(1);
const DAY: i64 = 86_400_000_000_000;

/// Who may adjust this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeper {
    /// A time service may if the kernel says, or said within a day, that one disciplines the clock; else nobody.
    #[default]
    Auto,
    /// A time service may. What it does must bring the clock towards the centre's time, or leave it there.
    Service,
    /// Nobody may, except this agent itself.
    Nobody,
}

/// What the hypervisor says of this machine, where it says anything (VMClock, `uapi/linux/vmclock-abi.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// Changes when the clock was disrupted: at a migration, and whenever the next changes.
    pub disruption: u64,
    /// Changes when the machine was loaded from a saved state, if the hypervisor counts that.
    pub restored: Option<u64>,
}

/// One look at a machine, all of it read as close together as possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Both clocks; the monotonic one is not slewed and counts suspension.
    pub reading: Reading,
    /// How far apart, at most, the two were read.
    pub noise: Nanos,
    /// How much of the monotonic clock was spent suspended, since the machine was started.
    pub suspended: Nanos,
    /// What the kernel says of its clock, if it says anything.
    pub kernel: Option<KernelState>,
    /// What the hypervisor says.
    pub generation: Option<Generation>,
}

impl From<Reading> for Look {
    /// A look at the two clocks alone.
    fn from(reading: Reading) -> Self {
        Self { reading, noise: Nanos::ZERO, suspended: Nanos::ZERO, kernel: None, generation: None }
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Somebody moved the clock.
    Alarm {
        /// How.
        kind: AlarmKind,
        /// By how much; zero where the kernel's state was changed and the clock has not followed yet.
        difference: Nanos,
        /// How long ago it was last known to be untouched.
        since: Nanos,
    },
    /// Nobody looked for a while.
    Pause {
        /// How long.
        length: Nanos,
        /// Why.
        reason: PauseReason,
    },
    /// The machine's time service set the clock right, which is no alarm and needs no record: the next exchange shows it.
    PutRight {
        /// By how much it was set forward.
        difference: Nanos,
        /// How long ago it was last seen to be as it was.
        since: Nanos,
    },
}

/// What undoes somebody's deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Undo {
    /// Set the clock forward by this.
    pub step: Nanos,
    /// Give the kernel this frequency back, and forget what is left of a phase correction.
    pub frequency: Option<Ppb>,
}

/// The watch of one run.
#[derive(Debug, Clone)]
pub struct Watch {
    limits: Limits,
    last: Look,
    /// What the kernel's state does not explain, and since when that is.
    unexplained: (Nanos, Monotonic),
    /// The rule for machines whose kernel says nothing.
    blind: SoftClock,
    /// What leap seconds took from the wall clock since the start.
    leapt: Nanos,
    /// The leap second that a server last announced.
    announced: Leap,
    /// When the kernel was last said to be disciplined.
    disciplined: Option<Monotonic>,
    references: References,
    /// What the run before left, if the machine was started anew since: its wall clock, and what its server was ahead.
    another_life: Option<(UnixTime, Nanos, Nanos)>,
    /// How far a pause can have made the clock wrong, until a time service has put that right.
    uncertain: Nanos,
    /// When the last pause was told, and since when pauses wait to be told.
    pauses: (Option<Monotonic>, Option<Monotonic>),
    quiet: Quiet,
    undo: Undo,
    /// What a slew that was replaced may still do, and until when.
    old_slew: (Nanos, Monotonic),
    /// What the last second's share of a phase correction that has ended or was replaced may still do, and until when.
    under_way: (Nanos, Monotonic),
}

impl Watch {
    /// A watch that begins with this look.
    pub fn start(limits: Limits, look: Look) -> Self {
        let disciplined = synchronised(&look).then_some(look.reading.monotonic);
        Self {
            blind: SoftClock::start(limits, look.reading),
            last: look,
            unexplained: (Nanos::ZERO, look.reading.monotonic),
            leapt: Nanos::ZERO,
            announced: Leap::None,
            disciplined,
            references: References::default(),
            another_life: None,
            uncertain: Nanos::ZERO,
            pauses: (None, None),
            quiet: Quiet::default(),
            undo: Undo::default(),
            old_slew: (Nanos::ZERO, look.reading.monotonic),
            under_way: (Nanos::ZERO, look.reading.monotonic),
            limits,
        }
    }

    /// Looks again. What is found is in the order in which it happened.
    pub fn check(&mut self, look: Look) -> Vec<Finding> {
        let look = self.without_leaps(look);
        let before = std::mem::replace(&mut self.last, look);
        if synchronised(&look) {
            self.disciplined = Some(look.reading.monotonic);
        }
        let (length, pause) = self.pause(&before, &look);
        let restored = restored(&before, &look);
        let mut findings: Vec<_> = self.tell_pause(&before, &look, pause).into_iter().collect();
        let kind = if restored {
            Some(AlarmKind::Restored)
        } else if pause.is_some_and(|reason| reason != PauseReason::Migrated) {
            Some(AlarmKind::MovedWhileStopped)
        } else {
            None
        };
        let alarm =
            self.moved(&before, &look, length, kind).or_else(|| self.adjusted(&before, &look, length));
        let alarm = match alarm {
            None if restored => Some((AlarmKind::Restored, Nanos::ZERO, length)),
            other => other,
        };
        if restored || matches!(pause, Some(PauseReason::Migrated | PauseReason::Suspended)) {
            self.references.forget_best(look.reading.monotonic);
        }
        match pause {
            Some(PauseReason::Suspended) => self.uncertain = self.uncertain.max(SUSPENSION),
            Some(PauseReason::Migrated) => self.uncertain = self.uncertain.max(STANDSTILL),
            Some(PauseReason::Stopped) | None => {}
        }
        if let Some((_, difference, since)) = alarm.filter(|(kind, ..)| *kind != AlarmKind::ByAnother)
            && self.put_right(&look, difference)
        {
            self.references.stepped();
            findings.push(Finding::PutRight { difference, since });
        } else if let Some((kind, difference, since)) = alarm {
            self.undo.step = self.undo.step - difference;
            if let Some((kind, difference, since)) =
                self.quiet.admit(look.reading.monotonic, kind, difference, since)
            {
                findings.push(Finding::Alarm { kind, difference, since });
            }
        }
        findings
    }

    /// An exchange with a server, just ended, has shown the clock at the last look.
    pub fn shown(&mut self, shown: Shown) -> Vec<Finding> {
        self.announced = shown.leap;
        self.blind.shown(self.last.reading);
        self.unexplained = (Nanos::ZERO, self.last.reading.monotonic);
        let kept = !self.nobody_keeps();
        let found = self.references.shown(&self.last, shown, &self.limits, kept);
        let mut findings: Vec<_> = self.first_exchange(&shown).into_iter().collect();
        if let Some(length) = found.stood_still {
            self.undo.step = self.undo.step + length;
            self.uncertain = self.uncertain.max(length.times(2));
            findings.push(Finding::Pause { length, reason: PauseReason::Migrated });
        }
        if let Some((difference, since)) = found.moved_asleep {
            self.undo.step = self.undo.step - difference;
            self.uncertain = self.uncertain.max(difference.times(2));
            findings.push(Finding::Alarm { kind: AlarmKind::MovedWhileStopped, difference, since });
        }
        if let Some((difference, since)) = found.led_away {
            self.undo.step = self.undo.step - difference;
            self.undo.frequency = found.frequency;
            let now = self.last.reading.monotonic;
            if let Some((kind, difference, since)) =
                self.quiet.admit(now, AlarmKind::ByAnother, difference, since)
            {
                findings.push(Finding::Alarm { kind, difference, since });
            }
        }
        findings
    }

    /// This agent itself has just changed the clock or the kernel's state; `look` is after that, and [`Self::check`] was
    /// called right before. What changed in between is no one else's deed.
    pub fn corrected(&mut self, look: Look) {
        let look = self.without_leaps(look);
        self.references.corrected(&self.last, &look);
        // What was under way goes on until its second ends, whatever the kernel is told meanwhile.
        let left =
            self.last.kernel.map_or(Nanos::ZERO, |state| explained::under_way(&state).abs() + Nanos::new(1));
        self.old_slew = (left, look.reading.monotonic + SECOND);
        self.blind = SoftClock::start(self.limits, look.reading);
        self.unexplained = (Nanos::ZERO, look.reading.monotonic);
        self.last = look;
    }

    /// What would put the clock back to where it would be if nobody had touched it, since this was last asked.
    pub fn take_undo(&mut self) -> Option<Undo> {
        let undo = std::mem::take(&mut self.undo);
        (undo != Undo::default()).then_some(undo)
    }

    /// The last look.
    pub const fn last(&self) -> &Look {
        &self.last
    }

    /// What leap seconds took from the wall clock since the start.
    pub const fn leapt(&self) -> Nanos {
        self.leapt
    }

    /// Whether the wall clock is so far from where the last look left it that another look should find out why. It is no finding:
    /// a time service may have slewed it.
    pub fn has_jumped(&self, now: Reading) -> bool {
        let last = self.last.reading;
        let length = now.monotonic - last.monotonic;
        let gained = (now.wall + self.leapt - last.wall) - length;
        gained.abs() > self.limits.tmax + self.limits.slew.over(length)
    }

    /// What the wall clock gained beyond what the kernel explains; the rule for blind machines where it says nothing.
    fn moved(
        &mut self,
        before: &Look,
        look: &Look,
        length: Nanos,
        paused: Option<AlarmKind>,
    ) -> Option<(AlarmKind, Nanos, Nanos)> {
        let blind = self.blind.check(look.reading);
        let gained = gained(before, look);
        let awake = length - (look.suspended - before.suspended);
        let (Some(was), Some(is)) = (before.kernel, look.kernel) else {
            return match blind {
                Check::Passed => None,
                Check::Stepped { difference, since } => {
                    Some((paused.unwrap_or(AlarmKind::Step), difference, since))
                }
                Check::Slewed { difference, since } => Some((AlarmKind::Slew, difference, since)),
            };
        };
        let range = explained::range(&was, &is, awake);
        let now = look.reading.monotonic;
        let (share, until) = self.under_way;
        let range = if before.reading.monotonic <= until { range.or(share) } else { range };
        let share = explained::under_way(&was);
        if share != Nanos::ZERO {
            self.under_way = (share, now + SECOND);
        }
        let residual = self.without_old_slew(range.beyond(gained));
        let since =
            if self.unexplained.0 == Nanos::ZERO { before.reading.monotonic } else { self.unexplained.1 };
        // What the kernel's own arithmetic is worth goes by itself; a patient hand is quicker.
        let wandered = self.limits.wander.over(awake).count().max(0);
        let sum = (self.unexplained.0 + residual).count();
        let sum = Nanos::new(sum.saturating_sub(sum.clamp(-wandered, wandered)));
        self.unexplained = (sum, since);
        let noise = before.noise + look.noise;
        let mut allowed = self.limits.unexplained + noise;
        if explained::changed(&was, &is) && self.kept(look) {
            // Between two looks a service may change the rate twice, of which only one is seen.
            allowed = allowed + self.limits.tmax;
        }
        let unwatched = paused.is_some() || length > self.limits.interval.times(2);
        if unwatched {
            let rate = if self.kept(look) { self.limits.slew } else { self.limits.wander };
            allowed = allowed + self.limits.tmax + rate.over(awake);
        }
        if sum.abs() <= allowed {
            if unwatched {
                // What a pause is forgiven must not be held against the look after it.
                self.unexplained = (Nanos::ZERO, now);
            }
            return None;
        }
        self.unexplained = (Nanos::ZERO, now);
        let at_once =
            residual.abs() > self.limits.slew.over(awake) + noise && residual.abs() >= sum.abs().half();
        let kind = paused.unwrap_or(if at_once { AlarmKind::Step } else { AlarmKind::Slew });
        let since = if kind == AlarmKind::Slew { now - since } else { length };
        Some((kind, sum, since))
    }

    /// What is left of a residual without what a slew that this agent replaced may still have done.
    fn without_old_slew(&mut self, residual: Nanos) -> Nanos {
        let (budget, until) = self.old_slew;
        let explained = residual.max(-budget).min(budget);
        let over = self.last.reading.monotonic > until;
        self.old_slew.0 = if over { Nanos::ZERO } else { budget - explained.abs() };
        residual - explained
    }

    /// Whether somebody changed the kernel's state where nobody may.
    fn adjusted(&mut self, before: &Look, look: &Look, length: Nanos) -> Option<(AlarmKind, Nanos, Nanos)> {
        let (was, is) = (before.kernel?, look.kernel?);
        if self.kept(look) || !explained::changed(&was, &is) {
            return None;
        }
        let awake = length - (look.suspended - before.suspended);
        self.undo.frequency = Some(was.frequency);
        Some((AlarmKind::ByAnother, gained(before, look) - was.frequency.over(awake), length))
    }

    fn kept(&self, look: &Look) -> bool {
        match self.limits.keeper {
            Keeper::Service => true,
            Keeper::Nobody => false,
            Keeper::Auto => {
                // Soon after the machine's start a service may not have found its servers yet.
                look.reading.monotonic.nanos() < self.limits.settled.count()
                    || self.disciplined.is_some_and(|at| (look.reading.monotonic - at).count() < DAY)
            }
        }
    }

    fn nobody_keeps(&self) -> bool {
        !self.kept(&self.last)
    }

    /// Whether a jump is a time service's work: one is at work, and the clock is righter than it was, or nothing was known of it.
    fn put_right(&mut self, look: &Look, difference: Nanos) -> bool {
        if !synchronised(look) || !self.kept(look) {
            return false;
        }
        let right = match self.references.reckon(look) {
            None => true,
            Some((offset, bound)) => {
                let (before, right) = ((offset + difference).abs(), bound + self.limits.tmax);
                difference.abs() <= self.uncertain || (offset.abs() <= right && before > right)
            }
        };
        if right {
            self.uncertain = Nanos::ZERO;
        }
        right
    }

    /// How long nobody looked, and why, if that was too long.
    fn pause(&self, before: &Look, look: &Look) -> (Nanos, Option<PauseReason>) {
        let length = look.reading.monotonic - before.reading.monotonic;
        let suspended = look.suspended - before.suspended;
        let disrupted = matches!((before.generation, look.generation),
            (Some(was), Some(is)) if was.disruption != is.disruption || was.restored != is.restored);
        let reason = if disrupted {
            Some(PauseReason::Migrated)
        } else if length <= self.limits.interval.times(2) + LATE {
            None
        } else if suspended > length.half() {
            Some(PauseReason::Suspended)
        } else {
            Some(PauseReason::Stopped)
        };
        (length, reason)
    }

    /// Tells a pause, at most one a minute: those in between are told as one with the next.
    fn tell_pause(&mut self, before: &Look, look: &Look, reason: Option<PauseReason>) -> Option<Finding> {
        let (told, waiting) = self.pauses;
        let now = look.reading.monotonic;
        let began = match (waiting, reason) {
            (Some(began), _) => began,
            (None, Some(_)) => before.reading.monotonic,
            (None, None) => return None,
        };
        let held = reason.is_none_or(|reason| reason == PauseReason::Stopped);
        if held && told.is_some_and(|told| now - told < Nanos::from_secs(60)) {
            self.pauses.1 = Some(began);
            return None;
        }
        self.pauses = (Some(now), None);
        let length = (now - began).max(Nanos::new(1));
        Some(Finding::Pause { length, reason: reason.unwrap_or(PauseReason::Stopped) })
    }

    /// The look as it were without leap seconds: one that was announced is taken out as soon as it is carried out.
    fn without_leaps(&mut self, look: Look) -> Look {
        let wall = look.reading.wall + self.leapt;
        let mut look = Look { reading: Reading { wall, ..look.reading }, ..look };
        let leap = match self.last.kernel.map(|state| state.leap) {
            Some(leap @ (Leap::Insert | Leap::Delete)) => leap,
            _ => self.announced,
        };
        let by = match leap {
            Leap::Insert => Nanos::ZERO - SECOND,
            Leap::Delete => SECOND,
            Leap::None | Leap::Unknown => return look,
        };
        // Where the clock would be if it had not leapt: just after the end of a day, or before its last second.
        let length = look.reading.monotonic - self.last.reading.monotonic;
        let would_be = self.last.reading.wall + length + SECOND;
        let into_day = Nanos::new(would_be.nanos().rem_euclid(DAY));
        let difference = gained(&self.last, &look);
        let leapt = (difference - by).abs() < self.limits.tmax + self.limits.slew.over(length);
        if leapt && into_day < LEAP_LATE + SECOND + length.min(LEAP_LATE) {
            self.leapt = self.leapt - by;
            self.announced = Leap::None;
            look.reading.wall = look.reading.wall - by;
        }
        look
    }
}

/// What the wall clock gained on the monotonic one between two looks.
fn gained(before: &Look, look: &Look) -> Nanos {
    (look.reading.wall - before.reading.wall) - (look.reading.monotonic - before.reading.monotonic)
}

fn restored(before: &Look, look: &Look) -> bool {
    matches!((before.generation.and_then(|g| g.restored), look.generation.and_then(|g| g.restored)),
        (Some(was), Some(is)) if was != is)
}

fn synchronised(look: &Look) -> bool {
    look.kernel.is_some_and(|state| state.synchronised)
}
