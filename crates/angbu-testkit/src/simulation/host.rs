//! A machine with an agent on it: the driver of the real cores.

use std::sync::Arc;

use angbu_time::agent::{Agent, Packets, Settings};
use angbu_time::discipline::{self, Correction, Discipline};
use angbu_time::kernel_clock::KernelClock;
use angbu_time::record::{Fact, PauseReason, Record, Software};
use angbu_time::sync::Policy;
use angbu_time::watch::{Generation, Keeper, Limits, Look, Memory};
use angbu_units::{Clock as _, Nanos, Ppb, Reading, UnixTime};

use super::network::{self, Asked, Leaping, Upstream};
use super::{Chance, Machine, Oscillator};

/// True time at the start of a simulation: 2026-11-21T22:05:21Z.
pub(super) const EPOCH: UnixTime = UnixTime::from_nanos(1_795_298_721_000_000_000);

/// How far the wall clock was from true time, when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// True time, UTC.
    pub at: UnixTime,
    /// Since the start.
    pub elapsed: Nanos,
    /// Wall clock minus true time.
    pub error: Nanos,
}

/// What the errors of a stretch of time amount to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The root of the mean square.
    pub rms: Nanos,
    /// The largest, without its sign.
    pub largest: Nanos,
}

/// What is called with an exchange, its record, and the truth of that instant.
pub type Witness = Box<dyn FnMut(&Asked, &Record, Point) + Send>;

/// A machine with an agent on it, the servers that it asks, and the truth.
pub struct Host {
    /// The machine.
    pub machine: Arc<Machine>,
    /// The servers; all of them are asked at each poll.
    pub upstreams: Vec<Upstream>,
    /// The agent.
    pub agent: Agent,
    /// What the agent recorded.
    pub records: Vec<Record>,
    /// The truth, at each check.
    pub truth: Vec<Point>,
    /// What the machine's hypervisor says of it.
    pub generation: Option<Generation>,
    /// A leap second, if there is one in this world.
    pub leaping: Option<Leaping>,
    /// How often the servers are asked.
    pub poll: Nanos,
    /// How often the clock is looked at.
    pub check: Nanos,
    /// What to call at each exchange that gave a record, with its truth.
    pub witness: Option<Witness>,
    /// What keeps the clock, in steer mode.
    pub discipline: Option<Discipline>,
    /// Every correction, and when since the start.
    pub corrections: Vec<(Nanos, Correction)>,
    chance: Chance,
    next_poll: Nanos,
}

impl Host {
    /// A host without servers: poll 16 s, check 1 s, tolerance 50 ms.
    pub fn new(seed: u64, oscillator: Oscillator) -> Self {
        Self::at(seed, oscillator, EPOCH)
    }

    /// The same, beginning at another true time.
    pub fn at(seed: u64, oscillator: Oscillator, epoch: UnixTime) -> Self {
        let machine = Arc::new(Machine::new(seed, oscillator, epoch));
        let poll = Nanos::from_secs(16);
        let (agent, start) = Agent::start(settings(poll), 1, true, look(&machine, machine.read()));
        Self {
            machine,
            upstreams: Vec::new(),
            agent,
            records: vec![start],
            truth: Vec::new(),
            generation: None,
            leaping: None,
            poll,
            check: Nanos::from_secs(1),
            witness: None,
            discipline: None,
            corrections: Vec::new(),
            chance: Chance::new(seed, 4),
            next_poll: Nanos::ZERO,
        }
    }

    /// One more server.
    #[must_use]
    pub fn with(mut self, upstream: Upstream) -> Self {
        self.upstreams.push(upstream);
        self
    }

    /// The agent keeps the clock by all servers that were added.
    #[must_use]
    pub fn steering(mut self) -> Self {
        let frequency = KernelClock::state(&*self.machine).map_or(Ppb::new(0), |state| state.frequency);
        let settings = discipline::Settings::new(self.poll);
        self.discipline = Some(Discipline::start(settings, self.upstreams.len(), frequency));
        // Nobody but the agent may touch the clock now.
        let mut watching = self::settings(self.poll);
        watching.limits.keeper = Keeper::Nobody;
        let (agent, start) = Agent::start(watching, 1, true, look(&self.machine, self.machine.read()));
        (self.agent, self.records) = (agent, vec![start]);
        self
    }

    /// Another interval between polls; before [`Self::steering`].
    #[must_use]
    pub fn polling(mut self, poll: Nanos) -> Self {
        self.poll = poll;
        self
    }

    /// Lets true time pass: checks and polls when they are due.
    pub fn run(&mut self, length: Nanos) {
        let until = self.machine.elapsed() + length;
        while self.machine.elapsed() < until {
            if self.machine.elapsed() >= self.next_poll {
                self.ask_all();
                self.steer();
                let eager = self.discipline.as_ref().is_some_and(Discipline::is_eager);
                let interval = if eager { self.poll.min(Nanos::from_secs(2)) } else { self.poll };
                let spread = self.chance.between(0.95, 1.05);
                self.next_poll =
                    self.machine.elapsed() + Nanos::new((interval.count() as f64 * spread) as i64);
            }
            self.machine.advance(self.check.min(until - self.machine.elapsed()));
            if let Some(discipline) = &mut self.discipline {
                discipline.on_check(self.machine.read());
            }
            self.look();
            let point = self.point();
            self.truth.push(point);
        }
    }

