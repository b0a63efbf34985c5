//! How an agent becomes known to a centre, each side sure of the other.

use angbu_accounts::{EnrolmentCode, fingerprint, possession};
use angbu_evidence::note::VerifierKey;
use angbu_units::{AgentId, CentreId, CustomerId, Nanos};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::wire::JoinAnswer;
use crate::{Client, ClientError, Trust, connection, trust};

/// What an agent learns by joining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The agent's id.
    pub agent: AgentId,
    /// The customer whose agent it is.
    pub customer: CustomerId,
    /// The customer's name.
    pub customer_name: String,
    /// The centre.
    pub centre: CentreId,
    /// The SHA-256 over the centre's DER SubjectPublicKeyInfo, for [`Trust::Key`]; none over plain HTTP.
    pub centre_key: Option<[u8; 32]>,
    /// The verifier key of the centre's log.
    pub log_key: VerifierKey,
    /// How far the customer's clocks may be off.
    pub tolerance: Nanos,
    /// Where the centre serves time, `host:port`; the host may be unspecified (`0.0.0.0`), which is the host that
    /// the centre was reached at.
    pub ntp: String,
    /// Where the centre exchanges keys for protected time (NTS), of the same kind; none where it does not say so.
    pub nts: Option<String>,
    /// The SHA-256 over the DER SubjectPublicKeyInfo that is shown there, for [`Trust::Key`].
    pub nts_key: Option<[u8; 32]>,
}

/// Joins the centre at `url` by an enrolment code, as the agent with this name and key.
///
/// Before the code's secret is sent, whoever answers must have shown the TLS key and the log key that the code
/// vouches for. Joining again with the same code and key gives the same answer, so a lost answer does no harm.
///
/// # Errors
/// [`ClientError`]; [`ClientError::NotTheCentre`] where the code was made by another centre.
pub fn join(url: &str, code: &EnrolmentCode, name: &str, key: &SigningKey) -> Result<Joined, ClientError> {
    let (anybody, shown) = trust::tls_with_anybody();
    let stranger = Client::with_http(url, None, connection::http(anybody))?;
    let log_keys = stranger.log_keys()?;
    let tls_key = shown.take();
    // While the log's key is replaced there are two, and the code vouches for the one that was the newest when it was made.
    let vouched = |key: &&VerifierKey| {
        fingerprint(tls_key.as_deref().unwrap_or_default(), key) == code.centre_fingerprint()
    };
    let Some(log_key) = log_keys.iter().find(vouched).cloned() else {
        return Err(ClientError::NotTheCentre {
            url: stranger.url().to_owned(),
            reason: "the enrolment code was made by a centre with other keys".to_owned(),
        });
    };
    let centre_key: Option<[u8; 32]> = tls_key.map(|key| Sha256::digest(key).into());
    // Over plain HTTP on this machine there is no key to hold the other side to, and none is looked at.
    let centre = match centre_key {
        Some(key) => Client::new(url, None, &Trust::Key(key))?,
        None => stranger,
    };
    let public_key = key.verifying_key().to_bytes();
    let proof = key.sign(&possession(code, name, &public_key));
    let wish = json!({
        "secret": STANDARD.encode(code.secret()),
        "name": name,
        "public_key": STANDARD.encode(public_key),
        "proof": STANDARD.encode(proof.to_bytes()),
    });
    let body = centre.post("/api/v1/enrolments/agent", &wish)?;
    let answer: JoinAnswer = centre.parse(&body, "an agent's enrolment")?;
    let joined =
        understand(answer, centre_key).ok_or_else(|| centre.not_understood("an agent's enrolment"))?;
    if log_keys.contains(&joined.log_key) {
        Ok(Joined { log_key, ..joined })
    } else {
        Err(centre.not_understood("the log key it showed before"))
    }
}

fn understand(answer: JoinAnswer, centre_key: Option<[u8; 32]>) -> Option<Joined> {
    let nts_key = match answer.nts_key {
        Some(text) => Some(STANDARD.decode(text).ok()?.try_into().ok()?),
        None => None,
    };
    Some(Joined {
        agent: answer.agent_id.parse().ok()?,
        customer: answer.customer_id.parse().ok()?,
        customer_name: answer.customer,
        centre: answer.centre_id.parse().ok()?,
        centre_key,
        log_key: answer.log_key.parse().ok()?,
        tolerance: Nanos::new(answer.tolerance_ns),
        ntp: answer.ntp,
        nts: answer.nts,
        nts_key,
    })
}
