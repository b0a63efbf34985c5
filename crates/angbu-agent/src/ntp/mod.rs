//! NTP at the rim: the sockets and threads of a client and of a server, and how finely a clock is read. What any of
//! it means is `angbu_time`'s. The centre serves time with the same server as an agent serves its site.

pub mod batch;
pub mod client;
pub mod guard;
pub mod precision;
pub mod server;
mod stamps;
