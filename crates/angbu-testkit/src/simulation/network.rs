//! Network paths, and the NTP servers at their ends.

use angbu_time::packet::{LENGTH, Leap, Packet, Version};
use angbu_time::server::{self, ServerState};
use angbu_units::{Clock as _, Nanos, NtpServerId, NtpTimestamp, Reading, UnixTime};

use super::{Chance, Machine};

/// How long an answer is waited for.
const PATIENCE: Nanos = Nanos::from_secs(1);

/// How long packets take in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// What no packet beats.
    pub least: Nanos,
    /// What queues add, on average (exponential).
    pub queue: Nanos,
    /// How many of a thousand packets meet a long queue.
    pub spikes_per_mille: u32,
    /// What that adds, on average.
    pub spike: Nanos,
}

/// A queue that comes and goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Congestion {
    /// How often it comes.
    pub every: Nanos,
    /// How long it stays.
    pub lasts: Nanos,
    /// What it adds to the way there.
    pub there: Nanos,
    /// What it adds to the way back.
    pub back: Nanos,
}

/// The way to a server and back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// To the server.
    pub there: Delay,
    /// From the server.
    pub back: Delay,
    /// How long the server takes.
    pub inside: Nanos,
    /// How many of a thousand exchanges get lost.
    pub lost_per_mille: u32,
    /// How many of a thousand replies come after the next one.
    pub reordered_per_mille: u32,
    /// A queue that comes and goes, if there is one.
    pub congestion: Option<Congestion>,
}

impl Delay {
    /// A least delay and a queue, no spikes.
    pub const fn of(least: Nanos, queue: Nanos) -> Self {
        Self { least, queue, spikes_per_mille: 0, spike: Nanos::ZERO }
    }

    fn draw(&self, chance: &mut Chance) -> Nanos {
        let queue = chance.exponential(self.queue.count() as f64);
        let spike = if chance.happens(self.spikes_per_mille) {
            chance.exponential(self.spike.count() as f64)
        } else {
            0.0
        };
        self.least + Nanos::new((queue + spike) as i64)
    }
}

impl Path {
    /// The same in both directions, nothing lost.
    pub const fn symmetric(delay: Delay) -> Self {
        Self {
            there: delay,
            back: delay,
            inside: Nanos::from_micros(15),
            lost_per_mille: 0,
            reordered_per_mille: 0,
            congestion: None,
        }
    }

    /// A local network: 80 µs and a queue of 20 µs each way, one long queue of 1 ms in a hundred.
    pub const fn lan() -> Self {
        let delay = Delay {
            spikes_per_mille: 10,
            spike: Nanos::from_millis(1),
            ..Delay::of(Nanos::from_micros(80), Nanos::from_micros(20))
        };
        Self::symmetric(delay)
    }

    /// The internet: 8 ms there and 5 ms back, queues of 300 µs, spikes of 10 ms, 2 % lost, 0.5 % out of order.
    pub fn wan() -> Self {
        let delay = |least| Delay {
            spikes_per_mille: 30,
            spike: Nanos::from_millis(10),
            ..Delay::of(least, Nanos::from_micros(300))
        };
        Self {
            there: delay(Nanos::from_millis(8)),
            back: delay(Nanos::from_millis(5)),
            lost_per_mille: 20,
            reordered_per_mille: 5,
            ..Self::symmetric(Delay::of(Nanos::ZERO, Nanos::ZERO))
        }
    }

