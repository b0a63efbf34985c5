//! `angbu verify`: checks a report, a receipt, a proof of a fork or of a Roughtime server's lie, offline.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use angbu_client::{is_malfeasance, read_malfeasance, verify_report};
use angbu_evidence::fork::{self, ForkProof};
use angbu_evidence::note::{KeyType, VerifierKey};
use angbu_evidence::report::{Proven, Trust};
use angbu_evidence::{Receipt, receipt};

use super::{Failure, Output, VerifyArguments};

/// What an agent's file begins with that holds two checkpoints without a proof.
const UNPROVEN: &str = "angbu/1 unproven-fork\n";

/// What was proven, for programs and for people.
type Told = (Value, String);

/// Checks a file: 0 proven, 1 refused with the first wrong thing named, 2 usage.
pub(super) fn run(arguments: &VerifyArguments) -> Result<(), Failure> {
    let output = Output::new(arguments.json);
    let keys = |option, texts: &[String], kind| -> Result<Vec<VerifierKey>, Failure> {
        texts.iter().map(|text| key(option, text, kind)).collect()
    };
    let trust = Trust {
        log: keys("--key", &arguments.key, KeyType::Log)?,
        witnesses: keys("--witness", &arguments.witness, KeyType::Witness)?,
    };
    let file = std::fs::read(&arguments.file)
        .with_context(|| format!("cannot read {}", arguments.file.display()))
        .map_err(|error| Failure::Usage(format!("{error:#}")))?;
    let told = match std::str::from_utf8(&file) {
        Ok(text) if text.starts_with(receipt::HEADER) => check_receipt(text, &trust),
        Ok(text) if text.starts_with(fork::HEADER) => check_fork(text, &trust),
        Ok(text) if text.starts_with(UNPROVEN) => {
            Err("these are two checkpoints that an agent was shown and that do not \
            prove a fork by themselves; keep the file, and compare both with what others hold"
                .to_owned())
        }
        _ if is_malfeasance(&file) => check_malfeasance(&file),
        _ => verify_report(&file, &trust).map(|proven| told(&proven)).map_err(|refusal| refusal.to_string()),
    };
    match told {
        Ok((object, words)) => {
            output.result(&object, || words);
            Ok(())
        }
        Err(refusal) => {
            output.object(&json!({ "proven": false, "refusal": refusal }));
            Err(Failure::Refused(anyhow::anyhow!("not proven: {refusal}")))
        }
    }
}

fn key(option: &str, text: &str, kind: KeyType) -> Result<VerifierKey, Failure> {
    let key: VerifierKey =
        text.trim().parse().map_err(|error| Failure::Usage(format!("{option}: {error}")))?;
    match (key.kind(), kind) {
        (KeyType::Witness, KeyType::Log) => {
            Err(Failure::Usage(format!("{option}: this is a witness's key; pass it as --witness")))
        }
        (KeyType::Log, KeyType::Witness) => {
            Err(Failure::Usage(format!("{option}: this is a log's key; a witness's has the type 4")))
        }
        _ => Ok(key),
    }
}

fn need_a_key(trust: &Trust) -> Result<(), String> {
    if trust.log.is_empty() {
        return Err("signer not given: pass the log's key, received by another way than this file".to_owned());
    }
    Ok(())
}

fn check_receipt(text: &str, trust: &Trust) -> Result<Told, String> {
    need_a_key(trust)?;
    let receipt = Receipt::decode(text).map_err(|error| error.to_string())?;
    let keys = [trust.log.as_slice(), &trust.witnesses].concat();
    let (entry, checkpoint, signers) = receipt.verify_by(&keys).map_err(|error| error.to_string())?;
    if let Some(missing) = trust.witnesses.iter().find(|witness| !signers.contains(witness)) {
        return Err(format!("the witness '{}' has not cosigned the checkpoint", missing.name()));
    }
    let object = json!({
        "proven": true,
        "kind": "receipt",
        "entry": { "index": receipt.index, "id": entry.id.to_string(), "kind": entry.kind.to_string(),
            "at": entry.time.to_string(), "customer": entry.customer.to_string(), "number": entry.number },
        "log": { "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.to_string() },
        "signers": signers.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let words = format!(
        "proven: entry {} of the log {} is\n{}the log then had {} entries, root {}\nsigned by {}",
        receipt.index,
        checkpoint.origin,
        entry.encode(),
        checkpoint.size,
        checkpoint.root,
        signers.iter().map(VerifierKey::name).collect::<Vec<_>>().join(", "),
    );
    Ok((object, words))
}

fn check_fork(text: &str, trust: &Trust) -> Result<Told, String> {
    need_a_key(trust)?;
    let proof = ForkProof::decode(text).map_err(|error| error.to_string())?;
    let fork = proof.verify(&trust.log).map_err(|error| error.to_string())?;
    let object = json!({
        "proven": true,
        "kind": "fork",
        "log": { "origin": fork.smaller.origin, "size": fork.smaller.size, "root": fork.smaller.root.to_string() },
        "other": { "size": fork.larger.size, "root": fork.larger.root.to_string(), "root_at_size": fork.instead.to_string() },
    });
    Ok((object, format!("proven: {fork}")))
}

/// No key is needed: which keys contradict one another is what the file shows, and whose they are is for the reader to know.
fn check_malfeasance(file: &[u8]) -> Result<Told, String> {
    let (chain, contradiction) = read_malfeasance(file).map_err(|error| error.to_string())?;
    let of = |number: usize| {
        let (link, reply) = chain.links().get(number).zip(chain.replies().get(number))?;
        let (earliest, latest) = reply.interval();
        let key = STANDARD.encode(link.public_key);
        let object = json!({ "reply": number + 1, "public_key": key, "midpoint": reply.midpoint, "radius": reply.radius });
        Some((object, format!("{} to {} (key {key})", earliest.rfc3339(0), latest.rfc3339(0))))
    };
    let (earlier, later) = of(contradiction.earlier)
        .zip(of(contradiction.later))
        .ok_or("the contradiction is not among the replies")?;
    let object = json!({ "proven": true, "kind": "malfeasance", "earlier": earlier.0, "later": later.0 });
    let words = format!(
        "proven: a Roughtime server lied\nreply {} says that it was\n  {}\nreply {}, which was asked for after that, says that it was\n  {}\n\
         both cannot be true; which of the two lied, other clocks tell",
        contradiction.earlier + 1,
        earlier.1,
        contradiction.later + 1,
        later.1,
    );
    Ok((object, words))
}

fn told(proven: &Proven) -> Told {
    (summary(proven), words(proven))
}

fn summary(proven: &Proven) -> Value {
    let signers = proven.signers.iter().map(|signer| {
        json!({
            "key": signer.key.to_string(),
            "given": proven.relied_on.contains(&signer.key),
            "cosigned_at": signer.cosigned_at.map(|at| at.to_string()),
        })
    });
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
        "signers": signers.collect::<Vec<_>>(),
    })
}

fn words(proven: &Proven) -> String {
    let subject = &proven.subject;
    let mut words = format!(
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
    );
    for signer in &proven.signers {
        let name = signer.key.name();
        let signed = match signer.cosigned_at {
            Some(at) => format!("\ncosigned by the witness {name} on {}", at.rfc3339(0)),
            None => format!("\nsigned by {name}"),
        };
        words.push_str(&signed);
        if !proven.relied_on.contains(&signer.key) {
            words.push_str(" (this key was not given, so that counts for nothing)");
        }
    }
    words
}
