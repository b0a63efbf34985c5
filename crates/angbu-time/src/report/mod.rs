//! The time report: what a customer's agents, proven entry by entry, show of each server's clock from one instant to another.
//!
//! [`render`] makes the whole file from proven data alone, by integer arithmetic alone, so that a verifier can make it again and compare
//! every byte. A verifier keeps every version of the rendering; the number in the report's subject says which.

mod facts;
pub(crate) mod figures;
pub(crate) mod html;
mod page;
mod pictures;
mod proof;
mod rows;
mod server;
mod signed;
mod window;
mod words;

use angbu_evidence::Kind;
use angbu_evidence::report::{Proven, embed};
pub use angbu_units::Language;
use angbu_units::{AgentId, EntryId};

use crate::chain::NotSigned;
use crate::events::EventError;
use crate::segment::SegmentError;
use crate::summary::SummaryError;

/// The kind of report, as it stands in its subject.
pub const KIND: &str = "time";

/// The newest version of the rendering.
pub const VERSION: u32 = 2;

/// The kind of entry that holds a customer's name and tolerance.
pub const CUSTOMER: Kind = Kind::constant("account.customer");

const fn number(language: Language) -> u32 {
    match language {
        Language::English => 1,
        Language::Korean => 2,
        Language::Japanese => 3,
    }
}

/// The version and the language of a rendering, if this program knows it.
fn version_and_language(rendering: u32) -> Option<(u32, Language)> {
    let version = rendering / 10;
    let language = Language::ALL.into_iter().find(|language| number(*language) == rendering % 10);
    language.filter(|_| (1..=VERSION).contains(&version)).map(|language| (version, language))
}

/// The number of the newest rendering in this language, for the report's subject: ten times the version, and the language.
pub const fn rendering(language: Language) -> u32 {
    VERSION * 10 + number(language)
}

/// Whether a time report shows this field of an entry of this kind. All other fields stay hidden, as do those of entries that are only
/// there so that none is left out.
pub fn shows(kind: &Kind, field: &str) -> bool {
    match kind.as_str() {
        "clock.state" | "evidence.manifest" => true,
        "evidence.erasure" => matches!(field, "entry" | "fields" | "reason"),
        "account.customer" => matches!(field, "name" | "tolerance-ns" | "revision"),
        // To whom else a customer showed what is nobody's business but its own.
        "time.share" | "time.share-view" | "time.monthly" => false,
        kind => kind.starts_with("time."),
    }
}

/// Why no report can be made from what was proven. Entries are named by their log index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Another kind of report.
    #[error("this is a report of the kind '{0}', not of time")]
    Kind(String),
    /// A rendering that this program does not know.
    #[error("rendering {0} of the time report is not known to this program; use a newer one")]
    Rendering(u32),
    /// A segment that cannot be read.
    #[error("entry {index} cannot be read: {why}")]
    Segment {
        /// Which.
        index: u64,
        /// Why not.
        why: SegmentError,
    },
    /// A summary that cannot be read.
    #[error("entry {index} cannot be read: {why}")]
    Summary {
        /// Which.
        index: u64,
        /// Why not.
        why: SummaryError,
    },
    /// A summary that names other segments than those that stand in the log.
    #[error("entry {index} summarises segments whose root is not the one that it says")]
    SummaryRoot {
        /// Which.
        index: u64,
    },
    /// An event or an enrolment that cannot be read.
    #[error("entry {index} cannot be read: {why}")]
    Event {
        /// Which.
        index: u64,
        /// Why not.
        why: EventError,
    },
    /// A field that is not shown or does not read.
    #[error("entry {index} does not show the field '{field}', or it cannot be read")]
    Field {
        /// Which.
        index: u64,
        /// Which field.
        field: &'static str,
    },
    /// An entry that another one rests on is not in the report.
    #[error("entry {index} rests on the entry {missing}, which is not in the report")]
    Missing {
        /// The entry that is there.
        index: u64,
        /// The one that is not.
        missing: EntryId,
    },
    /// Records of an agent whose enrolment is not in the report.
    #[error("entry {index} is of {agent}, whose enrolment is not in the report")]
    NotEnrolled {
        /// The entry.
        index: u64,
        /// The agent.
        agent: AgentId,
    },
    /// A segment without its agent's signature.
    #[error("entry {index} does not show that the agent signed its records")]
    Unsigned {
        /// Which.
        index: u64,
    },
    /// Records that the agent did not sign as they are.
    #[error("entry {index}: {why}")]
    NotSigned {
        /// The segment.
        index: u64,
        /// What is wrong.
        why: NotSigned,
    },
    /// Records that do not follow those before them.
    #[error("the records of entry {index} do not follow those that the agent signed before them")]
    Unlinked {
        /// The segment.
        index: u64,
    },
    /// An event that the agent did not sign, or otherwise.
    #[error("the agent did not sign the event of entry {index}")]
    Invented {
        /// The event's entry.
        index: u64,
    },
    /// An event that the agent signed and that is not in the report.
    #[error("entry {index} shows that {agent} signed record {seq}, whose own entry is not in the report")]
    LeftOut {
        /// The segment.
        index: u64,
        /// The agent.
        agent: AgentId,
        /// The record.
        seq: u64,
    },
    /// One record of an agent stands in two entries.
    #[error("two entries hold record {seq} of {agent}")]
    Twice {
        /// The agent.
        agent: AgentId,
        /// The record.
        seq: u64,
    },
}

/// Makes the report's file. `package_text` is the evidence as it stands inside the file.
///
/// # Errors
/// [`RenderError`].
pub fn render(proven: &Proven, package_text: &str) -> Result<String, RenderError> {
    if proven.subject.kind != KIND {
        return Err(RenderError::Kind(proven.subject.kind.clone()));
    }
    let asked = proven.subject.rendering;
    let (version, language) = version_and_language(asked).ok_or(RenderError::Rendering(asked))?;
    let words = words::of(language);
    let facts = facts::Facts::gather(proven, version, words)?;
    let (head, tail) = page::page(&facts, words);
    Ok(embed(&head, package_text, &tail))
}
