//! How callers come to an end: tokens and sessions that ended, staff that was disabled, and what nobody may hand out.

use angbu_accounts::{Reach, Role};
use angbu_units::Nanos;
use serde_json::{Value, json};

use super::site::{PASSWORD, Shows, TestSite};
use super::table::{OTHER, OWN};

const HOUR: Nanos = Nanos::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_when_they_should() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let make = async |expires: Value| {
        let wish = json!({"holder": "x", "scopes": ["customers.read"], "customer": OWN, "expires": expires});
        let made = site.done("POST", "/api/v1/tokens", &wish).await;
        (made["id"].as_str().unwrap().to_owned(), Shows::Token(made["token"].as_str().unwrap().to_owned()))
    };
    let status = async |shows: &Shows| site.get(shows, "/api/v1/customers").await.status.as_u16();
    let soon = (site.centre.instant().time + HOUR).to_string();
    let (_, passing) = make(json!(soon)).await;
    let (lasting_id, lasting) = make(Value::Null).await;
    assert_eq!((status(&passing).await, status(&lasting).await), (200, 200));
    site.clock.advance(HOUR);
    assert_eq!((status(&passing).await, status(&lasting).await), (401, 200));
    site.done("DELETE", &format!("/api/v1/tokens/{lasting_id}"), &Value::Null).await;
    assert_eq!(status(&lasting).await, 401);
    // Again is no error, and the list says it.
    site.done("DELETE", &format!("/api/v1/tokens/{lasting_id}"), &Value::Null).await;
    let list = site.done("GET", "/api/v1/tokens", &Value::Null).await;
    let row = list["tokens"].as_array().unwrap().iter().find(|row| row["id"] == *lasting_id).unwrap().clone();
    assert_eq!((&row["revoked"], &row["customer"]), (&json!(true), &json!(OWN)));
    assert!(!list.to_string().contains("secret"));
    let late = json!({"holder": "x", "scopes": ["customers.read"], "expires": "2020-01-01T00:00:00Z"});
    assert_eq!(site.send(&site.operator, "POST", "/api/v1/tokens", &late).await.problem(), "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relying_partys_token_ends_with_its_machine() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let joined = site.join("relying-party", OWN).await;
    let shows = Shows::Token(joined["token"].as_str().unwrap().to_owned());
    let append = json!({"customer": OWN, "fields": {"text": "x"}});
    let status =
        async || site.send(&shows, "POST", "/api/v1/evidence/entries", &append).await.status.as_u16();
    assert_eq!(status().await, 201);
    let machine = format!("/api/v1/machines/{}", joined["machine_id"].as_str().unwrap());
    site.done("PATCH", &machine, &json!({"disabled": true})).await;
    assert_eq!(status().await, 401);
    site.done("PATCH", &machine, &json!({"disabled": false})).await;
    assert_eq!(status().await, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_when_they_should() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let (id, name, shows) = site.member(Role::Registrar, Some(OWN)).await;
    let status = async |shows: &Shows| site.get(shows, "/api/v1/session").await.status.as_u16();
    assert_eq!(status(&shows).await, 200);
    let said = site.get(&shows, "/api/v1/session").await.json();
    assert_eq!(
        (&said["staff"]["role"], &said["staff"]["customer"]["name"]),
        (&json!("registrar"), &json!(OWN))
    );
    assert_eq!(
        said["scopes"],
        json!([
            "customers.read",
            "people.read",
            "people.manage",
            "enrolments.make",
            "keys.read",
            "keys.manage"
        ])
    );
    let scopes =
        ["customers.read", "people.read", "people.manage", "enrolments.make", "keys.read", "keys.manage"];
    assert_eq!(said["scopes"], json!(scopes));

    // Whoever is disabled is out at once, and comes back only with a new session.
    let path = format!("/api/v1/staff/{id}");
    site.done("PATCH", &path, &json!({"disabled": true})).await;
    assert_eq!(status(&shows).await, 401);
    assert_eq!(site.sign_in(&name, PASSWORD).await.unwrap_err().problem(), "wrong-password");
    site.done("PATCH", &path, &json!({"disabled": false})).await;
    assert_eq!(status(&shows).await, 401);
    let shows = site.sign_in(&name, PASSWORD).await.unwrap();

    // Another role holds from the next call on.
    site.done("PATCH", &path, &json!({"role": "auditor"})).await;
    let people = format!("/api/v1/people?customer={OWN}");
    assert_eq!(site.get(&shows, &people).await.problem(), "forbidden");

    // A new password ends what the old one began, and must be changed before anything else.
    let given = site.done("POST", &format!("{path}/password"), &json!({})).await;
    let given = given["one_time_password"].as_str().unwrap();
    assert_eq!(status(&shows).await, 401);
    assert!(site.sign_in(&name, PASSWORD).await.is_err());
    let shows = site.sign_in(&name, given).await.unwrap();
    assert_eq!(site.get(&shows, "/api/v1/customers").await.problem(), "password-must-change");

    // A session ends by itself, a one-time password after 72 hours.
    site.clock.advance(HOUR);
    assert_eq!(status(&shows).await, 401);
    site.clock.advance(HOUR.times(71));
    assert_eq!(site.sign_in(&name, given).await.unwrap_err().problem(), "password-expired");
    let signed_out = site.member(Role::Auditor, None).await.2;
    assert_eq!(site.call(&signed_out, "DELETE", "/api/v1/session", b"", "").await.status.as_u16(), 204);
    assert_eq!(status(&signed_out).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_remains() {
    let site = TestSite::start().await;
    let staff = site.done("GET", "/api/v1/staff", &Value::Null).await;
    let first = staff["staff"][0]["id"].as_str().unwrap().to_owned();
    let shows = site.sign_in("operator", &site.first_password).await.unwrap();
    let change = json!({"old": site.first_password, "new": PASSWORD});
    site.send(&shows, "POST", "/api/v1/session/password", &change).await;
    let path = format!("/api/v1/staff/{first}");
    let refused = async |body: Value| site.send(&site.operator, "PATCH", &path, &body).await.problem();
    for body in [json!({"disabled": true}), json!({"role": "auditor"})] {
        assert_eq!(refused(body).await, "last-operator");
    }
    // One who never chose a password may never come.
    site.done("POST", "/api/v1/staff", &json!({"name": "second", "role": "operator"})).await;
    assert_eq!(refused(json!({"disabled": true})).await, "last-operator");
    let (third, _, shows) = site.member(Role::Operator, None).await;
    assert_eq!(site.send(&shows, "PATCH", &path, &json!({"disabled": true})).await.status.as_u16(), 200);
    let own = format!("/api/v1/staff/{third}");
    assert_eq!(site.send(&shows, "PATCH", &own, &json!({"disabled": true})).await.problem(), "last-operator");
    assert_eq!(site.get(&shows, "/api/v1/session").await.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hands_out_what_they_do_not_have() {
    let site = TestSite::start().await;
    let own = Reach::Customer(site.customer(OWN).await);
    site.customer(OTHER).await;
    let (admin_id, _, admin) = site.member(Role::CustomerAdmin, Some(OWN)).await;
    let (operator_id, _, _) = site.member(Role::Operator, None).await;
    let (stranger_id, _, _) = site.member(Role::Auditor, Some(OTHER)).await;
    let send = async |shows: &Shows, method: &str, path: &str, body: Value| {
        let answer = site.send(shows, method, path, &body).await;
        (answer.status.as_u16(), answer.problem())
    };
    let is = |status: u16, problem: &str| (status, problem.to_owned());
    let staff = |role: &str, customer: Value| json!({"name": format!("n{}", site.next()), "role": role, "customer": customer});
    let new = "/api/v1/staff";
    // Without a customer it is the admin's own.
    assert_eq!(send(&admin, "POST", new, staff("registrar", Value::Null)).await, is(201, ""));
    assert_eq!(send(&admin, "POST", new, staff("customer-admin", json!(OWN))).await, is(201, ""));
    assert_eq!(send(&admin, "POST", new, staff("operator", Value::Null)).await.0, 422);
    assert_eq!(send(&admin, "POST", new, staff("auditor", json!(OTHER))).await, is(404, "unknown"));
    assert_eq!(send(&site.operator, "POST", new, staff("registrar", Value::Null)).await, is(422, "invalid"));
    assert_eq!(send(&site.operator, "POST", new, staff("operator", json!(OWN))).await, is(422, "invalid"));
    for id in [&operator_id, &stranger_id] {
        let path = format!("{new}/{id}");
        assert_eq!(send(&admin, "PATCH", &path, json!({"disabled": true})).await, is(404, "unknown"));
        assert_eq!(send(&admin, "POST", &format!("{path}/password"), json!({})).await, is(404, "unknown"));
    }
    let itself = format!("{new}/{admin_id}");
    assert_eq!(send(&admin, "PATCH", &itself, json!({"role": "operator"})).await.0, 422);

    let token =
        |scopes: Value, customer: Value| json!({"holder": "x", "scopes": scopes, "customer": customer});
    let new = "/api/v1/tokens";
    assert_eq!(send(&admin, "POST", new, token(json!(["people.read"]), Value::Null)).await, is(201, ""));
    for scopes in
        [json!(["operator"]), json!(["site.read"]), json!(["people.read operator"]), json!([]), json!([""])]
    {
        assert_eq!(send(&admin, "POST", new, token(scopes, Value::Null)).await, is(422, "invalid"));
    }
    assert_eq!(
        send(&admin, "POST", new, token(json!(["people.read"]), json!(OTHER))).await,
        is(404, "unknown")
    );
    assert_eq!(
        send(&site.operator, "POST", new, token(json!(["operator"]), json!(OWN))).await,
        is(422, "invalid")
    );

    // Who may only manage tokens, or staff, makes nothing more of it.
    let few = site.done("POST", new, &token(json!(["tokens.manage", "staff.manage"]), json!(OWN))).await;
    let few = Shows::Token(few["token"].as_str().unwrap().to_owned());
    assert_eq!(
        send(&few, "POST", new, token(json!(["people.read"]), Value::Null)).await,
        is(403, "forbidden")
    );
    assert_eq!(send(&few, "POST", &format!("{itself}/password"), json!({})).await, is(403, "forbidden"));
    assert_eq!(send(&few, "PATCH", &itself, json!({"disabled": true})).await, is(403, "forbidden"));
    assert_eq!(
        send(&few, "POST", "/api/v1/staff", staff("auditor", Value::Null)).await,
        is(403, "forbidden")
    );

    // A registrar lets people in and nothing else, and sees no other codes.
    let registrar = site.token(Role::Registrar, own).await;
    let code = |kind: &str| json!({"kind": kind, "customer": OWN, "name": "waiting"});
    assert_eq!(send(&registrar, "POST", "/api/v1/enrolments", code("person")).await, is(201, ""));
    for kind in ["agent", "host", "relying-party"] {
        assert_eq!(send(&registrar, "POST", "/api/v1/enrolments", code(kind)).await, is(403, "forbidden"));
    }
    let (host, _) = site.code("host", OWN, "waiting").await;
    let seen = site.get(&registrar, "/api/v1/enrolments").await.json();
    let kinds: Vec<_> =
        seen["enrolments"].as_array().unwrap().iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["person"]);
    let path = format!("/api/v1/enrolments/{host}");
    assert_eq!(send(&registrar, "DELETE", &path, Value::Null).await, is(404, "unknown"));
}
