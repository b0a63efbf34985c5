//! Feeds [`angbu_fuzz::passkey`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::passkey(data));
