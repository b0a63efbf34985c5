//! The NTP server: plain threads on blocking sockets around [`angbu_time::server`].
//!
//! T2 is the kernel's receive stamp where there is one (see `stamps`). T3 is read just before the
//! system call that sends, for a few replies at a time: never later than the reply leaves, so that a client's
//! bound stays a bound, and at most a few microseconds earlier.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use angbu_time::children;
use angbu_time::nts;
use angbu_time::nts::cookie::{EpochSecret, Keys};
use angbu_time::nts::server::{Kind, Reply};
use angbu_time::packet::LENGTH;
use angbu_time::server::{Drop as Dropped, ServerState};
use angbu_units::{Clock, Monotonic, NtpServerId, UnixTime};
use nix::sys::socket::{setsockopt, sockopt};
use rand::rngs::ThreadRng;
use rand_core::CryptoRng;
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::{Batch, Sent, Slot};
use super::guard::{Admission, Guard, Policy};
use super::stamps::Stamps;

/// How many datagrams one system call may bring.
pub const BATCH: usize = 32;

/// How many replies share one reading of the clock and one system call.
const TOGETHER: usize = 8;

/// What the kernel may keep for us while we are busy, some thousands of requests; it may grant less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How long a thread waits after the kernel refused to receive, so that a broken network is no busy loop.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// Where and how wide to serve.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Each gets a socket; port 0 means any. IPv6's wildcard takes IPv4 too.
    pub addresses: Vec<SocketAddr>,
    /// How many threads, each with a socket of its own, share an address.
    pub threads: NonZeroUsize,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be had.
    #[error(
        "cannot serve NTP on {address}: {source}; ports below 1024 need the capability CAP_NET_BIND_SERVICE, and a port that is taken needs another"
    )]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be had.
    #[error("cannot start a thread for the NTP server: {0}; check the limit on processes")]
    Thread(io::Error),
}

/// The state of the clock that answers are made from, put here by whoever watches the clock.
///
/// Read once for a batch of requests, so a lock is cheap enough.
pub struct Published(RwLock<ServerState>);

impl Published {
    /// Begins with this state.
    pub fn new(state: ServerState) -> Self {
        Self(RwLock::new(state))
    }

    /// From now on answers are made from this state.
    pub fn set(&self, state: ServerState) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The state that answers are made from.
    pub fn state(&self) -> ServerState {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The epochs whose keys protect exchanges (NTS), put here by whoever keeps them; none until they are known, and then
/// requests are answered as if they asked for no protection.
#[derive(Default)]
pub struct PublishedEpochs(RwLock<Option<Arc<Epochs>>>);

/// Epochs, and the name under which clients record this server.
pub struct Epochs {
    /// The server.
    pub server: NtpServerId,
    /// All that are open.
    pub open: Vec<EpochSecret>,
    /// The one in which cookies are made.
    pub current: u32,
}

impl PublishedEpochs {
    /// From now on these protect.
    pub fn set(&self, epochs: Epochs) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(epochs));
    }

    /// The epochs that protect.
    pub fn epochs(&self) -> Option<Arc<Epochs>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Epochs {
    /// Their keys, made ready for one thread.
    pub fn prepare(&self) -> Option<Keys> {
        Keys::prepare(self.server, &self.open, self.current)
    }
}

/// What the server did since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests with NTS that were authentic; those among them that got a proof of the exchange are counted here too.
    pub protected: u64,
    /// Requests with NTS that got a proof of the exchange.
    pub witnessed: u64,
    /// Requests with NTS that were refused with the kiss code NTSN: a cookie that does not open, or not authentic.
    pub nak: u64,
    /// Fewer than 48 bytes.
    pub short: u64,
    /// A version other than 3 and 4.
    pub version: u64,
    /// A mode that is not answered.
    pub mode: u64,
    /// Parts of NTS that do not make up a request.
    pub protection: u64,
    /// From port 0, where nobody can be answered.
    pub no_port: u64,
    /// Sent to a broadcast or multicast group.
    pub group: u64,
    /// From a source that is not served.
    pub denied: u64,
    /// From a source that asks too often.
    pub limited: u64,
    /// Answers that the kernel refused to send.
    pub refused: u64,
}

