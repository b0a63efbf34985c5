//! One exchange with an NTP server: four instants, and what follows from them.

use angbu_units::{Nanos, NtpShort, Ppb, UnixTime};

use crate::packet::{Leap, Mode, Packet, PacketError};
use crate::server::{MAX_DISPERSION, MAX_STRATUM};

/// Frequency tolerance PHI, 15 ppm (RFC 5905, figure 27): how fast a clock can run away while nobody looks.
pub const PHI: Ppb = Ppb::new(15_000);

/// The farthest that two instants of one exchange can lie apart: half an era, 68 years (RFC 5905, section 6).
const HALF_ERA: Nanos = Nanos::from_secs(1 << 31);

/// Why a reply gives no exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The reply, or the request that it should answer, is not a packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The reply is not of mode 4 and of the request's version.
    #[error("the reply is not a server's reply to this request")]
    NotAReply,
    /// The reply's origin is not what the request sent: an old reply, or a forged one.
    #[error("the reply answers another request; it is late, repeated or forged")]
    NotOurs,
    /// The reply carries no receive or transmit timestamp.
    #[error("the reply carries no time")]
    NoTime,
    /// The server asks for less, or for nothing (RFC 5905, section 7.4).
    #[error("the server refuses to serve this client, its code is '{}'", .0.escape_ascii())]
    KissOfDeath([u8; 4]),
    /// Leap 3 or stratum 16: the server itself does not know the time.
    #[error("the server's own clock is not synchronised")]
    Unsynchronised,
    /// A stratum that no server has.
    #[error("the server states stratum {0}, a synchronised server has 1 to 15")]
    Stratum(u8),
    /// Root delay and dispersion add up to more than any use allows (RFC 5905, appendix A.5.1.1).
    #[error("the server is too far from its reference: root distance {0}")]
    RootDistance(Nanos),
    /// The reply arrived before the request left, or left before the request arrived.
    #[error("the four instants are out of order: a clock was set during the exchange")]
    OutOfOrder,
    /// The two clocks lie more than 68 years apart, which NTP cannot say.
    #[error("the two clocks lie more than 68 years apart")]
    TooFar,
}

/// What the server said of its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Leap indicator.
    pub leap: Leap,
    /// Stratum.
    pub stratum: u8,
    /// Precision, log2 seconds.
    pub precision: i8,
    /// Round-trip delay to its reference clock.
    pub root_delay: NtpShort,
    /// Dispersion to its reference clock.
    pub root_dispersion: NtpShort,
    /// What it is synchronised to.
    pub reference_id: [u8; 4],
}

/// One exchange: the four instants and what the server said of itself. Every value of this type is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    instants: [UnixTime; 4],
    source: Source,
}

