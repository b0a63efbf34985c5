//! A machine, a network and NTP servers that exist only as numbers, deterministic by their seed: the cores of agent and
//! centre run in them unchanged, a day in a fraction of a second, beside a true time that only the test knows.
//!
//! ```
//! use angbu_testkit::simulation::{Host, Oscillator, Path, Upstream};
//! use angbu_units::Nanos;
//!
//! let mut host = Host::new(7, Oscillator::ordinary(7)).with(Upstream::honest(Path::lan()));
//! host.run(Nanos::from_secs(600));
//! assert!(host.exchanges() > 30);
//! host.machine.move_by_hand(Nanos::from_millis(20));
//! host.run(Nanos::from_secs(1));
//! assert_eq!(host.alarms(), 1);
//! ```

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a simulated world is made of real numbers, and none of its figures leaves 53 bits"
)]

mod host;
mod machine;
mod network;
mod program;

pub use host::{Host, Point, Statistics, Witness, look};
pub use machine::{Kernel, Machine, Oscillator};
pub use network::{Asked, Congestion, Delay, Leaping, Path, ServerClock, Upstream};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Random numbers of one seed and purpose, so that a further purpose changes nothing for the others.
#[derive(Debug)]
pub(crate) struct Chance(StdRng);

impl Chance {
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(purpose)))
    }

    /// From 0 to just below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// From `low` to just below `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.unit() * 1_000.0 < f64::from(per_mille)
    }

    /// Exponential, with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        if mean > 0.0 { -mean * (1.0 - self.unit()).ln() } else { 0.0 }
    }

    /// Normal, with this deviation (Box and Muller).
    pub(crate) fn normal(&mut self, deviation: f64) -> f64 {
        if deviation > 0.0 {
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            deviation * radius * (std::f64::consts::TAU * self.unit()).cos()
        } else {
            0.0
        }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0.random::<u64>()
    }
}
