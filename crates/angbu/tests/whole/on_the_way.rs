//! Somebody on the way between an agent and its centre: he changes, invents, repeats and holds back what passes, and leads
//! it to another centre.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use angbu_agent::clock::SystemClock;
use angbu_time::children::kiss;
use angbu_time::packet::{LENGTH, Leap};
use angbu_time::server::{self, ServerState};
use angbu_units::{Clock as _, Nanos};
use serde_json::Value;

use super::cluster::Cluster;
use super::nts::{EXCHANGED, NAK, WITNESSED, agent, metric, sealed};
use super::process::{PATIENCE, Process, pass, serve_command_with, until};

/// What somebody on the way between an agent and the centre does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Nothing,
    MovesT2AndT3,
    Replays,
    Strips,
    Answers,
    Forges,
    /// Each reply comes to the question after its own.
    HoldsForTheNext,
}

impl Deed {
    const EVIL: [Self; 6] =
        [Self::MovesT2AndT3, Self::Replays, Self::Strips, Self::Answers, Self::Forges, Self::HoldsForTheNext];

    /// What the agent is sent instead of the centre's reply.
    fn done(self, request: &[u8], reply: &[u8], first: &[u8], before: &[u8]) -> Vec<u8> {
        let mut made = reply.to_vec();
        match self {
            Self::Nothing => {}
            // Five seconds on, in both.
            Self::MovesT2AndT3 => {
                for at in [32, 40] {
                    let seconds = u32::from_be_bytes(made[at..at + 4].try_into().unwrap());
                    made[at..at + 4].copy_from_slice(&(seconds + 5).to_be_bytes());
                }
            }
            // An old reply, told to answer this very question.
            Self::Replays => {
                made = first.to_vec();
                made[24..32].copy_from_slice(&request[40..48]);
            }
            Self::Strips => made.truncate(48),
            // A server of his own, which knows no key.
            Self::Answers => {
                made.truncate(48);
                made[32] ^= 1;
                made.extend(&request[48..84]);
                made.extend(&reply[84..]);
            }
            // The centre's own word that it cannot open the cookie.
            Self::Forges => {
                made.truncate(84);
                made[1] = 0;
                made[12..16].copy_from_slice(b"NTSN");
            }
            Self::HoldsForTheNext => made = before.to_vec(),
        }
        made
    }
}

/// A way that somebody stands on. He passes on what the agent asks, and does what he is told with the replies.
struct Way {
    address: SocketAddr,
    does: Arc<Mutex<Does>>,
}

/// What is done on a way.
#[derive(Clone, Copy)]
struct Does {
    to: SocketAddr,
    deed: Deed,
    /// How long each request and each reply is held back.
    holds: [Duration; 2],
}

/// What passed before.
#[derive(Default)]
struct Passed {
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Way {
    fn to(centre: &str) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = socket.local_addr().unwrap();
        let does = Does {
            to: centre.parse().unwrap(),
            deed: Deed::Nothing,
            holds: [Duration::ZERO, Duration::ZERO],
        };
        let does = Arc::new(Mutex::new(does));
        let passed = Arc::new(Mutex::new(Passed::default()));
        let way = Self { address, does: Arc::clone(&does) };
        std::thread::spawn(move || {
            let mut request = [0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut request) {
                let (request, does) = (request[..length].to_vec(), *does.lock().unwrap());
                let (socket, passed) = (Arc::clone(&socket), Arc::clone(&passed));
                std::thread::spawn(move || {
                    if let Some(reply) = does.pass(&request, &passed) {
                        let _ = socket.send_to(&reply, from);
                    }
                });
            }
        });
        way
    }

    /// What an agent's configuration needs to go this way.
    fn config(&self) -> String {
        format!("centre_ntp = \"{}\"\n", self.address)
    }

    fn there_is(&self, deed: Deed) {
        self.does.lock().unwrap().deed = deed;
    }

    fn holds_back(&self, request: Duration, reply: Duration) {
        self.does.lock().unwrap().holds = [request, reply];
    }

    fn leads_to(&self, centre: &Process) {
        self.does.lock().unwrap().to = centre.text("ntp").parse().unwrap();
    }
}

