//! People.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which people.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeopleQuery {
    /// The customer's name or id; whoever works for one customer may leave it away.
    pub(crate) customer: Option<String>,
    /// The `next` of the page before.
    pub(crate) after: Option<String>,
    /// How many, 1 to 200; 50 without it.
    pub(crate) limit: Option<u64>,
}

/// A person of a customer. No `Debug`: it is personal.
#[derive(Serialize, ToSchema)]
pub(crate) struct Person {
    pub(crate) id: String,
    /// The customer's name.
    pub(crate) customer: String,
    /// In lower case and Unicode's normal form C; empty once the person was erased.
    pub(crate) login_id: String,
    /// With `+` and country code; empty once the person was erased.
    pub(crate) phone_no: String,
    /// `YYYY-MM-DD`; empty once the person was erased.
    pub(crate) birthday: String,
    /// `en`, `ko` or `ja`; none once the person was erased.
    pub(crate) language: Option<String>,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) enrolled_at: String,
    /// Whether the person may no longer sign in anywhere.
    pub(crate) disabled: bool,
    /// Whether what was known of the person is gone.
    pub(crate) erased: bool,
    /// Id of the newest entry about the person.
    pub(crate) entry: String,
}

/// A page of people, in the order in which they were enrolled.
#[derive(Serialize, ToSchema)]
pub(crate) struct People {
    pub(crate) people: Vec<Person>,
    /// What the next page begins `after`, if there is one.
    pub(crate) next: Option<String>,
}

/// A new person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPerson {
    /// The customer's name or id.
    pub(crate) customer: String,
    /// 1 to 64 letters of one script, digits, `.`, `_`, `-`, `@` and `+`; unique among the customer's people, those that
    /// look alike with them.
    pub(crate) login_id: String,
    /// 12 characters at least.
    pub(crate) password: String,
    /// `YYYY-MM-DD`, from 1900 to today.
    pub(crate) birthday: String,
    /// Digits only, 9 to 15 with the country code; `010…` is a number in Korea, and the same as `+8210…`.
    pub(crate) phone_no: String,
    /// `en`, `ko` or `ja`; the customer's without it.
    pub(crate) language: Option<String>,
}

/// A change of a person; what is left away stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonChange {
    /// Digits only, 9 to 15 with the country code.
    pub(crate) phone_no: Option<String>,
    /// `YYYY-MM-DD`, from 1900 to today.
    pub(crate) birthday: Option<String>,
    /// Whether the person may no longer sign in anywhere.
    pub(crate) disabled: Option<bool>,
    /// `en`, `ko` or `ja`.
    pub(crate) language: Option<String>,
}

/// What a person sends to join with a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonJoin {
    /// Base64 of the code's 16 secret bytes.
    pub(crate) secret: String,
    /// The login id that the code was made for.
    pub(crate) login_id: String,
    /// 12 characters at least.
    pub(crate) password: String,
    /// `YYYY-MM-DD`, from 1900 to today.
    pub(crate) birthday: String,
    /// Digits only, 9 to 15 with the country code.
    pub(crate) phone_no: String,
    /// `en`, `ko` or `ja`; the customer's without it.
    pub(crate) language: Option<String>,
}

/// What a person learns on joining.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonJoined {
    pub(crate) person_id: String,
    /// The customer's name.
    pub(crate) customer: String,
    pub(crate) customer_id: String,
    pub(crate) centre_id: String,
    /// The log's verifier key.
    pub(crate) log_key: String,
}
