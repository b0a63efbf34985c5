//! What exchanges show of deeds that the machine itself cannot see: that it stood still, and that whoever keeps its clock leads
//! it away from the truth.
//!
//! Two exchanges with one server show how far the server's clock went on between them. The bare oscillator went as far, within
//! its drift and both bounds. Where the server's went further, the machine stood still and knows nothing of it: a virtual
//! machine was held, moved, or put back to a snapshot.

use angbu_units::{Monotonic, Nanos, NtpServerId, Ppb};

use super::habit::{Habit, Seen};
use super::{DAY, Limits, Look, SUSPENSION};
use crate::packet::Leap;
use crate::periods;

/// How many servers are remembered.
const MOST_SERVERS: usize = 8;

/// After how long the best exchange gives way to the newest.
const BEST_LASTS: Nanos = Nanos::from_secs(6 * 3_600);

/// How many times Tmax a time service may be wrong by itself while its habit is not known: one that asks every half an hour, over the internet, swings by
/// tens of milliseconds while it learns the crystal's rate.
const SERVICE: i64 = 5;

/// For how long a time service may still swing as far as the clock once was from right: where one asks every half an hour, what
/// a suspension made wrong leaves it with a wrong frequency for hours.
const SWING_LASTS: Nanos = Nanos::from_secs(24 * 3_600);

/// How long a time service is left alone after the machine slept or stood still: it has to find its way first, and one that asks
/// every half an hour is led astray by the first offset that it then sees.
const GRACE: Nanos = Nanos::from_secs(7_200);

/// A leap second is about this long, whichever clock carried it out first.
const LEAP: std::ops::Range<Nanos> = Nanos::from_millis(400)..Nanos::from_millis(1_600);

/// How near to a day's end that may be.
const MIDNIGHT: Nanos = Nanos::from_secs(600);

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
    /// How far the clock was moved while the machine slept.
    pub(super) moved_asleep: Option<(Nanos, Nanos)>,
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

    const fn seen(&self) -> Seen {
        let Self { at, ahead, suspended, bound, .. } = *self;
        Seen { at, ahead, suspended, off: self.offset.abs(), bound }
    }
}

#[derive(Debug, Clone)]
struct Known {
    server: NtpServerId,
    last: Anchor,
    /// The exchange that showed the clock best.
    best: Option<Anchor>,
    /// How far from right the clock came of itself, and when: a time service that finds its way swings about as far back.
    swing: (Nanos, Monotonic),
    habit: Habit,
    /// The last exchange that showed the clock no farther off than its service's habit.
    calm: Anchor,
}

impl Known {
    fn start(server: NtpServerId, anchor: Anchor) -> Self {
        let swing = (anchor.distance(), anchor.at);
        Self {
            server,
            last: anchor,
            best: Some(anchor),
            swing,
            habit: Habit::start(&anchor.seen()),
            calm: anchor,
        }
    }

    /// How far the clock was led away, and since when, if that is more than its service does by itself: more than its habit, or while
    /// that is not known more than any service does.
    fn led_away(&self, now: &Anchor, limits: &Limits) -> Option<(Nanos, Nanos)> {
        let best = self.best.unwrap_or(*now);
        let widest = best.distance().max(self.swing.0) + limits.tmax.times(SERVICE);
        let certain = now.offset.abs() - now.bound;
        let by_habit = self.habit.limit(now.at).filter(|limit| certain > *limit);
        let by_habit = by_habit.and_then(|_| led(&self.calm, now, self.usual()));
        by_habit.or_else(|| led(&best, now, best.frequency).filter(|_| certain > widest))
    }

    /// How fast the clock's service usually runs it.
    fn usual(&self) -> Option<Ppb> {
        self.habit.rate(self.calm.at, self.calm.ahead, self.calm.suspended)
    }

    /// What is the service's habit; after an alarm, or while it finds its way, it begins anew.
    fn learn(&mut self, now: &Anchor, anew: bool) {
        if anew {
            self.forget(*now);
        } else {
            let led = led(&self.calm, now, self.usual().or(self.calm.frequency)).is_some();
            if self.habit.see(&now.seen(), led) {
                self.calm = *now;
            }
        }
    }

    fn forget(&mut self, now: Anchor) {
        self.habit = Habit::start(&now.seen());
        self.calm = now;
    }
}

/// What the servers have shown last.
#[derive(Debug, Clone, Default)]
pub(super) struct References {
    servers: Vec<Known>,
    /// Until when a time service may still be finding its way.
    grace: Option<Monotonic>,
}

