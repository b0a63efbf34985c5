//! The Roughtime server: a plain thread on a blocking socket around [`angbu_time::roughtime::server`].
//!
//! What arrives together is signed once, and while requests keep arriving together they are let gather. The long-term key,
//! which clients know, signs a key of this process that is good for a day; only that one signs replies. A clock that nothing
//! vouches for gives none.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::SysRng;
use rand_core::UnwrapErr;

use angbu_agent::ntp::batch::{Batch, Slot};
use angbu_agent::ntp::server::{Published, open};
use angbu_evidence::note::{Ed25519Signer, Signer};
use angbu_store::{SigningKey, Store, StoreError};
use angbu_time::roughtime::server::{Delegation, Drop as Dropped, MOST_TOGETHER, Round, radius};
use angbu_units::{Clock, Nanos, Reading, UnixTime};

/// How long a delegated key is good. Whoever steals it can sign for that long, and no longer.
const GOOD_FOR: Nanos = Nanos::from_secs(86_400);
/// How long before now it is already good: a reply's second can lie a little before its making.
const GOOD_BEFORE: Nanos = Nanos::from_secs(60);
/// How long before its end the next one is made.
const RENEWED: Nanos = Nanos::from_secs(43_200);
/// How often it is looked whether the long-term key was replaced.
const LOOK: Nanos = Nanos::from_secs(10);
/// The least radius, in seconds, where no upstream would announce a leap second (RFC 10049, section 5.2.5).
const LEAST_UNANNOUNCED: u32 = 3;
/// How long requests are let gather where several came together, so that one signature serves more of those that follow. It is
/// nothing beside a radius of seconds; a request that comes alone is answered at once.
const GATHER: Duration = Duration::from_millis(1);
/// How long the thread waits after the kernel refused to receive, so that a broken network is no busy loop.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);
/// The name of the long-term key's signer. Roughtime's signatures carry none.
const NAME: &str = "roughtime";

/// The reasons for which datagrams get no reply, beside those of [`Dropped`].
const UNPROVEN: &str = "unproven";
const NO_PORT: &str = "no_port";
const GROUP: &str = "group";
const REFUSED: &str = "refused";

/// A running server. It stops when it is dropped.
pub struct RoughtimeServer {
    address: SocketAddr,
    public_key: [u8; 32],
    socket: Arc<UdpSocket>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What the server needs of the centre.
pub struct Parts {
    /// Where to listen; port 0 means any.
    pub listen: SocketAddr,
    /// What holds the long-term key.
    pub store: Store,
    /// What can be said of the clock.
    pub published: Arc<Published>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether some upstream announces leap seconds.
    pub announces_leaps: bool,
}

impl RoughtimeServer {
    /// Opens the socket and starts the thread.
    ///
    /// # Errors
    /// What could not be had, in words.
    pub fn start(parts: Parts) -> anyhow::Result<Self> {
        let socket = open(parts.listen, false)
            .with_context(|| format!("cannot listen on {} for Roughtime", parts.listen))?;
        let address = socket.local_addr()?;
        let socket = Arc::new(socket);
        let public_key = long_term(&parts.store)?
            .first()
            .map(|signer| *signer.verifier_key().public_key())
            .context("the site has no Roughtime key")?;
        let shared = Arc::new(Shared { parts, stop: AtomicBool::new(false), counters: Counters::default() });
        let thread = std::thread::Builder::new()
            .name(format!("roughtime {address}"))
            .spawn({
                let (socket, shared) = (Arc::clone(&socket), Arc::clone(&shared));
                move || serve(&socket, &shared)
            })
            .context("cannot start the thread that answers Roughtime")?;
        Ok(Self { address, public_key, socket, thread: Some(thread), shared })
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The long-term key that it started with, by which clients know it.
    pub fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// How many requests were answered, and how many not, by reason.
    pub fn counts(&self) -> (u64, BTreeMap<&'static str, u64>) {
        self.shared.counters.read()
    }
}

impl Drop for RoughtimeServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Linux wakes whoever waits for a datagram, although it calls the socket not connected.
        let _not_connected = socket2::SockRef::from(&*self.socket).shutdown(std::net::Shutdown::Read);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of the Roughtime server had panicked");
            }
        }
    }
}

struct Shared {
    parts: Parts,
    stop: AtomicBool,
    counters: Counters,
}

fn long_term(store: &Store) -> Result<Vec<Ed25519Signer>, StoreError> {
    store.signers(SigningKey::Roughtime, NAME)
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut batch = Batch::new(MOST_TOGETHER);
    let mut round = Round::new(MOST_TOGETHER);
    let mut keys = Keys::default();
    while !shared.stop.load(Ordering::SeqCst) {
        let filled = match batch.receive(socket.as_fd()) {
            Ok(filled) => filled,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "the Roughtime server cannot receive; it tries again");
                std::thread::park_timeout(AFTER_AN_ERROR);
                continue;
            }
        };
        let slots = batch.slots(0..filled);
        if answer(slots, &mut round, &mut keys, shared) {
            let sent = batch.send(socket.as_fd(), 0..filled);
            shared.counters.answered.fetch_add(sent.sent, Ordering::Relaxed);
            shared.counters.add(REFUSED, sent.refused);
        }
        if (2..MOST_TOGETHER).contains(&filled) {
            std::thread::park_timeout(GATHER);
        }
    }
}

