//! Whole runs of an agent against a centre in the same process: joining, recording, sending, stopping.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: a panic is its report"
)]

mod centre;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use angbu_agent::clock::UnslewedClock;
use angbu_agent::machine::Looks;
use angbu_agent::{AgentError, Config, Event, Mode, OnTamper, Stop, run};
use angbu_time::chain::Chain;
use angbu_time::correction::CorrectionKind;
use angbu_time::kernel_clock::{KernelClock, KernelError, KernelState, Status};
use angbu_time::packet::Leap;
use angbu_time::record::{AlarmKind, Fact, Record};
use angbu_units::{Clock, Nanos, Ppb, Reading};
use centre::{Centre, Mood, Seen};

/// A wall clock that a test can set.
#[derive(Default)]
struct SetClock {
    real: UnslewedClock,
    ahead: AtomicI64,
}

impl Clock for SetClock {
    fn read(&self) -> Reading {
        let reading = self.real.read();
        Reading { wall: reading.wall + Nanos::new(self.ahead.load(Ordering::SeqCst)), ..reading }
    }
}

impl Looks for SetClock {
    fn kernel(&self) -> Option<&dyn KernelClock> {
        Some(self)
    }
}

/// The kernel of a test: it steps, and that is all.
impl KernelClock for SetClock {
    fn state(&self) -> Result<KernelState, KernelError> {
        Err(KernelError::Unsupported)
    }

    fn set_frequency(&self, _: Ppb) -> Result<(), KernelError> {
        Err(KernelError::Unsupported)
    }

    fn slew(&self, _: Nanos, _: Ppb) -> Result<(), KernelError> {
        Err(KernelError::Unsupported)
    }

    fn step(&self, offset: Nanos) -> Result<(), KernelError> {
        self.ahead.fetch_add(offset.count(), Ordering::SeqCst);
        Ok(())
    }

    fn set_leap(&self, _: Leap) -> Result<(), KernelError> {
        Err(KernelError::Unsupported)
    }

    fn declare(&self, _: Nanos, _: Nanos, _: bool) -> Result<(), KernelError> {
        Err(KernelError::Unsupported)
    }
}

/// A kernel's clock that sets the clock above and nothing else.
struct SetKernel {
    clock: Arc<SetClock>,
    permits: bool,
}

impl SetKernel {
    fn move_by(&self, offset: Nanos) -> Result<(), KernelError> {
        self.clock.ahead.fetch_add(offset.count(), Ordering::SeqCst);
        self.permitted()
    }

    fn permitted(&self) -> Result<(), KernelError> {
        if self.permits { Ok(()) } else { Err(KernelError::NotPermitted) }
    }
}

impl Clock for SetKernel {
    fn read(&self) -> Reading {
        self.clock.read()
    }
}

impl Looks for SetKernel {
    fn kernel(&self) -> Option<&dyn KernelClock> {
        Some(self)
    }
}

impl KernelClock for SetKernel {
    fn state(&self) -> Result<KernelState, KernelError> {
        Ok(KernelState {
            synchronised: true,
            frequency: Ppb::new(0),
            offset: Nanos::ZERO,
            adjtime: Nanos::ZERO,
            status: Status::default(),
            estimated_error: Nanos::ZERO,
            max_error: Nanos::ZERO,
            leap: Leap::None,
            tai_offset: 37,
        })
    }

    fn set_frequency(&self, _: Ppb) -> Result<(), KernelError> {
        self.permitted()
    }

    fn slew(&self, offset: Nanos, _: Ppb) -> Result<(), KernelError> {
        self.move_by(offset)
    }

    fn step(&self, offset: Nanos) -> Result<(), KernelError> {
        self.move_by(offset)
    }

    fn set_leap(&self, _: Leap) -> Result<(), KernelError> {
        self.permitted()
    }

    fn declare(&self, _: Nanos, _: Nanos, _: bool) -> Result<(), KernelError> {
        self.permitted()
    }
}

struct Running {
    stop: Stop,
    thread: JoinHandle<Result<(), AgentError>>,
}

impl Running {
    fn stop(self) -> Result<(), AgentError> {
        self.stop.request();
        self.thread.join().unwrap()
    }
}

fn config(centre: &Centre, state: &Path) -> Config {
    let mut config = Config::new(&centre.url, "db-3", state);
    // The centre of these tests is a small one, and serves time without protection.
    config.nts = false;
    config.code = Some(centre.code.clone());
    config.poll_interval = Nanos::from_millis(40);
    config.check_interval = Nanos::from_millis(10);
    config.retry_interval = Nanos::from_millis(5);
    config
}

