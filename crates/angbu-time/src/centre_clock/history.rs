//! Which state of a centre's clock was in force when.

use angbu_units::{ClockVerdict, EntryId, UnixTime};

/// Which clock state was in force at which instant of the centre's clock, for what is judged later than it happened.
///
/// It is bounded: what is older than its first state is not known, and so not proven.
#[derive(Debug, Clone, Default)]
pub struct History {
    states: Vec<Past>,
}

/// A state's time in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Past {
    entry: EntryId,
    verdict: ClockVerdict,
    from: UnixTime,
    until: UnixTime,
}

impl History {
    /// How many states are remembered.
    pub const MAX: usize = 4_096;

    /// A new state is in force from `from` on. The one before ends at `ended`, by the same clock; the two differ where
    /// that clock was set, or where the centre was not running in between.
    pub fn push(&mut self, entry: EntryId, verdict: ClockVerdict, from: UnixTime, ended: UnixTime) {
        if let Some(last) = self.states.last_mut() {
            last.until = last.until.min(ended);
        }
        if self.states.len() == Self::MAX {
            self.states.remove(0);
        }
        self.states.push(Past { entry, verdict, from, until: UnixTime::MAX });
    }

    /// The states that were in force between two instants, in the order in which they began, with their beginnings.
    pub fn between(&self, from: UnixTime, to: UnixTime) -> Vec<(EntryId, ClockVerdict, UnixTime)> {
        let held = self.states.iter().filter(|past| past.from < to && past.until > from);
        let mut held: Vec<_> = held.map(|past| (past.entry, past.verdict, past.from)).collect();
        held.sort_by_key(|(_, _, from)| *from);
        held
    }

    /// The state in force at `at`. Where a clock that was set back showed an instant twice, the least of both.
    pub fn at(&self, at: UnixTime) -> Option<(EntryId, ClockVerdict)> {
        let rank = |verdict| match verdict {
            ClockVerdict::Unproven => 0,
            ClockVerdict::Declared => 1,
            ClockVerdict::Proven => 2,
        };
        let in_force = self.states.iter().rev().filter(|past| past.from <= at && at < past.until);
        in_force.min_by_key(|past| rank(past.verdict)).map(|past| (past.entry, past.verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_says_the_least_of_a_time_that_was_shown_twice() {
        let id = |n| EntryId::from_bytes([n; 16]);
        let at = UnixTime::from_nanos;
        let mut history = History::default();
        assert_eq!(history.at(at(0)), None);
        history.push(id(1), ClockVerdict::Declared, at(100), at(100));
        history.push(id(2), ClockVerdict::Unproven, at(150), at(200));
        history.push(id(3), ClockVerdict::Declared, at(170), at(160));
        for (nanos, expected) in [
            (99, None),
            (100, Some(1)),
            (149, Some(1)),
            (155, Some(2)),
            (160, Some(1)),
            (180, Some(3)),
            (200, Some(3)),
        ] {
            assert_eq!(history.at(at(nanos)).map(|(entry, _)| entry), expected.map(id), "{nanos}");
        }
        for n in 0..5_000 {
            history.push(id(4), ClockVerdict::Proven, at(1_000 + n), at(1_000 + n));
        }
        assert_eq!(history.states.len(), History::MAX);
        assert_eq!(history.at(at(100)), None);
    }
}