impl Counts {
    /// The reasons for which datagrams got no answer, each with its word for metrics and interfaces.
    pub fn dropped(&self) -> [(&'static str, u64); 9] {
        [
            (Dropped::Short.word(), self.short),
            (Dropped::Version.word(), self.version),
            (Dropped::Mode.word(), self.mode),
            (Dropped::Protection.word(), self.protection),
            ("no_port", self.no_port),
            ("group", self.group),
            ("denied", self.denied),
            ("limited", self.limited),
            ("refused", self.refused),
        ]
    }

    fn answer(&mut self, kind: Kind) {
        match kind {
            Kind::Plain => {}
            Kind::Authenticated => self.protected += 1,
            Kind::Witnessed => {
                self.protected += 1;
                self.witnessed += 1;
            }
            Kind::Nak => self.nak += 1,
        }
    }

    fn add(&mut self, reason: Unanswered) {
        let count = match reason {
            Unanswered::Dropped(Dropped::Short) => &mut self.short,
            Unanswered::Dropped(Dropped::Version) => &mut self.version,
            Unanswered::Dropped(Dropped::Mode) => &mut self.mode,
            Unanswered::Dropped(Dropped::Protection) => &mut self.protection,
            Unanswered::NoPort => &mut self.no_port,
            Unanswered::Group => &mut self.group,
            Unanswered::Denied => &mut self.denied,
            Unanswered::Limited => &mut self.limited,
            Unanswered::Stopped => return,
        };
        *count += 1;
    }
}

/// A running server. It stops when it is stopped or dropped.
pub struct Server {
    addresses: Vec<SocketAddr>,
    workers: Vec<Worker>,
    shared: Arc<Shared>,
}

impl Server {
    /// Opens the sockets and starts the threads.
    ///
    /// # Errors
    /// [`StartError`], with nothing left running.
    pub fn start(
        listen: &Listen,
        published: Arc<Published>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Self::start_protected(listen, published, Arc::default(), clock)
    }

    /// As [`Self::start`], for a server that also answers NTS-protected requests.
    ///
    /// # Errors
    /// [`StartError`], with nothing left running.
    pub fn start_protected(
        listen: &Listen,
        published: Arc<Published>,
        epochs: Arc<PublishedEpochs>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Self::start_guarded(listen, published, epochs, Policy::default(), clock)
    }

    /// As [`Self::start_protected`], for a server that does not answer everybody.
    ///
    /// # Errors
    /// [`StartError`], with nothing left running.
    pub fn start_guarded(
        listen: &Listen,
        published: Arc<Published>,
        epochs: Arc<PublishedEpochs>,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared {
            published,
            epochs,
            policy,
            clock,
            stop: AtomicBool::new(false),
            counters: Counters::default(),
        });
        let mut started = Self { addresses: Vec::new(), workers: Vec::new(), shared };
        for &address in &listen.addresses {
            let failed = |source| StartError::Bind { address, source };
            let mut bound = address;
            for _ in 0..listen.threads.get() {
                let socket = Arc::new(open(bound, listen.threads.get() > 1).map_err(failed)?);
                // Every thread of an address with port 0 shares the port that the first was given.
                bound = socket.local_addr().map_err(failed)?;
                let thread = std::thread::Builder::new()
                    .name(format!("ntp {bound}"))
                    .spawn({
                        let (socket, shared) = (Arc::clone(&socket), Arc::clone(&started.shared));
                        move || serve(&socket, &shared)
                    })
                    .map_err(StartError::Thread)?;
                started.workers.push(Worker { socket, thread: Some(thread) });
            }
            started.addresses.push(bound);
        }
        Ok(started)
    }

    /// Where it serves, in the order of [`Listen::addresses`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// Stops every thread, waits for their end and says what the server did.
    pub fn stop(self) -> Counts {
        let shared = Arc::clone(&self.shared);
        drop(self);
        shared.counters.read()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in &self.workers {
            // Linux wakes whoever waits for a datagram, although it calls the socket not connected.
            let _not_connected = socket2::SockRef::from(&*worker.socket).shutdown(std::net::Shutdown::Read);
        }
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread of the NTP server had panicked");
            }
        }
    }
}

