//! Asking a witness for its cosignature (C2SP `tlog-witness`).

use std::time::Duration;

use angbu_evidence::witness::{self, AddCheckpoint, read_size};
use serde::Deserialize;

use crate::{Client, ClientError, Trust};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read: what a witness of some hundred logs says of itself.
const LONGEST_ANSWER: u64 = 1_024 * 1_024;

/// Why a witness was not heard.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Its address or certificates cannot be used.
    #[error("the witness's address cannot be used: {0}")]
    Address(#[source] ClientError),
    /// No whole answer.
    #[error("no answer from the witness at {url}: {reason}")]
    NoAnswer {
        /// Where it was looked for.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The answer is not what this program understands.
    #[error("the witness at {url} answered with something else than {expected}")]
    NotUnderstood {
        /// The witness's address.
        url: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// What a witness answers. Nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// It cosigned: its signature lines.
    Cosigned(String),
    /// It knows the log with this size, and wants to be shown the growth from there.
    Knows(u64),
    /// It refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, cut short.
        reason: String,
    },
}

/// A blocking client of one witness.
#[derive(Debug, Clone)]
pub struct Witness {
    client: Client,
}

impl Witness {
    /// A client of the witness that takes checkpoints at `url` + `/add-checkpoint`.
    ///
    /// # Errors
    /// [`WitnessError::Address`].
    pub fn new(url: &str, trust: &Trust) -> Result<Self, WitnessError> {
        let client = Client::of_prefix(url, trust).map_err(WitnessError::Address)?;
        Ok(Self { client: client.with_patience(PATIENCE) })
    }

    /// Shows the witness a checkpoint.
    ///
    /// # Errors
    /// [`WitnessError`]; a refusal is an answer.
    pub fn add_checkpoint(&self, request: &AddCheckpoint) -> Result<WitnessAnswer, WitnessError> {
        let body = request.encode();
        let (status, text) = self.exchange("POST", "/add-checkpoint", body.as_bytes())?;
        match status {
            200 => Ok(WitnessAnswer::Cosigned(text)),
            409 => read_size(&text)
                .map(WitnessAnswer::Knows)
                .ok_or_else(|| self.not_understood("the size that it knows")),
            status => {
                let plain = text.trim().chars().filter(|c| !c.is_control()).take(200);
                Ok(WitnessAnswer::Refused { status, reason: plain.collect() })
            }
        }
    }

    /// The checkpoint of a log that the witness cosigned last, if it is one that says so (Angbu's do, at
    /// `/witness`): a signed note, nothing of it checked.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn checkpoint_of(&self, origin: &str) -> Result<Option<String>, WitnessError> {
        #[derive(Deserialize)]
        struct State {
            logs: Vec<Log>,
        }
        #[derive(Deserialize)]
        struct Log {
            origin: String,
            #[serde(default)]
            checkpoint: Option<String>,
        }
        let (status, text) = self.exchange("GET", "/witness", b"")?;
        if status != 200 {
            return Ok(None);
        }
        let state: State =
            serde_json::from_str(&text).map_err(|_| self.not_understood("what it has seen"))?;
        let log = state.logs.into_iter().find(|log| log.origin == origin);
        Ok(log.and_then(|log| log.checkpoint).filter(|note| note.len() <= witness::LONGEST))
    }

    fn exchange(&self, method: &str, path: &str, body: &[u8]) -> Result<(u16, String), WitnessError> {
        self.client.exchange(method, path, body, LONGEST_ANSWER).map_err(|error| {
            let url = self.client.url().to_owned();
            let reason = match error {
                ClientError::Unreachable { reason, .. } | ClientError::NotTheCentre { reason, .. } => reason,
                ClientError::Slow { .. } => "it took too long".to_owned(),
                ClientError::TooLong { .. } => "its answer is too long".to_owned(),
                error => error.to_string(),
            };
            WitnessError::NoAnswer { url, reason }
        })
    }

    fn not_understood(&self, expected: &'static str) -> WitnessError {
        WitnessError::NotUnderstood { url: self.client.url().to_owned(), expected }
    }
}
