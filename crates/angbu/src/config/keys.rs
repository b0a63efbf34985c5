//! What the configuration says of one-time keys.

use std::sync::Arc;

use serde::Deserialize;

use angbu_accounts::Name;
use angbu_http::OldFace;

use super::{Network, name};

/// One-time keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// Who may ask at `/baropam/web/result_ota.jsp`, where nobody signs in; without any, nobody. The first that names the
    /// caller's address counts.
    pub old: Vec<OldFaceConfig>,
}

/// Addresses that may ask about the people of one customer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldFaceConfig {
    /// The customer.
    #[serde(deserialize_with = "name")]
    pub customer: Name,
    /// Networks, as `10.1.0.0/16`, or single addresses.
    pub networks: Vec<Network>,
    /// Whether eight line ends come before the answer, for callers that read its 17th and 18th character.
    #[serde(default)]
    pub padded: bool,
}

/// What the centre is told of it.
pub(crate) fn old_faces(config: &KeysConfig) -> Vec<OldFace> {
    config
        .old
        .iter()
        .map(|face| {
            let networks = face.networks.clone();
            OldFace {
                customer: face.customer.as_str().to_owned(),
                allows: Arc::new(move |address| networks.iter().any(|network| network.holds(address))),
                padded: face.padded,
            }
        })
        .collect()
}
