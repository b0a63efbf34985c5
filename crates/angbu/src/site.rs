//! A running site: puts database, log, clock, time server and web listener together, and takes them apart again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::routing::get;
use rand::rngs::SysRng;
use rand_core::UnwrapErr;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use angbu_accounts::{Grant, Name, Password, Reach, Scope, Scopes};
use angbu_agent::RateConfig;
use angbu_agent::clock::SystemClock;
use angbu_agent::machine::Machine;
use angbu_agent::ntp::guard::Policy;
use angbu_http::{Centre, Parts, Protected, SITE_START, Seen, Site, TimeService, UpstreamState};
use angbu_store::operations::RunRow;
use angbu_store::{Engine, Options, Sequencer, Store, StoreError};
use angbu_time::server::ServerState;
use angbu_units::{CentreId, Clock, NtpServerId, TokenId};

use crate::clock_job::{self, ClockJob};
use crate::config::{RoughtimeConfig, ServeConfig, notice_settings, old_faces};
use crate::listener::{self, Limits};
use crate::ntp::epochs::EpochKeeper;
use crate::ntp::key_exchange::{self, Bounds};
use crate::roughtime::{self, RoughtimeServer};
use crate::tls::SiteTls;
use crate::upstreams::Upstreams;
use crate::{console, deliveries, jobs, tls, witness};
use angbu_agent::ntp::server::{Listen, Published, PublishedEpochs, Server};

/// The name of a site's first operator.
const FIRST_OPERATOR: &str = "operator";
/// How often what a first start makes is tried, when another centre of the site makes the same at that moment.
const FIRST_TRIES: u32 = 8;
/// How long the stop waits for the last entries to get their place in the log.
const LAST_ENTRIES: Duration = Duration::from_secs(5);

/// A running site.
pub struct RunningSite {
    centre: Arc<Centre>,
    http: SocketAddr,
    first_password: Option<Password>,
    name: Name,
    start_token: Option<TokenId>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    clock_job: ClockJob,
    ntp: Arc<Server>,
    roughtime: Option<Arc<RoughtimeServer>>,
    sequencer: Sequencer,
    store: Store,
}

impl RunningSite {
    /// Starts everything and returns when the centre answers.
    ///
    /// # Errors
    /// What could not be opened, bound, read or written, in words.
    pub async fn start(config: &ServeConfig) -> anyhow::Result<Self> {
        config.check()?;
        // One clock for everything that is compared: readings of two would not belong together.
        let machine = Arc::new(Machine::new());
        let clock: Arc<dyn Clock> = Arc::<Machine>::clone(&machine);
        let Log { store, origin, centre: centre_id, run, sequencer } = Log::open(config, &clock).await?;
        let tls = tls::load(&config.http, &config.data)?;
        let web = listen(config.http.listen)?;
        let http = web.local_addr()?;
        let upstreams = Upstreams::new(&config.clock);
        let own_clock =
            clock_job::first_state(&store, &config.clock, &upstreams, &machine, centre_id).await?;
        let own_clock = Arc::new(own_clock);
        let state = own_clock.in_force().state.server;
        let time = TimeServers::start(config, &store, &clock, centre_id, state).await?;
        let (stop, stopped) = watch::channel(false);
        let centre = Centre::new(Parts {
            clock: Arc::clone(&clock),
            site: Site {
                tls_public_key: tls.as_ref().map(|tls| tls.public_key.to_vec()).unwrap_or_default(),
                origin,
                centre: centre_id,
                url: format!("{}://{http}", if tls.is_some() { "https" } else { "http" }),
                public_url: config.http.public_url(http),
                ntp_address: time.address,
                nts_address: time.nts.address,
                nts_key: time.nts.key,
                started: clock.read().wall,
                run,
            },
            own_clock: Arc::clone(&own_clock),
            time_service: time.counters(&upstreams),
            published: store.head(),
            stop: stopped.clone(),
            store: store.clone(),
            witnesses: config.witnesses.iter().map(|witness| witness.key.clone()).collect(),
            require_witnesses: config.require_witnesses,
            old_faces: old_faces(&config.keys),
            notices: notice_settings(config.mail.as_ref(), &config.webhooks, &config.incidents),
        });
        record_start(&centre).await?;
        let (told, announced) = (Arc::clone(&centre), time.announced);
        let clock_job = ClockJob::start(told, own_clock, announced, &upstreams, &config.clock, clock)?;
        let first_password = furnish(&centre, config).await?;
        let mut tasks = JoinSet::new();
        let router = angbu_http::router(Arc::clone(&centre), get(console::file));
        let tls = tls.map(|tls| Arc::new(tls.config));
        tasks.spawn(listener::serve(web, tls, router, Limits::CENTRE, stopped.clone()));
        tasks.spawn(time.epochs.keep(stopped.clone()));
        tasks.spawn(time.nts.serve(stopped.clone()));
        jobs::spawn(&mut tasks, &centre, &stopped, config.retention.retention());
        speak(&mut tasks, &centre, config, &stopped)?;
        Ok(Self {
            centre,
            http,
            first_password,
            name: config.name.clone(),
            start_token: None,
            stop,
            tasks,
            clock_job,
            ntp: time.ntp,
            roughtime: time.roughtime,
            sequencer,
            store,
        })
    }

