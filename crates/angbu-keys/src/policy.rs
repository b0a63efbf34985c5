//! The rules that an operator sets.

use angbu_units::{ClockVerdict, CycleTime, Nanos, ProvenInstant, UnixTime};

/// The farthest back that a key may have been shown (RFC 6238, section 5.2, leaves it to policy).
pub const FARTHEST_BACK: Nanos = Nanos::from_secs(30);

/// The most that a token's clock is believed to be off.
pub const MOST_DRIFT: Nanos = Nanos::from_secs(60);

/// Cycles up to this many seconds need a clock that is known to a second.
const SHORT_CYCLE: u8 = 5;

/// How well the clock must be known for a short cycle.
const SHORT_CYCLE_BOUND: Nanos = Nanos::from_secs(1);

/// The longest cycle without leave (OWASP ASVS 5.0, 6.5.5).
const LONGEST_WITHOUT_LEAVE: u8 = 30;

/// What happens to a key while the centre's own clock is not shown to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileUnproven {
    /// It is refused.
    Refuse,
    /// It is judged by what the clock shows, and the entry says that the clock was unproven.
    Mark,
}

/// When a person who fails is made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockout {
    /// After so many failures in a row, at least 1, and again after as many more.
    pub after: u32,
    /// For so long the first time, twice as long each further time.
    pub first: Nanos,
    /// Never longer than this.
    pub longest: Nanos,
    /// After so many failures in a row the token is disabled, until somebody unlocks it.
    pub disable_at: u32,
}

/// The rules by which keys are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long ago a key may have been shown, beyond what the clock's bound leaves open: at most [`FARTHEST_BACK`], and
    /// never less than what the step before the present one needs.
    pub back: Nanos,
    /// How far ahead a token's clock may be, beyond the bound.
    pub ahead: Nanos,
    /// Whether cycles over 30 s are allowed.
    pub long_cycles: bool,
    /// What an unproven clock means.
    pub while_unproven: WhileUnproven,
    /// When a person who fails waits.
    pub lockout: Lockout,
}

impl Default for Policy {
    /// One step back (at most 30 s), three seconds ahead; nothing while the clock is unproven; five failures for five
    /// minutes, then twice as long each time up to a day; disabled at a hundred.
    fn default() -> Self {
        Self {
            back: FARTHEST_BACK,
            ahead: Nanos::from_secs(3),
            long_cycles: false,
            while_unproven: WhileUnproven::Refuse,
            lockout: Lockout {
                after: 5,
                first: Nanos::from_secs(300),
                longest: Nanos::from_secs(86_400),
                disable_at: 100,
            },
        }
    }
}

/// Why no key of a cycle can be judged now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The centre's clock is not shown to be right, and the policy refuses then.
    #[error("this centre's clock is not shown to be right, so no key can be checked; ask its operator")]
    ClockUnproven,
    /// The clock's bound is over 1 s, and the cycle at most 5 s.
    #[error("this centre's clock is not known to a second, which a cycle of {0} s needs; ask its operator")]
    ClockTooWide(CycleTime),
    /// Cycles over 30 s are not allowed.
    #[error("a cycle of {0} s is longer than this customer's policy allows")]
    CycleTooLong(CycleTime),
}

impl Policy {
    /// Whether keys of this cycle can be judged at this instant, and with which bound of the clock: zero where an unproven
    /// clock is taken at its word.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn admits(&self, cycle: CycleTime, now: &ProvenInstant) -> Result<Nanos, NotNow> {
        if cycle.seconds() > LONGEST_WITHOUT_LEAVE && !self.long_cycles {
            return Err(NotNow::CycleTooLong(cycle));
        }
        match (now.verdict, self.while_unproven) {
            (ClockVerdict::Unproven, WhileUnproven::Refuse) => Err(NotNow::ClockUnproven),
            (ClockVerdict::Unproven, WhileUnproven::Mark) => Ok(Nanos::new(0)),
            _ if cycle.seconds() <= SHORT_CYCLE && now.error_bound > SHORT_CYCLE_BOUND => {
                Err(NotNow::ClockTooWide(cycle))
            }
            _ => Ok(now.error_bound),
        }
    }

    /// What a token's clock may have shown when its key was made, as it is typed now: from, to.
    pub(crate) fn window(
        &self,
        cycle: CycleTime,
        now: &ProvenInstant,
        bound: Nanos,
        drift: Nanos,
    ) -> (UnixTime, UnixTime) {
        let centre = now.time + drift;
        // Whoever reads a key in its last second types it in the next step.
        let back = self.back.min(cycle.length()).min(FARTHEST_BACK);
        (centre - back - bound, centre + self.ahead.min(cycle.length()) + bound)
    }
}

impl Lockout {
    /// How long a person waits after this many failures in a row; `None` where the next try is judged at once.
    pub fn wait(&self, failures: u32) -> Option<Nanos> {
        let times = failures.checked_div(self.after.max(1)).filter(|times| *times > 0)?;
        if !failures.is_multiple_of(self.after.max(1)) {
            return None;
        }
        let doubled = 1_i64.checked_shl(times - 1).unwrap_or(i64::MAX);
        Some(Nanos::new(self.first.count().saturating_mul(doubled.max(1))).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_units::EntryId;

    fn at(verdict: ClockVerdict, bound: Nanos) -> ProvenInstant {
        let clock_state = EntryId::from_bytes([0; 16]);
        ProvenInstant { time: UnixTime::from_nanos(0), error_bound: bound, verdict, clock_state }
    }

    #[test]
    fn short_cycles_need_a_clock_known_to_a_second() {
        let policy = Policy::default();
        let (second, more) = (Nanos::from_secs(1), Nanos::from_secs(1) + Nanos::new(1));
        for seconds in 3..=60 {
            let cycle = CycleTime::new(seconds).unwrap();
            let known = policy.admits(cycle, &at(ClockVerdict::Proven, second));
            let wide = policy.admits(cycle, &at(ClockVerdict::Declared, more));
            let unproven = policy.admits(cycle, &at(ClockVerdict::Unproven, second));
            if seconds > 30 {
                assert_eq!(known, Err(NotNow::CycleTooLong(cycle)));
                let lenient = Policy { long_cycles: true, ..policy };
                assert_eq!(lenient.admits(cycle, &at(ClockVerdict::Proven, second)), Ok(second));
            } else {
                assert_eq!(known, Ok(second));
                assert_eq!(unproven, Err(NotNow::ClockUnproven));
                let expected = if seconds <= 5 { Err(NotNow::ClockTooWide(cycle)) } else { Ok(more) };
                assert_eq!(wide, expected);
                let marking = Policy { while_unproven: WhileUnproven::Mark, ..policy };
                assert_eq!(marking.admits(cycle, &at(ClockVerdict::Unproven, more)), Ok(Nanos::new(0)));
            }
        }
    }

    #[test]
    fn waits_double_up_to_a_day() {
        let lockout = Policy::default().lockout;
        let minutes = |failures| lockout.wait(failures).map(|wait| wait.count() / 60_000_000_000);
        for failures in [0, 1, 4, 6, 9, 11] {
            assert_eq!(minutes(failures), None);
        }
        for (failures, expected) in
            [(5, 5), (10, 10), (15, 20), (20, 40), (45, 1_280), (50, 1_440), (95, 1_440)]
        {
            assert_eq!(minutes(failures), Some(expected), "{failures}");
        }
        assert_eq!(minutes(u32::MAX), Some(1_440));
    }
}
