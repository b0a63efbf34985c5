//! A running site: puts database, log, clock, time server and web listener together, and takes them apart again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::routing::get;
use rand::rngs::SysRng;
use rand_core::UnwrapErr;
use tokio::sync::watch;
use tokio::task::JoinSet;

use angbu_accounts::{Grant, Name, Password, Reach, Scope, Scopes, fingerprint};
use angbu_agent::clock::{SystemClock, UnslewedClock};
use angbu_evidence::note::{Ed25519Signer, Signer as _, VerifierKey};
use angbu_evidence::{Kind, Promise};
use angbu_http::{Centre, Parts, SITE_START, Site, TimeService, UpstreamState};
use angbu_store::{Options, Sequencer, SigningKey, Store};
use angbu_units::{CentreId, Clock, TokenId};

use crate::clock_job::{self, ClockJob};
use crate::config::ServeConfig;
use crate::listener::{self, Limits};
use crate::ntp::server::{Listen, Published, Server};
use crate::upstreams::Upstreams;
use crate::{console, jobs, tls};

const STOPPED: Kind = Kind::constant("site.stop");
/// The name of a site's first operator.
const FIRST_OPERATOR: &str = "operator";
/// Who holds the token that a start prints; it ends with the run.
fn start_holder(centre: CentreId) -> String {
    format!("whoever started the centre {centre}")
}

/// How long the stop waits for the last entries to get their place in the log.
const LAST_ENTRIES: Duration = Duration::from_secs(5);

