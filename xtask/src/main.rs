//! The project's automation, started as `cargo xtask COMMAND`: what a developer, the README and continuous
//! integration run stands here once, in Rust, so that all three run the same thing.

#![allow(clippy::disallowed_methods, reason = "the shell: automation reads files and starts programs")]
#![allow(
    clippy::print_stdout,
    reason = "a benchmark's figures and a test's closing line are this program's answer"
)]

mod bench;
mod cluster;
mod demo;
mod foreign;
mod fuzz;
mod judge;
mod packages;
mod process;
mod test;
mod tidy;
mod web;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The automation of Angbu",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the console and the program, then runs `angbu demo`; further arguments go to it.
    Demo {
        /// What `angbu demo` takes: --data, --http, --ntp, --json.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Builds the console and the program, then runs two centres of one site over a PostgreSQL of their own.
    Cluster,
    /// Builds the web pages, unless they are up to date.
    Web,
    /// Runs every check and every test; installs the Debian packages that they need when run as root on Debian.
    Test,
    /// What continuous integration runs: the same as `test`.
    Ci,
    /// Proves layers, purity, file sizes, links, licences and the like.
    Tidy,
    /// Runs the benchmarks of a pillar, each beside its peer or floor.
    Bench {
        /// time or evidence.
        pillar: String,
        /// Prints one JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Runs a long trial by name; an unknown name lists those there are.
    Judge {
        /// The trial's name.
        name: String,
    },
    /// Feeds a parser inputs that coverage guides, for a number of seconds.
    Fuzz {
        /// The target's name; an unknown name lists those there are.
        target: String,
        /// How long to go on.
        seconds: u32,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Demo { arguments } => demo::run(&workspace, &arguments),
        Command::Cluster => cluster::run(&workspace),
        Command::Web => web::build(&workspace),
        Command::Test | Command::Ci => test::run(&workspace),
        Command::Tidy => tidy::run(&workspace),
        Command::Bench { pillar, json } => bench::run(&workspace, &pillar, json),
        Command::Judge { name } => judge::run(&workspace, &name),
        Command::Fuzz { target, seconds } => fuzz::run(&workspace, &target, seconds),
    }
}
