//! The configuration of `angbu agent`: one TOML file, unknown keys refused with their position.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use angbu_time::admission::{AccessList, Network, Rate};
use angbu_time::discipline::{self, STEP_THRESHOLD};
use angbu_time::record::POLL;
use angbu_time::sync::Policy;
use angbu_time::watch::Keeper;
use angbu_time::watch::Limits;
use angbu_units::{Nanos, Ppb};
use serde::{Deserialize, Deserializer};

use crate::ntp::guard;
use crate::roughtime::{MOST_SERVERS, RoughtimeServer};

/// The smallest bound of the spool that holds anything worth holding.
const SMALLEST_SPOOL: u64 = 64 * 1_024;

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
    /// The poll interval is longer or shorter than records can say.
    #[error("poll_interval is {0}, it must lie between 1 ms and 36 h")]
    PollInterval(Nanos),
    /// More Roughtime servers than a check takes.
    #[error("roughtime names {0} servers, and a check takes 16 at most")]
    Roughtime(usize),
    /// The spool could not hold an hour's records.
    #[error("spool_limit is {0} bytes, it must be 65536 at least")]
    SpoolLimit(u64),
}

/// Everything that an agent reads from its TOML file. It may hold a secret, the code, and so has no `Debug`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The centre's address, `https://host[:port]`; plain `http://` to this machine only.
    pub centre: String,
    /// This agent's name, the one that its enrolment code was made for.
    pub name: String,
    /// The enrolment code. Read once, at joining; it may stand here afterwards or not.
    pub code: Option<String>,
    /// The folder for the agent's keys and for what the centre does not have yet. Made at the first start, readable
    /// by the agent's account only. Belongs to one agent: a copy of it on another machine is another agent's folder.
    pub state: PathBuf,
    /// What the agent may do to this machine's clock.
    #[serde(default)]
    pub mode: Mode,
    /// What happens when the clock was moved. Either way that is recorded.
    #[serde(default)]
    pub on_tamper: OnTamper,
    /// Who else may adjust this machine's clock. Where the agent steers, nobody may.
    #[serde(default)]
    pub keeper: KeeperConfig,
    /// With `mode = "steer"`: from which offset on the clock is set at once; below it is moved in small parts, at most 500 ppm.
    #[serde(default = "default_step_threshold", deserialize_with = "length")]
    pub step_threshold: Nanos,
    /// A PEM file with the certificate authorities that vouch for the centre. Without it the agent knows the centre
    /// by the key that the enrolment code vouched for, which also holds while this machine's clock is wrong.
    pub certificate_authorities: Option<PathBuf>,
    /// Where the centre serves time, `host` or `host:port`, if that is not what it said at joining.
    pub centre_ntp: Option<String>,
    /// Whether time is taken from the centre only under protection (NTS): then nobody on the way can answer in its place.
    /// `false` takes what anybody on the way says, and proves nothing to others.
    #[serde(default = "default_nts")]
    pub nts: bool,
    /// Where the centre exchanges keys for NTS, `host` or `host:port`, if that is not what it said at joining.
    pub centre_nts: Option<String>,
    /// Other NTP servers (`host` or `host:port`, or `nts://host[:port]` for one that is asked under protection), asked in this
    /// order when the centre does not answer. With `mode = "steer"` all of them are asked each time, and the clock follows the
    /// centre and them as far as most agree. Records of them show what they say, not what the centre's clock says.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Roughtime servers (`host[:port] key`, the key in base64 or as a verifier key) that the time of NTP is held against, best
    /// three or more that nobody runs alone; at most 16. Each is asked twice in one check.
    #[serde(default)]
    pub roughtime: Vec<RoughtimeServer>,
    /// How often NTP's time is held against Roughtime.
    #[serde(default = "default_roughtime_interval", deserialize_with = "length")]
    pub roughtime_interval: Nanos,
    /// How often the server is asked. A verdict holds for twice this long without a new answer.
    #[serde(default = "default_poll_interval", deserialize_with = "length")]
    pub poll_interval: Nanos,
    /// How often the clock is looked at for tampering.
    #[serde(default = "default_check_interval", deserialize_with = "length")]
    pub check_interval: Nanos,
    /// How long the first wait is when the centre does not take records; each later one is twice as long, up to 64 times.
    #[serde(default = "default_retry_interval", deserialize_with = "length")]
    pub retry_interval: Nanos,
    /// How many bytes of records are kept while the centre is away. When they are full the oldest are given up, and
    /// that is recorded.
    #[serde(default = "default_spool_limit")]
    pub spool_limit: u64,
    /// The machines of this site that take their time from this one, if any do.
    pub children: Option<ChildrenConfig>,
    /// What counts as steady, and what as tampering.
    #[serde(default)]
    pub policy: PolicyConfig,
}