fn start_with(centre: &Centre, config: Config, clock: Arc<SetClock>) -> Running {
    let (stop, events) = (Stop::new(), centre.events());
    let wish = stop.clone();
    Running { stop, thread: std::thread::spawn(move || run(&config, clock, events, &wish)) }
}

fn start(centre: &Centre, state: &Path) -> Running {
    start_with(centre, config(centre, state), Arc::new(SetClock::default()))
}

/// `s` start, `x` exchange, `A` alarm, `e` stop, `d` dropped.
fn kinds(records: &[Record]) -> String {
    let kind = |record: &Record| match &record.fact {
        Fact::Start(_) => 's',
        Fact::Exchange(_) => 'x',
        Fact::Alarm(_) => 'A',
        Fact::Stop(_) => 'e',
        Fact::Dropped(_) => 'd',
        Fact::Pause(_) => 'p',
        Fact::Corrections(_) => 'c',
    };
    records.iter().map(kind).collect()
}

/// What always holds at the centre: every number once, in order, from 1.
fn assert_whole(seen: &Seen) {
    let mut next = 1;
    for record in &seen.records {
        assert_eq!(record.seq, next);
        next = record.next_seq();
    }
}

fn exchanges(seen: &Seen) -> usize {
    kinds(&seen.records).matches('x').count()
}

#[test]
fn an_agent_joins_records_and_stops() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let agent = start(&centre, place.path());
    let in_sync = |record: &Record| match &record.fact {
        Fact::Exchange(measured) => {
            assert_eq!(measured.server, centre::server_id());
            measured.judgement.in_sync
        }
        _ => false,
    };
    centre.wait("an exchange in sync", |seen| seen.records.iter().any(in_sync).then_some(()));
    agent.stop().unwrap();
    let first_run = centre.wait("everything", |seen| {
        assert_whole(seen);
        let Fact::Start(start) = &seen.records[0].fact else { panic!("first the start") };
        assert!(start.clean);
        assert!(matches!(seen.events[0], Event::Joined { .. }));
        assert!(matches!(seen.events[1], Event::Started { seq: 1, clean: true, .. }));
        assert!(matches!(seen.events.last(), Some(Event::Stopped { waiting: 0, .. })), "{:?}", seen.events);
        Some(kinds(&seen.records))
    });
    assert!(first_run.starts_with("sx") && first_run.ends_with('e'), "{first_run}");

    // The second run needs no code, goes on with the numbers, and knows that the first ended in order.
    let mut again = config(&centre, place.path());
    again.code = None;
    let agent = start_with(&centre, again, Arc::new(SetClock::default()));
    centre.wait("another run", |seen| (seen.records.len() > first_run.len() + 2).then_some(()));
    agent.stop().unwrap();
    centre.wait("both runs", |seen| {
        assert_whole(seen);
        let Fact::Start(start) = &seen.records[first_run.len()].fact else {
            panic!("a start after the stop")
        };
        assert!(start.clean);
        kinds(&seen.records).ends_with('e').then_some(())
    });

    // As after a power cut.
    std::fs::write(place.path().join("running"), "").unwrap();
    let agent = start(&centre, place.path());
    centre.wait("a start after a cut", |seen| {
        let starts = seen.records.iter().filter_map(|record| match &record.fact {
            Fact::Start(start) => Some(start.clean),
            _ => None,
        });
        (starts.collect::<Vec<_>>() == [true, true, false]).then_some(())
    });
    agent.stop().unwrap();
}

