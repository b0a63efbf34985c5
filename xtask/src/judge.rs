//! `cargo xtask judge NAME`: trials that take too long for every run of the tests.

use std::process::Command;

use anyhow::{Context, bail};

use crate::workspace::Workspace;
use crate::{fuzz, packages, process};

/// Seconds that each fuzz target gets.
const FUZZ_SECONDS: u32 = 60;

/// Runs a trial.
pub(crate) fn run(workspace: &Workspace, name: &str) -> anyhow::Result<()> {
    match name {
        "crash" => ignored_test(workspace, "angbu", "judge_crash"),
        "cluster-crash" => ignored_test(workspace, "angbu", "judge_cluster_crash"),
        "late" => ignored_test(workspace, "angbu", "judge_late"),
        "races" => ignored_test(workspace, "angbu", "judge_races"),
        "standstill" => ignored_test(workspace, "angbu", "judge_standstill"),
        "agents" => ignored_test(workspace, "angbu-http", "judge_agents"),
        "tenmillion" => ignored_test(workspace, "angbu-store", "judge_ten_million"),
        "discipline" => ignored_test(workspace, "angbu-testkit", "judge_discipline"),
        "tampering" => ignored_test(workspace, "angbu-testkit", "judge_tampering"),
        "clock" => {
            packages::ensure_guest()?;
            ignored_test(workspace, "angbu", "judge_clock")
        }
        "retention" => process::run(
            judged(workspace, "angbu-http", "judge_retention").args(["--cargo-profile", "release"]),
        ),
        "verdicts" => ignored_test(workspace, "angbu-testkit", "judge_verdicts"),
        "ntpd-rs" => judged_by(workspace, &NTPD_RS),
        "roughtime" => judged_by(workspace, &ROUGHENOUGH),
        "fuzz" => fuzz::run_all(workspace, FUZZ_SECONDS),
        "advisories" => advisories(workspace),
        _ => bail!(
            "there is no trial '{name}'; there are: crash (50 centres killed under load), \
             cluster-crash (30 pairs of centres over PostgreSQL, killed under load), \
             late (an exchange that is told a minute too late), \
             races (200 one-time keys, each shown by 64 senders at once, on either store), \
             standstill (a centre that has the log stands still for 30 s), \
             agents (ten thousand of them on one centre: how long their page takes), \
             tenmillion (a log of ten million entries: its size, its start, its proofs), \
             discipline (the agent's beside chronyd's, in the same simulated worlds), \
             retention (1,000 agents and a year of summaries: pages, bytes, a report), \
             verdicts (10,000 simulated agents and 1,000,000 polls, each verdict against the truth), \
             ntpd-rs (as client of our protected time, and our agent as client of its), \
             roughtime (the published Rust client and server against ours), \
             tampering (1,000 simulated days of honest machines, without an alarm), \
             clock (a virtual machine whose clock is set, slewed, steered by chrony, held and put back), \
             fuzz (every parser, {FUZZ_SECONDS} s each), advisories (what is known against our dependencies today)"
        ),
    }
}

/// Another implementation, by its version: its programs are installed below the target folder, not in the system.
struct Foreign {
    /// Its folder.
    name: &'static str,
    /// What `cargo install` is told besides where to.
    install: &'static [&'static str],
    /// The variable that tells the trial where its programs are.
    variable: &'static str,
    /// The trial.
    test: &'static str,
}

/// The published Rust implementation of Roughtime.
const ROUGHENOUGH: Foreign = Foreign {
    name: "roughenough",
    install: &["roughenough-client@2.2.0", "roughenough-server@2.2.0"],
    variable: "ANGBU_ROUGHENOUGH",
    test: "judge_roughtime",
};

/// Another Rust implementation of NTS, as client and as server. What it can do beyond that is left out.
const NTPD_RS: Foreign = Foreign {
    name: "ntpd-rs",
    install: &["--debug", "--no-default-features", "--features", "aws-lc,rustcrypto", "ntpd@1.9.0"],
    variable: "ANGBU_NTPD_RS",
    test: "judge_ntpd_rs",
};

/// Another implementation's client asks our server, and our client asks theirs.
fn judged_by(workspace: &Workspace, foreign: &Foreign) -> anyhow::Result<()> {
    let tools = workspace.notes().join(foreign.name);
    process::run(
        process::cargo()
            .current_dir(&workspace.root)
            .args(["install", "--locked", "--root"])
            .arg(&tools)
            .args(foreign.install),
    )
    .context("this needs the network once")?;
    let mut trial = judged(workspace, "angbu", foreign.test);
    process::run(trial.env(foreign.variable, tools.join("bin")))
}

/// What is known changes from day to day, whatever the repository holds: so this is no test.
fn advisories(workspace: &Workspace) -> anyhow::Result<()> {
    process::run(process::cargo().current_dir(&workspace.root).args([
        "deny",
        "--workspace",
        "check",
        "advisories",
    ]))
    .context("this needs cargo-deny (cargo install cargo-deny --locked) and the network")
}

/// A trial is a test that an ordinary run leaves out.
fn ignored_test(workspace: &Workspace, package: &str, name: &str) -> anyhow::Result<()> {
    process::run(&mut judged(workspace, package, name))
}

fn judged(workspace: &Workspace, package: &str, name: &str) -> Command {
    let mut command = process::cargo();
    command.current_dir(&workspace.root).args([
        "nextest",
        "run",
        "--locked",
        "--package",
        package,
        "--profile",
        "judge",
        "--run-ignored",
        "only",
        "--no-capture",
        "--filterset",
        &format!("test({name})"),
    ]);
    command
}
