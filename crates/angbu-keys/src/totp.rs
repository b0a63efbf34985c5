//! TOTP (RFC 6238): a key from the time.

use angbu_units::{CycleTime, Nanos, UnixTime};

use crate::{Algorithm, Digits, OneTimeKey, hotp};

/// How many digits a key of ours has: 8 where the cycle is under 15 s, since guesses come oftener there, else 6.
pub fn digits(cycle: CycleTime) -> Digits {
    if cycle.seconds() < 15 { Digits::EIGHT } else { Digits::SIX }
}

/// The step in which an instant lies (RFC 6238, section 4.2, with T0 = 0); the zeroth for instants before 1970.
pub fn step_at(time: UnixTime, cycle: CycleTime) -> u64 {
    u64::try_from(time.nanos().div_euclid(cycle.length().count())).unwrap_or(0)
}

/// When a step begins; the next one begins when it ends.
pub fn begin_of(step: u64, cycle: CycleTime) -> UnixTime {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    UnixTime::from_nanos(step.saturating_mul(Nanos::count(cycle.length())))
}

/// The key of a step (RFC 6238, section 4).
pub fn key(algorithm: Algorithm, secret: &[u8], step: u64, digits: Digits) -> OneTimeKey {
    hotp::key(algorithm, secret, step, digits)
}

/// The key of an event within a step: the first is the step's own, and each further one differs from it.
///
/// A further one's HMAC runs over the step and the event, eight bytes each, so it is longer than what any step's own runs over.
pub fn event_key(algorithm: Algorithm, secret: &[u8], step: u64, event: u64, digits: Digits) -> OneTimeKey {
    match event {
        0 => key(algorithm, secret, step, digits),
        _ => hotp::truncated(algorithm, secret, &[&step.to_be_bytes(), &event.to_be_bytes()], digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// RFC 6238, appendix B.
    #[test]
    fn the_rfcs_vectors() {
        let thirty = CycleTime::new(30).unwrap();
        let seconds = [59, 1_111_111_109, 1_111_111_111, 1_234_567_890, 2_000_000_000, 20_000_000_000_i64];
        for (algorithm, length, expected) in [
            (Algorithm::Sha1, 20, ["94287082", "07081804", "14050471", "89005924", "69279037", "65353130"]),
            (Algorithm::Sha256, 32, ["46119246", "68084774", "67062674", "91819424", "90698825", "77737706"]),
            (Algorithm::Sha512, 64, ["90693936", "25091201", "99943326", "93441116", "38618901", "47863826"]),
        ] {
            let secret: Vec<u8> = b"1234567890".iter().copied().cycle().take(length).collect();
            for (second, key) in seconds.into_iter().zip(expected) {
                // The last one lies beyond what nanoseconds in 64 bits reach.
                let step = match second.checked_mul(1_000_000_000) {
                    Some(nanos) => step_at(UnixTime::from_nanos(nanos), thirty),
                    None => u64::try_from(second / 30).unwrap(),
                };
                assert_eq!(super::key(algorithm, &secret, step, Digits::EIGHT).reveal(), key, "{second}");
            }
        }
    }

    #[test]
    fn steps_follow_one_another_without_a_gap() {
        for seconds in 3..=60 {
            let cycle = CycleTime::new(seconds).unwrap();
            for step in [0, 1, 7, 58_000_000, 120_000_000] {
                let begin = begin_of(step, cycle);
                assert_eq!(step_at(begin, cycle), step);
                assert_eq!(step_at(begin + cycle.length() - Nanos::new(1), cycle), step);
                assert_eq!(begin + cycle.length(), begin_of(step + 1, cycle));
            }
            assert_eq!(digits(cycle).count(), if seconds < 15 { 8 } else { 6 });
        }
        assert_eq!(step_at(UnixTime::from_nanos(-1), CycleTime::new(3).unwrap()), 0);
    }

    #[test]
    fn each_event_of_a_step_has_a_key_of_its_own() {
        let keys: BTreeSet<String> = (0..10)
            .map(|event| event_key(Algorithm::Sha256, &[7; 32], 58_000_000, event, Digits::EIGHT).reveal())
            .collect();
        assert_eq!(keys.len(), 10);
        let first = key(Algorithm::Sha256, &[7; 32], 58_000_000, Digits::EIGHT).reveal();
        assert!(keys.contains(&first));
    }
}
