//! One-time keys: given, asked for, used once, waited for, taken back.

use std::sync::Arc;

use angbu_accounts::{Reach, Role};
use angbu_keys::otpauth::{Kind, OtpAuth};
use angbu_keys::{hotp, totp};
use angbu_units::{Clock as _, Nanos};
use serde_json::{Value, json};

use super::site::{Shows, TestSite};
use super::table::{Call, OWN, get, with};

const PHONE: &str = "01012345678";

/// A call of a route about keys.
pub(crate) async fn call(site: &TestSite, method: &str, route: &str) -> Call {
    let login = format!("holder.{}", site.next());
    let wish = json!({"customer": OWN, "login_id": login, "phone_no": PHONE, "cycle_time": "30"});
    let token = async |kind: &str| {
        let wish = json!({"customer": OWN, "login_id": login, "phone_no": PHONE, "kind": kind});
        let made = site.done("POST", "/api/v1/keys/enrol", &wish).await;
        (made["token"]["id"].as_str().unwrap().to_owned(), made["otpauth"].as_str().unwrap().to_owned())
    };
    match (method, route.strip_prefix("/api/v1/keys/").unwrap()) {
        ("POST", "enrol") => with(route, wish),
        ("POST", "import") => super::key_import::call(route),
        ("POST", "verify") => {
            let mut wish = wish;
            wish["ota_key"] = json!("123456");
            with(route, wish)
        }
        ("POST", "generate") => {
            token("time").await;
            with(route, wish)
        }
        ("GET", "tokens/{token}") => get(format!("/api/v1/keys/tokens/{}", token("time").await.0)),
        ("POST", "tokens/{token}/resynchronise") => {
            let (id, address) = token("counter").await;
            let keys = json!({"first": counted(&address, 20), "second": counted(&address, 21)});
            with(format!("/api/v1/keys/tokens/{id}/resynchronise"), keys)
        }
        ("POST", rest) if rest.starts_with("tokens/{token}/") => {
            get(route.replace("{token}", &token("time").await.0))
        }
        ("PUT", "policy") => with(format!("{route}?customer={OWN}"), json!({"lock_after": 4})),
        _ => get(format!("{route}?customer={OWN}")),
    }
}

/// What an app shows now, so many seconds from now, that took the token in.
pub(crate) fn shown(site: &TestSite, address: &str, seconds: i64, event: u64) -> String {
    let token = OtpAuth::parse(address).ok().unwrap();
    let Kind::Totp { period } = token.kind else { panic!("no time") };
    let cycle = angbu_units::CycleTime::new(period).unwrap();
    let step = totp::step_at(site.clock.read().wall + Nanos::from_secs(seconds), cycle);
    totp::event_key(token.algorithm, &token.secret, step, event, token.digits).reveal()
}

fn counted(address: &str, counter: u64) -> String {
    let token = OtpAuth::parse(address).ok().unwrap();
    hotp::key(token.algorithm, &token.secret, counter, token.digits).reveal()
}

struct Holder {
    site: TestSite,
    party: Shows,
    token: String,
    address: String,
}

/// A site with somebody who has a token.
async fn holder(wish: Value) -> Holder {
    let site = TestSite::start().await;
    let customer = site.customer(OWN).await;
    let party = site.token(Role::RelyingParty, Reach::Customer(customer)).await;
    let made = site.done("POST", "/api/v1/keys/enrol", &wish).await;
    let token = made["token"]["id"].as_str().unwrap().to_owned();
    let address = made["otpauth"].as_str().unwrap().to_owned();
    Holder { site, party, token, address }
}

fn kim() -> Value {
    json!({"login_id": "kim", "phone_no": PHONE, "cycle_time": 30})
}

impl Holder {
    async fn ask(&self, login: &str, phone: &str, cycle: Value, key: &str) -> Value {
        let wish = json!({"login_id": login, "phone_no": phone, "cycle_time": cycle, "ota_key": key});
        let answer = self.site.send(&self.party, "POST", "/api/v1/keys/verify", &wish).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let said = answer.json();
        assert_eq!(said["ok"], said["reason"] == "accepted");
        said
    }

    async fn verify(&self, key: &str) -> String {
        let cycle = OtpAuth::parse(&self.address).ok().map(|token| match token.kind {
            Kind::Totp { period } => json!(period),
            Kind::Hotp { .. } => Value::Null,
        });
        let said = self.ask("kim", PHONE, cycle.unwrap(), key).await;
        said["reason"].as_str().unwrap().to_owned()
    }

