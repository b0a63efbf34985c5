//! The whole product, as its users meet it: the real binary, real peers, a real browser. One module a subject.

#![allow(clippy::disallowed_methods, reason = "tests start processes, read files and wait for conditions")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]
#![allow(clippy::print_stderr, reason = "what a process under test says belongs into the test's output")]

mod children;
mod cluster;
mod console;
mod crash;
mod demo;
mod evidence;
mod faults;
mod guest;
mod guides;
mod keys;
mod load;
mod log;
mod mail;
mod ntp;
mod ntpd_rs;
mod nts;
mod on_the_way;
mod operations;
mod planted;
mod post_office;
mod probe;
mod process;
mod refusals;
mod report;
mod requests;
mod roughtime;
mod tampering;
mod third_parties;
mod tolerance;
mod two_histories;
mod witness;
