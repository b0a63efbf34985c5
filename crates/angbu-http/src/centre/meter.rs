//! Lets so much through in a minute for each key, in bounded memory: for what needs no guessing and still costs something.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use angbu_units::{Monotonic, Nanos};

const MINUTE: Nanos = Nanos::from_secs(60);
/// Keys remembered at once. When they are full, those whose minute is over make room, and if there are none, all do.
const MOST_KEYS: usize = 4_096;

/// Counts by key and minute; the minute begins with the first.
pub(crate) struct Meter<K> {
    most: u32,
    counts: Mutex<HashMap<K, (Monotonic, u32)>>,
}

impl<K: Hash + Eq> Meter<K> {
    /// Lets `most` through in a minute.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, counts: Mutex::new(HashMap::new()) }
    }

    /// Counts one; the wait until the key's next minute where it is one too many.
    pub(crate) fn take(&self, key: K, now: Monotonic) -> Result<(), Nanos> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_KEYS && !counts.contains_key(&key) {
            counts.retain(|_, (since, _)| now - *since < MINUTE);
            if counts.len() >= MOST_KEYS {
                counts.clear();
            }
        }
        let (since, count) = counts.entry(key).or_insert((now, 0));
        if now - *since >= MINUTE {
            (*since, *count) = (now, 0);
        }
        if *count >= self.most {
            return Err(MINUTE - (now - *since));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_minute() {
        let meter = Meter::new(2);
        let at = |seconds: i64| Monotonic::from_nanos(seconds * 1_000_000_000);
        assert_eq!([meter.take("a", at(0)), meter.take("a", at(10))], [Ok(()), Ok(())]);
        assert_eq!(meter.take("a", at(20)), Err(Nanos::from_secs(40)));
        assert_eq!([meter.take("b", at(20)), meter.take("a", at(60))], [Ok(()), Ok(())]);
    }

    #[test]
    fn memory_is_bounded() {
        let meter = Meter::new(1);
        for key in 0..3 * MOST_KEYS {
            assert_eq!(meter.take(key, Monotonic::from_nanos(0)), Ok(()));
        }
        assert!(meter.counts.lock().unwrap().len() <= MOST_KEYS);
    }
}
