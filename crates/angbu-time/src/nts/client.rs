//! The client's side of NTS-protected exchanges (RFC 8915, section 5.7): one association's keys and cookies.
//!
//! A cookie is sent once and never again, so that nobody on the way can tell two requests of one client from those of
//! two. When none is left, or the server says that it cannot open them, keys are exchanged anew.

use std::collections::VecDeque;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;

use super::extension::{Authenticator, Fields, HEADER, Writer};
use super::{
    AUTHENTICATOR, AeadKey, COOKIE, COOKIE_PLACEHOLDER, IDENTIFIER, MOST_COOKIES, NONCE, NTSN, Sealer, TAG,
    UNIQUE_IDENTIFIER, key_exchange,
};
use crate::packet::{LENGTH, Mode, Packet, Version};
use crate::proof::{self, Asked, Seal};
use angbu_units::NtpTimestamp;

/// The longest request: what passes every IPv6 path in one piece, with its headers (RFC 8200, section 5).
pub const LONGEST: usize = 1_232;

/// One association with a server.
pub struct Session {
    seal: Sealer,
    open: Sealer,
    cookies: VecDeque<Vec<u8>>,
    /// The identifier of the request that is not answered yet.
    waiting: Option<[u8; IDENTIFIER]>,
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its bytes.
    pub datagram: Vec<u8>,
    /// Its unique identifier.
    pub identifier: [u8; IDENTIFIER],
}

/// Why a datagram is not the reply to the request that waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A reply to another request, to none, or no reply at all. An old one that somebody sends again is such.
    #[error("the reply answers another request; it is late, repeated or forged")]
    NotOurs,
    /// The server cannot open the cookie, or somebody on the way says so: nothing protects this answer.
    #[error("the server says that it cannot open this cookie (NTSN); keys have to be exchanged anew")]
    Nak,
    /// Nothing authenticates the reply.
    #[error("the reply is not protected; somebody on the way may have stripped or made it")]
    Unprotected,
    /// What should authenticate the reply does not.
    #[error("the reply is not authentic; somebody on the way changed or made it")]
    NotAuthentic,
}

/// What an authentic reply says besides the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentic {
    /// The proof of the exchange, where the server gives one.
    pub seal: Option<Seal>,
    /// How many new cookies it brought.
    pub cookies: usize,
}

impl Session {
    /// An association with the keys and cookies of a key exchange; at most [`MOST_COOKIES`] of them are kept.
    pub fn new(client_to_server: &AeadKey, server_to_client: &AeadKey, cookies: Vec<Vec<u8>>) -> Self {
        let mut session = Self {
            seal: client_to_server.prepare(),
            open: server_to_client.prepare(),
            cookies: VecDeque::with_capacity(MOST_COOKIES),
            waiting: None,
        };
        for cookie in cookies {
            session.keep(cookie);
        }
        session
    }

    /// How many requests can be made before a reply has to bring cookies, or keys be exchanged anew.
    pub fn cookies(&self) -> usize {
        self.cookies.len()
    }

