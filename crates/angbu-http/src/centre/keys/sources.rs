//! Slows down whoever fails from one source, ever longer, in bounded memory.
//!
//! The wait of a person stands in the database, where every centre sees it; this is only about those who try many persons.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use angbu_units::{CustomerId, Monotonic, Nanos};

/// Failures that cost nothing from a source that a relying party names: the browser of one person, or of a few.
const FREE_OF_A_BROWSER: u32 = 20;
/// Failures that cost nothing from a relying party that does not say for whom it asks: it asks for everybody.
const FREE_OF_A_RELYING_PARTY: u32 = 2_000;
/// The first wait; it doubles with each further failure.
const FIRST_WAIT: Nanos = Nanos::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: Nanos = Nanos::from_secs(300);
/// After this time without a failure a source begins anew. A success forgives nothing: whoever guesses may have one key.
const FORGOTTEN: Nanos = Nanos::from_secs(900);
/// Sources remembered at once. When they are full, the one that failed longest ago makes room.
const MOST: usize = 4_096;

struct Failures {
    count: u32,
    last: Monotonic,
}

/// A source as it is counted: its network, and whether a relying party named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) customer: CustomerId,
    pub(crate) prefix: String,
    pub(crate) is_named: bool,
}

/// Failures by source.
#[derive(Default)]
pub(in crate::centre) struct Sources(Mutex<HashMap<Source, Failures>>);

impl Sources {
    /// How long a source must still wait; `None` when it may try now.
    pub(super) fn wait(&self, source: &Source, now: Monotonic) -> Option<Nanos> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.get(source).filter(|failed| now - failed.last < FORGOTTEN)?;
        let free = if source.is_named { FREE_OF_A_BROWSER } else { FREE_OF_A_RELYING_PARTY };
        let more = failed.count.checked_sub(free)?;
        let left = FIRST_WAIT.times(1 << more.min(6)).min(LONGEST_WAIT) - (now - failed.last);
        (left > Nanos::ZERO).then_some(left)
    }

    /// Notes a failure.
    pub(super) fn failed(&self, source: &Source, now: Monotonic) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST && !failures.contains_key(source) {
            let oldest = failures.iter().min_by_key(|(_, failed)| failed.last).map(|(key, _)| key.clone());
            oldest.map(|oldest| failures.remove(&oldest));
        }
        let failed = failures.entry(source.clone()).or_insert(Failures { count: 0, last: now });
        if now - failed.last >= FORGOTTEN {
            failed.count = 0;
        }
        failed.count = failed.count.saturating_add(1);
        failed.last = now;
    }
}

/// The network that an address is counted by: 24 bits of an IPv4 address, 48 of an IPv6 one, as whoever has one has many.
pub(crate) fn prefix(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(is_named: bool) -> Source {
        Source { customer: CustomerId::SITE, prefix: prefix("192.0.2.7".parse().unwrap()), is_named }
    }

    #[test]
    fn waits_grow_for_a_browser_and_a_relying_party_has_room() {
        let (sources, at) = (Sources::default(), |s: i64| Monotonic::from_nanos(s * 1_000_000_000));
        for _ in 0..19 {
            sources.failed(&source(true), at(0));
            sources.failed(&source(false), at(0));
        }
        assert_eq!(sources.wait(&source(true), at(0)), None);
        sources.failed(&source(true), at(0));
        assert_eq!(sources.wait(&source(true), at(0)), Some(Nanos::from_secs(5)));
        sources.failed(&source(true), at(5));
        assert_eq!(sources.wait(&source(true), at(5)), Some(Nanos::from_secs(10)));
        for _ in 0..30 {
            sources.failed(&source(true), at(20));
        }
        assert_eq!(sources.wait(&source(true), at(20)), Some(Nanos::from_secs(300)));
        assert_eq!(sources.wait(&source(true), at(920)), None);
        assert_eq!(sources.wait(&source(false), at(0)), None);
    }

    #[test]
    fn sources_are_networks_and_memory_is_bounded() {
        for (address, network) in [
            ("192.0.2.200", "192.0.2.0/24"),
            ("::ffff:192.0.2.200", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(prefix(address.parse().unwrap()), network);
        }
        let sources = Sources::default();
        for number in 0..3 * MOST {
            let other = Source { prefix: number.to_string(), ..source(true) };
            sources.failed(&other, Monotonic::from_nanos(i64::try_from(number).unwrap()));
        }
        assert!(sources.0.lock().unwrap().len() <= MOST);
    }
}
