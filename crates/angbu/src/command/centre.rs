//! `angbu serve` and `angbu demo`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::sync::watch;

use angbu_accounts::Name;
use angbu_agent::machine::Machine;
use angbu_agent::{Event, Stop};
use angbu_units::Nanos;

use super::agent::tell_of_fork;
use super::{DemoArguments, Failure, Output, Places, ServeArguments, signals};
use crate::config::{CustomerConfig, OldFaceConfig, Reference, ServeConfig};
use crate::site::RunningSite;

/// The demo's customer, and the tolerance of its clocks.
const DEMO_CUSTOMER: &str = "demo";
const DEMO_TOLERANCE: Nanos = Nanos::from_millis(50);
/// The demo's agent, and how often it asks.
const DEMO_AGENT: &str = "this-machine";
const DEMO_POLL: Nanos = Nanos::from_secs(2);
/// Where the demo serves unless told otherwise: NTP's own port needs privileges.
const DEMO_NTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 11_123);

/// Runs a centre from its configuration.
pub(super) fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    let mut config = match &arguments.config {
        Some(path) => ServeConfig::read(path).map_err(|error| Failure::Usage(error.to_string()))?,
        None => ServeConfig::default(),
    };
    apply(&arguments.places, &mut config)?;
    run(config, arguments.places.json, None)
}

/// Runs a centre and an agent that observes this machine's clock.
pub(super) fn demo(arguments: DemoArguments) -> Result<(), Failure> {
    let name: Name = DEMO_CUSTOMER.parse().map_err(anyhow::Error::from)?;
    let mut config = ServeConfig::default();
    config.ntp.listen = DEMO_NTP;
    config.clock.reference = Some(Reference::Declared);
    // Whoever tries the old address out sits at this machine.
    let networks = ["127.0.0.0/8", "::1"].iter().filter_map(|network| network.parse().ok()).collect();
    config.keys.old = vec![OldFaceConfig { customer: name.clone(), networks, padded: false }];
    config.customers = vec![CustomerConfig { name, tolerance: DEMO_TOLERANCE }];
    apply(&arguments.places, &mut config)?;
    let agent_state = config.data.join("agent");
    run(config, arguments.places.json, Some(agent_state))
}

fn apply(places: &Places, config: &mut ServeConfig) -> Result<(), Failure> {
    if let Some(data) = &places.data {
        config.data.clone_from(data);
    }
    if let Some(store) = &places.store {
        config.store = store.clone().into();
    }
    if let Some(http) = places.http {
        config.http.listen = http;
    }
    if let Some(ntp) = places.ntp {
        config.ntp.listen = ntp;
    }
    config.check().map_err(|error| Failure::Usage(error.to_string()))
}

