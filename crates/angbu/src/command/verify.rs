//! `angbu verify`: checks a report, offline.

use anyhow::Context as _;
use serde_json::json;

use angbu_client::verify_report;
use angbu_evidence::note::VerifierKey;
use angbu_evidence::report::{Proven, Trust};

use super::{Failure, Output, VerifyArguments};

/// Checks a report's file: 0 proven, 1 refused with the first wrong thing named, 2 usage.
pub(super) fn run(arguments: &VerifyArguments) -> Result<(), Failure> {
    let output = Output::new(arguments.json);
    let trust = Trust {
        log: arguments.key.as_deref().map(|text| key("--key", text)).transpose()?,
        witnesses: arguments.witness.iter().map(|text| key("--witness", text)).collect::<Result<_, _>>()?,
    };
    let file = std::fs::read(&arguments.file)
        .with_context(|| format!("cannot read {}", arguments.file.display()))
        .map_err(|error| Failure::Usage(format!("{error:#}")))?;
    match verify_report(&file, &trust) {
        Ok(proven) => {
            output.result(&summary(&proven), || words(&proven));
            Ok(())
        }
        Err(refusal) => {
            output.object(&json!({ "proven": false, "refusal": refusal.to_string() }));
            Err(Failure::Refused(anyhow::anyhow!("not proven: {refusal}")))
        }
    }
}

fn key(option: &str, text: &str) -> Result<VerifierKey, Failure> {
    text.trim().parse().map_err(|error| Failure::Usage(format!("{option}: {error}")))
}

fn summary(proven: &Proven) -> serde_json::Value {
    json!({
        "proven": true,
        "kind": proven.subject.kind,
        "customer": proven.subject.customer.to_string(),
        "from": proven.subject.from.to_string(),
        "to": proven.subject.to.to_string(),
        "entries": proven.entries.len(),
        "complete_from": proven.complete_from,
        "complete_to": proven.counter.count,
        "log": { "origin": proven.checkpoint.origin, "size": proven.checkpoint.size, "root": proven.checkpoint.root.to_string() },
        "signers": proven.signers.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn words(proven: &Proven) -> String {
    let subject = &proven.subject;
    format!(
        "proven: a {} report of {} from {} to {}\n\
         every byte follows from {} entries of the log {}, size {}, root {}\n\
         the customer's entries {} to {} are all there",
        subject.kind,
        subject.customer,
        subject.from.rfc3339(0),
        subject.to.rfc3339(0),
        proven.entries.len(),
        proven.checkpoint.origin,
        proven.checkpoint.size,
        proven.checkpoint.root,
        proven.complete_from,
        proven.counter.count,
    )
}
