//! The server's side of one exchange (RFC 5905, section 9.2, figure 20: client requests and nothing else).
//!
//! This is the hot path: no allocation, no table, a few stores into a buffer that the caller owns.

use angbu_units::{Nanos, NtpShort, NtpTimestamp, UnixTime};

use crate::packet::{self, LENGTH, Leap};

/// The rate at which root dispersion grows: PHI, 15 ppm (RFC 5905, figure 27 and section 11.2.3).
/// Rounded up to a whole divisor, so that the served figure never grows slower.
const NANOS_PER_NANO_OF_DISPERSION: i64 = 66_666;

/// What an unsynchronised server says of its dispersion: MAXDISP (RFC 5905, figure 6).
pub const MAX_DISPERSION: Nanos = Nanos::from_secs(16);

/// From this stratum on a server is unsynchronised: MAXSTRAT (RFC 5905, figure 6).
pub const MAX_STRATUM: u8 = 16;

/// Why a datagram gets no answer. Each is counted by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Drop {
    /// Fewer than 48 bytes.
    Short,
    /// A version other than 3 and 4.
    Version,
    /// A mode other than 3 (client): answering anything else would let two servers talk for ever.
    Mode,
    /// Parts of NTS that do not make up a request (RFC 8915, section 5.7).
    Protection,
}

impl Drop {
    /// Every reason, for tables of counters.
    pub const ALL: [Self; 4] = [Self::Short, Self::Version, Self::Mode, Self::Protection];

    /// The word for it in metrics and interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Version => "version",
            Self::Mode => "mode",
            Self::Protection => "nts",
        }
    }
}

/// Why a server that is not synchronised is not: the reference id it then sends (RFC 5905, figure 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsynchronised {
    /// `INIT`: no reference has shown the clock yet.
    Initial,
    /// `STEP`: the clock was moved and no reference has shown it since.
    Stepped,
}

/// What the server says of its own clock (RFC 5905, section 7.3), made by [`crate::centre_clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerState {
    /// Leap indicator.
    pub leap: Leap,
    /// 1 to 15, or [`MAX_STRATUM`] while unsynchronised, which goes out as 0 (RFC 5905, figure 11).
    pub stratum: u8,
    /// Precision of the clock, log2 seconds.
    pub precision: i8,
    /// Round-trip delay to the reference clock.
    pub root_delay: Nanos,
    /// Dispersion to the reference clock at [`Self::as_of`]; it grows by 15 ppm from there.
    pub root_dispersion: Nanos,
    /// What the clock is synchronised to.
    pub reference_id: [u8; 4],
    /// When the clock was last shown or set.
    pub reference_time: UnixTime,
    /// The instant for which the dispersion is stated.
    pub as_of: UnixTime,
}

impl ServerState {
    /// A clock that nothing vouches for: leap 3, stratum 16.
    pub const fn unsynchronised(why: Unsynchronised, precision: i8, as_of: UnixTime) -> Self {
        Self {
            leap: Leap::Unknown,
            stratum: MAX_STRATUM,
            precision,
            root_delay: Nanos::ZERO,
            root_dispersion: MAX_DISPERSION,
            reference_id: match why {
                Unsynchronised::Initial => *b"INIT",
                Unsynchronised::Stepped => *b"STEP",
            },
            reference_time: as_of,
            as_of,
        }
    }

    /// Whether a client may take time from this server.
    pub const fn is_synchronised(&self) -> bool {
        self.stratum < MAX_STRATUM && !matches!(self.leap, Leap::Unknown)
    }

    /// Root dispersion at an instant: it grows by 15 ppm of the time since [`Self::as_of`].
    pub fn root_dispersion_at(&self, at: UnixTime) -> Nanos {
        let age = (at - self.as_of).count().max(0);
        self.root_dispersion + Nanos::new(age / NANOS_PER_NANO_OF_DISPERSION + 1)
    }
}

