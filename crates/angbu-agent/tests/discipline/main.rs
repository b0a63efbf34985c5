//! The agent's discipline beside chronyd's, on the same paths and at the same time: `cargo xtask judge discipline`.
//!
//! Each of the two gets a clock of its own that exists only as numbers (`simulated_clock.c`, preloaded), so that nothing
//! sets the host's clock; beyond that, both run without the privilege to.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a trial: a panic is its report"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use angbu_agent::clock::UnslewedClock;
use angbu_agent::kernel_clock::SystemKernelClock;
use angbu_agent::ntp::client;
use angbu_time::discipline::{Discipline, Settings};
use angbu_time::exchange::Exchange;
use angbu_time::kernel_clock::KernelClock as _;
use angbu_time::packet::{LENGTH, Leap};
use angbu_time::server::{self, ServerState};
use angbu_units::{Clock as _, Nanos, UnixTime};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::time::{ClockId, clock_gettime};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// How long both run, and from when on their errors count.
const LENGTH_S: u64 = 420;
const SETTLED_S: f64 = 180.0;

/// Seconds between two questions.
const POLL: i64 = 4;

/// What true time is at its zero.
const EPOCH: i64 = 1_795_298_721_000_000_000;

/// A path: what no packet beats there and back, what queues add on average, and how often a spike of ten times that does; µs.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    there: f64,
    back: f64,
    queue: f64,
    spikes: f64,
}

const WAYS: [Way; 3] = [
    Way { name: "near", there: 100.0, back: 100.0, queue: 20.0, spikes: 0.02 },
    Way { name: "far", there: 6_000.0, back: 6_000.0, queue: 300.0, spikes: 0.05 },
    Way { name: "uneven", there: 3_000.0, back: 1_000.0, queue: 1_000.0, spikes: 0.1 },
];

impl Way {
    fn draw(&self, least: f64, random: &mut StdRng) -> i64 {
        let queue = if random.random::<f64>() < self.spikes { self.queue * 10.0 } else { self.queue };
        ((least - queue * (1.0 - random.random::<f64>()).ln()) * 1e3) as i64
    }
}

fn raw() -> i64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC_RAW).unwrap();
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

/// A server whose clock is the truth, at the end of a path: replies leave it when they would have arrived.
fn serve(way: Way, origin: i64) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut random = StdRng::seed_from_u64(7);
        let mut due: BTreeMap<(i64, u64), ([u8; LENGTH], SocketAddr)> = BTreeMap::new();
        let mut count = 0;
        loop {
            let now = raw();
            while let Some(entry) = due.first_entry().filter(|entry| entry.key().0 <= now) {
                let (reply, to) = entry.remove();
                let _lost = socket.send_to(&reply, to);
            }
            // A socket's own timeout is counted in the kernel's ticks, of which one is longer than a whole path; and a wait may end
            // 50 µs late, which would all fall on the way back. So the last of it is spun away.
            let wait = due.first_key_value().map_or(50_000_000, |((at, _), _)| at - raw() - 200_000);
            if wait > 0 {
                let wait = TimeSpec::nanoseconds(wait);
                let _ready = ppoll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], Some(wait), None);
            }
            let mut request = [0; 256];
            let Ok((length, from)) = socket.recv_from(&mut request) else { continue };
            let arrived = raw() + way.draw(way.there, &mut random);
            let at = UnixTime::from_nanos(EPOCH + arrived - origin);
            let state = ServerState {
                leap: Leap::None,
                stratum: 1,
                precision: -24,
                root_delay: Nanos::ZERO,
                root_dispersion: Nanos::from_micros(1),
                reference_id: *b"GPS\0",
                reference_time: at,
                as_of: at,
            };
            let mut reply = [0; LENGTH];
            if server::answer(&request[..length], at, at, &state, &mut reply).is_ok() {
                count += 1;
                due.insert((arrived + way.draw(way.back, &mut random), count), (reply, from));
            }
        }
    });
    address
}

