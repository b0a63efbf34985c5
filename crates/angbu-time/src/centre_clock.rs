//! What the centre can say of its own clock: proven, declared or unproven, within which bound, and why.
//!
//! The centre does not set its clock. It watches it (a [`Watch`] of its own), measures configured upstreams, reads what
//! the kernel says, and knows what its operator declares. From those follow the verdict on every entry, the header of every
//! NTP reply, and, whenever the answer changes, a `clock.state` entry.
//!
//! - **Proven**: most of the upstreams that answer agree; the bound is what they leave open.
//! - **Declared**: the operator says that this machine's own clock is the reference. A wall clock that is moved against the
//!   bare oscillator voids that until the centre starts again.
//! - **Unproven**: anything else. The kernel's word that some service disciplines the clock shows nothing to anybody else, and so
//!   proves nothing; it is written down beside the verdict.

mod history;

use angbu_units::{
    CentreId, ClockVerdict, EntryId, Monotonic, Nanos, NtpServerId, Ppb, ProvenInstant, Reading, UnixTime,
};

pub use history::History;

use crate::exchange::{Exchange, precision_length};
use crate::kernel_clock::KernelState;
use crate::packet::Leap;
use crate::record::{AlarmKind, PauseReason};
use crate::selection;
use crate::server::{MAX_STRATUM, ServerState, Unsynchronised};
use crate::watch::{Finding, Keeper, Limits, Look, Shown, Watch};

/// The reference id of a declared local clock at stratum 2 and more, where the field holds an address:
/// the one that ntpd and chronyd give their own local clock.
const LOCAL_ADDRESS: [u8; 4] = [127, 127, 1, 1];

/// The same at stratum 1, where it holds letters ("uncalibrated local clock", RFC 4330, section 4).
const LOCAL_LETTERS: [u8; 4] = *b"LOCL";

/// The stratum of a declared local clock unless the operator says otherwise; chronyd's for `local`.
pub const LOCAL_STRATUM: u8 = 10;

/// What the watch knows the upstreams by, as far as they agree.
const AGREED: NtpServerId = NtpServerId::from_bytes([0; 16]);

/// The most upstreams.
pub const MAX_UPSTREAMS: usize = 32;

/// The operator's declaration that this machine's own clock is the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// What the operator calls it.
    pub name: String,
    /// Its stratum, 1 to 15.
    pub stratum: u8,
    /// How far from it the operator says that true time can lie.
    pub bound: Nanos,
}

/// A source that the centre measures its clock against: an NTP server, a reference clock, or the daemon that keeps one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What the configuration calls it.
    pub name: String,
    /// Its id in the centre's replies: the IPv4 address, or the first four bytes of the MD5 of an IPv6 address; of a reference
    /// clock its letters.
    pub reference_id: [u8; 4],
    /// What it is.
    pub kind: SourceKind,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// An NTP server, which the centre measures.
    Server,
    /// A reference clock beside the machine, which the centre measures.
    Receiver {
        /// How long the oscillator may carry its time on after it is lost.
        holdover: Nanos,
    },
    /// A daemon that keeps this machine's clock, and whose word the operator takes: what rests on it is declared.
    Daemon,
}

/// What a source showed of this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceReading {
    /// What true time is ahead of the wall clock.
    pub offset: Nanos,
    /// How far the truth can lie from that.
    pub bound: Nanos,
    /// The one-way delay to the source.
    pub delay: Nanos,
    /// The leap second that it announces.
    pub leap: Leap,
    /// The source's own stratum; 0 is a reference clock.
    pub stratum: u8,
    /// The source's own root delay.
    pub root_delay: Nanos,
    /// The source's own root dispersion.
    pub root_dispersion: Nanos,
}

impl From<&Exchange> for SourceReading {
    fn from(exchange: &Exchange) -> Self {
        let source = exchange.source();
        Self {
            offset: exchange.offset(),
            bound: exchange.bound(),
            delay: exchange.delay(),
            leap: source.leap,
            stratum: source.stratum,
            root_delay: source.root_delay.to_nanos(),
            root_dispersion: source.root_dispersion.to_nanos(),
        }
    }
}

/// How old what a reference clock showed may be before its loss is told; half of the holdover where that is less.
const LOST: Nanos = Nanos::from_secs(30);

/// How the centre judges its clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The declaration, if there is one.
    pub local: Option<Local>,
    /// The upstreams that are measured, at most [`MAX_UPSTREAMS`].
    pub upstreams: Vec<Upstream>,
    /// What the wall clock is allowed against the monotonic one.
    pub limits: Limits,
    /// The clock's precision, log2 seconds.
    pub precision: i8,
    /// How fast the monotonic clock can depart from true time.
    pub drift: Ppb,
    /// How old a measurement can be.
    pub patience: Nanos,
    /// A larger bound than this proves nothing.
    pub most_bound: Nanos,
}

