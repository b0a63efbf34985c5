//! The shared memory of NTP's driver 28, into which gpsd and others write what a receiver shows.
//!
//! The segment is attached for reading only and never written to, so that whoever else reads it (chronyd, ntpd) misses
//! nothing. The protocol and the segment's form are those of the driver's public documentation.

#![allow(unsafe_code, reason = "System V shared memory has no safe wrapper")]

use std::io;
use std::sync::atomic::{Ordering, fence};

use angbu_time::packet::Leap;
use angbu_units::UnixTime;

/// The key of unit 0, the letters `NTP0`; unit n's is n more.
pub const FIRST_KEY: i32 = 0x4e54_5030;

/// The form of the segment, on machines whose `time_t` has 64 bits.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// 0: `valid` guards the rest; 1: `count` does, odd numbers or a change meaning that somebody writes.
    pub mode: i32,
    /// How often it was written to, in mode 1.
    pub count: i32,
    /// What the reference showed: seconds since 1970.
    pub clock_seconds: i64,
    /// And microseconds.
    pub clock_microseconds: i32,
    /// What this machine's wall clock showed then: seconds since 1970.
    pub received_seconds: i64,
    /// And microseconds.
    pub received_microseconds: i32,
    /// The leap indicator.
    pub leap: i32,
    /// The reading's precision, log2 seconds.
    pub precision: i32,
    /// Without meaning here.
    pub samples: i32,
    /// Whether there is a reading.
    pub valid: i32,
    /// What the reference showed, in nanoseconds of its second; used where it agrees with the microseconds.
    pub clock_nanoseconds: u32,
    /// What the wall clock showed, likewise.
    pub received_nanoseconds: u32,
    /// Kept for later.
    pub dummy: [i32; 8],
}

/// One reading of the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What the reference showed.
    pub clock: UnixTime,
    /// What this machine's wall clock showed then.
    pub received: UnixTime,
    /// The leap second that the reference announces.
    pub leap: Leap,
}

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
pub enum ShmError {
    /// No segment, or one that may not be read.
    #[error(
        "cannot read NTP's shared memory, unit {unit}: {source}; whoever writes it makes it, and units 0 and 1 are often \
         root's alone"
    )]
    Unreadable {
        /// Which unit.
        unit: u8,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody writes at this moment, or has not written yet.
    #[error("nothing readable stands in NTP's shared memory just now")]
    Nothing,
    /// The writer says that its reference is not synchronised.
    #[error("the reference behind NTP's shared memory is not synchronised")]
    Unsynchronised,
    /// What stands there is no time.
    #[error("what stands in NTP's shared memory is no time")]
    NoTime,
}

/// An attached segment.
#[derive(Debug)]
pub struct SharedMemory {
    address: *const Segment,
}

// SAFETY: the segment belongs to the system and not to a thread; it is only read, through volatile copies.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Attaches the segment of a unit for reading.
    ///
    /// # Errors
    /// [`ShmError::Unreadable`].
    pub fn attach(unit: u8) -> Result<Self, ShmError> {
        let failed = || ShmError::Unreadable { unit, source: io::Error::last_os_error() };
        // SAFETY: no memory is handed over; a segment that is smaller than the form is refused by the system.
        let id = unsafe { libc::shmget(FIRST_KEY + i32::from(unit), size_of::<Segment>(), 0) };
        if id == -1 {
            return Err(failed());
        }
        // SAFETY: a null address lets the system choose one; the segment is attached for reading only.
        let address = unsafe { libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY) };
        if address.addr() == usize::MAX {
            return Err(failed());
        }
        Ok(Self { address: address.cast() })
    }

    /// The newest reading. The same one is returned until the writer writes another.
    ///
    /// # Errors
    /// [`ShmError::Nothing`], [`ShmError::Unsynchronised`] and [`ShmError::NoTime`].
    pub fn read(&self) -> Result<Sample, ShmError> {
        let first = self.copy();
        fence(Ordering::SeqCst);
        let second = self.copy();
        // The writer counts, or takes `valid` away, while it writes; a copy that it did not touch is whole.
        let untouched = first.count == second.count
            && first.clock_seconds == second.clock_seconds
            && first.clock_microseconds == second.clock_microseconds
            && first.received_seconds == second.received_seconds
            && first.received_microseconds == second.received_microseconds
            && first.valid == second.valid;
        if !untouched || second.valid == 0 {
            return Err(ShmError::Nothing);
        }
        sample(&second)
    }

    fn copy(&self) -> Segment {
        // SAFETY: the address is that of an attached segment of at least this size, aligned to a page, until it is dropped.
        // Another process may write meanwhile: the copy is volatile, consists of integers only, and is compared with another.
        unsafe { self.address.read_volatile() }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the address came from shmat and is used no more.
        unsafe { libc::shmdt(self.address.cast()) };
    }
}

