//! Asking a person through a centre: start a request, send the person's browser to it, wait for the verdict, and check it
//! against the log.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use angbu_evidence::note::VerifierKey;
use angbu_evidence::{Disclosure, Entry, Receipt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError};

/// How long one call waits for events before it is made again.
const STREAM: Duration = Duration::from_secs(60);
/// How long after a lost connection it is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest line of an event, and the most bytes of one stream.
const LONGEST: u64 = 4 << 20;
/// The kind of entry that tells a request's end.
const ENDED: &str = "request.ended";

/// A wish for a request.
#[derive(Debug, Clone, Serialize)]
pub struct RequestWish {
    /// The customer's name or id; a token of one customer may leave it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// `login` or `signature`.
    pub purpose: String,
    /// The login id of whom it asks; without it anybody of the customer may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_id: Option<String>,
    /// The combinations that are accepted, of `password`, `keys` and `passkey`.
    pub methods: Vec<Vec<String>>,
    /// What is shown.
    pub show: Show,
    /// For how many seconds it can be answered, 30 to 3,600; 300 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u16>,
    /// Where the browser goes when it has ended; its origin must be registered for the relying party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
}

/// What is shown to whoever is asked.
#[derive(Debug, Clone, Serialize)]
pub struct Show {
    /// One line, 1 to 120 characters.
    pub title: String,
    /// Plain text, up to 4,000 characters.
    pub text: String,
}

impl RequestWish {
    /// A sign-in by any of these combinations, with this title.
    pub fn login(methods: &[&[&str]], title: &str) -> Self {
        let owned = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            customer: None,
            purpose: "login".to_owned(),
            login_id: None,
            methods: methods.iter().map(owned).collect(),
            show: Show { title: title.to_owned(), text: String::new() },
            seconds: None,
            return_to: None,
        }
    }
}

/// A request that was started. Keep its id to go on after a restart. No `Debug`: the address opens the request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedRequest {
    /// Its id.
    pub id: String,
    /// Where to send the person's browser; it opens the request once.
    pub url: String,
    /// Until when it can be answered, RFC 3339.
    pub expires_at: String,
}

/// A request as the centre says it stands. Nothing of it is checked but by [`RequestState::proven`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestState {
    /// Its id.
    pub id: String,
    /// Whether a browser has opened it.
    pub opened: bool,
    /// The methods that were answered rightly.
    pub done: Vec<String>,
    /// `accepted`, `refused`, `expired` or `cancelled`; none while it goes on.
    pub verdict: Option<String>,
    /// Who answered, by id.
    pub subject: Option<String>,
    /// The login id of who answered.
    pub subject_login_id: Option<String>,
    /// What proves its end.
    pub evidence: Option<RequestEvidence>,
}

/// What proves how a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEvidence {
    /// The entry's id.
    pub entry_id: String,
    /// When it ended, RFC 3339.
    pub time: String,
    /// How far true time can lie from that, in nanoseconds.
    pub error_bound_ns: i64,
    /// The receipt, once it is made.
    pub receipt: Option<String>,
    /// The entry's fields, in base64.
    pub disclosure: Option<String>,
}

/// How a request ended, as the log proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEnd {
    /// The entry, with the proven instant.
    pub entry: Entry,
    /// `accepted`, `refused`, `expired` or `cancelled`.
    pub verdict: String,
    /// The id of who answered; empty where nobody did.
    pub subject: String,
    /// The methods that were answered, with a `+` between them.
    pub methods: String,
}

/// Why a request's end is not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It has not ended, or its receipt is not made yet.
    #[error("the request has no receipt yet; ask for it again in a moment")]
    NoReceipt,
    /// The receipt does not hold.
    #[error("the receipt proves nothing: {0}")]
    Receipt(String),
    /// The fields are not those of the entry.
    #[error("what the entry is said to say is not what stands in the log")]
    Fields,
    /// The entry is about something else, or says something else than the answer.
    #[error("the entry is not the end of this request, or says something else than the centre's answer")]
    OtherEnd,
}