    async fn act(&self, what: &str) -> Value {
        self.site.done("POST", &format!("/api/v1/keys/tokens/{}/{what}", self.token), &json!({})).await
    }

    fn wrong(&self) -> String {
        let right: u64 = shown(&self.site, &self.address, 0, 0).parse().unwrap();
        format!("{:06}", (right + 1) % 1_000_000)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_good_once_with_the_holders_own_phone_and_cycle() {
    let holder = holder(kim()).await;
    let hooks = format!("/api/v1/customers/{OWN}/webhooks");
    holder.site.done("POST", &hooks, &json!({"url": "https://hooks.example.com/keys"})).await;
    let key = shown(&holder.site, &holder.address, 0, 0);
    for (phone, cycle) in [("01012345679", json!(30)), (PHONE, json!(20)), ("+14155550123", json!("30"))] {
        assert_eq!(holder.ask("kim", phone, cycle, &key).await["reason"], "wrong");
    }
    let said = holder.ask("KIM", "+8201012345678", json!("30"), &key).await;
    assert_eq!((said["ok"].as_bool(), &said["evidence"]["clock_verdict"]), (Some(true), &json!("declared")));
    assert!(said["evidence"]["entry"].is_string() && said["holder_id"].as_str().unwrap().starts_with("per_"));
    assert_eq!(holder.verify(&key).await, "used");
    assert_eq!(holder.verify(&holder.wrong()).await, "wrong");
    holder.site.clock.advance(Nanos::from_secs(30));
    assert_eq!(holder.verify(&key).await, "used", "it is the step before, and was used");
    // Whoever asks next is told, once, and the customer's programs are.
    let said = holder.ask("kim", PHONE, json!(30), &shown(&holder.site, &holder.address, 0, 0)).await;
    assert!(said["ok"] == true && said["used_again_at"].is_string(), "{said}");
    let queued = holder.site.done("GET", "/api/v1/deliveries", &Value::Null).await;
    let queued = queued["deliveries"].as_array().unwrap();
    assert_eq!(queued.iter().filter(|row| row["channel"] == "webhook").count(), 1, "{queued:?}");
    assert_eq!(
        holder.verify(&shown(&holder.site, &holder.address, 60, 0)).await,
        "wrong",
        "of a time to come"
    );

    holder.site.clock.advance(Nanos::from_secs(30));
    let said = holder.ask("kim", PHONE, json!(30), &shown(&holder.site, &holder.address, 0, 0)).await;
    assert!(said["ok"] == true && said["used_again_at"].is_null(), "{said}");
    let token = holder.site.done("GET", &format!("/api/v1/keys/tokens/{}", holder.token), &Value::Null).await;
    assert_eq!((&token["used_again"], &token["state"]), (&json!(2), &json!("good")));
    holder.site.centre.store().settle(std::time::Duration::from_secs(20)).await.unwrap();
    let tries = holder.site.done("GET", "/api/v1/keys/tries", &Value::Null).await;
    let reasons: Vec<&str> =
        tries["tries"].as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        ["accepted", "wrong", "accepted", "used", "wrong", "used", "accepted", "wrong", "wrong", "wrong"]
    );
    assert_eq!(tries["tries"][0]["login_id"], "kim");
    assert!(!tries.to_string().contains(&key), "no digits of a key are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_make_wait_and_nobody_learns_who_is_there() {
    let holder = holder(kim()).await;
    let mut answers = Vec::new();
    for login in ["kim", "nobody"] {
        let mut said = Vec::new();
        for _ in 0..6 {
            let mut answer = holder.ask(login, PHONE, json!(30), &holder.wrong()).await;
            for what in ["at", "error_bound_ns", "clock_state"] {
                answer["evidence"].as_object_mut().unwrap().remove(what);
            }
            said.push(answer);
        }
        answers.push(said);
    }
    assert_eq!(answers[0], answers[1], "somebody and nobody are answered alike");
    assert_eq!(answers[0][4]["reason"], "wrong");
    assert_eq!((&answers[0][5]["reason"], &answers[0][5]["retry_after_s"]), (&json!("locked"), &json!(301)));
    let key = || shown(&holder.site, &holder.address, 0, 0);
    assert_eq!(holder.verify(&key()).await, "locked");
    assert_eq!(holder.act("unlock").await["state"], "good");
    assert_eq!(holder.verify(&key()).await, "accepted");

    // What was not judged is told together, by the minute.
    holder.site.clock.advance(Nanos::from_secs(120));
    holder.site.centre.tell_unjudged_tries().await.unwrap();
    holder.site.centre.store().settle(std::time::Duration::from_secs(20)).await.unwrap();
    let path = "/api/v1/evidence/entries?kind=keys.unjudged";
    let told = holder.site.done("GET", path, &Value::Null).await;
    let told = told["entries"].as_array().unwrap();
    assert!((2..=16).contains(&told.len()), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_revoked_or_renewed_is_out() {
    let mut holder = holder(kim()).await;
    let key = |holder: &Holder| shown(&holder.site, &holder.address, 0, 0);
    let again = holder.site.send(&holder.site.operator, "POST", "/api/v1/keys/enrol", &kim()).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "taken".to_owned()));
    let people = holder.site.done("GET", &format!("/api/v1/people?customer={OWN}"), &Value::Null).await;
    let person = format!("/api/v1/people/{}", people["people"][0]["id"].as_str().unwrap());
    assert_eq!(people["people"][0]["login_id"], "kim", "whoever was not known is added");
    holder.site.done("PATCH", &person, &json!({"disabled": true})).await;
    assert_eq!(holder.verify(&key(&holder)).await, "wrong");
    holder.site.done("PATCH", &person, &json!({"disabled": false})).await;

    let before = key(&holder);
    holder.address = holder.act("renew").await["otpauth"].as_str().unwrap().to_owned();
    assert_eq!(holder.verify(&before).await, "wrong");
    assert_eq!(holder.verify(&key(&holder)).await, "accepted");
    assert_eq!(holder.act("revoke").await["state"], "revoked");
    holder.site.clock.advance(Nanos::from_secs(30));
    assert_eq!(holder.verify(&key(&holder)).await, "wrong");
    let made = holder.site.done("POST", "/api/v1/keys/enrol", &kim()).await;
    holder.address = made["otpauth"].as_str().unwrap().to_owned();
    assert_eq!(holder.verify(&key(&holder)).await, "accepted");
    let listed = holder.site.done("GET", "/api/v1/keys/tokens?login_id=kim", &Value::Null).await;
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_codes_are_good_once_and_until_there_are_others() {
    let holder = holder(kim()).await;
    let made = async || {
        let made = holder.act("recovery-codes").await;
        made["codes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let codes = made().await;
    assert_eq!(codes.len(), 10);
    assert_eq!(holder.verify(&codes[0].to_lowercase()).await, "accepted");
    assert_eq!(holder.verify(&codes[0]).await, "wrong");
    let path = format!("/api/v1/keys/tokens/{}", holder.token);
    assert_eq!(holder.site.done("GET", &path, &Value::Null).await["recovery_codes_left"], 9);
    let others = made().await;
    assert_eq!(holder.verify(&codes[1]).await, "wrong");
    assert_eq!(holder.verify(&others[1]).await, "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_found_again_and_events_differ() {
    let counter = holder(json!({"login_id": "kim", "phone_no": PHONE, "kind": "counter"})).await;
    assert_eq!(counter.verify(&counted(&counter.address, 3)).await, "accepted");
    assert_eq!(counter.verify(&counted(&counter.address, 1)).await, "used");
    assert_eq!(counter.verify(&counted(&counter.address, 50)).await, "wrong");
    let path = format!("/api/v1/keys/tokens/{}/resynchronise", counter.token);
    let two = json!({"first": counted(&counter.address, 50), "second": counted(&counter.address, 51)});
    counter.site.done("POST", &path, &two).await;
    assert_eq!(counter.verify(&counted(&counter.address, 52)).await, "accepted");

    let events =
        holder(json!({"login_id": "kim", "phone_no": PHONE, "cycle_time": 30, "kind": "time-event"})).await;
    let key = |event| shown(&events.site, &events.address, 0, event);
    for event in 0..3 {
        let wish = json!({"login_id": "kim", "phone_no": PHONE, "cycle_time": 30});
        let made = events.site.done("POST", "/api/v1/keys/generate", &wish).await;
        assert_eq!(made["ota_key"], key(event));
        assert_eq!(events.verify(&key(event)).await, "accepted");
        assert_eq!(events.verify(&key(event)).await, "used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_says_how_long_a_cycle_may_be_and_what_an_unproven_clock_means() {
    let holder = holder(kim()).await;
    let site = &holder.site;
    let long = json!({"login_id": "lee", "phone_no": PHONE, "cycle_time": 60});
    let refused = site.send(&site.operator, "POST", "/api/v1/keys/enrol", &long).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (422, "invalid".to_owned()));
    let path = "/api/v1/keys/policy";
    assert_eq!(site.done("GET", path, &Value::Null).await["long_cycles"], false);
    let changed = site.done("PUT", path, &json!({"long_cycles": true, "revision": 0})).await;
    assert_eq!((&changed["long_cycles"], &changed["revision"]), (&json!(true), &json!(1)));
    let late = site.send(&site.operator, "PUT", path, &json!({"long_cycles": false, "revision": 0})).await;
    assert_eq!(late.status, 409);
    site.done("POST", "/api/v1/keys/enrol", &long).await;
    for wrong in
        [json!({"lock_after": 0}), json!({"back_s": 31}), json!({"disable_at": 101}), json!({"x": 1})]
    {
        assert_eq!(site.send(&site.operator, "PUT", path, &wrong).await.status, 422, "{wrong}");
    }

    // Somebody sets the clock: nothing is shown any more.
    site.clock.step(Nanos::from_secs(7_200));
    assert_eq!(holder.verify(&shown(site, &holder.address, 0, 0)).await, "clock-unproven");
    site.done("PUT", path, &json!({"while_unproven": "mark"})).await;
    let said = holder.ask("kim", PHONE, json!(30), &shown(site, &holder.address, 0, 0)).await;
    assert_eq!((&said["ok"], &said["evidence"]["clock_verdict"]), (&json!(true), &json!("unproven")));
    // And back: what was used stays used.
    site.clock.step(Nanos::from_secs(-7_200));
    assert_eq!(holder.verify(&shown(site, &holder.address, 0, 0)).await, "used");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_question_is_refused_in_words() {
    let holder = holder(kim()).await;
    let site = &holder.site;
    for (field, value) in [
        ("cycle_time", json!(2)),
        ("cycle_time", json!("61")),
        ("cycle_time", json!("thirty")),
        ("cycle_time", json!(-30)),
        ("ota_key", json!("١٢٣٤٥٦")),
        ("ota_key", json!("１２３４５６")),
        ("ota_key", json!("12345\u{0}")),
        ("ota_key", json!("")),
        ("ota_key", json!(123456)),
        ("phone_no", json!("010-1234-5678")),
        ("phone_no", json!("phone")),
        ("phone_no", json!("0101234567\u{0}")),
        ("login_id", json!("kim\u{0}")),
        ("login_id", json!("")),
        ("source", json!("here")),
    ] {
        let mut wish = json!({"login_id": "kim", "phone_no": PHONE, "cycle_time": 30, "ota_key": "123456"});
        wish[field] = value;
        let answer = site.send(&holder.party, "POST", "/api/v1/keys/verify", &wish).await;
        assert_eq!(answer.status, 422, "{wish}: {answer:?}");
        assert!(answer.text.contains("urn:angbu:problem:invalid"), "{answer:?}");
    }
    let large = format!("{{\"login_id\":\"{}\"}}", "a".repeat(10 << 20));
    let path = "/api/v1/keys/verify";
    let answer = site.call(&holder.party, "POST", path, large.as_bytes(), "application/json").await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (413, "too-large".to_owned()));
    assert_eq!(holder.verify(&shown(site, &holder.address, 0, 0)).await, "accepted");
}

/// Of 64 who send the same key at the same time, one is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_is_good_once_however_many_send_it() {
    let holder = Arc::new(holder(kim()).await);
    for round in 0..20 {
        let key = shown(&holder.site, &holder.address, 0, 0);
        let senders: Vec<_> = (0..64)
            .map(|_| {
                let (holder, key) = (Arc::clone(&holder), key.clone());
                tokio::spawn(async move { holder.verify(&key).await })
            })
            .collect();
        let mut said = Vec::new();
        for sender in senders {
            said.push(sender.await.unwrap());
        }
        let accepted = said.iter().filter(|word| *word == "accepted").count();
        let used = said.iter().filter(|word| *word == "used").count();
        assert_eq!((accepted, used), (1, 63), "round {round}");
        holder.site.clock.advance(Nanos::from_secs(30));
    }
}
