//! What one NTP reply costs: seconds of processor time per million replies of this server, beside chrony's
//! and a bare echo's, measured in turns in one run.
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

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use angbu_agent::clock::SystemClock;
use angbu_agent::ntp::batch::Batch;
use angbu_agent::ntp::server::{BATCH, Listen, Published, Server};
use angbu_time::packet::{LENGTH, Leap, Mode, Packet, Version};
use angbu_time::server::ServerState;
use angbu_units::{Clock as _, Nanos, NtpTimestamp};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

const SOCKETS: usize = 8;
const IN_FLIGHT: usize = 16;
/// How many turns a round is cut into.
const TURNS: u64 = 15;
/// Ours is to cost at most this much of the floor.
const AIM: f64 = 1.1;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--serve-echo") => serve_echo(),
        Some("--serve-angbu") => serve_angbu(),
        _ => measure(number(&arguments, "--rounds", 4)?, number(&arguments, "--requests", 300_000)?),
    }
}

fn number(arguments: &[String], name: &str, otherwise: u64) -> Result<u64, Failure> {
    let given = arguments.iter().skip_while(|argument| *argument != name).nth(1);
    given.map_or(Ok(otherwise), |text| text.parse().map_err(|_| format!("{name} takes a number").into()))
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
    fn round(&self, floor_cpu_seconds: f64) -> Round {
        let answered = self.answered as f64;
        Round {
            cpu_seconds_per_million: self.cpu_seconds * 1e6 / answered,
            answered_per_second: answered / self.seconds,
            of_the_floor: self.cpu_seconds / floor_cpu_seconds,
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

fn measure(rounds_total: u64, requests: u64) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let processors = std::thread::available_parallelism()?.get();
    // Children inherit the processor; the load moves to its own below.
    pin(0)?;
    let mut servers = vec![Running::ours("echo (floor)", "--serve-echo", Check::Echo)?];
    servers.push(Running::ours("angbu", "--serve-angbu", Check::Ntp)?);
    servers.push(Running::chrony(directory.path())?);
    if processors > 1 {
        pin(1)?;
    } else {
        eprintln!("only one processor: the load shares it with the server");
    }
    for server in &mut servers {
        server.wait_until_ready()?;
        server.turn(requests / TURNS, &mut Sum::default())?;
    }
    let mut results: Vec<Vec<Round>> = vec![Vec::new(); servers.len()];
    for number in 1..=rounds_total {
        // Short turns, so that whatever else this machine does falls on all of them alike.
        let mut sums = vec![Sum::default(); servers.len()];
        for _ in 0..TURNS {
            for (server, sum) in servers.iter_mut().zip(&mut sums) {
                server.turn(requests / TURNS, sum)?;
            }
        }
        let floor = sums.first().map_or(f64::NAN, |sum| sum.cpu_seconds);
        for ((server, sum), rounds) in servers.iter().zip(&sums).zip(&mut results) {
            let round = sum.round(floor);
            eprintln!(
                "round {number}/{rounds_total}  {:<14} {:>7.3} s of CPU per million  {:>8.0} replies/s  {:.3} of the floor",
                server.name, round.cpu_seconds_per_million, round.answered_per_second, round.of_the_floor,
            );
            rounds.push(round);
        }
    }
    eprintln!(
        "\n{:<14} {:>36} {:>26} {:>12}",
        "", "CPU s per million [min-max]", "of the floor [min-max]", "replies/s"
    );
    for (server, rounds) in servers.iter().zip(&results) {
        report(server, rounds)?;
    }
    Ok(())
}

fn report(server: &Running, rounds: &[Round]) -> io::Result<()> {
    let cpu = Spread::of(rounds, |round| round.cpu_seconds_per_million);
    let ratio = Spread::of(rounds, |round| round.of_the_floor);
    let rate = Spread::of(rounds, |round| round.answered_per_second);
    eprintln!(
        "{:<14} {:>18.3} [{:>6.3}-{:>6.3}]  {:>10.3} [{:>5.3}-{:>5.3}] {:>12.0}",
        server.name, cpu.median, cpu.least, cpu.most, ratio.median, ratio.least, ratio.most, rate.median,
    );
    let aim = (server.name == "angbu").then_some(AIM);
    let figure = serde_json::json!({
        "figure": "NTP reply", "server": server.name, "unit": "CPU s per million replies",
        "value": cpu.median, "value_min": cpu.least, "value_max": cpu.most,
        "ratio": ratio.median, "ratio_min": ratio.least, "ratio_max": ratio.most,
        "peer": "echo (floor)", "replies_per_s": rate.median.round(), "aim": aim,
    });
    writeln!(io::stdout(), "{figure}")
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(rounds: &[Round], value: impl Fn(&Round) -> f64) -> Self {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { least: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), most: at(last) }
    }
}

/// A server in a process of its own, and the load on it.
struct Running {
    name: &'static str,
    child: Child,
    check: Check,
    clients: Vec<Client>,
}

/// What a good reply looks like.
#[derive(Clone, Copy)]
enum Check {
    Echo,
    Ntp,
}

impl Running {
    /// This program again, as a server that says its port.
    fn ours(name: &'static str, argument: &str, check: Check) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut port)?;
        Self::load(name, child, check, port.trim().parse()?)
    }

    fn chrony(directory: &std::path::Path) -> Result<Self, Failure> {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let configuration = directory.join("chrony.conf");
        let text = format!(
            "port {port}\nbindaddress 127.0.0.1\nallow 127/8\nlocal stratum 10\ncmdport 0\nbindcmdaddress /\n\
             pidfile {directory}/pid\nuser root\n",
            directory = directory.display(),
        );
        std::fs::write(&configuration, text)?;
        let child = Command::new("chronyd")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            // -x: it never touches the clock. -U: it needs no privilege for that.
            .args(["-x", "-U", "-d", "-f"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("cannot start chronyd: {error}; install it: apt-get install -y chrony")
            })?;
        Self::load("chrony", child, Check::Ntp, port)
    }

    fn load(name: &'static str, child: Child, check: Check, port: u16) -> Result<Self, Failure> {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let clients = (0..SOCKETS).map(|_| Client::new(server, check)).collect::<io::Result<_>>()?;
        Ok(Self { name, child, check, clients })
    }

    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let client = self.clients.first_mut().ok_or("no client")?;
        let socket = client.socket.try_clone()?;
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut reply = [0; 64];
        while Instant::now() < deadline {
            let refused = socket.send(&request(1)).is_err();
            if !refused
                && socket
                    .recv(&mut reply)
                    .is_ok_and(|length| self.check.token(reply.get(..length).unwrap_or_default()) == Some(1))
            {
                socket.set_nonblocking(true)?;
                return Ok(());
            }
        }
        Err(format!("{} does not answer", self.name).into())
    }

    /// Lets the server answer `requests` requests and adds up what that took.
    fn turn(&mut self, requests: u64, sum: &mut Sum) -> Result<(), Failure> {
        let before = cpu_seconds(&self.child)?;
        let begun = Instant::now();
        let mut to_send = requests;
        for client in &mut self.clients {
            client.begin(&mut to_send)?;
        }
        let mut answered = 0;
        while answered < requests {
            let mut came = 0;
            for client in &mut self.clients {
                came += client.go_on(&mut to_send)?;
            }
            answered += came;
            if came == 0 && !wait(&self.clients)? {
                return Err(
                    format!("{} lost requests: {answered} of {requests} were answered", self.name).into()
                );
            }
        }
        sum.answered += answered;
        sum.seconds += begun.elapsed().as_secs_f64();
        sum.cpu_seconds += cpu_seconds(&self.child)? - before;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Check {
    /// The token that a good reply brings back.
    fn token(self, reply: &[u8]) -> Option<u64> {
        match self {
            Self::Echo => {
                let token = u64::from_be_bytes(reply.get(40..48)?.try_into().ok()?);
                (reply == request(token)).then_some(token)
            }
            Self::Ntp => {
                let packet = Packet::decode(reply).ok().filter(|_| reply.len() == LENGTH)?;
                let good = packet.mode == Mode::Server
                    && packet.leap != Leap::Unknown
                    && (1..16).contains(&packet.stratum)
                    && packet.receive != NtpTimestamp::UNKNOWN
                    && packet.receive.bits() <= packet.transmit.bits();
                good.then_some(packet.origin.bits())
            }
        }
    }
}

fn request(token: u64) -> [u8; LENGTH] {
    Packet::request(Version::V4, NtpTimestamp::from_bits(token)).encode()
}

/// One socket of the load, and the tokens of the requests that wait for a reply.
struct Client {
    socket: UdpSocket,
    batch: Batch,
    check: Check,
    waiting: [u64; IN_FLIGHT],
    last: u64,
}

impl Client {
    fn new(server: SocketAddr, check: Check) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, batch: Batch::new(IN_FLIGHT), check, waiting: [0; IN_FLIGHT], last: 1 })
    }

    fn begin(&mut self, to_send: &mut u64) -> io::Result<()> {
        for room in 0..IN_FLIGHT {
            if let Some(token) = next(&mut self.waiting, &mut self.last, room, to_send) {
                self.socket.send(&request(token))?;
            }
        }
        Ok(())
    }

    /// Checks what came and sends a new request for each, while there are any to send.
    fn go_on(&mut self, to_send: &mut u64) -> Result<u64, Failure> {
        let count = match self.batch.receive(self.socket.as_fd()) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let (check, waiting, last) = (self.check, &mut self.waiting, &mut self.last);
        for slot in self.batch.slots(0..count) {
            slot.answer_with(|reply, out| {
                let token = check.token(reply).ok_or("a reply is wrong")?;
                let room = waiting.iter().position(|waits| *waits == token).ok_or("a reply to nothing")?;
                let Some(token) = next(waiting, last, room, to_send) else { return Ok(0) };
                out.copy_from_slice(&request(token));
                Ok::<_, &str>(LENGTH)
            })?;
        }
        self.batch.send(self.socket.as_fd(), 0..count);
        Ok(count as u64)
    }
}

