//! Sessions, customers, staff, tokens.

use angbu_accounts::Role;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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

/// What a member of the staff is. An operator runs the site; the others work for one customer, an auditor for one or
/// for the whole site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Role)]
pub(crate) enum RoleWord {
    Operator,
    CustomerAdmin,
    Registrar,
    Auditor,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Operator => Self::Operator,
            RoleWord::CustomerAdmin => Self::CustomerAdmin,
            RoleWord::Registrar => Self::Registrar,
            RoleWord::Auditor => Self::Auditor,
        }
    }
}

impl RoleWord {
    /// The word for a role, where it is one of the staff's.
    pub(crate) const fn of(role: Role) -> Option<Self> {
        match role {
            Role::Operator => Some(Self::Operator),
            Role::CustomerAdmin => Some(Self::CustomerAdmin),
            Role::Registrar => Some(Self::Registrar),
            Role::Auditor => Some(Self::Auditor),
            Role::RelyingParty | Role::Agent | Role::Device => None,
        }
    }
}

/// Who is signed in, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    pub(crate) staff: SignedIn,
    /// Nothing else is answered until the password is changed.
    pub(crate) must_change_password: bool,
    /// Scopes, as tokens have them.
    pub(crate) scopes: Vec<String>,
}

/// A signed-in member of the staff.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignedIn {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: RoleWord,
    /// The customer that everything is limited to; without it, nothing is.
    pub(crate) customer: Option<CustomerName>,
    /// `en`, `ko` or `ja`.
    pub(crate) language: String,
}

/// A customer by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerName {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Whose rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfCustomer {
    /// The customer's name or id; without it, all that the caller may see.
    pub(crate) customer: Option<String>,
}

/// A customer and how its agents stand now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Tolerance. In nanoseconds.
    pub(crate) tolerance_ns: i64,
    /// Mail addresses to write to.
    pub(crate) contacts: Vec<String>,
    /// `en`, `ko` or `ja`.
    pub(crate) language: String,
    /// The time zone in which instants are told beside UTC, by its IANA name.
    pub(crate) zone: String,
    /// How often the settings were changed, from 1.
    pub(crate) revision: u64,
    /// How many agents.
    pub(crate) agents: u64,
    /// Agents proven within the tolerance now.
    pub(crate) within: u64,
    /// Agents proven outside now.
    pub(crate) outside: u64,
    /// Agents with neither proven now.
    pub(crate) not_proven: u64,
}

/// Customers, by name.
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
    /// Mail addresses to write to, 20 at most.
    pub(crate) contacts: Option<Vec<String>>,
    /// `en`, `ko` or `ja`; English without it.
    pub(crate) language: Option<String>,
    /// The time zone in which instants are told beside UTC, by its IANA name; UTC without it.
    pub(crate) zone: Option<String>,
}

/// A change of a customer's settings; what is left away stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerChange {
    /// Tolerance. In nanoseconds, 1 µs to 1 day.
    pub(crate) tolerance_ns: Option<i64>,
    /// Mail addresses to write to, 20 at most.
    pub(crate) contacts: Option<Vec<String>>,
    /// `en`, `ko` or `ja`.
    pub(crate) language: Option<String>,
    /// The time zone in which instants are told beside UTC, by its IANA name.
    pub(crate) zone: Option<String>,
}

/// Somebody who signs in to the console.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StaffMember {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: RoleWord,
    /// The customer's name; without it, the whole site.
    pub(crate) customer: Option<String>,
    /// `en`, `ko` or `ja`.
    pub(crate) language: String,
    /// Whether the member may no longer sign in.
    pub(crate) disabled: bool,
    /// Whether a one-time password still stands.
    pub(crate) must_change: bool,
}

/// Staff, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StaffList {
    pub(crate) staff: Vec<StaffMember>,
}

/// A new member of the staff.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStaff {
    /// 1 to 63 characters of `a-z 0-9 . - _`, unique in the site.
    pub(crate) name: String,
    pub(crate) role: RoleWord,
    /// The customer's name or id; without it, as far as the caller reaches.
    pub(crate) customer: Option<String>,
    /// `en`, `ko` or `ja`; English without it.
    pub(crate) language: Option<String>,
}

/// A change of a member of the staff; what is left away stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaffChange {
    pub(crate) role: Option<RoleWord>,
    /// Whether the member may no longer sign in; open sessions end at once.
    pub(crate) disabled: Option<bool>,
    /// `en`, `ko` or `ja`.
    pub(crate) language: Option<String>,
}

/// A new member of the staff, with a password that is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct StaffMade {
    pub(crate) staff: StaffMember,
    /// Good for 72 hours; it is changed at the first sign-in.
    pub(crate) one_time_password: String,
}

/// A password that is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneTimePassword {
    /// Good for 72 hours; it is changed at the next sign-in.
    pub(crate) one_time_password: String,
}

/// A new API token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// Who will hold it, for the list of tokens; 1 to 120 characters.
    pub(crate) holder: String,
    /// `operator`, `site.read`, `customers.read`, `customers.change`, `staff.manage`, `tokens.manage`, `people.read`,
    /// `people.manage`, `machines.manage`, `enrolments.make`, `time.read`, `time.report`, `evidence.read`,
    /// `evidence.append`, `evidence.erase`, `keys.verify`, `keys.read`, `keys.manage`, `keys.generate`: one at least, and none that the caller has not.
    pub(crate) scopes: Vec<String>,
    /// The name or id of the customer that it is limited to; without it, as far as the caller reaches.
    pub(crate) customer: Option<String>,
    /// When it ends, RFC 3339; without it, when it is revoked.
    pub(crate) expires: Option<String>,
}

/// A token, shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenMade {
    pub(crate) id: String,
    /// The secret; only its hash is kept.
    pub(crate) token: String,
}

/// An API token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) holder: String,
    /// The customer's name; without it, the whole site.
    pub(crate) customer: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) expires_at: Option<String>,
    pub(crate) revoked: bool,
}

/// Tokens, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<Token>,
}
