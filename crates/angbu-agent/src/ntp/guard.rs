//! Whom a time server answers, and how often: one thread's share of [`angbu_time::admission`].

use std::hash::RandomState;
use std::net::SocketAddr;

use angbu_time::admission::{AccessList, Rate, RateLimiter, Verdict};
use angbu_units::Monotonic;

/// Whom a server answers. By default everybody, as often as they ask, in client mode only.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Only these, where it is given.
    pub access: Option<AccessList>,
    /// Each source only so often, where it is given; each thread counts for itself.
    pub rate: Option<Rate>,
    /// Symmetric-active requests are answered too (see [`angbu_time::children::answer`]).
    pub symmetric: bool,
}

/// What becomes of a datagram from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    Kissed,
    Denied,
    Limited,
}

/// A policy with the memory that it needs, made once.
pub(super) struct Guard {
    policy: Policy,
    limiter: Option<RateLimiter<RandomState>>,
}

impl Guard {
    pub(super) fn new(policy: Policy) -> Self {
        // The hash is keyed by the system's randomness, anew for each thread.
        let limiter = policy.rate.map(|rate| RateLimiter::new(rate, RandomState::new()));
        Self { policy, limiter }
    }

    pub(super) fn symmetric(&self) -> bool {
        self.policy.symmetric
    }

    /// Whether there is anything to judge by: on the way of every request.
    pub(super) fn is_open(&self) -> bool {
        self.policy.access.is_none() && self.limiter.is_none()
    }

    pub(super) fn judge(&mut self, source: SocketAddr, now: Monotonic) -> Admission {
        if self.policy.access.as_ref().is_some_and(|access| !access.admits(source.ip())) {
            return Admission::Denied;
        }
        let verdict = self.limiter.as_mut().map(|limiter| limiter.judge(source.ip(), now));
        match verdict {
            None | Some(Verdict::Answer) => Admission::Admitted,
            Some(Verdict::Kiss) => Admission::Kissed,
            Some(Verdict::Drop) => Admission::Limited,
        }
    }
}
