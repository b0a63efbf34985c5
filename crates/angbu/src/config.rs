//! The configuration of `angbu serve`: one TOML file, unknown keys refused with their position.

mod clock;
mod keys;
mod notices;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use angbu_accounts::Name;
use angbu_agent::RateConfig;
use angbu_evidence::note::{KeyType, VerifierKey};
use angbu_http::Retention;
use angbu_store::{Engine, UrlError};
use angbu_units::Nanos;

pub use clock::{ClockConfig, DeclaredStratum, Reference, ReferenceId, UpstreamAddress};
pub(crate) use keys::old_faces;
pub use keys::{KeysConfig, OldFaceConfig};
pub(crate) use notices::settings as notice_settings;
pub use notices::{IncidentsConfig, MailConfig, MailTls, Network, WebhooksConfig};

/// How often the keys that seal cookies may be replaced.
const ROTATION: std::ops::RangeInclusive<Nanos> = Nanos::from_secs(1)..=Nanos::from_secs(86_400);

/// The most witnesses that a centre asks.
const MOST_WITNESSES: usize = 16;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; give an existing file with --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML of this form.
    #[error("{path} cannot be used: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what, as the parser found it.
        source: Box<toml::de::Error>,
    },
    /// Plain HTTP on an address that others can reach.
    #[error(
        "plain HTTP is allowed on loopback only and {0} can be reached from elsewhere; \
         set [http] tls = \"generated\" or give certificate and key files"
    )]
    PlainHttpBeyondLoopback(SocketAddr),
    /// A log's name that cannot stand in checkpoints and reports.
    #[error(
        "origin is 1 to 200 of the characters a-z, A-Z, 0-9, '.', '-', '_', ':' and '/', a host name for instance"
    )]
    Origin,
    /// A database that there is no way to.
    #[error("store: {0}")]
    Store(#[from] UrlError),
    /// A certificate without its key, or both files and a generated certificate.
    #[error("[http] takes either tls = \"generated\" or both certificate and key")]
    ContradictoryTls,
    /// An address of the web interface with a path, or with nothing.
    #[error("[http] url is http:// or https://, a host and perhaps a port, and nothing else")]
    Url,
    /// A certificate for NTS without its key, or the other way round.
    #[error("[nts] takes both certificate and key, or neither")]
    HalfOfACertificate,
    /// Keys that are replaced too often or too seldom.
    #[error("[nts] rotate is {0}, it must lie between 1 s and 24 h")]
    Rotation(Nanos),
    /// A receiver of which nobody says how right it is.
    #[error(
        "[clock] accuracy is missing: say how far the receiver can be off from UTC, as its maker or its calibration \
         states it"
    )]
    NoAccuracy,
    /// Pulses without numbers.
    #[error("[clock] reference = \"pps\" needs upstreams: a pulse does not say which second it begins")]
    NobodyNumbers,
    /// A unit that NTP's shared memory does not have.
    #[error("[clock] shm_unit is a number from 0 to 249")]
    ShmUnit,
    /// A witness without logs to watch.
    #[error("no log is given: a witness needs the verifier key of each log that it watches (logs, or --log)")]
    NoLogs,
    /// A witness's key where a log's belongs.
    #[error(
        "'{0}' is the key of a witness, not of a log; `GET /api/v1/evidence/key` of the centre says the log's"
    )]
    NotALogKey(String),
    /// A log's key where a witness's belongs.
    #[error("'{0}' is the key of a log, not of a witness; `angbu witness key` says the witness's")]
    NotAWitnessKey(String),
    /// Two witnesses with one key or one name.
    #[error("two witnesses are called '{0}'; each has a name of its own")]
    SameWitness(String),
    /// More witnesses than are asked.
    #[error("{0} witnesses are more than the 16 that a centre asks")]
    TooManyWitnesses(usize),
    /// Summaries that go before what they stand for.
    #[error("[retention] summaries_days must be at least exchanges_days")]
    SummariesTooShort,
    /// Witnesses are required, and there is none.
    #[error("require_witnesses = true needs a [[witness]]; without one no report could ever be made")]
    NoWitness,
    /// A mail server that cannot be used like this.
    #[error("[mail] {0}")]
    Mail(&'static str),
    /// A rhythm of messages that cannot be kept.
    #[error("[incidents] takes silent_polls from 2 to 1000, and gather and digest from 1 s to 24 h")]
    Incidents,
}

