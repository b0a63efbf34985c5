//! Protected time (NTS, RFC 8915) as this agent asks for it: the exchange of keys over TLS, and the association that
//! comes of it. What is said is [`angbu_time::nts`]'s.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use angbu_time::exchange;
use angbu_time::nts::client::{Authentic, Refusal, Request, Session};
use angbu_time::nts::key_exchange::{
    ALPN, Direction, EXPORTER_LABEL, LONGEST_RESPONSE, PORT, Response, ResponseError, exporter_context,
};
use angbu_time::nts::{AeadKey, key_exchange};
use angbu_time::packet;
use angbu_time::proof::{Asked, Witness, identifier};
use angbu_units::{Nanos, NtpTimestamp, UnixTime};
use rand::Rng as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use zeroize::Zeroizing;

use crate::backoff::Backoff;
use crate::ntp::client::{Answered, Question};

/// How long an exchange of keys may take, from the first address that is tried.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long one address may take to answer at all.
const CONNECTING: Duration = Duration::from_secs(2);

/// How many of a name's addresses are tried.
const MOST_ADDRESSES: usize = 4;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyExchangeError {
    /// The name cannot be found or is none.
    #[error("cannot find the address of {server}, where keys for NTS are exchanged: {source}")]
    Unresolved {
        /// What was looked up.
        server: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No connection, or one that ended or took too long.
    #[error("cannot exchange keys for NTS with {server}: {source}")]
    Connection {
        /// With whom.
        server: String,
        /// What the system or TLS said.
        source: io::Error,
    },
    /// TLS itself refused: most likely the certificate is not the one that is trusted.
    #[error(
        "{server} is not trusted to exchange keys for NTS: {source}; check certificate_authorities, or who answers there"
    )]
    Tls {
        /// With whom.
        server: String,
        /// What TLS said.
        source: rustls::Error,
    },
    /// Whoever answers does not speak this protocol.
    #[error("{server} does not exchange keys for NTS: {reason}")]
    Protocol {
        /// With whom.
        server: String,
        /// What it said instead.
        reason: String,
    },
}

/// What an exchange of keys gives.
pub struct Granted {
    /// The association.
    pub session: Session,
    /// Where to ask: `host:port`.
    pub ntp: String,
}

/// Exchanges keys with `server`, `host` or `host:port`.
///
/// # Errors
/// [`KeyExchangeError`].
pub fn exchange_keys(server: &str, tls: &Arc<ClientConfig>) -> Result<Granted, KeyExchangeError> {
    let deadline = Instant::now() + DEADLINE;
    let (host, port) = split(server);
    let unresolved = |source| KeyExchangeError::Unresolved { server: server.to_owned(), source };
    let failed = |source| KeyExchangeError::Connection { server: server.to_owned(), source };
    let refused = |source| KeyExchangeError::Tls { server: server.to_owned(), source };
    let not_spoken = |reason: String| KeyExchangeError::Protocol { server: server.to_owned(), reason };
    let name = ServerName::try_from(host.clone()).map_err(|error| unresolved(io::Error::other(error)))?;
    let addresses = (host.as_str(), port).to_socket_addrs().map_err(unresolved)?;
    let stream = connect(addresses.take(MOST_ADDRESSES), deadline).map_err(failed)?;
    let mut tls = ClientConnection::new(Arc::clone(tls), name).map_err(refused)?;
    let mut stream = Bounded { stream, deadline };
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).map_err(|error| told_by_tls(error, &refused, &failed))?;
    }
    if tls.alpn_protocol() != Some(ALPN) {
        return Err(not_spoken("it did not agree on the protocol ntske/1".to_owned()));
    }
    let mut over = rustls::Stream::new(&mut tls, &mut stream);
    over.write_all(&key_exchange::Request::encode()).map_err(failed)?;
    let mut bytes = Vec::with_capacity(1_024);
    let mut part = [0; 1_024];
    let response = loop {
        match Response::read(&bytes) {
            Ok(Some(response)) => break response,
            Ok(None) => {}
            Err(error) => return Err(not_spoken(error.to_string())),
        }
        let room = part.len().min(LONGEST_RESPONSE.saturating_sub(bytes.len()));
        let read = match over.read(part.get_mut(..room).unwrap_or_default()) {
            Ok(0) => return Err(not_spoken(ResponseError::Malformed.to_string())),
            Ok(read) => read,
            Err(error) => return Err(told_by_tls(error, &refused, &failed)),
        };
        bytes.extend(part.get(..read).unwrap_or_default());
    };
    let export = |direction| {
        let key = Zeroizing::new([0; 32]);
        let context = exporter_context(direction);
        tls.export_keying_material(*key, EXPORTER_LABEL, Some(&context)).map(AeadKey::new).map_err(refused)
    };
    let (to_server, to_client) = (export(Direction::ClientToServer)?, export(Direction::ServerToClient)?);
    let ntp_host = response.server.unwrap_or(host);
    Ok(Granted {
        session: Session::new(&to_server, &to_client, response.cookies),
        ntp: joined(&ntp_host, response.port.unwrap_or(packet::PORT)),
    })
}