/// Answers what arrived together; whether anything is to be sent.
fn answer(slots: &mut [Slot], round: &mut Round, keys: &mut Keys, shared: &Shared) -> bool {
    let Parts { published, clock, announces_leaps, .. } = &shared.parts;
    let state = published.state();
    let now = clock.read();
    let delegation = state.is_synchronised().then(|| keys.delegation(&shared.parts.store, now)).flatten();
    let Some(delegation) = delegation else {
        shared.counters.add(UNPROVEN, slots.iter().filter(|slot| slot.source().is_some()).count() as u64);
        return false;
    };
    round.clear();
    let mut numbers = [None; MOST_TOGETHER];
    for (slot, number) in slots.iter().zip(&mut numbers) {
        *number = match take(slot, round, delegation) {
            Ok(number) => number,
            Err(why) => {
                shared.counters.add(why, 1);
                None
            }
        };
    }
    let bound = state.root_delay.half() + state.root_dispersion_at(now.wall);
    let least = if *announces_leaps { 1 } else { LEAST_UNANNOUNCED };
    round.sign(delegation, now.wall, radius(bound, state.leap, least));
    for (slot, number) in slots.iter_mut().zip(numbers) {
        let Some(number) = number else { continue };
        let reply = round.reply(number, delegation);
        let _fits = slot.answer_with(|_, room| {
            let room = room.get_mut(..reply.len()).ok_or(())?;
            room.copy_from_slice(reply);
            Ok::<_, ()>(reply.len())
        });
    }
    !round.is_empty()
}

/// A request's number in the round, none for a socket that was shut down, or why it gets no reply.
fn take(slot: &Slot, round: &mut Round, delegation: &Delegation) -> Result<Option<usize>, &'static str> {
    let Some(source) = slot.source() else { return Ok(None) };
    if source.port() == 0 {
        return Err(NO_PORT);
    }
    if slot.was_for_a_group() {
        return Err(GROUP);
    }
    round.add(slot.data(), delegation).map(Some).map_err(Dropped::word)
}

/// The delegated key, made anew when its time comes or the long-term key is another one.
#[derive(Default)]
struct Keys {
    current: Option<Current>,
}

struct Current {
    delegation: Delegation,
    long_term: Vec<[u8; 32]>,
    made: UnixTime,
    looked: Reading,
}

impl Keys {
    fn delegation(&mut self, store: &Store, now: Reading) -> Option<&Delegation> {
        let fresh =
            self.current.as_ref().is_some_and(|current| now.monotonic - current.looked.monotonic < LOOK);
        let spent = self.current.as_ref().is_some_and(|current| !current.delegation.covers(now.wall));
        if (!fresh || spent)
            && let Err(error) = self.renew(store, now)
        {
            tracing::warn!(%error, "the Roughtime server has no key to sign with");
        }
        self.current.as_ref().map(|current| &current.delegation).filter(|key| key.covers(now.wall))
    }

    fn renew(&mut self, store: &Store, now: Reading) -> anyhow::Result<()> {
        let signers = long_term(store)?;
        let long_term: Vec<_> = signers.iter().map(|signer| *signer.verifier_key().public_key()).collect();
        if let Some(current) = &mut self.current
            && current.long_term == long_term
            && current.delegation.covers(now.wall)
            && now.wall - current.made < RENEWED
        {
            current.looked = now;
            return Ok(());
        }
        let signers: Vec<_> = signers.iter().map(|signer| signer as &dyn Signer).collect();
        let (from, until) = (now.wall - GOOD_BEFORE, now.wall + GOOD_FOR);
        let delegation = Delegation::new(&signers, from, until, &mut UnwrapErr(SysRng))?;
        self.current = Some(Current { delegation, long_term, made: now.wall, looked: now });
        Ok(())
    }
}

/// Counters of one thread that others read.
#[derive(Default)]
struct Counters {
    answered: AtomicU64,
    dropped: [AtomicU64; REASONS.len()],
}

const REASONS: [&str; 9] = [
    Dropped::Short.word(),
    Dropped::Malformed.word(),
    Dropped::Version.word(),
    Dropped::Server.word(),
    Dropped::Full.word(),
    UNPROVEN,
    NO_PORT,
    GROUP,
    REFUSED,
];

impl Counters {
    fn add(&self, reason: &'static str, count: u64) {
        let counters = REASONS.iter().zip(&self.dropped);
        for (_, counter) in counters.filter(|(word, _)| **word == reason) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn read(&self) -> (u64, BTreeMap<&'static str, u64>) {
        let dropped = REASONS.iter().zip(&self.dropped);
        let dropped = dropped.map(|(word, counter)| (*word, counter.load(Ordering::Relaxed)));
        (self.answered.load(Ordering::Relaxed), dropped.collect())
    }
}
