//! Feeds [`angbu_fuzz::checkpoint`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::checkpoint(data));
