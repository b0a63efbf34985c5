//! Feeds [`angbu_fuzz::tile`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::tile(data));
