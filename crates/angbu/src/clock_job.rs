//! Watches this centre's own clock: looks at it every second, reads the kernel, and writes an entry whenever what can
//! be said of the clock has changed. The upstreams are asked beside it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use angbu_agent::Stop;
use angbu_http::{Centre, InForce, OwnClock, clock_history, clock_state_entry, clock_state_row};
use angbu_store::Store;
use angbu_time::centre_clock::{CentreClock, Local, Settings};
use angbu_time::watch::Finding;
use angbu_units::{CentreId, Clock, Nanos};

use crate::config::{ClockConfig, Reference};
use crate::upstreams::Upstreams;
use angbu_agent::machine::{Looks as _, Machine};
use angbu_agent::ntp::precision::precision;
use angbu_agent::ntp::server::Published;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the clock for the first time and writes down what can be said of it: every later entry rests on that.
pub(crate) async fn first_state(
    store: &Store,
    config: &ClockConfig,
    upstreams: &Upstreams,
    machine: &Arc<Machine>,
    centre: CentreId,
) -> anyhow::Result<OwnClock> {
    let mut settings = Settings::new(precision(&**machine));
    settings.upstreams = upstreams.names();
    settings.patience = config.poll_interval.times(4).max(Nanos::from_secs(60));
    let declared = config.reference.filter(|reference| *reference == Reference::Declared);
    settings.local = declared.map(|_| Local {
        name: "this machine's own clock".to_owned(),
        stratum: config.stratum.count(),
        bound: config.declared_bound,
    });
    let history = store.read(clock_history).await?;
    let look = machine.look();
    let now = look.reading;
    let watch = CentreClock::start(settings, look);
    let state = watch.state(now);
    let (draft, body) = clock_state_entry(&state, centre, now)?;
    let entry = draft.id;
    let row = clock_state_row(&state, centre, entry, now.wall);
    store
        .write(move |tx| {
            tx.append(&draft, &body)?;
            tx.insert_clock_state(&row)
        })
        .await?;
    let machine = Arc::clone(machine);
    Ok(OwnClock::new(watch, InForce { state, entry, since: now.wall }, history, move || machine.look()))
}

/// The running job.
pub(crate) struct ClockJob {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl ClockJob {
    /// Starts to watch, and to ask the upstreams.
    pub(crate) fn start(
        centre: Arc<Centre>,
        own_clock: Arc<OwnClock>,
        announced: Arc<Published>,
        upstreams: &Upstreams,
        config: &ClockConfig,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let stop = Stop::new();
        let mut threads = upstreams.start(&own_clock, &clock, config, &stop)?;
        let watcher = Watcher { centre, own_clock, announced, upstreams: upstreams.clone() };
        let until = stop.clone();
        let watching = std::thread::Builder::new()
            .name("clock".into())
            .spawn(move || {
                loop {
                    watcher.look();
                    if until.wait_for(LOOK) {
                        return;
                    }
                }
            })
            .context("cannot start the thread that watches the clock")?;
        threads.push(watching);
        Ok(Self { stop, threads })
    }

    /// Ends the job and waits for its end.
    pub(crate) fn stop(self) {
        self.stop.request();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread that watches the clock had panicked");
            }
        }
    }
}

struct Watcher {
    centre: Arc<Centre>,
    own_clock: Arc<OwnClock>,
    announced: Arc<Published>,
    upstreams: Upstreams,
}

impl Watcher {
    fn look(&self) {
        let (findings, now, state) = self.own_clock.look();
        for finding in findings {
            match finding {
                Finding::Alarm { kind, difference, .. } => {
                    tracing::warn!(kind = kind.word(), %difference, "this machine's clock was moved");
                }
                Finding::PutRight { difference, .. } => {
                    tracing::warn!(%difference, "this machine's time service set its clock");
                }
                Finding::Pause { length, reason } => {
                    tracing::info!(reason = reason.word(), %length, "nobody watched this machine's clock");
                }
            }
        }
        self.upstreams.note_own(&state);
        self.announced.set(state.server);
        let in_force = self.own_clock.in_force();
        if !state.differs_from(&in_force.state) {
            return;
        }
        let seam = self.own_clock.seam(now);
        match self.centre.append_clock_state(&state, now) {
            Ok(entry) => {
                tracing::info!(verdict = %state.verdict, reason = state.reason.code(), "the clock's state changed");
                self.own_clock.set(InForce { state, entry, since: seam.from }, seam);
                self.centre.clock_changed();
            }
            Err(error) => {
                tracing::warn!(%error, "the clock's state cannot be written down; tried again in a second")
            }
        }
    }
}
