//! The vocabulary that every other crate speaks: instants and lengths of time,
//! NTP's wire formats of them, typed ids, phone numbers, cycles of one-time keys, languages, time zones, the clock as a
//! port, and the proven instant that every entry in the log carries.
//!
//! Nothing here reads a clock, a file or the network.

mod clock;
mod cycle;
mod ids;
mod language;
mod ntp;
mod phone;
mod proven;
mod time;
mod zone;

pub use clock::{Clock, Reading};
pub use cycle::{CycleTime, CycleTimeError};
pub use ids::{
    AgentId, CentreId, CodeId, CustomerId, DeliveryId, EntryId, IdError, IncidentId, KeyTokenId, MachineId,
    MessageId, NtpServerId, PasskeyId, PersonId, ReportId, RequestId, SessionId, ShareId, StaffId, SubjectId,
    TokenId, WebhookId,
};
pub use language::{Language, UnknownLanguage};
pub use ntp::{NtpShort, NtpTimestamp};
pub use phone::{Phone, PhoneError};
pub use proven::{ClockVerdict, ProvenInstant};
pub use time::{Monotonic, Nanos, Ppb, TimeError, UnixTime};
pub use zone::{Month, Zone, ZoneError};
