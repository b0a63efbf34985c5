use super::*;

fn healthy() -> Facts {
    Facts {
        wall: UnixTime::from_nanos(1_795_000_000_000_000_000),
        kernel: Some(Kernel { synchronised: true, max_error: Nanos::from_millis(20) }),
        services: vec![service("chronyd", 700, Role::Keeps)],
        clock_source: Some(source("tsc", "tsc hpet acpi_pm")),
        hypervisor: None,
        rtc_ahead: Some(Nanos::from_secs(-2)),
        rtc_is_local: false,
        servers: vec![server("one", 1, 5), server("two", -2, 5)],
        tolerance: Nanos::from_millis(50),
        agent: Some(Agent {
            unusable: None,
            has_folder: true,
            is_open: false,
            joined: true,
            runs: true,
            fork: false,
            malfeasance: false,
        }),
    }
}

fn service(name: &str, pid: u32, role: Role) -> Service {
    Service { name: name.to_owned(), pid, role }
}

fn source(current: &str, available: &str) -> ClockSource {
    let available = available.split(' ').map(str::to_owned).collect();
    ClockSource { current: current.to_owned(), available }
}

fn server(name: &str, offset: i64, bound: i64) -> Server {
    let answer = Answer { offset: Nanos::from_millis(offset), bound: Nanos::from_millis(bound) };
    Server { name: name.to_owned(), answer: Ok(answer) }
}

fn codes(change: impl FnOnce(&mut Facts)) -> Vec<(Severity, &'static str)> {
    let mut facts = healthy();
    change(&mut facts);
    let found = judge(&facts);
    for finding in &found {
        assert!(!finding.what.is_empty() && !finding.todo.is_empty(), "{finding:?}");
    }
    found.iter().map(|finding| (finding.severity, finding.code)).collect()
}

#[test]
fn a_healthy_machine_has_no_findings() {
    assert_eq!(codes(|_| {}), []);
}

#[test]
fn every_planted_fault_is_found_and_nothing_else() {
    use Severity::{Note, Warning, Wrong};
    type Change = fn(&mut Facts);
    let planted: [(Change, Severity, &str); 20] = [
        (|facts| facts.wall = UnixTime::from_nanos(0), Wrong, "far-off"),
        (|facts| facts.wall = UnixTime::MAX, Wrong, "far-off"),
        (
            |facts| facts.services.push(service("systemd-timesyncd", 300, Role::Keeps)),
            Wrong,
            "several-services",
        ),
        (|facts| facts.services.push(service("vmtoolsd", 300, Role::Guest)), Note, "guest-tools"),
        (|facts| facts.services.clear(), Note, "no-service"),
        (|facts| facts.kernel = None, Note, "kernel-silent"),
        (
            |facts| facts.kernel = Some(Kernel { synchronised: false, max_error: Nanos::from_secs(16) }),
            Warning,
            "not-synchronised",
        ),
        (
            |facts| facts.kernel = Some(Kernel { synchronised: true, max_error: Nanos::from_secs(3) }),
            Warning,
            "large-error",
        ),
        (|facts| facts.clock_source = Some(source("hpet", "hpet acpi_pm")), Warning, "slow-source"),
        (|facts| facts.rtc_ahead = Some(Nanos::from_secs(9 * 3_600 - 1)), Warning, "rtc"),
        (|facts| facts.rtc_ahead = Some(Nanos::from_secs(75)), Warning, "rtc"),
        (
            |facts| {
                let answer = Err(Unanswered::Silent("no answer within 1 s".to_owned()));
                facts.servers.push(Server { name: "far".to_owned(), answer });
            },
            Wrong,
            "silent-server",
        ),
        (
            |facts| {
                let answer = Err(Unanswered::Useless("not synchronised".to_owned()));
                facts.servers.push(Server { name: "lost".to_owned(), answer });
            },
            Wrong,
            "useless-server",
        ),
        (|facts| facts.servers.push(server("liar", 100, 5)), Wrong, "servers-disagree"),
        (|facts| facts.servers = vec![server("one", 80, 5)], Wrong, "off"),
        (|facts| facts.servers = vec![server("one", 30, 25)], Note, "not-shown"),
        (
            |facts| facts.agent.as_mut().unwrap().unusable = Some("unknown field".to_owned()),
            Wrong,
            "agent-configuration",
        ),
        (|facts| facts.agent.as_mut().unwrap().joined = false, Wrong, "agent-not-joined"),
        (|facts| facts.agent.as_mut().unwrap().runs = false, Wrong, "agent-stopped"),
        (|facts| facts.agent.as_mut().unwrap().malfeasance = true, Wrong, "roughtime-lie"),
    ];
    for (change, severity, code) in planted {
        assert_eq!(codes(change), [(severity, code)]);
    }
}

#[test]
fn the_worst_comes_first() {
    let found = codes(|facts| {
        facts.services.push(service("qemu-ga", 5, Role::Guest));
        facts.rtc_ahead = Some(Nanos::from_secs(75));
        facts.agent.as_mut().unwrap().is_open = true;
    });
    let severities: Vec<_> = found.iter().map(|(severity, _)| *severity).collect();
    assert_eq!(severities, [Severity::Wrong, Severity::Warning, Severity::Note]);
    let none = codes(|facts| {
        facts.services.clear();
        facts.kernel = Some(Kernel { synchronised: false, max_error: Nanos::from_secs(16) });
    });
    assert_eq!(none, [(Severity::Wrong, "no-service")]);
}

#[test]
fn this_machine_can_be_looked_at() {
    let facts = collect(&Wish { servers: Vec::new(), tolerance: Nanos::from_millis(50), agent: None });
    assert!(facts.wall > EARLIEST);
    let _findings = judge(&facts);
}
