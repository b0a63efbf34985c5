//! Enrolment codes, and who joins by them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A wish for an enrolment code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEnrolment {
    /// What joins.
    pub(crate) kind: EnrolmentKind,
    /// The customer's name or id.
    pub(crate) customer: String,
    /// The name that the joiner will have; a person's is the login id.
    pub(crate) name: String,
}

/// What can join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EnrolmentKind {
    /// An agent on a customer's server.
    Agent,
    /// A person of a customer.
    Person,
    /// What activates a product on a customer's site.
    Host,
    /// An application that asks the centre.
    RelyingParty,
}

impl EnrolmentKind {
    const ALL: [Self; 4] = [Self::Agent, Self::Person, Self::Host, Self::RelyingParty];

    /// The word for it, as it is stored.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Person => "person",
            Self::Host => "host",
            Self::RelyingParty => "relying-party",
        }
    }

    /// The kind with this word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// An enrolment code, shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct Enrolment {
    pub(crate) id: String,
    /// For the joiner; good once, for 24 hours.
    pub(crate) code: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
}

/// An enrolment code that was made, without its secret. No `Debug`: a person's name is personal.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenCode {
    pub(crate) id: String,
    pub(crate) kind: EnrolmentKind,
    /// The customer's name.
    pub(crate) customer: String,
    pub(crate) name: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
    /// Whether somebody has joined by it.
    pub(crate) used: bool,
}

/// Enrolment codes that have not ended, the newest first: those of the kinds that the caller may make.
#[derive(Serialize, ToSchema)]
pub(crate) struct Enrolments {
    pub(crate) enrolments: Vec<OpenCode>,
}

/// What an agent, a host or a relying party sends to join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    /// Base64 of the code's 16 secret bytes.
    pub(crate) secret: String,
    /// The name that the code was made for.
    pub(crate) name: String,
    /// Base64 of the joiner's 32-byte Ed25519 public key.
    pub(crate) public_key: String,
    /// Base64 of the signature that shows possession of the private key.
    pub(crate) proof: String,
}

/// What an agent learns on joining.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Joined {
    pub(crate) agent_id: String,
    /// The customer's name.
    pub(crate) customer: String,
    pub(crate) customer_id: String,
    pub(crate) centre_id: String,
    /// The log's verifier key.
    pub(crate) log_key: String,
    /// Tolerance. In nanoseconds.
    pub(crate) tolerance_ns: i64,
    /// Where the centre serves time, `host:port`; an unspecified host is the centre's own.
    pub(crate) ntp: String,
    /// Where it exchanges keys for protected time (NTS), `host:port` of the same kind.
    pub(crate) nts: String,
    /// Base64 of the SHA-256 over the DER SubjectPublicKeyInfo that it shows there.
    pub(crate) nts_key: String,
}

/// What a host or a relying party learns on joining.
#[derive(Serialize, ToSchema)]
pub(crate) struct MachineJoined {
    pub(crate) machine_id: String,
    /// The customer's name.
    pub(crate) customer: String,
    pub(crate) customer_id: String,
    pub(crate) centre_id: String,
    /// The log's verifier key.
    pub(crate) log_key: String,
    /// A relying party's API token, shown this once. Who joins again with the same code and key gets another one, and
    /// the one before ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

/// A machine that has joined: a host or a relying party.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Machine {
    pub(crate) id: String,
    /// `host` or `relying-party`.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// The customer's name.
    pub(crate) customer: String,
    /// The origins that browsers may return to from a relying party's requests.
    pub(crate) origins: Vec<String>,
    /// Base64 of the 32-byte Ed25519 public key that it joined with.
    pub(crate) public_key: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) enrolled_at: String,
    /// Whether it is shut out, and its token with it.
    pub(crate) disabled: bool,
    /// Id of the newest entry about it.
    pub(crate) entry: String,
}

/// Machines, by kind and name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Machines {
    pub(crate) machines: Vec<Machine>,
}

/// A change of a machine; what is left away stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineChange {
    /// Whether it is shut out, and its token with it.
    pub(crate) disabled: Option<bool>,
    /// The origins that browsers may return to from a relying party's requests, 8 at most: `https://host[:port]`, or `http://`
    /// for this machine.
    pub(crate) origins: Option<Vec<String>>,
}
