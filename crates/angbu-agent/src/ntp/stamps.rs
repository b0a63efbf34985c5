//! Whether the kernel's receive stamps are on the clock that this process reads.
//!
//! They are the better T2: a datagram's wait in the socket is not charged to the network. But a process can
//! be shown another wall clock than the kernel's (a test's, a sandbox's), and a T2 of one clock with a T3 of
//! another would be an error that no client can see. So the stamps are tried on a datagram to ourselves, again
//! whenever the wall clock moved against the monotonic one, and believed only while both clocks agree.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use angbu_units::{Clock, Nanos, Reading, UnixTime};
use nix::sys::socket::{setsockopt, sockopt};

use super::batch::Batch;

/// How far the wall clock may move against the monotonic one before the stamps are tried again. Ordinary
/// slewing takes seconds for it, and one try costs microseconds.
const MOVED: Nanos = Nanos::from_millis(1);

/// How far a good stamp may lie outside the two readings around it.
const AGREES: Nanos = Nanos::from_micros(10);

/// A stamp older than this is not believed, whatever the last try said: no datagram waits that long.
const OLDEST: Nanos = Nanos::from_secs(1);

/// How long a datagram to ourselves may take.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is known about the stamps, for one thread.
pub(super) struct Stamps {
    probe: Option<UdpSocket>,
    batch: Batch,
    tried_at: Option<Reading>,
    agree: bool,
}

impl Stamps {
    pub(super) fn new() -> Self {
        Self { probe: probe().ok(), batch: Batch::new(1), tried_at: None, agree: false }
    }

    /// Tries the stamps if they have not been tried since the wall clock last moved; `now` is a reading just made.
    pub(super) fn keep_up(&mut self, clock: &dyn Clock, now: Reading) {
        let moved = self
            .tried_at
            .is_none_or(|then| ((now.wall - then.wall) - (now.monotonic - then.monotonic)).abs() > MOVED);
        if moved {
            self.tried_at = Some(now);
            self.agree = self.try_them(clock).unwrap_or(false);
        }
    }

    /// When a datagram was received: what its stamp says where that can be believed, else `read`, the
    /// reading that was made just after it was taken from the socket. Never later than `now`, so that T2
    /// never lies after T3, whatever happens to the clock in between.
    pub(super) fn received(&self, stamp: Option<UnixTime>, read: UnixTime, now: UnixTime) -> UnixTime {
        let read = read.min(now);
        stamp.filter(|stamp| self.agree && *stamp <= now && read - *stamp < OLDEST).unwrap_or(read)
    }

    fn try_them(&mut self, clock: &dyn Clock) -> io::Result<bool> {
        let Some(probe) = &self.probe else { return Ok(false) };
        let before = clock.read().wall;
        probe.send(&[0])?;
        self.batch.receive(probe.as_fd())?;
        let after = clock.read().wall;
        let stamp = self.batch.slots(0..1).first().and_then(|slot| slot.stamp());
        Ok(stamp.is_some_and(|stamp| (before - AGREES..=after + AGREES).contains(&stamp)))
    }
}

/// A socket on loopback that talks to itself.
fn probe() -> io::Result<UdpSocket> {
    let any = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
    let socket = UdpSocket::bind(any.as_slice())?;
    socket.connect(socket.local_addr()?)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::sync::atomic::{AtomicI64, Ordering};

    /// This machine's clock, its wall clock moved by some nanoseconds.
    struct Moved(AtomicI64);

    impl Clock for Moved {
        fn read(&self) -> Reading {
            let mut reading = SystemClock.read();
            reading.wall = reading.wall + Nanos::new(self.0.load(Ordering::Relaxed));
            reading
        }
    }

    #[test]
    fn stamps_are_believed_while_they_are_of_the_clock_that_is_read() {
        let clock = Moved(AtomicI64::new(0));
        let mut stamps = Stamps::new();
        let mut check = |moved: i64, believed: bool| {
            clock.0.store(moved, Ordering::Relaxed);
            let now = clock.read();
            stamps.keep_up(&clock, now);
            let stamp = now.wall - Nanos::from_micros(40);
            let expected = if believed { stamp } else { now.wall };
            assert_eq!(stamps.received(Some(stamp), now.wall, now.wall), expected, "moved by {moved}");
        };
        check(0, true);
        check(200_000_000, false);
        check(-3_600_000_000_000, false);
        check(0, true);
        check(-5_000_000, false);
    }

    #[test]
    fn nothing_is_received_after_it_was_answered() {
        let mut stamps = Stamps::new();
        stamps.agree = true;
        let at = |n: i64| UnixTime::from_nanos(1_000_000_000_000 + n);
        for (stamp, read, now, expected) in [
            (None, 5, 9, 5),
            (Some(3), 5, 9, 3),
            // The clock went back between receiving and answering.
            (Some(3), 5, 1, 1),
            (None, 5, 1, 1),
            // A stamp of long ago, or of the time to come, is of another clock.
            (Some(-2_000_000_000), 5, 9, 5),
            (Some(2_000_000_000), 5, 9, 5),
        ] {
            assert_eq!(stamps.received(stamp.map(at), at(read), at(now)), at(expected));
        }
    }
}
