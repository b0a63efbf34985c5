//! Where a PostgreSQL database is and how it is reached, as one URL says it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::StoreError;

/// How long one host may take to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// After how long without a word from the other side a connection counts as lost.
const SILENCE: Duration = Duration::from_secs(10);

/// Why a text is no address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It names no database that there is.
    #[error("a store is 'sqlite' or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Unknown,
    /// The client does not take it.
    #[error("the database's address cannot be used: {0}")]
    Malformed(String),
    /// A word for encryption that promises nothing, or none at all.
    #[error("sslmode is one of disable, require, verify-ca and verify-full; '{0}' is none of them")]
    SslMode(String),
    /// Certificates to verify by, and the word that nothing is verified.
    #[error("sslrootcert needs sslmode=require, verify-ca or verify-full")]
    RootWithoutTls,
}

/// The address of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with several hosts if a cluster has
/// them, and with the options of libpq's URLs. Its password stands in no message.
///
/// `sslmode` is `disable` (and what is meant where it is left out), `require` (encrypted, to whomever it is), `verify-ca`
/// (encrypted, to somebody with a certificate under `sslrootcert`) or `verify-full` (whose certificate also names the
/// host); `sslrootcert` is a PEM file, and the public certificate authorities where it is left out.
#[derive(Clone)]
pub struct PostgresUrl {
    // Large, and moved about with a store's options.
    pub(super) config: Box<tokio_postgres::Config>,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    verify: Verify,
    root: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verify {
    Nothing,
    Chain,
    ChainAndName,
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(UrlError::Unknown);
        }
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => root = Some(PathBuf::from(decoded(value)?)),
                _ => rest.push(option),
            }
        }
        let verify = match (mode, &root) {
            (None | Some("disable"), None) => None,
            (None | Some("disable"), Some(_)) => return Err(UrlError::RootWithoutTls),
            // As libpq has it: whoever gives a certificate to verify by wants it verified.
            (Some("require"), None) => Some(Verify::Nothing),
            (Some("require" | "verify-ca"), _) => Some(Verify::Chain),
            (Some("verify-full"), _) => Some(Verify::ChainAndName),
            (Some(other), _) => return Err(UrlError::SslMode(other.to_owned())),
        };
        let plain = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
        let malformed = |error: tokio_postgres::Error| {
            let why =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            UrlError::Malformed(why)
        };
        let mut config: tokio_postgres::Config = plain.parse().map_err(malformed)?;
        config.ssl_mode(if verify.is_some() { SslMode::Require } else { SslMode::Disable });
        // A standby would take no transaction, and its answers would lag behind what was acknowledged.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
        config.keepalives_interval(SILENCE / 4).keepalives_retries(4);
        if config.get_application_name().is_none() {
            config.application_name("angbu");
        }
        Ok(Self { config: Box::new(config), tls: verify.map(|verify| Tls { verify, root }) })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        write!(f, "postgres://{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

/// Without its password, like its display.
impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PostgresUrl {
    /// What a connection is encrypted with; `None` where the address asks for no encryption.
    pub(super) fn tls(&self) -> Result<Option<ClientConfig>, StoreError> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let unusable = |error: &dyn fmt::Display| {
            let path = tls.root.clone().unwrap_or_else(|| PathBuf::from("TLS"));
            StoreError::File { path, why: error.to_string() }
        };
        let (chain, given) = if tls.verify == Verify::Nothing {
            (None, Vec::new())
        } else {
            let (roots, given) = roots(tls.root.as_deref())?;
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
            (Some(verifier.map_err(|error| unusable(&error))?), given)
        };
        let names = tls.verify == Verify::ChainAndName;
        let verifier = Verifier { chain, given, names, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Some(config))
    }
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

/// The text behind `%xx`.
fn decoded(text: &str) -> Result<String, UrlError> {
    let malformed =
        || UrlError::Malformed(format!("'{text}' has a percent sign without two digits behind it"));
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2).ok_or_else(malformed)?;
            let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| malformed())?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

/// Whom certificates are verified by, and the certificates in the operator's file.
fn roots(file: Option<&Path>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), StoreError> {
    let Some(path) = file else {
        let public = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok((public, Vec::new()));
    };
    let unusable =
        |error: &dyn fmt::Display| StoreError::File { path: path.to_owned(), why: error.to_string() };
    let mut roots = RootCertStore::empty();
    let mut given = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate.clone()).map_err(|error| unusable(&error))?;
        given.push(certificate);
    }
    if roots.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok((roots, given))
}

/// Verifies as much as the address asks for. That the other side has the key of its certificate is always verified.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    given: Vec<CertificateDer<'static>>,
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: rustls_pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // What PostgreSQL's manual has an operator make signs for itself and calls itself an authority, which no chain may
        // end in. Whoever gives that very certificate trusts it, whatever it calls itself.
        if self.given.iter().any(|given| given == end_entity) {
            if self.names {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verified = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last: whoever is refused for it has a certificate under the given roots.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_never_weaker_than_it_says() {
        for (query, expected) in [
            ("", Ok(None)),
            ("?sslmode=disable", Ok(None)),
            ("?sslmode=require", Ok(Some(Verify::Nothing))),
            ("?sslmode=require&sslrootcert=%2Fca.pem", Ok(Some(Verify::Chain))),
            ("?sslmode=verify-ca&sslrootcert=/ca.pem", Ok(Some(Verify::Chain))),
            ("?connect_timeout=3&sslmode=verify-full", Ok(Some(Verify::ChainAndName))),
            ("?sslmode=prefer", Err(UrlError::SslMode("prefer".into()))),
            ("?sslmode=allow", Err(UrlError::SslMode("allow".into()))),
            ("?sslrootcert=/ca.pem", Err(UrlError::RootWithoutTls)),
        ] {
            let read: Result<PostgresUrl, _> = format!("postgres://u:secret@h/d{query}").parse();
            let verify = read.as_ref().map(|url| url.tls.as_ref().map(|tls| tls.verify));
            assert_eq!(verify.map_err(Clone::clone), expected, "{query}");
            if let Ok(url) = read {
                let mode = if expected == Ok(None) { SslMode::Disable } else { SslMode::Require };
                assert_eq!(url.config.get_ssl_mode(), mode, "{query}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for text in
            ["", "mysql://h/d", "postgres", "postgres://u:secret@h:port/d", "postgres://u:secret@h/d?what=1"]
        {
            let error = text.parse::<PostgresUrl>().map(drop).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let url: PostgresUrl = "postgres://u:secret@one,two:5433/d".parse().unwrap();
        assert_eq!((url.to_string(), format!("{url:?}")), (url.to_string(), "postgres://one,two/d".into()));
    }
}
