//! `cargo xtask fuzz TARGET SECONDS`: libFuzzer on the stable toolchain.
//!
//! The compiler's coverage pass is an LLVM pass like any other and needs no nightly. The address sanitiser would,
//! but these parsers are safe Rust: a panic, an overflow or a broken property is what there is to find.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::process;
use crate::workspace::Workspace;

/// What cargo-fuzz passes too, without what needs nightly.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// Runs one target.
pub(crate) fn run(workspace: &Workspace, target: &str, seconds: u32) -> anyhow::Result<()> {
    let targets = targets(workspace)?;
    if !targets.iter().any(|name| name == target) {
        bail!("there is no target '{target}'; there are: {}", targets.join(", "));
    }
    feed(workspace, &build(workspace)?, target, seconds)
}

/// Runs every target, one after the other, and names all that failed.
pub(crate) fn run_all(workspace: &Workspace, seconds: u32) -> anyhow::Result<()> {
    let programs = build(workspace)?;
    let mut failed = Vec::new();
    let targets = targets(workspace)?;
    for target in &targets {
        if let Err(error) = feed(workspace, &programs, target, seconds) {
            eprintln!("{target}: {error:#}");
            failed.push(target.as_str());
        }
    }
    println!("{} passed, {} failed", targets.len() - failed.len(), failed.len());
    if !failed.is_empty() {
        bail!("fuzzing found something in: {}", failed.join(", "));
    }
    Ok(())
}

/// The targets, by the names of their files.
fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .with_context(|| format!("{} cannot be listed", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Builds all targets with coverage, in a target folder of their own, and says where the programs are.
fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if process::program("c++").is_none() {
        bail!("libFuzzer is C++ and there is no c++ here; on Debian: apt-get install --yes g++");
    }
    let platform = platform()?;
    let folder = workspace.target.join("fuzz");
    process::run(
        process::cargo()
            .current_dir(&workspace.root)
            .env("RUSTFLAGS", COVERAGE)
            .env("CARGO_TARGET_DIR", &folder)
            // With a platform named, the flags reach no build script.
            .args([
                "build",
                "--locked",
                "--release",
                "--package",
                "angbu-fuzz",
                "--features",
                "libfuzzer",
                "--bins",
            ])
            .args(["--target", &platform]),
    )?;
    Ok(folder.join(platform).join("release"))
}

/// The platform that this compiler builds for.
fn platform() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc cannot be started")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc -vV names no host")
}

/// Runs a target on its corpus; what it learns goes to the target folder, what it breaks on too.
fn feed(workspace: &Workspace, programs: &std::path::Path, target: &str, seconds: u32) -> anyhow::Result<()> {
    let learnt = workspace.target.join("fuzz/corpus").join(target);
    let broken = workspace.target.join("fuzz/artifacts").join(target);
    for folder in [&learnt, &broken] {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    process::run(
        Command::new(programs.join(target))
            .arg(&learnt)
            .arg(workspace.root.join("fuzz/corpus").join(target))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", broken.display()))
            .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]),
    )
    .with_context(|| {
        format!(
            "the input stands in {}; put it into fuzz/corpus/{target} once it is mended",
            broken.display()
        )
    })
}