    /// The centre.
    pub fn centre(&self) -> &Arc<Centre> {
        &self.centre
    }

    /// Where the web interface listens.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The Roughtime server, if there is one.
    pub fn roughtime(&self) -> Option<&RoughtimeServer> {
        self.roughtime.as_deref()
    }

    /// The first operator's one-time password, when this start made the site.
    pub fn first_password(&self) -> Option<&Password> {
        self.first_password.as_ref()
    }

    /// An operator's token that ends with this run, for scripts beside the process.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn start_token(&mut self) -> anyhow::Result<String> {
        let grant = Grant { scopes: Scopes::of([Scope::Operator]), reach: Reach::Site };
        let (id, secret) = self.centre.make_token(&start_holder(&self.name), grant, None).await?;
        self.start_token = Some(id);
        Ok(secret.reveal())
    }

    /// Ends everything in order; the stop is on record when this returns.
    ///
    /// # Errors
    /// Where the last entries could not be written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
        let clock_job = self.clock_job;
        tokio::task::spawn_blocking(move || clock_job.stop()).await?;
        if let Some(token) = self.start_token {
            self.centre.revoke_token(token).await?;
        }
        self.centre.close_segments(true).await?;
        self.centre.note_sources().await?;
        self.centre.record_stop().await?;
        if !self.store.settle(LAST_ENTRIES).await? {
            tracing::warn!(
                "the last entries are durable but not yet in the log; the next start goes on with them"
            );
        }
        drop(self.sequencer);
        drop(self.ntp);
        drop(self.roughtime);
        Ok(())
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listener::bind(address).with_context(|| format!("cannot listen on {address} for HTTP"))
}

/// An open database with its log going on.
struct Log {
    store: Store,
    origin: String,
    centre: CentreId,
    /// This run's number among the centre's.
    run: u64,
    sequencer: Sequencer,
}

impl Log {
    async fn open(config: &ServeConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let store = open_store(config, clock)?;
        let (origin, centre, run) = found(&store, config, &**clock).await?;
        let sequencer = Sequencer::start(&store, store.log_signers(&origin), centre)?;
        Ok(Self { store, origin, centre, run, sequencer })
    }
}

