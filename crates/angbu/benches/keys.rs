//! One-time keys over HTTP, durable and audited: `cargo bench -p angbu --bench keys`.
//!
//! Starts the real binary on a folder of its own, gives people tokens of a counter, and asks about their keys from many
//! connections, each question once the answer before it has come. Every key is good, so every answer is a change of a row and
//! an entry on the disk. Beside it, in the same run: what HMAC alone costs, and a bare echo behind the same HTTP library, asked by
//! the same client. One JSON object a line on standard output.
//!
//! `ANGBU_BENCH_PEOPLE` says how many people there are beside the 1,000 of the first round; a million take minutes to enrol.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock by trade")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a benchmark a panic is the report")]

use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use angbu_keys::otpauth::OtpAuth;
use angbu_keys::{Algorithm, Digits, hotp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long is asked.
const LENGTH: Duration = Duration::from_secs(10);
/// Questions under way at once, each on a connection of its own.
const CONNECTIONS: usize = 256;
/// People of the first round.
const FEW: usize = 1_000;

fn main() {
    if std::env::args().any(|argument| argument == "echo") {
        return echo();
    }
    let many = std::env::var("ANGBU_BENCH_PEOPLE").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    hmac();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut bare = Server(
        Command::new(std::env::current_exe().unwrap()).arg("echo").stdout(Stdio::piped()).spawn().unwrap(),
    );
    let address = bare.first_line();
    let request =
        post(&address, "", "/echo", "login_id=kim&phone_no=01012345678&cycle_time=30&ota_key=123456");
    let asked = vec![vec![request; 1]; CONNECTIONS];
    report("bare echo", 0, &bare, &runtime, &address, Questions::Same(asked));
    drop(bare);

    let folder = tempfile::tempdir().unwrap();
    let centre = Server::centre(folder.path());
    let ready: Value = serde_json::from_str(&centre.1).unwrap();
    let address = ready["http"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let token = ready["token"].as_str().unwrap().to_owned();
    let mut people = Vec::new();
    for (from, to) in [(0, FEW), (FEW, FEW + many)] {
        people.extend(runtime.block_on(enrol(&address, &token, from..to)));
        centre.0.settle();
        let asked = Questions::Keys { people: people.clone(), token: token.clone() };
        report("angbu, SQLite", to, &centre.0, &runtime, &address, asked);
        // Their counters have moved on; whoever is new begins at zero.
        people.clear();
    }
}

/// What one key costs beneath everything.
fn hmac() {
    let (count, begun) = (1_000_000_u64, std::time::Instant::now());
    for counter in 0..count {
        black_box(hotp::key(Algorithm::Sha256, black_box(&[7; 32]), counter, Digits::SIX));
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}", json!({"case": "HMAC-SHA-256 and truncation", "us_per_key": round(seconds)}));
}

/// A bare server of the same library, in a process of its own.
fn echo() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let route = axum::routing::post(|body: axum::body::Bytes| async move { body });
        axum::serve(listener, axum::Router::new().route("/echo", route)).await.unwrap();
    });
}

/// A server's process; it ends with the benchmark, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn centre(folder: &std::path::Path) -> (Self, String) {
        let config = folder.join("serve.toml");
        let text =
            "[clock]\nreference = \"declared\"\n[[customer]]\nname = \"bench\"\ntolerance = \"50 ms\"\n";
        std::fs::write(&config, text).unwrap();
        let mut server = Self(
            Command::new(env!("CARGO_BIN_EXE_angbu"))
                .args(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
                .arg(&config)
                .arg("--data")
                .arg(folder.join("data"))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let first = server.first_line();
        (server, first)
    }

    fn first_line(&mut self) -> String {
        let mut first = String::new();
        BufReader::new(self.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
        first.trim().to_owned()
    }

    /// Waits until it has done what it still does after the last answer, so that none of it counts as somebody else's.
    fn settle(&self) {
        let mut before = self.cpu_seconds();
        loop {
            std::thread::park_timeout(Duration::from_secs(1));
            let now = self.cpu_seconds();
            if now - before < 0.05 {
                return;
            }
            before = now;
        }
    }

    /// User and system time, from `/proc`.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: f64 = [11, 12].iter().map(|place| fields[*place].parse::<f64>().unwrap()).sum();
        ticks / 100.0
    }

    /// What of it is in memory, in MiB.
    fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
    }
}

/// Somebody with a token of a counter.
#[derive(Clone)]
struct Person {
    login: String,
    secret: Arc<Vec<u8>>,
    digits: Digits,
    next: u64,
}

/// What the connections ask.
enum Questions {
    /// Each the same thing over and over.
    Same(Vec<Vec<Vec<u8>>>),
    /// Each about keys of its own people, one after the other.
    Keys { people: Vec<Person>, token: String },
}

