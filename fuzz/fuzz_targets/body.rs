//! Feeds [`angbu_fuzz::body`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::body(data));
