//! Witnesses (C2SP `tlog-witness`), from both sides: `angbu witness`, a process of its own that watches logs and
//! cosigns what they show, and the job by which a centre asks its witnesses.
//!
//! A log shows its newest checkpoint and that it grew from the one that the witness cosigned last; the witness keeps
//! it on its disk, and then cosigns it. A log that has signed two histories is caught here, and the proof is kept.

mod ask;
mod config;
mod keeper;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use angbu_evidence::note::VerifierKey;
use angbu_units::Clock;

pub(crate) use ask::ask;
pub use config::WitnessConfig;
pub use keeper::{Keeper, KeeperError, WitnessEvent};

use crate::listener::{self, Limits};
use crate::tls;

/// What is told of a witness's run.
pub type WitnessEvents = Arc<dyn Fn(&WitnessEvent) + Send + Sync>;

/// A running witness.
pub struct RunningWitness {
    keeper: Arc<Keeper>,
    http: SocketAddr,
    speaks_tls: bool,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningWitness {
    /// Opens the folder and listens; returns when the witness answers.
    ///
    /// # Errors
    /// What could not be opened, bound, read or written, in words.
    pub async fn start(
        config: &WitnessConfig,
        clock: Arc<dyn Clock>,
        events: WitnessEvents,
    ) -> anyhow::Result<Self> {
        config.check()?;
        let keeper = Arc::new(Keeper::open(&config.data, config.name.as_deref(), &config.logs, clock)?);
        let tls = tls::load(&config.http, &config.data)?.map(|tls| Arc::new(tls.config));
        let speaks_tls = tls.is_some();
        let web = listener::bind(config.http.listen)
            .with_context(|| format!("cannot listen on {} for HTTP", config.http.listen))?;
        let http = web.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let router = routes::router(Arc::clone(&keeper), events);
        let task = tokio::spawn(listener::serve(web, tls, router, Limits::WITNESS, stopped));
        Ok(Self { keeper, http, speaks_tls, stop, task })
    }

    /// Where it listens, as `http://…` or `https://…`.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.speaks_tls { "https" } else { "http" }, self.http)
    }

    /// The key that verifies its cosignatures.
    pub fn key(&self) -> VerifierKey {
        self.keeper.key()
    }

    /// The names of the logs that it serves.
    pub fn origins(&self) -> Vec<String> {
        self.keeper.origins()
    }

    /// Ends everything in order.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        // A task that panicked has said so already.
        let _ = self.task.await;
    }
}
