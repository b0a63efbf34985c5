//! Feeds [`angbu_fuzz::ntp_packet`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| angbu_fuzz::ntp_packet(data));
