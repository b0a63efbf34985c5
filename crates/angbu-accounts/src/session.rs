//! How long a browser stays signed in.

use angbu_units::{Nanos, UnixTime};

/// A session that nobody used for this long has ended (one hour, NIST SP 800-63B-4 AAL2).
pub const SESSION_IDLE: Nanos = Nanos::from_secs(3_600);
/// A session of this age has ended, however busy it is (12 hours).
pub const SESSION_LIFETIME: Nanos = Nanos::from_secs(12 * 3_600);

/// When a session began and was last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimes {
    /// When its holder signed in.
    pub created: UnixTime,
    /// When its holder last asked for something.
    pub last_used: UnixTime,
}

impl SessionTimes {
    /// Whether the session still holds at `now`. A clock set back to before the session began ends it too:
    /// its age is then not known.
    pub fn live(self, now: UnixTime) -> bool {
        let age = now - self.created;
        age >= Nanos::ZERO && age < SESSION_LIFETIME && now - self.last_used < SESSION_IDLE
    }

    /// Whether the last use should be written down again: at most once a minute, so that reading pages
    /// does not write to the database.
    pub fn worth_touching(self, now: UnixTime) -> bool {
        now - self.last_used >= Nanos::from_secs(60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_idling_by_age_and_by_a_clock_set_back() {
        let t0 = UnixTime::from_nanos(1_700_000_000_000_000_000);
        let session = |used: i64| SessionTimes { created: t0, last_used: t0 + Nanos::from_secs(used) };
        for (used, now, live) in [
            (0, 0, true),
            (0, 3_599, true),
            (0, 3_600, false),
            (43_000, 43_199, true),
            (43_000, 43_200, false),
            (0, -1, false),
        ] {
            assert_eq!(session(used).live(t0 + Nanos::from_secs(now)), live, "used {used}, now {now}");
        }
    }
}
