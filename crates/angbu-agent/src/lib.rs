//! The agent on a customer's server: plain threads, blocking sockets.

#![allow(
    clippy::disallowed_methods,
    reason = "the shell: this crate is where an agent's clocks, files and sockets are touched"
)]

pub mod clock;
mod files;
pub mod ntp_client;
pub mod spool;