impl References {
    /// An exchange has ended at this look. `kept`: whether a time service may adjust the clock.
    pub(super) fn shown(&mut self, look: &Look, shown: Shown, limits: &Limits, kept: bool) -> Found {
        let now = Anchor::of(look, &shown);
        let Some(known) = self.servers.iter_mut().find(|known| known.server == shown.server) else {
            self.servers.push(Known::start(shown.server, now));
            if self.servers.len() > MOST_SERVERS {
                self.servers.remove(0);
            }
            return Found::default();
        };
        let last = std::mem::replace(&mut known.last, now);
        let further = further(&last, &now, limits, shown.leap != Leap::None);
        if let Some(further) = further
            && (further > Nanos::ZERO || now.suspended != last.suspended)
        {
            self.grace = Some(now.at + GRACE);
            known.best = Some(now);
            known.forget(now);
            // Nothing but a sleep can take a machine further than true time.
            return if further > Nanos::ZERO {
                Found { stood_still: Some(further), ..Found::default() }
            } else {
                let moved_asleep = Some((-further, now.at - last.at));
                Found { moved_asleep, ..Found::default() }
            };
        }
        let best = known.best.unwrap_or(now);
        let grace = self.grace.is_some_and(|until| now.at < until);
        let led = led(&best, &now, best.frequency);
        let led_away = known.led_away(&now, limits).filter(|_| kept && !grace);
        let frequency = led_away.and(known.usual().or(best.frequency));
        if now.at - known.swing.1 > SWING_LASTS
            || ((led.is_none() || grace) && now.distance() > known.swing.0)
        {
            known.swing = (now.distance(), now.at);
        }
        let better = grace || now.distance() <= best.distance();
        if better || led_away.is_some() || now.at - best.at > BEST_LASTS || now.suspended != best.suspended {
            known.best = Some(now);
        }
        known.learn(&now, led_away.is_some() || grace);
        Found { led_away, frequency, ..Found::default() }
    }

    /// What the run before knew of a server, at a look of its own.
    pub(super) fn recall(&mut self, look: &Look, frequency: Option<Ppb>, shown: Shown) {
        let anchor = Anchor { frequency, ..Anchor::of(look, &shown) };
        self.servers.push(Known::start(shown.server, anchor));
    }

    /// What the server that was asked last would show now, as the bare oscillator reckons, and how far that can be wrong.
    pub(super) fn reckon(&self, look: &Look) -> Option<(Nanos, Nanos)> {
        let last = self.servers.iter().map(|known| known.last).max_by_key(|anchor| anchor.at)?;
        let offset = last.offset - (ahead(look) - last.ahead);
        Some((offset, last.bound + periods::DRIFT.over(look.reading.monotonic - last.at)))
    }

    /// This agent itself changed the clock between two looks: it was no one else's deed.
    pub(super) fn corrected(&mut self, before: &Look, after: &Look) {
        let by = ahead(after) - ahead(before);
        let frequency = after.kernel.map(|state| state.frequency);
        for known in &mut self.servers {
            for anchor in [Some(&mut known.last), known.best.as_mut()].into_iter().flatten() {
                anchor.offset = anchor.offset - by;
                anchor.ahead = anchor.ahead + by;
                anchor.frequency = frequency;
            }
            known.forget(known.last);
        }
    }

    /// A time service set the clock: how fast it ran the clock before says nothing now.
    pub(super) fn stepped(&mut self) {
        for known in &mut self.servers {
            known.forget(known.last);
        }
    }

    /// The machine slept or stood still: what was best says little now.
    pub(super) fn forget_best(&mut self, now: Monotonic) {
        self.grace = Some(now + GRACE);
        for known in &mut self.servers {
            known.forget(known.last);
            known.best = None;
        }
    }
}

fn ahead(look: &Look) -> Nanos {
    Nanos::new(look.reading.wall.nanos().saturating_sub(look.reading.monotonic.nanos()))
}

/// How much further the server's clock went on than the bare oscillator, if that is more than drift explains; or less far.
fn further(last: &Anchor, now: &Anchor, limits: &Limits, leaping: bool) -> Option<Nanos> {
    let further = (now.offset - last.offset) + (now.ahead - last.ahead);
    let mut explained = last.bound + now.bound + limits.tmax + periods::DRIFT.over(now.at - last.at);
    if now.suspended != last.suspended {
        explained = explained + SUSPENSION;
    }
    let wall = now.at.nanos().saturating_add(now.ahead.count());
    let from_midnight = wall.saturating_add(MIDNIGHT.count()).rem_euclid(DAY);
    if leaping && from_midnight < 2 * MIDNIGHT.count() && LEAP.contains(&further.abs()) {
        return None;
    }
    (further.abs() > explained).then_some(further)
}

/// How far the clock went since it was best, and for how long, if what the kernel was told to do led it there.
fn led(best: &Anchor, now: &Anchor, usual: Option<Ppb>) -> Option<(Nanos, Nanos)> {
    let awake = (now.at - best.at) - (now.suspended - best.suspended);
    // What the kernel did beyond what it usually does, or did when the clock was best.
    let led = (now.ahead - best.ahead) - usual?.over(awake);
    let error = Nanos::ZERO - now.offset;
    let moved = error - (Nanos::ZERO - best.offset);
    let same_way = (led < Nanos::ZERO) == (error < Nanos::ZERO);
    (same_way && led.abs() >= moved.abs().half()).then(|| (moved, now.at - best.at))
}
