//! A centre in one process with the agent: it joins agents, accepts uploads as the real one does, serves time,
//! and can be away, slow, or lose its answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use angbu_accounts::{EnrolmentCode, fingerprint};
use angbu_agent::Event;
use angbu_agent::clock::SystemClock;
use angbu_evidence::note::VerifierKey;
use angbu_time::chain::Chain;
use angbu_time::ingest::{self, Known, Refusal};
use angbu_time::packet::Leap;
use angbu_time::record::Record;
use angbu_time::server::{self, ServerState};
use angbu_units::{AgentId, CentreId, Clock as _, CustomerId, Nanos, NtpServerId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;

/// How the centre answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Fine,
    /// Hangs up at once.
    Away,
    /// Does what it is asked, and hangs up without an answer.
    LosesAnswers,
    /// Takes the request and never answers.
    Silent,
}

/// What everybody in a test can see.
pub struct Seen {
    pub mood: Mood,
    pub records: Vec<Record>,
    pub next_seq: u64,
    /// The chain before the next record, once one is in effect.
    pub chain: Option<Chain>,
    /// How often the chain began anew.
    pub begun: u64,
    pub uploads: usize,
    pub public_key: Option<[u8; 32]>,
    pub tolerance: Nanos,
    pub events: Vec<Event>,
}

pub struct Centre {
    pub url: String,
    pub code: String,
    board: Arc<(Mutex<Seen>, Condvar)>,
}

pub const AGENT: AgentId = AgentId::from_bytes([1; 16]);
pub const CENTRE: CentreId = CentreId::from_bytes([2; 16]);
pub const CUSTOMER: CustomerId = CustomerId::from_bytes([3; 16]);
const DEADLINE: Duration = Duration::from_secs(60);

pub fn server_id() -> NtpServerId {
    NtpServerId::from_bytes(*CENTRE.as_bytes())
}

impl Centre {
    pub fn start() -> Self {
        let key = SigningKey::from_bytes(&rand::random()).verifying_key();
        let log_key = VerifierKey::new("centre.example/log", key.as_bytes()).unwrap();
        let code = EnrolmentCode::random(fingerprint(&[], &log_key), &mut rand::rng()).reveal();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ntp = serve_time();
        let seen = Seen {
            mood: Mood::Fine,
            records: Vec::new(),
            next_seq: 1,
            chain: None,
            begun: 0,
            uploads: 0,
            public_key: None,
            tolerance: Nanos::from_millis(50),
            events: Vec::new(),
        };
        let board = Arc::new((Mutex::new(seen), Condvar::new()));
        let served = Arc::clone(&board);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (board, log_key) = (Arc::clone(&served), log_key.clone());
                std::thread::spawn(move || serve(socket.unwrap(), &board, &log_key, ntp));
            }
        });
        Self { url, code, board }
    }

    /// Changes what everybody sees.
    pub fn set(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.board.0.lock().unwrap());
        self.board.1.notify_all();
    }

    /// Waits until the condition holds, and returns what it then finds.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, mut condition: impl FnMut(&Seen) -> Option<T>) -> T {
        let mut found = None;
        let seen = self.board.0.lock().unwrap();
        let (seen, _) = self
            .board
            .1
            .wait_timeout_while(seen, DEADLINE, |seen| {
                found = condition(seen);
                found.is_none()
            })
            .unwrap();
        found.unwrap_or_else(|| panic!("waited in vain for {what}: {:?} {:?}", seen.records, seen.events))
    }

    pub fn events(&self) -> angbu_agent::Events {
        let board = Arc::clone(&self.board);
        Arc::new(move |event| {
            board.0.lock().unwrap().events.push(event.clone());
            board.1.notify_all();
        })
    }
}

fn serve_time() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut request = [0; 512];
        let mut reply = [0; 48];
        loop {
            let (length, from) = socket.recv_from(&mut request).unwrap();
            let now = SystemClock.read().wall;
            let state = ServerState {
                leap: Leap::None,
                stratum: 1,
                precision: -20,
                root_delay: Nanos::ZERO,
                root_dispersion: Nanos::from_micros(10),
                reference_id: *b"TEST",
                reference_time: now,
                as_of: now,
            };
            if server::answer(&request[..length], now, SystemClock.read().wall, &state, &mut reply).is_ok() {
                socket.send_to(&reply, from).unwrap();
            }
        }
    });
    address
}

