//! Reports as strangers meet them: whole files, honest and not.

#![allow(clippy::disallowed_methods, reason = "the Python verifier is a program that reads a file")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

mod bytes;
mod completeness;
mod python;
mod refusals;
mod signatures;
mod site;
mod vectors;
