//! A centre in memory of the test, with two customers and somebody of every role.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use angbu_accounts::{EnrolmentCode, Grant, Reach, Role, possession};
use angbu_http::{
    Centre, InForce, NoticeSettings, OwnClock, Parts, Protected, Site, TimeService, UpstreamState,
    clock_state_entry,
};
use angbu_store::time::{IncidentRow, Told};
use angbu_store::{Engine, Options, Sequencer, Store};
use angbu_time::centre_clock::{CentreClock, History, Local, Settings};
use angbu_units::{
    AgentId, CentreId, Clock, CustomerId, EntryId, IncidentId, Monotonic, Nanos, Reading, UnixTime,
};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey as MachineKey};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch};
use tower::ServiceExt as _;

const ORIGIN: &str = "log.test.example/1";
pub(crate) const PASSWORD: &str = "a password of the test's own";

/// A clock that goes on only when it is told to.
pub(crate) struct TestClock {
    monotonic: AtomicI64,
    /// What the wall clock shows beyond that.
    ahead: AtomicI64,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Nanos) {
        self.monotonic.fetch_add(by.count(), Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn step(&self, by: Nanos) {
        self.ahead.fetch_add(by.count(), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.read().wall
    }
}

impl Clock for TestClock {
    fn read(&self) -> Reading {
        let now = self.monotonic.load(Ordering::SeqCst);
        let wall = UnixTime::from_nanos(now + self.ahead.load(Ordering::SeqCst));
        Reading { wall, monotonic: Monotonic::from_nanos(now) }
    }
}

struct NoTime;

impl TimeService for NoTime {
    fn answered(&self) -> u64 {
        0
    }
    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
    fn protected(&self) -> Protected {
        Protected::default()
    }
    fn upstreams(&self) -> Vec<UpstreamState> {
        Vec::new()
    }
}

/// What a caller shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    Nothing,
    Token(String),
    Cookie(String),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) cookie: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text))
    }

    /// The problem's name; empty where the answer is none.
    pub(crate) fn problem(&self) -> String {
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let name = problem["type"].as_str().unwrap_or_default();
        name.trim_start_matches("urn:angbu:problem:").to_owned()
    }
}

/// The centre under test, and what it takes to call it.
pub(crate) struct TestSite {
    pub(crate) centre: Arc<Centre>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) operator: Shows,
    pub(crate) first_password: String,
    /// A member of the staff, a person and an agent of the first customer, each made when it is first asked for.
    pub(crate) staff: OnceCell<String>,
    pub(crate) person: OnceCell<String>,
    pub(crate) agent: OnceCell<String>,
    router: Router,
    calls: AtomicU32,
    _stop: watch::Sender<bool>,
    _sequencer: Sequencer,
    folder: tempfile::TempDir,
}

impl TestSite {
    pub(crate) async fn start() -> Self {
        Self::start_with(NoticeSettings::default()).await
    }

    /// A site that tells of incidents like this.
    pub(crate) async fn start_with(notices: NoticeSettings) -> Self {
        Self::start_on(Engine::Sqlite, notices).await
    }

