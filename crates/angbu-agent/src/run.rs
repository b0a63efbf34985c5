//! One run of an agent, from its start on record to its stop on record: the threads, and what they share.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use angbu_accounts::{CodeError, EnrolmentCode};
use angbu_client::{Client, ClientError, Trust, join};
use angbu_time::agent::{Agent, Settings};
use angbu_time::kernel_clock::KernelError;
use angbu_time::proof::Witness;
use angbu_time::record::{Manner, Record, Software};
use angbu_time::watch::Keeper;
use angbu_time::watch::Limits;
use angbu_units::{Clock, NtpServerId, Reading};
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use crate::backoff::Backoff;
use crate::children::Children;
use crate::log::LogWatch;
use crate::machine::Looks;
use crate::ntp::client;
use crate::nts::{Pace, Protected};
use crate::poll::{self, Target, Way};
use crate::roughtime;
use crate::state::{Enrolment, Identity, State, StateError};
use crate::steer::Steer;
use crate::upload::{self, Uploader};
use crate::watch;
use crate::{Config, ConfigError, Event, OnTamper, Spool, SpoolError, Stop};

/// How long the last records may take to reach the centre after a stop.
const LAST_UPLOAD: Duration = Duration::from_secs(2);

/// How long threads may take to end after that.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// What stands before the name of a server that is asked under protection.
pub(crate) const NTS_SCHEME: &str = "nts://";

const NOT_TOLD: &str = "the centre did not say where it exchanges keys for NTS, and without NTS no time is taken from it; \
                        set `centre_nts`, or `nts = false` to do without protection";
const NO_TRUST: &str = "nothing says whom to trust with keys for NTS, and without NTS no time is taken from the centre; \
                        set `certificate_authorities`, or join again with an empty folder and a new code";

/// The number of an agent's first record.
const FIRST_RECORD: u64 = 1;

/// What is told of an agent's run. Called by one thread at a time, while everything else of the agent waits.
pub type Events = Arc<dyn Fn(&Event) + Send + Sync>;

/// Why an agent cannot run, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The agent's folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store of records cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The agent never joined, and has no code to join with.
    #[error(
        "this agent has not joined a centre yet; make a code with `angbu enrol agent` and set `code` to it in the agent's configuration"
    )]
    NoCode,
    /// The enrolment code cannot be read.
    #[error("the agent's enrolment code cannot be used: {0}")]
    Code(#[from] CodeError),
    /// The centre did not let the agent join.
    #[error("this agent could not join: {0}")]
    Join(#[source] ClientError),
    /// The centre's address or certificates cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file of certificate authorities cannot be read.
    #[error("cannot read the certificate authorities in {path}: {source}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The agent joined over plain HTTP, and now the centre's address is HTTPS.
    #[error(
        "this agent joined over plain HTTP and knows no key of the centre; set `certificate_authorities`, or join again with an empty folder and a new code"
    )]
    NoKey,
    /// The clock is to be kept, and the kernel does not let it.
    #[error("this agent cannot keep the clock (`mode = \"steer\"`): {0}")]
    Kernel(#[from] KernelError),
    /// The site's machines cannot be served.
    #[error(transparent)]
    Children(#[from] crate::ntp::server::StartError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// A part of the agent broke.
    #[error("a part of the agent broke, so it stopped; this is an error in the program, please report it")]
    Broken,
}

/// What the agent's threads share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Looks>,
    pub(crate) on_tamper: OnTamper,
    pub(crate) events: Events,
    pub(crate) stop: Stop,
    pub(crate) state: State,
    core: Mutex<Core>,
    /// There is something to send, the run closes, or a thread has ended.
    pub(crate) changed: Condvar,
}

/// What one thread at a time works on.
pub(crate) struct Core {
    pub(crate) agent: Agent,
    pub(crate) spool: Spool,
    /// What keeps the clock, in steer mode.
    pub(crate) steer: Option<Steer>,
    /// The stop is on record, and nothing is recorded any more.
    pub(crate) closing: bool,
    /// The folder may be another process's by now.
    pub(crate) over: bool,
    threads: usize,
    broken: bool,
}

impl Shared {
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a record down, tells of it, and wakes the uploader. Returns its number, unless the disk refused it.
    pub(crate) fn keep(&self, core: &mut Core, record: Record, server: &str, now: Reading) -> Option<u64> {
        self.keep_with(core, record, None, server, now)
    }

