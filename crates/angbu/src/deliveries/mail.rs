//! Mail: one message to one address, by SMTP.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use angbu_accounts::EmailAddress;
use angbu_http::{Claimed, Tried};
use angbu_time::notice::PICTURE;

use crate::config::{MailConfig, MailTls};

/// The codes by which a server refuses us and not the message (RFC 4954, section 6): the operator can put that right.
const ABOUT_US: [u16; 5] = [530, 534, 535, 538, 454];

/// A mail server, ready to be handed messages.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    limit: Duration,
}

impl Mailer {
    /// Reads certificates and password.
    pub(super) fn new(config: &MailConfig) -> anyhow::Result<Self> {
        let from = address(&config.from).context("[mail] from")?;
        let limit = config.timeout.to_duration();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.server.clone())
            .port(config.port())
            .timeout(Some(limit))
            .hello_name(ClientId::Domain(from.domain().to_owned()));
        builder = match config.tls {
            MailTls::None => builder.tls(Tls::None),
            MailTls::Starttls => builder.tls(Tls::Required(parameters(config)?)),
            MailTls::Implicit => builder.tls(Tls::Wrapper(parameters(config)?)),
        };
        if let (Some(name), Some(file)) = (&config.username, &config.password_file) {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the mail server's password in {}", file.display()))?;
            let password = text.lines().next().unwrap_or_default();
            builder = builder.credentials(Credentials::new(name.clone(), password.to_owned()));
        }
        Ok(Self { transport: builder.build(), from: Mailbox::new(Some("Angbu".to_owned()), from), limit })
    }

    pub(super) async fn send(&self, claimed: &Claimed) -> Tried {
        let message = match self.message(claimed) {
            Ok(message) => message,
            Err(why) => return Tried::Refused(why),
        };
        // Each step has the limit too, but a server that says a byte a second ends none of them.
        match tokio::time::timeout(self.limit, self.transport.send(message)).await {
            Err(_) => Tried::Failed(format!("the mail server took longer than {} s", self.limit.as_secs())),
            Ok(Ok(_)) => Tried::Delivered,
            Ok(Err(error)) => refused(&error),
        }
    }

    fn message(&self, claimed: &Claimed) -> Result<Message, String> {
        let delivery = &claimed.delivery;
        let [subject, text, html, picture] = claimed.message.parts.as_slice() else {
            return Err("the message has not its four parts".to_owned());
        };
        let to: EmailAddress = delivery.target.parse().map_err(|error| format!("{error}"))?;
        let to = address(&to).map_err(|error| format!("{error:#}"))?;
        let made = Duration::from_nanos(u64::try_from(delivery.made.nanos()).unwrap_or(0));
        let header = |name: &'static str, value: &str| {
            HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
        };
        let mut related = MultiPart::related().singlepart(SinglePart::html(html.clone()));
        if !picture.is_empty() {
            let bytes = STANDARD.decode(picture).map_err(|error| error.to_string())?;
            let kind = "image/png".parse().map_err(|_| "image/png is no content type".to_owned())?;
            related = related.singlepart(Attachment::new_inline(PICTURE.to_owned()).body(bytes, kind));
        }
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject.clone())
            .date(SystemTime::UNIX_EPOCH + made)
            // The same however often it is sent, so that readers' programs show it once.
            .message_id(Some(format!("<{}@{}>", delivery.id, self.from.email.domain())))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"))
            .multipart(
                MultiPart::alternative().singlepart(SinglePart::plain(text.clone())).multipart(related),
            )
            .map_err(|error| error.to_string())
    }
}

/// An address for the wire: its host in the form that every mail server takes. Letters of other scripts before the `@`
/// stay, and ask for SMTPUTF8 (RFC 6531).
fn address(email: &EmailAddress) -> anyhow::Result<Address> {
    let (local, host) = email.as_str().split_once('@').context("this is no mail address")?;
    let host = idna::domain_to_ascii(host).with_context(|| format!("'{host}' is no host's name"))?;
    Ok(Address::new(local, host)?)
}

fn parameters(config: &MailConfig) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(config.server.clone());
    builder = match &config.certificate_authorities {
        None => builder.certificate_store(CertificateStore::WebpkiRoots),
        Some(path) => {
            let trouble = || format!("cannot read the certificates in {}", path.display());
            let mut builder = builder.certificate_store(CertificateStore::None);
            for certificate in CertificateDer::pem_file_iter(path).with_context(trouble)? {
                let der = certificate.with_context(trouble)?.to_vec();
                builder = builder.add_root_certificate(Certificate::from_der(der)?);
            }
            builder
        }
    };
    Ok(builder.build()?)
}

fn refused(error: &lettre::transport::smtp::Error) -> Tried {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let said = cause.to_string();
        if !why.contains(&said) {
            why = format!("{why}: {said}");
        }
        source = cause.source();
    }
    let about_us = error.status().is_some_and(|code| ABOUT_US.contains(&u16::from(code)));
    // What we ourselves refuse to say to this server: an address that it has no words for.
    let unspeakable = error.is_client() && why.contains("SMTPUTF8");
    if unspeakable {
        return Tried::Refused(
            "this mail server takes no addresses with letters of other scripts before the @ (SMTPUTF8)"
                .to_owned(),
        );
    }
    if error.is_permanent() && !about_us { Tried::Refused(why) } else { Tried::Failed(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_every_script_are_written_so_that_servers_take_them() {
        for (email, expected) in [
            ("ops@example.org", "ops@example.org"),
            ("ops@예시.한국", "ops@xn--vv4b11d.xn--3e0b707e"),
            ("운영@예시.한국", "운영@xn--vv4b11d.xn--3e0b707e"),
        ] {
            assert_eq!(address(&email.parse().unwrap()).unwrap().to_string(), expected);
        }
    }
}