/// The machines of a site that take plain NTP from the agent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildrenConfig {
    /// Addresses and ports (UDP); NTP's own is 123. `[::]:123` takes IPv4 too.
    pub listen: Vec<SocketAddr>,
    /// The networks that are served, `10.0.0.0/8` for instance.
    #[serde(deserialize_with = "networks")]
    pub allow: Vec<Network>,
    /// Networks among them that are not.
    #[serde(default, deserialize_with = "networks")]
    pub deny: Vec<Network>,
    /// How often each of them may ask.
    #[serde(default)]
    pub rate: RateConfig,
}

impl ChildrenConfig {
    /// Whom the server answers.
    pub(crate) fn policy(&self) -> guard::Policy {
        guard::Policy {
            access: Some(AccessList { allow: self.allow.clone(), deny: self.deny.clone() }),
            rate: Some(self.rate.rate()),
            symmetric: true,
        }
    }
}

/// How often one source may ask: on average once in `every`, and `burst` at once. What comes beyond that is mostly dropped,
/// and now and then answered with the kiss code RATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateConfig {
    /// The average.
    #[serde(deserialize_with = "length")]
    pub every: Nanos,
    /// At once.
    pub burst: u32,
}

impl RateConfig {
    /// As the limiter takes it.
    pub const fn rate(self) -> Rate {
        Rate { every: self.every, burst: self.burst }
    }
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { every: Nanos::from_secs(1), burst: 16 }
    }
}

/// What an agent may do to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Only look; something else keeps the time, or nothing does.
    #[default]
    Observe,
    /// Keep it: by the centre's time, and by `servers` where most of all agree. Needs the privilege to set the clock
    /// (CAP_SYS_TIME), and that nothing else keeps it.
    Steer,
}

/// What happens when the clock was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTamper {
    /// It is told, and nothing else.
    #[default]
    Report,
    /// The clock is put back to where it would be if nobody had touched it. The process needs `CAP_SYS_TIME`.
    Restore,
}

/// Who else may adjust the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeeperConfig {
    /// A time service, if the kernel says or said within a day that one disciplines the clock; else nobody.
    #[default]
    Auto,
    /// A time service. What it does must bring the clock towards the centre's time, or leave it there.
    Service,
    /// Nobody.
    Nobody,
}

/// What counts as steady, and what as tampering. The tolerance is the customer's, and the centre says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Ta, parts per million: a clock whose offset changes as fast or faster is not steady.
    pub ta_ppm: u32,
    /// Tb: a clock that was read over a one-way delay as long or longer is not steady.
    #[serde(deserialize_with = "length")]
    pub tb: Nanos,
    /// Tmax: how far the clock may lie from where it should be before that is an alarm.
    #[serde(deserialize_with = "length")]
    pub tmax: Nanos,
    /// What the clock may gain, at once or in parts, beyond what the kernel's own state explains.
    #[serde(deserialize_with = "length")]
    pub unexplained: Nanos,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        let policy = Policy::with_tolerance(Nanos::ZERO);
        let ta_ppm = u32::try_from(policy.ta.count() / 1_000).unwrap_or(u32::MAX);
        let Limits { tmax, unexplained, .. } = Limits::default();
        Self { ta_ppm, tb: policy.tb, tmax, unexplained }
    }
}

impl PolicyConfig {
    /// As the core takes it, with the customer's tolerance.
    pub(crate) fn with_tolerance(self, tolerance: Nanos) -> Policy {
        Policy { ta: Ppb::new(i64::from(self.ta_ppm).saturating_mul(1_000)), tb: self.tb, tolerance }
    }

    /// What the clock is allowed before an alarm.
    pub(crate) fn limits(self) -> Limits {
        Limits { unexplained: self.unexplained, ..Limits::with_tmax(self.tmax) }
    }
}

impl Config {
    /// What the clock is allowed before an alarm.
    pub(crate) fn limits(&self) -> Limits {
        let keeper = match self.keeper {
            _ if self.mode == Mode::Steer => Keeper::Nobody,
            KeeperConfig::Auto => Keeper::Auto,
            KeeperConfig::Service => Keeper::Service,
            KeeperConfig::Nobody => Keeper::Nobody,
        };
        Limits { keeper, interval: self.check_interval, ..self.policy.limits() }
    }

    /// How the clock is kept, if it is.
    pub(crate) fn discipline(&self) -> Option<discipline::Settings> {
        let settings = discipline::Settings::new(self.poll_interval);
        let settings = discipline::Settings { step_threshold: self.step_threshold, ..settings };
        (self.mode == Mode::Steer).then_some(settings)
    }

