//! Tries that were not judged: counted, and told by one entry a minute for each token and each source.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use angbu_store::keys::UnjudgedRow;
use angbu_store::{StoreError, Tx};
use angbu_units::{CustomerId, ProvenInstant, UnixTime};

use super::UNJUDGED;
use crate::centre::{Centre, append};

/// How many tokens and sources are told apart in a minute; all others are one.
const MOST_APART: usize = 512;
/// What those others are called.
const OTHERS: &str = "others";
/// The most minutes that one turn tells.
const MINUTES_AT_ONCE: u32 = 64;

const MINUTE: i64 = 60_000_000_000;

/// Which tokens and sources were counted in the present minute.
#[derive(Default)]
pub(in crate::centre) struct Apart(Mutex<(u64, HashSet<(CustomerId, String)>)>);

impl Apart {
    /// What a try is counted about, and in which minute.
    pub(super) fn row(
        &self,
        customer: CustomerId,
        about: &str,
        reason: &'static str,
        at: UnixTime,
    ) -> UnjudgedRow {
        let minute = minute_of(at);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != minute {
            *known = (minute, HashSet::new());
        }
        let key = (customer, about.to_owned());
        let has_room = known.1.contains(&key) || known.1.len() < MOST_APART;
        let about = if has_room { about } else { OTHERS }.to_owned();
        if has_room {
            known.1.insert(key);
        }
        UnjudgedRow { minute, customer, about, reason: reason.to_owned(), count: 1 }
    }
}

fn minute_of(at: UnixTime) -> u64 {
    u64::try_from(at.nanos().div_euclid(MINUTE)).unwrap_or(0)
}

impl Centre {
    /// Tells the tries that were not judged, of every minute that is over.
    ///
    /// # Errors
    /// Where the database does not take it; what was told before stays told.
    pub async fn tell_unjudged_tries(&self) -> Result<(), StoreError> {
        let now = minute_of(self.clock.read().wall);
        for _ in 0..MINUTES_AT_ONCE {
            let any = self.store.read(move |snapshot| snapshot.has_unjudged(now)).await?;
            if !any {
                break;
            }
            let instant = self.instant();
            self.store.write(move |tx| tell(tx, now, instant)).await?;
        }
        Ok(())
    }
}

/// One entry for each customer and each token or source of a minute.
fn tell(tx: &mut Tx<'_>, before: u64, instant: ProvenInstant) -> Result<(), StoreError> {
    let mut told: BTreeMap<(CustomerId, String, u64), Vec<(String, u64)>> = BTreeMap::new();
    for row in tx.take_unjudged(before)? {
        told.entry((row.customer, row.about, row.minute)).or_default().push((row.reason, row.count));
    }
    for ((customer, about, minute), counts) in told {
        let since = i64::try_from(minute).unwrap_or(i64::MAX).saturating_mul(MINUTE);
        let mut fields = vec![
            ("about", about.into_bytes()),
            ("minute", UnixTime::from_nanos(since).rfc3339(0).into_bytes()),
        ];
        let words: Vec<String> =
            counts.into_iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        fields.push(("counts", words.join("\n").into_bytes()));
        append(tx, UNJUDGED, customer, instant, fields)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_tells_so_many_apart_and_no_more() {
        let apart = Apart::default();
        let at = UnixTime::from_nanos(90 * MINUTE / 60);
        let abouts: HashSet<String> = (0..3 * MOST_APART)
            .map(|number| apart.row(CustomerId::SITE, &number.to_string(), "unknown", at).about)
            .collect();
        assert_eq!(abouts.len(), MOST_APART + 1);
        assert!(abouts.contains(OTHERS));
        let next = apart.row(CustomerId::SITE, "new", "unknown", UnixTime::from_nanos(2 * MINUTE));
        assert_eq!((next.minute, next.about.as_str()), (2, "new"));
    }
}
