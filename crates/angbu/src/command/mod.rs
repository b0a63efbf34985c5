//! The command line: what each command takes, and its exit status 0 (done), 1 (refused) or 2 (usage).

mod agent;
mod calibration;
mod centre;
mod doctor;
mod enrol;
mod evidence;
mod export;
mod keys;
mod output;
mod probe;
mod report;
mod signals;
mod verify;
mod witness;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use angbu_client::{Client, Trust};
use angbu_units::Nanos;
use clap::{Args, Parser, Subcommand};

pub use output::Output;

/// Proven time, and the answers that rest on it.
#[derive(Debug, Parser)]
#[command(name = "angbu", version, about, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a centre
    Serve(ServeArguments),
    /// Run a centre and an agent on this machine, to look around
    Demo(DemoArguments),
    /// Run the agent that watches this server's clock
    Agent(AgentArguments),
    /// Ask a time server and show how far this machine's clock is from it; nothing is set
    Probe(ProbeArguments),
    /// Say what is wrong with this machine's clock; nothing is changed
    Doctor(DoctorArguments),
    /// Make a one-time code by which something joins the centre
    #[command(subcommand)]
    Enrol(Enrol),
    /// Make a report that a stranger can check
    #[command(subcommand)]
    Report(Report),
    /// One-time keys: take tokens in from another product
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Write exchanges, verdicts or hourly summaries to a file, for other programs
    Export(ExportArguments),
    /// Record what laboratories found of the site's references
    #[command(subcommand)]
    Calibration(calibration::CalibrationCommand),
    /// Check a report, a receipt, or the proof of a fork or of a Roughtime server's lie, offline
    Verify(VerifyArguments),
    /// Go on with a log that stands still
    #[command(subcommand)]
    Evidence(Evidence),
    /// Watch logs and cosign their checkpoints, so that nobody can show two histories
    Witness(WitnessArguments),
}

