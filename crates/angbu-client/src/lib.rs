//! A blocking client of a centre, for agents, bindings and other people's programs.
//!
//! A [`Client`] speaks HTTPS to a centre that it knows by its public key, by the certificate authorities of a
//! file, or by the public ones; and plain HTTP to loopback addresses only. [`join()`] makes an agent known to a
//! centre by an enrolment code.
//!
//! A program that wants to know who somebody is starts a request and waits for its end:
//!
//! ```no_run
//! use angbu_client::{Client, RequestWish, Trust};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let centre = Client::new("https://centre.example:8443", Some("the relying party's token"), &Trust::Public)?;
//! let log = centre.log_keys()?; // Better: kept from a source that you trust.
//! let wish = RequestWish::login(&[&["passkey"], &["password", "keys"]], "Sign in to the shop");
//! let started = centre.start_request(&wish)?;
//! println!("send the browser to {}, and keep {}", started.url, started.id);
//! let state = centre.wait_for_request(&started.id, Duration::from_secs(300))?;
//! let end = state.proven(&log)?;
//! if end.verdict == "accepted" {
//!     println!("it is {} at {} ± {}", end.subject, end.entry.time, end.entry.error_bound);
//! }
//! # Ok(())
//! # }
//! ```

#![allow(clippy::disallowed_methods, reason = "the shell: this crate is where a centre is called")]

pub mod calibration;
mod client;
mod connection;
mod error;
mod join;
mod malfeasance;
mod requests;
mod trust;
mod verify;
pub mod wire;
mod witness;

pub use client::Client;
pub use error::{ClientError, Problem};
pub use join::{Joined, join};
pub use malfeasance::{MalfeasanceError, is_malfeasance, read_malfeasance, write_malfeasance};
pub use requests::{NotProven, ProvenEnd, RequestEvidence, RequestState, RequestWish, Show, StartedRequest};
pub use trust::Trust;
pub use verify::verify_report;
pub use witness::{Witness, WitnessAnswer, WitnessError};
