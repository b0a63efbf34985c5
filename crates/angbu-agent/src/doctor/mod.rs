//! What is wrong with a machine's clock, in words: what was seen, why it matters, what to do. Nothing is changed.
//!
//! [`collect`] looks at the machine; [`judge`] is pure, so that every finding can be tried on a machine that nobody has.

mod collect;

use angbu_units::{Nanos, UnixTime};
use serde::Serialize;

pub use collect::{Wish, collect};

/// How far the battery's clock may be from the wall clock: it drifts while the machine is off, and is set at a shutdown.
const RTC_DRIFT: Nanos = Nanos::from_secs(10);
/// Time zones are multiples of a quarter of an hour.
const ZONE: i64 = 900;
/// An error that the kernel holds possible and that is past any use.
const MAX_ERROR: Nanos = Nanos::from_secs(1);
/// No clock that works shows a time before this program was written, 2026-01-01.
const EARLIEST: UnixTime = UnixTime::from_nanos(1_767_225_600_000_000_000);
/// Nor one after 2100.
const LATEST: UnixTime = UnixTime::from_nanos(4_102_444_800_000_000_000);

/// What was seen of a machine.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The wall clock.
    pub wall: UnixTime,
    /// What the kernel says of it; none where it does not say.
    pub kernel: Option<Kernel>,
    /// What runs that can set the clock.
    pub services: Vec<Service>,
    /// What the kernel reads time from.
    pub clock_source: Option<ClockSource>,
    /// What the machine runs on, where it is not its own: `KVM`, `VMware`, ...
    pub hypervisor: Option<String>,
    /// How far the battery's clock is ahead of the wall clock; none where there is none or nobody may read it.
    pub rtc_ahead: Option<Nanos>,
    /// Whether the kernel was told that the battery's clock keeps local time.
    pub rtc_is_local: bool,
    /// The servers that were asked.
    pub servers: Vec<Server>,
    /// How far the clock may be off.
    pub tolerance: Nanos,
    /// The agent on this machine, where its configuration was given.
    pub agent: Option<Agent>,
}

/// What the kernel says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Something says that it disciplines the clock.
    pub synchronised: bool,
    /// How large that says the error can be.
    pub max_error: Nanos,
}

/// What a running program does with the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It keeps the time: two of them fight.
    Keeps,
    /// It belongs to a hypervisor and sets the clock when it is told to, mostly after a pause.
    Guest,
}

/// A running program that can set the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// What it does.
    pub role: Role,
}

/// What the kernel reads time from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockSource {
    /// The one in use.
    pub current: String,
    /// Those that it could use.
    pub available: Vec<String>,
}

/// An NTP server that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// As it was given.
    pub name: String,
    /// What it showed, or why it showed nothing.
    pub answer: Result<Answer, Unanswered>,
}

/// What a server showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What it is ahead of the wall clock.
    pub offset: Nanos,
    /// How far the true offset can lie from that.
    pub bound: Nanos,
}

/// Why a server showed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// No address, or no answer.
    Silent(String),
    /// An answer that shows no time.
    Useless(String),
}

/// The agent on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Why its configuration cannot be used.
    pub unusable: Option<String>,
    /// Its folder is there.
    pub has_folder: bool,
    /// Others than its owner can look into it.
    pub is_open: bool,
    /// It has joined a centre.
    pub joined: bool,
    /// It runs now.
    pub runs: bool,
    /// Its folder holds the proof that the centre has shown two histories.
    pub fork: bool,
    /// Its folder holds the proof that a Roughtime server lied.
    pub malfeasance: bool,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Not good, and not yet wrong.
    Warning,
    /// Something is wrong.
    Wrong,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Its code, for programs.
    pub code: &'static str,
    /// What was seen.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub todo: String,
}

