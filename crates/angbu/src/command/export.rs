//! `angbu export`: writes what a centre knows of clocks to a file that other programs read.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write as _;

use anyhow::Context as _;
use serde_json::json;

use angbu_units::UnixTime;

use super::{ExportArguments, Failure, Output};

/// Writes the file.
pub(super) fn run(arguments: &ExportArguments) -> Result<(), Failure> {
    let ExportArguments { what, customer, agent, from, to, format, output, json, centre } = arguments;
    if !["exchanges", "periods", "summaries"].contains(&what.as_str()) {
        return Err(Failure::Usage(format!(
            "'{what}' cannot be exported; exchanges, periods and summaries can"
        )));
    }
    if !["csv", "parquet"].contains(&format.as_str()) {
        return Err(Failure::Usage(format!("--format is csv or parquet, not '{format}'")));
    }
    let instant = |option: &str, text: &str| {
        UnixTime::parse_rfc3339(text).map_err(|error| Failure::Usage(format!("{option}: {error}")))
    };
    let (from, to) = (instant("--from", from)?, instant("--to", to)?);
    if to <= from {
        return Err(Failure::Usage("--to lies before --from; give the period's begin first".into()));
    }
    let whose = match (agent, customer) {
        (Some(agent), _) => format!("agents/{}", plain("--agent", agent)?),
        (None, Some(customer)) => format!("customers/{}", plain("--customer", customer)?),
        (None, None) => return Err(Failure::Usage("whose? give --customer or --agent".into())),
    };
    let path = format!("/api/v1/time/{whose}/export?what={what}&format={format}&from={from}&to={to}");
    let client = centre.client()?;
    let file = File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
    let mut file = BufWriter::new(file);
    let bytes = client.download(&path, &mut file).map_err(anyhow::Error::from)?;
    file.flush().with_context(|| format!("cannot write {}", output.display()))?;
    Output::new(*json).result(&json!({ "file": output.display().to_string(), "bytes": bytes }), || {
        format!("{} written, {bytes} bytes", output.display())
    });
    Ok(())
}

/// A name or id that can stand in an address as it is.
fn plain<'a>(option: &str, text: &'a str) -> Result<&'a str, Failure> {
    let good = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if good && !text.is_empty() {
        Ok(text)
    } else {
        Err(Failure::Usage(format!("{option}: '{text}' is no name")))
    }
}