impl Settings {
    /// Nothing declared, nothing measured; 100 ppm, one hour, one second. Whoever keeps the machine's clock may: the centre does
    /// not, and upstreams show whether it is kept well.
    pub fn new(precision: i8) -> Self {
        Self {
            local: None,
            upstreams: Vec::new(),
            limits: Limits { keeper: Keeper::Service, ..Limits::default() },
            precision,
            drift: Ppb::new(100_000),
            patience: Nanos::from_secs(3_600),
            most_bound: Nanos::from_secs(1),
        }
    }
}

/// Why the verdict is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Proven: upstreams show it.
    Measured,
    /// Proven: a reference clock beside the machine shows it.
    Receiver,
    /// Proven: a reference clock that is lost showed it, and the oscillator carries it on.
    Holdover,
    /// Declared: the daemon that keeps the clock says so, and the operator takes its word.
    Believed,
    /// Declared by the operator.
    Declared,
    /// Nothing is declared and nothing configured.
    NoReference,
    /// No upstream has answered yet.
    Starting,
    /// No upstream has answered for too long.
    Silent,
    /// The upstreams that answer do not agree.
    Disagree,
    /// They agree, and leave more open than the most that is allowed.
    TooFar,
    /// The wall clock was set.
    Stepped,
    /// The wall clock was moved in small parts.
    Slewed,
}

impl Reason {
    /// Its code in entries and interfaces.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Receiver => "receiver",
            Self::Holdover => "holdover",
            Self::Believed => "believed",
            Self::Declared => "declared",
            Self::NoReference => "no-reference",
            Self::Starting => "starting",
            Self::Silent => "upstreams-silent",
            Self::Disagree => "upstreams-disagree",
            Self::TooFar => "too-far",
            Self::Stepped => "stepped",
            Self::Slewed => "slewed",
        }
    }
}

/// The centre's clock at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What can be said.
    pub verdict: ClockVerdict,
    /// How far true time can lie from the clock; without meaning while unproven.
    pub error_bound: Nanos,
    /// Why.
    pub reason: Reason,
    /// What the clock is measured against or declared to be; empty when neither.
    pub source: String,
    /// What NTP replies say.
    pub server: ServerState,
    /// What the kernel says, if it was asked.
    pub kernel: Option<KernelState>,
}

impl State {
    /// Whether an entry that was made of `entered` no longer tells the truth about this state: another verdict, reason, source,
    /// stratum or leap, or a bound more than twice as large. Smaller changes stand in the bound of every entry itself.
    pub fn differs_from(&self, entered: &Self) -> bool {
        self.verdict != entered.verdict
            || self.reason != entered.reason
            || self.source != entered.source
            || self.server.stratum != entered.server.stratum
            || self.server.leap != entered.server.leap
            || self.error_bound > entered.error_bound.times(2)
    }

    /// The stamp for an entry at `now`, with the `clock.state` entry that says this.
    pub const fn instant(&self, now: UnixTime, entry: EntryId) -> ProvenInstant {
        ProvenInstant { time: now, error_bound: self.error_bound, verdict: self.verdict, clock_state: entry }
    }

    /// The fields of a `clock.state` entry; the verdict itself stands in the entry's instant.
    pub fn fields(&self, centre: CentreId) -> Vec<(&'static str, Vec<u8>)> {
        let server = &self.server;
        let nanos = |length: Nanos| length.count().to_string();
        let kernel = match self.kernel {
            None => "unknown".to_owned(),
            Some(KernelState { synchronised: false, .. }) => "unsynchronised".to_owned(),
            Some(kernel) => {
                format!("synchronised {} {}", kernel.estimated_error.count(), kernel.max_error.count())
            }
        };
        let text = [
            ("centre", centre.to_string()),
            ("source", self.source.clone()),
            ("reason", self.reason.code().to_owned()),
            ("stratum", server.stratum.to_string()),
            ("reference-id", reference(server.reference_id, server.stratum)),
            ("leap", server.leap.bits().to_string()),
            ("root-delay", nanos(server.root_delay)),
            ("root-dispersion", nanos(server.root_dispersion)),
            ("bound", nanos(self.error_bound)),
            ("kernel", kernel),
        ];
        text.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
    }
}

