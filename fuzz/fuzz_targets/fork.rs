//! Feeds [`angbu_fuzz::fork`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::fork(data));