    /// The configuration of an agent with everything else as it is by default.
    pub fn new(centre: &str, name: &str, state: &Path) -> Self {
        Self {
            centre: centre.to_owned(),
            name: name.to_owned(),
            code: None,
            state: state.to_owned(),
            mode: Mode::default(),
            on_tamper: OnTamper::default(),
            keeper: KeeperConfig::default(),
            step_threshold: default_step_threshold(),
            certificate_authorities: None,
            centre_ntp: None,
            nts: default_nts(),
            centre_nts: None,
            servers: Vec::new(),
            roughtime: Vec::new(),
            roughtime_interval: default_roughtime_interval(),
            poll_interval: default_poll_interval(),
            check_interval: default_check_interval(),
            retry_interval: default_retry_interval(),
            spool_limit: default_spool_limit(),
            children: None,
            policy: PolicyConfig::default(),
        }
    }

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
    /// [`ConfigError::PollInterval`], [`ConfigError::Roughtime`] and [`ConfigError::SpoolLimit`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if !POLL.contains(&self.poll_interval) {
            return Err(ConfigError::PollInterval(self.poll_interval));
        }
        if self.roughtime.len() > MOST_SERVERS {
            return Err(ConfigError::Roughtime(self.roughtime.len()));
        }
        if self.spool_limit < SMALLEST_SPOOL {
            return Err(ConfigError::SpoolLimit(self.spool_limit));
        }
        Ok(())
    }
}

const fn default_nts() -> bool {
    true
}

const fn default_step_threshold() -> Nanos {
    STEP_THRESHOLD
}

const fn default_poll_interval() -> Nanos {
    Nanos::from_secs(16)
}

const fn default_roughtime_interval() -> Nanos {
    Nanos::from_secs(3_600)
}

const fn default_check_interval() -> Nanos {
    Nanos::from_secs(1)
}

const fn default_retry_interval() -> Nanos {
    Nanos::from_secs(1)
}

const fn default_spool_limit() -> u64 {
    64 * 1_024 * 1_024
}

/// Reads a length of time written like `50 ms`.
fn length<'de, D: Deserializer<'de>>(input: D) -> Result<Nanos, D::Error> {
    String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
}

/// Reads networks written like `10.0.0.0/8`.
fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "centre = \"https://centre.example\"\nname = \"db-3\"\nstate = \"/var/lib/angbu-agent\"\n";

    fn check(more: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(&format!("{LEAST}{more}")).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn three_lines_are_enough() {
        let config = check("").unwrap();
        let new = Config::new(&config.centre, &config.name, &config.state);
        assert_eq!((config.poll_interval, config.spool_limit), (new.poll_interval, new.spool_limit));
        assert_eq!((config.check_interval, config.retry_interval), (new.check_interval, new.retry_interval));
        assert_eq!((config.policy.ta_ppm, config.policy.tb), (500, Nanos::from_millis(100)));
        let full = check("poll_interval = \"2 s\"\nmode = \"observe\"\n[policy]\ntmax = \"5 ms\"").unwrap();
        assert_eq!(full.poll_interval, Nanos::from_secs(2));
        assert_eq!(full.policy.limits().tmax, Nanos::from_millis(5));
        assert_eq!(full.discipline(), None);
        let steer = check("mode = \"steer\"\nstep_threshold = \"1 s\"").unwrap().discipline().unwrap();
        assert_eq!((steer.step_threshold, steer.poll), (Nanos::from_secs(1), Nanos::from_secs(16)));
    }

    #[test]
    fn the_sample_says_what_is_left_out() {
        let text = include_str!("../../../packaging/samples/agent.toml");
        let sample: Config = toml::from_str(text).unwrap();
        sample.check().unwrap();
        let new = Config::new(&sample.centre, &sample.name, &sample.state);
        assert_eq!((sample.poll_interval, sample.check_interval), (new.poll_interval, new.check_interval));
        assert_eq!((sample.retry_interval, sample.spool_limit), (new.retry_interval, new.spool_limit));
        assert_eq!((sample.policy, sample.mode), (new.policy, new.mode));
        assert_eq!(sample.step_threshold, new.step_threshold);
    }

    #[test]
    fn wrong_files_are_refused_with_their_reason() {
        for (text, reason) in [
            ("colour = 1", "unknown field `colour`"),
            ("mode = \"discipline\"", "unknown variant `discipline`"),
            ("poll_interval = \"soon\"", "no length of time"),
            ("poll_interval = \"1 us\"", "between 1 ms and 36 h"),
            ("spool_limit = 100", "65536 at least"),
            ("[policy]\ntb = 100", "expected a string"),
            ("[policy]\nta_ppm = -1", "invalid value"),
            ("[children]\nlisten = []", "missing field `allow`"),
            ("[children]\nlisten = []\nallow = [\"10/8\"]", "no network"),
        ] {
            let error = check(text).err().unwrap();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