/// Everything that is worth telling, the worst first.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    epoch(facts, &mut found);
    services(facts, &mut found);
    kernel(facts, &mut found);
    clock_source(facts, &mut found);
    rtc(facts, &mut found);
    servers(facts, &mut found);
    agreement(facts, &mut found);
    if let Some(agent) = &facts.agent {
        self::agent(agent, &mut found);
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn tell(
    found: &mut Vec<Finding>,
    severity: Severity,
    code: &'static str,
    what: impl Into<String>,
    why: &'static str,
    todo: impl Into<String>,
) {
    found.push(Finding { severity, code, what: what.into(), why, todo: todo.into() });
}

fn epoch(facts: &Facts, found: &mut Vec<Finding>) {
    if (EARLIEST..LATEST).contains(&facts.wall) {
        return;
    }
    tell(
        found,
        Severity::Wrong,
        "far-off",
        format!("the clock shows {}", facts.wall.rfc3339(0)),
        "certificates look expired or not yet valid, so that even secure time cannot be asked for",
        "set the clock by hand to about the right time, then let a time service do the rest; check the battery of the \
         machine's own clock",
    );
}

fn services(facts: &Facts, found: &mut Vec<Finding>) {
    let named = |role| {
        let of_role = facts.services.iter().filter(move |service| service.role == role);
        of_role.map(|service| format!("{} ({})", service.name, service.pid)).collect::<Vec<_>>()
    };
    let keeping = named(Role::Keeps);
    match keeping.as_slice() {
        [] => {
            let synchronised = facts.kernel.is_some_and(|kernel| kernel.synchronised);
            let what = if synchronised {
                "no time service is seen to run, though the kernel says that something keeps its clock"
            } else {
                "no time service runs"
            };
            tell(
                found,
                if synchronised { Severity::Note } else { Severity::Wrong },
                "no-service",
                what,
                "a clock that nothing keeps runs away by seconds a day",
                "install chrony, or let the agent keep the time (mode = \"steer\" in its configuration)",
            );
        }
        [_] => {}
        several => tell(
            found,
            Severity::Wrong,
            "several-services",
            format!("{} time services run: {}", several.len(), several.join(", ")),
            "each takes the other's corrections for errors of the clock and undoes them",
            "keep one of them and disable the others (systemctl disable --now NAME)",
        ),
    }
    let guests = named(Role::Guest);
    if !guests.is_empty() {
        tell(
            found,
            Severity::Note,
            "guest-tools",
            format!("the hypervisor's tools run here: {}", guests.join(", ")),
            "they can set the clock after a pause, a snapshot or a migration, which looks like tampering",
            "switch their periodic time synchronisation off where a time service runs",
        );
    }
}

fn kernel(facts: &Facts, found: &mut Vec<Finding>) {
    let keeps = facts.services.iter().find(|service| service.role == Role::Keeps);
    match (facts.kernel, keeps) {
        (None, _) => tell(
            found,
            Severity::Note,
            "kernel-silent",
            "the kernel does not say how its clock is kept",
            "a sandbox forbids the call (adjtimex), so less can be said here",
            "run this outside of the sandbox",
        ),
        (Some(kernel), Some(service)) if !kernel.synchronised => tell(
            found,
            Severity::Warning,
            "not-synchronised",
            format!("{} runs, but has not brought the clock under control", service.name),
            "until it has, nothing bounds the clock's error",
            "ask it why: `chronyc sources`, `timedatectl timesync-status` or `ntpq -p`; mostly its servers do not answer",
        ),
        (Some(kernel), _) if kernel.synchronised && kernel.max_error > MAX_ERROR => tell(
            found,
            Severity::Warning,
            "large-error",
            format!("the kernel holds an error of {} possible", kernel.max_error),
            "the figure grows while no server answers",
            "check that the time service still reaches its servers",
        ),
        _ => {}
    }
}

fn clock_source(facts: &Facts, found: &mut Vec<Finding>) {
    let Some(source) = &facts.clock_source else { return };
    let slow = matches!(source.current.as_str(), "acpi_pm" | "hpet" | "jiffies" | "refined-jiffies" | "pit");
    let better = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"]
        .into_iter()
        .find(|name| source.available.iter().any(|available| available == name));
    if !slow {
        return;
    }
    let todo = match better {
        Some(better) => format!(
            "echo {better} > /sys/devices/system/clocksource/clocksource0/current_clocksource, and see in the kernel's log why it was left"
        ),
        None => "see in the kernel's log why it left the faster one (dmesg | grep -i clocksource)".to_owned(),
    };
    tell(
        found,
        Severity::Warning,
        "slow-source",
        format!("the kernel reads time from {}", source.current),
        "it is slow to read and coarse, and is chosen only where the faster one was found to be unstable",
        todo,
    );
}

fn rtc(facts: &Facts, found: &mut Vec<Finding>) {
    let Some(ahead) = facts.rtc_ahead else { return };
    let from_zone = (ahead.count() / 1_000_000_000).rem_euclid(ZONE);
    let from_zone = from_zone.min(ZONE - from_zone);
    if ahead.abs() <= RTC_DRIFT {
        return;
    }
    let (what, why, todo) =
        if facts.rtc_is_local || (from_zone <= 10 && ahead.abs() >= Nanos::from_secs(ZONE - 10)) {
            (
                format!("the battery's clock keeps local time ({ahead} from UTC)"),
                "the machine starts with a clock that is hours off, twice a year by another hour",
                "timedatectl set-local-rtc 0",
            )
        } else {
            (
                format!("the battery's clock is {ahead} ahead of the system's"),
                "the machine starts with a wrong clock, and secure time can fail until it is corrected",
                "hwclock --systohc once the system's clock is right; if it comes back, the battery is empty",
            )
        };
    tell(found, Severity::Warning, "rtc", what, why, todo);
}

fn servers(facts: &Facts, found: &mut Vec<Finding>) {
    for server in &facts.servers {
        match &server.answer {
            Ok(_) => {}
            Err(Unanswered::Silent(reason)) => tell(
                found,
                Severity::Wrong,
                "silent-server",
                format!("{} does not answer: {reason}", server.name),
                "without answers the clock cannot be kept, nor shown to be right",
                "let UDP to its port (123) out and back in through every firewall on the way, and check the name",
            ),
            Err(Unanswered::Useless(reason)) => tell(
                found,
                Severity::Wrong,
                "useless-server",
                format!("{} answers without a time: {reason}", server.name),
                "such an answer shows nothing",
                "ask another server until this one knows the time again",
            ),
        }
    }
}

fn agreement(facts: &Facts, found: &mut Vec<Finding>) {
    let answers: Vec<_> = facts
        .servers
        .iter()
        .filter_map(|server| Some((server.name.as_str(), *server.answer.as_ref().ok()?)))
        .collect();
    let apart = answers.iter().enumerate().find_map(|(index, (name, one))| {
        let other = answers
            .iter()
            .skip(index + 1)
            .find(|(_, other)| (one.offset - other.offset).abs() > one.bound + other.bound)?;
        Some((*name, *one, *other))
    });
    if let Some((name, one, (other_name, other))) = apart {
        tell(
            found,
            Severity::Wrong,
            "servers-disagree",
            format!(
                "{name} and {other_name} are {} apart, more than their errors explain",
                (one.offset - other.offset).abs()
            ),
            "at least one of them is wrong or forged, and nothing here tells which",
            "ask at least three servers, under NTS where they offer it, and leave out the one that the others contradict",
        );
        return;
    }
    // They agree: the narrowest says most.
    let Some((name, best)) = answers.into_iter().min_by_key(|(_, answer)| answer.bound) else { return };
    let (offset, bound) = (best.offset.abs(), best.bound);
    if offset - bound > facts.tolerance {
        tell(
            found,
            Severity::Wrong,
            "off",
            format!("this machine's clock is {} off, give or take {bound}, by {name}", best.offset),
            "records of this machine bear wrong times",
            "see that one time service runs and reaches its servers; large errors are only stepped away if it is told to \
             (chrony: makestep)",
        );
    } else if offset + bound > facts.tolerance {
        tell(
            found,
            Severity::Note,
            "not-shown",
            format!(
                "{name} cannot show that the clock is within {}: {} ± {bound}",
                facts.tolerance, best.offset
            ),
            "a verdict needs the whole interval to lie within the tolerance",
            "ask a server that is nearer",
        );
    }
}

fn agent(agent: &Agent, found: &mut Vec<Finding>) {
    let mut wrong = |code, what: String, why, todo: &str| tell(found, Severity::Wrong, code, what, why, todo);
    if let Some(reason) = &agent.unusable {
        wrong(
            "agent-configuration",
            format!("the agent's configuration cannot be used: {reason}"),
            "the agent does not start with it",
            "correct the file",
        );
        return;
    }
    if !agent.has_folder || !agent.joined {
        wrong(
            "agent-not-joined",
            "the agent has not joined a centre".to_owned(),
            "nothing about this clock reaches a centre, so nothing can be proven of it",
            "make a code (angbu enrol agent), set `code` in the agent's configuration and start it",
        );
    } else if !agent.runs {
        wrong(
            "agent-stopped",
            "the agent does not run".to_owned(),
            "what happens to the clock meanwhile is not proven",
            "start it (angbu agent --config FILE)",
        );
    }
    if agent.is_open {
        wrong(
            "agent-folder-open",
            "others than its owner can read the agent's folder".to_owned(),
            "whoever reads its key can sign in the agent's name",
            "chmod 700 the folder, and enrol the agent anew in an empty one if somebody may have looked",
        );
    }
    if agent.fork {
        wrong(
            "fork",
            "the agent's folder holds what proves that the centre has shown two histories (fork.txt)"
                .to_owned(),
            "what the centre says of the past cannot be trusted",
            "keep the file, check it with `angbu verify`, and show it to whoever relies on the centre",
        );
    }
    if agent.malfeasance {
        wrong(
            "roughtime-lie",
            "the agent's folder holds the proof that a Roughtime server lied (malfeasance.json)".to_owned(),
            "one of the servers that the time is held against is wrong or forged",
            "check it with `angbu verify`, find out which one with other clocks, and take it out",
        );
    }
}

#[cfg(test)]
mod tests;