struct Worker {
    socket: Arc<UdpSocket>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    published: Arc<Published>,
    epochs: Arc<PublishedEpochs>,
    policy: Policy,
    clock: Arc<dyn Clock>,
    stop: AtomicBool,
    counters: Counters,
}

/// Why a datagram gets no answer.
enum Unanswered {
    Dropped(Dropped),
    NoPort,
    Group,
    Denied,
    Limited,
    /// Not a datagram: the socket was shut down.
    Stopped,
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut batch = Batch::new(BATCH);
    let mut stamps = Stamps::new();
    let mut protection = Protection::new();
    let mut guard = Guard::new(shared.policy.clone());
    while !shared.stop.load(Ordering::SeqCst) {
        let filled = match batch.receive(socket.as_fd()) {
            Ok(filled) => filled,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "the NTP server cannot receive; it tries again");
                std::thread::park_timeout(AFTER_AN_ERROR);
                continue;
            }
        };
        let state = shared.published.state();
        protection.keep_up(&shared.epochs);
        let read = shared.clock.read();
        stamps.keep_up(&*shared.clock, read);
        let mut counts = Counts::default();
        for first in (0..filled).step_by(TOGETHER) {
            let together = first..(first + TOGETHER).min(filled);
            let now = shared.clock.read().wall;
            for slot in batch.slots(together.clone()) {
                // Protecting those before took its time, which is not to be charged to the network.
                let now = if slot.data().len() > LENGTH { shared.clock.read().wall } else { now };
                let received = stamps.received(slot.stamp(), read.wall, now);
                let admission = admit(&mut guard, slot, read.monotonic);
                let answered = admission.and_then(|is_kissed| {
                    let kind = answer(slot, |request, reply| {
                        if guard.symmetric() && request.first().is_some_and(|first| first & 7 == 1) {
                            return answer_symmetric(request, received, now, &state, reply);
                        }
                        nts::server::answer(request, received, now, &state, protection.keys(), reply)
                    })?;
                    if is_kissed { kiss(slot, kind) } else { Ok(kind) }
                });
                match answered {
                    Ok(kind) => counts.answer(kind),
                    Err(reason) => counts.add(reason),
                }
            }
            let Sent { sent, refused } = batch.send(socket.as_fd(), together);
            counts.answered += sent;
            counts.refused += refused;
        }
        shared.counters.add(&counts);
    }
}

/// Whether the source is answered, and whether with a kiss.
fn admit(guard: &mut Guard, slot: &Slot, now: Monotonic) -> Result<bool, Unanswered> {
    if guard.is_open() {
        return Ok(false);
    }
    let source = slot.source().ok_or(Unanswered::Stopped)?;
    match guard.judge(source, now) {
        Admission::Admitted => Ok(false),
        Admission::Kissed => Ok(true),
        Admission::Denied => Err(Unanswered::Denied),
        Admission::Limited => Err(Unanswered::Limited),
    }
}

fn answer_symmetric(
    request: &[u8],
    received: UnixTime,
    now: UnixTime,
    state: &ServerState,
    reply: &mut [u8],
) -> Result<Reply, Dropped> {
    let reply = reply.first_chunk_mut().ok_or(Dropped::Short)?;
    children::answer(request, received, now, state, reply)?;
    Ok(Reply { length: LENGTH, kind: Kind::Plain })
}

/// Makes the answer in the slot a kiss. A protected one is left out instead: a client heeds only what is authentic.
fn kiss(slot: &mut Slot, kind: Kind) -> Result<Kind, Unanswered> {
    let reply = slot.answer_mut().first_chunk_mut().filter(|_| kind == Kind::Plain);
    match reply {
        Some(reply) => {
            children::kiss(reply);
            Ok(Kind::Plain)
        }
        None => {
            slot.leave_unanswered();
            Err(Unanswered::Limited)
        }
    }
}

/// One thread's keys, and the randomness that sealing needs.
struct Protection {
    epochs: Option<Arc<Epochs>>,
    keys: Option<Keys>,
    rng: ThreadRng,
}

