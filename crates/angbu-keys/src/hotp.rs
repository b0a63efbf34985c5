//! HOTP (RFC 4226): a key from a counter.

use crate::{Algorithm, Digits, OneTimeKey};

/// The key at a counter (RFC 4226, section 5.3; other hashes than SHA-1 as RFC 6238, section 1.2).
///
/// `secret` may have any length; RFC 4226, section 4, wants 16 bytes at least, and whoever takes secrets in sees to that.
pub fn key(algorithm: Algorithm, secret: &[u8], counter: u64, digits: Digits) -> OneTimeKey {
    truncated(algorithm, secret, &[&counter.to_be_bytes()], digits)
}

/// HMAC over `parts`, dynamically truncated (RFC 4226, section 5.3).
pub(crate) fn truncated(algorithm: Algorithm, secret: &[u8], parts: &[&[u8]], digits: Digits) -> OneTimeKey {
    let hash = algorithm.hmac(secret, parts);
    let offset = usize::from(hash.last().copied().unwrap_or(0) & 0x0f);
    // The offset is 15 at most and the shortest hash has 20 bytes, so these four are always there.
    let four = hash.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    digits.of(u32::from_be_bytes(four) & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4226, appendix D.
    #[test]
    fn the_rfcs_vectors() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, key) in (0..).zip(expected) {
            let made = super::key(Algorithm::Sha1, b"12345678901234567890", counter, Digits::SIX);
            assert_eq!(made.reveal(), key, "{counter}");
        }
    }
}
