//! Who may do what, as the centre keeps it: signing in, customers, staff, people, machines, tokens, and joining.

mod customers;
mod enrolments;
mod machines;
mod people;
mod sign_in;
mod staff;
mod tokens;

use angbu_evidence::Kind;
use angbu_store::{Snapshot, StoreError};
use angbu_units::CustomerId;

pub(crate) use customers::CustomerWish;
pub(crate) use enrolments::JoinWish;
pub(crate) use people::PersonWish;
pub(super) use people::{insert as insert_person, new_person};
pub(crate) use staff::StaffWish;
pub(crate) use tokens::{read_grant, read_holder};

use crate::problem::Refusal;

const CUSTOMER: Kind = Kind::constant("account.customer");
const STAFF: Kind = Kind::constant("account.staff");
const PERSON: Kind = Kind::constant("account.person");
const MACHINE: Kind = Kind::constant("account.machine");
const TOKEN: Kind = Kind::constant("account.token");

/// Who made what the centre made of itself.
const BY_THE_CENTRE: &str = "centre";

/// The name of a row's customer, for showing; none for the whole site.
fn name_of(snapshot: &Snapshot<'_>, customer: CustomerId) -> Result<Option<String>, StoreError> {
    if customer == CustomerId::SITE { Ok(None) } else { snapshot.customer_name(customer) }
}

/// A customer's name that must be there, because a row names it.
fn name_needed(snapshot: &Snapshot<'_>, customer: CustomerId) -> Result<String, StoreError> {
    name_of(snapshot, customer)?
        .ok_or_else(|| StoreError::Corrupt { what: format!("there is no customer {customer}") })
}

/// A yes or no in an entry.
fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// What a row holds that none of our versions wrote.
fn unreadable(what: &str, error: &dyn std::error::Error) -> Refusal {
    Refusal::Internal(format!("{what}: {error}"))
}
