//! What an upload costs a centre: exchanges a second and seconds of processor time per 1,000 of them, on either database, beside the
//! floor that no centre can go below, checking the same signatures and reading the same records; and what 10,000 agents cost: memory,
//! and how long the page of all of them takes.
//!
//! Uploads have 56 exchanges, a quarter of an hour at 16 s, and come through the routes as a request does, 64 at a time.
//!
//! `cargo bench -p angbu-http --bench ingest [-- --agents N --rounds N --many N]`: one JSON object a figure on standard output.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark: it prints, reads clocks, and ends when something fails"
)]
#![allow(dead_code, reason = "what it shares with the tests is more than it needs")]

#[path = "../../tests/walk/machine.rs"]
mod machine;
#[path = "../../tests/walk/site.rs"]
mod site;

use std::time::{Duration, Instant};

use angbu_http::NoticeSettings;
use angbu_store::Engine;
use angbu_testkit::postgres::Server;
use angbu_time::ingest::{Known, accept};
use angbu_units::{Clock as _, Nanos};
use futures_util::{StreamExt as _, stream};

use machine::Machine;
use site::{Shows, TestSite};

const QUARTER: Nanos = Nanos::from_secs(896);
/// How many uploads are under way at once.
const AT_ONCE: usize = 64;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (agents, rounds, many) = (number("--agents", 256), number("--rounds", 8), number("--many", 10_000));
    let server = Server::with(&["max_wal_size=4GB"]);
    for database in ["sqlite", "postgresql"] {
        let engine = match database {
            "sqlite" => Engine::Sqlite,
            _ => Engine::Postgres(server.database().parse().unwrap()),
        };
        runtime.block_on(uploads(database, engine, agents, rounds));
    }
    runtime.block_on(agents_at_once(many));
}

fn number(name: &str, otherwise: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

async fn machines(site: &TestSite, count: usize) -> Vec<Machine> {
    site.customer("many").await;
    let mut machines = Vec::with_capacity(count);
    for _ in 0..count {
        machines.push(Machine::join(site, "many").await);
    }
    machines
}

async fn uploads(database: &str, engine: Engine, agents: usize, rounds: usize) {
    let site = TestSite::start_on(engine, NoticeSettings::default()).await;
    let mut machines = machines(&site, agents).await;
    let (mut took, mut cpu, mut floor, mut exchanges) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0_usize);
    // The first round warms caches and counts nothing.
    for round in 0..=rounds {
        site.clock.advance(QUARTER);
        let now = site.clock.read().wall;
        let chains: Vec<_> = machines.iter().map(|machine| machine.chain).collect();
        let wires: Vec<_> =
            machines.iter_mut().filter_map(|machine| machine.upload(now, Nanos::ZERO)).collect();
        let before = (Instant::now(), cpu_time());
        let answers = stream::iter(&wires)
            .map(|wire| {
                site.call(&Shows::Nothing, "POST", "/api/v1/time/uploads", wire, "application/octet-stream")
            })
            .buffer_unordered(AT_ONCE)
            .all(async |answer| answer.status == 200);
        assert!(answers.await, "an upload was refused");
        let after = (before.0.elapsed(), cpu_time() - before.1);
        let begun = cpu_time();
        let mut read = 0;
        for ((machine, wire), chain) in machines.iter().zip(&wires).zip(chains) {
            let first_seq = if round == 0 { 1 } else { machine.seq - 56 };
            let known = Known {
                agent: machine.id,
                public_key: machine.key.verifying_key().to_bytes(),
                next_seq: first_seq,
                chain,
            };
            read += accept(&known, wire, now).unwrap().records.len();
        }
        if round > 0 {
            took += after.0;
            cpu += after.1;
            floor += cpu_time() - begun;
            exchanges += read;
        }
    }
    let thousands = exchanges as f64 / 1e3;
    println!(
        "{{\"figure\":\"uploads of 56 exchanges\",\"database\":\"{database}\",\"agents\":{agents},\"exchanges_a_second\":{:.0},\
         \"cpu_s_per_1000\":{:.4},\"floor_cpu_s_per_1000\":{:.4},\"ratio\":{:.1}}}",
        exchanges as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() / thousands,
        floor.as_secs_f64() / thousands,
        cpu.as_secs_f64() / floor.as_secs_f64().max(1e-9),
    );
}

/// Many agents on one centre, each heard of once.
async fn agents_at_once(count: usize) {
    let site = TestSite::start().await;
    let before = memory();
    let mut machines = machines(&site, count).await;
    site.clock.advance(Nanos::from_secs(64));
    let now = site.clock.read().wall;
    let wires: Vec<_> = machines.iter_mut().filter_map(|machine| machine.upload(now, Nanos::ZERO)).collect();
    stream::iter(&wires)
        .map(|wire| {
            site.call(&Shows::Nothing, "POST", "/api/v1/time/uploads", wire, "application/octet-stream")
        })
        .buffer_unordered(AT_ONCE)
        .for_each(async |answer| assert_eq!(answer.status, 200))
        .await;
    let grown = memory().saturating_sub(before) as f64 / count as f64;
    for (page, path) in [
        ("all agents", "/api/v1/time/agents".to_owned()),
        ("customers", "/api/v1/customers".to_owned()),
        ("metrics of agents", "/api/v1/time/metrics".to_owned()),
        ("one agent", format!("/api/v1/time/agents/{}", machines[count / 2].id)),
    ] {
        let mut times = Vec::new();
        for _ in 0..10 {
            let began = Instant::now();
            assert_eq!(site.get(&site.operator, &path).await.status, 200);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!(
            "{{\"figure\":\"page\",\"page\":\"{page}\",\"agents\":{count},\"p50_ms\":{:.1},\"longest_ms\":{:.1},\
             \"memory_bytes_an_agent\":{grown:.0}}}",
            times[5].as_secs_f64() * 1e3,
            times[9].as_secs_f64() * 1e3
        );
    }
}

/// What this process has used of processors, in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<u64> = behind.split_whitespace().skip(11).take(2).map(|n| n.parse().unwrap()).collect();
    Duration::from_millis((fields[0] + fields[1]) * 10)
}

/// What this process has in memory, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}
