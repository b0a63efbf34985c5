//! The portable proof that a Roughtime server lied, as JSON (RFC 10049, section 8.4.1).

use angbu_time::roughtime::LONGEST_PACKET;
use angbu_time::roughtime::chain::{Chain, ChainError, Contradiction, Link, MOST_LINKS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The longest report that is read: each link twice over in base64, and room for its names.
const LONGEST_REPORT: usize = MOST_LINKS * (2 * LONGEST_PACKET * 4 / 3 + 512);

/// Why a file proves no lie.
#[derive(Debug, thiserror::Error)]
pub enum MalfeasanceError {
    /// Longer than any report.
    #[error("the file is longer than a malfeasance report")]
    TooLong,
    /// Not JSON of this form.
    #[error("the file is no malfeasance report: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A value that is no base64, or of the wrong length.
    #[error("reply {number}: \"{name}\" is not the base64 of what belongs there")]
    Value {
        /// The reply's number, from 1.
        number: usize,
        /// The name of the value.
        name: &'static str,
    },
    /// The replies are no chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// All of them can be true.
    #[error("no two of the {0} replies contradict one another, so the file proves no lie")]
    NoContradiction(usize),
}

#[derive(Serialize, Deserialize)]
struct Report {
    responses: Vec<Response>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    rand: Option<String>,
    public_key: String,
    request: String,
    response: String,
}

/// The report of a chain.
pub fn write_malfeasance(chain: &Chain) -> String {
    let responses = chain.links().iter().map(|link| Response {
        rand: link.rand.map(|rand| STANDARD.encode(rand)),
        public_key: STANDARD.encode(link.public_key),
        request: STANDARD.encode(&link.request),
        response: STANDARD.encode(&link.response),
    });
    let report = Report { responses: responses.collect() };
    serde_json::to_string_pretty(&report).expect("broken invariant: text is JSON") + "\n"
}

/// Whether a file looks like a malfeasance report.
pub fn is_malfeasance(file: &[u8]) -> bool {
    file.trim_ascii_start().starts_with(b"{") && file.windows(11).any(|part| part == b"\"responses\"")
}

/// Reads a report and checks all of it: every signature, that each request follows from the reply before it, and that two of
/// the replies cannot both be true. Then at least one of their servers lied; which of them, only other clocks can tell.
///
/// # Errors
/// [`MalfeasanceError`], with the first reason for which the file proves nothing.
pub fn read_malfeasance(file: &[u8]) -> Result<(Chain, Contradiction), MalfeasanceError> {
    if file.len() > LONGEST_REPORT {
        return Err(MalfeasanceError::TooLong);
    }
    let report: Report = serde_json::from_slice(file)?;
    let links = (1..).zip(&report.responses).map(|(number, response)| link(number, response));
    let chain = Chain::check(links.collect::<Result<_, _>>()?)?;
    let contradiction =
        chain.contradiction().ok_or(MalfeasanceError::NoContradiction(chain.replies().len()))?;
    Ok((chain, contradiction))
}

fn link(number: usize, response: &Response) -> Result<Link, MalfeasanceError> {
    let bytes =
        |name, text: &str| STANDARD.decode(text).map_err(|_| MalfeasanceError::Value { number, name });
    let hash = |name, text: &str| -> Result<[u8; 32], MalfeasanceError> {
        bytes(name, text)?.try_into().map_err(|_| MalfeasanceError::Value { number, name })
    };
    Ok(Link {
        rand: response.rand.as_deref().map(|rand| hash("rand", rand)).transpose()?,
        public_key: hash("publicKey", &response.public_key)?,
        request: bytes("request", &response.request)?,
        response: bytes("response", &response.response)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_evidence::note::{Ed25519Signer, Signer as _};
    use angbu_time::roughtime::server::{Delegation, Round};
    use angbu_units::{Nanos, UnixTime};
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const NOW: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_000);

    /// A chain over servers by the seeds of their keys, each with what its clock is ahead.
    fn chain(servers: &[(u8, i64)]) -> Chain {
        let mut rng = StdRng::seed_from_u64(4);
        let mut chain = Chain::new();
        for (seed, ahead) in servers {
            let key = Ed25519Signer::new("roughtime", &[*seed; 32]).unwrap();
            let now = NOW + Nanos::from_secs(*ahead);
            let (from, until) = (now - Nanos::from_secs(9), now + Nanos::from_secs(9));
            let delegation = Delegation::new(&[&key], from, until, &mut rng).unwrap();
            let question = chain.question(key.verifier_key().public_key(), &mut rng);
            let mut round = Round::new(1);
            round.add(question.packet(), &delegation).unwrap();
            round.sign(&delegation, now, 1);
            chain.answered(&question, round.reply(0, &delegation)).unwrap();
        }
        chain
    }

    #[test]
    fn a_lie_is_proven_to_a_stranger_and_nothing_else_is() {
        let lie = chain(&[(1, 0), (2, 600), (1, 0), (2, 600)]);
        let text = write_malfeasance(&lie);
        assert!(is_malfeasance(text.as_bytes()));
        let (read, contradiction) = read_malfeasance(text.as_bytes()).unwrap();
        assert_eq!((&read, contradiction), (&lie, Contradiction { earlier: 1, later: 2 }));
        assert!(!text.split("\"publicKey\"").next().unwrap().contains("rand"), "the first link has none");

        let honest = write_malfeasance(&chain(&[(1, 0), (2, 1), (1, 0)]));
        assert!(matches!(read_malfeasance(honest.as_bytes()), Err(MalfeasanceError::NoContradiction(3))));
        assert!(matches!(read_malfeasance(b"{\"responses\": []}"), Err(MalfeasanceError::Chain(_))));
        assert!(matches!(read_malfeasance(b"{}"), Err(MalfeasanceError::Malformed(_))));
        assert!(!is_malfeasance(b"<html>") && !is_malfeasance(b"{}"));
        let cut = text.replacen("\"rand\": \"", "\"rand\": \"A", 1);
        let refused = read_malfeasance(cut.as_bytes());
        assert!(matches!(refused, Err(MalfeasanceError::Value { number: 2, name: "rand" })));
    }
}