/// `host` and port of `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
fn split(server: &str) -> (String, u16) {
    if server.parse::<std::net::IpAddr>().is_ok() {
        return (server.to_owned(), PORT);
    }
    match server.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (host.to_owned(), port.parse().unwrap_or(PORT))
        }
        _ => (server.trim_start_matches('[').trim_end_matches(']').to_owned(), PORT),
    }
}

fn joined(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn connect(addresses: impl Iterator<Item = SocketAddr>, deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).min(CONNECTING);
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn told_by_tls(
    error: io::Error,
    refused: &impl Fn(rustls::Error) -> KeyExchangeError,
    failed: &impl Fn(io::Error) -> KeyExchangeError,
) -> KeyExchangeError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => refused(inner.clone()),
        None => failed(error),
    }
}

/// A connection whose every wait ends at the deadline.
struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Bounded {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl io::Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A server that is asked under protection only.
pub(crate) struct Protected {
    /// Where keys are exchanged.
    server: String,
    /// Where to ask instead of where the exchange of keys says.
    ntp: Option<String>,
    tls: Arc<ClientConfig>,
    /// The agent's public key, to which the identifiers of its requests are bound.
    agent_key: [u8; 32],
    granted: Option<Granted>,
    backoff: Backoff,
    /// Until when no keys are exchanged, because the last try came to nothing.
    not_before: Option<Instant>,
    previous_t4: NtpTimestamp,
}

impl Protected {
    pub(crate) fn new(
        server: String,
        ntp: Option<String>,
        tls: Arc<ClientConfig>,
        agent_key: [u8; 32],
        first_wait: Duration,
    ) -> Self {
        Self {
            server,
            ntp,
            tls,
            agent_key,
            granted: None,
            backoff: Backoff::new(first_wait),
            not_before: None,
            previous_t4: NtpTimestamp::UNKNOWN,
        }
    }

    /// The next question and where to ask it, with keys exchanged anew where none are left; an error in words.
    pub(crate) fn question(&mut self) -> Result<(String, ProtectedQuestion<'_>), String> {
        if self.granted.as_ref().is_none_or(|granted| granted.session.cookies() == 0) {
            self.exchange()?;
        }
        let granted = self.granted.as_mut().ok_or("there are no keys")?;
        let to = self.ntp.clone().unwrap_or_else(|| granted.ntp.clone());
        let mut reveal = [0; 32];
        rand::rng().fill_bytes(&mut reveal);
        let question = ProtectedQuestion {
            session: &mut granted.session,
            agent_key: &self.agent_key,
            previous_t4: self.previous_t4,
            reveal,
            request: None,
            authentic: None,
            refused: None,
        };
        Ok((to, question))
    }

    /// An exchange came of the last question.
    pub(crate) fn answered(&mut self, received: UnixTime) {
        self.previous_t4 = NtpTimestamp::from_unix(received);
        self.backoff.reset();
    }

    /// The server says that it cannot open our cookies: unless it is somebody on the way who says so, whom a new exchange
    /// of keys does not help either.
    pub(crate) fn give_up_keys(&mut self) {
        self.granted = None;
    }

    fn exchange(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if let Some(until) = self.not_before.filter(|until| now < *until) {
            return Err(format!(
                "keys for NTS are exchanged with {} again in {} ms",
                self.server,
                (until - now).as_millis()
            ));
        }
        // Also after a success: whoever lets every key go stale at once is not asked in a busy loop.
        self.not_before = Some(now + self.backoff.next_wait());
        self.granted = None;
        let granted = exchange_keys(&self.server, &self.tls).map_err(|error| error.to_string())?;
        self.granted = Some(granted);
        Ok(())
    }
}

/// One protected question.
pub(crate) struct ProtectedQuestion<'a> {
    session: &'a mut Session,
    agent_key: &'a [u8; 32],
    previous_t4: NtpTimestamp,
    pub(crate) reveal: [u8; 32],
    request: Option<Request>,
    pub(crate) authentic: Option<Authentic>,
    pub(crate) refused: Option<Refusal>,
}