    /// As [`Self::keep`], with what proves the record's exchange.
    pub(crate) fn keep_with(
        &self,
        core: &mut Core,
        record: Record,
        witness: Option<&Witness>,
        server: &str,
        now: Reading,
    ) -> Option<u64> {
        // The spool gives the numbers: it knows which ones the centre has.
        let record = Record { seq: core.spool.next_seq(), ..record };
        if let Some(steer) = &mut core.steer {
            steer.on_record(None, &record, None, now);
        }
        let mut bytes = record.encode();
        if let Some(witness) = witness {
            bytes.extend(witness.encode());
        }
        match core.spool.append(&bytes, now.wall) {
            Ok((seq, lost)) => {
                if let Some(lost) = lost {
                    (self.events)(&Event::Lost { first: lost.first, last: lost.last });
                }
                if let Some(event) = Event::of(&record, server) {
                    (self.events)(&event);
                }
                self.changed.notify_all();
                Some(seq)
            }
            Err(error) => {
                (self.events)(&Event::NotKept { reason: error.to_string() });
                None
            }
        }
    }

    /// Waits on [`Self::changed`] while `condition` holds, no longer than `longest`.
    pub(crate) fn wait_while<'a>(
        &self,
        core: MutexGuard<'a, Core>,
        longest: Duration,
        condition: impl FnMut(&mut Core) -> bool,
    ) -> MutexGuard<'a, Core> {
        self.changed.wait_timeout_while(core, longest, condition).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Runs an agent until `stop` is requested: joins the centre if it has not yet, records its start, watches and
/// polls, sends what it recorded, and records its stop. `clock` is this machine ([`crate::machine::Machine`]), or what stands
/// for it in a test; its monotonic clock must not be slewed.
///
/// # Errors
/// [`AgentError`]. A centre that is away is none: it is waited for.
pub fn run(config: &Config, clock: Arc<dyn Looks>, events: Events, stop: &Stop) -> Result<(), AgentError> {
    config.check()?;
    let state = State::open(&config.state)?;
    let identity = state.identity()?;
    let Some(enrolment) = enrolment(config, &state, &identity.signing, &events, stop)? else { return Ok(()) };
    let client = client(config, &enrolment)?;
    let targets = targets(config, &enrolment, &client, &identity.signing)?;
    let shared = Arc::new(begin(config, state, &identity, &enrolment, clock, events, stop)?);
    let agent = enrolment.agent.parse().map_err(|_| damaged(config))?;
    let uploader = Uploader {
        agent,
        log: LogWatch::open(&shared.state, &enrolment, agent, &identity.signing)?,
        key: identity.signing.clone(),
        client: client.clone(),
        enrolment,
        backoff: Backoff::new(config.retry_interval.to_duration()),
        followed: false,
    };
    let started = start_threads(config, &shared, targets, uploader);
    if started.is_err() {
        stop.request();
    }
    stop.wait();
    finish(&shared, &client)?;
    started
}

/// What joining told, now or at an earlier start; none if the agent is stopped before the centre answers.
fn enrolment(
    config: &Config,
    state: &State,
    key: &SigningKey,
    events: &Events,
    stop: &Stop,
) -> Result<Option<Enrolment>, AgentError> {
    if let Some(enrolment) = state.enrolment()? {
        return Ok(Some(enrolment));
    }
    let code = EnrolmentCode::parse(config.code.as_deref().ok_or(AgentError::NoCode)?)?;
    let mut backoff = Backoff::new(config.retry_interval.to_duration());
    loop {
        match join(&config.centre, &code, &config.name, key) {
            Ok(joined) => {
                let enrolment = Enrolment::of(&joined);
                state.keep(&enrolment)?;
                events(&Event::Joined {
                    agent: enrolment.agent.clone(),
                    customer: enrolment.customer_name.clone(),
                });
                return Ok(Some(enrolment));
            }
            Err(error) if error.is_passing() => {
                let wait = backoff.next_wait();
                events(&Event::NotJoined {
                    reason: error.to_string(),
                    retry_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                });
                if stop.wait_for(wait) {
                    return Ok(None);
                }
            }
            Err(error) => return Err(AgentError::Join(error)),
        }
    }
}

fn client(config: &Config, enrolment: &Enrolment) -> Result<Client, AgentError> {
    let trust = match (authorities(config)?, enrolment.centre_key()) {
        (Some(authorities), _) => authorities,
        (None, Some(key)) => Trust::Key(key),
        // Over plain HTTP, to this machine only, nobody's key is looked at.
        (None, None) if config.centre.starts_with("http://") => Trust::Public,
        (None, None) => return Err(AgentError::NoKey),
    };
    Ok(Client::new(&config.centre, None, &trust)?)
}

