//! What a caller may do: scopes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything, in the whole site.
    Operator,
    /// Reading what is the site's own: its state, the whole log, its entry tiles.
    SiteRead,
    /// Reading customers, their machines and their settings.
    CustomersRead,
    /// Changing a customer's settings.
    CustomersChange,
    /// Making staff, changing what they may do, and giving them new passwords.
    StaffManage,
    /// Making and revoking API tokens.
    TokensManage,
    /// Reading the joining data of people.
    PeopleRead,
    /// Adding people and changing their joining data.
    PeopleManage,
    /// Letting agents, hosts and relying parties in, and shutting them out.
    MachinesManage,
    /// Making enrolment codes: for people with [`Self::PeopleManage`], for all else with [`Self::MachinesManage`].
    EnrolmentsMake,
    /// Reading agents, their graphs and live news.
    TimeRead,
    /// Making time reports.
    TimeReport,
    /// Reading entries, receipts and, in the whole site, entry tiles: an auditor's scope.
    EvidenceRead,
    /// Appending statements to the log (`evidence.note` entries).
    EvidenceAppend,
    /// Erasing fields of entries, and people.
    EvidenceErase,
    /// Asking whether a one-time key is good: a relying party's scope.
    KeysVerify,
    /// Reading tokens, the tries against them and the policy, never a secret.
    KeysRead,
    /// Giving people tokens and taking them back, unlocking, and setting the policy.
    KeysManage,
    /// Making one-time keys in people's stead, which proves nothing about them.
    KeysGenerate,
    /// Asking people to sign in or to agree to something: a relying party's scope. It reads what it asked itself.
    RequestsMake,
    /// Reading what relying parties asked, and how it ended.
    RequestsRead,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 21] = [
        Self::Operator,
        Self::SiteRead,
        Self::CustomersRead,
        Self::CustomersChange,
        Self::StaffManage,
        Self::TokensManage,
        Self::PeopleRead,
        Self::PeopleManage,
        Self::MachinesManage,
        Self::EnrolmentsMake,
        Self::TimeRead,
        Self::TimeReport,
        Self::EvidenceRead,
        Self::EvidenceAppend,
        Self::EvidenceErase,
        Self::KeysVerify,
        Self::KeysRead,
        Self::KeysManage,
        Self::KeysGenerate,
        Self::RequestsMake,
        Self::RequestsRead,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::SiteRead => "site.read",
            Self::CustomersRead => "customers.read",
            Self::CustomersChange => "customers.change",
            Self::StaffManage => "staff.manage",
            Self::TokensManage => "tokens.manage",
            Self::PeopleRead => "people.read",
            Self::PeopleManage => "people.manage",
            Self::MachinesManage => "machines.manage",
            Self::EnrolmentsMake => "enrolments.make",
            Self::TimeRead => "time.read",
            Self::TimeReport => "time.report",
            Self::EvidenceRead => "evidence.read",
            Self::EvidenceAppend => "evidence.append",
            Self::EvidenceErase => "evidence.erase",
            Self::KeysVerify => "keys.verify",
            Self::KeysRead => "keys.read",
            Self::KeysManage => "keys.manage",
            Self::KeysGenerate => "keys.generate",
            Self::RequestsMake => "requests.make",
            Self::RequestsRead => "requests.read",
        }
    }

    /// Whether it means something in the whole site only, and never for one customer.
    pub const fn is_of_the_site(self) -> bool {
        matches!(self, Self::Operator | Self::SiteRead)
    }
}

/// A word that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no scope; the scopes are {all}", all = words())]
pub struct UnknownScope(String);

fn words() -> String {
    Scope::ALL.map(Scope::word).join(", ")
}

/// What one caller may do: scopes, each once, written as words with a space between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// These scopes.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().collect())
    }

    /// Whether `wanted` is allowed; an operator is allowed everything.
    pub fn allow(&self, wanted: Scope) -> bool {
        self.0.contains(&wanted) || self.0.contains(&Scope::Operator)
    }

    /// The scopes, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split_ascii_whitespace()
            .map(|word| {
                Scope::ALL
                    .into_iter()
                    .find(|scope| scope.word() == word)
                    .ok_or_else(|| UnknownScope(word.chars().take(40).collect()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", scope.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_do_everything_and_others_what_is_written() {
        let scopes: Scopes = "evidence.append evidence.read".parse().unwrap();
        assert_eq!(scopes.to_string(), "evidence.read evidence.append");
        assert!(scopes.allow(Scope::EvidenceAppend) && !scopes.allow(Scope::Operator));
        assert!(Scope::ALL.into_iter().all(|scope| Scopes::of([Scope::Operator]).allow(scope)));
        assert!(Scope::ALL.into_iter().all(|scope| !Scopes::default().allow(scope)));
    }

    #[test]
    fn words_are_read_back_and_others_are_refused() {
        let all = Scopes::of(Scope::ALL);
        assert_eq!(all.to_string().parse(), Ok(all));
        for wrong in ["root", "operator,site.read", "Operator", "ope\u{0433}ator"] {
            assert!(wrong.parse::<Scopes>().is_err(), "{wrong}");
        }
    }
}
