//! Requests, as a relying party and a browser meet them: from the start to a receipt that proves the verdict.

use std::time::Duration;

use angbu_client::{Client, NotProven, RequestState, RequestWish, StartedRequest, Trust};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::process::{Answer, PATIENCE, Process, call, http, serve, until};

const PASSWORD: &str = "long enough for it";

/// Where a centre is, for several threads at once.
struct Place {
    url: String,
    token: String,
}

impl Place {
    fn of(centre: &Process) -> Self {
        Self { url: centre.text("http").to_owned(), token: centre.text("token").to_owned() }
    }
}

fn client(place: &Place) -> Client {
    Client::new(&place.url, Some(&place.token), &Trust::Public).unwrap()
}

/// A person of the customer `demo`.
fn person(centre: &Process, login_id: &str) -> String {
    let wish = json!({"customer": "demo", "login_id": login_id, "password": PASSWORD, "birthday": "1990-04-30",
                      "phone_no": "01012345678"});
    let made = call(centre, "POST", "/api/v1/people", Some(&wish));
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].as_str().unwrap().to_owned()
}

fn start(centre: &Place) -> StartedRequest {
    let wish =
        RequestWish { customer: Some("demo".to_owned()), ..RequestWish::login(&[&["password"]], "Sign in") };
    client(centre).start_request(&wish).unwrap()
}

/// What a browser sends: JSON from the centre's own pages, with the cookie that it keeps.
struct Browser {
    id: String,
    cookie: String,
}

impl Browser {
    /// Opens a request by the address that the relying party was given.
    fn open(centre: &Place, started: &StartedRequest) -> Self {
        let mut browser = Self { id: started.id.clone(), cookie: String::new() };
        let secret = started.url.split_once('#').unwrap().1;
        let opened = browser.send(centre, "open", &json!({"secret": secret}));
        assert_eq!(opened.status, 200, "{}", opened.text());
        let cookie = opened.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("set-cookie").then(|| value.to_owned())
        });
        let cookie = cookie.unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Strict") && cookie.contains(&browser.id), "{cookie}");
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    fn send(&self, centre: &Place, rest: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/requests/{}/{rest}", self.id);
        let headers = format!(
            "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\nCookie: {}\r\n",
            self.cookie
        );
        http(&centre.url, "POST", &path, &headers, body.to_string().as_bytes())
    }

    fn answer(&self, centre: &Place, login_id: &str, password: &str) -> Answer {
        self.send(centre, "answers/password", &json!({"login_id": login_id, "password": password}))
    }
}

fn waited(centre: &Place, id: &str) -> RequestState {
    client(centre).wait_for_request(id, PATIENCE).unwrap()
}

#[test]
fn a_verdict_is_waited_for_and_proven() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = serve(folder.path());
    let kim = person(&process, "kim");
    let centre = Place::of(&process);
    let started = start(&centre);
    assert_eq!(client(&centre).request_state(&started.id).unwrap().proven(&[]), Err(NotProven::NoReceipt));
    let state = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| waited(&centre, &started.id));
        let browser = Browser::open(&centre, &started);
        assert_eq!(browser.answer(&centre, "kim", "wrong").json()["right"], false);
        assert_eq!(browser.answer(&centre, "kim", PASSWORD).json()["shown"]["verdict"], "accepted");
        waiting.join().unwrap()
    });
    let keys = client(&centre).log_keys().unwrap();
    let end = state.proven(&keys).unwrap();
    assert_eq!(
        (end.verdict.as_str(), end.subject.as_str(), end.methods.as_str()),
        ("accepted", &*kim, "password")
    );
    assert_eq!(state.subject_login_id.as_deref(), Some("kim"));
    // What was changed on the way is found out.
    let other = RequestState { subject: Some(format!("per_{}", "0".repeat(32))), ..state.clone() };
    assert_eq!(other.proven(&keys), Err(NotProven::OtherEnd));
    let other = RequestState { verdict: Some("refused".to_owned()), ..state.clone() };
    assert_eq!(other.proven(&keys), Err(NotProven::OtherEnd));
    assert!(matches!(state.proven(&[]), Err(NotProven::Receipt(_))));

    // A request, its browser and whoever waits go on after the centre was killed.
    let started = start(&centre);
    let browser = Browser::open(&centre, &started);
    process.kill();
    let process = serve(folder.path());
    let centre = Place::of(&process);
    let shown = browser.send(&centre, "open", &json!({"secret": started.url.split_once('#').unwrap().1}));
    assert_eq!(shown.json()["verdict"], Value::Null);
    let elsewhere = Browser { id: started.id.clone(), cookie: String::new() };
    assert_eq!(elsewhere.answer(&centre, "kim", PASSWORD).status, 403, "another browser");
    assert_eq!(browser.answer(&centre, "kim", PASSWORD).status, 200);
    assert_eq!(waited(&centre, &started.id).proven(&keys).unwrap().subject, kim);
    process.interrupt();
}

