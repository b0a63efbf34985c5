//! The NTP server: sockets around `angbu_time::server`.
