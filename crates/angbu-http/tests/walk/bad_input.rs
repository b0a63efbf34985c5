//! Strings that mean harm, in every string that a route takes: nothing of them is believed, nothing breaks.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::site::{Shows, TestSite};
use super::table::{Call, Needs, OTHER, OWN, TABLE, call};

const HARM: [&str; 10] = [
    "' OR 1=1 --",
    "\"; DROP TABLE accounts_customers; --",
    "'); DELETE FROM accounts_staff; --",
    "?1",
    "a\0b",
    "\u{430}lpha",
    "al\u{200b}pha",
    "\u{202e}ahpla",
    "\u{ff41}lpha",
    "..%2f..%2fetc%2fpasswd",
];

/// Everything that can be listed.
async fn everything(site: &TestSite) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/api/v1/customers".to_owned(),
        "/api/v1/staff".to_owned(),
        "/api/v1/tokens".to_owned(),
        "/api/v1/machines".to_owned(),
        "/api/v1/enrolments".to_owned(),
        "/api/v1/time/agents".to_owned(),
        format!("/api/v1/people?customer={OWN}&limit=200"),
    ] {
        all.push(site.done("GET", &path, &Value::Null).await);
    }
    all
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The places of all strings in a body.
fn strings(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(place.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| strings(item, &format!("{place}/{n}"), found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| strings(member, &format!("{place}/{name}"), found));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_string_breaks_out() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    site.customer(OTHER).await;
    site.entry(OWN).await;
    for (method, route, _) in TABLE {
        let Call { path, body } = call(&site, method, route).await;
        let mut tries: Vec<(String, Option<Value>)> = Vec::new();
        for harm in HARM {
            // In each part of the path that is somebody's choice, and in each parameter.
            if let Some(start) = route.find('{') {
                let rest = path.get(start..).unwrap().find('/').map_or("", |end| &path[start + end..]);
                tries.push((format!("{}{}{rest}", &path[..start], encoded(harm)), body.clone()));
            }
            if let Some((path, query)) = path.split_once('?') {
                for parameter in query.split('&') {
                    let name = parameter.split('=').next().unwrap();
                    tries.push((
                        format!("{path}?{}", query.replace(parameter, &format!("{name}={}", encoded(harm)))),
                        None,
                    ));
                }
            } else if *method == "GET" {
                tries.push((format!("{path}?customer={}", encoded(harm)), None));
            }
            let mut places = Vec::new();
            strings(body.as_ref().unwrap_or(&Value::Null), "", &mut places);
            for place in places {
                let mut changed = body.clone().unwrap();
                *changed.pointer_mut(&place).unwrap() = json!(harm);
                tries.push((path.clone(), Some(changed)));
            }
            // What nobody asked for.
            if let Some(Value::Object(members)) = &body {
                let mut members = members.clone();
                members.insert(harm.to_owned(), json!(harm));
                tries.push((path.clone(), Some(Value::Object(members))));
            }
        }
        for (path, body) in tries {
            let before = everything(&site).await;
            let kind = if body.is_some() { "application/json" } else { "" };
            let text = body.map(|body| body.to_string()).unwrap_or_default();
            let answer = site.call(&site.operator, method, &path, text.as_bytes(), kind).await;
            assert!(!answer.status.is_server_error(), "{method} {path} {text}: {answer:?}");
            let after = everything(&site).await;
            if answer.status.is_client_error() {
                assert_eq!(before, after, "{method} {path} {text}: {answer:?}");
            } else if !route.ends_with("/erase") {
                // Where a text may be anything, it is kept or shown as what it is, and takes nothing away.
                let count = |all: &[Value]| all.iter().map(|list| list.to_string().len()).sum::<usize>();
                assert!(count(&after) >= count(&before), "{method} {path} {text}: {answer:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_names_have_no_look_alikes() {
    let site = TestSite::start().await;
    let id = site.customer(OWN).await.to_string();
    for look_alike in [
        "\u{430}lpha".to_owned(),
        "Alpha".to_owned(),
        "alpha ".to_owned(),
        "al\u{200b}pha".to_owned(),
        "alpha\0".to_owned(),
        id.to_uppercase(),
        id.replace("cus_", "cus\u{ff3f}"),
        format!("{id} "),
        format!("{id}\0"),
    ] {
        let answer = site.get(&site.operator, &format!("/api/v1/customers/{}", encoded(&look_alike))).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::NOT_FOUND, "unknown".to_owned()),
            "{look_alike:?}"
        );
    }
    for (name, problem) in
        [("оperator", "invalid"), ("operator\0", "invalid"), ("Operator", "invalid"), ("operator", "taken")]
    {
        let wish = json!({"name": name, "role": "operator"});
        assert_eq!(
            site.send(&site.operator, "POST", "/api/v1/staff", &wish).await.problem(),
            problem,
            "{name:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_bodies_are_refused() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    for (method, route, _) in TABLE.iter().filter(|line| line.0 != "GET" && line.2 != Needs::Nothing) {
        let Call { path, body } = call(&site, method, route).await;
        if body.is_none() || route.ends_with("/password") && route.contains("{staff}") {
            continue;
        }
        // A calibration comes with its certificate and an import with its file: they may be larger than anything else.
        let may_be_large = ["/api/v1/time/calibrations", "/api/v1/keys/import"].contains(route);
        let larger = may_be_large.then(|| huge.replace('x', "xxxxxxxx"));
        let body = larger.as_ref().unwrap_or(&huge);
        let answer = site.call(&site.operator, method, &path, body.as_bytes(), "application/json").await;
        assert_eq!(answer.status.as_u16(), 413, "{method} {route}: {answer:?}");
    }
    for path in
        ["/api/v1/session", "/api/v1/enrolments/person", "/api/v1/enrolments/host", "/api/v1/time/uploads"]
    {
        let answer = site.call(&Shows::Nothing, "POST", path, huge.as_bytes(), "application/json").await;
        assert_eq!(answer.status.as_u16(), 413, "{path}: {answer:?}");
    }
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let answer =
        site.call(&site.operator, "POST", "/api/v1/staff", deep.as_bytes(), "application/json").await;
    assert_eq!(answer.status.as_u16(), 422);
}
