//! The server's side of Roughtime (RFC 10049, sections 5.2 and 5.3): many requests, one tree over them, one signature.
//!
//! A [`Round`] takes requests, is signed once, and then writes each reply. Its memory is what it was made with.

use angbu_evidence::note::{SignError, Signer};
use angbu_units::{Nanos, UnixTime};
use ed25519_dalek::{Signer as _, SigningKey};
use rand_core::CryptoRng;

use super::message::{self, Message, Tag};
use super::{
    DELEGATION_CONTEXT, HASH, IS_REQUEST, IS_RESPONSE, REQUEST, RESPONSE_CONTEXT, SIGNATURE, VERSION, leaf,
    node, server_id,
};
use crate::packet::Leap;

/// The most requests of one round: with a tree of this height a reply has 640 bytes, well below the shortest request.
pub const MOST_TOGETHER: usize = 128;

/// Why a datagram gets no reply. Roughtime has no error message (RFC 10049, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Drop {
    /// Fewer than 1024 bytes.
    Short,
    /// No packet, or a message without the tags that a request has.
    Malformed,
    /// None of the versions that the client offers is spoken here.
    Version,
    /// Meant for a server with another key, or for nobody in particular while this server has several.
    Server,
    /// More requests than a round takes.
    Full,
}

impl Drop {
    /// Every reason, for tables of counters.
    pub const ALL: [Self; 5] = [Self::Short, Self::Malformed, Self::Version, Self::Server, Self::Full];

    /// The word for it in metrics and interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Server => "server",
            Self::Full => "full",
        }
    }
}

/// A short-lived key that signs replies, and what each of the server's long-term keys says of it.
pub struct Delegation {
    online: SigningKey,
    certificates: Vec<Certificate>,
    from: u64,
    until: u64,
}

struct Certificate {
    /// What the SRV tag of a request for this long-term key says.
    server: [u8; HASH],
    value: Vec<u8>,
}

impl Delegation {
    /// Makes a key that is good from `from` to `until`, and has each of the long-term keys sign that.
    ///
    /// # Errors
    /// [`SignError`], where a key's device does not sign.
    pub fn new(
        long_term: &[&dyn Signer],
        from: UnixTime,
        until: UnixTime,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, SignError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let online = SigningKey::from_bytes(&seed);
        let (from, until) = (seconds(from), seconds(until));
        let delegation = message::write(&[
            (Tag::PUBK, online.verifying_key().as_bytes()),
            (Tag::MINT, &from.to_le_bytes()),
            (Tag::MAXT, &until.to_le_bytes()),
        ]);
        let signed = [DELEGATION_CONTEXT, &delegation].concat();
        let certificates = long_term.iter().map(|signer| {
            let signature = signer.sign(&signed)?;
            let value = message::write(&[(Tag::SIG, &signature), (Tag::DELE, &delegation)]);
            Ok(Certificate { server: server_id(signer.verifier_key().public_key()), value })
        });
        Ok(Self { certificates: certificates.collect::<Result<_, SignError>>()?, online, from, until })
    }

    /// Whether the key is good at an instant.
    pub fn covers(&self, now: UnixTime) -> bool {
        (self.from..=self.until).contains(&midpoint(now))
    }

    /// The certificate that a request asks for (RFC 10049, section 5.2).
    fn chosen(&self, server: Option<&[u8; HASH]>) -> Option<usize> {
        match server {
            Some(server) => self.certificates.iter().position(|own| own.server == *server),
            None => (self.certificates.len() == 1).then_some(0),
        }
    }
}

/// The whole second nearest to an instant; before 1970 there is none but 0.
fn midpoint(now: UnixTime) -> u64 {
    seconds(now + Nanos::from_millis(500))
}

fn seconds(at: UnixTime) -> u64 {
    u64::try_from(at.nanos().div_euclid(1_000_000_000)).unwrap_or(0)
}

/// The radius to state, in whole seconds (RFC 10049, section 5.2.5): true time, which lies within `bound` of the clock, then
/// lies strictly inside midpoint ± radius, although the midpoint is a whole second. Around an announced leap second the
/// clock's second can be another one than the next server's, so that counts for one more. `least` is what the operator
/// states at least; 3 where nothing would announce a leap second.
pub fn radius(bound: Nanos, leap: Leap, least: u32) -> u32 {
    let rounding = Nanos::from_millis(500);
    let whole = (bound.abs() + rounding).count() / 1_000_000_000 + 1;
    let leap = i64::from(leap != Leap::None);
    u32::try_from(whole.saturating_add(leap)).unwrap_or(u32::MAX).max(least)
}

