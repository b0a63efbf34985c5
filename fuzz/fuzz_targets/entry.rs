//! Feeds [`angbu_fuzz::entry`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::entry(data));