/// The next token for a place in flight, while there are requests to send.
fn next(waiting: &mut [u64; IN_FLIGHT], last: &mut u64, room: usize, to_send: &mut u64) -> Option<u64> {
    let place = waiting.get_mut(room)?;
    *place = 0;
    *to_send = to_send.checked_sub(1)?;
    *last += 1;
    *place = *last;
    Some(*last)
}

/// Waits until some client can go on; false where none can for a second.
fn wait(clients: &[Client]) -> io::Result<bool> {
    let mut sockets: Vec<PollFd<'_>> =
        clients.iter().map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLIN)).collect();
    Ok(poll(&mut sockets, PollTimeout::from(1_000_u16))? > 0)
}

/// User and system time of a process, by the kernel's own count in nanoseconds.
fn cpu_seconds(child: &Child) -> Result<f64, Failure> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(child.id().try_into()?))?;
    Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
}

fn pin(processor: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// The floor: receive a batch, send it back.
fn serve_echo() -> Result<(), Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    writeln!(io::stdout(), "{}", socket.local_addr()?.port())?;
    // It ends with the benchmark.
    std::thread::spawn(|| {
        let _ended = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let mut batch = Batch::new(BATCH);
    loop {
        let count = batch.receive(socket.as_fd())?;
        for slot in batch.slots(0..count) {
            slot.answer_with(|data, out| {
                out.copy_from_slice(data);
                Ok::<_, Failure>(data.len())
            })?;
        }
        batch.send(socket.as_fd(), 0..count);
    }
}

fn serve_angbu() -> Result<(), Failure> {
    let now = SystemClock.read().wall;
    let state = ServerState {
        leap: Leap::None,
        stratum: 10,
        precision: -24,
        root_delay: Nanos::from_micros(300),
        root_dispersion: Nanos::from_millis(1),
        reference_id: *b"LOCL",
        reference_time: now,
        as_of: now,
    };
    let listen =
        Listen { addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], threads: NonZeroUsize::MIN };
    let server = Server::start(&listen, Arc::new(Published::new(state)), Arc::new(SystemClock))?;
    for address in server.addresses() {
        writeln!(io::stdout(), "{}", address.port())?;
    }
    // Until the benchmark is gone.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
