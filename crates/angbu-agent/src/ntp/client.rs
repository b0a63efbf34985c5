//! One NTP exchange over UDP, as a client (RFC 5905, section 8): a question, and the four instants
//! that the answer to it gives. What they mean is judged elsewhere, by [`angbu_time`].

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use angbu_time::packet::{Packet, Version};
use angbu_units::{Clock, Nanos, NtpTimestamp, Reading, UnixTime};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use rand::Rng as _;

/// The port of NTP (RFC 5905, section 7.2).
pub const PORT: u16 = 123;

/// The longest answer that is read; whatever follows in a longer one is left alone.
const LONGEST_REPLY: usize = 1_280;

/// How far the wall clock may run from the monotonic one during one exchange. Slewing and the oscillator's error
/// explain half of it in a second; more means that somebody set the clock in the middle, and the four instants
/// mean nothing.
const MOVED: Nanos = Nanos::from_millis(2);

/// How long one wait for an answer lasts before the caller is asked whether to go on.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The name has no address.
    #[error("cannot find the address of the NTP server {server}: {source}; check the name and the resolver")]
    Unresolved {
        /// What was looked up.
        server: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The operating system refused the socket, the question or the answer.
    #[error("cannot exchange packets with the NTP server {address}: {source}")]
    Socket {
        /// Where the question went.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing that answers this question came back in time.
    #[error("the NTP server {address} did not answer within {after:?}; check that UDP passes both ways")]
    Silent {
        /// Where the question went.
        address: SocketAddr,
        /// How long it was waited for.
        after: Duration,
    },
    /// This machine's clock was set between the question and the answer.
    #[error("this machine's clock was moved by {by} during an exchange with {address}, which is left out")]
    ClockMoved {
        /// Where the question went.
        address: SocketAddr,
        /// By how much.
        by: Nanos,
    },
    /// The caller gave up waiting.
    #[error("the exchange was given up because the agent stops")]
    GivenUp,
}

/// A question, its answer, and when each passed this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Who answered.
    pub server: SocketAddr,
    /// The question as sent. Its transmit timestamp is random (it is only a token to know the answer by,
    /// and tells nobody what this machine's clock shows); T1 is [`Answered::sent`].
    pub request: Vec<u8>,
    /// The answer as received: at least 48 bytes, its mode that of a server and its origin timestamp the
    /// token of this question. What else was checked is the [`Question`]'s; of a plain one nothing.
    pub reply: Vec<u8>,
    /// T1, by both of this machine's clocks.
    pub sent: Reading,
    /// T4: when the kernel received the answer, or when this program read it if the kernel did not say.
    pub received: UnixTime,
}

/// What is asked, and what counts as the answer.
pub trait Question {
    /// The datagram to send. `token` is to be its transmit timestamp; `t1` is when it leaves. None where there is nothing to
    /// ask with.
    fn request(&mut self, token: u64, t1: UnixTime) -> Option<Vec<u8>>;

    /// Whether a server's packet with the token is the answer; where it is not, the true one is waited for.
    fn is_answer(&mut self, reply: &[u8]) -> bool;
}

/// A question that nothing protects.
struct Plain;

impl Question for Plain {
    fn request(&mut self, token: u64, _t1: UnixTime) -> Option<Vec<u8>> {
        // Leap 0, version 4, mode 3 (RFC 5905, figure 8); every other field but the transmit timestamp stays zero.
        let request = Packet::request(Version::V4, NtpTimestamp::from_bits(token));
        Some(request.encode().to_vec())
    }

    fn is_answer(&mut self, _reply: &[u8]) -> bool {
        true
    }
}

/// Asks `server` once, without protection, and waits for the answer no longer than `timeout`; `give_up` is asked about
/// ten times a second. Packets that do not answer this very question are left unread.
///
/// # Errors
/// [`ExchangeError`] when there is no answer, or none that can be used.
pub fn exchange(
    server: SocketAddr,
    timeout: Duration,
    clock: &dyn Clock,
    give_up: &dyn Fn() -> bool,
) -> Result<Answered, ExchangeError> {
    exchange_of(server, timeout, clock, give_up, &mut Plain)
}

/// As [`exchange`], for any question.
///
/// # Errors
/// [`ExchangeError`] when there is no answer, or none that can be used.
pub fn exchange_of(
    server: SocketAddr,
    timeout: Duration,
    clock: &dyn Clock,
    give_up: &dyn Fn() -> bool,
    question: &mut dyn Question,
) -> Result<Answered, ExchangeError> {
    let failed = |source| ExchangeError::Socket { address: server, source };
    let socket = connect(server).map_err(failed)?;
    let token = rand::rng().next_u64() | 1;
    let sent = clock.read();
    let request = question.request(token, sent.wall).ok_or(ExchangeError::GivenUp)?;
    socket.send(&request).map_err(failed)?;
    let mut buffer = [0; LONGEST_REPLY];
    loop {
        if give_up() {
            return Err(ExchangeError::GivenUp);
        }
        let left = timeout.saturating_sub((clock.read().monotonic - sent.monotonic).to_duration());
        if left.is_zero() {
            return Err(ExchangeError::Silent { address: server, after: timeout });
        }
        socket.set_read_timeout(Some(left.min(PATIENCE))).map_err(failed)?;
        let (length, stamp) = match receive(&socket, &mut buffer) {
            Ok(received) => received,
            Err(error) if is_only_a_wait(&error) => continue,
            Err(error) => return Err(failed(error)),
        };
        let now = clock.read();
        let reply = buffer.get(..length).filter(|reply| answers(reply, token));
        let Some(reply) = reply.filter(|reply| question.is_answer(reply)) else { continue };
        let by = (now.wall - sent.wall) - (now.monotonic - sent.monotonic);
        if by.abs() > MOVED {
            return Err(ExchangeError::ClockMoved { address: server, by });
        }
        // A stamp that lies outside the exchange was made by another clock than the one that was read here.
        let received = stamp.filter(|stamp| (sent.wall..=now.wall).contains(stamp)).unwrap_or(now.wall);
        return Ok(Answered { server, request, reply: reply.to_vec(), sent, received });
    }
}

