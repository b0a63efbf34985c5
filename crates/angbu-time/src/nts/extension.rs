//! NTP extension fields (RFC 7822, section 3): type, length, body; one after the other behind the packet's 48 bytes.

use crate::packet;

/// Type and length, bytes.
pub const HEADER: usize = 4;

/// The most fields that are read of one datagram: what NTS needs, and some that others may add. Whoever sends more
/// makes the server look at bytes for nothing.
pub const MOST_FIELDS: usize = 32;

/// The shortest field behind a packet (RFC 7822, section 3).
const SHORTEST: usize = 16;

/// The bytes are not fields one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the extension fields are malformed")]
pub struct Malformed;

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its type.
    pub kind: u16,
    /// What it says, its padding included.
    pub body: &'a [u8],
    /// Where in the bytes that were walked it begins.
    pub offset: usize,
}

/// The fields of a datagram or of a plaintext, in order. After an error nothing more comes.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    shortest: usize,
    left: usize,
}

impl<'a> Fields<'a> {
    /// The fields behind the 48 bytes of a packet.
    pub const fn of_packet(datagram: &'a [u8]) -> Self {
        Self { bytes: datagram, at: packet::LENGTH, shortest: SHORTEST, left: MOST_FIELDS }
    }

    /// The fields that an authenticator hid. Its own padding makes them long enough, so that each may be as short
    /// as its header (RFC 8915, section 5.6).
    pub const fn of_plaintext(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, shortest: HEADER, left: MOST_FIELDS }
    }

    fn read(&mut self) -> Option<Field<'a>> {
        self.left = self.left.checked_sub(1)?;
        let offset = self.at;
        let rest = self.bytes.get(offset..)?;
        let [kind_high, kind_low, length_high, length_low] = *rest.first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if length < self.shortest || length % 4 != 0 {
            return None;
        }
        let body = rest.get(HEADER..length)?;
        self.at = offset + length;
        Some(Field { kind: u16::from_be_bytes([kind_high, kind_low]), body, offset })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.at = self.bytes.len();
        }
        Some(field.ok_or(Malformed))
    }
}

/// Writes fields into a buffer that the caller owns; whatever does not fit is not written and is told.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) const fn after(out: &'a mut [u8], at: usize) -> Self {
        Self { out, at }
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// How many bytes there is room for.
    pub(crate) const fn room(&self) -> usize {
        self.out.len().saturating_sub(self.at)
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.skip(bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    /// The next bytes, to be written by the caller.
    pub(crate) fn skip(&mut self, length: usize) -> Option<&mut [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.out.get_mut(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// Type and length of a field whose body has this length, a multiple of four.
    pub(crate) fn head(&mut self, kind: u16, body: usize) -> Option<()> {
        let length = u16::try_from(HEADER + body).ok()?;
        self.put(&kind.to_be_bytes())?;
        self.put(&length.to_be_bytes())
    }

    pub(crate) fn field(&mut self, kind: u16, body: &[u8]) -> Option<()> {
        self.head(kind, body.len())?;
        self.put(body)
    }

    /// What was written so far, and the rest.
    pub(crate) fn split(&mut self) -> (&[u8], &mut [u8]) {
        let (before, after) = self.out.split_at_mut(self.at);
        (before, after)
    }
}

/// A number of bytes, filled up to whole words.
pub(crate) const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// The parts of an authenticator's body: nonce, ciphertext and whatever follows (RFC 8915, section 5.6).
pub(crate) struct Authenticator<'a> {
    pub(crate) nonce: &'a [u8],
    pub(crate) ciphertext: &'a [u8],
}

impl<'a> Authenticator<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let ([nonce_high, nonce_low, text_high, text_low], rest) = body.split_first_chunk::<4>()?;
        let nonce_length = usize::from(u16::from_be_bytes([*nonce_high, *nonce_low]));
        let text_length = usize::from(u16::from_be_bytes([*text_high, *text_low]));
        let nonce = rest.get(..nonce_length)?;
        let ciphertext = rest.get(padded(nonce_length)..)?.get(..text_length)?;
        Some(Self { nonce, ciphertext })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(bytes: &[u8]) -> Vec<Result<(u16, usize), Malformed>> {
        Fields::of_packet(bytes).map(|field| field.map(|field| (field.kind, field.body.len()))).collect()
    }

    #[test]
    fn fields_are_walked_to_their_end() {
        let field = |kind: u8, length: u8| {
            let mut bytes = vec![0; usize::from(length)];
            bytes[1] = kind;
            bytes[3] = length;
            bytes
        };
        let of = |parts: &[Vec<u8>]| [vec![0; 48], parts.concat()].concat();
        for (bytes, expected) in [
            (of(&[]), vec![]),
            (vec![0; 3], vec![]),
            (of(&[field(1, 16), field(2, 20)]), vec![Ok((1, 12)), Ok((2, 16))]),
            // Too short, no whole words, longer than what is there, not even a header.
            (of(&[field(1, 16), field(2, 12)]), vec![Ok((1, 12)), Err(Malformed)]),
            (of(&[field(1, 18)]), vec![Err(Malformed)]),
            (of(&[field(1, 20)[..19].to_vec()]), vec![Err(Malformed)]),
            (of(&[vec![0, 4, 0]]), vec![Err(Malformed)]),
            (of(&[vec![0; 4]]), vec![Err(Malformed)]),
        ] {
            assert_eq!(walk(&bytes), expected, "{bytes:?}");
        }
        let many = of(&vec![field(1, 16); MOST_FIELDS + 1]);
        assert_eq!(walk(&many).len(), MOST_FIELDS + 1);
        assert_eq!(walk(&many).last(), Some(&Err(Malformed)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut at = packet::LENGTH;
            for field in Fields::of_packet(&bytes).flatten() {
                prop_assert_eq!(field.offset, at);
                at += HEADER + field.body.len();
                prop_assert!(at <= bytes.len());
                if let Some(parts) = Authenticator::read(field.body) {
                    prop_assert!(4 + parts.nonce.len() + parts.ciphertext.len() <= field.body.len());
                }
            }
        }

        #[test]
        fn what_is_written_is_walked(bodies in prop::collection::vec((any::<u16>(), 3usize..40), 0..MOST_FIELDS)) {
            let mut out = vec![0; 6_000];
            let mut writer = Writer::after(&mut out, packet::LENGTH);
            for (kind, words) in &bodies {
                writer.field(*kind, &vec![7; words * 4]).unwrap();
            }
            let end = writer.at();
            let read: Vec<_> = walk(&out[..end]).into_iter().map(Result::unwrap).collect();
            let expected: Vec<_> = bodies.iter().map(|(kind, words)| (*kind, words * 4)).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