#[test]
fn an_agent_keeps_a_clock_and_records_what_it_did() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    clock.ahead.store(3_000_000_000, Ordering::SeqCst);
    let kernel = Arc::new(SetKernel { clock: Arc::clone(&clock), permits: true });
    let steering = Config { mode: Mode::Steer, ..config(&centre, place.path()) };
    let (stop, events) = (Stop::new(), centre.events());
    let wish = stop.clone();
    let thread = std::thread::spawn(move || run(&steering, kernel, events, &wish));
    centre.wait("a clock that is right", |seen| {
        let corrected =
            seen.events.iter().any(|event| matches!(event, Event::Corrected { kind: "step", .. }));
        let near = clock.ahead.load(Ordering::SeqCst).abs() < 20_000_000;
        (corrected && near && exchanges(seen) > 6).then_some(())
    });
    Running { stop, thread }.stop().unwrap();
    centre.wait("corrections on record", |seen| {
        assert_whole(seen);
        assert!(!kinds(&seen.records).contains('A'), "its own deeds are no alarm: {}", kinds(&seen.records));
        let made: Vec<_> = seen
            .records
            .iter()
            .filter_map(|record| match &record.fact {
                Fact::Corrections(corrections) => Some(corrections.made.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        let step = made.iter().find(|made| made.kind == CorrectionKind::Step)?;
        assert!((step.amount + Nanos::from_secs(3)).abs() < Nanos::from_millis(50), "{}", step.amount);
        for made in &made {
            let rests_on = seen.records.iter().find(|record| record.seq == made.rests_on).unwrap();
            assert!(matches!(rests_on.fact, Fact::Exchange(_)));
        }
        (made.len() > 2 && kinds(&seen.records).ends_with('e')).then_some(())
    });
}

#[test]
fn keeping_a_clock_needs_the_privilege() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    let kernel = Arc::new(SetKernel { clock, permits: false });
    let steering = Config { mode: Mode::Steer, ..config(&centre, place.path()) };
    let error = run(&steering, kernel, centre.events(), &Stop::new()).unwrap_err();
    assert!(error.to_string().contains("CAP_SYS_TIME"), "{error}");
}

#[test]
fn records_count_once_though_answers_are_lost() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let agent = start(&centre, place.path());
    centre.wait("the first records", |seen| (exchanges(seen) > 1).then_some(()));
    centre.set(|seen| seen.mood = Mood::LosesAnswers);
    let (uploads, records) = centre.wait("more", |seen| Some((seen.uploads, seen.records.len())));
    centre.wait("lost answers", |seen| {
        (seen.uploads > uploads + 4 && seen.records.len() > records).then_some(())
    });
    centre.set(|seen| seen.mood = Mood::Fine);
    let taken = centre.wait("the state", |seen| Some(exchanges(seen)));
    centre.wait("more exchanges", |seen| (exchanges(seen) > taken + 2).then_some(()));
    agent.stop().unwrap();
    centre.wait("the end", |seen| {
        assert_whole(seen);
        assert!(!kinds(&seen.records).contains('d'));
        assert_eq!(seen.begun, 0, "what is sent again follows as it did");
        kinds(&seen.records).ends_with('e').then_some(())
    });
}

#[test]
fn an_agent_put_back_to_an_earlier_state_says_so_and_begins_its_chain_anew() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let agent = start(&centre, place.path());
    centre.wait("the first records", |seen| (exchanges(seen) > 1).then_some(()));
    // As if a later state of this agent had sent a hundred records more.
    centre.set(|seen| {
        seen.next_seq += 100;
        seen.chain = Some(Chain::from_bytes([9; 32]));
    });
    let told =
        |record: &Record| matches!(&record.fact, Fact::Alarm(alarm) if alarm.kind == AlarmKind::Restored);
    centre.wait("the alarm", |seen| (seen.begun == 1 && seen.records.iter().any(told)).then_some(()));
    // Other records than the agent's own stand before the next, as nothing but a lie can have it.
    centre.set(|seen| seen.chain = Some(Chain::from_bytes([8; 32])));
    let taken = centre.wait("the state", |seen| Some(exchanges(seen)));
    centre.wait("more", |seen| (seen.begun == 2 && exchanges(seen) > taken + 2).then_some(()));
    agent.stop().unwrap();
}

#[test]
fn records_wait_while_the_centre_is_away() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let agent = start(&centre, place.path());
    centre.wait("the first records", |seen| (exchanges(seen) > 1).then_some(()));
    centre.set(|seen| seen.mood = Mood::Away);
    let told =
        |seen: &Seen| seen.events.iter().filter(|event| matches!(event, Event::Exchange { .. })).count();
    let before = centre.wait("the state", |seen| Some(told(seen)));
    centre.wait("exchanges that nobody takes", |seen| {
        let refused =
            seen.events.iter().any(|event| matches!(event, Event::NotUploaded { waiting: 3.., .. }));
        (refused && told(seen) > before + 3).then_some(())
    });
    // Also over a stop and a start, while the time server goes on.
    agent.stop().unwrap();
    centre.wait("a stop that waits", |seen| {
        matches!(seen.events.last(), Some(Event::Stopped { waiting: 4.., .. })).then_some(())
    });
    let before = centre.wait("the state", |seen| Some(seen.records.len()));
    let agent = start(&centre, place.path());
    centre.set(|seen| seen.mood = Mood::Fine);
    centre.wait("everything that waited", |seen| {
        assert_whole(seen);
        kinds(&seen.records).contains("es").then_some(())
    });
    agent.stop().unwrap();
    centre.wait("the order", |seen| {
        assert_whole(seen);
        assert!(seen.records.len() > before + 5);
        assert!(!kinds(&seen.records).contains('d'));
        kinds(&seen.records).ends_with('e').then_some(())
    });
}

