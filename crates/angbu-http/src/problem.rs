//! Every refusal of the API, and the one place where they become RFC 9457 problems.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use angbu_accounts::{CodeError, JoiningError, NameError, PasswordError, RoleError, Scope};
use angbu_store::StoreError;
use angbu_time::calibration::CalibrationError;
use angbu_units::{IdError, TimeError, UnknownLanguage, ZoneError};

use crate::types::Problem;
use crate::types::evidence::LogGrowth;

/// When a call that met a log in doubt may be tried again: an operator must act first.
const IN_DOUBT_RETRY: u64 = 30;
/// When a report that witnesses did not cosign in time may be tried again.
const NOT_WITNESSED_RETRY: u64 = 10;

/// Why a call was refused. Messages are for the caller; what only the log may hold stays in the sources.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// No session and no token, or one that has ended.
    #[error("sign in first, or send an API token as 'Authorization: Bearer …'")]
    NotSignedIn,
    /// A wrong name or password: which of both is not said.
    #[error("name or password is wrong; check both, capitals included")]
    WrongPassword,
    /// A one-time password still stands.
    #[error("change the one-time password first (POST /api/v1/session/password)")]
    PasswordMustChange,
    /// A one-time password that nobody used in time.
    #[error("the one-time password has ended; ask whoever gave it for a new one")]
    PasswordExpired,
    /// The caller is known and may not do this.
    #[error("this needs the scope '{}', which the caller does not have", .0.word())]
    Forbidden(Scope),
    /// A browser's request that did not come from the console itself.
    #[error("a request with a session cookie must come from the console's own pages")]
    CrossSite,
    /// Too many tries from one place or against one name.
    #[error("too many tries; wait {seconds} s and try again")]
    Throttled {
        /// How long to wait.
        seconds: u64,
    },
    /// Nothing of this kind has this name or id.
    #[error("there is no {what} '{name}'")]
    Unknown {
        /// The kind of thing.
        what: &'static str,
        /// What the caller asked for, cut short.
        name: String,
    },
    /// A name that is already taken.
    #[error("{what} is taken already; choose another")]
    Taken {
        /// The kind of thing.
        what: &'static str,
    },
    /// Something that was begun before and is not done yet.
    #[error("{0}")]
    UnderWay(String),
    /// A field that has to stay.
    #[error(
        "the field '{field}' of an entry of kind {kind} cannot be erased, since proofs or verdicts rest on it; what can \
         be erased is what somebody stated, and what people, servers and customers are called"
    )]
    NotErasable {
        /// The entry's kind.
        kind: String,
        /// The field.
        field: String,
    },
    /// An enrolment code that is unknown, used, expired or for another name: which is not said.
    #[error("the enrolment code is unknown, used, expired or made for another name; ask for a new one")]
    CodeRefused,
    /// A request that has ended: no answer changes it any more.
    #[error("the request has ended ({0}); begin another one")]
    RequestEnded(angbu_requests::Verdict),
    /// A request that is bound to another browser, or to none yet.
    #[error("the request is not open in this browser; open it where it was begun, or begin another one")]
    OtherBrowser,
    /// A passkey, or an answer by one, that is not good.
    #[error(transparent)]
    Passkey(#[from] angbu_passkeys::Refused),
    /// A site whose address has no passkeys.
    #[error(transparent)]
    NoPasskeys(#[from] angbu_passkeys::NoDomain),
    /// A change that would leave nobody who runs the site.
    #[error(
        "this is the last operator who can sign in; make another one first, who chooses a password of their own"
    )]
    LastOperator,
    /// A change of somebody of whom nothing is known any more.
    #[error("this person was erased; there is nothing left to change")]
    Erased,
    /// A field of a person's joining data.
    #[error(transparent)]
    Joining(#[from] JoiningError),
    /// A field or parameter that cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// A body larger than the call takes.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// An upload that was refused by the core.
    #[error(transparent)]
    Upload(#[from] angbu_time::ingest::Refusal),
    /// A report that cannot be made.
    #[error("{0}")]
    Report(String),
    /// The database is busy, full or away; nothing was changed.
    #[error("the centre cannot answer for the moment and has changed nothing; try again in {seconds} s")]
    Unavailable {
        /// When to try again.
        seconds: u64,
        /// What happened, for the log only.
        reason: String,
    },
    /// The log stands still, because it may be an older copy of itself.
    #[error("{reason}")]
    LogInDoubt {
        /// What is known, and how an operator goes on.
        reason: String,
        /// The log as it stands, for an agent that has seen another.
        log: Option<Box<LogGrowth>>,
    },
    /// Witnesses are required, and not all have cosigned in time.
    #[error("{0}")]
    NotWitnessed(String),
    /// Our own mistake.
    #[error("the centre made a mistake; its log has the details under this request's id")]
    Internal(String),
}

impl Refusal {
    /// A refusal for something that nothing is called.
    pub(crate) fn unknown(what: &'static str, name: &str) -> Self {
        Self::Unknown { what, name: name.chars().take(64).collect() }
    }
}

/// How one refusal meets the network.
struct Face {
    status: StatusCode,
    name: &'static str,
    title: &'static str,
    retry_after_s: Option<u64>,
    next_seq: Option<u64>,
}

fn face(status: StatusCode, name: &'static str, title: &'static str) -> Face {
    Face { status, name, title, retry_after_s: None, next_seq: None }
}

impl Refusal {
    fn face(&self) -> Face {
        use StatusCode as S;
        match self {
            Self::NotSignedIn => face(S::UNAUTHORIZED, "not-signed-in", "Not signed in"),
            Self::WrongPassword => face(S::UNAUTHORIZED, "wrong-password", "Wrong name or password"),
            Self::PasswordMustChange => {
                face(S::FORBIDDEN, "password-must-change", "Password must be changed")
            }
            Self::PasswordExpired => face(S::FORBIDDEN, "password-expired", "One-time password has ended"),
            Self::RequestEnded(_) => face(S::CONFLICT, "request-ended", "Request has ended"),
            Self::OtherBrowser => face(S::FORBIDDEN, "other-browser", "Not open in this browser"),
            Self::LastOperator => face(S::CONFLICT, "last-operator", "The last operator stays"),
            Self::Erased => face(S::CONFLICT, "erased", "Person was erased"),
            Self::Passkey(_) => face(S::UNPROCESSABLE_ENTITY, "passkey-refused", "Passkey refused"),
            Self::NoPasskeys(_) => face(S::CONFLICT, "no-passkeys", "No passkeys at this address"),
            Self::Joining(error) => joining_face(error),
            Self::Forbidden(_) => face(S::FORBIDDEN, "forbidden", "Not allowed"),
            Self::CrossSite => face(S::FORBIDDEN, "cross-site", "Not from the console"),
            Self::Throttled { seconds } => Face {
                retry_after_s: Some(*seconds),
                ..face(S::TOO_MANY_REQUESTS, "throttled", "Too many tries")
            },
            Self::Unknown { .. } => face(S::NOT_FOUND, "unknown", "Not found"),
            Self::Taken { .. } => face(S::CONFLICT, "taken", "Name already taken"),
            Self::UnderWay(_) => face(S::CONFLICT, "under-way", "Still being done"),
            Self::NotErasable { .. } => {
                face(S::UNPROCESSABLE_ENTITY, "not-erasable", "Field cannot be erased")
            }
            Self::CodeRefused => face(S::FORBIDDEN, "code-refused", "Enrolment code refused"),
            Self::Invalid(_) => face(S::UNPROCESSABLE_ENTITY, "invalid", "Invalid request"),
            Self::TooLarge { .. } => face(S::PAYLOAD_TOO_LARGE, "too-large", "Body too large"),
            Self::Upload(refusal) => upload_face(refusal),
            Self::Report(_) => face(S::UNPROCESSABLE_ENTITY, "no-report", "Report cannot be made"),
            Self::Unavailable { seconds, .. } => Face {
                retry_after_s: Some(*seconds),
                ..face(S::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable")
            },
            Self::LogInDoubt { .. } => Face {
                retry_after_s: Some(IN_DOUBT_RETRY),
                ..face(S::SERVICE_UNAVAILABLE, "log-in-doubt", "The log stands still")
            },
            Self::NotWitnessed(_) => Face {
                retry_after_s: Some(NOT_WITNESSED_RETRY),
                ..face(S::SERVICE_UNAVAILABLE, "not-witnessed", "Not cosigned by every witness")
            },
            Self::Internal(_) => face(S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }
}

fn joining_face(error: &JoiningError) -> Face {
    use StatusCode as S;
    let wrong = |name, title| face(S::UNPROCESSABLE_ENTITY, name, title);
    match error {
        JoiningError::LoginId(_) => wrong("invalid-login-id", "Login id refused"),
        JoiningError::Password(PasswordError::TooShort | PasswordError::TooLong) => {
            wrong("invalid-password", "Password refused")
        }
        JoiningError::Password(PasswordError::Stored) => {
            face(S::INTERNAL_SERVER_ERROR, "internal", "Internal error")
        }
        JoiningError::Birthday(_) => wrong("invalid-birthday", "Birthday refused"),
        JoiningError::Phone(_) => wrong("invalid-phone", "Phone number refused"),
        JoiningError::Language(_) => wrong("invalid", "Invalid request"),
    }
}

fn upload_face(refusal: &angbu_time::ingest::Refusal) -> Face {
    use StatusCode as S;
    use angbu_time::ingest::Refusal as R;
    match refusal {
        R::TooLarge(_) => face(S::PAYLOAD_TOO_LARGE, "upload-too-large", "Upload too large"),
        R::Malformed(_) => face(S::UNPROCESSABLE_ENTITY, "upload-malformed", "Upload cannot be read"),
        R::UnknownAgent(_) => face(S::NOT_FOUND, "agent-unknown", "Agent not enrolled here"),
        R::BadSignature(_) => face(S::FORBIDDEN, "upload-not-signed", "Upload not signed by its agent"),
        R::Gap { expected, .. } => Face {
            next_seq: Some(*expected),
            ..face(S::CONFLICT, "upload-gap", "Records are missing before these")
        },
        R::Replay { next_seq } => Face {
            next_seq: Some(*next_seq),
            ..face(S::CONFLICT, "upload-replayed", "Upload already in effect")
        },
        R::Chain { expected } => Face {
            next_seq: Some(*expected),
            ..face(S::CONFLICT, "upload-unchained", "Records do not follow those in effect")
        },
        R::FromTheFuture { .. } => {
            face(S::UNPROCESSABLE_ENTITY, "upload-from-the-future", "Upload from the future")
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let face = self.face();
        match &self {
            Self::Internal(reason) => tracing::error!(%reason, "a call failed by our own mistake"),
            Self::Unavailable { reason, .. } => tracing::warn!(%reason, "a call could not be answered"),
            // Their words can hold what was sent, which can be personal.
            Self::Invalid(_) | Self::Joining(_) => tracing::debug!(refusal = face.name, "a call was refused"),
            Self::LogInDoubt { reason, .. } => tracing::warn!(%reason, "a call met a log in doubt"),
            other => tracing::debug!(refusal = face.name, reason = %other, "a call was refused"),
        }
        let problem = Problem {
            kind: format!("urn:angbu:problem:{}", face.name),
            title: face.title.to_owned(),
            status: face.status.as_u16(),
            detail: Some(self.to_string()),
            retry_after_s: face.retry_after_s,
            next_seq: face.next_seq.map(|seq| seq.to_string()),
            log: match self {
                Self::LogInDoubt { log, .. } => log.map(|log| *log),
                _ => None,
            },
        };
        let mut response = (face.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = face.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Unavailable { seconds: 1, reason: error.to_string() },
            StoreError::Unavailable { retry, .. } => {
                Self::Unavailable { seconds: retry.as_secs().max(1), reason: error.to_string() }
            }
            StoreError::LogInDoubt { .. } | StoreError::LogUnguarded { .. } => {
                Self::LogInDoubt { reason: error.to_string(), log: None }
            }
            StoreError::Taken { what } => Self::Taken { what },
            StoreError::UnderWay { .. } => Self::UnderWay(error.to_string()),
            StoreError::NotFound { .. }
            | StoreError::Corrupt { .. }
            | StoreError::NotOurs { .. }
            | StoreError::RootSecret { .. }
            | StoreError::InUse { .. }
            | StoreError::NotDurable { .. }
            | StoreError::Newer { .. }
            | StoreError::OtherMigration { .. }
            | StoreError::File { .. }
            | StoreError::Unfit { .. }
            | StoreError::TooMuch { .. } => Self::Internal(error.to_string()),
        }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<CalibrationError> for Refusal {
    fn from(error: CalibrationError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<RoleError> for Refusal {
    fn from(error: RoleError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<UnknownLanguage> for Refusal {
    fn from(error: UnknownLanguage) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<IdError> for Refusal {
    fn from(error: IdError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<TimeError> for Refusal {
    fn from(error: TimeError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<ZoneError> for Refusal {
    fn from(error: ZoneError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<CodeError> for Refusal {
    fn from(error: CodeError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::TooShort | PasswordError::TooLong => Self::Invalid(error.to_string()),
            PasswordError::Stored => Self::Internal(error.to_string()),
        }
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::TooLarge { limit: crate::JSON_LIMIT }
        } else {
            Self::Invalid(rejection.body_text())
        }
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl From<BytesRejection> for Refusal {
    fn from(_: BytesRejection) -> Self {
        Self::TooLarge { limit: crate::UPLOAD_LIMIT }
    }
}
