//! The agent on a customer's server: plain threads, blocking sockets.
//!
//! [`run()`] joins a centre, watches this machine's clock, compares it with the centre's, and sends what it saw. What
//! that means is decided in [`angbu_time::agent`]; here are the threads, the sockets and the files around it.

#![allow(
    clippy::disallowed_methods,
    reason = "the shell: this crate is where an agent's clocks, files and sockets are touched"
)]

mod backoff;
mod children;
pub mod clock;
mod config;
pub mod doctor;
mod event;
mod files;
pub mod kernel_clock;
mod log;
pub mod machine;
pub mod ntp;
pub mod nts;
mod poll;
pub mod refclock;
pub mod roughtime;
mod run;
pub mod spool;
mod state;
mod steer;
mod steps;
mod stop;
mod upload;
mod watch;

pub use config::{
    ChildrenConfig, Config, ConfigError, KeeperConfig, Mode, OnTamper, PolicyConfig, RateConfig,
};
pub use event::Event;
pub use run::{AgentError, Events, run};
pub use spool::{Spool, SpoolError};
pub use state::StateError;
pub use stop::Stop;