#[test]
fn a_request_goes_on_at_another_centre_and_ends_once() {
    let cluster = Cluster::new();
    let processes = [cluster.start("one"), cluster.start("two")];
    let kim = person(&processes[0], "kim");
    let centres = [Place::of(&processes[0]), Place::of(&processes[1])];
    let [one, two] = &centres;
    let started = start(one);
    let browser = Browser::open(two, &started);
    let (state, verdicts) = std::thread::scope(|scope| {
        // The relying party waits at one centre, the browser is at both.
        let waiting = scope.spawn(|| waited(one, &started.id));
        let answers: Vec<_> = (0..64)
            .map(|n| {
                let (browser, centre) = (&browser, &centres[n % 2]);
                scope.spawn(move || {
                    until("an answer that is no 503", || {
                        let answer = browser.answer(centre, "kim", PASSWORD);
                        (answer.status != 503).then_some(answer)
                    })
                })
            })
            .collect();
        let statuses: Vec<_> = answers.into_iter().map(|answer| answer.join().unwrap().status).collect();
        (waiting.join().unwrap(), statuses)
    });
    assert_eq!(verdicts.iter().filter(|status| **status == 200).count(), 1, "{verdicts:?}");
    assert!(verdicts.iter().all(|status| [200, 409].contains(status)), "{verdicts:?}");
    let keys = client(two).log_keys().unwrap();
    assert_eq!(state.proven(&keys).unwrap().subject, kim);
    let elsewhere = waited(two, &started.id).evidence.unwrap().entry_id;
    assert_eq!(elsewhere, state.evidence.unwrap().entry_id);
    let kinds = call(&processes[1], "GET", "/api/v1/evidence/entries?kind=request.ended", None).json();
    assert_eq!(kinds["entries"].as_array().unwrap().len(), 1, "one end, one entry");
    // Guesses at one centre make wait at the other.
    let browser = Browser::open(one, &start(one));
    for _ in 0..5 {
        assert_eq!(browser.answer(one, "kim", "wrong").json()["right"], false);
    }
    assert_eq!(browser.answer(two, "kim", PASSWORD).status, 429);
    for process in processes {
        process.interrupt();
    }
}

#[test]
fn what_nobody_answers_expires() {
    let folder = tempfile::tempdir().unwrap();
    let process = serve(folder.path());
    let centre = Place::of(&process);
    let wish =
        RequestWish { customer: Some("demo".to_owned()), ..RequestWish::login(&[&["password"]], "Sign in") };
    let started = client(&centre).start_request(&RequestWish { seconds: Some(30), ..wish }).unwrap();
    let browser = Browser::open(&centre, &started);
    let state = client(&centre).wait_for_request(&started.id, Duration::from_secs(60)).unwrap();
    let end = state.proven(&client(&centre).log_keys().unwrap()).unwrap();
    assert_eq!((end.verdict.as_str(), end.subject.as_str()), ("expired", ""));
    assert_eq!(browser.answer(&centre, "kim", PASSWORD).status, 409);
    process.interrupt();
}
