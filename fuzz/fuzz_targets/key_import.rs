//! Feeds [`angbu_fuzz::key_import`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::key_import(data));