impl Protection {
    fn new() -> Self {
        Self { epochs: None, keys: None, rng: rand::rng() }
    }

    /// Makes the keys ready again where they were replaced.
    fn keep_up(&mut self, published: &PublishedEpochs) {
        let epochs = published.epochs();
        let same = match (&self.epochs, &epochs) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        if !same {
            self.keys = epochs.as_ref().and_then(|epochs| epochs.prepare());
            self.epochs = epochs;
        }
    }

    fn keys(&mut self) -> Option<(&mut Keys, &mut dyn CryptoRng)> {
        let Self { keys, rng, .. } = self;
        keys.as_mut().map(|keys| (keys, rng as &mut dyn CryptoRng))
    }
}

/// Puts the answer in the slot, if the datagram gets one, and says of what kind it is.
fn answer(
    slot: &mut Slot,
    write: impl FnOnce(&[u8], &mut [u8]) -> Result<Reply, Dropped>,
) -> Result<Kind, Unanswered> {
    let source = slot.source().ok_or(Unanswered::Stopped)?;
    if source.port() == 0 {
        return Err(Unanswered::NoPort);
    }
    if slot.was_for_a_group() {
        return Err(Unanswered::Group);
    }
    let mut kind = Kind::Plain;
    // The room is as long as the request: where a reply does not fit, the request was too short.
    slot.answer_with(|request, room| {
        let reply = write(request, room)?;
        kind = reply.kind;
        Ok(reply.length)
    })
    .map_err(Unanswered::Dropped)?;
    Ok(kind)
}

