//! Who calls: a browser's session cookie or an API token, read once at the edge.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use angbu_accounts::{Grant, Reach, Scope, Secret};
use angbu_store::accounts::StaffRow;
use angbu_units::TokenId;

use crate::centre::Centre;
use crate::problem::Refusal;

/// The name of the session cookie.
pub(crate) const COOKIE: &str = "angbu_session";

/// Somebody who showed a live session or a live token.
pub(crate) struct Caller {
    /// What the caller may do, and how far that reaches.
    pub(crate) grant: Grant,
    /// Who it is.
    pub(crate) who: Who,
}

/// Who a caller is.
pub(crate) enum Who {
    /// A browser of somebody who signed in.
    Browser {
        /// The member's row as it stood when the request came.
        member: Box<StaffRow>,
        /// The session's secret, to end it by.
        secret: Secret,
    },
    /// A program with a token.
    Token(TokenId),
}

impl Caller {
    /// How far the caller may do what `scope` says. Whatever lies outside is to be answered like what does not exist.
    ///
    /// # Errors
    /// [`Refusal::PasswordMustChange`] while a one-time password stands, [`Refusal::Forbidden`] otherwise.
    pub(crate) fn require(&self, scope: Scope) -> Result<Reach, Refusal> {
        if let Who::Browser { member, .. } = &self.who
            && member.must_change
        {
            return Err(Refusal::PasswordMustChange);
        }
        self.grant.allows(scope).ok_or(Refusal::Forbidden(scope))
    }

    /// The caller's id, for the entry of what the caller changes.
    pub(crate) fn by(&self) -> String {
        match &self.who {
            Who::Browser { member, .. } => member.id.to_string(),
            Who::Token(id) => id.to_string(),
        }
    }

    /// Checks that the caller may hand out what `given` says, which is nothing that the caller has not.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] with the first scope that the caller lacks.
    pub(crate) fn may_give(&self, given: &Grant) -> Result<(), Refusal> {
        self.grant.lacks(given).map_or(Ok(()), |scope| Err(Refusal::Forbidden(scope)))
    }
}

impl FromRequestParts<Arc<Centre>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, centre: &Arc<Centre>) -> Result<Self, Refusal> {
        if let Some(presented) = bearer(&parts.headers) {
            let secret = Secret::parse(presented).map_err(|_| Refusal::NotSignedIn)?;
            let (id, grant) = centre.token_grant(&secret).await?;
            return Ok(Self { grant, who: Who::Token(id) });
        }
        let presented = cookie(&parts.headers, COOKIE).ok_or(Refusal::NotSignedIn)?;
        if !parts.method.is_safe() && !same_origin(&parts.headers) {
            return Err(Refusal::CrossSite);
        }
        let secret = Secret::parse(presented).map_err(|_| Refusal::NotSignedIn)?;
        let (member, grant) = centre.session_member(&secret).await?;
        Ok(Self { grant, who: Who::Browser { member: Box::new(member), secret } })
    }
}

/// Where a request came from, for throttling.
pub(crate) struct Source(pub(crate) std::net::IpAddr);

impl FromRequestParts<Arc<Centre>> for Source {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Centre>) -> Result<Self, Refusal> {
        parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| Self(peer.0.ip()))
            .ok_or_else(|| Refusal::Internal("the listener gave no peer address".into()))
    }
}

/// Whether a browser says that the request comes from the site's own pages. A browser that says nothing
/// (`Sec-Fetch-Site` is in all since 2023) is held by the cookie's `SameSite=Strict` alone.
pub(crate) fn same_origin(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// The value of the cookie with this name.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .find_map(|line| line.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('=')))
}

/// A cookie that scripts do not see and that no other site's pages send.
pub(crate) struct Cookie<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    pub(crate) path: &'a str,
    pub(crate) seconds: i64,
}

impl Cookie<'_> {
    /// As it is set.
    pub(crate) fn text(&self, centre: &Centre) -> String {
        let Self { name, value, path, seconds } = self;
        let secure = if centre.speaks_tls() { "; Secure" } else { "" };
        format!("{name}={value}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }
}
