//! What a centre's own clock rests on, as configured.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use angbu_units::Nanos;

use super::{ConfigError, length};

/// The last unit of NTP's shared memory.
const MOST_SHM_UNIT: u8 = 249;

/// What this centre's own clock rests on. With neither upstreams nor a declared reference, the centre says
/// that its clock is not shown to be right, and so does every verdict.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockConfig {
    /// What keeps time beside this machine. `shm` and `pps`: a receiver, through NTP's shared memory or the kernel's pulses,
    /// which the centre measures its clock against, as stratum 1. `chrony`: the chronyd that keeps this machine's clock says
    /// how right it is, and the operator takes its word. `declared`: the operator declares this machine's own clock to be the
    /// reference. Of the last two every verdict says "declared".
    pub reference: Option<Reference>,
    /// The letters by which NTP replies name a receiver, 1 to 4 of them: `GPS`, `PPS`, `DCF`, ...; `SHM` or `PPS` if left out.
    pub reference_id: Option<ReferenceId>,
    /// How far the receiver can be off from UTC, its cable and its way into this machine included: what its maker, or better
    /// its calibration, says. `shm` and `pps` need it.
    #[serde(deserialize_with = "some_length")]
    pub accuracy: Option<Nanos>,
    /// For how long the oscillator carries a receiver's time on after it is lost; the bound grows by 100 ppm meanwhile.
    #[serde(deserialize_with = "length")]
    pub holdover: Nanos,
    /// Which unit of NTP's shared memory, 0 to 249: gpsd writes a receiver's messages to 0 and its pulses to 1 as root, 2 and 3
    /// otherwise.
    pub shm_unit: u8,
    /// The kernel's device that counts the receiver's pulses. Which second a pulse begins `upstreams` have to say.
    pub pps_device: PathBuf,
    /// Where chronyd takes commands.
    pub chrony_address: SocketAddr,
    /// The stratum that a declared reference is announced with, 1 to 15.
    pub stratum: DeclaredStratum,
    /// How far the operator holds a declared reference to be from UTC at most.
    #[serde(deserialize_with = "length")]
    pub declared_bound: Nanos,
    /// NTP servers that this centre measures its clock against: `nts://host` or `nts://host:port` under NTS and never without,
    /// the port being that where keys are exchanged; `host` or `host:port` without protection.
    pub upstreams: Vec<UpstreamAddress>,
    /// A PEM file with the certificate authorities that vouch for `nts://` upstreams; the public ones if there is none.
    pub certificate_authorities: Option<PathBuf>,
    /// How often each upstream is asked.
    #[serde(deserialize_with = "length")]
    pub poll_interval: Nanos,
}

/// What may be declared a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// This machine's own clock.
    Declared,
    /// A receiver, through the shared memory of NTP's driver 28.
    Shm,
    /// A receiver's pulses, through the kernel.
    Pps,
    /// The chronyd that keeps this machine's clock.
    Chrony,
}

/// The letters of a reference id: 1 to 4 of `A-Z 0-9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ReferenceId([u8; 4]);

impl ReferenceId {
    /// As NTP replies carry it, padded with zeros.
    pub const fn bytes(self) -> [u8; 4] {
        self.0
    }
}

impl TryFrom<String> for ReferenceId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut bytes = [0; 4];
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        match bytes.get_mut(..text.len()) {
            Some(place) if !text.is_empty() && text.bytes().all(plain) => {
                place.copy_from_slice(text.as_bytes());
                Ok(Self(bytes))
            }
            _ => Err("reference_id is 1 to 4 of the characters A-Z and 0-9, GPS for instance".into()),
        }
    }
}

/// An NTP server to measure against.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UpstreamAddress {
    /// `host` or `host:port`.
    pub server: String,
    /// Whether it is asked under NTS, and never without.
    pub protected: bool,
}

impl TryFrom<String> for UpstreamAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (server, protected) = match text.strip_prefix("nts://") {
            Some(rest) => (rest.trim_end_matches('/'), true),
            None => (text.as_str(), false),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if server.is_empty() || server.len() > 255 || !server.chars().all(plain) {
            return Err(format!(
                "'{}' is no upstream; write 'nts://host', 'nts://host:port', 'host' or 'host:port'",
                text.chars().take(64).collect::<String>()
            ));
        }
        Ok(Self { server: server.to_owned(), protected })
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.protected { "nts://" } else { "" }, self.server)
    }
}

/// The stratum of a declared reference: 1 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct DeclaredStratum(u8);

impl DeclaredStratum {
    /// The number.
    pub fn count(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for DeclaredStratum {
    type Error = String;
    fn try_from(stratum: u8) -> Result<Self, String> {
        if (1..=15).contains(&stratum) {
            Ok(Self(stratum))
        } else {
            Err("stratum is a number from 1 to 15".into())
        }
    }
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self {
            reference: None,
            reference_id: None,
            accuracy: None,
            holdover: Nanos::from_secs(3_600),
            shm_unit: 0,
            pps_device: PathBuf::from("/dev/pps0"),
            chrony_address: SocketAddr::from(([127, 0, 0, 1], 323)),
            stratum: DeclaredStratum(10),
            declared_bound: Nanos::from_millis(1),
            upstreams: Vec::new(),
            certificate_authorities: None,
            poll_interval: Nanos::from_secs(64),
        }
    }
}

impl ClockConfig {
    /// Checks what a file's form cannot say.
    ///
    /// # Errors
    /// [`ConfigError::NoAccuracy`], [`ConfigError::NobodyNumbers`] and [`ConfigError::ShmUnit`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let receives = matches!(self.reference, Some(Reference::Shm | Reference::Pps));
        if receives && self.accuracy.is_none() {
            return Err(ConfigError::NoAccuracy);
        }
        if self.reference == Some(Reference::Pps) && self.upstreams.is_empty() {
            return Err(ConfigError::NobodyNumbers);
        }
        if self.shm_unit > MOST_SHM_UNIT {
            return Err(ConfigError::ShmUnit);
        }
        Ok(())
    }
}

/// The same, where it may be left out.
fn some_length<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Nanos>, D::Error> {
    length(input).map(Some)
}
