//! Looks at this machine: files that the kernel offers, running programs, answers of servers. Nothing is written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use angbu_time::exchange::Exchange;
use angbu_time::kernel_clock::KernelClock as _;
use angbu_units::{Clock as _, Nanos};

use super::{Agent, Answer, ClockSource, Facts, Kernel, Role, Server, Service, Unanswered};
use crate::Config;
use crate::clock::SystemClock;
use crate::kernel_clock::SystemKernelClock;
use crate::ntp::client;
use crate::run::NTS_SCHEME;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many of a name's addresses are tried.
const MOST_ADDRESSES: usize = 4;
/// Processes are looked through up to this many.
const MOST_PROCESSES: usize = 100_000;

const CLOCK_SOURCES: &str = "/sys/devices/system/clocksource/clocksource0";

/// The programs that can set a clock, by the name that the kernel keeps of them, 15 bytes at most.
const PROGRAMS: [(&str, &str, Role); 14] = [
    ("chronyd", "chronyd", Role::Keeps),
    ("ntpd", "ntpd", Role::Keeps),
    ("openntpd", "openntpd", Role::Keeps),
    ("ntp-daemon", "ntpd-rs", Role::Keeps),
    ("ntpd-rs", "ntpd-rs", Role::Keeps),
    ("systemd-timesyn", "systemd-timesyncd", Role::Keeps),
    ("phc2sys", "phc2sys", Role::Keeps),
    ("clockbound", "clockbound", Role::Keeps),
    ("timemaster", "timemaster", Role::Keeps),
    ("vmtoolsd", "vmtoolsd", Role::Guest),
    ("VBoxService", "VBoxService", Role::Guest),
    ("qemu-ga", "qemu-ga", Role::Guest),
    ("hv_utils", "hv_utils", Role::Guest),
    ("xe-daemon", "xe-daemon", Role::Guest),
];

/// What to look at beside the machine itself.
#[derive(Debug, Clone)]
pub struct Wish {
    /// NTP servers to ask, `host` or `host:port`.
    pub servers: Vec<String>,
    /// How far the clock may be off.
    pub tolerance: Nanos,
    /// The configuration of the agent on this machine.
    pub agent: Option<PathBuf>,
}

/// Looks at everything.
pub fn collect(wish: &Wish) -> Facts {
    let (agent, configured) = match &wish.agent {
        None => (None, None),
        Some(path) => match Config::read(path) {
            Ok(config) => (Some(agent(&config.state)), Some(config)),
            Err(error) => (Some(Agent { unusable: Some(error.to_string()), ..agent(Path::new("")) }), None),
        },
    };
    let mut names = wish.servers.clone();
    if let Some(config) = configured {
        // Those under NTS are asked by the agent itself, which tells of what they answer.
        names.extend(config.servers.into_iter().filter(|name| !name.starts_with(NTS_SCHEME)));
    }
    names.dedup();
    Facts {
        kernel: SystemKernelClock::new()
            .state()
            .ok()
            .map(|kernel| Kernel { synchronised: kernel.synchronised, max_error: kernel.max_error }),
        services: services(),
        clock_source: clock_source(),
        hypervisor: hypervisor(),
        rtc_ahead: rtc_ahead(),
        rtc_is_local: text("/etc/adjtime").is_some_and(|text| text.lines().nth(2) == Some("LOCAL")),
        servers: names.into_iter().map(ask).collect(),
        tolerance: wish.tolerance,
        agent,
        wall: SystemClock.read().wall,
    }
}

/// A short file's text, without the white space around it.
fn text(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn services() -> Vec<Service> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found: Vec<Service> = processes
        .take(MOST_PROCESSES)
        .filter_map(|process| {
            let process = process.ok()?;
            let pid = process.file_name().to_str()?.parse().ok()?;
            let comm = text(process.path().join("comm"))?;
            let (_, name, role) = PROGRAMS.iter().find(|(known, _, _)| *known == comm)?;
            // chronyd and others leave a helper of the same name behind: their child says nothing new.
            let service = Service { name: (*name).to_owned(), pid, role: *role };
            Some((parent(&process.path()), service))
        })
        .scan(Vec::new(), |seen: &mut Vec<u32>, (parent, service)| {
            let is_child = parent.is_some_and(|parent| seen.contains(&parent));
            seen.push(service.pid);
            Some((!is_child).then_some(service))
        })
        .flatten()
        .collect();
    found.sort_by_key(|service| service.pid);
    found
}

/// The parent's number stands behind the command's name, which is in brackets and can hold anything (`proc(5)`).
fn parent(process: &Path) -> Option<u32> {
    let stat = text(process.join("stat"))?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn clock_source() -> Option<ClockSource> {
    let folder = Path::new(CLOCK_SOURCES);
    let current = text(folder.join("current_clocksource"))?;
    let available = text(folder.join("available_clocksource")).unwrap_or_default();
    Some(ClockSource { current, available: available.split_whitespace().map(str::to_owned).collect() })
}

fn hypervisor() -> Option<String> {
    let flags = text("/proc/cpuinfo").unwrap_or_default();
    let is_guest = flags
        .lines()
        .any(|line| line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "hypervisor"));
    let named = text("/sys/hypervisor/type").or_else(|| text("/sys/class/dmi/id/sys_vendor"));
    is_guest.then(|| named.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned()))
}

fn rtc_ahead() -> Option<Nanos> {
    let seconds: i64 = text("/sys/class/rtc/rtc0/since_epoch")?.parse().ok()?;
    let wall = SystemClock.read().wall;
    Some(Nanos::from_secs(seconds) - Nanos::new(wall.nanos()))
}

fn ask(name: String) -> Server {
    let answer = (|| {
        let silent = |error: client::ExchangeError| Unanswered::Silent(error.to_string());
        let addresses = client::resolve(&name).map_err(silent)?;
        let mut failure = Unanswered::Silent("the name has no address".to_owned());
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            match client::exchange(address, PATIENCE, &SystemClock, &|| false) {
                Err(error) => failure = silent(error),
                Ok(answered) => {
                    return Exchange::read(
                        &answered.request,
                        &answered.reply,
                        answered.sent.wall,
                        answered.received,
                    )
                    .map(|exchange| Answer { offset: exchange.offset(), bound: exchange.bound() })
                    .map_err(|refusal| Unanswered::Useless(refusal.to_string()));
                }
            }
        }
        Err(failure)
    })();
    Server { name, answer }
}

fn agent(state: &Path) -> Agent {
    let metadata = std::fs::metadata(state).ok();
    let lock = std::fs::File::open(state.join("lock")).ok();
    Agent {
        unusable: None,
        has_folder: metadata.is_some(),
        is_open: metadata.is_some_and(|metadata| metadata.permissions().mode() & 0o077 != 0),
        joined: state.join("enrolment.toml").exists(),
        // Whoever runs holds the lock; a shared one that is given back at once disturbs nobody for long.
        runs: lock
            .is_some_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))),
        fork: state.join("fork.txt").exists(),
        malfeasance: state.join("malfeasance.json").exists(),
    }
}
