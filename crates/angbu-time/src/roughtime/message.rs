//! Messages of tags and values (RFC 10049, section 4), and the frame around them (section 5).
//!
//! All numbers are little-endian. A message is the number of its tags, the offset of each value but the first, the tags in
//! rising order, and the values. What [`Message::read`] accepts has one form only: [`write()`] makes the same bytes of it again.

/// The most tags of a message that is read; the longest defined one has seven.
pub const MOST_TAGS: usize = 32;

/// What stands before every message on the wire: `ROUGHTIM` and the message's length.
pub const FRAME: usize = 12;

const MAGIC: [u8; 8] = *b"ROUGHTIM";

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Fewer bytes than the header says.
    #[error("the message ends before its header or a value does")]
    Truncated,
    /// Lengths and offsets are multiples of four.
    #[error("a length or an offset is not a multiple of four")]
    Unaligned,
    /// No tag, or more than are read.
    #[error("the message has {0} tags, it should have 1 to 32")]
    Tags(u32),
    /// Offsets rise, and stay inside the message.
    #[error("the offsets of the values do not rise, or lead out of the message")]
    Offsets,
    /// Tags rise, and none stands twice.
    #[error("the tags do not stand in rising order")]
    Order,
    /// Not framed as a Roughtime packet.
    #[error("this is no Roughtime packet")]
    NoFrame,
    /// The frame's length is not that of what follows.
    #[error("the packet says that {said} bytes follow, and {there} do")]
    Length {
        /// What the frame says.
        said: u32,
        /// What is there.
        there: usize,
    },
    /// A tag that must be there is missing.
    #[error("the tag {0} is missing")]
    Missing(Tag),
    /// A value has another length than its tag asks for.
    #[error("the value of the tag {0} has the wrong length")]
    Value(Tag),
}

/// A tag: four bytes, compared as a little-endian number (RFC 10049, section 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag([u8; 4]);

impl Tag {
    /// A signature.
    pub const SIG: Self = Self(*b"SIG\0");
    /// Versions, or the one version of a response.
    pub const VER: Self = Self(*b"VER\0");
    /// Which server is asked.
    pub const SRV: Self = Self(*b"SRV\0");
    /// The nonce.
    pub const NONC: Self = Self(*b"NONC");
    /// The delegation.
    pub const DELE: Self = Self(*b"DELE");
    /// Request or response.
    pub const TYPE: Self = Self(*b"TYPE");
    /// The way from the request to the root of the tree.
    pub const PATH: Self = Self(*b"PATH");
    /// The radius.
    pub const RADI: Self = Self(*b"RADI");
    /// The delegated key.
    pub const PUBK: Self = Self(*b"PUBK");
    /// The midpoint.
    pub const MIDP: Self = Self(*b"MIDP");
    /// What is signed of a response.
    pub const SREP: Self = Self(*b"SREP");
    /// The server's versions.
    pub const VERS: Self = Self(*b"VERS");
    /// From when on the delegated key is good.
    pub const MINT: Self = Self(*b"MINT");
    /// The root of the tree.
    pub const ROOT: Self = Self(*b"ROOT");
    /// The certificate.
    pub const CERT: Self = Self(*b"CERT");
    /// Until when the delegated key is good.
    pub const MAXT: Self = Self(*b"MAXT");
    /// The request's place in the tree.
    pub const INDX: Self = Self(*b"INDX");
    /// Padding.
    pub const ZZZZ: Self = Self(*b"ZZZZ");

