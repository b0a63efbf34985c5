//! Durable, signed, proven appends over HTTP: `cargo bench -p angbu --bench evidence_http`.
//!
//! Starts the real binary on a folder of its own, once for each database, and offers it statements at a steady rate, each
//! asking for its proof in the answer (`Prefer: wait`). Latency counts from the instant at which a request was due, so that a server that
//! falls behind is seen to. One JSON object a line on standard output.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock by trade")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a benchmark a panic is the report")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// Requests offered a second.
const RATES: [u32; 3] = [1_000, 10_000, 50_000];
/// How long each rate is offered.
const LENGTH: Duration = Duration::from_secs(5);
/// Requests under way at once, each on a connection of its own.
const CONNECTIONS: u32 = 512;

fn main() {
    let postgres = angbu_testkit::postgres::Server::with(&["max_wal_size=4GB"]);
    measure("sqlite", None);
    measure("postgresql", Some(postgres.database()));
}

/// Offers every rate to a centre over this database.
fn measure(database: &str, store: Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("serve.toml");
    std::fs::write(
        &config,
        "[clock]\nreference = \"declared\"\n[[customer]]\nname = \"bench\"\ntolerance = \"50 ms\"\n",
    )
    .unwrap();
    let server = Command::new(env!("CARGO_BIN_EXE_angbu"))
        .args(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data")
        .arg(folder.path().join("data"))
        .args(store.iter().flat_map(|address| ["--store", address]))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(server);
    let mut first = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ready: Value = serde_json::from_str(&first).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for rate in RATES {
        let before = cpu_seconds(&server.0);
        let mut run = runtime.block_on(offer(&ready, rate));
        let cpu = cpu_seconds(&server.0) - before;
        println!("{}", run.summary(database, rate, cpu));
    }
}

/// The server's process; it ends with the benchmark, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Default)]
struct Run {
    latencies: Vec<Duration>,
    proofs: u32,
    seconds: f64,
}

impl Run {
    fn summary(&mut self, database: &str, offered: u32, cpu: f64) -> Value {
        self.latencies.sort_unstable();
        let count = self.latencies.len();
        let at = |per_mille: usize| {
            let place = (count * per_mille / 1_000).min(count.saturating_sub(1));
            round(self.latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0))
        };
        let answered = f64::from(u32::try_from(count).unwrap());
        json!({
            "case": "over HTTP",
            "database": database,
            "offered": offered,
            "rate": round(answered / self.seconds),
            "p50_ms": at(500),
            "p99_ms": at(990),
            "proof_in_answer_percent": round(f64::from(self.proofs) * 100.0 / answered.max(1.0)),
            "server_cpu_s_per_1000": round(cpu * 1_000.0 / answered.max(1.0)),
        })
    }
}

async fn offer(ready: &Value, rate: u32) -> Run {
    let address = ready["http"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let token = ready["token"].as_str().unwrap();
    let body = json!({"customer": "bench", "fields": {"statement": "x".repeat(120)}}).to_string();
    let request = format!(
        "POST /api/v1/evidence/entries HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nPrefer: wait\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let request = Arc::new(request.into_bytes());
    let run = Arc::new(Mutex::new(Run::default()));
    let start = Instant::now() + Duration::from_millis(200);
    let mut clients = Vec::new();
    for client in 0..CONNECTIONS.min(rate) {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (request, run) = (Arc::clone(&request), Arc::clone(&run));
        clients.push(tokio::spawn(async move {
            let mut buffer = Vec::with_capacity(8_192);
            let mut due = start + Duration::from_secs(1) * client / rate;
            let step = Duration::from_secs(1) * CONNECTIONS.min(rate) / rate;
            let mut mine = Run::default();
            while due < start + LENGTH && Instant::now() < start + LENGTH * 2 {
                sleep_until(due).await;
                stream.write_all(&request).await.unwrap();
                mine.proofs += u32::from(answer(&mut stream, &mut buffer).await);
                mine.latencies.push(due.elapsed());
                due += step;
            }
            let mut all = run.lock().unwrap();
            all.latencies.append(&mut mine.latencies);
            all.proofs += mine.proofs;
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let mut run = std::mem::take(&mut *run.lock().unwrap());
    run.seconds = start.elapsed().as_secs_f64();
    run
}

/// Reads one answer; whether it carries a proof.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    loop {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "the server closed a connection");
        let Some(end) = find(buffer, b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 201"), "{}", String::from_utf8_lossy(buffer));
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            })
            .unwrap();
        if buffer.len() >= end + 4 + length {
            return find(buffer, b"\"proof\":").is_some();
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// User and system time of the centre, from `/proc`; what PostgreSQL's own processes use comes to it.
fn cpu_seconds(server: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|place| fields[*place].parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