#[test]
fn a_clock_that_was_moved_is_put_back_if_that_is_wanted() {
    let (centre, folder) = (Centre::start(), tempfile::tempdir().unwrap());
    let clock = Arc::new(SetClock::default());
    let mut config = config(&centre, folder.path());
    config.on_tamper = OnTamper::Restore;
    let agent = start_with(&centre, config, Arc::clone(&clock));
    let exchanged = |record: &Record| matches!(record.fact, Fact::Exchange(_));
    centre.wait("an exchange", |seen| seen.records.iter().any(exchanged).then_some(()));
    clock.ahead.store(3_600_000_000_000, Ordering::SeqCst);
    let made = centre.wait("a correction", |seen| {
        seen.records.iter().find_map(|record| match &record.fact {
            Fact::Corrections(corrections) => Some(corrections.made[0]),
            _ => None,
        })
    });
    assert_eq!((made.kind, made.rests_on), (CorrectionKind::Step, 0));
    let left = clock.ahead.load(Ordering::SeqCst);
    assert!(left.abs() < 10_000_000, "the clock is {left} ns ahead");
    agent.stop().unwrap();
    let alarms = centre.wait("the stop", |seen| {
        let kinds = kinds(&seen.records);
        kinds.ends_with('e').then(|| kinds.matches('A').count())
    });
    assert_eq!(alarms, 1, "what the agent itself does is no one else's deed");
}

/// A process that was killed leaves a memory; the clock is moved; the next run says so at once.
#[test]
fn a_clock_that_was_moved_between_two_runs_is_an_alarm() {
    let (centre, folder) = (Centre::start(), tempfile::tempdir().unwrap());
    let clock = Arc::new(SetClock::default());
    let agent = start_with(&centre, config(&centre, folder.path()), Arc::clone(&clock));
    let exchanged = |record: &Record| matches!(record.fact, Fact::Exchange(_));
    centre.wait("an exchange", |seen| seen.records.iter().any(exchanged).then_some(()));
    agent.stop().unwrap();
    clock.ahead.store(-5_000_000_000, Ordering::SeqCst);
    let agent = start_with(&centre, config(&centre, folder.path()), clock);
    let alarm = centre.wait("an alarm", |seen| {
        seen.records.iter().find_map(|record| match &record.fact {
            Fact::Alarm(alarm) => Some(*alarm),
            _ => None,
        })
    });
    assert_eq!(alarm.kind, AlarmKind::MovedWhileDown);
    assert!((alarm.difference + Nanos::from_secs(5)).abs() < Nanos::from_millis(50), "{alarm:?}");
    agent.stop().unwrap();
}

#[test]
fn a_clock_that_is_set_is_an_alarm() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    let agent = start_with(&centre, config(&centre, place.path()), Arc::clone(&clock));
    let in_sync = |seen: &Seen| match seen.records.last().map(|record| &record.fact) {
        Some(Fact::Exchange(measured)) => Some(measured.judgement.in_sync),
        _ => None,
    };
    centre.wait("sync", |seen| in_sync(seen).filter(|in_sync| *in_sync));
    clock.ahead.store(-3_600_000_000_000, Ordering::SeqCst);
    let alarm = centre.wait("an alarm", |seen| {
        seen.records.iter().find_map(|record| match &record.fact {
            Fact::Alarm(alarm) => Some(*alarm),
            _ => None,
        })
    });
    assert!((alarm.difference + Nanos::from_secs(3_600)).abs() < Nanos::from_millis(100), "{alarm:?}");
    // The centre's line goes on, and what is sent is not from the past or the future.
    centre.wait("exchanges that show the hour", |seen| {
        let last = seen.records.last()?;
        let Fact::Exchange(measured) = &last.fact else { return None };
        assert!(!measured.judgement.in_sync);
        (measured.exchange.offset() > Nanos::from_secs(3_599)).then_some(())
    });
    agent.stop().unwrap();
    centre.wait("the stop, by the centre's clock", |seen| {
        assert_whole(seen);
        let Fact::Stop(stop) = &seen.records.last()?.fact else { return None };
        let apart = stop.at.best() - stop.at.system;
        (apart > Nanos::from_secs(3_599)).then_some(())
    });
}