    /// Any path, by chance: up to 40 ms each way and differently so, queues, spikes up to 200 ms, loss up to 30 %, and often a queue
    /// in one direction that comes and goes.
    pub fn any(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 3);
        let mut delay = || Delay {
            least: Nanos::new(chance.between(10_000.0, 40e6) as i64),
            queue: Nanos::new(chance.between(0.0, 5e6) as i64),
            spikes_per_mille: chance.between(0.0, 100.0) as u32,
            spike: Nanos::new(chance.between(0.0, 200e6) as i64),
        };
        let (there, back) = (delay(), delay());
        let congestion = chance.happens(700).then(|| {
            let one_way = chance.happens(500);
            let (this, other) = (chance.between(1e6, 300e6), chance.between(0.0, 5e6));
            let (there, back) = if one_way { (this, other) } else { (other, this) };
            Congestion {
                every: Nanos::new(chance.between(600e9, 7_200e9) as i64),
                lasts: Nanos::new(chance.between(10e9, 600e9) as i64),
                there: Nanos::new(there as i64),
                back: Nanos::new(back as i64),
            }
        });
        Self {
            there,
            back,
            inside: Nanos::new(chance.between(1_000.0, 200_000.0) as i64),
            lost_per_mille: chance.between(0.0, 300.0) as u32,
            reordered_per_mille: chance.between(0.0, 50.0) as u32,
            congestion,
        }
    }

    fn congested(&self, elapsed: Nanos) -> (Nanos, Nanos) {
        match self.congestion {
            Some(c) if elapsed.count() % c.every.count() < c.lasts.count() => (c.there, c.back),
            _ => (Nanos::ZERO, Nanos::ZERO),
        }
    }
}

/// What a server's clock is wrong by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerClock {
    /// Always.
    pub error: Nanos,
    /// How far it swings to both sides of that.
    pub swing: Nanos,
    /// How long one swing takes; zero for none.
    pub period: Nanos,
    /// What is added from when on, since the start.
    pub steps: Vec<(Nanos, Nanos)>,
}

impl ServerClock {
    fn wrong_by(&self, elapsed: Nanos) -> Nanos {
        let swing = if self.period > Nanos::ZERO {
            let turn = elapsed.count() as f64 / self.period.count() as f64 * std::f64::consts::TAU;
            Nanos::new((self.swing.count() as f64 * turn.sin()) as i64)
        } else {
            Nanos::ZERO
        };
        let steps = self.steps.iter().filter(|(from, _)| *from <= elapsed);
        steps.fold(self.error + swing, |sum, (_, step)| sum + *step)
    }
}

/// A leap second that servers know of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leaping {
    /// The first instant of the next day, UTC.
    pub at: UnixTime,
    /// Inserted before it, or deleted.
    pub leap: Leap,
}

impl Leaping {
    /// True time of a clock that shows `atomic` without the leap second.
    pub fn utc(leaping: Option<Self>, atomic: UnixTime) -> UnixTime {
        let second = Nanos::from_secs(1);
        match leaping {
            Some(Self { at, leap: Leap::Insert }) if atomic >= at => atomic - second,
            Some(Self { at, leap: Leap::Delete }) if atomic >= at - second => atomic + second,
            _ => atomic,
        }
    }
}

/// An NTP server and the way to it.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The way.
    pub path: Path,
    /// Its clock.
    pub clock: ServerClock,
    /// What it says of itself; leap and times are filled in.
    pub stratum: u8,
    /// What it says that its clock can be wrong by.
    pub root_dispersion: Nanos,
    /// Whether it announces a leap second in the day before it.
    pub announces: bool,
    /// Since when it is silent, since the start.
    pub silent_from: Option<Nanos>,
    /// Whether it says that it is not synchronised.
    pub unsynchronised: bool,
    /// A reply that is on its way longer than the next one.
    pub late: Option<Vec<u8>>,
}

impl Upstream {
    /// A server whose clock is within the 50 µs that it states.
    pub fn honest(path: Path) -> Self {
        Self {
            path,
            clock: ServerClock {
                swing: Nanos::from_micros(5),
                period: Nanos::from_secs(900),
                ..ServerClock::default()
            },
            stratum: 1,
            root_dispersion: Nanos::from_micros(50),
            announces: true,
            silent_from: None,
            unsynchronised: false,
            late: None,
        }
    }

    /// A server whose clock is wrong by more than it says.
    pub fn lying(path: Path, by: Nanos) -> Self {
        let honest = Self::honest(path);
        Self { clock: ServerClock { error: by, ..honest.clock.clone() }, ..honest }
    }

