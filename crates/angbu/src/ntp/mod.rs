//! NTP at the centre's rim, as far as an agent has none of it: what the centre measures of its upstreams, and the keys of
//! protected time.

pub(crate) mod epochs;
pub(crate) mod key_exchange;
pub mod upstream;