impl Question for ProtectedQuestion<'_> {
    fn request(&mut self, token: u64, t1: UnixTime) -> Option<Vec<u8>> {
        let asked = Asked { t1: NtpTimestamp::from_unix(t1), previous_t4: self.previous_t4 };
        let identifier = identifier(self.agent_key, &self.reveal);
        let token = NtpTimestamp::from_bits(token);
        let request = self.session.ask(token, identifier, Some(&asked), &mut rand::rng())?;
        let datagram = request.datagram.clone();
        self.request = Some(request);
        Some(datagram)
    }

    fn is_answer(&mut self, reply: &[u8]) -> bool {
        let Some(request) = &self.request else { return false };
        match self.session.read(request, reply) {
            Ok(authentic) => {
                self.authentic = Some(authentic);
                true
            }
            Err(refused) => {
                // What tells more is kept: a word of the server's own, or a forgery, rather than a stray packet.
                if self.refused.is_none_or(|before| before == Refusal::NotOurs) {
                    self.refused = Some(refused);
                }
                false
            }
        }
    }
}

impl ProtectedQuestion<'_> {
    /// What proves the exchange, where the server sealed it. Its number is the record's.
    pub(crate) fn witness(&self, answered: &Answered) -> Option<Witness> {
        let seal = self.authentic?.seal?;
        let header = *answered.reply.first_chunk()?;
        Some(Witness { reveal: self.reveal, request: answered.request.clone(), header, seal })
    }
}

/// How often a server wants to be asked less (kiss code RATE, RFC 5905, section 7.4): each time half as often, down to a
/// 64th; and again twice as often after some answers in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    factor: u8,
    good: u8,
}

impl Pace {
    const SLOWEST: u8 = 64;
    const GOOD_ENOUGH: u8 = 8;

    pub(crate) const fn new() -> Self {
        Self { factor: 1, good: 0 }
    }

    pub(crate) fn interval(self, poll: Nanos) -> Nanos {
        poll.times(i64::from(self.factor))
    }

    pub(crate) fn answered(&mut self) {
        self.good += 1;
        if self.good >= Self::GOOD_ENOUGH {
            *self = Self { factor: (self.factor / 2).max(1), good: 0 };
        }
    }

    pub(crate) fn refused(&mut self, why: exchange::Refusal) {
        if why == exchange::Refusal::KissOfDeath(*b"RATE") {
            *self = Self { factor: self.factor.saturating_mul(2).min(Self::SLOWEST), good: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ports() {
        for (server, host, port) in [
            ("time.example", "time.example", 4460),
            ("time.example:4461", "time.example", 4461),
            ("192.0.2.1", "192.0.2.1", 4460),
            ("[2001:db8::1]:4461", "2001:db8::1", 4461),
            ("2001:db8::1", "2001:db8::1", 4460),
            ("[2001:db8::1]", "2001:db8::1", 4460),
        ] {
            assert_eq!(split(server), (host.to_owned(), port), "{server}");
        }
        assert_eq!(joined("2001:db8::1", 123), "[2001:db8::1]:123");
        assert_eq!(joined("time.example", 123), "time.example:123");
    }

    #[test]
    fn a_server_that_wants_less_is_asked_less() {
        let mut pace = Pace::new();
        let poll = Nanos::from_secs(16);
        assert_eq!(pace.interval(poll), poll);
        for factor in [2, 4, 8, 16, 32, 64, 64] {
            pace.refused(exchange::Refusal::KissOfDeath(*b"RATE"));
            assert_eq!(pace.interval(poll), poll.times(factor));
        }
        pace.refused(exchange::Refusal::NotOurs);
        for _ in 0..8 {
            pace.answered();
        }
        assert_eq!(pace.interval(poll), poll.times(32));
        for _ in 0..80 {
            pace.answered();
        }
        assert_eq!(pace.interval(poll), poll);
    }
}
