//! How fast durable, signed, proven appends are, in process, on either database, beside plain inserts of the same bytes into
//! that database with the same batching in the same run: one JSON object a line.
//!
//! Load is offered in an open loop: each append has an instant at which it begins, whatever became of those before, and
//! its latency counts from that instant, so that a stall is paid by everyone who comes during it.
//!
//! `cargo bench -p angbu-store [-- [--seconds N] [--folder DIR] [OFFERED...]]`

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark: it prints, reads clocks, and ends when something fails"
)]

mod floor;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime};

use angbu_evidence::{Body, Draft, Kind};
use angbu_store::{Engine, Options, Sequencer, SigningKey, Store, StoreError};
use angbu_testkit::postgres::Server;
use angbu_units::{
    Clock, ClockVerdict, CustomerId, EntryId, Monotonic, Nanos, ProvenInstant, Reading, UnixTime,
};

fn main() {
    let (seconds, folder, offered) = arguments();
    // As an operator runs it: what it acknowledged is on the disk.
    let server = Server::with(&["max_wal_size=4GB"]);
    for offered in offered {
        for database in ["sqlite", "postgresql"] {
            let folder = tempfile::tempdir_in(&folder).unwrap();
            let (floor, engine) = match database {
                "sqlite" => {
                    (floor::sqlite(&folder.path().join("floor.sqlite"), offered, seconds), Engine::Sqlite)
                }
                _ => {
                    let floor = floor::postgres(&server.database(), offered, seconds);
                    (floor, Engine::Postgres(server.database().parse().unwrap()))
                }
            };
            let store = store(folder.path(), engine, offered, seconds);
            println!("{}", line(database, offered, &store, &floor));
        }
    }
}

/// One line of the report. Processor time is this process's own: what PostgreSQL's processes use comes to it.
fn line(database: &str, offered: u64, store: &Figures, floor: &Figures) -> String {
    format!(
        "{{\"case\":\"in-process\",\"database\":\"{database}\",\"offered\":{offered},\"rate\":{:.0},\"p50_ms\":{:.2},\
         \"p99_ms\":{:.2},\"cores\":{:.2},\"floor_rate\":{:.0},\"floor_p50_ms\":{:.2},\"floor_p99_ms\":{:.2},\
         \"floor_cores\":{:.2},\"ratio\":{:.3}}}",
        store.rate,
        store.p50,
        store.p99,
        store.cores,
        floor.rate,
        floor.p50,
        floor.p99,
        floor.cores,
        store.rate / floor.rate
    )
}

fn arguments() -> (u64, PathBuf, Vec<u64>) {
    let (mut seconds, mut folder, mut offered) = (5, std::env::temp_dir(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().and_then(|n| n.parse().ok()).expect("--seconds N"),
            "--folder" => folder = arguments.next().map(PathBuf::from).expect("--folder DIR"),
            // Cargo's own word to every benchmark.
            "--bench" => {}
            number => offered.push(number.parse().expect("how many appends to offer a second")),
        }
    }
    if offered.is_empty() {
        offered = vec![1_000, 10_000, 50_000];
    }
    (seconds, folder, offered)
}

struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    cores: f64,
}

/// What a run was: latencies as they came, and how long it took with how much of the processors.
fn figures(mut latencies: Vec<Duration>, took: Duration, cpu: Duration) -> Figures {
    latencies.sort_unstable();
    let percentile = |p: usize| latencies[(latencies.len() - 1) * p / 100].as_secs_f64() * 1e3;
    Figures {
        rate: latencies.len() as f64 / took.as_secs_f64(),
        p50: percentile(50),
        p99: percentile(99),
        cores: cpu.as_secs_f64() / took.as_secs_f64(),
    }
}

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Reading {
            wall: UnixTime::from_nanos(wall.as_nanos() as i64),
            monotonic: Monotonic::from_nanos(self.0.elapsed().as_nanos() as i64),
        }
    }
}

fn draft(clock: &SystemClock, clock_state: EntryId, kind: Kind) -> (Draft, Body) {
    let mut rng = rand::rng();
    let fields = [("subject", b"a note of the benchmark".to_vec()), ("detail", vec![b'x'; 100])];
    let body = Body::new(&mut rng, fields).unwrap();
    let time = clock.read().wall;
    let draft = Draft {
        id: EntryId::new(time, &mut rng),
        kind,
        instant: ProvenInstant {
            time,
            error_bound: Nanos::from_millis(25),
            verdict: ClockVerdict::Declared,
            clock_state,
        },
        customer: CustomerId::from_bytes([1; 16]),
        body_root: body.root(),
    };
    (draft, body)
}

/// Appends through the store, each answered with its proof as text.
fn store(folder: &Path, engine: Engine, offered: u64, seconds: u64) -> Figures {
    let clock = Arc::new(SystemClock(Instant::now()));
    let store = Store::open(&Options { engine, ..Options::new(folder) }, clock.clone()).unwrap();
    let signer = Arc::new(store.signer(SigningKey::Log, "bench.example/log").unwrap());
    let sequencer = Sequencer::start(&store, signer, angbu_units::CentreId::from_bytes([1; 16])).unwrap();
    let (state, body) = draft(&clock, Draft::NO_CLOCK_STATE, Kind::CLOCK_STATE);
    let clock_state = state.id;
    store.write_blocking(move |tx| tx.append(&state, &body)).unwrap();

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (done, latencies) = channel();
    let (began, cpu) = (Instant::now(), cpu_time());
    for due in schedule(offered, seconds) {
        let (store, clock, done) = (store.clone(), Arc::clone(&clock), done.clone());
        runtime.spawn(async move {
            let (draft, body) = draft(&clock, clock_state, Kind::NOTE);
            let id = draft.id;
            store.append(&draft, &body).await.unwrap();
            let receipt = store.wait(id, Duration::from_secs(60)).await.unwrap().expect("a proof in time");
            std::hint::black_box(receipt.encode());
            done.send(due.elapsed()).unwrap();
        });
    }
    drop(done);
    let latencies: Vec<_> = latencies.iter().collect();
    let figures = figures(latencies, began.elapsed(), cpu_time() - cpu);
    drop((runtime, sequencer));
    let size = store.read_blocking(|snapshot| Ok::<_, StoreError>(snapshot.log_head()?.size)).unwrap();
    assert_eq!(size, offered * seconds + 1, "every answered append is in the log");
    figures
}

/// The instants at which appends begin, each handed out when it has come.
fn schedule(offered: u64, seconds: u64) -> impl Iterator<Item = Instant> {
    let start = Instant::now();
    (0..offered * seconds).map(move |number| {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / offered);
        // Shorter sleeps than a millisecond cost more of the processor than they bring of precision.
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            std::thread::sleep(early.max(Duration::from_millis(1)));
        }
        due
    })
}

/// The processor time of this process so far, from the system's own accounts (Linux, 100 ticks a second).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15; the second field, in parentheses, can itself hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