    /// How far the wall clock is from true time now.
    pub fn point(&self) -> Point {
        let at = Leaping::utc(self.leaping, self.machine.atomic());
        Point { at, elapsed: self.machine.elapsed(), error: self.machine.wall() - at }
    }

    /// What the errors from an instant on, since the start, amount to.
    pub fn errors_since(&self, elapsed: Nanos) -> Statistics {
        let errors = self.truth.iter().filter(|point| point.elapsed >= elapsed).map(|point| point.error);
        let (mut squares, mut count, mut largest) = (0.0, 0.0, Nanos::ZERO);
        for error in errors {
            squares += (error.count() as f64).powi(2);
            count += 1.0;
            largest = largest.max(error.abs());
        }
        Statistics { rms: Nanos::new((squares / f64::max(count, 1.0)).sqrt() as i64), largest }
    }

    /// How many alarms were recorded.
    pub fn alarms(&self) -> usize {
        self.records.iter().filter(|record| matches!(record.fact, Fact::Alarm(_))).count()
    }

    /// How many exchanges were recorded.
    pub fn exchanges(&self) -> usize {
        self.records.iter().filter(|record| matches!(record.fact, Fact::Exchange(_))).count()
    }

    /// Asks the server of this place, past the agent; true time passes. None when nothing came back.
    pub fn ask(&mut self, place: usize) -> Option<Asked> {
        let upstream = self.upstreams.get_mut(place)?;
        network::ask(upstream, &self.machine, &mut self.chance, self.leaping)
    }

    fn looked(&self, reading: Reading) -> Look {
        Look { generation: self.generation, ..look(&self.machine, reading) }
    }

    /// The agent looks at the clock.
    pub fn look(&mut self) {
        let now = self.looked(self.machine.read());
        let found = self.agent.on_check(now);
        let paused = |record: &Record| match &record.fact {
            Fact::Pause(pause) => pause.reason != PauseReason::Stopped,
            _ => false,
        };
        if let Some(discipline) = self.discipline.as_mut().filter(|_| found.iter().any(paused)) {
            discipline.on_pause();
        }
        self.records.extend(found);
    }

    /// What the agent itself has just done to the clock.
    pub fn corrected(&mut self) {
        let now = self.looked(self.machine.read());
        self.agent.on_corrected(now);
    }

    /// The agent ends without a word, and another run begins with what this one remembered. Returns how many alarms it begins
    /// with.
    pub fn restart(&mut self, memory: &Memory, boot: [u8; 16]) -> usize {
        let now = self.looked(self.machine.read());
        let (agent, start) = Agent::start(settings(self.poll), self.agent.next_seq(), false, now);
        self.agent = agent;
        self.records.push(start);
        let before = self.alarms();
        let found = self.agent.recall(memory, boot);
        self.records.extend(found);
        self.alarms() - before
    }

    /// Corrects the clock as the discipline says, as an agent's shell does.
    fn steer(&mut self) {
        if self.discipline.is_none() {
            return;
        }
        self.look();
        let now = self.machine.read();
        let Some(correction) = self.discipline.as_mut().and_then(|discipline| discipline.correct(now)) else {
            return;
        };
        let records = self.agent.on_correction(&correction, now);
        self.records.extend(records);
        let at_most = discipline::Settings::new(self.poll).slew_at_most;
        correction.apply(&*self.machine, at_most).expect("broken invariant: a simulated kernel obeys");
        self.corrected();
        self.corrections.push((self.machine.elapsed(), correction));
    }

    /// The agent asks every server; true time passes.
    pub fn ask_all(&mut self) {
        for place in 0..self.upstreams.len() {
            let Some(asked) = self.ask(place) else { continue };
            let packets = Packets {
                server: Upstream::id(place),
                request: &asked.request,
                reply: &asked.reply,
                sent: asked.sent,
                received: asked.received,
            };
            let seen = self.looked(asked.now);
            let outcome = if place == 0 {
                self.agent.on_reply(&packets, seen)
            } else if self.discipline.is_some() {
                self.agent.on_other_reply(&packets, seen)
            } else {
                self.agent.on_reply(&packets, seen)
            };
            for record in &outcome.records {
                if let (Fact::Exchange(measured), Some(discipline)) = (&record.fact, &mut self.discipline) {
                    discipline.on_exchange(place, &measured.exchange, record.seq, asked.now);
                }
            }
            let point = self.point();
            for record in &outcome.records {
                if let (Fact::Exchange(_), Some(witness)) = (&record.fact, &mut self.witness) {
                    witness(&asked, record, point);
                }
            }
            self.records.extend(outcome.records);
        }
    }
}

/// A look at a simulated machine, as an agent's shell takes it: both clocks, its suspension, and what its kernel says.
pub fn look(machine: &Machine, reading: Reading) -> Look {
    Look {
        noise: machine.reading_noise(),
        suspended: machine.suspended(),
        kernel: machine.state().ok(),
        ..Look::from(reading)
    }
}

fn settings(poll: Nanos) -> Settings {
    Settings {
        manner: angbu_time::record::Manner { nts: true, steers: false },
        policy: Policy::with_tolerance(Nanos::from_millis(50)),
        limits: Limits::default(),
        poll,
        software: Software::new("simulation/1").expect("broken invariant: it is short and visible"),
    }
}