/// Where a running centre takes its place.
#[derive(Debug, Args)]
struct Places {
    /// The folder that the site is kept in; made at the first start
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The database: sqlite (a file in the data folder) or postgres://USER:PASSWORD@HOST:PORT/DATABASE; a password is better
    /// kept in the environment
    #[arg(long, value_name = "STORE", env = "ANGBU_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Address and port of the web interface; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address and port of the time server; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    ntp: Option<SocketAddr>,
    /// Print one JSON object when ready, then one per event
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ServeArguments {
    /// The configuration, a TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Args)]
struct DemoArguments {
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Args)]
struct AgentArguments {
    /// The configuration, a TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object when ready, then one per event
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ProbeArguments {
    /// The server, HOST or HOST:PORT; with --nts, where it exchanges keys
    server: String,
    /// How often to ask
    #[arg(long, value_name = "N", default_value = "4", value_parser = probe::count)]
    count: std::num::NonZeroU32,
    /// How long from one question to the next, "2 s" for instance
    #[arg(long, value_name = "TIME", default_value = "2 s", value_parser = probe::interval)]
    interval: Nanos,
    /// Ask under NTS and take nothing else
    #[arg(long)]
    nts: bool,
    /// PEM file with the certificate that the server's own is signed by, or the server's own; with --nts
    #[arg(long, value_name = "FILE", requires = "nts")]
    ca: Option<PathBuf>,
    /// Print one JSON object an answer
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DoctorArguments {
    /// An NTP server to ask, HOST or HOST:PORT; may be given several times, best three times
    #[arg(long, value_name = "HOST")]
    server: Vec<String>,
    /// How far the clock may be off
    #[arg(long, value_name = "TIME", default_value = "50 ms")]
    tolerance: Nanos,
    /// The configuration of the agent on this machine
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct WitnessArguments {
    #[command(flatten)]
    places: WitnessPlaces,
    /// Address and port to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The verifier key of a log to watch; may be given several times
    #[arg(long, value_name = "VKEY")]
    log: Vec<String>,
    #[command(subcommand)]
    command: Option<WitnessCommand>,
}

#[derive(Debug, Args)]
struct WitnessPlaces {
    /// The configuration, a TOML file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that the witness keeps its key and what it has seen in; made at the first start
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The name to cosign under, fixed at the first start; made from the key if none is given
    #[arg(long, global = true, value_name = "NAME")]
    name: Option<String>,
    /// Print one JSON object when ready, then one per event
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum WitnessCommand {
    /// Print the witness's verifier key, made if there is none yet
    Key,
}

/// The centre that a command talks to.
#[derive(Debug, Args)]
struct CentreArguments {
    /// The centre's address
    #[arg(long, env = "ANGBU_URL", value_name = "URL")]
    url: String,
    /// An API token
    #[arg(long, env = "ANGBU_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: String,
    /// PEM file with the certificate that the centre's own is signed by, or the centre's own
    #[arg(long, env = "ANGBU_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl CentreArguments {
    /// A client of that centre. A loopback address needs no certificate; any other is known by `--ca` or by the
    /// public certificate authorities.
    fn client(&self) -> Result<Client, Failure> {
        let trust = match &self.ca {
            None => Trust::Public,
            Some(path) => {
                let pem = std::fs::read(path)
                    .map_err(|error| Failure::Usage(format!("--ca {}: {error}", path.display())))?;
                Trust::authorities(&pem).map_err(anyhow::Error::from)?
            }
        };
        Ok(Client::new(&self.url, Some(&self.token), &trust).map_err(anyhow::Error::from)?)
    }
}

#[derive(Debug, Subcommand)]
enum Enrol {
    /// An agent on a customer's server
    Agent(EnrolArguments),
    /// A person of a customer, whose name is the login id
    Person(EnrolArguments),
    /// The host that activates a product on a customer's site
    Host(EnrolArguments),
    /// An application of a customer that asks the centre
    RelyingParty(EnrolArguments),
}

#[derive(Debug, Args)]
struct EnrolArguments {
    /// The customer's name
    #[arg(long)]
    customer: String,
    /// The name that the joiner will have
    #[arg(long)]
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    centre: CentreArguments,
}

#[derive(Debug, Subcommand)]
enum Report {
    /// Were a customer's clocks right, in a period?
    Time {
        /// The customer's name
        #[arg(long)]
        customer: String,
        /// Begin of the period, RFC 3339
        #[arg(long, value_name = "TIME")]
        from: String,
        /// End of the period, RFC 3339
        #[arg(long, value_name = "TIME")]
        to: String,
        /// The file to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The report's language: en, ko or ja
        #[arg(long, default_value = "en")]
        language: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        centre: CentreArguments,
    },
}

#[derive(Debug, Args)]
struct ExportArguments {
    /// exchanges, periods (the verdicts) or summaries (by the hour)
    what: String,
    /// The customer's name: all of its agents
    #[arg(long, required_unless_present = "agent", conflicts_with = "agent")]
    customer: Option<String>,
    /// One agent's id
    #[arg(long)]
    agent: Option<String>,
    /// Begin of the period, RFC 3339
    #[arg(long, value_name = "TIME")]
    from: String,
    /// End of the period, RFC 3339
    #[arg(long, value_name = "TIME")]
    to: String,
    /// csv or parquet
    #[arg(long, default_value = "csv")]
    format: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    centre: CentreArguments,
}

#[derive(Debug, Subcommand)]
enum Evidence {
    /// Go on with the log as the database has it, after an older copy was put back and the rest is lost for good
    Confirm {
        /// How many entries the log has, as the trouble says it
        #[arg(long)]
        size: u64,
        /// Why, in a few words; it stands in the log for good
        #[arg(long)]
        reason: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        centre: CentreArguments,
    },
}

#[derive(Debug, Args)]
struct VerifyArguments {
    /// The report, the receipt of an entry, or the proof that a log has signed two histories or a Roughtime server lied
    file: PathBuf,
    /// The log's verifier key, from somewhere else than the file; several where it has changed
    #[arg(long, value_name = "VKEY")]
    key: Vec<String>,
    /// The verifier key of a witness that must have cosigned, from somewhere else than the file; may be given several
    /// times
    #[arg(long, value_name = "VKEY")]
    witness: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A command's end, other than success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Refused, or it could not be done: exit status 1.
    #[error("{0:#}")]
    Refused(#[from] anyhow::Error),
    /// Called wrongly: exit status 2.
    #[error("{0}")]
    Usage(String),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let line = CommandLine::parse();
    let outcome = match line.command {
        Command::Serve(arguments) => centre::serve(arguments),
        Command::Demo(arguments) => centre::demo(arguments),
        Command::Agent(arguments) => agent::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Enrol(Enrol::Agent(arguments)) => enrol::run(enrol::Kind::Agent, &arguments),
        Command::Enrol(Enrol::Person(arguments)) => enrol::run(enrol::Kind::Person, &arguments),
        Command::Enrol(Enrol::Host(arguments)) => enrol::run(enrol::Kind::Host, &arguments),
        Command::Enrol(Enrol::RelyingParty(arguments)) => enrol::run(enrol::Kind::RelyingParty, &arguments),
        Command::Report(Report::Time { customer, from, to, output, language, json, centre }) => {
            let wish = report::Wish { customer, from, to, language };
            report::time(&centre, &wish, &output, Output::new(json))
        }
        Command::Export(arguments) => export::run(&arguments),
        Command::Calibration(command) => calibration::run(command),
        Command::Keys(command) => keys::run(&command),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Evidence(Evidence::Confirm { size, reason, json, centre }) => {
            evidence::confirm(&centre, size, &reason, Output::new(json))
        }
        Command::Witness(arguments) => witness::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(match failure {
                Failure::Refused(_) => 1,
                Failure::Usage(_) => 2,
            })
        }
    }
}