impl Exchange {
    /// Reads the exchange from the request as it was sent at `t1` and the reply as it arrived at `t4`, both by the client's clock.
    /// The request's transmit timestamp may be random: it only ties the reply to the request.
    ///
    /// The tests are those of RFC 5905, section 8 (packet sanity, tests 2, 3, 6 and 7); its tests 1 and 4 need
    /// the peer's memory and keys.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read(request: &[u8], reply: &[u8], t1: UnixTime, t4: UnixTime) -> Result<Self, Refusal> {
        let request = Packet::decode(request)?;
        let reply = Packet::decode(reply)?;
        if reply.mode != Mode::Server || reply.version != request.version {
            return Err(Refusal::NotAReply);
        }
        if reply.origin != request.transmit {
            return Err(Refusal::NotOurs);
        }
        // A kiss code is four letters at stratum 0; INIT and STEP only say that the server has no time yet.
        let kiss = reply.reference_id;
        if reply.stratum == 0 && kiss != [0; 4] && !matches!(&kiss, b"INIT" | b"STEP") {
            return Err(Refusal::KissOfDeath(kiss));
        }
        if reply.receive.bits() == 0 || reply.transmit.bits() == 0 {
            return Err(Refusal::NoTime);
        }
        let source = Source {
            leap: reply.leap,
            stratum: reply.stratum,
            precision: reply.precision,
            root_delay: reply.root_delay,
            root_dispersion: reply.root_dispersion,
            reference_id: reply.reference_id,
        };
        Self::new([t1, reply.receive.to_unix(t1), reply.transmit.to_unix(t4), t4], source)
    }

    /// The exchange with the instants T1 to T4 and a server's words.
    ///
    /// # Errors
    /// [`Refusal`] for instants or words from which nothing follows.
    pub fn new(instants: [UnixTime; 4], source: Source) -> Result<Self, Refusal> {
        let [t1, t2, t3, t4] = instants;
        if source.leap == Leap::Unknown || source.stratum == 0 || source.stratum == MAX_STRATUM {
            return Err(Refusal::Unsynchronised);
        }
        if source.stratum > MAX_STRATUM {
            return Err(Refusal::Stratum(source.stratum));
        }
        let distance = root_distance(&source);
        if distance >= MAX_DISPERSION {
            return Err(Refusal::RootDistance(distance));
        }
        if t4 < t1 || t3 < t2 {
            return Err(Refusal::OutOfOrder);
        }
        if (t2 - t1).abs() > HALF_ERA || (t3 - t4).abs() > HALF_ERA {
            return Err(Refusal::TooFar);
        }
        Ok(Self { instants, source })
    }

    /// T1 (request sent) and T4 (reply received) by the client's clock, T2 (request received) and T3 (reply sent) by
    /// the server's, in the order T1 to T4.
    pub const fn instants(&self) -> [UnixTime; 4] {
        self.instants
    }

    /// What the server said of its own clock.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// When the exchange was, by the server's clock: T3.
    pub const fn at(&self) -> UnixTime {
        let [_, _, t3, _] = self.instants;
        t3
    }

    /// What the server's clock is ahead of the client's: ((T2-T1)+(T3-T4))/2, towards zero
    /// (RFC 5905, section 8; JP 4190181 B2, paragraph 28).
    pub fn offset(&self) -> Nanos {
        let [t1, t2, t3, t4] = self.instants;
        ((t2 - t1) + (t3 - t4)).half()
    }

    /// The one-way delay: ((T4-T1)-(T3-T2))/2, towards zero (JP 4190181 B2, paragraph 28).
    /// It is half of RFC 5905's round-trip delay.
    pub fn delay(&self) -> Nanos {
        let [t1, t2, t3, t4] = self.instants;
        ((t4 - t1) - (t3 - t2)).half()
    }

    /// How far the server's clock could be off, as it says itself: root delay / 2 + root dispersion + precision.
    pub fn source_bound(&self) -> Nanos {
        root_distance(&self.source)
    }

    /// How far the true offset from the server's reference can lie from [`Self::offset`].
    ///
    /// The reply may have taken all of the round trip and the request none of it, or the other way round: that
    /// is [`Self::delay`], without its sign. To it come what the server states of itself, root delay / 2 + root
    /// dispersion + precision, and what a clock can run away between T1 and T4 ([`PHI`]), as in the root
    /// distance of RFC 5905, section 11.2. The last nanosecond covers the halves that rounding dropped.
    pub fn bound(&self) -> Nanos {
        let [t1, _, _, t4] = self.instants;
        let rounding = Nanos::new(1);
        self.delay().abs() + self.source_bound() + PHI.over(t4 - t1) + rounding
    }
}

/// 2^`precision` seconds, rounded up to a nanosecond; beyond 2^16 s it does not matter how much.
pub fn precision_length(precision: i8) -> Nanos {
    match precision {
        17.. => Nanos::from_secs(1 << 17),
        0..=16 => Nanos::from_secs(1 << precision),
        -29..=-1 => Nanos::new((1_000_000_000_i64 >> -precision) + 1),
        _ => Nanos::new(1),
    }
}

