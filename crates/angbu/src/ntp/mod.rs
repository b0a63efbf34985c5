//! NTP at the centre's rim, as far as an agent has none of it: what the centre measures of its upstreams.

pub mod upstream;