fn serve(mut socket: TcpStream, board: &(Mutex<Seen>, Condvar), log_key: &VerifierKey, ntp: SocketAddr) {
    while let Some((line, body)) = read(&mut socket) {
        let mut seen = board.0.lock().unwrap();
        let mood = seen.mood;
        if mood == Mood::Away {
            return;
        }
        let (status, answer) = match line.as_str() {
            _ if mood == Mood::Silent => (0, String::new()),
            "GET /api/v1/evidence/key" => (200, format!("{log_key}\n")),
            "POST /api/v1/enrolments/agent" => join(&mut seen, &body, log_key, ntp),
            "POST /api/v1/time/uploads" => upload(&mut seen, &body),
            _ => (404, "{}".to_owned()),
        };
        drop(seen);
        board.1.notify_all();
        match mood {
            Mood::Fine => {
                let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n", answer.len());
                let _gone = socket.write_all(format!("{head}{answer}").as_bytes());
            }
            Mood::Silent => {
                let _gone = socket.read(&mut [0]);
                return;
            }
            Mood::Away | Mood::LosesAnswers => return,
        }
    }
}

fn join(seen: &mut Seen, body: &[u8], log_key: &VerifierKey, ntp: SocketAddr) -> (u16, String) {
    let wish: serde_json::Value = serde_json::from_slice(body).unwrap();
    if wish["name"] != "db-3" {
        return (403, r#"{"title":"the code was made for another name"}"#.to_owned());
    }
    let public_key = STANDARD.decode(wish["public_key"].as_str().unwrap()).unwrap();
    seen.public_key = Some(public_key.try_into().unwrap());
    let answer = serde_json::json!({
        "agent_id": AGENT.to_string(), "customer": "demo", "customer_id": CUSTOMER.to_string(),
        "centre_id": CENTRE.to_string(), "log_key": log_key.to_string(),
        "tolerance_ns": seen.tolerance.count(), "ntp": format!("0.0.0.0:{}", ntp.port()),
    });
    (200, answer.to_string())
}

fn upload(seen: &mut Seen, body: &[u8]) -> (u16, String) {
    seen.uploads += 1;
    let public_key = seen.public_key.unwrap();
    let chain = seen.chain.unwrap_or_else(|| Chain::begin(AGENT, &public_key, 1));
    let known = Known { agent: AGENT, public_key, next_seq: seen.next_seq, chain };
    let refused = |next_seq: u64, error: &Refusal| {
        (409, serde_json::json!({"title": error.to_string(), "next_seq": next_seq.to_string()}).to_string())
    };
    match ingest::accept(&known, body, SystemClock.read().wall) {
        Ok(accepted) => {
            seen.next_seq = accepted.next_seq;
            seen.chain = Some(accepted.chain);
            seen.begun += u64::from(accepted.signed.before != chain);
            seen.records.extend(accepted.records);
            let tolerance = seen.tolerance.count();
            (
                200,
                serde_json::json!({"next_seq": seen.next_seq.to_string(), "tolerance_ns": tolerance})
                    .to_string(),
            )
        }
        Err(error @ Refusal::Gap { expected, .. }) => refused(expected, &error),
        Err(error @ Refusal::Replay { next_seq }) => refused(next_seq, &error),
        Err(error @ Refusal::Chain { expected }) => {
            let problem = serde_json::json!({
                "type": "urn:angbu:problem:upload-unchained",
                "title": error.to_string(), "next_seq": expected.to_string(),
            });
            (409, problem.to_string())
        }
        Err(error) => (400, serde_json::json!({"title": error.to_string()}).to_string()),
    }
}

/// The next request's method and path, and its body.
fn read(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length: usize = head
                .lines()
                .find_map(|header| {
                    header.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                return Some((line, bytes[end + 4..end + 4 + length].to_vec()));
            }
        }
        match socket.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    }
}
