//! The trust centre as a library: what the command line starts, and what tests start in their own process.

#![allow(
    clippy::disallowed_methods,
    reason = "the shell: this crate is where clocks, files and the environment are read"
)]

mod clock_job;
pub mod command;
pub mod config;
mod console;
mod deliveries;
mod jobs;
mod listener;
pub mod ntp;
mod reference;
pub mod roughtime;
pub mod site;
mod tls;
mod upstreams;
pub mod witness;
