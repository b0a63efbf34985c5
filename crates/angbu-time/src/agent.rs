//! The agent's pure core: what happens to a clock goes in, records come out.
//!
//! The shell reads the clocks, exchanges packets, and stores and sends what comes out of here; the simulator is another such shell.

use angbu_units::{Monotonic, Nanos, NtpServerId, Reading, UnixTime};

use crate::correction::{Correction, CorrectionKind, Corrections, MAX_CORRECTIONS};
use crate::discipline;
use crate::exchange::{Exchange, Refusal};
use crate::periods;
use crate::record::{
    Alarm, AlarmKind, Dropped, Fact, Manner, Measured, Pause, PauseReason, Record, Software, Start, Stop,
    When,
};
use crate::sync::{Judgement, Policy, Sync};
use crate::watch::{Finding, Limits, Look, Memory, Shown, Undo, Watch};

/// For how long corrections are recorded together.
const TOGETHER: Nanos = Nanos::from_secs(300);

/// How an agent works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What counts as steady and as in sync.
    pub policy: Policy,
    /// What a clock is allowed before an alarm.
    pub limits: Limits,
    /// How often the server is asked.
    pub poll: Nanos,
    /// Whether the centre's time is taken under NTS, and whether the clock is kept by it.
    pub manner: Manner,
    /// What runs.
    pub software: Software,
}

/// The packets of one exchange and the client's two instants.
#[derive(Debug, Clone, Copy)]
pub struct Packets<'a> {
    /// With whom.
    pub server: NtpServerId,
    /// The request as it was sent.
    pub request: &'a [u8],
    /// The reply as it arrived.
    pub reply: &'a [u8],
    /// T1, when the request left.
    pub sent: UnixTime,
    /// T4, when the reply arrived.
    pub received: UnixTime,
}

/// What came of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Records to keep: an alarm, an exchange, both or none.
    pub records: Vec<Record>,
    /// Why there is no exchange among them, if there is none.
    pub refused: Option<Unusable>,
}

/// Why a reply gave no record of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The reply itself.
    #[error(transparent)]
    Reply(#[from] Refusal),
    /// The clock was moved since the request left, so that its four instants do not belong together.
    #[error("this machine's clock was moved during the exchange")]
    ClockMoved,
}

/// What is known of the clock just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The last exchange, unless the clock was moved since.
    pub last: Option<Exchange>,
    /// Its judgement.
    pub judgement: Judgement,
}

/// One run of an agent.
#[derive(Debug, Clone)]
pub struct Agent {
    settings: Settings,
    next_seq: u64,
    watch: Watch,
    sync: Sync,
    server: Option<NtpServerId>,
    status: Status,
    /// What the centre's clock showed, the monotonic clock with it, and how far that can be wrong, at the last exchange.
    centre: Option<(UnixTime, Monotonic, Nanos)>,
    /// Corrections that are not on record yet.
    corrections: Vec<(Correction, Monotonic)>,
}

impl Agent {
    /// Starts a run: nothing is shown yet. `next_seq` is the number of its first record, the start itself;
    /// `clean` says whether the run before ended with its stop on record.
    pub fn start(settings: Settings, next_seq: u64, clean: bool, now: impl Into<Look>) -> (Self, Record) {
        let look = now.into();
        let now = look.reading;
        let mut agent = Self {
            watch: Watch::start(settings.limits, look),
            next_seq,
            sync: Sync::new(),
            server: None,
            status: Status { last: None, judgement: Judgement::NONE },
            centre: None,
            corrections: Vec::new(),
            settings,
        };
        let (poll, software) = (agent.settings.poll, agent.settings.software.clone());
        let manner = Some(agent.settings.manner);
        let start = Start { at: agent.when(now), poll, clean, manner, software };
        let record = agent.record(Fact::Start(start));
        (agent, record)
    }

    /// What the run before left behind: whether the clock was moved since. Right after the start. `boot` differs from one start
    /// of the machine to the next.
    pub fn recall(&mut self, memory: &Memory, boot: [u8; 16]) -> Vec<Record> {
        let now = self.watch.last().reading;
        let finding = self.watch.recall(memory, boot);
        self.tell(finding, now)
    }

    /// What the next run should know of this one, as of the last look.
    pub fn memory(&self, boot: [u8; 16]) -> Memory {
        let now = self.watch.last().reading;
        let shown = self.server.zip(self.centre).map(|(server, (time, then, bound))| {
            let age = now.monotonic - then;
            (server, time + age - now.wall, bound + periods::DRIFT.over(age))
        });
        self.watch.memory(boot, shown)
    }