#[test]
fn a_clock_that_is_far_ahead_is_told_as_soon_as_it_is_known() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::default());
    clock.ahead.store(86_400_000_000_000, Ordering::SeqCst);
    let agent = start_with(&centre, config(&centre, place.path()), clock);
    centre.wait("exchanges that show the day", |seen| (exchanges(seen) > 2).then_some(()));
    agent.stop().unwrap();
    centre.wait("the stop", |seen| kinds(&seen.records).ends_with('e').then_some(()));
}

#[test]
fn joining_waits_for_the_centre_and_not_for_a_wrong_code() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    centre.set(|seen| seen.mood = Mood::Away);
    let agent = start(&centre, place.path());
    centre.wait("a try in vain", |seen| {
        matches!(seen.events.last(), Some(Event::NotJoined { .. })).then_some(())
    });
    centre.set(|seen| seen.mood = Mood::LosesAnswers);
    centre.wait("a join whose answer is lost", |seen| (seen.events.len() > 3).then_some(()));
    centre.set(|seen| seen.mood = Mood::Fine);
    centre.wait("records", |seen| (!seen.records.is_empty()).then_some(()));
    agent.stop().unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = config(&centre, elsewhere.path());
        change(&mut config);
        start_with(&centre, config, Arc::new(SetClock::default())).thread.join().unwrap().unwrap_err()
    };
    assert!(matches!(refused(&|config| config.code = None), AgentError::NoCode));
    assert!(matches!(refused(&|config| config.code = Some("x".to_owned())), AgentError::Code(_)));
    let other_name = refused(&|config| config.name = "db-4".to_owned()).to_string();
    assert!(other_name.contains("the code was made for another name"), "{other_name}");
    let strange = Centre::start().code;
    let stranger = refused(&|config| config.code = Some(strange.clone())).to_string();
    assert!(stranger.contains("could not show that it is the centre"), "{stranger}");
    assert!(matches!(refused(&|config| config.poll_interval = Nanos::ZERO), AgentError::Config(_)));
    // Stopping ends the waiting, too.
    centre.set(|seen| seen.mood = Mood::Away);
    let agent = start(&centre, elsewhere.path());
    agent.stop().unwrap();
}

#[test]
fn a_new_tolerance_is_taken_over() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let agent = start(&centre, place.path());
    centre.wait("records", |seen| (exchanges(seen) > 1).then_some(()));
    centre.set(|seen| seen.tolerance = Nanos::new(1));
    centre.wait("a judgement by it", |seen| match &seen.records.last()?.fact {
        Fact::Exchange(measured) if measured.judgement.steady && !measured.judgement.in_sync => Some(()),
        _ => None,
    });
    agent.stop().unwrap();
    let kept = std::fs::read_to_string(place.path().join("enrolment.toml")).unwrap();
    assert!(kept.contains("tolerance_ns = 1\n"), "{kept}");
}

#[test]
fn a_silent_centre_does_not_keep_an_agent_from_stopping() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let agent = start(&centre, place.path());
    centre.wait("records", |seen| (exchanges(seen) > 0).then_some(()));
    centre.set(|seen| seen.mood = Mood::Silent);
    let before = centre.wait("the state", |seen| Some(seen.events.len()));
    centre.wait("an exchange more", |seen| {
        seen.events.iter().skip(before).any(|event| matches!(event, Event::Exchange { .. })).then_some(())
    });
    agent.stop().unwrap();
    centre.wait("the stop", |seen| {
        matches!(seen.events.last(), Some(Event::Stopped { waiting: 2.., .. })).then_some(())
    });
}

#[test]
fn two_agents_cannot_share_a_folder() {
    let centre = Centre::start();
    let place = tempfile::tempdir().unwrap();
    let agent = start(&centre, place.path());
    centre.wait("a start", |seen| (!seen.records.is_empty()).then_some(()));
    let second = start(&centre, place.path()).thread.join().unwrap().unwrap_err();
    assert!(second.to_string().contains("another agent is running"), "{second}");
    agent.stop().unwrap();
}

#[test]
fn events_are_objects_with_a_name() {
    let event = Event::Uploaded { next_seq: 7, waiting: 0 };
    assert_eq!(
        serde_json::to_value(&event).unwrap(),
        serde_json::json!({"event": "uploaded", "next_seq": 7, "waiting": 0})
    );
    let event = Event::NotUploaded { reason: "away".to_owned(), waiting: 2, retry_ms: 10 };
    assert_eq!(serde_json::to_value(&event).unwrap()["event"], "not-uploaded");
    assert_eq!(event.to_string(), "2 records wait, the next try is in 10 ms: away");
}
