//! What was looked up a moment ago, so that a busy caller's token and customer are not read from the database
//! a thousand times a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use angbu_units::{Monotonic, Nanos};

/// How long something looked up is taken for true: a token revoked at another centre ends this much later here.
const FRESH: Nanos = Nanos::from_secs(1);
/// The most that is remembered; when it is full everything is forgotten and looked up again.
const MOST: usize = 1_024;

/// Answers of the last second by their question. Only what was found is remembered.
pub(crate) struct Recent<K, V>(Mutex<HashMap<K, (Monotonic, V)>>);

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// What was found within the last second.
    pub(crate) fn get(&self, key: &K, now: Monotonic) -> Option<V> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, value) = found.get(key)?;
        (now - *at < FRESH).then(|| value.clone())
    }

    /// Remembers what was just found.
    pub(crate) fn put(&self, key: K, value: V, now: Monotonic) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MOST {
            found.clear();
        }
        found.insert(key, (now, value));
    }

    /// Forgets everything, because something was changed here.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_fresh_for_a_second_and_memory_is_bounded() {
        let recent = Recent::new();
        let at = |millis: i64| Monotonic::from_nanos(millis * 1_000_000);
        recent.put(1, "one", at(0));
        assert_eq!(recent.get(&1, at(999)), Some("one"));
        assert_eq!(recent.get(&1, at(1_000)), None);
        assert_eq!(recent.get(&2, at(0)), None);
        recent.forget();
        assert_eq!(recent.get(&1, at(0)), None);
        for key in 0..5_000 {
            recent.put(key, "more", at(0));
        }
        assert!(recent.0.lock().unwrap().len() <= MOST);
    }
}