impl Does {
    /// What comes back of one request.
    fn pass(self, request: &[u8], passed: &Mutex<Passed>) -> Option<Vec<u8>> {
        let centre = UdpSocket::bind("127.0.0.1:0").unwrap();
        centre.connect(self.to).unwrap();
        centre.set_read_timeout(Some(PATIENCE)).unwrap();
        pass(self.holds[0]);
        centre.send(request).unwrap();
        let mut reply = [0; 2_048];
        let length = centre.recv(&mut reply).ok()?;
        let reply = &reply[..length];
        let made = {
            let mut passed = passed.lock().unwrap();
            if passed.first.is_empty() {
                passed.first = reply.to_vec();
            }
            let made = self.deed.done(request, reply, &passed.first, &passed.last);
            passed.last = reply.to_vec();
            made
        };
        pass(self.holds[1]);
        Some(made)
    }
}

#[test]
fn somebody_on_the_way_gets_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), ""));
    let way = Way::to(centre.text("ntp"));
    let mut agent = agent(&centre, folder.path(), &way.config());
    agent.event("exchange");
    for evil in Deed::EVIL {
        way.there_is(evil);
        agent.forget();
        // One exchange may have been under way.
        let told = std::iter::repeat_with(|| agent.either(&["exchange", "no-exchange"])).skip(1).take(1);
        for event in told.collect::<Vec<_>>() {
            assert_eq!(event["event"], "no-exchange", "{evil:?}: {event}");
            let reason = event["reason"].as_str().unwrap();
            let words = [
                "not protected",
                "not authentic",
                "another request",
                "NTSN",
                "exchanged with",
                "did not answer",
            ];
            assert!(words.iter().any(|word| reason.contains(word)), "{evil:?}: {reason}");
        }
        way.there_is(Deed::Nothing);
        agent.event("exchange");
    }
    assert!(metric(&centre, WITNESSED) > 5);
    agent.interrupt();
    centre.interrupt();
}

/// The next exchange or failure. Agent and centre read one clock here, so that the true offset is 0: an exchange that excludes
/// it would be a lie.
fn next(agent: &mut Process) -> Value {
    let event = agent.either(&["exchange", "no-exchange"]);
    if event["event"] == "exchange" {
        let figure = |name: &str| event[name].as_i64().unwrap();
        assert!(figure("offset_ns").abs() <= figure("bound_ns"), "{event}");
    }
    event
}

/// The next that is not already under way.
fn fresh(agent: &mut Process) -> Value {
    agent.forget();
    next(agent);
    next(agent)
}

#[test]
fn what_is_held_back_widens_the_bound_and_never_moves_the_time() {
    const MS: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), ""));
    let way = Way::to(centre.text("ntp"));
    let mut agent = agent(&centre, folder.path(), &way.config());
    agent.event("exchange");
    // Replies, requests, both; and for longer than the agent waits until its next question.
    for (request, reply) in [(0, 30), (30, 0), (30, 30), (0, 400), (400, 0)] {
        way.holds_back(Duration::from_millis(request), Duration::from_millis(reply));
        for _ in 0..2 {
            let event = fresh(&mut agent);
            assert_eq!(event["event"], "exchange", "held back by {request} and {reply} ms: {event}");
            let bound = event["bound_ns"].as_u64().unwrap();
            assert!(bound >= (request + reply) * MS / 2, "held back by {request} and {reply} ms: {event}");
        }
    }
    // For longer than it waits at all: nothing is recorded, also not when they arrive in the end.
    way.holds_back(Duration::ZERO, Duration::from_secs(2));
    for _ in 0..3 {
        let event = fresh(&mut agent);
        assert_eq!(event["event"], "no-exchange", "{event}");
        assert!(event["reason"].as_str().unwrap().contains("did not answer"), "{event}");
    }
    way.holds_back(Duration::ZERO, Duration::ZERO);
    for _ in 0..8 {
        next(&mut agent);
    }
    agent.event("exchange");
    let said = until("an exchange in a report", || sealed(&centre, folder.path()));
    let [count, proven, late, refused] = said;
    assert_eq!((proven + late, refused), (count, 0), "what was recorded is what the centre answered");
    agent.interrupt();
    centre.interrupt();
}