/// Everything that `angbu serve` reads from its TOML file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// Where the site keeps its database, keys and certificate. Made at the first start, readable by its owner only.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// This centre's name among those of the site, 1 to 63 characters of `a-z 0-9 . - _`. Centres that share one
    /// database each need their own.
    #[serde(default = "default_name", deserialize_with = "name")]
    pub name: Name,
    /// The database: `sqlite`, one file in `data`, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, which several centres
    /// of one site can share, each with a `data` folder of its own and a copy of the same `root.secret` in it. With
    /// `?sslmode=verify-full&sslrootcert=FILE` the way there is encrypted and the server's certificate verified. A
    /// password is better kept in the environment: `ANGBU_STORE` wins over this key.
    #[serde(default)]
    pub store: StoreAddress,
    /// The site's name: the origin of its log, written into every checkpoint. Cannot change after the first start.
    /// A host name of the organisation is best, `trust.example.com/log` for instance.
    #[serde(default = "default_origin")]
    pub origin: String,
    /// The web interface and the API.
    #[serde(default)]
    pub http: HttpConfig,
    /// The time server.
    #[serde(default)]
    pub ntp: NtpConfig,
    /// Protected time: the exchange of keys for NTS.
    #[serde(default)]
    pub nts: NtsConfig,
    /// Signed, chainable time, if it is served.
    pub roughtime: Option<RoughtimeConfig>,
    /// What this centre's own clock rests on.
    #[serde(default)]
    pub clock: ClockConfig,
    /// How long what is kept.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// Customers that exist from the first start on. What is changed later in the console wins over this file.
    #[serde(default, rename = "customer")]
    pub customers: Vec<CustomerConfig>,
    /// Who is asked to cosign this log's checkpoints.
    #[serde(default, rename = "witness")]
    pub witnesses: Vec<WitnessedBy>,
    /// Whether a report is made only when every witness has cosigned the checkpoint that it rests on. Without this, a
    /// report waits a few seconds for them, and then says who has.
    #[serde(default)]
    pub require_witnesses: bool,
    /// The mail server, if messages are sent.
    pub mail: Option<MailConfig>,
    /// What customers' webhooks may be.
    #[serde(default)]
    pub webhooks: WebhooksConfig,
    /// When something is an incident, and how often people are told of it.
    #[serde(default)]
    pub incidents: IncidentsConfig,
    /// One-time keys.
    #[serde(default)]
    pub keys: KeysConfig,
}

/// A witness that is asked to cosign this log's checkpoints.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessedBy {
    /// Where it takes checkpoints: what stands before `/add-checkpoint`.
    pub url: String,
    /// Its verifier key, as it says it (`angbu witness key`).
    #[serde(deserialize_with = "verifier_key")]
    pub key: VerifierKey,
    /// A PEM file with the certificate authorities that vouch for it, or its own generated certificate; the public
    /// ones if there is none.
    pub certificate_authorities: Option<PathBuf>,
}

/// What [`ServeConfig::store`] takes, as text: it can hold a password, which no message about a wrong value may quote.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct StoreAddress(String);

impl StoreAddress {
    /// The database that it says.
    ///
    /// # Errors
    /// [`UrlError`], without the text.
    pub fn engine(&self) -> Result<Engine, UrlError> {
        self.0.parse()
    }
}

impl Default for StoreAddress {
    fn default() -> Self {
        Self("sqlite".to_owned())
    }
}

impl From<String> for StoreAddress {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine().map_or(Err(fmt::Error), |engine| write!(f, "{engine}")).or_else(|_| f.write_str("..."))
    }
}

/// The web interface and the API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// `generated` makes a site certificate at the first start; leave it out for plain HTTP on loopback,
    /// or give certificate and key instead.
    pub tls: Option<GeneratedTls>,
    /// The address at which browsers reach the web interface, as `https://trust.example.com`: what links begin with, and the
    /// site that passkeys are for, which therefore cannot be an IP address. Without it, `localhost` on loopback, else the
    /// first of `names`.
    pub url: Option<String>,
    /// Host names that a generated certificate is for, beside `localhost`.
    pub names: Vec<String>,
    /// A PEM file with the certificate chain, the server's own first.
    pub certificate: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
}

