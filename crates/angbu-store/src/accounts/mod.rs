//! Customers, staff, people, machines, API tokens, sessions and enrolment codes as they stand in the database.
//!
//! What they mean and when they are good is decided elsewhere; here they are found, inserted and changed, every
//! change under the version that was read. What is personal in them stands sealed, and is found by a keyed hash.

mod codes;
mod customers;
mod machines;
pub(crate) mod people;
mod staff;
mod tokens;

pub use codes::CodeRow;
pub use customers::{CustomerRow, SettingsRow};
pub use machines::MachineRow;
pub use people::{Known, PersonRow};
pub use staff::{SessionRow, StaffRow};
pub use tokens::TokenRow;

use crate::seal::Purpose;

/// What seals personal columns.
const PERSONAL: Purpose = Purpose::Personal;

/// The most rows that one question lists.
pub const MOST_LISTED: u64 = 1_000;