#[test]
fn cookies_of_one_centre_are_good_at_the_other_and_at_no_other_site() {
    let cluster = Cluster::new();
    let (first, second) = (cluster.start("one"), cluster.start("two"));
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Process::start(&mut serve_command_with(elsewhere.path(), ""));
    let folder = tempfile::tempdir().unwrap();
    let way = Way::to(first.text("ntp"));
    let mut agent = agent(&first, folder.path(), &way.config());
    agent.event("exchange");
    way.leads_to(&second);
    // More than there are cookies of the first centre's.
    for _ in 0..12 {
        assert_eq!(next(&mut agent)["event"], "exchange");
    }
    assert!(metric(&second, WITNESSED) >= 11);
    assert_eq!((metric(&second, NAK), metric(&second, EXCHANGED), metric(&first, EXCHANGED)), (0, 0, 1));
    // And the first proves what the second has witnessed.
    let said = until("all in a report", || sealed(&first, folder.path()).filter(|[count, ..]| *count >= 12));
    let [count, proven, late, refused] = said;
    assert_eq!((proven + late, refused), (count, 0));
    way.leads_to(&stranger);
    let refused = fresh(&mut agent);
    assert_eq!(refused["event"], "no-exchange", "{refused}");
    until("a word of the stranger's that it cannot open them", || (metric(&stranger, NAK) > 0).then_some(()));
    way.leads_to(&second);
    agent.forget();
    agent.event("exchange");
    assert!(metric(&first, EXCHANGED) >= 2, "keys were exchanged anew");
    assert_eq!((metric(&second, NAK), metric(&stranger, WITNESSED)), (0, 0));
    agent.interrupt();
    for centre in [stranger, second, first] {
        centre.interrupt();
    }
}

/// A server without protection that wants to be asked no more often than this; and when it was asked.
fn wants_less(gap: Nanos) -> (SocketAddr, Arc<Mutex<Vec<Nanos>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let gaps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&gaps);
    std::thread::spawn(move || {
        let (mut request, mut reply) = ([0; 2_048], [0; LENGTH]);
        let mut before = SystemClock.read().monotonic;
        while let Ok((length, from)) = socket.recv_from(&mut request) {
            let now = SystemClock.read();
            let state = ServerState {
                leap: Leap::None,
                stratum: 2,
                precision: -20,
                root_delay: Nanos::ZERO,
                root_dispersion: Nanos::from_millis(1),
                reference_id: *b"TEST",
                reference_time: now.wall,
                as_of: now.wall,
            };
            server::answer(&request[..length], now.wall, now.wall, &state, &mut reply).unwrap();
            let since = now.monotonic - before;
            before = now.monotonic;
            told.lock().unwrap().push(since);
            if since < gap {
                kiss(&mut reply);
            }
            let _ = socket.send_to(&reply, from);
        }
    });
    (address, gaps)
}

#[test]
fn a_server_that_wants_to_be_asked_less_is_and_later_asked_more_again() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), ""));
    // The agent begins with a question every 300 ms: twice it is told that this is too often.
    let (server, gaps) = wants_less(Nanos::from_millis(1_000));
    let mut agent = agent(&centre, folder.path(), &format!("centre_ntp = \"{server}\"\nnts = false\n"));
    for round in 0..2 {
        let refused = agent.event("no-exchange");
        assert!(refused["reason"].as_str().unwrap().contains("RATE"), "{refused}");
        // Once asked less the server is content, until eight answers later the agent tries its luck.
        let mut content = 0;
        while content < 8 {
            let event = agent.either(&["exchange", "no-exchange"]);
            content = if event["event"] == "exchange" { content + 1 } else { 0 };
        }
        let gaps = gaps.lock().unwrap().clone();
        let least = Nanos::from_millis(1_000);
        let answered = gaps.iter().filter(|gap| **gap >= least).count();
        assert!(answered >= 8 * (round + 1), "{gaps:?}");
        assert!(gaps.iter().skip(1).all(|gap| *gap >= Nanos::from_millis(280)), "{gaps:?}");
    }
    agent.interrupt();
    centre.interrupt();
}