/// The one word that [`HttpConfig::tls`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratedTls {
    /// Make a certificate of the site's own and keep it.
    Generated,
}

/// The time server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NtpConfig {
    /// Address and port (UDP); NTP's own is 123. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Threads that answer, 1 to 64.
    pub threads: ThreadCount,
    /// How often each source may ask; as often as it likes if this is left out. Each thread counts for itself.
    pub rate: Option<RateConfig>,
}

/// Protected time (NTS, RFC 8915): where clients exchange keys, over TLS 1.3. What they then ask, they ask the time server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NtsConfig {
    /// Address and port (TCP). Without it, the address of the time server, and port 4460 beside NTP's own 123 or else the
    /// port of the same number as the time server's.
    pub listen: Option<SocketAddr>,
    /// A PEM file with a certificate chain for this alone, the server's own first. Without it the certificate is the web
    /// interface's, or, where that has none, one of the site's own, made at the first start.
    pub certificate: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
    /// How often the keys that seal cookies are replaced, 1 s to 24 h. Cookies of the two before are still taken, so
    /// that clients notice nothing.
    #[serde(deserialize_with = "length")]
    pub rotate: Nanos,
}

/// Signed, chainable time (RFC 10049).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoughtimeConfig {
    /// Address and port (UDP); Roughtime's own is 5319. Port 0 takes any free one.
    pub listen: SocketAddr,
}

/// How many threads answer NTP: 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct ThreadCount(NonZeroUsize);

impl ThreadCount {
    /// The number.
    pub const fn non_zero(self) -> NonZeroUsize {
        self.0
    }
}

impl Default for ThreadCount {
    fn default() -> Self {
        Self(NonZeroUsize::MIN)
    }
}

impl TryFrom<u8> for ThreadCount {
    type Error = String;
    fn try_from(count: u8) -> Result<Self, String> {
        NonZeroUsize::new(usize::from(count))
            .filter(|count| count.get() <= 64)
            .map(Self)
            .ok_or_else(|| "threads is a number from 1 to 64".into())
    }
}

/// How long what is kept.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// For how many days every single exchange is kept, 1 to 36,500. Afterwards there are summaries by the hour.
    pub exchanges_days: KeptDays,
    /// For how many days the summaries are kept, at least as many as the exchanges.
    pub summaries_days: KeptDays,
}

impl RetentionConfig {
    /// As the centre takes it.
    pub fn retention(self) -> Retention {
        let days = |days: KeptDays| Nanos::from_secs(i64::from(days.0) * 86_400);
        Retention { exchanges: days(self.exchanges_days), summaries: days(self.summaries_days) }
    }
}

impl Default for RetentionConfig {
    /// A year and a month, so that whoever checks a year after its end still finds every exchange; and the seven years for which records of
    /// clocks are asked for at most.
    fn default() -> Self {
        Self { exchanges_days: KeptDays(400), summaries_days: KeptDays(2_557) }
    }
}

/// A number of days: 1 to 36,500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u32")]
pub struct KeptDays(u32);

impl TryFrom<u32> for KeptDays {
    type Error = String;
    fn try_from(days: u32) -> Result<Self, String> {
        if (1..=36_500).contains(&days) {
            Ok(Self(days))
        } else {
            Err("a number of days from 1 to 36500".into())
        }
    }
}

/// A customer that exists from the first start on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerConfig {
    /// Its name: 1 to 63 characters of `a-z 0-9 . - _`.
    #[serde(deserialize_with = "name")]
    pub name: Name,
    /// How far its servers' clocks may be off, `50 ms` for instance; 1 µs to 1 day.
    #[serde(deserialize_with = "length")]
    pub tolerance: Nanos,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            data: default_data(),
            name: default_name(),
            store: StoreAddress::default(),
            origin: default_origin(),
            http: HttpConfig::default(),
            ntp: NtpConfig::default(),
            nts: NtsConfig::default(),
            roughtime: None,
            clock: ClockConfig::default(),
            retention: RetentionConfig::default(),
            customers: Vec::new(),
            witnesses: Vec::new(),
            require_witnesses: false,
            mail: None,
            webhooks: WebhooksConfig::default(),
            incidents: IncidentsConfig::default(),
            keys: KeysConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8123)),
            tls: None,
            url: None,
            names: Vec::new(),
            certificate: None,
            key: None,
        }
    }
}

