//! Passkeys, with an authenticator of the test's own.

use angbu_accounts::Role;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::site::{Shows, TestSite};
use super::table::OWN;

const ORIGIN: &str = "http://localhost:1";

/// An authenticator with one passkey, for which it does not count.
pub(crate) struct Authenticator {
    key: SigningKey,
    id: [u8; 20],
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    pub(crate) origin: &'static str,
}

impl Authenticator {
    pub(crate) fn new(number: u32) -> Self {
        let bytes = number.to_be_bytes();
        let (key, id) = (bytes.repeat(8).try_into().unwrap(), bytes.repeat(5).try_into().unwrap());
        Self { key: SigningKey::from_bytes(&key), id, flags: 0b101, counter: 0, origin: ORIGIN }
    }

    fn client(&self, kind: &str, question: &Value) -> String {
        json!({"type": kind, "challenge": question["challenge"], "origin": self.origin, "crossOrigin": false})
            .to_string()
    }

    /// Answers to a question for a new passkey.
    pub(crate) fn register(&self, question: &Value) -> Value {
        let site = Sha256::digest(question["rp"]["id"].as_str().unwrap());
        // {1: 1, 3: -8, -1: 6, -2: the key}: Ed25519.
        let mut data =
            [site.as_slice(), &[self.flags | 1 << 6, 0, 0, 0, 0], &[0; 16], &[0, 20], &self.id].concat();
        data.extend([0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32]);
        data.extend(self.key.verifying_key().as_bytes());
        let length = u8::try_from(data.len()).unwrap();
        let object = [b"\xa3cfmtdnonegattStmt\xa0hauthData\x58".as_slice(), &[length], &data].concat();
        let client = self.client("webauthn.create", question);
        let response = json!({"clientDataJSON": BASE64URL.encode(client), "attestationObject": BASE64URL.encode(object)});
        json!({"id": BASE64URL.encode(self.id), "type": "public-key", "response": response})
    }

    /// Answers to the question of a sign-in.
    pub(crate) fn sign_in(&self, question: &Value) -> Value {
        let client = self.client("webauthn.get", question);
        let site = Sha256::digest(question["rpId"].as_str().unwrap());
        let data = [site.as_slice(), &[self.flags], &self.counter.to_be_bytes()].concat();
        let signature = self.key.sign(&[data.as_slice(), &Sha256::digest(&client)].concat());
        json!({"id": BASE64URL.encode(self.id), "type": "public-key", "response": {
            "clientDataJSON": BASE64URL.encode(client), "authenticatorData": BASE64URL.encode(data),
            "signature": BASE64URL.encode(signature.to_bytes())}})
    }
}

/// What no browser says.
pub(crate) fn nonsense() -> Value {
    json!({"id": "AA", "response": {"clientDataJSON": "e30", "attestationObject": "AA"}})
}

/// The path of a fresh passkey of a fresh person.
pub(crate) async fn registered(site: &TestSite, person: &Value) -> String {
    let made = site.done("POST", "/api/v1/people", person).await;
    let of = format!("/api/v1/people/{}/passkeys", made["id"].as_str().unwrap());
    let (secret, authenticator) = (link(site, &of).await, Authenticator::new(1_000 + site.next()));
    let (status, made) = by_link(site, &secret, &authenticator).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    format!("{of}/{}", made["id"].as_str().unwrap())
}

async fn link(site: &TestSite, passkeys: &str) -> String {
    let link = site.done("POST", passkeys, &json!({})).await;
    link["url"].as_str().unwrap().strip_prefix("http://localhost:1/passkeys#").unwrap().to_owned()
}