/// One measurement of an upstream.
#[derive(Debug, Clone, Copy)]
struct Measured {
    shown: SourceReading,
    /// What the reference showed, reckoned at `at`.
    reference: UnixTime,
    at: Monotonic,
    /// What leap seconds had taken from the wall clock until then.
    leapt: Nanos,
}

/// What one upstream says now: the reference lies between `low` and `high` of the wall clock.
#[derive(Debug, Clone, Copy)]
struct Interval<'a> {
    low: Nanos,
    high: Nanos,
    offset: Nanos,
    bound: Nanos,
    measured: &'a Measured,
    upstream: &'a Upstream,
}

/// The centre's watch over its own clock.
#[derive(Debug, Clone)]
pub struct CentreClock {
    settings: Settings,
    watch: Watch,
    measured: Vec<Option<Measured>>,
    answered: bool,
    moved: Option<Reason>,
    reference_time: UnixTime,
}

impl CentreClock {
    /// Starts to watch. A declaration counts from here.
    pub fn start(settings: Settings, now: impl Into<Look>) -> Self {
        let look = now.into();
        Self {
            watch: Watch::start(settings.limits, look),
            measured: vec![None; settings.upstreams.len().min(MAX_UPSTREAMS)],
            answered: false,
            moved: None,
            reference_time: look.reading.wall,
            settings,
        }
    }

    /// The regular look, about once a second and before each measurement. A clock that was moved voids the declaration and every
    /// measurement so far. Says what was found.
    pub fn on_check(&mut self, now: impl Into<Look>) -> Vec<Finding> {
        let look = now.into();
        let findings = self.watch.check(look);
        for finding in &findings {
            self.void(finding, look.reading);
        }
        findings
    }

    /// Whether a look is due because the wall clock is far from where the last one left it.
    pub fn has_jumped(&self, now: Reading) -> bool {
        self.watch.has_jumped(now)
    }

    /// An exchange with the upstream of this index, just finished. Says what was found, at the look and by what upstreams agree on.
    pub fn on_upstream(&mut self, index: usize, exchange: Exchange, now: impl Into<Look>) -> Vec<Finding> {
        self.on_shown(index, SourceReading::from(&exchange), now)
    }

    /// What the source of this index shows at `now`. Says what was found, as above.
    pub fn on_shown(&mut self, index: usize, shown: SourceReading, now: impl Into<Look>) -> Vec<Finding> {
        let look = now.into();
        let now = look.reading;
        let mut findings = self.on_check(look);
        if findings.iter().any(|finding| moved(finding).is_some()) {
            return findings;
        }
        let leapt = self.watch.leapt();
        if let Some(slot) = self.measured.get_mut(index) {
            *slot = Some(Measured { shown, reference: now.wall + shown.offset, at: now.monotonic, leapt });
            self.answered = true;
            self.reference_time = now.wall;
            // A declaration stays void: what was moved once is not the reference that was declared.
            if self.settings.local.is_none() {
                self.moved = None;
            }
            findings.extend(self.shown(now));
        }
        findings
    }

    /// Only a clock that upstreams show is shown, by what most of them agree on and not by one that may lie; a declaration shows
    /// nothing. What it shows of the time before it voids nothing now.
    fn shown(&mut self, now: Reading) -> Vec<Finding> {
        let intervals = self.intervals(now);
        let Some((low, high, best)) = agreement(&intervals) else { return Vec::new() };
        // A daemon's word shows nothing.
        if best.upstream.kind == SourceKind::Daemon {
            return Vec::new();
        }
        let leap = best.measured.shown.leap;
        let bound = (high - low).half() + Nanos::new(1);
        self.watch.shown(Shown { server: AGREED, offset: low + bound, bound, leap })
    }

    fn void(&mut self, finding: &Finding, now: Reading) {
        let Some(reason) = moved(finding) else {
            if matches!(finding, Finding::Pause { reason: PauseReason::Suspended, .. }) {
                // A machine's idea of how long it slept is good for seconds.
                self.measured.fill(None);
            }
            return;
        };
        self.moved = Some(reason);
        self.measured.fill(None);
        self.reference_time = now.wall;
    }

    /// The id by which replies name the upstream of this index, once its address is known.
    pub fn name_upstream(&mut self, index: usize, reference_id: [u8; 4]) {
        if let Some(upstream) = self.settings.upstreams.get_mut(index) {
            upstream.reference_id = reference_id;
        }
    }