/// A running site.
pub struct RunningSite {
    centre: Arc<Centre>,
    http: SocketAddr,
    first_password: Option<Password>,
    start_token: Option<TokenId>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    clock_job: ClockJob,
    ntp: Arc<Server>,
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
        let clock: Arc<dyn Clock> = Arc::new(UnslewedClock::new());
        let Log { store, origin, centre: centre_id, key: log_key, promise_signer, sequencer } =
            Log::open(config, &clock).await?;
        let tls = tls::load(&config.http, &config.data)?;
        let web = listener::bind(config.http.listen)
            .with_context(|| format!("cannot listen on {} for HTTP", config.http.listen))?;
        let http = web.local_addr()?;
        let upstreams = Upstreams::new(&config.clock.upstreams);
        let own_clock = clock_job::first_state(&store, &config.clock, &upstreams, &*clock, centre_id).await?;
        let own_clock = Arc::new(own_clock);
        let announced = Arc::new(Published::new(own_clock.in_force().state.server));
        let listen = Listen { addresses: vec![config.ntp.listen], threads: config.ntp.threads.non_zero() };
        let ntp = Arc::new(Server::start(&listen, Arc::clone(&announced), Arc::new(SystemClock))?);
        let ntp_address = ntp.addresses().first().copied().unwrap_or(config.ntp.listen);
        let (stop, stopped) = watch::channel(false);
        let centre = Centre::new(Parts {
            clock: Arc::clone(&clock),
            site: Site {
                fingerprint: fingerprint(tls.as_ref().map_or(&[], |tls| &tls.public_key), &log_key),
                origin,
                centre: centre_id,
                log_key,
                promise_signer: Box::new(promise_signer),
                url: format!("{}://{http}", if tls.is_some() { "https" } else { "http" }),
                ntp_address,
                started: clock.read().wall,
            },
            own_clock: Arc::clone(&own_clock),
            time_service: Arc::new(Counters { ntp: Arc::clone(&ntp), upstreams: upstreams.clone() }),
            published: store.head(),
            stop: stopped.clone(),
            store: store.clone(),
        });
        centre
            .append_of_site(
                SITE_START,
                [("centre", centre_id.to_string()), ("version", env!("CARGO_PKG_VERSION").to_owned())],
            )
            .await?;
        let clock_job = ClockJob::start(
            Arc::clone(&centre),
            own_clock,
            announced,
            &upstreams,
            config.clock.poll_interval,
            clock,
        )?;
        let first_password = furnish(&centre, config).await?;
        let mut tasks = JoinSet::new();
        let router = angbu_http::router(Arc::clone(&centre), get(console::file));
        let tls = tls.map(|tls| tls.config);
        tasks.spawn(listener::serve(web, tls, router, Limits::CENTRE, stopped.clone()));
        jobs::spawn(&mut tasks, &centre, &stopped);
        Ok(Self {
            centre,
            http,
            first_password,
            start_token: None,
            stop,
            tasks,
            clock_job,
            ntp,
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
        let (id, secret) =
            self.centre.make_token(&start_holder(self.centre.site().centre), grant, None).await?;
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
        let centre = self.centre.site().centre.to_string();
        self.centre.append_of_site(STOPPED, [("centre", centre)]).await?;
        if !self.store.settle(LAST_ENTRIES).await? {
            tracing::warn!(
                "the last entries are durable but not yet in the log; the next start goes on with them"
            );
        }
        drop(self.sequencer);
        drop(self.ntp);
        Ok(())
    }
}

/// An open database with its log going on.
struct Log {
    store: Store,
    origin: String,
    centre: CentreId,
    key: VerifierKey,
    promise_signer: Ed25519Signer,
    sequencer: Sequencer,
}

impl Log {
    async fn open(config: &ServeConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let store = Store::open(&Options::new(&config.data), Arc::clone(clock))
            .with_context(|| format!("cannot open the site in {}", config.data.display()))?;
        let (origin, centre) = found(&store, config, &**clock).await?;
        let signer = Arc::new(store.signer(SigningKey::Log, &origin)?);
        let promise_signer = store.signer(SigningKey::Promise, &Promise::key_name(&origin))?;
        let key = signer.verifier_key();
        let sequencer = Sequencer::start(&store, signer, centre)?;
        Ok(Self { store, origin, centre, key, promise_signer, sequencer })
    }
}

/// Makes what the first start makes: an operator, whose one-time password is returned, and the configured customers.
async fn furnish(centre: &Centre, config: &ServeConfig) -> anyhow::Result<Option<Password>> {
    let name: Name = FIRST_OPERATOR.parse()?;
    let first_password = centre.first_operator(&name).await?;
    for customer in &config.customers {
        let wanted = customer.name.clone();
        let found = centre.store().read(move |snapshot| snapshot.customer_named(wanted.as_str())).await?;
        if found.is_none() {
            match centre.make_customer(&customer.name, customer.tolerance).await {
                // Another centre of the site was faster.
                Ok(_) | Err(angbu_store::StoreError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(first_password)
}

/// Makes the site at the first start, and counts this one.
async fn found(store: &Store, config: &ServeConfig, clock: &dyn Clock) -> anyhow::Result<(String, CentreId)> {
    let now = clock.read().wall;
    let origin = config.origin.clone();
    let (site, centre) = store
        .write(move |tx| {
            let mut rng = UnwrapErr(SysRng);
            let site = tx.found_site(&origin, now, &mut rng)?;
            let centre = tx.start_centre("centre", now, &mut rng)?;
            // A run of this centre that was killed could not take its token back; other centres' runs go on.
            tx.revoke_tokens_held_by(&start_holder(centre.id))?;
            Ok::<_, angbu_store::StoreError>((site, centre))
        })
        .await?;
    anyhow::ensure!(
        site.origin == config.origin,
        "this site's log is called {} and cannot change its name to {}; correct origin in the configuration",
        site.origin,
        config.origin
    );
    Ok((site.origin, centre.id))
}

/// The numbers of time server and upstreams.
struct Counters {
    ntp: Arc<Server>,
    upstreams: Upstreams,
}

impl TimeService for Counters {
    fn answered(&self) -> u64 {
        self.ntp.counts().answered
    }

    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.ntp.counts().dropped().into_iter().collect()
    }

    fn upstreams(&self) -> Vec<UpstreamState> {
        self.upstreams.states()
    }
}
