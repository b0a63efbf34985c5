//! The servers, each in a process of its own, and the load on each.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use angbu::roughtime::{Parts, RoughtimeServer};
use angbu_agent::clock::SystemClock;
use angbu_agent::ntp::batch::Batch;
use angbu_agent::ntp::server::{BATCH, Epochs, Listen, Published, PublishedEpochs, Server};
use angbu_client::Trust;
use angbu_store::{Options, Store};
use angbu_time::packet::Leap;
use angbu_time::server::ServerState;
use angbu_units::{Clock as _, Nanos};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::load::{self, Client, SOCKETS};
use crate::questions::{self, EPOCH, Kind, Questions, SERVER};
use crate::{Failure, Sum};

/// How long a server may take until it answers.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many requests a turn may lose besides one in a thousand: a buffer that runs over loses some together.
const MOST_LOST: u64 = 128;

/// A server in a process of its own, and the load on it.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    /// What it is to cost at most, of the floor.
    pub(crate) aim: Option<f64>,
    /// Whether its latency is measured too.
    pub(crate) paced: bool,
    pub(crate) address: SocketAddr,
    pub(crate) kind: Kind,
    child: Child,
    clients: Vec<Client>,
}

/// Every server, the floor first.
pub(crate) fn all(directory: &Path) -> Result<Vec<Running>, Failure> {
    let plain = |name, argument, kind, aim| {
        let (child, address, _) = ours(argument)?;
        Running::load(name, aim, true, child, address, kind)
    };
    let protected = |name, proof, aim| {
        let (child, address, _) = ours("--serve-angbu")?;
        Running::load(name, Some(aim), false, child, address, Kind::Protected { proof })
    };
    let (child, address, _) = chrony(&directory.join("plain"))?;
    let chrony_plain = Running::load("chrony", None, true, child, address, Kind::Plain)?;
    let (child, address, kind) = chrony(&directory.join("protected"))?;
    let chrony_protected = Running::load("chrony NTS", None, false, child, address, kind)?;
    let (child, address, key) = ours("--serve-roughtime")?;
    let rough = Kind::Roughtime(key.ok_or("no key")?);
    let rough = Running::load("angbu Roughtime", Some(2.0), false, child, address, rough)?;
    Ok(vec![
        plain("echo (floor)", "--serve-echo", Kind::Echo, None)?,
        plain("angbu", "--serve-angbu", Kind::Plain, Some(1.1))?,
        chrony_plain,
        protected("angbu NTS", false, 1.9)?,
        protected("angbu NTS + proof", true, 2.1)?,
        chrony_protected,
        rough,
    ])
}

/// This program again, as a server that says its port, and its key where it has one.
fn ours(argument: &str) -> Result<(Child, SocketAddr, Option<[u8; 32]>), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut said)?;
    let mut words = said.split_whitespace();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, words.next().ok_or("no port")?.parse()?));
    let key = words.map(str::parse).collect::<Result<Vec<u8>, _>>()?.try_into().ok();
    Ok((child, address, key))
}

/// A chrony that exchanges keys for NTS too.
fn chrony(directory: &Path) -> Result<(Child, SocketAddr, Kind), Failure> {
    std::fs::create_dir(directory)?;
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let keys = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let certificate = certified.cert.pem();
    std::fs::write(directory.join("certificate.pem"), &certificate)?;
    std::fs::write(directory.join("key.pem"), certified.signing_key.serialize_pem())?;
    let text = format!(
        "port {port}\nbindaddress 127.0.0.1\nallow 127/8\nlocal stratum 10\ncmdport 0\nbindcmdaddress /\n\
         ntsport {keys}\nntsservercert {directory}/certificate.pem\nntsserverkey {directory}/key.pem\n\
         ntsdumpdir {directory}\npidfile {directory}/pid\nuser root\n",
        directory = directory.display(),
    );
    std::fs::write(directory.join("chrony.conf"), text)?;
    let child = Command::new("chronyd")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        // -x: it never touches the clock. -U: it needs no privilege for that.
        .args(["-x", "-U", "-d", "-f"])
        .arg(directory.join("chrony.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start chronyd: {error}; install it: apt-get install -y chrony"))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    wait_until_ready(address)?;
    let tls = Arc::new(Trust::authorities(certificate.as_bytes())?.for_nts()?);
    Ok((child, address, Kind::Exchanged { server: format!("localhost:{keys}"), tls }))
}