    /// A reply arrived. `now` is read after it; the clock is checked first, since an exchange with a clock
    /// that was moved meanwhile says nothing.
    pub fn on_reply(&mut self, packets: &Packets<'_>, now: impl Into<Look>) -> Outcome {
        let look = now.into();
        let mut records = self.on_check(look);
        if records.iter().any(|record| matches!(record.fact, Fact::Alarm(_))) {
            return Outcome { records, refused: Some(Unusable::ClockMoved) };
        }
        match Exchange::read(packets.request, packets.reply, packets.sent, packets.received) {
            Ok(exchange) => {
                records.extend(self.on_exchange(packets.server, exchange, look.reading));
                Outcome { records, refused: None }
            }
            Err(refusal) => Outcome { records, refused: Some(refusal.into()) },
        }
    }

    /// The regular look at the clock, about once a second and before anything that relies on it.
    pub fn on_check(&mut self, now: impl Into<Look>) -> Vec<Record> {
        let look = now.into();
        let findings = self.watch.check(look);
        self.tell(findings, look.reading)
    }

    /// This agent itself has just changed the clock or the kernel's state. [`Self::on_check`] must have been called right before
    /// the change, and `now` is read right after it.
    pub fn on_corrected(&mut self, now: impl Into<Look>) {
        self.watch.corrected(now.into());
    }

    /// What would put the clock back to where it would be if nobody had touched it, since this was last asked: for
    /// `on_tamper = "restore"`.
    pub fn take_undo(&mut self) -> Option<Undo> {
        self.watch.take_undo()
    }

    /// The centre has records of this agent that the agent itself does not know: it was put back to an earlier state.
    pub fn on_rolled_back(&mut self, now: Reading) -> Vec<Record> {
        let alarm = Finding::Alarm { kind: AlarmKind::Restored, difference: Nanos::ZERO, since: Nanos::ZERO };
        self.tell([alarm], now)
    }

    /// A reply of a server that is not the centre: its exchange is recorded, and shows nothing of being in sync with the centre.
    pub fn on_other_reply(&mut self, packets: &Packets<'_>, now: impl Into<Look>) -> Outcome {
        let mut records = self.on_check(now);
        if records.iter().any(|record| matches!(record.fact, Fact::Alarm(_))) {
            return Outcome { records, refused: Some(Unusable::ClockMoved) };
        }
        match Exchange::read(packets.request, packets.reply, packets.sent, packets.received) {
            Ok(exchange) => {
                let (server, poll) = (packets.server, self.settings.poll);
                let measured = Measured { server, exchange, judgement: Judgement::NONE, poll };
                records.push(self.record(Fact::Exchange(measured)));
                Outcome { records, refused: None }
            }
            Err(refusal) => Outcome { records, refused: Some(refusal.into()) },
        }
    }

    /// The agent has corrected the clock, or armed a leap second. A step is recorded at once, with the slews before it; slews are
    /// recorded together, [`MAX_CORRECTIONS`] or five minutes of them.
    pub fn on_correction(&mut self, made: &discipline::Correction, now: Reading) -> Option<Record> {
        let discipline::Correction { kind, amount, frequency, rests_on, .. } = *made;
        let at = self.when(now).best();
        self.corrections.push((Correction { at, kind, amount, frequency, rests_on }, now.monotonic));
        let full = self.corrections.len() >= MAX_CORRECTIONS;
        let old = self.corrections.first().is_some_and(|(_, then)| now.monotonic - *then >= TOGETHER);
        let told = matches!(kind, CorrectionKind::Step | CorrectionKind::LeapArmed);
        if full || old || told { self.tell_corrections(now) } else { None }
    }

    fn tell_corrections(&mut self, now: Reading) -> Option<Record> {
        let made: Vec<_> = self.corrections.drain(..).map(|(made, _)| made).collect();
        let corrections = Corrections { at: self.when(now), made };
        (!corrections.made.is_empty()).then(|| self.record(Fact::Corrections(corrections)))
    }

    /// The server has not answered for longer than its exchanges cover: nothing is in sync any more.
    pub fn on_silence(&mut self) {
        self.nothing_is_shown();
    }

    /// Records from `first` to `last`, the newest that were made, are lost and were never sent. The record of that takes
    /// their place, so that it carries their numbers and not one of its own.
    pub fn dropped(&self, first: u64, last: u64, now: Reading) -> Record {
        Record { seq: first, fact: Fact::Dropped(Dropped { at: self.when(now), last }) }
    }

    /// The run ends in good order.
    pub fn on_stop(mut self, now: impl Into<Look>) -> Vec<Record> {
        let look = now.into();
        let mut records = self.on_check(look);
        records.extend(self.tell_corrections(look.reading));
        let stop = Stop { at: self.when(look.reading) };
        records.push(self.record(Fact::Stop(stop)));
        records
    }

    /// The customer's tolerance, as the centre last said it.
    pub fn set_tolerance(&mut self, tolerance: Nanos) {
        self.settings.policy.tolerance = tolerance;
    }

