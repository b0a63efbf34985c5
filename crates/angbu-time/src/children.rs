//! What an agent serves to its site's machines: the time of its own clock, and honestly how good that is.

use angbu_units::{Nanos, Ppb, Reading, UnixTime};

use crate::agent::Status;
use crate::packet::{self, LENGTH, Leap};
use crate::server::{self, Drop, MAX_STRATUM, ServerState, Unsynchronised};

/// How fast this machine's clock can run away since the last exchange: 100 ppm, as for verdicts.
const DRIFT: Ppb = Ppb::new(100_000);

/// The kiss code of a server that asks for fewer requests (RFC 5905, section 7.4).
pub const RATE: [u8; 4] = *b"RATE";

/// What the agent's clock is worth to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnClock {
    /// What the last exchange showed.
    pub status: Status,
    /// What the upstream's clock shows now, reckoned from that exchange ([`crate::agent::Agent::centre_time`]).
    pub reference: UnixTime,
    /// How often the upstream is asked.
    pub poll: Nanos,
    /// The upstream's id, as replies name it.
    pub reference_id: [u8; 4],
    /// The clock's precision, log2 seconds.
    pub precision: i8,
}

/// What replies to children say: one stratum below the upstream, with a root distance that holds how far this machine's clock
/// is off and everything that bounds that; leap 3 while the clock is not shown to be in sync, or was not shown for two polls.
pub fn state(clock: &OwnClock, now: Reading) -> ServerState {
    let unsynchronised = || ServerState::unsynchronised(Unsynchronised::Initial, clock.precision, now.wall);
    let Some(last) = clock.status.last.filter(|_| clock.status.judgement.in_sync) else {
        return unsynchronised();
    };
    let age = (clock.reference - last.at()).abs();
    let source = last.source();
    let stratum = source.stratum.saturating_add(1);
    if stratum >= MAX_STRATUM || age > clock.poll.times(2) + Nanos::from_secs(1) {
        return unsynchronised();
    }
    let offset = (clock.reference - now.wall).abs();
    let bound = last.bound() + DRIFT.over(age);
    let root_delay = source.root_delay.to_nanos() + last.delay().abs().times(2);
    ServerState {
        leap: source.leap,
        stratum,
        precision: clock.precision,
        root_delay,
        // Half of the root delay and the dispersion, which is what a child adds up, hold the bound and the offset.
        root_dispersion: (bound - root_delay.half()).max(Nanos::ZERO) + offset,
        reference_id: clock.reference_id,
        reference_time: now.wall - age,
        as_of: now.wall,
    }
}

/// As [`server::answer`], and answers a symmetric-active request too, which is what Windows sends unless told otherwise: in
/// mode 2, as ntpd and chronyd do, and without becoming anybody's peer (RFC 5905, section 9.2). A reply of mode 2 is answered
/// by nobody here, so that no two servers talk for ever.
///
/// # Errors
/// [`Drop`] when the datagram gets no answer.
pub fn answer(
    request: &[u8],
    received: UnixTime,
    transmit: UnixTime,
    state: &ServerState,
    out: &mut [u8; LENGTH],
) -> Result<(), Drop> {
    let header: &[u8; LENGTH] = request.first_chunk().ok_or(Drop::Short)?;
    let [first, ..] = *header;
    if first & 7 != 1 {
        return server::answer(header, received, transmit, state, out);
    }
    let mut asked = *header;
    packet::put(&mut asked, 0, [first & !7 | 3]);
    server::answer(&asked, received, transmit, state, out)?;
    let [first, ..] = *out;
    packet::put(out, 0, [first & !7 | 2]);
    Ok(())
}