impl Default for NtpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 123)), threads: ThreadCount::default(), rate: None }
    }
}

impl Default for NtsConfig {
    fn default() -> Self {
        Self { listen: None, certificate: None, key: None, rotate: Nanos::from_secs(86_400) }
    }
}

impl ServeConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], with the position of the first wrong key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what a file's form cannot say.
    ///
    /// # Errors
    /// [`ConfigError`], of what it refuses first.
    pub fn check(&self) -> Result<(), ConfigError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:/".contains(c);
        if !(1..=200).contains(&self.origin.len()) || !self.origin.chars().all(plain) {
            return Err(ConfigError::Origin);
        }
        self.store.engine()?;
        self.check_witnesses()?;
        self.nts.check()?;
        if self.retention.summaries_days < self.retention.exchanges_days {
            return Err(ConfigError::SummariesTooShort);
        }
        self.incidents.check()?;
        self.mail.as_ref().map_or(Ok(()), MailConfig::check)?;
        self.clock.check()?;
        self.http.check()
    }

    fn check_witnesses(&self) -> Result<(), ConfigError> {
        if self.require_witnesses && self.witnesses.is_empty() {
            return Err(ConfigError::NoWitness);
        }
        if self.witnesses.len() > MOST_WITNESSES {
            return Err(ConfigError::TooManyWitnesses(self.witnesses.len()));
        }
        let mut names = BTreeSet::new();
        for WitnessedBy { key, .. } in &self.witnesses {
            if key.kind() != KeyType::Witness {
                return Err(ConfigError::NotAWitnessKey(key.to_string()));
            }
            if !names.insert(key.name()) {
                return Err(ConfigError::SameWitness(key.name().to_owned()));
            }
        }
        Ok(())
    }
}

impl HttpConfig {
    /// The address at which browsers reach a web interface that listens here.
    pub fn public_url(&self, listening: SocketAddr) -> String {
        if let Some(url) = &self.url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if self.tls.is_some() || self.certificate.is_some() { "https" } else { "http" };
        let port = listening.port();
        match self.names.first() {
            _ if listening.ip().is_loopback() => format!("{scheme}://localhost:{port}"),
            Some(name) => format!("{scheme}://{name}:{port}"),
            None => format!("{scheme}://{listening}"),
        }
    }

    /// Checks what a file's form cannot say.
    ///
    /// # Errors
    /// [`ConfigError::Url`], [`ConfigError::PlainHttpBeyondLoopback`] and [`ConfigError::ContradictoryTls`].
    pub fn check(&self) -> Result<(), ConfigError> {
        match (self.tls, &self.certificate, &self.key) {
            (None, None, None) if !self.listen.ip().is_loopback() => {
                Err(ConfigError::PlainHttpBeyondLoopback(self.listen))
            }
            (None, None, None) | (Some(_), None, None) | (None, Some(_), Some(_)) => self.check_url(),
            _ => Err(ConfigError::ContradictoryTls),
        }
    }

    fn check_url(&self) -> Result<(), ConfigError> {
        let is_origin = |url: &String| {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            rest.is_some_and(|rest| {
                !rest.is_empty() && !rest.trim_end_matches('/').contains(['/', '?', '#', '@', ' '])
            })
        };
        if self.url.as_ref().is_none_or(is_origin) { Ok(()) } else { Err(ConfigError::Url) }
    }
}

impl NtsConfig {
    /// Checks what a file's form cannot say.
    ///
    /// # Errors
    /// [`ConfigError::HalfOfACertificate`] and [`ConfigError::Rotation`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(ConfigError::HalfOfACertificate);
        }
        if !ROTATION.contains(&self.rotate) {
            return Err(ConfigError::Rotation(self.rotate));
        }
        Ok(())
    }
}

fn default_data() -> PathBuf {
    PathBuf::from("./angbu-data")
}

fn default_name() -> Name {
    "centre".parse().expect("this is a name")
}

