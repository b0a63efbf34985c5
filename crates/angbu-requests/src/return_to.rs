//! Where a browser goes when a request has ended: only to an origin that is registered for the relying party.

use std::fmt;
use std::str::FromStr;

/// The most origins of one relying party.
pub const MOST_ORIGINS: usize = 8;
/// The longest address, in bytes.
const LONGEST: usize = 1_024;

/// Why a text is no origin, or no address to return to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    /// Neither `https://` nor, for this machine, `http://`.
    #[error("it begins with https://, or with http:// where the host is localhost, 127.0.0.1 or [::1]")]
    Scheme,
    /// No host, or one with characters that a host's name has not.
    #[error(
        "its host is written in lower-case letters, digits, dots and hyphens, with a port behind a colon if there is one"
    )]
    Host,
    /// An origin with something behind host and port.
    #[error("an origin ends after host and port, without a slash")]
    Path,
    /// Characters that an address has not.
    #[error(
        "it holds a space, a backslash, a '#' or a character beyond ASCII; write those as %XX, and nothing behind a '#'"
    )]
    Character,
    /// Longer than 1,024 bytes.
    #[error("it is longer than 1024 bytes")]
    TooLong,
    /// More than [`MOST_ORIGINS`].
    #[error("a relying party has 8 origins at most")]
    TooMany,
}

/// An origin as browsers have it (RFC 6454): scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

impl Origin {
    /// The origin's text, without a port that its scheme has anyway.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the origin at the beginning of an address, and says what stands behind it.
    fn split(text: &str) -> Result<(Self, &str), ReturnError> {
        if text.len() > LONGEST {
            return Err(ReturnError::TooLong);
        }
        if text.chars().any(|c| !c.is_ascii_graphic() || matches!(c, '\\' | '#')) {
            return Err(ReturnError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(ReturnError::Scheme)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at_checked(end).ok_or(ReturnError::Host)?;
        let (host, port) = split_port(authority)?;
        let usual = match scheme {
            "https" => 443,
            "http" if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => 80,
            _ => return Err(ReturnError::Scheme),
        };
        let text = match port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Ok((Self(text), behind))
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), ReturnError> {
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand within its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let is_named = !host.is_empty() && host.chars().all(is_name) && !host.starts_with(['.', '-']);
    if !is_named && host != "[::1]" {
        return Err(ReturnError::Host);
    }
    let canonical =
        |port: &str| port.parse::<u16>().ok().filter(|number| *number != 0 && number.to_string() == port);
    match port {
        None => Ok((host, None)),
        Some(port) => canonical(port).map(|port| (host, Some(port))).ok_or(ReturnError::Host),
    }
}

impl FromStr for Origin {
    type Err = ReturnError;

    fn from_str(text: &str) -> Result<Self, ReturnError> {
        let (origin, behind) = Self::split(text)?;
        if behind.is_empty() { Ok(origin) } else { Err(ReturnError::Path) }
    }
}

/// A relying party's origins, each once; written with a space between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// Reads origins.
    ///
    /// # Errors
    /// [`ReturnError`], also for more than [`MOST_ORIGINS`].
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ReturnError> {
        let mut origins = Vec::new();
        for text in texts {
            let origin = text.parse()?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
            if origins.len() > MOST_ORIGINS {
                return Err(ReturnError::TooMany);
            }
        }
        Ok(Self(origins))
    }

    /// The origins.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }

    /// Whether an address lies within one of them.
    pub fn allow(&self, address: &ReturnTo) -> bool {
        self.0.contains(&address.origin)
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, origin) in self.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { " " }, origin.as_str())?;
        }
        Ok(())
    }
}

/// An address to return to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo {
    origin: Origin,
    behind: String,
}

impl ReturnTo {
    /// Its origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The address with the request's id in its query.
    pub fn with_request(&self, id: &str) -> String {
        let joint = if self.behind.contains('?') { '&' } else { '?' };
        format!("{self}{joint}request={id}")
    }
}

impl FromStr for ReturnTo {
    type Err = ReturnError;

    fn from_str(text: &str) -> Result<Self, ReturnError> {
        let (origin, behind) = Origin::split(text)?;
        let behind = if behind.starts_with('/') { behind.to_owned() } else { format!("/{behind}") };
        Ok(Self { origin, behind })
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin.as_str(), self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_one_spelling() {
        for (text, expected) in [
            ("https://shop.example", Ok("https://shop.example")),
            ("https://shop.example:443", Ok("https://shop.example")),
            ("https://shop.example:8443", Ok("https://shop.example:8443")),
            ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080")),
            ("http://localhost", Ok("http://localhost")),
            ("http://[::1]:1", Ok("http://[::1]:1")),
            ("https://shop.example/", Err(ReturnError::Path)),
            ("https://shop.example?x", Err(ReturnError::Path)),
            ("http://shop.example", Err(ReturnError::Scheme)),
            ("http://localhost.example", Err(ReturnError::Scheme)),
            ("ftp://shop.example", Err(ReturnError::Scheme)),
            ("javascript:alert(1)", Err(ReturnError::Scheme)),
            ("//shop.example", Err(ReturnError::Scheme)),
            ("https://Shop.example", Err(ReturnError::Host)),
            ("https://", Err(ReturnError::Host)),
            ("https://.example", Err(ReturnError::Host)),
            ("https://user@shop.example", Err(ReturnError::Host)),
            ("https://shop.example:", Err(ReturnError::Host)),
            ("https://shop.example:0", Err(ReturnError::Host)),
            ("https://shop.example:+1", Err(ReturnError::Host)),
            ("https://shop.example:65536", Err(ReturnError::Host)),
            ("https://shop.example\\@evil.example", Err(ReturnError::Character)),
            ("https://shop.example#x", Err(ReturnError::Character)),
            ("https://shop.example/\u{e9}", Err(ReturnError::Character)),
            ("https://shop.example\n", Err(ReturnError::Character)),
        ] {
            let read = text.parse::<Origin>();
            assert_eq!(read.as_ref().map(Origin::as_str), expected.as_ref().copied(), "{text:?}");
        }
    }

    #[test]
    fn a_browser_returns_to_its_origins_alone() {
        let origins = Origins::read(["https://shop.example", "http://localhost:3000"]).unwrap();
        assert_eq!(origins.to_string(), "https://shop.example http://localhost:3000");
        for (address, allowed) in [
            ("https://shop.example/back", true),
            ("https://shop.example:443", true),
            ("https://shop.example.evil.example/", false),
            ("https://shop.example:444/", false),
            ("http://localhost:3000/?a=b", true),
            ("http://localhost/", false),
        ] {
            assert_eq!(origins.allow(&address.parse().unwrap()), allowed, "{address}");
        }
        let back = |text: &str| text.parse::<ReturnTo>().unwrap().with_request("req_1");
        assert_eq!(back("https://shop.example"), "https://shop.example/?request=req_1");
        assert_eq!(back("https://shop.example/a"), "https://shop.example/a?request=req_1");
        assert_eq!(back("https://shop.example?a=b"), "https://shop.example/?a=b&request=req_1");
        let many = (0..9).map(|n| format!("https://shop{n}.example")).collect::<Vec<_>>();
        assert_eq!(Origins::read(many.iter().map(String::as_str)), Err(ReturnError::TooMany));
    }
}