fn sample(segment: &Segment) -> Result<Sample, ShmError> {
    let leap = match segment.leap {
        0 => Leap::None,
        1 => Leap::Insert,
        2 => Leap::Delete,
        _ => return Err(ShmError::Unsynchronised),
    };
    let clock = time(segment.clock_seconds, segment.clock_microseconds, segment.clock_nanoseconds);
    let received =
        time(segment.received_seconds, segment.received_microseconds, segment.received_nanoseconds);
    let (Some(clock), Some(received)) = (clock, received) else { return Err(ShmError::NoTime) };
    Ok(Sample { clock, received, leap })
}

/// Writers from before there were nanoseconds leave them at nought: they count only where they agree with the microseconds.
fn time(seconds: i64, microseconds: i32, nanoseconds: u32) -> Option<UnixTime> {
    let microseconds = i64::from(microseconds);
    let nanoseconds = i64::from(nanoseconds);
    let agree = nanoseconds / 1_000 == microseconds && nanoseconds < 1_000_000_000;
    let rest = if agree { nanoseconds } else { microseconds.checked_mul(1_000)? };
    (seconds > 0 && (0..1_000_000_000).contains(&rest))
        .then(|| seconds.checked_mul(1_000_000_000)?.checked_add(rest).map(UnixTime::from_nanos))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment {
        Segment {
            mode: 1,
            count: 2,
            clock_seconds: 1_800_000_000,
            clock_microseconds: 250_000,
            received_seconds: 1_800_000_001,
            received_microseconds: 7,
            leap: 0,
            precision: -20,
            samples: 3,
            valid: 1,
            clock_nanoseconds: 250_000_123,
            received_nanoseconds: 0,
            dummy: [0; 8],
        }
    }

    #[test]
    fn the_form_is_the_documented_one() {
        assert_eq!(size_of::<Segment>(), 96);
        assert_eq!(std::mem::offset_of!(Segment, received_seconds), 24);
        assert_eq!(std::mem::offset_of!(Segment, valid), 48);
        assert_eq!(std::mem::offset_of!(Segment, clock_nanoseconds), 52);
        assert_eq!(&FIRST_KEY.to_be_bytes(), b"NTP0");
    }

    #[test]
    fn readings_are_taken_as_they_are_meant() {
        let read = sample(&segment()).unwrap();
        assert_eq!(read.clock.nanos(), 1_800_000_000_250_000_123);
        assert_eq!(
            read.received.nanos(),
            1_800_000_001_000_007_000,
            "nanoseconds that disagree do not count"
        );
        assert!(matches!(sample(&Segment { leap: 3, ..segment() }), Err(ShmError::Unsynchronised)));
        for wrong in [
            Segment { clock_seconds: 0, ..segment() },
            Segment { clock_seconds: i64::MAX, ..segment() },
            Segment { received_microseconds: -1, ..segment() },
            Segment { received_microseconds: 1_000_000, ..segment() },
        ] {
            assert!(matches!(sample(&wrong), Err(ShmError::NoTime)), "{wrong:?}");
        }
    }

    #[test]
    fn a_unit_that_nobody_made_is_told() {
        let error = SharedMemory::attach(249).unwrap_err();
        assert!(matches!(error, ShmError::Unreadable { unit: 249, .. }), "{error}");
    }
}