fn open_store(config: &ServeConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Store> {
    let options = Options { engine: config.store.engine()?, ..Options::new(&config.data) };
    Store::open(&options, Arc::clone(clock)).with_context(|| match &options.engine {
        Engine::Sqlite => format!("cannot open the site in {}", config.data.display()),
        Engine::Postgres(url) => format!("cannot open the site in {} and {url}", config.data.display()),
    })
}

/// All that serves time: NTP, the exchange of keys that protects it, and Roughtime.
struct TimeServers {
    announced: Arc<Published>,
    ntp: Arc<Server>,
    /// Where NTP is served.
    address: SocketAddr,
    epochs: EpochKeeper,
    nts: Nts,
    roughtime: Option<Arc<RoughtimeServer>>,
}

impl TimeServers {
    async fn start(
        config: &ServeConfig,
        store: &Store,
        clock: &Arc<dyn Clock>,
        centre: CentreId,
        state: ServerState,
    ) -> anyhow::Result<Self> {
        let announced = Arc::new(Published::new(state));
        let published = Arc::new(PublishedEpochs::default());
        let name = NtpServerId::from_bytes(*centre.as_bytes());
        let (kept, rotate) = (Arc::clone(&published), config.nts.rotate);
        let epochs = EpochKeeper::start(store.clone(), Arc::clone(clock), kept, name, rotate).await?;
        let listen = Listen { addresses: vec![config.ntp.listen], threads: config.ntp.threads.non_zero() };
        let policy = Policy { rate: config.ntp.rate.map(RateConfig::rate), ..Policy::default() };
        let (said, keys) = (Arc::clone(&announced), Arc::clone(&published));
        let ntp = Arc::new(Server::start_guarded(&listen, said, keys, policy, Arc::new(SystemClock))?);
        let address = ntp.addresses().first().copied().unwrap_or(config.ntp.listen);
        let nts = Nts::open(config, published, address)?;
        let roughtime = roughtime(config, store, &announced)?;
        Ok(Self { announced, ntp, address, epochs, nts, roughtime })
    }

    fn counters(&self, upstreams: &Upstreams) -> Arc<Counters> {
        Arc::new(Counters {
            ntp: Arc::clone(&self.ntp),
            epochs: Arc::clone(&self.nts.service.epochs),
            key_exchanges: Arc::clone(&self.nts.service.counts),
            roughtime: self.roughtime.clone(),
            upstreams: upstreams.clone(),
        })
    }
}

/// The Roughtime server, if one is configured.
fn roughtime(
    config: &ServeConfig,
    store: &Store,
    published: &Arc<Published>,
) -> anyhow::Result<Option<Arc<RoughtimeServer>>> {
    let Some(RoughtimeConfig { listen }) = config.roughtime else { return Ok(None) };
    let server = RoughtimeServer::start(roughtime::Parts {
        listen,
        store: store.clone(),
        published: Arc::clone(published),
        clock: Arc::new(SystemClock),
        announces_leaps: !config.clock.upstreams.is_empty(),
    })?;
    Ok(Some(Arc::new(server)))
}

/// Starts what speaks to others without being asked: messages, and questions to witnesses.
fn speak(
    tasks: &mut JoinSet<()>,
    centre: &Arc<Centre>,
    config: &ServeConfig,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    deliveries::spawn(tasks, centre, config, stop)?;
    witness::ask(tasks, centre, &config.witnesses, stop)
}

/// Puts the start on record.
async fn record_start(centre: &Centre) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let fields = [("centre", centre.site().centre.to_string()), ("version", version)];
    centre.append_of_site(SITE_START, fields).await?;
    Ok(())
}

/// Makes what the first start makes: an operator, whose one-time password is returned, and the configured customers.
async fn furnish(centre: &Centre, config: &ServeConfig) -> anyhow::Result<Option<Password>> {
    let name: Name = FIRST_OPERATOR.parse()?;
    let first_password = made_by_another(centre.first_operator(&name).await)?.flatten();
    for customer in &config.customers {
        let wanted = customer.name.clone();
        let found = centre.store().read(move |snapshot| snapshot.customer_named(wanted.as_str())).await?;
        if found.is_none() {
            made_by_another(centre.make_customer(&customer.name, customer.tolerance).await)?;
        }
    }
    Ok(first_password)
}