    const fn number(self) -> u32 {
        u32::from_le_bytes(self.0)
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A message that was read, without a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    count: usize,
    offsets: &'a [[u8; 4]],
    tags: &'a [[u8; 4]],
    values: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message that fills all of `bytes`.
    ///
    /// # Errors
    /// [`MessageError`], naming the first thing that is wrong.
    pub fn read(bytes: &'a [u8]) -> Result<Self, MessageError> {
        if !bytes.len().is_multiple_of(4) {
            return Err(MessageError::Unaligned);
        }
        let (words, _) = bytes.as_chunks::<4>();
        let (count, words) = words.split_first().ok_or(MessageError::Truncated)?;
        let said = u32::from_le_bytes(*count);
        let count = usize::try_from(said).unwrap_or(usize::MAX);
        if count == 0 || count > MOST_TAGS {
            return Err(MessageError::Tags(said));
        }
        let (offsets, words) = words.split_at_checked(count - 1).ok_or(MessageError::Truncated)?;
        let (tags, values) = words.split_at_checked(count).ok_or(MessageError::Truncated)?;
        let values = values.as_flattened();
        let mut before = 0;
        for offset in offsets.iter().map(place) {
            if !offset.is_multiple_of(4) {
                return Err(MessageError::Unaligned);
            }
            if offset < before || offset > values.len() {
                return Err(MessageError::Offsets);
            }
            before = offset;
        }
        if !tags.is_sorted_by(|one, next| u32::from_le_bytes(*one) < u32::from_le_bytes(*next)) {
            return Err(MessageError::Order);
        }
        Ok(Self { count, offsets, tags, values })
    }

    /// Every tag with its value, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (Tag, &'a [u8])> {
        let this = *self;
        (0..this.count).filter_map(move |index| {
            let begin = match index.checked_sub(1) {
                None => 0,
                Some(before) => place(this.offsets.get(before)?),
            };
            let end = this.offsets.get(index).map_or(this.values.len(), place);
            Some((Tag(*this.tags.get(index)?), this.values.get(begin..end)?))
        })
    }

    /// The value of a tag.
    pub fn find(&self, tag: Tag) -> Option<&'a [u8]> {
        self.fields().find_map(|(found, value)| (found == tag).then_some(value))
    }

    /// The value of a tag that must be there.
    ///
    /// # Errors
    /// [`MessageError::Missing`].
    pub fn need(&self, tag: Tag) -> Result<&'a [u8], MessageError> {
        self.find(tag).ok_or(MessageError::Missing(tag))
    }

    /// The value of a tag that must be there and have `N` bytes.
    ///
    /// # Errors
    /// [`MessageError::Missing`] and [`MessageError::Value`].
    pub fn array<const N: usize>(&self, tag: Tag) -> Result<&'a [u8; N], MessageError> {
        self.need(tag)?.try_into().map_err(|_| MessageError::Value(tag))
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// [`MessageError::Missing`] and [`MessageError::Value`].
    pub fn u32(&self, tag: Tag) -> Result<u32, MessageError> {
        self.array(tag).map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// A number of 64 bits.
    ///
    /// # Errors
    /// [`MessageError::Missing`] and [`MessageError::Value`].
    pub fn u64(&self, tag: Tag) -> Result<u64, MessageError> {
        self.array(tag).map(|bytes| u64::from_le_bytes(*bytes))
    }
}

fn place(offset: &[u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(*offset)).unwrap_or(usize::MAX)
}

