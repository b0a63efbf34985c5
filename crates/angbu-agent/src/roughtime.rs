//! Holds the time that NTP shows against Roughtime (RFC 10049, sections 6 and 8): several servers in turn, twice, each asked
//! under a nonce that follows from the reply before.
//!
//! A reply that excludes NTP's time is told. Two replies that cannot both be true prove that a server lied: the whole chain
//! then becomes a file that proves it to anybody.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::Path;
use std::time::Duration;

use angbu_client::write_malfeasance;
use angbu_evidence::note::VerifierKey;
use angbu_time::roughtime::chain::{Chain, Question};
use angbu_time::roughtime::client::Reply;
use angbu_time::roughtime::{LONGEST_PACKET, PORT};
use angbu_units::{Clock, Ppb, Reading};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::SysRng;
use rand_core::UnwrapErr;
use serde::Deserialize;

use crate::backoff::Backoff;
use crate::run::Shared;
use crate::{Event, files};

/// How long a reply is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long one wait for a reply lasts before it is looked whether the agent stops.
const LOOK: Duration = Duration::from_millis(100);

/// How often the servers are asked in one check: the second turn makes every lie show itself (RFC 10049, section 8.2).
const TURNS: usize = 2;

/// The most servers, so that a check fits into a chain.
pub const MOST_SERVERS: usize = 16;

/// How fast a clock can run away since NTP last showed it: 100 ppm, as for verdicts.
const DRIFT: Ppb = Ppb::new(100_000);

/// The first wait after a check in which no server answered (RFC 10049, section 5).
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// A Roughtime server, written as `host[:port] key`: the key in base64, or as a verifier key, which is how the centre's list of
/// keys shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoughtimeServer {
    /// `host:port` or `[v6]:port`.
    pub name: String,
    /// Its long-term key.
    pub public_key: [u8; 32],
}

impl TryFrom<String> for RoughtimeServer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is not a Roughtime server: write \"host:port key\", the key in base64");
        let (name, key) = text.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
        let key = match key.trim().parse::<VerifierKey>() {
            Ok(key) => key.public_key().to_vec(),
            Err(_) => STANDARD.decode(key.trim()).map_err(|_| wrong())?,
        };
        let has_port = name.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
        });
        let name = if has_port { name.to_owned() } else { format!("{name}:{PORT}") };
        Ok(Self { name, public_key: key.try_into().map_err(|_| wrong())? })
    }
}

/// Why a server gave no reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The name has no address, or the system refused the socket, the request or the reply.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// Nothing came that is a reply to this request.
    #[error("it did not answer within {} s{}", PATIENCE.as_secs(), refused.as_ref().map(|why| format!("; what came: {why}")).unwrap_or_default())]
    Silent {
        /// What was wrong with the last packet that came, if one did.
        refused: Option<String>,
    },
    /// The agent stops.
    #[error("given up because the agent stops")]
    GivenUp,
}

/// A reply, and when it was asked for and received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// What it says.
    pub reply: Reply,
    /// Before the request was sent.
    pub sent: Reading,
    /// After the reply came.
    pub received: Reading,
}

/// Asks one server for the next link of a chain. `give_up` is asked about ten times a second.
///
/// # Errors
/// [`AskError`]; the chain is then what it was.
pub fn ask(
    server: &RoughtimeServer,
    chain: &mut Chain,
    clock: &dyn Clock,
    give_up: &dyn Fn() -> bool,
) -> Result<Answered, AskError> {
    let question = chain.question(&server.public_key, &mut UnwrapErr(SysRng));
    let mut failure = AskError::Socket(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in server.name.to_socket_addrs()?.take(2) {
        match ask_address(address, &question, chain, clock, give_up) {
            Err(error @ (AskError::Socket(_) | AskError::Silent { .. })) => failure = error,
            other => return other,
        }
    }
    Err(failure)
}

fn ask_address(
    address: SocketAddr,
    question: &Question,
    chain: &mut Chain,
    clock: &dyn Clock,
    give_up: &dyn Fn() -> bool,
) -> Result<Answered, AskError> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(LOOK))?;
    let sent = clock.read();
    socket.send(question.packet())?;
    let mut buffer = [0; LONGEST_PACKET];
    let mut refused = None;
    while (clock.read().monotonic - sent.monotonic).to_duration() < PATIENCE {
        if give_up() {
            return Err(AskError::GivenUp);
        }
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if is_only_a_wait(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let received = clock.read();
        // Anybody can send anything here; only what is signed counts, and the rest is waited past.
        match chain.answered(question, buffer.get(..length).unwrap_or_default()) {
            Ok(reply) => return Ok(Answered { reply, sent, received }),
            Err(why) => refused = Some(why.to_string()),
        }
    }
    Err(AskError::Silent { refused })
}

