//! Slows down whoever guesses passwords or codes: per name and per source, growing, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use angbu_units::{Monotonic, Nanos};

/// Failures that cost nothing.
const FREE: u32 = 5;
/// The wait after the first failure beyond those; it doubles with each further one.
const FIRST_WAIT: Nanos = Nanos::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: Nanos = Nanos::from_secs(300);
/// Keys remembered at once. When they are full, the one that failed longest ago makes room.
const MOST_KEYS: usize = 4_096;

struct Failures {
    count: u32,
    last: Monotonic,
}

/// Remembers failures by key. It forgets them on success, and by itself once the wait has long passed.
pub(crate) struct Throttle<K>(Mutex<HashMap<K, Failures>>);

impl<K: Hash + Eq + Clone> Throttle<K> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// How long `key` must still wait; `None` when it may try now.
    pub(crate) fn wait(&self, key: &K, now: Monotonic) -> Option<Nanos> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.get(key)?;
        let left = wait_after(failed.count) - (now - failed.last);
        (left > Nanos::ZERO).then_some(left)
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, key: K, now: Monotonic) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST_KEYS && !failures.contains_key(&key) {
            let oldest = failures.iter().min_by_key(|(_, failed)| failed.last).map(|(key, _)| key.clone());
            oldest.map(|oldest| failures.remove(&oldest));
        }
        let failed = failures.entry(key).or_insert(Failures { count: 0, last: now });
        failed.count = failed.count.saturating_add(1);
        failed.last = now;
    }

    /// Forgets a key's failures.
    pub(crate) fn succeeded(&self, key: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn wait_after(failures: u32) -> Nanos {
    match failures.checked_sub(FREE) {
        None => Nanos::ZERO,
        Some(more) => FIRST_WAIT.times(1 << more.min(6)).min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let throttle = Throttle::new();
        let at = |seconds: i64| Monotonic::from_nanos(seconds * 1_000_000_000);
        for second in 0..4 {
            throttle.failed("a", at(second));
            assert_eq!(throttle.wait(&"a", at(second)), None);
        }
        throttle.failed("a", at(4));
        assert_eq!(throttle.wait(&"a", at(4)), Some(Nanos::from_secs(5)));
        assert_eq!(throttle.wait(&"a", at(9)), None);
        assert_eq!(throttle.wait(&"b", at(4)), None);
        for _ in 0..100 {
            throttle.failed("a", at(10));
        }
        assert_eq!(throttle.wait(&"a", at(10)), Some(Nanos::from_secs(300)));
        throttle.succeeded(&"a");
        assert_eq!(throttle.wait(&"a", at(10)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new();
        for key in 0..3 * MOST_KEYS {
            throttle.failed(key, Monotonic::from_nanos(i64::try_from(key).unwrap()));
        }
        assert_eq!(throttle.0.lock().unwrap().len(), MOST_KEYS);
    }
}