    /// The id of the server with this place among several.
    pub fn id(place: usize) -> NtpServerId {
        let mut bytes = [7; 16];
        bytes[15] = place as u8;
        NtpServerId::from_bytes(bytes)
    }

    fn says(&self, at: UnixTime, leaping: Option<Leaping>) -> ServerState {
        let announced = leaping.filter(|leaping| {
            self.announces && at < leaping.at && leaping.at - at < Nanos::from_secs(86_400)
        });
        ServerState {
            leap: match announced {
                _ if self.unsynchronised => Leap::Unknown,
                Some(leaping) => leaping.leap,
                None => Leap::None,
            },
            stratum: self.stratum,
            precision: -25,
            root_delay: Nanos::ZERO,
            root_dispersion: self.root_dispersion,
            reference_id: *b"GPS\0",
            reference_time: at,
            as_of: at,
        }
    }
}

/// What came of asking a server.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request as it was sent.
    pub request: Vec<u8>,
    /// The reply as it arrived.
    pub reply: Vec<u8>,
    /// T1.
    pub sent: UnixTime,
    /// T4.
    pub received: UnixTime,
    /// Both clocks after it.
    pub now: Reading,
    /// What the server's clock was wrong by when it sent the reply.
    pub server_wrong_by: Nanos,
}

/// A request that was carried to a server, and its reply back.
pub(crate) struct Carried {
    pub(crate) reply: Vec<u8>,
    /// From the request's departure to the reply's arrival.
    pub(crate) takes: Nanos,
    pub(crate) server_wrong_by: Nanos,
}

/// Carries a request that leaves the machine now; no time passes. None when it or the reply gets lost.
pub(crate) fn carry(
    upstream: &Upstream,
    machine: &Machine,
    chance: &mut Chance,
    leaping: Option<Leaping>,
    request: &[u8],
) -> Option<Carried> {
    let (path, elapsed) = (&upstream.path, machine.elapsed());
    let silent = upstream.silent_from.is_some_and(|from| from <= elapsed);
    if silent || chance.happens(path.lost_per_mille) {
        return None;
    }
    let (more_there, more_back) = path.congested(elapsed);
    let there = path.there.draw(chance) + more_there;
    let shown = |after: Nanos| {
        let wrong_by = upstream.clock.wrong_by(elapsed + after);
        (Leaping::utc(leaping, machine.atomic() + after + wrong_by), wrong_by)
    };
    let (t2, _) = shown(there);
    let (t3, server_wrong_by) = shown(there + path.inside);
    let mut reply = [0; LENGTH];
    server::answer(request, t2, t3, &upstream.says(t3, leaping), &mut reply)
        .expect("broken invariant: a request is answered");
    let takes = there + path.inside + path.back.draw(chance) + more_back;
    Some(Carried { reply: reply.to_vec(), takes, server_wrong_by })
}

/// Asks a server; true time passes. None when nothing came back.
pub(crate) fn ask(
    upstream: &mut Upstream,
    machine: &Machine,
    chance: &mut Chance,
    leaping: Option<Leaping>,
) -> Option<Asked> {
    let token = NtpTimestamp::from_bits(chance.bits() | 1);
    let request = Packet::request(Version::V4, token).encode();
    let sent = machine.read().wall;
    let Some(carried) = carry(upstream, machine, chance, leaping, &request) else {
        machine.advance(PATIENCE);
        return None;
    };
    machine.advance(carried.takes);
    let mut reply = carried.reply;
    if chance.happens(upstream.path.reordered_per_mille) {
        // An older reply arrives in its place; there is none at first, then nothing does.
        match upstream.late.replace(reply) {
            Some(older) => reply = older,
            None => return None,
        }
    }
    let (now, server_wrong_by) = (machine.read(), carried.server_wrong_by);
    Some(Asked { request: request.to_vec(), reply, sent, received: now.wall, now, server_wrong_by })
}
