//! The walk: every route, called by everybody.

use angbu_accounts::{Grant, Reach, Role, Scope};
use axum::http::StatusCode;

use super::site::{Answer, Shows, TestSite};
use super::table::{CONFIRM, Call, Needs, OTHER, OWN, TABLE, call, needs, request, routes, webhook};

/// Somebody who calls.
struct Caller {
    name: String,
    shows: Shows,
    /// What they may do; `None` for nobody.
    grant: Option<Grant>,
}

impl Caller {
    fn may(&self, scopes: &[Scope]) -> Option<Reach> {
        let grant = self.grant.as_ref()?;
        scopes.iter().map(|scope| grant.allows(*scope)).collect::<Option<Vec<_>>>()?.first().copied()
    }
}

async fn everybody(site: &TestSite) -> Vec<Caller> {
    let own = Reach::Customer(site.customer(OWN).await);
    let other = Reach::Customer(site.customer(OTHER).await);
    let nobody = |name: &str, shows| Caller { name: name.to_owned(), shows, grant: None };
    let mut callers = vec![
        nobody("nobody", Shows::Nothing),
        nobody("somebody with nonsense", Shows::Token("nonsense".to_owned())),
        nobody("somebody with a token of another site", Shows::Token("a".repeat(52))),
        nobody(
            "somebody with a cookie of another site",
            Shows::Cookie(format!("angbu_session={}", "a".repeat(52))),
        ),
    ];
    let roles = [
        (Role::Operator, Reach::Site, None),
        (Role::Auditor, Reach::Site, None),
        (Role::CustomerAdmin, own, Some(OWN)),
        (Role::Registrar, own, Some(OWN)),
        (Role::Auditor, own, Some(OWN)),
        (Role::RelyingParty, own, Some(OWN)),
        (Role::Agent, own, Some(OWN)),
        (Role::Device, own, Some(OWN)),
        (Role::CustomerAdmin, other, Some(OTHER)),
        (Role::Registrar, other, Some(OTHER)),
        (Role::Auditor, other, Some(OTHER)),
        (Role::RelyingParty, other, Some(OTHER)),
        (Role::Agent, other, Some(OTHER)),
        (Role::Device, other, Some(OTHER)),
    ];
    for (role, reach, customer) in roles {
        let grant = Grant::of(role, reach);
        let of = customer.unwrap_or("the site");
        let shows = site.token(role, reach).await;
        callers.push(Caller {
            name: format!("a token of {role} of {of}"),
            shows,
            grant: Some(grant.clone()),
        });
        if role.is_of_the_staff() {
            let (_, _, shows) = site.member(role, customer).await;
            callers.push(Caller { name: format!("{role} of {of}"), shows, grant: Some(grant) });
        }
    }
    callers
}