/// The addresses of `host`, `host:port` or `[v6]:port`, the port of NTP where none is named.
///
/// # Errors
/// [`ExchangeError::Unresolved`].
pub fn resolve(server: &str) -> Result<Vec<SocketAddr>, ExchangeError> {
    let unresolved = |source| ExchangeError::Unresolved { server: server.to_owned(), source };
    if let Ok(address) = server.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, PORT)]);
    }
    let names_a_port = server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let addresses: Vec<_> =
        if names_a_port { server.to_socket_addrs() } else { (server, PORT).to_socket_addrs() }
            .map_err(unresolved)?
            .collect();
    if addresses.is_empty() {
        return Err(unresolved(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question, so that an attacker off the path has to guess it (RFC 9109).
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    // Where the kernel refuses to stamp, the time of reading has to do.
    let _unstamped = setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
    Ok(socket)
}

/// One datagram and the kernel's stamp on it.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Option<UnixTime>)> {
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => {
            Some(UnixTime::from_nanos(crate::clock::from_timespec(time)))
        }
        _ => None,
    });
    Ok((message.bytes, stamp))
}

/// A server's packet (mode 4) whose origin timestamp is the token of the question (RFC 5905, section 8,
/// the packet sanity test).
fn answers(reply: &[u8], token: u64) -> bool {
    let mode = reply.first().map(|first| first & 0x07);
    let origin = reply.get(24..32).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    reply.len() >= 48 && mode == Some(4) && origin == Some(token) && token != NtpTimestamp::UNKNOWN.bits()
}

fn is_only_a_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::sync::atomic::{AtomicI64, Ordering};

    /// A server that sends, for one question, whatever `replies` makes of it.
    fn answered_by(replies: impl FnOnce(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut question = [0; 64];
            let (length, from) = socket.recv_from(&mut question).unwrap();
            for reply in replies(&question[..length]) {
                socket.send_to(&reply, from).unwrap();
            }
        });
        address
    }

    fn good(question: &[u8]) -> Vec<u8> {
        let mut reply = vec![0; 48];
        reply[0] = 0x24;
        reply[24..32].copy_from_slice(&question[40..48]);
        reply
    }

    #[test]
    fn only_the_answer_to_this_question_counts() {
        let server = answered_by(|question| {
            let mut replayed = good(question);
            replayed[31] ^= 1;
            let mut broadcast = good(question);
            broadcast[0] = 0x25;
            vec![vec![], good(question)[..47].to_vec(), replayed, broadcast, good(question)]
        });
        let answered = exchange(server, Duration::from_secs(20), &SystemClock, &|| false).unwrap();
        assert_eq!(answered.server, server);
        assert_eq!(answered.reply, good(&answered.request));
        assert!(answered.received >= answered.sent.wall);
        assert_eq!(answered.request[0], 0x23);
        assert!(answered.request[1..40].iter().all(|byte| *byte == 0), "the question tells nothing");
    }

    #[test]
    fn silence_ends() {
        let server = answered_by(|_| vec![]);
        let error = exchange(server, Duration::from_millis(30), &SystemClock, &|| false).unwrap_err();
        assert!(
            matches!(error, ExchangeError::Silent { .. } | ExchangeError::Socket { .. }),
            "silent, or told by the system that nobody listens: {error}"
        );
        let server = answered_by(|_| vec![]);
        let error = exchange(server, Duration::from_secs(60), &SystemClock, &|| true).unwrap_err();
        assert!(matches!(error, ExchangeError::GivenUp));
    }

    #[test]
    fn a_clock_set_in_the_middle_spoils_the_exchange() {
        /// A wall clock that jumps ahead by a second at each reading.
        struct Jumping(AtomicI64);
        impl Clock for Jumping {
            fn read(&self) -> Reading {
                let mut reading = SystemClock.read();
                reading.wall =
                    reading.wall + Nanos::from_secs(1).times(self.0.fetch_add(1, Ordering::Relaxed));
                reading
            }
        }
        let server = answered_by(|question| vec![good(question)]);
        let error =
            exchange(server, Duration::from_secs(20), &Jumping(AtomicI64::new(0)), &|| false).unwrap_err();
        assert!(matches!(error, ExchangeError::ClockMoved { .. }), "{error}");
    }

    #[test]
    fn names_and_addresses() {
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1:123"),
            ("127.0.0.1:4123", "127.0.0.1:4123"),
            ("::1", "[::1]:123"),
            ("[::1]:4123", "[::1]:4123"),
        ] {
            assert_eq!(resolve(text).unwrap(), vec![expected.parse().unwrap()], "{text}");
        }
        assert!(resolve("localhost").unwrap().iter().all(|address| address.ip().is_loopback()));
        assert!(matches!(resolve("no such name"), Err(ExchangeError::Unresolved { .. })));
    }
}
