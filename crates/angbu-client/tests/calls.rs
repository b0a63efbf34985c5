//! Calls to a centre over plain HTTP and TLS: what is sent, what is refused, and what ends.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test: a panic is its report"
)]

mod centre;

use std::sync::Arc;
use std::time::Duration;

use angbu_accounts::{EnrolmentCode, fingerprint};
use angbu_client::{Client, ClientError, Joined, Trust, join};
use angbu_evidence::note::VerifierKey;
use angbu_units::{Nanos, UnixTime};
use centre::{Answer, Asked, Centre, answer, json};
use ed25519_dalek::SigningKey;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::ServerConfig;

/// A certificate for 127.0.0.1 that signed itself.
struct Identity {
    config: Arc<ServerConfig>,
    public_key: Vec<u8>,
    pem: String,
}

fn identity() -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::NoCa;
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    Identity { config: Arc::new(config), public_key: key.subject_public_key_info(), pem: certificate.pem() }
}

fn client(centre: &Centre) -> Client {
    Client::new(&centre.url, Some("secret-token"), &Trust::Public).unwrap()
}

const CUSTOMERS: &str =
    r#"{"customers":[{"id":"cus_1","name":"demo","tolerance_ns":50000000,"agents":3,"within":1}]}"#;

#[test]
fn an_answer_is_read_and_the_token_is_shown() {
    let centre = Centre::start(None, |_| json(200, CUSTOMERS));
    let customers = client(&centre).customers().unwrap();
    assert_eq!((customers[0].name.as_str(), customers[0].tolerance_ns), ("demo", 50_000_000));
    let asked = centre.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.line, "GET /api/v1/customers");
    assert!(asked.headers.contains("Bearer secret-token"), "{}", asked.headers);
}

