//! What relying parties ask of people.

use angbu_requests::{Method, Purpose, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ClockVerdictWord;

macro_rules! words {
    ($(#[$doc:meta])* $word:ident of $core:ident as $schema:ident { $($variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "kebab-case")]
        #[schema(as = $schema)]
        pub(crate) enum $word {
            $($variant,)*
        }

        impl From<$core> for $word {
            fn from(core: $core) -> Self {
                match core {
                    $($core::$variant => Self::$variant,)*
                }
            }
        }

        impl From<$word> for $core {
            fn from(word: $word) -> Self {
                match word {
                    $($word::$variant => Self::$variant,)*
                }
            }
        }
    };
}

words!(
    /// What a request is for: to know who it is, or to have what is shown agreed to.
    PurposeWord of Purpose as RequestPurpose { Login, Signature, }
);
words!(
    /// A way to answer: a password, a one-time key, a passkey.
    MethodWord of Method as RequestMethod { Password, Keys, Passkey, }
);
words!(
    /// How a request ended.
    VerdictWord of Verdict as RequestVerdict { Accepted, Refused, Expired, Cancelled, }
);

/// What is shown to whoever is asked.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Show {
    /// One line, 1 to 120 characters.
    pub(crate) title: String,
    /// Plain text, up to 4,000 characters; it may have lines.
    #[serde(default)]
    pub(crate) text: String,
}

/// A wish for a request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRequest {
    /// The customer's name or id; a token of one customer may leave it away.
    pub(crate) customer: Option<String>,
    pub(crate) purpose: PurposeWord,
    /// The login id of whom it asks; without it anybody of the customer may answer.
    pub(crate) login_id: Option<String>,
    /// The combinations that are accepted, 1 to 8: `[["passkey"], ["password", "keys"]]` is a passkey alone, or a password
    /// and a one-time key together.
    pub(crate) methods: Vec<Vec<MethodWord>>,
    pub(crate) show: Show,
    /// For how many seconds it can be answered, 30 to 3,600; 300 without it.
    pub(crate) seconds: Option<u16>,
    /// Where the browser goes when it has ended, with `request=` and the request's id in its query. Its origin must be
    /// registered for the relying party.
    pub(crate) return_to: Option<String>,
}

/// A request that was started.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestMade {
    pub(crate) id: String,
    /// Where to send the person's browser. It opens the request once: what stands behind the `#` is its secret.
    pub(crate) url: String,
    /// The same without scheme and host.
    pub(crate) path: String,
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
}

/// A request, as whoever asked sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestState {
    pub(crate) id: String,
    /// The customer's name; none for the site's own.
    pub(crate) customer: Option<String>,
    /// Who asks.
    pub(crate) relying_party: String,
    pub(crate) purpose: PurposeWord,
    /// What it shows.
    pub(crate) title: String,
    /// The login id that it was started with.
    pub(crate) login_id: Option<String>,
    pub(crate) methods: Vec<Vec<MethodWord>>,
    #[schema(format = DateTime)]
    pub(crate) started_at: String,
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
    /// Whether a browser has opened it.
    pub(crate) opened: bool,
    /// The methods that were answered rightly.
    pub(crate) done: Vec<MethodWord>,
    /// How many answers were wrong.
    pub(crate) wrong: u32,
    /// How it ended; none while it goes on.
    pub(crate) verdict: Option<VerdictWord>,
    /// Who answered: the id of a person, or of a member of the staff. Of an accepted request it is proven.
    pub(crate) subject: Option<String>,
    /// The login id of who answered.
    pub(crate) subject_login_id: Option<String>,
    pub(crate) evidence: Option<RequestEvidence>,
}

/// What proves how a request ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestEvidence {
    /// Id of the entry in the log.
    pub(crate) entry_id: String,
    /// When it ended. RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) time: String,
    /// How far true time can lie from it. In nanoseconds.
    pub(crate) error_bound_ns: i64,
    pub(crate) clock: ClockVerdictWord,
    /// Id of the clock state in force.
    pub(crate) clock_state: String,
    /// The receipt (a C2SP tlog-proof), once the entry has its place in the log, which takes moments.
    pub(crate) receipt: Option<String>,
    /// Base64 of the entry's fields with their salts, but for what was shown: with the receipt they prove what the entry says.
    pub(crate) disclosure: Option<String>,
}

/// Requests, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestList {
    pub(crate) requests: Vec<RequestState>,
    /// The `before` of the next page.
    pub(crate) next: Option<String>,
}

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RequestsQuery {
    /// The customer's name or id; all that the caller may see without it.
    pub(crate) customer: Option<String>,
    /// The `next` of the page before.
    pub(crate) before: Option<String>,
    /// How many, 1 to 200; 50 without it.
    pub(crate) limit: Option<u64>,
}

/// The secret of a request, as it stands behind the `#` of its address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestSecret {
    pub(crate) secret: String,
}

/// A request, as the browser that opened it sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestShown {
    pub(crate) id: String,
    pub(crate) purpose: PurposeWord,
    pub(crate) title: String,
    pub(crate) text: String,
    /// Who asks; `console` is this centre's own.
    pub(crate) relying_party: String,
    /// The customer's name; none for the site's own.
    pub(crate) customer: Option<String>,
    /// The login id of whom it asks; without it the page asks for one.
    pub(crate) login_id: Option<String>,
    /// The combinations of which one is needed.
    pub(crate) methods: Vec<Vec<MethodWord>>,
    /// The methods that were answered rightly.
    pub(crate) done: Vec<MethodWord>,
    /// The methods that bring it further.
    pub(crate) next: Vec<MethodWord>,
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
    /// By the centre's clock; zero once it has ended.
    pub(crate) seconds_left: i64,
    /// How many answers may still be wrong.
    pub(crate) tries_left: u32,
    pub(crate) verdict: Option<VerdictWord>,
    /// Where to go now that it has ended.
    pub(crate) next_url: Option<String>,
}

/// What came of an answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestAnswered {
    /// Whether the answer was right. What is wrong about it, the login id or the rest, is not said.
    pub(crate) right: bool,
    pub(crate) shown: RequestShown,
}

/// An answer by a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordAnswer {
    /// Needed where the request names nobody and nobody has answered yet.
    pub(crate) login_id: Option<String>,
    /// As typed.
    pub(crate) password: String,
}

/// An answer by a one-time key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysAnswer {
    /// Needed where the request names nobody and nobody has answered yet.
    pub(crate) login_id: Option<String>,
    /// The phone number, where the relying party asks for it too.
    pub(crate) phone_no: Option<String>,
    /// The key's digits, or a recovery code.
    pub(crate) ota_key: String,
}