/// The certificate authorities of the configuration, if it names any.
fn authorities(config: &Config) -> Result<Option<Trust>, AgentError> {
    let Some(path) = &config.certificate_authorities else { return Ok(None) };
    let pem = std::fs::read(path).map_err(|source| AgentError::Authorities { path: path.clone(), source })?;
    Ok(Some(Trust::authorities(&pem)?))
}

/// The servers to ask, in order: the centre, then the others.
fn targets(
    config: &Config,
    enrolment: &Enrolment,
    client: &Client,
    key: &SigningKey,
) -> Result<Vec<Target>, AgentError> {
    let protected = |server: String, ntp: Option<String>, trust: &Trust| {
        let tls = Arc::new(trust.for_nts()?);
        let first_wait = config.retry_interval.to_duration();
        let key = key.verifying_key().to_bytes();
        Ok::<_, AgentError>(Way::Protected(Box::new(Protected::new(server, ntp, tls, key, first_wait))))
    };
    let centre = config.centre_ntp.clone().unwrap_or_else(|| reachable(&enrolment.ntp, &client.host()));
    let id = enrolment
        .centre
        .parse()
        .map_or_else(|_| named(&centre), |id: angbu_units::CentreId| NtpServerId::from_bytes(*id.as_bytes()));
    let told = enrolment.nts.as_ref().map(|told| reachable(told, &client.host()));
    let trust =
        authorities(config)?.or_else(|| enrolment.nts_key().or(enrolment.centre_key()).map(Trust::Key));
    let way = match (config.centre_nts.clone().or(told), trust) {
        _ if !config.nts => Way::Plain,
        (Some(server), Some(trust)) => protected(server, Some(centre.clone()), &trust)?,
        (None, _) => Way::Not(NOT_TOLD.to_owned()),
        (_, None) => Way::Not(NO_TRUST.to_owned()),
    };
    let mut targets = vec![Target { name: centre, id, way, pace: Pace::new() }];
    for name in &config.servers {
        let way = match name.strip_prefix(NTS_SCHEME) {
            Some(server) => {
                protected(server.to_owned(), None, &authorities(config)?.unwrap_or(Trust::Public))?
            }
            None => Way::Plain,
        };
        targets.push(Target { name: name.clone(), id: named(name), way, pace: Pace::new() });
    }
    Ok(targets)
}

/// An address at which a server says that it listens, with the host that it was reached at where it says "any".
fn reachable(address: &str, host: &str) -> String {
    match address.rsplit_once(':') {
        Some((listens, port)) => {
            let bare = listens.trim_start_matches('[').trim_end_matches(']');
            let any = bare.is_empty() || bare.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
            if any { format!("{host}:{port}") } else { address.to_owned() }
        }
        None => address.to_owned(),
    }
}

/// The id of a server that is no centre: the first 16 bytes of SHA-256 over `host:port`.
fn named(server: &str) -> NtpServerId {
    let with_port = match server.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => server.to_owned(),
        _ => format!("{server}:{}", client::PORT),
    };
    let hash: [u8; 32] = Sha256::digest(with_port).into();
    let (first, _) = hash.split_first_chunk().expect("broken invariant: 32 bytes hold 16");
    NtpServerId::from_bytes(*first)
}

/// Opens the spool and records the start.
fn begin(
    config: &Config,
    state: State,
    identity: &Identity,
    enrolment: &Enrolment,
    clock: Arc<dyn Looks>,
    events: Events,
    stop: &Stop,
) -> Result<Shared, AgentError> {
    // The centre and the others; each is a place for the discipline.
    let upstreams = config.servers.len() + 1;
    let steer =
        config.discipline().map(|settings| Steer::start(settings, upstreams, clock.kernel())).transpose()?;
    let opened = clock.read().wall;
    let mut spool = Spool::open(&state.spool(), &identity.spool, config.spool_limit, FIRST_RECORD, opened)?;
    let clean = state.begin_run()?;
    // What keeps the clock here knows what it does; whatever else is done to it is somebody else's deed.
    let limits = config.limits();
    let limits = if steer.is_some() { Limits { keeper: Keeper::Nobody, ..limits } } else { limits };
    let settings = Settings {
        policy: config.policy.with_tolerance(enrolment.tolerance()),
        limits,
        poll: config.poll_interval,
        manner: Manner { nts: config.nts, steers: steer.is_some() },
        software: Software::new(concat!("angbu/", env!("CARGO_PKG_VERSION")))
            .expect("broken invariant: a version is short and visible"),
    };
    let look = clock.look();
    let (agent, start) = Agent::start(settings, spool.next_seq(), clean, look);
    let (seq, lost) = spool.append(&start.encode(), look.reading.wall)?;
    if let Some(lost) = lost {
        events(&Event::Lost { first: lost.first, last: lost.last });
    }
    events(&Event::Started {
        agent: enrolment.agent.clone(),
        customer: enrolment.customer_name.clone(),
        seq,
        clean,
        tolerance_ns: enrolment.tolerance_ns,
    });
    let core = Core { agent, spool, steer, closing: false, over: false, threads: 0, broken: false };
    let on_tamper = config.on_tamper;
    let shared = Shared {
        clock,
        on_tamper,
        events,
        stop: stop.clone(),
        state,
        core: Mutex::new(core),
        changed: Condvar::new(),
    };
    shared.recall();
    Ok(shared)
}