fn wait_until_ready(server: SocketAddr) -> Result<(), Failure> {
    let plain = Questions::new(&Kind::Plain, server, 1)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let deadline = Instant::now() + DEADLINE;
    let mut reply = [0; 64];
    while Instant::now() < deadline {
        let refused = socket.send(&questions::request(1)).is_err();
        let length = if refused { 0 } else { socket.recv(&mut reply).unwrap_or(0) };
        if plain.check(reply.get(..length).unwrap_or_default()) == Some(1) {
            return Ok(());
        }
    }
    Err(format!("{server} does not answer").into())
}

impl Running {
    fn load(
        name: &'static str,
        aim: Option<f64>,
        paced: bool,
        child: Child,
        address: SocketAddr,
        kind: Kind,
    ) -> Result<Self, Failure> {
        let clients = (0..SOCKETS).map(|_| Client::new(address, &kind)).collect::<Result<_, _>>()?;
        Ok(Self { name, aim, paced, address, kind, child, clients })
    }

    /// Lets the server answer `requests` requests and adds up what that took.
    pub(crate) fn turn(&mut self, requests: u64, sum: &mut Sum) -> Result<(), Failure> {
        let before = cpu_seconds(&self.child)?;
        let begun = Instant::now();
        let mut to_send = requests;
        for client in &mut self.clients {
            client.begin(&mut to_send)?;
        }
        let (mut answered, mut lost) = (0, 0);
        while answered < requests {
            let mut came = 0;
            for client in &mut self.clients {
                came += client.go_on(&mut to_send)?;
            }
            answered += came;
            if came == 0 && !load::wait(&self.clients)? {
                for client in &mut self.clients {
                    lost += client.ask_again()?;
                }
                if lost > MOST_LOST + requests / 1_000 {
                    let lost = format!("{} lost {lost} requests, {answered} were answered", self.name);
                    return Err(lost.into());
                }
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

/// User and system time of a process, by the kernel's own count in nanoseconds.
fn cpu_seconds(child: &Child) -> Result<f64, Failure> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(child.id().try_into()?))?;
    Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
}

/// The floor: receive a batch, send it back.
pub(crate) fn serve_echo() -> Result<(), Failure> {
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

/// The server that is measured, with one epoch of keys.
pub(crate) fn serve_angbu() -> Result<(), Failure> {
    let epochs = Arc::new(PublishedEpochs::default());
    epochs.set(Epochs { server: SERVER, open: vec![questions::secret()], current: EPOCH });
    let listen =
        Listen { addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], threads: NonZeroUsize::MIN };
    let server = Server::start_protected(&listen, published(), epochs, Arc::new(SystemClock))?;
    for address in server.addresses() {
        writeln!(io::stdout(), "{}", address.port())?;
    }
    // Until the benchmark is gone.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The Roughtime server that is measured; it says its port and the bytes of its key.
pub(crate) fn serve_roughtime() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock);
    let server = RoughtimeServer::start(Parts {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        store: Store::open(&Options::new(folder.path()), clock.clone())?,
        published: published(),
        clock,
        announces_leaps: true,
    })?;
    let key: Vec<String> = server.public_key().iter().map(u8::to_string).collect();
    writeln!(io::stdout(), "{} {}", server.address().port(), key.join(" "))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// What is said of the clock.
fn published() -> Arc<Published> {
    let now = SystemClock.read().wall;
    Arc::new(Published::new(ServerState {
        leap: Leap::None,
        stratum: 10,
        precision: -24,
        root_delay: Nanos::from_micros(300),
        root_dispersion: Nanos::from_millis(1),
        reference_id: *b"LOCL",
        reference_time: now,
        as_of: now,
    }))
}