#[test]
fn uploads_and_reports_are_carried_byte_by_byte() {
    let every: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let file = every.clone();
    let centre = Centre::start(None, move |asked| match asked.line.as_str() {
        "POST /api/v1/time/uploads" => json(200, r#"{"next_seq":"42","tolerance_ns":7}"#),
        _ => answer(200, "text/html", &file),
    });
    let client = client(&centre);
    let uploaded = client.upload(&every).unwrap();
    assert_eq!((uploaded.next_seq, uploaded.tolerance_ns), (42, 7));
    assert_eq!(centre.asked.lock().unwrap()[0].body, every);
    let report = client.time_report("demo", UnixTime::from_nanos(0), UnixTime::from_nanos(1), None).unwrap();
    assert_eq!(report, every);
    let asked: serde_json::Value = serde_json::from_slice(&centre.asked.lock().unwrap()[1].body).unwrap();
    assert_eq!(asked["from"], "1970-01-01T00:00:00.000000000Z");
}

#[test]
fn refusals_keep_their_words() {
    let problem = r#"{"type":"/problems/upload-gap","title":"records are missing","status":409,
        "detail":"send from 17","next_seq":"17","anything":{"else":1}}"#;
    let centre = Centre::start(None, move |asked| match asked.line.as_str() {
        "POST /api/v1/time/uploads" => json(409, problem),
        "GET /api/v1/centre" => answer(503, "text/html", b"<h1>busy</h1>"),
        "GET /api/v1/customers" => answer(302, "text/html", b""),
        _ => json(401, r#"{"title":7}"#),
    });
    let client = client(&centre);
    let refused = |error: &ClientError| match error {
        ClientError::Refused(problem) => (**problem).clone(),
        other => panic!("{other}"),
    };
    let gap = client.upload(b"x").unwrap_err();
    assert_eq!(refused(&gap).next_seq, Some(17));
    assert_eq!(gap.to_string(), "the centre refused: records are missing: send from 17 (HTTP status 409)");
    assert!(!gap.is_passing());
    let busy = client.centre().unwrap_err();
    assert_eq!(refused(&busy).kind, "about:blank");
    assert!(busy.is_passing());
    assert_eq!(refused(&client.customers().unwrap_err()).status, 302, "redirects are not followed");
    assert!(!centre.lines().contains(&"GET /elsewhere".to_owned()));
    assert_eq!(refused(&client.log_key().unwrap_err()).status, 401);
}

#[test]
fn what_is_no_answer_is_told_as_what_it_is() {
    for (bytes, expected) in [
        (json(200, "{}"), "with something else than a list of customers"),
        (json(200, &format!("\"{}\"", "x".repeat(2_000_000))), "with more than 1048576 bytes"),
        (Some(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), "with something else than HTTP"),
        (Some(Vec::new()), "cannot reach the centre"),
    ] {
        let centre = Centre::start(None, move |_| bytes.clone());
        let error = client(&centre).customers().unwrap_err().to_string();
        assert!(error.contains(expected), "{error} / {expected}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(&format!("http://{nobody}/"), None, &Trust::Public).unwrap();
    assert!(matches!(client.customers(), Err(error @ ClientError::Unreachable { .. }) if error.is_passing()));
}

#[test]
fn a_centre_that_says_nothing_is_not_waited_for_long() {
    for tls in [None, Some(identity())] {
        let key = tls.as_ref().map(|identity| Trust::in_key(&identity.public_key));
        let centre = Centre::start(tls.map(|identity| identity.config), |_| None);
        let client = Client::new(&centre.url, None, &key.unwrap_or(Trust::Public)).unwrap();
        let hurried = client.clone().with_patience(Duration::from_millis(50));
        assert!(matches!(hurried.customers(), Err(ClientError::Slow { .. })));
        let waiting = std::thread::spawn({
            let client = client.clone();
            move || client.customers()
        });
        while centre.lines().len() < 2 {
            std::thread::yield_now();
        }
        client.close();
        assert!(waiting.join().unwrap().is_err(), "closing ends a call under way");
        assert!(client.customers().is_err());
    }
}

#[test]
fn only_the_key_or_the_authority_that_is_trusted_will_do() {
    let (one, other) = (identity(), identity());
    let centre = Centre::start(Some(Arc::clone(&one.config)), |_| json(200, CUSTOMERS));
    let call = |trust: &Trust| Client::new(&centre.url, None, trust).unwrap().customers();
    assert_eq!(call(&Trust::in_key(&one.public_key)).unwrap().len(), 1);
    assert_eq!(call(&Trust::authorities(one.pem.as_bytes()).unwrap()).unwrap().len(), 1);
    for wrong in
        [Trust::in_key(&other.public_key), Trust::authorities(other.pem.as_bytes()).unwrap(), Trust::Public]
    {
        let error = call(&wrong).unwrap_err();
        assert!(matches!(error, ClientError::NotTheCentre { .. }), "{error}");
        assert!(!error.is_passing());
    }
    assert_eq!(centre.lines().len(), 2, "nothing was said to a stranger");
    assert!(matches!(Trust::authorities(b"no certificate"), Err(ClientError::Unusable(_))));
}

#[test]
fn plain_http_never_leaves_this_machine() {
    for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost", "http://LOCALHOST/"] {
        assert!(Client::new(url, None, &Trust::Public).is_ok(), "{url}");
    }
    for url in ["http://10.0.0.1", "http://centre.example", "http://localhost.example", "http://0.0.0.0:80"] {
        let refused = Client::new(url, None, &Trust::Public).err();
        assert!(matches!(refused, Some(ClientError::PlainHttp { .. })), "{url}");
    }
    for url in [
        "",
        "centre.example",
        "ftp://127.0.0.1",
        "https://",
        "https://u:p@h",
        "https://h/x",
        "https://h?x",
        "a b",
    ] {
        let refused = Client::new(url, None, &Trust::Public).err();
        assert!(matches!(refused, Some(ClientError::Address { .. })), "{url}");
    }
    for token in ["", "two words", "line\r\nfeed"] {
        assert!(Client::new("https://h", Some(token), &Trust::Public).is_err());
    }
}

fn log_key(seed: u8) -> VerifierKey {
    let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
    VerifierKey::new("centre.example/log", key.as_bytes()).unwrap()
}

/// A centre that lets in whoever holds the code.
fn joinable(log_key: VerifierKey) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    move |asked| match asked.line.as_str() {
        "GET /api/v1/evidence/key" => answer(200, "text/plain", format!("{log_key}\n").as_bytes()),
        "POST /api/v1/enrolments/agent" => {
            let answer = serde_json::json!({
                "agent_id": format!("agt_{}", "1".repeat(32)), "customer": "demo",
                "customer_id": format!("cus_{}", "2".repeat(32)), "centre_id": format!("ctr_{}", "3".repeat(32)),
                "log_key": log_key.to_string(), "tolerance_ns": 50_000_000, "ntp": "0.0.0.0:123",
            });
            json(200, &answer.to_string())
        }
        _ => json(404, "{}"),
    }
}

#[test]
fn joining_shows_both_sides_who_the_other_is() {
    use base64::Engine as _;
    let identity = identity();
    for (tls, public_key) in [(Some(Arc::clone(&identity.config)), identity.public_key), (None, Vec::new())] {
        let plain = tls.is_none();
        let centre = Centre::start(tls, joinable(log_key(9)));
        let code = EnrolmentCode::random(fingerprint(&public_key, &log_key(9)), &mut rand::rng());
        let key = SigningKey::from_bytes(&[4; 32]);
        let joined: Joined = join(&centre.url, &code, "db-3", &key).unwrap();
        assert_eq!(joined.tolerance, Nanos::from_millis(50));
        assert_eq!(joined.log_key, log_key(9));
        assert_eq!(joined.centre_key.is_none(), plain);
        let asked = centre.asked.lock().unwrap()[1].clone();
        let wish: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        let proof =
            base64::engine::general_purpose::STANDARD.decode(wish["proof"].as_str().unwrap()).unwrap();
        let message = angbu_accounts::possession(&code, "db-3", key.verifying_key().as_bytes());
        key.verifying_key().verify_strict(&message, &proof.as_slice().try_into().unwrap()).unwrap();
    }
}

#[test]
fn a_code_is_not_told_to_a_centre_that_did_not_make_it() {
    let identity = identity();
    let centre = Centre::start(Some(Arc::clone(&identity.config)), joinable(log_key(9)));
    for wrong in [
        fingerprint(&identity.public_key, &log_key(8)),
        fingerprint(b"another key", &log_key(9)),
        fingerprint(&[], &log_key(9)),
    ] {
        let code = EnrolmentCode::random(wrong, &mut rand::rng());
        let error = join(&centre.url, &code, "db-3", &SigningKey::from_bytes(&[4; 32])).unwrap_err();
        assert!(matches!(error, ClientError::NotTheCentre { .. }), "{error}");
    }
    assert!(centre.lines().iter().all(|line| line == "GET /api/v1/evidence/key"), "{:?}", centre.lines());
}
