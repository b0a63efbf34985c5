//! A blocking client of a centre, for agents, bindings and other people's programs.
//!
//! A [`Client`] speaks HTTPS to a centre that it knows by its public key, by the certificate authorities of a
//! file, or by the public ones; and plain HTTP to loopback addresses only. [`join()`] makes an agent known to a
//! centre by an enrolment code.

#![allow(clippy::disallowed_methods, reason = "the shell: this crate is where a centre is called")]

pub mod calibration;
mod client;
mod connection;
mod error;
mod join;
mod malfeasance;
mod trust;
mod verify;
pub mod wire;
mod witness;

pub use client::Client;
pub use error::{ClientError, Problem};
pub use join::{Joined, join};
pub use malfeasance::{MalfeasanceError, is_malfeasance, read_malfeasance, write_malfeasance};
pub use trust::Trust;
pub use verify::verify_report;
pub use witness::{Witness, WitnessAnswer, WitnessError};
