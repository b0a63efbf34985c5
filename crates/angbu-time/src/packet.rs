//! The 48-byte NTP packet (RFC 5905, section 7.3, figure 8), versions 3 and 4.
//!
//! Whatever follows the first 48 bytes (extension fields, a MAC) is left alone: a packet without keys is what
//! every NTP server answers and every NTP client reads.

use angbu_units::{NtpShort, NtpTimestamp};

/// The length of a packet without extension fields and MAC.
pub const LENGTH: usize = 48;

/// The UDP port of NTP (RFC 5905, section 7.2).
pub const PORT: u16 = 123;

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Fewer than 48 bytes.
    #[error("the packet has {0} bytes, an NTP packet has at least 48")]
    Short(usize),
    /// A version other than 3 and 4.
    #[error("the packet is of NTP version {0}, only versions 3 and 4 are known")]
    Version(u8),
    /// A mode whose packets have another layout: 0 (reserved), 6 (control) and 7 (private).
    #[error("the packet's mode is {0}, which is not a mode of time packets")]
    Mode(u8),
}

/// Protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 1305.
    V3,
    /// RFC 5905.
    V4,
}

/// Leap indicator (RFC 5905, figure 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leap {
    /// 0: no warning.
    None,
    /// 1: the last minute of the day has 61 seconds.
    Insert,
    /// 2: the last minute of the day has 59 seconds.
    Delete,
    /// 3: unknown, the clock is not synchronised.
    Unknown,
}

/// Association mode (RFC 5905, figure 10), as far as its packets have the layout of figure 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// 1.
    SymmetricActive,
    /// 2.
    SymmetricPassive,
    /// 3: a request.
    Client,
    /// 4: the answer to a request.
    Server,
    /// 5.
    Broadcast,
}

/// A packet (RFC 5905, figure 8). Every value of this type is a packet, and has one encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Leap indicator (LI).
    pub leap: Leap,
    /// Version number (VN).
    pub version: Version,
    /// Mode.
    pub mode: Mode,
    /// Stratum as it stands on the wire: 0 is unspecified or unsynchronised, 1 primary, 2 to 15 secondary (figure 11).
    pub stratum: u8,
    /// Poll exponent, log2 seconds.
    pub poll: i8,
    /// Precision, log2 seconds.
    pub precision: i8,
    /// Round-trip delay to the reference clock.
    pub root_delay: NtpShort,
    /// Dispersion to the reference clock.
    pub root_dispersion: NtpShort,
    /// What the sender is synchronised to: four letters at stratum 0 and 1, else an IPv4 address or the first
    /// four bytes of the MD5 of an IPv6 address.
    pub reference_id: [u8; 4],
    /// When the sender's clock was last set or corrected.
    pub reference: NtpTimestamp,
    /// The transmit timestamp of the request that this answers.
    pub origin: NtpTimestamp,
    /// When the request arrived.
    pub receive: NtpTimestamp,
    /// When this packet left.
    pub transmit: NtpTimestamp,
}

impl Packet {
    /// A client's request. Everything in it but `transmit` is empty, so that it tells nothing about who asks.
    pub const fn request(version: Version, transmit: NtpTimestamp) -> Self {
        Self {
            leap: Leap::None,
            version,
            mode: Mode::Client,
            stratum: 0,
            poll: 0,
            precision: 0,
            root_delay: NtpShort::from_bits(0),
            root_dispersion: NtpShort::from_bits(0),
            reference_id: [0; 4],
            reference: NtpTimestamp::UNKNOWN,
            origin: NtpTimestamp::UNKNOWN,
            receive: NtpTimestamp::UNKNOWN,
            transmit,
        }
    }

    /// Reads a packet from the first 48 bytes of a datagram (RFC 5905, section 7.3).
    ///
    /// # Errors
    /// [`PacketError`] for fewer bytes, other versions and modes of another layout.
    pub fn decode(datagram: &[u8]) -> Result<Self, PacketError> {
        let bytes: &[u8; LENGTH] = datagram.first_chunk().ok_or(PacketError::Short(datagram.len()))?;
        let [first, stratum, poll, precision, ..] = *bytes;
        Ok(Self {
            leap: Leap::from_bits(first >> 6),
            version: Version::from_number(first >> 3 & 7)?,
            mode: Mode::from_number(first & 7)?,
            stratum,
            poll: poll.cast_signed(),
            precision: precision.cast_signed(),
            root_delay: NtpShort::from_bits(u32::from_be_bytes(field(bytes, 4))),
            root_dispersion: NtpShort::from_bits(u32::from_be_bytes(field(bytes, 8))),
            reference_id: field(bytes, 12),
            reference: timestamp(bytes, 16),
            origin: timestamp(bytes, 24),
            receive: timestamp(bytes, 32),
            transmit: timestamp(bytes, 40),
        })
    }