fn default_origin() -> String {
    "angbu.local/log".to_owned()
}

fn name<'de, D: Deserializer<'de>>(input: D) -> Result<Name, D::Error> {
    String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
}

fn verifier_key<'de, D: Deserializer<'de>>(input: D) -> Result<VerifierKey, D::Error> {
    String::deserialize(input)?.trim().parse().map_err(serde::de::Error::custom)
}

/// Reads a length of time written like `50 ms`.
fn length<'de, D: Deserializer<'de>>(input: D) -> Result<Nanos, D::Error> {
    String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<ServeConfig, String> {
        let config: ServeConfig = toml::from_str(text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_is_a_careful_centre() {
        let config = check("").unwrap();
        assert!(config.http.listen.ip().is_loopback());
        assert_eq!(config.clock.reference, None);
    }

    #[test]
    fn wrong_files_are_refused_with_their_reason() {
        for (text, reason) in [
            ("colour = 1", "unknown field `colour`"),
            ("origin = \"a <b>\"", "origin is 1 to 200"),
            ("origin = \"\"", "origin is 1 to 200"),
            ("store = \"mysql://u:secret@h/d\"", "a store is 'sqlite' or postgres://"),
            ("store = \"postgres://u:secret@h/d?sslmode=prefer\"", "sslmode is one of"),
            ("[http]\nlisten = \"0.0.0.0:80\"", "plain HTTP is allowed on loopback only"),
            ("[http]\ntls = \"generated\"\nkey = \"k\"", "either"),
            ("[http]\ncertificate = \"c\"", "either"),
            ("[clock]\nstratum = 16", "stratum is a number from 1 to 15"),
            ("[clock]\nreference = \"gps\"", "unknown variant `gps`"),
            (
                "[mail]\nserver = \"s\"\nfrom = \"a@b.example\\r\\nBcc: c\"\nconsole = \"https://c\"",
                "cannot stand in a mail address",
            ),
            ("[mail]\nserver = \"s:25\"\nfrom = \"a@b.example\"\nconsole = \"c\"", "console is where"),
            (
                "[mail]\nserver = \"s\"\nfrom = \"a@b.example\"\nconsole = \"https://c\"\ntls = \"none\"\nusername = \"u\"\npassword_file = \"p\"",
                "a password is sent over TLS only",
            ),
            ("[webhooks]\nnetworks = [\"10.0.0.0/40\"]", "is no network"),
            ("[incidents]\nsilent_polls = 1", "silent_polls from 2 to 1000"),
            ("[clock]\nreference = \"shm\"", "accuracy is missing"),
            ("[clock]\nreference = \"pps\"\naccuracy = \"1 us\"", "needs upstreams"),
            ("[clock]\nreference_id = \"gps\"", "1 to 4 of the characters"),
            ("[clock]\nreference_id = \"RADIO\"", "1 to 4 of the characters"),
            ("[clock]\nshm_unit = 250", "0 to 249"),
            ("[clock]\nupstreams = [\"nts://\"]", "is no upstream"),
            ("[clock]\nupstreams = [\"https://a\"]", "is no upstream"),
            ("[clock]\nupstreams = [\"a b\"]", "is no upstream"),
            ("[ntp]\nthreads = 0", "threads is a number from 1 to 64"),
            ("[[customer]]\nname = \"A\"\ntolerance = \"50 ms\"", "cannot stand in a name"),
            ("[[customer]]\nname = \"a\"\ntolerance = \"50\"", "no length of time"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn upstreams_and_references_are_read() {
        let text = "[clock]\nreference = \"pps\"\nreference_id = \"GPS\"\naccuracy = \"1 us\"\n\
                    upstreams = [\"nts://a.example:4461\", \"[2001:db8::1]:123\"]";
        let clock = check(text).unwrap().clock;
        assert_eq!(clock.reference_id.unwrap().bytes(), *b"GPS\0");
        let shown: Vec<_> = clock.upstreams.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["nts://a.example:4461", "[2001:db8::1]:123"]);
        assert_eq!(clock.upstreams.iter().map(|each| each.protected).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn the_sample_is_a_configuration() {
        let sample = check(include_str!("../../../packaging/samples/serve.toml")).unwrap();
        assert!(!sample.customers.is_empty());
    }
}