    /// What can be said now.
    pub fn state(&self, now: Reading) -> State {
        let intervals = self.intervals(now);
        if intervals.is_empty() {
            return self.unmeasured(now);
        }
        let Some((low, high, best)) = agreement(&intervals) else {
            return self.unproven(Reason::Disagree, now);
        };
        let error_bound = low.abs().max(high.abs());
        if error_bound > self.settings.most_bound {
            return self.unproven(Reason::TooFar, now);
        }
        let source = &best.measured.shown;
        let stratum = source.stratum.saturating_add(1);
        let round_trip = source.delay.abs().times(2);
        // What a client adds up, root delay / 2 + root dispersion, is at least the bound: the best upstream's interval
        // contains what all agree on.
        let root_delay = source.root_delay + round_trip;
        let root_dispersion = best.bound - root_delay.half() + best.offset.abs();
        let server = ServerState {
            leap: source.leap,
            stratum,
            precision: self.settings.precision,
            root_delay,
            root_dispersion: root_dispersion.max(source.root_dispersion),
            reference_id: best.upstream.reference_id,
            reference_time: self.reference_time,
            as_of: now.wall,
        };
        let server = if stratum < MAX_STRATUM { server } else { self.unsynchronised(now) };
        let (verdict, reason) = match best.upstream.kind {
            SourceKind::Server => (ClockVerdict::Proven, Reason::Measured),
            SourceKind::Receiver { holdover }
                if now.monotonic - best.measured.at > LOST.min(holdover.half()) =>
            {
                (ClockVerdict::Proven, Reason::Holdover)
            }
            SourceKind::Receiver { .. } => (ClockVerdict::Proven, Reason::Receiver),
            SourceKind::Daemon => (ClockVerdict::Declared, Reason::Believed),
        };
        State {
            verdict,
            error_bound,
            reason,
            source: best.upstream.name.clone(),
            server,
            kernel: self.watch.last().kernel,
        }
    }

    /// Within what all sources but the one of this index agree that true time is ahead of the wall clock.
    pub fn agreed_without(&self, index: usize, now: Reading) -> Option<selection::Interval> {
        let mut others = self.clone();
        *others.measured.get_mut(index)? = None;
        let (low, high, _) = agreement(&others.intervals(now))?;
        Some(selection::Interval { low, high })
    }

    /// What each upstream says now. The reference is carried from the measurement by the monotonic clock, so that a wall clock
    /// that was moved a little since is seen as that; the bound grows by the drift.
    fn intervals(&self, now: Reading) -> Vec<Interval<'_>> {
        let pairs = self.measured.iter().zip(&self.settings.upstreams);
        let fresh = pairs.filter_map(|(measured, upstream)| Some((measured.as_ref()?, upstream)));
        fresh
            .filter(|(measured, upstream)| {
                let patience = match upstream.kind {
                    SourceKind::Receiver { holdover } => holdover,
                    SourceKind::Server | SourceKind::Daemon => self.settings.patience,
                };
                now.monotonic - measured.at <= patience
            })
            .map(|(measured, upstream)| {
                let age = now.monotonic - measured.at;
                let leapt = self.watch.leapt() - measured.leapt;
                let offset = measured.reference + age - leapt - now.wall;
                let bound = measured.shown.bound + self.settings.drift.over(age);
                Interval { low: offset - bound, high: offset + bound, offset, bound, measured, upstream }
            })
            .collect()
    }

    /// No upstream says anything now: what is declared, or why nothing is known.
    fn unmeasured(&self, now: Reading) -> State {
        if let Some(moved) = self.moved {
            return self.unproven(moved, now);
        }
        if let Some(local) = &self.settings.local {
            return self.declared(local, now);
        }
        self.unproven(
            match (self.settings.upstreams.is_empty(), self.answered) {
                (true, _) => Reason::NoReference,
                (false, false) => Reason::Starting,
                (false, true) => Reason::Silent,
            },
            now,
        )
    }

    fn declared(&self, local: &Local, now: Reading) -> State {
        let error_bound = local.bound + precision_length(self.settings.precision);
        let stratum = local.stratum.clamp(1, MAX_STRATUM - 1);
        let server = ServerState {
            leap: self.watch.last().kernel.map_or(Leap::None, |kernel| kernel.leap),
            stratum,
            precision: self.settings.precision,
            root_delay: Nanos::ZERO,
            root_dispersion: error_bound,
            reference_id: if stratum == 1 { LOCAL_LETTERS } else { LOCAL_ADDRESS },
            reference_time: self.reference_time,
            as_of: now.wall,
        };
        State {
            verdict: ClockVerdict::Declared,
            error_bound,
            reason: Reason::Declared,
            source: local.name.clone(),
            server,
            kernel: self.watch.last().kernel,
        }
    }

    fn unproven(&self, reason: Reason, now: Reading) -> State {
        State {
            verdict: ClockVerdict::Unproven,
            error_bound: Nanos::ZERO,
            reason,
            source: String::new(),
            server: self.unsynchronised(now),
            kernel: self.watch.last().kernel,
        }
    }

    fn unsynchronised(&self, now: Reading) -> ServerState {
        let why = match self.moved {
            Some(_) => Unsynchronised::Stepped,
            None => Unsynchronised::Initial,
        };
        ServerState::unsynchronised(why, self.settings.precision, now.wall)
    }
}

