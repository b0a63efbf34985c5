//! Feeds [`angbu_fuzz::report`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::report(data));
