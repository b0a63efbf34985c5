//! `cargo xtask test`: every check and every test, one after the other, and one closing line that adds them up.

mod tally;

use std::process::Command;

use crate::workspace::Workspace;
use crate::{foreign, packages, process, tidy, web};
use tally::Tally;

/// Runs everything; an error when anything failed.
///
/// Nothing is left out for want of a tool: what is missing is installed, or the run fails.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    packages::ensure()?;
    foreign::install(workspace)?;
    nextest()?;
    let cargo = |arguments: &[&str]| {
        let mut command = process::cargo();
        command.current_dir(&workspace.root).args(arguments);
        command
    };
    let mut tally = Tally::default();
    tally.check("format", || process::run(&mut cargo(&["fmt", "--all", "--check"])));
    tally.check("tidy", || tidy::run(workspace));
    // The program embeds the pages, so they come before whatever compiles it.
    tally.check("web build", || web::build(workspace).and_then(|()| web::install(workspace)));
    tally.runner("web tests", &mut web::tests(workspace));
    tally.check("clippy", || {
        process::run(&mut cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    tally.check("documentation", || {
        process::run(
            cargo(&["doc", "--locked", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    tally.check("python script", || python(workspace));
    // Tidy has read the same file already; cargo-deny reads it with other eyes, where it is installed.
    if cargo_has("deny") {
        let offline = ["deny", "--workspace", "check", "bans", "licenses", "sources"];
        tally.check("cargo deny", || process::run(&mut cargo(&offline)));
    }
    tally.check("examples in the documentation", || {
        process::run(&mut cargo(&["test", "--locked", "--workspace", "--doc", "--no-fail-fast"]))
    });
    tally.runner("tests", &mut cargo(&["nextest", "run", "--locked", "--workspace", "--profile", "ci"]));
    tally.close()
}

/// Installs the test runner when it is missing: the tests rely on a process of their own each, and on its deadlines.
fn nextest() -> anyhow::Result<()> {
    if cargo_has("nextest") {
        return Ok(());
    }
    eprintln!("cargo-nextest is not installed; building it takes some minutes, once");
    process::run(process::cargo().args(["install", "cargo-nextest", "--locked"]))
}

/// Whether cargo has this subcommand.
fn cargo_has(subcommand: &str) -> bool {
    process::cargo().args([subcommand, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// The verification script must compile with the standard library of whatever Python 3 is here.
fn python(workspace: &Workspace) -> anyhow::Result<()> {
    let script = "import sys; compile(open(sys.argv[1], encoding='utf-8').read(), sys.argv[1], 'exec')";
    process::run(Command::new("python3").current_dir(&workspace.root).args(["-c", script, "docs/verify.py"]))
}
