//! What the centre's clock is measured against: NTP servers, plain or protected, and a reference clock beside the machine. Each
//! kind is asked on a thread of its own; the newest answers are kept for whoever looks, and summed up for the log of days.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ClientConfig;

use angbu_agent::Stop;
use angbu_client::Trust;
use angbu_http::{OwnClock, Seen, UpstreamReading, UpstreamState};
use angbu_time::centre_clock::{MAX_UPSTREAMS, SourceReading, State, Upstream};
use angbu_units::{Clock, ClockVerdict, Nanos, Reading};

use crate::config::{ClockConfig, UpstreamAddress};
use crate::ntp::upstream::{self, MeasureError, Measurement, ProtectedUpstream};
use crate::reference::{Reference, Told};

/// How long an upstream may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a reference clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// After how many looks in vain it is told again that a reference clock says nothing.
const TOLD_AGAIN: u32 = 60;

/// What the clock is measured against, and what each of it last said. Clones share it.
#[derive(Clone)]
pub(crate) struct Upstreams(Arc<Mutex<Sources>>);

struct Sources {
    /// The reference clock first, if there is one.
    states: Vec<UpstreamState>,
    known: Vec<Upstream>,
    seen: BTreeMap<String, Seen>,
}

/// How one server is asked.
enum Way {
    Plain(String),
    Protected(Box<ProtectedUpstream>),
}

impl Upstreams {
    /// What is configured, at most [`MAX_UPSTREAMS`]; nothing has been asked yet.
    pub(crate) fn new(config: &ClockConfig) -> Self {
        let reference = Reference::configured(config);
        let servers = config.upstreams.iter().map(|server| Upstream {
            name: server.to_string(),
            reference_id: [0; 4],
            kind: angbu_time::centre_clock::SourceKind::Server,
        });
        let known: Vec<_> =
            reference.iter().map(Reference::as_source).chain(servers).take(MAX_UPSTREAMS).collect();
        let state = |source: &Upstream| UpstreamState {
            address: source.name.clone(),
            newest: None,
            reachable: false,
        };
        let states = known.iter().map(state).collect();
        Self(Arc::new(Mutex::new(Sources { states, known, seen: BTreeMap::new() })))
    }

    /// As the watch over the clock knows them.
    pub(crate) fn names(&self) -> Vec<Upstream> {
        self.sources().known.clone()
    }

    /// What each last said.
    pub(crate) fn states(&self) -> Vec<UpstreamState> {
        self.sources().states.clone()
    }

