//! Everything that can be wrong with a report, each with its own name.

use angbu_units::{CustomerId, UnixTime};

use crate::body::BodyError;
use crate::checkpoint::CheckpointError;
use crate::entry::EntryError;
use crate::merkle::ProofError;
use crate::note::KeyError;

/// The first wrong thing in a report. Entries are named by their log index, lines by their number
/// in the evidence block, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file is larger than reports are.
    #[error("the file is larger than the {limit} bytes that a report can have", limit = super::LARGEST)]
    TooLarge,
    /// No evidence block begins.
    #[error(
        "the file has no evidence in it: it is no report, or the line where the evidence begins was changed"
    )]
    NoEvidence,
    /// The evidence block does not end.
    #[error("the evidence has no end: the file was cut short, or the line after the evidence was changed")]
    EvidenceNotEnded,
    /// More than one evidence block begins.
    #[error("the file has evidence in it twice; a report has it once")]
    EvidenceTwice,
    /// Bytes that are not UTF-8.
    #[error("line {line} of the evidence is not UTF-8 text")]
    NotText {
        /// The line.
        line: usize,
    },
    /// A character that evidence never has.
    #[error("line {line} of the evidence has a character in it that evidence never has: {character:?}")]
    ForbiddenCharacter {
        /// The line.
        line: usize,
        /// The character.
        character: char,
    },
    /// A line that is not what belongs there.
    #[error("line {line} of the evidence should be {expected}")]
    BadLine {
        /// The line.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// A number that is none, or not in its one spelling.
    #[error(
        "line {line} of the evidence should have a decimal number there, without sign or leading zeros and not too large: '{found}'"
    )]
    BadNumber {
        /// The line.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A hash that is none, or not in its one spelling.
    #[error("line {line} of the evidence should have a hash there, 32 bytes in base64")]
    BadHash {
        /// The line.
        line: usize,
    },
    /// Fields that no body has.
    #[error("the fields of entry {index} make no body: {why}")]
    BadFields {
        /// The entry's log index.
        index: u64,
        /// What is wrong with them.
        why: BodyError,
    },

    /// The report cannot be proven without the log's key.
    #[error(
        "signer not given: pass the log's key, received by another way than this report, which claims to be signed by '{claimed}'"
    )]
    SignerNotGiven {
        /// Whose signature the checkpoint claims to have.
        claimed: String,
    },
    /// The checkpoint is none, or its signature is wrong.
    #[error("the checkpoint is refused: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A signer's line that is no key.
    #[error("line {line} of the evidence should be 'signer' and a verifier key: {why}")]
    BadSigner {
        /// The line.
        line: usize,
        /// What is wrong with the key.
        why: KeyError,
    },
    /// Another number of signers than of signatures.
    #[error("the checkpoint has {signatures} signatures, but the report names {signers} signers")]
    SignerCount {
        /// How many signature lines there are.
        signatures: usize,
        /// How many signer lines there are.
        signers: usize,
    },
    /// A signature that is not by the signer in the same place.
    #[error(
        "the signature by '{name}' (key {key_id}) is not by the signer that the report names for it, '{signer}'"
    )]
    OtherSigner {
        /// The name on the signature line.
        name: String,
        /// The key's id in hexadecimal.
        key_id: String,
        /// The signer's name.
        signer: String,
    },
    /// None of the log's keys that were given has signed.
    #[error("none of the log's keys that were given has signed the checkpoint; it is signed by {signers}")]
    NotSignedByGiven {
        /// The names and ids of the keys that signed.
        signers: String,
    },
    /// A signer that is neither the log nor a witness.
    #[error("'{name}' signed the checkpoint as a log would, but it is the checkpoint of '{origin}'")]
    OtherLog {
        /// The signer's name.
        name: String,
        /// The log's name.
        origin: String,
    },
    /// Signatures in another order than the log's first and then the witnesses' by name.
    #[error(
        "the signature of '{name}' stands in the wrong place: the log's come first, then each witness's once, by name"
    )]
    SignatureOutOfOrder {
        /// The name on the signature line.
        name: String,
    },
    /// A witness that the verifier asks for has not signed.
    #[error("the witness '{0}' has not cosigned the checkpoint")]
    WitnessMissing(String),

    /// The period ends before it begins, or is empty.
    #[error("the period ends at {to}, which is not after its beginning at {from}")]
    PeriodReversed {
        /// The first instant.
        from: UnixTime,
        /// The first instant after it.
        to: UnixTime,
    },
    /// The report names no customer.
    #[error("the report is about the site itself; reports are about a customer")]
    NoCustomer,
    /// An item whose text is no entry.
    #[error("entry {index} is no entry: {why}")]
    BadEntry {
        /// The entry's log index.
        index: u64,
        /// What is wrong with it.
        why: EntryError,
    },
    /// An item that does not come after the one before it.
    #[error("entry {index} does not come after entry {before}, which stands before it")]
    OutOfOrder {
        /// The entry's log index.
        index: u64,
        /// The log index of the item before it.
        before: u64,
    },
    /// An item that the checkpoint does not reach.
    #[error("entry {index} lies outside the log, which has {size} entries")]
    OutsideLog {
        /// The entry's log index.
        index: u64,
        /// The log's size.
        size: u64,
    },
    /// An entry of somebody else.
    #[error("entry {index} belongs to {found}, not to {expected}, whose report this is")]
    OtherCustomer {
        /// The entry's log index.
        index: u64,
        /// Whose it is.
        found: CustomerId,
        /// Whose report this is.
        expected: CustomerId,
    },
    /// Fields that do not have the root that their entry commits to.
    #[error(
        "a field of entry {index} ({kind}) is not what the log holds: its name, value or salt was changed"
    )]
    FieldChanged {
        /// The entry's log index.
        index: u64,
        /// The entry's kind.
        kind: String,
    },
    /// An entry that the log does not hold at that place.
    #[error("entry {index} is not what the log holds there: the entry, or a hash beside it, was changed")]
    NotInLog {
        /// The entry's log index.
        index: u64,
    },
    /// Hashes of the proof that do not lead to the root.
    #[error(
        "the proof's hashes over the entries {first} to {last} do not lead to the log's root: one of them was changed"
    )]
    WrongNodes {
        /// The first entry below them.
        first: u64,
        /// The last entry below them.
        last: u64,
    },
    /// A proof with too few hashes.
    #[error("the proof ends too early: hashes are missing")]
    MissingNodes,
    /// A proof with hashes that prove nothing.
    #[error("the proof has {0} more hashes than its entries need")]
    ExtraNodes(usize),

    /// The manifest's entry is not among the items.
    #[error("the manifest's entry, {index}, is not in the report")]
    ManifestMissing {
        /// The log index at which the report says it is.
        index: u64,
    },
    /// The entry named as the manifest's is none.
    #[error("entry {index} is no manifest of this log: its kind, its owner or its fields say something else")]
    NotAManifest {
        /// The entry's log index.
        index: u64,
    },
    /// The manifest was made before the period ended.
    #[error(
        "the manifest was made at {made}, before the period's end at {to}; entries could be missing after it"
    )]
    ManifestTooEarly {
        /// When it was made.
        made: UnixTime,
        /// The period's end.
        to: UnixTime,
    },
    /// The manifest counts too little of the log to reach the period's end.
    #[error(
        "the manifest counts the log's first {size} entries, and none of them in this report is as late as the period's end at {to}; entries could be missing after {latest}"
    )]
    ManifestTooShort {
        /// How many of the log's entries it counts.
        size: u64,
        /// The latest instant among those of them that the report shows.
        latest: UnixTime,
        /// The period's end.
        to: UnixTime,
    },
    /// The customer's leaf is not in the manifest.
    #[error("the manifest does not count {customer}'s entries as the report says: {why}")]
    ManifestLeaf {
        /// The customer.
        customer: CustomerId,
        /// What is wrong with the proof.
        why: ProofError,
    },
    /// The report counts other numbers of customers than the manifest.
    #[error("the report says that the manifest counts {claimed} customers, but it counts {counted}")]
    ManifestCustomers {
        /// What the report says.
        claimed: u64,
        /// What the manifest says.
        counted: u64,
    },
    /// Entries between two others are left out.
    #[error("{}: the report has none between {before} and {after}", missing(*first, *last, customer))]
    EntriesMissing {
        /// The first missing running number.
        first: u64,
        /// The last missing running number.
        last: u64,
        /// Whose they are.
        customer: CustomerId,
        /// The instant of the entry before them.
        before: UnixTime,
        /// The instant of the entry after them.
        after: UnixTime,
    },
    /// Nothing shows that the period is covered from its beginning on.
    #[error(
        "{}, and with it whatever leads back to the period's beginning at {from}: the report has nothing from there to {after}",
        missing(*number, *number, customer)
    )]
    BeginningMissing {
        /// The last missing running number.
        number: u64,
        /// Whose it is.
        customer: CustomerId,
        /// The period's beginning.
        from: UnixTime,
        /// The instant of the entry after it.
        after: UnixTime,
    },
    /// The last entries are left out.
    #[error("{}: the manifest counts them, but {}", missing(*first, *last, customer), ends(*after))]
    TailMissing {
        /// The first missing running number.
        first: u64,
        /// The last missing running number, which is the manifest's count.
        last: u64,
        /// Whose they are.
        customer: CustomerId,
        /// The instant of the last entry that is there, if any is.
        after: Option<UnixTime>,
    },
    /// A running number that is not larger than the one before it.
    #[error("entry {index} has the running number {number}, which does not come after {before}")]
    NumberOutOfOrder {
        /// The entry's log index.
        index: u64,
        /// Its running number.
        number: u64,
        /// The running number before it.
        before: u64,
    },
    /// A customer's entry that the manifest does not count.
    #[error("entry {index} has the running number {number}, but the manifest counts only {count}")]
    BeyondManifest {
        /// The entry's log index.
        index: u64,
        /// Its running number.
        number: u64,
        /// The manifest's count.
        count: u64,
    },
    /// A customer's first or last entry that stands elsewhere than the manifest says.
    #[error("entry number {number} stands at {index}, but the manifest says {counted}")]
    OtherPlace {
        /// The running number.
        number: u64,
        /// The entry's log index.
        index: u64,
        /// The log index that the manifest gives.
        counted: u64,
    },
    /// An entry names a clock state that is not in the report.
    #[error("entry {index} rests on the clock state at {clock_state}, which is not in the report")]
    ClockStateMissing {
        /// The entry's log index.
        index: u64,
        /// The log index that it names.
        clock_state: u64,
    },
    /// An entry names as its clock state what is none, or one that comes later.
    #[error("entry {index} rests on entry {clock_state} as its clock state, which is none or comes later")]
    NotAClockState {
        /// The entry's log index.
        index: u64,
        /// The log index that it names.
        clock_state: u64,
    },
    /// An entry claims a clock that nothing shows.
    #[error("entry {index} says that its clock is {verdict}, but names no clock state that shows it")]
    ClockUnfounded {
        /// The entry's log index.
        index: u64,
        /// What it says.
        verdict: &'static str,
    },

    /// The pillar cannot render a report from this evidence.
    #[error("the readable part cannot be made from the evidence: {0}")]
    NotRendered(String),
    /// The readable part says something else than the evidence.
    #[error(
        "the readable part differs from the evidence at line {line} (byte {offset}): it has '{found}' where the evidence says '{expected}'"
    )]
    Differs {
        /// The line in the file, from 1.
        line: usize,
        /// The byte in the file, from 0.
        offset: usize,
        /// What stands there in the file, in excerpt.
        found: String,
        /// What should stand there, in excerpt.
        expected: String,
    },
}

fn missing(first: u64, last: u64, customer: &CustomerId) -> String {
    if first == last {
        format!("entry number {first} of {customer} is missing")
    } else {
        format!("the entries number {first} to {last} of {customer} are missing")
    }
}

fn ends(after: Option<UnixTime>) -> String {
    after.map_or_else(
        || "the report has no entry of this customer".to_owned(),
        |after| format!("the customer's last entry in the report is of {after}"),
    )
}