/// A process with a clock of its own and without the privilege to set the host's.
fn with_clock(shim: &Path, truth: &Path, origin: i64, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-sys_time", "--inh-caps=-sys_time", "--"])
        .arg("env")
        .arg(format!("LD_PRELOAD={}", shim.display()))
        .arg(program)
        .env("CLOCK_ORIGIN", origin.to_string())
        .env("CLOCK_EPOCH", EPOCH.to_string())
        .env("CLOCK_TRUTH", truth)
        // 17 ppm, a swing of 0.3 ppm in ten minutes, and 3 ms ahead at first.
        .env("CLOCK_DRIFT", "17")
        .env("CLOCK_SWING", "0.3")
        .env("CLOCK_PERIOD", "600")
        .env("CLOCK_AHEAD", "3e6")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn chronyd(shim: &Path, folder: &Path, truth: &Path, origin: i64, server: SocketAddr) -> Child {
    let configuration = folder.join(format!("chrony-{}.conf", server.port()));
    let text = format!(
        "server 127.0.0.1 port {} minpoll 2 maxpoll 2 iburst\nport 0\ncmdport 0\nbindcmdaddress /\npidfile {}\nuser root\n",
        server.port(),
        folder.join(format!("chrony-{}.pid", server.port())).display()
    );
    std::fs::write(&configuration, text).unwrap();
    let mut command = with_clock(shim, truth, origin, Path::new("/usr/sbin/chronyd"));
    command.args(["-d", "-u", "root", "-f"]).arg(configuration).spawn().unwrap()
}

fn ours(shim: &Path, truth: &Path, origin: i64, server: SocketAddr) -> Child {
    let mut command = with_clock(shim, truth, origin, &std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "keep_a_simulated_clock"]).env("CLOCK_SERVER", server.to_string());
    command.spawn().unwrap()
}

/// The root of the mean square of the errors that count, and the largest, µs.
fn errors(truth: &Path) -> (f64, f64, usize) {
    let text = std::fs::read_to_string(truth).unwrap();
    let errors: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(at, _)| at.parse::<f64>().unwrap() >= SETTLED_S)
        .map(|(_, error)| error.parse::<f64>().unwrap() / 1e3)
        .collect();
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    let largest = errors.iter().fold(0.0, |most: f64, error| most.max(error.abs()));
    ((squares / errors.len() as f64).sqrt(), largest, errors.len())
}

/// What the trial starts as a process with a clock of its own: the agent's client, discipline and kernel port.
#[test]
#[ignore = "a part of judge_discipline, which starts it with a simulated clock"]
fn keep_a_simulated_clock() {
    let Ok(server) = std::env::var("CLOCK_SERVER") else { return };
    let server: SocketAddr = server.parse().unwrap();
    let (clock, kernel) = (UnslewedClock::new(), SystemKernelClock::new());
    let settings = Settings::new(Nanos::from_secs(POLL));
    let mut discipline = Discipline::start(settings, 1, kernel.state().unwrap().frequency);
    for seq in 1.. {
        if let Ok(answered) = client::exchange(server, Duration::from_secs(1), &clock, &|| false) {
            let now = clock.read();
            let (sent, received) = (answered.sent.wall, answered.received);
            if let Ok(exchange) = Exchange::read(&answered.request, &answered.reply, sent, received) {
                discipline.on_exchange(0, &exchange, seq, now);
            }
            if let Some(correction) = discipline.correct(clock.read()) {
                correction.apply(&kernel, settings.slew_at_most).unwrap();
            }
        }
        let interval = if discipline.is_eager() { 2 } else { POLL };
        std::thread::sleep(Duration::from_secs(interval as u64));
    }
}

#[test]
#[ignore = "takes minutes; `cargo xtask judge discipline` runs it"]
fn judge_discipline() {
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discipline/simulated_clock.c");
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&shim, &source])
        .args(["-lm", "-lpthread"])
        .status()
        .unwrap();
    assert!(built.success(), "the simulated clock needs a C compiler");
    let origin = raw();
    let mut running: Vec<Child> = Vec::new();
    let mut truths: Vec<(Way, PathBuf, PathBuf)> = Vec::new();
    for way in WAYS {
        let server = serve(way, origin);
        let [mine, theirs] =
            ["angbu", "chrony"].map(|name| folder.path().join(format!("{name}-{}", way.name)));
        running.push(chronyd(&shim, folder.path(), &theirs, origin, server));
        running.push(ours(&shim, &mine, origin, server));
        truths.push((way, mine, theirs));
    }
    std::thread::sleep(Duration::from_secs(LENGTH_S));
    for child in &mut running {
        assert!(child.try_wait().unwrap().is_none(), "both run to the end");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    for (way, mine, theirs) in truths {
        let ((mine, most), (theirs, their_most)) = {
            let (mine, most, count) = errors(&mine);
            let (theirs, their_most, their_count) = errors(&theirs);
            assert!(count > 200 && their_count > 200, "{count} and {their_count} seconds on record");
            ((mine, most), (theirs, their_most))
        };
        println!(
            "{}: angbu rms {mine:.1} µs, largest {most:.1}; chrony rms {theirs:.1} µs, largest {their_most:.1}; ratio {:.2}",
            way.name,
            mine / theirs
        );
    }
}