/// Writes a message: the inverse of [`Message::read`].
///
/// # Panics
/// In tests, where the caller gives tags out of order or values that are no multiple of four bytes.
pub fn write(fields: &[(Tag, &[u8])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(length(fields));
    write_to(&mut out, fields);
    out
}

/// Appends what [`write`] makes.
pub(super) fn write_to(out: &mut Vec<u8>, fields: &[(Tag, &[u8])]) {
    debug_assert!(fields.is_sorted_by(|one, next| one.0.number() < next.0.number()));
    debug_assert!(fields.iter().all(|(_, value)| value.len().is_multiple_of(4)));
    out.extend(word(fields.len()));
    let mut offset = 0;
    for (_, value) in fields.iter().take(fields.len().saturating_sub(1)) {
        offset += value.len();
        out.extend(word(offset));
    }
    for (tag, _) in fields {
        out.extend(tag.0);
    }
    for (_, value) in fields {
        out.extend_from_slice(value);
    }
}

/// The packet around a message (RFC 10049, figure 2).
pub fn frame(message: &[u8]) -> Vec<u8> {
    [&MAGIC, word(message.len()).as_slice(), message].concat()
}

/// Appends a framed message.
pub(super) fn write_frame_to(out: &mut Vec<u8>, fields: &[(Tag, &[u8])]) {
    out.extend(MAGIC);
    out.extend(word(length(fields)));
    write_to(out, fields);
}

/// The length of a message: the count, an offset for each value but the first, the tags, the values.
fn length(fields: &[(Tag, &[u8])]) -> usize {
    fields.iter().map(|(_, value)| value.len() + 8).sum()
}

/// The message inside a packet.
///
/// # Errors
/// [`MessageError::NoFrame`] and [`MessageError::Length`].
pub fn unframe(packet: &[u8]) -> Result<&[u8], MessageError> {
    let (magic, rest) = packet.split_first_chunk::<8>().ok_or(MessageError::NoFrame)?;
    let (length, message) = rest.split_first_chunk::<4>().ok_or(MessageError::NoFrame)?;
    if *magic != MAGIC {
        return Err(MessageError::NoFrame);
    }
    let said = u32::from_le_bytes(*length);
    if usize::try_from(said).ok() != Some(message.len()) {
        return Err(MessageError::Length { said, there: message.len() });
    }
    Ok(message)
}

/// A length or an offset on the wire.
pub(super) fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_form_is_the_standards() {
        let bytes = write(&[(Tag::SIG, &[1; 4]), (Tag::VER, &[]), (Tag::NONC, &[2; 8])]);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "030000000400000004000000534947005645520\
             04e4f4e43010101010202020202020202"
        );
        let message = Message::read(&bytes).unwrap();
        assert_eq!(message.find(Tag::VER), Some(&[][..]));
        assert_eq!(message.find(Tag::NONC), Some(&[2; 8][..]));
        assert_eq!(message.find(Tag::SRV), None);
        let packet = frame(&bytes);
        assert_eq!(&packet[..12], b"ROUGHTIM\x24\0\0\0");
        assert_eq!(unframe(&packet), Ok(&bytes[..]));
    }

    #[test]
    fn other_forms_are_refused() {
        let good = write(&[(Tag::SIG, &[1; 4]), (Tag::NONC, &[2; 8])]);
        let with = |at: usize, word: u32| {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            bytes
        };
        for (bytes, why) in [
            (vec![], MessageError::Truncated),
            (vec![0; 3], MessageError::Unaligned),
            (with(0, 0), MessageError::Tags(0)),
            (with(0, 33), MessageError::Tags(33)),
            (with(0, 9), MessageError::Truncated),
            (with(4, 5), MessageError::Unaligned),
            (with(4, 16), MessageError::Offsets),
            (with(8, Tag::NONC.number()), MessageError::Order),
            (with(8, u32::MAX), MessageError::Order),
        ] {
            assert_eq!(Message::read(&bytes), Err(why), "{bytes:?}");
        }
        let packet = frame(&good);
        assert_eq!(unframe(&packet[..8]), Err(MessageError::NoFrame));
        assert_eq!(unframe(&packet[1..]), Err(MessageError::NoFrame));
        assert!(matches!(unframe(&packet[..packet.len() - 4]), Err(MessageError::Length { .. })));
    }

    proptest! {
        #[test]
        fn one_form_only(mut words in prop::collection::vec(any::<u32>(), 1..60), count in 0_u32..6) {
            words[0] = count;
            // Small offsets and tags, so that many are in order.
            for word in words.iter_mut().take(12).skip(1) {
                *word %= 128;
            }
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            if let Ok(message) = Message::read(&bytes) {
                let fields: Vec<_> = message.fields().collect();
                prop_assert_eq!(write(&fields), bytes);
            }
        }
    }
}
