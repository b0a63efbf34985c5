//! Methods, and the combinations of them that a request accepts.

use std::fmt;
use std::str::FromStr;

/// The most combinations that one request accepts.
pub const MOST_COMBINATIONS: usize = 8;

/// A way to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// What somebody knows.
    Password,
    /// A one-time key.
    Keys,
    /// A passkey (WebAuthn).
    Passkey,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Password, Self::Keys, Self::Passkey];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Keys => "keys",
            Self::Passkey => "passkey",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::Keys => 2,
            Self::Passkey => 4,
        }
    }
}

/// A word that names no method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no method; the methods are password, keys and passkey")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let found = Self::ALL.into_iter().find(|method| method.word() == text);
        found.ok_or_else(|| UnknownMethod(text.chars().take(40).collect()))
    }
}

/// Methods together, each once; written with a `+` between them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Methods(u8);

impl Methods {
    /// None.
    pub const NONE: Self = Self(0);

    /// These methods.
    pub fn of(methods: impl IntoIterator<Item = Method>) -> Self {
        methods.into_iter().fold(Self::NONE, Self::with)
    }

    /// The same and one more.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | method.bit())
    }

    /// Whether this method is among them.
    pub const fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// Whether all of them are among `others`.
    pub const fn are_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The methods, in their order.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.contains(*method))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, method) in self.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "+" }, method.word())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl FromStr for Methods {
    type Err = UnknownMethod;

    /// Reads methods with a `+` between them; an empty text is none.
    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let words = text.split('+').filter(|_| !text.is_empty());
        words.map(str::parse).collect::<Result<Vec<_>, _>>().map(Self::of)
    }
}

/// Why combinations cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptedError {
    /// None at all, or too many.
    #[error("name 1 to 8 combinations of methods, like [[\"passkey\"], [\"password\", \"keys\"]]")]
    Count,
    /// One without a method.
    #[error("a combination has one method at least")]
    Empty,
    /// Not a method's name.
    #[error(transparent)]
    Unknown(#[from] UnknownMethod),
}

/// The combinations that a request accepts: whoever answers with all methods of one of them is accepted. Written with a
/// space between them, as in `passkey password+keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted(Vec<Methods>);

impl Accepted {
    /// These combinations, each once.
    ///
    /// # Errors
    /// [`AcceptedError`] for none, for more than [`MOST_COMBINATIONS`] and for an empty one.
    pub fn of(combinations: impl IntoIterator<Item = Methods>) -> Result<Self, AcceptedError> {
        let mut accepted = Vec::new();
        for combination in combinations {
            if combination.is_empty() {
                return Err(AcceptedError::Empty);
            }
            if !accepted.contains(&combination) {
                accepted.push(combination);
            }
            if accepted.len() > MOST_COMBINATIONS {
                return Err(AcceptedError::Count);
            }
        }
        if accepted.is_empty() { Err(AcceptedError::Count) } else { Ok(Self(accepted)) }
    }

    /// The combinations.
    pub fn iter(&self) -> impl Iterator<Item = Methods> + '_ {
        self.0.iter().copied()
    }

    /// Whether these methods hold all of one combination.
    pub fn is_met_by(&self, methods: Methods) -> bool {
        self.iter().any(|combination| combination.are_within(methods))
    }

    /// The methods of all combinations together.
    pub fn methods(&self) -> Methods {
        Methods::of(self.iter().flat_map(Methods::iter))
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, combination) in self.iter().enumerate() {
            write!(f, "{}{combination}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl FromStr for Accepted {
    type Err = AcceptedError;

    fn from_str(text: &str) -> Result<Self, AcceptedError> {
        let combinations = text.split(' ').filter(|_| !text.is_empty()).map(str::parse::<Methods>);
        Self::of(combinations.collect::<Result<Vec<_>, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_read_back_and_others_are_refused() {
        for text in ["keys", "passkey password+keys", "password password+keys passkey"] {
            assert_eq!(text.parse::<Accepted>().unwrap().to_string(), text);
        }
        assert_eq!("keys keys".parse::<Accepted>().unwrap().to_string(), "keys");
        assert_eq!("keys+password".parse::<Methods>().unwrap().to_string(), "password+keys");
        assert_eq!("".parse::<Methods>(), Ok(Methods::NONE));
        for wrong in ["", " ", "key", "keys  passkey", "keys+", "+", "Keys", "keys,passkey"] {
            assert!(wrong.parse::<Accepted>().is_err(), "{wrong:?}");
        }
        assert_eq!(Accepted::of([Methods::NONE]), Err(AcceptedError::Empty));
        assert_eq!(Accepted::of([]), Err(AcceptedError::Count));
    }

    #[test]
    fn all_methods_of_one_combination_are_needed() {
        let accepted: Accepted = "passkey password+keys".parse().unwrap();
        for (methods, met) in [
            ("", false),
            ("password", false),
            ("keys", false),
            ("password+keys", true),
            ("password+passkey", true),
        ] {
            assert_eq!(accepted.is_met_by(methods.parse().unwrap()), met, "{methods}");
        }
    }
}