/// Runs a site until SIGINT or SIGTERM; with an agent beside it that keeps its state in `agent_state`.
fn run(config: ServeConfig, json: bool, agent_state: Option<PathBuf>) -> Result<(), Failure> {
    signals::log(json);
    let (end, mut ended) = watch::channel(false);
    signals::on_end(move || {
        let _ = end.send(true);
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that answer HTTP")?;
    runtime.block_on(async move {
        let output = Output::new(json);
        let mut site = RunningSite::start(&config).await?;
        let token = if json || agent_state.is_some() { Some(site.start_token().await?) } else { None };
        let customer = config.customers.first().map(|customer| customer.name.to_string());
        let enrolment = match (&agent_state, &customer) {
            (Some(state), Some(customer)) => Some(demo_agent(&site, customer, state).await?),
            _ => None,
        };
        announce(&site, &config.data, output, token.as_deref(), customer.as_deref());
        let agent = enrolment.map(|config| DemoAgent::start(config, output)).transpose()?;
        let _ = ended.wait_for(|ended| *ended).await;
        output.words("\nstopping …");
        // The agent first, so that its stop reaches the centre.
        if let Some(agent) = agent {
            tokio::task::spawn_blocking(move || agent.stop()).await?;
        }
        site.stop().await?;
        output.words("stopped; the stop is on record");
        anyhow::Ok(())
    })?;
    Ok(())
}

/// What whoever started the centre needs to know: one object for programs, a few lines for people.
fn announce(site: &RunningSite, data: &Path, output: Output, token: Option<&str>, customer: Option<&str>) {
    let facts = site.centre().site();
    let log_key = site.centre().log_key();
    output.object(&json!({
        "http": facts.url,
        "ntp": facts.ntp_address.to_string(),
        "nts": facts.nts_address.to_string(),
        "roughtime": site.roughtime().map(|server| server.address().to_string()),
        "roughtime_key": site.roughtime().map(|server| STANDARD.encode(server.public_key())),
        "token": token,
        "log_key": log_key,
        "customer": customer,
        "pid": std::process::id(),
    }));
    output.words(&format!(
        "angbu {} is ready\n\n  console   {}/\n  time      {} (NTP), keys for NTS at {}\n  data      {}\n  log key   {}",
        env!("CARGO_PKG_VERSION"),
        facts.url,
        facts.ntp_address,
        facts.nts_address,
        data.display(),
        log_key
    ));
    if let Some(server) = site.roughtime() {
        output.words(&format!(
            "  roughtime {} (key {})",
            server.address(),
            STANDARD.encode(server.public_key())
        ));
    }
    if let Some(password) = site.first_password() {
        output.object(&json!({
            "event": "operator-made", "name": "operator", "one_time_password": password.reveal()
        }));
        output.words(&format!(
            "\n  sign in as   operator\n  password     {}   (shown this once; choose your own at the first sign-in)",
            password.reveal()
        ));
    }
    if let (Some(token), Some(customer)) = (token, customer) {
        output.words(&format!(
            "\n  this centre's own clock is declared to be the reference: verdicts say so\n\n\
             make a report from another terminal, and check it:\n\
             \x20 export ANGBU_URL={} ANGBU_TOKEN={token}\n\
             \x20 angbu report time --customer {customer} --from {} --to {} -o report.html\n\
             \x20 angbu verify report.html --key '{}'\n\nCtrl-C ends it",
            facts.url,
            (facts.started - Nanos::from_secs(60)).rfc3339(0),
            (facts.started + Nanos::from_secs(86_400)).rfc3339(0),
            log_key
        ));
    }
}

/// The demo agent's configuration; a code only where it has not joined yet.
async fn demo_agent(site: &RunningSite, customer: &str, state: &Path) -> anyhow::Result<angbu_agent::Config> {
    let facts = site.centre().site();
    let mut config = angbu_agent::Config::new(&facts.url, DEMO_AGENT, state);
    config.poll_interval = DEMO_POLL;
    config.centre_ntp = Some(facts.ntp_address.to_string());
    config.centre_nts = Some(facts.nts_address.to_string());
    let wanted = customer.to_owned();
    let found = site
        .centre()
        .store()
        .read(move |snapshot| {
            let Some(customer) = snapshot.customer_named(&wanted)? else { return Ok(None) };
            let joined = snapshot.agent_named(customer.id, DEMO_AGENT)?.is_some();
            Ok::<_, angbu_store::StoreError>(Some((customer.id, joined)))
        })
        .await?;
    let (customer, joined) =
        found.with_context(|| format!("the customer {customer} is missing from the site"))?;
    if !joined {
        let (code, _) = site.centre().enrol_agent(customer, &DEMO_AGENT.parse()?).await?;
        config.code = Some(code.reveal());
    }
    Ok(config)
}

/// The demo's agent, on threads of its own in this process.
struct DemoAgent {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl DemoAgent {
    fn start(config: angbu_agent::Config, output: Output) -> anyhow::Result<Self> {
        let stop = Stop::new();
        let until = stop.clone();
        let thread = std::thread::Builder::new()
            .name("agent".into())
            .spawn(move || {
                let events = Arc::new(move |event: &Event| {
                    tell_of_fork(event);
                    output.object(event);
                });
                if let Err(error) = angbu_agent::run(&config, Arc::new(Machine::new()), events, &until) {
                    tracing::error!(%error, "the demo's agent ended");
                }
            })
            .context("cannot start the agent's thread")?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        self.stop.request();
        if self.thread.join().is_err() {
            tracing::error!("the demo's agent had panicked");
        }
    }
}