fn is_only_a_wait(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// Checks again and again, until the run stops.
pub(crate) fn check(shared: &Shared, servers: &[RoughtimeServer], interval: Duration) {
    let mut retry = Backoff::new(FIRST_RETRY.min(interval));
    // The first check waits for the first exchange, so that there is something to hold it against.
    let mut wait = FIRST_RETRY.min(interval);
    while !shared.stop.wait_for(wait) {
        let answered = turn(shared, servers);
        wait = if answered { interval } else { retry.next_wait().min(interval) };
        if answered {
            retry.reset();
        }
    }
}

/// One check; whether any server answered.
fn turn(shared: &Shared, servers: &[RoughtimeServer]) -> bool {
    let give_up = || shared.stop.is_requested();
    let mut chain = Chain::new();
    let mut agreeing = 0;
    for server in servers.iter().cycle().take(servers.len().min(MOST_SERVERS) * TURNS) {
        match ask(server, &mut chain, &*shared.clock, &give_up) {
            Ok(answered) => agreeing += usize::from(hold(shared, server, &answered)),
            Err(AskError::GivenUp) => return false,
            Err(error) => (shared.events)(&Event::NoRoughtime {
                server: server.name.clone(),
                reason: error.to_string(),
            }),
        }
    }
    tell_of_contradiction(shared, servers, &chain);
    if agreeing > 0 && agreeing == chain.replies().len() {
        (shared.events)(&Event::Roughtime { replies: agreeing });
    }
    !chain.replies().is_empty()
}

/// Holds a reply against what NTP shows; whether they agree.
fn hold(shared: &Shared, server: &RoughtimeServer, answered: &Answered) -> bool {
    let core = shared.core();
    let Some(last) = core.agent.status().last else { return false };
    let at = core.agent.centre_time(answered.received);
    drop(core);
    let bound = last.bound() + DRIFT.over((at - last.at()).abs());
    let took = answered.received.monotonic - answered.sent.monotonic;
    if !answered.reply.excludes(at - took - bound, at + bound) {
        return true;
    }
    let (earliest, latest) = answered.reply.interval();
    (shared.events)(&Event::RoughtimeDisagrees {
        server: server.name.clone(),
        earliest: earliest.rfc3339(0),
        latest: latest.rfc3339(0),
        ntp: at.to_string(),
        bound_ns: bound.count(),
    });
    false
}

fn tell_of_contradiction(shared: &Shared, servers: &[RoughtimeServer], chain: &Chain) {
    let Some(found) = chain.contradiction() else { return };
    let name = |number: usize| {
        let key = chain.links().get(number).map(|link| link.public_key);
        let server = servers.iter().find(|server| Some(server.public_key) == key);
        server.map(|server| server.name.clone()).unwrap_or_default()
    };
    // Files are written while nobody can have taken the folder over.
    let core = shared.core();
    if core.over {
        return;
    }
    let path = shared.state.malfeasance();
    if let Err(reason) = keep(&path, chain) {
        (shared.events)(&Event::NotKept { reason: format!("cannot write {}: {reason}", path.display()) });
    }
    (shared.events)(&Event::RoughtimeLie {
        earlier: name(found.earlier),
        later: name(found.later),
        file: path.display().to_string(),
    });
}

/// Writes the proof, unless an earlier one stands there: what was proven once is not given up for another.
fn keep(path: &Path, chain: &Chain) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    files::replace(path, write_malfeasance(chain).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_name_and_a_key() {
        let key = STANDARD.encode([7; 32]);
        let read = |text: &str| RoughtimeServer::try_from(text.to_owned());
        for (text, name) in [
            ("time.example:2002", "time.example:2002"),
            ("time.example", "time.example:5319"),
            ("192.0.2.1", "192.0.2.1:5319"),
            ("[2001:db8::1]", "[2001:db8::1]:5319"),
            ("[2001:db8::1]:9", "[2001:db8::1]:9"),
        ] {
            let server = read(&format!("{text}  {key}")).unwrap();
            assert_eq!((server.name.as_str(), server.public_key), (name, [7; 32]));
        }
        for text in ["time.example", "time.example:2002 AAAA", "time.example:2002 ???", ""] {
            assert!(read(text).unwrap_err().contains("host:port key"), "{text}");
        }
    }
}