/// Makes a reply into the kiss code RATE: leap 3, stratum 0, and no time to be used.
pub fn kiss(reply: &mut [u8; LENGTH]) {
    let [first, ..] = *reply;
    packet::put(reply, 0, [first | Leap::Unknown.bits() << 6, 0]);
    packet::put(reply, 12, RATE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Exchange, Refusal, Source};
    use crate::packet::{Mode, Packet, Version};
    use crate::sync::Judgement;
    use angbu_units::{Monotonic, NtpShort, NtpTimestamp};

    const NOW: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_000);

    fn now(later: Nanos) -> Reading {
        Reading { wall: NOW + later, monotonic: Monotonic::from_nanos(0) + later }
    }

    fn own_clock(in_sync: bool, stratum: u8) -> OwnClock {
        let source = Source {
            leap: Leap::Insert,
            stratum,
            precision: -20,
            root_delay: NtpShort::from_nanos_rounded_up(Nanos::from_millis(4)),
            root_dispersion: NtpShort::from_nanos_rounded_up(Nanos::from_millis(1)),
            reference_id: [192, 0, 2, 1],
        };
        // One millisecond there, three back; the server is 5 ms ahead, less the asymmetry.
        let at = |millis| NOW + Nanos::from_millis(millis);
        let exchange = Exchange::new([at(0), at(6), at(6), at(4)], source).unwrap();
        let judgement = Judgement { in_sync, ..Judgement::NONE };
        OwnClock {
            status: Status { last: Some(exchange), judgement },
            reference: exchange.at(),
            poll: Nanos::from_secs(16),
            reference_id: [1, 2, 3, 4],
            precision: -20,
        }
    }

    #[test]
    fn replies_hold_the_agents_bound_and_its_offset() {
        let clock = own_clock(true, 3);
        let exchange = clock.status.last.unwrap();
        let state = state(&clock, now(Nanos::from_millis(4)));
        assert_eq!((state.stratum, state.leap, state.reference_id), (4, Leap::Insert, [1, 2, 3, 4]));
        let root_distance = state.root_delay.half() + state.root_dispersion;
        let off = (clock.reference - now(Nanos::from_millis(4)).wall).abs();
        assert!(root_distance >= exchange.bound() + off, "{root_distance} {}", exchange.bound());
        assert!(root_distance <= exchange.bound() + off + Nanos::from_millis(1));
    }

    #[test]
    fn a_clock_that_is_not_in_sync_says_so() {
        let late = Nanos::from_secs(34);
        let mut old = own_clock(true, 3);
        old.reference = old.reference + late;
        let nothing =
            OwnClock { status: Status { last: None, ..own_clock(true, 3).status }, ..own_clock(true, 3) };
        for clock in [own_clock(false, 3), own_clock(true, 15), nothing, old] {
            let state = state(&clock, now(Nanos::ZERO));
            assert_eq!((state.leap, state.stratum), (Leap::Unknown, MAX_STRATUM));
            assert!(!state.is_synchronised());
        }
    }

    #[test]
    fn symmetric_requests_are_answered_as_a_passive_peer_does() {
        let state = state(&own_clock(true, 3), now(Nanos::ZERO));
        let token = NtpTimestamp::from_bits(42);
        for (mode, back) in [(Mode::Client, Mode::Server), (Mode::SymmetricActive, Mode::SymmetricPassive)] {
            for version in [Version::V3, Version::V4] {
                let request = Packet { mode, ..Packet::request(version, token) };
                let mut out = [0; LENGTH];
                answer(&request.encode(), NOW, NOW, &state, &mut out).unwrap();
                let reply = Packet::decode(&out).unwrap();
                assert_eq!((reply.mode, reply.version, reply.origin), (back, version, token));
                assert_eq!((reply.stratum, reply.leap), (4, Leap::Insert));
                kiss(&mut out);
                let kiss = Packet::decode(&out).unwrap();
                assert_eq!(
                    (kiss.mode, kiss.origin, kiss.stratum, kiss.leap),
                    (back, token, 0, Leap::Unknown)
                );
                assert_eq!(kiss.reference_id, RATE);
                let plain = Packet::request(version, token).encode();
                if mode == Mode::Client {
                    assert_eq!(Exchange::read(&plain, &out, NOW, NOW), Err(Refusal::KissOfDeath(RATE)));
                }
            }
        }
        let mut out = [0; LENGTH];
        assert_eq!(answer(&[0x22; LENGTH], NOW, NOW, &state, &mut out), Err(Drop::Mode));
        assert_eq!(answer(&[0x21; 47], NOW, NOW, &state, &mut out), Err(Drop::Short));
    }
}