    /// What was seen of each since this was last asked.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.sources().seen).into_values().collect()
    }

    /// Sums up a look at the centre's own clock.
    pub(crate) fn note_own(&self, state: &State) {
        let shown = state.verdict != ClockVerdict::Unproven;
        let figures = shown.then_some((Nanos::ZERO, state.error_bound, state.server.stratum));
        add(&mut self.sources().seen, "", figures);
    }

    /// Asks everything again and again until `stop`, and lets the watch over the clock know what it said.
    pub(crate) fn start(
        &self,
        own_clock: &Arc<OwnClock>,
        clock: &Arc<dyn Clock>,
        config: &ClockConfig,
        stop: &Stop,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let mut threads = Vec::new();
        let mut first = 0;
        if let Some(reference) = Reference::configured(config) {
            first = 1;
            let asking = Asking::of(self, own_clock, clock, stop);
            threads.push(
                std::thread::Builder::new()
                    .name("reference".into())
                    .spawn(move || asking.watch_reference(reference))
                    .context("cannot start the thread that reads the reference clock")?,
            );
        }
        let mut ways = ways(config)?;
        if !ways.is_empty() {
            let asking = Asking::of(self, own_clock, clock, stop);
            let interval = config.poll_interval.to_duration();
            threads.push(
                std::thread::Builder::new()
                    .name("upstreams".into())
                    .spawn(move || {
                        loop {
                            asking.ask_all(first, &mut ways);
                            if asking.stop.wait_for(interval) {
                                return;
                            }
                        }
                    })
                    .context("cannot start the thread that asks the upstreams")?,
            );
        }
        Ok(threads)
    }

    fn note(&self, index: usize, reading: Option<UpstreamReading>) {
        let mut sources = self.sources();
        let Some(state) = sources.states.get_mut(index) else { return };
        state.reachable = reading.is_some();
        state.newest = reading.or(state.newest);
        let name = state.address.clone();
        let figures = reading.map(|reading| (reading.offset, reading.bound, reading.stratum));
        add(&mut sources.seen, &name, figures);
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds one look to a sum: offset, bound and stratum where it showed something.
fn add(seen: &mut BTreeMap<String, Seen>, source: &str, figures: Option<(Nanos, Nanos, u8)>) {
    let sum = seen
        .entry(source.to_owned())
        .or_insert_with(|| Seen { source: source.to_owned(), ..Seen::default() });
    sum.asked += 1;
    let Some((offset, bound, stratum)) = figures else { return };
    if sum.answered == 0 {
        (sum.offset_min, sum.offset_max) = (offset, offset);
    }
    sum.answered += 1;
    sum.offset_min = sum.offset_min.min(offset);
    sum.offset_max = sum.offset_max.max(offset);
    sum.bound_max = sum.bound_max.max(bound);
    sum.stratum = sum.stratum.max(stratum);
}

/// The ways of the configured servers, in their order.
fn ways(config: &ClockConfig) -> anyhow::Result<Vec<Way>> {
    let mut tls: Option<Arc<ClientConfig>> = None;
    let mut ways = Vec::with_capacity(config.upstreams.len());
    for UpstreamAddress { server, protected } in config.upstreams.iter().take(MAX_UPSTREAMS) {
        if !protected {
            ways.push(Way::Plain(server.clone()));
            continue;
        }
        let shared = match &tls {
            Some(tls) => Arc::clone(tls),
            None => Arc::clone(tls.insert(Arc::new(trust(config)?.for_nts()?))),
        };
        ways.push(Way::Protected(Box::new(ProtectedUpstream::new(server, shared))));
    }
    Ok(ways)
}

/// Whose certificates the upstreams that speak NTS may show.
fn trust(config: &ClockConfig) -> anyhow::Result<Trust> {
    let Some(path) = &config.certificate_authorities else { return Ok(Trust::Public) };
    let pem = std::fs::read(path)
        .with_context(|| format!("cannot read [clock] certificate_authorities {}", path.display()))?;
    Ok(Trust::authorities(&pem)?)
}

/// What each asking thread has.
struct Asking {
    upstreams: Upstreams,
    own_clock: Arc<OwnClock>,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

impl Asking {
    fn of(upstreams: &Upstreams, own_clock: &Arc<OwnClock>, clock: &Arc<dyn Clock>, stop: &Stop) -> Self {
        Self {
            upstreams: upstreams.clone(),
            own_clock: Arc::clone(own_clock),
            clock: Arc::clone(clock),
            stop: stop.clone(),
        }
    }

    fn ask_all(&self, first: usize, ways: &mut [Way]) {
        for (place, way) in ways.iter_mut().enumerate() {
            let give_up = || self.stop.is_requested();
            let answer = match way {
                Way::Plain(server) => upstream::measure(server, PATIENCE, &*self.clock, &give_up),
                Way::Protected(server) => server.measure(PATIENCE, &*self.clock, &give_up),
            };
            if self.stop.is_requested() {
                return;
            }
            self.note_answer(first + place, &answer);
        }
    }

    fn note_answer(&self, index: usize, answer: &Result<Measurement, MeasureError>) {
        match answer {
            Ok(Measurement { address, exchange }) => {
                let reference_id = upstream::reference_id(address.ip());
                self.own_clock.measured(index, reference_id, SourceReading::from(exchange));
                let reading = UpstreamReading {
                    at: exchange.at(),
                    stratum: exchange.source().stratum,
                    offset: exchange.offset(),
                    delay: exchange.delay(),
                    bound: exchange.bound(),
                };
                self.upstreams.note(index, Some(reading));
            }
            Err(error) => {
                tracing::info!(upstream = index, %error, "an upstream gave no usable answer");
                self.upstreams.note(index, None);
            }
        }
    }

    /// Reads the reference clock again and again. It is the first of the sources.
    fn watch_reference(&self, mut reference: Reference) {
        let mut in_vain = 0_u32;
        loop {
            let now = self.clock.read();
            let others = || self.own_clock.agreed_without(0, now);
            match reference.look(now, &others) {
                Ok(told) => {
                    if in_vain > 0 {
                        tracing::warn!("the reference clock says something again");
                    }
                    in_vain = 0;
                    self.note_told(&told, now);
                }
                Err(error) => {
                    if in_vain.is_multiple_of(TOLD_AGAIN) {
                        tracing::warn!(%error, "the reference clock says nothing");
                    }
                    in_vain = in_vain.saturating_add(1);
                    self.upstreams.note(0, None);
                }
            }
            if self.stop.wait_for(LOOK) {
                return;
            }
        }
    }

    fn note_told(&self, told: &Told, now: Reading) {
        let Told { shown, reference_id } = told;
        self.own_clock.measured(0, *reference_id, *shown);
        let reading = UpstreamReading {
            at: now.wall + shown.offset,
            stratum: shown.stratum,
            offset: shown.offset,
            delay: shown.delay,
            bound: shown.bound,
        };
        self.upstreams.note(0, Some(reading));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_summed_up() {
        let mut seen = BTreeMap::new();
        let figures = |offset, bound| Some((Nanos::new(offset), Nanos::new(bound), 2));
        for figures in [None, figures(-5, 10), None, figures(-3, 40), figures(-4, 20)] {
            add(&mut seen, "ntp1.example", figures);
        }
        let expected = Seen {
            source: "ntp1.example".to_owned(),
            asked: 5,
            answered: 3,
            offset_min: Nanos::new(-5),
            offset_max: Nanos::new(-3),
            bound_max: Nanos::new(40),
            stratum: 2,
        };
        assert_eq!(seen.into_values().collect::<Vec<_>>(), [expected]);
    }
}
