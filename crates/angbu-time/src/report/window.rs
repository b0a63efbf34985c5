//! The stretch of time that a report is about, and where an instant lies in it.

use angbu_units::UnixTime;

/// How many columns a picture of it has.
pub(super) const COLUMNS: i64 = 960;

/// From an instant to just before another.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) from: UnixTime,
    pub(super) to: UnixTime,
}

impl Window {
    /// Where an instant lies, in `units` of the whole.
    pub(super) fn place(&self, at: UnixTime, units: i64) -> i64 {
        let whole = i128::from((self.to - self.from).count().max(1));
        let part = i128::from((at.min(self.to).max(self.from) - self.from).count());
        i64::try_from(part * i128::from(units) / whole).unwrap_or(0)
    }

    pub(super) fn contains(&self, at: UnixTime) -> bool {
        (self.from..self.to).contains(&at)
    }
}
