//! What an export may be encrypted with: AES-CBC, whose MAC is checked before anything is decrypted.

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::Algorithm;

const BLOCK: usize = 16;

/// Decrypts what begins with its initialisation vector, and takes off the padding, of which only the last byte counts (XML
/// Encryption 1.1, section 5.2; PKCS #7 is a case of it). `None` where a length does not fit.
///
/// Only for what a MAC has vouched for: by itself a padding tells an attacker too much.
pub(super) fn decrypt(key: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (iv, sealed) = sealed.split_at_checked(BLOCK)?;
    let mut out = Zeroizing::new(sealed.to_vec());
    match key.len() {
        16 => in_place(Decryptor::<Aes128>::new_from_slices(key, iv).ok()?, &mut out)?,
        24 => in_place(Decryptor::<Aes192>::new_from_slices(key, iv).ok()?, &mut out)?,
        32 => in_place(Decryptor::<Aes256>::new_from_slices(key, iv).ok()?, &mut out)?,
        _ => return None,
    }
    let padding = usize::from(*out.last()?);
    let length = out.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding))?;
    out.truncate(length);
    Some(out)
}

fn in_place(cipher: impl BlockModeDecrypt, out: &mut [u8]) -> Option<()> {
    cipher.decrypt_padded::<NoPadding>(out).ok().map(|_| ())
}

/// Whether a MAC fits, in constant time.
pub(super) fn fits(hash: Algorithm, key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    hash.hmac(key, parts).as_slice().ct_eq(mac).into()
}