async fn by_link(site: &TestSite, secret: &str, authenticator: &Authenticator) -> (StatusCode, Value) {
    let begun =
        site.send(&Shows::Nothing, "POST", "/api/v1/passkeys/begin", &json!({"secret": secret})).await;
    let credential = authenticator.register(&begun.json());
    let wish = json!({"secret": secret, "label": "전화기", "credential": credential});
    let answer = site.send(&Shows::Nothing, "POST", "/api/v1/passkeys", &wish).await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_registers_a_passkey_by_a_link() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let wish = json!({"customer": OWN, "login_id": "kim", "password": "long enough for it",
                      "birthday": "1990-04-30", "phone_no": "01012345678"});
    let person = site.done("POST", "/api/v1/people", &wish).await["id"].as_str().unwrap().to_owned();
    let of = format!("/api/v1/people/{person}/passkeys");
    let (first, second) = (link(&site, &of).await, link(&site, &of).await);
    let (status, made) = by_link(&site, &first, &Authenticator::new(1)).await;
    assert_eq!(
        (status, &made["label"], &made["revoked_at"]),
        (StatusCode::CREATED, &json!("전화기"), &Value::Null)
    );
    // The link is used up, and the passkey is registered.
    let again = site.send(&Shows::Nothing, "POST", "/api/v1/passkeys/begin", &json!({"secret": first})).await;
    assert_eq!(again.problem(), "code-refused");
    let begun =
        site.send(&Shows::Nothing, "POST", "/api/v1/passkeys/begin", &json!({"secret": second})).await.json();
    assert_eq!(begun["excludeCredentials"][0]["id"], BASE64URL.encode([0, 0, 0, 1].repeat(5)));
    assert_eq!(begun["authenticatorSelection"]["userVerification"], "required");
    let (status, problem) = by_link(&site, &second, &Authenticator::new(1)).await;
    assert_eq!((status, &problem["type"]), (StatusCode::CONFLICT, &json!("urn:angbu:problem:taken")));
    let unverified = Authenticator { flags: 0b001, ..Authenticator::new(2) };
    let elsewhere = Authenticator { origin: "https://evil.example", ..Authenticator::new(2) };
    for wrong in [unverified, elsewhere] {
        let (_, problem) = by_link(&site, &second, &wrong).await;
        assert_eq!(problem["type"], "urn:angbu:problem:passkey-refused", "{problem}");
    }
    // Refused answers do not use the link up.
    assert_eq!(by_link(&site, &second, &Authenticator::new(2)).await.0, StatusCode::CREATED);

    let list = site.get(&site.operator, &of).await.json();
    assert_eq!(list["passkeys"].as_array().unwrap().len(), 2);
    let path = format!("{of}/{}", made["id"].as_str().unwrap());
    for _ in 0..2 {
        let revoked = site.send(&site.operator, "DELETE", &path, &json!({})).await;
        assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    }
    let list = site.get(&site.operator, &of).await.json();
    let all = list["passkeys"].as_array().unwrap().iter();
    let revoked: Vec<_> = all.filter(|each| each["revoked_at"].is_string()).map(|each| &each["id"]).collect();
    assert_eq!(revoked, [&made["id"]], "{list}");
    let erase = json!({"reason": "they asked for it"});
    site.done("POST", &format!("/api/v1/people/{person}/erase"), &erase).await;
    assert_eq!(site.get(&site.operator, &of).await.problem(), "erased");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_register_passkeys_for_themselves_alone() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let (_, _, member) = site.member(Role::Registrar, Some(OWN)).await;
    let (_, _, other) = site.member(Role::Registrar, Some(OWN)).await;
    let own = "/api/v1/session/passkeys";
    let begin = async |who: &Shows| site.send(who, "POST", &format!("{own}/begin"), &json!({})).await.json();
    let finish = async |who: &Shows, credential: &Value| {
        site.send(who, "POST", own, &json!({"label": " a key ", "credential": credential})).await
    };
    let credential = Authenticator::new(1).register(&begin(&member).await);
    assert_eq!(finish(&other, &credential).await.problem(), "passkey-refused", "the question was another's");
    let made = finish(&member, &credential).await;
    assert_eq!((made.status, &made.json()["label"]), (StatusCode::CREATED, &json!("a key")));
    assert_eq!(finish(&member, &credential).await.problem(), "passkey-refused", "the question is answered");
    let late = Authenticator::new(2).register(&begin(&member).await);
    site.clock.advance(angbu_units::Nanos::from_secs(300));
    assert_eq!(finish(&member, &late).await.problem(), "passkey-refused", "after five minutes");

    assert_eq!(site.get(&other, own).await.json(), json!({"passkeys": []}));
    let path = format!("{own}/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(site.send(&other, "DELETE", &path, &json!({})).await.problem(), "unknown");
    assert_eq!(site.send(&member, "DELETE", &path, &json!({})).await.status, StatusCode::NO_CONTENT);
    assert!(site.get(&member, own).await.json()["passkeys"][0]["revoked_at"].is_string());
}

/// Begins to sign in to the console: the request's path, and the browser.
async fn console_request(site: &TestSite) -> (String, Shows) {
    let begun = site.send(&Shows::Nothing, "POST", "/api/v1/session/request", &json!({})).await;
    let path = format!("/api/v1/requests/{}", begun.json()["id"].as_str().unwrap());
    (path, Shows::Cookie(begun.cookie.unwrap()))
}

async fn question(site: &TestSite, path: &str, browser: &Shows) -> Value {
    let question = site.send(browser, "POST", &format!("{path}/answers/passkey/begin"), &json!({})).await;
    assert_eq!(question.status, StatusCode::OK, "{question:?}");
    question.json()
}

async fn finish(site: &TestSite, path: &str, browser: &Shows, answer: &Value) -> Value {
    let answered = site.send(browser, "POST", &format!("{path}/answers/passkey/finish"), answer).await;
    assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
    answered.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_once_and_only_as_it_was_asked() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let (_, name, member) = site.member(Role::Registrar, Some(OWN)).await;
    let own = "/api/v1/session/passkeys";
    let begun = site.send(&member, "POST", &format!("{own}/begin"), &json!({})).await.json();
    let mut authenticator = Authenticator::new(1);
    let wish = json!({"label": "a key", "credential": authenticator.register(&begun)});
    let made = site.send(&member, "POST", own, &wish).await.json();

    // A right password alone leads on to the passkey.
    let (path, browser) = console_request(&site).await;
    let password = json!({"login_id": name, "password": super::site::PASSWORD});
    let led = site.send(&browser, "POST", &format!("{path}/answers/password"), &password).await.json();
    assert_eq!((&led["right"], &led["shown"]["next"]), (&json!(true), &json!(["passkey"])), "{led}");
    let named = question(&site, &path, &browser).await;
    assert_eq!(named["allowCredentials"].as_array().unwrap().len(), 1, "it is known now who signs in");
    let answered = finish(&site, &path, &browser, &authenticator.sign_in(&named)).await;
    assert_eq!(answered["shown"]["verdict"], "accepted", "{answered}");

    let (path, browser) = console_request(&site).await;
    let wrong = async |authenticator: &Authenticator| {
        let question = question(&site, &path, &browser).await;
        assert_eq!(question["allowCredentials"], json!([]), "it is not known yet who signs in");
        let answered = finish(&site, &path, &browser, &authenticator.sign_in(&question)).await;
        assert_eq!(answered["right"], false, "{answered}");
    };
    wrong(&Authenticator { flags: 0b001, ..Authenticator::new(1) }).await;
    wrong(&Authenticator { origin: "https://evil.example", ..Authenticator::new(1) }).await;
    wrong(&Authenticator::new(2)).await;
    // A question of another request is none of this one's.
    let (other, stranger) = console_request(&site).await;
    let elsewhere = authenticator.sign_in(&question(&site, &other, &stranger).await);
    assert_eq!(finish(&site, &path, &browser, &elsewhere).await["right"], false);

    let answer = authenticator.sign_in(&question(&site, &path, &browser).await);
    let answered = finish(&site, &path, &browser, &answer).await;
    assert_eq!(
        (&answered["right"], &answered["shown"]["verdict"]),
        (&json!(true), &json!("accepted")),
        "{answered}"
    );
    let session = site.send(&browser, "POST", &format!("{path}/session"), &json!({})).await;
    assert_eq!(session.json()["staff"]["name"], json!(name), "{session:?}");
    // The same answer again, to the same request and to another.
    let again = site.send(&browser, "POST", &format!("{path}/answers/passkey/finish"), &answer).await;
    assert_eq!(again.problem(), "request-ended");
    assert_eq!(finish(&site, &other, &stranger, &answer).await["right"], false);

    // One that counts, and then counts back: there are two of it.
    authenticator.counter = 5;
    let right = authenticator.sign_in(&question(&site, &other, &stranger).await);
    assert_eq!(finish(&site, &other, &stranger, &right).await["right"], true);
    let (path, browser) = console_request(&site).await;
    for counter in [5, 4] {
        authenticator.counter = counter;
        let copied = authenticator.sign_in(&question(&site, &path, &browser).await);
        assert_eq!(finish(&site, &path, &browser, &copied).await["right"], false);
    }
    let list = site.get(&member, own).await.json();
    assert!(list["passkeys"][0]["doubted_at"].is_string(), "{list}");

    let revoke = format!("{own}/{}", made["id"].as_str().unwrap());
    site.send(&member, "DELETE", &revoke, &json!({})).await;
    authenticator.counter = 6;
    let revoked = authenticator.sign_in(&question(&site, &path, &browser).await);
    assert_eq!(finish(&site, &path, &browser, &revoked).await["right"], false);
}