    /// What is known of the clock just now.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The number of the next record.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The centre's clock, reckoned from the last exchange with the monotonic clock; before the first exchange
    /// it is this machine's own.
    pub fn centre_time(&self, now: Reading) -> UnixTime {
        self.when(now).best()
    }

    fn on_exchange(&mut self, server: NtpServerId, exchange: Exchange, now: Reading) -> Vec<Record> {
        let (offset, bound) = (exchange.offset(), exchange.bound());
        let leap = exchange.source().leap;
        let findings = self.watch.shown(Shown { server, offset, bound, leap });
        let mut records = self.tell(findings, now);
        if self.server.replace(server) != Some(server) {
            self.sync = Sync::new();
        }
        let judgement = self.sync.judge(&exchange, &self.settings.policy);
        self.status = Status { last: Some(exchange), judgement };
        self.centre = Some((now.wall + offset, now.monotonic, bound));
        let measured = Measured { server, exchange, judgement, poll: self.settings.poll };
        records.push(self.record(Fact::Exchange(measured)));
        records
    }

    /// The records of what was found. After an alarm nothing is shown, nor after a pause in which the machine itself stood still.
    fn tell(&mut self, findings: impl IntoIterator<Item = Finding>, now: Reading) -> Vec<Record> {
        let at = self.when(now);
        let fact = |finding| match finding {
            Finding::Alarm { kind, difference, since } => {
                Some(Fact::Alarm(Alarm { at, kind, difference, since }))
            }
            Finding::Pause { length, reason } => Some(Fact::Pause(Pause { at, length, reason })),
            Finding::PutRight { .. } => None,
        };
        let mut records = Vec::new();
        for finding in findings {
            if !matches!(finding, Finding::Pause { reason: PauseReason::Stopped, .. }) {
                self.nothing_is_shown();
            }
            records.extend(fact(finding).map(|fact| self.record(fact)));
        }
        records
    }

    fn nothing_is_shown(&mut self) {
        self.sync = Sync::new();
        self.status = Status { last: None, judgement: Judgement::NONE };
    }

    fn when(&self, now: Reading) -> When {
        let centre = self.centre.map(|(time, then, _)| time + (now.monotonic - then));
        When { system: now.wall, centre }
    }