    pub(crate) async fn start_on(engine: Engine, notices: NoticeSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock {
            monotonic: AtomicI64::new(1_800_000_000_000_000_000),
            ahead: AtomicI64::new(0),
        });
        let options = Options { engine, ..Options::new(folder.path()) };
        let store = Store::open(&options, clock.clone()).unwrap();
        let now = clock.read().wall;
        let id = store
            .write(move |tx| {
                let mut rng = rand::rng();
                tx.found_site(ORIGIN, now, &mut rng)?;
                Ok::<_, angbu_store::StoreError>(tx.start_centre("centre", now, &mut rng)?.id)
            })
            .await
            .unwrap();
        let sequencer = Sequencer::start(&store, store.log_signers(ORIGIN), id).unwrap();
        let own_clock = Arc::new(first_state(&store, &clock, id).await);
        let (stop, stopped) = watch::channel(false);
        let centre = Centre::new(Parts {
            clock: clock.clone(),
            site: Site {
                origin: ORIGIN.to_owned(),
                centre: id,
                tls_public_key: vec![7; 32],
                url: "http://127.0.0.1:1".to_owned(),
                public_url: "http://localhost:1".to_owned(),
                ntp_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 123)),
                nts_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 4460)),
                nts_key: [8; 32],
                started: now,
                run: 1,
            },
            own_clock,
            time_service: Arc::new(NoTime),
            published: store.head(),
            stop: stopped,
            store: store.clone(),
            witnesses: Vec::new(),
            require_witnesses: false,
            old_faces: Vec::new(),
            notices,
        });
        let first_password = centre.first_operator(&"operator".parse().unwrap()).await.unwrap().unwrap();
        let grant = Grant::of(Role::Operator, Reach::Site);
        let (_, token) = centre.make_token("the test", grant, None).await.unwrap();
        let pages = axum::routing::get(|| async { "the console" });
        Self {
            router: angbu_http::router(Arc::clone(&centre), pages),
            centre,
            clock,
            operator: Shows::Token(token.reveal()),
            first_password: first_password.reveal().to_owned(),
            staff: OnceCell::new(),
            person: OnceCell::new(),
            agent: OnceCell::new(),
            calls: AtomicU32::new(0),
            _stop: stop,
            _sequencer: sequencer,
            folder,
        }
    }

    /// Where its database lies.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Puts an incident of a customer's into the database.
    pub(crate) async fn incident(&self, customer: CustomerId) {
        let row = IncidentRow {
            id: IncidentId::random(&mut rand::rng()),
            customer,
            agent: Some(AgentId::random(&mut rand::rng())),
            kind: "silent".to_owned(),
            opened: self.clock.read().wall,
            last: self.clock.read().wall,
            gone_since: None,
            closed: None,
            returns: 0,
            told: Told::Nothing,
            told_site: Told::Nothing,
            opened_entry: EntryId::from_bytes([1; 16]),
            closed_entry: None,
            version: 1,
        };
        self.centre.store().write(move |tx| tx.insert_incident(&row)).await.unwrap();
    }

    /// A number that was not given before.
    pub(crate) fn next(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// One call, from a place of its own, so that nobody is throttled for another.
    pub(crate) async fn call(
        &self,
        shows: &Shows,
        method: &str,
        path: &str,
        body: &[u8],
        kind: &str,
    ) -> Answer {
        let source = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + self.next()));
        self.call_from(source, shows, method, path, body, kind).await
    }

    pub(crate) async fn call_from(
        &self,
        source: IpAddr,
        shows: &Shows,
        method: &str,
        path: &str,
        body: &[u8],
        kind: &str,
    ) -> Answer {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        request = match shows {
            Shows::Nothing => request,
            Shows::Token(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            Shows::Cookie(cookie) => request.header(header::COOKIE, cookie),
        };
        if !kind.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let mut request = request.body(Body::from(body.to_vec())).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(source, 1_024)));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let cookie = response.headers().get(header::SET_COOKIE);
        let cookie = cookie.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        // An event stream does not end: that it began is its answer.
        let events =
            response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let text = if events {
            String::new()
        } else {
            let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Answer { status, cookie, text }
    }

    pub(crate) async fn send(&self, shows: &Shows, method: &str, path: &str, body: &Value) -> Answer {
        self.call(shows, method, path, body.to_string().as_bytes(), "application/json").await
    }

    pub(crate) async fn get(&self, shows: &Shows, path: &str) -> Answer {
        self.call(shows, "GET", path, b"", "").await
    }

    /// A file that must be given, as it is.
    pub(crate) async fn bytes(&self, shows: &Shows, path: &str) -> Vec<u8> {
        let Shows::Token(token) = shows else { panic!("a file is asked for with a token") };
        let request = Request::builder().uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 1_024))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        axum::body::to_bytes(response.into_body(), 256 << 20).await.unwrap().to_vec()
    }

    /// A call of the operator that must succeed.
    pub(crate) async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(&self.operator, method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path} {body}: {answer:?}");
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }

    /// Makes a customer and returns its id.
    pub(crate) async fn customer(&self, name: &str) -> CustomerId {
        let made =
            self.done("POST", "/api/v1/customers", &json!({"name": name, "tolerance_ns": 50_000_000})).await;
        made["id"].as_str().unwrap().parse().unwrap()
    }

    /// A token with a role's scopes.
    pub(crate) async fn token(&self, role: Role, reach: Reach) -> Shows {
        let (_, secret) = self.centre.make_token("somebody", Grant::of(role, reach), None).await.unwrap();
        Shows::Token(secret.reveal())
    }

    /// Makes a member of the staff who has signed in and chosen a password; the member's id, name and cookie.
    pub(crate) async fn member(&self, role: Role, customer: Option<&str>) -> (String, String, Shows) {
        let name = format!("{role}-{}", self.next());
        let wish = json!({"name": name, "role": role.word(), "customer": customer});
        let made = self.done("POST", "/api/v1/staff", &wish).await;
        let id = made["staff"]["id"].as_str().unwrap().to_owned();
        let given = made["one_time_password"].as_str().unwrap();
        let shows = self.sign_in(&name, given).await.unwrap();
        let change = json!({"old": given, "new": PASSWORD});
        let changed = self.send(&shows, "POST", "/api/v1/session/password", &change).await;
        assert_eq!(changed.status, 204, "{changed:?}");
        (id, name, shows)
    }

    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Result<Shows, Answer> {
        let wish = json!({"name": name, "password": password});
        let answer = self.send(&Shows::Nothing, "POST", "/api/v1/session", &wish).await;
        match &answer.cookie {
            Some(cookie) if answer.status == 200 => Ok(Shows::Cookie(cookie.clone())),
            _ => Err(answer),
        }
    }

    /// A fresh enrolment code: its id and its text.
    pub(crate) async fn code(&self, kind: &str, customer: &str, name: &str) -> (String, EnrolmentCode) {
        let wish = json!({"kind": kind, "customer": customer, "name": name});
        let made = self.done("POST", "/api/v1/enrolments", &wish).await;
        let code = EnrolmentCode::parse(made["code"].as_str().unwrap()).unwrap();
        (made["id"].as_str().unwrap().to_owned(), code)
    }

    /// What a machine with this key sends to join.
    pub(crate) fn join_body(code: &EnrolmentCode, name: &str, key: &MachineKey) -> Value {
        let public_key = key.verifying_key().to_bytes();
        let proof = key.sign(&possession(code, name, &public_key));
        json!({
            "secret": STANDARD.encode(code.secret()), "name": name,
            "public_key": STANDARD.encode(public_key), "proof": STANDARD.encode(proof.to_bytes()),
        })
    }

    /// Lets something in, and returns the answer.
    pub(crate) async fn join(&self, kind: &str, customer: &str) -> Value {
        let name = format!("{kind}-{}", self.next());
        let (_, code) = self.code(kind, customer, &name).await;
        let key = MachineKey::from_bytes(&[7; 32]);
        let body = Self::join_body(&code, &name, &key);
        let answer = self.send(&Shows::Nothing, "POST", &format!("/api/v1/enrolments/{kind}"), &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Appends a statement and waits for its receipt; the entry's id.
    pub(crate) async fn entry(&self, customer: &str) -> String {
        let body = json!({"customer": customer, "fields": {"text": "a statement"}});
        let made = self.done("POST", "/api/v1/evidence/entries", &body).await;
        let id = made["entry_id"].as_str().unwrap().to_owned();
        let waited = self.centre.store().wait(id.parse().unwrap(), Duration::from_secs(30)).await.unwrap();
        assert!(waited.is_some(), "the statement was not put into the log in time");
        id
    }
}

async fn first_state(store: &Store, clock: &Arc<TestClock>, centre: CentreId) -> OwnClock {
    let mut settings = Settings::new(-20);
    settings.local =
        Some(Local { name: "the test's clock".to_owned(), stratum: 10, bound: Nanos::from_millis(1) });
    let now = clock.read();
    let watch = CentreClock::start(settings, now);
    let state = watch.state(now);
    let (draft, body) = clock_state_entry(&state, centre, now).unwrap();
    let entry = draft.id;
    store.write(move |tx| tx.append(&draft, &body)).await.unwrap();
    let clock = Arc::clone(clock);
    OwnClock::new(watch, InForce { state, entry, since: now.wall }, History::default(), move || {
        clock.read().into()
    })
}
