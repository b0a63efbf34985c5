//! The trust centre as a library: what the command line starts, and what tests start in their own process.

#![allow(
    clippy::disallowed_methods,
    reason = "the shell: this crate is where clocks, files and the environment are read"
)]

pub mod ntp;