    /// The next request: `token` is its transmit timestamp, which tells nothing; `identifier` must never have been
    /// used before; `asked` asks for the proof of the exchange. None where there is no cookie left.
    ///
    /// A request that was not answered is given up: only the newest is waited for.
    pub fn ask(
        &mut self,
        token: NtpTimestamp,
        identifier: [u8; IDENTIFIER],
        asked: Option<&Asked>,
        rng: &mut dyn CryptoRng,
    ) -> Option<Request> {
        let cookie = self.cookies.pop_front()?;
        let mut datagram = [0; LONGEST];
        let (header, _) = datagram.split_first_chunk_mut::<LENGTH>()?;
        *header = Packet::request(Version::V4, token).encode();
        let mut writer = Writer::after(&mut datagram, LENGTH);
        writer.field(UNIQUE_IDENTIFIER, &identifier)?;
        writer.field(COOKIE, &cookie)?;
        let hidden = TAG + asked.map_or(0, |_| HEADER + proof::BODY);
        let authenticator = 4 + NONCE + hidden;
        for _ in 0..(MOST_COOKIES - 1).saturating_sub(self.cookies.len()) {
            if writer.room() < 2 * HEADER + cookie.len() + authenticator {
                break;
            }
            writer.head(COOKIE_PLACEHOLDER, cookie.len())?;
            writer.skip(cookie.len())?.fill(0);
        }
        let (associated, rest) = writer.split();
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut end = Writer::after(rest, 0);
        end.head(AUTHENTICATOR, authenticator)?;
        end.put(&u16::try_from(NONCE).ok()?.to_be_bytes())?;
        end.put(&u16::try_from(hidden).ok()?.to_be_bytes())?;
        end.put(&nonce)?;
        let sealed = end.skip(hidden)?;
        if let Some(asked) = asked {
            Writer::after(sealed, TAG).field(proof::FIELD, &asked.encode())?;
        }
        self.seal.seal([associated, &nonce], sealed);
        let length = associated.len() + HEADER + authenticator;
        self.waiting = Some(identifier);
        Some(Request { datagram: datagram.get(..length)?.to_vec(), identifier })
    }

    /// Reads the reply to the request that waits for one. After that nothing waits, so that the same reply once more is
    /// refused; after a refusal the request still waits, so that a forged reply does not displace the true one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read(&mut self, request: &Request, reply: &[u8]) -> Result<Authentic, Refusal> {
        let waiting =
            self.waiting.filter(|waiting| *waiting == request.identifier).ok_or(Refusal::NotOurs)?;
        let packet = Packet::decode(reply).map_err(|_| Refusal::NotOurs)?;
        let asked = Packet::decode(&request.datagram).map_err(|_| Refusal::NotOurs)?;
        if packet.mode != Mode::Server || packet.version != Version::V4 || packet.origin != asked.transmit {
            return Err(Refusal::NotOurs);
        }
        let (mut identifier, mut seal, mut authenticator) = (None, None, None);
        for field in Fields::of_packet(reply) {
            let field = field.map_err(|_| Refusal::NotAuthentic)?;
            match field.kind {
                UNIQUE_IDENTIFIER => identifier = Some(field.body),
                proof::FIELD => seal = Seal::decode(field.body),
                AUTHENTICATOR => {
                    authenticator = Some((field.offset, Authenticator::read(field.body)));
                    break;
                }
                _ => {}
            }
        }
        let is_ours = identifier.is_some_and(|identifier| bool::from(identifier.ct_eq(&waiting)));
        let Some((offset, authenticator)) = authenticator else {
            let nak = is_ours && packet.stratum == 0 && packet.reference_id == NTSN;
            return Err(if nak { Refusal::Nak } else { Refusal::Unprotected });
        };
        if !is_ours {
            return Err(Refusal::NotOurs);
        }
        let authenticator = authenticator.ok_or(Refusal::NotAuthentic)?;
        let associated = reply.get(..offset).ok_or(Refusal::NotAuthentic)?;
        let mut text = authenticator.ciphertext.to_vec();
        let text =
            self.open.open([associated, authenticator.nonce], &mut text).ok_or(Refusal::NotAuthentic)?;
        self.waiting = None;
        let fresh = Fields::of_plaintext(text).flatten().filter(|field| field.kind == COOKIE);
        let fresh: Vec<Vec<u8>> = fresh.take(MOST_COOKIES).map(|field| field.body.to_vec()).collect();
        let cookies = fresh.len();
        for cookie in fresh {
            self.keep(cookie);
        }
        Ok(Authentic { seal, cookies })
    }

    /// The oldest cookie makes room for the newest.
    fn keep(&mut self, cookie: Vec<u8>) {
        if cookie.is_empty() || cookie.len() > key_exchange::LONGEST_COOKIE || !cookie.len().is_multiple_of(4)
        {
            return;
        }
        if self.cookies.len() == MOST_COOKIES {
            self.cookies.pop_front();
        }
        self.cookies.push_back(cookie);
    }
}
