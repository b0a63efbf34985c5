//! What tests need of the world around the product. No program of ours depends on it.

#![allow(clippy::disallowed_methods, reason = "the shell: it starts programs and makes folders")]
#![allow(clippy::unwrap_used, reason = "inside tests a panic is the report")]

pub mod postgres;
