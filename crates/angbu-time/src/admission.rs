//! Who is answered, and how often: lists of networks, and a rate for each source in memory that never grows.
//!
//! The table of rates is fixed. A source that it does not know takes the place of the one that has asked least lately, and
//! begins with a full allowance. So a flood from invented sources can push others out of the table, which only forgives
//! them; it can neither make the table grow nor lock anybody out. Where a source stands is decided by a keyed hash, so that
//! nobody can aim at somebody else's place.

use core::hash::BuildHasher;
// Addresses without sockets.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use angbu_units::{Monotonic, Nanos};

/// How many sources share one place of the table, and push each other out.
const WAYS: usize = 4;

/// How many such places there are: 65,536 sources in 1.5 MiB.
const SETS: usize = 16_384;

/// Of the requests beyond the rate every fourth is answered all the same, so that whoever invents requests in the name of
/// somebody else cannot silence the server for him; chrony does so too.
const LEAK: u32 = 4;

/// And every sixteenth, which is one of those, gets the kiss code RATE (RFC 5905, section 7.4).
const KISS: u32 = 16;

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no network: write an address, or an address and the length of its prefix, \"10.0.0.0/8\" for instance"
)]
pub struct NetworkError(String);

/// An address and the length of a prefix: `10.0.0.0/8`, `fd00::/8`; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address inside an IPv6 one counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32_u32.saturating_sub(self.prefix.into());
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128_u32.saturating_sub(self.prefix.into());
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// Which networks are served: those that are allowed and not denied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessList {
    /// Served, unless denied.
    pub allow: Vec<Network>,
    /// Not served, even where allowed.
    pub deny: Vec<Network>,
}

impl AccessList {
    /// Whether an address is served.
    pub fn admits(&self, address: IpAddr) -> bool {
        let among = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        among(&self.allow) && !among(&self.deny)
    }
}

/// How often one source may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// On average once in this time, at least 1 µs.
    pub every: Nanos,
    /// And this many at once, at least 1.
    pub burst: u32,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Answer,
    /// It is answered with the kiss code RATE, which asks for fewer requests.
    Kiss,
    /// It is not answered.
    Drop,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The hash of the source; 0 where there is none.
    source: u64,
    /// When its allowance will be full again, nanoseconds of the monotonic clock (the theoretical arrival time of GCRA).
    full_at: i64,
    /// How many requests came beyond the rate.
    beyond: u32,
}

/// The rates of sources. Its memory is fixed.
#[derive(Debug)]
pub struct RateLimiter<S> {
    rate: Rate,
    hasher: S,
    entries: Box<[[Entry; WAYS]]>,
}

impl<S: BuildHasher> RateLimiter<S> {
    /// An empty table; `hasher` must be keyed by something that nobody else knows.
    pub fn new(rate: Rate, hasher: S) -> Self {
        let rate = Rate { every: rate.every.max(Nanos::from_micros(1)), burst: rate.burst.max(1) };
        Self { rate, hasher, entries: vec![[Entry::default(); WAYS]; SETS].into() }
    }

    /// What becomes of a request from this address that came now.
    pub fn judge(&mut self, address: IpAddr, now: Monotonic) -> Verdict {
        let now = now.nanos();
        // Zero stands for nobody.
        let source = self.hasher.hash_one(source(address)).max(1);
        let set = usize::try_from(source >> 32).unwrap_or(0) % SETS;
        let Some(entries) = self.entries.get_mut(set) else { return Verdict::Answer };
        let place = entries
            .iter()
            .position(|entry| entry.source == source)
            .or_else(|| (0..WAYS).min_by_key(|place| entries.get(*place).map_or(0, |entry| entry.full_at)));
        let Some(entry) = place.and_then(|place| entries.get_mut(place)) else { return Verdict::Answer };
        if entry.source != source {
            *entry = Entry { source, full_at: now, beyond: 0 };
        }
        let every = self.rate.every.count();
        let most = every.saturating_mul(i64::from(self.rate.burst - 1));
        let full_at = entry.full_at.max(now);
        if full_at.saturating_sub(now) <= most {
            entry.full_at = full_at.saturating_add(every);
            return Verdict::Answer;
        }
        entry.beyond = entry.beyond.wrapping_add(1);
        match entry.beyond {
            beyond if beyond.is_multiple_of(KISS) => Verdict::Kiss,
            beyond if beyond.is_multiple_of(LEAK) => Verdict::Answer,
            _ => Verdict::Drop,
        }
    }
}

