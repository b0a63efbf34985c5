//! What each route needs of its caller. A route of the document without a line here fails the test, and so does a line
//! without a route.

use angbu_accounts::Scope::{self, *};
use serde_json::{Value, json};

use super::site::TestSite;

/// The two customers: what is called belongs to the first.
pub(crate) const OWN: &str = "alpha";
pub(crate) const OTHER: &str = "beta";

/// Whom a route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Anybody.
    Nothing,
    /// Whoever is signed in with a browser.
    Session,
    /// Whoever is signed in, with a browser or a token.
    Anyone,
    /// Who has these scopes in the whole site.
    Site(&'static [Scope]),
    /// Who has these scopes for the customer whose object is called.
    Object(&'static [Scope]),
    /// Who has these scopes; it shows what lies within their reach.
    List(&'static [Scope]),
    /// Who has these scopes, however far they reach: nobody is named in the answer.
    Shared(&'static [Scope]),
}

/// A call that whoever may make it succeeds with.
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

pub(crate) fn get(path: impl Into<String>) -> Call {
    Call { path: path.into(), body: None }
}

pub(crate) fn with(path: impl Into<String>, body: Value) -> Call {
    Call { path: path.into(), body: Some(body) }
}

/// Refused of everybody while the log is in no doubt.
pub(crate) const CONFIRM: &str = "/api/v1/evidence/confirm";

/// Every route, and what it needs.
pub(crate) const TABLE: &[(&str, &str, Needs)] = &[
    ("GET", "/healthz", Needs::Nothing),
    ("GET", "/readyz", Needs::Nothing),
    ("GET", "/metrics", Needs::Nothing),
    ("GET", "/api/openapi.json", Needs::Nothing),
    ("GET", "/checkpoint", Needs::Nothing),
    ("GET", "/tile/0/000.p/1", Needs::Nothing),
    ("GET", "/tile/entries/000.p/1", Needs::Site(&[EvidenceRead, SiteRead])),
    ("GET", "/api/v1/centre", Needs::Anyone),
    // The secret of a link is in the call.
    ("POST", "/api/v1/shared", Needs::Nothing),
    ("POST", "/api/v1/shared/report", Needs::Nothing),
    ("GET", "/api/v1/session", Needs::Session),
    ("POST", "/api/v1/session", Needs::Nothing),
    ("DELETE", "/api/v1/session", Needs::Anyone),
    ("POST", "/api/v1/session/password", Needs::Session),
    ("POST", "/api/v1/session/request", Needs::Nothing),
    ("GET", "/api/v1/requests", Needs::List(&[RequestsRead])),
    ("POST", "/api/v1/requests", Needs::Object(&[RequestsMake])),
    ("GET", "/api/v1/requests/{request}", Needs::Object(&[RequestsRead])),
    ("GET", "/api/v1/requests/{request}/events", Needs::Object(&[RequestsRead])),
    // What a browser shows is the secret in the call or the cookie that it got for it.
    ("POST", "/api/v1/requests/{request}/open", Needs::Nothing),
    ("GET", "/api/v1/requests/{request}/shown", Needs::Nothing),
    ("POST", "/api/v1/requests/{request}/answers/password", Needs::Nothing),
    ("POST", "/api/v1/requests/{request}/answers/passkey/begin", Needs::Nothing),
    ("POST", "/api/v1/requests/{request}/answers/passkey/finish", Needs::Nothing),
    ("POST", "/api/v1/requests/{request}/answers/keys", Needs::Nothing),
    ("POST", "/api/v1/requests/{request}/cancel", Needs::Nothing),
    ("POST", "/api/v1/requests/{request}/session", Needs::Nothing),
    ("GET", "/api/v1/session/passkeys", Needs::Session),
    ("POST", "/api/v1/session/passkeys", Needs::Session),
    ("POST", "/api/v1/session/passkeys/begin", Needs::Session),
    ("DELETE", "/api/v1/session/passkeys/{passkey}", Needs::Session),
    // The secret of a link is in the call.
    ("POST", "/api/v1/passkeys", Needs::Nothing),
    ("POST", "/api/v1/passkeys/begin", Needs::Nothing),
    ("GET", "/api/v1/customers", Needs::List(&[CustomersRead])),
    ("POST", "/api/v1/customers", Needs::Site(&[Operator])),
    ("GET", "/api/v1/customers/{customer}", Needs::Object(&[CustomersRead])),
    ("PATCH", "/api/v1/customers/{customer}", Needs::Object(&[CustomersChange])),
    ("POST", "/api/v1/customers/{customer}/test", Needs::Object(&[CustomersChange])),
    ("GET", "/api/v1/customers/{customer}/webhooks", Needs::Object(&[CustomersChange])),
    ("POST", "/api/v1/customers/{customer}/webhooks", Needs::Object(&[CustomersChange])),
    ("DELETE", "/api/v1/customers/{customer}/webhooks/{webhook}", Needs::Object(&[CustomersChange])),
    ("POST", "/api/v1/customers/{customer}/webhooks/{webhook}/secret", Needs::Object(&[CustomersChange])),
    ("GET", "/api/v1/deliveries", Needs::List(&[CustomersChange])),
    ("POST", "/api/v1/deliveries/now", Needs::Site(&[Operator])),
    ("GET", "/api/v1/time/incidents", Needs::List(&[TimeRead])),
    ("GET", "/api/v1/staff", Needs::List(&[StaffManage])),
    ("POST", "/api/v1/staff", Needs::Object(&[StaffManage])),
    ("PATCH", "/api/v1/staff/{staff}", Needs::Object(&[StaffManage])),
    ("POST", "/api/v1/staff/{staff}/password", Needs::Object(&[StaffManage])),
    ("GET", "/api/v1/tokens", Needs::List(&[TokensManage])),
    ("POST", "/api/v1/tokens", Needs::Object(&[TokensManage])),
    ("DELETE", "/api/v1/tokens/{token}", Needs::Object(&[TokensManage])),
    ("GET", "/api/v1/people", Needs::Object(&[PeopleRead])),
    ("POST", "/api/v1/people", Needs::Object(&[PeopleManage])),
    ("GET", "/api/v1/people/{person}", Needs::Object(&[PeopleRead])),
    ("PATCH", "/api/v1/people/{person}", Needs::Object(&[PeopleManage])),
    ("GET", "/api/v1/people/{person}/passkeys", Needs::Object(&[PeopleRead])),
    ("POST", "/api/v1/people/{person}/passkeys", Needs::Object(&[PeopleManage])),
    ("DELETE", "/api/v1/people/{person}/passkeys/{passkey}", Needs::Object(&[PeopleManage])),
    ("POST", "/api/v1/people/{person}/erase", Needs::Object(&[EvidenceErase])),
    ("GET", "/api/v1/enrolments", Needs::List(&[EnrolmentsMake])),
    ("POST", "/api/v1/enrolments", Needs::Object(&[EnrolmentsMake, MachinesManage])),
    ("DELETE", "/api/v1/enrolments/{enrolment}", Needs::Object(&[EnrolmentsMake, PeopleManage])),
    ("POST", "/api/v1/enrolments/agent", Needs::Nothing),
    ("POST", "/api/v1/enrolments/person", Needs::Nothing),
    ("POST", "/api/v1/enrolments/host", Needs::Nothing),
    ("POST", "/api/v1/enrolments/relying-party", Needs::Nothing),
    ("GET", "/api/v1/machines", Needs::List(&[MachinesManage])),
    ("PATCH", "/api/v1/machines/{machine}", Needs::Object(&[MachinesManage])),
    ("GET", "/api/v1/time/agents", Needs::List(&[TimeRead])),
    ("GET", "/api/v1/time/agents/{agent}", Needs::Object(&[TimeRead])),
    ("GET", "/api/v1/time/agents/{agent}/graph", Needs::Object(&[TimeRead])),
    ("GET", "/api/v1/time/agents/{agent}/export", Needs::Object(&[TimeRead])),
    ("GET", "/api/v1/time/customers/{customer}/export", Needs::Object(&[TimeRead])),
    ("GET", "/api/v1/time/metrics", Needs::List(&[TimeRead])),
    ("GET", "/api/v1/time/customers/{customer}/periods", Needs::Object(&[TimeRead])),
    ("GET", "/api/v1/time/customers/{customer}/traceability", Needs::Object(&[TimeRead])),
    ("GET", "/api/v1/time/agents/{agent}/trend", Needs::Object(&[TimeRead])),
    ("GET", "/api/v1/time/shares", Needs::Object(&[TimeReport])),
    ("POST", "/api/v1/time/shares", Needs::Object(&[TimeReport, CustomersChange])),
    ("DELETE", "/api/v1/time/shares/{share}", Needs::Object(&[CustomersChange])),
    ("GET", "/api/v1/time/customers/{customer}/reports", Needs::Object(&[TimeReport])),
    ("POST", "/api/v1/time/customers/{customer}/reports", Needs::Object(&[TimeReport])),
    ("GET", "/api/v1/time/reports/{report}", Needs::Object(&[TimeReport])),
    ("GET", "/api/v1/time/stream", Needs::List(&[TimeRead])),
    ("POST", "/api/v1/time/uploads", Needs::Nothing),
    ("GET", "/api/v1/time/operations", Needs::Shared(&[TimeRead])),
    ("GET", "/api/v1/time/calibrations", Needs::Shared(&[TimeRead])),
    ("POST", "/api/v1/time/calibrations", Needs::Site(&[Operator])),
    ("GET", "/api/v1/time/calibrations/{calibration}/file", Needs::Shared(&[TimeRead])),
    ("POST", "/api/v1/time/calibrations/{calibration}/withdraw", Needs::Site(&[Operator])),
    ("POST", "/api/v1/time/reports", Needs::Object(&[TimeReport])),
    ("POST", "/api/v1/keys/import", Needs::Object(&[KeysManage])),
    ("POST", "/api/v1/keys/enrol", Needs::Object(&[KeysManage])),
    ("POST", "/api/v1/keys/verify", Needs::Object(&[KeysVerify])),
    ("POST", "/api/v1/keys/generate", Needs::Object(&[KeysGenerate])),
    ("GET", "/api/v1/keys/tokens", Needs::Object(&[KeysRead])),
    ("GET", "/api/v1/keys/tokens/{token}", Needs::Object(&[KeysRead])),
    ("POST", "/api/v1/keys/tokens/{token}/revoke", Needs::Object(&[KeysManage])),
    ("POST", "/api/v1/keys/tokens/{token}/unlock", Needs::Object(&[KeysManage])),
    ("POST", "/api/v1/keys/tokens/{token}/renew", Needs::Object(&[KeysManage])),
    ("POST", "/api/v1/keys/tokens/{token}/resynchronise", Needs::Object(&[KeysManage])),
    ("POST", "/api/v1/keys/tokens/{token}/recovery-codes", Needs::Object(&[KeysManage])),
    ("GET", "/api/v1/keys/tries", Needs::Object(&[KeysRead])),
    ("GET", "/api/v1/keys/policy", Needs::Object(&[KeysRead])),
    ("PUT", "/api/v1/keys/policy", Needs::Object(&[KeysManage])),
    ("GET", "/api/v1/evidence/head", Needs::Nothing),
    ("GET", "/api/v1/evidence/key", Needs::Nothing),
    ("GET", "/api/v1/evidence/growth", Needs::Shared(&[EvidenceRead])),
    ("GET", "/api/v1/evidence/kinds", Needs::Shared(&[EvidenceRead])),
    ("GET", "/api/v1/evidence/entries", Needs::List(&[EvidenceRead])),
    ("GET", "/api/v1/evidence/entries/{entry}", Needs::Object(&[EvidenceRead])),
    ("GET", "/api/v1/evidence/witnesses", Needs::Shared(&[EvidenceRead])),
    ("POST", CONFIRM, Needs::Site(&[Operator])),
    ("POST", "/api/v1/evidence/entries", Needs::Object(&[EvidenceAppend])),
    ("GET", "/api/v1/evidence/entries/{entry}/receipt", Needs::Object(&[EvidenceRead])),
    ("POST", "/api/v1/evidence/entries/{entry}/erase", Needs::Object(&[EvidenceErase])),
    ("GET", "/api/v1/evidence/keys", Needs::Site(&[Operator])),
    ("POST", "/api/v1/evidence/keys/{purpose}/rotate", Needs::Site(&[Operator])),
    ("POST", "/api/v1/evidence/keys/log/retire", Needs::Site(&[Operator])),
];

/// A call of a route on something that belongs to the first customer, and that is fresh where the call uses it up.
pub(crate) async fn call(site: &TestSite, method: &str, route: &str) -> Call {
    let noun = route.trim_start_matches("/api/v1/").split('/').next().unwrap();
    match noun {
        "time" | "evidence" => match call_of_third_parties(site, method, route).await {
            Some(call) => call,
            None => call_of_the_log(site, method, route).await,
        },
        "keys" => super::keys::call(site, method, route).await,
        "requests" => call_of_requests(site, method, route).await,
        "people" | "enrolments" | "machines" => call_of_joiners(site, method, route).await,
        _ => call_of_accounts(site, method, route).await,
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

async fn call_of_accounts(site: &TestSite, method: &str, route: &str) -> Call {
    let number = site.next();
    match (method, route) {
        ("POST", "/api/v1/session") => with(route, json!({"name": "nobody", "password": "nothing"})),
        ("POST", "/api/v1/session/password") => {
            with(route, json!({"old": "wrong", "new": "a long enough one"}))
        }
        ("POST", "/api/v1/customers") => {
            with(route, json!({"name": format!("c{number}"), "tolerance_ns": 1_000_000}))
        }
        (_, "/api/v1/customers/{customer}") => {
            let path = format!("/api/v1/customers/{OWN}");
            if method == "GET" {
                get(path)
            } else {
                with(path, json!({"contacts": [format!("ops{number}@example.org")]}))
            }
        }
        ("POST", "/api/v1/customers/{customer}/webhooks") => {
            let path = format!("/api/v1/customers/{OWN}/webhooks");
            // There is room for few, and everybody makes one.
            forget_webhooks(site).await;
            with(path, json!({"url": format!("https://hooks.example.org/{number}")}))
        }
        ("POST", "/api/v1/customers/{customer}/test") => {
            webhook(site, OWN).await;
            site.clock.advance(angbu_units::Nanos::from_secs(30));
            get(format!("/api/v1/customers/{OWN}/test"))
        }
        (_, "/api/v1/customers/{customer}/webhooks") => get(format!("/api/v1/customers/{OWN}/webhooks")),
        ("DELETE", "/api/v1/customers/{customer}/webhooks/{webhook}") => {
            get(format!("/api/v1/customers/{OWN}/webhooks/{}", webhook(site, OWN).await))
        }
        ("POST", "/api/v1/customers/{customer}/webhooks/{webhook}/secret") => {
            get(format!("/api/v1/customers/{OWN}/webhooks/{}/secret", webhook(site, OWN).await))
        }
        ("POST", "/api/v1/staff") => {
            with(route, json!({"name": format!("s{number}"), "role": "registrar", "customer": OWN}))
        }
        ("PATCH", "/api/v1/staff/{staff}") => {
            with(format!("/api/v1/staff/{}", staff(site).await), json!({"language": "ko"}))
        }
        ("POST", "/api/v1/staff/{staff}/password") => {
            with(format!("/api/v1/staff/{}/password", staff(site).await), json!({}))
        }
        ("POST", "/api/v1/tokens") => {
            with(route, json!({"holder": "a program", "scopes": ["customers.read"], "customer": OWN}))
        }
        ("DELETE", "/api/v1/tokens/{token}") => {
            let wish = json!({"holder": "a program", "scopes": ["evidence.append"], "customer": OWN});
            let made = site.done("POST", "/api/v1/tokens", &wish).await;
            get(format!("/api/v1/tokens/{}", text(&made, "id")))
        }
        ("POST", "/api/v1/session/passkeys") => {
            with(route, json!({"label": "a key", "credential": super::passkeys::nonsense()}))
        }
        ("POST", "/api/v1/passkeys/begin") => with(route, json!({"secret": "nonsense"})),
        ("POST", "/api/v1/passkeys") => {
            with(route, json!({"secret": "a", "label": "a key", "credential": super::passkeys::nonsense()}))
        }
        _ => get(route),
    }
}

/// A wish for a request of a customer's.
pub(crate) fn request(customer: &str) -> Value {
    json!({"customer": customer, "purpose": "login", "methods": [["password"]], "show": {"title": "Sign in"}})
}

async fn call_of_requests(site: &TestSite, method: &str, route: &str) -> Call {
    if route == "/api/v1/requests" {
        return if method == "GET" { get(route) } else { with(route, request(OWN)) };
    }
    let made = site.done("POST", "/api/v1/requests", &request(OWN)).await;
    let path = route.replace("{request}", &text(&made, "id"));
    match route.rsplit('/').next().unwrap() {
        "open" => with(path, json!({"secret": "a".repeat(52)})),
        "password" => with(path, json!({"login_id": "nobody", "password": "nothing"})),
        "keys" => with(path, json!({"login_id": "nobody", "ota_key": "000000"})),
        _ => get(path),
    }
}

async fn call_of_joiners(site: &TestSite, method: &str, route: &str) -> Call {
    let number = site.next();
    match (method, route) {
        ("GET", "/api/v1/people") => get(format!("{route}?customer={OWN}&limit=2")),
        ("POST", "/api/v1/people") => with(route, person(number)),
        ("POST", "/api/v1/people/{person}/erase") => {
            let made = site.done("POST", "/api/v1/people", &person(number)).await;
            with(
                format!("/api/v1/people/{}/erase", text(&made, "id")),
                json!({"reason": "they asked for it"}),
            )
        }
        (_, "/api/v1/people/{person}") => {
            let made = async || text(&site.done("POST", "/api/v1/people", &person(number)).await, "id");
            let path = format!("/api/v1/people/{}", site.person.get_or_init(made).await);
            if method == "GET" { get(path) } else { with(path, json!({"phone_no": "01099998888"})) }
        }
        (_, "/api/v1/people/{person}/passkeys") => {
            let made = site.done("POST", "/api/v1/people", &person(number)).await;
            get(format!("/api/v1/people/{}/passkeys", text(&made, "id")))
        }
        ("DELETE", "/api/v1/people/{person}/passkeys/{passkey}") => {
            get(super::passkeys::registered(site, &person(number)).await)
        }
        ("POST", "/api/v1/enrolments") => {
            with(route, json!({"kind": "host", "customer": OWN, "name": format!("h{number}")}))
        }
        ("DELETE", "/api/v1/enrolments/{enrolment}") => {
            let (id, _) = site.code("person", OWN, &format!("p{number}")).await;
            get(format!("/api/v1/enrolments/{id}"))
        }
        ("POST", "/api/v1/enrolments/person") => with(
            route,
            json!({"secret": "AAAAAAAAAAAAAAAAAAAAAA==", "login_id": "kim", "password": "long enough for it",
                   "birthday": "1990-04-30", "phone_no": "01012345678"}),
        ),
        (
            "POST",
            "/api/v1/enrolments/agent" | "/api/v1/enrolments/host" | "/api/v1/enrolments/relying-party",
        ) => {
            let key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
            let code = angbu_accounts::EnrolmentCode::from_parts([0; 16], [7; 32]);
            with(route, TestSite::join_body(&code, "nobody", &key))
        }
        ("PATCH", "/api/v1/machines/{machine}") => {
            let joined = site.join("host", OWN).await;
            with(format!("/api/v1/machines/{}", text(&joined, "machine_id")), json!({"disabled": true}))
        }
        _ => get(route),
    }
}

/// What is told to third parties: periods, links, reports that are kept.
async fn call_of_third_parties(site: &TestSite, method: &str, route: &str) -> Option<Call> {
    let day = "from=2027-01-14T00:00:00Z&to=2027-01-15T00:00:00Z";
    let link = || json!({"customer": OWN, "holder": "an auditor", "month": "2026-12"});
    let month = || json!({"month": "2026-12"});
    let reports = format!("/api/v1/time/customers/{OWN}/reports");
    Some(match (method, route) {
        ("GET", "/api/v1/time/customers/{customer}/periods") => {
            get(format!("/api/v1/time/customers/{OWN}/periods?{day}"))
        }
        ("GET", "/api/v1/time/customers/{customer}/traceability") => {
            get(format!("/api/v1/time/customers/{OWN}/traceability?{day}"))
        }
        ("GET", "/api/v1/time/agents/{agent}/trend") => {
            get(format!("/api/v1/time/agents/{}/trend?{day}", agent(site).await))
        }
        ("GET", "/api/v1/time/shares") => get(format!("{route}?customer={OWN}")),
        ("POST", "/api/v1/time/shares") => with(route, link()),
        ("DELETE", "/api/v1/time/shares/{share}") => {
            let made = site.done("POST", "/api/v1/time/shares", &link()).await;
            get(format!("/api/v1/time/shares/{}", text(&made["share"], "id")))
        }
        ("GET", "/api/v1/time/customers/{customer}/reports") => get(reports),
        ("POST", "/api/v1/time/customers/{customer}/reports") => with(reports, month()),
        ("GET", "/api/v1/time/reports/{report}") => {
            let made = site.done("POST", &reports, &month()).await;
            get(format!("/api/v1/time/reports/{}", text(&made, "id")))
        }
        _ => return None,
    })
}

async fn call_of_the_log(site: &TestSite, method: &str, route: &str) -> Call {
    let number = site.next();
    match (method, route) {
        ("GET", "/api/v1/time/agents/{agent}") => get(format!("/api/v1/time/agents/{}", agent(site).await)),
        ("GET", "/api/v1/time/agents/{agent}/graph") => get(format!(
            "/api/v1/time/agents/{}/graph?from=2027-01-01T00:00:00Z&to=2027-01-02T00:00:00Z",
            agent(site).await
        )),
        ("GET", "/api/v1/time/agents/{agent}/export") => get(format!(
            "/api/v1/time/agents/{}/export?what=periods&format=csv&from=2027-01-01T00:00:00Z&to=2027-01-02T00:00:00Z",
            agent(site).await
        )),
        ("GET", "/api/v1/time/customers/{customer}/export") => get(format!(
            "/api/v1/time/customers/{OWN}/export?what=exchanges&format=parquet&from=2027-01-01T00:00:00Z&to=2027-01-02T00:00:00Z"
        )),
        ("POST", "/api/v1/time/reports") => with(
            route,
            json!({"customer": OWN, "from": "2027-01-14T00:00:00Z", "to": "2027-01-15T08:00:00Z"}),
        ),
        ("GET", "/api/v1/time/operations") => {
            get(format!("{route}?from=2027-01-14T00:00:00Z&to=2027-01-15T08:00:00Z"))
        }
        ("POST", "/api/v1/time/calibrations") => with(route, calibration(number)),
        ("GET", "/api/v1/time/calibrations/{calibration}/file") => {
            let made = site.done("POST", "/api/v1/time/calibrations", &calibration(number)).await;
            get(format!("/api/v1/time/calibrations/{}/file", text(&made, "entry_id")))
        }
        ("POST", "/api/v1/time/calibrations/{calibration}/withdraw") => {
            let made = site.done("POST", "/api/v1/time/calibrations", &calibration(number)).await;
            with(
                format!("/api/v1/time/calibrations/{}/withdraw", text(&made, "entry_id")),
                json!({"reason": "the certificate of another receiver"}),
            )
        }
        ("POST", "/api/v1/evidence/entries") => {
            with(route, json!({"customer": OWN, "fields": {"text": "x"}}))
        }
        ("GET", "/api/v1/evidence/growth") => {
            get(format!("{route}?from=2027-01-14T00:00:00Z&to=2027-01-15T08:00:00Z"))
        }
        ("POST", CONFIRM) => with(route, json!({"size": 1, "reason": "a disk is lost"})),
        ("GET", "/api/v1/evidence/entries/{entry}") => {
            get(format!("/api/v1/evidence/entries/{}", site.entry(OWN).await))
        }
        ("GET", "/api/v1/evidence/entries/{entry}/receipt") => {
            get(format!("/api/v1/evidence/entries/{}/receipt", site.entry(OWN).await))
        }
        ("POST", "/api/v1/evidence/entries/{entry}/erase") => with(
            format!("/api/v1/evidence/entries/{}/erase", site.entry(OWN).await),
            json!({"fields": ["text"], "reason": "they asked for it"}),
        ),
        ("POST", "/api/v1/evidence/keys/{purpose}/rotate") => {
            // There must be no older one, which depends on who called before.
            site.send(&site.operator, "POST", "/api/v1/evidence/keys/log/retire", &json!({})).await;
            get("/api/v1/evidence/keys/log/rotate")
        }
        ("POST", "/api/v1/evidence/keys/log/retire") => {
            // And here there must be one.
            site.send(&site.operator, "POST", "/api/v1/evidence/keys/log/rotate", &json!({})).await;
            get(route)
        }
        _ => get(route),
    }
}

fn calibration(number: u32) -> Value {
    json!({"subject": "GNSS receiver 4711", "laboratory": "a laboratory", "certificate": format!("2026-{number}"),
           "measured_at": "2026-10-01T00:00:00Z", "offset_ns": -37, "uncertainty_ns": 50, "coverage": "2",
           "valid_until": "2028-10-01T00:00:00Z", "file": "JVBERi0xLjcKJeLjz9MK"})
}

fn person(number: u32) -> Value {
    json!({"customer": OWN, "login_id": format!("person.{number}"), "password": "long enough for it",
           "birthday": "1990-04-30", "phone_no": "01012345678"})
}

/// A fresh webhook of a customer.
pub(crate) async fn webhook(site: &TestSite, customer: &str) -> String {
    forget_webhooks(site).await;
    let wish = json!({"url": format!("https://hooks.example.org/{}", site.next())});
    let made = site.done("POST", &format!("/api/v1/customers/{customer}/webhooks"), &wish).await;
    text(&made["webhook"], "id")
}

async fn forget_webhooks(site: &TestSite) {
    let path = format!("/api/v1/customers/{OWN}/webhooks");
    let list = site.get(&site.operator, &path).await;
    let list: Value = serde_json::from_str(&list.text).unwrap();
    for webhook in list["webhooks"].as_array().unwrap() {
        site.send(&site.operator, "DELETE", &format!("{path}/{}", text(webhook, "id")), &json!({})).await;
    }
}

async fn staff(site: &TestSite) -> &str {
    let make = async || {
        let wish = json!({"name": format!("s{}", site.next()), "role": "registrar", "customer": OWN});
        let made = site.done("POST", "/api/v1/staff", &wish).await;
        made["staff"]["id"].as_str().unwrap().to_owned()
    };
    site.staff.get_or_init(make).await
}

async fn agent(site: &TestSite) -> &str {
    let make = async || site.join("agent", OWN).await["agent_id"].as_str().unwrap().to_owned();
    site.agent.get_or_init(make).await
}

/// The routes of the document, and those that are none of its business.
pub(crate) fn routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(angbu_http::openapi()).unwrap();
    let mut routes: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_ascii_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect();
    for path in ["/api/openapi.json", "/checkpoint", "/tile/0/000.p/1", "/tile/entries/000.p/1"] {
        routes.push(("GET".to_owned(), path.to_owned()));
    }
    routes
}

/// What a route needs.
pub(crate) fn needs(method: &str, route: &str) -> Option<Needs> {
    TABLE.iter().find(|line| (line.0, line.1) == (method, route)).map(|line| line.2)
}
