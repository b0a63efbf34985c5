//! Feeds [`angbu_fuzz::nts_datagram`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::nts_datagram(data));
