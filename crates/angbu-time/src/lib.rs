//! Proven time: NTP packets, one exchange, verdicts, the soft clock, periods, the time report.

pub mod exchange;
pub mod packet;
pub mod server;
pub mod soft_clock;
pub mod sync;
