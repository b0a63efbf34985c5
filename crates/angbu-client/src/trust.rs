//! How a client knows that whoever answers is the centre.

use std::sync::{Arc, Mutex, PoisonError};

use angbu_time::nts::key_exchange;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

use crate::ClientError;

/// Whom a client takes for the centre, over HTTPS.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Whoever has a certificate for the address from one of the public certificate authorities.
    Public,
    /// Whoever has a certificate for the address from one of these certificate authorities.
    Authorities(Vec<CertificateDer<'static>>),
    /// Whoever has the key with this SHA-256 over its DER SubjectPublicKeyInfo, whatever name and dates its
    /// certificate says: what an enrolment code vouches for, and what holds while this machine's clock is wrong.
    Key([u8; 32]),
}

impl Trust {
    /// Trust in the certificate authorities of a PEM file's content.
    ///
    /// # Errors
    /// [`ClientError::Unusable`] where there is none in it.
    pub fn authorities(pem: &[u8]) -> Result<Self, ClientError> {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(Self::Authorities(certificates)),
            _ => Err(ClientError::Unusable(
                "the file of certificate authorities holds no certificate in PEM form".to_owned(),
            )),
        }
    }

    /// The trust that [`Trust::Key`] stands for, in the key of a DER SubjectPublicKeyInfo.
    pub fn in_key(public_key: &[u8]) -> Self {
        Self::Key(Sha256::digest(public_key).into())
    }

    pub(crate) fn tls(&self) -> Result<ClientConfig, ClientError> {
        self.config(rustls::DEFAULT_VERSIONS)
    }

    /// TLS 1.3 and nothing older, for the exchange of keys for NTS (RFC 8915, section 3).
    ///
    /// # Errors
    /// [`ClientError::Unusable`] where a certificate authority cannot be used.
    pub fn for_nts(&self) -> Result<ClientConfig, ClientError> {
        let mut config = self.config(&[&rustls::version::TLS13])?;
        config.alpn_protocols = vec![key_exchange::ALPN.to_vec()];
        // Each exchange is a handshake of its own: nothing ties one to another.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig, ClientError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Public => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Self::Authorities(certificates) => {
                for certificate in certificates {
                    roots.add(certificate.clone()).map_err(|error| {
                        ClientError::Unusable(format!("a certificate authority cannot be used: {error}"))
                    })?;
                }
            }
            Self::Key(key) => return Ok(by_key(KeyCheck::new(Check::Pinned(*key)), versions)),
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("broken invariant: the provider speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config)
    }
}

/// TLS with whoever answers, and where the key that was shown is told. For the first contact only, in which
/// nothing secret is said.
pub(crate) fn tls_with_anybody() -> (ClientConfig, ShownKey) {
    let shown = ShownKey::default();
    (by_key(KeyCheck::new(Check::Told(shown.clone())), rustls::DEFAULT_VERSIONS), shown)
}

/// The DER SubjectPublicKeyInfo that the other side has shown last.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShownKey(Arc<Mutex<Option<Vec<u8>>>>);

impl ShownKey {
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn by_key(check: KeyCheck, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("broken invariant: the provider speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(check))
        .with_no_client_auth()
}

#[derive(Debug)]
enum Check {
    Pinned([u8; 32]),
    Told(ShownKey),
}

/// Looks at the key in the certificate and at nothing else in it. That the other side holds the key is shown
/// by its signature over the handshake, which is verified as ever.
#[derive(Debug)]
struct KeyCheck {
    check: Check,
    algorithms: WebPkiSupportedAlgorithms,
}

impl KeyCheck {
    fn new(check: Check) -> Self {
        Self { check, algorithms: provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for KeyCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let key = certificate.subject_public_key_info();
        match &self.check {
            // Both sides of this comparison are public, so it need not take the same time always.
            Check::Pinned(expected) if Sha256::digest(&key).as_slice() != expected => {
                return Err(rustls::Error::InvalidCertificate(
                    CertificateError::ApplicationVerificationFailure,
                ));
            }
            Check::Pinned(_) => {}
            Check::Told(shown) => {
                *shown.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.to_vec());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
