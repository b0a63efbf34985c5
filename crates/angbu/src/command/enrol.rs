//! `angbu enrol`: one-time codes by which something joins the centre.

use serde_json::json;

use super::{CentreArguments, Failure, Output};

/// Makes a code for an agent and prints it: it is shown this once.
pub(super) fn agent(
    centre: &CentreArguments,
    customer: &str,
    name: &str,
    output: Output,
) -> Result<(), Failure> {
    let enrolment = centre.client()?.enrol_agent(customer, name).map_err(anyhow::Error::from)?;
    output.result(
        &json!({ "code": enrolment.code, "expires_at": enrolment.expires_at, "customer": customer, "name": name }),
        || {
            format!(
                "{}\n\ngood once, until {}; put it into the configuration of the agent on {name}:\n\
                 centre = \"{}\"\nname = \"{name}\"\ncode = \"{}\"",
                enrolment.code, enrolment.expires_at, centre.url, enrolment.code
            )
        },
    );
    Ok(())
}
