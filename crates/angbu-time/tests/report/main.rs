//! The time report, from a log in memory to the file that a stranger checks.

#![allow(
    clippy::disallowed_methods,
    reason = "the test writes its sample reports where a person can look at them"
)]

mod properties;
mod samples;
mod site;
mod story;
