//! Requests from their start to their one end: who may ask, which browser may answer, and what each answer comes to.

use angbu_accounts::{Reach, Role};
use angbu_evidence::Disclosure;
use angbu_units::Nanos;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::keys;
use super::site::{Answer, PASSWORD, Shows, TestSite};
use super::table::{OTHER, OWN, request};

const NEW: &str = "/api/v1/requests";
const RIGHT: &str = "long enough for it";

/// A request, and the browser that opened it.
struct Asked {
    id: String,
    secret: String,
    browser: Shows,
}

impl Asked {
    fn path(&self, rest: &str) -> String {
        format!("{NEW}/{}{rest}", self.id)
    }
}

async fn start(site: &TestSite, shows: &Shows, wish: &Value) -> Asked {
    let made = site.send(shows, "POST", NEW, wish).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let secret = made["path"].as_str().unwrap().split_once('#').unwrap().1.to_owned();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["path"], json!(format!("/login/{id}#{secret}")));
    Asked { id, secret, browser: Shows::Nothing }
}

async fn open(site: &TestSite, asked: &Asked, browser: &Shows) -> Answer {
    site.send(browser, "POST", &asked.path("/open"), &json!({"secret": asked.secret})).await
}

async fn opened(site: &TestSite, shows: &Shows, wish: &Value) -> Asked {
    let asked = start(site, shows, wish).await;
    let answer = open(site, &asked, &Shows::Nothing).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    Asked { browser: Shows::Cookie(answer.cookie.unwrap()), ..asked }
}

async fn answer(site: &TestSite, asked: &Asked, login_id: &str, password: &str) -> Answer {
    let body = json!({"login_id": login_id, "password": password});
    site.send(&asked.browser, "POST", &asked.path("/answers/password"), &body).await
}

async fn person(site: &TestSite, customer: &str, login_id: &str) -> String {
    let wish = json!({"customer": customer, "login_id": login_id, "password": RIGHT, "birthday": "1990-04-30",
                      "phone_no": "01012345678"});
    site.done("POST", "/api/v1/people", &wish).await["id"].as_str().unwrap().to_owned()
}

