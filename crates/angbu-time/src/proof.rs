//! The proof of an exchange: what makes sure that neither end alone can invent its instants.
//!
//! A client of NTS knows the keys that seal a server's replies, so that a sealed reply by itself proves to nobody else
//! what the server said. Therefore both packets of an exchange with a centre carry one field more, of a type from the
//! range for experiments (RFC 7821 and RFC 8915 use the registry's other numbers):
//!
//! * the request, within what the authenticator hides: T1, the T4 of the exchange before, four bytes of padding. The
//!   request's unique identifier is SHA-256(the agent's public key ‖ 32 random bytes), which are shown at the upload;
//! * the reply, where everybody can read it, but authenticated: the epoch of a key that only the centre has (4 bytes)
//!   and the first 16 bytes of HMAC-SHA-256 under that key over SHA-256(the request as it was received) ‖ the reply's 48
//!   bytes ‖ the centre's id.
//!
//! Both are 24 bytes with their heads, so that a reply is never longer than its request.

use angbu_units::{NtpServerId, NtpTimestamp};
use hmac::Mac as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::nts::client;
use crate::nts::cookie::EpochKeys;
use crate::packet::LENGTH;
use crate::record::DecodeError;
use crate::wire::Reader;

/// The type of both fields (RFC 5905's registry: 0xF000 to 0xFFFF are for experiments).
pub const FIELD: u16 = 0xfa16;

/// The length of both fields' bodies, bytes.
pub const BODY: usize = 20;

const MAC: usize = 16;

/// What an agent says, hidden, in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// T1: when the request leaves, by the agent's clock.
    pub t1: NtpTimestamp,
    /// When the reply before this request arrived, by the agent's clock; [`NtpTimestamp::UNKNOWN`] where none did.
    pub previous_t4: NtpTimestamp,
}

impl Asked {
    /// The field's body: T1, previous T4, padding.
    pub fn encode(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        let parts = [self.t1.bits().to_be_bytes(), self.previous_t4.bits().to_be_bytes()];
        for (room, part) in body.chunks_exact_mut(8).zip(parts) {
            room.copy_from_slice(&part);
        }
        body
    }

    /// Reads the field's body; none where it is no such body.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let body: &[u8; BODY] = body.try_into().ok()?;
        let (t1, rest) = body.split_first_chunk()?;
        let (previous_t4, padding) = rest.split_first_chunk()?;
        let stamp = |bytes: &[u8; 8]| NtpTimestamp::from_bits(u64::from_be_bytes(*bytes));
        (padding == [0; 4]).then(|| Self { t1: stamp(t1), previous_t4: stamp(previous_t4) })
    }
}

/// What a centre says in its reply: that this reply was made by it, for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The epoch of the key.
    pub epoch: u32,
    mac: [u8; MAC],
}

impl Seal {
    /// Seals the reply `header` to a request as it was received, in the name of `server`.
    pub fn make(keys: &EpochKeys, server: NtpServerId, request: &[u8], header: &[u8; LENGTH]) -> Self {
        let hash = keys
            .exchange_hash()
            .chain_update(Sha256::digest(request))
            .chain_update(header)
            .chain_update(server.as_bytes())
            .finalize()
            .into_bytes();
        let hash: [u8; 32] = hash.into();
        let mac = hash.first_chunk().copied().unwrap_or_default();
        Self { epoch: keys.epoch(), mac }
    }

    /// Whether this is the seal of exactly this reply to exactly this request; takes the same time wherever it is not.
    pub fn fits(&self, keys: &EpochKeys, server: NtpServerId, request: &[u8], header: &[u8; LENGTH]) -> bool {
        let made = Self::make(keys, server, request, header);
        self.epoch == made.epoch && self.mac.ct_eq(&made.mac).into()
    }

    /// The field's body: epoch, then the hash.
    pub fn encode(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        let (epoch, mac) = body.split_at_mut(4);
        epoch.copy_from_slice(&self.epoch.to_be_bytes());
        mac.copy_from_slice(&self.mac);
        body
    }

    /// Reads the field's body; none where it has another length.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let body: &[u8; BODY] = body.try_into().ok()?;
        let (epoch, mac) = body.split_first_chunk()?;
        Some(Self { epoch: u32::from_be_bytes(*epoch), mac: mac.try_into().ok()? })
    }
}

/// The unique identifier of an agent's request: SHA-256(the agent's public key ‖ 32 random bytes).
pub fn identifier(agent_key: &[u8; 32], reveal: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(agent_key).chain_update(reveal).finalize().into()
}

/// What an agent shows of an exchange so that the centre can check its own seal on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The random bytes behind the request's identifier.
    pub reveal: [u8; 32],
    /// The request as it was sent.
    pub request: Vec<u8>,
    /// The first 48 bytes of the reply. The rest protects the reply on its way and proves nothing to others.
    pub header: [u8; LENGTH],
    /// The seal that the reply carried.
    pub seal: Seal,
}

/// The longest request of a witness.
const LONGEST_REQUEST: usize = client::LONGEST;

impl Witness {
    /// Its bytes: what was hidden, the reply's header, its seal, the request behind its length.
    pub fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.request.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&self.reveal[..], &self.header, &self.seal.encode(), &length, &self.request].concat()
    }

    /// Reads one from the front.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (reveal, header) = (reader.array()?, reader.array()?);
        let seal = Seal::decode(&reader.array::<BODY>()?).ok_or(DecodeError::NotCanonical)?;
        let length = usize::from(reader.u16()?);
        if !(LENGTH..=LONGEST_REQUEST).contains(&length) {
            return Err(DecodeError::NotCanonical);
        }
        Ok(Self { reveal, header, seal, request: reader.bytes(length)?.to_vec() })
    }
}
