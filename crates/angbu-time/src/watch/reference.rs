//! What exchanges show of deeds that the machine itself cannot see: that it stood still, and that whoever keeps its clock leads
//! it away from the truth.
//!
//! Two exchanges with one server show how far the server's clock went on between them. The bare oscillator went as far, within
//! its drift and both bounds. Where the server's went further, the machine stood still and knows nothing of it: a virtual
//! machine was held, moved, or put back to a snapshot.

use angbu_units::{Monotonic, Nanos, NtpServerId, Ppb};

use super::{Look, SUSPENSION};
use crate::packet::Leap;
use crate::periods;
use crate::soft_clock::Limits;

/// How many servers are remembered.
const MOST_SERVERS: usize = 8;

/// After how long the best exchange gives way to the newest.
const BEST_LASTS: Nanos = Nanos::from_secs(6 * 3_600);

/// A leap second is about this long, whichever clock carried it out first.
const LEAP: std::ops::Range<Nanos> = Nanos::from_millis(400)..Nanos::from_millis(1_600);

/// What an exchange has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Who.
    pub server: NtpServerId,
    /// Its clock minus this machine's.
    pub offset: Nanos,
    /// How far that can be wrong.
    pub bound: Nanos,
    /// What it announced.
    pub leap: Leap,
}

/// What exchanges found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// How long the machine stood still.
    pub(super) stood_still: Option<Nanos>,
    /// How far the clock was led away, and since when.
    pub(super) led_away: Option<(Nanos, Nanos)>,
    /// The frequency before that.
    pub(super) frequency: Option<Ppb>,
}

/// An exchange, and the machine at its end.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    offset: Nanos,
    bound: Nanos,
    /// The wall clock minus the monotonic one.
    ahead: Nanos,
    at: Monotonic,
    suspended: Nanos,
    frequency: Option<Ppb>,
}

impl Anchor {
    fn of(look: &Look, shown: &Shown) -> Self {
        Self {
            offset: shown.offset,
            bound: shown.bound,
            ahead: ahead(look),
            at: look.reading.monotonic,
            suspended: look.suspended,
            frequency: look.kernel.map(|state| state.frequency),
        }
    }

    /// How far from right the clock may have been.
    fn distance(&self) -> Nanos {
        self.offset.abs() + self.bound
    }
}

#[derive(Debug, Clone)]
struct Known {
    server: NtpServerId,
    last: Anchor,
    /// The exchange that showed the clock best.
    best: Option<Anchor>,
}

/// What the servers have shown last.
#[derive(Debug, Clone, Default)]
pub(super) struct References(Vec<Known>);

impl References {
    /// An exchange has ended at this look. `kept`: whether a time service may adjust the clock.
    pub(super) fn shown(&mut self, look: &Look, shown: Shown, limits: &Limits, kept: bool) -> Found {
        let now = Anchor::of(look, &shown);
        let Some(known) = self.0.iter_mut().find(|known| known.server == shown.server) else {
            self.0.push(Known { server: shown.server, last: now, best: Some(now) });
            if self.0.len() > MOST_SERVERS {
                self.0.remove(0);
            }
            return Found::default();
        };
        let last = std::mem::replace(&mut known.last, now);
        let stood_still = stood_still(&last, &now, limits, shown.leap != Leap::None);
        if stood_still.is_some() {
            known.best = Some(now);
            return Found { stood_still, ..Found::default() };
        }
        let best = known.best.unwrap_or(now);
        let led_away = if kept { led_away(&best, &now, limits) } else { None };
        let better = now.distance() <= best.distance();
        if better || led_away.is_some() || now.at - best.at > BEST_LASTS || now.suspended != best.suspended {
            known.best = Some(now);
        }
        Found { stood_still: None, led_away, frequency: led_away.and(best.frequency) }
    }

    /// What the run before knew of a server, at a look of its own.
    pub(super) fn recall(&mut self, look: &Look, frequency: Option<Ppb>, shown: Shown) {
        let anchor = Anchor { frequency, ..Anchor::of(look, &shown) };
        self.0.push(Known { server: shown.server, last: anchor, best: Some(anchor) });
    }

    /// This agent itself changed the clock between two looks: it was no one else's deed.
    pub(super) fn corrected(&mut self, before: &Look, after: &Look) {
        let by = ahead(after) - ahead(before);
        let frequency = after.kernel.map(|state| state.frequency);
        for known in &mut self.0 {
            for anchor in [Some(&mut known.last), known.best.as_mut()].into_iter().flatten() {
                anchor.offset = anchor.offset - by;
                anchor.ahead = anchor.ahead + by;
                anchor.frequency = frequency;
            }
        }
    }

    /// What was best is of another life of this machine.
    pub(super) fn forget_best(&mut self) {
        for known in &mut self.0 {
            known.best = None;
        }
    }
}

fn ahead(look: &Look) -> Nanos {
    Nanos::new(look.reading.wall.nanos().saturating_sub(look.reading.monotonic.nanos()))
}

/// How much further the server's clock went on than the bare oscillator can have been slow.
fn stood_still(last: &Anchor, now: &Anchor, limits: &Limits, leaping: bool) -> Option<Nanos> {
    let further = (now.offset - last.offset) + (now.ahead - last.ahead);
    let mut explained = last.bound + now.bound + limits.tmax + periods::DRIFT.over(now.at - last.at);
    if now.suspended != last.suspended {
        explained = explained + SUSPENSION;
    }
    if leaping && LEAP.contains(&further) {
        return None;
    }
    (further > explained).then_some(further)
}

/// How far the clock was led away since it was best, if what the kernel was told to do did that.
fn led_away(best: &Anchor, now: &Anchor, limits: &Limits) -> Option<(Nanos, Nanos)> {
    let awake = (now.at - best.at) - (now.suspended - best.suspended);
    // What the kernel did beyond what it did when the clock was best.
    let led = (now.ahead - best.ahead) - best.frequency?.over(awake);
    let error = Nanos::ZERO - now.offset;
    let moved = error - (Nanos::ZERO - best.offset);
    let proven = now.offset.abs() - now.bound - best.distance();
    let same_way = (led < Nanos::ZERO) == (error < Nanos::ZERO);
    (proven > limits.tmax && same_way && led.abs() >= moved.abs().half()).then(|| (moved, now.at - best.at))
}