    /// The packet's 48 bytes.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let first = self.leap.bits() << 6 | self.version.number() << 3 | self.mode.number();
        put(&mut bytes, 0, [first, self.stratum, self.poll.cast_unsigned(), self.precision.cast_unsigned()]);
        put(&mut bytes, 4, self.root_delay.bits().to_be_bytes());
        put(&mut bytes, 8, self.root_dispersion.bits().to_be_bytes());
        put(&mut bytes, 12, self.reference_id);
        put(&mut bytes, 16, self.reference.bits().to_be_bytes());
        put(&mut bytes, 24, self.origin.bits().to_be_bytes());
        put(&mut bytes, 32, self.receive.bits().to_be_bytes());
        put(&mut bytes, 40, self.transmit.bits().to_be_bytes());
        bytes
    }
}

impl Version {
    /// 3 or 4.
    pub const fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }

    const fn from_number(number: u8) -> Result<Self, PacketError> {
        match number {
            3 => Ok(Self::V3),
            4 => Ok(Self::V4),
            other => Err(PacketError::Version(other)),
        }
    }
}

impl Leap {
    /// The two bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Insert => 1,
            Self::Delete => 2,
            Self::Unknown => 3,
        }
    }

    /// The indicator of the two lowest bits.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unknown,
        }
    }
}

impl Mode {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::SymmetricActive => 1,
            Self::SymmetricPassive => 2,
            Self::Client => 3,
            Self::Server => 4,
            Self::Broadcast => 5,
        }
    }

    const fn from_number(number: u8) -> Result<Self, PacketError> {
        match number {
            1 => Ok(Self::SymmetricActive),
            2 => Ok(Self::SymmetricPassive),
            3 => Ok(Self::Client),
            4 => Ok(Self::Server),
            5 => Ok(Self::Broadcast),
            other => Err(PacketError::Mode(other)),
        }
    }
}

/// `N` bytes of a packet; the offsets are constants of figure 8, so that the check vanishes in the machine code.
#[inline]
#[expect(
    clippy::indexing_slicing,
    reason = "offset and length are constants of figure 8 and lie inside the packet"
)]
pub(crate) fn field<const N: usize>(bytes: &[u8; LENGTH], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}

/// Writes `N` bytes of a packet, at a constant offset of figure 8.
#[inline]
#[expect(
    clippy::indexing_slicing,
    reason = "offset and length are constants of figure 8 and lie inside the packet"
)]
pub(crate) fn put<const N: usize>(bytes: &mut [u8; LENGTH], offset: usize, value: [u8; N]) {
    bytes[offset..offset + N].copy_from_slice(&value);
}

fn timestamp(bytes: &[u8; LENGTH], offset: usize) -> NtpTimestamp {
    NtpTimestamp::from_bits(u64::from_be_bytes(field(bytes, offset)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_packet_is_named() {
        for (bytes, error) in [
            (vec![], PacketError::Short(0)),
            (vec![0x23; 47], PacketError::Short(47)),
            (vec![0x13; 48], PacketError::Version(2)),
            (vec![0x2b; 48], PacketError::Version(5)),
            (vec![0x20; 48], PacketError::Mode(0)),
            (vec![0x26; 48], PacketError::Mode(6)),
            (vec![0x27; 48], PacketError::Mode(7)),
        ] {
            assert_eq!(Packet::decode(&bytes), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_in_one_way_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            if let Ok(packet) = Packet::decode(&bytes) {
                prop_assert_eq!(&packet.encode()[..], &bytes[..LENGTH]);
            }
        }

        #[test]
        fn every_packet_survives_the_wire(first in 0u8..2, mode in 1u8..6, leap: u8, small: [u8; 3], short: [u32; 2], id: [u8; 4], stamps: [u64; 4]) {
            let [reference, origin, receive, transmit] = stamps.map(NtpTimestamp::from_bits);
            let packet = Packet {
                leap: Leap::from_bits(leap),
                version: if first == 0 { Version::V3 } else { Version::V4 },
                mode: Mode::from_number(mode).unwrap(),
                stratum: small[0],
                poll: small[1].cast_signed(),
                precision: small[2].cast_signed(),
                root_delay: NtpShort::from_bits(short[0]),
                root_dispersion: NtpShort::from_bits(short[1]),
                reference_id: id,
                reference, origin, receive, transmit,
            };
            prop_assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
    }
}
