//! Network Time Security for NTP (RFC 8915): key exchange, cookies, and both ends of an authenticated exchange.
//!
//! The key exchange gives a client two keys and some cookies. A cookie is the two keys, sealed by the server for
//! itself, so that the server remembers nothing about anybody. Each request spends one and each reply brings new ones.

pub mod client;
pub mod cookie;
pub mod extension;
pub mod key_exchange;
pub mod server;

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes128Siv;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The unique identifier of requests and replies (RFC 8915, section 5.3): its field type.
pub const UNIQUE_IDENTIFIER: u16 = 0x0104;
/// A cookie (RFC 8915, section 5.4): its field type.
pub const COOKIE: u16 = 0x0204;
/// A wish for one more cookie (RFC 8915, section 5.5): its field type.
pub const COOKIE_PLACEHOLDER: u16 = 0x0304;
/// What authenticates all before it and hides what is in it (RFC 8915, section 5.6): its field type.
pub const AUTHENTICATOR: u16 = 0x0404;

/// The most cookies that a reply brings, and that a client keeps (RFC 8915, section 5.7: eight).
pub const MOST_COOKIES: usize = 8;

/// The length of a unique identifier, bytes: the least that RFC 8915 allows (section 5.3).
pub const IDENTIFIER: usize = 32;

/// The kiss code "NTS NAK" (RFC 8915, section 5.7): the server could not open the cookie, or the request was not
/// authentic.
pub const NTSN: [u8; 4] = *b"NTSN";

/// AEAD_AES_SIV_CMAC_256 (RFC 5297; number 15 of the AEAD registry): the one algorithm that every NTS
/// implementation has (RFC 8915, section 5.1).
pub const AES_SIV_CMAC_256: u16 = 15;

/// The tag that sealing puts before the ciphertext, bytes (RFC 5297, section 2.6).
pub(crate) const TAG: usize = 16;

/// The nonce that requests and replies carry, bytes: what RFC 8915, section 5.6, asks for (N_REQ).
pub(crate) const NONCE: usize = 16;

/// A key for AEAD_AES_SIV_CMAC_256: 32 bytes. No `Debug`, no `==`; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AeadKey([u8; 32]);

impl AeadKey {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Whether both are the same key; takes the same time whatever they are.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn prepare(&self) -> Sealer {
        Sealer(Aes128Siv::new(&self.0.into()))
    }
}

/// A key made ready: sealing and opening with it allocate nothing.
pub(crate) struct Sealer(Aes128Siv);

impl Sealer {
    /// Seals `buffer`, which begins with room for the tag, in place. `headers` are what is authenticated with it, the
    /// nonce last (RFC 5297, section 3).
    pub(crate) fn seal<const N: usize>(&mut self, headers: [&[u8]; N], buffer: &mut [u8]) {
        let Some((tag, text)) = buffer.split_first_chunk_mut::<TAG>() else { return };
        let made = self.0.encrypt_inout_detached(headers, text.into());
        *tag = made.expect("broken invariant: RFC 5297 allows 126 headers, no call has more than two").into();
    }

    /// Opens `buffer`, a tag and the ciphertext after it, in place; none where it was not sealed with this key. The
    /// comparison takes the same time wherever the tags differ.
    pub(crate) fn open<'b, const N: usize>(
        &mut self,
        headers: [&[u8]; N],
        buffer: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        let (tag, text) = buffer.split_first_chunk_mut::<TAG>()?;
        self.0.decrypt_inout_detached(headers, (&mut *text).into(), &(*tag).into()).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5297, appendix A.1: deterministic, one header.
    #[test]
    fn the_standards_own_vector() {
        let key =
            std::array::from_fn(|at| u8::try_from(if at < 16 { 0xff - at } else { 0xf0 + at - 16 }).unwrap());
        let header: Vec<u8> = (0x10..=0x27).collect();
        let text = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee];
        let sealed = [
            0x85, 0x63, 0x2d, 0x07, 0xc6, 0xe8, 0xf3, 0x7f, 0x95, 0x0a, 0xcd, 0x32, 0x0a, 0x2e, 0xcc, 0x93,
            0x40, 0xc0, 0x2b, 0x96, 0x90, 0xc4, 0xdc, 0x04, 0xda, 0xef, 0x7f, 0x6a, 0xfe, 0x5c,
        ];
        let mut buffer = [&[0; TAG][..], &text].concat();
        let mut sealer = AeadKey::new(key).prepare();
        sealer.seal([&header], &mut buffer);
        assert_eq!(buffer, sealed);
        assert_eq!(sealer.open([&header], &mut buffer), Some(&text[..]));
        let mut changed = sealed;
        changed[20] ^= 1;
        assert_eq!(sealer.open([&header], &mut changed), None);
    }
}
