//! People and machines join, each field of theirs refused in its own words, and settings have revisions.

use angbu_accounts::Role;
use angbu_units::Nanos;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::site::{Shows, TestSite};
use super::table::{OTHER, OWN};

fn person(changes: &Value) -> Value {
    let mut body = json!({"customer": OWN, "login_id": "Kim.Minsu", "password": "long enough for it",
        "birthday": "1990-04-30", "phone_no": "01012345678"});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_person_is_refused_in_its_own_words() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    site.customer(OTHER).await;
    let mut details = Vec::new();
    for (changes, problem) in [
        (json!({"login_id": "kim minsu"}), "invalid-login-id"),
        (json!({"login_id": "p\u{430}ypal"}), "invalid-login-id"),
        (json!({"login_id": ""}), "invalid-login-id"),
        (json!({"password": "short"}), "invalid-password"),
        (json!({"password": "x".repeat(257)}), "invalid-password"),
        (json!({"birthday": "1990-02-30"}), "invalid-birthday"),
        (json!({"birthday": "2100-01-01"}), "invalid-birthday"),
        (json!({"birthday": "1899-12-31"}), "invalid-birthday"),
        (json!({"phone_no": "010-1234-5678"}), "invalid-phone"),
        (json!({"phone_no": "123"}), "invalid-phone"),
        (json!({"language": "de"}), "invalid"),
    ] {
        let answer = site.send(&site.operator, "POST", "/api/v1/people", &person(&changes)).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, problem.to_owned()), "{changes}");
        details.push(answer.json()["detail"].as_str().unwrap().to_owned());
    }
    details.sort();
    let all = details.len();
    details.dedup();
    assert_eq!(details.len(), all, "{details:?}");

    let made = site.done("POST", "/api/v1/people", &person(&json!({}))).await;
    assert_eq!((&made["login_id"], &made["phone_no"]), (&json!("kim.minsu"), &json!("+821012345678")));
    assert_eq!(
        (&made["language"], &made["erased"], &made["disabled"]),
        (&json!("en"), &json!(false), &json!(false))
    );
    // The same to the eye is the same; with another customer it is somebody else.
    for look_alike in ["kim.minsu", "KIM.MINSU", "kirn.rninsu", "kim.minsu\u{301}"] {
        let answer = site
            .send(&site.operator, "POST", "/api/v1/people", &person(&json!({"login_id": look_alike})))
            .await;
        let expected = if look_alike.is_ascii() { 409 } else { 201 };
        let expected = if look_alike == "kirn.rninsu" { 409 } else { expected };
        assert_eq!(answer.status.as_u16(), expected, "{look_alike}: {answer:?}");
    }
    site.done("POST", "/api/v1/people", &person(&json!({"customer": OTHER}))).await;

    let path = format!("/api/v1/people/{}", made["id"].as_str().unwrap());
    for (changes, problem) in [
        (json!({"phone_no": "x"}), "invalid-phone"),
        (json!({"birthday": "x"}), "invalid-birthday"),
        (json!({"language": "x"}), "invalid"),
    ] {
        assert_eq!(site.send(&site.operator, "PATCH", &path, &changes).await.problem(), problem);
    }
    let changed = site.done("PATCH", &path, &json!({"disabled": true, "birthday": "1991-05-01"})).await;
    assert_eq!((&changed["disabled"], &changed["birthday"]), (&json!(true), &json!("1991-05-01")));
    assert_ne!(changed["entry"], made["entry"]);
    assert_eq!(site.done("GET", &path, &Value::Null).await, changed);
    // What changes nothing makes no entry.
    assert_eq!(site.done("PATCH", &path, &json!({"disabled": true})).await, changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_listed_page_by_page() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let mut expected = Vec::new();
    for n in 0..5 {
        site.clock.advance(Nanos::from_secs(1));
        let made = site.done("POST", "/api/v1/people", &person(&json!({"login_id": format!("p{n}")}))).await;
        expected.push(made["id"].clone());
    }
    let mut path = format!("/api/v1/people?customer={OWN}&limit=2");
    let mut seen = Vec::new();
    loop {
        let page = site.done("GET", &path, &Value::Null).await;
        let rows = page["people"].as_array().unwrap();
        assert!(rows.len() <= 2);
        seen.extend(rows.iter().map(|row| row["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/people?customer={OWN}&limit=2&after={next}");
    }
    assert_eq!(seen, expected);
    for (query, status) in [
        ("", 422),
        ("?customer=nobody", 404),
        ("?customer=alpha&limit=0", 422),
        ("?customer=alpha&limit=201", 422),
        ("?customer=alpha&limit=-1", 422),
        ("?customer=alpha&after=x", 422),
        ("?customer=alpha&limit=200", 200),
    ] {
        assert_eq!(
            site.get(&site.operator, &format!("/api/v1/people{query}")).await.status.as_u16(),
            status,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_joins_once_by_a_code() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let (_, code) = site.code("person", OWN, "Kim.Minsu").await;
    let join = |changes: &Value| {
        let mut body = person(changes);
        body.as_object_mut().unwrap().remove("customer");
        body["secret"] = json!(STANDARD.encode(code.secret()));
        body
    };
    let send = async |body: Value| {
        let answer = site.send(&Shows::Nothing, "POST", "/api/v1/enrolments/person", &body).await;
        (answer.status.as_u16(), answer.problem(), answer.text)
    };
    // What is refused loses nothing: the code stays good.
    assert_eq!(send(join(&json!({"phone_no": "x"}))).await.1, "invalid-phone");
    assert_eq!(send(join(&json!({"login_id": "lee"}))).await.1, "code-refused");
    let mut wrong = join(&json!({}));
    wrong["secret"] = json!("AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(send(wrong).await.1, "code-refused");
    let (status, _, joined) = send(join(&json!({}))).await;
    assert_eq!(status, 200, "{joined}");
    // Whoever lost the answer asks again; nobody else joins by it.
    assert_eq!(send(join(&json!({}))).await.2, joined);
    assert_eq!(send(join(&json!({"password": "another long one"}))).await.1, "code-refused");
    let people = site.done("GET", &format!("/api/v1/people?customer={OWN}"), &Value::Null).await;
    assert_eq!(people["people"].as_array().unwrap().len(), 1);
    let listed = site.done("GET", "/api/v1/enrolments", &Value::Null).await;
    assert_eq!(
        (&listed["enrolments"][0]["name"], &listed["enrolments"][0]["used"]),
        (&json!("kim.minsu"), &json!(true))
    );

    // A code ends after a day, and when it is taken back.
    let (_, late) = site.code("person", OWN, "lee").await;
    let (id, gone) = site.code("person", OWN, "park").await;
    site.done("DELETE", &format!("/api/v1/enrolments/{id}"), &Value::Null).await;
    let by = |code: &angbu_accounts::EnrolmentCode, name: &str| {
        let mut body = join(&json!({"login_id": name}));
        body["secret"] = json!(STANDARD.encode(code.secret()));
        body
    };
    assert_eq!(send(by(&gone, "park")).await.1, "code-refused");
    site.clock.advance(Nanos::from_secs(86_400));
    assert_eq!(send(by(&late, "lee")).await.1, "code-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_join_with_their_own_key() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let key = SigningKey::from_bytes(&[1; 32]);
    let (_, code) = site.code("relying-party", OWN, "shop").await;
    let body = TestSite::join_body(&code, "shop", &key);
    let send = async |kind: &str, body: &Value| {
        site.send(&Shows::Nothing, "POST", &format!("/api/v1/enrolments/{kind}"), body).await
    };
    // Another kind, another key's proof, nothing of a proof.
    assert_eq!(send("host", &body).await.problem(), "code-refused");
    let mut forged = body.clone();
    forged["public_key"] =
        json!(STANDARD.encode(SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes()));
    assert_eq!(send("relying-party", &forged).await.problem(), "code-refused");
    let first = send("relying-party", &body).await.json();
    let again = send("relying-party", &body).await.json();
    assert_eq!(first["machine_id"], again["machine_id"]);
    // Only the newest token lives.
    let append = json!({"customer": OWN, "fields": {"text": "x"}});
    let mut statuses = Vec::new();
    for joined in [&first, &again] {
        let shows = Shows::Token(joined["token"].as_str().unwrap().to_owned());
        statuses.push(site.send(&shows, "POST", "/api/v1/evidence/entries", &append).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 201]);
    let thief = TestSite::join_body(&code, "shop", &SigningKey::from_bytes(&[3; 32]));
    assert_eq!(send("relying-party", &thief).await.problem(), "code-refused");
    let host = site.join("host", OWN).await;
    assert!(host.get("token").is_none());
    // A machine that is shut out does not come back by its old code.
    let path = format!("/api/v1/machines/{}", first["machine_id"].as_str().unwrap());
    let shut = site.done("PATCH", &path, &json!({"disabled": true})).await;
    assert_eq!(
        (&shut["disabled"], &shut["kind"], &shut["customer"]),
        (&json!(true), &json!("relying-party"), &json!(OWN))
    );
    assert_eq!(send("relying-party", &body).await.problem(), "code-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_codes_becomes_slow() {
    let site = TestSite::start().await;
    let source = std::net::IpAddr::from([192, 0, 2, 1]);
    let mut body = person(&json!({"secret": "AAAAAAAAAAAAAAAAAAAAAA=="}));
    body.as_object_mut().unwrap().remove("customer");
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let body = body.to_string();
        let answer = site
            .call_from(
                source,
                &Shows::Nothing,
                "POST",
                "/api/v1/enrolments/person",
                body.as_bytes(),
                "application/json",
            )
            .await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_have_revisions() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let (_, _, admin) = site.member(Role::CustomerAdmin, Some(OWN)).await;
    let path = format!("/api/v1/customers/{OWN}");
    let change =
        json!({"contacts": ["ops@example.org", "운영@예시.한국", "ops@example.org"], "language": "ko"});
    let changed = site.send(&admin, "PATCH", &path, &change).await.json();
    assert_eq!(changed["contacts"], json!(["ops@example.org", "운영@예시.한국"]));
    assert_eq!((&changed["language"], &changed["revision"]), (&json!("ko"), &json!(2)));
    let same = site.send(&admin, "PATCH", &path, &json!({"language": "ko"})).await.json();
    assert_eq!(same, changed);
    let tolerance = site.send(&admin, "PATCH", &path, &json!({"tolerance_ns": 1_000})).await.json();
    assert_eq!((&tolerance["tolerance_ns"], &tolerance["revision"]), (&json!(1_000), &json!(3)));
    for wrong in [
        json!({"tolerance_ns": 0}),
        json!({"contacts": ["ops@example.org\r\nBcc: all@example.org"]}),
        json!({"contacts": vec!["a@example.org"; 21]}),
        json!({"language": "de"}),
        json!({"name": "other"}),
    ] {
        let answer = site.send(&admin, "PATCH", &path, &wrong).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid".to_owned()), "{wrong}");
    }
}