/// `None` where another centre of the site, started at the same moment, has made it.
fn made_by_another<T>(made: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(StoreError::Taken { .. } | StoreError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who holds the token that a centre's start prints; it ends with the run.
fn start_holder(name: &Name) -> String {
    format!("whoever started {name}")
}

/// Makes the site at the first start, and counts this one.
async fn found(
    store: &Store,
    config: &ServeConfig,
    clock: &dyn Clock,
) -> anyhow::Result<(String, CentreId, u64)> {
    let now = clock.read().wall;
    let mut tries = 0;
    let (site, centre) = loop {
        tries += 1;
        let (origin, name) = (config.origin.clone(), config.name.clone());
        match store
            .write(move |tx| {
                let mut rng = UnwrapErr(SysRng);
                let site = tx.found_site(&origin, now, &mut rng)?;
                let centre = tx.start_centre(name.as_str(), now, &mut rng)?;
                // A run that was killed could not take its token back.
                tx.revoke_tokens_held_by(&start_holder(&name))?;
                tx.insert_run(&RunRow {
                    centre: centre.id,
                    run: centre.starts,
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    started: now,
                    seen: now,
                    stopped: None,
                })?;
                Ok::<_, angbu_store::StoreError>((site, centre))
            })
            .await
        {
            // Another centre of the site was quicker; what it made is there now.
            Err(StoreError::Taken { .. } | StoreError::Conflict { .. }) if tries < FIRST_TRIES => {}
            other => break other?,
        }
    };
    anyhow::ensure!(
        site.origin == config.origin,
        "this site's log is called {} and cannot change its name to {}; correct origin in the configuration",
        site.origin,
        config.origin
    );
    Ok((site.origin, centre.id, centre.starts))
}

/// The exchange of keys, its port taken.
struct Nts {
    listener: TcpListener,
    address: SocketAddr,
    key: [u8; 32],
    service: key_exchange::Service,
}

impl Nts {
    fn open(
        config: &ServeConfig,
        epochs: Arc<PublishedEpochs>,
        ntp_address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let SiteTls { config: tls, public_key } = tls::load_for_nts(&config.nts, &config.http, &config.data)?;
        let listener = key_exchange::bind(config.nts.listen, config.ntp.listen, ntp_address).map_err(
            |(address, error)| {
                anyhow::Error::new(error).context(format!(
                    "cannot listen on {address} for the exchange of NTS keys; set [nts] listen to a free port"
                ))
            },
        )?;
        let service = key_exchange::Service {
            tls: Arc::new(tls),
            epochs,
            ntp_port: ntp_address.port(),
            counts: Arc::default(),
        };
        let key = Sha256::digest(&public_key).into();
        Ok(Self { address: listener.local_addr()?, listener, key, service })
    }

    async fn serve(self, stop: watch::Receiver<bool>) {
        key_exchange::serve(self.listener, self.service, Bounds::CENTRE, stop).await;
    }
}

/// The numbers of time server and upstreams.
struct Counters {
    ntp: Arc<Server>,
    epochs: Arc<PublishedEpochs>,
    key_exchanges: Arc<key_exchange::Counts>,
    roughtime: Option<Arc<RoughtimeServer>>,
    upstreams: Upstreams,
}

impl TimeService for Counters {
    fn answered(&self) -> u64 {
        self.ntp.counts().answered
    }

    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.ntp.counts().dropped().into_iter().collect()
    }

    fn protected(&self) -> Protected {
        let counts = self.ntp.counts();
        Protected {
            answered: counts.protected,
            witnessed: counts.witnessed,
            nak: counts.nak,
            epoch: self.epochs.epochs().map_or(0, |epochs| epochs.current),
            key_exchanges: self.key_exchanges.read().into_iter().collect(),
        }
    }

    fn upstreams(&self) -> Vec<UpstreamState> {
        self.upstreams.states()
    }

    fn seen(&self) -> Vec<Seen> {
        self.upstreams.take_seen()
    }

    fn roughtime(&self) -> Option<(u64, BTreeMap<&'static str, u64>)> {
        self.roughtime.as_ref().map(|server| server.counts())
    }
}
