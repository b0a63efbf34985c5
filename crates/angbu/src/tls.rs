//! The site's certificate: from files, or generated once and kept.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use angbu_time::nts::key_exchange;

use crate::config::{HttpConfig, NtsConfig};

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds no certificate or key in PEM form.
    #[error("{path} holds no usable certificate or key in PEM form: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// Certificate and key do not fit together, or the names cannot stand in a certificate.
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

/// What a listener needs, and what enrolment codes are bound to.
pub(crate) struct SiteTls {
    /// For the listener.
    pub(crate) config: ServerConfig,
    /// The DER SubjectPublicKeyInfo of the site's certificate.
    pub(crate) public_key: Vec<u8>,
}

/// Loads the certificate that `http` names, generates the site's own where it says so, or returns `None` for
/// plain HTTP.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn load(http: &HttpConfig, data: &Path) -> Result<Option<SiteTls>, TlsError> {
    let files = match (&http.certificate, &http.key, http.tls) {
        (Some(certificate), Some(key), None) => (certificate.clone(), key.clone()),
        (None, None, Some(_)) => generated(data, &http.names)?,
        _ => return Ok(None),
    };
    let mut site = read(&files, rustls::DEFAULT_VERSIONS)?;
    site.config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(site))
}

/// Loads the certificate that keys for NTS are exchanged under: the one that `nts` names, else the web interface's, else
/// the site's own.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn load_for_nts(nts: &NtsConfig, http: &HttpConfig, data: &Path) -> Result<SiteTls, TlsError> {
    let given = [(&nts.certificate, &nts.key), (&http.certificate, &http.key)];
    let given = given.into_iter().find_map(|(certificate, key)| certificate.clone().zip(key.clone()));
    let files = given.map_or_else(|| generated(data, &http.names), Ok)?;
    // RFC 8915, section 3: TLS 1.3 and nothing older.
    let mut site = read(&files, &[&rustls::version::TLS13])?;
    site.config.alpn_protocols = vec![key_exchange::ALPN.to_vec()];
    // Each exchange is a handshake of its own, so that nothing is remembered of anybody.
    site.config.send_tls13_tickets = 0;
    Ok(site)
}

fn read(
    (certificate, key): &(PathBuf, PathBuf),
    versions: &[&'static SupportedProtocolVersion],
) -> Result<SiteTls, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|e| TlsError::Pem { path: certificate.clone(), reason: e.to_string() })?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| TlsError::Pem { path: key.clone(), reason: e.to_string() })?;
    let public_key = KeyPair::try_from(&private)
        .map(|pair| pair.subject_public_key_info())
        .map_err(|e| TlsError::Unusable(e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| TlsError::Unusable(e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|e| TlsError::Unusable(e.to_string()))?;
    Ok(SiteTls { config, public_key })
}

/// The site's own certificate: P-256, ten years, made when missing. Agents pin its public key through their
/// enrolment code, so its signature and its dates carry no trust.
fn generated(data: &Path, names: &[String]) -> Result<(PathBuf, PathBuf), TlsError> {
    let certificate = data.join("site-certificate.pem");
    let key = data.join("site-certificate.key");
    if certificate.is_file() && key.is_file() {
        return Ok((certificate, key));
    }
    let unusable = |e: rcgen::Error| TlsError::Unusable(e.to_string());
    let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    all.extend(names.iter().cloned());
    let pair = KeyPair::generate().map_err(unusable)?;
    let mut params = CertificateParams::new(all).map_err(unusable)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "Angbu site certificate");
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2045, 1, 1);
    let signed = params.self_signed(&pair).map_err(unusable)?;
    write(&key, &pair.serialize_pem(), 0o600)?;
    write(&certificate, &signed.pem(), 0o644)?;
    Ok((certificate, key))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let attempt = || {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    attempt().map_err(|source| TlsError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GeneratedTls;

    #[test]
    fn a_generated_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let http = HttpConfig { tls: Some(GeneratedTls::Generated), ..HttpConfig::default() };
        let first = load(&http, folder.path()).unwrap().unwrap();
        let second = load(&http, folder.path()).unwrap().unwrap();
        assert_eq!(first.public_key, second.public_key);
        let from_files = HttpConfig {
            certificate: Some(folder.path().join("site-certificate.pem")),
            key: Some(folder.path().join("site-certificate.key")),
            ..HttpConfig::default()
        };
        assert_eq!(load(&from_files, folder.path()).unwrap().unwrap().public_key, first.public_key);
        assert!(load(&HttpConfig::default(), folder.path()).unwrap().is_none());
    }
}
