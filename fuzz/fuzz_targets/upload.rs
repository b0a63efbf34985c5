//! Feeds [`angbu_fuzz::upload`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::upload(data));
