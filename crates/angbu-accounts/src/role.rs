//! Roles: named sets of scopes, and how far they reach.

use std::fmt;
use std::str::FromStr;

use angbu_units::CustomerId;

use crate::{Scope, Scopes};

/// What somebody or something is to the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs the site.
    Operator,
    /// Runs what belongs to one customer.
    CustomerAdmin,
    /// Adds people of one customer, and changes their joining data.
    Registrar,
    /// Reads what is to be audited, of one customer or of the whole site.
    Auditor,
    /// An application that asks the centre, by a token.
    RelyingParty,
    /// An agent: nothing by a token; each of its uploads is signed with its own key.
    Agent,
    /// A device or host: nothing by a token.
    Device,
}

/// Why a role cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// A word that names no role of the staff.
    #[error("'{0}' is no role of the staff; the roles are operator, customer-admin, registrar and auditor")]
    Unknown(String),
    /// An operator is for the whole site.
    #[error("an operator runs the whole site and belongs to no customer; leave the customer away")]
    OfTheSite,
    /// A role that is for one customer.
    #[error("a {} is for one customer; name it", .0.word())]
    OfACustomer(Role),
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Operator,
        Self::CustomerAdmin,
        Self::Registrar,
        Self::Auditor,
        Self::RelyingParty,
        Self::Agent,
        Self::Device,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::CustomerAdmin => "customer-admin",
            Self::Registrar => "registrar",
            Self::Auditor => "auditor",
            Self::RelyingParty => "relying-party",
            Self::Agent => "agent",
            Self::Device => "device",
        }
    }

    /// Whether somebody who signs in to the console can have it.
    pub const fn is_of_the_staff(self) -> bool {
        matches!(self, Self::Operator | Self::CustomerAdmin | Self::Registrar | Self::Auditor)
    }

    /// What it allows whom it was given to with this reach.
    pub fn scopes(self, reach: Reach) -> Scopes {
        let scopes: &[Scope] = match self {
            Self::Operator => &[Scope::Operator],
            Self::CustomerAdmin => &[
                Scope::CustomersRead,
                Scope::CustomersChange,
                Scope::StaffManage,
                Scope::TokensManage,
                Scope::PeopleRead,
                Scope::PeopleManage,
                Scope::MachinesManage,
                Scope::EnrolmentsMake,
                Scope::TimeRead,
                Scope::TimeReport,
                Scope::EvidenceRead,
                Scope::EvidenceAppend,
                Scope::EvidenceErase,
                Scope::KeysVerify,
                Scope::KeysRead,
                Scope::KeysManage,
                Scope::RequestsMake,
                Scope::RequestsRead,
            ],
            Self::Registrar => &[
                Scope::CustomersRead,
                Scope::PeopleRead,
                Scope::PeopleManage,
                Scope::EnrolmentsMake,
                Scope::KeysRead,
                Scope::KeysManage,
            ],
            Self::Auditor => &[
                Scope::SiteRead,
                Scope::CustomersRead,
                Scope::TimeRead,
                Scope::TimeReport,
                Scope::EvidenceRead,
                Scope::KeysRead,
                Scope::RequestsRead,
            ],
            Self::RelyingParty => &[Scope::EvidenceAppend, Scope::KeysVerify, Scope::RequestsMake],
            Self::Agent | Self::Device => &[],
        };
        let whole = reach == Reach::Site;
        // What an operator may do is written out where somebody reads it.
        let all = if self == Self::Operator { &Scope::ALL } else { scopes };
        Scopes::of(all.iter().copied().filter(|scope| whole || !scope.is_of_the_site()))
    }

    /// Whether it can be given with this reach.
    ///
    /// # Errors
    /// [`RoleError::OfTheSite`] or [`RoleError::OfACustomer`] where it cannot.
    pub fn check(self, reach: Reach) -> Result<(), RoleError> {
        match (self, reach) {
            (Self::Operator, Reach::Customer(_)) => Err(RoleError::OfTheSite),
            (Self::Operator | Self::Auditor, Reach::Site) | (_, Reach::Customer(_)) => Ok(()),
            (_, Reach::Site) => Err(RoleError::OfACustomer(self)),
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;

    /// Reads a role of the staff.
    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.is_of_the_staff() && role.word() == text)
            .ok_or_else(|| RoleError::Unknown(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How far a caller's scopes reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The whole site.
    Site,
    /// What belongs to one customer.
    Customer(CustomerId),
}

impl Reach {
    /// The reach that is stored as this customer: [`CustomerId::SITE`] is the whole site.
    pub fn of(customer: CustomerId) -> Self {
        if customer == CustomerId::SITE { Self::Site } else { Self::Customer(customer) }
    }

    /// The one customer that it is bound to; `None` for the whole site.
    pub const fn customer(self) -> Option<CustomerId> {
        match self {
            Self::Site => None,
            Self::Customer(customer) => Some(customer),
        }
    }

    /// The customer that stands for it in a row: [`CustomerId::SITE`] for the whole site.
    pub const fn stored(self) -> CustomerId {
        match self {
            Self::Site => CustomerId::SITE,
            Self::Customer(customer) => customer,
        }
    }

    /// Whether what belongs to this customer lies within. What is the site's own belongs to [`CustomerId::SITE`],
    /// and lies within the whole site only.
    pub fn covers(self, customer: CustomerId) -> bool {
        match self {
            Self::Site => true,
            Self::Customer(own) => own == customer && customer != CustomerId::SITE,
        }
    }

    /// What is left of it when only this customer is asked for, or all that there is; `None` for a customer outside.
    pub fn narrow(self, wanted: Option<CustomerId>) -> Option<Self> {
        match wanted {
            None => Some(self),
            Some(customer) => self.covers(customer).then_some(Self::of(customer)),
        }
    }
}

/// What a caller may do, and how far that reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What.
    pub scopes: Scopes,
    /// How far.
    pub reach: Reach,
}

impl Grant {
    /// What a role gives with a reach.
    pub fn of(role: Role, reach: Reach) -> Self {
        Self { scopes: role.scopes(reach), reach }
    }

    /// How far the caller's allowance for `scope` reaches, if there is one. What is of the whole site is never
    /// allowed to whom one customer is the limit, whatever was written down.
    pub fn allows(&self, scope: Scope) -> Option<Reach> {
        let everywhere = self.reach == Reach::Site;
        let operator = everywhere && self.scopes.allow(Scope::Operator);
        let own = self.scopes.iter().any(|own| own == scope) && (everywhere || !scope.is_of_the_site());
        (operator || own).then_some(self.reach)
    }

    /// Nobody hands out what they do not have: the first scope of `given` that is not within this, or `None` when
    /// `given` may be handed out. A reach that is not within lacks all of them.
    pub fn lacks(&self, given: &Self) -> Option<Scope> {
        let within = self.reach.narrow(given.reach.customer()) == Some(given.reach);
        // Nothing at all, given beyond one's reach, is refused as well.
        let first = given.scopes.iter().next().unwrap_or(Scope::Operator);
        if within { given.scopes.iter().find(|scope| self.allows(*scope).is_none()) } else { Some(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: CustomerId = CustomerId::from_bytes([1; 16]);
    const B: CustomerId = CustomerId::from_bytes([2; 16]);

    #[test]
    fn a_reach_covers_its_own_and_nothing_else() {
        for (reach, customer, covered) in [
            (Reach::Site, A, true),
            (Reach::Site, CustomerId::SITE, true),
            (Reach::Customer(A), A, true),
            (Reach::Customer(A), B, false),
            (Reach::Customer(A), CustomerId::SITE, false),
            // A row that was stored for the whole site by mistake of ours opens nothing through this.
            (Reach::Customer(CustomerId::SITE), CustomerId::SITE, false),
        ] {
            assert_eq!(reach.covers(customer), covered, "{reach:?} {customer}");
        }
        assert_eq!(Reach::Site.narrow(Some(A)), Some(Reach::Customer(A)));
        assert_eq!(Reach::Customer(A).narrow(None), Some(Reach::Customer(A)));
        assert_eq!(Reach::Customer(A).narrow(Some(B)), None);
    }

    #[test]
    fn roles_are_given_where_they_belong() {
        let (site, one) = (Reach::Site, Reach::Customer(A));
        for (role, of_site, of_customer) in [
            (Role::Operator, true, false),
            (Role::CustomerAdmin, false, true),
            (Role::Registrar, false, true),
            (Role::Auditor, true, true),
            (Role::RelyingParty, false, true),
        ] {
            assert_eq!((role.check(site).is_ok(), role.check(one).is_ok()), (of_site, of_customer), "{role}");
        }
        for word in ["operator", "customer-admin", "registrar", "auditor"] {
            assert_eq!(word.parse::<Role>().map(Role::word), Ok(word));
        }
        for word in ["agent", "device", "relying-party", "root", "Operator", "\u{43e}perator"] {
            assert!(word.parse::<Role>().is_err(), "{word}");
        }
    }

    #[test]
    fn nobody_hands_out_what_they_do_not_have() {
        let operator = Grant::of(Role::Operator, Reach::Site);
        let admin = Grant::of(Role::CustomerAdmin, Reach::Customer(A));
        let registrar = Grant::of(Role::Registrar, Reach::Customer(A));
        let auditor = Grant::of(Role::Auditor, Reach::Site);
        for given in [&operator, &admin, &registrar, &auditor] {
            assert_eq!(operator.lacks(given), None);
        }
        assert_eq!(admin.lacks(&registrar), None);
        assert_eq!(admin.lacks(&Grant::of(Role::Auditor, Reach::Customer(A))), None);
        assert_eq!(admin.lacks(&operator), Some(Scope::Operator));
        assert_eq!(admin.lacks(&auditor), Some(Scope::SiteRead));
        assert!(admin.lacks(&Grant::of(Role::Registrar, Reach::Customer(B))).is_some());
        assert!(admin.lacks(&Grant { scopes: Scopes::default(), reach: Reach::Site }).is_some());
        assert_eq!(registrar.lacks(&admin), Some(Scope::CustomersChange));
        // What is written down wrongly gives nothing.
        let odd = Grant { scopes: Scopes::of([Scope::Operator]), reach: Reach::Customer(A) };
        assert!(Scope::ALL.into_iter().all(|scope| odd.allows(scope).is_none()));
    }

    proptest! {
        /// Whatever is handed out, and handed on, is never more than whoever began had.
        #[test]
        fn handing_on_gives_no_more(bits in proptest::array::uniform3(any::<u32>()), places in proptest::array::uniform3(0u8..3)) {
            let grant = |bits: u32, place: u8| Grant {
                scopes: Scopes::of(Scope::ALL.into_iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, scope)| scope)),
                reach: match place { 0 => Reach::Site, 1 => Reach::Customer(A), _ => Reach::Customer(B) },
            };
            let [first, second, third] = [0, 1, 2].map(|n: usize| grant(bits[n], places[n]));
            if first.lacks(&second).is_none() && second.lacks(&third).is_none() {
                for scope in Scope::ALL {
                    if let Some(reach) = third.allows(scope) {
                        let had = first.allows(scope).expect("whoever began had it");
                        prop_assert_eq!(had.narrow(reach.customer()), Some(reach));
                    }
                }
            }
        }
    }
}
