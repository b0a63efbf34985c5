//! The kernel's pulses per second (`/dev/ppsN`, RFC 2783): when a receiver's pulse came, by the wall clock.
//!
//! A pulse says that a second begins, and not which; see [`angbu_time::reference::second_of`].

#![allow(unsafe_code, reason = "PPS_FETCH has no safe wrapper")]
#![allow(clippy::cast_possible_truncation, reason = "the size of a pointer fits")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use angbu_units::UnixTime;

/// One pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Its number, as the kernel counts; 0 before the first.
    pub sequence: u32,
    /// When it came, by the wall clock.
    pub at: UnixTime,
}

/// Whatever counts pulses: the kernel's device, or what a test puts in its place.
pub trait Pulses: Send {
    /// The newest pulse, without waiting for another.
    ///
    /// # Errors
    /// What the system says.
    fn fetch(&mut self) -> io::Result<Pulse>;
}

/// A device of the kernel's.
#[derive(Debug)]
pub struct Device {
    file: File,
    path: PathBuf,
}

impl Device {
    /// Opens it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// `struct pps_ktime` of Linux's uapi/linux/pps.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct KernelTime {
    sec: i64,
    nsec: i32,
    flags: u32,
}

/// `struct pps_kinfo`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Information {
    assert_sequence: u32,
    clear_sequence: u32,
    assert_time: KernelTime,
    clear_time: KernelTime,
    current_mode: i32,
}

/// `struct pps_fdata`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Fetched {
    information: Information,
    timeout: KernelTime,
}

/// `PPS_FETCH`, `_IOWR('p', 0xa4, struct pps_fdata *)`: both ways, the size of a pointer, the letter, the number, as x86 and ARM
/// put them together.
const FETCH: u32 = (3 << 30) | ((size_of::<*mut Fetched>() as u32) << 16) | (0x70 << 8) | 0xa4;

impl Pulses for Device {
    fn fetch(&mut self) -> io::Result<Pulse> {
        // A timeout of nought that is marked as valid returns the newest pulse at once.
        let mut fetched = Fetched::default();
        // SAFETY: the descriptor is open, and the structure has the form that the kernel writes, until the call returns.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), FETCH as _, &raw mut fetched) };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        let Information { assert_sequence, assert_time, .. } = fetched.information;
        let at = assert_time.sec.saturating_mul(1_000_000_000).saturating_add(i64::from(assert_time.nsec));
        Ok(Pulse { sequence: assert_sequence, at: UnixTime::from_nanos(at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_the_kernels() {
        assert_eq!((size_of::<KernelTime>(), size_of::<Information>(), size_of::<Fetched>()), (16, 48, 64));
        // From a C program over the header: PPS_FETCH is 0xc00870a4 where a pointer has 8 bytes.
        assert_eq!(FETCH, 0xc008_70a4);
    }

    #[test]
    fn what_is_no_device_is_told() {
        assert!(Device::open(Path::new("/dev/no-such-pps")).is_err());
        let mut device = Device::open(Path::new("/dev/null")).unwrap();
        assert!(device.fetch().is_err());
        assert_eq!(device.path(), Path::new("/dev/null"));
    }
}
