//! The client's side of one exchange of Roughtime (RFC 10049, sections 5.1 and 5.4).

use angbu_units::{Nanos, UnixTime};
use ed25519_dalek::{Signature, VerifyingKey};

use super::message::{self, Message, MessageError, Tag};
use super::{
    DELEGATION_CONTEXT, HASH, IS_REQUEST, IS_RESPONSE, REQUEST, RESPONSE_CONTEXT, SIGNATURE, VERSION, leaf,
    node, server_id,
};

/// The longest way through a tree (RFC 10049, section 5.2.4).
const LONGEST_PATH: usize = 32;

/// Why a reply is worth nothing. It proves nothing about the server either: anybody can send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not the form of a reply.
    #[error("this is no Roughtime reply: {0}")]
    Malformed(#[from] MessageError),
    /// Not a reply, or of another version.
    #[error("this is no reply of Roughtime version 1")]
    Version,
    /// It carries another nonce than the request.
    #[error("the reply is to another request")]
    Nonce,
    /// A radius of zero, which no server may state.
    #[error("the reply states a radius of zero")]
    Radius,
    /// The server's key is no Ed25519 key.
    #[error("the server's public key is no Ed25519 key")]
    Key,
    /// The long-term key did not sign the delegation.
    #[error("the delegation is not signed by the server's key")]
    Delegation,
    /// The delegated key did not sign the time.
    #[error("the time is not signed by the delegated key")]
    Signature,
    /// The time lies outside of what was delegated.
    #[error("the time lies outside of what the delegated key may sign")]
    OutsideDelegation,
    /// The request is not under what was signed.
    #[error("the request is not part of what the server signed")]
    Tree,
}

/// What a server has signed: true time lay between midpoint - radius and midpoint + radius when it processed the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Seconds since 1970, UTC.
    pub midpoint: u64,
    /// Seconds, at least 1.
    pub radius: u32,
}

impl Reply {
    /// The earliest second that it allows.
    pub fn earliest(self) -> u64 {
        self.midpoint.saturating_sub(self.radius.into())
    }

    /// The latest second that it allows.
    pub fn latest(self) -> u64 {
        self.midpoint.saturating_add(self.radius.into())
    }

    /// The two as instants; a time beyond the year 2262 is the last that there is.
    pub fn interval(self) -> (UnixTime, UnixTime) {
        (instant(self.earliest()), instant(self.latest()))
    }

    /// Whether nothing between `earliest` and `latest`, of another clock, can be right if this reply is.
    pub fn excludes(self, earliest: UnixTime, latest: UnixTime) -> bool {
        let (first, last) = self.interval();
        latest < first || last < earliest
    }
}

fn instant(seconds: u64) -> UnixTime {
    let nanos = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000_000));
    UnixTime::from_nanos(0) + Nanos::new(nanos.unwrap_or(i64::MAX))
}

/// A request to the server with this long-term key, padded to [`REQUEST`] bytes.
pub fn request(public_key: &[u8; HASH], nonce: &[u8; HASH]) -> Vec<u8> {
    const PADDING: [u8; REQUEST] = [0; REQUEST];
    let with = |padding: &[u8]| {
        message::frame(&message::write(&[
            (Tag::VER, &VERSION.to_le_bytes()),
            (Tag::SRV, &server_id(public_key)),
            (Tag::NONC, nonce),
            (Tag::TYPE, &IS_REQUEST.to_le_bytes()),
            (Tag::ZZZZ, padding),
        ]))
    };
    let missing = REQUEST - with(&[]).len();
    with(PADDING.get(..missing).unwrap_or_default())
}

/// The nonce of a request.
///
/// # Errors
/// [`MessageError`] where this is no request.
pub fn nonce(request: &[u8]) -> Result<[u8; HASH], MessageError> {
    Message::read(message::unframe(request)?)?.array(Tag::NONC).copied()
}

/// Checks a reply to a request (RFC 10049, section 5.4). Unknown tags are left alone.
///
/// # Errors
/// [`Refusal`].
pub fn verify(public_key: &[u8; HASH], request: &[u8], reply: &[u8]) -> Result<Reply, Refusal> {
    let message = Message::read(message::unframe(reply)?)?;
    if message.u32(Tag::TYPE)? != IS_RESPONSE {
        return Err(Refusal::Version);
    }
    if *message.array(Tag::NONC)? != nonce(request)? {
        return Err(Refusal::Nonce);
    }
    let response = message.need(Tag::SREP)?;
    let certificate = Message::read(message.need(Tag::CERT)?)?;
    let delegated = delegated(public_key, &certificate)?;
    check(&delegated.key, RESPONSE_CONTEXT, response, message.array(Tag::SIG)?, Refusal::Signature)?;
    let response = Message::read(response)?;
    let version = VERSION.to_le_bytes();
    let (versions, _) = response.need(Tag::VERS)?.as_chunks::<4>();
    if *response.array(Tag::VER)? != version || !versions.contains(&version) {
        return Err(Refusal::Version);
    }
    let reply = Reply { midpoint: response.u64(Tag::MIDP)?, radius: response.u32(Tag::RADI)? };
    if reply.radius == 0 {
        return Err(Refusal::Radius);
    }
    if !(delegated.from..=delegated.until).contains(&reply.midpoint) {
        return Err(Refusal::OutsideDelegation);
    }
    let (path, rest) = message.need(Tag::PATH)?.as_chunks::<HASH>();
    let root = climb(leaf(request), path, message.u32(Tag::INDX)?);
    if !rest.is_empty() || root.as_ref() != Some(response.array(Tag::ROOT)?) {
        return Err(Refusal::Tree);
    }
    Ok(reply)
}

struct Delegated {
    key: VerifyingKey,
    from: u64,
    until: u64,
}

fn delegated(public_key: &[u8; HASH], certificate: &Message<'_>) -> Result<Delegated, Refusal> {
    let long_term = VerifyingKey::from_bytes(public_key).map_err(|_| Refusal::Key)?;
    let delegation = certificate.need(Tag::DELE)?;
    let signature = certificate.array(Tag::SIG)?;
    check(&long_term, DELEGATION_CONTEXT, delegation, signature, Refusal::Delegation)?;
    let delegation = Message::read(delegation)?;
    let key = VerifyingKey::from_bytes(delegation.array(Tag::PUBK)?).map_err(|_| Refusal::Signature)?;
    Ok(Delegated { key, from: delegation.u64(Tag::MINT)?, until: delegation.u64(Tag::MAXT)? })
}

fn check(
    key: &VerifyingKey,
    context: &[u8],
    value: &[u8],
    signature: &[u8; SIGNATURE],
    otherwise: Refusal,
) -> Result<(), Refusal> {
    let signed = [context, value].concat();
    key.verify_strict(&signed, &Signature::from_bytes(signature)).map_err(|_| otherwise)
}

/// The root above a leaf (RFC 10049, section 5.3.1).
fn climb(leaf: [u8; HASH], path: &[[u8; HASH]], index: u32) -> Option<[u8; HASH]> {
    if path.len() > LONGEST_PATH {
        return None;
    }
    let mut bits = u64::from(index);
    let mut current = leaf;
    for sibling in path {
        current = if bits & 1 == 0 { node(&current, sibling) } else { node(sibling, &current) };
        bits >>= 1;
    }
    (bits == 0).then_some(current)
}
