//! Reference clocks beside this machine: NTP's shared memory, the kernel's pulses, and a chronyd that keeps one.
//!
//! Each is only read. What a reading means, [`angbu_time::reference`] decides.

pub mod chrony;
pub mod pps;
pub mod shm;
