//! Slows down whoever guesses passwords, codes or secrets: per name and per source, growing. Failures stand in the database,
//! so that going to another centre of the site does not help.

use std::net::IpAddr;

use angbu_requests::Tries;
use angbu_store::StoreError;
use angbu_units::{CustomerId, Nanos};

use super::Centre;
use crate::problem::Refusal;

/// What is counted under: what was tried, and from where.
pub(crate) struct Tried(Vec<String>);

impl Tried {
    /// From this address. Whoever has one IPv6 address has all of its network.
    pub(crate) fn from(source: IpAddr) -> Self {
        let source = match source.to_canonical() {
            IpAddr::V6(address) => IpAddr::from((address.to_bits() & !u128::from(u64::MAX)).to_be_bytes()),
            address @ IpAddr::V4(_) => address,
        };
        Self(vec![format!("source {source}")])
    }

    /// A member of the staff, from wherever.
    pub(crate) fn of_staff(name: &str) -> Self {
        Self(Vec::new()).staff(name)
    }

    /// A member of the staff, by what was typed for the name.
    pub(crate) fn staff(mut self, name: &str) -> Self {
        self.0.push(format!("staff {}", name.chars().take(64).collect::<String>()));
        self
    }

    /// A customer's person, by what was typed for the login id.
    pub(crate) fn person(mut self, customer: CustomerId, login: &str) -> Self {
        self.0.push(format!("person {customer} {}", login.chars().take(64).collect::<String>()));
        self
    }

    /// What was tried, without from where: success under a name forgives what was tried under it, and not the guesses that
    /// the same source made under others.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|tried| !tried.starts_with("source "))
    }
}

impl Centre {
    /// Whether a try may be made now.
    pub(crate) async fn may_try(&self, tried: &Tried) -> Result<(), Refusal> {
        let now = self.clock.read().wall;
        let tried = tried.0.clone();
        let waits = self.store.read(move |snapshot| {
            let failures = tried.iter().map(|tried| snapshot.failures(tried));
            let failures = failures.collect::<Result<Vec<_>, StoreError>>()?;
            Ok::<_, StoreError>(
                failures
                    .into_iter()
                    .flatten()
                    .filter_map(|(failures, last)| Tries { failures, last }.wait(now))
                    .max(),
            )
        });
        match waits.await? {
            Some(wait) => Err(Refusal::Throttled { seconds: seconds_up(wait) }),
            None => Ok(()),
        }
    }

    /// Notes that a try failed.
    pub(crate) async fn try_failed(&self, tried: &Tried) -> Result<(), StoreError> {
        let now = self.clock.read().wall;
        let mut tried = tried.0.clone();
        // Every transaction takes the rows in the same order, so that none waits for another in a circle.
        tried.sort_unstable();
        self.store.write(move |tx| tried.iter().try_for_each(|tried| tx.note_failure(tried, now))).await
    }

    /// Notes that a try succeeded.
    pub(crate) async fn try_succeeded(&self, tried: &Tried) -> Result<(), StoreError> {
        let names: Vec<_> = tried.names().cloned().collect();
        let looked = names.clone();
        let failed = self.store.read(move |snapshot| {
            looked
                .iter()
                .try_fold(false, |any, tried| Ok::<_, StoreError>(any | snapshot.failures(tried)?.is_some()))
        });
        if failed.await? {
            self.store.write(move |tx| names.iter().try_for_each(|tried| tx.forget_failures(tried))).await?;
        }
        Ok(())
    }
}

/// Whole seconds that are surely long enough.
pub(crate) fn seconds_up(wait: Nanos) -> u64 {
    u64::try_from(wait.count() / 1_000_000_000).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_source() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let key = |text: &str| Tried::from(text.parse().unwrap()).0;
            assert_eq!(key(one) == key(other), same, "{one} {other}");
        }
    }
}
