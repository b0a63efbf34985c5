//! Reports as strangers meet them: whole files, honest and not.

#![allow(clippy::disallowed_methods, reason = "the Python verifier is a program that reads a file")]

mod bytes;
mod python;
mod refusals;
mod site;