/// Requests that are answered together.
pub struct Round {
    most: usize,
    asked: Vec<Asked>,
    /// The tree, level by level, the leaves first.
    nodes: Vec<[u8; HASH]>,
    /// Where each level begins.
    levels: Vec<usize>,
    response: Vec<u8>,
    signature: [u8; SIGNATURE],
    path: Vec<u8>,
    packet: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Asked {
    nonce: [u8; HASH],
    certificate: usize,
}

impl Round {
    /// Room for `most` requests, at most [`MOST_TOGETHER`].
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, MOST_TOGETHER);
        Self {
            most,
            asked: Vec::with_capacity(most),
            // A level can have one node more than half of the one below, for its padding.
            nodes: Vec::with_capacity(2 * most + 8),
            levels: Vec::with_capacity(8),
            response: Vec::new(),
            signature: [0; SIGNATURE],
            path: Vec::with_capacity(7 * HASH),
            packet: Vec::with_capacity(REQUEST),
        }
    }

    /// Forgets the requests.
    pub fn clear(&mut self) {
        self.asked.clear();
        self.nodes.clear();
        self.levels.clear();
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Takes a request, and says its number for [`Self::reply`].
    ///
    /// # Errors
    /// [`Drop`] when it gets no reply.
    pub fn add(&mut self, request: &[u8], delegation: &Delegation) -> Result<usize, Drop> {
        let asked = read(request, delegation)?;
        let number = self.asked.len();
        if number == self.most {
            return Err(Drop::Full);
        }
        self.asked.push(asked);
        self.nodes.push(leaf(request));
        Ok(number)
    }

    /// Signs the time for every request so far. Without a request there is nothing to sign.
    pub fn sign(&mut self, delegation: &Delegation, now: UnixTime, radius: u32) {
        if self.is_empty() {
            return;
        }
        let root = self.grow();
        let version = VERSION.to_le_bytes();
        self.response.clear();
        message::write_to(
            &mut self.response,
            &[
                (Tag::VER, &version),
                (Tag::RADI, &radius.to_le_bytes()),
                (Tag::MIDP, &midpoint(now).to_le_bytes()),
                (Tag::VERS, &version),
                (Tag::ROOT, &root),
            ],
        );
        let signed = [RESPONSE_CONTEXT, &self.response].concat();
        self.signature = delegation.online.sign(&signed).to_bytes();
    }

    /// The reply to the request of this number, once signed; empty for a number that there is not.
    pub fn reply(&mut self, number: usize, delegation: &Delegation) -> &[u8] {
        self.packet.clear();
        self.path_of(number);
        let asked = self.asked.get(number);
        let certificate = asked.and_then(|asked| delegation.certificates.get(asked.certificate));
        let (Some(asked), Some(certificate)) = (asked, certificate) else { return &self.packet };
        message::write_frame_to(
            &mut self.packet,
            &[
                (Tag::SIG, &self.signature),
                (Tag::NONC, &asked.nonce),
                (Tag::TYPE, &IS_RESPONSE.to_le_bytes()),
                (Tag::PATH, &self.path),
                (Tag::SREP, &self.response),
                (Tag::CERT, &certificate.value),
                (Tag::INDX, &message::word(number)),
            ],
        );
        &self.packet
    }

    /// Builds the tree over the leaves and returns its root. A level of odd length gets a node of zeros, which is nobody's
    /// hash, so that every node but the root has a sibling.
    fn grow(&mut self) -> [u8; HASH] {
        let mut begin = 0;
        self.levels.clear();
        self.nodes.truncate(self.asked.len());
        loop {
            self.levels.push(begin);
            let count = self.nodes.len() - begin;
            if count < 2 {
                return self.nodes.last().copied().unwrap_or_default();
            }
            if !count.is_multiple_of(2) {
                self.nodes.push([0; HASH]);
            }
            let end = self.nodes.len();
            for pair in (begin..end).step_by(2) {
                if let Some([left, right]) = self.nodes.get(pair..pair + 2) {
                    let above = node(left, right);
                    self.nodes.push(above);
                }
            }
            begin = end;
        }
    }

    /// Puts the siblings on the way from a leaf to the root into `path`.
    fn path_of(&mut self, number: usize) {
        self.path.clear();
        let below_the_root = self.levels.len().saturating_sub(1);
        for (level, begin) in self.levels.iter().take(below_the_root).enumerate() {
            let sibling = number >> level ^ 1;
            self.path.extend(self.nodes.get(begin + sibling).copied().unwrap_or_default());
        }
    }
}

/// Reads a request as far as the server needs it.
fn read(request: &[u8], delegation: &Delegation) -> Result<Asked, Drop> {
    if request.len() < REQUEST {
        return Err(Drop::Short);
    }
    let malformed = |_| Drop::Malformed;
    let message = Message::read(message::unframe(request).map_err(malformed)?).map_err(malformed)?;
    let (versions, rest) = message.need(Tag::VER).map_err(malformed)?.as_chunks::<4>();
    let nonce = message.array(Tag::NONC).map_err(malformed)?;
    if message.u32(Tag::TYPE) != Ok(IS_REQUEST) || !rest.is_empty() {
        return Err(Drop::Malformed);
    }
    if !versions.contains(&VERSION.to_le_bytes()) {
        return Err(Drop::Version);
    }
    let server = match message.find(Tag::SRV) {
        None => None,
        Some(server) => Some(server.try_into().map_err(|_| Drop::Malformed)?),
    };
    let certificate = delegation.chosen(server).ok_or(Drop::Server)?;
    Ok(Asked { nonce: *nonce, certificate })
}