fn post(address: &str, token: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Gives people tokens, from many connections.
async fn enrol(address: &str, token: &str, numbers: std::ops::Range<usize>) -> Vec<Person> {
    let made = Arc::new(Mutex::new(Vec::with_capacity(numbers.len())));
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(numbers.start));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (address, token, end) = (address.to_owned(), token.to_owned(), numbers.end);
        let (made, next) = (Arc::clone(&made), Arc::clone(&next));
        clients.push(tokio::spawn(async move {
            let mut buffer = Vec::with_capacity(8_192);
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number >= end {
                    return;
                }
                let login = format!("person.{number}");
                let wish =
                    json!({"login_id": login, "phone_no": "01012345678", "kind": "counter"}).to_string();
                stream.write_all(&post(&address, &token, "/api/v1/keys/enrol", &wish)).await.unwrap();
                let body = answer(&mut stream, &mut buffer).await;
                let said: Value = serde_json::from_slice(&body).unwrap();
                let app = OtpAuth::parse(said["otpauth"].as_str().unwrap()).ok().unwrap();
                let secret = Arc::new(app.secret.to_vec());
                made.lock().unwrap().push(Person { login, secret, digits: app.digits, next: 0 });
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    std::mem::take(&mut *made.lock().unwrap())
}

/// Asks for a while and prints what it came to.
fn report(
    case: &str,
    people: usize,
    server: &Server,
    runtime: &tokio::runtime::Runtime,
    address: &str,
    questions: Questions,
) {
    let before = server.cpu_seconds();
    let (mut waits, seconds) = runtime.block_on(ask(address, questions));
    let cpu = server.cpu_seconds() - before;
    waits.sort_unstable();
    let at = |per_mille: usize| {
        let place = (waits.len() * per_mille / 1_000).min(waits.len().saturating_sub(1));
        round(waits[place].as_secs_f64() * 1_000.0)
    };
    let count = f64::from(u32::try_from(waits.len()).unwrap());
    println!(
        "{}",
        json!({
            "case": case,
            "people": people,
            "per_second": round(count / seconds),
            "p50_ms": at(500),
            "p99_ms": at(990),
            "server_cpu_s_per_1000": (cpu * 1_000_000.0 / count).round() / 1_000.0,
            "resident_mib": round(server.resident_mib()),
        })
    );
}

async fn ask(address: &str, questions: Questions) -> (Vec<Duration>, f64) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let (mut shares, token): (Vec<Vec<Person>>, String) = match &questions {
        Questions::Same(_) => (Vec::new(), String::new()),
        Questions::Keys { people, token } => {
            let mut shares = vec![Vec::new(); CONNECTIONS];
            // Across all of them, so that the pages of the database are as many as there are people.
            for (place, person) in people.iter().enumerate() {
                shares[place % CONNECTIONS].push(person.clone());
            }
            (shares, token.clone())
        }
    };
    let begun = Instant::now();
    let mut clients = Vec::new();
    for client in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (waits, address, token) = (Arc::clone(&waits), address.to_owned(), token.clone());
        let mut mine = shares.get_mut(client).map(std::mem::take).unwrap_or_default();
        let same = match &questions {
            Questions::Same(asked) => asked[client].first().cloned(),
            Questions::Keys { .. } => None,
        };
        clients.push(tokio::spawn(async move {
            let (mut buffer, mut own, mut turn) = (Vec::with_capacity(8_192), Vec::new(), 0);
            while begun.elapsed() < LENGTH {
                let request = match &same {
                    Some(request) => request.clone(),
                    None => {
                        let place = turn % mine.len();
                        let person = &mut mine[place];
                        let key = hotp::key(Algorithm::Sha256, &person.secret, person.next, person.digits);
                        person.next += 1;
                        let question = json!({"login_id": person.login, "phone_no": "01012345678",
                                              "ota_key": key.reveal()});
                        post(&address, &token, "/api/v1/keys/verify", &question.to_string())
                    }
                };
                turn += 1;
                let sent = Instant::now();
                stream.write_all(&request).await.unwrap();
                let body = answer(&mut stream, &mut buffer).await;
                own.push(sent.elapsed());
                assert!(
                    same.is_some() || find(&body, b"\"ok\":true").is_some(),
                    "{}",
                    String::from_utf8_lossy(&body)
                );
            }
            waits.lock().unwrap().append(&mut own);
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let waits = std::mem::take(&mut *waits.lock().unwrap());
    (waits, seconds)
}

/// Reads one answer, which must be one of success, and gives its body.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Vec<u8> {
    buffer.clear();
    loop {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "the server closed a connection");
        let Some(end) = find(buffer, b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{}", String::from_utf8_lossy(buffer));
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
        });
        if buffer.len() >= end + 4 + length.unwrap() {
            return buffer[end + 4..].to_vec();
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
