//! The time report, from a log in memory to the file that a stranger checks.

#![allow(clippy::disallowed_methods, reason = "samples are written where a person can look at them")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

mod forged;
mod golden;
mod properties;
mod samples;
mod site;
mod story;