/// What counts as one source: an IPv4 address, or the half of an IPv6 address that a site is given.
fn source(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(Ipv4Addr::to_bits(v4)),
        // No IPv6 prefix in use is as small a number as an IPv4 address.
        IpAddr::V6(v6) => u64::try_from(Ipv6Addr::to_bits(v6) >> 64).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::RandomState;

    fn at(millis: i64) -> Monotonic {
        Monotonic::from_nanos(0) + Nanos::from_millis(millis)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn limiter() -> RateLimiter<RandomState> {
        RateLimiter::new(Rate { every: Nanos::from_secs(1), burst: 3 }, RandomState::new())
    }

    #[test]
    fn networks_contain_what_they_say() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/8", "10.0.0.1", "::1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("192.0.2.0/24", "::ffff:192.0.2.9", "::ffff:192.0.3.9"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(ip(inside)), "{network:?} {inside}");
            assert!(!network.contains(ip(outside)), "{network:?} {outside}");
        }
        for text in ["", "10.0.0.0/33", "fd00::/129", "10/8", "10.0.0.0/x", "host"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let list = AccessList {
            allow: vec!["10.0.0.0/8".parse().unwrap()],
            deny: vec!["10.9.0.0/16".parse().unwrap()],
        };
        assert!(list.admits(ip("10.8.0.1")) && !list.admits(ip("10.9.0.1")) && !list.admits(ip("192.0.2.1")));
        assert!(!AccessList::default().admits(ip("127.0.0.1")));
    }

    #[test]
    fn a_source_gets_its_burst_then_its_rate_and_a_word() {
        let (mut limiter, one) = (limiter(), ip("192.0.2.1"));
        for _ in 0..3 {
            assert_eq!(limiter.judge(one, at(0)), Verdict::Answer);
        }
        let beyond: Vec<_> = (0..32).map(|_| limiter.judge(one, at(1))).collect();
        let count = |verdict| beyond.iter().filter(|found| **found == verdict).count();
        assert_eq!((count(Verdict::Kiss), count(Verdict::Answer), count(Verdict::Drop)), (2, 6, 24));
        // Another one is not touched by that; and after a second there is one more.
        assert_eq!(limiter.judge(ip("192.0.2.2"), at(1)), Verdict::Answer);
        assert_eq!(limiter.judge(one, at(1_001)), Verdict::Answer);
        assert_eq!(limiter.judge(one, at(1_001)), Verdict::Drop);
        // A patient one is always answered.
        assert!((0..100).all(|n| limiter.judge(ip("192.0.2.3"), at(n * 1_000)) == Verdict::Answer));
    }

    #[test]
    fn half_of_an_ipv6_address_is_one_source() {
        let mut limiter = limiter();
        for host in 1..=3 {
            assert_eq!(limiter.judge(ip(&format!("2001:db8::{host}")), at(0)), Verdict::Answer);
        }
        assert_eq!(limiter.judge(ip("2001:db8::4"), at(0)), Verdict::Drop);
        assert_eq!(limiter.judge(ip("2001:db8:0:1::4"), at(0)), Verdict::Answer);
    }

    #[test]
    fn a_flood_of_invented_sources_locks_nobody_out_and_grows_nothing() {
        let mut limiter = limiter();
        let patient = ip("192.0.2.1");
        for n in 0..100_000_u32 {
            let invented = IpAddr::from(Ipv4Addr::from_bits(0x0b00_0000 + n));
            assert_eq!(limiter.judge(invented, at(10)), Verdict::Answer);
            // A patient one asks every now and then, in the middle of the flood.
            if n.is_multiple_of(10_000) {
                assert_eq!(limiter.judge(patient, at(20 + i64::from(n) * 100)), Verdict::Answer);
            }
        }
        assert_eq!(limiter.entries.len() * WAYS, 65_536);
    }
}
