//! What is known of a clock from some instant on, and what a row of exchanges leaves possible.

use angbu_units::{Nanos, Ppb, UnixTime};

use super::{COVERS_POLLS, LOOKS_BACK, Sample, Why};

/// What is known from some instant on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Knowledge {
    /// Nothing.
    Nothing { since: UnixTime, why: Why },
    /// What an exchange shows, from its own instant on or, after a pause, from the pause's end on.
    Exchange { sample: Sample, from: UnixTime },
    /// Nothing either, but the next exchange is held against what this one showed.
    Doubted { sample: Sample, since: UnixTime },
}

impl Knowledge {
    pub(super) const fn since(&self) -> UnixTime {
        match self {
            Self::Nothing { since, .. } | Self::Doubted { since, .. } => *since,
            Self::Exchange { from, .. } => *from,
        }
    }

    /// Whether an exchange with the centre still covers this instant.
    pub(super) fn covers(&self, at: UnixTime) -> bool {
        match self {
            Self::Nothing { .. } | Self::Doubted { .. } => false,
            Self::Exchange { sample, .. } => {
                sample.centre.is_some() && sample.at <= at && at < sample.at + sample.poll.times(COVERS_POLLS)
            }
        }
    }

    /// How far an instant of the centre's clock, as the agent reckons it, can be wrong.
    pub(super) fn doubt_at(&self, at: UnixTime, drift: Ppb) -> Nanos {
        match self {
            Self::Nothing { .. } => Nanos::ZERO,
            Self::Exchange { sample, .. } | Self::Doubted { sample, .. } => {
                sample.bound + drift.over((at - sample.at).abs())
            }
        }
    }

    /// What an exchange showed does not reach beyond its own instant.
    pub(super) const fn lost(&self, why: Why) -> Self {
        Self::Nothing { since: self.since(), why }
    }
}

/// What a row of exchanges leaves possible for the offset: its least and its largest value, and the exchanges that say so.
/// From those on they grow apart by the drift.
#[derive(Debug, Clone, Copy)]
pub(super) struct Feasible {
    since: UnixTime,
    low: (Nanos, UnixTime),
    high: (Nanos, UnixTime),
}

impl Feasible {
    pub(super) const fn of(sample: &Sample) -> Self {
        let at = sample.at;
        let (low, high) = (sample.offset.count(), sample.bound.count());
        Self {
            since: at,
            low: (Nanos::new(low.saturating_sub(high)), at),
            high: (Nanos::new(low.saturating_add(high)), at),
        }
    }

    /// What is left with one more exchange; if that is nothing, the exchange that contradicts it.
    pub(super) fn with(self, sample: &Sample, drift: Ppb) -> Result<Self, UnixTime> {
        if sample.at < self.since || sample.at - self.since > LOOKS_BACK {
            return Ok(Self::of(sample));
        }
        let now = Self::of(sample);
        let low = self.low.0 - drift.over(sample.at - self.low.1);
        let high = self.high.0 + drift.over(sample.at - self.high.1);
        if now.low.0 > high {
            return Err(self.high.1);
        }
        if now.high.0 < low {
            return Err(self.low.1);
        }
        Ok(Self {
            since: self.since,
            low: if now.low.0 >= low { now.low } else { self.low },
            high: if now.high.0 <= high { now.high } else { self.high },
        })
    }
}