/// Why nothing is known of the clock after a finding, if that is so.
const fn moved(finding: &Finding) -> Option<Reason> {
    match finding {
        Finding::Alarm { kind: AlarmKind::Slew | AlarmKind::ByAnother, .. } => Some(Reason::Slewed),
        Finding::Alarm { .. }
        | Finding::PutRight { .. }
        | Finding::Pause { reason: PauseReason::Migrated, .. } => Some(Reason::Stepped),
        Finding::Pause { reason: PauseReason::Stopped | PauseReason::Suspended, .. } => None,
    }
}

/// A reference id as people read it: letters at stratum 0 and 1 and where nothing is synchronised, an address above (RFC 5905,
/// figures 12 and 13).
pub fn reference(id: [u8; 4], stratum: u8) -> String {
    if stratum <= 1 || stratum >= MAX_STRATUM {
        return id
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(*byte))
            .filter(char::is_ascii_graphic)
            .collect();
    }
    let [a, b, c, d] = id;
    format!("{a}.{b}.{c}.{d}")
}

/// What most of the intervals have in common, and the tightest interval that contains it. None when no stretch lies in more
/// than half of them.
fn agreement<'a>(intervals: &[Interval<'a>]) -> Option<(Nanos, Nanos, Interval<'a>)> {
    let ends: Vec<_> = intervals
        .iter()
        .map(|interval| selection::Interval { low: interval.low, high: interval.high })
        .collect();
    let agreed = selection::agreement(&ends)?;
    let members = agreed.members.iter().filter_map(|place| intervals.get(*place));
    let best = members.min_by_key(|interval| interval.bound)?;
    Some((agreed.common.low, agreed.common.high, *best))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Source;
    use crate::kernel_clock::Status;
    use angbu_units::NtpShort;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;

    fn reading(wall: i64, monotonic: i64) -> Reading {
        Reading { wall: UnixTime::from_nanos(wall), monotonic: Monotonic::from_nanos(monotonic) }
    }

    fn declared() -> Settings {
        let local =
            Local { name: "this machine".to_owned(), stratum: LOCAL_STRATUM, bound: Nanos::from_millis(1) };
        Settings { local: Some(local), ..Settings::new(-20) }
    }

    fn measuring(count: u8) -> Settings {
        let upstream = |n: u8| Upstream {
            name: format!("ntp{n}.example"),
            reference_id: [192, 0, 2, n],
            kind: SourceKind::Server,
        };
        Settings { upstreams: (0..count).map(upstream).collect(), ..Settings::new(-20) }
    }

    /// An exchange that ended at `wall` with an upstream `ahead`, `delay` each way.
    fn exchange(wall: i64, ahead: i64, delay: i64, stratum: u8) -> Exchange {
        let source = Source {
            leap: Leap::None,
            stratum,
            precision: -20,
            root_delay: NtpShort::from_bits(0),
            root_dispersion: NtpShort::from_bits(0),
            reference_id: *b"GPS\0",
        };
        let t3 = wall - delay + ahead;
        Exchange::new([wall - 2 * delay, t3, t3, wall].map(UnixTime::from_nanos), source).unwrap()
    }

    /// A kernel that says all is well, and that it will insert a leap second.
    fn leaping() -> KernelState {
        KernelState {
            synchronised: true,
            frequency: Ppb::new(0),
            offset: Nanos::ZERO,
            adjtime: Nanos::ZERO,
            status: Status::default(),
            estimated_error: Nanos::new(5),
            max_error: Nanos::new(9),
            leap: Leap::Insert,
            tai_offset: 37,
        }
    }

    #[track_caller]
    fn check(clock: &CentreClock, now: Reading, verdict: ClockVerdict, reason: Reason, stratum: u8) {
        let state = clock.state(now);
        assert_eq!((state.verdict, state.reason, state.server.stratum), (verdict, reason, stratum));
        assert_eq!(state.server.is_synchronised(), verdict != ClockVerdict::Unproven);
    }

    #[test]
    fn nothing_known_is_said() {
        let clock = CentreClock::start(Settings::new(-20), reading(0, 0));
        check(&clock, reading(S, S), ClockVerdict::Unproven, Reason::NoReference, 16);
        assert_eq!(&clock.state(reading(S, S)).server.reference_id, b"INIT");
        let mut clock = CentreClock::start(measuring(1), reading(0, 0));
        check(&clock, reading(S, S), ClockVerdict::Unproven, Reason::Starting, 16);
        // The kernel's word alone proves nothing.
        clock.on_check(Look { kernel: Some(leaping()), ..reading(S, S).into() });
        check(&clock, reading(S, S), ClockVerdict::Unproven, Reason::Starting, 16);
    }

    #[test]
    fn a_declaration_holds_until_the_clock_is_moved() {
        let mut clock = CentreClock::start(declared(), reading(0, 0));
        for second in 0..100 {
            assert_eq!(clock.on_check(reading(second * S, second * S)), []);
            check(&clock, reading(second * S, second * S), ClockVerdict::Declared, Reason::Declared, 10);
        }
        let state = clock.state(reading(100 * S, 100 * S));
        assert_eq!(state.server.reference_id, [127, 127, 1, 1]);
        assert!(
            state.error_bound >= Nanos::from_millis(1) && state.server.root_dispersion >= state.error_bound
        );
        clock.on_check(Look { kernel: Some(leaping()), ..reading(100 * S, 100 * S).into() });
        assert_eq!(clock.state(reading(100 * S, 100 * S)).server.leap, Leap::Insert);
        // Back by an hour, and even back again: what was moved once is not the reference that was declared.
        clock.on_check(reading(101 * S - 3_600 * S, 101 * S));
        check(&clock, reading(101 * S, 101 * S), ClockVerdict::Unproven, Reason::Stepped, 16);
        assert_eq!(&clock.state(reading(0, 0)).server.reference_id, b"STEP");
        clock.on_check(reading(102 * S, 102 * S));
        check(&clock, reading(103 * S, 103 * S), ClockVerdict::Unproven, Reason::Stepped, 16);
    }

    #[test]
    fn stratum_1_has_letters() {
        let mut settings = declared();
        settings.local.as_mut().unwrap().stratum = 1;
        let state = CentreClock::start(settings, reading(0, 0)).state(reading(0, 0));
        assert_eq!(&state.server.reference_id, b"LOCL");
    }

    #[test]
    fn upstreams_prove_until_they_are_silent_or_the_clock_moves() {
        let mut clock = CentreClock::start(measuring(1), reading(0, 0));
        clock.on_upstream(0, exchange(S, 3 * MS, MS, 1), reading(S, S));
        let state = clock.state(reading(S, S));
        check(&clock, reading(S, S), ClockVerdict::Proven, Reason::Measured, 2);
        assert!(state.error_bound >= Nanos::from_millis(4) && state.error_bound < Nanos::from_micros(4_100));
        assert_eq!(state.server.reference_id, [192, 0, 2, 0]);
        // Nobody looked for a minute: 100 ppm of it.
        let later = clock.state(reading(61 * S, 61 * S));
        let grown = later.error_bound - state.error_bound;
        assert!(grown >= Nanos::from_millis(6) && grown < Nanos::from_micros(6_010), "{grown}");
        check(&clock, reading(3_700 * S, 3_700 * S), ClockVerdict::Unproven, Reason::Silent, 16);
        clock.on_check(reading(70 * S, 65 * S));
        check(&clock, reading(70 * S, 65 * S), ClockVerdict::Unproven, Reason::Stepped, 16);
        clock.on_upstream(0, exchange(71 * S, -5 * S, MS, 1), reading(71 * S, 66 * S));
        check(&clock, reading(71 * S, 66 * S), ClockVerdict::Unproven, Reason::TooFar, 16);
        clock.on_upstream(0, exchange(72 * S, 0, MS, 3), reading(72 * S, 67 * S));
        check(&clock, reading(72 * S, 67 * S), ClockVerdict::Proven, Reason::Measured, 4);
        check(&clock, reading(4_072 * S, 4_067 * S), ClockVerdict::Unproven, Reason::Silent, 16);
        // A stratum of 16 cannot be served, however well it is measured.
        clock.on_upstream(0, exchange(73 * S, 0, MS, 15), reading(73 * S, 68 * S));
        assert!(!clock.state(reading(73 * S, 68 * S)).server.is_synchronised());
    }

    #[test]
    fn a_small_move_since_the_measurement_widens_the_bound() {
        let mut clock = CentreClock::start(measuring(1), reading(0, 0));
        clock.on_upstream(0, exchange(S, 0, MS, 1), reading(S, S));
        // 9 ms, below Tmax: no alarm, and the bound knows it.
        assert_eq!(clock.on_check(reading(2 * S + 9 * MS, 2 * S)), []);
        let state = clock.state(reading(2 * S + 9 * MS, 2 * S));
        assert!(state.error_bound >= Nanos::from_millis(10), "{}", state.error_bound);
    }

    #[test]
    fn a_leap_second_that_the_kernel_carries_out_moves_no_clock() {
        const MIDNIGHT: i64 = 20_454 * 86_400 * S;
        let at = |second: i64| {
            let leapt = if second >= 0 { S } else { 0 };
            let kernel =
                KernelState { leap: if second >= 0 { Leap::None } else { Leap::Insert }, ..leaping() };
            Look {
                kernel: Some(kernel),
                ..reading(MIDNIGHT + second * S - leapt, 10 * S + second * S).into()
            }
        };
        let mut clock = CentreClock::start(measuring(1), at(-10));
        clock.on_upstream(0, exchange(MIDNIGHT - 9 * S, 0, MS, 1), at(-9));
        for second in -8..30 {
            assert_eq!(clock.on_check(at(second)), []);
            check(&clock, at(second).reading, ClockVerdict::Proven, Reason::Measured, 2);
        }
    }

    #[test]
    fn a_patient_hand_voids_what_is_declared() {
        // 50 µs a second beside a kernel that says that it does nothing.
        let at = |second: i64| {
            let kernel = KernelState { leap: Leap::None, synchronised: false, ..leaping() };
            let by = 50_000 * (second - 10).max(0);
            Look { kernel: Some(kernel), ..reading(second * S + by, second * S).into() }
        };
        let mut clock = CentreClock::start(declared(), at(0));
        for second in 1..=10 {
            assert_eq!(clock.on_check(at(second)), []);
        }
        let found = clock.on_check(at(11));
        assert!(
            matches!(found[..], [Finding::Alarm { kind: AlarmKind::Slew | AlarmKind::Step, .. }]),
            "{found:?}"
        );
        assert_eq!(clock.state(at(11).reading).verdict, ClockVerdict::Unproven);
    }

    #[test]
    fn most_must_agree() {
        let mut clock = CentreClock::start(measuring(3), reading(0, 0));
        let now = reading(S, S);
        clock.on_upstream(0, exchange(S, 0, MS, 1), now);
        clock.on_upstream(1, exchange(S, 500 * MS, MS, 1), now);
        check(&clock, now, ClockVerdict::Unproven, Reason::Disagree, 16);
        clock.on_upstream(2, exchange(S, MS, 2 * MS, 2), now);
        check(&clock, now, ClockVerdict::Proven, Reason::Measured, 2);
        assert_eq!(clock.state(now).source, "ntp0.example", "the tightest of those that agree");
        assert!(
            clock.state(now).error_bound < Nanos::from_micros(1_100),
            "both intervals together leave less open"
        );
    }

    fn shown(offset: i64, bound: i64, stratum: u8) -> SourceReading {
        SourceReading {
            offset: Nanos::new(offset),
            bound: Nanos::new(bound),
            delay: Nanos::ZERO,
            leap: Leap::None,
            stratum,
            root_delay: Nanos::ZERO,
            root_dispersion: Nanos::new(bound),
        }
    }

    fn beside(kind: SourceKind, servers: u8) -> Settings {
        let mut settings = measuring(servers);
        let receiver = Upstream { name: "SHM 0".to_owned(), reference_id: *b"GPS\0", kind };
        settings.upstreams.insert(0, receiver);
        settings
    }

    #[test]
    fn a_receiver_makes_stratum_1_is_carried_on_and_comes_back() {
        let kind = SourceKind::Receiver { holdover: Nanos::from_secs(600) };
        let mut clock = CentreClock::start(beside(kind, 0), reading(0, 0));
        check(&clock, reading(S, S), ClockVerdict::Unproven, Reason::Starting, 16);
        clock.on_shown(0, shown(2_000, 5_000, 0), reading(S, S));
        check(&clock, reading(S, S), ClockVerdict::Proven, Reason::Receiver, 1);
        let state = clock.state(reading(S, S));
        assert_eq!((state.error_bound, &state.server.reference_id), (Nanos::new(7_000), b"GPS\0"));
        assert_eq!(state.server.root_delay, Nanos::ZERO);
        assert!(state.server.root_dispersion >= Nanos::new(7_000));
        let fields = state.fields(CentreId::from_bytes([1; 16]));
        assert!(fields.contains(&("reference-id", b"GPS".to_vec())), "{fields:?}");
        // Lost: told after half a minute, the bound grows by 100 ppm, and in the end nothing is proven.
        check(&clock, reading(31 * S, 31 * S), ClockVerdict::Proven, Reason::Receiver, 1);
        check(&clock, reading(32 * S, 32 * S), ClockVerdict::Proven, Reason::Holdover, 1);
        let carried = clock.state(reading(101 * S, 101 * S)).error_bound;
        assert_eq!(carried, Nanos::new(7_000) + Nanos::from_millis(10));
        check(&clock, reading(602 * S, 602 * S), ClockVerdict::Unproven, Reason::Silent, 16);
        clock.on_shown(0, shown(0, 5_000, 0), reading(700 * S, 700 * S));
        check(&clock, reading(700 * S, 700 * S), ClockVerdict::Proven, Reason::Receiver, 1);
    }

    #[test]
    fn a_receiver_that_lies_is_outvoted() {
        let kind = SourceKind::Receiver { holdover: Nanos::from_secs(600) };
        let mut clock = CentreClock::start(beside(kind, 2), reading(0, 0));
        let now = reading(S, S);
        clock.on_shown(0, shown(700 * MS, 5_000, 0), now);
        clock.on_upstream(1, exchange(S, 0, MS, 1), now);
        check(&clock, now, ClockVerdict::Unproven, Reason::Disagree, 16);
        clock.on_upstream(2, exchange(S, 0, 2 * MS, 1), now);
        check(&clock, now, ClockVerdict::Proven, Reason::Measured, 2);
        let others = clock.agreed_without(0, now).unwrap();
        assert!(others.low < Nanos::ZERO && others.high > Nanos::ZERO && others.high < Nanos::from_millis(2));
        assert_eq!(clock.agreed_without(9, now), None);
    }

    #[test]
    fn what_a_daemon_says_is_declared() {
        let mut clock = CentreClock::start(beside(SourceKind::Daemon, 0), reading(0, 0));
        clock.on_shown(0, shown(-3_000, 50_000, 0), reading(S, S));
        check(&clock, reading(S, S), ClockVerdict::Declared, Reason::Believed, 1);
        assert_eq!(clock.state(reading(S, S)).source, "SHM 0");
    }

    #[test]
    fn an_entry_is_made_when_it_would_say_something_else() {
        let mut clock = CentreClock::start(measuring(1), reading(0, 0));
        let starting = clock.state(reading(0, 0));
        assert!(!clock.state(reading(S, S)).differs_from(&starting));
        clock.on_upstream(0, exchange(S, 0, 5 * MS, 1), reading(S, S));
        let proven = clock.state(reading(S, S));
        assert!(proven.differs_from(&starting));
        assert!(!clock.state(reading(30 * S, 30 * S)).differs_from(&proven));
        assert!(clock.state(reading(100 * S, 100 * S)).differs_from(&proven));
        let fields = proven.fields(CentreId::from_bytes([1; 16]));
        let value = |name| {
            fields.iter().find(|(key, _)| *key == name).map(|(_, value)| String::from_utf8_lossy(value))
        };
        assert_eq!(value("source").as_deref(), Some("ntp0.example"));
        assert_eq!(value("reason").as_deref(), Some("measured"));
        assert_eq!(value("stratum").as_deref(), Some("2"));
        assert_eq!(value("kernel").as_deref(), Some("unknown"));
    }

    proptest! {
        /// However upstreams lie within their own bounds, the true error of the clock lies within the stated one, and what
        /// NTP clients add up is no less.
        #[test]
        fn the_bound_holds(error in -400 * MS..400 * MS, drift in -100_000i64..100_000, age in 0i64..600, servers in prop::collection::vec((-30i64..30, 1i64..50), 1..8)) {
            let mut clock = CentreClock::start(measuring(8), reading(0, 0));
            for (index, (asymmetry, delay)) in servers.into_iter().enumerate() {
                // The offset is measured wrong by at most the delay.
                let wrong = asymmetry.clamp(-delay, delay) * MS;
                clock.on_upstream(index, exchange(S, error + wrong, delay * MS, 1), reading(S, S));
            }
            let now = reading((1 + age) * S, (1 + age) * S);
            let truth = Nanos::new(error) + Ppb::new(drift).over(Nanos::from_secs(age));
            let state = clock.state(now);
            if state.verdict == ClockVerdict::Proven {
                prop_assert!(truth.abs() <= state.error_bound, "{} > {}", truth, state.error_bound);
                let served = state.server.root_delay.half() + state.server.root_dispersion_at(now.wall);
                prop_assert!(served >= state.error_bound);
            } else {
                prop_assert_eq!(state.reason, Reason::TooFar);
            }
        }
    }
}
