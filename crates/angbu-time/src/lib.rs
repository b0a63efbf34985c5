//! Proven time: NTP packets, one exchange, verdicts, the soft clock, periods, the time report.

pub mod admission;
pub mod agent;
mod alarm;
pub mod calibration;
pub mod centre_clock;
pub mod chain;
pub mod children;
pub mod correction;
pub mod discipline;
pub mod events;
pub mod exchange;
pub mod incidents;
pub mod ingest;
pub mod kernel_clock;
pub mod monthly;
pub mod notice;
pub mod nts;
pub mod packet;
pub mod periods;
pub mod proof;
pub mod record;
pub mod reference;
pub mod report;
pub mod roughtime;
pub mod segment;
pub mod selection;
pub mod server;
pub mod summary;
pub mod sync;
pub mod traceability;
pub mod trend;
pub mod uptime;
pub mod watch;
mod wire;

#[cfg(test)]
mod arbitrary;
