//! How long a client waits at a steady rate: each request has its instant, whatever became of those before it.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::questions::{Kind, Questions};
use crate::servers::Running;
use crate::{Failure, Spread};

/// Requests a second.
const RATE: u32 = 20_000;
/// How many requests a turn has: half a second.
const REQUESTS: usize = 10_000;

/// How long after the last reply no other is waited for.
const SILENCE: Duration = Duration::from_millis(200);

/// What was waited, of each round, in microseconds.
pub(crate) struct Waits {
    server: &'static str,
    rounds: Vec<(f64, f64)>,
    floor: Vec<(f64, f64)>,
}

impl Waits {
    pub(crate) fn line(&self) -> Value {
        let (p50, p99) =
            (Spread::of(&self.rounds, |round| round.0), Spread::of(&self.rounds, |round| round.1));
        let floor = Spread::of(&self.floor, |round| round.0);
        eprintln!(
            "{:<20} at {RATE}/s: p50 {:.0} us, p99 {:.0} us, {:.3} of the floor's p50",
            self.server,
            p50.median,
            p99.median,
            p50.median / floor.median
        );
        json!({
            "figure": "wait at a steady rate", "server": self.server, "unit": "us", "requests_per_s": RATE,
            "p50": p50.median, "p99": p99.median, "p99_min": p99.least, "p99_max": p99.most,
            "ratio": p50.median / floor.median, "peer": "echo (floor)",
        })
    }
}

/// Measures those servers whose latency is measured, in turns; the floor is the first.
pub(crate) fn measure(servers: &mut [Running], rounds: u64) -> Result<Vec<Waits>, Failure> {
    let paced: Vec<&Running> = servers.iter().filter(|server| server.paced).collect();
    let mut waits: Vec<Vec<(f64, f64)>> = vec![Vec::new(); paced.len()];
    for _ in 0..rounds * 2 {
        for (server, waits) in paced.iter().zip(&mut waits) {
            waits.push(turn(server)?);
        }
    }
    let floor = waits.first().cloned().unwrap_or_default();
    let of = paced.iter().zip(waits);
    Ok(of.map(|(server, rounds)| Waits { server: server.name, rounds, floor: floor.clone() }).collect())
}

/// Half a second of requests; the middle wait and the one that one in a hundred exceeds.
fn turn(server: &Running) -> Result<(f64, f64), Failure> {
    let questions = Questions::new(&server.kind, server.address, 1)?;
    debug_assert!(matches!(server.kind, Kind::Echo | Kind::Plain), "each request has a token of its own");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    socket.connect(server.address)?;
    socket.set_nonblocking(true)?;
    let start = Instant::now() + Duration::from_millis(1);
    let due = |number: usize| start + Duration::from_secs(1) * u32::try_from(number).unwrap_or(0) / RATE;
    let (mut datagram, mut reply) = ([0; 2_048], [0; 2_048]);
    let mut waits = Vec::with_capacity(REQUESTS);
    let (mut sent, mut last) = (0, Instant::now());
    while waits.len() < REQUESTS && (sent < REQUESTS || last.elapsed() < SILENCE) {
        if sent < REQUESTS && due(sent) <= Instant::now() {
            // Tokens count from 1: a timestamp of zero is none.
            sent += 1;
            let length = questions.write(0, sent as u64, &mut datagram).ok_or("a question is too long")?;
            socket.send(datagram.get(..length).unwrap_or_default())?;
        }
        match socket.recv(&mut reply) {
            Ok(length) => {
                last = Instant::now();
                let token =
                    questions.check(reply.get(..length).unwrap_or_default()).ok_or("a reply is wrong")?;
                let number = usize::try_from(token)?.checked_sub(1).ok_or("a reply to nothing")?;
                waits.push((last - due(number)).as_secs_f64() * 1e6);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What is lost has waited longest.
    let lost = REQUESTS - waits.len();
    if lost > REQUESTS / 10 {
        return Err(format!("{} lost {lost} of {REQUESTS} requests", server.name).into());
    }
    waits.extend(std::iter::repeat_n(f64::INFINITY, lost));
    waits.sort_by(f64::total_cmp);
    let at = |percent: usize| waits.get((waits.len() - 1) * percent / 100).copied().unwrap_or(f64::NAN);
    Ok((at(50), at(99)))
}
