//! Who may do what: names, passwords, secrets that are shown once, sessions, scopes, and the
//! enrolment codes by which a new agent and a centre recognise each other.
//!
//! Pure: instants and randomness are handed in, and nothing here knows where a row is kept.

mod code;
mod name;
mod password;
mod role;
mod scope;
mod secret;
mod session;

pub use code::{CODE_LIFETIME, CodeError, EnrolmentCode, fingerprint, possession};
pub use name::{Name, NameError};
pub use password::{Password, PasswordError, PasswordHash};
pub use role::{Grant, Reach, Role, RoleError};
pub use scope::{Scope, Scopes, UnknownScope};
pub use secret::{Secret, SecretError, SecretHash};
pub use session::{SESSION_IDLE, SESSION_LIFETIME, SessionTimes};
