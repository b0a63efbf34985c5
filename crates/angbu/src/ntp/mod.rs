//! NTP at the rim: the server's sockets and threads, the kernel's own clock state, and what the centre
//! measures of its upstreams. What any of it means is `angbu_time`'s.

pub mod batch;
pub mod kernel;
pub mod server;
mod stamps;
pub mod upstream;
