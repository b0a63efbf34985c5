//! What tests need of the world around the product: a PostgreSQL server, and a machine, a network and time servers as numbers.
//! No program of ours depends on it.

#![allow(clippy::disallowed_methods, reason = "the shell: it starts programs and makes folders")]
#![allow(clippy::unwrap_used, reason = "inside tests a panic is the report")]

pub mod postgres;
pub mod simulation;
