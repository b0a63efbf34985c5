//! Who may do what: names and login ids, passwords, secrets that are shown once, sessions, roles and scopes, the
//! joining data of people, and the enrolment codes by which a joiner and a centre recognise each other.
//!
//! Pure: instants and randomness are handed in, and nothing here knows where a row is kept.

mod birthday;
mod code;
mod email;
mod joining;
mod login_id;
mod name;
mod password;
mod personal;
mod role;
mod scope;
mod secret;
mod session;

pub use birthday::{Birthday, BirthdayError};
pub use code::{CODE_LIFETIME, CodeError, EnrolmentCode, fingerprint, possession};
pub use email::{EmailAddress, EmailError};
pub use joining::{Joining, JoiningError, Wish};
pub use login_id::{LoginId, LoginIdError};
pub use name::{Name, NameError};
pub use password::{Password, PasswordError, PasswordHash};
pub use personal::is_personal;
pub use role::{Grant, Reach, Role, RoleError};
pub use scope::{Scope, Scopes, UnknownScope};
pub use secret::{Secret, SecretError, SecretHash};
pub use session::{SESSION_IDLE, SESSION_LIFETIME, SessionTimes};
