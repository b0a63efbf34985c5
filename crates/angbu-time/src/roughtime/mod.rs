//! Roughtime (RFC 10049): a server signs its time under a client's nonce, so that whoever chains nonces can prove later that
//! a server lied.
//!
//! [`message`] is the form of everything on the wire, [`server`] answers requests in batches, [`client`] makes requests and
//! checks replies, [`chain`] ties replies together and finds the pair that contradicts itself.

pub mod chain;
pub mod client;
pub mod message;
pub mod server;

use sha2::{Digest as _, Sha512};

/// The protocol's version on the wire (RFC 10049, section 12.2).
pub const VERSION: u32 = 1;

/// The UDP port of Roughtime.
pub const PORT: u16 = 5_319;

/// The length of every request that is made or answered, framing included (RFC 10049, section 5.1): a reply is always
/// shorter, so that a server amplifies nothing.
pub const REQUEST: usize = 1_024;

/// The longest packet that is read: what fits into one datagram on an ordinary Ethernet.
pub const LONGEST_PACKET: usize = 1_472;

/// The length of an Ed25519 public key, of a nonce and of a node of the tree.
pub const HASH: usize = 32;

/// The length of an Ed25519 signature.
pub const SIGNATURE: usize = 64;

/// What stands before a signed SREP value (RFC 10049, section 5.2.1).
const RESPONSE_CONTEXT: &[u8] = b"Roughtime v1 response signature\0";

/// What stands before a signed DELE value (RFC 10049, section 5.2.6).
const DELEGATION_CONTEXT: &[u8] = b"Roughtime v1 delegation signature\0";

/// What TYPE says in a request (RFC 10049, section 5.1.3).
const IS_REQUEST: u32 = 0;

/// What TYPE says in a response (RFC 10049, section 5.2.3).
const IS_RESPONSE: u32 = 1;

/// The first 32 bytes of SHA-512 over the parts, one after the other (RFC 10049, section 5.3).
fn hash(parts: &[&[u8]]) -> [u8; HASH] {
    let mut digest = Sha512::new();
    for part in parts {
        digest.update(part);
    }
    let whole: [u8; 64] = digest.finalize().into();
    let (first, _) = whole.split_first_chunk().expect("broken invariant: 64 bytes hold 32");
    *first
}

/// A request packet's place in the tree (RFC 10049, section 5.3): all of the packet, its framing included.
fn leaf(request: &[u8]) -> [u8; HASH] {
    hash(&[&[0], request])
}

/// The node above two others.
fn node(left: &[u8; HASH], right: &[u8; HASH]) -> [u8; HASH] {
    hash(&[&[1], left, right])
}

/// What the SRV tag of a request holds for a server with this long-term key (RFC 10049, section 5.1.4).
fn server_id(public_key: &[u8; HASH]) -> [u8; HASH] {
    hash(&[&[0xff], public_key])
}

#[cfg(test)]
mod interop;
#[cfg(test)]
mod tests;
