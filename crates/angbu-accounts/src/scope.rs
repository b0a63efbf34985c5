//! What a token's holder may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything an operator may do, signing in excepted.
    Operator,
    /// Appending statements to the log (`evidence.note` entries).
    EvidenceAppend,
    /// Reading entries, receipts and entry tiles: an auditor's scope.
    EvidenceRead,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Operator, Self::EvidenceAppend, Self::EvidenceRead];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::EvidenceAppend => "evidence.append",
            Self::EvidenceRead => "evidence.read",
        }
    }
}

/// A word that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no scope; the scopes are operator, evidence.append and evidence.read")]
pub struct UnknownScope(String);

/// What one token allows: scopes, each once, written as words with a space between them.
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
        let scopes: Scopes = "evidence.read evidence.append".parse().unwrap();
        assert_eq!(scopes.to_string(), "evidence.append evidence.read");
        assert!(scopes.allow(Scope::EvidenceAppend) && !scopes.allow(Scope::Operator));
        assert!(Scopes::of([Scope::Operator]).allow(Scope::EvidenceRead));
        assert!(!Scopes::default().allow(Scope::EvidenceRead));
        assert!("root".parse::<Scopes>().is_err());
    }
}
