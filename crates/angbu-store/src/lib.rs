//! SQL, migrations, encryption at rest: the only crate that knows a database.
//!
//! A [`Store`] is a folder with the site's root secret and, beside it, either one SQLite file or nothing but the way to a
//! PostgreSQL database, which centres with folders of their own share. Changes go through
//! [`Store::write`]: a closure over a [`Tx`], whose methods are the inserts and updates of every noun, so that state
//! and log entry commit together; it resolves when they are on the disk. Questions go through [`Store::read`]: a
//! closure over a [`Snapshot`], which sees one consistent state. What can be asked in a snapshot can be asked in a
//! transaction too.
//!
//! Entries appended by transactions wait in an outbox until the [`Sequencer`] gives them their places in the log and
//! signs the new head; [`Store::wait`] resolves with the proof of it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`site`] | the site, its centres, how often each was started |
//! | [`accounts`] | customers, staff, people, machines, tokens, sessions, enrolment codes |
//! | [`third_parties`] | share links, and reports that are kept |
//! | [`operations`] | calibrations, the centres' runs, their clocks' states and sources over time |
//! | [`time`] | agents, their exchanges, events and segments |
//! | [`keys`] | tokens of one-time keys, recovery codes, policies |
//! | [`requests`] | what relying parties ask of people, and failures that make wait |
//! | [`deliveries`] | messages on their way out, and customers' webhooks |
//! | [`passkeys`] | passkeys, and the questions that wait for an answer by one |
//! | [`evidence`] | outbox, sealed bodies, batches, tiles, counters, proofs |

#![allow(clippy::disallowed_methods, reason = "the shell: this crate is where files and clocks are touched")]

// The tests inside share their support with those outside, which know the crate by its name.
#[cfg(test)]
extern crate self as angbu_store;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

pub mod accounts;
mod board;
mod database;
pub mod deliveries;
mod error;
pub mod evidence;
mod guard;
pub mod keys;
pub mod operations;
pub mod passkeys;
mod postgres;
mod queue;
mod readers;
pub mod requests;
mod seal;
pub mod sequencer;
pub mod site;
mod sql;
mod sqlite;
mod store;
mod texts;
pub mod third_parties;
pub mod time;
mod writer;

pub use error::StoreError;
pub use postgres::{PostgresUrl, UrlError};
pub use seal::{KeyRow, NewKey, Purpose, Resealed, SigningKey};
pub use sequencer::{Lease, LogSigners, Published, Sequencer};
pub use store::{Engine, Options, Snapshot, Store, Tx};