impl RequestState {
    /// Checks with the log's keys that the log holds the end of this request, and returns what that says.
    ///
    /// # Errors
    /// [`NotProven`].
    pub fn proven(&self, log: &[VerifierKey]) -> Result<ProvenEnd, NotProven> {
        let evidence = self.evidence.as_ref().ok_or(NotProven::NoReceipt)?;
        let (Some(receipt), Some(disclosure)) = (&evidence.receipt, &evidence.disclosure) else {
            return Err(NotProven::NoReceipt);
        };
        let wrong = |error: angbu_evidence::receipt::ReceiptError| NotProven::Receipt(error.to_string());
        let (entry, _, _) = Receipt::decode(receipt).map_err(wrong)?.verify_by(log).map_err(wrong)?;
        let disclosure = STANDARD.decode(disclosure).map_err(|_| NotProven::Fields)?;
        let disclosure = Disclosure::decode(&disclosure).map_err(|_| NotProven::Fields)?;
        if disclosure.root() != entry.body_root {
            return Err(NotProven::Fields);
        }
        let field = |name| {
            let text = disclosure.get(name).map(|value| std::str::from_utf8(value).map(str::to_owned));
            text.and_then(Result::ok).ok_or(NotProven::Fields)
        };
        let end = ProvenEnd {
            verdict: field("verdict")?,
            subject: field("subject")?,
            methods: field("methods")?,
            entry,
        };
        let is_this = end.entry.kind.as_str() == ENDED && field("request")? == self.id;
        let says_so = self.verdict.as_ref() == Some(&end.verdict)
            && self.subject.as_deref().unwrap_or_default() == end.subject;
        if is_this && says_so { Ok(end) } else { Err(NotProven::OtherEnd) }
    }
}

impl Client {
    /// Starts a request. Send the person's browser to its address, then wait for its end.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn start_request(&self, wish: &RequestWish) -> Result<StartedRequest, ClientError> {
        let wish = serde_json::to_value(wish).map_err(|error| ClientError::Unusable(error.to_string()))?;
        self.parse(&self.post("/api/v1/requests", &wish)?, "a request")
    }

    /// A request as it stands.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn request_state(&self, id: &str) -> Result<RequestState, ClientError> {
        self.parse(&self.get(&format!("/api/v1/requests/{}", checked(id)?))?, "a request's state")
    }

    /// Waits until a request has ended and its receipt is made, or `patience` is over, and returns how it stands then. It
    /// follows the request's events and, where those are cut off, asks again: a lost connection, a restart of either side
    /// or another centre of the site make no difference.
    ///
    /// # Errors
    /// [`ClientError`], where the centre refuses, or where nothing was heard of it in all the time.
    pub fn wait_for_request(&self, id: &str, patience: Duration) -> Result<RequestState, ClientError> {
        let begun = Instant::now();
        let mut last = None;
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            let heard = self.follow(id, left.min(STREAM)).or_else(|_| self.request_state(id).map(Some));
            match heard {
                Ok(Some(state)) if has_proof(&state) => return Ok(state),
                Ok(state) => last = state.map(Ok).or(last),
                Err(error @ ClientError::Refused(_)) if !passes(&error) => return Err(error),
                Err(error) => last = last.or(Some(Err(error))),
            }
            if begun.elapsed() >= patience {
                return last.unwrap_or_else(|| self.request_state(id));
            }
            std::thread::sleep(AGAIN.min(patience.saturating_sub(begun.elapsed())));
        }
    }

    /// Follows a request's events until it ends or they do; the newest state that was told.
    fn follow(&self, id: &str, patience: Duration) -> Result<Option<RequestState>, ClientError> {
        let mut answer = self.stream(&format!("/api/v1/requests/{}/events", checked(id)?), patience)?;
        let reader = answer.body_mut().with_config().limit(LONGEST).reader();
        let mut newest = None;
        // Where the stream is cut off, what was told before counts.
        for line in std::io::BufReader::new(reader).lines().map_while(Result::ok) {
            let Some(data) = line.strip_prefix("data:") else { continue };
            let state: RequestState = self.parse(data.trim().as_bytes(), "a request's state")?;
            let proven = has_proof(&state);
            newest = Some(state);
            if proven {
                break;
            }
        }
        Ok(newest)
    }
}

/// An id that may stand in a path.
fn checked(id: &str) -> Result<&str, ClientError> {
    if id.parse::<angbu_units::RequestId>().is_ok() {
        Ok(id)
    } else {
        Err(ClientError::Unusable("a request's id begins with req_; was it copied whole?".to_owned()))
    }
}

fn has_proof(state: &RequestState) -> bool {
    state.verdict.is_some() && state.evidence.as_ref().is_some_and(|evidence| evidence.receipt.is_some())
}

/// Whether a refusal can be gone a moment later.
fn passes(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(problem) if problem.status == 429 || problem.status >= 500)
}
