//! What a relying party asks of a person: one state machine for every purpose and every method.
//!
//! A [`Request`] is started with a purpose, what to show, and the combinations of methods that it accepts. One browser
//! opens it and is bound to it; that browser's answers are judged elsewhere, each by its own method, and only the verdicts
//! come here. It ends once: accepted, refused, expired or cancelled.
//!
//! Pure: instants are handed in, secrets come as hashes, and nothing here knows where a row is kept or who judges.

mod method;
mod request;
mod return_to;
mod tries;

pub use method::{Accepted, AcceptedError, MOST_COMBINATIONS, Method, Methods, UnknownMethod};
pub use request::{
    End, Judged, LIFETIMES, MOST_WRONG, Opened, Progress, Purpose, Refused, Request, Start, StartError,
    UnknownWord, Verdict,
};
pub use return_to::{MOST_ORIGINS, Origin, Origins, ReturnError, ReturnTo};
pub use tries::{Allowance, Tries};
