//! Why a call to a centre failed.

use serde::Deserialize;

use crate::wire::LogGrowth;

/// A centre's refusal (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable name of what was refused; `about:blank` where the answer had none.
    pub kind: String,
    /// The refusal in a few words.
    pub title: String,
    /// What failed, why, and what to do next; may be empty.
    pub detail: String,
    /// Seconds after which trying again may help.
    pub retry_after_s: Option<u64>,
    /// The number that an upload must begin with, where it was refused for its order.
    pub next_seq: Option<u64>,
    /// The log as the centre shows it, where an upload was refused because that log is in doubt.
    pub log: Option<LogGrowth>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.title)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        write!(f, " (HTTP status {})", self.status)
    }
}

/// Why a call to a centre failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be that of a centre.
    #[error("'{url}' is not the address of a centre: {reason}; write it like https://centre.example:8443")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Plain HTTP would leave this machine.
    #[error(
        "plain HTTP is spoken to this machine only, and '{host}' is not surely this machine; use https://"
    )]
    PlainHttp {
        /// Whom it would go to.
        host: String,
    },
    /// The token or the certificates given cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Nobody answers there.
    #[error("cannot reach the centre at {url}: {reason}; check the address, the network and that it runs")]
    Unreachable {
        /// The centre's address.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// No whole answer in time.
    #[error(
        "the centre at {url} gave no whole answer in time; it may be overloaded, or the network may lose packets"
    )]
    Slow {
        /// The centre's address.
        url: String,
    },
    /// Whoever answers there has another key, or no certificate that can be trusted.
    #[error(
        "whoever answers at {url} could not show that it is the centre: {reason}; compare its key with the operator before trusting it"
    )]
    NotTheCentre {
        /// The centre's address.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// The centre refused.
    #[error("the centre refused: {0}")]
    Refused(Box<Problem>),
    /// The answer is not what this program understands.
    #[error(
        "the centre at {url} answered with something else than {expected}; is it a centre, and as new as this program?"
    )]
    NotUnderstood {
        /// The centre's address.
        url: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The answer is longer than it may be.
    #[error("the centre at {url} answered with more than {limit} bytes, which this program does not read")]
    TooLong {
        /// The centre's address.
        url: String,
        /// The most that is read.
        limit: u64,
    },
}

impl ClientError {
    /// Whether the same call may succeed later without anybody changing anything: the centre or the network is
    /// away, slow or overloaded.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } => true,
            Self::Refused(problem) => problem.status >= 500 || matches!(problem.status, 408 | 429),
            Self::Address { .. }
            | Self::PlainHttp { .. }
            | Self::Unusable(_)
            | Self::NotTheCentre { .. }
            | Self::NotUnderstood { .. }
            | Self::TooLong { .. } => false,
        }
    }
}

impl Problem {
    /// Reads a refusal from an answer's status and body, whatever that is.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        /// As it stands in JSON; every member may be missing.
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Members {
            #[serde(rename = "type")]
            kind: Option<String>,
            title: Option<String>,
            detail: Option<String>,
            retry_after_s: Option<u64>,
            next_seq: Option<String>,
            log: Option<LogGrowth>,
        }
        let members: Members = serde_json::from_slice(body).unwrap_or_default();
        Self {
            status,
            kind: members.kind.unwrap_or_else(|| "about:blank".to_owned()),
            title: members.title.unwrap_or_else(|| "it did not say why".to_owned()),
            detail: members.detail.unwrap_or_default(),
            retry_after_s: members.retry_after_s,
            next_seq: members.next_seq.and_then(|number| number.parse().ok()),
            log: members.log,
        }
    }
}
