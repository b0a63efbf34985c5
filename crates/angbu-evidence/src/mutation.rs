//! For tests: bytes that are nearly right, which find more in a decoder than random ones.

use proptest::prelude::*;
use proptest::sample::Index;

/// One change to some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    // The bytes between two places once more, which repeats lines and fields.
    Repeat(Index, Index),
}

/// Up to three changes, to be applied with [`mutate`].
#[derive(Debug, Clone)]
pub(crate) struct Edits(Vec<Edit>);

pub(crate) fn edits() -> impl Strategy<Value = Edits> {
    // Bytes that texts are made of, and any others.
    let byte = prop_oneof![prop::sample::select(b"\n 0123456789+-/=abcdefXYZ.<&\0".to_vec()), any::<u8>()];
    let place = any::<Index>;
    let edit = prop_oneof![
        4 => (place(), byte.clone()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => (place(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        2 => place().prop_map(Edit::Remove),
        1 => place().prop_map(Edit::Cut),
        1 => (place(), place()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ];
    prop::collection::vec(edit, 0..=3).prop_map(Edits)
}

pub(crate) fn mutate(bytes: impl AsRef<[u8]>, edits: &Edits) -> Vec<u8> {
    let mut bytes = bytes.as_ref().to_vec();
    for edit in &edits.0 {
        if bytes.is_empty() {
            break;
        }
        match edit {
            Edit::Replace(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Edit::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Edit::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
            }
            Edit::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Edit::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let again = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, again);
            }
        }
    }
    bytes
}
