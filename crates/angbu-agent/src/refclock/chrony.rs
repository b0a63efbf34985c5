//! What a chronyd says of the clock that it keeps, over its command protocol (version 6, UDP port 323): the `tracking` reply.
//!
//! Any program on the machine may ask that, over loopback. Nothing is believed beyond what the reply says, and nothing is
//! changed. The protocol is chrony's own and has kept its version since 2010; a chronyd that speaks another one says so.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use angbu_time::packet::Leap;
use angbu_units::Nanos;
use rand::Rng as _;

/// The version of the protocol.
const VERSION: u8 = 6;
/// Packet types.
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// The command, and the number of its reply.
const TRACKING: u16 = 33;
const TRACKED: u16 = 5;
/// A request is as long as the reply that it asks for, so that nobody is served to flood a third.
const LENGTH: usize = 104;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What chronyd says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracking {
    /// Its reference.
    pub reference_id: [u8; 4],
    /// Its own stratum.
    pub stratum: u8,
    /// The leap second that it announces; [`Leap::Unknown`] while it is not synchronised.
    pub leap: Leap,
    /// What true time is ahead of the system clock, as it reckons.
    pub correction: Nanos,
    /// Round-trip delay to its reference clock.
    pub root_delay: Nanos,
    /// Dispersion to it, at the moment of the answer.
    pub root_dispersion: Nanos,
}

/// Why chronyd says nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChronyError {
    /// No answer, or none that the system let through.
    #[error(
        "chronyd at {address} does not answer: {source}; it listens on 127.0.0.1:323 unless cmdport says otherwise"
    )]
    Silent {
        /// Where it was asked.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An answer of another version, or none of this protocol.
    #[error("what answers at {0} is no chronyd of command protocol 6")]
    NotUnderstood(SocketAddr),
    /// It refused.
    #[error("chronyd at {address} refuses to say how it tracks: status {status}")]
    Refused {
        /// Where it was asked.
        address: SocketAddr,
        /// As its protocol numbers them.
        status: u16,
    },
}

/// Asks the chronyd at an address.
///
/// # Errors
/// [`ChronyError`].
pub fn tracking(address: SocketAddr) -> Result<Tracking, ChronyError> {
    let silent = |source| ChronyError::Silent { address, source };
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).map_err(silent)?;
    socket.connect(address).map_err(silent)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(silent)?;
    let sequence = rand::rng().next_u32();
    socket.send(&request(sequence)).map_err(silent)?;
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).map_err(silent)?;
    let reply = reply.get(..length).unwrap_or_default();
    match read(reply, sequence) {
        Some(Ok(tracking)) => Ok(tracking),
        Some(Err(status)) => Err(ChronyError::Refused { address, status }),
        None => Err(ChronyError::NotUnderstood(address)),
    }
}

/// Version, type, two reserved bytes, command, attempt, sequence, and zeros.
fn request(sequence: u32) -> [u8; LENGTH] {
    let mut request = [0; LENGTH];
    let head = [[VERSION, REQUEST, 0, 0], [0; 4], sequence.to_be_bytes()].concat();
    if let Some(place) = request.get_mut(..head.len()) {
        place.copy_from_slice(&head);
    }
    if let Some(place) = request.get_mut(4..6) {
        place.copy_from_slice(&TRACKING.to_be_bytes());
    }
    request
}

/// The answer to this request; an error is chronyd's status. None where it is no such answer.
fn read(reply: &[u8], sequence: u32) -> Option<Result<Tracking, u16>> {
    let short = |at: usize| reply.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
    let long = |at: usize| reply.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let head = reply.get(..2)?;
    if head != [VERSION, REPLY] || short(4)? != TRACKING || long(16)? != sequence {
        return None;
    }
    match short(8)? {
        0 => {}
        status => return Some(Err(status)),
    }
    if short(6)? != TRACKED {
        return None;
    }
    // Behind the head of 28 bytes: reference id, the address (20), stratum, leap, the time of the last update (12), then
    // floating numbers of 4 bytes each.
    let seconds = |place: usize| long(28 + 40 + 4 * place).and_then(float);
    let leap = match short(28 + 26)? {
        0 => Leap::None,
        1 => Leap::Insert,
        2 => Leap::Delete,
        _ => Leap::Unknown,
    };
    Some(Ok(Tracking {
        reference_id: reply.get(28..32)?.try_into().ok()?,
        stratum: u8::try_from(short(28 + 24)?).ok()?,
        leap,
        correction: seconds(0)?,
        root_delay: seconds(6)?,
        root_dispersion: seconds(7)?,
    }))
}

/// chrony's floating numbers: 7 bits of exponent and 25 of coefficient, both in two's complement; the value, in seconds, is
/// coefficient × 2^(exponent − 25). Rounded away from zero to a nanosecond; none beyond what nanoseconds can say.
fn float(bits: u32) -> Option<Nanos> {
    let signed = |value: u32, width: u32| {
        let value = i64::from(value);
        if value >= 1 << (width - 1) { value - (1 << width) } else { value }
    };
    let exponent = signed(bits >> 25, 7) - 25;
    let nanos = i128::from(signed(bits & 0x01ff_ffff, 25)) * 1_000_000_000;
    let scaled = if exponent >= 0 {
        nanos.checked_mul(1_i128.checked_shl(u32::try_from(exponent).ok()?)?)?
    } else {
        let divisor = 1_i128 << u32::try_from(-exponent).ok()?;
        let away = if nanos < 0 { -(divisor - 1) } else { divisor - 1 };
        (nanos + away) / divisor
    };
    i64::try_from(scaled).ok().map(Nanos::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chronys_floating_numbers() {
        for (bits, nanos) in [
            (0, 0),
            // 1 = 2^23 × 2^(27 − 25 − 25): exponent 2 and 2^23.
            ((2 << 25) | (1 << 23), 1_000_000_000),
            // −0.5
            ((1 << 25) | 0x0180_0000, -500_000_000),
            // The smallest: exponent −64, coefficient 1; rounded away from zero.
            (0x8000_0001, 1),
        ] {
            assert_eq!(float(bits), Some(Nanos::new(nanos)), "{bits:#x}");
        }
        assert_eq!(float((63 << 25) | 0x00ff_ffff), None, "far beyond 292 years");
    }

    #[test]
    fn only_the_answer_counts() {
        let mut reply = [0; LENGTH];
        reply[..2].copy_from_slice(&[6, 2]);
        reply[4..6].copy_from_slice(&33_u16.to_be_bytes());
        reply[6..8].copy_from_slice(&5_u16.to_be_bytes());
        reply[16..20].copy_from_slice(&7_u32.to_be_bytes());
        reply[28..32].copy_from_slice(b"PPS\0");
        reply[52..54].copy_from_slice(&1_u16.to_be_bytes());
        let tracking = read(&reply, 7).unwrap().unwrap();
        assert_eq!((tracking.reference_id, tracking.stratum, tracking.leap), (*b"PPS\0", 1, Leap::None));
        assert_eq!(read(&reply, 8), None, "another question's");
        assert_eq!(read(&reply[..99], 7), None, "cut short");
        reply[8..10].copy_from_slice(&2_u16.to_be_bytes());
        assert_eq!(read(&reply, 7), Some(Err(2)));
        reply[0] = 5;
        assert_eq!(read(&reply, 7), None);
        for length in 0..LENGTH {
            let _whatever = read(&vec![6; length], 0x0606_0606);
        }
    }

    #[test]
    fn silence_is_told() {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = tracking(nobody.local_addr().unwrap()).unwrap_err();
        assert!(matches!(error, ChronyError::Silent { .. }), "{error}");
    }
}
