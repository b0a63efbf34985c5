//! The configuration of `angbu witness`: one TOML file, unknown keys refused with their position.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use angbu_evidence::note::{KeyType, VerifierKey};

use crate::config::{ConfigError, HttpConfig};

/// Everything that `angbu witness` reads from its TOML file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where the witness keeps its key and the newest checkpoint of each log. Made at the first start, readable by its
    /// owner only. Whoever restores an old copy of it makes the witness forget what it has cosigned.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// The name under which it cosigns, an address without `https://` for instance. Taken at the first start, and fixed
    /// from then on; without one, a name is made from the key.
    pub name: Option<String>,
    /// The verifier keys of the logs that it serves. A log whose key changes has two of them for a while.
    #[serde(default, deserialize_with = "keys")]
    pub logs: Vec<VerifierKey>,
    /// Where it listens, and its certificate.
    #[serde(default)]
    pub http: HttpConfig,
}

impl Default for WitnessConfig {
    fn default() -> Self {
        Self { data: default_data(), name: None, logs: Vec::new(), http: HttpConfig::default() }
    }
}

impl WitnessConfig {
    /// Reads a file; [`Self::check`] it when the command line has had its say.
    ///
    /// # Errors
    /// [`ConfigError`], with the position of the first wrong key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })
    }

    /// Checks what a file's form cannot say.
    ///
    /// # Errors
    /// [`ConfigError::NoLogs`], [`ConfigError::NotALogKey`], and what [`HttpConfig::check`] finds.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.logs.is_empty() {
            return Err(ConfigError::NoLogs);
        }
        if let Some(key) = self.logs.iter().find(|key| key.kind() != KeyType::Log) {
            return Err(ConfigError::NotALogKey(key.to_string()));
        }
        self.http.check()
    }
}

fn default_data() -> PathBuf {
    PathBuf::from("./angbu-witness-data")
}

fn keys<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<VerifierKey>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    texts.iter().map(|text| text.trim().parse().map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    fn check(text: &str) -> Result<WitnessConfig, String> {
        let config: WitnessConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn wrong_files_are_refused_with_their_reason() {
        assert!(check(&format!("logs = [\"{KEY}\"]")).is_ok());
        let witness: VerifierKey = KEY.parse().unwrap();
        let witness = format!("logs = [\"{}\"]", witness.as_witness());
        for (text, reason) in [
            ("", "no log is given"),
            ("colour = 1", "unknown field `colour`"),
            ("logs = [\"x\"]", "expected a verifier key"),
            (witness.as_str(), "is the key of a witness"),
            ("[http]\nlisten = \"0.0.0.0:80\"", "no log is given"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_sample_is_a_configuration() {
        let sample = check(include_str!("../../../../packaging/samples/witness.toml")).unwrap();
        assert_eq!(sample.logs.len(), 1);
    }
}