/// Root delay / 2 + root dispersion + precision, rounded up.
fn root_distance(source: &Source) -> Nanos {
    let half_delay = Nanos::new(source.root_delay.to_nanos().count() / 2 + 1);
    half_delay + source.root_dispersion.to_nanos() + precision_length(source.precision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{LENGTH, Version};
    use crate::server::{self, ServerState, Unsynchronised};
    use angbu_units::NtpTimestamp;
    use proptest::prelude::*;

    const GOOD: Source = Source {
        leap: Leap::None,
        stratum: 1,
        precision: -20,
        root_delay: NtpShort::from_bits(0),
        root_dispersion: NtpShort::from_bits(0),
        reference_id: *b"GPS\0",
    };

    fn exchange(nanos: [i64; 4]) -> Exchange {
        Exchange::new(nanos.map(UnixTime::from_nanos), GOOD).unwrap()
    }

    #[test]
    fn the_formulas() {
        for (instants, offset, delay) in [
            ([0, 0, 0, 0], 0, 0),
            // The client is 1 s behind, the network symmetric: 10 ms there, 2 ms inside, 10 ms back.
            ([0, 1_010_000_000, 1_012_000_000, 22_000_000], 1_000_000_000, 10_000_000),
            // All of the delay on the way there: the offset is wrong by exactly the one-way delay.
            ([0, 20_000_000, 22_000_000, 22_000_000], 10_000_000, 10_000_000),
            // The client is ahead.
            ([5_000_000, 1_000, 2_000, 5_003_000], -5_000_000, 1_000),
            // Odd sums go towards zero.
            ([0, 1, 1, 1], 0, 0),
            ([3, 0, 0, 3], -3, 0),
        ] {
            let exchange = exchange(instants);
            assert_eq!(exchange.offset(), Nanos::new(offset), "{instants:?}");
            assert_eq!(exchange.delay(), Nanos::new(delay), "{instants:?}");
        }
    }

    #[test]
    fn precision_lengths() {
        for (precision, nanos) in [(-20, 954), (-1, 500_000_001), (0, 1_000_000_000), (-30, 1), (-128, 1)] {
            assert_eq!(precision_length(precision), Nanos::new(nanos));
        }
        assert_eq!(precision_length(127), Nanos::from_secs(1 << 17));
    }

    #[test]
    fn words_from_which_nothing_follows() {
        for (source, refusal) in [
            (Source { leap: Leap::Unknown, ..GOOD }, Refusal::Unsynchronised),
            (Source { stratum: 0, ..GOOD }, Refusal::Unsynchronised),
            (Source { stratum: 16, ..GOOD }, Refusal::Unsynchronised),
            (Source { stratum: 17, ..GOOD }, Refusal::Stratum(17)),
        ] {
            assert_eq!(Exchange::new([UnixTime::default(); 4], source), Err(refusal));
        }
        let far = Source { root_dispersion: NtpShort::from_bits(16 << 16), ..GOOD };
        assert!(matches!(Exchange::new([UnixTime::default(); 4], far), Err(Refusal::RootDistance(_))));
        for (instants, refusal) in [
            ([1, 0, 0, 0], Refusal::OutOfOrder),
            ([0, 1, 0, 0], Refusal::OutOfOrder),
            ([0, 3_000_000_000_000_000_000, 3_000_000_000_000_000_000, 0], Refusal::TooFar),
        ] {
            assert_eq!(Exchange::new(instants.map(UnixTime::from_nanos), GOOD), Err(refusal));
        }
    }

    #[test]
    fn replies_that_are_refused() {
        let t1 = UnixTime::from_nanos(1_763_762_721_000_000_000);
        let request = Packet::request(Version::V4, NtpTimestamp::from_bits(0x1234));
        let state = ServerState {
            leap: Leap::None,
            stratum: 1,
            precision: -20,
            root_delay: Nanos::ZERO,
            root_dispersion: Nanos::ZERO,
            reference_id: *b"GPS\0",
            reference_time: t1,
            as_of: t1,
        };
        let mut bytes = [0; LENGTH];
        server::answer(&request.encode(), t1, t1, &state, &mut bytes).unwrap();
        let good = Packet::decode(&bytes).unwrap();
        let read = |reply: Packet| Exchange::read(&request.encode(), &reply.encode(), t1, t1);
        assert!(read(good).is_ok());
        for (reply, refusal) in [
            (Packet { mode: Mode::Broadcast, ..good }, Refusal::NotAReply),
            (Packet { version: Version::V3, ..good }, Refusal::NotAReply),
            (Packet { origin: NtpTimestamp::from_bits(0x1235), ..good }, Refusal::NotOurs),
            (Packet { receive: NtpTimestamp::UNKNOWN, ..good }, Refusal::NoTime),
            (Packet { transmit: NtpTimestamp::UNKNOWN, ..good }, Refusal::NoTime),
            (Packet { stratum: 0, reference_id: *b"RATE", ..good }, Refusal::KissOfDeath(*b"RATE")),
            (Packet { stratum: 0, reference_id: *b"INIT", ..good }, Refusal::Unsynchronised),
            (Packet { leap: Leap::Unknown, ..good }, Refusal::Unsynchronised),
        ] {
            assert_eq!(read(reply), Err(refusal));
        }
        let unsynchronised = ServerState::unsynchronised(Unsynchronised::Stepped, -20, t1);
        server::answer(&request.encode(), t1, t1, &unsynchronised, &mut bytes).unwrap();
        let refused = Exchange::read(&request.encode(), &bytes, t1, t1);
        assert_eq!(refused, Err(Refusal::Unsynchronised));
    }

    proptest! {
        #[test]
        fn arbitrary_replies_never_panic(request: [u8; LENGTH], reply in prop::collection::vec(any::<u8>(), 0..200), t1: i64, t4: i64) {
            if let Ok(exchange) = Exchange::read(&request, &reply, UnixTime::from_nanos(t1), UnixTime::from_nanos(t4)) {
                prop_assert!(exchange.bound() >= exchange.delay().abs());
            }
        }

        /// Whatever the network does, the true offset lies within the bound around the measured one.
        #[test]
        fn the_truth_lies_within_the_bound(
            truth in -4_000_000_000_000_000_000i64..4_000_000_000_000_000_000,
            there in 0i64..5_000_000_000, inside in 0i64..1_000_000_000, back in 0i64..5_000_000_000,
        ) {
            let t1 = 1_763_762_721_000_000_000i64;
            let sent = t1.saturating_add(truth / 2_000);
            let instants = [t1, sent + there, sent + there + inside, t1 + there + inside + back];
            let exchange = exchange(instants);
            let error = (exchange.offset() - Nanos::new(truth / 2_000)).abs();
            prop_assert!(error <= exchange.bound());
        }

        #[test]
        fn a_served_exchange_reads_back(ahead in -1_000_000_000_000i64..1_000_000_000_000, there in 0i64..1_000_000_000, back in 0i64..1_000_000_000, token: u64) {
            let t1 = UnixTime::from_nanos(2_085_978_490_000_000_000);
            let t2 = t1 + Nanos::new(ahead + there);
            let t4 = t1 + Nanos::new(there + back);
            let state = ServerState {
                leap: Leap::None, stratum: 3, precision: -22, root_delay: Nanos::new(123_456), root_dispersion: Nanos::new(7_890),
                reference_id: [1, 2, 3, 4], reference_time: t2, as_of: t2,
            };
            let request = Packet::request(Version::V4, NtpTimestamp::from_bits(token)).encode();
            let mut reply = [0; LENGTH];
            server::answer(&request, t2, t2, &state, &mut reply).unwrap();
            let exchange = Exchange::read(&request, &reply, t1, t4).unwrap();
            prop_assert!((exchange.offset() - Nanos::new(ahead)).abs() <= exchange.bound());
            prop_assert!((exchange.at() - t2).abs() <= Nanos::new(1));
        }
    }
}