/// A socket that stamps what it receives and, on a wildcard address, says where each datagram came to. With `shared` several
/// sockets can be had for one address.
///
/// # Errors
/// What the system said.
pub fn open(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if shared {
        setsockopt(&socket, sockopt::ReusePort, &true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    // Where the kernel does not stamp, the time of reading has to do.
    let _unstamped = setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// [`Counts`] that several threads add to.
#[derive(Default)]
struct Counters {
    answered: AtomicU64,
    protected: AtomicU64,
    witnessed: AtomicU64,
    nak: AtomicU64,
    short: AtomicU64,
    version: AtomicU64,
    mode: AtomicU64,
    protection: AtomicU64,
    no_port: AtomicU64,
    group: AtomicU64,
    denied: AtomicU64,
    limited: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    fn add(&self, counts: &Counts) {
        let Counts {
            answered,
            protected,
            witnessed,
            nak,
            short,
            version,
            mode,
            protection,
            no_port,
            group,
            denied,
            limited,
            refused,
        } = *counts;
        for (counter, count) in [
            (&self.answered, answered),
            (&self.protected, protected),
            (&self.witnessed, witnessed),
            (&self.nak, nak),
            (&self.short, short),
            (&self.version, version),
            (&self.mode, mode),
            (&self.protection, protection),
            (&self.no_port, no_port),
            (&self.group, group),
            (&self.denied, denied),
            (&self.limited, limited),
            (&self.refused, refused),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    fn read(&self) -> Counts {
        Counts {
            answered: self.answered.load(Ordering::Relaxed),
            protected: self.protected.load(Ordering::Relaxed),
            witnessed: self.witnessed.load(Ordering::Relaxed),
            nak: self.nak.load(Ordering::Relaxed),
            short: self.short.load(Ordering::Relaxed),
            version: self.version.load(Ordering::Relaxed),
            mode: self.mode.load(Ordering::Relaxed),
            protection: self.protection.load(Ordering::Relaxed),
            no_port: self.no_port.load(Ordering::Relaxed),
            group: self.group.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            limited: self.limited.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use angbu_time::packet::{Leap, Mode, Packet, Version};
    use angbu_units::{Nanos, NtpTimestamp, Reading};
    use rand::{Rng as _, SeedableRng as _};
    use std::sync::atomic::AtomicI64;

    fn start(addresses: &[&str], threads: usize, clock: impl Clock + 'static) -> Server {
        let now = clock.read().wall;
        let state = ServerState {
            leap: Leap::None,
            stratum: 3,
            precision: -20,
            root_delay: Nanos::from_micros(300),
            root_dispersion: Nanos::from_millis(1),
            reference_id: *b"TEST",
            reference_time: now,
            as_of: now,
        };
        let listen = Listen {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            threads: threads.try_into().unwrap(),
        };
        Server::start(&listen, Arc::new(Published::new(state)), Arc::new(clock)).unwrap()
    }

    fn client(server: SocketAddr) -> UdpSocket {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        // A deadline, not a wait: it passes only where the server is broken.
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    fn request(version: Version, token: u64) -> [u8; LENGTH] {
        Packet::request(version, NtpTimestamp::from_bits(token)).encode()
    }

    /// The answer to a request, leaving out answers to others.
    fn ask(client: &UdpSocket, version: Version, token: u64) -> Packet {
        client.send(&request(version, token)).unwrap();
        loop {
            let mut reply = [0; 2_000];
            let length = client.recv(&mut reply).unwrap();
            assert_eq!(length, LENGTH);
            let reply = Packet::decode(&reply[..length]).unwrap();
            if reply.origin == NtpTimestamp::from_bits(token) {
                return reply;
            }
        }
    }

    #[test]
    fn requests_of_both_versions_over_both_families_are_answered() {
        let server = start(&["127.0.0.1:0", "[::1]:0"], 2, SystemClock);
        for &address in server.addresses() {
            let client = client(address);
            for (version, token) in [(Version::V3, 0x1234_5678_9abc_def0), (Version::V4, 0xfeed)] {
                let before = SystemClock.read().wall;
                let reply = ask(&client, version, token);
                let after = SystemClock.read().wall;
                assert_eq!((reply.mode, reply.version, reply.stratum), (Mode::Server, version, 3));
                let (t2, t3) = (reply.receive.to_unix(before), reply.transmit.to_unix(before));
                let fraction = Nanos::new(1);
                assert!(before <= t2 + fraction && t2 <= t3 && t3 <= after, "{before} {t2} {t3} {after}");
            }
        }
        assert_eq!(server.stop(), Counts { answered: 4, ..Counts::default() });
    }

    #[test]
    fn a_wildcard_server_answers_from_the_address_that_was_asked() {
        let server = start(&["0.0.0.0:0", "[::]:0"], 1, SystemClock);
        let ports: Vec<u16> = server.addresses().iter().map(SocketAddr::port).collect();
        // Only answers from 127.0.0.9 reach a socket that is connected to it.
        ask(&client(SocketAddr::from(([127, 0, 0, 9], ports[0]))), Version::V4, 1);
        ask(&client(SocketAddr::from(([127, 0, 0, 9], ports[1]))), Version::V4, 2);
        ask(&client(format!("[::1]:{}", ports[1]).parse().unwrap()), Version::V4, 3);
        assert_eq!(server.stop().answered, 3);
    }

    #[test]
    fn noise_is_dropped_and_counted() {
        let server = start(&["127.0.0.1:0"], 1, SystemClock);
        let client = client(server.addresses()[0]);
        let mut random = rand::rngs::StdRng::seed_from_u64(2);
        let mut expected = Counts::default();
        for length in 0..=2_000 {
            let mut datagram = vec![0; length];
            random.fill_bytes(&mut datagram);
            match angbu_time::server::answer(
                &datagram,
                UnixTime::default(),
                UnixTime::default(),
                &server.shared.published.state(),
                &mut [0; LENGTH],
            ) {
                Ok(()) => expected.answered += 1,
                Err(reason) => expected.add(Unanswered::Dropped(reason)),
            }
            client.send(&datagram).unwrap();
            // So that the socket's buffer never runs over.
            if length % 20 == 0 {
                ask(&client, Version::V4, 1 << 63 | length as u64);
                expected.answered += 1;
            }
        }
        assert_eq!(expected.short, 48);
        assert!(expected.version > 1_000 && expected.mode > 100);
        assert_eq!(server.stop(), expected);
    }

    #[test]
    fn what_would_go_round_in_circles_is_dropped() {
        let server = start(&["127.0.0.1:0"], 1, SystemClock);
        let client = client(server.addresses()[0]);
        // A server's own replies, and a symmetric peer's packets, come back to it.
        for mode in [1, 2, 4, 5] {
            let mut datagram = request(Version::V4, 9);
            datagram[0] = 4 << 3 | mode;
            client.send(&datagram).unwrap();
        }
        ask(&client, Version::V4, 10);
        assert_eq!(server.stop(), Counts { answered: 1, mode: 4, ..Counts::default() });
        let reply = Reply { length: LENGTH, kind: Kind::Plain };
        let mut slot = Slot::from_port(0, &request(Version::V4, 1));
        assert!(matches!(answer(&mut slot, |_, _| Ok(reply)), Err(Unanswered::NoPort)));
        let mut slot = Slot::from_port(1, &request(Version::V4, 1));
        assert!(answer(&mut slot, |_, _| Ok(reply)).is_ok());
    }

    #[test]
    fn a_clock_that_was_moved_never_gives_a_reply_that_left_before_its_request_came() {
        struct Moved(Arc<AtomicI64>);
        impl Clock for Moved {
            fn read(&self) -> Reading {
                let mut reading = SystemClock.read();
                reading.wall = reading.wall + Nanos::from_millis(self.0.load(Ordering::SeqCst));
                reading
            }
        }
        let moved = Arc::new(AtomicI64::new(0));
        let server = start(&["127.0.0.1:0"], 1, Moved(Arc::clone(&moved)));
        let client = client(server.addresses()[0]);
        for millis in [0, 200, -3_600_000, 3_600_000, -30, 0] {
            moved.store(millis, Ordering::SeqCst);
            let before = Moved(Arc::clone(&moved)).read().wall;
            let reply = ask(&client, Version::V4, 77);
            let after = Moved(Arc::clone(&moved)).read().wall;
            let (t2, t3) = (reply.receive.to_unix(before), reply.transmit.to_unix(before));
            assert!(before <= t2 + Nanos::new(1) && t2 <= t3 && t3 <= after, "moved by {millis} ms");
        }
    }

    #[test]
    fn a_burst_of_ten_thousand_is_answered_to_the_last() {
        let server = start(&["127.0.0.1:0"], 1, SystemClock);
        let client = client(server.addresses()[0]);
        let mut reply = [0; 64];
        for burst in 0..100_u64 {
            for token in 0..100 {
                client.send(&request(Version::V4, burst << 32 | token)).unwrap();
            }
            for token in 0..100 {
                assert_eq!(client.recv(&mut reply).unwrap(), LENGTH);
                assert_eq!(reply[24..32], (burst << 32 | token).to_be_bytes());
            }
        }
        assert_eq!(server.stop(), Counts { answered: 10_000, ..Counts::default() });
    }

    #[test]
    fn a_stopped_server_leaves_its_port_free_and_an_address_in_use_is_named() {
        let server = start(&["127.0.0.1:0", "[::1]:0"], 2, SystemClock);
        let addresses = server.addresses().to_vec();
        let listen = Listen { addresses: addresses.clone(), threads: NonZeroUsize::MIN };
        let published = Arc::clone(&server.shared.published);
        let refused = Server::start(&listen, Arc::clone(&published), Arc::new(SystemClock));
        assert!(
            matches!(&refused, Err(StartError::Bind { address, .. }) if *address == addresses[0]),
            "{:?}",
            refused.err()
        );
        assert_eq!(server.stop(), Counts::default());
        let again = Server::start(&listen, published, Arc::new(SystemClock)).unwrap();
        assert_eq!(again.addresses(), addresses);
    }

    #[test]
    fn answers_follow_the_published_state() {
        let server = start(&["127.0.0.1:0"], 1, SystemClock);
        let client = client(server.addresses()[0]);
        assert_eq!(ask(&client, Version::V4, 1).leap, Leap::None);
        let stepped = angbu_time::server::Unsynchronised::Stepped;
        server.shared.published.set(ServerState::unsynchronised(stepped, -20, SystemClock.read().wall));
        let reply = ask(&client, Version::V4, 2);
        assert_eq!((reply.leap, reply.stratum, &reply.reference_id), (Leap::Unknown, 0, b"STEP"));
    }
}