fn start_threads(
    config: &Config,
    shared: &Arc<Shared>,
    targets: Vec<Target>,
    uploader: Uploader,
) -> Result<(), AgentError> {
    let (poll_interval, check_interval) = (config.poll_interval, config.check_interval.to_duration());
    watch::watch_for_steps(shared);
    start_thread("angbu-watch", shared, move |shared| watch::watch(shared, check_interval))?;
    start_thread("angbu-upload", shared, move |shared| upload::upload(shared, uploader))?;
    if let Some(children) = &config.children {
        let centre = targets.first().map_or([0; 16], |target| *target.id.as_bytes());
        let children = Children::start(config, children, centre)?;
        start_thread("angbu-children", shared, move |shared| children.serve(shared))?;
    }
    if !config.roughtime.is_empty() {
        let (servers, interval) = (config.roughtime.clone(), config.roughtime_interval.to_duration());
        start_thread("angbu-roughtime", shared, move |shared| roughtime::check(shared, &servers, interval))?;
    }
    start_thread("angbu-poll", shared, move |shared| poll::poll(shared, targets, poll_interval))
}

fn start_thread(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<(), AgentError> {
    shared.core().threads += 1;
    let leaving = Leaving(Arc::clone(shared));
    let work = move || {
        work(&leaving.0);
    };
    // Nobody joins it: a thread that waits for a resolver must not keep the agent from ending.
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(AgentError::Thread)
}

/// Says when a thread has ended, however it did; if it broke, the agent must not look as if it watched.
struct Leaving(Arc<Shared>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let broken = thread::panicking();
        let mut core = self.0.core();
        core.threads -= 1;
        core.broken |= broken;
        drop(core);
        if broken {
            self.0.stop.request();
        }
        self.0.changed.notify_all();
    }
}

/// Records the stop, and lets the uploader send what it can in a short time.
fn finish(shared: &Shared, client: &Client) -> Result<(), AgentError> {
    let mut core = shared.core();
    let look = shared.look(&mut core);
    let now = look.reading;
    let mut stopped = None;
    // What is left of the agent still knows the centre's time, for the last upload.
    for record in core.agent.clone().on_stop(shared.clock.look()) {
        stopped = shared.keep(&mut core, record, "", now);
    }
    shared.remember(&core);
    if stopped.is_some() {
        shared.state.end_run()?;
    }
    core.closing = true;
    shared.changed.notify_all();
    core = shared.wait_while(core, LAST_UPLOAD, |core| core.threads > 0);
    if core.threads > 0 {
        drop(core);
        client.close();
        core = shared.wait_while(shared.core(), LAST_BREATH, |core| core.threads > 0);
    }
    if let Err(error) = core.spool.sweep() {
        (shared.events)(&Event::NotKept { reason: error.to_string() });
    }
    // A thread that still waits for a resolver holds on to what is shared, but touches no file any more.
    core.over = true;
    shared.state.release()?;
    if let Some(seq) = stopped {
        (shared.events)(&Event::Stopped { seq, waiting: core.spool.waiting() });
    }
    if core.broken { Err(AgentError::Broken) } else { Ok(()) }
}

fn damaged(config: &Config) -> AgentError {
    AgentError::State(StateError::Damaged(config.state.join("enrolment.toml")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_centre_that_listens_anywhere_is_asked() {
        for (said, asked) in [
            ("0.0.0.0:123", "centre.example:123"),
            ("[::]:4123", "centre.example:4123"),
            (":123", "centre.example:123"),
            ("192.0.2.1:123", "192.0.2.1:123"),
            ("ntp.example", "ntp.example"),
            ("[2001:db8::1]:123", "[2001:db8::1]:123"),
        ] {
            assert_eq!(reachable(said, "centre.example"), asked);
        }
        assert_eq!(named("ntp.example"), named("ntp.example:123"));
        assert_ne!(named("ntp.example"), named("ntp.example:124"));
    }
}