async fn state(site: &TestSite, asked: &Asked) -> Value {
    site.done("GET", &asked.path(""), &Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_once_and_proven() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let kim = person(&site, OWN, "kim").await;
    let asked = opened(&site, &site.operator, &request(OWN)).await;
    let shown = site.get(&asked.browser, &asked.path("/shown")).await.json();
    assert_eq!(
        (&shown["methods"], &shown["next"], &shown["tries_left"], &shown["seconds_left"], &shown["customer"]),
        (&json!([["password"]]), &json!(["password"]), &json!(10), &json!(300), &json!(OWN))
    );
    for (login, password) in [("kim", "wrong"), ("lee", RIGHT), ("kim\u{200b}", RIGHT)] {
        let wrong = answer(&site, &asked, login, password).await;
        assert_eq!((wrong.status.as_u16(), &wrong.json()["right"]), (200, &json!(false)), "{wrong:?}");
    }
    let right = answer(&site, &asked, "KIM", RIGHT).await.json();
    assert_eq!(
        (&right["right"], &right["shown"]["verdict"], &right["shown"]["next"]),
        (&json!(true), &json!("accepted"), &json!([]))
    );
    assert_eq!(answer(&site, &asked, "kim", RIGHT).await.problem(), "request-ended");
    let cancelled = site.send(&asked.browser, "POST", &asked.path("/cancel"), &json!({})).await;
    assert_eq!(cancelled.problem(), "request-ended");

    let entry = state(&site, &asked).await["evidence"]["entry_id"].as_str().unwrap().parse().unwrap();
    assert!(site.centre.store().wait(entry, std::time::Duration::from_secs(30)).await.unwrap().is_some());
    let state = state(&site, &asked).await;
    assert_eq!(
        (&state["verdict"], &state["subject"], &state["subject_login_id"], &state["wrong"]),
        (&json!("accepted"), &json!(kim), &json!("kim"), &json!(3))
    );
    let evidence = &state["evidence"];
    assert!(evidence["receipt"].as_str().unwrap().starts_with("c2sp.org/tlog-proof@v1\n"));
    let disclosure = STANDARD.decode(evidence["disclosure"].as_str().unwrap()).unwrap();
    let disclosure = Disclosure::decode(&disclosure).unwrap();
    let field = |name| disclosure.get(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
    assert_eq!((field("verdict"), field("subject")), (Some("accepted".into()), Some(kim)));
    assert_eq!((field("methods"), field("title")), (Some("password".into()), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_opened_it_answers() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    person(&site, OWN, "kim").await;
    let asked = start(&site, &site.operator, &request(OWN)).await;
    assert_eq!(answer(&site, &asked, "kim", RIGHT).await.problem(), "other-browser");
    let wrong = json!({"secret": "a".repeat(52)});
    assert_eq!(site.send(&Shows::Nothing, "POST", &asked.path("/open"), &wrong).await.status.as_u16(), 404);
    let first = open(&site, &asked, &Shows::Nothing).await;
    let browser = Shows::Cookie(first.cookie.clone().unwrap());
    // The secret again, from elsewhere; and the same browser after a lost connection.
    assert_eq!(open(&site, &asked, &Shows::Nothing).await.problem(), "other-browser");
    let other = Shows::Cookie(format!("angbu_request={}", "a".repeat(52)));
    assert_eq!(open(&site, &asked, &other).await.problem(), "other-browser");
    let again = open(&site, &asked, &browser).await;
    assert_eq!((again.status.as_u16(), again.cookie), (200, None));
    for shows in [Shows::Nothing, other] {
        let elsewhere = Asked { browser: shows.clone(), id: asked.id.clone(), secret: String::new() };
        assert_eq!(answer(&site, &elsewhere, "kim", RIGHT).await.problem(), "other-browser");
        assert_eq!(site.get(&shows, &asked.path("/shown")).await.problem(), "other-browser");
        let cancelled = site.send(&shows, "POST", &asked.path("/cancel"), &json!({})).await;
        assert_eq!(cancelled.problem(), "other-browser");
    }
    let asked = Asked { browser, ..asked };
    let cancelled = site.send(&asked.browser, "POST", &asked.path("/cancel"), &json!({})).await;
    assert_eq!(cancelled.json()["verdict"], "cancelled");
    assert_eq!(open(&site, &asked, &asked.browser).await.json()["verdict"], "cancelled");
    assert_eq!(state(&site, &asked).await["verdict"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_and_time_end_it() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    person(&site, OWN, "kim").await;
    let asked = opened(&site, &site.operator, &request(OWN)).await;
    for _ in 0..5 {
        assert_eq!(answer(&site, &asked, "kim", "wrong").await.json()["right"], false);
    }
    // From here on whoever guesses waits, ever longer; a try that is not judged is not counted.
    assert_eq!(answer(&site, &asked, "kim", RIGHT).await.problem(), "throttled");
    for wait in [6, 11, 21, 41] {
        site.clock.advance(Nanos::from_secs(wait));
        assert_eq!(answer(&site, &asked, "kim", "wrong").await.json()["right"], false);
    }
    site.clock.advance(Nanos::from_secs(81));
    let last = answer(&site, &asked, "kim", "wrong").await.json();
    assert_eq!((&last["right"], &last["shown"]["verdict"]), (&json!(false), &json!("refused")));

    // Who answers in time is accepted; a nanosecond later nobody is.
    site.clock.advance(Nanos::from_secs(4_000));
    site.centre.clear_ended().await.unwrap();
    let (early, late) = (
        opened(&site, &site.operator, &request(OWN)).await,
        opened(&site, &site.operator, &request(OWN)).await,
    );
    site.clock.advance(Nanos::new(299_999_999_999));
    assert_eq!(answer(&site, &early, "kim", RIGHT).await.json()["right"], true);
    site.clock.advance(Nanos::new(1));
    assert_eq!(answer(&site, &late, "kim", RIGHT).await.problem(), "request-ended");
    assert_eq!(state(&site, &late).await["verdict"], "expired");
    assert_eq!(site.get(&late.browser, &late.path("/shown")).await.json()["verdict"], "expired");
    // Nobody asks for this one: a job ends it.
    let forgotten = start(&site, &site.operator, &request(OWN)).await;
    site.clock.advance(Nanos::from_secs(300));
    site.centre.end_overdue_requests().await.unwrap();
    let id = forgotten.id.parse().unwrap();
    let row = site.centre.store().read(move |snapshot| snapshot.request(id)).await.unwrap().unwrap();
    assert_eq!(row.end.unwrap().verdict, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_answers_at_once_end_it_once() {
    let site = std::sync::Arc::new(TestSite::start().await);
    site.customer(OWN).await;
    person(&site, OWN, "kim").await;
    let asked = std::sync::Arc::new(opened(&site, &site.operator, &request(OWN)).await);
    let answers = (0..64).map(|_| {
        let (site, asked) = (site.clone(), asked.clone());
        tokio::spawn(async move { answer(&site, &asked, "kim", RIGHT).await })
    });
    let mut accepted = 0;
    for answer in answers.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.problem().as_str() {
            "" => accepted += u32::from(answer.json()["right"] == true),
            other => assert_eq!(other, "request-ended"),
        }
    }
    assert_eq!(accepted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relying_party_reads_what_it_asked_and_browsers_return_to_it_alone() {
    let site = TestSite::start().await;
    for customer in [OWN, OTHER] {
        site.customer(customer).await;
    }
    person(&site, OWN, "kim").await;
    let joined = site.join("relying-party", OWN).await;
    let party = Shows::Token(joined["token"].as_str().unwrap().to_owned());
    let machine = format!("/api/v1/machines/{}", joined["machine_id"].as_str().unwrap());
    let mut wish = request(OWN);
    wish["return_to"] = json!("https://shop.example/back?a=b");
    assert_eq!(site.send(&party, "POST", NEW, &wish).await.problem(), "invalid", "no origin is registered");
    let wrong =
        site.send(&site.operator, "PATCH", &machine, &json!({"origins": ["http://shop.example"]})).await;
    assert_eq!(wrong.problem(), "invalid");
    let set = site.done("PATCH", &machine, &json!({"origins": ["https://shop.example"]})).await;
    assert_eq!((&set["origins"], &set["disabled"]), (&json!(["https://shop.example"]), &json!(false)));
    let asked = opened(&site, &party, &wish).await;
    let shown = site.get(&asked.browser, &asked.path("/shown")).await.json();
    assert_eq!((&shown["next_url"], shown["relying_party"].is_string()), (&Value::Null, true));
    let right = answer(&site, &asked, "kim", RIGHT).await.json();
    let back = format!("https://shop.example/back?a=b&request={}", asked.id);
    assert_eq!(right["shown"]["next_url"], json!(back));
    wish["return_to"] = json!("https://shop.example.evil.example/");
    assert_eq!(site.send(&party, "POST", NEW, &wish).await.problem(), "invalid");

    // It reads its own and no other's; another of the same customer does not read it.
    assert_eq!(site.get(&party, &asked.path("")).await.json()["verdict"], "accepted");
    let second = site.join("relying-party", OWN).await;
    let second = Shows::Token(second["token"].as_str().unwrap().to_owned());
    for path in [asked.path(""), asked.path("/events"), format!("{NEW}/req_{}", "0".repeat(32))] {
        assert_eq!(site.get(&second, &path).await.problem(), "forbidden", "{path}");
    }
    assert_eq!(site.get(&party, NEW).await.problem(), "forbidden");
    let reach = Reach::Customer(joined["customer_id"].as_str().unwrap().parse().unwrap());
    let auditor = site.token(Role::Auditor, reach).await;
    assert_eq!(site.get(&auditor, &asked.path("")).await.status.as_u16(), 200);
    wish["customer"] = json!(OTHER);
    assert_eq!(site.send(&party, "POST", NEW, &wish).await.problem(), "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_it_names_answers_and_nobody_else() {
    let site = TestSite::start().await;
    for customer in [OWN, OTHER] {
        site.customer(customer).await;
    }
    for (customer, login) in [(OWN, "kim"), (OWN, "lee"), (OTHER, "park")] {
        person(&site, customer, login).await;
    }
    let mut wish = request(OWN);
    wish["login_id"] = json!("kim");
    let asked = opened(&site, &site.operator, &wish).await;
    let body = json!({"password": RIGHT});
    let right = site.send(&asked.browser, "POST", &asked.path("/answers/password"), &body).await.json();
    assert_eq!(right["shown"]["verdict"], "accepted");
    // Without a name it has to come with the answer, and another customer's people are nobody here.
    let asked = opened(&site, &site.operator, &request(OWN)).await;
    let nameless = site.send(&asked.browser, "POST", &asked.path("/answers/password"), &body).await;
    assert_eq!(nameless.problem(), "invalid");
    assert_eq!(answer(&site, &asked, "park", RIGHT).await.json()["right"], false);
    assert_eq!(answer(&site, &asked, "lee", RIGHT).await.json()["right"], true);
    for (field, value) in [
        ("methods", json!([])),
        ("methods", json!([[]])),
        ("methods", json!([["fingerprint"]])),
        ("seconds", json!(29)),
        ("seconds", json!(3_601)),
        ("login_id", json!("a b")),
        ("purpose", json!("else")),
        ("show", json!({"title": ""})),
        ("show", json!({"title": "two\nlines"})),
        ("show", json!({"title": "x", "text": "\u{1b}[31m"})),
        ("return_to", json!("javascript:alert(1)")),
    ] {
        let mut wish = request(OWN);
        wish[field] = value;
        assert_eq!(site.send(&site.operator, "POST", NEW, &wish).await.problem(), "invalid", "{wish}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_signs_in_by_a_request() {
    let site = TestSite::start().await;
    let (_, name, _) = site.member(Role::Operator, None).await;
    let begun = site.send(&Shows::Nothing, "POST", "/api/v1/session/request", &json!({})).await;
    assert_eq!(begun.status.as_u16(), 201, "{begun:?}");
    let (shown, browser) = (begun.json(), Shows::Cookie(begun.cookie.unwrap()));
    assert_eq!(shown["relying_party"], "console");
    let asked = Asked { id: shown["id"].as_str().unwrap().to_owned(), secret: String::new(), browser };
    let session = asked.path("/session");
    assert_eq!(
        site.send(&asked.browser, "POST", &session, &json!({})).await.problem(),
        "unknown",
        "too early"
    );
    assert_eq!(answer(&site, &asked, &name, "wrong").await.json()["right"], false);
    assert_eq!(answer(&site, &asked, &name, PASSWORD).await.json()["shown"]["verdict"], "accepted");
    assert_eq!(site.send(&Shows::Nothing, "POST", &session, &json!({})).await.problem(), "other-browser");
    let answered = site.send(&asked.browser, "POST", &session, &json!({})).await;
    assert_eq!(answered.json()["staff"]["name"], json!(name));
    let signed_in = Shows::Cookie(answered.cookie.unwrap());
    assert_eq!(site.get(&signed_in, "/api/v1/session").await.status.as_u16(), 200);
    assert_eq!(site.send(&asked.browser, "POST", &session, &json!({})).await.problem(), "unknown", "once");
    // What nobody answered leaves nothing behind.
    let begun = site.send(&Shows::Nothing, "POST", "/api/v1/session/request", &json!({})).await.json();
    site.clock.advance(Nanos::from_secs(300));
    site.centre.end_overdue_requests().await.unwrap();
    let gone = site.get(&site.operator, &format!("{NEW}/{}", begun["id"].as_str().unwrap())).await;
    assert_eq!(gone.problem(), "unknown");
    // A request of a relying party's begins no session.
    site.customer(OWN).await;
    person(&site, OWN, "kim").await;
    let asked = opened(&site, &site.operator, &request(OWN)).await;
    answer(&site, &asked, "kim", RIGHT).await;
    assert_eq!(
        site.send(&asked.browser, "POST", &asked.path("/session"), &json!({})).await.problem(),
        "unknown"
    );
}

async fn answer_by_key(site: &TestSite, asked: &Asked, key: &str) -> Value {
    let body = json!({"login_id": "kim", "ota_key": key});
    let answer = site.send(&asked.browser, "POST", &asked.path("/answers/keys"), &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_combination_takes_a_password_and_a_key_of_one_person() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let kim = person(&site, OWN, "kim").await;
    person(&site, OWN, "lee").await;
    let wish = json!({"customer": OWN, "login_id": "kim", "phone_no": "01012345678", "cycle_time": 30});
    let address =
        site.done("POST", "/api/v1/keys/enrol", &wish).await["otpauth"].as_str().unwrap().to_owned();
    let mut wish = request(OWN);
    wish["methods"] = json!([["password", "keys"]]);
    let asked = opened(&site, &site.operator, &wish).await;
    let half = answer(&site, &asked, "kim", RIGHT).await.json();
    assert_eq!((&half["shown"]["done"], &half["shown"]["next"]), (&json!(["password"]), &json!(["keys"])));
    let key = keys::shown(&site, &address, 0, 0);
    let wrong = if key == "000000" { "111111" } else { "000000" };
    assert_eq!(answer_by_key(&site, &asked, wrong).await["right"], false);
    assert_eq!(answer_by_key(&site, &asked, &key).await["shown"]["verdict"], "accepted");
    let state = state(&site, &asked).await;
    assert_eq!((&state["subject"], &state["done"]), (&json!(kim), &json!(["password", "keys"])));
    // The same key again, and the key of another than who knew the password.
    let asked = opened(&site, &site.operator, &wish).await;
    answer(&site, &asked, "kim", RIGHT).await;
    assert_eq!(answer_by_key(&site, &asked, &key).await["right"], false, "used");
    let asked = opened(&site, &site.operator, &wish).await;
    answer(&site, &asked, "lee", RIGHT).await;
    site.clock.advance(Nanos::from_secs(60));
    let key = keys::shown(&site, &address, 0, 0);
    assert_eq!(answer_by_key(&site, &asked, &key).await["right"], false, "somebody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_with_a_token_need_it_to_sign_in() {
    let site = TestSite::start().await;
    let (id, name, _) = site.member(Role::Operator, None).await;
    let made = site.done("POST", "/api/v1/keys/enrol", &json!({"staff": id})).await;
    let address = made["otpauth"].as_str().unwrap();
    let wish = json!({"name": name, "password": PASSWORD});
    let half = site.send(&Shows::Nothing, "POST", "/api/v1/session", &wish).await;
    assert_eq!(half.status.as_u16(), 202, "{half:?}");
    let (shown, browser) = (half.json(), Shows::Cookie(half.cookie.unwrap()));
    assert_eq!((&shown["next"], &shown["methods"]), (&json!(["keys"]), &json!([["password", "keys"]])));
    let asked = Asked { id: shown["id"].as_str().unwrap().to_owned(), secret: String::new(), browser };
    let session = asked.path("/session");
    assert_eq!(
        site.send(&asked.browser, "POST", &session, &json!({})).await.problem(),
        "unknown",
        "too early"
    );
    let right = answer_by_key(&site, &asked, &keys::shown(&site, address, 0, 0)).await;
    assert_eq!(right["shown"]["verdict"], "accepted");
    let answered = site.send(&asked.browser, "POST", &session, &json!({})).await;
    assert_eq!(answered.json()["staff"]["name"], json!(name));
}
