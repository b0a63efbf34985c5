//! What the load asks, and what a good reply to it looks like.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use angbu_agent::nts::exchange_keys;
use angbu_time::nts::client::{Request, Session};
use angbu_time::nts::cookie::{self, Contents, EpochSecret, Keys};
use angbu_time::nts::{AeadKey, MOST_COOKIES};
use angbu_time::packet::{LENGTH, Leap, Mode, Packet, Version};
use angbu_time::proof::Asked;
use angbu_time::roughtime;
use angbu_units::{NtpServerId, NtpTimestamp};
use rustls::ClientConfig;

use crate::Failure;

/// The one epoch of the server that is measured.
pub(crate) const EPOCH: u32 = 1;
/// Its name.
pub(crate) const SERVER: NtpServerId = NtpServerId::from_bytes([7; 16]);

/// The secret of the epoch: the load makes its own cookies, as the key exchange would.
pub(crate) fn secret() -> EpochSecret {
    EpochSecret::new(EPOCH, [7; 32])
}

/// What kind of question a server gets.
#[derive(Clone)]
pub(crate) enum Kind {
    /// 48 bytes that come back as they are.
    Echo,
    /// Plain NTP.
    Plain,
    /// NTS with this benchmark's own epoch; with a wish for the proof of the exchange or without.
    Protected {
        /// Whether the proof is asked for.
        proof: bool,
    },
    /// NTS with keys from a key exchange.
    Exchanged {
        /// Where keys are exchanged.
        server: String,
        /// Whom to trust there.
        tls: Arc<ClientConfig>,
    },
    /// Roughtime of the server with this key.
    Roughtime([u8; roughtime::HASH]),
}

/// One question for each place in flight; each is asked again and again.
pub(crate) struct Questions {
    kind: Kind,
    /// Of protected questions their bytes: a server remembers none of them.
    datagrams: Vec<Vec<u8>>,
    reply_length: usize,
}

impl Questions {
    /// Makes `count` questions, and asks one of them to see that the reply is good, and how long.
    pub(crate) fn new(kind: &Kind, server: SocketAddr, count: usize) -> Result<Self, Failure> {
        let mut questions = Self { kind: kind.clone(), datagrams: Vec::new(), reply_length: LENGTH };
        if matches!(kind, Kind::Echo | Kind::Plain) {
            return Ok(questions);
        }
        if let Kind::Roughtime(key) = kind {
            questions.datagrams = (0..count).map(|place| rough_request(key, token_of(place))).collect();
            let first = questions.datagrams.first().ok_or("no question")?;
            roughtime::client::verify(key, first, &ask(server, first)?)?;
            return Ok(questions);
        }
        for place in 0..count {
            let (mut session, request) = kind.protected(token_of(place))?;
            if place == 0 {
                questions.reply_length = try_one(server, &mut session, &request)?;
            }
            questions.datagrams.push(request.datagram);
        }
        Ok(questions)
    }

    /// The token of the next question from a place in flight; `fresh` is one that was never used.
    pub(crate) fn token(&self, place: usize, fresh: u64) -> u64 {
        if self.datagrams.is_empty() { fresh } else { token_of(place) }
    }

    /// Writes the question with this token, from this place; says how long it is.
    pub(crate) fn write(&self, place: usize, token: u64, out: &mut [u8]) -> Option<usize> {
        let plain;
        let datagram = match self.datagrams.get(place) {
            Some(datagram) => datagram.as_slice(),
            None => {
                plain = request(token);
                &plain
            }
        };
        out.get_mut(..datagram.len())?.copy_from_slice(datagram);
        Some(datagram.len())
    }

    /// The token that a good reply brings back.
    pub(crate) fn check(&self, reply: &[u8]) -> Option<u64> {
        if matches!(self.kind, Kind::Echo) {
            let token = u64::from_be_bytes(reply.get(40..48)?.try_into().ok()?);
            return (reply == request(token)).then_some(token);
        }
        if matches!(self.kind, Kind::Roughtime(_)) {
            // Signatures are checked of one reply only: it takes the load longer than the server.
            let nonce = roughtime::client::nonce(reply).ok()?;
            return nonce.first_chunk().copied().map(u64::from_be_bytes);
        }
        let packet = Packet::decode(reply).ok().filter(|_| reply.len() == self.reply_length)?;
        let good = packet.mode == Mode::Server
            && packet.leap != Leap::Unknown
            && (1..16).contains(&packet.stratum)
            && packet.receive != NtpTimestamp::UNKNOWN
            && packet.receive.bits() <= packet.transmit.bits();
        good.then_some(packet.origin.bits())
    }
}

impl Kind {
    /// A protected question, and the association that it belongs to.
    fn protected(&self, token: u64) -> Result<(Session, Request), Failure> {
        let asked = Asked { t1: NtpTimestamp::from_bits(token), previous_t4: NtpTimestamp::UNKNOWN };
        let mut session = match self {
            Self::Exchanged { server, tls } => exchange_keys(server, tls)?.session,
            _ => own_session()?,
        };
        let asked = matches!(self, Self::Protected { proof: true }).then_some(&asked);
        let (token, identifier) = (NtpTimestamp::from_bits(token), rand::random());
        let request = session.ask(token, identifier, asked, &mut rand::rng()).ok_or("no cookie")?;
        Ok((session, request))
    }
}

/// An association as an exchange of keys with the server that is measured would make it.
fn own_session() -> Result<Session, Failure> {
    let mut keys = Keys::prepare(SERVER, &[secret()], EPOCH).ok_or("an epoch has keys")?;
    let contents = Contents {
        client_to_server: AeadKey::new(rand::random()),
        server_to_client: AeadKey::new(rand::random()),
    };
    let cookies = (0..MOST_COOKIES).map(|_| {
        let mut cookie = [0; cookie::LENGTH];
        keys.seal(&contents, &mut rand::rng(), &mut cookie);
        cookie.to_vec()
    });
    let cookies = cookies.collect();
    Ok(Session::new(&contents.client_to_server, &contents.server_to_client, cookies))
}

/// Asks once and checks the reply wholly; says how long it is.
fn try_one(server: SocketAddr, session: &mut Session, request: &Request) -> Result<usize, Failure> {
    let reply = ask(server, &request.datagram)?;
    session.read(request, &reply)?;
    Ok(reply.len())
}

/// Asks once.
fn ask(server: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let socket = UdpSocket::bind((server.ip(), 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.send(request)?;
    let mut reply = vec![0; 2_048];
    let length = socket.recv(&mut reply)?;
    reply.truncate(length);
    Ok(reply)
}

/// A Roughtime request whose nonce begins with its token.
fn rough_request(key: &[u8; roughtime::HASH], token: u64) -> Vec<u8> {
    let mut nonce: [u8; roughtime::HASH] = rand::random();
    nonce[..8].copy_from_slice(&token.to_be_bytes());
    roughtime::client::request(key, &nonce)
}

/// The token of a protected question, which is always the same from one place.
fn token_of(place: usize) -> u64 {
    1 + place as u64
}

/// A plain request with this token.
pub(crate) fn request(token: u64) -> [u8; LENGTH] {
    Packet::request(Version::V4, NtpTimestamp::from_bits(token)).encode()
}
