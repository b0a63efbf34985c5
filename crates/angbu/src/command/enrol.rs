//! `angbu enrol`: one-time codes by which something joins the centre.

use serde_json::json;

use super::{EnrolArguments, Failure, Output};

/// What joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    Person,
    Host,
    RelyingParty,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Person => "person",
            Self::Host => "host",
            Self::RelyingParty => "relying-party",
        }
    }
}

/// Makes a code and prints it: it is shown this once.
pub(super) fn run(kind: Kind, arguments: &EnrolArguments) -> Result<(), Failure> {
    let EnrolArguments { customer, name, json, centre } = arguments;
    let enrolment = centre.client()?.enrol(kind.word(), customer, name).map_err(anyhow::Error::from)?;
    let (code, expires_at) = (&enrolment.code, &enrolment.expires_at);
    let facts = json!({
        "code": code, "expires_at": expires_at, "kind": kind.word(), "customer": customer, "name": name
    });
    Output::new(*json).result(&facts, || {
        let next = match kind {
            Kind::Agent => format!(
                "put it into the configuration of the agent on {name}:\n\
                 centre = \"{}\"\nname = \"{name}\"\ncode = \"{code}\"",
                centre.url
            ),
            Kind::Person => format!("hand it to {name}, who joins with it and chooses a password"),
            Kind::Host => format!("hand it to whoever sets up the host {name}"),
            Kind::RelyingParty => format!("hand it to whoever runs the application {name}"),
        };
        format!("{code}\n\ngood once, until {expires_at}; {next}")
    });
    Ok(())
}
