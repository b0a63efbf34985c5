//! One file of the spool.
//!
//! ```text
//! header   "angbuspl"  version 1 (1 byte)  first sequence number (8)  nonce (12)  seal over nothing (16)
//! frame    length of what is sealed, with its tag (4)  nonce (12)  sealed item
//! item     0x00 record | 0x01 last lost number (8) when it was noticed, Unix ns (8)
//! ```
//! The file `chain` beside the segments is a nonce and sealed the number of a record (8) and the chain of the records before it
//! (32); its associated data is `angbu/1 spool chain`.
//!
//! Numbers are big-endian. Seals are AES-256-GCM-SIV with a random nonce; the associated data is the header's
//! first 17 bytes for the header, and `angbu/1 spool`, a line feed and the item's sequence number for an item,
//! so that no item can be moved. Sequence numbers run on from the header's by one for each record, and past
//! the last lost number for a loss.

use aes_gcm_siv::aead::{Aead as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce};
use angbu_time::chain::Chain;
use angbu_units::UnixTime;
use rand::Rng as _;

use super::{Item, LONGEST_RECORD, Lost};

const MAGIC: &[u8; 9] = b"angbuspl\x01";
const CHAIN: &[u8] = b"angbu/1 spool chain\n";
const NONCE: usize = 12;
const TAG: usize = 16;
const NAMED: usize = MAGIC.len() + 8;

/// The length of a segment's header.
pub(super) const HEADER: usize = NAMED + NONCE + TAG;

/// The most that one frame can hold beside its length and nonce.
const LONGEST_SEALED: usize = 1 + LONGEST_RECORD + TAG;

/// The header is whole, but this key does not open it.
#[derive(Debug)]
pub(super) struct WrongKey;

/// What seals and opens segments.
pub(super) struct Sealer(Aes256GcmSiv);

/// What a segment's bytes hold, up to the first that is torn or spoilt.
pub(super) struct Contents {
    /// The items with their sequence numbers, in order.
    pub(super) items: Vec<(u64, Item)>,
    /// The sequence number after the last of them.
    pub(super) next: u64,
    /// How many bytes of the file are whole.
    pub(super) whole: usize,
    /// Where each item's frame begins.
    pub(super) starts: Vec<usize>,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256GcmSiv::new(key.into()))
    }

    /// The header of a segment whose first item has this number.
    pub(super) fn header(&self, first: u64) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&first.to_be_bytes());
        let (nonce, sealed) = self.seal(&[], &header);
        header.extend_from_slice(&nonce);
        header.extend_from_slice(&sealed);
        header
    }

    /// The frame of an item.
    pub(super) fn frame(&self, seq: u64, item: &Item) -> Vec<u8> {
        let (nonce, sealed) = self.seal(&item.encode(), &associated(seq));
        let length =
            u32::try_from(sealed.len()).expect("broken invariant: a record's length is checked before");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&nonce);
        frame.extend_from_slice(&sealed);
        frame
    }

    /// The file of the chain before a record.
    pub(super) fn chain(&self, seq: u64, chain: &Chain) -> Vec<u8> {
        let plain = [&seq.to_be_bytes()[..], chain.as_bytes()].concat();
        let (nonce, sealed) = self.seal(&plain, CHAIN);
        [&nonce[..], &sealed].concat()
    }

    /// What that file says; none where it is spoilt.
    pub(super) fn read_chain(&self, bytes: &[u8]) -> Option<(u64, Chain)> {
        let plain = self.open(bytes, CHAIN)?;
        let (seq, chain) = plain.split_first_chunk()?;
        Some((u64::from_be_bytes(*seq), Chain::from_bytes(chain.try_into().ok()?)))
    }

    /// Reads what a segment holds that by its name begins with item `first`.
    /// A header that is cut short is that of a segment that holds nothing.
    pub(super) fn read(&self, first: u64, bytes: &[u8]) -> Result<Contents, WrongKey> {
        let mut contents = Contents { items: Vec::new(), next: first, whole: 0, starts: Vec::new() };
        let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else { return Ok(contents) };
        let (named, seal) = header.split_at(NAMED);
        let expected = [MAGIC.as_slice(), &first.to_be_bytes()].concat();
        if named != expected || self.open(seal, named).is_none() {
            return Err(WrongKey);
        }
        contents.whole = HEADER;
        while let Some((item, length)) = self.read_frame(contents.next, rest) {
            contents.starts.push(contents.whole);
            let next = item.after(contents.next);
            contents.items.push((contents.next, item));
            contents.next = next;
            contents.whole += length;
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(contents)
    }

    /// The item at the beginning of `bytes`, and how long its frame is.
    fn read_frame(&self, seq: u64, bytes: &[u8]) -> Option<(Item, usize)> {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if length > LONGEST_SEALED {
            return None;
        }
        let item = Item::decode(seq, &self.open(rest.get(..NONCE + length)?, &associated(seq))?)?;
        Some((item, 4 + NONCE + length))
    }

    fn seal(&self, plain: &[u8], aad: &[u8]) -> ([u8; NONCE], Vec<u8>) {
        let mut nonce = [0; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let sealed = self
            .0
            .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
            .expect("broken invariant: sealing fails only beyond 64 GiB");
        (nonce, sealed)
    }

    fn open(&self, nonce_and_sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let (nonce, msg) = nonce_and_sealed.split_first_chunk::<NONCE>()?;
        self.0.decrypt(&Nonce::from(*nonce), Payload { msg, aad }).ok()
    }
}

impl Item {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Record(record) => [&[0], record.as_slice()].concat(),
            Self::Lost(lost) => {
                [&[1], lost.last.to_be_bytes().as_slice(), &lost.at.nanos().to_be_bytes()].concat()
            }
        }
    }

    fn decode(seq: u64, bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, record) => Some(Self::Record(record.to_vec())),
            (1, lost) => {
                let (last, at) = lost.split_first_chunk()?;
                let last = u64::from_be_bytes(*last);
                let at = UnixTime::from_nanos(i64::from_be_bytes(at.try_into().ok()?));
                (last >= seq && last < u64::MAX).then_some(Self::Lost(Lost { first: seq, last, at }))
            }
            _ => None,
        }
    }

    /// The sequence number that follows this item's.
    pub(super) fn after(&self, seq: u64) -> u64 {
        match self {
            Self::Record(_) => seq.saturating_add(1),
            Self::Lost(lost) => lost.last.saturating_add(1),
        }
    }
}

fn associated(seq: u64) -> Vec<u8> {
    [b"angbu/1 spool\n".as_slice(), &seq.to_be_bytes()].concat()
}
