//! Slows down whoever guesses passwords, codes or secrets: per name and per source, growing. Failures stand in the database,
//! so that going to another centre of the site does not help.

use std::net::IpAddr;

use angbu_requests::{Allowance, Tries};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{CustomerId, Nanos, UnixTime};

use super::Centre;
use crate::problem::Refusal;

/// Something that failures are counted under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    what: String,
    /// Success under a name forgives what was tried under it, and not the guesses that the same place made under others.
    is_name: bool,
    allowance: Allowed,
}

/// Which allowance somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Allowed {
    One,
    Place,
    RelyingParty,
}

impl Allowed {
    const fn allowance(self) -> Allowance {
        match self {
            Self::One => Allowance::ONE,
            Self::Place => Allowance::PLACE,
            Self::RelyingParty => Allowance::RELYING_PARTY,
        }
    }
}

impl Counted {
    fn name(what: String) -> Self {
        Self { what, is_name: true, allowance: Allowed::One }
    }

    /// Keys from a network, as a relying party says of somebody or as it asks for everybody.
    pub(crate) fn keys(customer: CustomerId, network: &str, is_named: bool) -> Self {
        let (word, allowance) =
            if is_named { ("source", Allowed::Place) } else { ("relying party", Allowed::RelyingParty) };
        Self { what: format!("keys {customer} {word} {network}"), is_name: false, allowance }
    }

    /// How long the next try must wait.
    pub(crate) fn wait(&self, snapshot: &Snapshot<'_>, now: UnixTime) -> Result<Option<Nanos>, StoreError> {
        let found = snapshot.failures(&self.what)?;
        let found = found.map(|(failures, last)| Tries { failures, last });
        Ok(found.and_then(|tries| tries.wait(&self.allowance.allowance(), now)))
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, tx: &mut Tx<'_>, now: UnixTime) -> Result<(), StoreError> {
        tx.note_failure(&self.what, self.allowance.allowance().within, now)
    }
}

/// What is counted under: what was tried, and from where.
pub(crate) struct Tried(Vec<Counted>);

impl Tried {
    /// Somebody who has a code, a link or an address with a secret in it, which nobody mistypes often.
    pub(crate) fn secret(source: IpAddr) -> Self {
        let what = format!("secrets from {}", host(source));
        Self(vec![Counted { what, is_name: false, allowance: Allowed::One }])
    }

    /// Somebody who signs in from a place, where others may sit as well.
    pub(crate) fn from(source: IpAddr) -> Self {
        let what = format!("signs in from {}", host(source));
        Self(vec![Counted { what, is_name: false, allowance: Allowed::Place }])
    }

    /// A member of the staff, from wherever.
    pub(crate) fn of_staff(name: &str) -> Self {
        Self(Vec::new()).staff(name)
    }

    /// A member of the staff, by what was typed for the name.
    pub(crate) fn staff(mut self, name: &str) -> Self {
        self.0.push(Counted::name(format!("staff {}", name.chars().take(64).collect::<String>())));
        self
    }

    /// A customer's person, by what was typed for the login id.
    pub(crate) fn person(mut self, customer: CustomerId, login: &str) -> Self {
        let login = login.chars().take(64).collect::<String>();
        self.0.push(Counted::name(format!("person {customer} {login}")));
        self
    }

    /// What was tried, without from where.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|counted| counted.is_name).map(|counted| &counted.what)
    }
}

/// An address as it is counted: whoever has one IPv6 address has all of its network.
fn host(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::from((address.to_bits() & !u128::from(u64::MAX)).to_be_bytes()),
        address @ IpAddr::V4(_) => address,
    }
}

/// The network that an address is counted by where many persons are asked about: 24 bits of an IPv4 address, 48 of an IPv6
/// one, as whoever has one has many.
pub(crate) fn network(address: IpAddr) -> String {
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

impl Centre {
    /// Whether a try may be made now.
    pub(crate) async fn may_try(&self, tried: &Tried) -> Result<(), Refusal> {
        let now = self.clock.read().wall;
        let tried = tried.0.clone();
        let waits = self.store.read(move |snapshot| {
            let waits = tried.iter().map(|counted| counted.wait(snapshot, now));
            Ok::<_, StoreError>(waits.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().max())
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
        self.store.write(move |tx| tried.iter().try_for_each(|counted| counted.failed(tx, now))).await
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
    fn an_address_counts_as_its_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let host = |text: &str| host(text.parse().unwrap());
            assert_eq!(host(one) == host(other), same, "{one} {other}");
        }
        for (address, found) in [
            ("192.0.2.200", "192.0.2.0/24"),
            ("::ffff:192.0.2.200", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(network(address.parse().unwrap()), found);
        }
    }
}
