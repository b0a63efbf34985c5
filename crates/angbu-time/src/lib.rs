//! Proven time: NTP packets, one exchange, verdicts, the soft clock, periods, the time report.

pub mod packet;
pub mod server;
