//! Feeds [`angbu_fuzz::roughtime`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::roughtime(data));
