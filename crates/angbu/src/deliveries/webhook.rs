//! Webhooks: one signed message to one address, in the form of Standard Webhooks 1.0.0.
//!
//! The address is a customer's word, and the centre stands where the customer does not: so each is looked up anew, only addresses
//! of public networks and of those that the operator allows are spoken to, the very address that was looked at is the one that
//! is connected to, and nothing that the other side answers leads anywhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use angbu_http::{Claimed, Tried};
use angbu_store::deliveries::WebhookRow;
use angbu_units::UnixTime;

use crate::config::{Network, WebhooksConfig};

/// How long a call may take in all.
const LIMIT: Duration = Duration::from_secs(20);

/// Who calls webhooks.
pub(super) struct Caller {
    tls: TlsConnector,
    plain_http: bool,
    networks: Vec<Network>,
}

impl Caller {
    /// Reads certificates.
    pub(super) fn new(config: &WebhooksConfig) -> anyhow::Result<Self> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &config.certificate_authorities {
            let trouble = || format!("cannot read the certificates in {}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(trouble)? {
                roots.add(certificate.with_context(trouble)?)?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Self { tls, plain_http: config.plain_http, networks: config.networks.clone() })
    }

    pub(super) async fn send(&self, claimed: &Claimed, now: UnixTime) -> Tried {
        let Some(hook) = &claimed.webhook else {
            return Tried::Refused("the webhook was taken away".to_owned());
        };
        let [body] = claimed.message.parts.as_slice() else {
            return Tried::Refused("the message has not its one part".to_owned());
        };
        let id = claimed.delivery.id.to_string();
        match tokio::time::timeout(LIMIT, self.call(hook, &id, body, now)).await {
            Err(_) => Tried::Failed(format!("it took longer than {} s", LIMIT.as_secs())),
            Ok(Err(trouble)) => trouble,
            Ok(Ok(status)) => match status {
                status if status.is_success() => Tried::Delivered,
                StatusCode::GONE => Tried::Refused("it answered 410: nobody wants this any more".to_owned()),
                status if status.is_redirection() => {
                    Tried::Failed(format!("it answered {}; redirections are not followed", status.as_u16()))
                }
                status => Tried::Failed(format!("it answered {}", status.as_u16())),
            },
        }
    }

    async fn call(
        &self,
        hook: &WebhookRow,
        id: &str,
        body: &str,
        now: UnixTime,
    ) -> Result<StatusCode, Tried> {
        let refused = |why: &str| Tried::Refused(why.to_owned());
        let uri: Uri = hook.url.parse().map_err(|_| refused("its address cannot be read"))?;
        let is_tls = uri.scheme_str() == Some("https");
        if !is_tls && !self.plain_http {
            return Err(refused("its address is not https, which the operator no longer allows"));
        }
        let authority = uri.authority().ok_or_else(|| refused("its address names no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = self.address(&host, port).await?;
        let failed = |error: std::io::Error| Tried::Failed(error.to_string());
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        let seconds = now.nanos() / 1_000_000_000;
        let request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("angbu/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signatures(hook, id, seconds, body, now))
            .body(Body::from(body.to_owned()))
            .map_err(|error| Tried::Refused(error.to_string()))?;
        if is_tls {
            let name = ServerName::try_from(host).map_err(|error| Tried::Refused(error.to_string()))?;
            exchange(self.tls.connect(name, stream).await.map_err(failed)?, request).await
        } else {
            exchange(stream, request).await
        }
    }

    /// Where the host is now, if that is somewhere we may speak to.
    async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, Tried> {
        let found = lookup_host((host, port)).await;
        let found: Vec<_> = found.map_err(|error| Tried::Failed(format!("{host}: {error}")))?.collect();
        let allowed = |address: &&SocketAddr| {
            let ip = address.ip().to_canonical();
            is_public(ip) || self.networks.iter().any(|network| network.holds(ip))
        };
        match (found.iter().find(allowed), found.first()) {
            (Some(address), _) => Ok(*address),
            (None, Some(address)) => Err(Tried::Refused(format!(
                "{host} is at {}, in no public network; an operator may allow it ([webhooks] networks)",
                address.ip()
            ))),
            (None, None) => Err(Tried::Failed(format!("{host} has no address"))),
        }
    }
}

/// One request and the head of its answer; its body is not read.
async fn exchange<S>(stream: S, request: Request<Body>) -> Result<StatusCode, Tried>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| Tried::Failed(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut connection = std::pin::pin!(connection);
    let answer = sender.send_request(request);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => Ok(answer.map_err(failed)?.status()),
        ended = &mut connection => {
            ended.map_err(failed)?;
            Ok(answer.await.map_err(failed)?.status())
        }
    }
}

/// What the secret, and for a day the one before it, make of the message.
fn signatures(hook: &WebhookRow, id: &str, seconds: i64, body: &str, now: UnixTime) -> String {
    let old = hook.old_secret.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
    let signed = [Some(&hook.secret), old].into_iter().flatten();
    signed.filter_map(|secret| sign(secret, id, seconds, body)).collect::<Vec<_>>().join(" ")
}

/// `v1,` and HMAC-SHA-256 over `id.timestamp.body`, in base64.
fn sign(secret: &str, id: &str, seconds: i64, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Whether an address is one of the public internet (the special-purpose registries of RFC 6890 are not).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

/// Global unicast only, and none that hides an address of the older kind or stands for documentation.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    (a & 0xe000) == 0x2000 && a != 0x2002 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && a != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of Standard Webhooks' own documentation.
        let signed = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn only_public_addresses_are_public() {
        for (address, public) in [
            ("9.9.9.9", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("172.31.255.255", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1", true),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
        // An older address in the form of the newer one is looked at as what it is.
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert!(!is_public(mapped.to_canonical()));
    }
}
