//! What one reply costs: seconds of processor time per million replies of this server, plain and protected (NTS, with and
//! without the proof of the exchange), and per million signed Roughtime replies, beside chrony's and a bare echo's, measured in turns in one run; and how long a
//! client waits for a reply at a steady 20,000 requests a second.
//!
//! The echo is the floor: the same batched system calls on the same kind of socket, no stamps, no clock, no
//! NTP. Each server is a process of its own on processor 0, so that the kernel's own count of its time is the
//! measure; the load comes from processor 1, from 8 sockets with 16 requests in flight on each, and every
//! reply is checked. On loopback a server's time includes the delivery into the client's socket.
//!
//! `cargo bench -p angbu --bench time [-- --rounds N --requests N]`: one JSON object a figure on standard
//! output, progress and a table on standard error.

#![allow(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads clocks and the command line")]

mod load;
mod paced;
mod questions;
mod servers;

use std::io::{self, Write as _};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use servers::Running;

/// How many turns a round is cut into.
const TURNS: u64 = 15;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--serve-echo") => servers::serve_echo(),
        Some("--serve-angbu") => servers::serve_angbu(),
        Some("--serve-roughtime") => servers::serve_roughtime(),
        _ => measure(number(&arguments, "--rounds", 4)?, number(&arguments, "--requests", 300_000)?),
    }
}

fn number(arguments: &[String], name: &str, otherwise: u64) -> Result<u64, Failure> {
    let given = arguments.iter().skip_while(|argument| *argument != name).nth(1);
    given.map_or(Ok(otherwise), |text| text.parse().map_err(|_| format!("{name} takes a number").into()))
}

fn measure(rounds: u64, requests: u64) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let processors = std::thread::available_parallelism()?.get();
    // Children inherit the processor; the load moves to its own below.
    pin(0)?;
    let mut servers = servers::all(directory.path())?;
    if processors > 1 {
        pin(1)?;
    } else {
        eprintln!("only one processor: the load shares it with the server");
    }
    for server in &mut servers {
        server.turn(requests / TURNS, &mut Sum::default())?;
    }
    let results = cost(&mut servers, rounds, requests)?;
    eprintln!(
        "\n{:<20} {:>36} {:>26} {:>12}",
        "", "CPU s per million [min-max]", "of the floor [min-max]", "replies/s"
    );
    for (server, rounds) in servers.iter().zip(&results) {
        report(server, rounds)?;
    }
    for waits in paced::measure(&mut servers, rounds)? {
        writeln!(io::stdout(), "{}", waits.line())?;
    }
    Ok(())
}

/// The turns of one server in one round.
#[derive(Clone, Copy, Default)]
struct Sum {
    answered: u64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Sum {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn round(&self, floor: &Self) -> Round {
        let answered = self.answered as f64;
        Round {
            cpu_seconds_per_million: self.cpu_seconds * 1e6 / answered,
            answered_per_second: answered / self.seconds,
            of_the_floor: self.cpu_seconds / floor.cpu_seconds,
        }
    }
}

/// One round of one server.
#[derive(Clone, Copy)]
struct Round {
    cpu_seconds_per_million: f64,
    answered_per_second: f64,
    of_the_floor: f64,
}

/// The rounds of each server, in short turns, so that whatever else this machine does falls on all of them alike.
fn cost(servers: &mut [Running], rounds: u64, requests: u64) -> Result<Vec<Vec<Round>>, Failure> {
    let mut results: Vec<Vec<Round>> = vec![Vec::new(); servers.len()];
    for number in 1..=rounds {
        let mut sums = vec![Sum::default(); servers.len()];
        for _ in 0..TURNS {
            for (server, sum) in servers.iter_mut().zip(&mut sums) {
                server.turn(requests / TURNS, sum)?;
            }
        }
        let floor = sums.first().copied().unwrap_or_default();
        for ((server, sum), results) in servers.iter().zip(&sums).zip(&mut results) {
            let round = sum.round(&floor);
            eprintln!(
                "round {number}/{rounds}  {:<20} {:>7.3} s of CPU per million  {:>8.0} replies/s  {:.3} of the floor",
                server.name, round.cpu_seconds_per_million, round.answered_per_second, round.of_the_floor,
            );
            results.push(round);
        }
    }
    Ok(results)
}

fn report(server: &Running, rounds: &[Round]) -> io::Result<()> {
    let cpu = Spread::of(rounds, |round| round.cpu_seconds_per_million);
    let ratio = Spread::of(rounds, |round| round.of_the_floor);
    let rate = Spread::of(rounds, |round| round.answered_per_second);
    eprintln!(
        "{:<20} {:>18.3} [{:>6.3}-{:>6.3}]  {:>10.3} [{:>5.3}-{:>5.3}] {:>12.0}",
        server.name, cpu.median, cpu.least, cpu.most, ratio.median, ratio.least, ratio.most, rate.median,
    );
    let figure = serde_json::json!({
        "figure": "reply", "server": server.name, "unit": "CPU s per million replies",
        "value": cpu.median, "value_min": cpu.least, "value_max": cpu.most,
        "ratio": ratio.median, "ratio_min": ratio.least, "ratio_max": ratio.most,
        "peer": "echo (floor)", "replies_per_s": rate.median.round(), "aim": server.aim,
    });
    writeln!(io::stdout(), "{figure}")
}

/// The least, the middle and the most of some figures.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of<T>(of: &[T], value: impl Fn(&T) -> f64) -> Self {
        let mut values: Vec<f64> = of.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { least: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), most: at(last) }
    }
}

fn pin(processor: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}