    fn record(&mut self, fact: Fact) -> Record {
        let seq = self.next_seq;
        self.next_seq = seq.saturating_add(1);
        Record { seq, fact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{LENGTH, Leap, Packet, Version};
    use crate::server::{self, ServerState};
    use angbu_units::NtpTimestamp;

    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;
    const EPOCH: i64 = 1_763_762_721 * S;
    const SERVER: NtpServerId = NtpServerId::from_bytes([7; 16]);

    /// A machine whose clock is `ahead` of the centre's, and an agent on it.
    struct Machine {
        agent: Agent,
        records: Vec<Record>,
        now: i64,
        ahead: i64,
    }

    impl Machine {
        fn start() -> Self {
            let settings = Settings {
                policy: Policy::with_tolerance(Nanos::from_millis(50)),
                limits: Limits::default(),
                poll: Nanos::from_secs(2),
                manner: Manner { nts: true, steers: false },
                software: Software::new("angbu/0.1.0").unwrap(),
            };
            let (agent, record) = Agent::start(settings, 1, true, reading(0, 0));
            Self { agent, records: vec![record], now: 0, ahead: 0 }
        }

        fn wait(&mut self, nanos: i64) -> &mut Self {
            self.now += nanos;
            self.records.extend(self.agent.on_check(reading(self.now, self.ahead)));
            self
        }

        /// An exchange that takes 1 ms each way.
        fn exchange(&mut self) -> Outcome {
            let request = Packet::request(Version::V4, NtpTimestamp::from_bits(42)).encode();
            let sent = reading(self.now, self.ahead).wall;
            let at = UnixTime::from_nanos(EPOCH + self.now + MS);
            let state = ServerState {
                leap: Leap::None,
                stratum: 2,
                precision: -20,
                root_delay: Nanos::ZERO,
                root_dispersion: Nanos::ZERO,
                reference_id: [0; 4],
                reference_time: at,
                as_of: at,
            };
            let mut reply = [0; LENGTH];
            server::answer(&request, at, at, &state, &mut reply).unwrap();
            self.now += 2 * MS;
            let now = reading(self.now, self.ahead);
            let packets =
                Packets { server: SERVER, request: &request, reply: &reply, sent, received: now.wall };
            let outcome = self.agent.on_reply(&packets, now);
            self.records.extend(outcome.records.clone());
            outcome
        }

        fn in_sync(&self) -> (bool, bool) {
            let judgement = self.agent.status().judgement;
            (judgement.steady, judgement.in_sync)
        }
    }

    fn reading(now: i64, ahead: i64) -> Reading {
        Reading {
            wall: UnixTime::from_nanos(EPOCH + now + ahead),
            monotonic: Monotonic::from_nanos(5 * S + now),
        }
    }

    fn kinds(records: &[Record]) -> String {
        records
            .iter()
            .map(|record| match &record.fact {
                Fact::Start(_) => 's',
                Fact::Exchange(_) => 'x',
                Fact::Alarm(Alarm { kind: AlarmKind::Step, .. }) => 'A',
                Fact::Alarm(Alarm { kind: AlarmKind::Slew, .. }) => 'L',
                Fact::Stop(_) => 'e',
                Fact::Dropped(_) => 'd',
                Fact::Pause(_) => 'p',
                Fact::Corrections(_) => 'c',
                Fact::Alarm(_) => '!',
            })
            .collect()
    }

    #[test]
    fn an_ordinary_run() {
        let mut machine = Machine::start();
        assert_eq!(machine.in_sync(), (false, false));
        machine.wait(S).exchange();
        assert_eq!(machine.in_sync(), (false, false), "one exchange shows no rate");
        machine.wait(S).wait(S).exchange();
        assert_eq!(machine.in_sync(), (true, true));
        let mut records = machine.records.clone();
        records.extend(machine.agent.on_stop(reading(machine.now + S, 0)));
        assert_eq!(kinds(&records), "sxxe");
        assert!(records.iter().zip(1..).all(|(record, seq)| record.seq == seq));
        let Fact::Stop(stop) = &records[3].fact else { panic!("a stop") };
        assert_eq!(stop.at.centre, Some(UnixTime::from_nanos(EPOCH + machine.now + S)));
    }

    #[test]
    fn a_step_is_an_alarm_and_nothing_is_shown_after_it() {
        let mut machine = Machine::start();
        machine.wait(S).exchange();
        machine.wait(S).exchange();
        machine.ahead = 3_600 * S;
        machine.wait(S);
        assert_eq!(machine.in_sync(), (false, false));
        assert_eq!(machine.agent.status().last, None);
        let Some(Record { fact: Fact::Alarm(alarm), .. }) = machine.records.last() else {
            panic!("an alarm")
        };
        assert_eq!(alarm.difference, Nanos::from_secs(3_600));
        assert_eq!(alarm.at.system, UnixTime::from_nanos(EPOCH + machine.now + 3_600 * S));
        assert_eq!(
            alarm.at.centre,
            Some(UnixTime::from_nanos(EPOCH + machine.now)),
            "the centre's line goes on"
        );
        machine.wait(S).exchange();
        assert_eq!(machine.in_sync(), (false, false), "steady needs two");
        machine.wait(S).exchange();
        assert_eq!(machine.in_sync(), (true, false), "steady, and an hour off");
        assert_eq!(kinds(&machine.records), "sxxAxx");
    }

    #[test]
    fn a_step_during_an_exchange_spoils_it() {
        let mut machine = Machine::start();
        machine.wait(S).exchange();
        machine.ahead = 20 * MS;
        let outcome = machine.exchange();
        assert_eq!(outcome.refused, Some(Unusable::ClockMoved));
        assert_eq!(kinds(&machine.records), "sxA");
    }

    #[test]
    fn small_steps_without_exchanges_are_a_slew() {
        let mut machine = Machine::start();
        machine.wait(S).exchange();
        for _ in 0..6 {
            machine.ahead += 4 * MS;
            machine.wait(S);
        }
        assert_eq!(kinds(&machine.records), "sxLL");
        // With exchanges between them the offset itself tells the story.
        let mut machine = Machine::start();
        machine.wait(S).exchange();
        for _ in 0..6 {
            machine.ahead += 4 * MS;
            machine.wait(S).exchange();
        }
        assert_eq!(kinds(&machine.records), "sxxxxxxx");
        assert_eq!(machine.agent.status().last.unwrap().offset(), Nanos::from_millis(-24));
        assert_eq!(machine.in_sync(), (false, false), "4 ms in a second is not steady");
    }

    #[test]
    fn silence_shows_nothing() {
        let mut machine = Machine::start();
        machine.wait(S).exchange();
        machine.wait(S).exchange();
        machine.agent.on_silence();
        assert_eq!(machine.in_sync(), (false, false));
        machine.wait(S).exchange();
        assert_eq!(machine.in_sync(), (false, false));
    }

    #[test]
    fn another_server_begins_anew() {
        let mut machine = Machine::start();
        machine.wait(S).exchange();
        machine.agent.server = Some(NtpServerId::from_bytes([8; 16]));
        machine.wait(S).exchange();
        assert_eq!(machine.in_sync(), (false, false));
    }
}
