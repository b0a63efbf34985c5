//! The upstreams of a centre: asked on a thread of their own, their newest answers kept for whoever looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use angbu_agent::Stop;
use angbu_http::{OwnClock, UpstreamReading, UpstreamState};
use angbu_time::centre_clock::{MAX_UPSTREAMS, Upstream};
use angbu_units::{Clock, Nanos};

use crate::ntp::upstream::{self, MeasureError, Measurement};

/// How long an upstream may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The configured upstreams and what they last said. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams(Arc<Mutex<Vec<UpstreamState>>>);

impl Upstreams {
    /// These servers, at most [`MAX_UPSTREAMS`]; none has been asked yet.
    pub(crate) fn new(servers: &[String]) -> Self {
        let state =
            |server: &String| UpstreamState { address: server.clone(), newest: None, reachable: false };
        Self(Arc::new(Mutex::new(servers.iter().take(MAX_UPSTREAMS).map(state).collect())))
    }

    /// As the watch over the clock knows them.
    pub(crate) fn names(&self) -> Vec<Upstream> {
        let name = |state: UpstreamState| Upstream { name: state.address, reference_id: [0; 4] };
        self.states().into_iter().map(name).collect()
    }

    /// What each last said.
    pub(crate) fn states(&self) -> Vec<UpstreamState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks each upstream again and again until `stop`, and lets the watch over the clock know what it said.
    pub(crate) fn start(
        &self,
        own_clock: Arc<OwnClock>,
        clock: Arc<dyn Clock>,
        interval: Nanos,
        stop: Stop,
    ) -> anyhow::Result<JoinHandle<()>> {
        let upstreams = self.clone();
        std::thread::Builder::new()
            .name("upstreams".into())
            .spawn(move || {
                loop {
                    upstreams.ask_all(&own_clock, &*clock, &stop);
                    if stop.wait_for(interval.to_duration()) {
                        return;
                    }
                }
            })
            .context("cannot start the thread that asks the upstreams")
    }

    fn ask_all(&self, own_clock: &OwnClock, clock: &dyn Clock, stop: &Stop) {
        for (index, state) in self.states().into_iter().enumerate() {
            let answer = upstream::measure(&state.address, PATIENCE, clock, &|| stop.is_requested());
            if stop.is_requested() {
                return;
            }
            if let Ok(measured) = &answer {
                let reference_id = upstream::reference_id(measured.address.ip());
                own_clock.measured(index, reference_id, measured.exchange);
            }
            self.note(index, &answer);
        }
    }

    fn note(&self, index: usize, answer: &Result<Measurement, MeasureError>) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = states.get_mut(index) else { return };
        state.reachable = answer.is_ok();
        match answer {
            Ok(Measurement { exchange, .. }) => {
                state.newest = Some(UpstreamReading {
                    at: exchange.at(),
                    stratum: exchange.source().stratum,
                    offset: exchange.offset(),
                    delay: exchange.delay(),
                    bound: exchange.bound(),
                });
            }
            Err(error) => {
                tracing::info!(upstream = state.address, %error, "an upstream gave no usable answer")
            }
        }
    }
}
