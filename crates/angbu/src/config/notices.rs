//! Who is told of incidents, and by which ways: `[mail]`, `[webhooks]` and `[incidents]`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use angbu_accounts::EmailAddress;
use angbu_http::{NoticeSettings, zone};
use angbu_time::incidents::{Patience, Rhythm};
use angbu_units::{Language, Nanos};

use super::{ConfigError, length};

/// How long one try of a mail may take: less than what a claimed delivery is left alone for.
const TIMEOUTS: std::ops::RangeInclusive<Nanos> = Nanos::from_secs(1)..=Nanos::from_secs(240);

/// The mail server that messages are handed to, and those who run the site. Without this section nobody is sent mail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// Its host name or address.
    pub server: String,
    /// Its port (TCP). Without it 587 for `starttls`, 465 for `implicit` and 25 for `none`.
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// A PEM file with the certificate authorities that vouch for it; the public ones if there is none.
    pub certificate_authorities: Option<PathBuf>,
    /// The name to sign in with, if it asks for one.
    pub username: Option<String>,
    /// A file with the password; what follows its first line is left out.
    pub password_file: Option<PathBuf>,
    /// The address that messages come from.
    #[serde(deserialize_with = "address")]
    pub from: EmailAddress,
    /// Those who run the site: they are told of everything.
    #[serde(default, deserialize_with = "addresses")]
    pub operators: Vec<EmailAddress>,
    /// The language that they are written to in: `en`, `ko` or `ja`.
    #[serde(default = "english", deserialize_with = "language")]
    pub language: Language,
    /// The time zone, by its IANA name, in which they are told instants beside UTC.
    #[serde(default = "utc", deserialize_with = "zone_name")]
    pub zone: String,
    /// Where people find the console, for the links in messages: `https://trust.example.com`.
    pub console: String,
    /// How long one try may take in all, 1 s to 4 min.
    #[serde(default = "a_minute", deserialize_with = "length")]
    pub timeout: Nanos,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// It begins plain and is encrypted before anything is said (STARTTLS); without that, nothing is sent.
    #[default]
    Starttls,
    /// It is encrypted from the first byte on.
    Implicit,
    /// Not at all, for a server on this machine or in a network of its own. No password is sent that way.
    None,
}

/// What customers' webhooks may be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Whether addresses without TLS are taken.
    pub plain_http: bool,
    /// Networks that are not public and that webhooks may lie in, as `10.1.0.0/16`. All others are refused.
    pub networks: Vec<Network>,
    /// A PEM file with certificate authorities that vouch for webhooks beside the public ones.
    pub certificate_authorities: Option<PathBuf>,
}

/// When something is an incident, and how often people are told of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentsConfig {
    /// After how many poll intervals without a word an agent is silent, 2 to 1,000; never before five minutes.
    pub silent_polls: u16,
    /// News within this time of the last message wait and come together, 1 s to 24 h.
    #[serde(deserialize_with = "length")]
    pub gather: Nanos,
    /// How often it is said again what lasts, 1 s to 24 h.
    #[serde(deserialize_with = "length")]
    pub digest: Nanos,
}

impl Default for IncidentsConfig {
    fn default() -> Self {
        let Rhythm { gather, digest } = Rhythm::default();
        Self { silent_polls: 4, gather, digest }
    }
}

/// A network as `10.1.0.0/16` or `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address lies in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        let prefix = |bytes: u128, width: u8| {
            let rest = u32::from(width.saturating_sub(self.bits));
            bytes.checked_shr(rest).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(of), IpAddr::V4(one)) => {
                prefix(u128::from(of.to_bits()), 32) == prefix(u128::from(one.to_bits()), 32)
            }
            (IpAddr::V6(of), IpAddr::V6(one)) => prefix(of.to_bits(), 128) == prefix(one.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no network; write one like 10.1.0.0/16");
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
        if bits > width { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl MailConfig {
    /// The port that is asked.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailTls::Starttls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        })
    }

    /// Checks what a file's form cannot say.
    ///
    /// # Errors
    /// [`ConfigError::Mail`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |why: &'static str| Err(ConfigError::Mail(why));
        let host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        if self.server.is_empty() || !self.server.chars().all(host) {
            return wrong("server is a host name or an address, without a port");
        }
        if self.username.is_some() != self.password_file.is_some() {
            return wrong("username and password_file belong together");
        }
        if self.tls == MailTls::None && self.username.is_some() {
            return wrong("a password is sent over TLS only; set tls to \"starttls\" or \"implicit\"");
        }
        let web = ["https://", "http://"].iter().any(|scheme| self.console.starts_with(scheme));
        if !web || self.console.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\"".contains(c)) {
            return wrong("console is where people find it, as https://trust.example.com");
        }
        if !TIMEOUTS.contains(&self.timeout) {
            return wrong("timeout lies between 1 s and 4 min");
        }
        Ok(())
    }
}

impl IncidentsConfig {
    /// Checks what a file's form cannot say.
    ///
    /// # Errors
    /// [`ConfigError::Incidents`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let fits = (2..=1_000).contains(&self.silent_polls)
            && [self.gather, self.digest].iter().all(|length| *length >= Nanos::from_secs(1));
        if fits { Ok(()) } else { Err(ConfigError::Incidents) }
    }
}

/// What the centre needs to know of it.
pub(crate) fn settings(
    mail: Option<&MailConfig>,
    webhooks: &WebhooksConfig,
    incidents: &IncidentsConfig,
) -> NoticeSettings {
    let patience = Patience { polls: i64::from(incidents.silent_polls), ..Patience::default() };
    let rhythm = Rhythm { gather: incidents.gather, digest: incidents.digest };
    let rest =
        NoticeSettings { patience, rhythm, plain_webhooks: webhooks.plain_http, ..NoticeSettings::default() };
    match mail {
        None => rest,
        Some(mail) => NoticeSettings {
            mail: true,
            operators: mail.operators.clone(),
            language: mail.language,
            zone: mail.zone.clone(),
            console: mail.console.trim_end_matches('/').to_owned(),
            ..rest
        },
    }
}

fn address<'de, D: Deserializer<'de>>(input: D) -> Result<EmailAddress, D::Error> {
    String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
}

fn addresses<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<EmailAddress>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    texts.into_iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

fn language<'de, D: Deserializer<'de>>(input: D) -> Result<Language, D::Error> {
    String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
}

fn zone_name<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let name = String::deserialize(input)?;
    zone(&name).map_err(|name| serde::de::Error::custom(format!("there is no time zone '{name}'")))?;
    Ok(name)
}

const fn english() -> Language {
    Language::English
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn a_minute() -> Nanos {
    Nanos::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_begins_like_them() {
        for (network, address, inside) in [
            ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("192.168.7.9", "192.168.7.9", true),
            ("192.168.7.9", "192.168.7.8", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "10.0.0.1", false),
        ] {
            let held = network.parse::<Network>().unwrap().holds(address.parse().unwrap());
            assert_eq!(held, inside, "{address} in {network}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "example.org", "fd00::/129"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
