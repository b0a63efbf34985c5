//! The clock as a port: the one way by which time enters.

use crate::{Monotonic, UnixTime};

/// Both of a machine's clocks, read as close together as the machine allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The clock that people and programs read, and that root can set.
    pub wall: UnixTime,
    /// The clock that nobody can set; it goes on while the machine is suspended where the system offers that.
    pub monotonic: Monotonic,
}

/// Where time comes from. The shell hands one to whoever needs it; a core receives instants instead.
///
/// Implementations are cheap, never block, and are read from several threads at once.
/// The wall clock may go backwards between two readings; the monotonic clock may not.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn read(&self) -> Reading;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn read(&self) -> Reading {
        (**self).read()
    }
}
