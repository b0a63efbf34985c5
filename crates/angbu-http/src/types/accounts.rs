//! Sessions, customers, tokens and enrolment.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    pub(crate) name: String,
    /// As typed.
    pub(crate) password: String,
}

/// A change of the own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    pub(crate) old: String,
    /// 12 characters at least.
    pub(crate) new: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    pub(crate) operator: Operator,
    /// Nothing else is answered until the password is changed.
    pub(crate) must_change_password: bool,
}

/// Somebody who runs the site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operator {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A customer and how its agents stand now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Tolerance. In nanoseconds.
    pub(crate) tolerance_ns: i64,
    /// How many agents.
    pub(crate) agents: u64,
    /// Agents proven within the tolerance now.
    pub(crate) within: u64,
    /// Agents proven outside now.
    pub(crate) outside: u64,
    /// Agents with neither proven now.
    pub(crate) not_proven: u64,
}

/// All customers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Customers {
    pub(crate) customers: Vec<Customer>,
}

/// A new customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCustomer {
    /// 1 to 63 characters of `a-z 0-9 . - _`.
    pub(crate) name: String,
    /// Tolerance. In nanoseconds, 1 µs to 1 day.
    pub(crate) tolerance_ns: i64,
}

/// A new API token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// Who will hold it, for the list of tokens.
    pub(crate) holder: String,
    /// `operator`, `evidence.append`, `evidence.read`.
    pub(crate) scopes: Vec<String>,
    /// When it ends, RFC 3339; without it, when it is revoked.
    pub(crate) expires: Option<String>,
}

/// A token, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenMade {
    pub(crate) id: String,
    /// The secret; only its hash is kept.
    pub(crate) token: String,
}

/// A wish for an enrolment code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEnrolment {
    /// What joins: `agent`.
    pub(crate) kind: EnrolmentKind,
    /// The customer's name or id.
    pub(crate) customer: String,
    /// The name that the joiner will have.
    pub(crate) name: String,
}

/// What can join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EnrolmentKind {
    /// An agent on a customer's server.
    Agent,
}

/// An enrolment code, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Enrolment {
    /// For the joiner; good once, for 24 hours.
    pub(crate) code: String,
    /// RFC 3339 in UTC with nanoseconds.
    pub(crate) expires_at: String,
}

/// What an agent sends to join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    /// Base64 of the code's 16 secret bytes.
    pub(crate) secret: String,
    /// The name that the code was made for.
    pub(crate) name: String,
    /// Base64 of the agent's 32-byte Ed25519 public key.
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
}