#[test]
fn the_table_has_every_route_and_no_other() {
    let routes = routes();
    for (method, route) in &routes {
        assert!(needs(method, route).is_some(), "{method} {route} is missing from the table");
    }
    for (method, route, _) in TABLE {
        let known = routes.iter().any(|known| (&*known.0, &*known.1) == (*method, *route));
        assert!(known, "{method} {route} stands in the table and is no route");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_whom_it_concerns() {
    let site = TestSite::start().await;
    let callers = everybody(&site).await;
    // Something to be read.
    site.entry(OWN).await;
    for (method, route, needs) in TABLE {
        for caller in &callers {
            // Signing out is tried with sessions that nobody needs any more.
            if (*method, *route) == ("DELETE", "/api/v1/session") {
                continue;
            }
            let Call { path, body } = call(&site, method, route).await;
            let kind = if body.is_some() { "application/json" } else { "" };
            let body = body.map(|body| body.to_string()).unwrap_or_default();
            let answer = site.call(&caller.shows, method, &path, body.as_bytes(), kind).await;
            check(caller, method, route, *needs, &answer);
        }
    }
}

fn check(caller: &Caller, method: &str, route: &str, needs: Needs, answer: &Answer) {
    let what = || format!("{method} {route} as {}: {answer:?}", caller.name);
    let got = (answer.status.as_u16(), answer.problem());
    assert!(!answer.status.is_server_error(), "{}", what());
    let forbidden = (403, "forbidden".to_owned());
    let not_signed_in = (401, "not-signed-in".to_owned());
    let (scopes, site_only) = match needs {
        Needs::Nothing => {
            assert!(got != not_signed_in && got != forbidden, "{}", what());
            return;
        }
        Needs::Anyone => {
            let expected = if caller.grant.is_some() { "" } else { "not-signed-in" };
            assert_eq!(answer.problem(), expected, "{}", what());
            return;
        }
        Needs::Session => {
            let browser = matches!(caller.shows, Shows::Cookie(_)) && caller.grant.is_some();
            assert_eq!(got == not_signed_in, !browser, "{}", what());
            return;
        }
        Needs::Site(scopes) => (scopes, true),
        Needs::Object(scopes) | Needs::List(scopes) | Needs::Shared(scopes) => (scopes, false),
    };
    if caller.grant.is_none() {
        assert_eq!(got, not_signed_in, "{}", what());
        return;
    }
    match caller.may(scopes) {
        None => assert_eq!(got, forbidden, "{}", what()),
        Some(Reach::Customer(_)) if site_only => assert_eq!(got, forbidden, "{}", what()),
        Some(Reach::Customer(_)) if matches!(needs, Needs::Object(_)) && caller.name.ends_with(OTHER) => {
            assert_eq!(got, (404, "unknown".to_owned()), "{}", what());
        }
        Some(_) if route == CONFIRM => assert_eq!(got, (422, "invalid".to_owned()), "{}", what()),
        Some(reach) => {
            assert!(answer.status.is_success(), "{}", what());
            if matches!(needs, Needs::List(_)) && reach != Reach::Site && caller.name.ends_with(OTHER) {
                assert!(!answer.text.contains(OWN), "{}", what());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_end_where_the_reach_ends() {
    let site = TestSite::start().await;
    let (own, other) = (site.customer(OWN).await, site.customer(OTHER).await);
    for (id, customer) in [(own, OWN), (other, OTHER)] {
        site.join("agent", customer).await;
        site.join("relying-party", customer).await;
        site.code("host", customer, "waiting").await;
        let wish =
            serde_json::json!({"name": format!("of-{customer}"), "role": "auditor", "customer": customer});
        site.done("POST", "/api/v1/staff", &wish).await;
        webhook(&site, customer).await;
        site.done("POST", &format!("/api/v1/customers/{customer}/test"), &serde_json::json!({})).await;
        site.incident(id).await;
        site.done("POST", "/api/v1/requests", &request(customer)).await;
    }
    let admin = site.token(Role::CustomerAdmin, Reach::Customer(own)).await;
    for (method, route, needs) in TABLE {
        if !matches!(needs, Needs::List(_)) || route.ends_with("/stream") {
            continue;
        }
        let mine = site.call(&admin, method, route, b"", "").await;
        assert!(mine.text.contains(OWN) && !mine.text.contains(OTHER), "{route}: {mine:?}");
        let whole = site.call(&site.operator, method, route, b"", "").await;
        assert!(whole.text.contains(OWN) && whole.text.contains(OTHER), "{route}: {whole:?}");
        if *route == "/api/v1/customers" {
            continue;
        }
        // Asking for another's is answered like asking for what does not exist.
        let theirs = site.get(&admin, &format!("{route}?customer={OTHER}")).await;
        let nobodys = site.get(&admin, &format!("{route}?customer=nobody")).await;
        assert_eq!(
            (theirs.status, theirs.problem()),
            (StatusCode::NOT_FOUND, "unknown".to_owned()),
            "{route}"
        );
        assert_eq!(theirs.text.replace(OTHER, "nobody"), nobodys.text, "{route}");
        let by_id = site.get(&admin, &format!("{route}?customer={other}")).await;
        assert_eq!(by_id.status, StatusCode::NOT_FOUND, "{route}");
        let one = site.get(&site.operator, &format!("{route}?customer={OTHER}")).await;
        assert!(!one.text.contains(OWN) && one.text.contains(OTHER), "{route}: {one:?}");
    }
    let stream = site.get(&admin, &format!("/api/v1/time/stream?customer={OTHER}")).await;
    assert_eq!(stream.status, StatusCode::NOT_FOUND);
}
