//! Notice of a step in the instant that it happens: a timer that Linux cancels when somebody sets the clock
//! (`timerfd_create(2)`, `TFD_TIMER_CANCEL_ON_SET`).

use std::io;
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A day long after this program: the timer is never meant to expire.
const NEVER: i64 = 1 << 33;

/// Such a timer.
pub(crate) struct Steps(TimerFd);

impl Steps {
    /// Begins to wait for steps.
    ///
    /// # Errors
    /// What the system says; a sandbox may forbid the call. The regular checks notice steps all the same.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let steps = Self(TimerFd::new(ClockId::CLOCK_REALTIME, flags)?);
        steps.arm()?;
        Ok(steps)
    }

    /// Waits for a step, no longer than `longest_ms`; whether there was one.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn wait(&self, longest_ms: u16) -> io::Result<bool> {
        let mut waiting = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::from(longest_ms)) {
            Ok(0) | Err(Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match self.0.wait() {
            Err(Errno::ECANCELED) => {
                self.arm()?;
                Ok(true)
            }
            Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn arm(&self) -> io::Result<()> {
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        match self.0.set(Expiration::OneShot(TimeSpec::seconds(NEVER)), flags) {
            // Set again in between: the next reading tells.
            Ok(()) | Err(Errno::ECANCELED) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_sets_gives_no_notice() {
        let steps = Steps::new().unwrap();
        assert!(!steps.wait(5).unwrap());
    }
}