/// Answers one request (RFC 5905, section 9.2, `fast_xmit`): version, poll and the transmit timestamp are
/// the client's, the rest is the server's. The reply is never longer than the request, so that the server
/// amplifies nothing.
///
/// `received` is when the request arrived, `transmit` when the reply leaves.
///
/// # Errors
/// [`Drop`] when the datagram gets no answer; `out` is then untouched.
#[inline]
pub fn answer(
    request: &[u8],
    received: UnixTime,
    transmit: UnixTime,
    state: &ServerState,
    out: &mut [u8; LENGTH],
) -> Result<(), Drop> {
    let request: &[u8; LENGTH] = request.first_chunk().ok_or(Drop::Short)?;
    let [first, _, poll, ..] = *request;
    let version = first >> 3 & 7;
    if version != 3 && version != 4 {
        return Err(Drop::Version);
    }
    if first & 7 != 3 {
        return Err(Drop::Mode);
    }
    let header = state.leap.bits() << 6 | version << 3 | 4;
    // RFC 5905, figure 11: 16 is sent as 0.
    let stratum = if state.stratum < MAX_STRATUM { state.stratum } else { 0 };
    packet::put(out, 0, [header, stratum, poll, state.precision.cast_unsigned()]);
    packet::put(out, 4, NtpShort::from_nanos_rounded_up(state.root_delay).bits().to_be_bytes());
    let dispersion = NtpShort::from_nanos_rounded_up(state.root_dispersion_at(transmit));
    packet::put(out, 8, dispersion.bits().to_be_bytes());
    packet::put(out, 12, state.reference_id);
    packet::put(out, 16, NtpTimestamp::from_unix(state.reference_time).bits().to_be_bytes());
    let origin: [u8; 8] = packet::field(request, 40);
    packet::put(out, 24, origin);
    packet::put(out, 32, NtpTimestamp::from_unix(received).bits().to_be_bytes());
    packet::put(out, 40, NtpTimestamp::from_unix(transmit).bits().to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Mode, Packet, Version};
    use proptest::prelude::*;

    fn state() -> ServerState {
        ServerState {
            leap: Leap::None,
            stratum: 2,
            precision: -20,
            root_delay: Nanos::from_micros(300),
            root_dispersion: Nanos::from_millis(1),
            reference_id: [192, 0, 2, 7],
            reference_time: UnixTime::from_nanos(1_763_762_700_000_000_000),
            as_of: UnixTime::from_nanos(1_763_762_720_000_000_000),
        }
    }

    const RECEIVED: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_123);
    const TRANSMIT: UnixTime = UnixTime::from_nanos(1_763_762_721_000_010_456);

    fn reply(request: &Packet, state: &ServerState) -> Packet {
        let mut out = [0; LENGTH];
        answer(&request.encode(), RECEIVED, TRANSMIT, state, &mut out).unwrap();
        Packet::decode(&out).unwrap()
    }

    #[test]
    fn the_reply_is_what_the_standard_says() {
        for version in [Version::V3, Version::V4] {
            let mut request = Packet::request(version, NtpTimestamp::from_bits(0xfeed_beef_0bad_cafe));
            request.poll = 6;
            let reply = reply(&request, &state());
            assert_eq!(reply.version, version);
            assert_eq!(reply.mode, Mode::Server);
            assert_eq!(reply.leap, Leap::None);
            assert_eq!(reply.poll, 6);
            assert_eq!(reply.stratum, 2);
            assert_eq!(reply.origin, request.transmit);
            assert_eq!(reply.receive, NtpTimestamp::from_unix(RECEIVED));
            assert_eq!(reply.transmit, NtpTimestamp::from_unix(TRANSMIT));
            assert_eq!(reply.reference_id, [192, 0, 2, 7]);
            assert_eq!(reply.root_delay, NtpShort::from_nanos_rounded_up(Nanos::from_micros(300)));
        }
    }

    #[test]
    fn an_unsynchronised_server_says_so() {
        for (why, code) in [(Unsynchronised::Initial, b"INIT"), (Unsynchronised::Stepped, b"STEP")] {
            let state = ServerState::unsynchronised(why, -20, RECEIVED);
            let reply = reply(&Packet::request(Version::V4, NtpTimestamp::from_bits(1)), &state);
            assert_eq!((reply.leap, reply.stratum, &reply.reference_id), (Leap::Unknown, 0, code));
            assert!(reply.root_dispersion.to_nanos() >= MAX_DISPERSION);
            assert!(!state.is_synchronised());
        }
    }

    #[test]
    fn dispersion_grows_by_15_ppm_at_least() {
        let state = state();
        let grown = state.root_dispersion_at(state.as_of + Nanos::from_secs(1_000)) - state.root_dispersion;
        assert!(grown >= Nanos::from_millis(15) && grown < Nanos::from_micros(15_001));
        // A clock that went back since then does not make the figure smaller.
        assert!(state.root_dispersion_at(state.as_of - Nanos::from_secs(9)) >= state.root_dispersion);
    }

    #[test]
    fn what_is_no_request_is_dropped() {
        for (bytes, why) in [
            (vec![], Drop::Short),
            (vec![0x23; 47], Drop::Short),
            (vec![0x1b & 0xc7 | 2 << 3; 48], Drop::Version),
            (vec![0x2b; 48], Drop::Version),
            (vec![0x21; 48], Drop::Mode),
            (vec![0x24; 48], Drop::Mode),
            (vec![0x25; 48], Drop::Mode),
            (vec![0x26; 48], Drop::Mode),
        ] {
            let mut out = [7; LENGTH];
            assert_eq!(answer(&bytes, RECEIVED, TRANSMIT, &state(), &mut out), Err(why));
            assert_eq!(out, [7; LENGTH]);
        }
    }

    proptest! {
        #[test]
        fn any_datagram_is_answered_in_kind_or_dropped(bytes in prop::collection::vec(any::<u8>(), 0..2_000), fix: bool) {
            let mut bytes = bytes;
            if let (true, Some(first)) = (fix, bytes.first_mut()) {
                *first = *first & 0xc0 | 0x23;
            }
            let mut out = [0; LENGTH];
            match answer(&bytes, RECEIVED, TRANSMIT, &state(), &mut out) {
                Ok(()) => {
                    let request = Packet::decode(&bytes).unwrap();
                    let reply = Packet::decode(&out).unwrap();
                    prop_assert_eq!(request.mode, Mode::Client);
                    prop_assert_eq!((reply.version, reply.mode), (request.version, Mode::Server));
                    prop_assert_eq!(reply.origin, request.transmit);
                }
                Err(why) => prop_assert!(why != Drop::Short || bytes.len() < LENGTH),
            }
        }
    }
}
