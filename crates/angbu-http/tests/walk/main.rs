//! Every route as every role: who may, who may not, and for whom there is nothing there. The routes are taken from the
//! document that the centre serves; what is expected of each stands in one table.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]
#![allow(clippy::disallowed_methods, reason = "a test waits for conditions")]

mod bad_input;
mod exports;
mod incidents;
mod joining;
mod kept;
mod key_import;
mod keys;
mod lives;
mod machine;
mod many;
mod passkeys;
mod requests;
mod roles;
mod site;
mod table;
