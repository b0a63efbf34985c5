//! For which site passkeys are: its relying party id and its origin, both from the site's own address.

use thiserror::Error;

/// The site as WebAuthn knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

/// A site whose address has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "passkeys need a site with a name, over https; set `url` under [http] to the address at which browsers reach it"
)]
pub struct NoDomain;

impl RelyingParty {
    /// The relying party of a site with this address, as `https://trust.example.com`.
    ///
    /// # Errors
    /// [`NoDomain`] where browsers have no passkeys: at an IP address, or over plain HTTP anywhere but on `localhost`.
    pub fn of(url: &str) -> Result<Self, NoDomain> {
        let (scheme, rest) = url.split_once("://").ok_or(NoDomain)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
            Some(_) => return Err(NoDomain),
            None => (authority.as_str(), None),
        };
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_address =
            host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if is_address || !host.split('.').all(is_label) {
            return Err(NoDomain);
        }
        // A browser leaves the scheme's own port away.
        let own = match scheme {
            "https" => "443",
            "http" if host == "localhost" || host.ends_with(".localhost") => "80",
            _ => return Err(NoDomain),
        };
        let port = port.filter(|port| *port != own).map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self { origin: format!("{scheme}://{host}{port}"), id: host.to_owned() })
    }

    /// The relying party id: the site's host name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origin of the site's pages, as browsers say it.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_with_a_name_has_passkeys() {
        for (url, expected) in [
            ("http://localhost:8123", Some(("localhost", "http://localhost:8123"))),
            ("https://trust.example.com", Some(("trust.example.com", "https://trust.example.com"))),
            ("https://Trust.example.com:443/log", Some(("trust.example.com", "https://trust.example.com"))),
            (
                "https://trust.example.com:8443/",
                Some(("trust.example.com", "https://trust.example.com:8443")),
            ),
            ("https://xn--h1a.example", Some(("xn--h1a.example", "https://xn--h1a.example"))),
            ("http://trust.example.com", None),
            ("http://127.0.0.1:8123", None),
            ("https://[::1]:8123", None),
            ("https://a..b", None),
            ("https://user@example.com", None),
            ("trust.example.com", None),
            ("", None),
        ] {
            let party = RelyingParty::of(url).ok();
            let found = party.as_ref().map(|party| (party.id(), party.origin()));
            assert_eq!(found, expected, "{url}");
        }
    }
}
